//! Tests of the wall page.

use super::*;
use crate::domain::plan::KeySelector;
use crate::domain::reading::Value;
use crate::domain::time_window::TimeWindow;
use crate::monitor::http::handler::{Handler as _, Response};
use crate::monitor::support::{self as testing, NodeFixture, body, golden, request};
use std::time::Duration;

fn get(fixture: &NodeFixture, target: &str) -> Response {
    fixture.clone().app().render(&request(target, &[]))
}

fn wall(name: Option<&str>, keys: &[&str]) -> WallPlan {
    WallPlan {
        name: name.map(Into::into),
        keys: keys.iter().map(|key| KeySelector::new(key)).collect(),
        ..WallPlan::default()
    }
}

fn with_walls(walls: Vec<WallPlan>) -> NodeFixture {
    let mut fixture = testing::healthy();
    fixture.plan.pages.walls = walls;
    fixture
}

/// The values of the cells, in their order.
fn cells(page: &str) -> Vec<String> {
    let labels = page.split("aria-label=\"").skip(1);
    let labels = labels.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
    labels.filter(|label| label.contains(": ")).collect()
}

#[test]
fn shows_its_keys_a_line_of_text_and_the_time() {
    let mut plan = wall(None, &["power", "temperature", "missing"]);
    plan.text = vec![KeySelector::new("sky")];
    let response = get(&with_walls(vec![plan]).stale(&["power"]), "/wall");
    assert_eq!(response.status, 200);
    golden("wall.html", body(&response));
}

#[test]
fn without_configuration_it_shows_the_first_group_or_the_first_values() {
    let mut fixture = testing::healthy();
    let page = get(&fixture, "/wall");
    assert_eq!(cells(body(&page)).len(), 4);
    fixture.plan.pages.groups = vec![crate::domain::plan::GroupPlan {
        name: "Sky".into(),
        keys: vec![KeySelector::new("sky"), KeySelector::new("hum*")],
        ..Default::default()
    }];
    let page = get(&fixture, "/wall");
    let shown = cells(body(&page));
    assert!(
        shown[0].ends_with("Cloudy") && shown[1].contains("45.2 %"),
        "{shown:?}"
    );
    assert_eq!(shown.len(), 2);
}

#[test]
fn patterns_leave_out_what_is_hidden_and_names_do_not() {
    for (keys, expected) in [
        (&["*"] as &[&str], 3),
        (&["power", "*"], 4),
        (&["*", "temperature"], 3),
    ] {
        let mut fixture = with_walls(vec![wall(None, keys)]);
        let hidden = crate::domain::plan::KeyPlan {
            hide: Some(true),
            ..Default::default()
        };
        fixture.plan.keys.insert("power".into(), hidden);
        let page = get(&fixture, "/wall");
        assert_eq!(cells(body(&page)).len(), expected, "{keys:?}");
    }
}

#[test]
fn an_unknown_name_gets_the_pages_there_are() {
    let fixture = with_walls(vec![
        wall(None, &["sky"]),
        wall(Some("kitchen"), &["power"]),
    ]);
    assert_eq!(get(&fixture, "/wall/kitchen").status, 200);
    let accept = [("accept", "text/html")];
    let response = fixture.app().render(&request("/wall/kichen", &accept));
    assert_eq!(response.status, 404);
    let page = body(&response);
    assert!(
        page.contains("<a href=\"/wall/kitchen\">kitchen</a>"),
        "{page}"
    );
    assert_eq!(get(&testing::healthy(), "/wall/kitchen").status, 404);
}

#[test]
fn the_theme_is_that_of_the_url_or_dark_at_night() {
    // The fixture's local time is 21:00.
    for (dim, query, status, class) in [
        (None, "", 200, "class=\"\""),
        (None, "?theme=light", 200, "class=\"light\""),
        (None, "?theme=blue", 400, ""),
        (
            Some("20:00-06:00"),
            "?theme=light",
            200,
            "class=\"dark dim\"",
        ),
        (Some("22:00-06:00"), "?theme=dark", 200, "class=\"dark\""),
    ] {
        let mut plan = wall(None, &["sky"]);
        plan.dim = dim.and_then(TimeWindow::parse);
        let response = get(&with_walls(vec![plan]), &format!("/wall{query}"));
        assert_eq!(response.status, status, "{dim:?} {query}");
        let page = body(&response);
        assert!(
            status != 200 || page.contains(&format!("<html lang=\"en\" {class}")),
            "{page}"
        );
    }
}

#[test]
fn rotation_leads_from_page_to_page_and_back() {
    let mut walls = vec![wall(None, &["sky"]), wall(Some("a b"), &["power"])];
    for plan in &mut walls {
        plan.rotate = Some(Duration::from_secs(30));
    }
    let fixture = with_walls(walls);
    for (target, next) in [
        ("/wall?theme=dark", "/wall/a%20b?theme=dark"),
        ("/wall/a%20b", "/wall"),
    ] {
        let response = get(&fixture, target);
        let page = body(&response);
        let script = format!("data-next=\"{next}\" data-after=\"30\"");
        let reload = format!(
            "<noscript><meta http-equiv=\"refresh\" content=\"30; url={next}\"></noscript>"
        );
        assert!(page.contains(&script) && page.contains(&reload), "{page}");
    }
    let page = get(&with_walls(vec![wall(None, &["sky"])]), "/wall");
    assert!(body(&page).contains("content=\"60\"") && !body(&page).contains("data-next"));
}

#[test]
fn texts_of_an_api_stay_text_and_never_leave_their_cell() {
    let mut fixture = with_walls(vec![wall(None, &["sky", "power"])]);
    let long = format!("<b>{}", "long ".repeat(60));
    fixture.snapshot.records[2].value = Value::Text(long.into());
    let response = get(&fixture, "/wall?fragment=wall");
    let page = body(&response);
    assert!(
        page.starts_with("<div id=\"wall\"") && !page.contains("<b>"),
        "{page}"
    );
    let drawn: Vec<&str> = page.split("class=\"figure\"").skip(1).collect();
    // Two lines of the text, and the other figure.
    assert_eq!(drawn.len(), 3);
    assert!(drawn[1].contains('…'), "{}", drawn[1]);
}

#[test]
fn a_page_links_to_nothing_and_has_no_inline_script_or_style() {
    let response = get(&testing::healthy(), "/wall");
    let page = body(&response);
    assert!(!page.contains("<a ") && !page.contains(" style="), "{page}");
    let scripts: Vec<&str> = page.split("<script").skip(1).collect();
    assert!(
        scripts.len() == 1 && scripts[0].contains("defer></script>"),
        "{page}"
    );
}
