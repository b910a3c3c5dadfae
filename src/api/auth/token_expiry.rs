//! Expiry of a token: by the monotonic clock while the machine runs, by the wall clock after a
//! reboot, and only where that can be believed.
//!
//! Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::time::{Moment, Mono, Wall, millis};
use crate::limits;

/// When a token expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenExpiry {
    /// The server does not say it: when it is refused.
    Unknown,
    /// The token is of an earlier run, and the clock cannot tell.
    Unverified,
    At {
        /// A renewal before this is early.
        renew: Mono,
        end: Mono,
    },
}

impl TokenExpiry {
    pub fn after(lifetime: Duration, now: Moment) -> TokenExpiry {
        let end = now.mono.after(lifetime);
        let margin = limits::TOKEN_MARGIN.min(lifetime / 10);
        TokenExpiry::At {
            renew: now.mono.after(lifetime - margin),
            end,
        }
    }

    /// Whether a token is to be renewed before it is used.
    pub fn is_due(self, now: Mono) -> bool {
        matches!(self, TokenExpiry::At { renew, .. } if now >= renew)
    }

    pub fn is_over(self, now: Mono) -> bool {
        matches!(self, TokenExpiry::At { end, .. } if now >= end)
    }
}

/// An expiry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredExpiry {
    pub lifetime_s: u64,
    /// Of the wall clock, in seconds since the Unix epoch; missing where it was not trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// The boot of which the following is.
    #[serde(default)]
    pub boot_id: String,
    pub boottime_ms: u64,
}

impl StoredExpiry {
    pub fn after(lifetime: Duration, now: Moment, boot_id: &str) -> StoredExpiry {
        let at = now.wall.after(lifetime).second();
        StoredExpiry {
            lifetime_s: lifetime.as_secs(),
            at: now.trust.is_trusted().then_some(at),
            boot_id: boot_id.to_owned(),
            boottime_ms: now.mono.after(lifetime).0,
        }
    }

    pub fn restore(&self, now: Moment, boot_id: &str) -> TokenExpiry {
        let lifetime = Duration::from_secs(self.lifetime_s);
        let margin = limits::TOKEN_MARGIN.min(lifetime / 10);
        let left = if !boot_id.is_empty() && self.boot_id == boot_id {
            Mono(self.boottime_ms).since(now.mono)
        } else {
            match self.at {
                Some(at) if now.trust.is_trusted() => Wall::from_second(at).since(now.wall),
                _ => return TokenExpiry::Unverified,
            }
        };
        // More than the whole lifetime is left: the clock went back, or the file is of another time.
        if millis(left) > millis(lifetime).saturating_add(1_000) {
            return TokenExpiry::Unverified;
        }
        TokenExpiry::At {
            renew: now.mono.after(left.saturating_sub(margin)),
            end: now.mono.after(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{ClockTrust, test_moment};

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_token_is_renewed_half_a_minute_or_a_tenth_of_its_lifetime_before_its_end() {
        for (lifetime_s, renew_ms) in [(3_600, 3_570_000), (60, 54_000), (1, 900), (0, 0)] {
            let now = test_moment(Mono(1_000));
            let expiry = TokenExpiry::after(Duration::from_secs(lifetime_s), now);
            let at = |ms| Mono(1_000 + ms);
            assert!(expiry.is_due(at(renew_ms)), "{lifetime_s}");
            assert!(
                renew_ms == 0 || !expiry.is_due(at(renew_ms - 1)),
                "{lifetime_s}"
            );
            assert!(expiry.is_over(at(lifetime_s * 1_000)), "{lifetime_s}");
            assert!(lifetime_s == 0 || !expiry.is_over(at(lifetime_s * 1_000 - 1)));
        }
        for never in [TokenExpiry::Unknown, TokenExpiry::Unverified] {
            assert!(!never.is_due(Mono(u64::MAX)) && !never.is_over(Mono(u64::MAX)));
        }
    }

    #[test]
    fn a_stored_expiry_is_believed_by_the_boot_or_by_a_trusted_clock() {
        let begun = test_moment(Mono(1_000_000));
        let stored = StoredExpiry::after(HOUR, begun, "boot");
        let later = |wall_s: i64, mono_s: u64, trust| Moment {
            wall: Wall::from_second(begun.wall.second() + wall_s),
            mono: Mono(mono_s * 1_000),
            trust,
        };
        let left = |boot: &str, now: Moment| match stored.restore(now, boot) {
            TokenExpiry::At { end, .. } => Some(end.since(now.mono).as_secs()),
            TokenExpiry::Unverified => None,
            TokenExpiry::Unknown => panic!("it is known"),
        };
        let (trusted, untrusted) = (ClockTrust::Trusted, ClockTrust::Untrusted);
        const YEAR: i64 = 31_536_000;
        for (boot, wall_s, mono_s, trust, expected) in [
            ("boot", 600, 1_600, trusted, Some(3_000)),
            // Within one boot the wall clock does not count.
            ("boot", YEAR, 1_600, trusted, Some(3_000)),
            ("boot", -YEAR, 1_600, untrusted, Some(3_000)),
            ("boot", 9_999, 9_999, trusted, Some(0)),
            ("other", 600, 20, trusted, Some(3_000)),
            ("other", 9_999, 20, trusted, Some(0)),
            ("other", 600, 20, untrusted, None),
            ("other", 600, 20, ClockTrust::Unknown, None),
            ("other", -YEAR, 20, trusted, None),
            ("", 600, 20, untrusted, None),
        ] {
            let now = later(wall_s, mono_s, trust);
            assert_eq!(
                left(boot, now),
                expected,
                "{boot} {wall_s} {mono_s} {trust:?}"
            );
        }
        // Got with a wrong clock: no wall time is stored.
        let wrong = Moment {
            trust: untrusted,
            ..begun
        };
        assert_eq!(StoredExpiry::after(HOUR, wrong, "boot").at, None);
    }
}
