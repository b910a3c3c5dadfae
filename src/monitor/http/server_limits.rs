//! Limits and timeouts of the HTTP server.

use std::time::Duration;

use crate::limits;

/// The limits of the HTTP server; the default is `limits`'s, tests take shorter ones.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    pub connections: usize,
    pub connections_per_address: usize,
    pub head_timeout: Duration,
    pub idle_timeout: Duration,
    pub write_timeout: Duration,
    pub write_bytes_per_s: usize,
    pub worker_timeout: Duration,
    pub page_cache_ttl: Duration,
    pub pool_ping_timeout: Duration,
    pub linger_timeout: Duration,
    pub bytes_outstanding: usize,
    pub bytes_outstanding_per_address: usize,
    pub event_streams: usize,
    pub event_keepalive: Duration,
    pub evict_idle_after: Duration,
    /// Precision of deadlines, and how old a `Date` may be.
    pub tick: Duration,
    /// How often the maintenance loop runs where nothing is due.
    pub heartbeat: Duration,
}

impl Default for HttpLimits {
    fn default() -> HttpLimits {
        HttpLimits {
            connections: limits::CONNECTIONS,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS,
            head_timeout: limits::REQUEST_HEAD_TIMEOUT,
            idle_timeout: limits::IDLE_TIMEOUT,
            write_timeout: limits::WRITE_TIMEOUT,
            write_bytes_per_s: limits::MIN_WRITE_BYTES_PER_S,
            worker_timeout: limits::POOL_TIMEOUT,
            page_cache_ttl: limits::PAGE_CACHE_TTL,
            pool_ping_timeout: limits::POOL_PING_TIMEOUT,
            linger_timeout: limits::LINGER_TIMEOUT,
            bytes_outstanding: limits::SEND_BUDGET_BYTES,
            bytes_outstanding_per_address: limits::SEND_BUDGET_BYTES_PER_ADDRESS,
            event_streams: limits::EVENT_STREAMS,
            event_keepalive: limits::EVENT_HEARTBEAT_INTERVAL,
            evict_idle_after: limits::EVICT_IDLE_AFTER,
            tick: limits::HTTP_TICK,
            heartbeat: limits::HTTP_HEARTBEAT,
        }
    }
}
