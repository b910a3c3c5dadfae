//! Begins of local days, weeks, months and years: as the zones' laws say.

use super::*;

fn bounds(period: CalendarPeriod, zone: &str, now: &str) -> [String; 2] {
    let zone = TimeZone::get(zone).expect("the zone is known");
    let now: Timestamp = now.parse().expect("it is a time");
    let (begin, next) = period.bounds(now.as_second(), &zone);
    [begin, next].map(|second| Wall::from_second(second).to_string())
}

#[test]
fn periods_begin_at_local_midnight() {
    use CalendarPeriod::{Day, Month, Week, Year};
    // Period, zone, now, its begin and the next.
    let cases = [
        (
            Day,
            "UTC",
            "2026-06-03T00:00:00Z",
            "2026-06-03T00:00:00Z",
            "2026-06-04T00:00:00Z",
        ),
        (
            Day,
            "UTC",
            "2026-06-02T23:59:59Z",
            "2026-06-02T00:00:00Z",
            "2026-06-03T00:00:00Z",
        ),
        (
            Week,
            "UTC",
            "2026-06-07T23:59:59Z",
            "2026-06-01T00:00:00Z",
            "2026-06-08T00:00:00Z",
        ),
        (
            Week,
            "UTC",
            "2026-06-08T00:00:00Z",
            "2026-06-08T00:00:00Z",
            "2026-06-15T00:00:00Z",
        ),
        // Over the end of a year: Monday, 28 December.
        (
            Week,
            "UTC",
            "2027-01-01T12:00:00Z",
            "2026-12-28T00:00:00Z",
            "2027-01-04T00:00:00Z",
        ),
        (
            Month,
            "UTC",
            "2028-02-29T12:00:00Z",
            "2028-02-01T00:00:00Z",
            "2028-03-01T00:00:00Z",
        ),
        (
            Year,
            "UTC",
            "2028-12-31T23:59:59Z",
            "2028-01-01T00:00:00Z",
            "2029-01-01T00:00:00Z",
        ),
        (
            Year,
            "Asia/Kolkata",
            "2026-12-31T18:30:00Z",
            "2026-12-31T18:30:00Z",
            "2027-12-31T18:30:00Z",
        ),
        // 23 and 25 hours.
        (
            Day,
            "Europe/Berlin",
            "2026-03-29T10:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            Day,
            "Europe/Berlin",
            "2026-10-25T10:00:00Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            Month,
            "Europe/Berlin",
            "2026-03-15T00:00:00Z",
            "2026-02-28T23:00:00Z",
            "2026-03-31T22:00:00Z",
        ),
        // Clocks go from 00:00 to 01:00: the day begins at 01:00.
        (
            Day,
            "Asia/Beirut",
            "2026-03-29T10:00:00Z",
            "2026-03-28T22:00:00Z",
            "2026-03-29T21:00:00Z",
        ),
        (
            Day,
            "America/Havana",
            "2026-03-08T12:00:00Z",
            "2026-03-08T05:00:00Z",
            "2026-03-09T04:00:00Z",
        ),
        (
            Day,
            "America/Sao_Paulo",
            "2018-11-04T12:00:00Z",
            "2018-11-04T03:00:00Z",
            "2018-11-05T02:00:00Z",
        ),
        (
            Month,
            "America/Asuncion",
            "2017-10-15T12:00:00Z",
            "2017-10-01T04:00:00Z",
            "2017-11-01T03:00:00Z",
        ),
        // From 01:00 to 00:00: midnight is twice, the first one counts.
        (
            Day,
            "America/Havana",
            "2026-11-01T04:30:00Z",
            "2026-11-01T04:00:00Z",
            "2026-11-02T05:00:00Z",
        ),
        (
            Day,
            "America/Havana",
            "2026-11-01T05:30:00Z",
            "2026-11-01T04:00:00Z",
            "2026-11-02T05:00:00Z",
        ),
        // From 00:00 to 23:00 of the day before, which has 25 hours.
        (
            Day,
            "Asia/Beirut",
            "2026-10-24T21:30:00Z",
            "2026-10-23T21:00:00Z",
            "2026-10-24T22:00:00Z",
        ),
        (
            Day,
            "America/Sao_Paulo",
            "2018-02-18T02:30:00Z",
            "2018-02-17T02:00:00Z",
            "2018-02-18T03:00:00Z",
        ),
        // From 23:30 to 00:30.
        (
            Day,
            "America/Toronto",
            "1919-03-31T12:00:00Z",
            "1919-03-31T04:30:00Z",
            "1919-04-01T04:00:00Z",
        ),
        // 30 December 2011 was left out.
        (
            Day,
            "Pacific/Apia",
            "2011-12-30T09:59:59Z",
            "2011-12-29T10:00:00Z",
            "2011-12-30T10:00:00Z",
        ),
        (
            Day,
            "Pacific/Apia",
            "2011-12-30T10:00:00Z",
            "2011-12-30T10:00:00Z",
            "2011-12-31T10:00:00Z",
        ),
        (
            Year,
            "Pacific/Apia",
            "2011-12-30T12:00:00Z",
            "2011-01-01T10:00:00Z",
            "2011-12-31T10:00:00Z",
        ),
    ];
    for (period, zone, now, begin, next) in cases {
        let name = period.name();
        assert_eq!(
            bounds(period, zone, now),
            [begin, next],
            "{name} in {zone} at {now}"
        );
    }
}

#[test]
fn periods_follow_each_other_without_gap_in_every_zone() {
    let zones = [
        "Europe/Berlin",
        "Asia/Beirut",
        "America/Havana",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Pacific/Kwajalein",
    ];
    for zone in zones.map(|zone| TimeZone::get(zone).expect("the zone is known")) {
        for period in CalendarPeriod::ALL {
            // 1990 to 2040.
            let (mut at, end) = (631_152_000, 2_208_988_800);
            while at < end {
                let (begin, next) = period.bounds(at, &zone);
                assert!(begin <= at && at < next);
                for second in [begin, begin + 1, (begin + next) / 2, next - 1] {
                    assert_eq!(period.bounds(second, &zone), (begin, next), "at {second}");
                }
                let dates = [begin, next].map(|second| {
                    let instant = Timestamp::from_second(second).expect("it is in range");
                    zone.to_datetime(instant).date()
                });
                assert!(dates[0] < dates[1], "{period:?} at {at}");
                at = next;
            }
        }
    }
    for second in [i64::MIN, i64::MAX - 1] {
        let (begin, next) = CalendarPeriod::Year.bounds(second, &TimeZone::UTC);
        assert!(begin <= second && second < next);
    }
}
