//! The published snapshot, and its bodies in JSON and text, rendered at the first request.
//!
//! `ingest` publishes, every other thread reads. One mutex holds one `Arc`: it is only ever
//! locked to swap or to clone that, never while rendering. A body is rendered once for all
//! requests; large ones by a worker, so that the connection thread waits for none.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use nanoserde::SerJson;

use super::representation::{Representation, weak_etag};
use crate::domain::plan::Plan;
use crate::domain::snapshot::{Record, Snapshot};
use crate::domain::snapshot_body::{
    alert, all, is_all_stale, json, summary, timestamp, without_timestamp,
};
use crate::domain::snapshot_change::SnapshotChange;
use crate::domain::snapshot_wire::{WireFullRecord, WireFullSnapshot, WireNumber};
use crate::monitor::http::event_log::{SnapshotEvent, SnapshotSource};
use crate::monitor::http::handler::Request;
use crate::sys::sync::Mutex;

pub const JSON: &str = "application/json";
pub const TEXT: &str = "text/plain; charset=utf-8";

/// The current snapshot, for every reader.
pub struct Published {
    current: Mutex<Arc<Publication>>,
    generation: AtomicU64,
}

/// A snapshot, and the bodies made of it: each is rendered once, by the first request.
pub struct Publication {
    pub snapshot: Arc<Snapshot>,
    /// Shared by all publications of the same data; `None` until there ever was a record.
    bodies: Option<Arc<Bodies>>,
    full: OnceLock<Representation>,
    /// The index of each key's record; made at the first use.
    indexes: OnceLock<HashMap<Arc<str>, usize>>,
}

/// Health changes with every fetch, what displays get of it often does not.
struct Bodies {
    snapshot: Arc<Snapshot>,
    json: OnceLock<Representation>,
    text: OnceLock<Representation>,
}

impl Published {
    pub fn new(snapshot: Arc<Snapshot>) -> Published {
        Published {
            current: Mutex::new(Arc::new(Publication::new(snapshot, None))),
            generation: AtomicU64::new(0),
        }
    }

    pub fn current(&self) -> Arc<Publication> {
        self.current.lock().clone()
    }

    /// The number of publications. What [`Published::current`] returns afterwards is of
    /// this generation or of a later one.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Swaps what is current and renders nothing. Returns the new publication and what is new in
    /// its body of `/snapshot`; nothing is where there is none.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> (Arc<Publication>, SnapshotChange) {
        let before = self.current();
        let change = match &before.bodies {
            _ if snapshot.records.is_empty() => SnapshotChange::Nothing,
            Some(before) => SnapshotChange::between(&before.snapshot, &snapshot),
            None => SnapshotChange::Contents,
        };
        let same = before.bodies.as_ref();
        let same = same.filter(|_| change == SnapshotChange::Nothing);
        let publication = Arc::new(Publication::new(snapshot, same));
        *self.current.lock() = publication.clone();
        self.generation.fetch_add(1, Ordering::Release);
        (publication, change)
    }
}

impl Publication {
    /// `same`: bodies that are those of this snapshot as well.
    fn new(snapshot: Arc<Snapshot>, same: Option<&Arc<Bodies>>) -> Publication {
        let bodies = (!snapshot.records.is_empty()).then(|| {
            same.cloned().unwrap_or_else(|| {
                Arc::new(Bodies {
                    snapshot: snapshot.clone(),
                    json: OnceLock::new(),
                    text: OnceLock::new(),
                })
            })
        });
        Publication {
            snapshot,
            bodies,
            full: OnceLock::new(),
            indexes: OnceLock::new(),
        }
    }

    /// `/snapshot`; `None` while there is no data.
    pub fn json(&self) -> Option<&Representation> {
        let bodies = self.bodies.as_ref()?;
        Some(bodies.json.get_or_init(|| {
            let body = json(&bodies.snapshot, &all(&bodies.snapshot)).into_bytes();
            let etag = weak_etag(without_timestamp(&body));
            Representation::new(JSON, body).with_weak_etag(etag)
        }))
    }

    /// `/snapshot?format=text`.
    pub fn text(&self) -> Option<&Representation> {
        let bodies = self.bodies.as_ref()?;
        Some(bodies.text.get_or_init(|| {
            let body = text(&all(&bodies.snapshot)).into_bytes();
            let etag = weak_etag(&body);
            Representation::new(TEXT, body).with_weak_etag(etag)
        }))
    }

    pub fn has_data(&self) -> bool {
        self.bodies.is_some()
    }

    /// Whether a body of the whole snapshot is there as this request takes it, so that
    /// responding with it renders and compresses nothing.
    pub fn is_rendered(&self, request: &Request, is_text: bool, is_full: bool) -> bool {
        let Some(bodies) = &self.bodies else {
            return true;
        };
        let representation = match (is_text, is_full) {
            (true, _) => bodies.text.get(),
            (_, true) => self.full.get(),
            _ => bodies.json.get(),
        };
        representation.is_some_and(|it| it.is_ready_for(request))
    }

    /// The index of a key's record, without a linear search.
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

    /// `/snapshot?full=1`: rendered at the first request, since few nodes are followed.
    pub fn full(&self, node: &str, plan: &Plan) -> Option<&Representation> {
        self.bodies.as_ref()?;
        Some(self.full.get_or_init(|| {
            Representation::new(
                JSON,
                full(&self.snapshot, &all(&self.snapshot), node, plan).into_bytes(),
            )
        }))
    }
}

impl SnapshotSource for Publication {
    fn to_event(&self) -> SnapshotEvent {
        let identity = self.json().map(|json| &json.identity);
        SnapshotEvent {
            id: identity.map(|it| it.etag.clone()).unwrap_or_default(),
            body: identity.map_or_else(Arc::default, |it| it.body.clone()),
        }
    }
}

/// The same with `?full=1`.
pub fn full(snapshot: &Snapshot, records: &[&Record], node: &str, plan: &Plan) -> String {
    let plan = plan.with_upstream_labels(&snapshot.upstream_labels);
    WireFullSnapshot {
        timestamp: timestamp(records),
        records: records
            .iter()
            .map(|record| full_record(record, &plan))
            .collect(),
        summary: summary(records),
        stale: is_all_stale(records),
        alert: alert(snapshot),
        node: node.to_owned(),
        via: snapshot.via.iter().map(ToString::to_string).collect(),
    }
    .serialize_json()
}

pub fn full_json_record(snapshot: &Snapshot, record: &Record, plan: &Plan) -> String {
    full_record(
        record,
        &plan.with_upstream_labels(&snapshot.upstream_labels),
    )
    .serialize_json()
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

fn full_record(record: &Record, plan: &Plan) -> WireFullRecord {
    let label = plan.key_setting(&record.key, |key| {
        key.label.as_ref().map(ToString::to_string)
    });
    let upstream = plan.upstream_labels.get(&record.key);
    let label = label.or_else(|| Some(upstream?.label.as_ref()?.to_string()));
    let decimals = plan.key_setting(&record.key, |key| key.decimals);
    let decimals = decimals.or_else(|| upstream?.decimals);
    WireFullRecord {
        key: record.key.to_string(),
        value: WireNumber(record.value.number()),
        text: record.value.text().map(str::to_owned),
        unit: record.unit.as_ref().map(|unit| unit.to_string()),
        observed: record.stamp.observed.to_string(),
        stale: record.stale,
        sources: record.sources.iter().map(|name| name.to_string()).collect(),
        label,
        decimals: decimals.map(u64::from),
        boolean: record.is_boolean.then_some(true),
    }
}
