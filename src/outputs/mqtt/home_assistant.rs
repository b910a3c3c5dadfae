//! Home Assistant: discovery of the node's values by MQTT.
//!
//! Decides what is announced when; it does no I/O and reads no clock. The thread of the MQTT output
//! owns it, hands it what it receives and the snapshots, and publishes what [`HomeAssistant::due`]
//! gives.
//!
//! Home Assistant forgets the name, area and history of an entity that is taken back, and loses
//! parts of a document that follows the one before too soon. So a key that comes and goes stays
//! announced (its availability topic says `offline`) until it was absent for an hour, and nothing
//! is taken back before every source has answered. What a new configuration moves to another device is
//! released first and announced there in the document after that.

mod document;
mod entity;
mod entity_state;
mod unit_class;
mod wanted_entities;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use self::document::{AnnouncedEntity, DiscoveryDevice, EntityPlace, hash_of};
pub use self::document::{DiscoveryNames, node_id};
use self::entity::EntityPlatform;
use self::entity_state::{EntityChange, EntityEnd, EntityState};
use self::wanted_entities::WantedEntities;
use crate::domain::plan::{KeySelector, Plan};
use crate::domain::snapshot::Snapshot;
use crate::domain::stable_hash;
use crate::domain::time::{Mono, millis};
use crate::limits;

/// Takes the place of a document: Home Assistant lets go of its entities without deleting them.
const RELEASED: &str = r#"{"migrate_discovery":true}"#;

pub struct HomeAssistantSettings {
    /// Whether to announce; otherwise only what an earlier run has announced is cleared.
    pub announce: bool,
    pub names: DiscoveryNames,
    /// Which keys; empty: all.
    pub keys: Vec<KeySelector>,
    pub plan: Arc<Plan>,
}

/// A retained message; an empty payload clears its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryMessage {
    pub topic: String,
    pub payload: String,
}

pub struct HomeAssistant {
    settings: HomeAssistantSettings,
    phase: CollectionPhase,
    /// What the documents hold, as Home Assistant knows it.
    entities: BTreeMap<EntityPlace, EntityState>,
    /// Hashes of the documents that the broker retains.
    published: BTreeMap<DiscoveryDevice, u64>,
    wanted: WantedEntities,
    /// When a key was announced in another way; older than an hour is forgotten.
    changed: BTreeMap<String, Mono>,
    /// When Home Assistant is told everything again.
    repeat_at: Option<Mono>,
    /// Before that nothing follows the last documents.
    quiet_until: Mono,
    /// When a decision is due without a new snapshot.
    due_at: Option<Mono>,
    left_out: usize,
}

/// Where the retained documents of earlier runs stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CollectionPhase {
    NotConnected,
    Collecting,
    Collected,
}

impl HomeAssistant {
    pub fn new(settings: HomeAssistantSettings) -> HomeAssistant {
        HomeAssistant {
            settings,
            phase: CollectionPhase::NotConnected,
            entities: BTreeMap::new(),
            published: BTreeMap::new(),
            wanted: WantedEntities::default(),
            changed: BTreeMap::new(),
            repeat_at: None,
            quiet_until: Mono::default(),
            due_at: None,
            left_out: 0,
        }
    }

    /// Topic filters whose retained messages are wanted once after each connect.
    pub fn collected_filters(&self) -> Vec<String> {
        self.settings.names.document_filters().into()
    }

    /// Topic filters for as long as the connection lasts.
    pub fn subscriptions(&self) -> Vec<String> {
        let birth = self.settings.announce;
        let birth = birth.then(|| self.settings.names.birth_topic());
        birth.into_iter().collect()
    }

    /// A connection was made: what the broker retains is to be seen.
    pub fn connected(&mut self) {
        self.phase = CollectionPhase::Collecting;
        self.published.clear();
        self.repeat_at = None;
        self.due_at = None;
    }

    /// The retained messages have come, or will not.
    pub fn collected(&mut self, now: Mono) {
        self.phase = CollectionPhase::Collected;
        self.due_at = Some(now);
    }

    /// A message of one of the filters; false for one of another topic.
    pub fn received(&mut self, topic: &str, payload: &[u8], now: Mono) -> bool {
        let names = &self.settings.names;
        if topic == names.birth_topic() {
            if payload == b"online" && self.settings.announce {
                // Other devices answer at this moment too.
                let spread = stable_hash::hash(format!("{}{}", names.node_id, now.0).as_bytes());
                let spread = spread % millis(limits::DISCOVERY_REPEAT_SPREAD);
                self.repeat_at = Some(Mono(now.0.saturating_add(spread)));
            }
            return true;
        }
        let Some(device) = names.device_of(topic) else {
            return false;
        };
        if self.phase == CollectionPhase::Collecting && !payload.is_empty() {
            self.collect(device, payload);
        }
        true
    }

    /// When to ask for [`HomeAssistant::due`] though no snapshot came.
    pub fn next_due(&self) -> Option<Mono> {
        let collected = self.phase == CollectionPhase::Collected;
        let next = self.due_at.into_iter().chain(self.repeat_at).min();
        next.filter(|_| collected)
            .map(|at| at.max(self.quiet_until))
    }

    /// What is to be published now, in this order and retained.
    pub fn due(&mut self, snapshot: &Snapshot, now: Mono) -> Vec<DiscoveryMessage> {
        if self.phase != CollectionPhase::Collected {
            return Vec::new();
        }
        if !self.settings.announce {
            return self.clear();
        }
        if self.wanted.update(&self.settings, snapshot) {
            self.due_at = Some(now);
        }
        if self.next_due().is_none_or(|at| at > now) {
            return Vec::new();
        }
        if self.repeat_at.is_some_and(|at| at <= now) {
            self.repeat_at = None;
            self.published.clear();
        }
        self.due_at = None;
        self.forget_changes(now);
        self.settle(now);
        self.announce();
        let messages = self.documents(snapshot);
        if !messages.is_empty() {
            self.quiet_until = now.after(limits::DISCOVERY_INTERVAL);
        }
        if self.entities.values().any(|it| it.end.is_some()) {
            self.remind(now);
        }
        messages
    }

    /// What people should know.
    pub fn note(&self) -> Option<String> {
        let (count, most) = (self.left_out, limits::DISCOVERY_ENTITIES);
        let note = || {
            format!(
                "{count} keys are not announced to Home Assistant: at most {most}, and documents of at \
                 most {} bytes. Choose them with keys = [\"…\"] in [mqtt]",
                limits::DISCOVERY_DOCUMENT_BYTES
            )
        };
        (count > 0).then(note)
    }

    /// What an earlier run or connection has announced.
    fn collect(&mut self, device: DiscoveryDevice, payload: &[u8]) {
        self.published
            .insert(device.clone(), stable_hash::hash(payload));
        if payload.len() > limits::DISCOVERY_DOCUMENT_BYTES {
            return;
        }
        let document: Value = serde_json::from_slice(payload).unwrap_or_default();
        let Some(components) = document.get("components").and_then(Value::as_object) else {
            return;
        };
        for (id, options) in components {
            let platform = options.get("platform").and_then(Value::as_str);
            let mut platforms = EntityPlatform::ALL.into_iter();
            let platform = platforms.find(|it| Some(it.name()) == platform);
            let is_announced = options.as_object().is_some_and(|it| it.len() > 1);
            let (Some(platform), true) = (platform, is_announced && hash_of(id).is_some()) else {
                continue;
            };
            let options = options.to_string().into();
            let found = AnnouncedEntity { platform, options };
            let place = (device.clone(), id.clone());
            let known = self.entities.entry(place);
            known.or_insert_with(|| EntityState::new(found, true));
        }
    }

    /// Home Assistant is off: nothing of this node stays announced.
    fn clear(&mut self) -> Vec<DiscoveryMessage> {
        self.due_at = None;
        self.entities.clear();
        let devices = std::mem::take(&mut self.published).into_keys();
        devices.map(|device| self.empty_document(&device)).collect()
    }

    fn empty_document(&self, device: &DiscoveryDevice) -> DiscoveryMessage {
        DiscoveryMessage {
            topic: self.settings.names.document_topic(device),
            payload: String::new(),
        }
    }

    fn forget_changes(&mut self, now: Mono) {
        self.changed
            .retain(|_, at| now.since(*at) < limits::DISCOVERY_CHANGE_INTERVAL);
    }

    /// Wakes at `at` at the latest.
    fn remind(&mut self, at: Mono) {
        self.due_at = Some(self.due_at.map_or(at, |due| due.min(at)));
    }

    /// Brings what is announced nearer to what is wanted.
    fn settle(&mut self, now: Mono) {
        // Left with the documents of the last time.
        self.entities.retain(|_, it| it.end.is_none());
        let wanted = &self.wanted.entities;
        let platforms = wanted.iter();
        let platforms: BTreeMap<&str, EntityPlatform> = platforms
            .filter_map(|((_, id), it)| Some((hash_of(id)?, it.platform)))
            .collect();
        // What an earlier run announced with another device.
        let is_moving = |place: &EntityPlace, state: &EntityState| {
            let platform = hash_of(&place.1).and_then(|hash| platforms.get(hash));
            state.is_earlier
                && !wanted.contains_key(place)
                && platform == Some(&state.entity.platform)
        };
        let moving = self
            .entities
            .iter()
            .filter(|(place, it)| is_moving(place, it));
        let released: BTreeSet<DiscoveryDevice> =
            moving.map(|((device, _), _)| device.clone()).collect();
        let mut reminders = Vec::new();
        for (place, state) in &mut self.entities {
            let hash = hash_of(&place.1).unwrap_or_default();
            if released.contains(&place.0) {
                let is_moving = is_moving(place, state);
                state.end = is_moving.then_some(EntityEnd::Released);
            } else if !place.0.is_configured(&self.settings.plan) {
                state.end = Some(EntityEnd::TakenBack);
            } else if !platforms.contains_key(hash) {
                // What a source that has not answered yet may give is decided when it has.
                let at = state.give_up_at(now);
                if self.wanted.have_all_answered {
                    state.end = (at <= now).then_some(EntityEnd::TakenBack);
                    reminders.extend((at > now).then_some(at));
                }
            } else {
                let changed = self.changed.get(hash).copied();
                match (state.follow(wanted.get(place), changed.is_some()), changed) {
                    (EntityChange::Postponed, Some(at)) => {
                        reminders.push(at.after(limits::DISCOVERY_CHANGE_INTERVAL));
                    }
                    (EntityChange::Made, _) => {
                        self.changed.insert(hash.to_owned(), now);
                    }
                    _ => {}
                }
            }
        }
        for at in reminders {
            self.remind(at);
        }
    }

    /// Adds what is not announced anywhere.
    fn announce(&mut self) {
        let hashes = self.entities.keys().filter_map(|(_, id)| hash_of(id));
        let mut announced: BTreeSet<String> = hashes.map(str::to_owned).collect();
        let mut room = limits::DISCOVERY_ENTITIES.saturating_sub(self.entities.len());
        self.left_out = 0;
        for (place, entity) in &self.wanted.entities {
            let is_announced = |hash: &str| announced.contains(hash);
            let Some(hash) = hash_of(&place.1).filter(|it| !is_announced(it)) else {
                continue;
            };
            if room == 0 {
                self.left_out += 1;
                continue;
            }
            room -= 1;
            announced.insert(hash.to_owned());
            let state = EntityState::new(entity.clone(), false);
            self.entities.insert(place.clone(), state);
        }
    }

    /// The documents that differ from what the broker retains; that of the node first, for the
    /// others refer to it.
    fn documents(&mut self, snapshot: &Snapshot) -> Vec<DiscoveryMessage> {
        let plan = self.settings.plan.clone();
        let plan = plan.with_upstream_labels(&snapshot.upstream_labels);
        let of_entities = self.entities.keys().map(|(device, _)| device);
        let mut devices: BTreeSet<DiscoveryDevice> =
            of_entities.chain(self.published.keys()).cloned().collect();
        devices.insert(DiscoveryDevice::Node);
        let mut messages = Vec::new();
        for device in devices {
            let (payload, left_out) = self.payload(&plan, &device);
            self.left_out += left_out;
            let hash = (!payload.is_empty()).then(|| stable_hash::hash(payload.as_bytes()));
            if hash == self.published.get(&device).copied() {
                continue;
            }
            messages.push(DiscoveryMessage {
                topic: self.settings.names.document_topic(&device),
                payload,
            });
            match hash {
                Some(hash) => self.published.insert(device, hash),
                None => self.published.remove(&device),
            };
        }
        messages
    }

    /// The document of a device, and how many of its entities have no place in it.
    fn payload(&self, plan: &Plan, device: &DiscoveryDevice) -> (String, usize) {
        let of_device = || self.entities.iter().filter(|((it, _), _)| it == device);
        if of_device().any(|(_, it)| it.end == Some(EntityEnd::Released)) {
            return (RELEASED.to_owned(), 0);
        }
        if *device != DiscoveryDevice::Node && of_device().all(|(_, it)| it.end.is_some()) {
            return (String::new(), 0);
        }
        let components = of_device().map(|((_, id), state)| (id.as_str(), state.options()));
        self.settings.names.document(plan, device, components)
    }
}

#[cfg(test)]
#[path = "tests/home_assistant.rs"]
mod tests;
