//! Statistics of local days, beside a model of all rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::HistoryReader;
use crate::db::database::Database;
use crate::db::periods::{DAY, HOUR};
use crate::db::progress::Progress;
use crate::db::retention::policy::{RetentionPolicy, RetentionTimes, step};
use crate::db::test_support::{Dice, Directory, database, entries, row, row_of};
use crate::domain::history::{Bucket, HistoryQuery, PeriodQuery};
use crate::domain::reading::Value;
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::budget::Budget;

fn budget() -> Budget {
    Budget::new(limits::PAGE_ROWS, Duration::from_secs(3600)).with_reserve(limits::PAGE_COARSE_ROWS)
}

fn ask(reader: &HistoryReader, key: &str, bounds: &[i64]) -> Vec<Bucket> {
    let query = PeriodQuery {
        key: Arc::from(key),
        bounds: bounds.iter().copied().map(Wall::from_second).collect(),
    };
    reader.periods(&query, &budget()).expect("it answers")
}

fn keep_up(database: &mut Database, policy: &RetentionPolicy, now: i64) {
    let times = RetentionTimes::exact(Wall::from_second(now));
    while step(database, policy, times).expect("a step can be taken") == Progress::More {}
}

/// Local midnights from a date on.
fn midnights(zone: &str, from: Date, days: usize) -> Vec<i64> {
    let zone = TimeZone::get(zone).expect("the zone is known");
    let dates = from.series(jiff::Span::new().days(1)).take(days + 1);
    let midnight = |date: Date| zone.to_timestamp(date.at(0, 0, 0, 0));
    dates
        .map(|date| midnight(date).expect("it is a time").as_second())
        .collect()
}

/// What a person would work out of all rows.
fn expected(model: &BTreeMap<i64, f64>, bounds: &[i64]) -> Vec<(i64, u64, u64, f64, f64, f64)> {
    let period = |bounds: &[i64]| {
        let values: Vec<f64> = model.range(bounds[0]..bounds[1]).map(|it| *it.1).collect();
        let extreme = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick);
        Some((
            bounds[0],
            bounds[1].abs_diff(bounds[0]),
            values.len() as u64,
            extreme(f64::min)?,
            extreme(f64::max)?,
            *values.last()?,
        ))
    };
    bounds.windows(2).filter_map(period).collect()
}

fn found(buckets: &[Bucket]) -> Vec<(i64, u64, u64, f64, f64, f64)> {
    let parts = |it: &Bucket| {
        (
            it.from.second(),
            it.seconds,
            it.count,
            it.min,
            it.max,
            it.last,
        )
    };
    buckets.iter().map(parts).collect()
}

#[test]
fn local_days_are_what_all_rows_say() {
    for (zone, first, days) in [
        ("UTC", date(2026, 3, 20), 20),
        // 29 March has 23 hours.
        ("Europe/Berlin", date(2026, 3, 20), 20),
        // 25 October has 25.
        ("Europe/Berlin", date(2026, 10, 18), 15),
        // 8 March has 23 hours; days begin in the middle of days of UTC.
        ("America/Los_Angeles", date(2026, 3, 1), 14),
        ("Pacific/Kiritimati", date(2026, 3, 1), 14),
        ("Asia/Kolkata", date(2026, 3, 1), 14),
        ("Asia/Kathmandu", date(2026, 3, 1), 14),
        // Its summer time is half an hour, on 5 April 2026 for the last time.
        ("Australia/Lord_Howe", date(2026, 3, 30), 14),
    ] {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut database = database(&path);
        let bounds = midnights(zone, first, days);
        let (from, to) = (bounds[0], bounds[days]);
        let mut dice = Dice(3);
        let mut model = BTreeMap::new();
        let mut now = from - DAY;
        while now < to + DAY / 2 {
            let rows = (0..40).map(|index| {
                let second = now + index * 301;
                // A day without data, and some corrections.
                if dice.below(10) == 0 || (from + 5 * DAY..from + 6 * DAY).contains(&second) {
                    return row("other", second, 0.0);
                }
                let at = second - if dice.below(8) == 0 { 301 } else { 0 };
                let value = dice.below(1_000) as f64;
                model.insert(at, value);
                row("t", at, value)
            });
            let batch = entries(rows.collect::<Vec<_>>());
            database.commit(&batch, i64::MIN).expect("it is committed");
            now += 40 * 301;
            keep_up(&mut database, &RetentionPolicy::default(), now);
        }
        let reader = HistoryReader::new(&path);
        let buckets = ask(&reader, "t", &bounds);
        assert_eq!(found(&buckets), expected(&model, &bounds), "{zone} {first}");
        for bucket in &buckets {
            let (begin, end) = (bucket.from.second(), bucket.seconds.cast_signed());
            let of_day = model.range(begin..begin + end).map(|it| *it.1);
            let mean = of_day.sum::<f64>() / bucket.count as f64;
            assert!(
                (bucket.mean - mean).abs() < 1e-6,
                "{zone} {bucket:?} {mean}"
            );
        }
        // A week, and any bounds.
        let weeks: Vec<i64> = bounds.iter().copied().step_by(7).collect();
        assert_eq!(found(&ask(&reader, "t", &weeks)), expected(&model, &weeks));
        let odd: Vec<i64> = (0..9).map(|index| from + 777 + index * 4_321).collect();
        assert_eq!(found(&ask(&reader, "t", &odd)), expected(&model, &odd));
    }
}

#[test]
fn days_without_hours_count_for_the_local_day_that_has_most_of_them() {
    for (zone, later) in [
        ("Europe/Berlin", 0),
        ("America/Los_Angeles", 0),
        ("Pacific/Auckland", 1),
    ] {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut database = database(&path);
        let first = date(2026, 6, 1);
        let begin = midnights("UTC", first, 1)[0];
        let rows = (0..40 * 24).map(|hour| {
            let day = hour / 24;
            row("t", begin + hour * HOUR, day as f64)
        });
        database
            .commit(&entries(rows), i64::MIN)
            .expect("it is committed");
        let policy = RetentionPolicy {
            raw: Duration::from_secs(2 * DAY.unsigned_abs()),
            hourly: Duration::from_secs(10 * DAY.unsigned_abs()),
            ..RetentionPolicy::default()
        };
        keep_up(&mut database, &policy, begin + 40 * DAY);
        let reader = HistoryReader::new(&path);
        let bounds = midnights(zone, first, 20);
        let answer = ask(&reader, "t", &bounds);
        for (index, bucket) in answer.iter().enumerate() {
            assert_eq!(bucket.count, 24, "{zone}");
            assert_eq!(bucket.from.second(), bounds[index + later], "{zone}");
            assert_eq!(bucket.max, index as f64, "{zone}");
        }
        assert_eq!(answer.len(), 20 - later, "{zone}");
    }
}

#[test]
fn of_many_long_periods_the_oldest_are_made_of_days_of_utc() {
    const PERIODS: usize = 80;
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let first = date(2026, 1, 1);
    let begin = midnights("UTC", first, 1)[0];
    let hours = 2 * 24 * (PERIODS as i64 + 1);
    let rows = (0..hours).map(|hour| row("t", begin + hour * HOUR, hour as f64));
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    keep_up(
        &mut database,
        &RetentionPolicy::default(),
        begin + hours * HOUR,
    );
    let reader = HistoryReader::new(&path);
    let days = midnights("America/New_York", first, 2 * PERIODS);
    let bounds: Vec<i64> = days.into_iter().step_by(2).collect();
    let answer = ask(&reader, "t", &bounds);
    assert_eq!(answer.len(), PERIODS);
    let exact = usize::try_from(limits::LONG_PERIOD_HOURS / 24).expect("it is positive");
    for (index, bucket) in answer.iter().enumerate() {
        let first_hour = (bounds[index] - begin) / HOUR;
        let is_old = index + exact < PERIODS;
        // A day of UTC begins five hours before that of New York.
        let expected = if is_old { first_hour - 5 } else { first_hour };
        assert_eq!(bucket.min, expected as f64, "{index}");
    }
}

#[test]
fn odd_queries_are_answered() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let begin = midnights("UTC", date(2026, 6, 1), 1)[0];
    let rows = [
        row("t", begin + 60, 1.0),
        row_of("words", begin + 60, Value::Text("on".into())),
    ];
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let reader = HistoryReader::new(&path);
    for (bounds, periods) in [
        (vec![], 0),
        (vec![begin], 0),
        (vec![begin, begin], 0),
        (vec![begin, begin + 60], 0),
        (vec![begin, begin + 61], 1),
        (vec![begin + 60, begin + 61, begin + 62], 1),
        (vec![i64::MIN / 1000, begin, i64::MAX / 1000], 1),
        (vec![begin + DAY, begin], 1),
    ] {
        let found = ask(&reader, "t", &bounds);
        assert_eq!(found.len(), periods, "{bounds:?}");
    }
    assert_eq!(ask(&reader, "words", &[begin, begin + DAY]), []);
    let unknown = PeriodQuery {
        key: Arc::from("nothing"),
        bounds: Vec::new(),
    };
    assert!(reader.periods(&unknown, &budget()).is_err());
}

#[test]
fn history_has_local_days_where_buckets_last_a_day_or_longer() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let zone = TimeZone::get("Europe/Berlin").expect("it is known");
    let bounds = midnights("Europe/Berlin", date(2026, 3, 20), 20);
    let begin = bounds[0];
    let hours = (0..21 * 24).map(|hour| begin - 1_800 + hour * HOUR);
    let mut model = BTreeMap::new();
    for at in hours {
        let value = ((at - begin) / 700 % 97) as f64;
        model.insert(at, value);
        let batch = entries([row("t", at, value)]);
        database.commit(&batch, i64::MIN).expect("it is committed");
    }
    keep_up(&mut database, &RetentionPolicy::default(), begin + 21 * DAY);
    let reader = HistoryReader::new(&path).in_zone(zone);
    let ask = |points| {
        let query = HistoryQuery {
            key: Arc::from("t"),
            from: Wall::from_second(begin),
            to: Wall::from_second(bounds[20]),
            points,
        };
        found(&reader.history(&query, &budget()).expect("it answers"))
    };
    assert_eq!(ask(20), expected(&model, &bounds));
    // Half the points: every second day, by the number of the date since 1970.
    let two_days: Vec<i64> = bounds.iter().copied().step_by(2).collect();
    assert_eq!(ask(10), expected(&model, &two_days));
    // Hours are those of UTC.
    assert!(
        ask(500)
            .iter()
            .all(|bucket| bucket.1 <= HOUR.unsigned_abs())
    );
}

#[test]
fn of_many_years_the_newest_days_are_local_ones() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let days = 500;
    let bounds = midnights("Europe/Berlin", date(2025, 6, 1), days);
    // One value an hour before each local midnight, one just behind it.
    let rows = bounds[1..].iter().enumerate().flat_map(|(day, bound)| {
        let day = day as f64;
        [row("t", bound - HOUR, day), row("t", *bound, -day)]
    });
    let rows: Vec<_> = rows.collect();
    database
        .commit(&entries(rows), i64::MIN)
        .expect("it is committed");
    let policy = RetentionPolicy {
        hourly: Duration::from_secs(1_000 * DAY.unsigned_abs()),
        ..RetentionPolicy::default()
    };
    keep_up(&mut database, &policy, bounds[days] + DAY);
    let reader = HistoryReader::new(&path).in_zone(TimeZone::get("Europe/Berlin").expect("known"));
    let query = HistoryQuery {
        key: Arc::from("t"),
        from: Wall::from_second(bounds[0]),
        to: Wall::from_second(bounds[days]),
        points: days,
    };
    let answer = reader.history(&query, &budget()).expect("it answers");
    let counted: u64 = answer.iter().map(|bucket| bucket.count).sum();
    // The last value is of the next day.
    assert_eq!(counted, 2 * days as u64 - 1);
    for bucket in &answer[110..] {
        let index = bounds
            .iter()
            .position(|bound| *bound == bucket.from.second());
        let index = index.expect("it begins at midnight") as f64;
        assert_eq!(
            (bucket.min, bucket.max),
            (-(index - 1.0), index),
            "{bucket:?}"
        );
    }
}
