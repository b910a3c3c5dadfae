//! Windows of derived keys: `rate`, `increase`, `integral`, minimum, maximum and mean of one key
//! over a time span or since the begin of a day, week, month or year.
//!
//! Pure. A [`Window`] takes the rows of its input, in any order, and says what its value is at a
//! moment. Memory is bounded: the newest rows are kept one by one, earlier ones are summed up.

mod buckets;
mod codec;
mod counter;
mod period;
mod row;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

pub use self::period::CalendarPeriod;
pub use self::window::Window;
use super::text::human_duration;
use super::time::Wall;

/// What is made of the rows in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowFunction {
    /// [`WindowFunction::Increase`] divided by the time that its steps cover, per second.
    Rate,
    /// The sum of the steps between consecutive rows of a counter.
    Increase,
    /// The trapezoids between consecutive rows: value × hours.
    Integral,
    MinOverTime,
    MaxOverTime,
    /// The mean of the rows: each weighs the same.
    AvgOverTime,
}

impl WindowFunction {
    pub const ALL: [WindowFunction; 6] = [
        WindowFunction::Rate,
        WindowFunction::Increase,
        WindowFunction::Integral,
        WindowFunction::MinOverTime,
        WindowFunction::MaxOverTime,
        WindowFunction::AvgOverTime,
    ];

    /// Its option in `[derived.NAME]`.
    pub fn name(self) -> &'static str {
        match self {
            WindowFunction::Rate => "rate",
            WindowFunction::Increase => "increase",
            WindowFunction::Integral => "integral",
            WindowFunction::MinOverTime => "min_over_time",
            WindowFunction::MaxOverTime => "max_over_time",
            WindowFunction::AvgOverTime => "avg_over_time",
        }
    }

    /// Whether it sums up what lies between rows; with one row that is zero.
    pub fn adds_steps(self) -> bool {
        self.is_of_counter() || self == WindowFunction::Integral
    }

    /// Whether the input is a counter: its falls are resets or gaps, and stated values (`missing`,
    /// `null`) are not part of it.
    pub fn is_of_counter(self) -> bool {
        matches!(self, WindowFunction::Rate | WindowFunction::Increase)
    }
}

/// How far back a window reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSpan {
    /// The time before now; a row that is exactly so old is outside.
    Over(Duration),
    /// From the begin of the calendar period that contains now; a row at its begin is inside.
    Since(CalendarPeriod),
}

/// A window function of one key, as it is configured.
#[derive(Debug, Clone)]
pub struct WindowRule {
    pub function: WindowFunction,
    pub input: Arc<str>,
    pub span: WindowSpan,
    /// In which calendar periods begin.
    pub zone: TimeZone,
    /// How long a value holds that no other follows, for the integral: `stale_after` of the input.
    pub hold: Duration,
}

impl WindowRule {
    /// What a saved window must have been for: it is of no use for another.
    pub fn text(&self) -> String {
        let function = self.function.name();
        let input = &self.input;
        match self.span {
            WindowSpan::Over(span) => format!("{function} of {input} over {} s", seconds(span)),
            WindowSpan::Since(period) => {
                let zone = self.zone.iana_name().unwrap_or("UTC");
                format!("{function} of {input} since {} in {zone}", period.name())
            }
        }
    }

    /// The first second inside the window that ends with second `at`.
    fn first_second(&self, at: i64) -> i64 {
        match self.span {
            WindowSpan::Over(span) => at.saturating_sub(seconds(span)).saturating_add(1),
            WindowSpan::Since(period) => period.bounds(at, &self.zone).0,
        }
    }
}

/// Whole seconds, at least one.
fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX).max(1)
}

/// One number of the input: a row that is stored, or will be. Its time is trusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSample {
    /// Whole seconds count.
    pub time: Wall,
    pub value: f64,
    /// Whether `missing` or `null` gave the value.
    pub is_stated: bool,
}

/// A window as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedWindow {
    /// The derived key's.
    pub name: Arc<str>,
    /// [`WindowRule::text`].
    pub rule: String,
    /// [`Window::encode`].
    pub state: Vec<u8>,
}

/// A window that is built again of the rows of the database.
#[derive(Debug, Clone)]
pub struct WindowRebuild {
    /// The derived key's.
    pub name: Arc<str>,
    /// From when on rows are wanted.
    pub from: Wall,
    /// What is known before that; at the end with all rows.
    pub window: Window,
    /// Whether sums over rows from then on are known already: where the rows are deleted they stay.
    pub has_sums: bool,
}

/// A rebuild that is done: the derived key's name, and its window; `None` where rows are deleted
/// whose sums are known.
pub type RebuiltWindow = (Arc<str>, Option<Window>);

/// Where windows are saved, and the rows of which they are rebuilt. Never waits for the disk.
pub trait WindowStorage: Send {
    /// Saves all windows. What is part of them was handed over to be stored before.
    fn save(&self, windows: Vec<SavedWindow>);

    /// Has a window rebuilt.
    fn rebuild(&self, rebuild: WindowRebuild);

    /// What was rebuilt since this was last asked.
    fn take_rebuilt(&self) -> Vec<RebuiltWindow>;
}

/// Why a window has no value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoValue {
    /// No row of the input lies in the window.
    NoRows,
    /// A rate whose steps cover less than half of the window.
    TooShort { covered: Duration, window: Duration },
    /// The number is too large.
    NotFinite,
    /// Rows of the database are still being read.
    Waiting,
    /// The rows of that time are not kept one by one any more.
    TooOld,
}

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoValue::NoRows => f.write_str("no value of it in this time"),
            NoValue::TooShort { covered, window } => write!(
                f,
                "its values cover {} of {}, less than half",
                human_duration(*covered),
                human_duration(*window)
            ),
            NoValue::Waiting => f.write_str("its stored values are still being read"),
            NoValue::NotFinite => f.write_str("the number is too large"),
            NoValue::TooOld => f.write_str("the values of that time are not kept one by one"),
        }
    }
}
