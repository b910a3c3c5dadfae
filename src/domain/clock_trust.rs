//! Trust in the wall clock by the `Date` header of HTTP servers, where the
//! kernel has nothing to say.
//!
//! Two servers that agree with it are enough, or one that goes on agreeing. Every agreement
//! is with the clock as it was set then: when wall and monotonic time have parted since by
//! more than [`limits::CLOCK_TOLERANCE`], the clock was set, and the trust
//! ends.

use super::time::{ClockTrust, Moment, Mono, Wall};
use crate::limits;

/// The reason why the wall clock is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedBy {
    Kernel,
    /// The marker of systemd-timesyncd.
    Timesyncd,
    HttpDate,
    Demo,
}

impl TrustedBy {
    pub fn name(self) -> &'static str {
        match self {
            TrustedBy::Kernel => "kernel",
            TrustedBy::Timesyncd => "timesyncd",
            TrustedBy::HttpDate => "http_date",
            TrustedBy::Demo => "demo",
        }
    }
}

/// Dates of servers, and whether they agree with the wall clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerTrust {
    peers: Vec<Peer>,
    /// The reading that servers last agreed with.
    agreed: Option<Moment>,
    is_trusted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Peer {
    host: Box<str>,
    /// When it first agreed, and how often it has.
    first: Mono,
    dates: u32,
}

impl PeerTrust {
    /// Takes the `Date` of an answer that came just now, not from a cache and not from this
    /// machine. `now.trust` does not matter.
    pub fn record_date(&mut self, host: &str, date: Wall, now: Moment) {
        self.is_trusted(now);
        let known = self.peers.iter().position(|peer| &*peer.host == host);
        if difference(date, now.wall) {
            if let Some(known) = known {
                self.peers.remove(known);
            }
            return;
        }
        self.agreed = Some(Moment {
            trust: ClockTrust::Trusted,
            ..now
        });
        match known {
            Some(known) => self.peers[known].dates = self.peers[known].dates.saturating_add(1),
            None if self.peers.len() < limits::CLOCK_PEERS => self.peers.push(Peer {
                host: host.into(),
                first: now.mono,
                dates: 1,
            }),
            None => {}
        }
        let is_steady = |peer: &Peer| {
            peer.dates >= limits::CLOCK_PEER_DATES
                && now.mono.since(peer.first) >= limits::CLOCK_PEER_PERIOD
        };
        self.is_trusted |= self.peers.len() >= 2 || self.peers.iter().any(is_steady);
    }

    /// Whether servers confirm the clock as it is now.
    pub fn is_trusted(&mut self, now: Moment) -> bool {
        if self
            .agreed
            .is_some_and(|agreed| difference(agreed.wall_at(now.mono), now.wall))
        {
            *self = PeerTrust::default();
        }
        self.is_trusted
    }
}

fn difference(one: Wall, other: Wall) -> bool {
    one.since(other).max(other.since(one)) > limits::CLOCK_TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_780_272_000;

    /// Both clocks after `second` seconds, the wall clock `ahead` of what it should be.
    fn at(second: u64, ahead: i64) -> Moment {
        Moment {
            mono: Mono(second * 1_000),
            wall: Wall::from_second(T0 + second as i64 + ahead),
            trust: ClockTrust::Untrusted,
        }
    }

    fn right(second: u64) -> Wall {
        at(second, 0).wall
    }

    /// Who answered rightly and when; how far the clock is ahead then.
    fn check(case: &str, dates: &[(&str, u64, i64)], expected: bool) {
        let mut trust = PeerTrust::default();
        for (host, second, ahead) in dates {
            trust.record_date(host, right(*second), at(*second, *ahead));
        }
        let (_, second, ahead) = dates.last().copied().unwrap_or_default();
        assert_eq!(trust.is_trusted(at(second, ahead)), expected, "{case}");
    }

    #[test]
    fn servers_vouch_by_these_rules() {
        check("no server", &[], false);
        check("one", &[("a", 0, 0)], false);
        check("two that agree", &[("a", 0, 0), ("b", 1, 0)], true);
        check("within five minutes", &[("a", 0, 300), ("b", 1, 300)], true);
        check("not within", &[("a", 0, 301), ("b", 1, 301)], false);
        check("behind", &[("a", 0, -301), ("b", 1, -301)], false);
        check("one of two", &[("a", 0, 0), ("a", 1, 0)], false);
        check(
            "one, three times in half an hour",
            &[("a", 0, 0), ("a", 900, 0), ("a", 1_800, 0)],
            true,
        );
        check(
            "one, three times, too soon",
            &[("a", 0, 0), ("a", 900, 0), ("a", 1_799, 0)],
            false,
        );
        check("one, twice", &[("a", 0, 0), ("a", 1_800, 0)], false);
        check(
            "a jump between the two",
            &[("a", 0, 0), ("b", 60, 86_400), ("b", 120, 0)],
            false,
        );
        check(
            "a clock that is set between disagreeing and agreeing",
            &[
                ("a", 0, -9_000),
                ("b", 1, -9_000),
                ("a", 60, 0),
                ("b", 61, 0),
            ],
            true,
        );
    }

    #[test]
    fn trust_ends_when_wall_and_monotonic_time_part() {
        for (ahead, expected) in [
            (300, true),
            (301, false),
            (-301, false),
            (3_650 * 86_400, false),
        ] {
            let mut trust = PeerTrust::default();
            trust.record_date("a", right(0), at(0, 0));
            trust.record_date("b", right(1), at(1, 0));
            assert!(trust.is_trusted(at(40 * 86_400, 0)), "it lasts");
            assert_eq!(
                trust.is_trusted(at(50 * 86_400, ahead)),
                expected,
                "{ahead}"
            );
            assert_eq!(
                trust.is_trusted(at(50 * 86_400, 0)),
                expected,
                "it must be earned anew"
            );
        }
    }

    #[test]
    fn a_clock_that_creeps_and_is_confirmed_stays_trusted() {
        let mut trust = PeerTrust::default();
        trust.record_date("b", right(0), at(0, 0));
        for day in 0..100 {
            trust.record_date(
                "a",
                at(day * 86_400, day as i64 * 100).wall,
                at(day * 86_400, day as i64 * 100),
            );
        }
        assert!(trust.is_trusted(at(100 * 86_400, 9_950)));
    }

    #[test]
    fn servers_are_not_remembered_without_end() {
        let mut trust = PeerTrust::default();
        for host in 0..1_000 {
            trust.record_date(&host.to_string(), right(host), at(host, 0));
        }
        assert_eq!(trust.peers.len(), limits::CLOCK_PEERS);
    }
}
