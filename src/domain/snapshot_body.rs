//! The body of `/snapshot`: what displays and outputs are sent.

use nanoserde::SerJson;

use super::snapshot::{Record, Snapshot, average, newest};
use super::snapshot_wire::{WireNumber, WireRecord, WireSnapshot, WireSummary};

/// The body of `/snapshot` for these of its records.
pub fn json(snapshot: &Snapshot, records: &[&Record]) -> String {
    WireSnapshot {
        timestamp: timestamp(records),
        records: records.iter().map(|record| wire_record(record)).collect(),
        summary: summary(records),
        stale: is_all_stale(records),
        alert: alert(snapshot),
    }
    .serialize_json()
}

/// What the ETag of such a body is made of: all but its time, so that a display has
/// nothing to redraw when a fetch brings the same ones. Records and lines of text hold no time.
pub fn without_timestamp(json: &[u8]) -> &[u8] {
    // The timestamp comes first, and there is no comma in one.
    let comma = json.iter().position(|byte| *byte == b',');
    &json[comma.unwrap_or(0)..]
}

/// `/snapshot/<key>`.
pub fn json_record(record: &Record) -> String {
    wire_record(record).serialize_json()
}

pub fn all(snapshot: &Snapshot) -> Vec<&Record> {
    snapshot.records.iter().collect()
}

fn wire_record(record: &Record) -> WireRecord {
    WireRecord {
        key: record.key.to_string(),
        value: WireNumber(record.value.number()),
        text: record.value.text().map(str::to_owned),
        stale: record.stale.then_some(true),
    }
}

pub fn timestamp(records: &[&Record]) -> String {
    let newest = newest(records.iter().copied());
    newest.map(|wall| wall.to_string()).unwrap_or_default()
}

pub fn summary(records: &[&Record]) -> WireSummary {
    WireSummary {
        count: u64::try_from(records.len()).unwrap_or(u64::MAX),
        avg: WireNumber(average(records.iter().copied())),
    }
}

pub fn is_all_stale(records: &[&Record]) -> Option<bool> {
    records.iter().all(|record| record.stale).then_some(true)
}

/// At most 32 ASCII characters: what the smallest display can show.
pub fn alert(snapshot: &Snapshot) -> Option<String> {
    let alert = snapshot.alert.as_ref()?;
    Some(
        alert
            .chars()
            .filter(|c| (' '..='~').contains(c))
            .take(32)
            .collect(),
    )
}
