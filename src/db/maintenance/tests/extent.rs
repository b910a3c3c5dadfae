//! When there are readings of a key.

use super::*;
use crate::db::test_support::{Directory, T0, database, entries, row};

#[test]
fn readings_are_looked_for_within_times_to_the_second() {
    let directory = Directory::new();
    let mut stored = database(&directory.path("main-node.db"));
    let rows = [
        row("a", T0 + 10, 1.0),
        row("a", T0 + 7_210, 1.0),
        row("b", T0, 1.0),
    ];
    stored
        .commit(&entries(rows), i64::MIN)
        .expect("rows can be stored");
    let connection = stored.connection();
    let has = |key: &str, from: i64, to: i64| {
        has_readings(connection, key, &(T0 + from..T0 + to)).expect("it can be read")
    };
    for (from, to, expected) in [
        (0, 10, false),
        (0, 11, true),
        (10, 11, true),
        (11, 7_210, false),
        (11, 7_211, true),
        (7_211, 100_000, false),
        (-100_000, 100_000, true),
    ] {
        assert_eq!(has("a", from, to), expected, "{from}..{to}");
    }
    assert!(!has("c", -100_000, 100_000));
    let read = |key: &str| read(connection, key).expect("it can be read");
    assert_eq!(read("a"), Some(T0 + 10..T0 + 7_211));
    assert_eq!(read("c"), None);
    let keys = sourced_keys(connection).expect("they can be read");
    let keys: Vec<(&str, &str)> = keys.iter().map(|it| (&*it.key, &*it.source)).collect();
    assert_eq!(keys, [("a", "weather"), ("b", "weather")]);
}
