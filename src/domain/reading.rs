//! Readings and issues: the result of one fetch of one source.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::text::{ellipsis, escape_controls, format_number};
use super::time::{Moment, Wall};
use crate::limits;

/// The value of a key: a finite number or a text. Booleans are 0 and 1.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    Text(Arc<str>),
}

impl Value {
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(_) => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Number(_) => None,
            Value::Text(text) => Some(text),
        }
    }
}

/// Shortest form that reads back as the same number: `21.4`, `1e300`, `21` (not `21.0`).
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => f.write_str(&format_number(*number)),
            Value::Text(text) => f.write_str(text),
        }
    }
}

/// Rounds a computed number to 12 significant digits, so that arithmetic noise
/// (`0.30000000000000004`) is not published as if it had been measured.
pub fn round_computed(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    format!("{number:.11e}").parse().unwrap_or(number)
}

/// One key's value, as one source gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    /// `missing` or `null` of the record gave it; nothing was measured.
    pub is_stated: bool,
    /// The response has a boolean there.
    pub is_boolean: bool,
    /// Its own time, where it is not that of the whole response.
    pub observed: Option<Wall>,
}

/// The elements of a response that give one key values with times of their own: a forecast, or
/// a list of what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub key: Arc<str>,
    pub unit: Option<Arc<str>>,
    pub shown: ShownElement,
    /// In the order of their times, each time once.
    pub elements: Vec<TimedValue>,
}

impl Series {
    /// The element that is the value at `now`.
    pub fn shown_at(&self, now: Wall) -> Option<&TimedValue> {
        let begun = self.elements.partition_point(|it| it.start <= now);
        let newest = self.elements.get(begun.checked_sub(1)?)?;
        let is_shown = match self.shown {
            ShownElement::Current => newest.end.is_none_or(|end| now < end),
            ShownElement::Newest => true,
        };
        is_shown.then_some(newest)
    }
}

/// The value of one element.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedValue {
    /// When it was observed, or from when on it holds.
    pub start: Wall,
    /// Until when it holds, exclusively: the start of the next element, or what the element says
    /// itself. `None` where neither is known.
    pub end: Option<Wall>,
    pub value: Value,
    /// `missing` or `null` of the record gave it; nothing was measured.
    pub is_stated: bool,
}

/// Which element of a series is the record's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownElement {
    /// The one whose interval contains now (`now`).
    Current,
    /// The newest one that is not ahead of now (`element_time`).
    Newest,
}

/// Something in a response that cost one field, or that the source's description did not
/// promise; never the whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    pub reason: Reason,
    /// The key that is without a reading for it, where one is concerned.
    pub key: Option<Arc<str>>,
    /// RFC 6901 JSON Pointer into the response, or the JSONPath that found no value or several.
    pub pointer: String,
    pub expected: String,
    /// What stood there, shortened.
    pub found: String,
}

impl Issue {
    /// Cuts and escapes what an answer's own names make of it: they may be as long as the answer,
    /// and have any character.
    pub fn shorten(&mut self) {
        for text in [&mut self.pointer, &mut self.expected, &mut self.found] {
            *text = escape_controls(&ellipsis(text, limits::POINTER_CHARS));
        }
        self.key = self.key.take().filter(|key| key.len() <= limits::KEY_BYTES);
    }
}

/// Why a field gave no reading; the labels of `records_rejected_total{reason}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nothing at that pointer, or null.
    Missing,
    /// Another type than was asked for.
    WrongType,
    /// Outside `min` and `max`.
    OutOfRange,
    /// A number that cannot be held, or that scaling made infinite.
    NotFinite,
    /// More records than the node takes, or values where one is expected.
    TooMany,
    /// A second source provides this key and no merge rule is configured.
    DuplicateKey,
    /// The response is not what the OpenAPI file declares.
    Drift,
    /// The source's own time cannot be read.
    BadTime,
}

impl Reason {
    pub const ALL: [Reason; 8] = [
        Reason::Missing,
        Reason::WrongType,
        Reason::OutOfRange,
        Reason::NotFinite,
        Reason::TooMany,
        Reason::DuplicateKey,
        Reason::Drift,
        Reason::BadTime,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Reason::Missing => "missing",
            Reason::WrongType => "wrong_type",
            Reason::OutOfRange => "out_of_range",
            Reason::NotFinite => "not_finite",
            Reason::TooMany => "too_many",
            Reason::DuplicateKey => "duplicate_key",
            Reason::Drift => "schema",
            Reason::BadTime => "bad_time",
        }
    }
}

impl Issue {
    /// Whether both report the same about the same place, whatever the value.
    pub fn is_about_the_same(&self, other: &Issue) -> bool {
        let about = |issue: &Issue| (issue.reason, issue.pointer.clone(), issue.expected.clone());
        about(self) == about(other)
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = match self.pointer.as_str() {
            "" => "the whole response",
            pointer => pointer,
        };
        write!(
            f,
            "{}: {pointer}: expected {}, found {}",
            self.reason.name(),
            self.expected,
            self.found
        )
    }
}

/// One attempt to fetch one source: what the fetch thread hands to `ingest`.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Index of the source in the plan.
    pub source: usize,
    /// When the response was whole, or the attempt had failed.
    pub at: Moment,
    /// From the start of the attempt until `at`.
    pub duration: Duration,
    /// Bytes of the body after decompression.
    pub bytes: u64,
    pub outcome: FetchOutcome,
    /// When the thread will try again.
    pub next_in: Duration,
    /// The wait that the server ordered with this answer, as far as it is obeyed.
    pub server_wait: Duration,
    /// A notice where the source waited for a connection to its server, a whole interval
    /// or longer.
    pub late_notice: Option<Arc<str>>,
    /// Intervals that passed so since the attempt before.
    pub skipped_polls: u64,
    /// What another main-node reports about itself, where the source is one.
    pub upstream: Option<Arc<UpstreamNode>>,
}

/// What an upstream node reports about itself and its records. Its staleness counts: it knows
/// its sources and how often it polls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamNode {
    pub node: Arc<str>,
    /// The nodes that the data came through, the upstream node last: `via` of this node.
    pub via: Vec<Arc<str>>,
    /// A short text while an alert is open there.
    pub alert: Option<Arc<str>>,
    pub records: BTreeMap<Arc<str>, UpstreamRecord>,
    /// Of the keys that it says anything of.
    pub labels: UpstreamLabels,
}

pub type UpstreamLabels = BTreeMap<Arc<str>, UpstreamLabel>;

/// How an upstream node shows one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamLabel {
    pub label: Option<Arc<str>>,
    pub decimals: Option<u8>,
    /// Whether another key there has the label too, so that it names neither.
    pub is_shared: bool,
}

/// What an upstream node reports about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamRecord {
    pub observed: Wall,
    pub stale: bool,
}

/// How the attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum FetchOutcome {
    /// At least one reading or element.
    Readings {
        /// The source's own time, where it says one.
        observed: Option<Wall>,
        readings: Vec<Reading>,
        /// Keys whose elements have times of their own; a key is in one of the two lists.
        series: Vec<Series>,
        issues: Vec<Issue>,
    },
    /// 304: the last response still holds.
    Unchanged,
    /// A valid answer with nothing in it, as `[]` of a list of warnings.
    Empty,
    /// No reading; issues say why where the response came that far.
    Failed {
        failure: Failure,
        issues: Vec<Issue>,
    },
}

impl FetchOutcome {
    /// Whether the response gave readings, or confirmed the last ones.
    pub fn is_usable(&self) -> bool {
        match self {
            FetchOutcome::Readings { .. } | FetchOutcome::Unchanged => true,
            FetchOutcome::Empty | FetchOutcome::Failed { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computed_numbers_keep_twelve_digits() {
        assert_eq!(round_computed(0.1 + 0.2), 0.3);
        assert_eq!(round_computed(33.300_000_000_000_004), 33.3);
        assert_eq!(
            round_computed(-1.234_567_890_123_456e-200),
            -1.234_567_890_12e-200
        );
        assert_eq!(round_computed(f64::MAX), 1.797_693_134_86e308);
    }
}
