//! SQLite's file format, read page by page where the file is damaged.
//!
//! Pure: bytes in, rows out; any thread. Knows pages, trees, cells, records, overflow chains
//! and the write-ahead log (<https://www.sqlite.org/fileformat2.html>), and nothing of what is
//! stored. Every number in the bytes may be wrong: what does not fit is left out and counted,
//! nothing is followed twice, and nothing is larger than what holds it.

use std::collections::HashSet;

/// Where pages come from: a database with its log, or bytes.
pub trait PageSource {
    /// Bytes of a page.
    fn page_size(&self) -> usize;
    /// How many pages there are; the first has the number 1.
    fn count(&self) -> u32;
    /// A page, if it is there whole.
    fn page(&self, number: u32) -> Option<Vec<u8>>;
}

/// A value of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum RawValue {
    Null,
    Integer(i64),
    Real(f64),
    /// Not necessarily UTF-8.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

/// One row: its id (0 in a table without) and its values in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct RawRow {
    pub rowid: i64,
    pub cells: Vec<RawValue>,
}

/// The rows of one page.
#[derive(Debug, Default)]
pub struct PageRows {
    pub rows: Vec<RawRow>,
    /// Cells that could not be read.
    pub unreadable: u64,
}

/// The pages of a tree that hold rows.
#[derive(Debug, Default)]
pub struct TablePages {
    /// In the order of their keys.
    pub pages: Vec<u32>,
    /// Branches that could not be followed.
    pub unreadable: u64,
}

const INDEX_INTERIOR: u8 = 2;
const TABLE_INTERIOR: u8 = 5;
const INDEX_LEAF: u8 = 10;
const TABLE_LEAF: u8 = 13;

/// Levels of a tree: with two children a page, more than any file has.
const DEEPEST: usize = 24;
/// A record of ours is some hundred bytes; an alert's event some kilobytes.
const LONGEST_RECORD: u64 = 16 << 20;
/// Columns of a record.
const MOST_COLUMNS: usize = 64;

/// Whether a page is a leaf of a table with ids.
pub fn is_table_leaf(page: &[u8], number: u32) -> bool {
    page.get(header_at(number)) == Some(&TABLE_LEAF)
}

/// The page's header stands behind the file's own on the first page.
fn header_at(number: u32) -> usize {
    if number == 1 { 100 } else { 0 }
}

/// Walks the tree that begins at `root`. The pages of a table without ids hold rows on every
/// level, those of others in the leaves.
pub fn walk(pages: &impl PageSource, root: u32) -> TablePages {
    let mut tree = TablePages::default();
    let mut seen = HashSet::new();
    let mut open = vec![(root, 0)];
    while let Some((number, depth)) = open.pop() {
        if depth > DEEPEST || !seen.insert(number) {
            tree.unreadable += 1;
            continue;
        }
        let Some(page) = pages.page(number) else {
            tree.unreadable += 1;
            continue;
        };
        let at = header_at(number);
        match page.get(at) {
            Some(&(TABLE_LEAF | INDEX_LEAF)) => tree.pages.push(number),
            Some(&kind @ (TABLE_INTERIOR | INDEX_INTERIOR)) => {
                if kind == INDEX_INTERIOR {
                    tree.pages.push(number);
                }
                let mut children = Vec::new();
                for cell in pointers(&page, at, 12) {
                    match cell.and_then(|cell| big_endian(&page, cell, 4)) {
                        Some(child) => children.push(child),
                        None => tree.unreadable += 1,
                    }
                }
                children.extend(big_endian(&page, at + 8, 4));
                let children = children.into_iter().map(|child| child as u32);
                let children: Vec<u32> = children.collect();
                // All leaves are on one level, so that one tells of all, and none else is read.
                if are_leaves(pages, &children) {
                    for child in children {
                        if seen.insert(child) {
                            tree.pages.push(child);
                        } else {
                            tree.unreadable += 1;
                        }
                    }
                } else {
                    // The first child is taken next.
                    let children = children.into_iter().rev();
                    open.extend(children.map(|child| (child, depth + 1)));
                }
            }
            _ => tree.unreadable += 1,
        }
    }
    tree
}

/// By the first of these pages that can be read as one of a tree.
fn are_leaves(pages: &impl PageSource, children: &[u32]) -> bool {
    let kinds = children.iter().filter_map(|child| {
        let kind = *pages.page(*child)?.first()?;
        let is_interior = matches!(kind, TABLE_INTERIOR | INDEX_INTERIOR);
        (is_interior || matches!(kind, TABLE_LEAF | INDEX_LEAF)).then_some(!is_interior)
    });
    kinds.take(1).next().unwrap_or(false)
}

/// The rows of a page; one that holds none is unreadable.
pub fn rows(pages: &impl PageSource, number: u32) -> PageRows {
    let mut found = PageRows::default();
    let Some(page) = pages.page(number) else {
        found.unreadable += 1;
        return found;
    };
    let at = header_at(number);
    let kind = page.get(at).copied().unwrap_or(0);
    let header = match kind {
        TABLE_LEAF | INDEX_LEAF => 8,
        INDEX_INTERIOR => 12,
        _ => {
            found.unreadable += 1;
            return found;
        }
    };
    for cell in pointers(&page, at, header) {
        match cell.and_then(|cell| read_cell(pages, &page, cell, kind)) {
            Some(row) => found.rows.push(row),
            None => found.unreadable += 1,
        }
    }
    found
}

/// Where a page's cells begin; `None` for those that would lie outside of it.
fn pointers(page: &[u8], at: usize, header: usize) -> Vec<Option<usize>> {
    let count = big_endian(page, at + 3, 2).unwrap_or(0) as usize;
    let begin = at + header;
    // A pointer takes two bytes.
    let count = count.min(page.len().saturating_sub(begin) / 2);
    let pointer = |index: usize| {
        let cell = big_endian(page, begin + 2 * index, 2)? as usize;
        (cell >= begin + 2 * count && cell < page.len()).then_some(cell)
    };
    (0..count).map(pointer).collect()
}

fn read_cell(pages: &impl PageSource, page: &[u8], cell: usize, kind: u8) -> Option<RawRow> {
    let mut at = cell;
    if kind == INDEX_INTERIOR {
        at += 4;
    }
    let length = varint(page, &mut at)? as u64;
    let rowid = match kind {
        TABLE_LEAF => varint(page, &mut at)?,
        _ => 0,
    };
    let record = payload(pages, page, at, length, kind)?;
    Some(RawRow {
        rowid,
        cells: record_cells(&record)?,
    })
}

/// A cell's record, with what of it stands on overflow pages.
fn payload(
    pages: &impl PageSource,
    page: &[u8],
    at: usize,
    length: u64,
    kind: u8,
) -> Option<Vec<u8>> {
    if length > LONGEST_RECORD {
        return None;
    }
    let (length, usable) = (length as usize, pages.page_size());
    let smallest = (usable.checked_sub(12)?) * 32 / 255 - 23;
    let most = match kind {
        TABLE_LEAF => usable.checked_sub(35)?,
        _ => (usable.checked_sub(12)?) * 64 / 255 - 23,
    };
    if length <= most {
        return Some(page.get(at..at + length)?.to_vec());
    }
    let kept = smallest + (length - smallest) % (usable - 4);
    let local = if kept <= most { kept } else { smallest };
    let mut record = page.get(at..at + local)?.to_vec();
    let mut next = big_endian(page, at + local, 4)? as u32;
    // Each page adds something, so that even a circle comes to an end.
    while record.len() < length {
        let page = pages.page(next)?;
        next = big_endian(&page, 0, 4)? as u32;
        let rest = (length - record.len()).min(usable - 4);
        record.extend(page.get(4..4 + rest)?);
    }
    Some(record)
}

fn record_cells(record: &[u8]) -> Option<Vec<RawValue>> {
    let mut at = 0;
    let header = usize::try_from(varint(record, &mut at)?).ok()?;
    if header > record.len() {
        return None;
    }
    let mut body = header;
    let mut cells = Vec::new();
    while at < header {
        let kind = varint(record, &mut at)?;
        if at > header || cells.len() >= MOST_COLUMNS {
            return None;
        }
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            _ => return None,
        };
        let end = body.checked_add(length)?;
        let bytes = record.get(body..end)?;
        body = end;
        cells.push(match kind {
            0 => RawValue::Null,
            8 | 9 => RawValue::Integer(kind - 8),
            7 => RawValue::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
            1..=6 => RawValue::Integer(signed(bytes)),
            _ if kind % 2 == 0 => RawValue::Blob(bytes.to_vec()),
            _ => RawValue::Text(bytes.to_vec()),
        });
    }
    // Bytes that no column takes are those of another record.
    (body == record.len()).then_some(cells)
}

/// A signed number of one to eight bytes.
fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let begin = if negative { -1 } else { 0 };
    bytes
        .iter()
        .fold(begin, |sum, byte| (sum << 8) | i64::from(*byte))
}

/// SQLite's numbers of one to nine bytes.
fn varint(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut number: u64 = 0;
    for index in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if index == 8 {
            return Some(((number << 8) | u64::from(byte)) as i64);
        }
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number as i64)
}

fn big_endian(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let digits = bytes.get(at..at.checked_add(length)?)?;
    Some(
        digits
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
    )
}

/// The size of pages that a file's header names, if it can be one.
pub fn page_size(header: &[u8]) -> Option<usize> {
    let size = match big_endian(header, 16, 2)? {
        1 => 65_536,
        size => size as usize,
    };
    (size.is_power_of_two() && size >= 512).then_some(size)
}

/// The log as far as its checksums hold: of each page that a commit has written the place of
/// its newest bytes. Fed with the log's bytes in the order in which they stand.
pub struct WalScan {
    page_size: usize,
    salt: [u8; 8],
    is_big_endian: bool,
    sum: (u32, u32),
    /// Pages since the last commit.
    open: Vec<(u32, u64)>,
    /// Pages and where in the log they begin.
    pub committed: Vec<(u32, u64)>,
    /// How many pages the database had at the last commit.
    pub count: u32,
    at: u64,
}

pub const WAL_HEADER: usize = 32;
pub const FRAME_HEADER: usize = 24;

impl WalScan {
    /// From the WAL's first [`WAL_HEADER`] bytes; `None` if it is none.
    pub fn begin(header: &[u8]) -> Option<WalScan> {
        let magic = big_endian(header, 0, 4)?;
        if magic & !1 != 0x377f_0682 {
            return None;
        }
        let is_big_endian = magic & 1 == 1;
        let sum = checksum(is_big_endian, (0, 0), header.get(..24)?);
        let is_whole = big_endian(header, 24, 4)? == u64::from(sum.0)
            && big_endian(header, 28, 4)? == u64::from(sum.1);
        let page_size = big_endian(header, 8, 4)? as usize;
        let is_size = page_size.is_power_of_two() && (512..=65_536).contains(&page_size);
        (is_whole && is_size).then_some(WalScan {
            page_size,
            salt: header.get(16..24)?.try_into().ok()?,
            is_big_endian,
            sum,
            open: Vec::new(),
            committed: Vec::new(),
            count: 0,
            at: WAL_HEADER as u64,
        })
    }

    pub fn page_size(&self) -> usize {
        self.page_size
    }

    /// Takes the next frame; false if it is past the end of the WAL.
    pub fn push_frame(&mut self, frame: &[u8]) -> bool {
        self.try_take(frame).is_some()
    }

    fn try_take(&mut self, frame: &[u8]) -> Option<()> {
        if frame.len() != FRAME_HEADER + self.page_size || frame.get(8..16)? != self.salt {
            return None;
        }
        let sum = checksum(self.is_big_endian, self.sum, frame.get(..8)?);
        let sum = checksum(self.is_big_endian, sum, frame.get(FRAME_HEADER..)?);
        let is_whole = big_endian(frame, 16, 4)? == u64::from(sum.0)
            && big_endian(frame, 20, 4)? == u64::from(sum.1);
        if !is_whole {
            return None;
        }
        self.sum = sum;
        let number = big_endian(frame, 0, 4)? as u32;
        self.open.push((number, self.at + FRAME_HEADER as u64));
        self.at += frame.len() as u64;
        let count = big_endian(frame, 4, 4)? as u32;
        if count > 0 {
            self.count = count;
            self.committed.append(&mut self.open);
        }
        Some(())
    }
}

/// The checksum of the log's header and frames.
fn checksum(is_big_endian: bool, mut sum: (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let word = |bytes: &[u8]| {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if is_big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    };
    for pair in bytes.chunks_exact(8) {
        sum.0 = sum.0.wrapping_add(word(&pair[..4])).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(&pair[4..])).wrapping_add(sum.0);
    }
    sum
}

#[cfg(test)]
#[path = "tests/pages.rs"]
mod tests;
