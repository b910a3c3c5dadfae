//! The wire format of `/snapshot`, as types: what is written here is what a display reads.
//!
//! Plain values, written and read by nanoserde; a display in Rust can take this file as it
//! is, with [`format_number`]. Field order is the order on the wire and stays so; fields are
//! only ever added, behind these.

// Written by nanoserde's derive.
#![allow(clippy::question_mark)]

use super::text::format_number;
use nanoserde::{DeJson, DeJsonErr, DeJsonState, DeJsonTok, SerJson, SerJsonState};

/// The latest dataset.
#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct WireSnapshot {
    /// When the newest record was observed: RFC 3339, UTC.
    pub timestamp: String,
    pub records: Vec<WireRecord>,
    pub summary: WireSummary,
    /// `Some(true)` when every record is stale.
    pub stale: Option<bool>,
    /// A few ASCII words while an alert is open.
    pub alert: Option<String>,
}

#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct WireRecord {
    pub key: String,
    /// Null for a text.
    pub value: WireNumber,
    pub text: Option<String>,
    /// `Some(true)` when the value can no longer be trusted.
    pub stale: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct WireSummary {
    /// Records listed.
    pub count: u64,
    /// Mean of those that are numeric and not stale.
    pub avg: WireNumber,
}

/// With `?full=1`: what another node needs to follow this one.
#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct WireFullSnapshot {
    pub timestamp: String,
    pub records: Vec<WireFullRecord>,
    pub summary: WireSummary,
    pub stale: Option<bool>,
    pub alert: Option<String>,
    /// This node's name.
    pub node: String,
    /// Names of the nodes that the data came through before it came here.
    pub via: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, SerJson, DeJson)]
pub struct WireFullRecord {
    pub key: String,
    pub value: WireNumber,
    pub text: Option<String>,
    pub unit: Option<String>,
    /// RFC 3339, UTC.
    pub observed: String,
    pub stale: bool,
    pub sources: Vec<String>,
    /// What people read instead of the key, and how many digits they see, where
    /// `[key.NAME]` says it.
    pub label: Option<String>,
    pub decimals: Option<u64>,
    /// `Some(true)` when the value is 0 or 1 for a boolean of its source.
    pub boolean: Option<bool>,
}

/// A JSON number in its shortest spelling, or null.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WireNumber(pub Option<f64>);

impl SerJson for WireNumber {
    fn ser_json(&self, _: usize, state: &mut SerJsonState) {
        // The derive would write 45 as `45.0` and NaN as `NaN`.
        match self.0 {
            Some(number) => state.out.push_str(&format_number(number)),
            None => state.out.push_str("null"),
        }
    }
}

impl DeJson for WireNumber {
    fn de_json(
        state: &mut DeJsonState,
        input: &mut std::str::Chars,
    ) -> Result<WireNumber, DeJsonErr> {
        if let DeJsonTok::Null = state.tok {
            state.next_tok(input)?;
            return Ok(WireNumber(None));
        }
        f64::de_json(state, input).map(|number| WireNumber(Some(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_reads_back_what_is_written() {
        let snapshot = WireSnapshot {
            timestamp: "2025-10-30T20:00:00Z".to_owned(),
            records: vec![
                WireRecord {
                    key: "temperature".to_owned(),
                    value: WireNumber(Some(21.4)),
                    text: None,
                    stale: Some(true),
                },
                WireRecord {
                    key: "sky \"\\\u{1}".to_owned(),
                    value: WireNumber(None),
                    text: Some("Cloudy".to_owned()),
                    stale: None,
                },
            ],
            summary: WireSummary {
                count: 2,
                avg: WireNumber(None),
            },
            stale: None,
            alert: None,
        };
        let written = snapshot.serialize_json();
        let read = WireSnapshot::deserialize_json(&written).expect("it was just written");
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
            assert_eq!(WireNumber(number).serialize_json(), expected);
        }
    }
}
