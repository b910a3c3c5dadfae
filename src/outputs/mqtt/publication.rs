//! What an MQTT output publishes, over all connections: the topics, the snapshot, what Home Assistant
//! is told, and what the broker does not survive.
//!
//! Pure: the session hands it snapshots and times.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::earlier_topics::EarlierTopics;
use super::home_assistant::HomeAssistant;
use super::retained_topics::RetainedTopics;
use super::topics::{Topic, TopicPayload};
use crate::config::MqttConfig;
use crate::domain::plan::is_selected;
use crate::domain::snapshot::{Record, Snapshot};
use crate::domain::snapshot_body;
use crate::domain::snapshot_change::SnapshotChange;
use crate::domain::time::Mono;
use crate::limits;

/// What is published, over all connections.
pub struct MqttPublication {
    pub mqtt: MqttConfig,
    pub topics: RetainedTopics,
    pub earlier: EarlierTopics,
    pub home_assistant: HomeAssistant,
    /// Whether it is known what earlier runs have left.
    pub has_collected: bool,
    /// The snapshot that stands in `PREFIX/snapshot`, and since when.
    published: Option<(Arc<Snapshot>, Mono)>,
    /// A large message at which connections have ended, and how many in a row.
    pub suspect: Option<(Topic, u32)>,
    /// Messages that the broker does not survive.
    pub left_out: BTreeSet<Topic>,
}

impl MqttPublication {
    pub fn new(mqtt: &MqttConfig, home_assistant: HomeAssistant) -> MqttPublication {
        MqttPublication {
            mqtt: mqtt.clone(),
            topics: RetainedTopics::default(),
            earlier: EarlierTopics::default(),
            home_assistant,
            has_collected: false,
            published: None,
            suspect: None,
            left_out: BTreeSet::new(),
        }
    }

    /// Takes over a snapshot.
    pub fn update(&mut self, snapshot: &Arc<Snapshot>, now: Mono) {
        self.topics.update(snapshot, &self.mqtt.keys);
        self.update_snapshot(snapshot, now);
        if self.has_collected && have_all_answered(snapshot) {
            let topics = &self.topics;
            for key in self.earlier.take_unused(|topic| topics.has(topic)) {
                self.topics.clear_key(key);
            }
        }
    }

    /// Queues `PREFIX/snapshot` if it is due.
    pub fn update_snapshot(&mut self, snapshot: &Arc<Snapshot>, now: Mono) {
        let keys = &self.mqtt.keys;
        let records = snapshot.records.iter();
        let records: Vec<&Record> = records.filter(|it| is_selected(keys, &it.key)).collect();
        if records.is_empty() || self.snapshot_due(snapshot, now) != Some(Duration::ZERO) {
            return;
        }
        let body = snapshot_body::json(snapshot, &records).into_bytes();
        if let Some(TopicPayload::Bytes(before)) = self.topics.payload(&Topic::Snapshot)
            && let Some((_, sent)) = self.published
            && now.since(sent) < limits::SNAPSHOT_TIMES_INTERVAL
            && snapshot_body::without_timestamp(before) == snapshot_body::without_timestamp(&body)
        {
            // What has changed is not selected.
            return;
        }
        self.topics
            .set(Topic::Snapshot, TopicPayload::Bytes(body.into()));
        self.published = Some((snapshot.clone(), now));
    }

    /// How long from now until the snapshot is published; `None`: it need not be.
    pub fn snapshot_due(&self, snapshot: &Snapshot, now: Mono) -> Option<Duration> {
        match &self.published {
            None => SnapshotChange::Contents.send_after(None),
            Some((published, sent)) => {
                let change = SnapshotChange::between(published, snapshot);
                change.send_after(Some(now.since(*sent)))
            }
        }
    }

    /// What Home Assistant is to be told.
    pub fn announce(&mut self, snapshot: &Snapshot, now: Mono) {
        for message in self.home_assistant.due(snapshot, now) {
            let payload = if message.payload.is_empty() {
                TopicPayload::Cleared
            } else {
                TopicPayload::Bytes(message.payload.into_bytes().into())
            };
            self.topics
                .set_anew(Topic::Named(message.topic.into()), payload);
        }
    }

    /// The large message that is on its way, alone.
    pub fn large_in_flight(&self) -> Option<&Topic> {
        let topic = self.topics.only_in_flight()?;
        self.topics
            .payload(topic)
            .is_some_and(is_large)
            .then_some(topic)
    }

    /// A connection has ended: which message may have been the cause.
    pub fn suspect_message(&mut self) {
        let before = self.suspect.take();
        let Some(topic) = self.large_in_flight().cloned() else {
            return;
        };
        let count = match before {
            Some((same, count)) if same == topic => count + 1,
            _ => 1,
        };
        if count >= limits::MQTT_LARGE_TRIES {
            self.left_out.insert(topic);
        } else {
            self.suspect = Some((topic, count));
        }
    }
}

/// Whether every source has answered since the start, so that no key is still to come.
fn have_all_answered(snapshot: &Snapshot) -> bool {
    let mut sources = snapshot.sources.iter();
    sources.all(|source| source.health.last_success.is_some())
}

/// A message that is sent alone, since a broker may close the connection over its size.
pub fn is_large(payload: &TopicPayload) -> bool {
    matches!(payload, TopicPayload::Bytes(bytes) if bytes.len() >= limits::MQTT_LARGE_BYTES)
}
