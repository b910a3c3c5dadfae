//! Why fetches fail, and how each source is doing.
//!
//! One vocabulary of causes for `/status`, metrics, mail, log and page: [`Cause`].

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::reading::{Observation, Outcome, Reason};
use super::time::Moment;

/// Why a fetch failed. Every failure has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The node's own clock cannot be right, so certificates cannot be judged.
    Clock,
    /// No route, no Wi-Fi.
    Network,
    Dns,
    /// Refused, unreachable, or reset before the head.
    Connect,
    Tls,
    Timeout,
    /// Head or body past the limit.
    TooLarge,
    /// Malformed or truncated HTTP, a bad coding, a reset in the body, 204 or 304 with
    /// nothing cached.
    Protocol,
    /// A loop, too many, or a target that is refused.
    Redirect,
    HttpStatus,
    RateLimited,
    /// Invalid JSON or UTF-8.
    NotJson,
    /// Not the declared schema, so that nothing could be read.
    Schema,
    /// A response of which no reading survived.
    Empty,
}

impl Cause {
    pub const ALL: [Cause; 14] = [
        Cause::Clock,
        Cause::Network,
        Cause::Dns,
        Cause::Connect,
        Cause::Tls,
        Cause::Timeout,
        Cause::TooLarge,
        Cause::Protocol,
        Cause::Redirect,
        Cause::HttpStatus,
        Cause::RateLimited,
        Cause::NotJson,
        Cause::Schema,
        Cause::Empty,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Cause::Clock => "clock",
            Cause::Network => "network",
            Cause::Dns => "dns",
            Cause::Connect => "connect",
            Cause::Tls => "tls",
            Cause::Timeout => "timeout",
            Cause::TooLarge => "too_large",
            Cause::Protocol => "protocol",
            Cause::Redirect => "redirect",
            Cause::HttpStatus => "http_status",
            Cause::RateLimited => "rate_limited",
            Cause::NotJson => "not_json",
            Cause::Schema => "schema",
            Cause::Empty => "empty",
        }
    }

    /// Whether the failure lies below HTTP: no answer came back at all. When every source
    /// fails so, it is the node's own network.
    pub fn is_below_http(self) -> bool {
        matches!(
            self,
            Cause::Network | Cause::Dns | Cause::Connect | Cause::Timeout
        )
    }
}

/// A failed fetch: its cause, and one sentence for people. The sentence never holds a
/// secret, a query string or user-info of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    pub detail: String,
    /// A wait that the server asked for (`Retry-After`).
    pub retry_after: Option<Duration>,
}

impl Failure {
    pub fn new(cause: Cause, detail: impl Into<String>) -> Failure {
        Failure {
            cause,
            detail: detail.into(),
            retry_after: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.name(), self.detail)
    }
}

/// One source's record since the node started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceHealth {
    pub attempts: u64,
    pub failures: BTreeMap<Cause, u64>,
    pub failures_in_a_row: u64,
    /// Successes since the last failure, or since start.
    pub successes_in_a_row: u64,
    pub last_attempt: Option<Moment>,
    pub last_success: Option<Moment>,
    /// The newest failure, kept after recovery; `failures_in_a_row` says whether it lasts.
    pub last_failure: Option<(Moment, Failure)>,
    /// When the failures in a row began.
    pub failing_since: Option<Moment>,
    pub last_duration: Duration,
    pub last_bytes: u64,
    /// Rejected fields by reason, since start.
    pub rejected: BTreeMap<Reason, u64>,
    /// What was wrong with the newest response, bounded by whoever made the observation.
    pub issues: Vec<super::reading::Issue>,
    pub next_in: Duration,
}

/// What `/status` and the page call the state of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// No attempt has ended yet.
    Waiting,
    Up,
    Failing,
}

impl SourceState {
    pub fn name(self) -> &'static str {
        match self {
            SourceState::Waiting => "waiting",
            SourceState::Up => "up",
            SourceState::Failing => "failing",
        }
    }
}

impl SourceHealth {
    pub fn state(&self) -> SourceState {
        match (self.attempts, self.failures_in_a_row) {
            (0, _) => SourceState::Waiting,
            (_, 0) => SourceState::Up,
            _ => SourceState::Failing,
        }
    }

    /// The failure that lasts, if one does.
    pub fn current_failure(&self) -> Option<&Failure> {
        match self.state() {
            SourceState::Failing => self.last_failure.as_ref().map(|(_, failure)| failure),
            _ => None,
        }
    }

    /// Takes one more attempt into account.
    pub fn record(&mut self, observation: &Observation) {
        self.attempts += 1;
        self.last_attempt = Some(observation.at);
        self.last_duration = observation.duration;
        self.last_bytes = observation.bytes;
        self.next_in = observation.next_in;
        let issues = match &observation.outcome {
            Outcome::Readings { issues, .. } | Outcome::Failed { issues, .. } => issues.as_slice(),
            Outcome::Unchanged => &[],
        };
        for issue in issues {
            *self.rejected.entry(issue.reason).or_default() += 1;
        }
        match &observation.outcome {
            Outcome::Readings { .. } => {
                self.issues = issues.to_vec();
                self.succeeded(observation.at);
            }
            // A 304 repeats the response whose issues are already known.
            Outcome::Unchanged => self.succeeded(observation.at),
            Outcome::Failed { failure, .. } => {
                self.issues = issues.to_vec();
                *self.failures.entry(failure.cause).or_default() += 1;
                self.failures_in_a_row += 1;
                self.successes_in_a_row = 0;
                self.failing_since.get_or_insert(observation.at);
                self.last_failure = Some((observation.at, failure.clone()));
            }
        }
    }

    fn succeeded(&mut self, at: Moment) {
        self.failures_in_a_row = 0;
        self.successes_in_a_row += 1;
        self.failing_since = None;
        self.last_success = Some(at);
    }
}

/// How the node's own storage is doing: what the store thread reports, `/status` shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Storage {
    /// Why nothing can be stored now, in one sentence; `None` when all is well.
    pub trouble: Option<String>,
    /// Rows committed since start.
    pub rows_stored: u64,
    /// Rows that wait for the next commit, the clock or the disk.
    pub rows_waiting: u64,
    /// Rows given up since start because too many waited.
    pub rows_lost: u64,
    /// Size of the database with its log.
    pub database_bytes: u64,
    /// Bytes this process wrote to storage since start, by the kernel's account.
    pub written_bytes: u64,
}
