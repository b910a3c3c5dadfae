use crate::domain::failure::Cause;
use crate::domain::open_alert::OpenAlert;
use crate::domain::plan::{Bounds, GroupPlan, KeyAlert, KeyPlan, KeySelector};
use crate::domain::reading::Value;
use crate::domain::time::{ClockTrust, Wall};
use crate::monitor::http::handler::Handler as _;
use crate::monitor::support::{self as testing, NOW_MS, NodeFixture, body, golden, request};

fn values(fixture: NodeFixture) -> String {
    let response = fixture.app().render(&request("/web?fragment=values", &[]));
    body(&response).to_owned()
}

#[test]
fn shows_what_is_wrong_and_since_when() {
    let monitor = testing::healthy()
        .failing("weather", Cause::Dns, 1_380)
        .stale(&["humidity"])
        .pending_mails(1, "mail.example takes no connection")
        .app();
    let response = monitor.render(&request("/web", &[]));
    golden("overview.html", body(&response));
}

#[test]
fn an_example_or_a_demo_says_so() {
    let rows = [
        (true, false, "Nothing is configured yet"),
        (true, true, "all values are simulated"),
    ];
    for (is_example, is_demo, notice) in rows {
        let mut fixture = testing::healthy();
        (fixture.is_example, fixture.is_demo) = (is_example, is_demo);
        let response = fixture.app().render(&request("/web", &[]));
        assert!(body(&response).contains(notice), "{notice}");
    }
}

/// The stylesheet cuts labels behind two lines.
#[test]
fn a_long_label_is_the_title_of_its_tile_too() {
    let long = "Warmwasserspeichertemperatur oben";
    for (label, expected) in [
        ("Hot water", ">Hot water</a>".to_owned()),
        (long, format!(" title=\"{long}\">{long}</a>")),
    ] {
        let mut fixture = testing::healthy();
        let plan = KeyPlan {
            label: Some(label.into()),
            ..KeyPlan::default()
        };
        fixture.plan.keys.insert("temperature".into(), plan);
        let page = values(fixture);
        let link = format!("<a href=\"/web/key/temperature\"{expected}");
        assert!(page.contains(&link), "{link}: {page}");
    }
}

/// A value of `temperature` and its limits, the class of its tile, and what it says.
#[test]
fn a_tile_shows_that_its_value_needs_a_look() {
    let bounds = |above: f64| Bounds {
        above: Some(above),
        below: None,
    };
    for (number, stale, has_alert, class, words) in [
        (20.0, false, false, "tile", ""),
        (25.5, false, false, "tile warn", "above 25"),
        (31.0, false, false, "tile bad", "above 30"),
        (31.0, true, false, "tile stale", "stale"),
        (20.0, false, true, "tile warn", "alert open"),
        (22.5, false, true, "tile warn", "above 22"),
    ] {
        let mut fixture = testing::healthy();
        let limits = KeyPlan {
            warn: bounds(25.0),
            bad: bounds(30.0),
            ..KeyPlan::default()
        };
        fixture.plan.keys.insert("temperature".into(), limits);
        fixture.plan.key_patterns.clear();
        let record = &mut fixture.snapshot.records[0];
        (record.value, record.stale) = (Value::Number(number), stale);
        if has_alert {
            let alert = open_alert("value:temperature>22", "temperature", bounds(22.0));
            fixture.plan.key_alerts.push(alert.1);
            fixture.snapshot.alerts.push(alert.0);
        }
        let page = values(fixture);
        let tile = page.split("</li>").next().unwrap_or_default();
        let expected = format!("<li class=\"{class}\">");
        assert!(tile.contains(&expected), "{number} {stale}: {tile}");
        assert!(tile.contains(words), "{words}: {tile}");
    }
}

fn open_alert(name: &str, key: &str, bounds: Bounds) -> (OpenAlert, KeyAlert) {
    let alert = OpenAlert {
        name: name.into(),
        since: Wall(NOW_MS - 3_600_000),
        since_is_trusted: true,
        headline: "Weather: no data".into(),
        display_text: "".into(),
        message: format!("{key}: beyond its limits."),
        is_recovering: false,
    };
    let rule = KeyAlert {
        name: name.into(),
        key: key.into(),
        bounds,
    };
    (alert, rule)
}

#[test]
fn the_clock_that_is_not_set_gives_no_times() {
    let fixture = testing::healthy().trust(ClockTrust::Untrusted);
    let response = fixture.app().render(&request("/web", &[]));
    let page = body(&response);
    assert!(page.contains("The clock is not set"));
    assert!(page.contains("8 s ago") || page.contains("5 min ago"));
    for wrong in ["<time", "Times are in", "2025-10-30"] {
        assert!(!page.contains(wrong), "{wrong}");
    }
}

#[test]
fn a_folded_group_and_what_is_in_none() {
    let mut fixture = testing::healthy();
    let group = |name: &str, keys: &[&str], fold: bool| GroupPlan {
        name: name.into(),
        keys: keys.iter().map(|key| KeySelector::new(key)).collect(),
        matrix: None,
        fold,
    };
    fixture.plan.pages.groups = vec![
        group("Outside", &["temperature"], false),
        group("Damp", &["humid*", "rain"], true),
    ];
    let page = values(fixture.clone());
    for part in [
        "<h2><a href=\"/web/group/Outside\">Outside</a>",
        "<details class=\"group\"><summary><h2>Damp",
        "no value yet",
        "<a href=\"/web/source/weather\">weather 1</a>",
        "<a href=\"/web/source/meter\">meter 1</a>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let app = fixture.app();
    let response = app.render(&request("/web/group/Damp", &[]));
    assert!(body(&response).contains("<h1>Damp"));
    assert!(!body(&response).contains("<details class=\"group\">"));
    assert_eq!(app.render(&request("/web/group/Cellar", &[])).status, 404);
}

#[test]
fn a_fragment_is_that_part_of_the_page_alone() {
    let monitor = testing::healthy().app();
    let page = monitor.render(&request("/web", &[]));
    for name in ["state", "values"] {
        let response = monitor.render(&request(&format!("/web?fragment={name}"), &[]));
        let fragment = body(&response);
        let start = format!("<section id=\"{name}\"");
        assert!(fragment.starts_with(&start), "{fragment}");
        assert!(body(&page).contains(fragment));
    }
}

#[test]
fn two_thousand_values_are_still_a_page_under_30_kb() {
    let mut fixture = testing::healthy();
    let record = fixture.snapshot.records[0].clone();
    fixture.snapshot.records = (0..2_000)
        .map(|at| {
            let mut record = record.clone();
            record.key = format!("current.some_measurement.number_{at}").into();
            record.value = Value::Number(f64::from(at) * 1.37);
            record
        })
        .collect();
    for groups in [Vec::new(), vec!["*"]] {
        fixture.plan.pages.groups = groups
            .into_iter()
            .map(|glob| GroupPlan {
                name: "All".into(),
                keys: vec![KeySelector::new(glob)],
                ..GroupPlan::default()
            })
            .collect();
        let request = request("/web", &[("accept-encoding", "gzip")]);
        let bytes = fixture.clone().app().render(&request).body.len();
        assert!(bytes < 30_000, "{bytes} bytes");
    }
}
