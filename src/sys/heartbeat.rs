//! Heartbeats of the loops, for `/healthz` and the watchdog.
//!
//! Each loop beats on its own thread after every iteration; any thread reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::time::Mono;
use crate::limits;

/// When a loop last ended an iteration.
#[derive(Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    pub fn beat(&self, now: Mono) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Time since the last beat.
    fn age(&self, now: Mono) -> Duration {
        now.since(Mono(self.0.load(Ordering::Relaxed)))
    }
}

/// The loops that must keep running, whatever sources and the SD card do.
#[derive(Clone)]
pub struct Heartbeats {
    pub ingest: Heartbeat,
    /// The HTTP server's thread.
    pub http: Heartbeat,
    /// The page workers: beats when one finished a request, or none waits for them. A slow disk
    /// may block them, which a restart does not fix: the watchdog ignores them.
    pub workers: Heartbeat,
}

impl Heartbeats {
    /// All beat at `now`.
    pub fn starting(now: Mono) -> Heartbeats {
        let heartbeats = Heartbeats {
            ingest: Heartbeat::default(),
            http: Heartbeat::default(),
            workers: Heartbeat::default(),
        };
        heartbeats.ingest.beat(now);
        heartbeats.http.beat(now);
        heartbeats.workers.beat(now);
        heartbeats
    }

    /// A loop that has not beaten for `limits::HEARTBEAT_TIMEOUT`.
    pub fn stuck(&self, now: Mono) -> Option<&'static str> {
        [("ingest", &self.ingest), ("the HTTP server", &self.http)]
            .into_iter()
            .find(|(_, beat)| beat.age(now) > limits::HEARTBEAT_TIMEOUT)
            .map(|(name, _)| name)
    }

    /// What `/healthz` reports: a loop that is stuck, or requests that wait for page workers
    /// of which none has finished one for `limits::HEARTBEAT_TIMEOUT`.
    pub fn not_alive(&self, now: Mono) -> Option<&'static str> {
        let workers =
            || (self.workers.age(now) > limits::HEARTBEAT_TIMEOUT).then_some("the page workers");
        self.stuck(now).or_else(workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_loop_is_named() {
        let start = Mono(1_000_000);
        let heartbeats = Heartbeats::starting(start);
        assert_eq!(heartbeats.stuck(start), None);
        let later = start.after(limits::HEARTBEAT_TIMEOUT + Duration::from_secs(1));
        assert_eq!(heartbeats.stuck(later), Some("ingest"));
        heartbeats.ingest.beat(later);
        assert_eq!(heartbeats.stuck(later), Some("the HTTP server"));
        heartbeats.http.beat(later);
        assert_eq!(heartbeats.stuck(later), None);
        assert_eq!(heartbeats.not_alive(later), Some("the page workers"));
        heartbeats.workers.beat(later);
        assert_eq!(heartbeats.not_alive(later), None);
    }
}
