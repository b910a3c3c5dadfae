//! Reading rows for outputs.

use super::*;
use crate::db::database::NewRow;
use crate::db::test_support::{Directory, T0, database, entries, row, row_of};
use crate::domain::reading::Value;

fn read(path: &std::path::Path, after: i64, most: usize) -> (Vec<String>, FeedStep) {
    let connection = connection::open_read_only(path).expect("it opens");
    let mut found = Vec::new();
    let step = read_rows(&connection, after, &mut |row| {
        let clock = if row.untrusted { " untrusted" } else { "" };
        let second = row.second - T0;
        found.push(format!("{} {} {second}{clock}", row.key, row.value));
        found.len() == most
    });
    (found, step.expect("it can be read"))
}

#[test]
fn rows_come_in_the_order_in_which_they_were_stored() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let text = row_of("state", T0 + 5, Value::Text("on \"now\"".into()));
    let mut rows = entries([row("t", T0 + 60, 21.5), row("t", T0, 20.0), text]);
    rows.push(NewRow {
        row: row("t", T0 + 90, -1e-7),
        untrusted: true,
    });
    database.commit(&rows, i64::MIN).expect("it is committed");
    // A correction is a row too.
    let correction = entries([row("t", T0 + 60, 21.7)]);
    database
        .commit(&correction, i64::MIN)
        .expect("it is committed");
    let all = [
        "t 21.5 60",
        "t 20 0",
        "state on \"now\" 5",
        "t -1e-7 90 untrusted",
        "t 21.7 60",
    ];
    let step = |through, is_end| FeedStep {
        through,
        deleted: 0,
        is_end,
    };
    let owned = |lines: &[&str]| lines.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    assert_eq!(read(&path, 0, 100), (owned(&all), step(5, true)));
    assert_eq!(read(&path, 0, 2), (owned(&all[..2]), step(2, false)));
    assert_eq!(read(&path, 2, 100), (owned(&all[2..]), step(5, true)));
    assert_eq!(read(&path, 5, 100), (Vec::new(), step(5, true)));
}

#[test]
fn rows_that_retention_deleted_are_counted_and_ids_that_never_had_one_are_not() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let rows = (0..10).map(|at| row("t", T0 + at, 1.0));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let delete = "DELETE FROM records WHERE id <= 6 OR id = 8";
    database.connection().execute(delete, []).expect("they go");
    assert_eq!(read(&path, 2, 100).1.deleted, 4);
    // In the middle it may be any gap.
    assert_eq!(read(&path, 7, 100).1.deleted, 0);
    // A salvage gives new rows ids past all that the damaged file may have had.
    crate::db::tiers::write_meta(database.connection(), "last_id", 5).expect("it is written");
    assert_eq!(read(&path, 2, 100).1.deleted, 1);
}

#[test]
fn a_step_has_an_end_however_many_rows_there_are() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let most = limits::FORWARD_STEP_ROWS;
    let rows = (0..most + 3).map(|at| row("t", T0 + at, 1.0));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let (found, step) = read(&path, 0, usize::MAX);
    assert_eq!(
        (found.len() as i64, step.through, step.is_end),
        (most, most, false)
    );
    let (found, step) = read(&path, step.through, usize::MAX);
    assert_eq!((found.len(), step.is_end), (3, true));
}
