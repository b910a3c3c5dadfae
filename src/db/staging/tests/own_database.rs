//! The database of another main-node, and its exports.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::db::export::{ExportFormat, ExportQuery, export};
use crate::db::periods::DAY;
use crate::db::progress::Progress;
use crate::db::retention::policy::{RetentionPolicy, RetentionTimes, step};
use crate::db::test_support::{T0, database, entries, row, row_of};
use crate::domain::reading::Value;

/// Four days: one that is kept as a day, one as hours, and rows with all that a row can say.
pub fn filled(path: &Path) {
    let mut database = database(path);
    let begin = T0.div_euclid(DAY) * DAY;
    let rows = (0..8).map(|half| row("t", begin + half * DAY / 2, 0.5 * half as f64));
    let written = database.commit(&entries(rows), i64::MIN);
    written.expect("it is committed");
    let text =
        |key: &str, text: &str| row_of(key, begin + 3 * DAY + 90, Value::Text(Arc::from(text)));
    let mut batch = entries([
        row("t", begin + 3 * DAY + 90, 1.5),
        row("humidity, inside", begin + 3 * DAY + 60, 45.0),
        row("t", begin + 3 * DAY + 90, 2.5),
        text("sky", "a \"clear\"\nsky"),
        text("=formula", "'=1+1"),
        text("@x", "-5"),
        text("quoted", "'it'"),
        text("calm", ""),
        text("mild", ""),
    ]);
    batch[1].untrusted = true;
    batch[2].row.is_stated = true;
    batch[8].row.is_stated = true;
    let written = database.commit(&batch, i64::MIN);
    written.expect("it is committed");
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let kept = RetentionPolicy {
        raw: days(1),
        hourly: days(2),
        ..RetentionPolicy::default()
    };
    let now = Wall::from_second(begin + 4 * DAY);
    while step(&mut database, &kept, RetentionTimes::exact(now)).expect("a step can be taken")
        == Progress::More
    {}
}

#[test]
fn the_database_of_another_main_node_is_staged_with_its_hours_days_and_units() {
    let case = Case::new();
    let path = case.directory.path("other.db");
    filled(&path);
    let (report, mut staged) = case.staged(&path);
    assert_eq!(report.kind, "another main-node's database");
    assert_eq!(report.skipped, [], "{report}");
    staged.retain(|line| !line.contains("[°C]"));
    assert_eq!(
        staged,
        [
            "2025-11-02T00:00:00Z t = 3.0",
            "2025-11-02T00:01:00Z humidity, inside = 45.0 {\"clock\":\"untrusted\"}",
            "2025-11-02T00:01:30Z t = 2.5 {\"stated\":true}",
            "2025-11-02T00:01:30Z sky = NULL {\"text\":\"a \\\"clear\\\"\\nsky\"}",
            "2025-11-02T00:01:30Z =formula = NULL {\"text\":\"'=1+1\"}",
            "2025-11-02T00:01:30Z @x = NULL {\"text\":\"-5\"}",
            "2025-11-02T00:01:30Z quoted = NULL {\"text\":\"'it'\"}",
            "2025-11-02T00:01:30Z calm = NULL {\"text\":\"\"}",
            "2025-11-02T00:01:30Z mild = NULL {\"stated\":true,\"text\":\"\"}",
            "2025-11-02T12:00:00Z t = 3.5",
            "3600 s from 2025-11-01T00:00:00Z t: 1 of 2.0 to 2.0, mean 2.0, last 2.0",
            "3600 s from 2025-11-01T12:00:00Z t: 1 of 2.5 to 2.5, mean 2.5, last 2.5",
            "86400 s from 2025-10-30T00:00:00Z t: 2 of 0.0 to 0.5, mean 0.25, last 0.5",
            "86400 s from 2025-10-31T00:00:00Z t: 2 of 1.0 to 1.5, mean 1.25, last 1.5",
        ]
    );
}

#[test]
fn an_export_is_staged_as_the_database_is() {
    let case = Case::new();
    let path = case.directory.path("other.db");
    filled(&path);
    let ordered = |path: &Path, without_value: u64| {
        let (report, mut staged) = case.staged(path);
        let skipped = reasons(&report).into_iter().map(|(_, count)| count);
        assert_eq!(skipped.sum::<u64>(), without_value, "{report}");
        // The numbers of the keys are those of their first rows.
        for line in &mut staged {
            if line.ends_with(']') {
                *line = line[2..].to_owned();
            }
        }
        staged.sort();
        staged
    };
    let mut expected = ordered(&path, 0);
    for (name, format, without_value) in [
        ("complete.csv", ExportFormat::CompleteCsv, 0),
        ("export.jsonl", ExportFormat::JsonLines, 0),
        ("export.csv", ExportFormat::Csv, 2),
    ] {
        let mut out = Vec::new();
        export(&path, &ExportQuery::default(), format, &mut out).expect("it is exported");
        if format == ExportFormat::Csv {
            // Has no column for it, nor for texts that are empty.
            expected.retain(|line| !["calm", "mild"].iter().any(|key| line.contains(key)));
            for line in &mut expected {
                *line = line.replace(" {\"stated\":true}", "");
            }
        }
        let found = ordered(&case.write(name, out), without_value);
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    let case = Case::new();
    let path = case.directory.path("other.db");
    filled(&path);
    let other = Connection::open(&path).expect("it can be opened");
    other
        .pragma_update(None, "user_version", 900)
        .expect("it can be set");
    drop(other);
    let error = case.error(&path);
    assert!(error.contains("its schema version is 900"), "{error}");
}
