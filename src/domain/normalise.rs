//! Normalisation of a response to readings and issues.
//!
//! Lenient by rule: what is wrong costs its field and is reported; the response is lost
//! only when no reading survives. Nothing here trusts the response's size: what is taken
//! is bounded by `limits`.

mod advice;
mod aggregate;
mod all_leaves;
mod combined;
mod conversion;
mod element_times;
mod elements;
mod key_template;
mod missing;
mod number;
mod record_origins;
mod selected;
mod series;
mod time;

pub use advice::number_option;
pub use key_template::{problem as key_template_problem, tells_elements_apart};
pub use missing::describe_missing_value;
pub use number::{parse_plain, parse_quantity};
pub use record_origins::{OriginValue, RecordOrigin, RecordOrigins, find_origins};
pub use time::read_time;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;

use super::percent;
use super::plan::{AggregateFunction, RecordSelector, Selection, SourcePlan};
use super::reading::{Issue, Reading, Reason, Series, Value};
use super::text::{ellipsis, shorten};
use super::time::{Moment, Mono, Wall};
use super::value_path::unescape;
use crate::limits;

/// The result of reading a response.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Normalised {
    pub observed: Option<Wall>,
    pub readings: Vec<Reading>,
    pub series: Vec<Series>,
    pub issues: Vec<Issue>,
    /// The answer is valid and has nothing in it, as `[]` of a list of warnings.
    pub is_empty_answer: bool,
}

/// The last accepted numbers of one source and their times, for `max_change`.
#[derive(Debug, Clone, Default)]
pub struct LastAccepted(BTreeMap<Arc<str>, (f64, Mono)>);

impl LastAccepted {
    /// Records what was read of `source` at `now`, if it uses `max_change`.
    pub fn record(&mut self, source: &SourcePlan, readings: &[Reading], now: Mono) {
        match &source.selection {
            Selection::Selectors(picks) if picks.iter().any(|it| it.max_change.is_some()) => {}
            _ => return,
        }
        for reading in readings.iter().filter(|it| !it.is_stated) {
            if let Value::Number(number) = reading.value {
                self.0.insert(reading.key.clone(), (number, now));
            }
        }
        // Keys come from responses, so they are bounded: the oldest go.
        while self.0.len() > 2 * source.max_records {
            let oldest = self.0.iter().min_by_key(|(_, (_, at))| *at);
            match oldest.map(|(key, _)| key.clone()) {
                Some(key) => drop(self.0.remove(&key)),
                None => break,
            }
        }
    }
}

/// Reads what `source` selects out of `body`, which came at `now`.
pub fn normalise(
    source: &SourcePlan,
    body: &Json,
    last_accepted: &LastAccepted,
    now: Moment,
) -> Normalised {
    if is_empty_answer(&source.selection, body) {
        return Normalised {
            is_empty_answer: true,
            ..Normalised::default()
        };
    }
    let mut taken = Normalised::default();
    if let Some(path) = &source.observed_at {
        let node = path.find(body);
        let read = node.map_err(|several| several.to_string());
        let read = read.and_then(|node| read_time(node.map(|it| it.value), &source.observed_zone));
        match read {
            Ok(observed) => taken.observed = Some(observed),
            Err(found) => taken.issues.push(Issue {
                reason: Reason::BadTime,
                key: None,
                pointer: path.to_string(),
                expected: time::TIME_FORMATS.to_owned(),
                found,
            }),
        }
    }
    let units = match source.units_at.as_ref().map(|path| path.find(body)) {
        Some(Err(several)) => {
            let path = source.units_at.as_ref().map(ToString::to_string);
            let issue = selected::several_values(path.unwrap_or_default(), &several);
            taken.issues.push(issue);
            None
        }
        Some(Ok(node)) => node.map(|it| it.value),
        None => None,
    };
    match &source.selection {
        Selection::Selectors(list) => {
            let mut picks = selected::SelectedRecords {
                source,
                body,
                units,
                last_accepted,
                now,
                result: &mut taken,
                omitted: OmittedRecords::default(),
                keys: BTreeSet::new(),
            };
            picks.read_all(list);
        }
        Selection::AllLeaves { prefix } => {
            all_leaves::read_all(source, body, prefix, units, &mut taken);
        }
    }
    taken
}

/// Whether there is nothing to read, and that is an answer: where all that the selection reads
/// is elements of lists and objects, and they have none. A record at a place of its own that is
/// not there is missing.
fn is_empty_answer(selection: &Selection, body: &Json) -> bool {
    match selection {
        Selection::AllLeaves { .. } => has_no_leaf(body, 0),
        Selection::Selectors(picks) => {
            let is_empty = |pick: &RecordSelector| {
                let Some(list) = pick.list() else {
                    return false;
                };
                let aggregate = pick.elements.aggregate;
                // No elements are counted as 0.
                if !pick.is_template()
                    && aggregate.is_some_and(AggregateFunction::is_defined_for_none)
                {
                    return false;
                }
                // Some write `[]` for the whole answer then.
                elements::is_empty(body, list)
                    .unwrap_or_else(|| has_no_leaf(body, limits::JSON_DEPTH))
            };
            !picks.is_empty() && picks.iter().all(is_empty)
        }
    }
}

/// Whether only empty lists and objects are in `json`, which is `depth` levels down.
fn has_no_leaf(json: &Json, depth: usize) -> bool {
    match json {
        Json::Array(items) if items.is_empty() => true,
        Json::Object(fields) if fields.is_empty() => true,
        _ if depth >= limits::JSON_DEPTH => false,
        Json::Array(items) => items.iter().all(|item| has_no_leaf(item, depth + 1)),
        Json::Object(fields) => fields.values().all(|field| has_no_leaf(field, depth + 1)),
        _ => false,
    }
}

/// A limit on records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordLimit {
    /// Of one source.
    PerSource(usize),
    /// The same, where the source is another main-node, of which nothing can be chosen.
    PerUpstreamNode(usize),
    /// Of all sources together.
    Total(usize),
}

impl RecordLimit {
    /// The limit on the records of `source`.
    pub fn of_source(source: &SourcePlan) -> RecordLimit {
        if source.is_upstream_node {
            RecordLimit::PerUpstreamNode(source.max_records)
        } else {
            RecordLimit::PerSource(source.max_records)
        }
    }
}

/// What a limit leaves out: how many records, and the first few of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OmittedRecords {
    pub count: usize,
    first: Vec<String>,
}

impl OmittedRecords {
    pub fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < limits::DROPPED_KEYS_SHOWN {
            let name = ellipsis(&name(), limits::SAMPLE_CHARS);
            self.first.push(name);
        }
    }

    /// The issue that reports it, if anything was left out.
    pub fn issue(&self, limit: RecordLimit) -> Option<Issue> {
        let expected = match limit {
            RecordLimit::PerSource(most) => format!(
                "at most {most} records of one source (`max_records`): name those you want in \
                 [source.records], or raise it"
            ),
            RecordLimit::PerUpstreamNode(most) => format!(
                "at most {most} records of one source: raise its `max_records`, or follow the \
                 nodes that this one follows"
            ),
            RecordLimit::Total(most) => format!(
                "at most {most} records of all sources together (`max_records` at the top): name \
                 those you want in [source.records], or raise it"
            ),
        };
        let names = self.first.join(", ");
        let more = if self.count > self.first.len() {
            ", …"
        } else {
            ""
        };
        (self.count > 0).then(|| Issue {
            reason: Reason::TooMany,
            key: None,
            pointer: String::new(),
            expected,
            found: format!("{} more: {names}{more}", self.count),
        })
    }
}

/// A number or boolean as the number it is published as; infinite where no `f64` holds it.
fn read_number(json: &Json) -> Option<f64> {
    match json {
        // serde_json keeps the digits (arbitrary_precision); the standard library reads
        // them exactly, and beyond its range as infinite.
        Json::Number(number) => number.as_str().parse().ok(),
        Json::Bool(truth) => Some(f64::from(u8::from(*truth))),
        _ => None,
    }
}

/// `.` separates segments, so inside a name it and `%` are percent-encoded; so is what
/// would not survive as a URL segment or a line of text.
fn encode_segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '.' | '%' => encoded += &percent::encode_all(c),
            c if c.is_control() => encoded += &percent::encode_all(c),
            c => encoded.push(c),
        }
    }
    encoded
}

/// The unit that a sibling object names for the field at `pointer`: by the nearest segment
/// that is a name and not an index.
fn unit_of(units: Option<&Json>, pointer: &str) -> Option<Arc<str>> {
    let name = pointer
        .rsplit('/')
        .find(|segment| segment.parse::<usize>().is_err())?;
    let unit = units?.get(unescape(name))?.as_str()?;
    (!unit.is_empty()).then(|| shorten(unit, limits::UNIT_BYTES).into())
}

/// A JSON value shortened for a message.
pub fn sample(json: &Json) -> String {
    let kind = match json {
        Json::Null => return "null".to_owned(),
        Json::Object(fields) => {
            // An XML element with attributes.
            let text = fields
                .get("#text")
                .map_or("", |_| ", with its text in `#text`");
            return format!("an object of {} fields{text}", fields.len());
        }
        Json::Array(items) => return format!("an array of {} items", items.len()),
        Json::Bool(truth) => return truth.to_string(),
        Json::Number(number) => return ellipsis(number.as_str(), limits::SAMPLE_CHARS),
        Json::String(text) => text,
    };
    format!("the text {:?}", ellipsis(kind, limits::SAMPLE_CHARS))
}

#[cfg(test)]
#[path = "tests/normalise.rs"]
mod tests;
