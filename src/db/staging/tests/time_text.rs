//! Spellings of times.

use super::*;

fn read(cell: ValueRef, zone: &str) -> Option<i64> {
    let zone = TimeZone::get(zone).expect("the zone exists");
    TimeReader::new(zone).read(cell)
}

/// 2025-10-30T20:00:00Z.
const T0: i64 = 1_761_854_400;

#[test]
fn times_are_read_in_the_spellings_of_programs() {
    for (text, expected) in [
        ("2025-10-30T20:00:00Z", Some(T0)),
        ("2025-10-30t20:00:00z", Some(T0)),
        ("2025-10-30 20:00:00.000000", Some(T0)),
        ("2025-10-30 20:00:00.999999", Some(T0)),
        ("2025-10-30 20:00:00", Some(T0)),
        ("2025-10-30T20:00", Some(T0)),
        ("2025-10-30 20:00", Some(T0)),
        ("  2025-10-30 20:00:00 ", Some(T0)),
        ("2025-10-30 21:00:00+01", Some(T0)),
        ("2025-10-30 21:00:00+0100", Some(T0)),
        ("2025-10-30T21:00:00+01:00", Some(T0)),
        ("2025-10-30 21:00:00 +01:00", Some(T0)),
        ("2025-10-30 20:00:00 UTC", Some(T0)),
        ("2025-10-30T21:00:00+01:00[Europe/Berlin]", Some(T0)),
        ("2025-10-30", Some(T0 - 20 * 3_600)),
        ("20251030T200000Z", Some(T0)),
        ("20251030T200000", Some(T0)),
        ("20251030200000", Some(T0)),
        ("30.10.2025 20:00:00", Some(T0)),
        ("2025/10/30 20:00", Some(T0)),
        ("Thu, 30 Oct 2025 20:00:00 GMT", Some(T0)),
        ("1761854400", Some(T0)),
        ("1761854400.9", Some(T0)),
        ("1761854400000", Some(T0)),
        ("1969-12-31T23:59:59Z", Some(-1)),
        ("2025-02-29 00:00:00", None),
        ("2025-10-30 25:00:00", None),
        ("2025-10-30 20:60:00", None),
        ("yesterday", None),
        ("now", None),
        ("NaN", None),
        ("-1", None),
        ("", None),
        ("12", None),
        ("99999999999999999999999", None),
    ] {
        let cell = ValueRef::Text(text.as_bytes());
        assert_eq!(read(cell, "UTC"), expected, "{text:?}");
    }
    for (cell, expected) in [
        (ValueRef::Integer(T0), Some(T0)),
        (ValueRef::Integer(T0 * 1_000 + 999), Some(T0)),
        (ValueRef::Real(T0 as f64 + 0.75), Some(T0)),
        (ValueRef::Real(T0 as f64 * 1_000.0), Some(T0)),
        (ValueRef::Real(f64::NAN), None),
        (ValueRef::Real(f64::INFINITY), None),
        (ValueRef::Integer(i64::MIN), None),
        (ValueRef::Integer(0), None),
        (ValueRef::Null, None),
        (ValueRef::Blob(b"2025-10-30"), None),
        (ValueRef::Text(b"2025-10-30 \xff"), None),
    ] {
        assert_eq!(read(cell, "UTC"), expected, "{cell:?}");
    }
}

#[test]
fn times_without_an_offset_are_those_of_the_zone() {
    for (text, expected) in [
        ("2025-10-30 21:00:00.000000", T0),
        ("2025-10-30 20:00:00Z", T0),
        ("2025-10-30", T0 - 21 * 3_600),
        ("2025-07-01 02:00:00", 1_751_328_000),
        ("30.10.2025 21:00", T0),
        ("1761854400", T0),
    ] {
        let cell = ValueRef::Text(text.as_bytes());
        assert_eq!(read(cell, "Europe/Berlin"), Some(expected), "{text}");
    }
}

#[test]
fn local_times_that_are_not_certain_are_counted() {
    let zone = TimeZone::get("Europe/Berlin").expect("the zone exists");
    let mut times = TimeReader::new(zone);
    let mut read = |text: &str| times.read(ValueRef::Text(text.as_bytes()));
    let fold = read("2025-10-26 02:30:00");
    assert_eq!(fold, read("2025-10-26 02:30:00+02:00"), "the first of both");
    let gap = read("2025-03-30 02:30:00");
    assert_eq!(gap, read("2025-03-30 03:30:00+02:00"), "shifted forward");
    // As often as there are rows, although the text was read before.
    assert_eq!(read("2025-03-30 02:30:00"), gap);
    assert_eq!(read("2025-03-30 02:30:00"), gap);
    assert_eq!((times.ambiguous, times.nonexistent), (1, 3));
}
