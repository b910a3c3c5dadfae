//! What came to the gate, counted.
//!
//! Owned by node, shared by `Arc`: the gate's thread and the pool's workers count, `/metrics`
//! and `/status` read. Every set of labels is fixed or capped. Abuse is told in the log once a
//! kind, then at widening intervals with its count; nothing here writes a line per hit.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::domain::log_throttle::LogThrottle;
use crate::domain::time::Mono;
use crate::limits;
use crate::sys::sync::Mutex;
use crate::sys::thread::count_panic;

/// Why a request, a connection or a stream was refused or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Bytes that are no HTTP/1 head, or a head that contradicts itself.
    BadRequest,
    /// A body where none is taken.
    Body,
    /// Neither GET, HEAD nor OPTIONS.
    Method,
    /// A head too long or with too many fields.
    LargeHead,
    /// A head that did not end in time.
    SlowHead,
    /// An `Expect` that nobody can meet.
    Expectation,
    /// A version of HTTP that is not spoken here.
    Version,
    /// More connections than the gate keeps.
    Connections,
    /// More connections than one address may have.
    ConnectionsPerAddress,
    /// An idle connection that gave way to another.
    Evicted,
    /// No file descriptor left for a connection.
    Descriptors,
    /// An answer that the client did not take in time.
    SlowReader,
    /// More bytes of answers waiting for clients than the gate holds.
    SendBudget,
    /// The pool did not answer in time.
    WorkerTimeout,
    /// More event streams than the gate keeps.
    EventStreams,
    /// An event stream that did not take an event in time.
    SlowEventStream,
    /// A connection from a network that is not allowed.
    ForbiddenNetwork,
    /// A request from an address that sent too many wrong passwords.
    LoginThrottled,
}

impl Rejection {
    pub const ALL: [Rejection; 18] = [
        Rejection::BadRequest,
        Rejection::Body,
        Rejection::Method,
        Rejection::LargeHead,
        Rejection::SlowHead,
        Rejection::Expectation,
        Rejection::Version,
        Rejection::Connections,
        Rejection::ConnectionsPerAddress,
        Rejection::Evicted,
        Rejection::Descriptors,
        Rejection::SlowReader,
        Rejection::SendBudget,
        Rejection::WorkerTimeout,
        Rejection::EventStreams,
        Rejection::SlowEventStream,
        Rejection::ForbiddenNetwork,
        Rejection::LoginThrottled,
    ];

    /// The word in `/metrics`, `/status` and the log.
    pub fn label(self) -> &'static str {
        match self {
            Rejection::BadRequest => "bad_request",
            Rejection::Body => "body",
            Rejection::Method => "method",
            Rejection::LargeHead => "large_head",
            Rejection::SlowHead => "slow_head",
            Rejection::Expectation => "expectation",
            Rejection::Version => "version",
            Rejection::Connections => "connections",
            Rejection::ConnectionsPerAddress => "connections_of_one",
            Rejection::Evicted => "shed",
            Rejection::Descriptors => "descriptors",
            Rejection::SlowReader => "slow_reader",
            Rejection::SendBudget => "bytes_outstanding",
            Rejection::WorkerTimeout => "silent_pool",
            Rejection::EventStreams => "event_streams",
            Rejection::SlowEventStream => "slow_listener",
            Rejection::ForbiddenNetwork => "foreign",
            Rejection::LoginThrottled => "guesses",
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Rejection::BadRequest => "sent what is not a request; answered 400",
            Rejection::Body => "sent a body with a request that takes none; answered 413",
            Rejection::Method => "used a method other than GET, HEAD and OPTIONS; answered 405",
            Rejection::LargeHead => "sent a request head that is too large; answered 431 or 414",
            Rejection::SlowHead => "did not finish a request head in time; answered 408",
            Rejection::Expectation => "sent an Expect that cannot be met; answered 417",
            Rejection::Version => "spoke another version of HTTP; answered 505",
            Rejection::Connections => "found all connections taken; answered 503",
            Rejection::ConnectionsPerAddress => {
                "has as many connections as one address may; refused more"
            }
            Rejection::Evicted => "was idle and gave its connection to another",
            Rejection::Descriptors => "came when no file descriptor was left; see LimitNOFILE",
            Rejection::SlowReader => "did not take its answer in time; cut off",
            Rejection::SendBudget => "asked while too many answers wait to be taken; answered 503",
            Rejection::WorkerTimeout => {
                "asked for what the page workers did not answer in time; got 503"
            }
            Rejection::EventStreams => "found all event streams taken; answered 503",
            Rejection::ForbiddenNetwork => "is in no network of `allow`; answered 403",
            Rejection::LoginThrottled => "sent too many wrong passwords; answered 429",
            Rejection::SlowEventStream => "did not take an event in time; its stream was ended",
        }
    }
}

/// The counters. All zero at the start of the process.
pub struct HttpStats {
    started: Instant,
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    rejected: [RejectionCounter; Rejection::ALL.len()],
    connections: AtomicU64,
    connections_peak: AtomicU64,
    connections_accepted: AtomicU64,
    event_streams: AtomicU64,
    bytes_outstanding: AtomicU64,
    panics: AtomicU64,
    pool_connections: AtomicU64,
    pool_restarts: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpStatsSnapshot {
    /// Answers by route and status, in that order. Route `refused` is what the gate refused
    /// before it knew a route; `other` is what no longer fitted.
    pub requests: Vec<((&'static str, u16), u64)>,
    /// By the word of each [`Abuse`]; those that never happened are there with 0.
    pub refused: Vec<(&'static str, u64)>,
    pub connections: u64,
    pub connections_peak: u64,
    pub connections_accepted: u64,
    pub event_streams: u64,
    /// Bytes of answers that clients have not taken yet, one shared body counted once.
    pub bytes_outstanding: u64,
    pub panics: u64,
    /// Connections to the pool that were opened, ever: a handful, unless answers are given up.
    pub pool_connections: u64,
    /// How often tiny_http's server had to be replaced.
    pub pool_restarts: u64,
}

/// One kind of rejection: how often, and when it is logged again.
struct RejectionCounter {
    count: AtomicU64,
    throttle: Mutex<LogThrottle>,
}

/// How long a kind that was told n times stays untold, whatever happens.
const LOG_INTERVALS: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(24 * 3600),
];

impl Default for HttpStats {
    fn default() -> HttpStats {
        HttpStats::new()
    }
}

impl HttpStats {
    pub fn new() -> HttpStats {
        HttpStats {
            started: Instant::now(),
            requests: Mutex::new(BTreeMap::new()),
            rejected: std::array::from_fn(|_| RejectionCounter::new()),
            connections: AtomicU64::new(0),
            connections_peak: AtomicU64::new(0),
            connections_accepted: AtomicU64::new(0),
            event_streams: AtomicU64::new(0),
            bytes_outstanding: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            pool_connections: AtomicU64::new(0),
            pool_restarts: AtomicU64::new(0),
        }
    }

    fn now(&self) -> Mono {
        Mono(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub fn snapshot(&self) -> HttpStatsSnapshot {
        let requests = self.requests.lock();
        HttpStatsSnapshot {
            requests: requests.iter().map(|(key, count)| (*key, *count)).collect(),
            refused: Rejection::ALL
                .iter()
                .map(|abuse| (abuse.label(), self.rejections(*abuse)))
                .collect(),
            connections: self.connections.load(Relaxed),
            connections_peak: self.connections_peak.load(Relaxed),
            connections_accepted: self.connections_accepted.load(Relaxed),
            event_streams: self.event_streams.load(Relaxed),
            bytes_outstanding: self.bytes_outstanding.load(Relaxed),
            panics: self.panics.load(Relaxed),
            pool_connections: self.pool_connections.load(Relaxed),
            pool_restarts: self.pool_restarts.load(Relaxed),
        }
    }

    pub fn rejections(&self, abuse: Rejection) -> u64 {
        self.rejected[abuse as usize].count.load(Relaxed)
    }

    pub(in crate::monitor) fn record_response(&self, route: &'static str, status: u16) {
        let mut requests = self.requests.lock();
        let known =
            requests.len() < limits::ROUTE_COUNTERS || requests.contains_key(&(route, status));
        let key = if known { (route, status) } else { ("other", 0) };
        *requests.entry(key).or_insert(0) += 1;
    }

    /// Counts, and tells the log where this kind has not been told for long enough.
    pub(in crate::monitor) fn record_rejection(&self, abuse: Rejection, peer: IpAddr) {
        if let Some(since) = self.rejected[abuse as usize].record(self.now()) {
            let (word, explanation) = (abuse.label(), abuse.explanation());
            match since {
                1 => log::warn!("{word}: {peer} {explanation}"),
                _ => log::warn!(
                    "{word}: {since} more since last told; the latest: {peer} {explanation}"
                ),
            }
        }
    }

    pub(in crate::monitor) fn connection_opened(&self) {
        self.connections_accepted.fetch_add(1, Relaxed);
        let open = self.connections.fetch_add(1, Relaxed) + 1;
        self.connections_peak.fetch_max(open, Relaxed);
    }

    pub(in crate::monitor) fn connection_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub(in crate::monitor) fn stream_opened(&self) {
        self.event_streams.fetch_add(1, Relaxed);
    }

    pub(in crate::monitor) fn stream_closed(&self) {
        self.event_streams.fetch_sub(1, Relaxed);
    }

    pub(in crate::monitor) fn set_bytes_outstanding(&self, bytes: usize) {
        self.bytes_outstanding.store(bytes as u64, Relaxed);
    }

    /// A panic that was caught at the edge of one request.
    pub(in crate::monitor) fn record_panic(&self, place: &str) {
        self.panics.fetch_add(1, Relaxed);
        count_panic(place);
    }

    pub(in crate::monitor) fn pool_connection_opened(&self) {
        self.pool_connections.fetch_add(1, Relaxed);
    }

    /// How often, this time included.
    pub(in crate::monitor) fn pool_restarted(&self) -> u64 {
        self.pool_restarts.fetch_add(1, Relaxed) + 1
    }
}

impl RejectionCounter {
    fn new() -> RejectionCounter {
        RejectionCounter {
            count: AtomicU64::new(0),
            throttle: Mutex::new(LogThrottle::new(&LOG_INTERVALS)),
        }
    }

    /// Counts one; how many since the last line if one is due now.
    fn record(&self, now: Mono) -> Option<u64> {
        self.count.fetch_add(1, Relaxed);
        let mut throttle = self.throttle.lock();
        throttle.record(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_abuse_is_told_once_then_at_widening_intervals() {
        let kind = RejectionCounter::new();
        let at = |seconds: u64| Mono(seconds * 1000);
        let story = [
            (0, Some(1)),
            (1, None),
            (59, None),
            (60, Some(3)),
            (61, None),
            (60 + 599, None),
            (60 + 600, Some(3)),
            (60 + 600 + 3599, None),
            (60 + 600 + 3600, Some(2)),
        ];
        for (seconds, told) in story {
            assert_eq!(kind.record(at(seconds)), told, "at {seconds} s");
        }
        assert_eq!(kind.count.load(Relaxed), story.len() as u64);
    }

    #[test]
    fn counters_stay_bounded_whatever_the_statuses() {
        let traffic = HttpStats::new();
        for status in 0..1000 {
            traffic.record_response("route", status);
        }
        let snapshot = traffic.snapshot();
        assert_eq!(snapshot.requests.len(), limits::ROUTE_COUNTERS + 1);
        let total: u64 = snapshot.requests.iter().map(|(_, count)| count).sum();
        assert_eq!(total, 1000, "nothing is lost, only its label");
    }

    #[test]
    fn every_kind_has_its_own_word_and_place() {
        let words: std::collections::BTreeSet<_> =
            Rejection::ALL.iter().map(|a| a.label()).collect();
        assert_eq!(words.len(), Rejection::ALL.len());
        for (place, abuse) in Rejection::ALL.iter().enumerate() {
            assert_eq!(*abuse as usize, place);
        }
    }
}
