//! Context of the route handlers: what responses are made from.
//!
//! Put together by `node`; values and closures, no thread of its own.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::battery::Battery;
use crate::domain::health::Storage;
use crate::domain::history::{Bucket, HistoryQuery, PeriodQuery, StateHistory, StateQuery};
use crate::domain::outbox::Incident;
use crate::domain::output_state::OutputState;
use crate::domain::plan::{MacAddress, Plan};
use crate::domain::time::{Moment, Mono, Wall};
use crate::monitor::device_keys::DeviceKeys;
use crate::monitor::http::basic_auth::Password;
use crate::monitor::http::cors::CorsPolicy;
use crate::monitor::http::stats::HttpStats;
use crate::monitor::routes::published::Published;
use crate::sys::budget::{Budget, Exceeded};
use crate::sys::clock::Clock;
use crate::sys::percent::SharedPercent;

/// What responses are made from; put together by `node`.
pub struct Context {
    pub published: Arc<Published>,
    pub clock: Arc<dyn Clock>,
    pub plan: Arc<Plan>,
    pub storage: Box<dyn Fn() -> Storage + Send + Sync>,
    /// Reads the database; called by workers alone.
    pub history: Box<ReadHistory>,
    /// Reads the unit that a key had when its newest row was stored; called by workers alone.
    pub stored_unit: Box<ReadUnit>,
    /// Reads what is stored ahead of a time; called by workers alone.
    pub forecast: Box<ReadForecast>,
    /// Reads statistics of days, months, …; called by workers alone.
    pub periods: Box<ReadPeriods>,
    /// Reads what a state was; called by workers alone.
    pub states: Box<ReadStates>,
    pub http_stats: Arc<HttpStats>,
    /// The state of each notification channel.
    pub channels: Box<dyn Fn() -> Vec<ChannelState> + Send + Sync>,
    /// The state of each output.
    pub outputs: Box<dyn Fn() -> Vec<OutputState> + Send + Sync>,
    /// The configuration that a reload has not taken.
    pub refused_configuration: Box<dyn Fn() -> Option<RefusedConfiguration> + Send + Sync>,
    /// The newest incidents that were notified; reads the database.
    pub incidents: Box<ReadIncidents>,
    /// Which of the node's loops, its page workers included, has made no progress within its
    /// bound; called by `/healthz` on the
    /// connection thread, so it must take no lock.
    pub stuck: Box<dyn Fn() -> Option<&'static str> + Send + Sync>,
    /// The password, where one is set.
    pub password: Option<Password>,
    /// The keys of the devices that `[[display]]` names.
    pub device_keys: DeviceKeys,
    pub settings: ViewSettings,
}

pub type ReadHistory =
    dyn Fn(&HistoryQuery, &Budget) -> Result<Vec<Bucket>, HistoryFailure> + Send + Sync;

pub type ReadUnit = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The buckets of a query that are ahead of a time.
pub type ReadForecast =
    dyn Fn(&HistoryQuery, Wall, &Budget) -> Result<Vec<Bucket>, HistoryFailure> + Send + Sync;

/// One bucket for each period that has data: its begin and its length.
pub type ReadPeriods =
    dyn Fn(&PeriodQuery, &Budget) -> Result<Vec<Bucket>, HistoryFailure> + Send + Sync;

pub type ReadStates =
    dyn Fn(&StateQuery, &Budget) -> Result<StateHistory, HistoryFailure> + Send + Sync;

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

/// A new configuration that was not loaded; the node goes on with the one that it has.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedConfiguration {
    pub at: Moment,
    /// What is wrong with it, at least one.
    pub problems: Vec<String>,
}

pub type ReadIncidents = dyn Fn(usize) -> Result<Vec<Incident>, String> + Send + Sync;

/// The heartbeat ping (dead man's switch); no event is ever queued for it.
pub const PING: &str = "ping";

/// A notification channel, or the heartbeat ping.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelState {
    pub name: Arc<str>,
    /// Events that wait for delivery.
    pub waiting: usize,
    /// Why they cannot be delivered now, in one sentence.
    pub trouble: Option<String>,
    pub trouble_since: Option<Mono>,
    pub last_delivered: Option<Wall>,
    /// Of those that wait, the rejected ones; since when, and why.
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
    /// The option `hosts`: further names that `Host` may have.
    pub hosts: Vec<String>,
    /// The time zone of pages.
    pub timezone: TimeZone,
    pub version: &'static str,
    /// Digest of the running binary; called by workers alone.
    pub build: fn() -> &'static str,
    pub started: Moment,
    /// Before the start, where the node was started anew with what it had.
    pub configuration_loaded: Moment,
    /// Nothing is configured: the built-in example runs.
    pub is_example: bool,
    pub installation: Installation,
    /// The sources are simulated: `main-node demo`.
    pub is_demo: bool,
    /// How much of the demo's history is generated.
    pub demo_history: Option<Arc<SharedPercent>>,
    /// The option `cors`.
    pub cors: CorsPolicy,
    /// The option `base_path`; empty without.
    pub base_path: String,
    /// The option `frame_ancestors`.
    pub frame_ancestors: Vec<String>,
}

/// Where this node looks for its configuration, keeps its data and listens: for whoever sets it
/// up.
#[derive(Debug, Clone, Default)]
pub struct Installation {
    /// The configuration file that was loaded; without one, the built-in example was.
    pub config_file: Option<PathBuf>,
    /// Paths of the configuration file, in the order of the search.
    pub config_paths: Vec<PathBuf>,
    pub database: PathBuf,
    pub listen: Vec<SocketAddr>,
}

/// A display that asks: a `[[display]]`, or an address with its `User-Agent`.
#[derive(Debug, Clone, PartialEq)]
pub struct Display {
    /// The name of its `[[display]]`.
    pub configured: Option<Arc<str>>,
    /// Of its newest poll.
    pub address: IpAddr,
    /// `User-Agent`.
    pub agent: String,
    /// What it says of itself, as sent.
    pub name: Option<String>,
    pub battery: Option<String>,
    pub rssi: Option<String>,
    pub firmware: Option<String>,
    pub model: Option<String>,
    /// The same as numbers.
    pub charge: Option<Battery>,
    pub rssi_dbm: Option<f64>,
    /// Width and height in pixels.
    pub size: Option<(u16, u16)>,
    pub first: Moment,
    pub last: Moment,
    pub polls: u64,
    /// The time between polls, smoothed; none after the first.
    pub interval: Option<Duration>,
    /// The target of the newest poll.
    pub target: String,
    /// The ETag of its newest response, 304 included.
    pub etag: String,
    /// The option `every`; zero where it has none.
    pub every: Duration,
    /// How long it was told to sleep: `every`, or until its quiet hours are over.
    pub sleep: Option<Duration>,
    /// When it sent its newest log.
    pub last_log: Option<Moment>,
}

impl Display {
    /// One that has not polled yet.
    pub fn new(address: IpAddr, now: Moment) -> Display {
        Display {
            configured: None,
            address,
            agent: String::new(),
            name: None,
            battery: None,
            rssi: None,
            firmware: None,
            model: None,
            charge: None,
            rssi_dbm: None,
            size: None,
            first: now,
            last: now,
            polls: 0,
            interval: None,
            target: String::new(),
            etag: String::new(),
            every: Duration::ZERO,
            sleep: None,
            last_log: None,
        }
    }

    /// As pages and alerts call it.
    pub fn shown_name(&self) -> Option<&str> {
        self.configured.as_deref().or(self.name.as_deref())
    }

    /// How long it has been silent, without the quiet hours through which it was told to sleep.
    pub fn silence(&self, now: Moment) -> Duration {
        let quiet = self.sleep.unwrap_or_default().saturating_sub(self.every);
        now.mono.since(self.last.mono).saturating_sub(quiet)
    }

    /// Silent for more than three of its own intervals, and for a minute.
    pub fn is_silent(&self, now: Moment) -> bool {
        let longest_silence = self.interval.unwrap_or_default().max(self.every);
        self.silence(now)
            > longest_silence
                .saturating_mul(3)
                .max(Duration::from_secs(60))
    }

    /// How long until it asks again, if it does as it was told.
    pub fn next_poll(&self, now: Moment) -> Option<Duration> {
        self.sleep?.checked_sub(now.mono.since(self.last.mono))
    }
}

/// A TRMNL device that was refused.
#[derive(Clone)]
pub struct RefusedDevice {
    pub mac: MacAddress,
    /// As it says.
    pub model: String,
    pub why: DeviceRefusal,
    pub last: Moment,
}

/// Why a device was refused; with the name of its display.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceRefusal {
    /// It asked to be set up, and no `[[display]]` names it.
    NotConfigured,
    /// It asked for its key, which was given before.
    KeyGivenBefore(Arc<str>),
    /// It came without its key, or with another.
    WrongKey(Arc<str>),
    /// It asked for its key, which cannot be made; with the reason.
    NoKey(Arc<str>, String),
}
