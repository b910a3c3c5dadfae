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

/// A duration for people: `8 s`, `23 min`, `5 h 12 min`, `3 days`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => {
            let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
            match minutes {
                0 => format!("{hours} h"),
                _ => format!("{hours} h {minutes} min"),
            }
        }
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Reads a duration as the configuration spells it: `30s`, `5m`, `1h`, `2d`, `500ms`, and
/// sums such as `1h30m`. `None` for anything else, zero included.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit_ms: u64 = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        rest = &rest[letters..];
        total_ms = total_ms.checked_add(count.checked_mul(unit_ms)?)?;
    }
    (total_ms > 0).then(|| Duration::from_millis(total_ms))
}

/// The configuration's spelling of a duration, the inverse of [`parse_duration`].
pub fn format_duration(duration: Duration) -> String {
    let mut rest = millis(duration);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, unit_ms) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        if rest >= unit_ms {
            text += &format!("{}{unit}", rest / unit_ms);
            rest %= unit_ms;
        }
    }
    text
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

    #[test]
    fn durations_are_read_as_the_configuration_spells_them() {
        for (text, expected_ms) in [
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("1h30m", Some(5_400_000)),
            ("2d", Some(172_800_000)),
            ("250ms", Some(250)),
            ("", None),
            ("0s", None),
            ("5", None),
            ("m", None),
            ("5 m", None),
            ("-5m", None),
            ("99999999999999999999s", None),
            ("9999999999999999d", None),
        ] {
            let read = parse_duration(text).map(millis);
            assert_eq!(read, expected_ms, "{text:?}");
            if let Some(duration) = parse_duration(text) {
                assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
            }
        }
    }

    #[test]
    fn durations_in_words() {
        for (seconds, expected) in [
            (8, "8 s"),
            (120, "2 min"),
            (1_399, "23 min"),
            (7_200, "2 h"),
            (18_720, "5 h 12 min"),
            (300_000, "3 days"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), expected);
        }
    }
}
