//! Counter: the steps between consecutive rows, with resets and gaps.
//!
//! A fall is a reset if the next three readings, and at least five minutes, stay below the old
//! value; then counting begins again at zero, so that the new value itself counts. A value that
//! comes back was a gap: what lay below is no part of the counter. Until that is known, it counts
//! nothing.

use super::row::{Row, WindowRow};

/// Readings after a fall that must stay below the old value.
const RESET_READINGS: usize = 3;
/// How long they must, seconds.
const RESET_SECONDS: i64 = 300;

/// Sets the steps of `rows` from index `from` on; `before` is the row that was counted last before
/// it. Returns the index from which on rows wait for what follows them: a fall that may be either.
pub(super) fn count_steps(before: Option<Row>, rows: &mut [WindowRow], from: usize) -> usize {
    let (mut before, mut at) = (before, from);
    while at < rows.len() {
        let fall = before.filter(|before| rows[at].row.value < before.value);
        match fall.map(|before| judge_fall(before, &rows[at..])) {
            None => rows[at].set_step(before, |before, row| row.value - before.value),
            Some(Fall::Reset) => rows[at].set_step(before, |_, row| row.value.max(0.0)),
            Some(Fall::Gap(length)) => {
                rows[at..at + length].iter_mut().for_each(WindowRow::skip);
                at += length;
                continue;
            }
            Some(Fall::Open) => {
                rows[at..].iter_mut().for_each(WindowRow::skip);
                return at;
            }
        }
        before = Some(rows[at].row);
        at += 1;
    }
    rows.len()
}

enum Fall {
    /// So many rows lie below the old value before it comes back.
    Gap(usize),
    Reset,
    /// Not known yet.
    Open,
}

/// What the fall is that `rows` begin with.
fn judge_fall(before: Row, rows: &[WindowRow]) -> Fall {
    let fallen_at = rows[0].row.second;
    for (index, row) in rows.iter().enumerate().skip(1) {
        if row.row.value >= before.value {
            return Fall::Gap(index);
        }
        let lasted = row.row.second.saturating_sub(fallen_at);
        if index >= RESET_READINGS && lasted >= RESET_SECONDS {
            return Fall::Reset;
        }
    }
    Fall::Open
}
