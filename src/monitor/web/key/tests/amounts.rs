use jiff::tz::TimeZone;

use super::*;

const HOUR: i64 = 3_600_000;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("time zones are compiled in")
}

fn wall(text: &str) -> Wall {
    let instant: jiff::Timestamp = text.parse().expect("it is an instant");
    Wall(instant.as_millisecond())
}

/// Consecutive days; each number is the counter's last value, None a day without data.
fn days(first: &str, lasts: &[Option<f64>]) -> PeriodBuckets {
    let most = lasts.len();
    let bounds = PeriodLength::Day.bounds(wall(first), Wall(i64::MAX), &berlin(), most);
    let with_bounds = lasts.iter().zip(&bounds);
    let buckets = with_bounds.map(|(last, from)| {
        last.map(|last| Bucket {
            from: *from,
            seconds: 86_400,
            count: 1_440,
            min: last,
            mean: last,
            max: last,
            last,
        })
    });
    PeriodBuckets {
        buckets: buckets.collect(),
        bounds,
    }
}

fn merged(read: &PeriodBuckets, first: &str, length: PeriodLength) -> Vec<String> {
    let counted = increments(&read.buckets, None, CounterKind::Total, true);
    let amounts = merge(&counted, read, wall(first), length, &berlin());
    let line = |it: &PeriodAmount| {
        let date = |at: Wall| {
            let at = jiff::Timestamp::from_millisecond(at.0).expect("in range");
            berlin().to_datetime(at).date()
        };
        let notes = [(it.is_partial, " partial"), (it.has_gap, " gap")];
        let notes = notes
            .iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, note)| *note);
        let notes: String = notes.collect();
        format!(
            "{}..{} {} x{}{notes}",
            date(it.from),
            date(it.to),
            it.amount,
            it.periods
        )
    };
    amounts.iter().map(line).collect()
}

#[test]
fn days_have_their_own_amounts_and_gaps_one_together() {
    let read = days(
        "2026-11-01T23:00:00Z",
        &[Some(10.0), Some(12.0), None, None, Some(18.0), Some(19.0)],
    );
    assert_eq!(
        merged(&read, "2026-11-01T23:00:00Z", PeriodLength::Day),
        [
            "2026-11-02..2026-11-03 0 x1 partial",
            "2026-11-03..2026-11-04 2 x1",
            "2026-11-04..2026-11-07 6 x3 gap",
            "2026-11-07..2026-11-08 1 x1",
        ]
    );
    // A gap that begins before what is shown.
    assert_eq!(
        merged(&read, "2026-11-05T23:00:00Z", PeriodLength::Day),
        [
            "2026-11-04..2026-11-07 6 x3 gap",
            "2026-11-07..2026-11-08 1 x1"
        ]
    );
}

#[test]
fn months_sum_up_their_days() {
    let mut lasts: Vec<Option<f64>> = (0..40).map(|day| Some(f64::from(day))).collect();
    // 30 January to 2 February.
    lasts[29..33].fill(None);
    let read = days("2025-12-31T23:00:00Z", &lasts);
    assert_eq!(
        merged(&read, "2025-12-31T23:00:00Z", PeriodLength::Month),
        [
            "2026-01-01..2026-02-01 28 x1 partial",
            "2026-02-01..2026-03-01 11 x1 gap",
        ]
    );
    // A whole month without data belongs to the amount after it.
    let mut lasts: Vec<Option<f64>> = (0..70).map(|day| Some(f64::from(day))).collect();
    lasts[20..60].fill(None);
    let read = days("2025-12-31T23:00:00Z", &lasts);
    assert_eq!(
        merged(&read, "2025-12-31T23:00:00Z", PeriodLength::Month),
        [
            "2026-01-01..2026-02-01 19 x1 partial",
            "2026-02-01..2026-04-01 50 x2 gap",
        ]
    );
}

#[test]
fn a_period_with_few_observations_has_a_gap() {
    let gaps = |counts: &[u64]| {
        let mut read = days("2026-11-01T23:00:00Z", &vec![Some(1.0); counts.len()]);
        for (bucket, count) in read.buckets.iter_mut().zip(counts) {
            if let Some(bucket) = bucket {
                bucket.count = *count;
            }
        }
        let places = 0..counts.len();
        places.filter(|at| read.has_gap(*at)).collect::<Vec<_>>()
    };
    for (counts, expected) in [
        (&[1_440, 1_440, 1_000, 1_440, 1_440][..], &[2][..]),
        (&[1_440, 1_000, 400, 1_440, 1_440, 1_440], &[1, 2]),
        (&[1_440, 1_400, 1_380, 1_440], &[]),
        // Asked more often, and less often, from a day on.
        (&[144, 144, 144, 1_440, 1_440, 1_440], &[]),
        (&[1_440, 1_440, 1_440, 144, 144, 144], &[]),
        (&[5], &[]),
    ] {
        assert_eq!(gaps(counts), expected, "{counts:?}");
    }
}

#[test]
fn hours_are_of_elapsed_time() {
    let day = (wall("2026-10-24T22:00:00Z"), wall("2026-10-25T23:00:00Z"));
    assert_eq!(hours(day.0, day.1), 25.0);
    assert_eq!(hours(day.0, Wall(day.0.0 + HOUR / 2)), 0.5);
}
