//! SQLite files of other programs.

use super::*;

const SHARED: &str = "CREATE TABLE records (id INTEGER PRIMARY KEY, timestamp TEXT NOT NULL, \
                      key TEXT NOT NULL, value REAL, meta JSON);";

#[test]
fn the_shared_table_is_staged_as_sqlalchemy_writes_it() {
    let case = Case::new();
    let input = case.sqlite(&format!(
        "{SHARED}
         INSERT INTO records (timestamp, key, value, meta) VALUES
         ('2025-10-30 20:00:00.000000', 't', 20, 'null'),
         ('2025-10-30 20:00:00.000000', 'sky', NULL, '{{\"text\": \"clear\", \"unit\": \"\"}}'),
         ('2025-10-30 20:00:01.500000', 't', 21.5, '{{\"unit\": \"°C\", \"sensor\": 12345678901234567890}}'),
         ('2025-10-30 20:00:00.000000', 't', 22, '{{\"unit\": \"°C\", \"clock\": \"untrusted\"}}'),
         ('2025-10-30 20:00:02', 't', 'open', NULL),
         ('2025-10-30 20:00:03', 't', '7.5', '[1]'),
         ('2025-10-30 20:00:04', 't', NULL, '{{\"text\": 5}}'),
         ('2025-10-30 20:00:05', 't', 9e999, NULL),
         ('2025-10-30 20:00:06', 't', x'00', NULL),
         ('', 't', 1, NULL)"
    ));
    let (report, staged) = case.staged(&input);
    assert_eq!(
        staged,
        [
            "1 t [°C]",
            "2 sky []",
            "2025-10-30T20:00:00Z t = 22.0 {\"clock\":\"untrusted\"}",
            "2025-10-30T20:00:00Z sky = NULL {\"text\":\"clear\"}",
            "2025-10-30T20:00:01Z t = 21.5 {\"sensor\":12345678901234567890}",
            "2025-10-30T20:00:02Z t = NULL {\"text\":\"open\"}",
            "2025-10-30T20:00:03Z t = 7.5",
        ]
    );
    assert_eq!(
        report.to_string(),
        "10 rows read from the table records of an SQLite file\n\
         5 readings of 2 keys, from 2025-10-30T20:00:00Z to 2025-10-30T20:00:03Z\n\
         left out: 1 row without a value (row 7)\n\
         left out: 1 row whose value is infinite or NaN (row 8: inf)\n\
         left out: 1 row whose value is neither a number nor a text (row 9: bytes or a list)\n\
         left out: 1 row whose time cannot be read (row 10: \"\")\n\
         note: 1 row with the key and the second of a later one, which is taken\n\
         note: 1 row whose value is a text and no number (row 5: \"open\")\n\
         note: 1 row whose `meta` is no JSON object of at most 4000 bytes, and left out\n"
    );
    assert_eq!(
        case.directory.names(),
        ["main-node.db.import", "other.db"],
        "nothing is left beside the input"
    );
}

#[test]
fn tables_of_other_names_columns_and_types_are_read() {
    for (table, sql) in [
        (
            "records",
            "CREATE TABLE Records (KEY TEXT, Value, Timestamp INTEGER, room TEXT); INSERT INTO Records VALUES ('t', '21.5', 1761854400, 'kitchen')",
        ),
        (
            "my readings",
            "CREATE TABLE \"my readings\" (value, key, timestamp, \"ro\"\"om\"); INSERT INTO \"my readings\" VALUES (21.5, 't', 1761854400000, 1)",
        ),
        (
            "w",
            "CREATE TABLE w (key TEXT, timestamp REAL, value REAL, room, PRIMARY KEY (key, timestamp)) WITHOUT ROWID; INSERT INTO w VALUES ('t', 1761854400.25, 21.5, 1)",
        ),
        (
            "records",
            "PRAGMA encoding = 'UTF-16le'; CREATE TABLE records (rowid TEXT, _rowid_ TEXT, oid TEXT, key, timestamp, value); INSERT INTO records VALUES (1, 2, 3, 't', '2025-10-30T20:00:00Z', 21.5)",
        ),
        (
            "records",
            "CREATE TABLE records (key, timestamp, value, room AS (value * 2)); INSERT INTO records VALUES ('t', '20251030T200000Z', 21.5); CREATE INDEX i ON records (key, timestamp, value); CREATE TRIGGER e AFTER INSERT ON records BEGIN SELECT 1; END",
        ),
    ] {
        let case = Case {
            table,
            ..Case::new()
        };
        let (report, staged) = case.staged(&case.sqlite(sql));
        assert_eq!(staged, ["1 t []", "2025-10-30T20:00:00Z t = 21.5"], "{sql}");
        assert_eq!(
            (report.skipped.len(), report.notes.len()),
            (0, 1),
            "{sql}: {report}"
        );
    }
}

#[test]
fn a_table_that_cannot_be_read_is_named_with_what_there_is() {
    for (sql, expected) in [
        (
            "CREATE TABLE a (x)",
            "it has no table records: it has a (x); name the one with the columns timestamp, key and value with --table",
        ),
        (
            "CREATE TABLE a (timestamp, key, value); CREATE TABLE b (x, y)",
            "it has no table records: it has a (timestamp, key, value), b (x, y); name",
        ),
        (
            "CREATE TABLE a (x); DROP TABLE a",
            "it has no table records: it has no tables",
        ),
        (
            "CREATE TABLE records (time, key, val)",
            "expected the columns timestamp, key and value in the table records, found no timestamp and no value: it has time, key, val",
        ),
        (
            "CREATE TABLE a (timestamp, key, value); CREATE VIEW records AS SELECT * FROM a",
            "\"records\" is a view, and what it shows is made by code of the file, which is not run; copy it to a table",
        ),
        (
            "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', 'records', 'records', 0, 'CREATE VIRTUAL TABLE records USING absent (timestamp, key, value)')",
            "\"records\" is a virtual table",
        ),
        (
            "CREATE TABLE records (timestamp, key, raw, value AS (abs(raw)))",
            "the column \"value\" of the table \"records\" is computed by code of the file",
        ),
        (
            "CREATE TABLE records (timestamp, key, raw, value AS (abs(raw)) STORED)",
            "the column \"value\" of the table \"records\" is computed",
        ),
    ] {
        let case = Case::new();
        let error = case.error(&case.sqlite(sql));
        let begin = "/data/other.db cannot be imported: ";
        assert!(
            error.starts_with(begin) && error.contains(expected),
            "{sql}: {error}"
        );
    }
    let case = Case {
        table: "sqlite_master",
        ..Case::new()
    };
    let error = case.error(&case.sqlite("CREATE TABLE a (x)"));
    assert!(error.contains("it has no table sqlite_master"), "{error}");
}

#[test]
fn the_database_itself_is_refused_by_any_name() {
    let case = Case::new();
    let database = case.database();
    let made = Connection::open(&database).expect("a file can be made");
    made.execute_batch(SHARED).expect("it is SQL");
    let link = case.directory.path("link.db");
    std::os::unix::fs::symlink(&database, &link).expect("a link can be made");
    for input in [database, link] {
        let error = case.error(&input);
        assert!(error.contains("it is the database itself"), "{error}");
    }
}

#[test]
fn rows_in_a_log_are_read_and_a_file_that_nobody_uses_gets_none() {
    let case = Case::new();
    let path = case.directory.path("other.db");
    let other = Connection::open(&path).expect("a file can be made");
    other
        .pragma_update(None, "journal_mode", "wal")
        .expect("it has a log");
    other
        .execute_batch(&format!(
            "{SHARED} INSERT INTO records VALUES (1, '2025-10-30', 't', 1, NULL)"
        ))
        .expect("it is SQL");
    let (report, _) = case.staged(&path);
    assert_eq!(report.staged.rows, 1, "while the other program has it open");
    drop(other);
    assert_eq!(case.directory.names(), ["main-node.db.import", "other.db"]);
    let (report, _) = case.staged(&path);
    assert_eq!(report.staged.rows, 1);
    assert_eq!(case.directory.names(), ["main-node.db.import", "other.db"]);
}

#[test]
fn a_table_that_is_read_in_parts_loses_no_row() {
    let most = limits::IMPORT_ROWS_AT_ONCE;
    for (rows, table) in [
        (
            most,
            "records (id INTEGER PRIMARY KEY, timestamp, key, value)",
        ),
        (
            most + 1,
            "records (id INTEGER PRIMARY KEY, timestamp, key, value)",
        ),
        (
            most + 1,
            "records (id INTEGER PRIMARY KEY, timestamp, key, value) WITHOUT ROWID",
        ),
    ] {
        let case = Case::new();
        let input = case.sqlite(&format!(
            "CREATE TABLE {table};
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {rows} - 1)
             INSERT INTO records SELECT 3 * i - 1000, 1761854400 + i, 't', i FROM n"
        ));
        let staged = case.stage(&input).expect("it is staged");
        let report = staged.report;
        assert_eq!(
            (report.read, report.staged.rows),
            (rows as u64, rows as u64),
            "{table}"
        );
    }
}

#[test]
fn a_locked_file_is_told_with_what_to_do() {
    let case = Case::new();
    let path = case.sqlite(SHARED);
    let other = Connection::open(&path).expect("it can be opened");
    other
        .execute_batch("BEGIN EXCLUSIVE")
        .expect("it is locked");
    let error = case.error(&path);
    assert!(
        error.contains("another program has locked it; stop that program, or import a copy"),
        "{error}"
    );
}

#[test]
fn a_damaged_file_says_how_far_it_was_read() {
    let case = Case::new();
    let path = case.sqlite(&format!(
        "{SHARED}
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO records SELECT i, '2025-10-30T20:00:00Z', 't' || (i % 100), i, NULL FROM n"
    ));
    let mut bytes = std::fs::read(&path).expect("it can be read");
    let half = bytes.len() / 2 / 4096 * 4096;
    bytes[half..half + 4096 * 4].fill(0xee);
    let error = case.error(&case.write("damaged.db", &bytes));
    assert!(
        error.contains(
            "it is damaged; recover what can be read with `sqlite3 /data/damaged.db .recover"
        ) && error.contains(" rows were read, the last one is row "),
        "{error}"
    );
    for length in [16, 99, 1_000, 5_000, half] {
        let error = case.error(&case.write("short.db", &bytes[..length]));
        assert!(error.contains("damaged"), "{length}: {error}");
    }
}

#[test]
fn a_program_that_was_interrupted_is_named() {
    let case = Case::new();
    let path = case.sqlite(&format!(
        "{SHARED} INSERT INTO records VALUES (1, '2025-10-30', 't', 1, NULL)"
    ));
    let other = Connection::open(&path).expect("it can be opened");
    // The cache spills, so that the journal is on the disk and the file is half written.
    other
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO records SELECT i, '2025-10-30', 't', 1, NULL FROM n",
        )
        .expect("it is written");
    for suffix in ["", "-journal"] {
        let from = case.directory.path(&format!("other.db{suffix}"));
        let to = case.directory.path(&format!("copy.db{suffix}"));
        std::fs::copy(from, to).expect("it can be copied");
    }
    let error = case.error(&case.directory.path("copy.db"));
    assert!(
        error.contains("the program that wrote it was interrupted"),
        "{error}"
    );
}

#[test]
fn times_of_a_zone_and_units_that_differ_are_noted() {
    let case = Case {
        zone: "Europe/Berlin",
        ..Case::new()
    };
    let input = case.sqlite(&format!(
        "{SHARED}
         INSERT INTO records (timestamp, key, value, meta) VALUES
         ('2025-10-26 02:30:00.000000', 't', 1, '{{\"unit\": \"°C\"}}'),
         ('2025-03-30 02:30:00.000000', 't', 1, '{{\"unit\": \"°F\"}}')"
    ));
    let (report, staged) = case.staged(&input);
    assert_eq!(
        staged,
        [
            "1 t [°F]",
            "2025-03-30T01:30:00Z t = 1.0",
            "2025-10-26T00:30:00Z t = 1.0"
        ]
    );
    assert_eq!(report.notes.len(), 2, "{report}");
    assert_eq!(report.mixed_units, ["t is in °C and in °F in the file"]);
}
