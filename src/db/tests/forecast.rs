//! What the table holds after each forecast, and what is written for it.

use super::*;
use crate::db::database::Database;
use crate::db::salvage;
use crate::db::test_support::{Directory, T0, database, entries, location, row};
use crate::domain::reading::Value;

fn element(hour: i64, value: Value) -> TimedValue {
    TimedValue {
        start: Wall::from_second(T0 + hour * 3_600),
        end: Some(Wall::from_second(T0 + (hour + 1) * 3_600)),
        value,
        is_stated: false,
    }
}

fn forecast(key: &str, elements: &[TimedValue]) -> Forecast {
    Forecast {
        key: key.into(),
        unit: Some("ct/kWh".into()),
        source: "market".into(),
        elements: elements.into(),
    }
}

fn prices(hours: std::ops::Range<i64>) -> Vec<TimedValue> {
    let price = |hour: i64| element(hour, Value::Number(hour as f64 / 4.0));
    hours.map(price).collect()
}

/// Commits forecasts and returns how many rows of any table that wrote.
fn commit(database: &mut Database, forecasts: &[&Forecast]) -> i64 {
    let total = |database: &Database| -> i64 {
        let count = database
            .connection()
            .query_row("SELECT total_changes()", [], |row| row.get(0));
        count.expect("it is counted")
    };
    let before = total(database);
    let committed = database.commit_with_forecasts(&[], forecasts, &[], i64::MIN);
    committed.expect("it is committed");
    total(database) - before
}

#[test]
fn only_what_changed_is_written_and_all_of_it_comes_back() {
    let directory = Directory::new();
    let mut database = database(&directory.path("main-node.db"));
    // The first commit of a boot notes it.
    commit(&mut database, &[]);
    let mut day = prices(0..48);
    day[3].value = Value::Text("negative".into());
    day[4].is_stated = true;
    day[47].end = None;
    let other = forecast("wind", &prices(0..2));
    let full = forecast("price", &day);
    assert_eq!(commit(&mut database, &[&full, &other]), 48 + 2 + 2);
    assert_eq!(commit(&mut database, &[&full, &other]), 0, "the same");
    let back = read_all(database.connection()).expect("it can be read");
    assert_eq!(back, [full, other.clone()]);
    // One is dearer, the first is over, one more is known.
    let mut later = day[1..].to_vec();
    later[9].value = Value::Number(99.0);
    later.push(element(48, Value::Number(1.0)));
    let later = forecast("price", &later);
    assert_eq!(commit(&mut database, &[&later]), 3);
    let back = read_all(database.connection()).expect("it can be read");
    assert_eq!(back, [later, other.clone()]);
    assert_eq!(commit(&mut database, &[&forecast("price", &[])]), 48);
    let back = read_all(database.connection()).expect("it can be read");
    assert_eq!(back, [other], "other keys stay");
}

#[test]
fn a_key_of_which_only_a_forecast_is_known_gets_its_rows_later() {
    let directory = Directory::new();
    let mut database = database(&directory.path("main-node.db"));
    commit(&mut database, &[&forecast("price", &prices(1..3))]);
    let stored = database.commit(&entries([row("price", T0, 1.0)]), i64::MIN);
    assert_eq!(stored.map(|it| it.stored), Ok(1));
    let back = read_all(database.connection()).expect("it can be read");
    assert_eq!(&*back[0].source, "weather", "as its newest row says");
}

#[test]
fn a_span_is_read_by_when_elements_begin() {
    let directory = Directory::new();
    let mut database = database(&directory.path("main-node.db"));
    commit(&mut database, &[&forecast("price", &prices(0..10))]);
    let hour = |hour: i64| Wall::from_second(T0 + hour * 3_600);
    for (from, to, expected) in [(2, 5, 3), (0, 10, 10), (10, 20, 0), (-5, 1, 1)] {
        let found = read_between(database.connection(), "price", hour(from), hour(to));
        let found = found.expect("it can be read");
        assert_eq!(found.len(), expected, "{from} to {to}");
    }
}

#[test]
fn a_salvage_keeps_the_forecasts() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    let mut database = database(&path);
    let mut day = prices(0..300);
    day[7].value = Value::Text("negative".into());
    let full = forecast("price", &day);
    commit(&mut database, &[&full]);
    drop(database);
    let now = Wall::from_second(T0);
    let database = salvage::quarantine(&location(&path), "this-boot", now);
    let database = database.expect("it can be set aside");
    let back = read_all(database.connection()).expect("it can be read");
    assert_eq!(back, [full]);
}
