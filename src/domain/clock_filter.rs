//! Filter for jumps of the wall clock.
//!
//! From the first trusted reading on, the monotonic clock tells the time. A wall clock that later
//! jumps, by minutes or by years, in either direction, changes no age, no timestamp and no
//! identity; small corrections, as NTP makes them, are followed. A jump is accepted once it has
//! lasted [`limits::CLOCK_JUMP_TIMEOUT`], or with the next start; after
//! [`limits::MIN_CLOCK_JUMP_TIMEOUT`] where the time before it had not lasted as long.

use super::time::{ClockTrust, Moment, Mono};
use crate::limits;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClockFilter {
    /// The last trusted reading of both clocks.
    last_trusted: Option<Moment>,
    /// When that began.
    trusted_since: Mono,
    differs_since: Option<Mono>,
}

impl ClockFilter {
    /// `now` with the corrected wall time; unchanged while the clock was never trusted.
    pub fn correct(&mut self, now: Moment) -> Moment {
        let Some(known) = self.last_trusted else {
            self.last_trusted = now.trust.is_trusted().then_some(now);
            self.trusted_since = now.mono;
            return now;
        };
        let carried = Moment {
            wall: known.wall_at(now.mono),
            trust: ClockTrust::Trusted,
            ..now
        };
        if !now.trust.is_trusted() {
            return carried;
        }
        let apart = now
            .wall
            .since(carried.wall)
            .max(carried.wall.since(now.wall));
        let is_near = apart <= limits::CLOCK_TOLERANCE;
        let since = *self.differs_since.get_or_insert(now.mono);
        // A time that was trusted for a minute is no better than one that has lasted for an hour.
        let timeout = if since.since(self.trusted_since) < limits::MIN_CLOCK_JUMP_TIMEOUT {
            limits::MIN_CLOCK_JUMP_TIMEOUT
        } else {
            limits::CLOCK_JUMP_TIMEOUT
        };
        if !is_near && now.mono.since(since) < timeout {
            return carried;
        }
        if !is_near {
            self.trusted_since = now.mono;
        }
        self.differs_since = None;
        self.last_trusted = Some(now);
        now
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::time::Wall;

    #[test]
    fn jumps_of_the_wall_clock_are_filtered() {
        const HOUR: u64 = 3_600_000;
        const YEAR: i64 = 365 * 24 * HOUR as i64;
        let timeout = u64::try_from(limits::CLOCK_JUMP_TIMEOUT.as_millis()).expect("days");
        let mut filter = ClockFilter::default();
        let good = |mono: u64| i64::try_from(mono).expect("days") + 50 * YEAR;
        for (case, mono, wall, trust, expected) in [
            ("1970 passes", 1, 1, ClockTrust::Untrusted, 1),
            ("so does an unknown clock", 2, 2, ClockTrust::Unknown, 2),
            ("the first word", 5, good(5), ClockTrust::Trusted, good(5)),
            ("untrusted", HOUR, 7, ClockTrust::Untrusted, good(HOUR)),
            (
                "ahead",
                2 * HOUR,
                good(0) + 10 * YEAR,
                ClockTrust::Trusted,
                good(2 * HOUR),
            ),
            ("behind", 3 * HOUR, 3, ClockTrust::Trusted, good(3 * HOUR)),
            (
                "a creep",
                4 * HOUR,
                good(4 * HOUR) + 9,
                ClockTrust::Trusted,
                good(4 * HOUR) + 9,
            ),
            (
                "is followed",
                5 * HOUR,
                7,
                ClockTrust::Unknown,
                good(5 * HOUR) + 9,
            ),
            (
                "a jump",
                6 * HOUR,
                0,
                ClockTrust::Trusted,
                good(6 * HOUR) + 9,
            ),
            (
                "nor so soon",
                12 * HOUR,
                9,
                ClockTrust::Trusted,
                good(12 * HOUR) + 9,
            ),
            ("that lasts", 6 * HOUR + timeout, 8, ClockTrust::Trusted, 8),
        ] {
            let now = Moment {
                mono: Mono(mono),
                wall: Wall(wall),
                trust,
            };
            let corrected = filter.correct(now);
            assert_eq!(corrected.wall, Wall(expected), "{case}");
        }
        assert!(limits::CLOCK_JUMP_TIMEOUT > Duration::from_secs(3 * 86_400));
    }

    #[test]
    fn a_start_under_a_wrong_clock_is_corrected_within_the_hour() {
        const YEAR: i64 = 365 * 86_400_000;
        let right = |second: u64| 50 * YEAR + second as i64 * 1_000;
        let mut filter = ClockFilter::default();
        for (second, wall, expected) in [
            (0, right(0) + YEAR, right(0) + YEAR),
            (60, right(60), right(60) + YEAR),
            (3_659, right(3_659), right(3_659) + YEAR),
            (3_660, right(3_660), right(3_660)),
            (9_000, right(9_000), right(9_000)),
            // Now it is proven.
            (9_060, right(9_060) - YEAR, right(9_060)),
            (90_000, right(90_000) - YEAR, right(90_000)),
        ] {
            let now = Moment {
                mono: Mono(second * 1_000),
                wall: Wall(wall),
                trust: ClockTrust::Trusted,
            };
            assert_eq!(filter.correct(now).wall, Wall(expected), "after {second} s");
        }
    }
}
