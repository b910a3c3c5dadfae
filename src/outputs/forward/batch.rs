//! Lines of one write request, of which each can be told apart.

use std::ops::Range;

use super::line_protocol::{LineFormat, LinePoint};
use crate::limits;

/// A bounded number of lines.
#[derive(Default)]
pub struct LineBatch {
    text: String,
    /// Where each line ends.
    ends: Vec<usize>,
    /// Rows up to this id are in it, or need not be.
    pub through: i64,
}

impl LineBatch {
    /// One without lines, behind a row.
    pub fn at(through: i64) -> LineBatch {
        LineBatch {
            through,
            ..LineBatch::default()
        }
    }

    pub fn push(&mut self, format: &LineFormat, point: &LinePoint<'_>) {
        format.push(&mut self.text, point);
        self.ends.push(self.text.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether nothing more should come into it; a line that is too long alone is sent alone.
    pub fn is_full(&self, rows: usize) -> bool {
        self.ends.len() >= rows || self.text.len() >= limits::FORWARD_BATCH_BYTES
    }

    pub fn lines(&self, range: &Range<usize>) -> &str {
        let begin = match range.start {
            0 => 0,
            start => self.ends.get(start - 1).copied().unwrap_or(0),
        };
        let end = match range.end {
            0 => 0,
            end => self.ends.get(end - 1).copied().unwrap_or(begin),
        };
        self.text.get(begin..end).unwrap_or_default()
    }
}
