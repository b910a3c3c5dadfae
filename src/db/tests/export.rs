//! Exports whole, and what cannot be exported.

use rusqlite::params;

use super::*;
use crate::db::progress::Progress;
use crate::db::retention::policy::{RetentionPolicy, RetentionTimes, step};
use crate::db::test_support::{Directory, T0, database, entries, golden, row, row_of};
use crate::limits;

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
        ..ExportQuery::default()
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
fn no_text_cell_is_a_formula_to_a_spreadsheet() {
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
    let plain = exported(&path, &ExportQuery::default(), ExportFormat::PlainCsv);
    assert!(plain.contains(",@key,,°C,=1+1,"), "{plain}");
    let json = exported(&path, &ExportQuery::default(), ExportFormat::JsonLines);
    assert!(json.contains("\"text\":\"=1+1\""), "{json}");
}

/// Content, keys.
fn query_of(content: ExportContent, keys: &[&str]) -> ExportQuery {
    ExportQuery {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        content,
        ..ExportQuery::default()
    }
}

/// The first three columns of each line of data.
fn columns(csv: &str) -> Vec<String> {
    let lines = csv.lines().skip(1);
    lines
        .map(|line| line.split(',').take(3).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn several_keys_and_what_is_left_out_of_rows() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let names = ["a", "b", "c"];
    let rows = names.map(|name| row(name, T0, 1.0));
    let mut database = database(&path);
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let meta = r#"{"clock":"untrusted","stated":true,"quality":3}"#;
    let sql = "UPDATE records SET meta = ?1 WHERE key = 'a'";
    database
        .connection()
        .execute(sql, [meta])
        .expect("meta can be written");
    let query = query_of(ExportContent::Readings, &["c", "a", "a"]);
    assert_eq!(
        exported(&path, &query, ExportFormat::CompleteCsv),
        "timestamp,key,value,unit,text,clock,seconds,count,min,max,last,meta\r\n\
         2025-10-30T20:00:00Z,a,1,°C,,untrusted,,,,,,\"{\"\"quality\"\":3,\"\"stated\"\":true}\"\r\n\
         2025-10-30T20:00:00Z,c,1,°C,,,,,,,,\r\n"
    );
    assert_eq!(
        exported(&path, &query, ExportFormat::JsonLines)
            .lines()
            .next(),
        Some(
            "{\"timestamp\":\"2025-10-30T20:00:00Z\",\"key\":\"a\",\"value\":1,\"unit\":\"°C\",\
             \"clock\":\"untrusted\",\"meta\":{\"quality\":3,\"stated\":true}}"
        )
    );
}

#[test]
fn an_hour_without_rows_is_a_line_also_among_rows_of_other_keys() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    // Of one part, and of many.
    for (second_step, expected_rows) in [(900, 4), (1, 3_600)] {
        let mut database = database(&path);
        let many = if second_step == 1 { 20 } else { 1 };
        let names: Vec<String> = (0..many).map(|key| format!("row.{key}")).collect();
        let seconds = (0..HOUR).step_by(second_step);
        let rows = seconds.flat_map(|at| names.iter().map(move |name| row(name, T0 + at, 1.0)));
        database
            .commit(&entries(rows), i64::MIN)
            .expect("it is committed");
        let old = entries([row("old", T0, 4.0), row("old", T0 + 60, 8.0)]);
        database.commit(&old, i64::MIN).expect("it is committed");
        // As old elements and imports leave them: without rows, and without ids.
        database
            .connection()
            .execute_batch(
                "DELETE FROM records WHERE key = 'old'; \
                 UPDATE hourly SET first_id = 0, last_id = 0 \
                 WHERE k = (SELECT k FROM keys WHERE key = 'old')",
            )
            .expect("rows can be deleted");
        drop(database);
        let csv = exported(&path, &ExportQuery::default(), ExportFormat::Csv);
        let line = "2025-10-30T20:00:00Z,old,6,°C,,,3600,2,4,8,8";
        assert_eq!(csv.lines().nth(1), Some(line));
        assert_eq!(csv.lines().count(), 2 + expected_rows * many);
        // It is of the hour as a whole, so a part of it has it too.
        let query = ExportQuery {
            from: Some(Wall::from_second(T0 + 1_800)),
            keys: vec!["old".to_owned()],
            ..ExportQuery::default()
        };
        let csv = exported(&path, &query, ExportFormat::Csv);
        assert_eq!(csv.lines().nth(1), Some(line));
        assert_eq!(csv.lines().count(), 2);
        // A key with rows in another part of the hour has none.
        let query = ExportQuery {
            from: Some(Wall::from_second(T0 + 3_599)),
            to: Some(Wall::from_second(T0 + 3_600)),
            keys: vec!["row.0".to_owned()],
            ..ExportQuery::default()
        };
        let csv = exported(&path, &query, ExportFormat::Csv);
        assert_eq!(csv.lines().count(), if second_step == 1 { 2 } else { 1 });
        std::fs::remove_file(&path).expect("it can be deleted");
    }
}

#[test]
fn rows_of_an_hour_are_found_far_apart() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    database
        .commit(&entries([row("t", T0, 1.0), row("u", T0, 2.0)]), i64::MIN)
        .expect("it is committed");
    // As an import leaves them.
    for (key, id) in [("t", 1_000_000_000_i64), ("u", 5)] {
        for sql in [
            "UPDATE records SET id = ?2 WHERE key = ?1",
            "UPDATE hourly SET first_id = ?2, last_id = ?2 \
             WHERE k = (SELECT k FROM keys WHERE key = ?1)",
        ] {
            database
                .connection()
                .execute(sql, params![key, id])
                .expect("ids can be changed");
        }
    }
    drop(database);
    let csv = exported(&path, &ExportQuery::default(), ExportFormat::Csv);
    let expected = ["2025-10-30T20:00:00Z t 1", "2025-10-30T20:00:00Z u 2"];
    assert_eq!(columns(&csv), expected);
}

#[test]
fn rows_by_id_resume_where_the_last_export_ended() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let batch = entries([row("t", T0 + 60, 1.0), row("u", T0, 2.0)]);
    database.commit(&batch, i64::MIN).expect("it is committed");
    let after = |after| query_of(ExportContent::Arrivals { after }, &[]);
    assert_eq!(
        exported(&path, &after(0), ExportFormat::Csv),
        "timestamp,key,value,unit,text,clock,seconds,count,min,max,last,id\r\n\
         2025-10-30T20:01:00Z,t,1,°C,,,,,,,,1\r\n\
         2025-10-30T20:00:00Z,u,2,°C,,,,,,,,2\r\n"
    );
    // A correction arrives too.
    database
        .commit(&entries([row("t", T0 + 60, 3.0)]), i64::MIN)
        .expect("it is committed");
    assert_eq!(
        exported(&path, &after(2), ExportFormat::JsonLines),
        "{\"timestamp\":\"2025-10-30T20:01:00Z\",\"key\":\"t\",\"value\":3,\"unit\":\"°C\",\"id\":3}\n"
    );
    let query = ExportQuery {
        to: Some(Wall::from_second(T0 + 1)),
        ..query_of(ExportContent::Arrivals { after: 0 }, &["u", "t"])
    };
    let csv = exported(&path, &query, ExportFormat::Csv);
    assert_eq!(columns(&csv), ["2025-10-30T20:00:00Z u 2"]);
    assert_eq!(exported(&path, &after(3), ExportFormat::JsonLines), "");
    let mut out = Vec::new();
    let done = export(&path, &after(1), ExportFormat::JsonLines, &mut out);
    let expected = Exported {
        lines: 2,
        through_id: 3,
    };
    assert_eq!(done.expect("it is exported"), expected);
    // Of another database.
    let error = export(&path, &after(4), ExportFormat::Csv, &mut out).expect_err("it is refused");
    let message = error.to_string();
    assert!(message.contains("whose newest row has 3"), "{message}");
    assert!(message.contains("--after 0"), "{message}");
    // Retention has dropped the newest: their ids are known anyway.
    database
        .connection()
        .execute_batch("DELETE FROM records")
        .expect("rows can be deleted");
    assert_eq!(exported(&path, &after(3), ExportFormat::JsonLines), "");
}

#[test]
fn rows_by_id_come_in_parts_and_in_order() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let count = limits::EXPORT_ROWS + 10;
    let rows = (0..count).map(|at| row("t", T0 + at, at as f64));
    database(&path)
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let query = query_of(ExportContent::Arrivals { after: 0 }, &[]);
    let csv = exported(&path, &query, ExportFormat::Csv);
    let ids = csv.lines().skip(1).map(|line| line.rsplit(',').next());
    let ids: Vec<i64> = ids
        .map(|id| id.and_then(|id| id.parse().ok()).expect("an id"))
        .collect();
    assert!(ids.into_iter().eq(1..=count));
}

#[test]
fn local_days_have_their_true_length() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    // 2025-10-25T00:00:00Z; on the 26th clocks change in Berlin.
    let begin = 1_761_350_400;
    let rows = (0..60 * 24).flat_map(|hour| {
        let names: &[&str] = if hour < 72 { &["t", "u"] } else { &["t"] };
        names
            .iter()
            .map(move |name| row(name, begin + hour * HOUR, hour as f64))
    });
    database(&path)
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let berlin = TimeZone::get("Europe/Berlin").expect("it is known");
    let query = query_of(ExportContent::LocalDays(berlin.clone()), &[]);
    let csv = exported(&path, &query, ExportFormat::Csv);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[1..6],
        [
            "2025-10-25T00:00:00+02:00,t,10.5,°C,,,86400,22,0,21,21",
            "2025-10-25T00:00:00+02:00,u,10.5,°C,,,86400,22,0,21,21",
            "2025-10-26T00:00:00+02:00,t,34,°C,,,90000,25,22,46,46",
            "2025-10-26T00:00:00+02:00,u,34,°C,,,90000,25,22,46,46",
            "2025-10-27T00:00:00+01:00,t,58.5,°C,,,86400,24,47,70,70",
        ]
    );
    let days = lines.iter().skip(1).filter(|line| line.contains(",t,"));
    assert_eq!(days.count(), 61, "more than are read at once");
    // Days that the span has a part of.
    let query = ExportQuery {
        from: Some(Wall::from_second(begin + 30 * HOUR)),
        to: Some(Wall::from_second(begin + 50 * HOUR)),
        ..query_of(ExportContent::LocalDays(berlin), &["t"])
    };
    let csv = exported(&path, &query, ExportFormat::Csv);
    let expected = [
        "2025-10-26T00:00:00+02:00 t 34",
        "2025-10-27T00:00:00+01:00 t 58.5",
    ];
    assert_eq!(columns(&csv), expected);
    let query = query_of(ExportContent::LocalDays(TimeZone::UTC), &["u"]);
    let csv = exported(&path, &query, ExportFormat::Csv);
    assert_eq!(
        csv.lines().nth(1),
        Some("2025-10-25T00:00:00+00:00,u,11.5,°C,,,86400,24,0,23,23")
    );
}

#[test]
fn local_days_of_what_is_kept_as_days_and_hours() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    filled(&path);
    let query = query_of(ExportContent::LocalDays(TimeZone::UTC), &["t"]);
    let csv = exported(&path, &query, ExportFormat::Csv);
    assert_eq!(
        columns(&csv),
        [
            "2025-10-30T00:00:00+00:00 t 0.5",
            "2025-10-31T00:00:00+00:00 t 2.5",
            "2025-11-01T00:00:00+00:00 t 4.5",
            "2025-11-02T00:00:00+00:00 t 5.16666666667",
        ]
    );
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
