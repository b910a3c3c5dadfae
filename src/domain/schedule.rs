//! When a source is asked next.

use std::time::Duration;

use super::back_off::BackOff;
use crate::limits;

/// The wait from the start of one attempt to the start of the next.
///
/// After `failures_in_a_row` the interval doubles each time up to a cap, never below
/// `every`; a wait that the server ordered is kept. `jitter` is uniform in 0..1 and spreads
/// the waits by a tenth, so that nodes that start together do not ask together for ever.
pub fn next_wait(
    every: Duration,
    failures_in_a_row: u64,
    retry_after: Option<Duration>,
    jitter: f64,
) -> Duration {
    let back_off = BackOff {
        shortest: every,
        longest: limits::MAX_BACK_OFF.max(every),
    };
    let backed_off = back_off.pause(failures_in_a_row.saturating_sub(1));
    match (failures_in_a_row, retry_after) {
        // A plain interval is kept exactly: `every = "10s"` means 10 s.
        (0, None) => every,
        (_, ordered) => {
            let spread = backed_off.mul_f64(1.0 + 0.1 * jitter.clamp(0.0, 1.0));
            spread.max(ordered.unwrap_or_default().min(limits::MAX_RETRY_AFTER))
        }
    }
}

/// The wait until a response expires that is valid for `lifetime`; zero where `every` is longer.
pub fn expiry_wait(every: Duration, lifetime: Duration) -> Duration {
    let longest = every.saturating_mul(limits::MAX_EXPIRY_INTERVALS);
    let wait = lifetime.min(longest).min(limits::MAX_EXPIRY);
    if wait > every { wait } else { Duration::ZERO }
}

/// The wait before the first attempt: sources start at once, a few hundred milliseconds
/// apart, so that a node with many does not resolve and connect all in one instant.
pub fn first_wait(source: usize) -> Duration {
    Duration::from_millis(50).saturating_mul(u32::try_from(source).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_back_off_and_success_returns_to_the_interval() {
        let s = Duration::from_secs;
        for (every, failures, ordered, expected) in [
            (s(10), 0, None, s(10)),
            (s(10), 1, None, s(10)),
            (s(10), 2, None, s(20)),
            (s(10), 5, None, s(160)),
            (s(10), 50, None, s(900)),
            (s(3600), 9, None, s(3600)),
            (s(10), 1, Some(s(120)), s(120)),
            (s(10), 0, Some(s(120)), s(120)),
            (s(10), 1, Some(s(9_000_000)), s(86_400)),
        ] {
            assert_eq!(next_wait(every, failures, ordered, 0.0), expected);
        }
    }

    #[test]
    fn an_expiry_lengthens_the_interval_within_bounds() {
        let s = Duration::from_secs;
        for (every, lifetime, expected) in [
            (s(60), s(0), s(0)),
            (s(60), s(60), s(0)),
            (s(60), s(61), s(61)),
            (s(60), s(600), s(600)),
            (s(60), s(601), s(600)),
            (s(60), Duration::MAX, s(600)),
            (s(7_200), s(72_000), s(72_000)),
            (s(21_600), s(200_000), s(86_400)),
            (s(90_000), s(200_000), s(0)),
        ] {
            assert_eq!(
                expiry_wait(every, lifetime),
                expected,
                "{every:?} {lifetime:?}"
            );
        }
    }

    #[test]
    fn jitter_only_ever_lengthens() {
        let every = Duration::from_secs(100);
        assert_eq!(next_wait(every, 1, None, 1.0), Duration::from_secs(110));
        assert_eq!(next_wait(every, 0, None, 1.0), every);
    }
}
