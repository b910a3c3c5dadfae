//! What a step of maintenance knows of the time.

use crate::db::periods::DAY;
use crate::db::retention::policy::RetentionPolicy;
use crate::domain::time::{Moment, Wall};

/// The times that a step goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTimes {
    /// The hour from which on rows are kept.
    pub oldest_hour: i64,
    /// The day that is not over yet; without a clock the one that is known to have begun.
    pub today: i64,
    /// The present second, where the clock is trusted: nothing is stored that is later.
    pub latest: Option<i64>,
}

impl StepTimes {
    /// At `now`. `time` is that of the retention clock; where no clock was ever trusted it is `None`: then
    /// no hour is too old, and no day is over.
    pub fn new(kept: &RetentionPolicy, time: Option<Wall>, now: Moment) -> StepTimes {
        StepTimes {
            oldest_hour: time.map_or(i64::MIN, |time| kept.oldest_hour(time)),
            today: time.map_or(i64::MIN, |time| time.second().div_euclid(DAY)),
            latest: now.trust.is_trusted().then_some(now.wall.second()),
        }
    }

    /// Whether it is too early for what begins at a second.
    pub fn is_ahead(&self, second: i64) -> bool {
        self.latest.is_some_and(|latest| second > latest)
    }

    /// The same where there are readings of this second: without a clock they say which days are over.
    pub fn with_reading_at(self, second: Option<i64>) -> StepTimes {
        let seen = second.filter(|_| self.latest.is_none());
        StepTimes {
            today: seen.map_or(self.today, |it| self.today.max(it.div_euclid(DAY))),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::{T0, trusted};
    use crate::domain::time::ClockTrust;

    #[test]
    fn without_a_clock_readings_say_which_days_are_over() {
        let kept = RetentionPolicy::default();
        let now = trusted(0);
        let today = T0.div_euclid(DAY);
        let known = StepTimes::new(&kept, Some(now.wall), now);
        assert_eq!((known.today, known.latest), (today, Some(T0)));
        assert!(known.is_ahead(T0 + 1) && !known.is_ahead(T0));
        assert_eq!(known.with_reading_at(Some(T0 + 3 * DAY)), known);

        let trust = ClockTrust::Untrusted;
        let unknown = StepTimes::new(&kept, None, Moment { trust, ..now });
        assert_eq!((unknown.today, unknown.latest), (i64::MIN, None));
        assert!(!unknown.is_ahead(i64::MAX));
        assert_eq!(unknown.with_reading_at(None), unknown);
        let seen = unknown.with_reading_at(Some(T0));
        assert_eq!(seen.today, today);
        assert_eq!(seen.with_reading_at(Some(T0 - 3 * DAY)), seen);
    }
}
