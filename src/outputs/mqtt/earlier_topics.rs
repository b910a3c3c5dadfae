//! Topics of an earlier run: what the broker still keeps below the node's prefix, and what of it is
//! cleared.
//!
//! Pure. Only topics of the form that the node gives its own are cleared, never those of another node
//! or of anything else whose topics begin with the same prefix.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::topics::{OFFLINE, ONLINE, Topic, TopicRole, parse_topic};
use crate::limits;

/// What the broker keeps, by key.
#[derive(Default)]
pub struct EarlierTopics {
    keys: BTreeMap<String, KeptTopics>,
    /// Whether there were more than are remembered.
    pub is_incomplete: bool,
}

#[derive(Debug, Default)]
struct KeptTopics {
    has_value: bool,
    has_available: bool,
    /// It is no key but the last level of another node's prefix.
    is_node: bool,
}

impl EarlierTopics {
    /// Takes note of a retained message; false if it is not below the prefix.
    pub fn record(&mut self, prefix: &str, topic: &str, payload: &[u8]) -> bool {
        let is_below = topic
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('/'));
        let Some((key, role)) = parse_topic(prefix, topic) else {
            return is_below;
        };
        if payload.is_empty() || key.len() > limits::KEY_BYTES {
            return true;
        }
        if self.keys.len() >= limits::MQTT_EARLIER_KEYS && !self.keys.contains_key(&key) {
            self.is_incomplete = true;
            return true;
        }
        let kept = self.keys.entry(key).or_default();
        match role {
            TopicRole::Value => kept.has_value = true,
            TopicRole::Available => {
                kept.has_available |= [ONLINE, OFFLINE].iter().any(|it| it.as_bytes() == payload);
            }
            TopicRole::OtherStatus => kept.is_node = true,
        }
        true
    }

    /// The keys that this node does not publish now, as far as `publishes` says; each is told once.
    pub fn take_unused(&mut self, publishes: impl Fn(&Topic) -> bool) -> Vec<Arc<str>> {
        let kept = std::mem::take(&mut self.keys).into_iter();
        // Both are cleared, the one with the value first: one alone is the rest of that.
        let ours = kept.filter(|(_, it)| it.has_available && !it.is_node);
        let keys = ours.map(|(key, _)| Arc::<str>::from(key));
        keys.filter(|key| !publishes(&Topic::Value(key.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_node_has_published_itself_is_cleared() {
        let mut earlier = EarlierTopics::default();
        for (topic, payload, is_below) in [
            ("n/now", "1", true),
            ("n/now/available", "online", true),
            ("n/old", "21.4", true),
            ("n/old/available", "offline", true),
            // Half of it is cleared already.
            ("n/rest/available", "online", true),
            // Somebody else's.
            ("n/command", "on", true),
            ("n/word/available", "yes", true),
            ("n/no form", "1", true),
            ("n/no form/available", "online", true),
            ("n/deep/er/available", "online", true),
            ("n/status", "online", true),
            ("n/snapshot", "{}", true),
            // Another node, which has a key `available`.
            ("n/kitchen/status", "online", true),
            ("n/kitchen/available", "online", true),
            ("n/kitchen/t", "1", true),
            ("n2/old", "1", false),
            ("homeassistant/status", "online", false),
        ] {
            let recorded = earlier.record("n", topic, payload.as_bytes());
            assert_eq!(recorded, is_below, "{topic}");
        }
        let publishes = |topic: &Topic| *topic == Topic::Value("now".into());
        let unused = earlier.take_unused(publishes);
        assert_eq!(unused, [Arc::from("old"), Arc::from("rest")]);
        assert!(earlier.take_unused(publishes).is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut earlier = EarlierTopics::default();
        for number in 0..=limits::MQTT_EARLIER_KEYS {
            assert!(!earlier.is_incomplete);
            earlier.record("n", &format!("n/{number}/available"), b"online");
        }
        assert!(earlier.is_incomplete);
        let unused = earlier.take_unused(|_| false);
        assert_eq!(unused.len(), limits::MQTT_EARLIER_KEYS);
    }
}
