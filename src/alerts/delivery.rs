//! Delivery worker: delivers one channel's outbox, with batching, back-off and retries.
//!
//! A thread per channel (`mail`, `webhook`) runs [`DeliveryWorker::run`]. It sleeps until its wake
//! signal or the end of a wait, and ends within two seconds of the stop. The order is strict: a
//! message that may already have been delivered is resent first, under its own Message-ID; then all
//! events that were never tried are sent in one message. A message that is refused for its content
//! is retried event by event, so that one event does not block the others. Refused events have a
//! queue of their own: they are sent when nothing new is due.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::channels::{Attempt, Channel, DeliveryBatch, DeliveryHooks};
use super::delivery_status::SharedDeliveryStatus;
use super::login_check::LoginCheck;
use super::refused_queue::RefusedQueue;
use crate::domain::alert::DeliveryFailure;
use crate::domain::back_off::BackOff;
use crate::domain::outbox::{
    DeliveryEnd, DeliveryOutcome, DeliveryRefusal, Outbox, OutboxItem, PendingItems,
};
use crate::domain::time::{Moment, Mono, Wall};
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::shutdown::{StopToken, WakeReason};
use crate::sys::thread::catch_panic;

pub struct DeliveryWorker {
    name: Arc<str>,
    channel: Box<dyn Channel>,
    outbox: Box<dyn Outbox>,
    clock: Arc<dyn Clock>,
    stop: StopToken,
    status: SharedDeliveryStatus,
    /// How long the first event waits for others.
    batch_delay: Duration,
    batching_since: Option<Mono>,
    failures_in_a_row: u32,
    failing_since: Option<Mono>,
    last_try: Option<Mono>,
    retry_at: Option<Mono>,
    /// The server asked to wait until then.
    not_before: Option<Mono>,
    last_error: Option<String>,
    failure: Option<DeliveryFailure>,
    refused_queue: RefusedQueue,
    login_check: LoginCheck,
}

/// The wait with an empty outbox; bounded, in case a wake-up is lost.
const IDLE_WAIT: Duration = Duration::from_secs(600);

impl DeliveryWorker {
    pub fn new(
        channel: Box<dyn Channel>,
        outbox: Box<dyn Outbox>,
        clock: Arc<dyn Clock>,
        stop: StopToken,
        batch_delay: Duration,
    ) -> DeliveryWorker {
        let started = clock.now().mono;
        let refused_queue = RefusedQueue::new(started, channel.config_fingerprint());
        DeliveryWorker {
            name: channel.name().into(),
            channel,
            outbox,
            clock,
            stop,
            status: SharedDeliveryStatus::default(),
            batch_delay,
            batching_since: None,
            failures_in_a_row: 0,
            failing_since: None,
            last_try: None,
            retry_at: None,
            not_before: None,
            last_error: None,
            failure: None,
            refused_queue,
            login_check: LoginCheck::new(started),
        }
    }

    pub fn status(&self) -> SharedDeliveryStatus {
        self.status.clone()
    }

    /// Delivers until the stop; a wake of the token says that the outbox has changed.
    pub fn run(mut self) {
        let mut wait = Duration::ZERO;
        let mut wakes_seen = 0;
        loop {
            let reason = self.stop.wait_or_wake(wait, &mut wakes_seen);
            let now = self.clock.now();
            match reason {
                WakeReason::Stop => return,
                WakeReason::Wake => self.shorten_retry(now.mono),
                WakeReason::Elapsed => {}
            }
            let name = self.name.clone();
            let pause = limits::DELIVERY_BACK_OFF.0;
            wait = catch_panic(&name, || self.deliver_due(now)).unwrap_or(pause);
        }
    }

    /// A new event may mean that the network is back: a long pause is cut to the shortest, but not one
    /// that the server asked for.
    fn shorten_retry(&mut self, now: Mono) {
        let shortest = limits::DELIVERY_BACK_OFF.0;
        let earliest = self.last_try.map_or(now, |last| last.after(shortest));
        let earliest = self.not_before.map_or(earliest, |at| at.max(earliest));
        self.retry_at = self.retry_at.map(|at| at.min(earliest));
    }

    /// Delivers one message that is due; returns how long to wait before the next.
    pub fn deliver_due(&mut self, now: Moment) -> Duration {
        let pending = self.load_pending(now);
        let (refused, fresh): (Vec<OutboxItem>, Vec<OutboxItem>) = pending
            .items
            .into_iter()
            .partition(|item| item.refusal.is_some());
        let (batch, pause) = self.next_new_batch(&fresh, now);
        if let Some(batch) = batch {
            return self.try_batch(&batch, pending.dropped, now);
        }
        // New events go before refused ones.
        if self.batching_since.is_some() {
            return pause;
        }
        let is_due = |item: &OutboxItem| self.refused_queue.is_due(item.id, now.mono);
        let due: Vec<OutboxItem> = refused.iter().filter(|it| is_due(it)).cloned().collect();
        let may_try = self.refused_queue.retry_at.is_none_or(|at| at <= now.mono);
        if may_try && let Some(batch) = next_batch(&due, &self.refused_queue.alone) {
            return self.try_batch(&batch, pending.dropped, now);
        }
        // Polls for a request to retry them.
        let pause = if refused.is_empty() {
            pause
        } else {
            pause.min(limits::REFUSED_RETRY_POLL)
        };
        let refused_due_in = self.refused_queue.next_wait(now.mono);
        let check_due_in = self.check_login(now.mono);
        let waits = [Some(pause), refused_due_in, check_due_in].into_iter();
        waits.flatten().min().unwrap_or(pause)
    }

    /// Checks the login if nothing else shows whether it works; returns when that is due again.
    fn check_login(&mut self, now: Mono) -> Option<Duration> {
        if self.failure.is_some() {
            return None;
        }
        let due_in = self.login_check.run(&*self.channel, now);
        let of_check = self.login_check.failure.clone();
        let mut status = self.status.lock();
        if status.refused == 0 {
            status.failure = of_check;
        }
        due_in
    }

    /// Reads the outbox, schedules the retries of refused events and updates the status.
    fn load_pending(&mut self, now: Moment) -> PendingItems {
        let name = self.name.clone();
        let is_requested = self.outbox.is_retry_requested(&name);
        let pending = self.outbox.pending(&name);
        self.refused_queue
            .schedule(&pending.items, is_requested, now);
        self.update_status(&pending);
        pending
    }

    fn update_status(&self, pending: &PendingItems) {
        let refusals = || pending.items.iter().filter_map(|it| it.refusal.as_ref());
        let newest = refusals().max_by_key(|it| it.last);
        let mut status = self.status.lock();
        status.waiting = pending.items.len();
        status.refused = refusals().count();
        status.refused_since = refusals().map(|it| it.since).min().map(Wall::from_second);
        status.refusal = newest.map(|it| it.why.clone());
        status.undelivered = pending.undelivered;
        let of_refusal =
            newest
                .zip(self.refused_queue.since)
                .map(|(newest, since)| DeliveryFailure {
                    since,
                    why: newest.why.clone(),
                });
        let of_login = || self.login_check.failure.clone();
        status.failure = self.failure.clone().or(of_refusal).or_else(of_login);
    }

    /// The next batch of events that were never refused, or how long to wait for one.
    fn next_new_batch(
        &mut self,
        fresh: &[OutboxItem],
        now: Moment,
    ) -> (Option<Vec<OutboxItem>>, Duration) {
        let Some(batch) = next_batch(fresh, &self.refused_queue.alone) else {
            self.batching_since = None;
            return (None, IDLE_WAIT);
        };
        if let Some(at) = self.retry_at.filter(|at| *at > now.mono) {
            return (None, at.since(now.mono));
        }
        let is_known = |item: &OutboxItem| {
            item.message_id.is_some() || self.refused_queue.alone.contains(&item.id)
        };
        if !batch.iter().any(is_known) {
            let since = *self.batching_since.get_or_insert(now.mono);
            let rest = self.batch_delay.saturating_sub(now.mono.since(since));
            if !rest.is_zero() {
                return (None, rest);
            }
        }
        self.batching_since = None;
        (Some(batch), Duration::ZERO)
    }

    /// Delivers one message; returns how long to wait before the next.
    fn try_batch(&mut self, items: &[OutboxItem], dropped: u64, now: Moment) -> Duration {
        let Some(first) = items.first() else {
            return IDLE_WAIT;
        };
        let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
        let new_id = || new_message_id(&self.channel.message_id_domain());
        let message_id = first.message_id.clone().unwrap_or_else(new_id);
        let refusal = first.refusal.as_ref();
        let batch = DeliveryBatch {
            items,
            dropped,
            message_id: &message_id,
            done_recipients: &first.done_recipients,
            now,
            delayed_by: match refusal {
                Some(refusal) => Some(&refusal.why),
                None => self.last_error.as_deref(),
            },
        };
        let mut is_sent = false;
        let mut before_data = || {
            is_sent = true;
            let attempting = DeliveryOutcome::Attempting {
                ids: ids.clone(),
                message_id: message_id.clone(),
            };
            self.outbox.record(&self.name, attempting);
            Ok(())
        };
        let name = &self.name;
        let hooks = DeliveryHooks {
            before_data: &mut before_data,
            report: &mut |step, elapsed, result| {
                log::debug!("{name}: {step}, {elapsed:?}: {result:?}");
            },
            stop: &self.stop,
        };
        let attempt = self.channel.deliver(&batch, hooks);
        self.last_try = Some(now.mono);
        self.count_attempt(&attempt, is_sent, now);
        let pause = self.record_attempt(attempt, items, dropped, now);
        let pending = self.outbox.pending(&self.name);
        self.refused_queue.schedule(&pending.items, false, now);
        self.update_status(&pending);
        pause
    }

    fn count_attempt(&self, attempt: &Attempt, is_sent: bool, now: Moment) {
        let is_complete = attempt.is_complete();
        let mut status = self.status.lock();
        status.attempts += 1;
        status.failures += u64::from(!is_complete);
        if is_sent && (is_complete || !attempt.done_recipients.is_empty()) {
            status.last_delivered = Some(now.wall);
        }
    }

    /// Records the outcome of a batch in the outbox; returns how long to wait before the next.
    fn record_attempt(
        &mut self,
        attempt: Attempt,
        items: &[OutboxItem],
        dropped: u64,
        now: Moment,
    ) -> Duration {
        let name = self.name.clone();
        let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
        let refusal = items.first().and_then(|item| item.refusal.as_ref());
        if !attempt.is_complete() && !attempt.done_recipients.is_empty() {
            let (ids, recipients) = (ids.clone(), attempt.done_recipients);
            self.outbox
                .record(&name, DeliveryOutcome::PartlyDelivered { ids, recipients });
        }
        let wait = attempt.retry_after;
        match (attempt.retry, attempt.refused) {
            (Some(retry), None) => self.record_failure(now.mono, (retry, wait), refusal.is_some()),
            (Some(retry), Some(refused)) => {
                let why = format!("{retry}; {refused}");
                self.record_failure(now.mono, (why, wait), refusal.is_some())
            }
            (None, Some(_)) if attempt.is_about_content && items.len() > 1 => {
                self.refused_queue.alone.extend(&ids);
                self.outbox.record(&name, DeliveryOutcome::Split { ids });
                Duration::ZERO
            }
            (None, Some(why)) => {
                self.record_refusal(items, why, now);
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
                self.outbox.record(&name, delivered);
                self.login_check.succeeded(now.mono);
                self.reset_failures();
                Duration::ZERO
            }
        }
    }

    /// Ends the back-off: the server has responded, if only with a refusal.
    fn reset_failures(&mut self) {
        self.failures_in_a_row = 0;
        self.failing_since = None;
        self.failure = None;
        self.retry_at = None;
        self.not_before = None;
        self.last_error = None;
        self.refused_queue.failures = 0;
        self.refused_queue.retry_at = None;
    }

    /// Records a refusal: the events are retried daily, and given up after too many days.
    fn record_refusal(&mut self, items: &[OutboxItem], why: String, now: Moment) {
        let name = self.name.clone();
        self.reset_failures();
        let second = now.wall.second();
        for item in items {
            let (ids, known) = (vec![item.id], item.refusal.as_ref());
            let is_daily = self
                .refused_queue
                .due
                .get(&item.id)
                .is_some_and(|(_, daily)| *daily);
            let days = known.map_or(0, |it| it.days) + u32::from(known.is_some() && is_daily);
            let outcome = if days < limits::REFUSED_RETRIES {
                DeliveryOutcome::Refused {
                    ids,
                    refusal: DeliveryRefusal {
                        since: known.map_or(second, |it| it.since),
                        last: second,
                        days,
                        why: why.clone(),
                        config_fingerprint: self.refused_queue.config_fingerprint,
                    },
                }
            } else {
                log::error!("{name}: gave up an alert after {days} days: {why}");
                DeliveryOutcome::Undelivered {
                    ids,
                    ended: DeliveryEnd {
                        second,
                        attempts: days + 1,
                        refused: Some(why.clone()),
                        is_given_up: true,
                    },
                }
            };
            let next_retry = now.mono.after(limits::REFUSED_RETRY_INTERVAL);
            self.refused_queue.due.insert(item.id, (next_retry, true));
            self.outbox.record(&name, outcome);
        }
        // The same reason is logged once.
        if self.refused_queue.last_logged.as_ref() != Some(&why) {
            log::error!("{name}: alert refused, kept for later: {why}");
            self.refused_queue.last_logged = Some(why);
        }
    }

    /// The attempt failed: retry with back-off, or when the server asks for it. Refused events have a
    /// back-off of their own.
    fn record_failure(
        &mut self,
        now: Mono,
        (why, wait): (String, Option<Duration>),
        was_refused: bool,
    ) -> Duration {
        let name = self.name.clone();
        // The same error is logged once.
        let is_known = if was_refused {
            self.refused_queue.failures > 0
        } else {
            self.last_error.as_ref() == Some(&why)
        };
        if !is_known && !self.stop.is_stopping() {
            log::warn!("{name}: alert not delivered, will retry: {why}");
        }
        if was_refused {
            let pause = pause_after(self.refused_queue.failures, wait);
            self.refused_queue.failures = self.refused_queue.failures.saturating_add(1);
            self.refused_queue.retry_at = Some(now.after(pause));
            return Duration::ZERO;
        }
        let since = *self.failing_since.get_or_insert(now);
        self.failure = Some(DeliveryFailure {
            since,
            why: why.clone(),
        });
        self.last_error = Some(why);
        let pause = pause_after(self.failures_in_a_row, wait);
        self.not_before = wait.map(|_| now.after(pause));
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.retry_at = Some(now.after(pause));
        pause
    }
}

/// The wait after so many failures in a row. A server may ask for a shorter one once, and for a longer
/// one.
fn pause_after(failures: u32, asked: Option<Duration>) -> Duration {
    let back_off = BackOff::new(limits::DELIVERY_BACK_OFF).pause(failures.into());
    match asked {
        Some(asked) if failures == 0 => asked.max(limits::MIN_RETRY_AFTER),
        Some(asked) => asked.max(back_off),
        None => back_off,
    }
}

/// The next batch: the items of the oldest message that was tried, else all untried items with the
/// same recipients left. Items in `alone` are sent one by one.
fn next_batch(items: &[OutboxItem], alone: &BTreeSet<i64>) -> Option<Vec<OutboxItem>> {
    let tried = items.iter().find(|item| item.message_id.is_some());
    let first = tried.or(items.first())?;
    if tried.is_none() && alone.contains(&first.id) {
        return Some(vec![first.clone()]);
    }
    let is_same_batch = |item: &&OutboxItem| {
        item.message_id == first.message_id
            && item.done_recipients == first.done_recipients
            && (tried.is_some() || !alone.contains(&item.id))
    };
    let batch = items.iter().filter(is_same_batch);
    Some(batch.take(limits::EVENTS_PER_MESSAGE).cloned().collect())
}

/// A globally unique Message-ID, without brackets.
fn new_message_id(domain: &str) -> String {
    // The standard library's hash keys are random. The ID need not be unpredictable.
    let random = || RandomState::new().build_hasher().finish();
    format!("main-node.{:016x}{:016x}@{domain}", random(), random())
}

#[cfg(test)]
#[path = "tests/delivery.rs"]
pub mod tests;
