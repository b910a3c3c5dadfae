//! Keys that look like meters: their stored hours never fell in a week, and most of its days rose.
//!
//! For `check`; reads the rollups, any thread. Bounded: a week of days of every key, and the hours
//! of a few.

use rusqlite::{Connection, OptionalExtension, params};

use crate::db::periods::{DAY, HOUR};
use crate::domain::time::Wall;
use crate::limits;

/// A key that may be a meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RisingKey {
    pub key: String,
    /// Days on which it rose, of 7.
    pub days: usize,
}

/// Days that are looked at.
const DAYS: i64 = 7;
/// Of those, on how many it must have risen.
const MOST_DAYS: usize = 4;

/// The keys that rose in the week before `now` and never fell, in alphabetical order.
pub fn rising_keys(connection: &Connection, now: Wall) -> rusqlite::Result<Vec<RisingKey>> {
    let today = now.second().div_euclid(DAY);
    let mut found = Vec::new();
    for (k, key) in candidates(connection, today)? {
        if let Some(days) = rising_days(connection, k, today)?
            && days >= MOST_DAYS
        {
            found.push(RisingKey { key, days });
        }
    }
    Ok(found)
}

/// Keys that ended most days higher than they began the week. Times since 1970 rise as well, and so do
/// durations.
fn candidates(connection: &Connection, today: i64) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare(
        "SELECT keys.k, keys.key FROM daily JOIN keys ON keys.k = daily.k
         WHERE day BETWEEN ?1 AND ?2
           AND coalesce(keys.unit, '') NOT IN ('s', 'ms', 'min', 'h', 'd')
         GROUP BY daily.k
         HAVING count(*) >= ?3 AND max(last) > min(min) AND count(DISTINCT last) >= ?3
           AND NOT (min(min) > 1e9 AND max(max) < 3e9)
           AND NOT (min(min) > 1e12 AND max(max) < 3e12)
         ORDER BY keys.key LIMIT ?4",
    )?;
    let most = i64::try_from(limits::METER_CANDIDATES).unwrap_or(i64::MAX);
    let fewest = i64::try_from(MOST_DAYS).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![today - DAYS, today - 1, fewest, most], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    rows.collect()
}

/// On how many days of the week it rose; `None` if it ever fell.
fn rising_days(connection: &Connection, k: i64, today: i64) -> rusqlite::Result<Option<usize>> {
    let mut statement = connection
        .prepare_cached("SELECT min, max, last FROM hourly WHERE hour = ?1 AND k = ?2")?;
    let hours_per_day = DAY / HOUR;
    let mut last: Option<f64> = None;
    let mut days = 0;
    for day in today - DAYS..today {
        let began = last;
        let mut first = None;
        for hour in day * hours_per_day..(day + 1) * hours_per_day {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let found = statement.query_row(params![hour, k], read).optional()?;
            // An hour with texts alone has no numbers.
            let Some((Some(min), Some(max), Some(end))) = found else {
                continue;
            };
            let (min, max, end): (f64, f64, f64) = (min, max, end);
            if last.is_some_and(|last| min < last) || max > end {
                return Ok(None);
            }
            last = Some(end);
            first = first.or(Some(min));
        }
        // From the end of the day before, or from its own beginning.
        let from = began.or(first);
        days += usize::from(from.zip(last).is_some_and(|(from, last)| last > from));
    }
    Ok(Some(days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::{Directory, database};

    const TODAY: i64 = 20_000;

    /// A week of hours, of which `value` gives the lowest and the last; `None` for no data.
    fn store(
        connection: &Connection,
        k: i64,
        name: &str,
        unit: &str,
        value: impl Fn(i64) -> Option<(f64, f64)>,
    ) {
        let insert = "INSERT INTO keys (k, key, unit, source) VALUES (?1, ?2, ?3, 'a')";
        let insert = connection.execute(insert, params![k, name, unit]);
        insert.expect("the key is new");
        for day in TODAY - DAYS..TODAY {
            let mut sums: Option<(f64, f64, f64)> = None;
            for hour in day * 24..(day + 1) * 24 {
                let Some((min, last)) = value(hour - (TODAY - DAYS) * 24) else {
                    continue;
                };
                let max = min.max(last);
                let row = connection.execute(
                    "INSERT INTO hourly (hour, k, count, min, mean, max, last, last_s, first_id, last_id)
                     VALUES (?1, ?2, 1, ?3, ?3, ?4, ?5, 0, 1, 1)",
                    params![hour, k, min, max, last],
                );
                row.expect("the hour is new");
                let (low, high, _) = sums.unwrap_or((min, max, last));
                sums = Some((low.min(min), high.max(max), last));
            }
            if let Some((min, max, last)) = sums {
                let row = connection.execute(
                    "INSERT INTO daily (day, k, count, min, mean, max, last)
                     VALUES (?1, ?2, 1, ?3, ?3, ?4, ?5)",
                    params![day, k, min, max, last],
                );
                row.expect("the day is new");
            }
        }
    }

    /// Minimum and maximum of an hour, counted from the first.
    type HourlyRange = dyn Fn(i64) -> Option<(f64, f64)>;

    #[test]
    fn a_meter_never_falls_and_rises_on_most_days() {
        let directory = Directory::new();
        let database = database(&directory.path("main-node.db"));
        let connection = database.connection();
        let rising = |hour: i64| Some((hour as f64, hour as f64 + 0.5));
        let by_day = |hour: i64| (hour / 24) as f64;
        let cases: [(&str, &str, Box<HourlyRange>, Option<usize>); 11] = [
            ("meter", "kWh", Box::new(rising), Some(7)),
            (
                "gas",
                "m³",
                Box::new(move |hour| Some((by_day(hour), by_day(hour)))),
                Some(6),
            ),
            (
                "away",
                "kWh",
                Box::new(move |hour| (hour >= 48).then_some((by_day(hour), by_day(hour)))),
                Some(4),
            ),
            (
                "new",
                "kWh",
                Box::new(move |hour| (hour >= 96).then_some((by_day(hour), by_day(hour)))),
                None,
            ),
            ("constant", "kWh", Box::new(|_| Some((5.0, 5.0))), None),
            (
                "temperature",
                "°C",
                Box::new(|hour| Some(((hour % 24) as f64, (hour % 24) as f64))),
                None,
            ),
            (
                "dips",
                "kWh",
                Box::new(move |hour| {
                    Some((
                        hour as f64 - f64::from(u8::from(hour == 100)) * 9.0,
                        hour as f64,
                    ))
                }),
                None,
            ),
            (
                "exchanged",
                "kWh",
                Box::new(|hour| Some(((hour % 150) as f64, (hour % 150) as f64))),
                None,
            ),
            ("uptime", "s", Box::new(rising), None),
            (
                "unixtime",
                "",
                Box::new(|hour| Some((1.7e9 + hour as f64, 1.7e9 + hour as f64))),
                None,
            ),
            (
                "unixtime_ms",
                "",
                Box::new(|hour| Some((1.7e12 + hour as f64, 1.7e12 + hour as f64))),
                None,
            ),
        ];
        let mut expected = Vec::new();
        for (k, (name, unit, value, days)) in (1..).zip(cases) {
            store(connection, k, name, unit, value);
            let key = name.to_owned();
            expected.extend(days.map(|days| RisingKey { key, days }));
        }
        expected.sort_by(|a, b| a.key.cmp(&b.key));
        let now = Wall::from_second(TODAY * DAY + 5 * HOUR);
        let found = rising_keys(connection, now).expect("it can be read");
        assert_eq!(found, expected);
    }
}
