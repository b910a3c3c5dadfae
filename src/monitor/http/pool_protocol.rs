//! How a request travels from the gate to the pool, and its answer back: the few private
//! header fields, and the coding of values, since tiny_http takes ASCII alone.
//!
//! Pure; used on the gate's thread and by the workers.

use std::borrow::Cow;

use super::handler::Request;
use super::parser::PRIVATE_PREFIX;
use crate::domain::percent;
use crate::limits;

/// Whose request it is.
pub const PEER: &str = "x-gate-peer";
/// There and `1` where the client asked HEAD; on the hop everything is GET.
pub const HEAD: &str = "x-gate-head";
/// There where the gate only wants to see that the connection works.
pub const PING: &str = "x-gate-proof";
/// Which of the gate's requests this is, so that it can be told when a worker is free again.
pub const REQUEST_ID: &str = "x-gate-ticket";
/// The answer's own status.
pub const STATUS: &str = "x-gate-status";
/// Before the names of the answer's own header fields.
pub const FIELD: &str = "x-gate-field-";

/// What proves that a connection is being served.
pub fn ping() -> Vec<u8> {
    format!("GET / HTTP/1.1\r\n{PING}: 1\r\n\r\n").into_bytes()
}

/// A checked request, as tiny_http shall see it.
pub fn encode_request(request: &Request, slot: usize, ticket: u64) -> Vec<u8> {
    let mut bytes = String::with_capacity(512);
    bytes.push_str("GET ");
    bytes.push_str(&request.target);
    bytes.push_str(" HTTP/1.1\r\n");
    let mut field = |name: &str, value: &str| {
        bytes.push_str(name);
        bytes.push_str(": ");
        bytes.push_str(value);
        bytes.push_str("\r\n");
    };
    field(PEER, &request.peer.to_string());
    field(REQUEST_ID, &format!("{slot}-{ticket}"));
    if request.is_head {
        field(HEAD, "1");
    }
    for (name, value) in &request.headers {
        debug_assert!(
            !name.starts_with(PRIVATE_PREFIX),
            "the head parser drops these"
        );
        field(name, &escape(value));
    }
    bytes.push_str("\r\n");
    bytes.into_bytes()
}

pub fn parse_request_id(value: &str) -> Option<(usize, u64)> {
    let (slot, ticket) = value.split_once('-')?;
    let slot = slot.parse().ok()?;
    (slot < limits::POOL_WORKERS).then_some((slot, ticket.parse().ok()?))
}

/// Visible ASCII and blanks as they are; everything else, and `%`, as `%XX`.
pub fn escape(value: &str) -> String {
    percent::encode_set(value, percent::HEADER)
}

pub fn unescape(coded: &str) -> Option<String> {
    percent::decode_strict(coded).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_as_it_went() {
        for value in [
            "",
            "plain",
            "100%",
            "%41",
            "Küche 🌡",
            "a\tb",
            "a\r\nb: c",
            "\u{fffd}",
        ] {
            let coded = escape(value);
            assert!(
                coded.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{coded}"
            );
            assert_eq!(unescape(&coded).as_deref(), Some(value));
        }
    }

    #[test]
    fn broken_codes_are_refused() {
        for coded in ["%", "%4", "%zz", "%FF"] {
            assert_eq!(unescape(coded), None, "{coded}");
        }
    }

    #[test]
    fn tickets_name_a_slot_that_exists() {
        assert_eq!(parse_request_id("2-77"), Some((2, 77)));
        for broken in ["", "2", "4-1", "-1-1", "1-", "1-x"] {
            assert_eq!(parse_request_id(broken), None, "{broken}");
        }
    }
}
