//! A damaged database of ours as tables and rows, read around what is broken.
//!
//! Runs on the store thread. SQLite is not used: it rejects the file for one damaged byte of the
//! schema, which is known here. Never writes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::pages::{self, PageSource, RawRow, RawValue, WalScan};
use crate::db::{file, schema};

/// The file with the pages that its WAL holds.
pub struct DatabaseImage {
    file: File,
    log: Option<(File, HashMap<u32, u64>)>,
    page_size: usize,
    count: u32,
}

/// The page size of new databases; used when the header has none.
const PAGE_SIZE: usize = 4_096;

impl DatabaseImage {
    pub fn open(path: &Path) -> std::io::Result<DatabaseImage> {
        let file = File::open(path)?;
        let log = read_log(&file::sibling(path, "-wal"));
        let mut header = [0; 100];
        let named = file.read_exact_at(&mut header, 0);
        let named = named.ok().and_then(|()| pages::page_size(&header));
        let logged = log.as_ref().map(|(_, log)| log.page_size());
        let page_size = logged.or(named).unwrap_or(PAGE_SIZE);
        let bytes = file.metadata()?.len();
        let count = u32::try_from(bytes / page_size as u64).unwrap_or(u32::MAX);
        let logged = log.as_ref().map_or(0, |(_, log)| log.count);
        Ok(DatabaseImage {
            file,
            log: log.map(|(file, log)| (file, log.committed.into_iter().collect())),
            page_size,
            count: count.max(logged),
        })
    }
}

/// The log as far as it holds; `None` where there is none.
fn read_log(path: &Path) -> Option<(File, WalScan)> {
    let mut file = File::open(path).ok()?;
    let mut header = [0; pages::WAL_HEADER];
    file.read_exact(&mut header).ok()?;
    let mut log = WalScan::begin(&header)?;
    let mut frame = vec![0; pages::FRAME_HEADER + log.page_size()];
    while file.read_exact(&mut frame).is_ok() && log.push_frame(&frame) {}
    (!log.committed.is_empty()).then_some((file, log))
}

impl PageSource for DatabaseImage {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn count(&self) -> u32 {
        self.count
    }

    fn page(&self, number: u32) -> Option<Vec<u8>> {
        if number == 0 || number > self.count {
            return None;
        }
        let logged = self
            .log
            .as_ref()
            .and_then(|(log, places)| Some((log, *places.get(&number)?)));
        let (file, place) =
            logged.unwrap_or((&self.file, u64::from(number - 1) * self.page_size as u64));
        let mut page = vec![0; self.page_size];
        file.read_exact_at(&mut page, place).ok()?;
        Some(page)
    }
}

/// A table as this program makes it.
struct TableLayout {
    root: u32,
    columns: Vec<ColumnLayout>,
    has_rowid: bool,
}

struct ColumnLayout {
    name: String,
    kind: ColumnType,
    /// Whether a row can do without it.
    is_optional: bool,
    /// Stands for the row's id, and is not in the record.
    is_rowid: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum ColumnType {
    Integer,
    Real,
    Text,
    Blob,
    Any,
}

/// A row by its columns; those that cannot be read and can be done without are missing.
pub type NamedRow = BTreeMap<String, Value>;

/// A damaged database.
pub struct DamagedDatabase {
    image: DatabaseImage,
    tables: BTreeMap<String, TableLayout>,
}

impl DamagedDatabase {
    pub fn open(path: &Path) -> Result<DamagedDatabase, String> {
        let image = DatabaseImage::open(path).map_err(|error| error.to_string())?;
        let mut tables = tables().map_err(|error| error.to_string())?;
        // The roots as the file's own schema has them, else where they usually are.
        let mut taken = HashSet::new();
        for number in pages::walk(&image, 1).pages {
            for row in pages::rows(&image, number).rows {
                let [
                    RawValue::Text(kind),
                    RawValue::Text(name),
                    _,
                    RawValue::Integer(root),
                    ..,
                ] = &row.cells[..]
                else {
                    continue;
                };
                let name = String::from_utf8_lossy(name);
                let root = u32::try_from(*root).unwrap_or(0);
                if kind == b"table"
                    && let Some(table) = tables.get_mut(&*name)
                    && table.is_root(&image, root)
                    && taken.insert(root)
                {
                    table.root = root;
                }
            }
        }
        Ok(DamagedDatabase { image, tables })
    }

    pub fn image(&self) -> &DatabaseImage {
        &self.image
    }

    /// The pages of a table, in the order of its keys, and how many could not be read.
    pub fn pages_of(&self, table: &str) -> pages::TablePages {
        match self.tables.get(table) {
            Some(table) => pages::walk(&self.image, table.root),
            None => pages::TablePages::default(),
        }
    }

    /// The rows of a page of a table, and how many could not be read.
    pub fn rows_of(&self, table: &str, number: u32) -> (Vec<NamedRow>, u64) {
        let Some(table) = self.tables.get(table) else {
            return (Vec::new(), 0);
        };
        let found = pages::rows(&self.image, number);
        let mut unreadable = found.unreadable;
        let mut rows = Vec::new();
        for row in found.rows {
            match table.name(row) {
                Some(row) => rows.push(row),
                None => unreadable += 1,
            }
        }
        (rows, unreadable)
    }

    /// All rows of a table that is small, and how many could not be read.
    pub fn all(&self, table: &str) -> (Vec<NamedRow>, u64) {
        let tree = self.pages_of(table);
        let (mut rows, mut unreadable) = (Vec::new(), tree.unreadable);
        for number in tree.pages {
            let (some, missed) = self.rows_of(table, number);
            rows.extend(some);
            unreadable += missed;
        }
        (rows, unreadable)
    }

    /// Free pages, which may still have old content.
    pub fn free_pages(&self) -> HashSet<u32> {
        let mut free = HashSet::new();
        let number = |page: &[u8], at: usize| -> u32 {
            let bytes = page.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_be_bytes)
        };
        let mut next = self.image.page(1).map_or(0, |page| number(&page, 32));
        while next != 0 && free.insert(next) {
            let Some(trunk) = self.image.page(next) else {
                break;
            };
            next = number(&trunk, 0);
            let most = self.image.page_size() / 4 - 2;
            let leaves = (number(&trunk, 4) as usize).min(most);
            free.extend((0..leaves).map(|leaf| number(&trunk, 8 + 4 * leaf)));
        }
        free
    }
}

impl TableLayout {
    fn is_root(&self, image: &DatabaseImage, root: u32) -> bool {
        let first = image.page(root).and_then(|page| page.first().copied());
        if self.has_rowid {
            matches!(first, Some(5 | 13))
        } else {
            matches!(first, Some(2 | 10))
        }
    }

    /// Gives the values of a row their names; `None` where one is missing that it needs.
    fn name(&self, row: RawRow) -> Option<NamedRow> {
        let mut named = NamedRow::new();
        let mut cells = row.cells.into_iter();
        for column in &self.columns {
            // A row that is older than a column ends before it.
            let cell = cells.next();
            let value = match (column.is_rowid, cell) {
                (true, Some(_)) => Some(Value::Integer(row.rowid)),
                (false, Some(cell)) => column.value(cell),
                (_, None) => None,
            };
            match value {
                Some(value) => {
                    named.insert(column.name.clone(), value);
                }
                None if column.is_optional => {}
                None => return None,
            }
        }
        // More than the table has columns: a row of something else.
        cells.next().is_none().then_some(named)
    }
}

impl ColumnLayout {
    /// A value as the column can hold it.
    fn value(&self, cell: RawValue) -> Option<Value> {
        match (self.kind, cell) {
            (_, RawValue::Null) if self.is_optional => Some(Value::Null),
            (ColumnType::Integer | ColumnType::Any, RawValue::Integer(number)) => {
                Some(Value::Integer(number))
            }
            // Whole numbers take less room as integers.
            (ColumnType::Real, RawValue::Integer(number)) => Some(Value::Real(number as f64)),
            (ColumnType::Real, RawValue::Real(number)) => {
                number.is_finite().then_some(Value::Real(number))
            }
            (ColumnType::Any, RawValue::Real(number)) => Some(Value::Real(number)),
            (ColumnType::Blob, RawValue::Blob(bytes)) => Some(Value::Blob(bytes)),
            (ColumnType::Text | ColumnType::Any, RawValue::Text(text)) => {
                Some(Value::Text(String::from_utf8(text).ok()?))
            }
            _ => None,
        }
    }
}

/// The tables of a database of the current version; those of earlier ones are the same with
/// fewer columns at the end.
fn tables() -> rusqlite::Result<BTreeMap<String, TableLayout>> {
    let mut fresh = Connection::open_in_memory()?;
    schema::create(&mut fresh)?;
    let mut tables = BTreeMap::new();
    let mut names = fresh.prepare(
        "SELECT name, rootpage, sql NOT LIKE '%WITHOUT ROWID%' FROM sqlite_schema \
         WHERE type = 'table'",
    )?;
    let mut columns = fresh.prepare(
        "SELECT name, type, \"notnull\" = 0 OR dflt_value IS NOT NULL, pk \
         FROM pragma_table_info(?1) ORDER BY cid",
    )?;
    let mut found = names.query([])?;
    while let Some(row) = found.next()? {
        let (name, has_rowid): (String, bool) = (row.get(0)?, row.get(2)?);
        let columns = columns.query_map([&name], |row| {
            let kind: String = row.get(1)?;
            let (is_optional, pk): (bool, i64) = (row.get(2)?, row.get(3)?);
            Ok(ColumnLayout {
                name: row.get(0)?,
                kind: match &*kind {
                    "INTEGER" => ColumnType::Integer,
                    "REAL" => ColumnType::Real,
                    "TEXT" | "JSON" => ColumnType::Text,
                    "BLOB" => ColumnType::Blob,
                    _ => ColumnType::Any,
                },
                is_optional: is_optional && pk == 0,
                is_rowid: has_rowid && pk == 1 && kind == "INTEGER",
            })
        })?;
        let table = TableLayout {
            root: row.get(1)?,
            columns: columns.collect::<rusqlite::Result<_>>()?,
            has_rowid,
        };
        tables.insert(name, table);
    }
    Ok(tables)
}
