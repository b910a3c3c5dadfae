//! Event log: order, bounds, and when a snapshot is rendered.

use super::*;
use std::time::Duration;

fn event(kind: EventKind, id: &str, data: &str) -> StreamEvent {
    StreamEvent {
        kind,
        id: id.to_owned(),
        data: data.as_bytes().into(),
    }
}

fn texts(frames: &[Arc<[u8]>]) -> Vec<String> {
    let text = |frame: &Arc<[u8]>| String::from_utf8_lossy(frame).into_owned();
    frames.iter().map(text).collect()
}

#[test]
fn events_are_framed_as_server_sent_events() {
    use EventKind::*;
    let rows = [
        (
            event(Snapshot, "\"a1\"", "{\"x\":1}"),
            "event: snapshot\nid: \"a1\"\ndata: {\"x\":1}\n\n",
        ),
        (
            event(Snapshot, "\"a1\"", "{}\n"),
            "event: snapshot\nid: \"a1\"\ndata: {}\n\n",
        ),
        (
            event(Alert, "", "a\nb"),
            "event: alert\ndata: a\ndata: b\n\n",
        ),
        (
            event(Alert, "x\ndata: forged", "a\r\nb"),
            "event: alert\ndata: a\ndata: b\n\n",
        ),
        (event(Alert, "", ""), "event: alert\ndata: \n\n"),
    ];
    for (event, expected) in rows {
        assert_eq!(String::from_utf8_lossy(&frame(&event)), expected);
    }
}

#[test]
fn a_busy_stream_gets_the_newest_snapshot_and_every_alert() {
    let log = EventLog::new();
    log.append(event(EventKind::Snapshot, "1", "one"));
    let (initial, last_seen) = log.initial_event(None);
    assert!(initial.is_some());
    assert!(!log.has_newer(last_seen));
    log.append(event(EventKind::Alert, "", "opened"));
    log.append(event(EventKind::Snapshot, "2", "two"));
    log.append(event(EventKind::Snapshot, "3", "three"));
    log.append(event(EventKind::Alert, "", "closed"));
    assert!(log.has_newer(last_seen));
    let (frames, last_seen) = log.since(last_seen);
    assert_eq!(
        texts(&frames),
        [
            "event: alert\ndata: opened\n\n",
            "event: snapshot\nid: 3\ndata: three\n\n",
            "event: alert\ndata: closed\n\n"
        ]
    );
    assert_eq!(log.since(last_seen).0.len(), 0);
}

#[test]
fn a_client_that_reconnects_with_the_newest_id_gets_no_snapshot() {
    let log = EventLog::new();
    assert!(
        log.initial_event(None).0.is_none(),
        "nothing was announced yet"
    );
    log.append(event(EventKind::Snapshot, "1", "one"));
    log.append(event(EventKind::Alert, "", "old"));
    assert!(log.initial_event(Some("0")).0.is_some());
    let (initial, last_seen) = log.initial_event(Some("1"));
    assert!(initial.is_none());
    assert!(!log.has_newer(last_seen));
}

#[test]
fn new_times_alone_are_sent_once_a_minute_and_new_values_at_once() {
    let (log, start) = (EventLog::new(), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    let minute = limits::EVENT_TIMES_INTERVAL.as_secs();
    let publish = |id: &str, data: &str, seconds| {
        log.append_at(event(EventKind::Snapshot, id, data), after(seconds));
    };
    let mut last_seen = 0;
    let mut sent = |seconds| {
        log.publish_new_times(after(seconds));
        let (frames, newest) = log.since(last_seen);
        last_seen = newest;
        texts(&frames)
    };
    let frame = |id: &str, data: &str| format!("event: snapshot\nid: {id}\ndata: {data}\n\n");
    publish("W/\"1\"", "one", 0);
    assert_eq!(sent(0), [frame("W/\"1\"", "one")]);
    publish("W/\"1\"", "one, later", 1);
    assert!(sent(1).is_empty());
    publish("W/\"1\"", "one, last", minute - 1);
    assert!(sent(minute - 1).is_empty());
    // A stream that opens in between gets the newest.
    let (initial, _) = log.initial_event(None);
    let initial = initial.expect("a snapshot");
    assert_eq!(texts(&[initial]), [frame("W/\"1\"", "one, last")]);
    assert_eq!(sent(minute), [frame("W/\"1\"", "one, last")]);
    assert!(sent(3 * minute).is_empty(), "nothing came since");
    publish("W/\"1\"", "one, again", 3 * minute);
    assert_eq!(sent(3 * minute).len(), 1, "it is long ago");
    publish("W/\"1\"", "never sent", 3 * minute + 1);
    publish("W/\"2\"", "two", 3 * minute + 2);
    assert_eq!(sent(3 * minute + 2), [frame("W/\"2\"", "two")]);
    assert!(sent(5 * minute).is_empty(), "the times went with it");
    publish("W/\"1\"", "one", 5 * minute);
    assert_eq!(sent(5 * minute), [frame("W/\"1\"", "one")]);
    for (last_id, gets_snapshot) in [("W/\"1\"", false), ("\"1\"", false), ("W/\"2\"", true)] {
        let (initial, _) = log.initial_event(Some(last_id));
        assert_eq!(initial.is_some(), gets_snapshot, "{last_id}");
    }
}

#[test]
fn stored_events_are_bounded() {
    let log = EventLog::new();
    for number in 0..1000 {
        log.append(event(EventKind::Alert, "", &number.to_string()));
        log.append(event(EventKind::Snapshot, "s", &number.to_string()));
    }
    assert_eq!(log.since(0).0.len(), limits::EVENT_LOG_ALERTS + 1);
}

/// Counts how often it is rendered.
struct CountedSnapshot(&'static str, std::sync::atomic::AtomicUsize);

impl CountedSnapshot {
    fn new(id: &'static str) -> Arc<CountedSnapshot> {
        Arc::new(CountedSnapshot(id, Default::default()))
    }

    fn rendered(&self) -> usize {
        self.1.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl SnapshotSource for CountedSnapshot {
    fn to_event(&self) -> StreamEvent {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        event(EventKind::Snapshot, self.0, "data")
    }
}

#[test]
fn a_snapshot_is_rendered_only_while_a_stream_is_open() {
    let log = EventLog::new();
    let (old, newest, next) = (
        CountedSnapshot::new("1"),
        CountedSnapshot::new("2"),
        CountedSnapshot::new("3"),
    );
    log.append_snapshot(old.clone());
    let number = log.newest();
    log.append_snapshot(newest.clone());
    assert!(log.newest() > number, "caches of pages end with it");
    assert_eq!((old.rendered(), newest.rendered()), (0, 0));
    let stream = log.subscribe();
    let second = log.subscribe();
    assert_eq!((old.rendered(), newest.rendered()), (0, 1));
    let (initial, last_seen) = log.initial_event(None);
    let initial = texts(&initial.into_iter().collect::<Vec<_>>());
    assert_eq!(initial, ["event: snapshot\nid: 2\ndata: data\n\n"]);
    assert!(!log.has_newer(last_seen));
    drop(stream);
    log.append_snapshot(next.clone());
    assert_eq!(next.rendered(), 1);
    assert_eq!(
        texts(&log.since(last_seen).0),
        ["event: snapshot\nid: 3\ndata: data\n\n"]
    );
    drop(second);
    log.append_snapshot(old.clone());
    assert_eq!(old.rendered(), 0);
}
