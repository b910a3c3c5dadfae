//! Key pages of counters, states and texts, from the outside.

use std::sync::Arc;

use crate::domain::history::{Bucket, StateHistory, StateRun};
use crate::domain::key_pattern::KeyPattern;
use crate::domain::plan::{ChartKind, KeyPlan};
use crate::domain::reading::Value;
use crate::domain::time::Wall;
use crate::monitor::http::handler::Handler as _;
use crate::monitor::support::{self as testing, NOW_MS, NodeFixture, body, golden, request};

const HOUR_MS: i64 = 3_600_000;
/// 2025-10-30T00:00:00+01:00.
const MIDNIGHT_MS: i64 = NOW_MS - 21 * HOUR_MS;

/// A fixture whose key `power` is configured.
fn configured(change: impl Fn(&mut KeyPlan)) -> NodeFixture {
    let mut fixture = testing::healthy();
    let mut plan = KeyPlan::default();
    change(&mut plan);
    fixture.plan.keys.insert("power".into(), plan);
    fixture
}

fn page(fixture: &NodeFixture, target: &str) -> String {
    let response = fixture.clone().app().render(&request(target, &[]));
    body(&response).to_owned()
}

/// Whole days before today, the last of them yesterday, with a counter's last value.
fn days(lasts: &[Option<f64>]) -> Vec<Bucket> {
    let newest_first = lasts.iter().rev().zip(1..);
    let buckets = newest_first.filter_map(|(last, ago)| Some(testing::day_bucket(ago, (*last)?)));
    let mut buckets: Vec<Bucket> = buckets.collect();
    buckets.reverse();
    buckets
}

fn run(from_h: i64, to_h: i64, value: Value) -> StateRun {
    StateRun {
        from: Wall(MIDNIGHT_MS + from_h * HOUR_MS),
        to: Wall(MIDNIGHT_MS + to_h * HOUR_MS),
        value,
    }
}

#[test]
fn a_counter_shows_what_it_added_each_day() {
    let mut fixture = configured(|plan| {
        plan.counter = Some(true);
        plan.label = Some("Meter".into());
    });
    fixture.snapshot.records[3].unit = Some("kWh".into());
    let mut lasts: Vec<Option<f64>> = (0..40).map(|day| Some(f64::from(day * 3))).collect();
    lasts[35..37].fill(None);
    fixture.history = Ok(days(&lasts));
    let found = page(&fixture, "/web/key/power?span=7d");
    for expected in [
        "kWh a day",
        "7 days: 18",
        "3 days</text>",
        "Sat 25 Oct – Mon 27 Oct",
        ", with a gap in the data",
        "?span=24h&amp;at=2025-10-28",
        "A year, day by day",
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    golden("key_counter.html", &found);
}

#[test]
fn a_state_shows_the_time_in_each_and_the_changes() {
    let mut fixture = configured(|plan| {
        plan.words = vec![("0".into(), "Off".into()), ("1".into(), "On".into())];
    });
    fixture.snapshot.records[3].value = Value::Number(1.0);
    fixture.states = StateHistory {
        runs: vec![
            run(0, 6, Value::Number(1.0)),
            run(6, 8, Value::Number(0.0)),
            run(10, 21, Value::Number(1.0)),
        ],
        known_from: Wall(MIDNIGHT_MS),
        is_cut: false,
    };
    let found = page(&fixture, "/web/key/power?span=24h&at=2025-10-30");
    for expected in [
        "On 17 h of 19 h, 1 start",
        "Off 2 h (11\u{a0}%)",
        "no data 2 h",
        "Thu 30 Oct, 06:00",
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    golden("key_state.html", &found);
    let week = page(&fixture, "/web/key/power?span=7d");
    assert!(week.contains("On, hours in each day"), "{week}");
    assert!(
        week.contains("States are known from Thu 30 Oct, 00:00 on"),
        "{week}"
    );
}

#[test]
fn a_text_shows_its_changes_and_is_text() {
    let mut fixture = testing::healthy();
    let text = |text: &str| Value::Text(Arc::from(text));
    fixture.states.runs = vec![run(1, 3, text("<b>Rain</b>")), run(3, 20, text("Cloudy"))];
    let found = page(&fixture, "/web/key/sky");
    for expected in [
        "<details open>",
        "&lt;b&gt;Rain&lt;/b&gt;",
        "Cloudy 17 h of 19 h, 1 start",
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    assert!(!found.contains("<b>Rain"), "{found}");
}

#[test]
fn a_text_that_no_source_gives_shows_its_changes_too() {
    let mut fixture = testing::healthy();
    let text = |text: &str| Value::Text(Arc::from(text));
    fixture.history = Ok(Vec::new());
    fixture.stored = vec!["attic"];
    let empty = page(&fixture, "/web/key/attic");
    assert!(empty.contains(">No data in this time span.<"), "{empty}");

    fixture.states.runs = vec![run(1, 3, text("Rain")), run(3, 20, text("Cloudy"))];
    for span in ["24h", "7d", "all"] {
        let found = page(&fixture, &format!("/web/key/attic?span={span}"));
        for expected in [
            "No source provides this key. ",
            "Rain 2 h",
            "<details open>",
        ] {
            assert!(found.contains(expected), "{span} {expected}: {found}");
        }
        assert!(!found.contains("No data in"), "{span}: {found}");
    }
}

#[test]
fn bars_of_other_numbers_are_means_and_may_be_negative() {
    let fixture = configured(|plan| plan.chart = Some(ChartKind::Bars));
    let found = page(&fixture, "/web/key/power");
    assert!(found.contains("W, mean of each hour"), "{found}");
    assert!(found.contains("class=\"bar\""), "{found}");
}

#[test]
fn a_year_needs_a_week_of_days() {
    for (count, is_shown) in [(6, false), (7, true), (400, true)] {
        let mut fixture = testing::healthy();
        fixture.history = Ok(days(&vec![Some(5.0); count]));
        let found = page(&fixture, "/web/key/power?span=1y");
        assert_eq!(
            found.contains("A year, day by day"),
            is_shown,
            "{count} days"
        );
    }
    let mut fixture = testing::healthy();
    let lasts: Vec<Option<f64>> = (0..300).map(|day| Some(f64::from(day % 30))).collect();
    fixture.history = Ok(days(&lasts));
    fixture.plan.pages.locale = crate::domain::locale::Locale::parse("de").expect("it is known");
    let found = page(&fixture, "/web/key/power?span=1y");
    for expected in [">Mär<", "lowest −1 (", "highest 29 ("] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn patterns_of_keys_choose_the_chart() {
    let mut fixture = testing::healthy();
    let plan = KeyPlan {
        chart: Some(ChartKind::Bars),
        ..KeyPlan::default()
    };
    let pattern = KeyPattern::new("pow*").expect("it is valid");
    fixture.plan.key_patterns.push((pattern, plan));
    let found = page(&fixture, "/web/key/power");
    assert!(found.contains("mean of each hour"), "{found}");
}
