//! Tests of number formats: digits, units, words, languages.

use super::*;

/// `_` is the narrow blank, `~` the blank at which no line breaks.
fn plain(text: &str) -> String {
    text.replace('\u{202f}', "_").replace('\u{a0}', "~")
}

fn options(unit: &str) -> FormatOptions {
    FormatOptions {
        unit: Some(unit.into()),
        ..FormatOptions::default()
    }
}

#[test]
fn default_digits_follow_from_the_numbers_of_a_day() {
    // unit, value, lowest, highest, shown value, shown lowest, shown highest
    for (unit, value, low, high, expected) in [
        ("°C", 3.6, -1.0, 6.3, ["3.6~°C", "−1.0~°C", "6.3~°C"]),
        ("°C", 20.0, 18.2, 21.5, ["20.0~°C", "18.2~°C", "21.5~°C"]),
        (
            "°C",
            44.295,
            41.1,
            53.667,
            ["44.3~°C", "41.1~°C", "53.7~°C"],
        ),
        ("%", 43.0, 40.0, 52.0, ["43~%", "40~%", "52~%"]),
        (
            "ppm",
            1031.0,
            428.0,
            1031.0,
            ["1_031~ppm", "428~ppm", "1_031~ppm"],
        ),
        (
            "hPa",
            1015.3,
            1014.6,
            1018.1,
            ["1_015~hPa", "1_015~hPa", "1_018~hPa"],
        ),
        ("W", 0.0, 0.0, 3229.0, ["0~W", "0~W", "3_229~W"]),
        ("W", -860.0, -876.0, 902.0, ["−860~W", "−876~W", "902~W"]),
        ("W", 1.1, 1.1, 74.2, ["1.1~W", "1.1~W", "74.2~W"]),
        ("W", 8_000.0, 0.0, 12_340.0, ["8.0~kW", "0.0~kW", "12.3~kW"]),
        (
            "ct/kWh",
            23.61,
            14.02,
            35.47,
            ["23.6~ct/kWh", "14.0~ct/kWh", "35.5~ct/kWh"],
        ),
        (
            "kWh",
            17.814,
            0.0,
            17.814,
            ["17.8~kWh", "0.0~kWh", "17.8~kWh"],
        ),
        (
            "kWh",
            18342.117,
            18338.2,
            18342.117,
            ["18_342~kWh", "18_338~kWh", "18_342~kWh"],
        ),
        (
            "Wh",
            38_801_208.0,
            38_790_000.0,
            38_801_208.0,
            ["38.80~MWh", "38.79~MWh", "38.80~MWh"],
        ),
        (
            "B",
            638_433_855.0,
            571e6,
            650e6,
            ["638~MB", "571~MB", "650~MB"],
        ),
        ("V", 231.4, 229.1, 232.8, ["231.4~V", "229.1~V", "232.8~V"]),
        ("A", 0.312, 0.004, 0.32, ["0.31~A", "0.00~A", "0.32~A"]),
        (
            "A",
            0.0031,
            0.0012,
            0.0047,
            ["0.0031~A", "0.0012~A", "0.0047~A"],
        ),
        ("", 4.03, 0.0, 4.12, ["4.03", "0.00", "4.12"]),
        ("mm", 0.0, 0.0, 0.4, ["0.0~mm", "0.0~mm", "0.4~mm"]),
        ("mm", 0.0, 0.0, 0.0, ["0~mm", "0~mm", "0~mm"]),
        ("°", 225.0, 0.0, 359.0, ["225°", "0°", "359°"]),
        ("", 1e300, 0.0, 1e300, ["1e300", "0", "1e300"]),
        ("", 1.5e-9, 0.0, 1.5e-9, ["1.5e−9", "0", "1.5e−9"]),
        ("°C", 0.1 + 0.2, 0.0, 0.5, ["0.3~°C", "0.0~°C", "0.5~°C"]),
    ] {
        let seen = SeenNumbers { value, low, high };
        let format = NumberFormat::new(options(unit), &seen);
        let shown = [value, low, high].map(|number| plain(&format.with_unit(number)));
        assert_eq!(shown, expected, "{value} {unit}");
    }
}

#[test]
fn what_is_configured_comes_first() {
    let show = |factor: f64, unit: &str| {
        Some(DisplayUnit {
            factor,
            unit: unit.into(),
        })
    };
    for (unit, show, decimals, value, expected) in [
        ("Wh", show(1e-3, "kWh"), None, 12_500.0, "12.50~kWh"),
        ("Wh", show(1e-3, "kWh"), Some(1), 12_500.0, "12.5~kWh"),
        ("Wh", show(1e-3, "kWh"), Some(0), 38_801_208.0, "38_801~kWh"),
        ("W", None, Some(0), 12_345.6, "12_346~W"),
        ("W", show(1.0, "W"), None, 12_345.6, "12_346~W"),
        ("°C", None, Some(2), 21.5, "21.50~°C"),
        ("", None, Some(0), -0.4, "0"),
        ("", None, Some(1), 1e-9, "0.0"),
        ("", None, Some(9), 1e300, "1e300"),
        ("W", show(-1.0, "W"), Some(0), 860.0, "−860~W"),
        ("°C", show(1.8, "K"), None, 10.1, "18.2~K"),
    ] {
        let options = FormatOptions {
            show,
            decimals,
            ..options(unit)
        };
        let format = NumberFormat::new(options, &SeenNumbers::one(value));
        assert_eq!(plain(&format.with_unit(value)), expected, "{value} {unit}");
    }
}

#[test]
fn words_stand_for_stored_numbers_and_have_no_unit() {
    let options = FormatOptions {
        words: vec![(0.0, "Off".into()), (1.0, "On".into())],
        ..options("W")
    };
    let format = NumberFormat::new(options, &SeenNumbers::one(1.0));
    for (value, text, unit, is_word) in [
        (Value::Number(1.0), "On", None, true),
        (Value::Number(-0.0), "Off", None, true),
        (Value::Number(2.0), "2", Some("W"), false),
        (Value::Text("MPPT".into()), "MPPT", Some("W"), true),
        (Value::Text("".into()), "–", Some("W"), true),
        (Value::Text(" \u{a0}\u{202e}".into()), "–", Some("W"), true),
        // What turns all text behind it is left out; what letters and emoji need is kept.
        (
            Value::Text("a\u{202e}b\u{2066}c".into()),
            "abc",
            Some("W"),
            true,
        ),
        (
            Value::Text("\u{200f}א 👩\u{200d}🚒".into()),
            "\u{200f}א 👩\u{200d}🚒",
            Some("W"),
            true,
        ),
    ] {
        let shown = format.value(&value);
        assert_eq!(shown.text, text);
        assert_eq!(shown.unit.as_deref(), unit, "{text}");
        assert_eq!(shown.is_word, is_word, "{text}");
    }
    assert_eq!(format.word(1.0), Some("On"));
    assert_eq!(format.words().count(), 2);
}

#[test]
fn languages_write_the_same_number() {
    for (tag, expected) in [
        ("en", "−12_345.5~€"),
        ("en-US", "−12,345.5~€"),
        ("de", "−12.345,5~€"),
        ("de-CH", "−12’345.5~€"),
        ("fr", "−12_345,5~€"),
        ("pl", "−12_345,5~€"),
    ] {
        let options = FormatOptions {
            locale: Locale::parse(tag).expect(tag),
            decimals: Some(1),
            ..options("€")
        };
        let format = NumberFormat::new(options, &SeenNumbers::one(0.0));
        assert_eq!(plain(&format.with_unit(-12_345.5)), expected, "{tag}");
    }
}

/// Both keys once had a value now that was below their lowest.
#[test]
fn now_is_never_outside_its_own_extremes() {
    for (unit, now, low, high, expected) in [
        (
            "B",
            21_399_927_879.0,
            21_399_927_879.0,
            21_400_000_000.0,
            ["21.39993", "21.39993", "21.40000"],
        ),
        (
            "Wh",
            295_576.525,
            295_020.2,
            295_576.525,
            ["295.58", "295.02", "295.58"],
        ),
        ("°C", 21.0, 21.0, 21.0, ["21", "21", "21"]),
    ] {
        let seen = SeenNumbers {
            value: now,
            low,
            high,
        };
        let format = NumberFormat::new(options(unit), &seen).spanning(low, high);
        let shown = [now, low, high].map(|number| format.number(number));
        assert_eq!(shown, expected, "{now} {unit}");
    }
    // Whatever the numbers, rounding keeps their order.
    let mut now = 1.0;
    for step in 1..2_000_u32 {
        now = (now * 1.37 + f64::from(step) * 0.618) % 30_000.0;
        let (low, high) = (now - 1.0 / f64::from(step), now + 3.0 / f64::from(step));
        let seen = SeenNumbers::one(now);
        let format = NumberFormat::new(options("W"), &seen).spanning(low, high);
        let read = |number: f64| {
            let text = format.number(number).replace('\u{202f}', "");
            text.replace(MINUS, "-").parse::<f64>().expect("a number")
        };
        assert!(read(low) <= read(now) && read(now) <= read(high), "{now}");
    }
}

#[test]
fn the_owners_digits_stay_on_every_page() {
    let options = FormatOptions {
        decimals: Some(0),
        ..options("°C")
    };
    let format = NumberFormat::new(options, &SeenNumbers::one(21.4));
    assert_eq!(format.spanning(21.0, 21.5).number(21.4), "21");
}

#[test]
fn ticks_have_the_digits_of_their_step() {
    let format = NumberFormat::new(options("°C"), &SeenNumbers::one(21.4));
    for (shown, step, expected) in [
        (20.0, 5.0, "20"),
        (-2.0, 2.0, "−2"),
        (0.0, 0.2, "0.0"),
        (0.6000000000000001, 0.2, "0.6"),
        (0.25, 0.25, "0.25"),
        (12_000.0, 2_000.0, "12_000"),
        (21.39995, 0.00005, "21.39995"),
        (2.5, 2.5, "2.5"),
        (3.0, 0.0, "3"),
    ] {
        assert_eq!(
            plain(&format.axis(shown, step)),
            expected,
            "{shown} by {step}"
        );
    }
}

#[test]
fn a_difference_has_its_sign() {
    let options = FormatOptions {
        decimals: Some(1),
        ..options("°C")
    };
    let format = NumberFormat::new(options, &SeenNumbers::one(21.4));
    for (stored, expected) in [(2.8, "+2.8"), (-0.3, "−0.3"), (0.0, "0.0"), (-0.04, "0.0")] {
        assert_eq!(format.difference(stored), expected);
    }
}

#[test]
fn numbers_that_are_none_are_a_dash() {
    let format = NumberFormat::new(options("W"), &SeenNumbers::one(f64::NAN));
    assert_eq!(plain(&format.with_unit(f64::NAN)), "–~W");
    assert_eq!(plain(&format.with_unit(f64::INFINITY)), "–~W");
}

#[test]
fn a_limit_has_its_own_digits() {
    let format = |value: f64, decimals, unit: &str| {
        let options = FormatOptions {
            unit: Some(unit.into()),
            decimals,
            ..FormatOptions::default()
        };
        NumberFormat::new(options, &SeenNumbers::one(value))
    };
    for (value, decimals, unit, limit, expected) in [
        (0.00000123, None, "m³/h", 1.0, "1"),
        (21.47, Some(1), "°C", 18.0, "18"),
        (21.47, Some(0), "°C", 18.25, "18.25"),
        (24_000.0, None, "W", 1_500.0, "1.5"),
        (0.3, None, "", 0.1, "0.1"),
        (5.0, None, "", -0.0, "0"),
        (5.0, None, "", 1e18, "1e18"),
    ] {
        let shown = format(value, decimals, unit).limit(limit);
        assert_eq!(shown, expected, "{limit} of {value}");
    }
}
