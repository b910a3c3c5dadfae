//! Delivering one channel's outbox: what is told together, when it is tried again.
//!
//! A thread per channel (`mail`, `webhook`) runs [`Delivery::run`]. It sleeps until the bell
//! rings or a pause is over, and ends within two seconds of the bell's closing. The order is
//! strict: what may already have reached somebody goes first, under its own Message-ID;
//! after it everything never tried goes together, in one message.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::alert::DeliveryTrouble;
use crate::domain::outbox::{Ended, Item, Outbox, Outcome};
use crate::domain::time::{Moment, Mono, Wall};
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::thread::shielded;

/// What one attempt came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Recipients that have the message, or never will; empty where there is only one.
    pub settled: Vec<String>,
    /// Why somebody never will, in one sentence.
    pub refused: Option<String>,
    /// Why it must be tried again.
    pub again: Option<String>,
}

/// One message to be delivered.
pub struct Batch<'a> {
    pub items: &'a [Item],
    pub dropped: u64,
    pub message_id: &'a str,
    /// Recipients that need it no more.
    pub settled: &'a [String],
    pub now: Moment,
    /// Why it could not be delivered until now.
    pub delayed_by: Option<&'a str>,
}

/// A way to people.
pub trait Channel: Send {
    fn name(&self) -> &'static str;

    /// Tries once. Calls `before_data` before the first byte that could deliver, and gives up
    /// soon once the bell is closed.
    fn deliver(
        &self,
        batch: &Batch<'_>,
        before_data: &mut dyn FnMut() -> Result<(), String>,
        bell: &Bell,
    ) -> Attempt;

    /// What stands behind the `@` of a Message-ID.
    fn domain(&self) -> String;
}

/// Wakes one who delivers, and ends it. Each has its own: a ring is heard once.
#[derive(Clone, Default)]
pub struct Bell(Arc<BellState>);

#[derive(Default)]
struct BellState {
    has_rung: Mutex<bool>,
    changed: Condvar,
    is_closed: AtomicBool,
}

impl Bell {
    /// Something new waits in the outbox.
    pub fn ring(&self) {
        *lock(&self.0.has_rung) = true;
        self.0.changed.notify_all();
    }

    /// The node stops.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.ring();
    }

    pub fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Acquire)
    }

    /// Waits for so long, or until the node stops.
    pub fn sleep(&self, span: Duration) {
        let deadline = Instant::now() + span;
        while !self.is_closed() {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            self.wait(rest);
        }
    }

    /// Waits for a ring, at most so long; whether it rang.
    fn wait(&self, span: Duration) -> bool {
        let deadline = Instant::now() + span;
        let mut has_rung = lock(&self.0.has_rung);
        loop {
            if std::mem::take(&mut *has_rung) {
                return true;
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return false;
            }
            let waited = self.0.changed.wait_timeout(has_rung, rest);
            (has_rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How delivering goes, for `/status`, `/metrics` and the alert about itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    pub trouble: Option<DeliveryTrouble>,
    /// Events that wait.
    pub waiting: usize,
    pub attempts: u64,
    pub failures: u64,
    pub last_delivered: Option<Wall>,
}

/// A status that others can read at any time.
#[derive(Clone, Default)]
pub struct SharedStatus(Arc<Mutex<Status>>);

impl SharedStatus {
    pub fn get(&self) -> Status {
        lock(&self.0).clone()
    }
}

pub struct Delivery<C> {
    channel: C,
    outbox: Box<dyn Outbox>,
    clock: Arc<dyn Clock>,
    bell: Bell,
    status: SharedStatus,
    /// How long the first event waits for others.
    gather: Duration,
    gathering_since: Option<Mono>,
    failures_in_a_row: u32,
    failing_since: Option<Mono>,
    last_try: Option<Mono>,
    retry_at: Option<Mono>,
    last_problem: Option<String>,
}

/// Without anything to do; a wait without end would outlive a lost ring.
const IDLE: Duration = Duration::from_secs(600);

impl<C: Channel> Delivery<C> {
    pub fn new(
        channel: C,
        outbox: Box<dyn Outbox>,
        clock: Arc<dyn Clock>,
        bell: Bell,
        gather: Duration,
    ) -> Delivery<C> {
        Delivery {
            channel,
            outbox,
            clock,
            bell,
            status: SharedStatus::default(),
            gather,
            gathering_since: None,
            failures_in_a_row: 0,
            failing_since: None,
            last_try: None,
            retry_at: None,
            last_problem: None,
        }
    }

    pub fn status(&self) -> SharedStatus {
        self.status.clone()
    }

    /// Delivers until the bell is closed.
    pub fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            let has_rung = self.bell.wait(wait);
            if self.bell.is_closed() {
                return;
            }
            let now = self.clock.now();
            if has_rung {
                self.hurry(now.mono);
            }
            let name = self.channel.name();
            let pause = limits::DELIVERY_BACK_OFF.0;
            wait = shielded(name, || self.turn(now)).unwrap_or(pause);
        }
    }

    /// News may mean that the network is back: a long pause is cut to the shortest.
    fn hurry(&mut self, now: Mono) {
        let shortest = limits::DELIVERY_BACK_OFF.0;
        let soon = self.last_try.map_or(now, |last| last.after(shortest));
        self.retry_at = self.retry_at.map(|at| at.min(soon));
    }

    /// Tries what is due; returns how long nothing is.
    pub fn turn(&mut self, now: Moment) -> Duration {
        let name = self.channel.name();
        let pending = self.outbox.pending(name);
        lock(&self.status.0).waiting = pending.items.len();
        if let Some(at) = self.retry_at.filter(|at| *at > now.mono) {
            return at.since(now.mono);
        }
        let Some(batch) = choose(&pending.items) else {
            self.gathering_since = None;
            return IDLE;
        };
        let known = batch.first().and_then(|item| item.message_id.clone());
        if known.is_none() {
            let since = *self.gathering_since.get_or_insert(now.mono);
            let rest = self.gather.saturating_sub(now.mono.since(since));
            if !rest.is_zero() {
                return rest;
            }
        }
        self.gathering_since = None;
        let message_id = known.unwrap_or_else(|| fresh_id(&self.channel.domain()));
        self.try_batch(&batch, pending.dropped, &message_id, now)
    }

    fn try_batch(
        &mut self,
        items: &[Item],
        dropped: u64,
        message_id: &str,
        now: Moment,
    ) -> Duration {
        let name = self.channel.name();
        let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
        let batch = Batch {
            items,
            dropped,
            message_id,
            settled: items.first().map_or(&[], |item| item.settled.as_slice()),
            now,
            delayed_by: self.last_problem.as_deref(),
        };
        let outbox = &self.outbox;
        let mut before_data = || {
            let trying = Outcome::Trying {
                ids: ids.clone(),
                message_id: message_id.to_owned(),
            };
            outbox.record(name, trying);
            Ok(())
        };
        let attempt = self.channel.deliver(&batch, &mut before_data, &self.bell);
        self.last_try = Some(now.mono);
        let mut status = lock(&self.status.0);
        status.attempts += 1;
        if let Some(why) = &attempt.refused {
            log::error!("{name}: {why}");
        }
        if let Some(why) = attempt.again {
            status.failures += 1;
            drop(status);
            if !attempt.settled.is_empty() {
                let recipients = attempt.settled;
                self.outbox
                    .record(name, Outcome::Partly { ids, recipients });
            }
            return self.failed(now.mono, why);
        }
        let ended = Ended {
            second: now.wall.second(),
            attempts: self.failures_in_a_row.saturating_add(1),
            refused: attempt.refused.clone(),
        };
        let outcome = match (&attempt.refused, attempt.settled.is_empty()) {
            (Some(_), true) => Outcome::Refused { ids, ended },
            _ => Outcome::Delivered {
                ids,
                dropped,
                ended,
            },
        };
        status.last_delivered = Some(now.wall);
        // Nobody asks again for what was refused: the page shows it until the next succeeds.
        status.trouble = attempt.refused.map(|why| DeliveryTrouble {
            channel: name,
            since: now.mono,
            why,
        });
        status.waiting = status.waiting.saturating_sub(items.len());
        drop(status);
        self.outbox.record(name, outcome);
        self.failures_in_a_row = 0;
        self.failing_since = None;
        self.retry_at = None;
        self.last_problem = None;
        Duration::ZERO
    }

    fn failed(&mut self, now: Mono, why: String) -> Duration {
        let name = self.channel.name();
        // Once in the log, until it is another problem.
        if self.last_problem.as_ref() != Some(&why) && !self.bell.is_closed() {
            log::warn!("{name}: an alert could not be delivered and is kept: {why}");
        }
        let since = *self.failing_since.get_or_insert(now);
        lock(&self.status.0).trouble = Some(DeliveryTrouble {
            channel: name,
            since,
            why: why.clone(),
        });
        self.last_problem = Some(why);
        let (shortest, longest) = limits::DELIVERY_BACK_OFF;
        let pause = shortest * (1 << self.failures_in_a_row.min(10));
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let pause = pause.min(longest);
        self.retry_at = Some(now.after(pause));
        pause
    }
}

/// What goes next: the items of the oldest message that was tried, else all that were not.
fn choose(items: &[Item]) -> Option<Vec<Item>> {
    let tried = items.iter().find_map(|item| item.message_id.as_ref());
    let of_one = items
        .iter()
        .filter(|item| item.message_id.as_ref() == tried)
        .take(limits::EVENTS_PER_MESSAGE);
    let batch: Vec<Item> = of_one.cloned().collect();
    (!batch.is_empty()).then_some(batch)
}

/// A Message-ID that nobody else has, without brackets.
fn fresh_id(domain: &str) -> String {
    // The standard library's keys are the system's randomness; nobody needs to be kept from
    // guessing it.
    let random = || RandomState::new().build_hasher().finish();
    format!("main-node.{:016x}{:016x}@{domain}", random(), random())
}

#[cfg(test)]
pub mod tests;
