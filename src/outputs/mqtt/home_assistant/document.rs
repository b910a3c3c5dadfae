//! Discovery documents: one device of Home Assistant each, with its entities.
//!
//! Pure. A document describes one device, and an area is suggested for a whole device. So the node
//! is a device, and each `[[group]]` is one below it (`via_device`) with its own area.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::entity::{
    EntityPlatform, EntityShape, EntityTopics, component, node_component, without_nulls,
};
use crate::domain::percent;
use crate::domain::plan::{GroupPlan, Plan};
use crate::domain::presentation::label_text::common_context;
use crate::domain::stable_hash;
use crate::limits;
use crate::outputs::mqtt::topics;

/// Of a document.
const END: &str = "}}";

/// What all documents of this node have in common.
#[derive(Debug, Clone)]
pub struct DiscoveryNames {
    /// Unique among the nodes of a broker: letters, digits, `-` and `_`.
    pub node_id: String,
    /// What people call the node.
    pub node_name: String,
    /// `homeassistant`, unless Home Assistant is configured otherwise.
    pub discovery_prefix: String,
    /// Of the topics of the values.
    pub topic_prefix: String,
    /// URL of the node's page.
    pub page: String,
}

/// Which device an entity belongs to: the node itself, or the group of this identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiscoveryDevice {
    Node,
    Group(String),
}

impl DiscoveryDevice {
    /// Whether the configuration has it.
    pub fn is_configured(&self, plan: &Plan) -> bool {
        match self {
            DiscoveryDevice::Node => true,
            DiscoveryDevice::Group(_) => self.group(plan).is_some(),
        }
    }

    fn group<'p>(&self, plan: &'p Plan) -> Option<&'p GroupPlan> {
        let DiscoveryDevice::Group(id) = self else {
            return None;
        };
        plan.pages.groups.iter().find(|it| group_id(it) == *id)
    }
}

/// An entity as it is announced.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnouncedEntity {
    pub platform: EntityPlatform,
    /// JSON: as a tree of values it would take several times the memory.
    pub options: Arc<str>,
}

/// The place of an entity: its device, and its identifier in the document.
pub type EntityPlace = (DiscoveryDevice, String);

/// A node's name as an identifier. A name that has other characters gets a hash, so that two of
/// them stay apart.
pub fn node_id(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let plain: String = name
        .chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .collect();
    if plain == name {
        format!("main-node-{name}")
    } else {
        format!("main-node-{plain}-{}", hash(name))
    }
}

/// Eight hex digits.
pub fn hash(text: &str) -> String {
    format!("{:08x}", stable_hash::hash(text.as_bytes()) >> 32)
}

/// The identifier of an entity in its document: the platform belongs to it, for Home Assistant
/// never moves an entity to another.
fn component_id(platform: EntityPlatform, hash: &str) -> String {
    format!("{}_{hash}", platform.name())
}

/// The hash in such an identifier.
pub fn hash_of(component_id: &str) -> Option<&str> {
    let mut platforms = EntityPlatform::ALL.iter();
    let hash = platforms.find_map(|it| component_id.strip_prefix(it.name())?.strip_prefix('_'));
    hash.filter(|it| it.len() == 8 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl DiscoveryNames {
    /// Topic filters of all documents of this node, those of earlier runs too.
    pub fn document_filters(&self) -> [String; 2] {
        let base = self.document_base();
        [format!("{base}/config"), format!("{base}/+/config")]
    }

    pub fn document_topic(&self, device: &DiscoveryDevice) -> String {
        let base = self.document_base();
        match device {
            DiscoveryDevice::Node => format!("{base}/config"),
            DiscoveryDevice::Group(id) => format!("{base}/{id}/config"),
        }
    }

    /// The device of a document's topic, if it is of this node.
    pub fn device_of(&self, topic: &str) -> Option<DiscoveryDevice> {
        let rest = topic.strip_prefix(&self.document_base())?;
        if rest == "/config" {
            return Some(DiscoveryDevice::Node);
        }
        let id = rest.strip_prefix('/')?.strip_suffix("/config")?;
        (!id.is_empty() && !id.contains('/')).then(|| DiscoveryDevice::Group(id.to_owned()))
    }

    /// Where Home Assistant says that it has started.
    pub fn birth_topic(&self) -> String {
        format!("{}/status", self.discovery_prefix)
    }

    fn document_base(&self) -> String {
        format!("{}/device/{}", self.discovery_prefix, self.node_id)
    }

    /// The entities of these keys, the first of those with one hash.
    pub fn entities(
        &self,
        plan: &Plan,
        shapes: &[EntityShape],
    ) -> BTreeMap<EntityPlace, AnnouncedEntity> {
        let mut groups: BTreeMap<Option<usize>, Vec<&EntityShape>> = BTreeMap::new();
        for shape in shapes {
            let group = plan.pages.groups.iter().position(|it| it.has(&shape.key));
            groups.entry(group).or_default().push(shape);
        }
        let mut entities = BTreeMap::new();
        for (group, shapes) in groups {
            let group = group.and_then(|index| plan.pages.groups.get(index));
            let labels = Labels::new(plan, group, &shapes);
            for shape in shapes {
                let hash = hash(&shape.key);
                let entity = self.entity(plan, shape, &hash, &labels.of(&shape.key));
                let place = (device(group), component_id(entity.platform, &hash));
                entities.entry(place).or_insert(entity);
            }
        }
        entities
    }

    fn entity(&self, plan: &Plan, shape: &EntityShape, hash: &str, name: &str) -> AnnouncedEntity {
        let topics = EntityTopics {
            state: &topics::key_topic(&self.topic_prefix, &shape.key),
            available: &topics::available_topic(&self.topic_prefix, &shape.key),
            node_status: &topics::status_topic(&self.topic_prefix),
        };
        let unique_id = format!("{}-{hash}", self.node_id);
        AnnouncedEntity {
            platform: shape.platform(),
            options: component(plan, shape, &unique_id, name, topics)
                .to_string()
                .into(),
        }
    }

    /// The document of a device, and how many of its entities have no place in it.
    pub fn document<'a>(
        &self,
        plan: &Plan,
        device: &DiscoveryDevice,
        entities: impl Iterator<Item = (&'a str, Arc<str>)>,
    ) -> (String, usize) {
        let device_options = self.device_options(plan, device);
        let origin = json!({ "name": "main-node", "sw_version": env!("CARGO_PKG_VERSION") });
        let mut document =
            format!(r#"{{"device":{device_options},"origin":{origin},"components":{{"#);
        let mut separator = "";
        if *device == DiscoveryDevice::Node {
            let unique_id = format!("{}-connected", self.node_id);
            let options = node_component(&unique_id, &topics::status_topic(&self.topic_prefix));
            document += &format!(r#""connected":{options}"#);
            separator = ",";
        }
        let mut left_out = 0;
        for (id, options) in entities {
            let component = format!(r#"{separator}"{id}":{options}"#);
            if document.len() + component.len() + END.len() > limits::DISCOVERY_DOCUMENT_BYTES {
                left_out += 1;
            } else {
                document += &component;
                separator = ",";
            }
        }
        document += END;
        (document, left_out)
    }

    fn device_options(&self, plan: &Plan, device: &DiscoveryDevice) -> Value {
        let group = device.group(plan).map(|it| &*it.name);
        let path = group.map(|name| format!("/web/group/{}", percent::encode(name)));
        let (identifier, parent) = match device {
            DiscoveryDevice::Node => (self.node_id.clone(), None),
            DiscoveryDevice::Group(id) => (format!("{}-{id}", self.node_id), Some(&self.node_id)),
        };
        without_nulls(json!({
            "identifiers": [identifier],
            "name": group.unwrap_or(&self.node_name),
            "sw_version": env!("CARGO_PKG_VERSION"),
            "configuration_url": self.url(path.as_deref().unwrap_or("/web")),
            "via_device": parent,
            "suggested_area": group,
        }))
    }

    /// Home Assistant refuses a document whose URL it cannot read.
    fn url(&self, path: &str) -> Option<String> {
        let is_url = self.page.starts_with("http://") || self.page.starts_with("https://");
        let is_plain = self.page.bytes().all(|it| it.is_ascii_graphic());
        (is_url && is_plain).then(|| format!("{}{path}", self.page.trim_end_matches('/')))
    }
}

fn device(group: Option<&GroupPlan>) -> DiscoveryDevice {
    group.map_or(DiscoveryDevice::Node, |it| {
        DiscoveryDevice::Group(group_id(it))
    })
}

/// Unique among the groups of a node, and the same after a restart.
fn group_id(group: &GroupPlan) -> String {
    hash(&group.name)
}

/// What the keys of a device are called there: Home Assistant puts the device's name before it.
struct Labels<'a> {
    plan: &'a Plan,
    /// The prefix of the keys that the name of their group says.
    context: Option<String>,
}

impl<'a> Labels<'a> {
    fn new(plan: &'a Plan, group: Option<&GroupPlan>, shapes: &[&EntityShape]) -> Labels<'a> {
        let keys: Vec<&str> = shapes.iter().map(|it| &*it.key).collect();
        let context = |group: &GroupPlan| common_context(&keys, Some(&group.name)).to_owned();
        Labels {
            plan,
            context: group.map(context),
        }
    }

    fn of(&self, key: &str) -> String {
        match &self.context {
            Some(context) => self.plan.label(key, context),
            None => self.plan.full_label(key),
        }
    }
}
