//! Files of every kind, and the staged file that is made of them.

use std::ops::ControlFlow;

use rusqlite::Connection;

use super::report::{SkipReason, Skipped};
use super::staged_file::StagedCounts;
use super::*;
use crate::db::test_support::Directory;
use crate::limits;

mod own_database;
mod robustness;
mod sqlite;
mod text_files;

/// A staging in a directory of its own.
pub struct Case {
    pub directory: Directory,
    pub zone: &'static str,
    pub table: &'static str,
    pub decimal: Option<Decimal>,
    pub latest: Option<Wall>,
}

impl Case {
    pub fn new() -> Case {
        Case {
            directory: Directory::new(),
            zone: "UTC",
            table: "records",
            decimal: None,
            latest: None,
        }
    }

    pub fn database(&self) -> PathBuf {
        self.directory.path("main-node.db")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path(name);
        std::fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Another program's SQLite file, made by these statements.
    pub fn sqlite(&self, sql: &str) -> PathBuf {
        let path = self.directory.path("other.db");
        let other = Connection::open(&path).expect("a file can be made");
        other.execute_batch(sql).expect("it is SQL");
        path
    }

    pub fn stage(&self, input: &Path) -> Result<Staged, StageError> {
        let options = StageOptions {
            database: &self.database(),
            zone: TimeZone::get(self.zone).expect("the zone exists"),
            table: self.table,
            decimal: self.decimal,
            latest: self.latest,
        };
        stage(input, &options, &mut |_| ControlFlow::Continue(()))
    }

    /// The report and what is staged: a line for each key, row and summary.
    pub fn staged(&self, input: &Path) -> (StageReport, Vec<String>) {
        let staged = self.stage(input).unwrap_or_else(|error| panic!("{error}"));
        let report = staged.report.clone();
        let path = staged.file.publish(&self.database());
        let content = content(&path.expect("it gets its name"));
        (report, content)
    }

    pub fn error(&self, input: &Path) -> String {
        let error = self.stage(input).expect_err("it cannot be staged");
        let names = self.directory.names();
        assert!(
            !names.iter().any(|name| name.contains(".import")),
            "{names:?}"
        );
        let directory = self.directory.path("").display().to_string();
        error.to_string().replace(&directory, "/data/")
    }
}

/// What a staged file holds, in the order of its tables.
pub fn content(path: &Path) -> Vec<String> {
    let file = Connection::open(path).expect("it is an SQLite file");
    let id: i32 = file
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .expect("it has one");
    assert_eq!(id, 0x6d6e_696d);
    let lines = |sql: &str| -> Vec<String> {
        let mut statement = file.prepare(sql).expect("the tables are there");
        let lines = statement.query_map([], |row| row.get(0));
        lines
            .and_then(Iterator::collect)
            .expect("every line is a text")
    };
    let mut found = lines("SELECT format('%d %s [%s]', k, key, unit) FROM keys ORDER BY k");
    found.extend(lines(
        "SELECT format('%s %s = %s%s', strftime('%Y-%m-%dT%H:%M:%SZ', second, 'unixepoch'), key, \
         coalesce(cast(value AS TEXT), 'NULL'), coalesce(' ' || meta, '')) \
         FROM rows JOIN keys USING (k) WHERE day = second / 86400 ORDER BY second, k",
    ));
    found.extend(lines(
        "SELECT format('%d s from %s %s: %d of %s to %s, mean %s, last %s', seconds, \
         strftime('%Y-%m-%dT%H:%M:%SZ', start, 'unixepoch'), key, count, \
         cast(min AS TEXT), cast(max AS TEXT), cast(mean AS TEXT), cast(last AS TEXT)) \
         FROM summaries JOIN keys USING (k) ORDER BY seconds, start, k",
    ));
    found
}

/// Each reason for which rows were left out, with their number.
pub fn reasons(report: &StageReport) -> Vec<(SkipReason, u64)> {
    let skipped = report.skipped.iter();
    skipped.map(|it| (it.reason, it.count)).collect()
}

#[test]
fn a_staged_file_belongs_to_the_database_and_replaces_an_earlier_one() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let case = Case::new();
    let database = case.write("main-node.db", "");
    for value in [1.0, 2.0] {
        let csv = format!("timestamp,key,value\n2025-10-30,t,{value}\n");
        let input = case.write("a.csv", csv);
        let (report, staged) = case.staged(&input);
        assert_eq!(
            staged,
            [
                "1 t []".to_owned(),
                format!("2025-10-30T00:00:00Z t = {value:.1}")
            ]
        );
        assert_eq!(report.staged.rows, 1);
        assert_eq!(
            case.directory.names(),
            ["a.csv", "main-node.db", "main-node.db.import"]
        );
        let path = staged_path(&database);
        let (staged, owned) = (
            path.metadata().expect("it"),
            database.metadata().expect("it"),
        );
        assert_eq!(staged.permissions().mode() & 0o777, 0o600);
        assert_eq!((staged.uid(), staged.gid()), (owned.uid(), owned.gid()));
    }
}

#[test]
fn it_lies_beside_the_database_itself_where_that_is_named_by_a_link() {
    let case = Case::new();
    std::fs::create_dir(case.directory.path("disk")).expect("a directory can be made");
    std::os::unix::fs::symlink("disk/real.db", case.database()).expect("a link can be made");
    case.write("disk/real.db", "");
    let input = case.write("a.csv", "timestamp,key,value\n2025-10-30,t,1\n");
    case.staged(&input);
    assert!(case.directory.path("disk/real.db.import").exists());
}

#[test]
fn what_an_interrupted_import_left_is_replaced_and_a_running_one_is_not() {
    let case = Case::new();
    case.write("main-node.db.import.unfinished", "left behind");
    let input = case.write("a.csv", "timestamp,key,value\n2025-10-30,t,1\n");
    let running = case.stage(&input).expect("it is staged");
    let error = case
        .stage(&input)
        .expect_err("another is at it")
        .to_string();
    assert!(error.contains("another import is running"), "{error}");
    drop(running);
    assert_eq!(case.directory.names(), ["a.csv"], "nothing is left of it");
}

#[test]
fn an_interrupted_import_leaves_nothing() {
    let case = Case::new();
    let input = case.write("a.csv", "timestamp,key,value\n2025-10-30,t,1\n");
    let options = StageOptions {
        database: &case.database(),
        zone: TimeZone::UTC,
        table: "records",
        decimal: None,
        latest: None,
    };
    let stopped = stage(&input, &options, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(StageError::Interrupted)));
    assert_eq!(case.directory.names(), ["a.csv"]);
}

#[test]
fn progress_says_how_much_of_the_input_is_read() {
    let case = Case::new();
    let mut csv = "timestamp,key,value\n".to_owned();
    for second in 0..20_000 {
        csv += &format!("{},t,1\n", 1_761_854_400 + second);
    }
    let input = case.write("a.csv", csv);
    let rows = case.sqlite(
        "CREATE TABLE records (id INTEGER PRIMARY KEY, timestamp, key, value);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO records SELECT i + 1000000, 1761854400 + i, 't', 1 FROM n",
    );
    for input in [input, rows] {
        let options = StageOptions {
            database: &case.database(),
            zone: TimeZone::UTC,
            table: "records",
            decimal: None,
            latest: None,
        };
        let mut parts = Vec::new();
        let staged = stage(&input, &options, &mut |progress| {
            parts.push((progress.rows, progress.part.unwrap_or(f64::NAN)));
            ControlFlow::Continue(())
        });
        assert_eq!(staged.expect("it is staged").report.staged.rows, 20_000);
        assert!(parts.len() >= 4, "{parts:?}");
        assert!(parts.windows(2).all(|two| two[0].1 < two[1].1), "{parts:?}");
        assert!(
            parts.iter().all(|(_, part)| (0.0..=1.0).contains(part)),
            "{parts:?}"
        );
    }
}

#[test]
fn where_nothing_can_be_written_the_error_says_where() {
    let case = Case::new();
    let input = case.write("a.csv", "timestamp,key,value\n2025-10-30,t,1\n");
    let options = StageOptions {
        database: Path::new("/no/such/directory/main-node.db"),
        zone: TimeZone::UTC,
        table: "records",
        decimal: None,
        latest: None,
    };
    let error = stage(&input, &options, &mut |_| ControlFlow::Continue(()));
    assert_eq!(
        error.expect_err("there is no directory").to_string(),
        "the staged file /no/such/directory/main-node.db.import.unfinished cannot be written: no \
         such file or directory"
    );
}

#[test]
fn a_report_is_a_line_for_each_thing() {
    let report = StageReport {
        kind: "CSV".to_owned(),
        read: 5,
        staged: StagedCounts {
            rows: 1,
            hours: 2,
            days: 0,
            keys: 1,
        },
        span: Some((Wall::from_second(0), Wall::from_second(1_761_854_400))),
        mixed_units: Vec::new(),
        skipped: vec![Skipped {
            reason: SkipReason::BadTime,
            count: 2,
            example: "line 3: \"never\"".to_owned(),
        }],
        notes: vec!["columns that are not read: room".to_owned()],
    };
    assert_eq!(
        report.to_string(),
        "5 rows read from CSV\n\
         1 reading, 2 summarised hours of 1 key, from 1970-01-01T00:00:00Z to 2025-10-30T20:00:00Z\n\
         left out: 2 rows whose time cannot be read (line 3: \"never\")\n\
         note: columns that are not read: room\n"
    );
    assert_eq!(
        StageReport::default().to_string(),
        "0 rows read from \nnothing that can be imported\n"
    );
}
