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
fn events_are_framed_as_the_standard_says() {
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
fn a_busy_listener_gets_the_newest_snapshot_and_every_alert() {
    let feed = EventLog::new();
    feed.append(event(EventKind::Snapshot, "1", "one"));
    let (greeting, heard) = feed.initial_event(None);
    assert!(greeting.is_some());
    assert!(!feed.has_newer(heard));
    feed.append(event(EventKind::Alert, "", "opened"));
    feed.append(event(EventKind::Snapshot, "2", "two"));
    feed.append(event(EventKind::Snapshot, "3", "three"));
    feed.append(event(EventKind::Alert, "", "closed"));
    assert!(feed.has_newer(heard));
    let (frames, heard) = feed.since(heard);
    assert_eq!(
        texts(&frames),
        [
            "event: alert\ndata: opened\n\n",
            "event: snapshot\nid: 3\ndata: three\n\n",
            "event: alert\ndata: closed\n\n"
        ]
    );
    assert_eq!(feed.since(heard).0.len(), 0);
}

#[test]
fn who_comes_back_with_the_newest_id_is_not_greeted_again() {
    let feed = EventLog::new();
    assert!(
        feed.initial_event(None).0.is_none(),
        "nothing was announced yet"
    );
    feed.append(event(EventKind::Snapshot, "1", "one"));
    feed.append(event(EventKind::Alert, "", "old"));
    assert!(feed.initial_event(Some("0")).0.is_some());
    let (greeting, heard) = feed.initial_event(Some("1"));
    assert!(greeting.is_none());
    assert!(!feed.has_newer(heard));
}

#[test]
fn new_times_alone_are_told_once_a_minute_and_new_values_at_once() {
    let (feed, start) = (EventLog::new(), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    let minute = limits::EVENT_TIMES_INTERVAL.as_secs();
    let publish = |id: &str, data: &str, seconds| {
        feed.append_at(event(EventKind::Snapshot, id, data), after(seconds));
    };
    let mut heard = 0;
    let mut told = |seconds| {
        feed.publish_new_times(after(seconds));
        let (frames, now_heard) = feed.since(heard);
        heard = now_heard;
        texts(&frames)
    };
    let frame = |id: &str, data: &str| format!("event: snapshot\nid: {id}\ndata: {data}\n\n");
    publish("W/\"1\"", "one", 0);
    assert_eq!(told(0), [frame("W/\"1\"", "one")]);
    publish("W/\"1\"", "one, later", 1);
    assert!(told(1).is_empty());
    publish("W/\"1\"", "one, last", minute - 1);
    assert!(told(minute - 1).is_empty());
    // Whoever comes in between has the newest.
    let (greeting, _) = feed.initial_event(None);
    let greeting = greeting.expect("a snapshot");
    assert_eq!(texts(&[greeting]), [frame("W/\"1\"", "one, last")]);
    assert_eq!(told(minute), [frame("W/\"1\"", "one, last")]);
    assert!(told(3 * minute).is_empty(), "nothing came since");
    publish("W/\"1\"", "one, again", 3 * minute);
    assert_eq!(told(3 * minute).len(), 1, "it is long ago");
    publish("W/\"1\"", "never sent", 3 * minute + 1);
    publish("W/\"2\"", "two", 3 * minute + 2);
    assert_eq!(told(3 * minute + 2), [frame("W/\"2\"", "two")]);
    assert!(told(5 * minute).is_empty(), "the times went with it");
    publish("W/\"1\"", "one", 5 * minute);
    assert_eq!(told(5 * minute), [frame("W/\"1\"", "one")]);
    for (last_id, is_greeted) in [("W/\"1\"", false), ("\"1\"", false), ("W/\"2\"", true)] {
        let (greeting, _) = feed.initial_event(Some(last_id));
        assert_eq!(greeting.is_some(), is_greeted, "{last_id}");
    }
}

#[test]
fn what_is_kept_for_the_busy_is_bounded() {
    let feed = EventLog::new();
    for number in 0..1000 {
        feed.append(event(EventKind::Alert, "", &number.to_string()));
        feed.append(event(EventKind::Snapshot, "s", &number.to_string()));
    }
    assert_eq!(feed.since(0).0.len(), limits::EVENT_LOG_ALERTS + 1);
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
    let feed = EventLog::new();
    let (old, newest, next) = (
        CountedSnapshot::new("1"),
        CountedSnapshot::new("2"),
        CountedSnapshot::new("3"),
    );
    feed.append_snapshot(old.clone());
    let number = feed.newest();
    feed.append_snapshot(newest.clone());
    assert!(feed.newest() > number, "caches of pages end with it");
    assert_eq!((old.rendered(), newest.rendered()), (0, 0));
    let stream = feed.subscribe();
    let second = feed.subscribe();
    assert_eq!((old.rendered(), newest.rendered()), (0, 1));
    let (greeting, heard) = feed.initial_event(None);
    let greeting = texts(&greeting.into_iter().collect::<Vec<_>>());
    assert_eq!(greeting, ["event: snapshot\nid: 2\ndata: data\n\n"]);
    assert!(!feed.has_newer(heard));
    drop(stream);
    feed.append_snapshot(next.clone());
    assert_eq!(next.rendered(), 1);
    assert_eq!(
        texts(&feed.since(heard).0),
        ["event: snapshot\nid: 3\ndata: data\n\n"]
    );
    drop(second);
    feed.append_snapshot(old.clone());
    assert_eq!(old.rendered(), 0);
}
