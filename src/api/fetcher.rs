//! Fetch loop of one source: request, response, observation, wait.
//!
//! Runs on the thread `fetch-<source>`, which owns the [`Fetcher`]. It passes observations
//! on and keeps only what improves the next request (validators, failures in a row). A source
//! that hangs blocks this thread alone, and the stop interrupts it.

use std::sync::Arc;
use std::time::Duration;

use super::agent::TransportSettings;
use super::cache_lifetime::CacheLifetime;
use super::connection_pool::{PoolPermit, WaitResult};
use super::failure_log::FailureLog;
use super::fetch_result::FetchResult;
use super::http_exchange::HttpExchange;
use super::http_response::{FetchError, FetchedResponse};
use super::pagination::{self, Pagination};
use super::request_quota::{QuotaHandle, RequestQuota};
use super::response_format;
use super::response_parser::ResponseParser;
use super::sent_request::Validators;
use super::source_request::SourceRequest;
use super::transport::Transport;
use crate::domain::clock_wait::{ClockWait, ClockWaitStage};
use crate::domain::failure::{Cause, Failure};
use crate::domain::normalise::LastAccepted;
use crate::domain::plan::{Selection, SourcePlan};
use crate::domain::reading::{FetchOutcome, Observation};
use crate::domain::redact::Secrets;
use crate::domain::schedule;
use crate::domain::text::human_duration;
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::shutdown::{StopToken, WakeReason};
use crate::sys::thread::catch_panic;
use openapi::operation::Operation;

/// A source as the configuration describes it.
pub struct SourceSettings {
    /// Its index in the plan.
    pub index: usize,
    pub plan: SourcePlan,
    /// Makes its request: a generated operation with its arguments, or [`super::url_source`].
    pub request: SourceRequest,
    /// Declares the schema of its responses, where an OpenAPI file does.
    pub operation: Option<&'static Operation>,
    /// This node's own name if the source is another main-node: detects loops.
    pub follow: Option<Arc<str>>,
    pub transport: TransportSettings,
    /// Time per request by its quota, if it has one.
    pub quota: Option<Duration>,
    /// How further pages are found, if they are fetched.
    pub pagination: Option<Pagination>,
    /// Whether the next request waits until a response expires.
    pub obey_expires: bool,
    /// Masked wherever a response repeats them.
    pub secrets: Arc<Secrets>,
}

pub struct Fetcher {
    index: usize,
    plan: SourcePlan,
    request: SourceRequest,
    operation: Option<&'static Operation>,
    follow: Option<Arc<str>>,
    quota: Option<Duration>,
    pagination: Option<Pagination>,
    obey_expires: bool,
    secrets: Arc<Secrets>,
    /// Masked in keys.
    secrets_of_keys: Secrets,
    transport: Transport,
    clock: Arc<dyn Clock>,
    /// Of the last response that gave readings: a 304 must never revalidate a bad one.
    validators: Validators,
    /// Of the same response.
    cache_lifetime: CacheLifetime,
    /// `Retry-After` of the last response.
    retry_after: Duration,
    failures_in_a_row: u64,
    failure_log: FailureLog,
    last_accepted: LastAccepted,
    /// The warning while no connection to the server is free in time.
    overload: Option<Arc<str>>,
    /// Intervals without a free connection since the last observation.
    skipped_intervals: u64,
}

impl Fetcher {
    /// `Err` says what is wrong with the settings and what to change.
    pub fn new(settings: SourceSettings, clock: Arc<dyn Clock>) -> Result<Fetcher, String> {
        let own_keys: Vec<&str> = match &settings.plan.selection {
            Selection::AllLeaves { prefix } => vec![prefix],
            Selection::Selectors(selectors) => selectors.iter().map(|it| &*it.key).collect(),
        };
        Ok(Fetcher {
            secrets_of_keys: settings.secrets.for_keys(&own_keys),
            index: settings.index,
            plan: settings.plan,
            request: settings.request,
            operation: settings.operation,
            follow: settings.follow,
            quota: settings.quota,
            pagination: settings.pagination,
            obey_expires: settings.obey_expires,
            secrets: settings.secrets,
            transport: Transport::new(settings.transport)?,
            clock,
            validators: Validators::default(),
            cache_lifetime: CacheLifetime::default(),
            retry_after: Duration::ZERO,
            failures_in_a_row: 0,
            failure_log: FailureLog::default(),
            last_accepted: LastAccepted::default(),
            overload: None,
            skipped_intervals: 0,
        })
    }

    #[cfg(test)]
    pub fn select_all_leaves(&mut self) {
        let prefix = String::new();
        self.plan.selection = crate::domain::plan::Selection::AllLeaves { prefix };
    }

    #[cfg(test)]
    pub fn limit_requests(&mut self, share: Duration) {
        self.quota = Some(share);
    }

    /// The name of the thread that runs this.
    pub fn thread_name(&self) -> String {
        format!("fetch-{}", self.plan.name)
    }

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
        let mut wait = schedule::first_wait(self.index).max(quota.wait(self.clock.now()));
        self.log_wait(wait);
        let mut clock_wait = ClockWait::new(self.request.has_placeholders(), self.clock.now());
        let (mut seen, mut last_begun, mut not_before) = (0, None, Mono(0));
        // What is left of the interval, whatever the quotas say.
        let mut pause = Duration::ZERO;
        loop {
            let timeout = quota.poll_timeout(wait);
            let slept_from = self.clock.now().mono;
            let woken = self.sleep(stopping, timeout, &mut seen);
            let now = self.clock.now();
            let since_last = last_begun.map(|begun: Mono| now.mono.since(begun));
            let recent = since_last.filter(|since| *since < limits::EARLY_PROBE_INTERVAL);
            match (woken, recent) {
                (WakeReason::Stop, _) => break,
                // Early, but not within the minimum gap.
                (WakeReason::Wake, Some(since)) => {
                    let rest = wait.saturating_sub(now.mono.since(slept_from));
                    wait = rest.min(limits::EARLY_PROBE_INTERVAL - since);
                    pause = pause.min(wait);
                    continue;
                }
                (WakeReason::Wake, None) => {
                    log::debug!("{}: fetched early", self.plan.name);
                    pause = Duration::ZERO;
                }
                (WakeReason::Elapsed, _) => pause = pause.saturating_sub(timeout),
            }
            wait = quota.wait(now).max(pause).max(not_before.since(now.mono));
            quota.refresh_reservations(now);
            if !wait.is_zero() {
                self.tell_account_wait(&mut quota, now, pause, &mut deliver);
                continue;
            }
            if self.is_waiting_for_clock(&mut clock_wait, now, &mut deliver) {
                wait = limits::CLOCK_TRUST_POLL;
                continue;
            }
            let Some(permit) = self.wait_for_permit(now.mono) else {
                break;
            };
            let now = self.clock.now();
            if !quota.begin(now, self.max_pages()) {
                wait = Duration::ZERO;
                continue;
            }
            last_begun = Some(now.mono);
            let observation = self.fetch(permit);
            let requests = self.transport.requests();
            let ended = self.clock.now();
            let ordered = (self.retry_after, self.account_wait(observation.as_ref()));
            quota.complete(now.mono, requests, ordered, ended);
            match observation {
                Some(mut observation) => {
                    // Not saved: a restart may ask once, as an empty cache does.
                    not_before = ended.mono.after(observation.server_wait);
                    pause = observation.next_in;
                    // The quota takes a fetch of several requests longer than an interval.
                    let quota_wait = quota.wait(ended);
                    observation.server_wait = observation.server_wait.max(quota_wait);
                    observation.next_in = observation.next_in.max(quota_wait);
                    wait = observation.next_in;
                    self.log(&observation);
                    self.trace_exchanges(&observation);
                    deliver(observation);
                }
                // Cancelled by the stop.
                None => break,
            }
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
            "{}: its request contains the date, and the clock is still not synchronised: it is sent \
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
            "waits for the clock: its request contains the date{wrong}; `timedatectl` shows whether \
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

    fn skip_interval(&mut self) {
        self.skipped_intervals += 1;
        if self.overload.is_none() {
            let late = self.transport.overload_warning();
            log::warn!("{}: {late}", self.plan.name);
            self.overload = Some(late.into());
        }
    }

    fn clear_overload(&mut self) {
        if self.overload.take().is_some() {
            log::info!("{}: polled in time again", self.plan.name);
        }
    }

    /// Starts recording requests and responses, for a command to show.
    pub fn record_exchanges(&self) {
        self.transport.record_exchanges();
    }

    /// Requests and responses of the last fetch, secrets masked; empty unless recorded.
    pub fn exchanges(&self) -> Vec<HttpExchange> {
        let mut exchanges = self.transport.exchanges();
        for it in &mut exchanges {
            it.mask(&self.secrets);
        }
        exchanges
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

    /// One whole fetch; `None` if it was cancelled. It never panics.
    pub fn fetch_once(&mut self) -> Option<Observation> {
        let mut permit = self.transport.queue(self.clock.now().mono);
        match permit.wait(self.transport.control(), None) {
            WaitResult::Ready => self.fetch(permit),
            WaitResult::TimedOut | WaitResult::Stopped => None,
        }
    }

    fn fetch(&mut self, permit: PoolPermit) -> Option<Observation> {
        let begun = self.clock.now();
        self.retry_after = Duration::ZERO;
        // The closure changes nothing of the fetcher, so a panic leaves no inconsistent state.
        let caught = catch_panic(&self.plan.name, || self.request_and_parse(begun));
        let mut result = match caught {
            Some(Ok(result)) => result,
            Some(Err(FetchError::Stopped)) => return None,
            Some(Err(FetchError::Failed(failure))) => FetchResult::failed(failure, Vec::new(), 0),
            None => {
                let detail = "internal error while reading the response; the log has the details";
                FetchResult::failed(Failure::new(Cause::Protocol, detail), Vec::new(), 0)
            }
        };
        drop(permit);
        result.mask(&self.secrets, &self.secrets_of_keys);
        self.update_state(&result, begun);
        let at = self.clock.now();
        let duration = at.mono.since(begun.mono);
        let wait = schedule::next_wait(
            self.plan.every,
            self.failures_in_a_row,
            result.retry_after,
            fastrand::f64(),
        );
        let retry_after = result.retry_after.unwrap_or_default();
        self.retry_after = retry_after.min(limits::MAX_RETRY_AFTER);
        let server_wait = self.retry_after.max(self.expiry_wait());
        Some(Observation {
            source: self.index,
            at,
            duration,
            bytes: result.bytes,
            upstream: result.upstream.map(Arc::new),
            outcome: result.outcome,
            // The interval runs from start to start, a wait that the server ordered from the
            // response on.
            next_in: wait.saturating_sub(duration).max(server_wait),
            server_wait,
            late_notice: self.overload.clone(),
            skipped_polls: std::mem::take(&mut self.skipped_intervals),
        })
    }

    /// How long the last response stays valid, if the next request waits for that.
    fn expiry_wait(&self) -> Duration {
        if self.obey_expires && self.failures_in_a_row == 0 {
            schedule::expiry_wait(self.plan.every, self.cache_lifetime.left())
        } else {
            Duration::ZERO
        }
    }

    /// Updates validators, cache lifetime, failures in a row and the last accepted values.
    fn update_state(&mut self, result: &FetchResult, begun: Moment) {
        match &result.outcome {
            FetchOutcome::Failed { failure, .. } => {
                self.failures_in_a_row += 1;
                // An unusable response may have the validators of a good one; without a
                // response the last validators still hold.
                if failure.cause.is_unusable_response() {
                    self.validators = Validators::default();
                }
                if self
                    .failures_in_a_row
                    .is_multiple_of(limits::RECONNECT_AFTER_FAILURES)
                {
                    self.transport.reset_connections();
                }
            }
            FetchOutcome::Unchanged => {
                self.failures_in_a_row = 0;
                self.cache_lifetime = self.cache_lifetime.refreshed_by(&result.cache_lifetime);
            }
            FetchOutcome::Empty => {
                self.failures_in_a_row = 0;
                self.cache_lifetime = result.cache_lifetime;
                self.validators = result.validators.clone().unwrap_or_default();
            }
            FetchOutcome::Readings { readings, .. } => {
                self.failures_in_a_row = 0;
                self.last_accepted.record(&self.plan, readings, begun.mono);
                self.cache_lifetime = result.cache_lifetime;
                self.validators = result.validators.clone().unwrap_or_default();
            }
        }
    }

    fn request_and_parse(&self, begun: Moment) -> Result<FetchResult, FetchError> {
        let (send, identity) = self.request.at(begun.wall).map_err(|problem| {
            let detail = format!("the request cannot be made for this date: {problem}");
            FetchError::Failed(Failure::new(Cause::Schema, detail))
        })?;
        // Validators of one date say nothing of another.
        let none = Validators::default();
        let validators = if self.validators.request == identity {
            &self.validators
        } else {
            &none
        };
        let mut fetched = self.transport.get(begun, validators, &*send)?;
        fetched.validators.request = identity;
        self.record_date(&fetched);
        let mut result = match (&self.pagination, fetched.status) {
            (_, 304) => FetchResult::new(FetchOutcome::Unchanged, 0),
            (None, _) => self.parser().parse(&fetched, begun),
            (Some(pagination), _) => self.fetch_pages(pagination, &mut fetched, begun)?,
        };
        result.retry_after = result.retry_after.or(fetched.retry_after);
        result.cache_lifetime = fetched.cache_lifetime;
        // An unchanged first page says nothing about the others.
        result.validators = self.pagination.is_none().then_some(fetched.validators);
        Ok(result)
    }

    /// Fetches the pages after `first`, and reads all as one response.
    fn fetch_pages(
        &self,
        pagination: &Pagination,
        first: &mut FetchedResponse,
        begun: Moment,
    ) -> Result<FetchResult, FetchError> {
        let source = self.transport.first_uri();
        let fetch = |uri: &_| self.transport.get_page(begun, uri);
        let parse = |page: &_| response_format::parse(page, &self.plan);
        let pages = pagination::collect(pagination, &source, first, parse, fetch)?;
        Ok(self.parser().parse_pages(pages, first, begun))
    }

    fn max_pages(&self) -> u32 {
        self.pagination.as_ref().map_or(1, |it| it.pages)
    }

    fn record_date(&self, fetched: &FetchedResponse) {
        if let Some(date) = fetched.date {
            let host = fetched.host();
            // Two ports of one machine share a clock.
            let port = host
                .rsplit_once(':')
                .filter(|it| it.1.parse::<u16>().is_ok());
            self.clock
                .record_peer_date(port.map_or(host, |it| it.0), date);
        }
    }

    fn parser(&self) -> ResponseParser<'_> {
        ResponseParser {
            plan: &self.plan,
            operation: self.operation,
            follow: self.follow.as_deref(),
            last_accepted: &self.last_accepted,
        }
    }

    /// Log lines for an attempt.
    pub fn log_lines(&mut self, observation: &Observation) -> Vec<(log::Level, String)> {
        self.failure_log.lines(observation)
    }

    fn log(&mut self, observation: &Observation) {
        for (level, line) in self.log_lines(observation) {
            log::log!(level, "{}: {line}", self.plan.name);
        }
    }
}

#[cfg(test)]
#[path = "tests/fetcher.rs"]
mod tests;
