//! Session with a broker, from the login to the end of the connection: what earlier runs have left
//! there, the current state, the birth message, then whatever changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::broker_connection::{BrokerConnection, PublishError};
use super::packets::{BrokerPacket, IncomingMessage};
use super::publication::{MqttPublication, is_large};
use super::topics::{OFFLINE, ONLINE, Topic, TopicPayload, own_filters, status_topic};
use crate::domain::snapshot::Snapshot;
use crate::limits;
use crate::outputs::OutputContext;

/// Waits for the retained messages of earlier runs.
struct RetainedCollection {
    filters: Vec<String>,
    /// Of those, the ones below the node's prefix.
    own: usize,
    packet_id: u16,
    is_subscribed: bool,
    begun: Instant,
    last: Instant,
}

impl RetainedCollection {
    /// How long it takes yet; none if it is complete.
    fn left(&self) -> Option<Duration> {
        let end = self.begun + limits::MQTT_COLLECT_TIMEOUT;
        let end = if self.is_subscribed {
            end.min(self.last + limits::MQTT_COLLECT_PAUSE)
        } else {
            end
        };
        let left = end.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// The birth message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Birth {
    /// The state is not published yet.
    Awaited,
    InFlight(u16),
    Published,
}

/// One connection.
pub struct MqttSession<'a> {
    publication: &'a mut MqttPublication,
    connection: BrokerConnection,
    context: &'a OutputContext,
    snapshot: Option<Arc<Snapshot>>,
    collection: Option<RetainedCollection>,
    birth: Birth,
    /// The first topic that the broker has refused, and why.
    refused: Option<(String, String)>,
    /// All that it has refused.
    refused_topics: BTreeSet<String>,
    /// Why the retained messages of earlier runs cannot be seen.
    not_collected: Option<String>,
}

impl<'a> MqttSession<'a> {
    pub fn new(
        publication: &'a mut MqttPublication,
        connection: BrokerConnection,
        context: &'a OutputContext,
    ) -> MqttSession<'a> {
        MqttSession {
            publication,
            connection,
            context,
            snapshot: None,
            collection: None,
            birth: Birth::Awaited,
            refused: None,
            refused_topics: BTreeSet::new(),
            not_collected: None,
        }
    }

    /// Publishes until the stop (`Ok`) or until the connection is lost.
    pub fn run(mut self) -> Result<(), String> {
        let result = self.publish_all();
        match &result {
            // What is not said within the time is what the last will says.
            Ok(()) => {
                if self.leave().is_ok() {
                    self.connection.close(limits::OUTPUT_STOP_TIMEOUT / 8);
                }
            }
            Err(_) => self.publication.suspect_message(),
        }
        result
    }

    fn publish_all(&mut self) -> Result<(), String> {
        self.take_snapshot();
        self.publication.topics.requeue(self.snapshot.as_deref());
        self.publication.home_assistant.connected();
        let subscriptions = self.publication.home_assistant.subscriptions();
        if !subscriptions.is_empty() {
            self.connection.subscribe(&subscriptions)?;
        }
        self.begin_collection()?;
        while !self.context.stop.is_stopping() {
            self.take_snapshot();
            self.check_collection()?;
            if self.collection.is_none() {
                self.announce();
                self.send_messages()?;
            }
            self.report();
            let packets = self.connection.receive(self.span())?;
            self.handle(packets);
        }
        Ok(())
    }

    /// Home Assistant is told of values that are there already.
    fn announce(&mut self) {
        if let Some(snapshot) = &self.snapshot
            && self.birth != Birth::Awaited
        {
            let now = self.context.clock.now().mono;
            self.publication.announce(snapshot, now);
        }
    }

    fn take_snapshot(&mut self) {
        let newest = self.context.snapshots.get();
        let now = self.context.clock.now().mono;
        let Some(snapshot) = newest.or_else(|| self.snapshot.clone()) else {
            return;
        };
        let is_same = self
            .snapshot
            .as_ref()
            .is_some_and(|it| Arc::ptr_eq(it, &snapshot));
        if is_same {
            self.publication.update_snapshot(&snapshot, now);
        } else {
            self.publication.update(&snapshot, now);
            self.snapshot = Some(snapshot);
        }
    }

    fn begin_collection(&mut self) -> Result<(), String> {
        if self.publication.has_collected {
            let now = self.context.clock.now().mono;
            self.publication.home_assistant.collected(now);
            return Ok(());
        }
        let mut filters = own_filters(&self.publication.mqtt.prefix);
        let own = filters.len();
        filters.extend(self.publication.home_assistant.collected_filters());
        let packet_id = self.connection.subscribe(&filters)?;
        let now = Instant::now();
        self.collection = Some(RetainedCollection {
            filters,
            own,
            packet_id,
            is_subscribed: false,
            begun: now,
            last: now,
        });
        Ok(())
    }

    fn check_collection(&mut self) -> Result<(), String> {
        let is_complete = self
            .collection
            .as_ref()
            .is_some_and(|it| it.left().is_none());
        if is_complete && let Some(collection) = self.collection.take() {
            let now = self.context.clock.now().mono;
            self.publication.has_collected = true;
            self.publication.home_assistant.collected(now);
            self.connection.unsubscribe(&collection.filters)?;
            if let Some(snapshot) = self.snapshot.clone() {
                self.publication.update(&snapshot, now);
            }
        }
        Ok(())
    }

    /// Fills the connection with what is to be sent, then says that all of it is there.
    fn send_messages(&mut self) -> Result<(), String> {
        while self.connection.has_room() {
            if self.publication.large_in_flight().is_some() {
                return Ok(());
            }
            let Some((topic, payload)) = self.publication.topics.next() else {
                break;
            };
            if is_large(&payload) && self.connection.in_flight() > 0 {
                self.publication.topics.put_back(topic);
                return Ok(());
            }
            self.send_message(topic, &payload)?;
        }
        let is_settled = self.publication.topics.waiting() == 0;
        if is_settled && self.birth == Birth::Awaited && self.connection.has_room() {
            let topic = status_topic(&self.publication.mqtt.prefix);
            self.birth = match self.publish(&topic, ONLINE.as_bytes())? {
                Some(id) => Birth::InFlight(id),
                None => Birth::Published,
            };
        }
        Ok(())
    }

    fn send_message(&mut self, topic: Topic, payload: &TopicPayload) -> Result<(), String> {
        if self.publication.left_out.contains(&topic) {
            self.publication.topics.finished(topic);
            return Ok(());
        }
        let name = topic.name(&self.publication.mqtt.prefix);
        let published = self.connection.publish(&name, &payload.bytes());
        match published {
            Ok(packet_id) => {
                if packet_id.is_none() {
                    self.context.status.sent(1, self.context.clock.now());
                }
                self.publication.topics.sent(topic, packet_id);
                Ok(())
            }
            Err(PublishError::Refused(why)) => {
                self.refuse(&name, why);
                self.publication.topics.finished(topic);
                Ok(())
            }
            Err(PublishError::Lost(why)) => Err(why),
        }
    }

    /// Publishes what has no slot.
    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<Option<u16>, String> {
        match self.connection.publish(topic, payload) {
            Ok(packet_id) => Ok(packet_id),
            Err(PublishError::Refused(why)) => {
                self.refuse(topic, why);
                Ok(None)
            }
            Err(PublishError::Lost(why)) => Err(why),
        }
    }

    fn refuse(&mut self, topic: &str, why: String) {
        self.context.status.dropped(1);
        self.refused.get_or_insert_with(|| (topic.to_owned(), why));
        if !self.refused_topics.contains(topic) {
            self.refused_topics.insert(topic.to_owned());
        }
    }

    fn handle(&mut self, packets: Vec<BrokerPacket>) {
        let mut accepted = 0;
        for packet in packets {
            match packet {
                BrokerPacket::Published(id, refused) => {
                    let topic = self.publication.topics.acknowledged(id);
                    let is_birth = self.birth == Birth::InFlight(id);
                    if is_birth {
                        self.birth = Birth::Published;
                    }
                    let suspect = self.publication.suspect.as_ref();
                    if topic.is_some() && suspect.map(|it| &it.0) == topic.as_ref() {
                        self.publication.suspect = None;
                    }
                    match (refused, topic) {
                        (Some(why), Some(topic)) => {
                            self.refuse(&topic.name(&self.publication.mqtt.prefix), why);
                        }
                        (Some(why), None) if is_birth => {
                            self.refuse(&status_topic(&self.publication.mqtt.prefix), why);
                        }
                        (None, topic) if is_birth || topic.is_some() => accepted += 1,
                        // It acknowledges what was not sent.
                        _ => {}
                    }
                }
                BrokerPacket::Subscribed(id, answers) => self.handle_subscribed(id, answers),
                BrokerPacket::Message(message) => self.handle_message(message),
                _ => {}
            }
        }
        if accepted > 0 {
            self.context.status.sent(accepted, self.context.clock.now());
        }
    }

    fn handle_subscribed(&mut self, id: u16, answers: Vec<Option<String>>) {
        if let Some(collection) = &mut self.collection
            && collection.packet_id == id
        {
            collection.is_subscribed = true;
            collection.last = Instant::now();
            let own = answers.into_iter().take(collection.own);
            self.not_collected = own.flatten().next();
        }
    }

    fn handle_message(&mut self, message: IncomingMessage) {
        let IncomingMessage {
            topic,
            payload,
            retain,
        } = message;
        let now = self.context.clock.now().mono;
        let is_announced = self
            .publication
            .home_assistant
            .received(&topic, &payload, now);
        if let Some(collection) = &mut self.collection
            && retain
        {
            collection.last = Instant::now();
            if is_announced {
                return;
            }
            let prefix = &self.publication.mqtt.prefix;
            self.publication.earlier.record(prefix, &topic, &payload);
        }
    }

    /// How long to wait for the next thing to do, if nothing comes.
    fn span(&self) -> Duration {
        let mut span = limits::SNAPSHOT_TIMES_INTERVAL;
        if let Some(left) = self.collection.as_ref().and_then(RetainedCollection::left) {
            span = span.min(left);
        }
        if let Some(snapshot) = &self.snapshot {
            let now = self.context.clock.now().mono;
            let due = self.publication.snapshot_due(snapshot, now);
            let announced = self.publication.home_assistant.next_due();
            let announced = announced.map(|at| at.since(now));
            // What is due now waits for room.
            let due = due.into_iter().chain(announced);
            span = due.filter(|it| !it.is_zero()).fold(span, Duration::min);
        }
        span
    }

    fn report(&self) {
        let status = &self.context.status;
        status.waiting(self.publication.topics.waiting() as u64);
        let mut notes = Vec::new();
        let accepted = self.connection.accepted();
        if !accepted.has_retain {
            notes.push(
                "the broker keeps no retained messages: subscribers see a value only when it changes"
                    .to_owned(),
            );
        }
        if !accepted.has_qos_1 {
            notes.push("the broker acknowledges nothing (QoS 0)".to_owned());
        }
        if let Some((topic, why)) = &self.refused {
            notes.push(match self.refused_topics.len() {
                0 | 1 => format!("{topic} was not published: {why}"),
                more => format!("{topic} and {} more were not published: {why}", more - 1),
            });
        }
        if self.publication.earlier.is_incomplete {
            let most = limits::MQTT_EARLIER_KEYS;
            notes.push(format!(
                "the broker keeps more than {most} keys of earlier runs; the rest is cleared after the next start"
            ));
        }
        if let Some(why) = &self.not_collected {
            notes.push(format!(
                "topics of keys that are no longer published stay at the broker, because it does not let \
                 this node subscribe to its own ones: {why}"
            ));
        }
        for topic in &self.publication.left_out {
            let name = topic.name(&self.publication.mqtt.prefix);
            notes.push(format!(
                "{name} is left out: the broker closed the connection at it again and again, perhaps over \
                 its size"
            ));
        }
        notes.extend(self.publication.home_assistant.note());
        let note = notes.join("; ");
        status.note((!note.is_empty()).then_some(note.as_str()));
    }

    /// Publishes what is pending, and that the node is gone.
    fn leave(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + limits::OUTPUT_STOP_TIMEOUT * 3 / 4;
        let left = || deadline.saturating_duration_since(Instant::now());
        self.take_snapshot();
        self.collection = None;
        // The birth message would be the last but one.
        self.birth = Birth::Published;
        while self.publication.topics.waiting() > 0 && !left().is_zero() {
            self.send_messages()?;
            let packets = self.connection.receive(left())?;
            self.handle(packets);
        }
        let topic = status_topic(&self.publication.mqtt.prefix);
        self.publish(&topic, OFFLINE.as_bytes())?;
        while self.connection.in_flight() > 0 && !left().is_zero() {
            let packets = self.connection.receive(left())?;
            self.handle(packets);
        }
        Ok(())
    }
}
