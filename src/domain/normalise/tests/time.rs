//! Times as APIs write them.

use serde_json::json;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect(name)
}

fn check(json: &Json, zone: &TimeZone, expected: Option<&str>) {
    let read = read_time(Some(json), zone);
    let shown = read.as_ref().ok().map(ToString::to_string);
    assert_eq!(shown.as_deref(), expected, "{json} in {zone:?}: {read:?}");
}

/// Times that name their offset, and counts since 1970: the same in every zone.
#[test]
fn instants() {
    let ten = Some("2026-11-29T09:00:00Z");
    let cases = [
        (json!("2026-11-29T09:00:00Z"), ten),
        (json!("2026-11-29T09:00:00.123456789Z"), ten),
        (json!("2026-11-29t09:00:00z"), ten),
        (json!("2026-11-29T10:00:00+01:00"), ten),
        (json!("2026-11-29T10:00:00+0100"), ten),
        (json!("2026-11-29T10:00:00.5+01"), ten),
        (json!("2026-11-29 10:00:00+01:00"), ten),
        (json!("2026-11-29 10:00:00 +01:00"), ten),
        (json!("2026-11-29 10:00:00 +0100"), ten),
        (json!("2026-11-29 10:00 +0100"), ten),
        (json!("2026/11/29 10:00:00 +0100"), ten),
        (json!("2026-11-29 09:00:00 UTC"), ten),
        (json!("2026-11-29 09:00:00 GMT"), ten),
        (json!("2026-11-29 09:00:00 Z"), ten),
        (json!("2026-11-29T10:00:00+01:00[Europe/Berlin]"), ten),
        (json!("Sun, 29 Nov 2026 10:00:00 +0100"), ten),
        (json!("Sun, 29 Nov 2026 09:00:00 GMT"), ten),
        (json!("29 Nov 2026 09:00:00 +0000"), ten),
        (json!("29 Nov 2026 09:00 +0000"), ten),
        (json!(1_795_942_800), ten),
        (json!("1795942800"), ten),
        (json!(" 1795942800 "), ten),
        (json!(1_795_942_800.75), ten),
        (json!("1795942800.123"), ten),
        (json!(1_795_942_800_123_i64), ten),
        (json!("1795942800123"), ten),
        (json!(1_795_942_800_123_456_i64), ten),
        (json!("1795942800123456"), ten),
        (json!(1_795_942_800_123_456_789_i64), ten),
        (json!("1795942800123456789"), ten),
        (json!("/Date(1795942800000)/"), ten),
        (json!("/Date(1795942800123+0100)/"), ten),
        // What is no time.
        (json!("yesterday"), None),
        (json!(""), None),
        (json!(-5), None),
        (json!({}), None),
        (json!(true), None),
        // A clock that was never set, and sizes that are no epoch.
        (json!(0), None),
        (json!(86_400), None),
        (json!("4102444800"), None),
        (json!("0001-01-01 +0100"), None),
        (json!("Mon, 29 Nov 2026 09:00:00 GMT"), None),
        (json!("2026-11-29 10:00:00 CET"), None),
        (json!("11/29/2026 10:00:00"), None),
        (json!("/Date(-62135596800000)/"), None),
        (json!("/Date(soon)/"), None),
        (json!("/Date()/"), None),
        (json!("20261328220000"), None),
        (json!("21261128220000"), None),
        (json!("20261128250000"), None),
    ];
    for (json, expected) in cases {
        for name in ["UTC", "Europe/Berlin", "America/New_York"] {
            check(&json, &zone(name), expected);
        }
    }
    assert_eq!(
        read_time(Some(&json!(1_795_942_800.75)), &TimeZone::UTC),
        Ok(Wall(1_795_942_800_750))
    );
    assert_eq!(read_time(None, &TimeZone::UTC), Err("nothing".to_owned()));
}

#[test]
fn local_times_and_dates() {
    let cases = [
        ("2026-11-29T10:00:00", "2026-11-29T09:00:00Z"),
        ("2026-11-29T10:00", "2026-11-29T09:00:00Z"),
        ("2026-11-29 10:00:00", "2026-11-29T09:00:00Z"),
        ("2026-11-29 10:00", "2026-11-29T09:00:00Z"),
        ("2026-11-29T10:00:00.250", "2026-11-29T09:00:00Z"),
        ("2026-11-29T10:00:00,250", "2026-11-29T09:00:00Z"),
        ("2026-07-01T10:00:00", "2026-07-01T08:00:00Z"),
        ("20261129T100000", "2026-11-29T09:00:00Z"),
        ("20261129100000", "2026-11-29T09:00:00Z"),
        ("202611291000", "2026-11-29T09:00:00Z"),
        ("2026/11/29 10:00:00", "2026-11-29T09:00:00Z"),
        ("2026/11/29 10:00", "2026-11-29T09:00:00Z"),
        ("29.11.2026 10:00:00", "2026-11-29T09:00:00Z"),
        ("29.11.2026 10:00", "2026-11-29T09:00:00Z"),
        ("1.7.2026 10:00", "2026-07-01T08:00:00Z"),
        ("Sun Nov 29 10:00:00 2026", "2026-11-29T09:00:00Z"),
        // A date is its midnight.
        ("2026-11-29", "2026-11-28T23:00:00Z"),
        ("20261129", "2026-11-28T23:00:00Z"),
        ("2026/11/29", "2026-11-28T23:00:00Z"),
        ("29.11.2026", "2026-11-28T23:00:00Z"),
        // 02:30 does not exist: as if the clock had not been set yet.
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        // 02:30 occurs twice: the first, in summer time.
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
        ("20261025023000", "2026-10-25T00:30:00Z"),
        ("25.10.2026 02:30", "2026-10-25T00:30:00Z"),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
    ];
    let berlin = zone("Europe/Berlin");
    for (text, expected) in cases {
        check(&json!(text), &berlin, Some(expected));
    }
    let numbers = [
        (json!(20_261_129_100_000_u64), "2026-11-29T09:00:00Z"),
        (json!(202_611_291_000_u64), "2026-11-29T09:00:00Z"),
        (json!(20_261_129), "2026-11-28T23:00:00Z"),
    ];
    for (number, expected) in numbers {
        check(&number, &berlin, Some(expected));
    }
    // Clocks of Beirut are set at midnight, which that day does not have.
    check(
        &json!("2026-03-29"),
        &zone("Asia/Beirut"),
        Some("2026-03-28T22:00:00Z"),
    );
    // Those of Havana are set back at one o'clock: midnight occurs twice.
    check(
        &json!("2026-11-01"),
        &zone("America/Havana"),
        Some("2026-11-01T04:00:00Z"),
    );
}
