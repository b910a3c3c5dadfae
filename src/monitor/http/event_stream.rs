//! Event streams: what node announces, to whoever listens on `/events`.
//!
//! [`Feed`] is shared by `Arc`: any thread announces, which wakes the gate's thread and waits
//! for nobody. It keeps the newest snapshot and the last few alerts, once for all listeners;
//! a listener that is busy gets the newest when it is ready (it has one place pending, never a
//! queue). The streams themselves are tasks on the gate's thread: a task each, no thread each.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io::Read as _;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use smol::Async;

use super::connection_table::{ConnectionPhase, ConnectionState, Interrupt};
use super::handler::opaque_tag;
use super::response_writer::{self, SendError};
use super::send_budget::SendBudget;
use super::stats::{HttpStats, Rejection};
use crate::limits;
use crate::sys::sync::Mutex;

/// Something that listeners shall hear of.
#[derive(Debug, Clone)]
pub struct StreamEvent {
    pub kind: EventKind,
    /// What a listener says when it comes back (`Last-Event-ID`); of a snapshot its ETag. Two
    /// snapshots of one id differ in times alone.
    pub id: String,
    pub data: Arc<[u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The exact body of `/snapshot`; a newer one replaces it. One with the id of the one before
    /// is sent when [`limits::EVENT_TIMES_INTERVAL`] have passed since a snapshot was.
    Snapshot,
    /// An alert that opened or closed; the last few are kept for those who are busy.
    Alert,
}

/// A snapshot that becomes an event when a stream needs it: rendering costs.
pub trait SnapshotSource: Send + Sync {
    /// Of [`EventKind::Snapshot`].
    fn to_event(&self) -> StreamEvent;
}

/// What was announced, ready to be sent.
pub struct EventLog {
    state: Mutex<EventLogState>,
    wake_sender: smol::channel::Sender<()>,
    wake_receiver: smol::channel::Receiver<()>,
}

#[derive(Default)]
struct EventLogState {
    last: u64,
    /// Open streams.
    subscribers: usize,
    snapshot: Option<StoredEvent>,
    /// The newest snapshot and its number, where no stream was open to render it for.
    unrendered: Option<(u64, Arc<dyn SnapshotSource>)>,
    /// When a snapshot was told last.
    snapshot_sent_at: Option<Instant>,
    /// Since then another came with the same id.
    has_new_times: bool,
    alerts: VecDeque<StoredEvent>,
}

#[derive(Clone)]
struct StoredEvent {
    number: u64,
    id: String,
    frame: Arc<[u8]>,
}

impl Default for EventLog {
    fn default() -> EventLog {
        EventLog::new()
    }
}

impl EventLog {
    pub fn new() -> EventLog {
        let (ring, heard) = smol::channel::bounded(1);
        EventLog {
            state: Mutex::default(),
            wake_sender: ring,
            wake_receiver: heard,
        }
    }

    /// Tells all listeners, soon. Callable from any thread; never waits for one of them.
    pub fn append(&self, event: StreamEvent) {
        self.append_at(event, Instant::now());
    }

    /// As [`EventLog::append`], but renders only while a stream is open.
    pub fn append_snapshot(&self, source: Arc<dyn SnapshotSource>) {
        let mut state = self.state();
        if state.subscribers > 0 {
            drop(state);
            return self.append(source.to_event());
        }
        state.last += 1;
        state.snapshot = None;
        state.unrendered = Some((state.last, source));
    }

    /// Counts a stream that opens; the first one renders the newest snapshot.
    fn subscribe(&self) -> Subscription<'_> {
        let mut state = self.state();
        state.subscribers += 1;
        let unrendered = state.unrendered.take();
        drop(state);
        if let Some((number, source)) = unrendered {
            let event = source.to_event();
            let frame = frame(&event).into();
            let mut state = self.state();
            // A newer one may have come meanwhile.
            if state.snapshot.is_none() {
                state.snapshot_sent_at = Some(Instant::now());
                state.has_new_times = false;
                state.snapshot = Some(StoredEvent {
                    number,
                    id: event.id,
                    frame,
                });
            }
        }
        Subscription(self)
    }

    fn append_at(&self, event: StreamEvent, now: Instant) {
        let frame: Arc<[u8]> = frame(&event).into();
        let mut state = self.state();
        if event.kind == EventKind::Snapshot
            && let Some(stored) = &mut state.snapshot
            && stored.id == event.id
        {
            // New clients get it at once, connected ones when it is due.
            stored.frame = frame;
            state.has_new_times = true;
            drop(state);
            self.publish_new_times(now);
            return;
        }
        state.last += 1;
        let kept = StoredEvent {
            number: state.last,
            id: event.id,
            frame,
        };
        match event.kind {
            EventKind::Snapshot => {
                state.unrendered = None;
                state.snapshot = Some(kept);
                state.snapshot_sent_at = Some(now);
                state.has_new_times = false;
            }
            EventKind::Alert => {
                if state.alerts.len() == limits::EVENT_LOG_ALERTS {
                    state.alerts.pop_front();
                }
                state.alerts.push_back(kept);
            }
        }
        drop(state);
        // Full means that the bell is ringing already.
        let _ = self.wake_sender.try_send(());
    }

    /// Sends a snapshot in which nothing but times changed, once that is due. Returns when to
    /// call again, where that is known.
    pub(super) fn publish_new_times(&self, now: Instant) -> Option<Instant> {
        let mut guard = self.state();
        let state = &mut *guard;
        let due = state
            .snapshot_sent_at
            .map(|sent| sent + limits::EVENT_TIMES_INTERVAL);
        if due.is_some_and(|due| due > now) {
            return due;
        }
        if state.has_new_times {
            state.has_new_times = false;
            state.snapshot_sent_at = Some(now);
            state.last += 1;
            if let Some(stored) = &mut state.snapshot {
                stored.number = state.last;
            }
            drop(guard);
            let _ = self.wake_sender.try_send(());
        }
        None
    }

    /// The number of the newest announcement; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.state().last
    }

    /// Resolves when something was announced since it last did.
    pub(super) async fn wait(&self) {
        // The feed holds a sender itself, so that this channel is never closed.
        let _ = self.wake_receiver.recv().await;
    }

    /// What a listener that has heard everything up to `heard` has not: in the order of
    /// announcing, and the number that it has heard then.
    fn since(&self, heard: u64) -> (Vec<Arc<[u8]>>, u64) {
        let state = self.state();
        let mut news: Vec<&StoredEvent> = state.alerts.iter().chain(&state.snapshot).collect();
        news.retain(|kept| kept.number > heard);
        news.sort_by_key(|kept| kept.number);
        (
            news.iter().map(|kept| kept.frame.clone()).collect(),
            state.last,
        )
    }

    fn has_newer(&self, heard: u64) -> bool {
        self.state().last > heard
    }

    /// Where a new listener begins: it is greeted with the newest snapshot, unless that is
    /// what it heard last (by weak comparison), and with no old alerts.
    fn initial_event(&self, last_id: Option<&str>) -> (Option<Arc<[u8]>>, u64) {
        let state = self.state();
        let greeting = state.snapshot.as_ref().filter(|kept| {
            last_id.is_none_or(|last_id| opaque_tag(last_id) != opaque_tag(&kept.id))
        });
        (greeting.map(|kept| kept.frame.clone()), state.last)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, EventLogState> {
        self.state.lock()
    }
}

/// One open stream.
struct Subscription<'a>(&'a EventLog);

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        self.0.state().subscribers -= 1;
    }
}

/// An event in the words of the HTML standard's event stream format.
fn frame(event: &StreamEvent) -> Vec<u8> {
    let name = match event.kind {
        EventKind::Snapshot => "snapshot",
        EventKind::Alert => "alert",
    };
    let mut frame = Vec::with_capacity(event.data.len() + event.id.len() + 64);
    frame.extend_from_slice(format!("event: {name}\n").as_bytes());
    // A line end in an id would begin another field; a zero makes clients ignore it.
    if !event.id.is_empty() && !event.id.contains(['\n', '\r', '\0']) {
        frame.extend_from_slice(format!("id: {}\n", event.id).as_bytes());
    }
    let data = event.data.strip_suffix(b"\n").unwrap_or(&event.data);
    for line in data.split(|byte| *byte == b'\n') {
        frame.extend_from_slice(b"data: ");
        // A CR alone ends a line too; JSON has none outside of strings, and there escaped.
        frame.extend(line.iter().filter(|byte| **byte != b'\r'));
        frame.push(b'\n');
    }
    frame.push(b'\n');
    frame
}

/// Wakes the listeners, on the gate's thread.
#[derive(Default)]
pub(super) struct WakerSet {
    wakers: RefCell<BTreeMap<u64, Waker>>,
    next: std::cell::Cell<u64>,
}

impl WakerSet {
    pub(super) fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.wakers.borrow_mut());
        for waker in wakers.into_values() {
            waker.wake();
        }
    }

    fn register(self: &Rc<Self>) -> WakerSlot {
        let number = self.next.get();
        self.next.set(number + 1);
        WakerSlot {
            hub: self.clone(),
            number,
        }
    }
}

struct WakerSlot {
    hub: Rc<WakerSet>,
    number: u64,
}

impl WakerSlot {
    fn wait(&self, context: &Context<'_>) {
        let mut wakers = self.hub.wakers.borrow_mut();
        wakers.insert(self.number, context.waker().clone());
    }
}

impl Drop for WakerSlot {
    fn drop(&mut self) {
        self.hub.wakers.borrow_mut().remove(&self.number);
    }
}

/// What a stream needs of the gate.
pub(super) struct EventStream<'a> {
    pub stream: &'a Async<TcpStream>,
    pub connection: &'a ConnectionState,
    pub feed: &'a EventLog,
    pub hub: &'a Rc<WakerSet>,
    pub outstanding: &'a Rc<SendBudget>,
    pub stats: &'a HttpStats,
    pub write_time: Duration,
    pub heartbeat: Duration,
}

impl EventStream<'_> {
    /// Sends the head, greets, and goes on until the client leaves, is too slow, or has to go.
    pub(super) async fn serve(&self, head: &[u8], last_id: Option<&str>) {
        let place = self.hub.register();
        let _subscription = self.feed.subscribe();
        let (greeting, mut heard) = self.feed.initial_event(last_id);
        let retry = format!("retry: {}\n\n", limits::EVENT_RECONNECT_DELAY.as_millis());
        self.connection
            .enter(ConnectionPhase::Streaming, self.write_time);
        if !self.send(head, retry.as_bytes()).await {
            return;
        }
        if let Some(greeting) = greeting
            && !self.send_frame(&greeting).await
        {
            return;
        }
        loop {
            self.connection
                .enter(ConnectionPhase::Streaming, self.heartbeat);
            match self.connection.wait(self.next_update(&place, heard)).await {
                Ok(Update::Announced) => {
                    let (frames, now_heard) = self.feed.since(heard);
                    heard = now_heard;
                    for frame in &frames {
                        if !self.send_frame(frame).await {
                            return;
                        }
                    }
                }
                Ok(Update::Left) | Err(Interrupt::Evicted) => return,
                Err(Interrupt::TimedOut) => {
                    if !self.send(b"", b":\n\n").await {
                        return;
                    }
                }
            }
        }
    }

    async fn next_update(&self, place: &WakerSlot, heard: u64) -> Update {
        poll_fn(|context| {
            place.wait(context);
            if self.feed.has_newer(heard) {
                return Poll::Ready(Update::Announced);
            }
            // The client has nothing more to say: what it sends is dropped, its end is ours.
            // Bounded: after a few reads the rest waits for the next turn.
            for _ in 0..4 {
                let mut scratch = [0; 512];
                match self.stream.get_ref().read(&mut scratch) {
                    Ok(0) => return Poll::Ready(Update::Left),
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        match self.stream.poll_readable(context) {
                            Poll::Ready(Ok(())) => {}
                            Poll::Ready(Err(_)) => return Poll::Ready(Update::Left),
                            Poll::Pending => return Poll::Pending,
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => return Poll::Ready(Update::Left),
                }
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// False if the stream is to end.
    async fn send_frame(&self, frame: &Arc<[u8]>) -> bool {
        let Some(_debt) = self.outstanding.reserve_shared(frame) else {
            self.stats
                .record_rejection(Rejection::SendBudget, self.connection.peer);
            return false;
        };
        self.send(b"", frame).await
    }

    async fn send(&self, head: &[u8], bytes: &[u8]) -> bool {
        match response_writer::send(self.stream, self.connection, head, bytes, self.write_time)
            .await
        {
            Ok(()) => true,
            Err(SendError::Interrupted(Interrupt::TimedOut)) => {
                self.stats
                    .record_rejection(Rejection::SlowEventStream, self.connection.peer);
                false
            }
            Err(_) => false,
        }
    }
}

enum Update {
    Announced,
    Left,
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
