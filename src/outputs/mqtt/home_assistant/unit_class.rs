//! Units as Home Assistant spells them, and the device class that a unit says.
//!
//! Pure. Home Assistant refuses an entity whose unit does not belong to its device class, so only
//! pairs stand here that it has accepted ever since it discovers devices (2024.12). A unit of
//! several classes has none: `%` may be a humidity or a battery, `ppm` any gas, `mm` rain or a
//! distance, `K` a difference, `°` a direction or a height of the sun.

/// What the numbers of an entity are, for the statistics of Home Assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateClass {
    Measurement,
    TotalIncreasing,
}

impl StateClass {
    pub fn name(self) -> &'static str {
        match self {
            StateClass::Measurement => "measurement",
            StateClass::TotalIncreasing => "total_increasing",
        }
    }
}

/// A device class, its units, and the state classes that Home Assistant allows with it.
struct UnitClass {
    name: &'static str,
    units: &'static [&'static str],
    states: &'static [StateClass],
}

const MEASURED: &[StateClass] = &[StateClass::Measurement];
/// What is consumed: a store of it is another class.
const COUNTED: &[StateClass] = &[StateClass::TotalIncreasing];
const EITHER: &[StateClass] = &[StateClass::Measurement, StateClass::TotalIncreasing];

const fn class(
    name: &'static str,
    states: &'static [StateClass],
    units: &'static [&'static str],
) -> UnitClass {
    UnitClass {
        name,
        units,
        states,
    }
}

static CLASSES: [UnitClass; 22] = [
    class("temperature", MEASURED, &["°C", "°F"]),
    class("power", MEASURED, &["W", "kW"]),
    class(
        "energy",
        COUNTED,
        &[
            "Wh", "kWh", "MWh", "GWh", "TWh", "J", "kJ", "MJ", "GJ", "cal", "kcal", "Mcal", "Gcal",
        ],
    ),
    class("voltage", MEASURED, &["V", "mV", "µV"]),
    class("current", MEASURED, &["A", "mA"]),
    class("apparent_power", MEASURED, &["VA"]),
    class("reactive_power", MEASURED, &["var"]),
    class("frequency", MEASURED, &["Hz", "kHz", "MHz", "GHz"]),
    class(
        "pressure",
        MEASURED,
        &[
            "Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi",
        ],
    ),
    class("illuminance", MEASURED, &["lx"]),
    class("irradiance", MEASURED, &["W/m²"]),
    class(
        "speed",
        MEASURED,
        &["m/s", "km/h", "mph", "kn", "ft/s", "in/s", "mm/s"],
    ),
    class(
        "precipitation_intensity",
        MEASURED,
        &["mm/h", "mm/d", "in/h", "in/d"],
    ),
    class("distance", EITHER, &["m", "km", "ft", "yd", "mi", "nmi"]),
    class("area", EITHER, &["mm²", "cm²", "m²", "km²", "ha", "ft²"]),
    class("duration", EITHER, &["ms", "s", "min", "h", "d"]),
    class("volume", COUNTED, &["L", "mL", "m³", "gal", "ft³"]),
    class(
        "volume_flow_rate",
        MEASURED,
        &["m³/h", "L/min", "mL/s", "gal/min", "ft³/min"],
    ),
    class("weight", EITHER, &["kg", "g", "mg", "µg", "lb", "oz"]),
    class(
        "data_size",
        EITHER,
        &[
            "bit", "kbit", "Mbit", "Gbit", "B", "kB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB",
            "TiB", "PiB",
        ],
    ),
    class(
        "data_rate",
        MEASURED,
        &[
            "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "B/s", "kB/s", "MB/s", "GB/s", "KiB/s", "MiB/s",
            "GiB/s",
        ],
    ),
    class("conductivity", MEASURED, &["S/cm", "mS/cm", "µS/cm"]),
];

/// Other classes of a single unit.
static SINGLE_UNITS: [(&str, &str); 2] = [("dBm", "signal_strength"), ("dBA", "sound_pressure")];

/// Spellings of APIs, and that of Home Assistant. `C`, `F` and other single letters are left alone.
static SPELLINGS: [(&str, &[&str]); 34] = [
    (
        "°C",
        &["℃", "degC", "deg C", "°c", "ºC", "Celsius", "celsius"],
    ),
    (
        "°F",
        &["℉", "degF", "deg F", "°f", "ºF", "Fahrenheit", "fahrenheit"],
    ),
    ("K", &["Kelvin", "kelvin"]),
    ("%", &["percent", "Percent", "pct"]),
    ("W", &["watt", "Watt", "watts", "Watts"]),
    ("kW", &["KW", "kw"]),
    ("Wh", &["WH", "wh"]),
    ("kWh", &["KWh", "KWH", "kwh", "kW h", "kW·h"]),
    ("V", &["volt", "Volt", "volts", "Volts"]),
    ("A", &["amp", "Amp", "amps", "Amps", "ampere", "Ampere"]),
    ("var", &["VAr", "VAR", "Var"]),
    ("Hz", &["hz", "HZ", "hertz", "Hertz"]),
    ("hPa", &["hpa", "HPa"]),
    ("mbar", &["millibar", "millibars"]),
    ("lx", &["lux", "Lux", "Lx"]),
    ("W/m²", &["W/m2", "W/m^2", "w/m2"]),
    ("km/h", &["kmh", "kph", "km/hr", "KM/H", "Km/h"]),
    ("m/s", &["mps", "m/sec", "m s-1", "m·s⁻¹"]),
    ("mph", &["mp/h", "mi/h", "MPH"]),
    ("kn", &["kt", "kts", "knot", "knots"]),
    ("mm/h", &["mm/hr"]),
    ("ms", &["msec", "millisecond", "milliseconds"]),
    ("s", &["sec", "secs", "second", "seconds"]),
    ("min", &["mins", "minute", "minutes"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
    ("d", &["day", "days"]),
    ("L", &["l", "ℓ", "liter", "liters", "litre", "litres"]),
    ("L/min", &["l/min", "lpm", "LPM"]),
    ("m³", &["m3", "m^3", "cbm"]),
    ("m³/h", &["m3/h", "m^3/h"]),
    ("m²", &["m2", "m^2", "sqm"]),
    ("kB", &["KB"]),
    ("µS/cm", &["μS/cm", "uS/cm"]),
    (
        "µg/m³",
        &["μg/m³", "ug/m³", "µg/m3", "μg/m3", "ug/m3", "µg/m^3"],
    ),
];

/// The unit as Home Assistant spells it; what it does not know stays as it is.
pub fn spelling(unit: &str) -> &str {
    let mut known = SPELLINGS.iter();
    let found = known.find(|(_, others)| others.contains(&unit));
    found.map_or(unit, |(canonical, _)| canonical)
}

/// The device class of numbers of `unit`, as Home Assistant spells it, that are `state`.
pub fn device_class(unit: &str, state: StateClass) -> Option<&'static str> {
    let allows = |it: &&UnitClass| it.units.contains(&unit) && it.states.contains(&state);
    let single = || {
        let mut singles = SINGLE_UNITS.iter();
        singles.find(|(it, _)| *it == unit && state == StateClass::Measurement)
    };
    let class = CLASSES.iter().find(allows).map(|it| it.name);
    class.or_else(|| single().map(|(_, class)| *class))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Home Assistant's page of sensor device classes: the classes of each unit, and their state
    /// classes.
    #[test]
    fn a_unit_says_its_device_class_only_where_it_has_one() {
        for (unit, measured, counted) in [
            ("°C", Some("temperature"), None),
            ("°F", Some("temperature"), None),
            ("K", None, None),
            ("%", None, None),
            ("W", Some("power"), None),
            // A battery's content is energy_storage, a meter's is energy.
            ("kWh", None, Some("energy")),
            ("MJ", None, Some("energy")),
            ("V", Some("voltage"), None),
            ("A", Some("current"), None),
            ("hPa", Some("pressure"), None),
            ("lx", Some("illuminance"), None),
            ("km/h", Some("speed"), None),
            ("mm/h", Some("precipitation_intensity"), None),
            // Rain, or a distance.
            ("mm", None, None),
            ("m", Some("distance"), Some("distance")),
            ("h", Some("duration"), Some("duration")),
            ("L", None, Some("volume")),
            ("m³", None, Some("volume")),
            ("m³/h", Some("volume_flow_rate"), None),
            ("kg", Some("weight"), Some("weight")),
            ("GB", Some("data_size"), Some("data_size")),
            ("Mbit/s", Some("data_rate"), None),
            ("dBm", Some("signal_strength"), None),
            ("dB", None, None),
            ("ppm", None, None),
            ("µg/m³", None, None),
            ("°", None, None),
            ("€", None, None),
            ("rpm", None, None),
            ("", None, None),
        ] {
            assert_eq!(
                device_class(unit, StateClass::Measurement),
                measured,
                "{unit}"
            );
            assert_eq!(
                device_class(unit, StateClass::TotalIncreasing),
                counted,
                "{unit}"
            );
        }
    }

    #[test]
    fn a_unit_stands_once() {
        let singles = SINGLE_UNITS.iter().map(|(unit, _)| *unit);
        let of_classes = CLASSES.iter().flat_map(|it| it.units).copied();
        let mut units: Vec<&str> = of_classes.chain(singles).collect();
        let count = units.len();
        units.sort_unstable();
        units.dedup();
        assert_eq!(units.len(), count);
        let other = SPELLINGS.iter().flat_map(|(_, others)| *others);
        for other in other {
            assert!(!units.contains(other), "{other}");
            assert_ne!(spelling(other), *other);
        }
    }

    #[test]
    fn units_are_spelled_as_home_assistant_does() {
        for (unit, expected) in [
            ("degC", "°C"),
            ("l/min", "L/min"),
            ("m3", "m³"),
            ("kwh", "kWh"),
            ("μg/m3", "µg/m³"),
            ("uS/cm", "µS/cm"),
            // A milliwatt is no megawatt, and nobody knows what C is.
            ("mW", "mW"),
            ("MW", "MW"),
            ("C", "C"),
            ("Kisten", "Kisten"),
        ] {
            assert_eq!(spelling(unit), expected);
        }
    }
}
