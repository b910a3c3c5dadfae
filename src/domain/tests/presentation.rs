//! Tests of labels and number formats of a configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::domain::day_range::DayRange;
use crate::domain::freshness::Stamp;
use crate::domain::key_pattern::KeyPattern;
use crate::domain::locale::Locale;
use crate::domain::plan::{KeyPlan, KeySelector};
use crate::domain::reading::Value;
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};

fn labelled(label: &str) -> KeyPlan {
    KeyPlan {
        label: Some(label.into()),
        ..KeyPlan::default()
    }
}

fn house() -> Plan {
    let pattern = |text: &str, label: &str| {
        let pattern = KeyPattern::new(text).expect("it has a star");
        (pattern, labelled(label))
    };
    let group = |name: &str, keys: &[&str]| GroupPlan {
        name: name.into(),
        keys: keys.iter().map(|key| KeySelector::new(key)).collect(),
        ..GroupPlan::default()
    };
    let pairs = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(part, name)| ((*part).to_owned(), (*name).to_owned()))
            .collect()
    };
    let matrix = MatrixPlan {
        template: "room.{row}.{column}".into(),
        rows: pairs(&[("childrens_room", "Children’s room")]),
        columns: pairs(&[("rh", "Humidity")]),
    };
    let rooms = GroupPlan {
        matrix: Some(matrix),
        ..group("Rooms", &[])
    };
    let mut plan = Plan {
        keys: BTreeMap::from([
            ("solar.power".into(), labelled("Solar")),
            ("outside_temperature".into(), labelled("Temperature")),
            ("pool.temperature".into(), labelled("Temperature")),
            ("room.bath.t".into(), labelled("Bath")),
        ]),
        key_patterns: vec![
            pattern("fridge.*.total", "Fridge energy"),
            pattern("plug.*.power", "Power"),
            pattern("garden_*", "Garden"),
            pattern("temp*", "Attic"),
            pattern("room.*.co2", "CO₂"),
        ],
        ..Plan::default()
    };
    plan.pages.groups = vec![
        group("Energy", &["solar.*", "plug.*"]),
        group("Outside", &["outside_*"]),
        group("Pool", &["pool.temperature"]),
        rooms,
    ];
    plan
}

#[test]
fn labels_of_a_house() {
    for (key, context, label, full) in [
        ("solar.power", "", "Solar", "Solar"),
        ("solar.power", "solar.", "Solar", "Solar"),
        (
            "solar.energy_today",
            "solar.",
            "Energy today",
            "Solar energy today",
        ),
        (
            "solar.energy_today",
            "",
            "Solar energy today",
            "Solar energy today",
        ),
        (
            "outside_temperature",
            "",
            "Temperature",
            "Outside Temperature",
        ),
        (
            "pool.temperature",
            "pool.",
            "Temperature",
            "Pool Temperature",
        ),
        ("room.bedroom.co2", "", "Bedroom CO₂", "Bedroom CO₂"),
        ("room.bedroom.co2", "room.", "Bedroom CO₂", "Bedroom CO₂"),
        ("room.bedroom.co2", "room.bedroom.", "CO₂", "Bedroom CO₂"),
        (
            "room.childrens_room.rh",
            "",
            "Children’s room Humidity",
            "Children’s room Humidity",
        ),
        ("room.hall.t", "room.", "Hall T", "Hall T"),
        ("room.bath.t", "", "Bath", "Bath"),
        ("plug.tv.power", "", "TV Power", "TV Power"),
        ("plug.tv.power", "plug.", "TV Power", "TV Power"),
        (
            "fridge.switch:0.aenergy.total",
            "fridge.",
            "Fridge energy",
            "Fridge energy",
        ),
        (
            "garden_soil_moisture",
            "",
            "Garden soil moisture",
            "Garden soil moisture",
        ),
        ("garden_co2", "", "Garden CO₂", "Garden CO₂"),
        ("temperature", "", "Attic", "Attic"),
        ("temp_2", "", "Attic", "Attic"),
        ("unknown_key", "", "Unknown key", "Unknown key"),
    ] {
        assert_eq!(house().label(key, context), label, "{key} in {context}");
        assert_eq!(house().full_label(key), full, "{key}");
    }
    assert!(house().has_label("solar.power"));
    assert!(house().has_label("room.hall.co2"));
    assert!(!house().has_label("unknown_key"));
}

fn record(key: &str, value: f64, unit: &str, today: Option<(f64, f64)>) -> Record {
    let now = Moment {
        mono: Mono(0),
        wall: Wall(0),
        trust: ClockTrust::Trusted,
    };
    Record {
        key: key.into(),
        value: Value::Number(value),
        unit: Some(unit).filter(|it| !it.is_empty()).map(Into::into),
        stamp: Stamp::received(now, None),
        stale: false,
        stale_after: Duration::from_secs(60),
        sources: Vec::new(),
        today: today.map(|(min, max)| DayRange { min, max }),
        is_boolean: false,
    }
}

#[test]
fn the_day_chooses_the_unit_and_the_digits() {
    for (value, unit, today, expected) in [
        (300.0, "W", None, "300\u{a0}W"),
        (300.0, "W", Some((0.0, 9_000.0)), "300\u{a0}W"),
        (300.0, "W", Some((0.0, 12_000.0)), "0.3\u{a0}kW"),
        (20.0, "°C", Some((18.3, 21.4)), "20.0\u{a0}°C"),
        (20.0, "", None, "20"),
    ] {
        let record = record("a", value, unit, today);
        assert_eq!(Plan::default().shown_value(&record), expected);
    }
}

#[test]
fn a_boolean_is_on_or_off_unless_it_has_words() {
    let mut boolean = record("pump", 1.0, "", None);
    boolean.is_boolean = true;
    assert_eq!(Plan::default().shown_value(&boolean), "On");
    boolean.value = Value::Number(0.0);
    assert_eq!(Plan::default().shown_value(&boolean), "Off");
    let mut plan = Plan::default();
    let words = vec![
        ("0".to_owned(), "Idle".to_owned()),
        ("1.0".to_owned(), "Runs".to_owned()),
    ];
    plan.keys.insert(
        "pump".into(),
        KeyPlan {
            words,
            ..KeyPlan::default()
        },
    );
    assert_eq!(plan.shown_value(&boolean), "Idle");
    boolean.value = Value::Number(1.0);
    assert_eq!(plan.shown_value(&boolean), "Runs");
    boolean.value = Value::Text("?".into());
    assert_eq!(plan.shown_value(&boolean), "?");
}

#[test]
fn pages_follow_the_locale() {
    let mut plan = Plan::default();
    plan.pages.locale = Locale::parse("de").expect("German");
    let shown = plan.shown_value(&record("a", 1031.5, "ppm", Some((400.0, 1031.5))));
    assert_eq!(shown, "1.032\u{a0}ppm");
    let format = plan.number_format_of("gone", Some("°C"), 21.4);
    assert_eq!(format.with_unit(3.25), "3,2\u{a0}°C");
}

#[test]
fn a_limit_and_a_value_beyond_it_are_never_the_same_text() {
    for (value, limit, expected) in [
        (1031.0, 1000.0, ("1\u{202f}031", "1\u{202f}000")),
        (1000.4, 1000.0, ("1\u{202f}000.4", "1\u{202f}000.0")),
        (31.0, 30.5, ("31.0", "30.5")),
        (30.500001, 30.5, ("30.500001", "30.500000")),
        (5.0, 5.0, ("5", "5")),
    ] {
        let format = Plan::default().number_format_of("a", None, value);
        let format = format.telling_apart(value, limit);
        let shown = (format.number(value), format.number(limit));
        assert_eq!((shown.0.as_str(), shown.1.as_str()), expected);
    }
}
