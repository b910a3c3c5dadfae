//! What the tests of the database share: a directory of their own, rows, goldens.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::database::{Database, NewRow};
use super::open::{DatabaseLocation, open};
use crate::domain::freshness::Stamp;
use crate::domain::ledger::RecordRow;
use crate::domain::reading::Value;
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};

/// A directory that goes with its owner.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Directory {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("main-node-db-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a directory of one's own can be made");
        Directory(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the directory can be read");
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn location(path: &Path) -> DatabaseLocation {
    DatabaseLocation {
        path: path.to_owned(),
        is_default: false,
    }
}

/// Opens a database that does not wait for the disk: what is kept through a power cut is
/// another test's business.
pub fn database(path: &Path) -> Database {
    let database = open(&location(path), "this-boot").expect("a database can be opened");
    let pragma = database
        .connection()
        .pragma_update(None, "synchronous", "OFF");
    pragma.expect("it can be set");
    database
}

/// A moment at which the machine has run for `second` seconds since `T0`, its clock right.
pub fn trusted(second: i64) -> Moment {
    Moment {
        mono: Mono((1_000_000 + second).unsigned_abs() * 1000),
        wall: Wall::from_second(T0 + second),
        trust: ClockTrust::Trusted,
    }
}

/// 2025-10-30T20:00:00Z.
pub const T0: i64 = 1_761_854_400;

/// A row whose source says its own time: the second is since 1970.
pub fn row(key: &str, second: i64, value: f64) -> RecordRow {
    row_of(key, second, Value::Number(value))
}

pub fn row_of(key: &str, second: i64, value: Value) -> RecordRow {
    let observed = Wall::from_second(second);
    RecordRow {
        key: Arc::from(key),
        value,
        unit: Some(Arc::from("°C")),
        source: Arc::from("weather"),
        stamp: Stamp::received(trusted(second - T0), Some(observed)),
        is_stated: false,
        is_boolean: false,
        is_element: false,
    }
}

pub fn entries(rows: impl IntoIterator<Item = RecordRow>) -> Vec<NewRow> {
    let entry = |row| NewRow {
        row,
        untrusted: false,
    };
    rows.into_iter().map(entry).collect()
}

/// Compares with a file of the repository, or rewrites it where `UPDATE_GOLDEN` is set.
pub fn golden(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let directory = path.parent().expect("goldens are in a directory");
        std::fs::create_dir_all(directory).expect("it can be made");
        std::fs::write(&path, found).expect("a golden can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{file}; UPDATE_GOLDEN=1 rewrites it");
}

/// Numbers that look random and are the same every time.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

impl Database {
    pub fn last_values(
        &self,
        is_named: &dyn Fn(&str) -> bool,
    ) -> rusqlite::Result<Vec<crate::domain::ledger::RestoredRecord>> {
        super::last_values::read_last_values(self.connection(), self.boot(), named(is_named))
    }
}

/// Keys that are named, and of each source as many others as by default.
pub fn named(is_named: &dyn Fn(&str) -> bool) -> super::last_values::WantedKeys<'_> {
    super::last_values::WantedKeys {
        is_named,
        max_records: &|_| crate::limits::RECORDS_PER_SOURCE,
    }
}
