//! Topics of a node at a broker: their names, and what stands in them.
//!
//! Pure. In the level of a key every byte but `A-Za-z0-9._-` is percent-encoded, so that any key is one
//! level of a topic and can be read back.

use std::sync::Arc;

use crate::domain::percent;
use crate::domain::reading::Value;

/// Whether the node is connected: birth and last will.
const STATUS: &str = "status";
/// The body of `/snapshot`.
const SNAPSHOT: &str = "snapshot";
/// Below the topic of a key: whether its value is up to date.
const AVAILABLE: &str = "available";

/// Payloads of [`status_topic`] and [`available_topic`].
pub const ONLINE: &str = "online";
pub const OFFLINE: &str = "offline";

/// A topic that the node publishes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    Value(Arc<str>),
    Available(Arc<str>),
    Snapshot,
    /// Outside the node's prefix, by its name.
    Named(Arc<str>),
}

impl Topic {
    pub fn name(&self, prefix: &str) -> String {
        match self {
            Topic::Value(key) => key_topic(prefix, key),
            Topic::Available(key) => available_topic(prefix, key),
            Topic::Snapshot => snapshot_topic(prefix),
            Topic::Named(name) => name.to_string(),
        }
    }
}

/// What stands in a topic.
#[derive(Debug, Clone, PartialEq)]
pub enum TopicPayload {
    Value(Value),
    Available(bool),
    Bytes(Arc<[u8]>),
    /// Nothing: the broker forgets the topic.
    Cleared,
}

impl TopicPayload {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            TopicPayload::Value(value) => value.to_string().into_bytes(),
            TopicPayload::Available(is_available) => {
                let text = if *is_available { ONLINE } else { OFFLINE };
                text.into()
            }
            TopicPayload::Bytes(bytes) => bytes.to_vec(),
            TopicPayload::Cleared => Vec::new(),
        }
    }
}

pub fn key_topic(prefix: &str, key: &str) -> String {
    format!("{prefix}/{}", key_level(key))
}

pub fn available_topic(prefix: &str, key: &str) -> String {
    format!("{prefix}/{}/{AVAILABLE}", key_level(key))
}

pub fn status_topic(prefix: &str) -> String {
    format!("{prefix}/{STATUS}")
}

pub fn snapshot_topic(prefix: &str) -> String {
    format!("{prefix}/{SNAPSHOT}")
}

/// A key as one level. A key that has the name of a topic of the node is spelled with an escape.
fn key_level(key: &str) -> String {
    match key {
        STATUS | SNAPSHOT => {
            let (first, rest) = key.split_at(1);
            format!("%{:02X}{rest}", first.as_bytes()[0])
        }
        _ => percent::encode_set(key, percent::TOPIC),
    }
}

/// What a topic below a prefix holds.
#[derive(Debug, PartialEq, Eq)]
pub enum TopicRole {
    Value,
    Available,
    /// Another node's: its prefix begins with that of this one.
    OtherStatus,
}

/// The key and the role of a topic, if it has the form that this node gives its own.
pub fn parse_topic(prefix: &str, topic: &str) -> Option<(String, TopicRole)> {
    let below = topic.strip_prefix(prefix)?.strip_prefix('/')?;
    let (level, role) = match below.split_once('/') {
        None => (below, TopicRole::Value),
        Some((level, AVAILABLE)) => (level, TopicRole::Available),
        Some((level, STATUS)) => (level, TopicRole::OtherStatus),
        Some(_) => return None,
    };
    let key = percent::decode_strict(level)?.into_owned();
    let is_own_form = !key.is_empty() && key_level(&key) == level;
    is_own_form.then_some((key, role))
}

/// What has to be subscribed to so that all topics of such a form come.
pub fn own_filters(prefix: &str) -> Vec<String> {
    vec![
        format!("{prefix}/+"),
        format!("{prefix}/+/{AVAILABLE}"),
        format!("{prefix}/+/{STATUS}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_level_of_a_topic_and_can_be_read_back() {
        for (key, topic) in [
            ("temperature", "n/temperature"),
            ("room.a_b-c", "n/room.a_b-c"),
            ("a/b", "n/a%2Fb"),
            ("a+#$", "n/a%2B%23%24"),
            ("50 % ~", "n/50%20%25%20%7E"),
            ("Zähler", "n/Z%C3%A4hler"),
            ("status", "n/%73tatus"),
            ("snapshot", "n/%73napshot"),
            ("available", "n/available"),
            ("%73tatus", "n/%2573tatus"),
        ] {
            assert_eq!(key_topic("n", key), topic);
            assert_eq!(available_topic("n", key), format!("{topic}/available"));
            let parsed = parse_topic("n", topic);
            assert_eq!(parsed, Some((key.to_owned(), TopicRole::Value)), "{topic}");
            let parsed = parse_topic("n", &format!("{topic}/available"));
            assert_eq!(parsed, Some((key.to_owned(), TopicRole::Available)));
        }
    }

    #[test]
    fn topics_of_another_form_are_not_ours() {
        for topic in [
            "n",
            "n/",
            "n//available",
            "n/status",
            "n/snapshot",
            "n/a b",
            "n/a%2fb",
            "n/%41",
            "n/ä",
            "n/a/b",
            "n/a/b/available",
            "n2/a",
            "other/n/a",
        ] {
            assert_eq!(parse_topic("n", topic), None, "{topic}");
        }
        let other = parse_topic("n", "n/kitchen/status");
        assert_eq!(other, Some(("kitchen".to_owned(), TopicRole::OtherStatus)));
    }

    #[test]
    fn payloads_are_as_in_a_snapshot() {
        for (payload, expected) in [
            (TopicPayload::Value(Value::Number(45.0)), "45"),
            (TopicPayload::Value(Value::Number(-0.1)), "-0.1"),
            (TopicPayload::Value(Value::Text("grün".into())), "grün"),
            (TopicPayload::Available(true), "online"),
            (TopicPayload::Available(false), "offline"),
            (TopicPayload::Cleared, ""),
        ] {
            assert_eq!(payload.bytes(), expected.as_bytes());
        }
    }
}
