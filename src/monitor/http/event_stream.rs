//! Event streams (`/events`, Server-Sent Events): one task per stream.
//!
//! On the server's thread, with no thread of their own. What they send is in the [`EventLog`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::Read as _;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use smol::Async;

use super::connection_table::{ConnectionPhase, ConnectionState, Interrupt};
use super::event_log::{EventLog, StreamPosition};
use super::response_writer::{self, SendError};
use super::send_budget::SendBudget;
use super::stats::{HttpStats, Rejection};
use crate::limits;

/// The wakers of all streams.
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
            wakers: self.clone(),
            number,
        }
    }
}

struct WakerSlot {
    wakers: Rc<WakerSet>,
    number: u64,
}

impl WakerSlot {
    fn wait(&self, context: &Context<'_>) {
        let mut wakers = self.wakers.wakers.borrow_mut();
        wakers.insert(self.number, context.waker().clone());
    }
}

impl Drop for WakerSlot {
    fn drop(&mut self) {
        self.wakers.wakers.borrow_mut().remove(&self.number);
    }
}

/// One stream, and what it needs of the server.
pub(super) struct EventStream<'a> {
    pub stream: &'a Async<TcpStream>,
    pub connection: &'a ConnectionState,
    pub events: &'a EventLog,
    pub wakers: &'a Rc<WakerSet>,
    pub send_budget: &'a Rc<SendBudget>,
    pub stats: &'a HttpStats,
    pub write_time: Duration,
    pub heartbeat: Duration,
}

impl EventStream<'_> {
    /// Sends the head and the newest snapshot, then events until the client leaves, is too
    /// slow, or is evicted.
    pub(super) async fn serve(&self, head: &[u8], last_id: Option<&str>) {
        let slot = self.wakers.register();
        let (_subscription, mut position, initial) = self.events.subscribe(last_id);
        let retry = format!("retry: {}\n\n", limits::EVENT_RECONNECT_DELAY.as_millis());
        self.connection
            .enter(ConnectionPhase::Streaming, self.write_time);
        if !self.send(head, retry.as_bytes()).await {
            return;
        }
        if let Some(initial) = initial
            && !self.send_frame(&initial).await
        {
            return;
        }
        loop {
            self.connection
                .enter(ConnectionPhase::Streaming, self.heartbeat);
            match self
                .connection
                .wait(self.next_update(&slot, &position))
                .await
            {
                Ok(Update::Announced) => {
                    for frame in &self.events.since(&mut position) {
                        if !self.send_frame(frame).await {
                            return;
                        }
                    }
                }
                Ok(Update::Disconnected) | Err(Interrupt::Evicted) => return,
                Err(Interrupt::TimedOut) => {
                    if !self.send(b"", b":\n\n").await {
                        return;
                    }
                }
            }
        }
    }

    async fn next_update(&self, slot: &WakerSlot, position: &StreamPosition) -> Update {
        poll_fn(|context| {
            slot.wait(context);
            if self.events.has_newer(position) {
                return Poll::Ready(Update::Announced);
            }
            // What the client still sends is dropped; when it closes, the stream ends.
            // Bounded: after a few reads the rest waits for the next turn.
            for _ in 0..4 {
                let mut scratch = [0; 512];
                match self.stream.get_ref().read(&mut scratch) {
                    Ok(0) => return Poll::Ready(Update::Disconnected),
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        match self.stream.poll_readable(context) {
                            Poll::Ready(Ok(())) => {}
                            Poll::Ready(Err(_)) => return Poll::Ready(Update::Disconnected),
                            Poll::Pending => return Poll::Pending,
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => return Poll::Ready(Update::Disconnected),
                }
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// False if the stream is to end.
    async fn send_frame(&self, frame: &Arc<[u8]>) -> bool {
        let Some(_reservation) = self.send_budget.reserve_shared(frame) else {
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
    Disconnected,
}
