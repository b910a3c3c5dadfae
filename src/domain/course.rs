//! The wall clock, kept on course by the steady one.
//!
//! The first reading that can be believed sets the course; from then on the steady clock says
//! what time it is. A clock that later jumps, by minutes or by years, in either direction,
//! changes no age, no stamp and no identity; one that creeps, as a network's time does when
//! it corrects, is followed. Where the jump was right after all, its time is taken over once
//! it has lasted [`limits::JUMP_PATIENCE`], or with the next start.

use super::time::{Moment, Mono, Trust};
use crate::limits;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// The last believed reading of both clocks.
    known: Option<Moment>,
    differs_since: Option<Mono>,
}

impl Course {
    /// `now` with the wall time to go by. While nothing was ever believed it passes as it is.
    pub fn steer(&mut self, now: Moment) -> Moment {
        let Some(known) = self.known else {
            self.known = now.trust.is_trusted().then_some(now);
            return now;
        };
        let carried = Moment {
            wall: known.wall_at(now.mono),
            trust: Trust::Trusted,
            ..now
        };
        if !now.trust.is_trusted() {
            return carried;
        }
        let apart = now
            .wall
            .since(carried.wall)
            .max(carried.wall.since(now.wall));
        let is_near = apart <= limits::CLOCK_AGREEMENT;
        let since = *self.differs_since.get_or_insert(now.mono);
        if !is_near && now.mono.since(since) < limits::JUMP_PATIENCE {
            return carried;
        }
        self.differs_since = None;
        self.known = Some(now);
        now
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::time::Wall;

    #[test]
    fn the_wall_clock_is_kept_on_course() {
        const HOUR: u64 = 3_600_000;
        const YEAR: i64 = 365 * 24 * HOUR as i64;
        let patience = u64::try_from(limits::JUMP_PATIENCE.as_millis()).expect("days");
        let mut course = Course::default();
        let good = |mono: u64| i64::try_from(mono).expect("days") + 50 * YEAR;
        for (case, mono, wall, trust, expected) in [
            ("1970 passes", 1, 1, Trust::Untrusted, 1),
            ("nobody's word too", 2, 2, Trust::Unknown, 2),
            ("the first word", 5, good(5), Trust::Trusted, good(5)),
            ("doubt", HOUR, 7, Trust::Untrusted, good(HOUR)),
            (
                "ahead",
                2 * HOUR,
                good(0) + 10 * YEAR,
                Trust::Trusted,
                good(2 * HOUR),
            ),
            ("behind", 3 * HOUR, 3, Trust::Trusted, good(3 * HOUR)),
            (
                "a creep",
                4 * HOUR,
                good(4 * HOUR) + 9,
                Trust::Trusted,
                good(4 * HOUR) + 9,
            ),
            (
                "is followed",
                5 * HOUR,
                7,
                Trust::Unknown,
                good(5 * HOUR) + 9,
            ),
            ("a jump", 6 * HOUR, 0, Trust::Trusted, good(6 * HOUR) + 9),
            ("that lasts", 6 * HOUR + patience, 8, Trust::Trusted, 8),
        ] {
            let now = Moment {
                mono: Mono(mono),
                wall: Wall(wall),
                trust,
            };
            let steered = course.steer(now);
            assert_eq!(steered.wall, Wall(expected), "{case}");
        }
        assert!(limits::JUMP_PATIENCE > Duration::from_secs(3 * 86_400));
    }
}
