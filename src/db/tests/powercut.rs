//! Power cuts: what the card may hold when the power fails between two writes.
//!
//! A VFS between SQLite and the system's keeps account of every write and every sync. From
//! that account images are made: all that was synced, and of the rest any part, sectors
//! torn. Each is opened and must hold every fetch that was reported as committed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, ffi};

use super::connection;
use super::database::Database;
use super::progress::Progress;
use super::retention::policy::{RetentionPolicy, RetentionTimes, step};
use super::test_support::{Dice, Directory, T0, database, entries, row};
use crate::domain::time::Wall;

const READINGS: i64 = 50;
const SECTOR: usize = 512;

/// What happened, in order.
enum Event {
    Write(String, u64, Vec<u8>),
    Truncate(String, u64),
    Sync(String),
    Delete(String),
    /// The store was told that this fetch is committed.
    Committed(i64),
}

/// The methods of the file below, by the file's address, with the file's name.
type Below = BTreeMap<usize, (*const ffi::sqlite3_io_methods, String)>;

thread_local! {
    static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
    static BELOW: RefCell<Below> = const { RefCell::new(BTreeMap::new()) };
}

fn note(event: Event) {
    EVENTS.with_borrow_mut(|events| events.push(event));
}

fn below(file: *mut ffi::sqlite3_file) -> (*const ffi::sqlite3_io_methods, String) {
    let key = file as usize;
    BELOW.with_borrow(|below| below.get(&key).cloned().expect("it was opened here"))
}

/// Registers the VFS under a name of its own; connections that ask for it are kept account of.
fn register() -> &'static CStr {
    const NAME: &CStr = c"power-cut";
    // SAFETY: the system's VFS is a valid one for the life of the process; the copy differs
    // in its name and in two functions that call the original's.
    unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        let mut vfs = std::ptr::read(system);
        vfs.zName = NAME.as_ptr();
        vfs.pNext = std::ptr::null_mut();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        let code = ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0);
        assert_eq!(code, ffi::SQLITE_OK);
    }
    NAME
}

fn system() -> &'static ffi::sqlite3_vfs {
    // SAFETY: the system's VFS is never unregistered.
    unsafe { &*ffi::sqlite3_vfs_find(std::ptr::null()) }
}

unsafe fn name(path: *const c_char) -> String {
    // SAFETY: SQLite hands in a terminated string.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy();
    let name = path.rsplit('/').next().unwrap_or(&path);
    name.to_owned()
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: the arguments are SQLite's own; the file's methods, once it is open, are
    // replaced by a copy that differs in four functions which call the original's.
    unsafe {
        let code = system().xOpen.expect("it opens")(vfs, path, file, flags, out);
        if code == ffi::SQLITE_OK && !path.is_null() {
            let original = (*file).pMethods;
            BELOW.with_borrow_mut(|below| below.insert(file as usize, (original, name(path))));
            let mut methods = std::ptr::read(original);
            methods.xWrite = Some(write);
            methods.xTruncate = Some(truncate);
            methods.xSync = Some(sync);
            methods.xClose = Some(close);
            (*file).pMethods = Box::leak(Box::new(methods));
        }
        code
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, path: *const c_char, sync: c_int) -> c_int {
    // SAFETY: the arguments are SQLite's own.
    unsafe {
        note(Event::Delete(name(path)));
        system().xDelete.expect("it deletes")(vfs, path, sync)
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    length: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let (methods, name) = below(file);
    // SAFETY: SQLite hands in `length` readable bytes; the method is the file's own.
    unsafe {
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), length as usize);
        note(Event::Write(name, offset as u64, bytes.to_vec()));
        (*methods).xWrite.expect("it writes")(file, data, length, offset)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    let (methods, name) = below(file);
    note(Event::Truncate(name, size as u64));
    // SAFETY: the method is the file's own.
    unsafe { (*methods).xTruncate.expect("it truncates")(file, size) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let (methods, name) = below(file);
    note(Event::Sync(name));
    // SAFETY: the method is the file's own.
    unsafe { (*methods).xSync.expect("it syncs")(file, flags) }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let (methods, _) = below(file);
    // SAFETY: the method is the file's own.
    unsafe { (*methods).xClose.expect("it closes")(file) }
}

/// The files of a card, as far as is certain or, after a cut, as it came.
type Card = BTreeMap<String, Vec<u8>>;

fn apply(card: &mut Card, event: &Event) {
    match event {
        Event::Write(name, offset, bytes) => {
            let file = card.entry(name.clone()).or_default();
            let (begin, end) = (*offset as usize, *offset as usize + bytes.len());
            file.resize(file.len().max(end), 0);
            file[begin..end].copy_from_slice(bytes);
        }
        Event::Truncate(name, size) => {
            card.entry(name.clone())
                .or_default()
                .resize(*size as usize, 0);
        }
        Event::Delete(name) => {
            card.remove(name);
        }
        Event::Sync(_) | Event::Committed(_) => {}
    }
}

/// Applies some of a write: each of its sectors or not.
fn tear(card: &mut Card, name: &str, offset: u64, bytes: &[u8], dice: &mut Dice) {
    let mut begin = 0;
    while begin < bytes.len() {
        let at = offset as usize + begin;
        let end = bytes.len().min(begin + SECTOR - at % SECTOR);
        if dice.below(2) == 0 {
            let part = Event::Write(name.to_owned(), at as u64, bytes[begin..end].to_vec());
            apply(card, &part);
        }
        begin = end;
    }
}

/// What the card may hold if the power fails after `events`.
fn cut(before: &Card, events: &[Event], dice: &mut Dice) -> Card {
    let mut card = before.clone();
    let is_synced = |at: usize, name: &str| {
        let mut later = events[at..].iter();
        later.any(|event| matches!(event, Event::Sync(synced) if synced == name))
    };
    let lottery = dice.below(4);
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Write(name, offset, bytes) if !is_synced(at, name) => {
                match (lottery, dice.below(3)) {
                    // Nothing that was not synced, all of it, or any of it.
                    (0, _) | (2 | 3, 0) => {}
                    (1, _) | (2 | 3, 1) => apply(&mut card, event),
                    _ => tear(&mut card, name, *offset, bytes, dice),
                }
            }
            Event::Truncate(name, _) if !is_synced(at, name) => {
                if dice.below(2) == 0 {
                    apply(&mut card, event);
                }
            }
            event => apply(&mut card, event),
        }
    }
    card
}

fn open_through(path: &Path, vfs: &CStr) -> Database {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(path, flags, vfs).expect("it opens");
    connection::configure(&connection).expect("it can be tuned");
    // So small a log that images meet every state of taking it in.
    connection
        .pragma_update(None, "wal_autocheckpoint", 40)
        .expect("it can be set");
    Database::load(connection, path, "this-boot").expect("it can be read")
}

/// How many images to open.
const IMAGES: &str = "MAIN_NODE_TEST_POWER_CUTS";

#[test]
fn a_power_cut_at_any_moment_costs_no_committed_fetch() {
    let images = std::env::var(IMAGES).ok();
    let images: u32 = images.and_then(|images| images.parse().ok()).unwrap_or(60);
    let directory = Directory::new();
    let path = directory.path("a.db");
    let begin = T0.div_euclid(86_400) * 86_400;
    drop(database(&path));
    let read = |name: &str| std::fs::read(directory.path(name)).ok();
    let before: Card = ["a.db", "a.db-wal"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), read(name)?)))
        .collect();
    let mut database = open_through(&path, register());
    let kept = RetentionPolicy {
        raw: std::time::Duration::from_secs(3 * 3_600),
        ..RetentionPolicy::default()
    };
    for fetch in 1..=150 {
        let second = begin + fetch * 600;
        let rows = (0..READINGS).map(|key| row(&format!("key.{key}"), second, fetch as f64));
        database
            .commit(&entries(rows), i64::MIN)
            .expect("it is committed");
        note(Event::Committed(fetch));
        while step(
            &mut database,
            &kept,
            RetentionTimes::exact(Wall::from_second(second)),
        )
        .expect("a step")
            == Progress::More
        {}
    }
    // Closing would sync all; the power fails before.
    std::mem::forget(database);
    let events = EVENTS.take();
    let mut dice = Dice(23);
    for image in 0..images {
        let length = dice.below(events.len() as u64 + 1) as usize;
        let card = cut(&before, &events[..length], &mut dice);
        let known = events[..length].iter().rev().find_map(|event| match event {
            Event::Committed(fetch) => Some(*fetch),
            _ => None,
        });
        check(&card, known.unwrap_or(0), image);
    }
}

fn check(card: &Card, known: i64, image: u32) {
    let directory = Directory::new();
    for (name, bytes) in card {
        std::fs::write(directory.path(name), bytes).expect("a file can be written");
    }
    let path: PathBuf = directory.path("a.db");
    let database = database(&path);
    let one = |sql: &str| -> i64 {
        let one = database
            .connection()
            .query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        one.expect("it can be asked").unwrap_or(0)
    };
    let verdict: String = database
        .connection()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(verdict, "ok", "image {image}");
    let newest = one("SELECT CAST(max(value) AS INTEGER) FROM latest");
    assert!(
        newest >= known,
        "image {image}: {known} was committed, {newest} is there"
    );
    let observed = one("SELECT sum(count) FROM hourly");
    assert_eq!(observed, newest * READINGS, "image {image}: whole fetches");
    // Retention takes the oldest away bit by bit, and nothing from between.
    let rows = one("SELECT count(*) FROM records");
    let last = one("SELECT max(id) FROM records");
    let first = one("SELECT min(id) FROM records");
    if rows > 0 {
        assert_eq!(rows, last - first + 1, "image {image}: no hole");
        assert_eq!(last, newest * READINGS, "image {image}: to the newest");
        let kept = one("SELECT (SELECT value FROM node WHERE name = 'raw_from')") * 3_600;
        let kept = Wall::from_second(kept).to_string();
        let sql = format!(
            "SELECT sum(count) - (SELECT count(*) FROM records WHERE timestamp >= '{kept}') \
             FROM hourly WHERE hour >= coalesce((SELECT value FROM node WHERE name = 'raw_from'), 0)"
        );
        assert_eq!(one(&sql), 0, "image {image}: hours that are kept are whole");
    }
}
