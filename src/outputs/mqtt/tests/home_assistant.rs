//! What Home Assistant is told, and when.

use serde_json::json;

use super::*;
use crate::domain::freshness::Stamp;
use crate::domain::plan::{DisplayUnit, GroupPlan, KeyPlan};
use crate::domain::reading::Value as Reading;
use crate::domain::snapshot::Record;
use crate::domain::time::{ClockTrust, Moment, Wall};

const NODE: &str = "homeassistant/device/main-node-attic/config";

const AT: Moment = Moment {
    mono: Mono(0),
    wall: Wall(1_800_000_000_000),
    trust: ClockTrust::Trusted,
};

/// A node, what its sources give, and what the broker retains of its documents.
struct Story {
    node: HomeAssistant,
    records: Vec<Record>,
    now: Mono,
    retained: BTreeMap<String, Value>,
    /// The same as they were sent.
    payloads: BTreeMap<String, String>,
    /// Documents of the last step.
    topics: Vec<String>,
}

fn plan(groups: &[(&str, &[&str])]) -> Plan {
    let group = |(name, keys): &(&str, &[&str])| GroupPlan {
        name: (*name).into(),
        keys: keys.iter().map(|it| KeySelector::new(it)).collect(),
        ..GroupPlan::default()
    };
    let mut plan = Plan::default();
    plan.pages.groups = groups.iter().map(group).collect();
    plan
}

fn settings(plan: Plan, announce: bool) -> HomeAssistantSettings {
    HomeAssistantSettings {
        announce,
        names: DiscoveryNames {
            node_id: node_id("attic"),
            node_name: "Attic".to_owned(),
            discovery_prefix: "homeassistant".to_owned(),
            topic_prefix: "main-node/attic".to_owned(),
            page: "http://attic.local:8000".to_owned(),
        },
        keys: Vec::new(),
        plan: Arc::new(plan),
    }
}

fn record(key: &str, value: Reading, unit: &str) -> Record {
    Record {
        key: key.into(),
        value,
        unit: Some(unit).filter(|it| !it.is_empty()).map(Into::into),
        stamp: Stamp::received(AT, None),
        stale: false,
        stale_after: std::time::Duration::ZERO,
        sources: Vec::new(),
        today: None,
        is_boolean: false,
    }
}

fn number(key: &str, unit: &str) -> Record {
    record(key, Reading::Number(1.0), unit)
}

fn text(key: &str) -> Record {
    record(key, Reading::Text("Cloudy".into()), "")
}

fn boolean(key: &str) -> Record {
    Record {
        is_boolean: true,
        ..number(key, "")
    }
}

impl Story {
    fn new(plan: Plan, records: &[Record]) -> Story {
        let mut story = Story {
            node: HomeAssistant::new(settings(plan, true)),
            records: records.to_vec(),
            now: Mono(1_000_000),
            retained: BTreeMap::new(),
            payloads: BTreeMap::new(),
            topics: Vec::new(),
        };
        story.connect();
        story
    }

    /// What the broker retains is read, and then the node announces itself.
    fn connect(&mut self) {
        self.node.connected();
        for topic in self.retained.keys() {
            let payload = &self.payloads[topic];
            self.node.received(topic, payload.as_bytes(), self.now);
        }
        self.node.collected(self.now);
        self.step(0);
    }

    /// The node begins anew with another configuration.
    fn restart(&mut self, plan: Plan, announce: bool) {
        self.node = HomeAssistant::new(settings(plan, announce));
        self.connect();
    }

    /// A snapshot so many seconds later.
    fn step(&mut self, seconds: u64) {
        self.now = Mono(self.now.0 + seconds * 1000);
        let mut snapshot = Snapshot::empty(AT);
        snapshot.records.clone_from(&self.records);
        let messages = self.node.due(&snapshot, self.now);
        self.topics = messages.iter().map(|it| it.topic.clone()).collect();
        for DiscoveryMessage { topic, payload } in messages {
            if payload.is_empty() {
                self.retained.remove(&topic);
            } else {
                let document = serde_json::from_str(&payload).expect("JSON");
                self.retained.insert(topic.clone(), document);
                self.payloads.insert(topic, payload);
            }
        }
    }

    /// A snapshot every ten seconds: how many documents were published.
    fn run(&mut self, seconds: u64) -> usize {
        let mut count = 0;
        for _ in 0..seconds / 10 {
            self.step(10);
            count += self.topics.len();
        }
        count
    }

    fn entities(&self) -> impl Iterator<Item = &Value> {
        let components = self.retained.values().filter_map(|it| it.get("components"));
        components.flat_map(|it| it.as_object().expect("components").values())
    }

    /// The entities of all documents by their names; those that are taken back by their platform.
    fn names(&self) -> Vec<String> {
        let name = |it: &Value| match it["name"].as_str() {
            Some(name) => name.to_owned(),
            None => format!("-{}", it["platform"].as_str().expect("a platform")),
        };
        let names = self.entities().map(name);
        let mut names: Vec<String> = names.filter(|it| it != "Connected").collect();
        names.sort();
        names
    }

    fn entity(&self, name: &str) -> &Value {
        self.entities().find(|it| it["name"] == name).expect(name)
    }
}

#[test]
fn a_document_describes_the_device_and_its_entities() {
    let story = Story::new(plan(&[]), &[number("outside temperature", "degC")]);
    let document = &story.retained[NODE];
    assert_eq!(
        document["device"],
        json!({
            "identifiers": ["main-node-attic"],
            "name": "Attic",
            "sw_version": env!("CARGO_PKG_VERSION"),
            "configuration_url": "http://attic.local:8000/web",
        })
    );
    assert_eq!(document["origin"]["name"], "main-node");
    let hash = document::hash("outside temperature");
    assert_eq!(
        document["components"][format!("sensor_{hash}")],
        json!({
            "platform": "sensor",
            "unique_id": format!("main-node-attic-{hash}"),
            "name": "Outside temperature",
            "state_topic": "main-node/attic/outside%20temperature",
            "availability": [
                {"topic": "main-node/attic/status"},
                {"topic": "main-node/attic/outside%20temperature/available"},
            ],
            "availability_mode": "all",
            "device_class": "temperature",
            "state_class": "measurement",
            "unit_of_measurement": "°C",
        })
    );
    // Unavailable with the node it would say nothing.
    assert_eq!(
        document["components"]["connected"],
        json!({
            "platform": "binary_sensor",
            "unique_id": "main-node-attic-connected",
            "name": "Connected",
            "state_topic": "main-node/attic/status",
            "payload_on": "online",
            "payload_off": "offline",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
        })
    );
}

#[test]
fn the_kind_of_a_value_decides_its_options() {
    let mut plan = plan(&[]);
    let two_decimals = || KeyPlan {
        decimals: Some(2),
        ..KeyPlan::default()
    };
    let meter = KeyPlan {
        counter: Some(true),
        ..two_decimals()
    };
    let mode = KeyPlan {
        words: vec![("3".to_owned(), "Heating".to_owned())],
        ..two_decimals()
    };
    let kilowatts = DisplayUnit {
        factor: 1e-3,
        unit: "kW".into(),
    };
    let power = KeyPlan {
        show: Some(kilowatts),
        ..two_decimals()
    };
    let hidden = KeyPlan {
        hide: Some(true),
        ..KeyPlan::default()
    };
    for (key, settings) in [
        ("meter", meter),
        ("mode", mode),
        ("power", power),
        ("sky", hidden),
    ] {
        plan.keys.insert(key.into(), settings);
    }
    let records = [
        number("meter", "kWh"),
        number("content", "kWh"),
        number("mode", "x"),
        number("power", "W"),
        number("humidity", "%"),
        text("sky"),
        boolean("pump"),
    ];
    let story = Story::new(plan, &records);
    for (name, options) in [
        ("Meter", "sensor energy total_increasing kWh 2"),
        ("Content", "sensor null measurement kWh null"),
        ("Mode", "sensor null null null null"),
        ("Power", "sensor power measurement W null"),
        ("Humidity", "sensor null measurement % null"),
        ("Sky", "sensor null null null null"),
        ("Pump", "binary_sensor null null null null"),
    ] {
        let entity = story.entity(name);
        let found = [
            "platform",
            "device_class",
            "state_class",
            "unit_of_measurement",
            "suggested_display_precision",
        ];
        let found = found.map(|it| entity[it].to_string().replace('"', ""));
        assert_eq!(found.join(" "), options, "{name}");
    }
    assert_eq!(story.entity("Sky")["enabled_by_default"], false);
    assert_eq!(story.entity("Pump")["payload_on"], "1");
    assert_eq!(story.entity("Pump")["payload_off"], "0");
}

#[test]
fn a_group_is_a_device_with_an_area_below_that_of_the_node() {
    let plan = plan(&[("Kitchen", &["kitchen.*"])]);
    let records = [number("kitchen.temperature", "°C"), number("power", "W")];
    let story = Story::new(plan, &records);
    // The device that others refer to comes first.
    let id = document::hash("Kitchen");
    let group = format!("homeassistant/device/main-node-attic/{id}/config");
    assert_eq!(story.topics, [NODE, &group]);
    assert_eq!(
        story.retained[&group]["device"],
        json!({
            "identifiers": [format!("main-node-attic-{id}")],
            "name": "Kitchen",
            "sw_version": env!("CARGO_PKG_VERSION"),
            "configuration_url": "http://attic.local:8000/web/group/Kitchen",
            "via_device": "main-node-attic",
            "suggested_area": "Kitchen",
        })
    );
    // Home Assistant puts the device's name before it.
    assert_eq!(story.names(), ["Power", "Temperature"]);
}

#[test]
fn documents_follow_new_keys_but_not_values() {
    let mut story = Story::new(plan(&[]), &[number("a", "W")]);
    story.records[0].value = Reading::Number(2.0);
    story.records[0].stale = true;
    assert_eq!(story.run(3_600), 0);
    story.records.push(number("b", "W"));
    story.step(1);
    assert_eq!(story.names(), ["A", "B"]);
    // One document holds what came meanwhile.
    story.records.push(number("c", "W"));
    story.step(1);
    story.records.push(number("d", "W"));
    story.step(1);
    assert!(story.topics.is_empty());
    assert_eq!(story.run(10), 1);
    assert_eq!(story.names(), ["A", "B", "C", "D"]);
}

#[test]
fn a_key_is_taken_back_when_it_was_absent_for_an_hour() {
    let mut story = Story::new(plan(&[]), &[number("a", "W"), text("b")]);
    story.records.pop();
    assert_eq!(story.run(3_590), 0);
    // Back in time: nothing happened.
    story.records.push(text("b"));
    assert_eq!(story.run(3_600), 0);
    story.records.pop();
    assert_eq!(story.run(3_600), 0);
    story.step(10);
    assert_eq!(story.names(), ["-sensor", "A"]);
    story.step(10);
    assert_eq!(story.names(), ["A"]);
    assert_eq!(story.run(7_200), 0);
    story.records.push(text("b"));
    story.step(10);
    assert_eq!(story.names(), ["A", "B"]);
}

#[test]
fn a_flapping_key_changes_at_most_once_an_hour() {
    let mut story = Story::new(plan(&[]), &[number("a", "W")]);
    let mut documents = 0;
    for round in 0..4 * 360 {
        story.records[0] = match round % 3 {
            0 => text("a"),
            1 => boolean("a"),
            _ => number("a", "W"),
        };
        story.step(10);
        documents += story.topics.len();
    }
    // Another platform takes two documents.
    assert!((4..=10).contains(&documents), "{documents}");
    // In the end it is what it is.
    story.records[0] = number("a", "A");
    story.run(7_300);
    assert_eq!(story.entity("A")["unit_of_measurement"], "A");
}

#[test]
fn home_assistant_is_told_again_when_it_starts() {
    let plan = plan(&[("Kitchen", &["k.*"])]);
    let mut story = Story::new(plan, &[number("k.a", "W")]);
    story.run(60);
    for (payload, documents) in [("offline", 0), ("online", 2), ("", 0)] {
        let topic = "homeassistant/status";
        assert!(story.node.received(topic, payload.as_bytes(), story.now));
        // Within the spread.
        assert_eq!(story.run(10), documents, "{payload}");
    }
}

#[test]
fn what_the_broker_retains_is_not_sent_again() {
    let mut story = Story::new(plan(&[]), &[number("a", "W")]);
    story.connect();
    assert!(story.topics.is_empty());
    // A broker that has forgotten is told.
    story.retained.clear();
    story.run(10);
    story.connect();
    assert_eq!(story.topics, [NODE]);
}

#[test]
fn what_an_earlier_run_announced_is_taken_back_after_a_while() {
    let mut story = Story::new(plan(&[]), &[number("a", "W"), boolean("b")]);
    story.records.pop();
    story.restart(plan(&[]), true);
    assert_eq!(story.names(), ["A", "B"]);
    assert_eq!(story.run(50), 0);
    story.step(10);
    assert_eq!(story.names(), ["-binary_sensor", "A"]);
    story.step(10);
    assert_eq!(story.names(), ["A"]);
}

#[test]
fn a_key_that_moves_to_another_device_is_released_first() {
    let released = json!({ "migrate_discovery": true });
    let topic = |group: &str| {
        let id = document::hash(group);
        format!("homeassistant/device/main-node-attic/{id}/config")
    };
    let mut story = Story::new(plan(&[("Old", &["a"])]), &[number("a", "W")]);
    story.run(10);
    story.restart(plan(&[("New", &["a"])]), true);
    assert_eq!(story.topics, [topic("Old")]);
    assert_eq!(story.retained[&topic("Old")], released);
    story.step(10);
    // Nothing is left of the old device.
    assert!(!story.retained.contains_key(&topic("Old")));
    assert_eq!(story.names(), ["A"]);

    // The same of a device that goes on, with a key that has no value yet.
    let records = [number("a", "W"), number("b", "W"), number("c", "W")];
    let mut story = Story::new(plan(&[("Old", &["*"])]), &records);
    story.records.pop();
    story.restart(plan(&[("New", &["a"]), ("Old", &["*"])]), true);
    assert_eq!(story.retained[&topic("Old")], released);
    assert!(story.names().is_empty());
    story.step(10);
    assert_eq!(story.names(), ["A", "B", "C"]);
    assert_eq!(story.run(50), 0);
    assert_eq!(story.run(30), 2);
    assert_eq!(story.names(), ["A", "B"]);
}

#[test]
fn without_home_assistant_what_was_announced_is_cleared() {
    let mut story = Story::new(plan(&[("Kitchen", &["k.*"])]), &[number("k.a", "W")]);
    story.restart(plan(&[]), false);
    assert_eq!(story.topics.len(), 2);
    assert!(story.retained.is_empty());
    assert!(story.node.subscriptions().is_empty());
    story.step(10);
    assert!(story.topics.is_empty());
    story.connect();
    assert!(story.topics.is_empty());
}

#[test]
fn only_so_many_entities_are_announced_and_those_stay() {
    let keys = |range: std::ops::Range<usize>| range.map(|it| number(&format!("key{it}"), "W"));
    let records: Vec<Record> = keys(0..limits::DISCOVERY_ENTITIES).collect();
    let mut story = Story::new(plan(&[]), &records);
    assert_eq!(story.node.note(), None);
    story.records.splice(0..0, keys(9_000..9_003));
    assert_eq!(story.run(20), 0);
    let note = story.node.note().expect("a note");
    assert!(note.starts_with("3 keys are not announced"), "{note}");
}

#[test]
fn a_document_is_not_larger_than_its_bound() {
    let key = |it: usize| number(&format!("{it}{}", "ä".repeat(60)), "W");
    let records: Vec<Record> = (0..limits::DISCOVERY_ENTITIES).map(key).collect();
    let story = Story::new(plan(&[]), &records);
    let size = story.retained[NODE].to_string().len();
    // Less is left than one entity needs.
    let bound = limits::DISCOVERY_DOCUMENT_BYTES;
    assert!((bound - 2_000..=bound).contains(&size), "{size}");
    assert!(story.node.note().is_some());
}

#[test]
fn only_own_documents_are_collected() {
    let mut node = HomeAssistant::new(settings(plan(&[]), false));
    node.connected();
    for (topic, is_ours) in [
        (NODE, true),
        ("homeassistant/device/main-node-attic/0011aabb/config", true),
        ("homeassistant/device/main-node-attic/a/b/config", false),
        ("homeassistant/device/main-node-attic//config", false),
        ("homeassistant/device/main-node-attic2/config", false),
        ("homeassistant/device/zigbee/config", false),
        ("main-node/attic/a", false),
    ] {
        let found = node.received(topic, b"not JSON", Mono(0));
        assert_eq!(found, is_ours, "{topic}");
    }
    node.collected(Mono(0));
    let messages = node.due(&Snapshot::empty(AT), Mono(0));
    assert_eq!(messages.len(), 2, "{messages:?}");
}

#[test]
fn names_of_nodes_make_identifiers_that_home_assistant_takes() {
    for (name, expected) in [
        ("attic", "main-node-attic"),
        ("wohn_zimmer-2", "main-node-wohn_zimmer-2"),
    ] {
        assert_eq!(node_id(name), expected);
    }
    let (a, b) = (node_id("Küche 1"), node_id("Küche.1"));
    assert_ne!(a, b);
    assert!(a.starts_with("main-node-K-che-1-"), "{a}");
}
