//! A damaged database of ours: put aside, never deleted, and read as far as it can be.
//!
//! Driven by the store thread, a step at a time between commits. Alerts, quotas and the newest
//! values are in the new database before it takes the damaged one's place ([`replace`]), so
//! that no crash and no full card loses them; hours and rows follow, the newest first. Rows
//! keep their ids, so that what `hourly` says about them stays true, and a row that is taken
//! over twice (from the damaged file and from a backup, or after a restart) is there once.

mod copy;
mod pages;
mod source;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

pub use self::copy::take_alerts_over;
use self::copy::{
    alerts, insert_summary, integer, node_values, number_of, real, remembered, summaries, text,
};
use self::pages::Pages;
use self::source::{Named, Source};
use super::database::Database;
use super::error::{self, OpenError};
use super::open::{self, DatabaseLocation};
use super::retention::policy::Progress;
use super::rollup::{HOUR, RollupUpdate, read_hour, second_of_hour};
use super::tiers::{Tiers, write_meta};
use super::{backup, file, replace, schema};
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::disk;

/// Opens the database at `place`. A damaged one is set aside, and a new one stands in its
/// place; what else it held is taken over by whoever [`Salvage::resume`]s.
pub fn open(place: &DatabaseLocation, boot: &str, now: Wall) -> Result<Database, OpenError> {
    match open::open_at_start(place, boot) {
        Err(OpenError::Corrupt { path, detail }) => {
            let corrupt = OpenError::Corrupt { path, detail };
            log::error!("{corrupt}");
            set_aside(place, boot, now).map_err(|error| {
                log::error!("it could not be set aside: {error}");
                corrupt
            })
        }
        opened => opened,
    }
}

/// Puts a new database in the place of a damaged one, which holds already what must not wait.
/// Where it cannot be made (no room), the damaged one stays where it is.
pub fn set_aside(place: &DatabaseLocation, boot: &str, now: Wall) -> Result<Database, OpenError> {
    let path = &replace::resolved(&place.path);
    let io = |error: std::io::Error| OpenError::from_io(path, &error);
    // One that an earlier run has prepared.
    replace::finish(path).map_err(io)?;
    let suffix = replace::free_suffix(path, KIND, now);
    let aside = file::sibling(path, &suffix);
    let prepared = open::create_beside(path)?;
    if let Err(error) = fill(&prepared, path, &aside) {
        let _ = std::fs::remove_file(&prepared);
        return Err(OpenError::from_sqlite(path, &error));
    }
    replace::announce(path, &prepared, &suffix).map_err(io)?;
    log::warn!(
        "{} is set aside as {}; what can be read of it is recovered",
        path.display(),
        aside.display()
    );
    open::open(place, boot)
}

/// What a damaged database is moved to: `DATABASE.damaged-DATE`.
const KIND: &str = "damaged";

/// What must not wait of a damaged database that cannot be set aside now: a copy in memory, to
/// be read.
pub fn in_memory(damaged: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    schema::create(&mut connection)?;
    take_first(&mut connection, damaged, damaged)?;
    Ok(connection)
}

fn fill(prepared: &Path, damaged: &Path, aside: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(prepared)?;
    open::configure(&connection)?;
    take_first(&mut connection, damaged, aside)
}

/// Fills a new database with what must not wait, in one transaction.
fn take_first(connection: &mut Connection, damaged: &Path, aside: &Path) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut asides = vec![aside.to_owned()];
    let mut last = FAR_AHEAD;
    match Source::open(damaged) {
        Ok(source) => {
            let nodes = node_values(&source);
            if let Some(Value::Text(earlier)) = nodes.get(UNDER_WAY) {
                asides.extend(paths(damaged, earlier));
            }
            // Once, and never from a backup: what has been told since must not be told again.
            alerts(&source, &transaction)?;
            remembered(&nodes, &transaction)?;
            let before = Tiers::read(&transaction)?;
            let mut tiers = before;
            summaries(&source, &transaction, &mut tiers)?;
            tiers.write(&transaction, &before)?;
            last = last_id(&source, &nodes);
        }
        Err(error) => log::error!("{}: it cannot be read: {error}", damaged.display()),
    }
    write_asides(&transaction, &asides)?;
    // New rows must not take the ids of those that are still to come.
    write_meta(&transaction, "last_id", last)?;
    transaction.commit()
}

/// The work of taking over what can be read.
pub struct Salvage {
    /// The damaged files, the newest first.
    asides: Vec<PathBuf>,
    /// Those that are still to be read, the next one last; a backup comes after them.
    sources: Vec<PathBuf>,
    has_tried_backup: bool,
    reading: Option<Reading>,
    /// Rows taken over.
    pub rows: u64,
    /// Rows or stretches of them that could not be read.
    pub holes: u64,
}

/// One file as it is read.
struct Reading {
    source: Source,
    /// What stands for a key there, and here.
    numbers: HashMap<i64, i64>,
    /// What is still to be read, the next one last.
    work: Vec<Work>,
    /// Pages whose rows are known already, or are none.
    seen: HashSet<u32>,
}

enum Work {
    /// A page of a table of summaries.
    Summaries(&'static str, u32),
    /// A page of `records`.
    Rows(u32),
    /// All pages from this one on, for rows that no tree leads to any more.
    Strays(u32),
}

/// What the new database remembers while a salvage is under way: a file a line.
const UNDER_WAY: &str = "salvage";

/// Ids given to new rows where the damaged file does not say which it has used.
const FAR_AHEAD: i64 = 1 << 40;
/// Added where the newest may be among what cannot be read.
const MARGIN: i64 = 1_000_000;

impl Salvage {
    /// Goes on with what was begun when the database was set aside, or interrupted since.
    pub fn resume(database: &mut Database) -> rusqlite::Result<Option<Salvage>> {
        let under_way = "SELECT value FROM node WHERE name = ?1";
        let under_way = database
            .connection()
            .query_row(under_way, [UNDER_WAY], |row| row.get::<_, String>(0));
        let asides = match error::readable(under_way.optional())? {
            Some(None) => return Ok(None),
            Some(Some(text)) => paths(database.path(), &text),
            // The note is damaged: what lies there tells.
            None => replace::moved(&replace::resolved(database.path()), KIND)
                .pop()
                .into_iter()
                .collect(),
        };
        Ok(Some(Salvage {
            sources: asides.iter().rev().cloned().collect(),
            asides,
            has_tried_backup: false,
            reading: None,
            rows: 0,
            holes: 0,
        }))
    }

    /// Where the damaged file lies.
    pub fn aside(&self) -> &Path {
        self.asides.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// What a person should know.
    pub fn notice(&self, is_over: bool) -> String {
        let progress = match (is_over, self.holes) {
            (false, _) => format!("{} rows recovered so far", self.rows),
            (true, 0) => format!("all that it held was recovered, {} rows", self.rows),
            (true, 1) => format!(
                "{} rows were recovered, one stretch was unreadable",
                self.rows
            ),
            (true, holes) => format!(
                "{} rows were recovered, {holes} stretches were unreadable",
                self.rows
            ),
        };
        format!(
            "the database was damaged and is set aside as {}; {progress}",
            self.aside().display()
        )
    }

    /// Takes over some more.
    pub fn step(&mut self, database: &mut Database) -> rusqlite::Result<Progress> {
        if self.reading.is_none() && !self.open_next(database)? {
            database.change(|transaction, _| {
                transaction.execute("DELETE FROM node WHERE name = ?1", [UNDER_WAY])
            })?;
            database.reload()?;
            return Ok(Progress::Done);
        }
        let Some(reading) = &mut self.reading else {
            return Ok(Progress::More);
        };
        let batch = reading.some_rows();
        let numbers = &reading.numbers;
        let taken = database.change(|transaction, tiers| {
            for (table, row) in &batch.summaries {
                insert_summary(transaction, table, row, numbers)?;
            }
            let mut changes = RollupUpdate::new(*tiers);
            let mut taken = 0;
            for row in &batch.rows {
                taken += u64::from(take_over(transaction, tiers, &mut changes, row)?);
            }
            changes.write(transaction)?;
            Ok(taken)
        })?;
        self.rows += taken;
        self.holes += batch.holes;
        if reading.work.is_empty() {
            self.reading = None;
        }
        // Keys may have come to light that the database must know of.
        database.reload()?;
        Ok(Progress::More)
    }

    fn next_source(&mut self, database: &Path) -> Option<(PathBuf, bool)> {
        if let Some(aside) = self.sources.pop() {
            return Some((aside, false));
        }
        if self.has_tried_backup {
            return None;
        }
        self.has_tried_backup = true;
        backup::newest_whole(database).map(|backup| (backup, true))
    }

    /// Whether the card has room for more, beside what new readings need.
    pub fn has_room(&self) -> bool {
        let directory = file::parent_directory(self.aside());
        let (free, total) = (disk::free_bytes(&directory), disk::total_bytes(&directory));
        match (free, total) {
            (Ok(free), Ok(total)) => {
                let part = total / limits::SALVAGE_LEAVES_PART;
                free >= part.min(limits::SALVAGE_LEAVES_BYTES)
            }
            // Whoever writes next finds out.
            _ => true,
        }
    }

    /// Opens the next source and takes over its small tables; false when there is none.
    fn open_next(&mut self, database: &mut Database) -> rusqlite::Result<bool> {
        while let Some((path, is_backup)) = self.next_source(database.path()) {
            let Ok(source) = Source::open(&path) else {
                self.holes += 1;
                continue;
            };
            let found =
                database.change(|transaction, tiers| summaries(&source, transaction, tiers))?;
            database.reload()?;
            let (numbers, holes) = found;
            self.holes += holes;
            self.reading = Some(Reading::new(source, numbers, is_backup, &mut self.holes));
            return Ok(true);
        }
        Ok(false)
    }
}

/// The damaged files that a note names. They are where the database is, should both have been
/// moved since.
fn paths(database: &Path, note: &str) -> Vec<PathBuf> {
    let here = |line: &str| {
        let path = PathBuf::from(line);
        let moved = path
            .file_name()
            .map(|name| file::parent_directory(database).join(name));
        match moved {
            Some(moved) if !path.exists() && moved.exists() => moved,
            _ => path,
        }
    };
    note.lines().map(here).collect()
}

fn write_asides(transaction: &Transaction, asides: &[PathBuf]) -> rusqlite::Result<()> {
    let lines: Vec<_> = asides.iter().map(|path| path.to_string_lossy()).collect();
    write_meta(transaction, UNDER_WAY, lines.join("\n"))
}

/// The highest id that the file says it has used.
fn last_id(source: &Source, nodes: &HashMap<String, Value>) -> i64 {
    let mut ids = Vec::new();
    if let Some(Value::Integer(id)) = nodes.get("last_id") {
        ids.push(*id);
    }
    let (latest, mut unreadable) = source.all("latest");
    ids.extend(latest.iter().filter_map(|row| integer(row, "id")));
    for (table, column) in [("records", "id"), ("hourly", "last_id")] {
        let tree = source.pages_of(table);
        if table == "records" {
            unreadable += tree.unreadable;
        }
        // The newest are at the end; damage may stand before it.
        for number in tree.pages.iter().rev().take(4) {
            let (rows, missed) = source.rows_of(table, *number);
            unreadable += missed;
            ids.extend(rows.iter().filter_map(|row| integer(row, column)));
        }
    }
    let known = ids.into_iter().filter(|id| limits::IDS.contains(id)).max();
    match known {
        Some(id) if unreadable == 0 => id,
        Some(id) => id.saturating_add(MARGIN).min(*limits::IDS.end()),
        None => FAR_AHEAD,
    }
}

#[derive(Default)]
struct Batch {
    summaries: Vec<(&'static str, Named)>,
    rows: Vec<Found>,
    holes: u64,
}

struct Found {
    id: i64,
    timestamp: String,
    key: String,
    value: Option<f64>,
    meta: Option<String>,
}

impl Reading {
    fn new(
        source: Source,
        numbers: HashMap<i64, i64>,
        is_backup: bool,
        holes: &mut u64,
    ) -> Reading {
        let mut work = Vec::new();
        let records = source.pages_of("records");
        *holes += records.unreadable;
        let mut seen = HashSet::new();
        if !is_backup {
            seen = source.free_pages();
            seen.extend(&records.pages);
            work.push(Work::Strays(1));
        }
        work.extend(records.pages.into_iter().map(Work::Rows));
        for table in ["hourly", "daily"] {
            let tree = source.pages_of(table);
            *holes += tree.unreadable;
            let pages = tree.pages.into_iter();
            work.extend(pages.map(|number| Work::Summaries(table, number)));
        }
        Reading {
            source,
            numbers,
            work,
            seen,
        }
    }

    /// The newest of what is still to be read, until it is much.
    fn some_rows(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut pages = 0;
        while batch.rows.len() + batch.summaries.len() < limits::SALVAGE_STEP_ROWS
            && pages < limits::SALVAGE_STEP_PAGES
        {
            pages += 1;
            match self.work.pop() {
                None => break,
                Some(Work::Summaries(table, number)) => {
                    let (rows, holes) = self.source.rows_of(table, number);
                    batch.holes += holes;
                    batch
                        .summaries
                        .extend(rows.into_iter().map(|row| (table, row)));
                }
                Some(Work::Rows(number)) => {
                    let (rows, holes) = self.source.rows_of("records", number);
                    batch.holes += holes;
                    for row in rows {
                        match Found::of(&row) {
                            Some(found) => batch.rows.push(found),
                            None => batch.holes += 1,
                        }
                    }
                }
                Some(Work::Strays(number)) => self.strays(number, &mut batch),
            }
        }
        batch.rows.sort_unstable_by_key(|row| row.id);
        batch
    }

    fn strays(&mut self, number: u32, batch: &mut Batch) {
        let image = self.source.image();
        if number < image.count() {
            self.work.push(Work::Strays(number + 1));
        }
        let is_leaf = |page: Vec<u8>| pages::is_table_leaf(&page, number);
        if !self.seen.contains(&number) && image.page(number).is_some_and(is_leaf) {
            // Rows of other tables are none of these.
            let (rows, _) = self.source.rows_of("records", number);
            batch.rows.extend(rows.iter().filter_map(Found::of));
        }
    }
}

/// What a row says whose own word for it cannot be read: that nothing vouches for its time.
const NOT_VOUCHED_FOR: &str = "{\"clock\":\"untrusted\"}";

impl Found {
    /// A row of `records`, if it can be one of ours.
    fn of(row: &Named) -> Option<Found> {
        let found = Found {
            id: integer(row, "id")?,
            timestamp: text(row, "timestamp")?,
            key: text(row, "key")?,
            value: match row.get("value")? {
                Value::Null => None,
                _ => Some(real(row, "value")?),
            },
            meta: match row.get("meta") {
                Some(Value::Null) => None,
                _ => Some(text(row, "meta").unwrap_or_else(|| NOT_VOUCHED_FOR.to_owned())),
            },
        };
        found.is_ours().then_some(found)
    }

    fn second(&self) -> Option<i64> {
        let second = self.timestamp.parse::<jiff::Timestamp>().ok()?.as_second();
        (self.timestamp.len() == 20).then_some(second)
    }

    fn is_ours(&self) -> bool {
        let is_value = self.value.is_none_or(f64::is_finite);
        let is_key = !self.key.is_empty() && self.key.len() <= limits::KEY_BYTES;
        let hour = self.second().map(|second| second.div_euclid(HOUR));
        let is_hour = hour.is_some_and(|hour| limits::HOURS.contains(&hour));
        is_value && is_key && is_hour && limits::IDS.contains(&self.id)
    }
}

/// Takes one row over, if it is not there; true if it was not.
fn take_over(
    transaction: &Transaction,
    tiers: &Tiers,
    changes: &mut RollupUpdate,
    row: &Found,
) -> rusqlite::Result<bool> {
    let Some(second) = row.second() else {
        return Ok(false);
    };
    let hour = second.div_euclid(HOUR);
    if hour < tiers.raw_from {
        return Ok(false);
    }
    let mut insert = transaction.prepare_cached(
        "INSERT OR IGNORE INTO records (id, timestamp, key, value, meta) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    if insert.execute(params![row.id, row.timestamp, row.key, row.value, row.meta])? == 0 {
        return Ok(false);
    }
    let k = number_of(transaction, &row.key)?;
    // Where the hour's own summary was recovered it counts this row already.
    let is_counted = read_hour(transaction, hour, k)?
        .is_some_and(|known| (known.first_id..=known.last_id).contains(&row.id));
    if !is_counted {
        debug_assert_eq!(second.rem_euclid(HOUR), second_of_hour(&row.timestamp));
        changes.correct(k, second, row.id);
    }
    Ok(true)
}

#[cfg(test)]
#[path = "tests/salvage.rs"]
mod tests;
