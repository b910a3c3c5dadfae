use std::net::TcpListener;
use std::sync::Arc;

use super::support::{config, serve};
use super::*;
use crate::config::MqttVersion;
use crate::domain::freshness::Stamp;
use crate::domain::reading::Value;
use crate::domain::snapshot::{Record, Snapshot};
use crate::outputs::{LatestSnapshot, SharedOutputStatus};
use crate::sys::clock::{Clock, SystemClock};

fn snapshot(value: f64) -> Arc<Snapshot> {
    let now = SystemClock::new().now();
    let record = Record {
        key: "t".into(),
        value: Value::Number(value),
        unit: None,
        stamp: Stamp::received(now, None),
        stale: false,
        stale_after: Duration::from_secs(60),
        sources: Vec::new(),
        today: None,
        is_boolean: false,
    };
    Arc::new(Snapshot {
        records: vec![record],
        ..Snapshot::empty(now)
    })
}

fn output(mqtt: &MqttConfig) -> MqttOutput {
    let names = DiscoveryNames {
        node_id: node_id("n"),
        node_name: "n".to_owned(),
        discovery_prefix: mqtt.discovery_prefix.clone(),
        topic_prefix: mqtt.prefix.clone(),
        page: "http://n.local:8000".to_owned(),
    };
    let home_assistant = HomeAssistant::new(HomeAssistantSettings {
        announce: mqtt.home_assistant,
        names,
        keys: Vec::new(),
        plan: Arc::default(),
    });
    MqttOutput::new(mqtt, home_assistant)
}

/// Publishes to a broker that cuts connections, until everything is there; what it received, without
/// whole snapshots.
fn publish(retained: Vec<(&'static str, &'static str)>, cuts: Vec<usize>) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let received = serve(listener, retained, cuts);
    let stop = StopSource::new();
    let mut output = output(&config(port, MqttVersion::V3));
    let context = OutputContext {
        snapshots: LatestSnapshot::new(snapshot(21.5)),
        status: SharedOutputStatus::new("mqtt", &output.destination(), Arc::default()),
        stop: stop.token(),
        clock: Arc::new(SystemClock::new()),
    };
    let runner = std::thread::spawn(move || output.run(&context));
    let begun = Instant::now();
    let wait_for = |texts: [&str; 2]| {
        let has = || received.get().iter().any(|it| texts.contains(&it.as_str()));
        while !has() && begun.elapsed() < Duration::from_secs(30) {
            std::thread::yield_now();
        }
    };
    wait_for(["n/status=online"; 2]);
    stop.stop();
    runner.join().expect("it ends at the stop");
    wait_for(["DISCONNECT", "LOST"]);
    let mut all = received.get();
    all.retain(|it| !it.starts_with("n/snapshot="));
    all
}

#[test]
fn values_come_before_the_birth_and_the_stop_says_offline() {
    let retained = vec![
        ("n/t", "20"),
        ("n/t/available", "online"),
        ("n/old", "1"),
        ("n/old/available", "online"),
        ("n/foreign", "1"),
    ];
    assert_eq!(
        publish(retained, Vec::new()),
        [
            "n/t=21.5",
            "n/t/available=online",
            "n/old=",
            "n/old/available=",
            "n/status=online",
            "n/status=offline",
            "DISCONNECT",
        ]
    );
}

#[test]
fn a_connection_that_is_cut_is_made_again_with_everything() {
    // CONNECT, SUBSCRIBE, UNSUBSCRIBE, and one value.
    let received = publish(Vec::new(), vec![1, 4]);
    let last: Vec<&str> = received
        .iter()
        .rev()
        .take(5)
        .rev()
        .map(String::as_str)
        .collect();
    assert_eq!(
        last,
        [
            "n/t=21.5",
            "n/t/available=online",
            "n/status=online",
            "n/status=offline",
            "DISCONNECT",
        ],
        "{received:?}"
    );
}
