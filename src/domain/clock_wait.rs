//! Wait of a source for a trusted clock, since its requests contain the date.
//!
//! Pure. It lasts at most [`limits::CLOCK_TRUST_TIMEOUT`] from the start, and longer only while the
//! clock is certainly wrong.

use std::time::Duration;

use super::time::{Moment, Mono};
use crate::limits;

#[derive(Debug)]
pub struct ClockWait {
    /// When the source started, if its requests contain the date.
    started: Option<Mono>,
    /// The last state but for the time left.
    last: Option<ClockWaitStage>,
}

/// What a source does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockWaitState {
    pub stage: ClockWaitStage,
    /// Whether the stage began with this look at the clock.
    pub is_new: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockWaitStage {
    /// Requests are sent.
    Ready,
    /// Requests are sent although the clock is not trusted.
    ReadyUntrusted,
    /// No request is sent for at most this long.
    Waiting(Duration),
    /// The clock is before the build date: no request is sent until it is set.
    WaitingForDate,
}

impl ClockWaitStage {
    /// How long at most before requests are sent; `None` if they are.
    pub fn time_left(self) -> Option<Duration> {
        match self {
            ClockWaitStage::Ready | ClockWaitStage::ReadyUntrusted => None,
            ClockWaitStage::Waiting(left) => Some(left),
            ClockWaitStage::WaitingForDate => Some(limits::CLOCK_TRUST_POLL),
        }
    }
}

impl ClockWait {
    pub fn new(contains_date: bool, now: Moment) -> ClockWait {
        ClockWait {
            started: contains_date.then_some(now.mono),
            last: None,
        }
    }

    pub fn check(&mut self, now: Moment) -> ClockWaitState {
        let stage = self.stage(now);
        if stage == ClockWaitStage::Ready {
            // A clock that was synchronised stays right when the time server is lost.
            self.started = None;
        }
        let is_new = self
            .last
            .is_none_or(|last| std::mem::discriminant(&last) != std::mem::discriminant(&stage));
        self.last = Some(stage);
        ClockWaitState { stage, is_new }
    }

    fn stage(&self, now: Moment) -> ClockWaitStage {
        let Some(started) = self.started.filter(|_| !now.trust.is_trusted()) else {
            return ClockWaitStage::Ready;
        };
        let left = limits::CLOCK_TRUST_TIMEOUT.saturating_sub(now.mono.since(started));
        if !left.is_zero() {
            ClockWaitStage::Waiting(left)
        } else if now.wall.second() < limits::EARLIEST_PLAUSIBLE_WALL_S {
            ClockWaitStage::WaitingForDate
        } else {
            ClockWaitStage::ReadyUntrusted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{ClockTrust, Wall};

    #[test]
    fn requests_with_the_date_wait_for_the_clock_and_others_do_not() {
        use ClockTrust::*;
        use ClockWaitStage::*;
        const GOOD: i64 = 1_795_435_200;
        let s = Duration::from_secs;
        for (case, contains_date, looks) in [
            (
                "without a date",
                false,
                vec![(0, 0, Untrusted, Ready, true)],
            ),
            (
                "trusted at the start",
                true,
                vec![
                    (0, GOOD, Trusted, Ready, true),
                    (5, GOOD, Trusted, Ready, false),
                ],
            ),
            (
                "trusted later",
                true,
                vec![
                    (0, 0, Untrusted, Waiting(s(600)), true),
                    (5, 5, Untrusted, Waiting(s(595)), false),
                    (10, GOOD, Trusted, Ready, true),
                ],
            ),
            (
                "trusted once",
                true,
                vec![
                    (0, GOOD, Untrusted, Waiting(s(600)), true),
                    (5, GOOD, Trusted, Ready, true),
                    (10, GOOD, Untrusted, Ready, false),
                    (700, GOOD, Unknown, Ready, false),
                ],
            ),
            (
                "never, with a plausible date",
                true,
                vec![
                    (0, GOOD, Unknown, Waiting(s(600)), true),
                    (599, GOOD + 599, Unknown, Waiting(s(1)), false),
                    (600, GOOD + 600, Unknown, ReadyUntrusted, true),
                    (900, GOOD + 900, Unknown, ReadyUntrusted, false),
                ],
            ),
            (
                "never, in 1970",
                true,
                vec![
                    (0, 0, Untrusted, Waiting(s(600)), true),
                    (600, 600, Untrusted, WaitingForDate, true),
                    (90_000, 90_000, Untrusted, WaitingForDate, false),
                    (90_005, GOOD, Untrusted, ReadyUntrusted, true),
                    (90_010, GOOD, Trusted, Ready, true),
                ],
            ),
        ] {
            let at = |second: u64, wall, trust| Moment {
                mono: Mono(5_000 + second * 1_000),
                wall: Wall::from_second(wall),
                trust,
            };
            let mut wait = ClockWait::new(contains_date, at(0, 0, Untrusted));
            for (second, wall, trust, stage, is_new) in looks {
                let found = wait.check(at(second, wall, trust));
                assert_eq!(found, ClockWaitState { stage, is_new }, "{case} {second}");
            }
        }
    }
}
