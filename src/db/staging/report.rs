//! What was found in the input of an import: how much is staged, what is left out and why.
//!
//! Values; any thread.

use std::fmt;

use super::staged_file::StagedCounts;
use crate::domain::text::{count_noun, ellipsis, escape_controls};
use crate::domain::time::Wall;
use crate::limits;

/// What a staged file holds, and what it does not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StageReport {
    /// What the input is: `CSV`, `the table records of an SQLite file`.
    pub kind: String,
    /// Rows or lines of the input, summaries included.
    pub read: u64,
    /// What the staged file holds: of several rows with the same key and second, one.
    pub staged: StagedCounts,
    /// Time of the oldest and of the newest staged row or summary.
    pub span: Option<(Wall, Wall)>,
    pub skipped: Vec<Skipped>,
    /// Keys whose rows have different units, and two of them: all would be stored in the last one.
    pub mixed_units: Vec<String>,
    /// What else people should know, each a sentence without its full stop.
    pub notes: Vec<String>,
}

/// Rows that are left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub reason: SkipReason,
    pub count: u64,
    /// The first of them: where it is, and what stood there.
    pub example: String,
}

/// Why a row is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    BrokenLine,
    BadTime,
    ShortYear,
    OutsideCalendar,
    AheadOfClock,
    NoKey,
    BadKey,
    TooManyKeys,
    NoValue,
    NotFinite,
    AmbiguousNumber,
    WrongType,
    NotUtf8,
    BadSummary,
}

impl SkipReason {
    /// What such rows are, to follow their number.
    pub fn text(self) -> String {
        match self {
            SkipReason::BrokenLine => {
                "with fields too many or too few, or that are no JSON".to_owned()
            }
            SkipReason::BadTime => "whose time cannot be read".to_owned(),
            SkipReason::ShortYear => {
                "whose time cannot be read: write the year with four digits".to_owned()
            }
            SkipReason::OutsideCalendar => "before 1970 or after 9999".to_owned(),
            SkipReason::AheadOfClock => "ahead of this machine's clock".to_owned(),
            SkipReason::NoKey => "without a key".to_owned(),
            SkipReason::BadKey => format!(
                "whose key has control characters or more than {} bytes",
                limits::KEY_BYTES
            ),
            SkipReason::TooManyKeys => {
                format!("of more than {} different keys", limits::IMPORT_KEYS)
            }
            SkipReason::NoValue => "without a value".to_owned(),
            SkipReason::NotFinite => "whose value is infinite or NaN".to_owned(),
            SkipReason::AmbiguousNumber => {
                "whose number may be two, 1.236 or 1236: say --decimal . or --decimal ,".to_owned()
            }
            SkipReason::WrongType => "whose value is neither a number nor a text".to_owned(),
            SkipReason::NotUtf8 => {
                "with text that is not UTF-8: convert the file, one of Windows with \
                 `iconv -f WINDOWS-1252 -t UTF-8 FILE`"
                    .to_owned()
            }
            SkipReason::BadSummary => {
                "that sum up no whole hour or day of UTC, or contradict themselves".to_owned()
            }
        }
    }
}

impl StageReport {
    /// Counts a row that is left out.
    pub fn skip(&mut self, reason: SkipReason, found: impl FnOnce() -> String) {
        match self.skipped.iter_mut().find(|it| it.reason == reason) {
            Some(skipped) => skipped.count += 1,
            None => self.skipped.push(Skipped {
                reason,
                count: 1,
                example: self::example(&found()),
            }),
        }
    }

    /// A note on rows, if there are any.
    pub fn note(&mut self, rows: u64, text: &str) {
        if rows > 0 {
            self.notes.push(format!("{} {text}", noun(rows, "row")));
        }
    }
}

/// Something of the input, on one line and short.
pub fn example(found: &str) -> String {
    escape_controls(&ellipsis(found, limits::SAMPLE_CHARS))
}

fn noun(count: u64, what: &str) -> String {
    count_noun(usize::try_from(count).unwrap_or(usize::MAX), what)
}

/// For people: a line for each thing.
impl fmt::Display for StageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} read from {}", noun(self.read, "row"), self.kind)?;
        let staged = &self.staged;
        let mut parts = Vec::new();
        for (count, what) in [
            (staged.rows, "reading"),
            (staged.hours, "summarised hour"),
            (staged.days, "summarised day"),
        ] {
            if count > 0 {
                parts.push(noun(count, what));
            }
        }
        match self.span {
            Some((first, last)) if !parts.is_empty() => writeln!(
                f,
                "{} of {}, from {first} to {last}",
                parts.join(", "),
                noun(staged.keys, "key")
            )?,
            _ => writeln!(f, "nothing that can be imported")?,
        }
        for skipped in &self.skipped {
            writeln!(
                f,
                "left out: {} {} ({})",
                noun(skipped.count, "row"),
                skipped.reason.text(),
                skipped.example
            )?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
