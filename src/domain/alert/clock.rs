//! The two clocks as alerts see them: instants that outlive a boot, and a wall time that does
//! not jump.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Told;
use crate::domain::time::{Moment, Mono, Trust, millis};

/// A wall clock that differs from the steady one by more has jumped …
const JUMP: Duration = Duration::from_secs(300);
/// … and is believed once it has kept the new time for this long.
const JUMP_PATIENCE: Duration = Duration::from_secs(3600);

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

/// The wall clock, carried on by the monotonic one over any jump until the new time has
/// lasted: a person who sets the clock right is believed an hour later, a clock that runs
/// wild is not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steady {
    /// One moment at which both clocks were read and believed.
    reference: Option<(At, i64)>,
    differs_since: Option<At>,
}

impl Steady {
    /// The wall time to go by.
    pub fn read(&mut self, now: Moment) -> Told {
        let at = At::of(now.mono);
        let is_believable = now.trust != Trust::Untrusted;
        let Some((known_at, known_ms)) = self.reference else {
            if is_believable {
                self.reference = Some((at, now.wall.0));
            }
            return Told {
                ms: now.wall.0,
                sure: is_believable,
            };
        };
        let carried = known_ms.saturating_add(at.0.saturating_sub(known_at.0));
        let carried = Told {
            ms: carried,
            sure: true,
        };
        if !is_believable {
            return carried;
        }
        if now.wall.0.abs_diff(carried.ms) <= millis(JUMP) {
            self.differs_since = None;
        } else if at.since(*self.differs_since.get_or_insert(at)) < JUMP_PATIENCE {
            return carried;
        }
        self.differs_since = None;
        self.reference = Some((at, now.wall.0));
        Told {
            ms: now.wall.0,
            sure: true,
        }
    }
}
