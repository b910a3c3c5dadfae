//! Signs of life of the loops, for `/healthz` and the watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::time::Mono;
use crate::limits;

/// When a loop last ended a turn.
#[derive(Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    pub fn beat(&self, now: Mono) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Time since the last turn.
    fn silence(&self, now: Mono) -> Duration {
        now.since(Mono(self.0.load(Ordering::Relaxed)))
    }
}

/// The loops that must go on turning, whatever sources and the card do.
#[derive(Clone)]
pub struct Heartbeats {
    pub ingest: Heartbeat,
    pub gate: Heartbeat,
    /// The page workers: turned when one finished a request, or none waits for them. The
    /// disk may hold them up, which no restart mends: the watchdog does not look at them.
    pub workers: Heartbeat,
}

impl Heartbeats {
    /// All count as having turned at `now`.
    pub fn starting(now: Mono) -> Heartbeats {
        let loops = Heartbeats {
            ingest: Heartbeat::default(),
            gate: Heartbeat::default(),
            workers: Heartbeat::default(),
        };
        loops.ingest.beat(now);
        loops.gate.beat(now);
        loops.workers.beat(now);
        loops
    }

    /// One that has not turned for `limits::HEARTBEAT_TIMEOUT`.
    pub fn stuck(&self, now: Mono) -> Option<&'static str> {
        [("ingest", &self.ingest), ("the gate", &self.gate)]
            .into_iter()
            .find(|(_, beat)| beat.silence(now) > limits::HEARTBEAT_TIMEOUT)
            .map(|(name, _)| name)
    }

    /// What `/healthz` tells: a loop that is stuck, or requests that wait for page workers
    /// of which none has finished one for `limits::HEARTBEAT_TIMEOUT`.
    pub fn not_alive(&self, now: Mono) -> Option<&'static str> {
        let workers = || {
            (self.workers.silence(now) > limits::HEARTBEAT_TIMEOUT).then_some("the page workers")
        };
        self.stuck(now).or_else(workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_named() {
        let start = Mono(1_000_000);
        let loops = Heartbeats::starting(start);
        assert_eq!(loops.stuck(start), None);
        let later = start.after(limits::HEARTBEAT_TIMEOUT + Duration::from_secs(1));
        assert_eq!(loops.stuck(later), Some("ingest"));
        loops.ingest.beat(later);
        assert_eq!(loops.stuck(later), Some("the gate"));
        loops.gate.beat(later);
        assert_eq!(loops.stuck(later), None);
        assert_eq!(loops.not_alive(later), Some("the page workers"));
        loops.workers.beat(later);
        assert_eq!(loops.not_alive(later), None);
    }
}
