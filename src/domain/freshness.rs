//! Age and staleness of values: the one place that decides.
//!
//! Age runs on monotonic time from the receipt that first delivered the value. What the
//! value was already worth at that receipt (its lag) counts only where the source
//! gives its own time and the wall clock of the node was trusted. So a wall clock that
//! jumps makes nothing fresh and nothing stale.

use std::time::Duration;

use super::time::{ClockTrust, Moment, Mono, Wall};
use crate::limits;

/// When a value was observed and how its age is reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The time that the source gives, else the time of receipt.
    pub observed: Wall,
    /// Whether `observed` was given by the source.
    pub has_source_time: bool,
    /// The source's own time, ahead of ours while ours was not trusted: which of them
    /// is wrong is known when ours can be.
    pending_source_time: Option<Wall>,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Delivered in this boot: age goes on from `receipt`, beginning with `lag`.
    Received { receipt: Moment, lag: Duration },
    /// Read from the database after a reboot: of unknown age until the clock is trusted.
    Restored,
    /// From an earlier boot whose clock was not trusted: the age cannot be known.
    UnknownAge,
}

impl Stamp {
    /// A value that a response just delivered. `own` is the source's own time; one that is
    /// ahead of our clock is not trusted, and then the receipt's counts.
    pub fn received(receipt: Moment, own: Option<Wall>) -> Stamp {
        let source_time = own.filter(|own| !is_ahead(*own, receipt.wall));
        let is_trusted = receipt.trust.is_trusted();
        let lag = match source_time {
            Some(observed) if is_trusted => receipt.wall.since(observed),
            _ => Duration::ZERO,
        };
        Stamp {
            observed: source_time.unwrap_or(receipt.wall),
            has_source_time: source_time.is_some(),
            pending_source_time: own.filter(|_| source_time.is_none() && !is_trusted),
            origin: Origin::Received { receipt, lag },
        }
    }

    /// A value from the database that an earlier run of this same boot received, already
    /// `lag` old, at `receipt`: its age goes on.
    pub fn carried_over(observed: Wall, own_time: bool, receipt: Mono, lag: Duration) -> Stamp {
        let receipt = Moment {
            mono: receipt,
            wall: observed.after(lag),
            trust: ClockTrust::Trusted,
        };
        Stamp {
            observed,
            has_source_time: own_time,
            pending_source_time: None,
            origin: Origin::Received { receipt, lag },
        }
    }

    /// A value from the database of an earlier boot.
    pub fn restored(observed: Wall, own_time: bool) -> Stamp {
        Stamp {
            observed,
            has_source_time: own_time,
            pending_source_time: None,
            origin: Origin::Restored,
        }
    }

    /// A value from the database of an earlier boot whose clock was not trusted: stale
    /// until a new observation replaces it.
    pub fn unknown_age(observed: Wall, own_time: bool) -> Stamp {
        Stamp {
            observed,
            has_source_time: own_time,
            pending_source_time: None,
            origin: Origin::UnknownAge,
        }
    }

    /// Whether the wall clock was trusted when the value was received, or has been
    /// set right since: only then do `observed` (without a time of the source's own) and
    /// the lag hold.
    pub fn has_trusted_time(&self) -> bool {
        match self.origin {
            Origin::Received { receipt, .. } => receipt.trust.is_trusted(),
            Origin::Restored => true,
            Origin::UnknownAge => false,
        }
    }

    /// The age of the value; `None` while it cannot be known.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        match self.origin {
            Origin::Received { receipt, lag } => Some(lag + now.mono.since(receipt.mono)),
            Origin::Restored if now.trust.is_trusted() && !self.is_ahead_of(now) => {
                Some(now.wall.since(self.observed))
            }
            Origin::Restored | Origin::UnknownAge => None,
        }
    }

    /// Whether the clock that stamped this was ahead, the node's own or the source's, by what
    /// the node's says now.
    fn is_ahead_of(&self, now: Moment) -> bool {
        is_ahead(self.observed, now.wall)
    }

    /// Whether both are one observation that its source dates itself.
    pub fn is_same_observation(&self, other: &Stamp) -> bool {
        let own = |stamp: &Stamp| {
            stamp
                .pending_source_time
                .or(stamp.has_source_time.then_some(stamp.observed))
        };
        own(self).is_some() && own(self) == own(other)
    }

    /// Whether the value is older than `stale_after`, or of unknown age.
    pub fn is_stale(&self, stale_after: Duration, now: Moment) -> bool {
        self.age(now).is_none_or(|age| age > stale_after)
    }

    /// When a value that is fresh now turns stale if nothing renews it; `None` if it is
    /// stale already.
    pub fn stale_at(&self, stale_after: Duration, now: Moment) -> Option<Mono> {
        let age = self.age(now).filter(|age| *age <= stale_after)?;
        // One millisecond past the bound, because at the bound it is still fresh.
        Some(now.mono.after(stale_after - age + Duration::from_millis(1)))
    }

    /// The monotonic receipt and the lag then, for a later run of the same boot.
    pub fn receipt(&self) -> Option<(Mono, Duration)> {
        match self.origin {
            Origin::Received { receipt, lag } => Some((receipt.mono, lag)),
            Origin::Restored | Origin::UnknownAge => None,
        }
    }

    /// Corrects what was stamped by an untrusted clock, once the clock is trusted:
    /// receipts get the wall time that they really had, restored values their true age.
    pub fn apply_trusted_clock(&mut self, now: Moment) {
        if !now.trust.is_trusted() {
            return;
        }
        match &mut self.origin {
            Origin::Received { receipt, lag } if !receipt.trust.is_trusted() => {
                receipt.wall = now.wall_at(receipt.mono);
                receipt.trust = ClockTrust::Trusted;
                let said = self.has_source_time.then_some(self.observed);
                let own = self.pending_source_time.take().or(said);
                let own = own.filter(|own| !is_ahead(*own, receipt.wall));
                self.has_source_time = own.is_some();
                self.observed = own.unwrap_or(receipt.wall);
                *lag = receipt.wall.since(self.observed);
            }
            Origin::Received { .. } | Origin::UnknownAge => {}
            Origin::Restored => {
                self.origin = Origin::Received {
                    receipt: now,
                    lag: now.wall.since(self.observed),
                };
            }
        }
    }

    /// Corrects what a clock stamped that was ahead, the node's own or a source's: within this boot the
    /// receipt says when that was, otherwise it is only known to be before now. `now`
    /// must be filtered: a clock that jumps back for a moment corrects nothing.
    pub fn correct_if_ahead(&mut self, now: Moment) {
        if !now.trust.is_trusted() || !self.is_ahead_of(now) {
            return;
        }
        self.has_source_time = false;
        match &mut self.origin {
            Origin::Received { receipt, .. } => {
                receipt.wall = now.wall_at(receipt.mono);
                receipt.trust = ClockTrust::Trusted;
                self.observed = receipt.wall;
            }
            Origin::Restored | Origin::UnknownAge => {
                self.observed = now.wall;
                self.origin = Origin::UnknownAge;
            }
        }
    }

    /// A 304, or the same observation delivered again: with the source's own time nothing
    /// is renewed; without it, the response confirms that the value still holds.
    pub fn renew(&mut self, receipt: Moment) {
        if !self.has_source_time && self.pending_source_time.is_none() {
            *self = Stamp::received(receipt, None);
        }
    }
}

/// Whether `time` is further ahead of our clock than clocks that are right differ.
pub fn is_ahead(time: Wall, ours: Wall) -> bool {
    time > ours.after(limits::CLOCK_TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const T0: i64 = 1_761_854_400_000;

    fn at(mono_ms: u64, wall_ms: i64, trust: ClockTrust) -> Moment {
        Moment {
            mono: Mono(mono_ms),
            wall: Wall(wall_ms),
            trust,
        }
    }

    fn trusted(ms: u64) -> Moment {
        at(ms, T0 + ms as i64, ClockTrust::Trusted)
    }

    /// The time rules as a table: a stamp, a moment, the age in ms that rules then.
    #[test]
    fn age_by_the_time_rules() {
        use ClockTrust::*;
        let own = |ms: i64| Some(Wall(T0 + ms));
        let settled = |mut stamp: Stamp, now| {
            stamp.apply_trusted_clock(now);
            stamp
        };
        let corrected = |mut stamp: Stamp, now| {
            stamp.correct_if_ahead(now);
            stamp.apply_trusted_clock(now);
            stamp
        };
        let renewed = |mut stamp: Stamp, receipt| {
            stamp.renew(receipt);
            stamp
        };
        let rows: [(&str, Stamp, Moment, Option<u64>); 21] = [
            (
                "without a time of its own, age starts at the receipt",
                Stamp::received(trusted(1_000), None),
                trusted(6_000),
                Some(5_000),
            ),
            (
                "with one, the lag at the receipt counts too",
                Stamp::received(trusted(10_000), own(4_000)),
                trusted(12_000),
                Some(8_000),
            ),
            (
                "a source ahead of us is not younger than new",
                Stamp::received(trusted(1_000), own(9_000)),
                trusted(2_000),
                Some(1_000),
            ),
            (
                "under an untrusted clock the lag is not trusted",
                Stamp::received(at(1_000, 0, Untrusted), own(0)),
                at(3_000, 2_000, Untrusted),
                Some(2_000),
            ),
            (
                "nor under an unknown one",
                Stamp::received(at(1_000, T0 + HOUR as i64, Unknown), own(0)),
                at(3_000, T0, Unknown),
                Some(2_000),
            ),
            (
                "until the clock is set: then it counts",
                settled(
                    Stamp::received(at(1_000, 0, Untrusted), own(-9_000)),
                    trusted(3_000),
                ),
                trusted(3_000),
                Some(12_000),
            ),
            (
                "a receipt under an untrusted clock keeps its age when the clock is set",
                settled(
                    Stamp::received(at(1_000, 0, Untrusted), None),
                    trusted(3_000),
                ),
                trusted(3_000),
                Some(2_000),
            ),
            (
                "a jump of the wall clock forward by years ages nothing",
                Stamp::received(trusted(1_000), None),
                at(2_000, T0 + 100_000 * HOUR as i64, Trusted),
                Some(1_000),
            ),
            (
                "a jump back renews nothing",
                Stamp::received(trusted(1_000), own(0)),
                at(9_000, 0, Trusted),
                Some(9_000),
            ),
            (
                "a monotonic clock never runs back, but if it did, age stays at the lag",
                Stamp::received(trusted(5_000), None),
                trusted(1_000),
                Some(0),
            ),
            (
                "a 304 renews what has no time of its own",
                renewed(Stamp::received(trusted(1_000), None), trusted(8_000)),
                trusted(9_000),
                Some(1_000),
            ),
            (
                "a 304 renews nothing that has one",
                renewed(Stamp::received(trusted(1_000), own(1_000)), trusted(8_000)),
                trusted(9_000),
                Some(8_000),
            ),
            (
                "restored, the clock untrusted: its age is unknown",
                Stamp::restored(Wall(T0), false),
                at(1_000, 5_000, Untrusted),
                None,
            ),
            (
                "restored, the clock unknown: its age is unknown",
                Stamp::restored(Wall(T0), true),
                at(1_000, T0, Unknown),
                None,
            ),
            (
                "restored, the clock trusted: the true age",
                Stamp::restored(Wall(T0), false),
                trusted(HOUR),
                Some(HOUR),
            ),
            (
                "restored and settled, a later jump changes nothing",
                settled(Stamp::restored(Wall(T0), false), trusted(HOUR)),
                at(HOUR + 1, 0, Trusted),
                Some(HOUR + 1),
            ),
            (
                "restored from a boot whose clock was wrong: its age stays unknown",
                settled(Stamp::unknown_age(Wall(T0), false), trusted(HOUR)),
                trusted(HOUR),
                None,
            ),
            (
                "restored, stamped by a clock that was ahead: its age is unknown",
                Stamp::restored(Wall(T0 + 2 * HOUR as i64), false),
                trusted(HOUR),
                None,
            ),
            (
                "nor when it is corrected",
                corrected(
                    Stamp::restored(Wall(T0 + 2 * HOUR as i64), false),
                    trusted(HOUR),
                ),
                trusted(3 * HOUR),
                None,
            ),
            (
                "nor where it was the source's clock",
                Stamp::restored(Wall(T0 + 2 * HOUR as i64), true),
                trusted(HOUR),
                None,
            ),
            (
                "restored within the same boot, age goes on whatever the clock says",
                Stamp::carried_over(Wall(T0), true, Mono(1_000), Duration::from_secs(3)),
                at(5_000, 0, Untrusted),
                Some(7_000),
            ),
        ];
        for (rule, stamp, now, expected_ms) in rows {
            let age_ms = stamp.age(now).map(super::super::time::millis);
            assert_eq!(age_ms, expected_ms, "{rule}");
        }
    }

    #[test]
    fn a_clock_that_is_set_stamps_what_came_before() {
        let mut stamp = Stamp::received(at(1_000, 77, ClockTrust::Untrusted), None);
        stamp.apply_trusted_clock(trusted(3_000));
        assert_eq!(stamp.observed, Wall(T0 + 1_000));
        let mut own = Stamp::received(at(1_000, 77, ClockTrust::Untrusted), Some(Wall(T0)));
        own.apply_trusted_clock(trusted(3_000));
        assert_eq!(
            own.observed,
            Wall(T0),
            "the source's own time stays its own"
        );
    }

    #[test]
    fn a_clock_that_was_ahead_leaves_nothing_in_the_future() {
        let ahead = T0 + 8_760 * HOUR as i64;
        let same_boot = Stamp::carried_over(Wall(ahead), false, Mono(1_000), Duration::ZERO);
        for (case, mut stamp, expected) in [
            ("in this boot", same_boot, T0 + 1_000),
            (
                "in an earlier one",
                Stamp::restored(Wall(ahead), false),
                T0 + 5_000,
            ),
            (
                "not trusted then",
                Stamp::unknown_age(Wall(ahead), false),
                T0 + 5_000,
            ),
            (
                "a source's own",
                Stamp::restored(Wall(ahead), true),
                T0 + 5_000,
            ),
        ] {
            stamp.correct_if_ahead(trusted(5_000));
            stamp.apply_trusted_clock(trusted(5_000));
            assert_eq!(stamp.observed, Wall(expected), "{case}");
        }
    }

    #[test]
    fn stale_past_the_bound_and_not_at_it() {
        let bound = Duration::from_secs(30);
        let stamp = Stamp::received(trusted(0), None);
        assert!(!stamp.is_stale(bound, trusted(30_000)));
        assert!(stamp.is_stale(bound, trusted(30_001)));
        assert_eq!(stamp.stale_at(bound, trusted(10_000)), Some(Mono(30_001)));
        assert_eq!(stamp.stale_at(bound, trusted(30_001)), None);
        let unknown = Stamp::restored(Wall(T0), false);
        assert!(unknown.is_stale(bound, at(0, T0, ClockTrust::Unknown)));
    }

    #[test]
    fn a_delivered_value_can_be_stale_at_once() {
        let stamp = Stamp::received(trusted(3 * HOUR), Some(Wall(T0)));
        assert!(stamp.is_stale(Duration::from_secs(3600), trusted(3 * HOUR)));
    }
}
