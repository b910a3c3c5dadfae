//! Lists that reach back further than rows are kept.

use super::*;
use crate::db::database::{Database, NewRow};
use crate::db::test_support::{Directory, T0, database, entries, row};
use crate::domain::reading::round_computed;

fn elements(seconds: impl Iterator<Item = i64>) -> Vec<NewRow> {
    let element = |second: i64| crate::domain::ledger::RecordRow {
        is_boolean: false,
        is_element: true,
        ..row("price", second, (second / 900 % 4) as f64)
    };
    entries(seconds.map(element))
}

fn numbers(database: &Database, sql: &str) -> Vec<(i64, i64, f64)> {
    let mut select = database.connection().prepare(sql).expect("it is SQL");
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.and_then(Iterator::collect).expect("it can be read")
}

#[test]
fn old_elements_are_counted_once_in_hours_and_days_and_have_no_rows() {
    let directory = Directory::new();
    let mut database = database(&directory.path("main-node.db"));
    let day = T0.div_euclid(DAY);
    let (oldest_hour, hourly_from) = (day * 24, (day - 2) * 24);
    let moved = database.change(|_, tiers| {
        tiers.raw_from = oldest_hour;
        tiers.rows_from = oldest_hour;
        tiers.hourly_from = hourly_from;
        tiers.daily_until = Some(day - 1);
        Ok(())
    });
    moved.expect("the bounds are set");
    // Quarters of an hour from three days before rows are kept until a bit after that.
    let list = || elements((-3 * 96..8).map(|quarter| day * DAY + quarter * 900));
    for turn in 0..3 {
        let committed = database.commit(&list(), oldest_hour);
        let committed = committed.expect("it is committed");
        let expected = if turn == 0 { 8 } else { 0 };
        assert_eq!((committed.stored, committed.too_old), (expected, 0));
        let hours = numbers(&database, "SELECT hour, count, mean FROM hourly ORDER BY 1");
        assert_eq!(hours.len(), 2 * 24 + 2);
        assert!(
            hours
                .iter()
                .all(|(_, count, mean)| (*count, *mean) == (4, 1.5))
        );
        assert_eq!(hours[0].0, hourly_from);
        // Of the day before yesterday hours are kept too, and it is over.
        let days = numbers(&database, "SELECT day, count, mean FROM daily ORDER BY 1");
        let rounded = days
            .iter()
            .map(|(day, count, mean)| (*day, *count, round_computed(*mean)));
        let expected = [(day - 3, 96, 1.5), (day - 2, 96, 1.5)];
        assert!(rounded.eq(expected), "{days:?}");
    }
    let other = database.commit(&entries([row("t", T0 - 9 * DAY, 1.0)]), oldest_hour);
    assert_eq!(other.map(|it| it.too_old), Ok(1), "no element of a series");
}
