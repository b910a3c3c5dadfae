//! What a step of maintenance knows of the time.

use crate::db::periods::DAY;
use crate::db::retention::policy::RetentionPolicy;
use crate::domain::time::Wall;

/// The times that a step goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTimes {
    /// The hour from which on rows are kept.
    pub oldest_hour: i64,
    /// The day that is not over yet.
    pub today: i64,
}

impl StepTimes {
    /// At `now`; `None` while no clock is trusted: then no hour is too old, and no day is over.
    pub fn new(kept: &RetentionPolicy, now: Option<Wall>) -> StepTimes {
        StepTimes {
            oldest_hour: now.map_or(i64::MIN, |now| kept.oldest_hour(now)),
            today: now.map_or(i64::MIN, |now| now.second().div_euclid(DAY)),
        }
    }
}
