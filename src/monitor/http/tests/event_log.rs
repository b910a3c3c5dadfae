//! Event log: order, bounds, what a stream begins with, and when a snapshot is rendered and sent.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts how often it is rendered.
struct CountedSnapshot {
    id: &'static str,
    body: String,
    rendered: AtomicUsize,
}

impl CountedSnapshot {
    fn new(id: &'static str, body: &str) -> Arc<CountedSnapshot> {
        Arc::new(CountedSnapshot {
            id,
            body: body.to_owned(),
            rendered: AtomicUsize::new(0),
        })
    }

    fn rendered(&self) -> usize {
        self.rendered.load(Ordering::Relaxed)
    }
}

impl SnapshotSource for CountedSnapshot {
    fn to_event(&self) -> SnapshotEvent {
        self.rendered.fetch_add(1, Ordering::Relaxed);
        SnapshotEvent {
            id: self.id.to_owned(),
            body: self.body.as_bytes().into(),
        }
    }
}

fn append(log: &EventLog, id: &'static str, body: &str) {
    log.append_snapshot(CountedSnapshot::new(id, body), SnapshotChange::Contents);
}

fn texts(frames: &[Arc<[u8]>]) -> Vec<String> {
    let text = |frame: &Arc<[u8]>| String::from_utf8_lossy(frame).into_owned();
    frames.iter().map(text).collect()
}

fn snapshot_text(id: &str, body: &str) -> String {
    format!("event: snapshot\nid: {id}\ndata: {body}\n\n")
}

/// What a stream that opens now begins with.
fn initial(log: &EventLog, last_id: Option<&str>) -> Option<String> {
    let (_subscription, position, frame) = log.subscribe(last_id);
    assert!(!log.has_newer(&position));
    frame.map(|frame| String::from_utf8_lossy(&frame).into_owned())
}

#[test]
fn events_are_framed_as_server_sent_events() {
    for (name, id, data, expected) in [
        (
            "snapshot",
            "\"a1\"",
            "{\"x\":1}",
            "event: snapshot\nid: \"a1\"\ndata: {\"x\":1}\n\n",
        ),
        (
            "snapshot",
            "\"a1\"",
            "{}\n",
            "event: snapshot\nid: \"a1\"\ndata: {}\n\n",
        ),
        ("alert", "", "a\nb", "event: alert\ndata: a\ndata: b\n\n"),
        (
            "alert",
            "x\ndata: forged",
            "a\r\nb",
            "event: alert\ndata: a\ndata: b\n\n",
        ),
        ("alert", "", "", "event: alert\ndata: \n\n"),
    ] {
        let frame = frame(name, id, data.as_bytes());
        assert_eq!(String::from_utf8_lossy(&frame), expected);
    }
}

#[test]
fn a_busy_stream_gets_the_newest_snapshot_and_every_alert() {
    let log = EventLog::new();
    append(&log, "1", "one");
    let (_subscription, mut position, initial) = log.subscribe(None);
    assert!(initial.is_some());
    assert!(!log.has_newer(&position));
    log.append_alert(b"opened");
    append(&log, "2", "two");
    append(&log, "3", "three");
    log.append_alert(b"closed");
    assert!(log.has_newer(&position));
    assert_eq!(
        texts(&log.since(&mut position)),
        [
            "event: alert\ndata: opened\n\n".to_owned(),
            snapshot_text("3", "three"),
            "event: alert\ndata: closed\n\n".to_owned(),
        ]
    );
    assert!(log.since(&mut position).is_empty());
    assert!(!log.has_newer(&position));
}

#[test]
fn a_client_that_has_the_snapshot_is_not_sent_it_again() {
    let id = "W/\"00ab\"";
    for (last_id, is_sent) in [
        (None, true),
        (Some(""), true),
        (Some("W/\"00ab\""), false),
        (Some("\"00ab\""), false),
        (Some("00ab"), false),
        (Some("W/00ab"), false),
        (Some("w/\"00ab\""), false),
        (Some("  W/\"00ab\" "), false),
        (Some("W/\"00AB\""), true),
        (Some("W/\"00a\""), true),
        (Some("\""), true),
        (Some("W/\"ffff\""), true),
        (Some("*"), true),
    ] {
        let log = EventLog::new();
        assert_eq!(initial(&log, last_id), None, "no snapshot is there yet");
        append(&log, id, "one");
        log.append_alert(b"old");
        let expected = is_sent.then(|| snapshot_text(id, "one"));
        assert_eq!(initial(&log, last_id), expected, "{last_id:?}");
        // The node has just started: the stream was open before the snapshot came.
        let log = EventLog::new();
        let (_subscription, mut position, initial) = log.subscribe(last_id);
        assert!(initial.is_none());
        append(&log, id, "one");
        let found = texts(&log.since(&mut position));
        assert_eq!(
            found,
            expected.into_iter().collect::<Vec<_>>(),
            "{last_id:?}"
        );
        append(&log, "W/\"2\"", "two");
        append(&log, id, "one again");
        let found = texts(&log.since(&mut position));
        assert_eq!(found, [snapshot_text(id, "one again")], "that was news");
    }
}

#[test]
fn new_times_alone_are_sent_once_a_minute_and_new_values_at_once() {
    use SnapshotChange::{Contents, Times};
    let (log, start) = (EventLog::new(), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    let publish = |id, body: &str, change, seconds| {
        log.append_snapshot_at(CountedSnapshot::new(id, body), change, after(seconds));
    };
    let (_subscription, mut position, _) = log.subscribe(None);
    let mut sent = |seconds| {
        let due = log.send_due_snapshot(after(seconds));
        let due = due.map(|due| due.saturating_duration_since(start).as_secs());
        (texts(&log.since(&mut position)), due)
    };
    let nothing = Vec::<String>::new();
    assert_eq!(sent(0), (nothing.clone(), None));
    publish("1", "one", Contents, 0);
    assert_eq!(sent(0), (vec![snapshot_text("1", "one")], None));
    publish("1", "later", Times, 1);
    assert_eq!(sent(1), (nothing.clone(), Some(60)));
    publish("1", "last", Times, 59);
    assert_eq!(sent(59), (nothing.clone(), Some(60)));
    // A stream that opens in between gets the newest.
    assert_eq!(initial(&log, None), Some(snapshot_text("1", "last")));
    assert_eq!(sent(59), (nothing.clone(), Some(60)), "the others wait");
    assert_eq!(sent(60), (vec![snapshot_text("1", "last")], None));
    assert_eq!(sent(180), (nothing.clone(), None), "nothing came since");
    publish("1", "again", Times, 180);
    assert_eq!(sent(180).0, [snapshot_text("1", "again")], "it is long ago");
    publish("1", "never sent", Times, 181);
    publish("2", "two", Contents, 182);
    assert_eq!(sent(182), (vec![snapshot_text("2", "two")], None));
    assert_eq!(sent(300), (nothing, None), "the times went with it");
    publish("1", "one", Contents, 300);
    assert_eq!(sent(300).0, [snapshot_text("1", "one")]);
}

#[test]
fn a_client_that_has_the_snapshot_gets_its_times_within_a_minute() {
    let (log, minute) = (EventLog::new(), limits::SNAPSHOT_TIMES_INTERVAL);
    append(&log, "1", "one");
    let (_subscription, mut position, initial) = log.subscribe(Some("1"));
    assert!(initial.is_none());
    let due = log.send_due_snapshot(Instant::now()).expect("a time");
    assert!(due <= Instant::now() + minute);
    assert!(log.since(&mut position).is_empty());
    assert_eq!(log.send_due_snapshot(due), None);
    assert_eq!(
        texts(&log.since(&mut position)),
        [snapshot_text("1", "one")]
    );
}

#[test]
fn stored_events_are_bounded() {
    let log = EventLog::new();
    let (_subscription, mut position, _) = log.subscribe(None);
    for number in 0..1000 {
        log.append_alert(number.to_string().as_bytes());
        append(&log, "s", &number.to_string());
    }
    let frames = log.since(&mut position);
    assert_eq!(frames.len(), limits::EVENT_LOG_ALERTS + 1);
}

#[test]
fn a_snapshot_is_rendered_once_and_only_for_streams() {
    use SnapshotChange::{Contents, Times};
    let log = EventLog::new();
    let publish = |change| {
        let snapshot = CountedSnapshot::new("1", "data");
        log.append_snapshot(snapshot.clone(), change);
        snapshot
    };
    let (old, number) = (publish(Contents), log.newest());
    let newest = publish(Contents);
    assert!(log.newest() > number, "caches of pages end with it");
    assert_eq!((old.rendered(), newest.rendered()), (0, 0));
    let (first, _, frame) = log.subscribe(None);
    let (second, _, _) = log.subscribe(None);
    assert!(frame.is_some());
    assert_eq!((old.rendered(), newest.rendered()), (0, 1));
    drop(first);
    let next = publish(Contents);
    assert_eq!(next.rendered(), 1);
    let times = publish(Times);
    assert_eq!(times.rendered(), 0, "it is not sent yet");
    let third = log.subscribe(None);
    assert_eq!(times.rendered(), 1);
    drop((second, third));
    assert_eq!(publish(Contents).rendered(), 0, "nobody listens");
}
