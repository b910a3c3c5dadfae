//! Daily rollups: summed up from hours when the day is over.
//!
//! Called by the store thread within its transaction. Days are in UTC.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use super::{Aggregate, add, read_aggregate};
use crate::db::periods::{DAY, HOUR};
use crate::db::progress::Progress;
use crate::db::tiers::Tiers;

/// Sums up one day that is over, and notes that it is.
pub fn roll_up_next(
    transaction: &Transaction,
    tiers: &mut Tiers,
    today: i64,
) -> rusqlite::Result<Progress> {
    let from = tiers.daily_until.unwrap_or(i64::MIN / DAY);
    let next: Option<i64> = transaction.query_row(
        "SELECT min(hour) FROM hourly WHERE hour >= ?1",
        [from.saturating_mul(24)],
        |row| row.get(0),
    )?;
    let day = next.map_or(today, |hour| hour.div_euclid(24)).min(today);
    if day < today {
        recompute_day(transaction, day, None)?;
    }
    tiers.daily_until = Some((day + 1).min(today));
    Ok(Progress::More)
}

/// Sums a day up from its hours: of one key, or of all that have any.
pub fn recompute_day(connection: &Connection, day: i64, k: Option<i64>) -> rusqlite::Result<()> {
    let mut hours = connection.prepare_cached(
        "SELECT count, min, mean, max, last, hour * 3600 + last_s, k FROM hourly \
         WHERE hour >= ?1 AND hour < ?2 AND count > 0 AND (?3 IS NULL OR k = ?3) ORDER BY hour",
    )?;
    let mut days: BTreeMap<i64, Option<Aggregate>> = BTreeMap::new();
    days.extend(k.map(|k| (k, None)));
    let per_day = DAY / HOUR;
    let mut rows = hours.query(params![day * per_day, (day + 1) * per_day, k])?;
    while let Some(row) = rows.next()? {
        if let Some(summary) = read_aggregate(row)? {
            add(days.entry(row.get(6)?).or_default(), &summary);
        }
    }
    let mut write = connection.prepare_cached(
        "INSERT OR REPLACE INTO daily (day, k, count, min, mean, max, last) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut clear = connection.prepare_cached("DELETE FROM daily WHERE day = ?1 AND k = ?2")?;
    for (k, summary) in days {
        match summary {
            Some(s) => write.execute(params![
                day,
                k,
                i64::try_from(s.count).unwrap_or(i64::MAX),
                s.min,
                s.mean,
                s.max,
                s.last
            ])?,
            None => clear.execute([day, k])?,
        };
    }
    Ok(())
}
