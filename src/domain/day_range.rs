//! Day range: the least and the greatest value of a key since local midnight.
//!
//! Pure.

/// What was observed of a key today, in its stored unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DayRange {
    pub min: f64,
    pub max: f64,
}

impl DayRange {
    /// The range of one value.
    pub fn of(value: f64) -> DayRange {
        DayRange {
            min: value,
            max: value,
        }
    }

    /// With another value of the same day.
    pub fn including(self, value: f64) -> DayRange {
        DayRange {
            min: self.min.min(value),
            max: self.max.max(value),
        }
    }
}
