//! Event log: the newest snapshot and the last few alerts, for event streams.
//!
//! Shared by `Arc`: any thread appends, which wakes the server's thread and never waits.
//! Each event is stored once for all streams; a stream that is busy gets the newest snapshot
//! when it is ready, never a queue of old ones.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::domain::compact_sort::CompactSort;
use crate::domain::snapshot_change::SnapshotChange;
use crate::limits;
use crate::sys::sync::Mutex;

/// A snapshot that becomes an event when a stream needs it: rendering costs.
pub trait SnapshotSource: Send + Sync {
    fn to_event(&self) -> SnapshotEvent;
}

/// The event of a snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotEvent {
    /// The ETag: what a client sends when it reconnects (`Last-Event-ID`). Two snapshots of one
    /// id differ in times alone.
    pub id: String,
    /// The exact body of `/snapshot`.
    pub body: Arc<[u8]>,
}

/// Events, ready to be sent.
pub struct EventLog {
    state: Mutex<EventLogState>,
    wake_sender: smol::channel::Sender<()>,
    wake_receiver: smol::channel::Receiver<()>,
}

#[derive(Default)]
struct EventLogState {
    /// The number of the newest event.
    last: u64,
    /// Open streams.
    subscribers: usize,
    /// What a stream that opens now begins with.
    newest: Option<Arc<LazySnapshot>>,
    /// What is new in it since a snapshot was sent, and when that was.
    unsent: SnapshotChange,
    sent_at: Option<Instant>,
    /// The snapshot that was sent last, with its number.
    sent: Option<(u64, Arc<LazySnapshot>)>,
    /// The last few, with their numbers: for busy streams.
    alerts: VecDeque<(u64, Arc<[u8]>)>,
}

/// A snapshot, rendered once for all streams by the first that needs it.
struct LazySnapshot {
    source: Arc<dyn SnapshotSource>,
    rendered: OnceLock<RenderedSnapshot>,
}

struct RenderedSnapshot {
    id: String,
    frame: Arc<[u8]>,
}

impl LazySnapshot {
    /// Not to be called while the log's state is locked.
    fn rendered(&self) -> &RenderedSnapshot {
        self.rendered.get_or_init(|| {
            let event = self.source.to_event();
            RenderedSnapshot {
                frame: frame("snapshot", &event.id, &event.body).into(),
                id: event.id,
            }
        })
    }
}

/// How far a stream has come.
pub(super) struct StreamPosition {
    /// The number of the newest event that it was sent, or that was there when it began.
    last_seen: u64,
    /// What the client had when it connected, while no snapshot has followed.
    last_id: Option<String>,
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

    /// Appends an alert that opened or closed and wakes all streams. Any thread.
    pub fn append_alert(&self, data: &[u8]) {
        let frame = frame("alert", "", data).into();
        let mut state = self.state();
        state.last += 1;
        if state.alerts.len() == limits::EVENT_LOG_ALERTS {
            state.alerts.pop_front();
        }
        let number = state.last;
        state.alerts.push_back((number, frame));
        drop(state);
        self.wake();
    }

    /// Appends a snapshot, of which this is new since the one before: it is an event now, later or
    /// not at all, and rendered only for an open stream. Any thread.
    pub fn append_snapshot(&self, source: Arc<dyn SnapshotSource>, change: SnapshotChange) {
        self.append_snapshot_at(source, change, Instant::now());
    }

    fn append_snapshot_at(
        &self,
        source: Arc<dyn SnapshotSource>,
        change: SnapshotChange,
        now: Instant,
    ) {
        let mut state = self.state();
        state.newest = Some(Arc::new(LazySnapshot {
            source,
            rendered: OnceLock::new(),
        }));
        let is_first_unsent = state.unsent == SnapshotChange::Nothing;
        state.unsent = state.unsent.max(change);
        if state.subscribers == 0 {
            // Caches of pages end with it.
            state.last += 1;
            return;
        }
        drop(state);
        if self.send_due_snapshot(now).is_some() && is_first_unsent {
            // So that the server's thread learns when that is.
            self.wake();
        }
    }

    /// Makes the newest snapshot an event, if that is due. Returns when to call again, where that
    /// is known.
    pub(super) fn send_due_snapshot(&self, now: Instant) -> Option<Instant> {
        let state = self.state();
        let newest = state.newest.clone().filter(|_| state.subscribers > 0)?;
        let since_sent = state
            .sent_at
            .map(|sent| now.saturating_duration_since(sent));
        let wait = state.unsent.send_after(since_sent)?;
        drop(state);
        if !wait.is_zero() {
            return Some(now + wait);
        }
        newest.rendered();
        let mut state = self.state();
        // Another thread may have sent it, or appended a newer one, which it then sends.
        if state
            .newest
            .as_ref()
            .is_some_and(|it| Arc::ptr_eq(it, &newest))
            && state.unsent != SnapshotChange::Nothing
        {
            state.last += 1;
            state.sent = Some((state.last, newest));
            state.sent_at = Some(now);
            state.unsent = SnapshotChange::Nothing;
            drop(state);
            self.wake();
        }
        None
    }

    /// Opens a stream for a client that was last sent the event with this id. It begins with the
    /// newest snapshot, unless the client has that (by weak comparison), and with no old alerts.
    pub(super) fn subscribe(
        &self,
        last_id: Option<&str>,
    ) -> (Subscription<'_>, StreamPosition, Option<Arc<[u8]>>) {
        let mut state = self.state();
        state.subscribers += 1;
        let is_first = state.subscribers == 1;
        let (newest, last_seen) = (state.newest.clone(), state.last);
        if is_first {
            state.sent_at = newest.as_ref().map(|_| Instant::now());
            state.unsent = SnapshotChange::Nothing;
        }
        drop(state);
        let subscription = Subscription(self);
        let mut position = StreamPosition {
            last_seen,
            last_id: last_id.map(str::to_owned),
        };
        let frame = newest.and_then(|newest| position.next_frame(newest.rendered()));
        if is_first && frame.is_none() {
            // The times of what the client has may be old.
            let mut state = self.state();
            state.unsent = state.unsent.max(SnapshotChange::Times);
        }
        (subscription, position, frame)
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

    /// The frames that a stream has not been sent yet, in order.
    pub(super) fn since(&self, position: &mut StreamPosition) -> Vec<Arc<[u8]>> {
        let state = self.state();
        let last_seen = std::mem::replace(&mut position.last_seen, state.last);
        let sent = state.sent.clone().filter(|(number, _)| *number > last_seen);
        let alerts = state
            .alerts
            .iter()
            .filter(|(number, _)| *number > last_seen);
        let mut newer: Vec<(u64, Arc<[u8]>)> = alerts.cloned().collect();
        drop(state);
        if let Some((number, snapshot)) = sent
            && let Some(frame) = position.next_frame(snapshot.rendered())
        {
            newer.push((number, frame));
            newer.compact_sort_by_key(|(number, _)| *number);
        }
        newer.into_iter().map(|(_, frame)| frame).collect()
    }

    pub(super) fn has_newer(&self, position: &StreamPosition) -> bool {
        self.state().last > position.last_seen
    }

    fn wake(&self) {
        // Full means that they are being woken already.
        let _ = self.wake_sender.try_send(());
    }

    fn state(&self) -> std::sync::MutexGuard<'_, EventLogState> {
        self.state.lock()
    }
}

impl StreamPosition {
    /// The frame of the next snapshot, unless it is the first and the client has it.
    fn next_frame(&mut self, snapshot: &RenderedSnapshot) -> Option<Arc<[u8]>> {
        let last_id = self.last_id.take();
        let is_known = last_id.is_some_and(|it| bare_tag(&it) == bare_tag(&snapshot.id));
        (!is_known).then(|| snapshot.frame.clone())
    }
}

/// An ETag without its `W/` and its quotes, which not every client keeps.
fn bare_tag(id: &str) -> &str {
    let id = id.trim();
    let tag = id
        .strip_prefix(['W', 'w'])
        .and_then(|it| it.strip_prefix('/'));
    tag.unwrap_or(id).trim_matches('"')
}

/// One open stream.
pub(super) struct Subscription<'a>(&'a EventLog);

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.subscribers -= 1;
        if state.subscribers == 0 {
            state.sent = None;
        }
    }
}

/// An event in the event stream format of the HTML standard.
fn frame(name: &str, id: &str, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(data.len() + id.len() + 64);
    frame.extend_from_slice(format!("event: {name}\n").as_bytes());
    // A line end in an id would begin another field; a zero makes clients ignore it. An event
    // without the field leaves a client's last id as it is.
    if !id.is_empty() && !id.contains(['\n', '\r', '\0']) {
        frame.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    let data = data.strip_suffix(b"\n").unwrap_or(data);
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
