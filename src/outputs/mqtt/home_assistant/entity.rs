//! An entity of Home Assistant: how one key is announced.
//!
//! Pure. A number or a text is a `sensor`, a boolean of its source a `binary_sensor`. The state
//! topic holds the value itself, so no template is needed, and nothing expires: whether a value
//! is fresh says the key's own availability topic.

use std::sync::Arc;

use serde_json::{Value, json};

use super::unit_class::{StateClass, device_class, spelling};
use crate::domain::plan::Plan;
use crate::domain::snapshot::Record;
use crate::outputs::mqtt::topics::{OFFLINE, ONLINE};

/// Where an entity belongs in Home Assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntityPlatform {
    BinarySensor,
    Sensor,
}

impl EntityPlatform {
    pub const ALL: [EntityPlatform; 2] = [EntityPlatform::BinarySensor, EntityPlatform::Sensor];

    pub fn name(self) -> &'static str {
        match self {
            EntityPlatform::BinarySensor => "binary_sensor",
            EntityPlatform::Sensor => "sensor",
        }
    }
}

/// What of a record decides how its key is announced.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityShape {
    pub key: Arc<str>,
    unit: Option<Arc<str>>,
    kind: ValueKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueKind {
    Boolean,
    Number,
    Text,
}

impl ValueKind {
    fn of(record: &Record) -> ValueKind {
        match record.value.number() {
            Some(_) if record.is_boolean => ValueKind::Boolean,
            Some(_) => ValueKind::Number,
            None => ValueKind::Text,
        }
    }
}

impl EntityShape {
    pub fn of(record: &Record) -> EntityShape {
        EntityShape {
            key: record.key.clone(),
            unit: record.unit.clone(),
            kind: ValueKind::of(record),
        }
    }

    pub fn is_of(&self, record: &Record) -> bool {
        self.key == record.key && self.unit == record.unit && self.kind == ValueKind::of(record)
    }

    pub fn platform(&self) -> EntityPlatform {
        match self.kind {
            ValueKind::Boolean => EntityPlatform::BinarySensor,
            ValueKind::Number | ValueKind::Text => EntityPlatform::Sensor,
        }
    }
}

/// The topics of an entity.
#[derive(Debug, Clone, Copy)]
pub struct EntityTopics<'a> {
    pub state: &'a str,
    /// `online` while the value is fresh.
    pub available: &'a str,
    /// `online` while the node is connected.
    pub node_status: &'a str,
}

/// The entity of a key, in Home Assistant's words.
pub fn component(
    plan: &Plan,
    shape: &EntityShape,
    unique_id: &str,
    name: &str,
    topics: EntityTopics<'_>,
) -> Value {
    let numbers = NumberOptions::new(plan, shape);
    let is_hidden = plan.key_setting(&shape.key, |it| it.hide) == Some(true);
    let payload = |text: &'static str| (shape.kind == ValueKind::Boolean).then_some(text);
    without_nulls(json!({
        "platform": shape.platform().name(),
        "unique_id": unique_id,
        "name": name,
        "state_topic": topics.state,
        "availability": [{"topic": topics.node_status}, {"topic": topics.available}],
        "availability_mode": "all",
        "payload_on": payload("1"),
        "payload_off": payload("0"),
        "device_class": numbers.device_class,
        "state_class": numbers.state_class.map(StateClass::name),
        "unit_of_measurement": numbers.unit,
        "suggested_display_precision": numbers.decimals,
        // What pages leave out can be enabled there.
        "enabled_by_default": is_hidden.then_some(false),
    }))
}

/// The entity that says whether the node is connected. It is the one that a device has always, and
/// it must not be unavailable when the node is.
pub fn node_component(unique_id: &str, status_topic: &str) -> Value {
    without_nulls(json!({
        "platform": EntityPlatform::BinarySensor.name(),
        "unique_id": unique_id,
        "name": "Connected",
        "state_topic": status_topic,
        "payload_on": ONLINE,
        "payload_off": OFFLINE,
        "device_class": "connectivity",
        "entity_category": "diagnostic",
    }))
}

/// What only numbers have.
#[derive(Default)]
struct NumberOptions<'a> {
    device_class: Option<&'static str>,
    state_class: Option<StateClass>,
    unit: Option<&'a str>,
    decimals: Option<u8>,
}

impl<'a> NumberOptions<'a> {
    fn new(plan: &Plan, shape: &'a EntityShape) -> NumberOptions<'a> {
        let has_words = || plan.key_setting(&shape.key, |it| (!it.words.is_empty()).then_some(()));
        // A mean of what stands for words says nothing.
        if shape.kind != ValueKind::Number || has_words().is_some() {
            return NumberOptions::default();
        }
        let is_counter = plan.key_setting(&shape.key, |it| it.counter) == Some(true);
        let state = if is_counter {
            StateClass::TotalIncreasing
        } else {
            StateClass::Measurement
        };
        let unit = shape.unit.as_deref().map(spelling);
        NumberOptions {
            device_class: unit.and_then(|unit| device_class(unit, state)),
            state_class: Some(state),
            unit: unit.filter(|it| !it.is_empty()),
            decimals: plan.stored_decimals(&shape.key),
        }
    }
}

/// An option that does not apply is left out.
pub fn without_nulls(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.retain(|_, value| !value.is_null());
    }
    object
}
