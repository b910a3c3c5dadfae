//! The two clocks as alerts see them: instants that outlive a boot, and a wall time that does
//! not jump.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Told;
use crate::domain::clock_filter::ClockFilter;
use crate::domain::time::{ClockTrust, Moment, Mono, millis};

/// An instant of the monotonic clock in milliseconds. Instants of an earlier boot are moved
/// before this one's zero, so it can be negative.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct At(pub i64);

impl At {
    pub fn of(mono: Mono) -> At {
        At(i64::try_from(mono.0).unwrap_or(i64::MAX))
    }

    pub fn after(self, span: Duration) -> At {
        At(self.0.saturating_add_unsigned(millis(span)))
    }

    pub fn before(self, span: Duration) -> At {
        At(self.0.saturating_sub_unsigned(millis(span)))
    }

    /// Time since `earlier`; zero if that lies ahead.
    pub fn since(self, earlier: At) -> Duration {
        let span = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(span).unwrap_or(0))
    }

    pub fn mono(self) -> Mono {
        Mono(u64::try_from(self.0).unwrap_or(0))
    }
}

/// The wall time to go by: [`Course`] keeps it over jumps, for alerts as for readings. Where
/// nobody can say whether the clock is right, it is believed until it jumps.
pub fn told(course: &mut ClockFilter, now: Moment) -> Told {
    let trust = match now.trust {
        ClockTrust::Unknown => ClockTrust::Trusted,
        known => known,
    };
    let now = course.correct(Moment { trust, ..now });
    Told {
        ms: now.wall.0,
        sure: now.trust.is_trusted(),
    }
}
