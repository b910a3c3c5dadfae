//! Delivering one channel's outbox: what is told together, when it is tried again.
//!
//! A thread per channel (`mail`, `webhook`) runs [`Delivery::run`]. It sleeps until the bell
//! rings or a pause is over, and ends within two seconds of the bell's closing. The order is
//! strict: what may already have reached somebody goes first, under its own Message-ID;
//! after it everything never tried goes together, in one message. A message that is refused
//! for what it says is tried again event by event, so that one event takes no others along.
//! Refused events wait in a lane of their own: they go when nothing new is due.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::alert::DeliveryFailure;
use crate::domain::outbox::{
    DeliveryEnd, DeliveryOutcome, DeliveryRefusal, Outbox, OutboxItem, PendingItems,
};
use crate::domain::time::{Moment, Mono, Wall};
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::thread::shielded;

/// What one attempt came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Recipients that have the message; empty where there is only one.
    pub settled: Vec<String>,
    /// Why somebody refuses it, in one sentence.
    pub refused: Option<String>,
    /// Whether it is refused for what it says, so that parts of it may be taken.
    pub is_about_content: bool,
    /// Why it must be tried again soon.
    pub again: Option<String>,
}

impl Attempt {
    pub fn again(why: String) -> Attempt {
        Attempt {
            again: Some(why),
            ..Attempt::default()
        }
    }
}

/// One message to be delivered.
pub struct Batch<'a> {
    pub items: &'a [OutboxItem],
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

    /// A fingerprint of the configuration: what it refuses under one may pass under another.
    fn setup(&self) -> u16;
}

/// A fingerprint of settings and of this version. It is so short that it tells nothing of a
/// secret among them; two that are alike by chance cost a day, until the daily retry.
pub fn fingerprint(settings: &[&str]) -> u16 {
    let mut hash: u32 = 0x811c_9dc5; // FNV-1a
    let version = env!("CARGO_PKG_VERSION");
    for setting in settings.iter().chain([&version]) {
        for byte in setting.bytes().chain([0xff]) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    (hash >> 16) as u16 ^ hash as u16
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
    pub trouble: Option<DeliveryFailure>,
    /// Events that wait.
    pub waiting: usize,
    /// Of those, the refused ones.
    pub refused: usize,
    /// When the oldest of them was refused first, and why the newest was.
    pub refused_since: Option<Wall>,
    pub refusal: Option<String>,
    /// Events given up, since the database was made.
    pub undelivered: u64,
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

    /// Notes how telling something that nothing waits for has ended.
    pub fn note(&self, channel: &'static str, heard: &Result<(), String>, now: Moment) {
        let mut status = lock(&self.0);
        status.attempts += 1;
        match heard {
            Ok(()) => {
                status.trouble = None;
                status.last_delivered = Some(now.wall);
            }
            Err(why) => {
                status.failures += 1;
                let since = status.trouble.as_ref().map_or(now.mono, |it| it.since);
                let why = why.clone();
                status.trouble = Some(DeliveryFailure {
                    channel,
                    since,
                    why,
                });
            }
        }
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
    failing: Option<DeliveryFailure>,
    lane: RefusedLane,
}

/// When refused events are tried again.
struct RefusedLane {
    started: Mono,
    /// The configuration that this run has.
    setup: u16,
    /// When each is due, and whether because a day is over.
    due: BTreeMap<i64, (Mono, bool)>,
    /// Events whose message was refused as a whole: each is tried alone.
    alone: BTreeSet<i64>,
    /// Failures in a row to learn whether they are still refused.
    failures: u32,
    retry_at: Option<Mono>,
    /// Since when something refused waits, as this run knows.
    since: Option<Mono>,
    /// What was last said in the log.
    said: Option<String>,
}

impl RefusedLane {
    /// Plans when each of the refused events is tried again.
    fn plan(&mut self, items: &[OutboxItem], is_asked: bool, now: Moment) {
        let waits = |id: &i64| items.iter().any(|item| item.id == *id);
        self.due.retain(|id, _| waits(id));
        self.alone.retain(waits);
        let refused = items
            .iter()
            .filter_map(|item| Some((item.id, item.refusal.as_ref()?)));
        for (id, refusal) in refused {
            if is_asked || (refusal.config_fingerprint != self.setup && !self.due.contains_key(&id))
            {
                self.due.insert(id, (now.mono, false));
                self.retry_at = None;
            } else if !self.due.contains_key(&id) {
                // The wall clock counts once in a run and for a day at most, so that one that
                // jumps costs one of the daily retries and holds nothing up.
                let past = now.wall.second().saturating_sub(refusal.last);
                let day = limits::REFUSED_AGAIN;
                let left = match u64::try_from(past) {
                    Ok(past) => day.saturating_sub(Duration::from_secs(past)),
                    Err(_) => Duration::ZERO,
                };
                if now.trust.is_trusted() {
                    self.due.insert(id, (now.mono.after(left), true));
                } else if now.mono >= self.started.after(day) {
                    self.due.insert(id, (now.mono, true));
                }
            }
        }
        let first = items.iter().any(|item| item.refusal.is_some());
        self.since = first.then(|| self.since.unwrap_or(now.mono));
        if !first {
            self.said = None;
        }
    }

    fn is_due(&self, id: i64, now: Mono) -> bool {
        self.due.get(&id).is_some_and(|(at, _)| *at <= now)
    }

    /// How long nothing is due.
    fn pause(&self, now: Mono) -> Duration {
        let next = self.due.values().map(|(at, _)| *at).min();
        let next = next.max(self.retry_at.filter(|_| next.is_some()));
        next.map_or(IDLE, |at| at.since(now))
    }
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
        let lane = RefusedLane {
            started: clock.now().mono,
            setup: channel.setup(),
            due: BTreeMap::new(),
            alone: BTreeSet::new(),
            failures: 0,
            retry_at: None,
            since: None,
            said: None,
        };
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
            failing: None,
            lane,
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
        let pending = self.look(now);
        let (refused, fresh): (Vec<OutboxItem>, Vec<OutboxItem>) = pending
            .items
            .into_iter()
            .partition(|item| item.refusal.is_some());
        let (batch, pause) = self.next_fresh(&fresh, now);
        if let Some(batch) = batch {
            return self.try_batch(&batch, pending.dropped, now);
        }
        // What is new comes first, and soon.
        if self.gathering_since.is_some() {
            return pause;
        }
        let is_due = |item: &OutboxItem| self.lane.is_due(item.id, now.mono);
        let due: Vec<OutboxItem> = refused.iter().filter(|it| is_due(it)).cloned().collect();
        let may_try = self.lane.retry_at.is_none_or(|at| at <= now.mono);
        if may_try && let Some(batch) = choose(&due, &self.lane.alone) {
            return self.try_batch(&batch, pending.dropped, now);
        }
        let pause = match refused.is_empty() {
            true => pause,
            // A request to try them again is noticed soon.
            false => pause.min(limits::REFUSED_LOOK),
        };
        pause.min(self.lane.pause(now.mono))
    }

    /// Reads what waits, plans what is refused, and shows both.
    fn look(&mut self, now: Moment) -> PendingItems {
        let name = self.channel.name();
        let is_asked = self.outbox.is_retry_asked(name);
        let pending = self.outbox.pending(name);
        self.lane.plan(&pending.items, is_asked, now);
        self.show(&pending);
        pending
    }

    fn show(&self, pending: &PendingItems) {
        let name = self.channel.name();
        let refusals = || pending.items.iter().filter_map(|it| it.refusal.as_ref());
        let newest = refusals().max_by_key(|it| it.last);
        let mut status = lock(&self.status.0);
        status.waiting = pending.items.len();
        status.refused = refusals().count();
        status.refused_since = refusals().map(|it| it.since).min().map(Wall::from_second);
        status.refusal = newest.map(|it| it.why.clone());
        status.undelivered = pending.undelivered;
        let of_refusal = newest
            .zip(self.lane.since)
            .map(|(newest, since)| DeliveryFailure {
                channel: name,
                since,
                why: newest.why.clone(),
            });
        status.trouble = self.failing.clone().or(of_refusal);
    }

    /// What was never refused and is due, else how long nothing is.
    fn next_fresh(
        &mut self,
        fresh: &[OutboxItem],
        now: Moment,
    ) -> (Option<Vec<OutboxItem>>, Duration) {
        let Some(batch) = choose(fresh, &self.lane.alone) else {
            self.gathering_since = None;
            return (None, IDLE);
        };
        if let Some(at) = self.retry_at.filter(|at| *at > now.mono) {
            return (None, at.since(now.mono));
        }
        let is_known =
            |item: &OutboxItem| item.message_id.is_some() || self.lane.alone.contains(&item.id);
        if !batch.iter().any(is_known) {
            let since = *self.gathering_since.get_or_insert(now.mono);
            let rest = self.gather.saturating_sub(now.mono.since(since));
            if !rest.is_zero() {
                return (None, rest);
            }
        }
        self.gathering_since = None;
        (Some(batch), Duration::ZERO)
    }

    fn try_batch(&mut self, items: &[OutboxItem], dropped: u64, now: Moment) -> Duration {
        let name = self.channel.name();
        let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
        let first = items.first();
        let known = first.and_then(|item| item.message_id.clone());
        let message_id = known.unwrap_or_else(|| fresh_id(&self.channel.domain()));
        let refusal = first.and_then(|item| item.refusal.as_ref());
        let batch = Batch {
            items,
            dropped,
            message_id: &message_id,
            settled: first.map_or(&[], |item| item.done_recipients.as_slice()),
            now,
            delayed_by: match refusal {
                Some(refusal) => Some(&refusal.why),
                None => self.last_problem.as_deref(),
            },
        };
        let outbox = &self.outbox;
        let mut is_sent = false;
        let mut before_data = || {
            is_sent = true;
            let trying = DeliveryOutcome::Attempting {
                ids: ids.clone(),
                message_id: message_id.clone(),
            };
            outbox.record(name, trying);
            Ok(())
        };
        let attempt = self.channel.deliver(&batch, &mut before_data, &self.bell);
        self.last_try = Some(now.mono);
        let mut status = lock(&self.status.0);
        status.attempts += 1;
        status.failures += u64::from(attempt.again.is_some() || attempt.refused.is_some());
        let is_whole = attempt.again.is_none() && attempt.refused.is_none();
        if is_sent && (is_whole || !attempt.settled.is_empty()) {
            status.last_delivered = Some(now.wall);
        }
        drop(status);
        if !is_whole && !attempt.settled.is_empty() {
            let (ids, recipients) = (ids.clone(), attempt.settled);
            self.outbox
                .record(name, DeliveryOutcome::PartlyDelivered { ids, recipients });
        }
        let pause = match (attempt.again, attempt.refused) {
            (Some(again), None) => self.failed(now.mono, again, refusal.is_some()),
            (Some(again), Some(refused)) => {
                self.failed(now.mono, format!("{again}; {refused}"), refusal.is_some())
            }
            (None, Some(_)) if attempt.is_about_content && items.len() > 1 => {
                self.lane.alone.extend(&ids);
                self.outbox.record(name, DeliveryOutcome::Split { ids });
                Duration::ZERO
            }
            (None, Some(why)) => {
                self.refused(items, why, now);
                Duration::ZERO
            }
            (None, None) => {
                let ended = DeliveryEnd {
                    second: now.wall.second(),
                    attempts: match refusal {
                        Some(refusal) => refusal.days.saturating_add(2),
                        None => self.failures_in_a_row.saturating_add(1),
                    },
                    ..DeliveryEnd::default()
                };
                let delivered = DeliveryOutcome::Delivered {
                    ids,
                    dropped,
                    ended,
                };
                self.outbox.record(name, delivered);
                self.answered();
                Duration::ZERO
            }
        };
        let pending = self.outbox.pending(name);
        self.lane.plan(&pending.items, false, now);
        self.show(&pending);
        pause
    }

    /// The other side is there, whatever it said.
    fn answered(&mut self) {
        self.failures_in_a_row = 0;
        self.failing_since = None;
        self.failing = None;
        self.retry_at = None;
        self.last_problem = None;
        self.lane.failures = 0;
        self.lane.retry_at = None;
    }

    /// Keeps what is refused, but what was for too many days.
    fn refused(&mut self, items: &[OutboxItem], why: String, now: Moment) {
        let name = self.channel.name();
        self.answered();
        let second = now.wall.second();
        for item in items {
            let (ids, known) = (vec![item.id], item.refusal.as_ref());
            let is_daily = self.lane.due.get(&item.id).is_some_and(|(_, daily)| *daily);
            let days = known.map_or(0, |it| it.days) + u32::from(known.is_some() && is_daily);
            let outcome = match days < limits::REFUSED_DAYS {
                true => DeliveryOutcome::Refused {
                    ids,
                    refusal: DeliveryRefusal {
                        since: known.map_or(second, |it| it.since),
                        last: second,
                        days,
                        why: why.clone(),
                        config_fingerprint: self.lane.setup,
                    },
                },
                false => {
                    log::error!("{name}: an alert is given up after {days} days: {why}");
                    DeliveryOutcome::Undelivered {
                        ids,
                        ended: DeliveryEnd {
                            second,
                            attempts: days + 1,
                            refused: Some(why.clone()),
                            is_given_up: true,
                        },
                    }
                }
            };
            let again = now.mono.after(limits::REFUSED_AGAIN);
            self.lane.due.insert(item.id, (again, true));
            self.outbox.record(name, outcome);
        }
        // Once in the log, until another is the reason.
        if self.lane.said.as_ref() != Some(&why) {
            log::error!("{name}: an alert is refused and kept: {why}");
            self.lane.said = Some(why);
        }
    }

    /// It could not be learnt whether the message is taken: soon again. What had been refused
    /// holds up nothing else.
    fn failed(&mut self, now: Mono, why: String, was_refused: bool) -> Duration {
        let name = self.channel.name();
        // Once in the log, until it is another problem.
        let is_known = match was_refused {
            true => self.lane.failures > 0,
            false => self.last_problem.as_ref() == Some(&why),
        };
        if !is_known && !self.bell.is_closed() {
            log::warn!("{name}: an alert could not be delivered and is kept: {why}");
        }
        if was_refused {
            let pause = back_off(self.lane.failures);
            self.lane.failures = self.lane.failures.saturating_add(1);
            self.lane.retry_at = Some(now.after(pause));
            return Duration::ZERO;
        }
        let since = *self.failing_since.get_or_insert(now);
        self.failing = Some(DeliveryFailure {
            channel: name,
            since,
            why: why.clone(),
        });
        self.last_problem = Some(why);
        let pause = back_off(self.failures_in_a_row);
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.retry_at = Some(now.after(pause));
        pause
    }
}

/// The pause after so many failures in a row.
fn back_off(failures: u32) -> Duration {
    let (shortest, longest) = limits::DELIVERY_BACK_OFF;
    (shortest * (1 << failures.min(10))).min(longest)
}

/// What goes next: the items of the oldest message that was tried, else all that were not,
/// as far as the same people have them already; those that go alone one by one.
fn choose(items: &[OutboxItem], alone: &BTreeSet<i64>) -> Option<Vec<OutboxItem>> {
    let tried = items.iter().find(|item| item.message_id.is_some());
    let first = tried.or(items.first())?;
    if tried.is_none() && alone.contains(&first.id) {
        return Some(vec![first.clone()]);
    }
    let goes_along = |item: &&OutboxItem| {
        item.message_id == first.message_id
            && item.done_recipients == first.done_recipients
            && (tried.is_some() || !alone.contains(&item.id))
    };
    let batch = items.iter().filter(goes_along);
    Some(batch.take(limits::EVENTS_PER_MESSAGE).cloned().collect())
}

/// A Message-ID that nobody else has, without brackets.
fn fresh_id(domain: &str) -> String {
    // The standard library's keys are the system's randomness; nobody needs to be kept from
    // guessing it.
    let random = || RandomState::new().build_hasher().finish();
    format!("main-node.{:016x}{:016x}@{domain}", random(), random())
}

#[cfg(test)]
#[path = "tests/delivery.rs"]
pub mod tests;
