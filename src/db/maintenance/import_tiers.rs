//! Readings of an import go where their time is kept: as rows, as hours, or as days. What is known
//! already stays.
//!
//! Within the transaction of a step.

use std::collections::{BTreeMap, HashMap};

use super::edit::{Edit, StoredKey, StoredRow, counts_more_than};
use super::latest;
use super::state::MaintenanceState;
use super::step_times::StepTimes;
use crate::db::periods::{DAY, HOUR};
use crate::db::rollup::{Aggregate, add};
use crate::domain::reading::Value;

/// What an import does, beside its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct ImportRules {
    pub times: StepTimes,
    /// Whether an imported value replaces another that is stored.
    pub replace: bool,
}

/// Numbers of days of which no hours are kept, by day and key.
pub(super) type DayTotals = BTreeMap<(i64, i64), Option<Aggregate>>;

/// Stores an hour of a key: as rows, as an hour, or as a part of a day, by what is kept of its time.
pub(super) fn store_hour_of_rows(
    edit: &mut Edit<'_>,
    state: &mut MaintenanceState,
    rules: ImportRules,
    key: &StoredKey,
    (hour, rows): (i64, Vec<StoredRow>),
    days: &mut DayTotals,
) -> rusqlite::Result<()> {
    let day = hour.div_euclid(DAY / HOUR);
    let oldest = rules.times.oldest_hour.max(edit.tiers.raw_from);
    if hour >= oldest.max(edit.tiers.hourly_from) {
        return store_rows(edit, state, rules, key, hour, rows);
    }
    let mut total = None;
    let is_day = day.saturating_mul(DAY / HOUR) < edit.tiers.hourly_from;
    for row in &rows {
        let Some(value) = row.value else {
            state.counts.texts += 1;
            continue;
        };
        let at = if is_day {
            row.second
        } else {
            row.second.rem_euclid(HOUR)
        };
        add(&mut total, &Aggregate::of(value, at));
    }
    let Some(total) = total else {
        return Ok(());
    };
    if is_day {
        add(days.entry((day, key.k)).or_default(), &total);
        Ok(())
    } else {
        store_hour(edit, state, (hour, key.k), total)
    }
}

fn store_rows(
    edit: &mut Edit<'_>,
    state: &mut MaintenanceState,
    rules: ImportRules,
    key: &StoredKey,
    hour: i64,
    rows: Vec<StoredRow>,
) -> rusqlite::Result<()> {
    let found = edit.hour(hour, key.k)?;
    let stored = match &found {
        Some(found) if found.has_rows() => edit.rows(key, hour, found)?,
        _ => Vec::new(),
    };
    // Which of its readings have no rows is not known.
    if let Some(found) = &found
        && (!found.has_rows() || counts_more_than(found, &stored))
    {
        state.counts.known += rows.len() as u64;
        return Ok(());
    }
    let mut values: HashMap<i64, Value> = HashMap::new();
    for row in &stored {
        values.extend(row.reading().map(|value| (row.second, value)));
    }
    let before = (state.counts.stored, state.counts.replaced);
    let mut added = Vec::new();
    for row in rows {
        match values.get(&row.second) {
            None => state.counts.stored += 1,
            Some(value) if row.reading().as_ref() == Some(value) => {
                state.counts.same += 1;
                continue;
            }
            Some(_) if rules.replace => state.counts.replaced += 1,
            Some(_) => {
                state.counts.differing += 1;
                continue;
            }
        }
        added.push(row);
    }
    if before == (state.counts.stored, state.counts.replaced) {
        return Ok(());
    }
    if let Some(found) = &found {
        edit.delete_rows(key, hour, found)?;
    }
    let all = stored.into_iter().chain(added).collect();
    let written = edit.write_rows(key, hour, all)?;
    match written.last() {
        Some(newest) => latest::offer(edit, key.k, newest),
        None => Ok(()),
    }
}

pub(super) fn store_hour(
    edit: &mut Edit<'_>,
    state: &mut MaintenanceState,
    (hour, k): (i64, i64),
    summary: Aggregate,
) -> rusqlite::Result<()> {
    if edit.hour(hour, k)?.is_some() {
        state.counts.known += 1;
        return Ok(());
    }
    state.counts.hours += 1;
    edit.write_summary(hour, k, summary)
}

pub(super) fn store_days(
    edit: &mut Edit<'_>,
    state: &mut MaintenanceState,
    rules: ImportRules,
    days: DayTotals,
) -> rusqlite::Result<()> {
    for (place, total) in days {
        if let Some(total) = total {
            store_day(edit, state, rules, place, &total)?;
        }
    }
    Ok(())
}

pub(super) fn store_day(
    edit: &mut Edit<'_>,
    state: &mut MaintenanceState,
    rules: ImportRules,
    (day, k): (i64, i64),
    total: &Aggregate,
) -> rusqlite::Result<()> {
    let end = day.saturating_add(1).saturating_mul(DAY / HOUR);
    if edit.tiers.hourly_from < end {
        let first: Option<i64> = edit
            .transaction
            .prepare_cached("SELECT min(hour) FROM hourly")?
            .query_row([], |row| row.get(0))?;
        // Rows of a day that is not over are still to come.
        let is_over = day < rules.times.today;
        if !is_over && rules.times.latest.is_none() {
            state.counts.undated += 1;
            return Ok(());
        }
        if !is_over || first.is_some_and(|first| first < end) {
            state.counts.unplaced += 1;
            return Ok(());
        }
        // There are no hours before; from here on none come.
        edit.tiers.hourly_from = end;
        edit.tiers.raw_from = edit.tiers.raw_from.max(end);
        edit.tiers.rows_from = edit.tiers.rows_from.max(end);
    }
    if edit.add_day(day, k, total)? {
        state.counts.days += 1;
    } else {
        state.counts.known += 1;
    }
    Ok(())
}
