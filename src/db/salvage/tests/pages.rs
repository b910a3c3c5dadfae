//! The reader of pages against SQLite itself, and against nonsense.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::*;
use crate::db::test_support::{Dice, Directory};

/// A file in memory.
struct Bytes(Vec<u8>, usize);

impl PageSource for Bytes {
    fn page_size(&self) -> usize {
        self.1
    }

    fn count(&self) -> u32 {
        (self.0.len() / self.1) as u32
    }

    fn page(&self, number: u32) -> Option<Vec<u8>> {
        let begin = (number as usize).checked_sub(1)? * self.1;
        Some(self.0.get(begin..begin + self.1)?.to_vec())
    }
}

fn cell(value: Value) -> RawValue {
    match value {
        Value::Null => RawValue::Null,
        Value::Integer(number) => RawValue::Integer(number),
        Value::Real(number) => RawValue::Real(number),
        Value::Text(text) => RawValue::Text(text.into_bytes()),
        Value::Blob(bytes) => RawValue::Blob(bytes),
    }
}

/// Values of every kind and length, in tables with ids and without, of several levels, some on
/// overflow pages.
fn sample(path: &std::path::Path, page_size: usize) {
    let connection = Connection::open(path).expect("a database can be made");
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {page_size}; PRAGMA synchronous = OFF;
             CREATE TABLE a (x, y, z);
             CREATE TABLE b (x PRIMARY KEY, y) WITHOUT ROWID;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
             INSERT INTO a SELECT
                 CASE i % 7 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN -i * 3000000000
                     WHEN 3 THEN i / 7.0 WHEN 4 THEN 1 WHEN 5 THEN 0 ELSE -i END,
                 replace(hex(zeroblob(i % 41 * i % 3700)), '00', 'ä'), zeroblob(i % 5) FROM n;
             INSERT INTO a VALUES (9223372036854775807, -9223372036854775808, 1e308);
             INSERT INTO b SELECT rowid, y FROM a;"
        ))
        .expect("it can be filled");
}

fn read(path: &std::path::Path, sql: &str) -> Vec<Vec<RawValue>> {
    let connection = Connection::open(path).expect("it opens");
    let mut statement = connection.prepare(sql).expect("it is SQL");
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns)
            .map(|at| Ok(cell(row.get(at)?)))
            .collect::<rusqlite::Result<Vec<RawValue>>>()
    });
    rows.and_then(Iterator::collect).expect("it can be read")
}

fn all(pages: &impl PageSource, root: u32) -> (Vec<RawRow>, u64) {
    let tree = walk(pages, root);
    let (mut found, mut unreadable) = (Vec::new(), tree.unreadable);
    for number in tree.pages {
        let page = rows(pages, number);
        found.extend(page.rows);
        unreadable += page.unreadable;
    }
    (found, unreadable)
}

#[test]
fn what_sqlite_reads_is_what_is_read_here() {
    for page_size in [512, 4_096, 65_536] {
        let directory = Directory::new();
        let path = directory.path("a.db");
        sample(&path, page_size);
        let bytes = Bytes(std::fs::read(&path).expect("it is there"), page_size);
        let (schema, unreadable) = all(&bytes, 1);
        assert_eq!(unreadable, 0);
        assert_eq!(schema.len(), 2);
        for (at, sql) in ["SELECT rowid, * FROM a", "SELECT 0, * FROM b"]
            .iter()
            .enumerate()
        {
            let RawValue::Integer(root) = schema[at].cells[3] else {
                panic!("a root is a number");
            };
            let (found, unreadable) = all(&bytes, root as u32);
            assert_eq!(unreadable, 0, "{page_size}: {sql}");
            let mut found: Vec<Vec<RawValue>> = found
                .into_iter()
                .map(|row| [vec![RawValue::Integer(row.rowid)], row.cells].concat())
                .collect();
            // Inner pages of a table without ids hold rows that come between.
            if at == 1 {
                found.sort_by_key(|row| match row[1] {
                    RawValue::Integer(number) => number,
                    _ => i64::MIN,
                });
            }
            assert!(found == read(&path, sql), "{page_size}: {sql}");
        }
    }
}

#[test]
fn wal_is_read_up_to_its_last_valid_frame() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let connection = Connection::open(&path).expect("a database can be made");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE a (x);
             INSERT INTO a VALUES (1); INSERT INTO a VALUES (2);",
        )
        .expect("it can be filled");
    let log = std::fs::read(directory.path("a.db-wal")).expect("there is a log");
    let frame = FRAME_HEADER + 4_096;
    let committed = |log: &[u8]| {
        let mut reader = WalScan::begin(log)?;
        for frame in log[WAL_HEADER..].chunks(frame) {
            if !reader.push_frame(frame) {
                break;
            }
        }
        Some(reader.committed)
    };
    let whole = committed(&log).expect("it is a log");
    assert_eq!(whole.len(), (log.len() - WAL_HEADER) / frame);
    let mut dice = Dice(3);
    for _ in 0..200 {
        let at = dice.below(log.len() as u64) as usize;
        let mut damaged = log.clone();
        damaged[at] ^= 1 << dice.below(8);
        let found = committed(&damaged).unwrap_or_default();
        assert!(found.len() < whole.len(), "byte {at}");
        assert_eq!(found, whole[..found.len()], "byte {at}");
        let cut = committed(&log[..at.max(WAL_HEADER)]).unwrap_or_default();
        assert_eq!(cut, whole[..cut.len()], "cut at {at}");
    }
}

/// Whatever the bytes are, it ends, and finds no more than there can be.
#[test]
fn random_pages_cause_neither_panic_nor_endless_loop() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    sample(&path, 512);
    let pristine = std::fs::read(&path).expect("it is there");
    let most = pristine.len() / 4;
    let mut dice = Dice(7);
    for round in 0..15 {
        let mut bytes = pristine.clone();
        for _ in 0..=dice.below(200) {
            let at = dice.below(bytes.len() as u64) as usize;
            bytes[at] = match dice.below(3) {
                0 => 0xff,
                1 => bytes[at] ^ (1 << dice.below(8)),
                _ => dice.below(256) as u8,
            };
        }
        bytes.truncate(bytes.len() - dice.below(600) as usize);
        let bytes = Bytes(bytes, 512);
        for root in [0, 1, 2, 3, u32::MAX] {
            assert!(all(&bytes, root).0.len() < most, "round {round}");
        }
        for number in 0..=bytes.count() + 1 {
            rows(&bytes, number);
        }
    }
    for length in [0, 1, 7, 99, 511, 512] {
        let noise: Vec<u8> = (0..length).map(|_| dice.below(256) as u8).collect();
        page_size(&noise);
        assert!(WalScan::begin(&noise).is_none());
        let mut at = 0;
        while varint(&noise, &mut at).is_some() {}
        record_cells(&noise);
    }
}
