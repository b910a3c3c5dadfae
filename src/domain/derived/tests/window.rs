//! Tests of windows: tables of cases, and random rows against an implementation that keeps all.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;
use crate::domain::derived::{
    CalendarPeriod, NoValue, Window, WindowFunction, WindowRule, WindowSample, WindowSpan,
};
use crate::domain::time::Wall;
use crate::limits;

/// 2026-06-01T00:00:00Z, a Monday.
const T0: i64 = 1_780_272_000;
const DAY: i64 = 86_400;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the zone is known")
}

fn rule(function: WindowFunction, span: WindowSpan) -> WindowRule {
    WindowRule {
        function,
        input: "meter".into(),
        span,
        zone: TimeZone::UTC,
        hold: Duration::from_secs(180),
    }
}

fn over(seconds: u64) -> WindowSpan {
    WindowSpan::Over(Duration::from_secs(seconds))
}

fn sample(second: i64, value: f64) -> WindowSample {
    WindowSample {
        time: Wall::from_second(T0 + second),
        value,
        is_stated: false,
    }
}

fn stated(second: i64, value: f64) -> WindowSample {
    WindowSample {
        is_stated: true,
        ..sample(second, value)
    }
}

fn at(second: i64) -> Wall {
    Wall::from_second(T0 + second)
}

/// The window with rows of (minute, value).
fn window(function: WindowFunction, span: WindowSpan, rows: &[(i64, f64)]) -> Window {
    let mut window = Window::new(rule(function, span));
    for (minute, value) in rows {
        window.insert(sample(minute * 60, *value));
    }
    window
}

#[test]
fn an_increase_is_the_sum_of_steps_with_resets_and_gaps() {
    type Case<'a> = (&'a str, &'a [(i64, f64)], f64);
    let cases: [Case; 13] = [
        ("one row", &[(1, 100.0)], 0.0),
        ("steps", &[(1, 100.0), (2, 100.5), (9, 103.0)], 3.0),
        ("no noise", &[(1, 123_456.7), (2, 123_456.8)], 0.1),
        (
            "fall, not judged yet",
            &[(1, 100.0), (2, 104.0), (3, 1.0)],
            4.0,
        ),
        (
            "it came back",
            &[(1, 100.0), (2, 0.0), (3, 0.0), (4, 102.0)],
            2.0,
        ),
        (
            "to the same value",
            &[(1, 100.0), (2, 0.0), (3, 100.0)],
            0.0,
        ),
        (
            "two readings after it, long",
            &[(1, 100.0), (2, 1.0), (30, 2.0), (60, 3.0)],
            0.0,
        ),
        (
            "three readings after it, less than five minutes",
            &[(1, 100.0), (2, 1.0), (3, 2.0), (4, 3.0), (5, 4.0), (6, 5.0)],
            0.0,
        ),
        (
            "three readings and five minutes",
            &[(1, 100.0), (2, 1.0), (3, 2.0), (4, 3.0), (7, 5.0)],
            5.0,
        ),
        (
            "just before it would be one, it comes back",
            &[(1, 100.0), (2, 1.0), (3, 2.0), (4, 3.0), (7, 101.0)],
            1.0,
        ),
        (
            "a reset, then a gap below it",
            &[
                (0, 50.0),
                (10, 5.0),
                (20, 7.0),
                (30, 0.0),
                (40, 9.0),
                (50, 10.0),
            ],
            10.0,
        ),
        (
            "two resets",
            &[
                (0, 50.0),
                (10, 5.0),
                (20, 7.0),
                (30, 1.0),
                (40, 2.0),
                (50, 3.0),
                (60, 4.0),
            ],
            11.0,
        ),
        (
            "a new meter that counts from below zero counts no less than nothing",
            &[(0, 50.0), (10, -5.0), (20, -4.0), (30, -3.0), (40, 1.0)],
            6.0,
        ),
    ];
    for (name, rows, expected) in cases {
        for span in [over(7_200), WindowSpan::Since(CalendarPeriod::Day)] {
            let window = window(WindowFunction::Increase, span, rows);
            assert_eq!(window.value(at(3_600)), Ok(expected), "{name}");
        }
    }
}

#[test]
fn while_a_fall_is_not_judged_no_more_is_shown_than_what_holds_later() {
    let rows = [
        (0, 9.0),
        (10, 20.0),
        (20, 1.0),
        (30, 2.0),
        (40, 3.0),
        (50, 4.0),
    ];
    let shown: Vec<f64> = (1..=rows.len())
        .map(|count| {
            let span = WindowSpan::Since(CalendarPeriod::Day);
            let window = window(WindowFunction::Increase, span, &rows[..count]);
            window.value(at(3_000)).expect("there are rows")
        })
        .collect();
    assert_eq!(shown, [0.0, 11.0, 11.0, 11.0, 11.0, 15.0]);
}

#[test]
fn a_step_belongs_to_its_later_row() {
    let day = WindowSpan::Since(CalendarPeriod::Day);
    let rows = [(-30, 100.0), (-10, 103.0), (0, 104.0), (30, 110.0)];
    let of_day = window(WindowFunction::Increase, day, &rows);
    let of_hour = window(WindowFunction::Increase, over(3_600), &rows);
    // The second, the day's increase, the increase of the last hour.
    for (second, today, hour) in [
        (-1, 3.0, 3.0),
        (0, 1.0, 4.0),
        (1_799, 1.0, 4.0),
        (1_800, 7.0, 10.0),
        (2_999, 7.0, 10.0),
        (3_000, 7.0, 7.0),
        (3_600, 7.0, 6.0),
        (5_400, 7.0, 0.0),
        (DAY, 0.0, 0.0),
    ] {
        assert_eq!(of_day.value(at(second)), Ok(today), "day at {second}");
        assert_eq!(of_hour.value(at(second)), Ok(hour), "hour at {second}");
    }
    assert_eq!(of_day.value(at(-3_600)), Err(NoValue::NoRows));
}

#[test]
fn stated_values_are_no_part_of_a_counter_and_part_of_all_else() {
    for (function, expected) in [
        (WindowFunction::Increase, 6.0),
        (WindowFunction::Rate, 6.0 / 600.0),
        // 20 × 1 minute, 0 for 4, 26 × 1 minute (held no longer than 3 minutes).
        (WindowFunction::Integral, (20.0 * 180.0 + 0.0) / 3_600.0),
        (WindowFunction::MinOverTime, 0.0),
        (WindowFunction::MaxOverTime, 26.0),
        (WindowFunction::AvgOverTime, 46.0 / 3.0),
    ] {
        let mut window = Window::new(rule(function, over(900)));
        window.insert(sample(0, 20.0));
        window.insert(stated(300, 0.0));
        window.insert(sample(600, 26.0));
        let value = window.value(at(600)).expect("there are rows");
        assert!((value - expected).abs() < 1e-9, "{function:?}: {value}");
    }
    let mut window = Window::new(rule(WindowFunction::Increase, over(900)));
    for sample in [sample(0, 20.0), sample(60, 25.0), stated(60, 0.0)] {
        window.insert(sample);
    }
    assert_eq!(window.value(at(60)), Ok(0.0), "corrected to a stated value");
}

#[test]
fn a_rate_is_per_second_of_the_time_that_its_steps_cover() {
    let too_short = |covered, window| {
        Err(NoValue::TooShort {
            covered: Duration::from_secs(covered),
            window: Duration::from_secs(window),
        })
    };
    type Case<'a> = (
        &'a str,
        WindowSpan,
        &'a [(i64, f64)],
        i64,
        Result<f64, NoValue>,
    );
    let day = WindowSpan::Since(CalendarPeriod::Day);
    let cases: [Case; 8] = [
        ("no row", over(600), &[], 600, Err(NoValue::NoRows)),
        ("one row", over(600), &[(0, 1.0)], 60, too_short(0, 600)),
        ("half", over(600), &[(0, 0.0), (5, 30.0)], 300, Ok(0.1)),
        (
            "less",
            over(600),
            &[(0, 0.0), (4, 30.0)],
            300,
            too_short(240, 600),
        ),
        (
            "gaps are covered by the step over them",
            over(1_200),
            &[(0, 0.0), (1, 6.0), (19, 114.0), (20, 120.0)],
            1_200,
            Ok(0.1),
        ),
        (
            "the first step counts whole",
            over(600),
            &[(-20, 0.0), (10, 180.0)],
            600,
            Ok(0.1),
        ),
        ("today", day, &[(-1, 0.0), (1, 12.0)], 120, Ok(0.1)),
        (
            "not today",
            day,
            &[(-1, 0.0), (1, 12.0)],
            300,
            too_short(120, 300),
        ),
    ];
    for (name, span, rows, second, expected) in cases {
        let window = window(WindowFunction::Rate, span, rows);
        assert_eq!(window.value(at(second)), expected, "{name}");
    }
}

#[test]
fn an_integral_is_trapezoidal_and_holds_no_longer_than_its_input() {
    let day = WindowSpan::Since(CalendarPeriod::Day);
    // 100 W for a minute, rising to 200 W in two, then nothing for an hour, then 300 W.
    let rows = [(0, 100.0), (1, 100.0), (3, 200.0), (63, 300.0)];
    let window = window(WindowFunction::Integral, day, &rows);
    for (second, watt_seconds) in [
        (0, 0.0),
        (60, 6_000.0),
        (180, 6_000.0 + 18_000.0),
        (3_779, 24_000.0),
        (3_780, 24_000.0 + 200.0 * 180.0),
        (DAY, 0.0),
    ] {
        let value = window.value(at(second)).expect("there are rows");
        assert!((value - watt_seconds / 3_600.0).abs() < 1e-9, "{second}");
    }
}

#[test]
fn extremes_and_means_are_of_the_rows_in_the_window() {
    let rows = [(0, 5.0), (1, -3.0), (2, 7.0)];
    for (function, values) in [
        (WindowFunction::MinOverTime, [5.0, -3.0, -3.0, 7.0]),
        (WindowFunction::MaxOverTime, [5.0, 5.0, 7.0, 7.0]),
        (WindowFunction::AvgOverTime, [5.0, 1.0, 2.0, 7.0]),
    ] {
        let window = window(function, over(120), &rows);
        assert_eq!(window.value(at(-1)), Err(NoValue::NoRows));
        for (second, expected) in [(0, values[0]), (60, values[1]), (239, values[3])] {
            assert_eq!(window.value(at(second)), Ok(expected), "{function:?}");
        }
        assert_eq!(window.value(at(240)), Err(NoValue::NoRows), "{function:?}");
    }
    let huge = [(0, f64::MAX), (1, f64::MAX)];
    let sum = window(WindowFunction::AvgOverTime, over(120), &huge);
    assert_eq!(sum.value(at(60)), Err(NoValue::NotFinite));
    let mut none = Window::new(rule(WindowFunction::MaxOverTime, over(60)));
    none.insert(sample(0, f64::NAN));
    assert_eq!(none.value(at(0)), Err(NoValue::NoRows));
}

/// Random numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }

    fn is(&mut self, part: u64) -> bool {
        self.below(part) == 0
    }
}

/// Rows by second.
type Rows = BTreeMap<i64, (f64, bool)>;

/// What the contract says, of all rows, without any bound.
fn naive(rule: &WindowRule, rows: &Rows, now: i64) -> Option<f64> {
    let is_counter = rule.function.is_of_counter();
    let parts = rows
        .iter()
        .filter(|(_, (_, stated))| !(is_counter && *stated));
    let rows: Vec<(i64, f64)> = parts
        .map(|(second, (value, _))| (*second, *value))
        .collect();
    let first = match rule.span {
        WindowSpan::Over(span) => now - span.as_secs().cast_signed() + 1,
        WindowSpan::Since(period) => period.begin(Wall::from_second(now), &rule.zone).second(),
    };
    let is_inside = |second: i64| second >= first && second <= now;
    let values: Vec<f64> = rows
        .iter()
        .filter(|row| is_inside(row.0))
        .map(|row| row.1)
        .collect();
    let steps = match rule.function {
        WindowFunction::Integral => areas(&rows, rule.hold.as_secs().cast_signed()),
        _ => steps(&rows),
    };
    let inside = steps.iter().filter(|step| is_inside(step.0));
    let (sum, covered) = inside.fold((0.0, 0), |(sum, covered), step| {
        (sum + step.1, covered + step.2)
    });
    let window = match rule.span {
        WindowSpan::Over(span) => span.as_secs().cast_signed(),
        WindowSpan::Since(_) => now - first,
    };
    rows.first().filter(|row| row.0 <= now)?;
    match rule.function {
        WindowFunction::Increase => Some(sum),
        WindowFunction::Rate => {
            (covered > 0 && covered * 2 >= window).then(|| sum / covered as f64)
        }
        WindowFunction::Integral => Some(sum / 3_600.0),
        _ if values.is_empty() => None,
        WindowFunction::MinOverTime => Some(values.iter().copied().fold(f64::MAX, f64::min)),
        WindowFunction::MaxOverTime => Some(values.iter().copied().fold(f64::MIN, f64::max)),
        WindowFunction::AvgOverTime => Some(values.iter().sum::<f64>() / values.len() as f64),
    }
}

fn areas(rows: &[(i64, f64)], hold: i64) -> Vec<(i64, f64, i64)> {
    let area = |pair: &[(i64, f64)]| {
        let (time, from, to) = (pair[1].0 - pair[0].0, pair[0].1, pair[1].1);
        if time > hold {
            (pair[1].0, from * hold as f64, time)
        } else {
            (pair[1].0, (from + to) * time as f64 / 2.0, time)
        }
    };
    rows.windows(2).map(area).collect()
}

/// Second, step and covered time of each row that counts.
fn steps(rows: &[(i64, f64)]) -> Vec<(i64, f64, i64)> {
    let mut steps = Vec::new();
    let Some(mut old) = rows.first().copied() else {
        return steps;
    };
    let mut rest = &rows[1..];
    while let Some((second, value)) = rest.first().copied() {
        if value >= old.1 {
            steps.push((second, value - old.1, second - old.0));
            (old, rest) = ((second, value), &rest[1..]);
            continue;
        }
        let back = rest.iter().position(|row| row.1 >= old.1);
        let proof = (0..rest.len()).find(|at| *at >= 3 && rest[*at].0 >= second + 300);
        match (back, proof) {
            (Some(back), proof) if proof.is_none_or(|proof| back <= proof) => rest = &rest[back..],
            (_, Some(_)) => {
                steps.push((second, value.max(0.0), second - old.0));
                (old, rest) = ((second, value), &rest[1..]);
            }
            (_, None) => break,
        }
    }
    steps
}

fn assert_close(found: Result<f64, NoValue>, expected: Option<f64>, about: &str) {
    match (found, expected) {
        (Ok(found), Some(expected)) => {
            let scale = 1.0_f64.max(expected.abs());
            let is_close = (found - expected).abs() <= 1e-8 * scale;
            assert!(is_close, "{about}: {found} instead of {expected}");
        }
        (Err(NoValue::NoRows | NoValue::TooShort { .. }), None) => {}
        (found, expected) => panic!("{about}: {found:?} instead of {expected:?}"),
    }
}

/// A counter that is read about each `every` seconds: it rises, is reset, falls for a moment, and
/// is not read for hours.
fn counter(dice: &mut Dice, from: i64, to: i64, every: i64) -> Vec<(i64, f64, bool)> {
    let (mut second, mut value) = (from, 1_000.0);
    let mut rows = Vec::new();
    while second < to {
        match dice.below(60) {
            0 => value = dice.below(3) as f64 / 10.0,
            1 => second += 3 * 3_600,
            2 => rows.push((second - 1, value - 1.0 - dice.below(500) as f64, false)),
            3 => rows.push((second - 1, 0.0, true)),
            _ => value += dice.below(20) as f64 / 10.0,
        }
        rows.push((second, value, false));
        second += 1 + dice.below(2 * every.cast_unsigned()).cast_signed();
    }
    rows
}

const SPANS: [WindowSpan; 6] = [
    WindowSpan::Over(Duration::from_secs(1)),
    WindowSpan::Over(Duration::from_secs(3_600)),
    WindowSpan::Over(Duration::from_secs(30 * 3_600)),
    WindowSpan::Since(CalendarPeriod::Day),
    WindowSpan::Since(CalendarPeriod::Week),
    WindowSpan::Since(CalendarPeriod::Year),
];

/// Sparse rows: all are kept one by one, so that late and corrected ones count exactly.
#[test]
fn a_window_of_sparse_rows_is_what_all_rows_say_in_any_order_and_over_restarts() {
    let mut dice = Dice(1);
    for round in 0..2 {
        for function in WindowFunction::ALL {
            for span in SPANS {
                let zone = zone(["Europe/Berlin", "America/Havana"][round]);
                // The end of summer time.
                let from = 1_793_000_000 + dice.below(86_400).cast_signed();
                let mut arrivals = counter(&mut dice, from, from + 3 * DAY, 600);
                for at in 0..arrivals.len() {
                    if dice.is(9) {
                        let other = (at + dice.below(40) as usize).min(arrivals.len() - 1);
                        arrivals.swap(at, other);
                    }
                    if dice.is(30) {
                        arrivals[at].0 = arrivals[at / 2].0;
                    }
                }
                let rule = WindowRule {
                    zone,
                    ..rule(function, span)
                };
                let mut window = Window::new(rule.clone());
                let mut rows = Rows::new();
                let mut newest = from;
                for (second, value, is_stated) in arrivals {
                    rows.insert(second, (value, is_stated));
                    window.insert(WindowSample {
                        time: Wall::from_second(second),
                        value,
                        is_stated,
                    });
                    if dice.is(20) {
                        window = Window::decode(rule.clone(), &window.encode())
                            .expect("it is what was encoded");
                    }
                    newest = newest.max(second);
                    let now = newest + dice.below(900).cast_signed() * dice.below(3).cast_signed();
                    let about = format!("{} at {now}", rule.text());
                    let found = window.value(Wall::from_second(now));
                    assert_close(found, naive(&rule, &rows, now), &about);
                    let past = from
                        + dice
                            .below((newest - from).cast_unsigned() + 1)
                            .cast_signed();
                    let found = window.value(Wall::from_second(past));
                    assert_close(
                        found,
                        naive(&rule, &rows, past),
                        &format!("{about}, {past}"),
                    );
                }
            }
        }
    }
}

/// Dense rows: earlier ones are only part of sums. A window of a span of time then is shorter by a
/// part of it at most; since the begin of a period it is exact.
#[test]
fn a_window_of_dense_rows_keeps_bounded_memory_and_its_precision() {
    let mut dice = Dice(2);
    let spans = [over(6 * 3_600), WindowSpan::Since(CalendarPeriod::Day)];
    let from = T0 + 20 * 3_600;
    for function in WindowFunction::ALL {
        for span in spans {
            let rule = rule(function, span);
            let (mut window, mut rows) = (Window::new(rule.clone()), Rows::new());
            for (second, value, is_stated) in counter(&mut dice, from, from + 12 * 3_600, 2) {
                rows.insert(second, (value, is_stated));
                window.insert(WindowSample {
                    time: Wall::from_second(second),
                    value,
                    is_stated,
                });
                if !dice.is(1_000) {
                    continue;
                }
                window = Window::decode(rule.clone(), &window.encode()).expect("it is encoded");
                assert!(window.rows.len() <= limits::WINDOW_ROWS);
                assert!(window.buckets.0.len() <= limits::WINDOW_BUCKETS);
                let found = window.value(Wall::from_second(second));
                let about = format!("{} at {second}", rule.text());
                let WindowSpan::Over(span) = rule.span else {
                    assert_close(found, naive(&rule, &rows, second), &about);
                    continue;
                };
                let shortest = span - Duration::from_secs(2 * resolution(seconds(span)) as u64);
                let shorter = WindowRule {
                    span: WindowSpan::Over(shortest),
                    ..rule.clone()
                };
                let bounds = [&shorter, &rule].map(|rule| naive(rule, &rows, second));
                let (Ok(found), [Some(least), Some(most)]) = (found, bounds) else {
                    continue;
                };
                let spread = 1e-6 + (most - least).abs();
                match function {
                    WindowFunction::Increase | WindowFunction::Integral => {
                        assert!(found >= least - 1e-6 && found <= most + 1e-6, "{about}");
                    }
                    _ => assert!(
                        (found - most).abs() <= spread + 0.02 * most.abs(),
                        "{about}"
                    ),
                }
            }
        }
    }
}

#[test]
fn the_increases_of_any_parts_of_a_day_add_up_to_that_of_the_day() {
    let mut dice = Dice(3);
    for _ in 0..20 {
        let rows = counter(&mut dice, T0 - 3_600, T0 + DAY, 240);
        let mut day = Window::new(rule(
            WindowFunction::Increase,
            WindowSpan::Since(CalendarPeriod::Day),
        ));
        for (second, value, is_stated) in &rows {
            day.insert(WindowSample {
                time: Wall::from_second(*second),
                value: *value,
                is_stated: *is_stated,
            });
        }
        // The day begins with a row at its first second, which is the later one of its step.
        let (mut begin, mut sum) = (T0 - 1, 0.0);
        while begin < T0 + DAY - 1 {
            let length = 1 + dice.below(9_000).cast_signed();
            let end = (begin + length).min(T0 + DAY - 1);
            let span = over((end - begin).cast_unsigned());
            let part = Window {
                rule: rule(WindowFunction::Increase, span),
                ..day.clone()
            };
            sum += part.value(Wall::from_second(end)).expect("there are rows");
            begin = end;
        }
        let whole = day
            .value(Wall::from_second(T0 + DAY - 1))
            .expect("there are rows");
        assert!((sum - whole).abs() < 1e-6, "{sum} and {whole}");
    }
}

#[test]
fn a_value_stays_until_it_is_said_to_change() {
    let mut dice = Dice(4);
    for function in WindowFunction::ALL {
        for span in [over(50), over(700), WindowSpan::Since(CalendarPeriod::Day)] {
            let mut window = Window::new(rule(function, span));
            for (second, value, is_stated) in counter(&mut dice, T0 - 400, T0 + 400, 20) {
                window.insert(WindowSample {
                    time: Wall::from_second(second),
                    value,
                    is_stated,
                });
            }
            let mut now = T0 - 500;
            while now < T0 + 3_600 {
                let value = window.value(Wall::from_second(now));
                let change = window.changes_at(Wall::from_second(now));
                let until = change.map_or(T0 + 3_600, Wall::second).min(T0 + 3_600);
                assert!(until > now, "{function:?}");
                for second in now..until {
                    let later = window.value(Wall::from_second(second));
                    let is_same = match (&later, &value) {
                        // How much is missing is not shown as a number.
                        (Err(NoValue::TooShort { .. }), Err(NoValue::TooShort { .. })) => true,
                        (later, value) => later == value,
                    };
                    assert!(
                        is_same,
                        "{function:?} {span:?}: {later:?} at {second}, {value:?}"
                    );
                }
                now = until;
            }
        }
    }
}

#[test]
fn a_state_that_is_damaged_or_cut_is_refused() {
    let mut window = Window::new(rule(WindowFunction::Increase, over(7 * 86_400)));
    for second in 0..3_000 {
        window.insert(sample(second, second as f64));
    }
    let state = window.encode();
    let again = Window::decode(window.rule().clone(), &state).expect("it is whole");
    assert_eq!(again.encode(), state);
    let mut dice = Dice(5);
    for _ in 0..2_000 {
        let mut damaged = state.clone();
        let at = dice.below(damaged.len() as u64) as usize;
        damaged[at] ^= 1 << dice.below(8);
        assert!(Window::decode(window.rule().clone(), &damaged).is_none());
        damaged.truncate(at);
        assert!(Window::decode(window.rule().clone(), &damaged).is_none());
    }
}
