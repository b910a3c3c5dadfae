//! The published snapshot with its bytes, rendered once per change.
//!
//! `ingest` publishes, every other thread reads. One mutex holds one `Arc`: it is only ever
//! locked to swap or to clone that, never while rendering.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nanoserde::SerJson;

use super::representation::{Representation, weak_etag};
use super::snapshot::{self as wire, WireNumber};
use crate::domain::snapshot::{Record, Snapshot, average, newest};

pub const JSON: &str = "application/json";
pub const TEXT: &str = "text/plain; charset=utf-8";

/// Where the standing snapshot is found.
pub struct Published {
    current: Mutex<Arc<Publication>>,
    edition: AtomicU64,
}

/// A snapshot and the bytes that displays get of it.
pub struct Publication {
    pub snapshot: Arc<Snapshot>,
    /// `None` until there ever was a record.
    data: Option<Data>,
    full: OnceLock<Representation>,
    /// Where each key's record stands; made when first asked for.
    indexes: OnceLock<HashMap<Arc<str>, usize>>,
}

#[derive(Clone)]
struct Data {
    json: Arc<Representation>,
    text: Arc<Representation>,
}

impl Published {
    pub fn new(snapshot: Arc<Snapshot>) -> Published {
        Published {
            current: Mutex::new(Arc::new(Publication::new(snapshot, None))),
            edition: AtomicU64::new(0),
        }
    }

    pub fn current(&self) -> Arc<Publication> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How often something was published. What [`Published::current`] gives afterwards is of
    /// this edition or of a later one.
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// Renders and swaps. Returns the new `/snapshot` body if its bytes changed, which is
    /// what the feed is told: its tag is the `id` of the event, its plain body the `data`. With
    /// the tag of the one before, only its time is another.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> Option<Arc<Representation>> {
        let before = self.current();
        let rendered = Arc::new(Publication::new(snapshot, before.data.as_ref()));
        let after = rendered.json().cloned();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = rendered;
        self.edition.fetch_add(1, Ordering::Release);
        let is_same = |after: &Arc<Representation>| {
            before
                .json()
                .is_some_and(|before| before.identity.body == after.identity.body)
        };
        after.filter(|after| !is_same(after))
    }
}

impl Publication {
    fn new(snapshot: Arc<Snapshot>, before: Option<&Data>) -> Publication {
        let data = (!snapshot.records.is_empty()).then(|| {
            let body = json(&snapshot, &all(&snapshot)).into_bytes();
            match before {
                // Health changes with every fetch, the bytes often do not.
                Some(data) if *data.json.identity.body == *body => data.clone(),
                _ => {
                    let text = text(&all(&snapshot)).into_bytes();
                    let (of_json, of_text) =
                        (weak_etag(without_timestamp(&body)), weak_etag(&text));
                    Data {
                        json: Arc::new(Representation::new(JSON, body).with_weak_etag(of_json)),
                        text: Arc::new(Representation::new(TEXT, text).with_weak_etag(of_text)),
                    }
                }
            }
        });
        Publication {
            snapshot,
            data,
            full: OnceLock::new(),
            indexes: OnceLock::new(),
        }
    }

    /// `/snapshot`; `None` while there is no data.
    pub fn json(&self) -> Option<&Arc<Representation>> {
        self.data.as_ref().map(|data| &data.json)
    }

    /// `/snapshot?format=text`.
    pub fn text(&self) -> Option<&Arc<Representation>> {
        self.data.as_ref().map(|data| &data.text)
    }

    /// Where the record of a key stands among all, found without a walk through them.
    pub fn index_of(&self, key: &str) -> Option<usize> {
        let places = self.indexes.get_or_init(|| {
            let records = self.snapshot.records.iter().enumerate();
            records
                .map(|(at, record)| (record.key.clone(), at))
                .collect()
        });
        places.get(key).copied()
    }

    pub fn record(&self, key: &str) -> Option<&Record> {
        self.snapshot.records.get(self.index_of(key)?)
    }

    /// Whether [`Rendered::full`] has nothing left to render.
    pub fn has_full(&self) -> bool {
        self.data.is_none() || self.full.get().is_some()
    }

    /// `/snapshot?full=1`: rendered when first asked for, since few nodes are followed.
    pub fn full(&self, node: &str) -> Option<&Representation> {
        self.data.as_ref()?;
        Some(self.full.get_or_init(|| {
            Representation::new(
                JSON,
                full(&self.snapshot, &all(&self.snapshot), node).into_bytes(),
            )
        }))
    }
}

fn all(snapshot: &Snapshot) -> Vec<&Record> {
    snapshot.records.iter().collect()
}

/// The body of `/snapshot` for these of its records.
pub fn json(snapshot: &Snapshot, records: &[&Record]) -> String {
    wire::WireSnapshot {
        timestamp: timestamp(records),
        records: records.iter().map(|record| wire_record(record)).collect(),
        summary: summary(records),
        stale: is_all_stale(records),
        alert: alert(snapshot),
    }
    .serialize_json()
}

/// What the ETag of such a body is made of: all but its time, so that whoever shows values has
/// nothing to redraw when a fetch brings the same ones. Records and lines of text hold no time.
pub fn without_timestamp(json: &[u8]) -> &[u8] {
    // The timestamp comes first, and there is no comma in one.
    let comma = json.iter().position(|byte| *byte == b',');
    &json[comma.unwrap_or(0)..]
}

/// The same with `?full=1`.
pub fn full(snapshot: &Snapshot, records: &[&Record], node: &str) -> String {
    wire::WireFullSnapshot {
        timestamp: timestamp(records),
        records: records.iter().map(|record| full_record(record)).collect(),
        summary: summary(records),
        stale: is_all_stale(records),
        alert: alert(snapshot),
        node: node.to_owned(),
        via: snapshot.via.iter().map(ToString::to_string).collect(),
    }
    .serialize_json()
}

/// `/snapshot/<key>`.
pub fn json_record(record: &Record) -> String {
    wire_record(record).serialize_json()
}

pub fn full_json_record(record: &Record) -> String {
    full_record(record).serialize_json()
}

/// `key value` lines. The first blank ends the key: blanks inside one are escaped.
pub fn text(records: &[&Record]) -> String {
    let mut text = String::new();
    for record in records {
        for c in record.key.chars() {
            match c {
                ' ' => text.push_str("%20"),
                c => text.push(one_line(c)),
            }
        }
        text.push(' ');
        text.extend(record.value.to_string().chars().map(one_line));
        if record.stale {
            text.push_str(" stale");
        }
        text.push('\n');
    }
    text
}

fn one_line(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

fn wire_record(record: &Record) -> wire::WireRecord {
    wire::WireRecord {
        key: record.key.to_string(),
        value: WireNumber(record.value.number()),
        text: record.value.text().map(str::to_owned),
        stale: record.stale.then_some(true),
    }
}

fn full_record(record: &Record) -> wire::WireFullRecord {
    wire::WireFullRecord {
        key: record.key.to_string(),
        value: WireNumber(record.value.number()),
        text: record.value.text().map(str::to_owned),
        unit: record.unit.as_ref().map(|unit| unit.to_string()),
        observed: record.stamp.observed.to_string(),
        stale: record.stale,
        sources: record.sources.iter().map(|name| name.to_string()).collect(),
    }
}

fn timestamp(records: &[&Record]) -> String {
    let newest = newest(records.iter().copied());
    newest.map(|wall| wall.to_string()).unwrap_or_default()
}

fn summary(records: &[&Record]) -> wire::WireSummary {
    wire::WireSummary {
        count: u64::try_from(records.len()).unwrap_or(u64::MAX),
        avg: WireNumber(average(records.iter().copied())),
    }
}

fn is_all_stale(records: &[&Record]) -> Option<bool> {
    records.iter().all(|record| record.stale).then_some(true)
}

/// At most 32 ASCII characters: what the smallest display can show.
fn alert(snapshot: &Snapshot) -> Option<String> {
    let alert = snapshot.alert.as_ref()?;
    Some(
        alert
            .chars()
            .filter(|c| (' '..='~').contains(c))
            .take(32)
            .collect(),
    )
}
