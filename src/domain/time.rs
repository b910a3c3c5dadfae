//! Instants, durations and their spelling.
//!
//! Two clocks that must not be confused are two types: [`Mono`] measures intervals, ages
//! and deadlines; [`Wall`] stamps what people and other machines read. [`Moment`] is one
//! reading of both, with the state of the wall clock.

use std::fmt;
use std::time::Duration;

/// An instant of `CLOCK_BOOTTIME`, in milliseconds since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// Time since `earlier`; zero if that lies ahead.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The instant `wait` from here.
    pub fn after(self, wait: Duration) -> Mono {
        Mono(self.0.saturating_add(millis(wait)))
    }
}

/// An instant of the wall clock, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Wall(pub i64);

impl Wall {
    pub fn from_second(second: i64) -> Wall {
        Wall(second.saturating_mul(1000))
    }

    /// Seconds (10 digits) or milliseconds (13 digits) since the epoch, as scripts and dashboards
    /// write times: 2001 to 2286.
    pub fn from_epoch_text(text: &str) -> Option<Wall> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = is_number.then(|| text.parse().ok())??;
        match text.len() {
            10 => Some(Wall::from_second(number)),
            13 => Some(Wall(number)),
            _ => None,
        }
    }

    /// Whole seconds since the epoch: the precision of what is stored and published.
    pub fn second(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Time since `earlier`; zero if that lies ahead.
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The instant `span` before this one.
    pub fn before(self, span: Duration) -> Wall {
        Wall(self.0.saturating_sub_unsigned(millis(span)))
    }

    /// The instant `span` after this one.
    pub fn after(self, span: Duration) -> Wall {
        Wall(self.0.saturating_add_unsigned(millis(span)))
    }
}

/// RFC 3339 in UTC with whole seconds and `Z`: `2025-10-30T20:00:00Z`. An instant outside
/// years 1 to 9999, which RFC 3339 cannot say, prints as the nearest that it can.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FIRST: i64 = -62_135_596_800;
        const LAST: i64 = 253_402_207_200;
        let second = self.second().clamp(FIRST, LAST);
        let instant = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{}", instant.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

/// What is known about the wall clock (DESIGN: a Pi has no battery behind it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockTrust {
    /// Synchronised, by the kernel's word or a peer's.
    Trusted,
    /// The kernel says that nothing has set it.
    Untrusted,
    /// Unknown: the kernel does not permit the question.
    Unknown,
}

impl ClockTrust {
    pub fn is_trusted(self) -> bool {
        self == ClockTrust::Trusted
    }

    pub fn name(self) -> &'static str {
        match self {
            ClockTrust::Trusted => "trusted",
            ClockTrust::Untrusted => "untrusted",
            ClockTrust::Unknown => "unknown",
        }
    }
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub mono: Mono,
    pub wall: Wall,
    pub trust: ClockTrust,
}

impl Moment {
    /// What the wall clock would have said at `mono`, by this moment's wall clock.
    pub fn wall_at(self, mono: Mono) -> Wall {
        if mono > self.mono {
            self.wall.after(mono.since(self.mono))
        } else {
            self.wall.before(self.mono.since(mono))
        }
    }
}

/// Milliseconds of a duration, at most `u64::MAX`.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A moment at 10:00 UTC on 29 November 2026, for tests.
#[cfg(test)]
pub fn test_moment(mono: Mono) -> Moment {
    Moment {
        mono,
        wall: Wall::from_second(1_795_946_400),
        trust: ClockTrust::Trusted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_prints_as_rfc_3339_to_the_second() {
        assert_eq!(Wall(1_761_854_400_999).to_string(), "2025-10-30T20:00:00Z");
        assert_eq!(Wall(-1).to_string(), "1969-12-31T23:59:59Z");
        assert_eq!(Wall(i64::MIN).to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Wall(i64::MAX).to_string(), "9999-12-30T22:00:00Z");
    }
}
