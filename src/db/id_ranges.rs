//! Ranges of ids among which the rows of an hour lie.
//!
//! Rows arrive in the order of time, so that the ids of an hour are close together; but what an import
//! adds to an hour long past has new ids, far from those that other keys have in it. Read from the
//! lowest to the highest such an hour would be the whole table.

use rusqlite::Connection;

/// First and last, both inclusive.
pub type IdRange = (i64, i64);

/// Ids between two ranges that are rather read than sought: some pages of rows.
const GAP: i64 = 1_000;

/// The ranges in ascending order, with those merged that overlap or are close.
pub fn merge(ranges: impl IntoIterator<Item = IdRange>) -> Vec<IdRange> {
    let mut sorted: Vec<IdRange> = ranges.into_iter().collect();
    sorted.sort_unstable();
    let mut merged: Vec<IdRange> = Vec::new();
    for (first, last) in sorted {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(GAP) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// How many ids the ranges have.
pub fn count(ranges: &[IdRange]) -> i64 {
    let length = |(first, last): &IdRange| last.saturating_sub(*first).saturating_add(1);
    ranges.iter().map(length).fold(0, i64::saturating_add)
}

/// The ranges of the rows of all keys in an hour; none where only rollups are left of it.
pub fn of_hour(connection: &Connection, hour: i64) -> rusqlite::Result<Vec<IdRange>> {
    let mut ranges = connection
        .prepare_cached("SELECT first_id, last_id FROM hourly WHERE hour = ?1 AND first_id > 0")?;
    let ranges = ranges.query_map([hour], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(merge(ranges.collect::<rusqlite::Result<Vec<_>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_close_are_read_as_one() {
        for (ranges, merged) in [
            (vec![], vec![]),
            (vec![(5, 9), (1, 4)], vec![(1, 9)]),
            (vec![(1, 50), (10, 20)], vec![(1, 50)]),
            (vec![(1, 50), (1_050, 1_060)], vec![(1, 1_060)]),
            (
                vec![(5_000_000, 5_003_600), (1, 50), (40, 90)],
                vec![(1, 90), (5_000_000, 5_003_600)],
            ),
        ] {
            assert_eq!(merge(ranges.clone()), merged, "{ranges:?}");
        }
        assert_eq!(count(&[(1, 90), (100, 100)]), 91);
    }
}
