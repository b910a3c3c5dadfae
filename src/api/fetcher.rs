//! Fetcher of one source: request, response, observation.
//!
//! Owned by the thread `fetch-<source>`, which runs the loop of `fetch_loop`. It keeps only what
//! improves the next request (validators, failures in a row). A source that hangs blocks this
//! thread alone, and the stop interrupts it.

mod fetch_loop;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::agent::TransportSettings;
use super::cache_lifetime::CacheLifetime;
use super::connection_pool::{PoolPermit, WaitResult};
use super::failure_log::FailureLog;
use super::fetch_result::FetchResult;
use super::http_exchange::HttpExchange;
use super::http_response::{FetchError, FetchedResponse};
use super::pagination::{self, Pages, Pagination};
use super::response_format;
use super::response_parser::ResponseParser;
use super::source_request::SourceRequest;
use super::transport::Transport;
use super::validators::Validators;
use crate::domain::failure::{Cause, Failure};
use crate::domain::normalise::{LastAccepted, RecordOrigins};
use crate::domain::plan::{ResponseFormat, Selection, SourcePlan};
use crate::domain::reading::{FetchOutcome, Observation};
use crate::domain::redact::Secrets;
use crate::domain::schedule;
use crate::domain::time::Moment;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::sync::Mutex;
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
    /// Where the records of the last response come from, if a command shows it.
    found: Option<Mutex<RecordOrigins>>,
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
            found: None,
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

    /// Requests of the last fetch.
    #[cfg(test)]
    pub fn requests(&self) -> u32 {
        self.transport.requests()
    }

    /// The name of the thread that runs this.
    pub fn thread_name(&self) -> String {
        format!("fetch-{}", self.plan.name)
    }

    /// Starts recording requests and responses, for a command to show.
    pub fn record_exchanges(&self) {
        self.transport.record_exchanges();
    }

    /// Starts collecting where the records of a response come from, for a command to show.
    pub fn collect_origins(&mut self) {
        self.found = Some(Mutex::default());
    }

    /// Where the records of the last response come from, secrets masked; nothing unless collected.
    pub fn record_origins(&self) -> RecordOrigins {
        let auth_secrets = self.transport.auth_secrets();
        let mut values = self.found.as_ref().map(|it| it.lock().clone());
        for it in values.iter_mut().flat_map(|values| &mut values.first) {
            it.mask(&self.secrets, &self.secrets_of_keys);
            if let Some(secrets) = &auth_secrets {
                it.mask(secrets, secrets);
            }
        }
        values.unwrap_or_default()
    }

    /// A text about a response without the secrets of the configuration and of the authentication.
    pub fn mask(&self, text: &str) -> String {
        let masked = self.secrets.mask(text);
        match self.transport.auth_secrets() {
            Some(secrets) => secrets.mask(&masked).into_owned(),
            None => masked.into_owned(),
        }
    }

    /// Requests and responses of the last fetch, secrets masked; empty unless recorded.
    pub fn exchanges(&self) -> Vec<HttpExchange> {
        let mut exchanges = self.transport.exchanges();
        for it in &mut exchanges {
            it.mask(&self.secrets);
            if let Some(secrets) = self.transport.auth_secrets() {
                it.mask(&secrets);
            }
        }
        exchanges
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
        if let Some(secrets) = self.transport.auth_secrets() {
            result.mask(&secrets, &secrets);
        }
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

    /// One fetch whose parsed response is returned instead of its readings, in the format that it
    /// looks like, which is that of the source from then on.
    pub fn fetch_any_format(&mut self) -> Result<(ResponseFormat, Json), Failure> {
        let tree = self.fetch_parsed(true)?;
        Ok((self.plan.format, tree))
    }

    /// One fetch whose parsed response is returned instead of its readings.
    pub fn fetch_tree(&mut self) -> Result<Json, Failure> {
        self.fetch_parsed(false)
    }

    fn fetch_parsed(&mut self, is_any_format: bool) -> Result<Json, Failure> {
        let stopped = || Failure::new(Cause::Connect, "the fetch was stopped");
        let mut permit = self.transport.queue(self.clock.now().mono);
        match permit.wait(self.transport.control(), None) {
            WaitResult::Ready => {}
            WaitResult::TimedOut | WaitResult::Stopped => return Err(stopped()),
        }
        let begun = self.clock.now();
        let tree = self.request(begun).and_then(|mut fetched| {
            if is_any_format {
                self.plan.format = response_format::likely_format(&fetched);
            }
            let body = match &self.pagination {
                Some(pagination) => self.collect_pages(pagination, &mut fetched, begun)?.body,
                None => response_format::parse(&fetched, &self.plan).map_err(FetchError::Failed)?,
            };
            Ok(body.tree)
        });
        tree.map_err(|error| match error {
            FetchError::Failed(failure) => failure,
            FetchError::Stopped => stopped(),
        })
    }

    /// Requests the first or only page.
    fn request(&self, begun: Moment) -> Result<FetchedResponse, FetchError> {
        let (send, identity) = self.request.at(begun.wall).map_err(FetchError::Failed)?;
        // Validators of one date say nothing of another.
        let none = Validators::default();
        let validators = if self.validators.request == identity {
            &self.validators
        } else {
            &none
        };
        let mut fetched = self.transport.fetch(begun, validators, &*send)?;
        fetched.validators.request = identity;
        self.record_date(&fetched);
        Ok(fetched)
    }

    fn request_and_parse(&self, begun: Moment) -> Result<FetchResult, FetchError> {
        let mut fetched = self.request(begun)?;
        let mut result = match (&self.pagination, fetched.status) {
            (_, 304) => FetchResult::new(FetchOutcome::Unchanged, 0),
            (None, _) => self.parser().parse(&fetched, begun),
            (Some(pagination), _) => {
                let pages = self.collect_pages(pagination, &mut fetched, begun)?;
                self.parser().parse_pages(pages, &fetched, begun)
            }
        };
        result.retry_after = result.retry_after.or(fetched.retry_after);
        result.cache_lifetime = fetched.cache_lifetime;
        // An unchanged first page says nothing about the others.
        result.validators = self.pagination.is_none().then_some(fetched.validators);
        Ok(result)
    }

    /// Fetches the pages after `first`.
    fn collect_pages(
        &self,
        pagination: &Pagination,
        first: &mut FetchedResponse,
        begun: Moment,
    ) -> Result<Pages, FetchError> {
        let source = self.transport.first_uri();
        let fetch = |uri: &_| self.transport.fetch_page(begun, uri);
        let parse = |page: &_| response_format::parse(page, &self.plan);
        pagination::collect(pagination, &source, first, parse, fetch)
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
            found: self.found.as_ref(),
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
