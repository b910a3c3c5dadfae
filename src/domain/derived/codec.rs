//! Window state as bytes: what a restart needs to go on without reading all rows again.
//!
//! Numbers are little-endian, eight bytes each, the last a checksum of the others. What does not
//! decode is no loss: the window is built of the rows again.

use super::WindowRule;
use super::buckets::{Buckets, WindowBucket, WindowSums};
use super::row::{Row, WindowRow};
use super::window::Window;
use crate::limits;

/// Changes with the format.
const VERSION: i64 = 1;
/// Stands for a second that there is none of.
const NONE: i64 = i64::MAX;

impl Window {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |number: i64| bytes.extend(number.to_le_bytes());
        let float = |number: f64| number.to_bits().cast_signed();
        put(VERSION);
        put(self.wanted.unwrap_or(NONE));
        put(self.summed_until.unwrap_or(NONE));
        let before = self.before;
        put(before.map_or(NONE, |it| it.second));
        put(float(before.map_or(0.0, |it| it.value)));
        put(self.buckets.0.len() as i64);
        for bucket in &self.buckets.0 {
            let sums = &bucket.sums;
            let rows = sums.rows.cast_signed();
            let integers = [
                bucket.first,
                bucket.last.second,
                bucket.until,
                rows,
                sums.covered,
            ];
            let floats = [bucket.last.value, sums.total, sums.min, sums.max];
            integers
                .into_iter()
                .chain(floats.map(float))
                .for_each(&mut put);
        }
        put(self.rows.len() as i64);
        for row in &self.rows {
            put(row.row.second);
            put(float(row.row.value));
        }
        let sum = checksum(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    /// The window that was encoded; `None` if it cannot be read.
    pub fn decode(rule: WindowRule, bytes: &[u8]) -> Option<Window> {
        let (bytes, sum) = bytes.split_last_chunk()?;
        if checksum(bytes) != u64::from_le_bytes(*sum) {
            return None;
        }
        let mut reader = StateReader { bytes };
        if reader.integer()? != VERSION {
            return None;
        }
        let mut window = Window::new(rule);
        window.wanted = reader.second()?;
        window.summed_until = reader.second()?;
        let (second, value) = (reader.second()?, reader.float()?);
        window.before = second.map(|second| Row { second, value });
        let mut buckets = Buckets::default();
        for _ in 0..reader.count(limits::WINDOW_BUCKETS)? {
            let bucket = reader.bucket()?;
            let before = buckets.0.back().map_or(i64::MIN, |it| it.last.second);
            let is_in_order = before < bucket.first && bucket.first <= bucket.last.second;
            if !is_in_order || window.summed_until.is_none_or(|it| bucket.last.second > it) {
                return None;
            }
            buckets.0.push_back(bucket);
        }
        window.buckets = buckets;
        let mut last = window.summed_until.unwrap_or(i64::MIN);
        for _ in 0..reader.count(limits::WINDOW_ROWS)? {
            let (second, value) = (reader.integer()?, reader.finite()?);
            if second <= last {
                return None;
            }
            last = second;
            window.rows.push(WindowRow::new(Row { second, value }));
        }
        window.evaluate(0);
        reader.bytes.is_empty().then_some(window)
    }
}

/// FNV-1a: finds what a card has changed.
fn checksum(bytes: &[u8]) -> u64 {
    let add = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

/// Reads numbers from the begin of what is left.
struct StateReader<'a> {
    bytes: &'a [u8],
}

impl StateReader<'_> {
    fn integer(&mut self) -> Option<i64> {
        let (number, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(i64::from_le_bytes(*number))
    }

    fn second(&mut self) -> Option<Option<i64>> {
        Some(Some(self.integer()?).filter(|second| *second != NONE))
    }

    fn float(&mut self) -> Option<f64> {
        Some(f64::from_bits(self.integer()?.cast_unsigned()))
    }

    fn finite(&mut self) -> Option<f64> {
        self.float().filter(|number| number.is_finite())
    }

    fn count(&mut self, most: usize) -> Option<usize> {
        usize::try_from(self.integer()?)
            .ok()
            .filter(|it| *it <= most)
    }

    fn bucket(&mut self) -> Option<WindowBucket> {
        let (first, second, until) = (self.integer()?, self.integer()?, self.integer()?);
        let (rows, covered) = (self.integer()?, self.integer()?);
        let value = self.finite()?;
        let sums = WindowSums {
            rows: u64::try_from(rows).ok()?,
            covered,
            total: self.float()?,
            min: self.finite()?,
            max: self.finite()?,
        };
        Some(WindowBucket {
            first,
            last: Row { second, value },
            until,
            sums,
        })
    }
}
