//! Counter (a meter of energy, water, bytes): what it counted in consecutive periods.
//!
//! Pure. Each period's last value is compared with that of the period before it. Two kinds of
//! counters exist and are told apart by their days: a total, which falls only when the meter is
//! changed or reset, and one that begins again every day.

use super::history::Bucket;

/// What was counted from the end of the period before `first` to the end of `last`. They differ
/// where the periods between have no data: what was counted then is known only as one sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CounterIncrement {
    pub first: usize,
    pub last: usize,
    pub amount: f64,
    /// Nothing is known of the value before: it counts from the first reading on.
    pub is_partial: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterKind {
    Total,
    Daily,
}

/// A fall by less is a correction or a rounding, by more it is a reset.
const RESET_SHARE: f64 = 0.1;
/// The share of days that begin with a fall, from which on a counter is one of the day.
const DAILY_SHARE: f64 = 0.7;

impl CounterKind {
    /// By consecutive days: a value that falls at nearly every midnight is a counter of the day.
    /// Nights after nothing was counted, or in which it stayed, say nothing.
    pub fn of_days(days: &[Option<Bucket>]) -> CounterKind {
        let (mut fell, mut moved) = (0_u32, 0_u32);
        for pair in days.windows(2) {
            let [Some(before), Some(after)] = pair else {
                continue;
            };
            if before.max > 0.0 && is_reset(before.max, after.min) {
                fell += 1;
                moved += 1;
            } else if before.max > 0.0 && after.max > before.max {
                moved += 1;
            }
        }
        if fell > 0 && f64::from(fell) >= DAILY_SHARE * f64::from(moved) {
            CounterKind::Daily
        } else {
            CounterKind::Total
        }
    }
}

/// What was counted in each period that has data; `base` is the last value before them all.
/// `is_days` where periods are days or longer, so that a counter of the day begins in each.
pub fn increments(
    periods: &[Option<Bucket>],
    base: Option<f64>,
    kind: CounterKind,
    is_days: bool,
) -> Vec<CounterIncrement> {
    let mut found = Vec::new();
    let mut previous = base;
    let mut first = 0;
    for (at, bucket) in periods.iter().enumerate() {
        let Some(bucket) = bucket else { continue };
        if kind == CounterKind::Total && is_dropout(previous, &periods[at..]) {
            continue;
        }
        let is_own_day = kind == CounterKind::Daily && is_days;
        let has_gap = first < at;
        let amount = match previous {
            Some(before) if is_own_day && !has_gap => counted_in_day(before, bucket),
            Some(before) if !is_own_day => counted(before, bucket),
            None if !is_own_day => bucket.last - bucket.min,
            _ => counted_in_day(0.0, bucket),
        };
        found.push(CounterIncrement {
            first: if is_own_day || previous.is_none() {
                at
            } else {
                first
            },
            last: at,
            amount,
            is_partial: previous.is_none() && !is_own_day,
        });
        previous = Some(bucket.last);
        first = at + 1;
    }
    found
}

/// From the last value before a period to its own last one. After a fall the meter is another
/// one, or began again: its value is what it counted since, besides what the old one counted in
/// this period.
fn counted(before: f64, bucket: &Bucket) -> f64 {
    if is_reset(before, bucket.last) {
        (bucket.max - before).max(0.0) + bucket.last
    } else {
        bucket.last - before
    }
}

/// In a day of a counter that begins again every day. Some do so a few minutes before midnight,
/// some with the first light: until then they show the day before.
fn counted_in_day(before: f64, bucket: &Bucket) -> f64 {
    let ends_low = is_reset(bucket.max, bucket.last);
    if ends_low {
        (bucket.max - before).max(0.0) + bucket.last
    } else if is_reset(before, bucket.min) {
        bucket.last
    } else {
        bucket.last - before
    }
}

/// Whether periods begin with zeros of a device that is off, and go on with nearly the value from
/// before: nothing was reset.
fn is_dropout(previous: Option<f64>, periods: &[Option<Bucket>]) -> bool {
    let Some(before) = previous.filter(|before| *before > 0.0) else {
        return false;
    };
    let mut lasts = periods.iter().flatten().map(|bucket| bucket.last);
    let is_zero = lasts.next() == Some(0.0);
    let next = lasts.find(|last| *last != 0.0);
    let margin = before * RESET_SHARE;
    is_zero && next.is_some_and(|next| (next - before).abs() <= margin)
}

fn is_reset(before: f64, after: f64) -> bool {
    before - after > before.abs() * RESET_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Wall;

    /// Least, greatest and last value of a period.
    fn bucket((min, max, last): (f64, f64, f64)) -> Bucket {
        Bucket {
            from: Wall(0),
            seconds: 86_400,
            count: 3,
            min,
            mean: min,
            max,
            last,
        }
    }

    /// Periods of a value that rises from the one to the other; `-` has no data.
    fn rising(text: &str) -> Vec<Option<Bucket>> {
        let period = |word: &str| {
            let (first, last) = word.split_once("..")?;
            let (first, last) = (first.parse().expect("it is a number"), last.parse());
            let last = last.expect("it is a number");
            Some(bucket((first, last, last)))
        };
        text.split(' ').map(period).collect()
    }

    fn check(periods: &[Option<Bucket>], base: Option<f64>, kind: CounterKind, expected: &str) {
        let found = increments(periods, base, kind, true);
        let found = found.iter().map(|it| match it.last - it.first {
            0 => format!("{}: {}", it.last, it.amount),
            _ => format!("{}-{}: {}", it.first, it.last, it.amount),
        });
        let found: Vec<String> = found.collect();
        assert_eq!(found.join(", "), expected, "{periods:?}");
    }

    #[test]
    fn a_total_counts_the_difference_of_last_values() {
        for (periods, base, expected) in [
            ("", Some(5.0), ""),
            ("10..14 14..20", Some(9.0), "0: 5, 1: 6"),
            // What it counted before the first reading is not known.
            ("10..14 14..20", None, "0: 4, 1: 6"),
            ("- 10..14", None, "1: 4"),
            // Nothing is lost in a gap, and nothing is spread.
            ("10..14 - - 15..20", Some(10.0), "0: 4, 1-3: 6"),
            ("- 15..20", Some(10.0), "0-1: 10"),
            // The meter was changed: the new one begins at 0.
            ("0..4 4..9", Some(500.0), "0: 4, 1: 5"),
            // A small fall is a correction of what was counted before.
            ("499..499 499..510", Some(500.0), "0: -1, 1: 11"),
            // The device was off and said 0.
            ("500..510 0..0 0..0 512..520", Some(500.0), "0: 10, 1-3: 10"),
            ("500..510 0..0 0..5", Some(500.0), "0: 10, 1: 0, 2: 5"),
        ] {
            check(&rising(periods), base, CounterKind::Total, expected);
        }
        // The reset was within the period: what the old meter counted in it is known.
        let change = Some(bucket((0.0, 503.0, 2.0)));
        check(&[change], Some(500.0), CounterKind::Total, "0: 5");
    }

    #[test]
    fn a_counter_of_the_day_counts_each_day_by_itself() {
        let check = |days: &[(f64, f64, f64)], base, expected: &str| {
            let days: Vec<Option<Bucket>> = days.iter().map(|day| Some(bucket(*day))).collect();
            super::tests::check(&days, base, CounterKind::Daily, expected);
        };
        // At midnight; the second day is brighter than the first.
        check(
            &[(0.0, 5.0, 5.0), (0.0, 18.0, 18.0)],
            Some(9.0),
            "0: 5, 1: 18",
        );
        // With the first light.
        check(
            &[(0.0, 18.0, 5.0), (0.0, 6.0, 6.0)],
            Some(18.0),
            "0: 5, 1: 6",
        );
        // Two minutes before midnight.
        check(
            &[(0.0, 18.0, 0.0), (0.0, 5.0, 0.0)],
            Some(0.0),
            "0: 18, 1: 5",
        );
        // Without any light.
        check(&[(5.0, 5.0, 5.0), (0.0, 2.0, 2.0)], Some(5.0), "0: 0, 1: 2");
        check(&[(3.0, 7.0, 7.0)], None, "0: 7");
        let gap = rising("0..5 - 0..7");
        super::tests::check(&gap, Some(2.0), CounterKind::Daily, "0: 5, 2: 7");
        let afternoon = rising("0..5 - 6..7");
        super::tests::check(&afternoon, Some(2.0), CounterKind::Daily, "0: 5, 2: 7");
    }

    #[test]
    fn a_counter_that_falls_every_midnight_is_one_of_the_day() {
        for (days, expected) in [
            ("", CounterKind::Total),
            ("0..5", CounterKind::Total),
            ("0..5 0..3", CounterKind::Daily),
            ("0..5 0..3 0..9", CounterKind::Daily),
            ("5..9 9..12 12..20", CounterKind::Total),
            ("5..9 0..12 12..20 20..30", CounterKind::Total),
            ("0..5 0..0 0..0 0..4 0..6", CounterKind::Daily),
            ("0..5 - 0..6", CounterKind::Total),
            // Winter: it never produced anything.
            ("0..0 0..0", CounterKind::Total),
        ] {
            assert_eq!(CounterKind::of_days(&rising(days)), expected, "{days}");
        }
    }
}
