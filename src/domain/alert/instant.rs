//! Alert clocks: monotonic instants that survive a reboot, and a wall time without jumps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::alert_event::WallStamp;
use crate::domain::clock_filter::ClockFilter;
use crate::domain::time::{ClockTrust, Moment, Mono, millis};

/// An instant of the monotonic clock in milliseconds. Instants of an earlier boot are moved
/// before this one's zero, so it can be negative.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct AlertInstant(pub i64);

impl AlertInstant {
    pub fn of(mono: Mono) -> AlertInstant {
        AlertInstant(i64::try_from(mono.0).unwrap_or(i64::MAX))
    }

    pub fn after(self, span: Duration) -> AlertInstant {
        AlertInstant(self.0.saturating_add_unsigned(millis(span)))
    }

    pub fn before(self, span: Duration) -> AlertInstant {
        AlertInstant(self.0.saturating_sub_unsigned(millis(span)))
    }

    /// Time since `earlier`; zero if that lies ahead.
    pub fn since(self, earlier: AlertInstant) -> Duration {
        let span = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(span).unwrap_or(0))
    }

    pub fn mono(self) -> Mono {
        Mono(u64::try_from(self.0).unwrap_or(0))
    }
}

/// The wall time of alerts: [`ClockFilter`] removes jumps, as for readings. A clock of unknown
/// trust is trusted until it jumps.
pub fn wall_stamp(filter: &mut ClockFilter, now: Moment) -> WallStamp {
    let trust = match now.trust {
        ClockTrust::Unknown => ClockTrust::Trusted,
        known => known,
    };
    let now = filter.correct(Moment { trust, ..now });
    WallStamp {
        ms: now.wall.0,
        is_trusted: now.trust.is_trusted(),
    }
}
