//! HTTP counters: requests by route and status, rejections by reason.
//!
//! Owned by node, shared by `Arc`: the server's thread and the workers count, `/metrics` reads.
//! Every set of labels is fixed or capped. A rejection is logged once per reason, then at
//! widening intervals with its count; nothing here logs a line per request.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::domain::log_throttle::LogThrottle;
use crate::domain::time::Mono;
use crate::limits;
use crate::sys::sync::Mutex;
use crate::sys::thread::count_panic;

/// Why a request, a connection or a stream was rejected or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Bytes that are not an HTTP/1 head, or a head that contradicts itself.
    BadRequest,
    /// A request with a body, or a POST whose body is too long or of unknown length.
    BodyNotAllowed,
    /// Neither GET, HEAD nor OPTIONS, nor a POST to a path that takes it.
    MethodNotAllowed,
    /// A head that is too long or has too many fields.
    HeadTooLarge,
    /// A head that was not complete in time.
    HeadTimeout,
    /// An `Expect` that is not supported.
    ExpectationFailed,
    /// A version of HTTP that is not supported.
    VersionNotSupported,
    /// The opening handshake of a WebSocket.
    WebSocket,
    /// More connections than the limit of all clients.
    TooManyConnections,
    /// More connections than the limit of one address.
    ConnectionsPerAddress,
    /// An idle connection that was closed to make room for another.
    EvictedIdle,
    /// No file descriptor was left for a connection.
    NoDescriptors,
    /// A response that the client did not read in time.
    SlowClient,
    /// More unread response bytes than may be buffered.
    SendBudget,
    /// The worker pool did not respond in time.
    PoolTimeout,
    /// More event streams than the limit.
    TooManyEventStreams,
    /// An event stream whose client did not read an event in time.
    SlowEventStream,
    /// A connection from a network that `allow` does not name.
    ForbiddenNetwork,
    /// A request from an address that sent too many wrong passwords.
    LoginThrottled,
}

impl Rejection {
    pub const ALL: [Rejection; 19] = [
        Rejection::BadRequest,
        Rejection::BodyNotAllowed,
        Rejection::MethodNotAllowed,
        Rejection::HeadTooLarge,
        Rejection::HeadTimeout,
        Rejection::ExpectationFailed,
        Rejection::VersionNotSupported,
        Rejection::WebSocket,
        Rejection::TooManyConnections,
        Rejection::ConnectionsPerAddress,
        Rejection::EvictedIdle,
        Rejection::NoDescriptors,
        Rejection::SlowClient,
        Rejection::SendBudget,
        Rejection::PoolTimeout,
        Rejection::TooManyEventStreams,
        Rejection::SlowEventStream,
        Rejection::ForbiddenNetwork,
        Rejection::LoginThrottled,
    ];

    /// The label `reason` in `/metrics`, and the start of its log line.
    pub fn label(self) -> &'static str {
        match self {
            Rejection::BadRequest => "bad_request",
            Rejection::BodyNotAllowed => "body_not_allowed",
            Rejection::MethodNotAllowed => "method_not_allowed",
            Rejection::HeadTooLarge => "head_too_large",
            Rejection::HeadTimeout => "head_timeout",
            Rejection::ExpectationFailed => "expectation_failed",
            Rejection::VersionNotSupported => "version_not_supported",
            Rejection::WebSocket => "websocket",
            Rejection::TooManyConnections => "too_many_connections",
            Rejection::ConnectionsPerAddress => "connections_per_address",
            Rejection::EvictedIdle => "evicted_idle",
            Rejection::NoDescriptors => "no_descriptors",
            Rejection::SlowClient => "slow_client",
            Rejection::SendBudget => "send_budget",
            Rejection::PoolTimeout => "pool_timeout",
            Rejection::TooManyEventStreams => "too_many_event_streams",
            Rejection::SlowEventStream => "slow_event_stream",
            Rejection::ForbiddenNetwork => "forbidden_network",
            Rejection::LoginThrottled => "login_throttled",
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Rejection::BadRequest => "sent an invalid HTTP request; answered 400",
            Rejection::BodyNotAllowed => {
                "sent a request body that is not accepted; answered 413, 411 or 400"
            }
            Rejection::MethodNotAllowed => {
                "used a method other than GET, HEAD and OPTIONS; answered 405"
            }
            Rejection::HeadTooLarge => "sent a request head that is too large; answered 431 or 414",
            Rejection::HeadTimeout => "did not complete a request head in time; answered 408",
            Rejection::ExpectationFailed => {
                "sent an Expect header that is not supported; answered 417"
            }
            Rejection::VersionNotSupported => {
                "used an HTTP version that is not supported; answered 505"
            }
            Rejection::WebSocket => "asked for a WebSocket, of which there is none; answered 426",
            Rejection::TooManyConnections => {
                "connected while the connection limit was reached; answered 503"
            }
            Rejection::ConnectionsPerAddress => {
                "reached the connection limit of one address; answered 503"
            }
            Rejection::EvictedIdle => {
                "was idle; its connection was closed to make room for another"
            }
            Rejection::NoDescriptors => {
                "connected while no file descriptor was left; see LimitNOFILE"
            }
            Rejection::SlowClient => "did not read its response in time; disconnected",
            Rejection::SendBudget => {
                "asked while too many unread responses are buffered; answered 503"
            }
            Rejection::PoolTimeout => {
                "asked for a page that the workers did not render in time; answered 503"
            }
            Rejection::TooManyEventStreams => {
                "asked for an event stream while all are in use; answered 503"
            }
            Rejection::SlowEventStream => "did not read an event in time; its stream was closed",
            Rejection::ForbiddenNetwork => "is not in a network of `allow`; answered 403",
            Rejection::LoginThrottled => {
                "sent too many wrong passwords or tokens from one address; answered 429"
            }
        }
    }
}

/// The counters. All zero at the start of the process.
pub struct HttpStats {
    started: Instant,
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    rejected: [RejectionCounter; Rejection::ALL.len()],
    connections: AtomicU64,
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
    /// Responses by route and status, sorted. Route `refused` is what was rejected before the
    /// route was known; `other` is what came after the table was full.
    pub requests: Vec<((&'static str, u16), u64)>,
    /// By label of each [`Rejection`]; those that never happened are there with 0.
    pub rejected: Vec<(&'static str, u64)>,
    pub connections: u64,
    pub connections_accepted: u64,
    pub event_streams: u64,
    /// Response bytes that clients have not read yet, a shared body counted once.
    pub bytes_outstanding: u64,
    pub panics: u64,
    /// Connections to the pool opened so far: a handful, unless responses are given up.
    pub pool_connections: u64,
    /// How often tiny_http's server had to be replaced.
    pub pool_restarts: u64,
}

/// One reason: how often, and when it is logged again.
struct RejectionCounter {
    count: AtomicU64,
    throttle: Mutex<LogThrottle>,
}

/// How long a reason that was logged n times is not logged again.
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
            rejected: Rejection::ALL
                .iter()
                .map(|reason| (reason.label(), self.rejections(*reason)))
                .collect(),
            connections: self.connections.load(Relaxed),
            connections_accepted: self.connections_accepted.load(Relaxed),
            event_streams: self.event_streams.load(Relaxed),
            bytes_outstanding: self.bytes_outstanding.load(Relaxed),
            panics: self.panics.load(Relaxed),
            pool_connections: self.pool_connections.load(Relaxed),
            pool_restarts: self.pool_restarts.load(Relaxed),
        }
    }

    pub fn rejections(&self, reason: Rejection) -> u64 {
        self.rejected[reason as usize].count.load(Relaxed)
    }

    pub(in crate::monitor) fn record_response(&self, route: &'static str, status: u16) {
        let mut requests = self.requests.lock();
        let known =
            requests.len() < limits::ROUTE_COUNTERS || requests.contains_key(&(route, status));
        let key = if known { (route, status) } else { ("other", 0) };
        *requests.entry(key).or_insert(0) += 1;
    }

    /// Counts, and logs if this reason has not been logged for long enough.
    pub(in crate::monitor) fn record_rejection(&self, reason: Rejection, peer: IpAddr) {
        if let Some(since) = self.rejected[reason as usize].record(self.now()) {
            let (label, explanation) = (reason.label(), reason.explanation());
            match since {
                1 => log::warn!("{label}: {peer} {explanation}"),
                _ => log::warn!(
                    "{label}: {since} more since the last message; latest: {peer} {explanation}"
                ),
            }
        }
    }

    pub(in crate::monitor) fn connection_opened(&self) {
        self.connections_accepted.fetch_add(1, Relaxed);
        self.connections.fetch_add(1, Relaxed);
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
    pub(in crate::monitor) fn record_panic(&self, thread: &str) {
        self.panics.fetch_add(1, Relaxed);
        count_panic(thread);
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
    fn a_rejection_is_logged_once_then_at_widening_intervals() {
        let counter = RejectionCounter::new();
        let at = |seconds: u64| Mono(seconds * 1000);
        let cases = [
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
        for (seconds, logged) in cases {
            assert_eq!(counter.record(at(seconds)), logged, "at {seconds} s");
        }
        assert_eq!(counter.count.load(Relaxed), cases.len() as u64);
    }

    #[test]
    fn counters_are_bounded_for_any_status() {
        let stats = HttpStats::new();
        for status in 0..1000 {
            stats.record_response("route", status);
        }
        let snapshot = stats.snapshot();
        assert_eq!(snapshot.requests.len(), limits::ROUTE_COUNTERS + 1);
        let total: u64 = snapshot.requests.iter().map(|(_, count)| count).sum();
        assert_eq!(total, 1000, "nothing is lost, only its label");
    }

    #[test]
    fn every_rejection_has_its_own_label_and_index() {
        let labels: std::collections::BTreeSet<_> =
            Rejection::ALL.iter().map(|it| it.label()).collect();
        assert_eq!(labels.len(), Rejection::ALL.len());
        for (index, rejection) in Rejection::ALL.iter().enumerate() {
            assert_eq!(*rejection as usize, index);
        }
    }
}
