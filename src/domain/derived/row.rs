//! Rows of a window: numbers with their times, and what each adds to a sum.

/// A number and its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub second: i64,
    pub value: f64,
}

/// A row with what it adds to a sum: its step, the area since the row before it, or its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WindowRow {
    pub row: Row,
    pub adds: f64,
    /// Seconds since the row from which its step counts; [`WindowRow::SKIPPED`] where it does not
    /// count.
    covered: i64,
}

impl WindowRow {
    const SKIPPED: i64 = -1;

    pub fn new(row: Row) -> WindowRow {
        WindowRow {
            row,
            adds: row.value,
            covered: 0,
        }
    }

    /// Seconds since the row from which its step counts; `None` if it is not counted.
    pub fn covered(&self) -> Option<i64> {
        (self.covered != WindowRow::SKIPPED).then_some(self.covered)
    }

    /// Sets what it adds since the row before it; the first row of all adds nothing.
    pub fn set_step(&mut self, before: Option<Row>, step: impl FnOnce(Row, Row) -> f64) {
        let since = before.map(|before| self.row.second.saturating_sub(before.second));
        self.adds = before.map_or(0.0, |before| step(before, self.row));
        self.covered = since.unwrap_or(0).max(0);
    }

    pub fn skip(&mut self) {
        self.adds = 0.0;
        self.covered = WindowRow::SKIPPED;
    }
}

/// The area between two rows, in value × seconds: a trapezoid, or where the second comes too late,
/// the first value for as long as it holds.
pub(super) fn area(before: Row, row: Row, hold: i64) -> f64 {
    let time = row.second.saturating_sub(before.second);
    if time <= hold {
        (before.value / 2.0 + row.value / 2.0) * time as f64
    } else {
        before.value * hold as f64
    }
}
