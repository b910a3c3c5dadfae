//! Types that routes and pages share: what responses are made from.
//!
//! Put together by `node`; values and closures, no thread of its own.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::health::Storage;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::outbox::Incident;
use crate::domain::plan::Plan;
use crate::domain::time::{Moment, Mono, Wall};
use crate::monitor::http::basic_auth::Password;
use crate::monitor::http::stats::HttpStats;
use crate::monitor::routes::published::Published;
use crate::sys::budget::{Budget, Exceeded};
use crate::sys::clock::Clock;

/// What the answers are made from; put together by `node`.
pub struct Context {
    pub published: Arc<Published>,
    pub clock: Arc<dyn Clock>,
    pub plan: Arc<Plan>,
    pub storage: Box<dyn Fn() -> Storage + Send + Sync>,
    /// Reads the database; only cold answers ask.
    pub history: Box<ReadHistory>,
    pub http_stats: Arc<HttpStats>,
    /// How each channel that tells people is doing.
    pub channels: Box<dyn Fn() -> Vec<ChannelState> + Send + Sync>,
    /// The newest incidents that people were told of; reads the database.
    pub incidents: Box<ReadIncidents>,
    /// Which of the node's loops, its page workers included, has made no progress within its
    /// bound; asked by `/healthz` on the
    /// gate's thread, so it must take no lock.
    pub stuck: Box<dyn Fn() -> Option<&'static str> + Send + Sync>,
    /// What must be known to read here, where the owner wants that.
    pub password: Option<Password>,
    pub settings: ViewSettings,
}

pub type ReadHistory =
    dyn Fn(&HistoryQuery, &Budget) -> Result<Vec<Bucket>, HistoryFailure> + Send + Sync;

/// Why there is no history to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryFailure {
    /// The database holds no row of this key and never did; there may be such a record anyway,
    /// whose first reading is not stored yet.
    NothingStored,
    /// The database cannot be read.
    Unavailable(String),
    /// It would cost more than one request may.
    Exceeded(Exceeded),
}

impl fmt::Display for HistoryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryFailure::NothingStored => f.write_str("no reading of this key was ever stored"),
            HistoryFailure::Unavailable(detail) => f.write_str(detail),
            HistoryFailure::Exceeded(limit) => write!(f, "cut off at {limit}"),
        }
    }
}

pub type ReadIncidents = dyn Fn(usize) -> Result<Vec<Incident>, String> + Send + Sync;

/// The dead man's switch, which is told that all is well and for which nothing waits.
pub const PING: &str = "ping";

/// A channel that tells people of alerts, or the dead man's switch.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelState {
    pub name: Arc<str>,
    /// Events that wait to be told.
    pub waiting: usize,
    /// Why they cannot be told now, in one sentence.
    pub trouble: Option<String>,
    pub trouble_since: Option<Mono>,
    pub last_delivered: Option<Wall>,
    /// Of those that wait, the refused ones; since when, and why.
    pub refused: usize,
    pub refused_since: Option<Wall>,
    pub refusal: Option<String>,
    /// Events given up, since the database was made.
    pub undelivered: u64,
}

/// The part of the configuration that views need.
#[derive(Debug, Clone)]
pub struct ViewSettings {
    /// This node's name for people and for nodes that follow it.
    pub node_name: String,
    /// The machine's own name.
    pub host_name: String,
    /// The option `hosts`: further names to answer to.
    pub hosts: Vec<String>,
    /// In which pages speak.
    pub timezone: TimeZone,
    pub version: &'static str,
    /// Which bytes run; only cold answers ask.
    pub build: fn() -> &'static str,
    pub started: Moment,
    /// Nobody configured anything: the built-in example runs.
    pub is_example: bool,
    /// The sources are simulated: `main-node demo`.
    pub is_demo: bool,
    /// The option `cors = "*"`.
    pub cors_any: bool,
}

/// One poller: an address and what it calls itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Display {
    pub address: IpAddr,
    /// `User-Agent`.
    pub agent: String,
    /// `X-Display-Name`, `X-Display-Battery`, `X-Display-RSSI`, as sent.
    pub name: Option<String>,
    pub battery: Option<String>,
    pub rssi: Option<String>,
    pub first: Moment,
    pub last: Moment,
    pub polls: u64,
    /// The time between polls, smoothed; none after the first.
    pub interval: Option<Duration>,
    /// The target of the newest poll.
    pub target: String,
    /// The tag of what it last got or was told that it has.
    pub etag: String,
}

impl Display {
    /// Silent for more than three of its own intervals, and for a minute.
    pub fn is_silent(&self, now: Moment) -> bool {
        let silence = now.mono.since(self.last.mono);
        let longest_silence = self.interval.unwrap_or_default().saturating_mul(3);
        silence > longest_silence.max(Duration::from_secs(60))
    }
}
