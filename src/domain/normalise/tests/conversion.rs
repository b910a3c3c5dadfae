//! Records that read texts as numbers, and what issues say of those that none reads.

use serde_json::{Value as Json, json};

use crate::domain::normalise::{LastAccepted, Normalised, normalise};
use crate::domain::number_pattern::NumberPattern;
use crate::domain::plan::{
    Decimal, Numbers, RecordSelector, ResponseFormat, Selection, SourcePlan,
};
use crate::domain::reading::{Issue, Reason};
use crate::domain::time::{Mono, test_moment};
use crate::domain::value_path::ValuePath;

fn source(selection: Selection) -> SourcePlan {
    SourcePlan {
        selection,
        ..SourcePlan::default()
    }
}

fn pick(at: &str) -> RecordSelector {
    RecordSelector::new("key", at)
}

fn read(source: &SourcePlan, body: &Json) -> Normalised {
    normalise(source, body, &LastAccepted::default(), test_moment(Mono(0)))
}

fn lines(taken: &Normalised) -> Vec<String> {
    let readings = taken
        .readings
        .iter()
        .map(|reading| format!("{} {}", reading.key, reading.value));
    readings
        .chain(taken.issues.iter().map(Issue::to_string))
        .collect()
}

fn pattern(text: &str) -> Option<NumberPattern> {
    Some(NumberPattern::new(text).expect("a pattern"))
}

/// What devices send, and the record that reads it.
#[test]
fn texts_of_devices_become_numbers() {
    let comma = || RecordSelector {
        decimal: Some(Decimal::Comma),
        ..pick("/v")
    };
    let base = |base| RecordSelector {
        base: Some(base),
        ..pick("/v")
    };
    let taken_by = |text: &str| RecordSelector {
        pattern: pattern(text),
        ..pick("/v")
    };
    let cases = [
        // FRITZ!Box: tenths of a degree.
        (
            RecordSelector {
                scale: Some(0.1),
                unit: Some("°C".into()),
                ..comma()
            },
            json!("215"),
            "21.5 °C",
        ),
        // Kostal.
        (comma(), json!("1.234,56 kWh"), "1234.56 kWh"),
        // SMA at night.
        (
            RecordSelector {
                map: vec![("--".to_owned(), 0.0)],
                ..comma()
            },
            json!("--"),
            "0",
        ),
        // Scaled: the unit in the text is not that of the result.
        (
            RecordSelector {
                scale: Some(0.001),
                ..comma()
            },
            json!("230 W"),
            "0.23",
        ),
        // Counters and registers.
        (base(16), json!("0x1F4"), "500"),
        (base(16), json!("01F4"), "500"),
        (base(2), json!("0101"), "5"),
        (base(16), json!(10), "10"),
        // A line of a display.
        (
            taken_by("P=([-0-9.]+)"),
            json!("U=230;P=-12.5;I=1"),
            "-12.5",
        ),
        (
            taken_by(r"total: (.*)$"),
            json!("total: 1 234,5 kWh"),
            "1234.5 kWh",
        ),
        (
            RecordSelector {
                map: vec![("heat".to_owned(), 2.0)],
                ..taken_by("mode=(\\w+)")
            },
            json!("mode=heat"),
            "2",
        ),
        (
            RecordSelector {
                base: Some(16),
                ..taken_by("id:([0-9a-f]+)")
            },
            json!("id:ff"),
            "255",
        ),
        (
            RecordSelector {
                text: true,
                ..taken_by("mode=(\\w+)")
            },
            json!("mode=heat"),
            "heat",
        ),
        // Values that are numbers stay so.
        (comma(), json!(1.234), "1.234"),
        (taken_by("(1)"), json!(21.5), "21.5"),
        (taken_by("(1)"), json!(true), "1"),
    ];
    for (pick, json, expected) in cases {
        let what = format!("{json} by {pick:?}");
        let source = source(Selection::Selectors(vec![pick]));
        let taken = read(&source, &json!({ "v": json }));
        assert_eq!(taken.issues, [], "{what}");
        let reading = &taken.readings[0];
        let unit = reading.unit.as_ref();
        let unit = unit.map_or_else(String::new, |unit| format!(" {unit}"));
        assert_eq!(format!("{}{unit}", reading.value), expected, "{what}");
    }
}

#[test]
fn numbers_of_a_format_without_types_are_texts_too() {
    let comma = RecordSelector {
        decimal: Some(Decimal::Comma),
        ..RecordSelector::new("comma", "/v")
    };
    let hexadecimal = RecordSelector {
        base: Some(16),
        ..RecordSelector::new("hexadecimal", "/hex")
    };
    let mut source = source(Selection::Selectors(vec![comma, hexadecimal]));
    let body: Json = serde_json::from_str(r#"{"v": 1.234, "hex": 10}"#).expect("JSON");
    for (format, expected) in [
        (ResponseFormat::Json, ["comma 1.234", "hexadecimal 10"]),
        (ResponseFormat::Csv, ["comma 1234", "hexadecimal 16"]),
        (ResponseFormat::Xml, ["comma 1234", "hexadecimal 16"]),
        (ResponseFormat::Text, ["comma 1234", "hexadecimal 16"]),
    ] {
        source.format = format;
        assert_eq!(lines(&read(&source, &body)), expected, "{format:?}");
    }
}

#[test]
fn an_issue_says_which_option_reads_the_text() {
    let comma = RecordSelector {
        decimal: Some(Decimal::Comma),
        ..pick("/v")
    };
    let hexadecimal = RecordSelector {
        base: Some(16),
        ..pick("/v")
    };
    let door = RecordSelector {
        map: vec![("open".to_owned(), 1.0)],
        ..pick("/v")
    };
    let total = RecordSelector {
        pattern: pattern("total=([^;]*)"),
        ..pick("/v")
    };
    let lenient = ", a number with numbers = \"lenient\"";
    let cases = [
        (pick("/v"), "21.4", lenient),
        (pick("/v"), "21.5 °C", lenient),
        (pick("/v"), "1 234 kWh", lenient),
        (pick("/v"), "21,5", ", a number with decimal = \",\""),
        (pick("/v"), "21,5 °C", ", a number with decimal = \",\""),
        (pick("/v"), "1.234,5", ", a number with decimal = \",\""),
        (pick("/v"), "1,234.5", ", a number with decimal = \".\""),
        (
            pick("/v"),
            "1,234",
            ", 1.234 with decimal = \",\" and 1234 with decimal = \".\"",
        ),
        (comma.clone(), "21.4", ", a number with decimal = \".\""),
        (pick("/v"), "0x1F4", ", a number with base = 16"),
        (pick("/v"), "01F4", ", a number with base = 16"),
        (
            pick("/v"),
            "Temp: 21.5 C (in)",
            "; pattern = \"([-0-9.,]+)\" takes 21.5 out of it",
        ),
        (
            pick("/v"),
            "OPEN",
            "; map = { OPEN = 0 } gives it a number, text = true stores it",
        ),
        (
            pick("/v"),
            "",
            "; map = { \"\" = 0 } gives it a number, text = true stores it",
        ),
        (
            pick("/v"),
            "--",
            "; map = { -- = 0 } gives it a number, text = true stores it",
        ),
        (pick("/v"), "NaN", "; text = true stores it"),
        (pick("/v"), "-inf", "; text = true stores it"),
        (pick("/v"), "01:30:00", "; text = true stores it"),
        (pick("/v"), "2026-11-29", "; text = true stores it"),
        (
            door,
            "Open ",
            "; `map` has \"open\", and upper case and blanks count",
        ),
        (hexadecimal, "1F4 W", "; text = true stores it"),
        (
            total,
            "total=off;x=1",
            ", of which `pattern` takes \"off\"; map = { off = 0 } gives it a number, text = true stores it",
        ),
    ];
    for (pick, text, expected) in cases {
        let taken = read(
            &source(Selection::Selectors(vec![pick])),
            &json!({ "v": text }),
        );
        assert_eq!(taken.readings, [], "{text}");
        let expected = format!("the text {text:?}{expected}");
        assert_eq!(taken.issues[0].found, expected, "{text}");
    }
    let unmatched = RecordSelector {
        pattern: pattern("total=([0-9]+)"),
        ..pick("/v")
    };
    let taken = read(
        &source(Selection::Selectors(vec![unmatched])),
        &json!({ "v": "sum=1" }),
    );
    assert_eq!(
        lines(&taken),
        [
            "wrong_type: /v: expected a text that matches the pattern \"total=([0-9]+)\", found the text \"sum=1\""
        ]
    );
}

#[test]
fn stated_values_are_marked_and_stand_as_they_are() {
    let stated = |missing, null| RecordSelector {
        missing,
        null,
        scale: Some(10.0),
        min: Some(5.0),
        ..RecordSelector::new("rain", "/rain")
    };
    for (pick, body, expected) in [
        (stated(Some(0.0), None), json!({}), Some((0.0, true))),
        (
            stated(Some(0.0), None),
            json!({"rain": 1}),
            Some((10.0, false)),
        ),
        (stated(Some(0.0), None), json!({"rain": null}), None),
        (
            stated(None, Some(-1.0)),
            json!({"rain": null}),
            Some((-1.0, true)),
        ),
        (stated(None, Some(-1.0)), json!({}), None),
        (stated(Some(0.0), Some(0.0)), json!({"rain": "x"}), None),
        (stated(Some(0.0), Some(0.0)), json!({"rain": 0.1}), None),
    ] {
        let taken = read(&source(Selection::Selectors(vec![pick])), &body);
        let read = taken.readings.first();
        let read = read.map(|it| (it.value.number().unwrap_or(f64::NAN), it.is_stated));
        assert_eq!(read, expected, "{body}");
    }
    let each = RecordSelector {
        each: Some("/list".into()),
        missing: Some(0.0),
        ..RecordSelector::new("{id}", "/n")
    };
    let body = json!({"list": [{"id": "a", "n": 3}, {"id": "b"}]});
    let each = source(Selection::Selectors(vec![each]));
    assert_eq!(lines(&read(&each, &body)), ["a 3", "b 0"]);
    let issues = read(&each, &json!({"other": 1})).issues;
    assert_eq!(issues[0].reason, Reason::Missing, "no list, no elements");
}

#[test]
fn a_stated_value_is_no_step_for_max_change() {
    let tank = source(Selection::Selectors(vec![RecordSelector {
        max_change: Some(2.0),
        missing: Some(0.0),
        ..RecordSelector::new("level", "/level")
    }]));
    let mut last_accepted = LastAccepted::default();
    for (second, body, expected) in [
        (0, json!({"level": 50}), "level 50"),
        (10, json!({}), "level 0"),
        (20, json!({"level": 50.5}), "level 50.5"),
    ] {
        let now = Mono(second * 1_000);
        let taken = normalise(&tank, &body, &last_accepted, test_moment(now));
        assert_eq!(lines(&taken), [expected]);
        last_accepted.record(&tank, &taken.readings, now);
    }
}

#[test]
fn the_nearest_word_about_a_unit_counts() {
    let body = json!({
        "v": "21.5 °C", "unit": "°F", "blank": " ",
        "list": [{"id": "a", "v": 1, "unit": "W"}, {"id": "b", "v": "2 kW", "unit": null}],
        "units": {"v": "K"},
    });
    let at = |unit_at: &str| RecordSelector {
        unit_at: Some(unit_at.into()),
        ..pick("/v")
    };
    let each = RecordSelector {
        each: Some("/list".into()),
        unit_at: Some("/unit".into()),
        ..RecordSelector::new("{id}", "/v")
    };
    let fixed = RecordSelector {
        unit: Some("C".into()),
        ..pick("/v")
    };
    for (pick, units_at, expected) in [
        (fixed, Some("/units"), vec!["C"]),
        (at("/unit"), Some("/units"), vec!["°F"]),
        (at("/blank"), Some("/units"), vec!["K"]),
        (at("/none"), None, vec!["°C"]),
        (pick("/v"), Some("/units"), vec!["K"]),
        (pick("/v"), None, vec!["°C"]),
        (each, None, vec!["W", "kW"]),
    ] {
        let what = format!("{pick:?}");
        let mut source = source(Selection::Selectors(vec![pick]));
        source.numbers = Numbers::Lenient;
        source.units_at = units_at.map(Into::into);
        let readings = read(&source, &body).readings;
        let units: Vec<&str> = readings
            .iter()
            .filter_map(|it| it.unit.as_deref())
            .collect();
        assert_eq!(units, expected, "{what}");
    }
}

#[test]
fn values_of_json_paths_are_read_as_those_of_pointers() {
    let path = |text: &str| ValuePath::parse(text).expect(text);
    let body = json!({
        "meters": [
            {"id": "a", "n": "1.234,5 kWh", "u": "Wh"},
            {"id": "b", "n": null, "u": "W"},
            {"id": "c", "units": [{"u": "A"}, {"u": "V"}]},
        ],
        "units": {"n": "m³", "rain": "mm"},
        "hex": "P=1F4;",
    });
    let at = |text: &str| RecordSelector::new("key", path(text));
    let each = || RecordSelector {
        each: Some(path("$.meters[*]")),
        decimal: Some(Decimal::Comma),
        null: Some(-1.0),
        missing: Some(0.0),
        unit_at: Some(path("$..u")),
        ..RecordSelector::new("{id}", path("$.n"))
    };
    let cases: [(RecordSelector, &[&str]); 8] = [
        (
            RecordSelector {
                decimal: Some(Decimal::Comma),
                ..at("$.meters[?@.id=='a'].n")
            },
            &["key 1234.5 m³"],
        ),
        (
            RecordSelector {
                base: Some(16),
                pattern: pattern("P=([0-9A-F]+)"),
                ..at("$.hex")
            },
            &["key 500"],
        ),
        (
            RecordSelector {
                null: Some(7.0),
                unit_at: Some(path("$.meters[1].u")),
                ..at("$.meters[1].n")
            },
            &["key 7 W"],
        ),
        (
            RecordSelector {
                missing: Some(0.0),
                ..at("$.current.rain")
            },
            &["key 0 mm"],
        ),
        (
            RecordSelector {
                missing: Some(0.0),
                ..at("$.meters[?@.id=='x'].n")
            },
            &["key 0 m³"],
        ),
        (
            RecordSelector {
                missing: Some(0.0),
                ..at("$.meters[*].id")
            },
            &["too_many $.meters[*].id: 3: /meters/0/id, /meters/1/id, /meters/2/id"],
        ),
        (
            RecordSelector {
                unit_at: Some(path("$.units[*]")),
                base: Some(16),
                pattern: pattern("P=([0-9A-F]+)"),
                ..at("$.hex")
            },
            &["key 500", "too_many $.units[*]: 2: /units/n, /units/rain"],
        ),
        (
            each(),
            &[
                "a 1234.5 Wh",
                "b -1 W",
                "c 0 m³",
                "too_many /meters/2 $..u: 2: /units/0/u, /units/1/u",
            ],
        ),
    ];
    for (pick, expected) in cases {
        let what = format!("{pick:?}");
        let mut source = source(Selection::Selectors(vec![pick]));
        source.units_at = Some("/units".into());
        let taken = read(&source, &body);
        let readings = taken.readings.iter().map(|it| {
            let unit = it.unit.as_deref().map(|unit| format!(" {unit}"));
            let number = it.value.number().unwrap_or(f64::NAN);
            format!("{} {number}{}", it.key, unit.unwrap_or_default())
        });
        let issues = taken
            .issues
            .iter()
            .map(|it| format!("{} {}: {}", it.reason.name(), it.pointer, it.found));
        let found: Vec<String> = readings.chain(issues).collect();
        assert_eq!(found, expected, "{what}");
    }
}
