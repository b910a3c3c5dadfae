//! Registry of the database files that this process has open for writing, of the readers'
//! connections beside them, and of damage that readers have met.
//!
//! Any thread. SQLite keeps such a table itself, by inode: connections of one process share
//! the index of the log. So no reader may open what was put at the path before the writer has
//! let go of the old files, and readers have to close before the writer can.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, Weak};

use rusqlite::{Connection, ffi};

use super::file::{self, DatabaseFiles};
use crate::sys::sync::Mutex;

/// A reader's connection, and the files that it was opened on.
pub type ReaderSlot = Mutex<Option<(DatabaseFiles, Connection)>>;

struct Registry {
    written: Vec<(u64, PathBuf, DatabaseFiles)>,
    readers: Vec<(PathBuf, Weak<ReaderSlot>)>,
    /// Databases in which a reader has met damage.
    damaged: Vec<PathBuf>,
    next: u64,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    written: Vec::new(),
    readers: Vec::new(),
    damaged: Vec::new(),
    next: 0,
});

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock()
}

/// An entry for files that are open for writing; goes with its owner.
#[derive(Debug)]
pub struct OpenFilesGuard(u64);

impl OpenFilesGuard {
    pub fn register(path: &Path, files: DatabaseFiles) -> OpenFilesGuard {
        let mut registered = registry();
        registered.next += 1;
        let number = registered.next;
        registered.written.push((number, path.to_owned(), files));
        OpenFilesGuard(number)
    }
}

impl Drop for OpenFilesGuard {
    fn drop(&mut self) {
        registry().written.retain(|(number, ..)| *number != self.0);
    }
}

/// A new place for a reader's connection to the database at `path`.
pub fn reader_slot(path: &Path) -> Arc<ReaderSlot> {
    let slot = Arc::new(Mutex::new(None));
    let mut registered = registry();
    registered
        .readers
        .retain(|(_, slot)| slot.strong_count() > 0);
    registered
        .readers
        .push((path.to_owned(), Arc::downgrade(&slot)));
    slot
}

/// Closes the readers' connections to the database at `path`; false while one is reading.
pub fn close_readers(path: &Path) -> bool {
    let slots: Vec<Arc<ReaderSlot>> = registry()
        .readers
        .iter()
        .filter(|(read, _)| read == path)
        .filter_map(|(_, slot)| slot.upgrade())
        .collect();
    slots.iter().all(|slot| match slot.try_lock() {
        Some(mut open) => {
            *open = None;
            true
        }
        None => false,
    })
}

/// Tells the writer of the database at `path` that a reader has met damage in it: the writer
/// may never read that page.
pub fn report_damage(path: &Path) {
    let mut registered = registry();
    let is_open = registered.written.iter().any(|(_, at, _)| at == path);
    if is_open && !registered.damaged.iter().any(|damaged| damaged == path) {
        registered.damaged.push(path.to_owned());
    }
}

/// Whether damage was reported since this was last asked.
pub fn take_damage(path: &Path) -> bool {
    let mut registered = registry();
    let before = registered.damaged.len();
    registered.damaged.retain(|damaged| damaged != path);
    registered.damaged.len() < before
}

/// Refuses to open files that stand at `path` in the place of those that the writer has open.
pub fn check_not_replaced(path: &Path) -> rusqlite::Result<()> {
    let found = DatabaseFiles::at(path, &file::without_links(path));
    let registered = registry();
    let mut open = registered.written.iter().filter(|(_, at, _)| at == path);
    let is_known = |(_, _, files): &(u64, PathBuf, DatabaseFiles)| *files == found;
    if open.clone().next().is_none() || open.any(is_known) {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_PROTOCOL),
        Some("its file was replaced; the new file is opened in a moment".to_owned()),
    ))
}
