//! Retained topics: what has to stand at the broker, and what of it is still to be sent.
//!
//! Pure. Each topic has one slot with its newest payload, so that memory is bounded however long the
//! broker is away, and nothing old is ever sent. A topic has one message in flight at a time: what
//! comes meanwhile replaces what came before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::topics::{Topic, TopicPayload};
use crate::domain::compact_sort::CompactSort;
use crate::domain::plan::{KeySelector, is_selected};
use crate::domain::snapshot::{Record, Snapshot};
use crate::limits;

/// By topic.
#[derive(Default)]
pub struct RetainedTopics {
    slots: BTreeMap<Topic, TopicSlot>,
    /// To be sent, each topic once.
    queue: VecDeque<Topic>,
    /// By the number of their message.
    in_flight: BTreeMap<u16, Topic>,
    /// Counts updates.
    generation: u64,
}

struct TopicSlot {
    payload: TopicPayload,
    state: SlotState,
    /// The update that had it last.
    seen: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotState {
    Queued,
    /// `is_outdated`: the payload has changed since.
    InFlight {
        is_outdated: bool,
    },
    /// As far as it could be.
    Sent,
}

impl RetainedTopics {
    /// Takes over the values of a snapshot, of the keys that `keys` has; all if it is empty.
    pub fn update(&mut self, snapshot: &Snapshot, keys: &[KeySelector]) {
        self.generation += 1;
        for record in &snapshot.records {
            if !is_selected(keys, &record.key) {
                continue;
            }
            let value = TopicPayload::Value(record.value.clone());
            self.set(Topic::Value(record.key.clone()), value);
            let available = TopicPayload::Available(!record.stale);
            self.set(Topic::Available(record.key.clone()), available);
        }
        let mut gone = Vec::new();
        for (topic, slot) in &self.slots {
            if slot.seen < self.generation
                && let Topic::Available(key) = topic
                && slot.payload == TopicPayload::Available(true)
            {
                gone.push(key.clone());
            }
        }
        for key in gone {
            self.set(Topic::Available(key), TopicPayload::Available(false));
        }
        self.forget_oldest();
    }

    /// Keys that are gone stay as unavailable, as long as there are not too many of them.
    fn forget_oldest(&mut self) {
        let excess = self.slots.len().saturating_sub(limits::MQTT_TOPICS);
        if excess == 0 {
            return;
        }
        let mut gone: Vec<(u64, Arc<str>)> = Vec::new();
        for (topic, slot) in &self.slots {
            if slot.seen < self.generation
                && let Topic::Value(key) = topic
                && slot.payload != TopicPayload::Cleared
            {
                gone.push((slot.seen, key.clone()));
            }
        }
        gone.sort();
        for (_, key) in gone.into_iter().take(excess.div_ceil(2)) {
            self.clear_key(key);
        }
    }

    /// Lets the broker forget a key.
    pub fn clear_key(&mut self, key: Arc<str>) {
        self.set(Topic::Value(key.clone()), TopicPayload::Cleared);
        self.set(Topic::Available(key), TopicPayload::Cleared);
    }

    pub fn set(&mut self, topic: Topic, payload: TopicPayload) {
        let seen = self.generation;
        let Some(slot) = self.slots.get_mut(&topic) else {
            let state = SlotState::Queued;
            let slot = TopicSlot {
                payload,
                state,
                seen,
            };
            self.slots.insert(topic.clone(), slot);
            self.queue.push_back(topic);
            return;
        };
        slot.seen = seen;
        if slot.payload == payload {
            return;
        }
        slot.payload = payload;
        match slot.state {
            SlotState::Queued => {}
            SlotState::InFlight { .. } => slot.state = SlotState::InFlight { is_outdated: true },
            SlotState::Sent => {
                slot.state = SlotState::Queued;
                self.queue.push_back(topic);
            }
        }
    }

    /// The same, and sent though it stands there already.
    pub fn set_anew(&mut self, topic: Topic, payload: TopicPayload) {
        if let Some(slot) = self.slots.get_mut(&topic)
            && slot.payload == payload
            && slot.state == SlotState::Sent
        {
            slot.state = SlotState::Queued;
            self.queue.push_back(topic);
        } else {
            self.set(topic, payload);
        }
    }

    pub fn has(&self, topic: &Topic) -> bool {
        self.slots.contains_key(topic)
    }

    /// The next message to be sent. Whoever takes it says what became of it.
    pub fn next(&mut self) -> Option<(Topic, TopicPayload)> {
        let topic = self.queue.pop_front()?;
        let payload = self.slots.get(&topic)?.payload.clone();
        Some((topic, payload))
    }

    /// It could not be sent yet.
    pub fn put_back(&mut self, topic: Topic) {
        self.queue.push_front(topic);
    }

    pub fn payload(&self, topic: &Topic) -> Option<&TopicPayload> {
        self.slots.get(topic).map(|slot| &slot.payload)
    }

    /// It was sent: with the number of its message, or one that is never acknowledged.
    pub fn sent(&mut self, topic: Topic, packet_id: Option<u16>) {
        match packet_id {
            None => self.finished(topic),
            Some(id) => {
                if let Some(slot) = self.slots.get_mut(&topic) {
                    slot.state = SlotState::InFlight { is_outdated: false };
                }
                self.in_flight.insert(id, topic);
            }
        }
    }

    /// A message was acknowledged; the topic, if it was one of these.
    pub fn acknowledged(&mut self, packet_id: u16) -> Option<Topic> {
        let topic = self.in_flight.remove(&packet_id)?;
        self.finished(topic.clone());
        Some(topic)
    }

    /// Nothing more is to be done for a topic until its payload changes.
    pub fn finished(&mut self, topic: Topic) {
        let Some(slot) = self.slots.get_mut(&topic) else {
            return;
        };
        if slot.state == (SlotState::InFlight { is_outdated: true }) {
            slot.state = SlotState::Queued;
            self.queue.push_back(topic);
        } else if slot.payload == TopicPayload::Cleared {
            self.slots.remove(&topic);
        } else {
            slot.state = SlotState::Sent;
        }
    }

    /// What is in flight, if it is the only one.
    pub fn only_in_flight(&self) -> Option<&Topic> {
        let mut topics = self.in_flight.values();
        let only = topics.next();
        only.filter(|_| topics.next().is_none())
    }

    pub fn waiting(&self) -> usize {
        self.queue.len() + self.in_flight.len()
    }

    /// Everything has to be sent again, as over a new connection: the newest values first. What is
    /// outside the prefix is set anew by whoever has set it.
    pub fn requeue(&mut self, snapshot: Option<&Snapshot>) {
        self.in_flight.clear();
        self.queue.clear();
        self.slots
            .retain(|topic, _| !matches!(topic, Topic::Named(_)));
        let mut records: Vec<&Record> = match snapshot {
            Some(snapshot) => snapshot.records.iter().collect(),
            None => Vec::new(),
        };
        records.compact_sort_by_key(|record| std::cmp::Reverse(record.stamp.observed));
        let mut queued = BTreeSet::new();
        for record in records {
            let key = &record.key;
            for topic in [Topic::Value(key.clone()), Topic::Available(key.clone())] {
                if self.slots.contains_key(&topic) && queued.insert(topic.clone()) {
                    self.queue.push_back(topic);
                }
            }
        }
        for (topic, slot) in &mut self.slots {
            slot.state = SlotState::Queued;
            if !queued.contains(topic) {
                self.queue.push_back(topic.clone());
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/retained_topics.rs"]
mod tests;
