//! Battery of a display: per cent, computed from volts or as it says itself.
//!
//! Pure. The scale is that of one lithium cell, linear from 3.3 V to 4.1 V: near enough to say when
//! to charge it.

use super::text::format_number;

/// Volts of 0 %: below it a cell drops fast.
pub const EMPTY_VOLTS: f64 = 3.3;
/// Volts of 100 %.
pub const FULL_VOLTS: f64 = 4.1;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Battery {
    /// As measured, where the display says it.
    pub volts: Option<f64>,
    /// From 0 to 100.
    pub percent: f64,
}

impl Battery {
    /// `None` for what one cell cannot have, such as the 0 V of a display without a battery.
    pub fn of_volts(volts: f64) -> Option<Battery> {
        let share = (volts - EMPTY_VOLTS) / (FULL_VOLTS - EMPTY_VOLTS);
        (2.0..=5.0).contains(&volts).then(|| Battery {
            volts: Some(volts),
            percent: (share * 100.0).clamp(0.0, 100.0).round(),
        })
    }

    /// `None` for what is not from 0 to 100.
    pub fn of_percent(percent: f64) -> Option<Battery> {
        (0.0..=100.0).contains(&percent).then_some(Battery {
            volts: None,
            percent,
        })
    }

    /// Reads `20%` and `3.5 V`. A number alone is per cent, one with a point and up to 5 is volts.
    pub fn parse(text: &str) -> Option<Battery> {
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            return Battery::of_percent(percent.trim_end().parse().ok()?);
        }
        if let Some(volts) = text.strip_suffix(['V', 'v']) {
            return Battery::of_volts(volts.trim_end().parse().ok()?);
        }
        let number: f64 = text.parse().ok()?;
        if text.contains('.') && number <= 5.0 {
            Battery::of_volts(number)
        } else {
            Battery::of_percent(number)
        }
    }

    /// Whether it has less than `margin` points more than the limit. Volts are compared with volts: what a
    /// device reckons as per cent is its own.
    pub fn is_below(self, limit: Battery, margin: f64) -> bool {
        match (self.volts, limit.volts) {
            (Some(volts), Some(limit)) => {
                volts < limit + margin / 100.0 * (FULL_VOLTS - EMPTY_VOLTS)
            }
            _ => self.percent < limit.percent + margin,
        }
    }

    /// `3.5 V (25 %)`, or `25 %`.
    pub fn to_text(self) -> String {
        let percent = format_number(self.percent.round());
        match self.volts {
            Some(volts) => format!("{volts:.2} V ({percent} %)"),
            None => format!("{percent} %"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volts_are_compared_with_volts() {
        let battery = |volts: Option<f64>, percent| Battery { volts, percent };
        let limit = Battery::of_volts(3.5).expect("a cell has it");
        for (found, margin, expected) in [
            (battery(Some(3.3), 55.0), 0.0, true),
            (battery(Some(3.6), 10.0), 0.0, false),
            (battery(Some(3.53), 10.0), 5.0, true),
            (battery(Some(3.55), 10.0), 5.0, false),
            (battery(None, 24.0), 0.0, true),
            (battery(None, 26.0), 5.0, true),
            (battery(None, 30.0), 5.0, false),
        ] {
            assert_eq!(found.is_below(limit, margin), expected, "{found:?}");
        }
        let percent = Battery::of_percent(20.0).expect("it is from 0 to 100");
        assert!(battery(Some(4.0), 19.0).is_below(percent, 0.0));
    }

    #[test]
    fn volts_and_per_cent_are_read_and_odd_values_are_none() {
        for (text, expected) in [
            ("80%", "80 %"),
            (" 80 % ", "80 %"),
            ("80", "80 %"),
            ("0", "0 %"),
            ("4", "4 %"),
            ("3.7", "3.70 V (50 %)"),
            ("3.7 V", "3.70 V (50 %)"),
            ("4.20v", "4.20 V (100 %)"),
            ("3.1V", "3.10 V (0 %)"),
            ("3.5", "3.50 V (25 %)"),
            ("99.5", "100 %"),
            // Without a battery, and no numbers.
            ("0.00", "none"),
            ("0V", "none"),
            ("12.6", "13 %"),
            ("101", "none"),
            ("-1", "none"),
            ("NaN", "none"),
            ("NaN%", "none"),
            ("inf", "none"),
            ("1e400", "none"),
            ("", "none"),
            ("%", "none"),
            ("full", "none"),
        ] {
            let found = Battery::parse(text).map_or("none".to_owned(), Battery::to_text);
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
