//! Exports whole, and what cannot be exported.

use super::*;
use crate::db::progress::Progress;
use crate::db::retention::policy::{RetentionPolicy, RetentionTimes, step};
use crate::db::test_support::{Directory, T0, database, entries, golden, row, row_of};

fn exported(path: &Path, query: &ExportQuery, format: ExportFormat) -> String {
    let mut out = Vec::new();
    export(path, query, format, &mut out).expect("it is exported");
    String::from_utf8(out).expect("an export is UTF-8")
}

/// Two days of what is kept as a day, one as hours, and rows, with all that a row can say.
fn filled(path: &Path) {
    let mut database = database(path);
    let begin = T0.div_euclid(DAY) * DAY;
    let rows = (0..8).map(|quarter| row("t", begin + quarter * DAY / 2, quarter as f64));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let mut batch = entries([
        row("t", begin + 3 * DAY + 90, 1.5),
        row("humidity, inside", begin + 3 * DAY + 60, 45.0),
        row("t", begin + 3 * DAY + 90, 2.5),
        row_of(
            "sky",
            begin + 3 * DAY + 90,
            Value::Text(Arc::from("a \"clear\"\nsky")),
        ),
    ]);
    batch[1].untrusted = true;
    database.commit(&batch, i64::MIN).expect("it is committed");
    let days = |days: u64| std::time::Duration::from_secs(days * 86_400);
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
fn all_rows_are_exported_oldest_first_with_corrections() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    filled(&path);
    let csv = exported(&path, &ExportQuery::default(), ExportFormat::Csv);
    golden("tests/golden/db/export.csv", &csv);
    let json = exported(&path, &ExportQuery::default(), ExportFormat::JsonLines);
    golden("tests/golden/db/export.jsonl", &json);
    for line in json.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("every line is JSON");
    }
}

#[test]
fn keys_and_spans_are_obeyed() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = (0..100).flat_map(|at| [row("t", T0 + at, at as f64), row("u", T0 + at, 0.0)]);
    database(&path)
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let query = ExportQuery {
        keys: vec!["t".to_owned()],
        from: Some(Wall::from_second(T0 + 10)),
        to: Some(Wall::from_second(T0 + 12)),
    };
    assert_eq!(
        exported(&path, &query, ExportFormat::JsonLines),
        "{\"timestamp\":\"2025-10-30T20:00:10Z\",\"key\":\"t\",\"value\":10,\"unit\":\"°C\"}\n\
         {\"timestamp\":\"2025-10-30T20:00:11Z\",\"key\":\"t\",\"value\":11,\"unit\":\"°C\"}\n"
    );
    let nothing = ExportQuery {
        to: Some(Wall::from_second(T0)),
        ..ExportQuery::default()
    };
    assert_eq!(exported(&path, &nothing, ExportFormat::JsonLines), "");
}

#[test]
fn an_hour_of_very_many_rows_comes_in_parts_and_in_order() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let names: Vec<String> = (0..40).map(|key| format!("key.{key}")).collect();
    let rows = (0..HOUR).flat_map(|at| names.iter().map(move |name| row(name, T0 + at, 1.0)));
    database(&path)
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let csv = exported(&path, &ExportQuery::default(), ExportFormat::Csv);
    assert_eq!(csv.lines().count(), 40 * 3_600 + 1);
    let times: Vec<&str> = csv.lines().skip(1).map(|line| &line[..20]).collect();
    assert!(times.is_sorted());
}

#[test]
fn a_key_that_never_was_is_named() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    let query = ExportQuery {
        keys: vec!["nothing".to_owned()],
        ..ExportQuery::default()
    };
    let error =
        export(&path, &query, ExportFormat::Csv, &mut Vec::new()).expect_err("it is refused");
    assert!(
        error.to_string().contains("no reading of nothing"),
        "{error}"
    );
}

#[test]
fn no_text_cell_is_a_formula_to_a_spreadsheet_and_numbers_stay_numbers() {
    for (text, expected) in [
        ("=1+1", "'=1+1"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-2+3", "'-2+3"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "\"'\r=1\""),
        ("\n=1", "\"'\n=1\""),
        (" =1", "' =1"),
        ("\u{ff1d}1", "'\u{ff1d}1"),
        (
            "=HYPERLINK(\"http://x\",1)",
            "\"'=HYPERLINK(\"\"http://x\"\",1)\"",
        ),
        // One apostrophe more for what has one already: nothing becomes ambiguous.
        ("'=1", "''=1"),
        ("'quoted'", "'quoted'"),
        ("-3.5", "-3.5"),
        ("+1e3", "+1e3"),
        ("-inf", "'-inf"),
        ("a=b", "a=b"),
        ("°C", "°C"),
        ("", ""),
    ] {
        assert_eq!(csv_text(text), expected, "{text:?}");
    }
    let directory = Directory::new();
    let path = directory.path("a.db");
    let text = Value::Text(Arc::from("=1+1"));
    database(&path)
        .commit(
            &entries([row_of("@key", T0, text), row("t", T0, -3.5)]),
            i64::MIN,
        )
        .expect("it is committed");
    let csv = exported(&path, &ExportQuery::default(), ExportFormat::Csv);
    assert!(csv.contains(",'@key,,"), "{csv}");
    assert!(csv.contains(",'=1+1,"), "{csv}");
    assert!(csv.contains(",t,-3.5,"), "{csv}");
    let json = exported(&path, &ExportQuery::default(), ExportFormat::JsonLines);
    assert!(json.contains("\"text\":\"=1+1\""), "{json}");
}

#[test]
fn export_and_backup_report_read_errors_alike() {
    let directory = Directory::new();
    let text = directory.path("notes.txt");
    std::fs::write(&text, "buy milk").expect("a file can be written");
    let theirs = directory.path("theirs.db");
    Connection::open(&theirs)
        .and_then(|connection| connection.execute_batch("CREATE TABLE theirs (x)"))
        .expect("a database can be made");
    for (source, expected) in [
        (&directory.path("none.db"), "no such file"),
        (&directory.path("no/none.db"), "there is no directory"),
        (&directory.path(""), "found a directory or a device"),
        (&text, "found a file that begins with \"buy milk\""),
        (&theirs, "found another program's SQLite database"),
    ] {
        let (query, mut out) = (ExportQuery::default(), Vec::new());
        let exported =
            export(source, &query, ExportFormat::Csv, &mut out).expect_err("it is refused");
        let exported = exported.to_string();
        assert!(exported.contains(expected), "{exported}");
        let copied = crate::db::backup::backup(source, &directory.path("copy.db"));
        assert_eq!(copied.expect_err("it is refused").to_string(), exported);
        assert!(out.is_empty());
    }
}
