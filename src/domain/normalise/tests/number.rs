//! Numbers as devices and APIs write them.

use super::*;

fn shown(read: Result<Quantity, NumberError>) -> String {
    match read {
        Ok(read) if read.unit.is_empty() => format!("{}", read.number),
        Ok(read) => format!("{} [{}]", read.number, read.unit),
        Err(NumberError::NotANumber) => "no number".to_owned(),
        Err(NumberError::Ambiguous) => "ambiguous".to_owned(),
    }
}

/// Text; what it is without `decimal`, with a comma, with a point.
const TEXTS: &[(&str, &str, &str, &str)] = &[
    ("21.4", "21.4", "no number", "21.4"),
    (" -3e2 ", "-300", "-300", "-300"),
    ("+3.5", "3.5", "no number", "3.5"),
    (".5", "0.5", "no number", "0.5"),
    ("007", "7", "7", "7"),
    ("1.2e3", "1200", "no number", "1200"),
    ("1.234", "1.234", "1234", "1.234"),
    // Comma or point.
    ("21,4", "21.4", "21.4", "no number"),
    ("-0,5", "-0.5", "-0.5", "no number"),
    ("0,234", "0.234", "0.234", "no number"),
    ("1234,567", "1234.567", "1234.567", "no number"),
    ("1,234", "ambiguous", "1.234", "1234"),
    ("-12,345 kWh", "ambiguous", "-12.345 [kWh]", "-12345 [kWh]"),
    ("1.234,5", "ambiguous", "1234.5", "no number"),
    ("1.234.567,89", "ambiguous", "1234567.89", "no number"),
    ("1,234.5", "1234.5", "no number", "1234.5"),
    ("1,234,567", "1234567", "no number", "1234567"),
    ("12,34,567.8", "1234567.8", "no number", "1234567.8"),
    ("1.234.567", "no number", "1234567", "no number"),
    // Blanks, no-break, thin and narrow, and apostrophes group too.
    ("1 234 kWh", "1234 [kWh]", "1234 [kWh]", "1234 [kWh]"),
    ("1\u{202f}234,5", "1234.5", "1234.5", "no number"),
    ("12\u{a0}345\u{a0}W", "12345 [W]", "12345 [W]", "12345 [W]"),
    ("1\u{2009}234.5", "1234.5", "no number", "1234.5"),
    ("1'234.50 CHF", "1234.5 [CHF]", "no number", "1234.5 [CHF]"),
    ("1’234", "1234", "1234", "1234"),
    ("1 2 3", "no number", "no number", "no number"),
    ("1 234'567", "no number", "no number", "no number"),
    ("0 123", "no number", "no number", "no number"),
    // Units.
    ("21.5 °C", "21.5 [°C]", "no number", "21.5 [°C]"),
    ("21.4°C", "21.4 [°C]", "no number", "21.4 [°C]"),
    ("21.5 &deg;C", "21.5 [°C]", "no number", "21.5 [°C]"),
    ("21.5C", "21.5 [C]", "no number", "21.5 [C]"),
    ("98,6F", "98.6 [F]", "98.6 [F]", "no number"),
    ("21C", "no number", "no number", "no number"),
    ("1.5e", "no number", "no number", "no number"),
    ("230V", "230 [V]", "230 [V]", "230 [V]"),
    ("45 %", "45 [%]", "45 [%]", "45 [%]"),
    ("-12.5kW", "-12.5 [kW]", "no number", "-12.5 [kW]"),
    ("\u{2212}5 °C", "-5 [°C]", "-5 [°C]", "-5 [°C]"),
    ("12 m3/h", "12 [m3/h]", "12 [m3/h]", "12 [m3/h]"),
    ("3,5 µg/m³", "3.5 [µg/m³]", "3.5 [µg/m³]", "no number"),
    ("7 m·s⁻¹", "7 [m·s⁻¹]", "7 [m·s⁻¹]", "7 [m·s⁻¹]"),
    ("5 m^2", "5 [m^2]", "5 [m^2]", "5 [m^2]"),
    ("7 days", "7 [days]", "7 [days]", "7 [days]"),
    ("€ 0.25", "0.25 [€]", "no number", "0.25 [€]"),
    ("$0.31/kWh", "0.31 [$/kWh]", "no number", "0.31 [$/kWh]"),
    ("0,31 €/kWh", "0.31 [€/kWh]", "0.31 [€/kWh]", "no number"),
    // What only begins as a number does.
    ("01:30:00", "no number", "no number", "no number"),
    ("2026-11-29", "no number", "no number", "no number"),
    ("2026-11-29T10:00", "no number", "no number", "no number"),
    ("29.11.2026", "no number", "no number", "no number"),
    ("192.168.1.20", "no number", "no number", "no number"),
    ("1.2.3", "no number", "no number", "no number"),
    ("0x1F4", "no number", "no number", "no number"),
    ("01F4", "no number", "no number", "no number"),
    ("84f3eb12", "no number", "no number", "no number"),
    ("84fe", "no number", "no number", "no number"),
    ("3C:61:05", "no number", "no number", "no number"),
    ("12h30m", "no number", "no number", "no number"),
    ("5, rue X", "no number", "no number", "no number"),
    ("12,", "no number", "12", "no number"),
    ("5-", "no number", "no number", "no number"),
    ("1,5,2", "no number", "no number", "no number"),
    ("1.5,2", "no number", "no number", "no number"),
    ("3 (three) of 4", "no number", "no number", "no number"),
    (
        "10 litres per 100 km",
        "no number",
        "no number",
        "no number",
    ),
    ("--", "no number", "no number", "no number"),
    ("---", "no number", "no number", "no number"),
    ("", "no number", "no number", "no number"),
    ("-", "no number", "no number", "no number"),
    (".", "no number", "no number", "no number"),
    (",", "no number", "no number", "no number"),
    ("°C", "no number", "no number", "no number"),
    ("nan", "no number", "no number", "no number"),
    ("inf", "no number", "no number", "no number"),
    ("1e999", "no number", "no number", "no number"),
    ("OPEN", "no number", "no number", "no number"),
    ("²", "no number", "no number", "no number"),
    ("٣", "no number", "no number", "no number"),
];

#[test]
fn numbers_in_texts() {
    for (text, alone, comma, point) in TEXTS {
        let cases = [
            (None, alone),
            (Some(Decimal::Comma), comma),
            (Some(Decimal::Point), point),
        ];
        for (decimal, expected) in cases {
            let read = shown(parse_quantity(text, decimal));
            assert_eq!(read, **expected, "{text:?} with {decimal:?}");
        }
    }
    let long = format!("1{}", " 000".repeat(1_000));
    assert_eq!(
        parse_quantity(&long, None),
        Err(NumberError::NotANumber),
        "a bounded text"
    );
}

#[test]
fn whole_numbers_in_other_bases() {
    for (text, base, expected) in [
        ("0x1F4", 16, Some(500.0)),
        ("0X1f4", 16, Some(500.0)),
        (" 01F4 ", 16, Some(500.0)),
        ("-0x10", 16, Some(-16.0)),
        ("10", 16, Some(16.0)),
        ("FFFFFFFFFFFFFFFF", 16, Some(18_446_744_073_709_551_615.0)),
        ("0b101", 2, Some(5.0)),
        ("101", 2, Some(5.0)),
        ("0o17", 8, Some(15.0)),
        ("017", 8, Some(15.0)),
        ("zz", 36, Some(1295.0)),
        ("0x10", 36, Some(33.0 * 1296.0 + 36.0)),
        ("102", 2, None),
        ("0x", 16, None),
        ("", 16, None),
        ("0x-5", 16, None),
        ("--5", 16, None),
        ("1.5", 16, None),
        ("1F4 W", 16, None),
        ("٣", 10, None),
        (&"F".repeat(40), 16, None),
    ] {
        assert_eq!(parse_in_base(text, base), expected, "{text:?} in {base}");
    }
}

#[test]
fn every_known_unit_is_read() {
    for unit in KNOWN_UNITS.split_ascii_whitespace() {
        for text in [format!("12.5 {unit}"), format!("12.5{unit}")] {
            let read = parse_quantity(&text, None);
            assert_eq!(shown(read), format!("12.5 [{unit}]"), "{text}");
        }
    }
}
