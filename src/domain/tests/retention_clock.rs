use super::*;
use crate::domain::time::ClockTrust;

const DAY: i64 = 86_400;
/// 2026-06-01T00:00:00Z.
const T0: i64 = 1_780_272_000;

fn at(mono: i64, wall: i64) -> Moment {
    Moment {
        mono: Mono(mono.unsigned_abs() * 1_000),
        wall: Wall::from_second(wall),
        trust: ClockTrust::Trusted,
    }
}

fn saved(time: i64, boot: &str, mono: i64) -> RetentionClock {
    RetentionClock {
        time: Wall::from_second(time),
        boot: boot.to_owned(),
        mono: at(mono, 0).mono,
    }
}

/// Seconds between the clock and `T0`.
fn time(clock: &RetentionClock) -> i64 {
    clock.time.second() - T0
}

#[test]
fn it_follows_the_wall_clock_by_these_rules() {
    let long_ago = Some(Wall::from_second(T0 - 3_650 * DAY));
    for (case, clock, boot, now, harmless, expected) in [
        (
            "in step",
            saved(T0, "b", 0),
            "b",
            at(60, T0 + 60),
            long_ago,
            60,
        ),
        (
            "back at once",
            saved(T0, "b", 0),
            "b",
            at(60, T0 - 900 * DAY),
            long_ago,
            -900 * DAY,
        ),
        (
            "a leap ahead: twice the time",
            saved(T0, "b", 0),
            "b",
            at(60, T0 + 900 * DAY),
            long_ago,
            120,
        ),
        (
            "a long time without trust, then a leap",
            saved(T0, "b", 0),
            "b",
            at(30 * DAY, T0 + 900 * DAY),
            long_ago,
            31 * DAY,
        ),
        (
            "a month without trust",
            saved(T0, "b", 0),
            "b",
            at(30 * DAY, T0 + 30 * DAY),
            long_ago,
            30 * DAY,
        ),
        (
            "a new boot after a night",
            saved(T0, "a", 99),
            "b",
            at(60, T0 + 30_000),
            long_ago,
            30_000,
        ),
        (
            "a new boot after a year",
            saved(T0, "a", 99),
            "b",
            at(60, T0 + 365 * DAY),
            long_ago,
            DAY + 120,
        ),
        (
            "a new boot, behind",
            saved(T0, "a", 99),
            "b",
            at(60, T0 - DAY),
            long_ago,
            -DAY,
        ),
        (
            "no name of the boot, the counter went on",
            saved(T0, "", 100),
            "",
            at(160, T0 + DAY),
            long_ago,
            120,
        ),
        (
            "no name of the boot, the counter began anew",
            saved(T0, "", 100),
            "",
            at(60, T0 + DAY),
            long_ago,
            0,
        ),
        (
            "the name of the boot is lost",
            saved(T0, "a", 100),
            "",
            at(160, T0 + DAY),
            long_ago,
            120,
        ),
        (
            "nothing would be deleted",
            saved(T0, "b", 0),
            "b",
            at(60, T0 + 900 * DAY),
            Some(Wall::from_second(T0 + 20 * DAY)),
            20 * DAY,
        ),
        (
            "nor is it ahead of the wall clock then",
            saved(T0, "b", 0),
            "b",
            at(60, T0 + 60),
            Some(Wall::from_second(T0 + 20 * DAY)),
            60,
        ),
        (
            "there are no rows",
            saved(T0, "b", 0),
            "b",
            at(60, T0 + 900 * DAY),
            None,
            900 * DAY,
        ),
    ] {
        assert_eq!(
            time(&clock.advance(boot, now, harmless)),
            expected,
            "{case}"
        );
    }
    for trust in [ClockTrust::Untrusted, ClockTrust::Unknown] {
        let now = Moment {
            trust,
            ..at(60, T0 + 60)
        };
        let clock = saved(T0, "b", 0);
        assert_eq!(
            clock.advance("b", now, None),
            clock,
            "{trust:?} moves nothing"
        );
    }
}

#[test]
fn a_database_without_one_begins_where_nothing_is_due() {
    let day = |day: i64| Some(Wall::from_second(T0 + day * DAY));
    for (case, newest, harmless, boot, wall, expected) in [
        ("no rows", None, None, "b", 900 * DAY, 900 * DAY),
        ("in step", day(0), day(-5), "b", 60, 60),
        (
            "ahead: a day past the newest row",
            day(0),
            day(-5),
            "b",
            900 * DAY,
            DAY,
        ),
        (
            "or past what keeps every row",
            day(0),
            day(5),
            "b",
            900 * DAY,
            6 * DAY,
        ),
        (
            "without a name of the boot",
            day(0),
            day(-5),
            "",
            900 * DAY,
            0,
        ),
        (
            "rows of an untrusted clock alone",
            None,
            day(-9),
            "b",
            0,
            -8 * DAY,
        ),
    ] {
        let clock = RetentionClock::new(newest, boot, at(5 * DAY, T0 + wall), harmless);
        assert_eq!(time(&clock), expected, "{case}");
    }
}

#[test]
fn what_is_saved_is_read_again() {
    for clock in [saved(T0, "5f0c-11", 77), saved(-5, "", 0)] {
        assert_eq!(RetentionClock::parse(&clock.to_text()), Some(clock));
    }
    for text in ["", "1 b", "1 b x", "1 b 2 3", "x b 2"] {
        assert_eq!(RetentionClock::parse(text), None, "{text:?}");
    }
}

/// A node as far as retention goes: rows every hour, of which those go whose time is over.
struct Node {
    rows: std::collections::BTreeSet<i64>,
    saved: RetentionClock,
    clock: RetentionClock,
    mono: i64,
    boot: u64,
}

const KEPT: i64 = 30 * DAY;

impl Node {
    fn new() -> Node {
        let clock = saved(T0, "0", 0);
        Node {
            rows: std::iter::once(T0).collect(),
            saved: clock.clone(),
            clock,
            mono: 0,
            boot: 0,
        }
    }

    /// A row is stored at `real`, while the wall clock says `wall`.
    fn turn(&mut self, passed: i64, real: i64, wall: i64) {
        self.mono += passed;
        let first = self.rows.first().copied();
        let harmless = first.map(|first| Wall::from_second(first + KEPT));
        let boot = self.boot.to_string();
        self.clock = self.clock.advance(&boot, at(self.mono, wall), harmless);
        assert!(self.clock.time <= Wall::from_second(wall), "never ahead");
        if self.clock.is_worth_saving(&self.saved) {
            self.saved = self.clock.clone();
        }
        let oldest = self.clock.time.second() - KEPT;
        self.rows = self.rows.split_off(&oldest);
        self.rows.insert(real);
    }

    fn restart(&mut self, is_boot: bool) {
        self.clock = self.saved.clone();
        if is_boot {
            self.boot += 1;
            self.mono = 0;
        }
    }
}

#[test]
fn a_clock_that_jumps_twenty_times_costs_a_day_at_most_each_time() {
    let mut dice = fastrand::Rng::with_seed(0x5eed);
    for round in 0..20 {
        let mut node = Node::new();
        let mut real = T0;
        for _ in 0..40 * 24 {
            real += 3_600;
            node.turn(3_600, real, real);
        }
        assert_eq!(node.rows.len(), 30 * 24 + 1);
        let mut costs = 0;
        for _ in 0..20 {
            let years = dice.i64(-10..100);
            let wrong = years * 365 * DAY + dice.i64(0..365 * DAY);
            let before = node.rows.first().copied().expect("rows");
            for _ in 0..dice.u8(1..6) {
                real += 60;
                node.turn(60, real, real + wrong);
                costs += 2 * 60;
            }
            // What was not saved yet, up to an hour, counts once more after a restart.
            costs += 3_600;
            match dice.u8(0..3) {
                0 => node.restart(false),
                1 => {
                    node.restart(true);
                    costs += DAY;
                    real += 60;
                    node.turn(30, real, real + wrong);
                }
                _ => {}
            }
            real += 3_600;
            node.turn(3_600, real, real);
            let after = node.rows.first().copied().expect("rows");
            let due = (real - KEPT).max(before);
            assert!(after <= due + costs + 7_200, "round {round}");
            assert!(node.clock.time.second() >= real - 2 * DAY, "it is back");
        }
        assert!(
            node.rows
                .first()
                .is_some_and(|first| *first <= real - KEPT + 21 * DAY)
        );
        assert!(node.rows.contains(&real), "storing goes on");
    }
}

#[test]
fn years_with_daily_boots_delete_what_is_due() {
    let mut node = Node::new();
    let mut real = T0;
    for _ in 0..4 * 365 {
        for _ in 0..8 {
            real += 3_600;
            node.turn(3_600, real, real);
        }
        real += 16 * 3_600;
        node.restart(true);
    }
    assert_eq!(node.clock.time.second(), real - 16 * 3_600);
    assert!(
        node.rows
            .first()
            .is_some_and(|first| *first >= real - KEPT - DAY)
    );
    // A year in a drawer: a day at once, then a day each day.
    let left = node.rows.len();
    real += 365 * DAY;
    node.turn(60, real, real);
    assert!(node.rows.len() > left - 20, "{} of {left}", node.rows.len());
    for _ in 0..32 * 24 {
        real += 3_600;
        node.turn(3_600, real, real);
    }
    assert!(
        node.rows
            .first()
            .is_some_and(|first| *first >= real - KEPT - 3 * DAY)
    );
    assert_eq!(
        node.clock.time.second(),
        real,
        "when the old rows have gone it is in step"
    );
}
