//! Tests of the pictures of displays.

use super::*;
use crate::domain::history::Bucket;
use crate::domain::plan::{
    DisplayChart, KeyPlan, KeySelector, MODELS, Panel, PanelColours, PictureLayout, Rotation,
};
use crate::domain::reading::Value;
use crate::domain::time::ClockTrust;
use crate::domain::time_window::TimeWindow;
use crate::monitor::http::handler::Handler as _;
use crate::monitor::support::{self as testing, NodeFixture, body, header, request};

fn hall() -> DisplayPlan {
    DisplayPlan {
        name: "hall".into(),
        model: None,
        panel: MODELS[0].1,
        layout: PictureLayout::Grid,
        keys: ["power", "temperature", "attic"]
            .map(KeySelector::new)
            .into(),
        chart: Some(DisplayChart {
            key: "temperature".into(),
            span: Duration::from_secs(86_400),
        }),
        footer: vec![KeySelector::new("sky")],
        every: Duration::from_secs(900),
        quiet: None,
        device: None,
    }
}

fn with_display(fixture: NodeFixture, display: DisplayPlan) -> App {
    let mut fixture = fixture;
    fixture.plan.pages.displays = vec![display];
    fixture.app()
}

fn get(app: &App, target: &str) -> Response {
    app.render(&request(target, &[]))
}

fn etag(app: &App) -> String {
    let response = get(app, "/display/hall.png");
    header(&response, "ETag").expect("it has one").to_owned()
}

#[test]
fn every_form_has_its_type_and_the_tag_of_what_is_drawn() {
    let app = with_display(testing::healthy(), hall());
    for (file, content_type, bytes) in [
        ("hall.png", "image/png", None),
        ("hall.bmp", "image/bmp", Some(48_062)),
        ("hall.raw", "application/octet-stream", Some(48_000)),
        ("hall.json", JSON, None),
    ] {
        let target = format!("/display/{file}");
        let response = app.render(&request(&target, &[("accept-encoding", "gzip")]));
        assert_eq!(response.status, 200, "{file}");
        assert_eq!(
            header(&response, "Content-Type"),
            Some(content_type),
            "{file}"
        );
        assert_eq!(header(&response, "Content-Encoding"), None, "{file}");
        assert_eq!(
            header(&response, "Cache-Control"),
            Some("max-age=900"),
            "{file}"
        );
        let tag = header(&response, "ETag").expect("it has one").to_owned();
        assert_eq!(tag == etag(&app), !file.ends_with("json"), "{file}");
        assert!(
            bytes.is_none_or(|bytes| response.body.len() == bytes),
            "{file}"
        );
        let again = app.render(&request(&target, &[("if-none-match", &tag)]));
        assert_eq!((again.status, again.body.len()), (304, 0), "{file}");
    }
}

#[test]
fn what_it_shows_is_said_as_json_too() {
    let app = with_display(testing::healthy().stale(&["power"]), hall());
    let response = get(&app, "/display/hall.json");
    let json: serde_json::Value = serde_json::from_str(body(&response)).expect("it is JSON");
    assert_eq!(json["cells"][0]["label"], "Power");
    assert_eq!(json["cells"][0]["level"], "stale");
    assert!(
        json["cells"][0]["words"]
            .as_str()
            .is_some_and(|it| it.starts_with("since ")),
        "{json}"
    );
    assert_eq!(json["cells"][1]["unit"], "°C");
    assert_eq!(json["cells"][2]["words"], "no value yet");
    assert_eq!(json["footer"][0], "Cloudy");
    assert_eq!(json["layout"], "grid");
    assert_eq!(json["refresh_s"], 900);
    assert_eq!(json["message"], serde_json::Value::Null);
}

#[test]
fn the_same_content_stays_the_same_picture_however_much_time_goes_by() {
    let mut display = hall();
    display.chart = None;
    let fixture = testing::healthy();
    let app = with_display(fixture.clone(), display.clone());
    let first = get(&app, "/display/hall.png");
    // An hour later nothing has changed but the time of the snapshot.
    let mut later = fixture.clone();
    later.now = testing::moment(86_400 + 3_600);
    later.snapshot.at = later.now;
    app.context.published.publish(later.snapshot.clone().into());
    let second = get(&app, "/display/hall.png");
    assert_eq!(first.body, second.body);
    let elsewhere = with_display(later.clone(), display);
    assert_eq!(
        etag(&app),
        etag(&elsewhere),
        "after a restart it has the same name"
    );
    // Another value is another picture.
    for record in &mut later.snapshot.records {
        if &*record.key == "power" {
            record.value = Value::Number(1234.0);
        }
    }
    app.context.published.publish(later.snapshot.into());
    let third = get(&app, "/display/hall.png");
    assert_ne!(first.body, third.body);
    assert_ne!(header(&first, "ETag"), header(&third, "ETag"));
}

#[test]
fn a_picture_without_a_time_is_drawn_again_when_the_clock_is_set() {
    let before = with_display(testing::healthy().trust(ClockTrust::Untrusted), hall());
    let json: serde_json::Value =
        serde_json::from_str(body(&get(&before, "/display/hall.json"))).expect("it is JSON");
    assert_eq!(json["time"], "clock not set");
    let after = with_display(testing::healthy(), hall());
    assert_ne!(etag(&before), etag(&after));
}

#[test]
fn what_has_no_room_in_the_picture_does_not_change_it() {
    let mut display = hall();
    (display.panel.width, display.panel.height) = (64, 64);
    let keys = (0..20).map(|n| KeySelector::new(&format!("missing{n}")));
    display.keys = keys.chain([KeySelector::new("sky")]).collect();
    (display.footer, display.chart) = (Vec::new(), None);
    let fixture = testing::healthy();
    let app = with_display(fixture.clone(), display);
    let (tag, json) = (etag(&app), get(&app, "/display/hall.json"));
    let mut later = fixture.snapshot;
    for record in &mut later.records {
        if &*record.key == "sky" {
            record.value = Value::Text("Rain".into());
        }
    }
    app.context.published.publish(later.into());
    assert_eq!(etag(&app), tag);
    assert_ne!(get(&app, "/display/hall.json").body, json.body);
}

#[test]
fn each_setting_of_a_display_is_another_picture() {
    let base = etag(&with_display(testing::healthy(), hall()));
    let change = |change: fn(&mut DisplayPlan)| {
        let mut display = hall();
        change(&mut display);
        etag(&with_display(testing::healthy(), display))
    };
    for changed in [
        change(|it| it.layout = PictureLayout::List),
        change(|it| it.panel.colours = PanelColours::Grey { bits: 2 }),
        change(|it| it.panel.width = 400),
        change(|it| it.panel.rotation = Rotation::Half),
        change(|it| it.chart = None),
        change(|it| it.keys.truncate(1)),
    ] {
        assert_ne!(changed, base);
    }
}

#[test]
fn without_data_a_picture_says_so() {
    let app = with_display(testing::just_started(), hall());
    let response = get(&app, "/display/hall.json");
    let json: serde_json::Value = serde_json::from_str(body(&response)).expect("it is JSON");
    assert_eq!(json["message"]["text"], "No data yet.", "{json}");
    assert_eq!(get(&app, "/display/hall.png").status, 200);
}

#[test]
fn a_chart_joins_the_value_of_now_only_where_there_is_no_gap() {
    let last_x = |mut fixture: NodeFixture, hours_ago: u64| {
        let now = testing::now().wall;
        let from = now.before(Duration::from_secs(hours_ago * 3_600));
        let bucket = |from| Bucket {
            from,
            seconds: 300,
            count: 1,
            min: 20.0,
            mean: 20.0,
            max: 20.0,
            last: 20.0,
        };
        let earlier = from.before(Duration::from_secs(600));
        fixture.history = Ok(vec![
            bucket(earlier),
            bucket(from.before(Duration::from_secs(300))),
        ]);
        let app = with_display(fixture, hall());
        let json: serde_json::Value =
            serde_json::from_str(body(&get(&app, "/display/hall.json"))).expect("it is JSON");
        let lines = json["chart"]["lines"].as_array().expect("lines").clone();
        let points = lines
            .last()
            .expect("a line")
            .as_array()
            .expect("points")
            .clone();
        points.last().expect("a point")[0]
            .as_f64()
            .expect("a share")
    };
    assert!(last_x(testing::healthy(), 0) > 0.999);
    assert!(last_x(testing::healthy(), 10) < 0.6);
}

#[test]
fn in_quiet_hours_a_display_sleeps_until_their_end() {
    // It is nine in the evening.
    for (quiet, expected) in [
        (None, "max-age=900"),
        (Some("20:00-00:30"), "max-age=12600"),
        (Some("20:00-21:05"), "max-age=900"),
        (Some("23:00-07:00"), "max-age=900"),
    ] {
        let mut display = hall();
        display.quiet = quiet.and_then(TimeWindow::parse);
        let app = with_display(testing::healthy(), display);
        let response = get(&app, "/display/hall.png");
        assert_eq!(
            header(&response, "Cache-Control"),
            Some(expected),
            "{quiet:?}"
        );
    }
}

#[test]
fn what_is_not_there_is_said() {
    let app = with_display(testing::healthy(), hall());
    for (target, expected) in [
        ("/display/hal.png", "Did you mean \"hall\"?"),
        (
            "/display/hall.gif",
            "there are hall.png, hall.bmp, hall.raw and hall.json",
        ),
    ] {
        let response = get(&app, target);
        assert_eq!(response.status, 404, "{target}");
        assert!(
            body(&response).contains(&expected.replace('"', "\\\"")),
            "{target}: {}",
            body(&response)
        );
    }
    let none = testing::healthy().app();
    assert!(body(&get(&none, "/display/hall.png")).contains("add [[display]]"));
}

#[test]
fn the_preview_shows_the_picture_and_its_files() {
    let app = with_display(testing::healthy(), hall());
    let page = get(&app, "/display/hall");
    let source = format!("src=\"/display/hall.png?v={}\"", &etag(&app)[3..19]);
    assert!(body(&page).contains(&source), "{}", body(&page));
    assert!(body(&page).contains("href=\"/display/hall.bmp\""));
    // As its script asks.
    let fragments = get(&app, "/display/hall?fragment=all");
    assert_eq!(fragments.status, 200, "{}", body(&fragments));
    assert!(body(&fragments).contains(&source));
}

#[test]
fn a_preview_that_a_token_opened_asks_for_nothing_that_needs_the_password() {
    let app = with_display(testing::healthy(), hall());
    let mut asked = request("/display/hall", &[]);
    asked.token = Some("a&b".to_owned());
    let page = app.render(&asked);
    let version = &etag(&app)[3..19];
    let source = format!("src=\"/display/hall.png?token=a%26b&amp;v={version}\"");
    assert!(body(&page).contains(&source), "{}", body(&page));
    for extension in ["png", "bmp", "raw", "json"] {
        let link = format!("href=\"/display/hall.{extension}?token=a%26b\"");
        assert!(body(&page).contains(&link), "{}", body(&page));
    }
    let asked = body(&page).matches("=\"/").count();
    assert_eq!(asked, 5, "{}", body(&page));
}

#[test]
fn the_chart_of_a_counter_has_bars() {
    let mut fixture = testing::healthy();
    let counter = KeyPlan {
        counter: Some(true),
        unit: Some("kWh".into()),
        ..KeyPlan::default()
    };
    fixture.plan.keys.insert("temperature".into(), counter);
    let days = (0..=9).rev().map(|ago| (ago, 100.0 - 2.0 * ago as f64));
    fixture.history = Ok(days
        .map(|(ago, last)| testing::day_bucket(ago, last))
        .collect());
    let mut display = hall();
    display.chart = Some(DisplayChart {
        key: "temperature".into(),
        span: Duration::from_secs(7 * 86_400),
    });
    let app = with_display(fixture, display);
    let response = get(&app, "/display/hall.json");
    let json: serde_json::Value = serde_json::from_str(body(&response)).expect("it is JSON");
    let chart = &json["chart"];
    let title = chart["title"].as_str().expect("a title");
    assert!(title.ends_with("kWh a day"), "{title}");
    assert_eq!(chart["lines"], serde_json::json!([]));
    let bars = chart["bars"].as_array().expect("bars");
    assert_eq!(bars.len(), 7, "the running day included: {chart}");
    for (at, bar) in bars.iter().enumerate() {
        assert_eq!(
            (&bar["zero"], &bar["amount"]),
            (&0.0.into(), &1.0.into()),
            "2 kWh: {chart}"
        );
        assert_eq!(bar["is_whole"], at < 6, "{chart}");
    }
    assert_eq!(
        (&bars[0]["left"], &bars[6]["right"]),
        (&0.0.into(), &1.0.into())
    );
    assert_eq!(chart["note"], serde_json::Value::Null);
}

#[test]
fn a_large_picture_is_drawn_within_its_limits() {
    let mut display = hall();
    display.panel = Panel {
        width: 1404,
        height: 1872,
        colours: PanelColours::Grey { bits: 8 },
        rotation: Rotation::None,
    };
    let app = with_display(testing::healthy(), display);
    let png = get(&app, "/display/hall.png").body;
    assert!(png.len() < 750_000, "{} bytes", png.len());
    let raw = get(&app, "/display/hall.raw").body;
    assert_eq!(raw.len(), 1404 * 1872);
    assert_eq!(get(&app, "/display/hall.raw").body, raw);
}

#[test]
fn a_file_that_no_response_can_hold_is_refused_with_another() {
    let mut display = hall();
    (display.panel.width, display.panel.height) = (2600, 1900);
    display.panel.colours = PanelColours::Grey { bits: 8 };
    let app = with_display(testing::healthy(), display);
    assert_eq!(get(&app, "/display/hall.png").status, 200);
    let raw = get(&app, "/display/hall.raw");
    assert_eq!(raw.status, 404);
    assert!(body(&raw).contains("take hall.png"), "{}", body(&raw));
}
