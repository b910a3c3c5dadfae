use std::time::Duration;

use super::*;
use crate::domain::freshness::Stamp;
use crate::domain::reading::Value;
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};

fn at(second: i64) -> Moment {
    Moment {
        mono: Mono(0),
        wall: Wall::from_second(second),
        trust: ClockTrust::Trusted,
    }
}

fn record(key: &str, value: f64, observed: i64) -> Record {
    Record {
        key: key.into(),
        value: Value::Number(value),
        unit: None,
        stamp: Stamp::received(at(observed), None),
        stale: false,
        stale_after: Duration::from_secs(60),
        sources: Vec::new(),
        today: None,
        is_boolean: false,
    }
}

fn snapshot(records: &[(&str, f64, i64)]) -> Snapshot {
    let records = records.iter();
    Snapshot {
        records: records
            .map(|(key, value, at)| record(key, *value, *at))
            .collect(),
        ..Snapshot::empty(at(0))
    }
}

/// Takes every message and acknowledges it, as the broker does: what stands there then.
fn drain(topics: &mut RetainedTopics) -> Vec<String> {
    let mut sent = Vec::new();
    let mut id = 0;
    while let Some((topic, payload)) = topics.next() {
        id += 1;
        let text = String::from_utf8(payload.bytes()).expect("text");
        sent.push(format!("{}={text}", topic.name("n")));
        topics.sent(topic, Some(id));
        assert!(topics.acknowledged(id).is_some());
    }
    assert_eq!(topics.waiting(), 0);
    sent
}

#[test]
fn only_what_changes_is_sent() {
    let mut topics = RetainedTopics::default();
    topics.update(&snapshot(&[("a", 1.0, 1), ("b", 2.0, 1)]), &[]);
    assert_eq!(
        drain(&mut topics),
        [
            "n/a=1",
            "n/a/available=online",
            "n/b=2",
            "n/b/available=online"
        ]
    );
    topics.update(&snapshot(&[("a", 1.0, 2), ("b", 2.0, 2)]), &[]);
    assert!(drain(&mut topics).is_empty());
    let mut later = snapshot(&[("a", 1.5, 3), ("b", 2.0, 2)]);
    later.records[1].stale = true;
    topics.update(&later, &[]);
    assert_eq!(drain(&mut topics), ["n/a=1.5", "n/b/available=offline"]);
    // A key that is gone.
    topics.update(&snapshot(&[("b", 2.0, 2)]), &[]);
    assert_eq!(
        drain(&mut topics),
        ["n/b/available=online", "n/a/available=offline"]
    );
    topics.update(&snapshot(&[("b", 2.0, 2), ("a", 1.5, 9)]), &[]);
    assert_eq!(drain(&mut topics), ["n/a/available=online"]);
}

#[test]
fn a_value_that_changes_in_flight_is_sent_once_more_and_only_the_newest() {
    let mut topics = RetainedTopics::default();
    topics.update(&snapshot(&[("a", 1.0, 1)]), &[]);
    let (topic, _) = topics.next().expect("the value");
    topics.sent(topic, Some(7));
    for value in [2.0, 3.0, 4.0] {
        topics.update(&snapshot(&[("a", value, 1)]), &[]);
    }
    // Not again before it is acknowledged.
    assert_eq!(drain_only(&mut topics), ["n/a/available=online"]);
    topics.acknowledged(7);
    assert_eq!(drain(&mut topics), ["n/a=4"]);
    assert_eq!(topics.acknowledged(7), None);
}

/// The queue alone, without what is in flight.
fn drain_only(topics: &mut RetainedTopics) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some((topic, payload)) = topics.next() {
        let text = String::from_utf8(payload.bytes()).expect("text");
        sent.push(format!("{}={text}", topic.name("n")));
        topics.finished(topic);
    }
    sent
}

#[test]
fn a_new_connection_gets_everything_the_newest_first_and_nothing_old() {
    let mut topics = RetainedTopics::default();
    topics.update(
        &snapshot(&[("a", 1.0, 1), ("b", 2.0, 5), ("gone", 3.0, 1)]),
        &[],
    );
    let (topic, _) = topics.next().expect("a value");
    topics.sent(topic, Some(1));
    let newest = snapshot(&[("a", 1.1, 3), ("b", 2.0, 5)]);
    topics.update(&newest, &[]);
    topics.set(Topic::Named("x".into()), TopicPayload::Available(true));
    topics.requeue(Some(&newest));
    // An acknowledgement of the connection before means nothing.
    assert_eq!(topics.acknowledged(1), None);
    assert_eq!(
        drain(&mut topics),
        [
            "n/b=2",
            "n/b/available=online",
            "n/a=1.1",
            "n/a/available=online",
            "n/gone=3",
            "n/gone/available=offline",
        ]
    );
}

#[test]
fn keys_are_selected() {
    let mut topics = RetainedTopics::default();
    let keys = ["a", "room.*"].map(KeySelector::new);
    let snapshot = snapshot(&[("a", 1.0, 1), ("b", 1.0, 1), ("room.t", 1.0, 1)]);
    topics.update(&snapshot, &keys);
    let sent = drain(&mut topics);
    let values: Vec<&String> = sent.iter().filter(|it| !it.contains("available")).collect();
    assert_eq!(values, ["n/a=1", "n/room.t=1"]);
}

#[test]
fn a_cleared_key_is_forgotten_and_may_come_back() {
    let mut topics = RetainedTopics::default();
    topics.clear_key("old".into());
    assert_eq!(drain(&mut topics), ["n/old=", "n/old/available="]);
    assert!(!topics.has(&Topic::Value("old".into())));
    topics.clear_key("old".into());
    topics.update(&snapshot(&[("old", 1.0, 1)]), &[]);
    assert_eq!(drain(&mut topics), ["n/old=1", "n/old/available=online"]);
}

#[test]
fn keys_that_come_and_go_take_bounded_memory() {
    let mut topics = RetainedTopics::default();
    for number in 0..limits::MQTT_TOPICS {
        topics.update(&snapshot(&[(&format!("k{number}"), 1.0, 1)]), &[]);
        if number % 100 == 0 {
            drain(&mut topics);
        }
    }
    drain(&mut topics);
    let most = limits::MQTT_TOPICS + 4;
    assert!(topics.slots.len() <= most, "{}", topics.slots.len());
    assert!(!topics.has(&Topic::Value("k0".into())));
}
