//! Event log: the newest snapshot and the last few alerts, for event streams.
//!
//! Shared by `Arc`: any thread appends, which wakes the server's thread and never waits.
//! Each event is stored once for all streams; a stream that is busy gets the newest snapshot
//! when it is ready, never a queue of old ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::handler::opaque_tag;
use crate::limits;
use crate::sys::sync::Mutex;

/// An event to be sent to all streams.
#[derive(Debug, Clone)]
pub struct StreamEvent {
    pub kind: EventKind,
    /// What a client sends when it reconnects (`Last-Event-ID`); of a snapshot its ETag. Two
    /// snapshots of one id differ in times alone.
    pub id: String,
    pub data: Arc<[u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The exact body of `/snapshot`; a newer one replaces it. One with the id of the one before
    /// is sent when [`limits::EVENT_TIMES_INTERVAL`] have passed since a snapshot was.
    Snapshot,
    /// An alert that opened or closed; the last few are stored for busy streams.
    Alert,
}

/// A snapshot that becomes an event when a stream needs it: rendering costs.
pub trait SnapshotSource: Send + Sync {
    /// Of [`EventKind::Snapshot`].
    fn to_event(&self) -> StreamEvent;
}

/// Events, ready to be sent.
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
    /// When a snapshot was sent last.
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
        let (wake_sender, wake_receiver) = smol::channel::bounded(1);
        EventLog {
            state: Mutex::default(),
            wake_sender,
            wake_receiver,
        }
    }

    /// Appends an event and wakes all streams. Callable from any thread; waits for none.
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
    pub(super) fn subscribe(&self) -> Subscription<'_> {
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
        let stored = StoredEvent {
            number: state.last,
            id: event.id,
            frame,
        };
        match event.kind {
            EventKind::Snapshot => {
                state.unrendered = None;
                state.snapshot = Some(stored);
                state.snapshot_sent_at = Some(now);
                state.has_new_times = false;
            }
            EventKind::Alert => {
                if state.alerts.len() == limits::EVENT_LOG_ALERTS {
                    state.alerts.pop_front();
                }
                state.alerts.push_back(stored);
            }
        }
        drop(state);
        // Full means that they are being woken already.
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

    /// The number of the newest event; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.state().last
    }

    /// Resolves when an event was appended since it last did.
    pub(super) async fn wait(&self) {
        // The log holds a sender itself, so that this channel is never closed.
        let _ = self.wake_receiver.recv().await;
    }

    /// The frames after event `last_seen`, in order, and the number of the newest.
    pub(super) fn since(&self, last_seen: u64) -> (Vec<Arc<[u8]>>, u64) {
        let state = self.state();
        let mut newer: Vec<&StoredEvent> = state.alerts.iter().chain(&state.snapshot).collect();
        newer.retain(|stored| stored.number > last_seen);
        newer.sort_by_key(|stored| stored.number);
        (
            newer.iter().map(|stored| stored.frame.clone()).collect(),
            state.last,
        )
    }

    pub(super) fn has_newer(&self, last_seen: u64) -> bool {
        self.state().last > last_seen
    }

    /// Where a new stream begins: with the newest snapshot, unless that is what the client saw
    /// last (by weak comparison), and with no old alerts.
    pub(super) fn initial_event(&self, last_id: Option<&str>) -> (Option<Arc<[u8]>>, u64) {
        let state = self.state();
        let initial = state.snapshot.as_ref().filter(|stored| {
            last_id.is_none_or(|last_id| opaque_tag(last_id) != opaque_tag(&stored.id))
        });
        (initial.map(|stored| stored.frame.clone()), state.last)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, EventLogState> {
        self.state.lock()
    }
}

/// One open stream.
pub(super) struct Subscription<'a>(&'a EventLog);

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        self.0.state().subscribers -= 1;
    }
}

/// An event in the event stream format of the HTML standard.
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

#[cfg(test)]
#[path = "tests/event_log.rs"]
mod tests;
