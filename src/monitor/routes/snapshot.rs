//! The wire format of `/snapshot`, as types: what is written here is what a display reads.
//!
//! Plain values, written and read by nanoserde; a display in Rust can take this file as it
//! is, with [`spell_number`]. Field order is the order on the wire and stays so; fields are
//! only ever added, behind these.

// Written by nanoserde's derive.
#![allow(clippy::question_mark)]

use nanoserde::{DeJson, DeJsonErr, DeJsonState, DeJsonTok, SerJson, SerJsonState};

use crate::domain::reading::format_number;

/// The latest dataset.
#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct Snapshot {
    /// When the newest record was observed: RFC 3339, UTC.
    pub timestamp: String,
    pub records: Vec<Record>,
    pub summary: Summary,
    /// `Some(true)` when every record is stale.
    pub stale: Option<bool>,
    /// A few ASCII words while an alert is open.
    pub alert: Option<String>,
}

#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct Record {
    pub key: String,
    /// Null for a text.
    pub value: Number,
    pub text: Option<String>,
    /// `Some(true)` when the value can no longer be trusted.
    pub stale: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct Summary {
    /// Records listed.
    pub count: u64,
    /// Mean of those that are numeric and not stale.
    pub avg: Number,
}

/// With `?full=1`: what another node needs to follow this one.
#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct FullSnapshot {
    pub timestamp: String,
    pub records: Vec<FullRecord>,
    pub summary: Summary,
    pub stale: Option<bool>,
    pub alert: Option<String>,
    /// This node's name.
    pub node: String,
    /// Names of the nodes that the data came through before it came here.
    pub via: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct FullRecord {
    pub key: String,
    pub value: Number,
    pub text: Option<String>,
    pub unit: Option<String>,
    /// RFC 3339, UTC.
    pub observed: String,
    pub stale: bool,
    pub sources: Vec<String>,
}

/// A JSON number in its shortest spelling, or null.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(pub Option<f64>);

impl SerJson for Number {
    fn ser_json(&self, _: usize, state: &mut SerJsonState) {
        // The derive would write 45 as `45.0` and NaN as `NaN`.
        match self.0 {
            Some(number) => state.out.push_str(&format_number(number)),
            None => state.out.push_str("null"),
        }
    }
}

impl DeJson for Number {
    fn de_json(state: &mut DeJsonState, input: &mut std::str::Chars) -> Result<Number, DeJsonErr> {
        if let DeJsonTok::Null = state.tok {
            state.next_tok(input)?;
            return Ok(Number(None));
        }
        f64::de_json(state, input).map(|number| Number(Some(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_reads_back_what_is_written() {
        let snapshot = Snapshot {
            timestamp: "2025-10-30T20:00:00Z".to_owned(),
            records: vec![
                Record {
                    key: "temperature".to_owned(),
                    value: Number(Some(21.4)),
                    text: None,
                    stale: Some(true),
                },
                Record {
                    key: "sky \"\\\u{1}".to_owned(),
                    value: Number(None),
                    text: Some("Cloudy".to_owned()),
                    stale: None,
                },
            ],
            summary: Summary {
                count: 2,
                avg: Number(None),
            },
            stale: None,
            alert: None,
        };
        let written = snapshot.serialize_json();
        let read = Snapshot::deserialize_json(&written).expect("it was just written");
        assert_eq!(read, snapshot);
    }

    #[test]
    fn numbers_are_json_whatever_they_are() {
        for (number, expected) in [
            (Some(45.0), "45"),
            (Some(1e300), "1e300"),
            (Some(f64::NAN), "null"),
            (Some(f64::NEG_INFINITY), "null"),
            (None, "null"),
        ] {
            assert_eq!(Number(number).serialize_json(), expected);
        }
    }
}
