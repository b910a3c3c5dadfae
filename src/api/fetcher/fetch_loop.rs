//! Fetch loop: when a source is fetched, and what its thread waits for.
//!
//! Runs on the thread `fetch-<source>`. It waits for the interval, the quotas, a trusted clock
//! where the request contains the date, and a connection; the stop interrupts each wait.

use std::time::Duration;

use super::Fetcher;
use crate::api::connection_pool::{PoolPermit, WaitResult};
use crate::api::request_quota::{QuotaHandle, RequestQuota};
use crate::domain::clock_wait::{ClockWait, ClockWaitStage};
use crate::domain::failure::{Cause, Failure};
use crate::domain::reading::{FetchOutcome, Observation};
use crate::domain::schedule;
use crate::domain::text::human_duration;
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::shutdown::{StopToken, WakeReason};

/// What is left until the next fetch.
#[derive(Default)]
struct FetchTimer {
    wait: Duration,
    /// What is left of the interval, whatever the quotas say.
    pause: Duration,
    /// A wait that the server ordered ends then.
    not_before: Mono,
    last_begun: Option<Mono>,
}

impl FetchTimer {
    /// A sleep of `timeout` is over.
    fn elapsed(&mut self, timeout: Duration) {
        self.pause = self.pause.saturating_sub(timeout);
    }

    /// A sleep was ended early, after `slept`. Returns whether a fetch is allowed before its
    /// interval is over: not within the minimum gap.
    fn wake(&mut self, slept: Duration, now: Mono) -> bool {
        let since_last = self.last_begun.map(|begun| now.since(begun));
        match since_last.filter(|since| *since < limits::EARLY_PROBE_INTERVAL) {
            Some(since) => {
                let rest = self.wait.saturating_sub(slept);
                self.wait = rest.min(limits::EARLY_PROBE_INTERVAL - since);
                self.pause = self.pause.min(self.wait);
                false
            }
            None => {
                self.pause = Duration::ZERO;
                true
            }
        }
    }

    /// What is left when the quotas demand `quota_wait`.
    fn left(&self, quota_wait: Duration, now: Mono) -> Duration {
        let ordered = self.not_before.since(now);
        quota_wait.max(self.pause).max(ordered)
    }

    /// Starts again after a fetch, and tells its observation what the quotas demand: a fetch of
    /// several requests may take longer than an interval.
    fn restart(&mut self, observation: &mut Observation, quota_wait: Duration, ended: Mono) {
        // Not saved: a restart of the node may ask once, as an empty cache does.
        self.not_before = ended.after(observation.server_wait);
        self.pause = observation.next_in;
        observation.server_wait = observation.server_wait.max(quota_wait);
        observation.next_in = observation.next_in.max(quota_wait);
        self.wait = observation.next_in;
    }
}

impl Fetcher {
    /// The thread: fetches, delivers and waits until the stop.
    pub fn run(
        mut self,
        stopping: &StopToken,
        quota_handle: QuotaHandle,
        mut deliver: impl FnMut(Observation),
    ) {
        self.record_exchanges_for_log();
        let canceller = self.transport.canceller();
        let _on_stop = stopping.on_stop(move || canceller.cancel());
        let mut quota = RequestQuota::resume(self.quota, quota_handle, self.clock.now());
        let mut timer = FetchTimer {
            wait: schedule::first_wait(self.index).max(quota.wait(self.clock.now())),
            ..FetchTimer::default()
        };
        self.log_wait(timer.wait);
        let is_dated = self.request.has_placeholders() || self.plan.has_dated_paths();
        let mut clock_wait = ClockWait::new(is_dated, self.clock.now());
        let mut seen = 0;
        loop {
            let timeout = quota.poll_timeout(timer.wait);
            let slept_from = self.clock.now().mono;
            let woken = self.sleep(stopping, timeout, &mut seen);
            let now = self.clock.now();
            match woken {
                WakeReason::Stop => break,
                WakeReason::Elapsed => timer.elapsed(timeout),
                WakeReason::Wake if timer.wake(now.mono.since(slept_from), now.mono) => {
                    log::debug!("{}: fetched early", self.plan.name);
                }
                WakeReason::Wake => continue,
            }
            timer.wait = timer.left(quota.wait(now), now.mono);
            quota.refresh_reservations(now);
            if !timer.wait.is_zero() {
                self.tell_account_wait(&mut quota, now, timer.pause, &mut deliver);
                continue;
            }
            if self.is_waiting_for_clock(&mut clock_wait, now, &mut deliver) {
                timer.wait = limits::CLOCK_TRUST_POLL;
                continue;
            }
            let Some(permit) = self.wait_for_permit(now.mono) else {
                break;
            };
            let now = self.clock.now();
            if !quota.begin(now, self.max_pages()) {
                timer.wait = Duration::ZERO;
                continue;
            }
            timer.last_begun = Some(now.mono);
            let observation = self.fetch(permit);
            let requests = self.transport.requests();
            let ended = self.clock.now();
            let ordered = (self.retry_after, self.account_wait(observation.as_ref()));
            quota.complete(now.mono, requests, ordered, ended);
            // Cancelled by the stop.
            let Some(mut observation) = observation else {
                break;
            };
            timer.restart(&mut observation, quota.wait(ended), ended.mono);
            self.log(&observation);
            self.trace_exchanges(&observation);
            deliver(observation);
        }
        quota.settle(self.clock.now());
    }

    /// The wait that the server ordered of all sources of the account: as long as that of this
    /// source where it was refused for too many requests.
    fn account_wait(&self, observation: Option<&Observation>) -> Duration {
        match observation.map(|it| (&it.outcome, it.next_in)) {
            Some((FetchOutcome::Failed { failure, .. }, next_in))
                if failure.cause == Cause::RateLimited =>
            {
                self.retry_after.max(next_in)
            }
            _ => self.retry_after,
        }
    }

    /// Logs why a source does not fetch soon after the start.
    fn log_wait(&self, wait: Duration) {
        if wait >= limits::MIN_PERSISTED_RETRY_AFTER {
            log::info!(
                "{}: first request in {} (its quota, or a wait that the server asked for)",
                self.plan.name,
                human_duration(wait)
            );
        }
    }

    /// Whether no request may be sent yet, since it contains the date. Each stage of the wait is
    /// told once.
    fn is_waiting_for_clock(
        &mut self,
        clock_wait: &mut ClockWait,
        now: Moment,
        deliver: &mut impl FnMut(Observation),
    ) -> bool {
        let clock = clock_wait.check(now);
        let left = clock.stage.time_left();
        match (clock.is_new, left) {
            (true, Some(left)) => {
                let observation = self.waiting_for_clock(now, left);
                self.log(&observation);
                deliver(observation);
            }
            (true, None) if clock.stage == ClockWaitStage::ReadyUntrusted => {
                self.log_untrusted_clock(now);
            }
            _ => {}
        }
        left.is_some()
    }

    fn log_untrusted_clock(&self, now: Moment) {
        log::warn!(
            "{}: its request or a JSONPath of it contains the date, and the clock is still not synchronised: it is sent \
             with the clock as it is, {}",
            self.plan.name,
            now.wall
        );
    }

    /// What is known of a source that sends no request before the clock is trusted. It is no
    /// failure of the server: no interval grows.
    fn waiting_for_clock(&self, now: Moment, left: Duration) -> Observation {
        let wrong = if now.wall.second() < limits::EARLIEST_PLAUSIBLE_WALL_S {
            format!(", and the clock is certainly wrong ({})", now.wall)
        } else {
            String::new()
        };
        let detail = format!(
            "waits for the clock: its request or a JSONPath of it contains the date{wrong}; `timedatectl` shows whether \
             the clock is synchronised"
        );
        self.waiting(now, Failure::new(Cause::Clock, detail), left)
    }

    /// Delivers, once, that the server refused another source of the account for long.
    fn tell_account_wait(
        &mut self,
        quota: &mut RequestQuota,
        now: Moment,
        own_wait: Duration,
        deliver: &mut impl FnMut(Observation),
    ) {
        let Some(left) = quota.new_account_wait(now, own_wait) else {
            return;
        };
        let detail = format!(
            "waits {}, as the server asked another source of its [auth.NAME]",
            human_duration(left)
        );
        let failure = Failure::new(Cause::RateLimited, detail);
        let observation = Observation {
            server_wait: left,
            ..self.waiting(now, failure, left)
        };
        self.log(&observation);
        deliver(observation);
    }

    /// What is known of a source that sends no request for some time.
    fn waiting(&self, now: Moment, failure: Failure, left: Duration) -> Observation {
        Observation {
            source: self.index,
            at: now,
            duration: Duration::ZERO,
            bytes: 0,
            upstream: None,
            outcome: FetchOutcome::Failed {
                failure,
                issues: Vec::new(),
            },
            next_in: left,
            server_wait: Duration::ZERO,
            late_notice: None,
            skipped_polls: 0,
        }
    }

    /// Sleeps for `duration`, and closes expired idle connections meanwhile.
    fn sleep(&self, stopping: &StopToken, duration: Duration, seen: &mut u64) -> WakeReason {
        let begun = self.clock.now().mono;
        loop {
            let left = duration.saturating_sub(self.clock.now().mono.since(begun));
            let expiry = self.transport.close_expired();
            let timeout = expiry.map_or(left, |expiry| left.min(expiry));
            match stopping.wait_or_wake(timeout, seen) {
                WakeReason::Elapsed if timeout < left => {}
                woken => return woken,
            }
        }
    }

    /// Waits for a connection of the server's pool; `None` if the node stops. Each whole
    /// interval that passes meanwhile counts as a skipped poll.
    fn wait_for_permit(&mut self, due: Mono) -> Option<PoolPermit> {
        let mut permit = self.transport.queue(due);
        let mut is_in_time = true;
        loop {
            match permit.wait(self.transport.control(), Some(self.plan.every)) {
                WaitResult::Ready => break,
                WaitResult::Stopped => return None,
                WaitResult::TimedOut => {
                    is_in_time = false;
                    self.skip_interval();
                }
            }
        }
        if is_in_time {
            self.clear_overload();
        }
        Some(permit)
    }

    pub(super) fn skip_interval(&mut self) {
        self.skipped_intervals += 1;
        if self.overload.is_none() {
            let late = self.transport.overload_warning();
            log::warn!("{}: {late}", self.plan.name);
            self.overload = Some(late.into());
        }
    }

    pub(super) fn clear_overload(&mut self) {
        if self.overload.take().is_some() {
            log::info!("{}: asked in time again", self.plan.name);
        }
    }

    fn record_exchanges_for_log(&self) {
        if log::log_enabled!(log::Level::Trace) {
            self.record_exchanges();
        }
    }

    /// Requests and responses of the last fetch as log lines, where the log wants them.
    fn trace_exchanges(&self, observation: &Observation) {
        if !log::log_enabled!(log::Level::Trace) {
            return;
        }
        let is_usable = observation.outcome.is_usable();
        for exchange in self.exchanges() {
            for line in exchange.lines(!is_usable) {
                log::trace!("{}: {line}", self.plan.name);
            }
        }
    }
}
