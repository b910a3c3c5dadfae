//! Units for people: 38,801,208 Wh are 38.8 MWh.
//!
//! Pure. Only units that have one meaning; those of the metric system grow by 1,000, seconds
//! become hours and days.

use std::sync::Arc;

/// The next larger unit: shown is value × factor.
struct UnitStep {
    unit: &'static str,
    /// Taken from this magnitude on.
    from: f64,
    larger: &'static str,
    factor: f64,
}

const fn step(unit: &'static str, from: f64, larger: &'static str) -> UnitStep {
    UnitStep {
        unit,
        from,
        larger,
        factor: 1e-3,
    }
}

/// A meter that counts kilowatt-hours stays in them. Sizes grow from 1,000 on, as people are used
/// to it, other units from 10,000 on.
static STEPS: [UnitStep; 20] = [
    step("B", 1e3, "kB"),
    step("kB", 1e3, "MB"),
    step("MB", 1e3, "GB"),
    step("GB", 1e3, "TB"),
    step("B/s", 1e3, "kB/s"),
    step("kB/s", 1e3, "MB/s"),
    step("MB/s", 1e3, "GB/s"),
    step("bit/s", 1e3, "kbit/s"),
    step("kbit/s", 1e3, "Mbit/s"),
    step("Mbit/s", 1e3, "Gbit/s"),
    step("W", 1e4, "kW"),
    step("kW", 1e4, "MW"),
    step("VA", 1e4, "kVA"),
    step("var", 1e4, "kvar"),
    step("Hz", 1e4, "kHz"),
    step("kHz", 1e4, "MHz"),
    step("MHz", 1e4, "GHz"),
    step("Wh", 1e4, "kWh"),
    UnitStep {
        unit: "s",
        from: 1e4,
        larger: "h",
        factor: 1.0 / 3600.0,
    },
    UnitStep {
        unit: "h",
        from: 72.0,
        larger: "d",
        factor: 1.0 / 24.0,
    },
];

/// Seconds since 1970 are a time, not a duration.
const LONGEST_SECONDS: f64 = 1e9;

/// Factor and unit in which values of `unit` as large as `magnitude` are shown; `None` for those
/// that stay as they are.
pub fn scale(unit: &str, magnitude: f64) -> Option<(f64, Arc<str>)> {
    let is_hours = unit == "h";
    let is_time = unit == "s" && magnitude >= LONGEST_SECONDS;
    if is_hours || is_time || !magnitude.is_finite() {
        return None;
    }
    let counts_watt_hours = unit == "Wh";
    let (mut factor, mut shown) = (1.0, unit);
    while let Some(step) = STEPS
        .iter()
        .find(|it| it.unit == shown && magnitude * factor >= it.from)
    {
        factor *= step.factor;
        shown = step.larger;
    }
    if counts_watt_hours && magnitude * factor >= 1e4 {
        factor *= 1e-3;
        shown = "MWh";
    }
    (shown != unit).then(|| (factor, shown.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_grow_with_the_magnitude() {
        for (unit, magnitude, factor, expected) in [
            ("B", 999.0, 1.0, "B"),
            ("B", 1_500.0, 1e-3, "kB"),
            ("B", 638_433_855.0, 1e-6, "MB"),
            ("B", 21_399_927_879.0, 1e-9, "GB"),
            ("B", 4e15, 1e-12, "TB"),
            ("MB", 21_400.0, 1e-3, "GB"),
            ("kB/s", 12_500.0, 1e-3, "MB/s"),
            ("bit/s", 94e6, 1e-6, "Mbit/s"),
            ("W", 9_999.0, 1.0, "W"),
            ("W", 10_000.0, 1e-3, "kW"),
            ("W", 25e6, 1e-6, "MW"),
            ("Wh", 9_000.0, 1.0, "Wh"),
            ("Wh", 295_576.5, 1e-3, "kWh"),
            ("Wh", 38_801_208.0, 1e-6, "MWh"),
            ("kWh", 18_342.1, 1.0, "kWh"),
            ("Hz", 50.0, 1.0, "Hz"),
            ("s", 3_600.0, 1.0, "s"),
            ("s", 36_000.0, 1.0 / 3600.0, "h"),
            ("s", 864_000.0, 1.0 / 86_400.0, "d"),
            ("s", 1_764_430_000.0, 1.0, "s"),
            ("h", 8_000.0, 1.0, "h"),
            ("°C", 20_000.0, 1.0, "°C"),
            ("ppm", 20_000.0, 1.0, "ppm"),
            ("m", 20_000.0, 1.0, "m"),
            ("", 20_000.0, 1.0, ""),
            ("W", f64::INFINITY, 1.0, "W"),
            ("W", f64::NAN, 1.0, "W"),
        ] {
            let found = scale(unit, magnitude).unwrap_or((1.0, unit.into()));
            assert_eq!(&*found.1, expected, "{magnitude} {unit}");
            assert!((found.0 / factor - 1.0).abs() < 1e-12, "{magnitude} {unit}");
        }
    }
}
