//! How large a description may be: bytes of its files, and memory that reading it takes; and where its
//! files may lie.
//!
//! Memory is counted, not measured: what is about to be allocated is counted first, by its size
//! and what an allocator adds, so that the same file has the same outcome on every machine, and
//! a limit that is exceeded is a message instead of a killed process. The count is never below
//! what is really allocated (`tests/memory.rs`).

use std::cell::Cell;

use crate::lower::tree::{Entry, MAX_UNSORTED, Node, Position};

/// A limit that is exceeded ends the reading with `Failure::is_over_limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files of a description together.
    pub file_bytes: u64,
    /// Bytes of heap, from reading the files to the compact text.
    pub memory_bytes: usize,
    /// Whether a `$ref` reaches only files in the directory of the description and below: it comes from
    /// elsewhere, and who reads it may be root.
    pub is_confined: bool,
}

impl Limits {
    /// Those of `cargo codegen`, which runs where programs are built: GitHub's file is 13 MB,
    /// nobody's is this.
    pub const CODEGEN: Limits = Limits {
        file_bytes: 128 * 1024 * 1024,
        memory_bytes: usize::MAX,
        is_confined: false,
    };
}

/// Bytes of heap in use, and where in a file they became too many.
///
/// Once they did, `take` answers false for ever: whoever sees that stops, and the caller asks
/// `exceeded_at`.
#[derive(Debug)]
pub struct Memory {
    limit: usize,
    used: Cell<usize>,
    most: Cell<usize>,
    exceeded_at: Cell<Option<Position>>,
}

impl Memory {
    pub fn new(limit: usize) -> Memory {
        Memory {
            limit,
            used: Cell::new(0),
            most: Cell::new(0),
            exceeded_at: Cell::new(None),
        }
    }

    /// Counts bytes that are about to be allocated; false if they are too many.
    pub fn take(&self, bytes: usize, place: Position) -> bool {
        let used = self.used.get().saturating_add(bytes);
        self.used.set(used);
        self.most.set(used.max(self.most.get()));
        if used > self.limit && !self.is_exceeded() {
            self.exceeded_at.set(Some(place));
        }
        !self.is_exceeded()
    }

    /// Counts bytes that were freed.
    pub fn give_back(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
    }

    pub fn is_exceeded(&self) -> bool {
        self.exceeded_at.get().is_some()
    }

    pub fn exceeded_at(&self) -> Option<Position> {
        self.exceeded_at.get()
    }

    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// The most that was in use at once.
    pub fn most(&self) -> usize {
        self.most.get()
    }
}

/// What one allocation of so many bytes takes of the heap.
pub const fn heap(bytes: usize) -> usize {
    if bytes == 0 {
        return 0;
    }
    let rounded = bytes.saturating_add(8 + 15) / 16 * 16;
    if rounded < 32 { 32 } else { rounded }
}

/// An entry of a `HashMap` or `HashSet`, which doubles and lies in both places meanwhile.
pub const fn hashed(size: usize) -> usize {
    (size + 1) * 4
}

/// The children of an open list or map: what is counted before they are put in.
pub const OPEN: usize = heap(4 * size_of::<Entry>()) + 64;
/// The same of each child, while the list doubles and lies in both places.
pub const ITEM: usize = 3 * size_of::<Node>();
/// Likewise of a map, whose entries are sorted.
pub const ENTRY: usize = 3 * size_of::<Entry>() + 8;

/// The children of a closed list.
pub const fn list(count: usize) -> usize {
    heap(count * size_of::<Node>())
}

/// The children of a closed map, and the order of many.
pub const fn map(count: usize) -> usize {
    let order = if count > MAX_UNSORTED {
        32 + heap(count * 4)
    } else {
        0
    };
    heap(count * size_of::<Entry>()) + order
}

/// Bytes for a message: `2.0 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_add(50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
