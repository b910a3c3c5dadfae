//! What becomes of responses, good and bad.

use super::*;
use crate::domain::plan::{Numbers, RecordSelector};
use crate::domain::time::test_moment;
use crate::domain::value_path::ValuePath;
use jiff::tz::TimeZone;
use serde_json::json;
use std::time::Duration;

fn source(selection: Selection) -> SourcePlan {
    SourcePlan {
        name: "test".into(),
        every: Duration::from_secs(60),
        selection,
        target: "test".into(),
        ..SourcePlan::default()
    }
}

fn pick(at: &str) -> RecordSelector {
    RecordSelector::new("key", at)
}

fn read(source: &SourcePlan, body: &Json) -> Normalised {
    normalise(source, body, &LastAccepted::default(), test_moment(Mono(0)))
}

fn leaves(body: Json) -> Vec<(String, String)> {
    let all = Selection::AllLeaves {
        prefix: String::new(),
    };
    read(&source(all), &body)
        .readings
        .into_iter()
        .map(|reading| (reading.key.to_string(), reading.value.to_string()))
        .collect()
}

#[test]
fn the_default_selection_takes_every_numeric_or_boolean_leaf() {
    let found = leaves(json!({
        "load": {"min1": 0.5, "cpus": 4},
        "fs": [{"used": 10, "name": "root"}],
        "up": true, "note": "text", "gone": null,
        "a.b": 1, "50%": 2,
    }));
    let expected = [
        ("50%25", "2"),
        ("a%2Eb", "1"),
        ("fs.0.used", "10"),
        ("load.cpus", "4"),
        ("load.min1", "0.5"),
        ("up", "1"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn what_is_wrong_with_a_field_costs_that_field_alone() {
    let body: Json = serde_json::from_str(
        r#"{"t": 21.4, "s": "21.4", "comma": "21,4", "n": null, "huge": 1e999, "hot": 99, "o": {}}"#,
    )
    .unwrap();
    let ranged = |at| RecordSelector {
        min: Some(-60.0),
        max: Some(60.0),
        ..pick(at)
    };
    let cases: [(RecordSelector, Result<&str, &str>); 9] = [
        (pick("/t"), Ok("21.4")),
        (
            pick("/s"),
            Err(
                "wrong_type: /s: expected a number, found the text \"21.4\", a number with numbers = \"lenient\"",
            ),
        ),
        (
            pick("/comma"),
            Err(
                "wrong_type: /comma: expected a number, found the text \"21,4\", a number with decimal = \",\"",
            ),
        ),
        (
            pick("/n"),
            Err("missing: /n: expected a number, found null"),
        ),
        (
            pick("/gone"),
            Err(
                "missing: /gone: expected a number, found nothing: the response has comma, hot, huge, n, o, s, t",
            ),
        ),
        (
            pick("/huge"),
            Err("not_finite: /huge: expected a number that a 64-bit float can hold, found 1e+999"),
        ),
        (
            ranged("/hot"),
            Err("out_of_range: /hot: expected from -60 to 60, found 99"),
        ),
        (
            pick("/o"),
            Err("wrong_type: /o: expected a number, found an object of 0 fields"),
        ),
        (
            RecordSelector {
                scale: Some(1.8),
                offset: Some(32.0),
                ..pick("/t")
            },
            Ok("70.52"),
        ),
    ];
    for (pick, expected) in cases {
        let at = pick.at.clone();
        let taken = read(&source(Selection::Selectors(vec![pick])), &body);
        match expected {
            Ok(value) => assert_eq!(taken.readings[0].value.to_string(), value, "{at}"),
            Err(issue) => assert_eq!(taken.issues[0].to_string(), issue, "{at}"),
        }
    }
}

#[test]
fn numbers_as_text_are_taken_when_asked_for() {
    let mut lenient = source(Selection::Selectors(vec![pick("/s")]));
    lenient.numbers = Numbers::Lenient;
    for (text, expected) in [
        ("21.4", 1),
        (" 3e2 ", 1),
        ("nan", 0),
        ("inf", 0),
        ("12 W", 1),
        ("1,234", 0),
    ] {
        let taken = read(&lenient, &json!({ "s": text }));
        assert_eq!(taken.readings.len(), expected, "{text}");
    }
}

#[test]
fn a_text_reading_is_one_bounded_line() {
    let text = RecordSelector {
        text: true,
        ..pick("/s")
    };
    let taken = read(
        &source(Selection::Selectors(vec![text])),
        &json!({"s": "a\nb"}),
    );
    assert_eq!(taken.readings[0].value, Value::Text("a b".into()));
}

#[test]
fn units_come_from_a_sibling_object() {
    let mut with_units = source(Selection::Selectors(vec![pick("/current/temperature_2m")]));
    with_units.units_at = Some("/current_units".into());
    let body = json!({"current": {"temperature_2m": 3}, "current_units": {"temperature_2m": "°C"}});
    let taken = read(&with_units, &body);
    assert_eq!(taken.readings[0].unit.as_deref(), Some("°C"));
}

#[test]
fn a_chatty_response_is_bounded_and_the_rest_is_counted() {
    let body = json!({ "values": vec![1; 1000] });
    let all = Selection::AllLeaves {
        prefix: String::new(),
    };
    let taken = read(&source(all), &body);
    assert_eq!(taken.readings.len(), limits::RECORDS_PER_SOURCE);
    assert_eq!(taken.issues[0].reason, Reason::TooMany);
    let found = "744 more: values.256, values.257, values.258, …";
    assert_eq!(taken.issues[0].found, found);
    assert!(
        taken.issues[0]
            .expected
            .contains("256 records of one source")
    );
    let mut shown = taken.issues[0].clone();
    shown.shorten();
    assert_eq!(shown, taken.issues[0], "nothing of it is cut");
}

#[test]
fn keys_that_the_configuration_names_are_read_however_late_they_come() {
    let body = json!({ "a": vec![1; 10], "z": 7 });
    let limited = |selection| SourcePlan {
        max_records: 4,
        named_keys: Arc::new(["z".into(), "a.8".into()].into()),
        ..source(selection)
    };
    let keys = |taken: &Normalised| -> Vec<String> {
        let readings = taken.readings.iter();
        readings.map(|reading| reading.key.to_string()).collect()
    };
    let all = Selection::AllLeaves {
        prefix: String::new(),
    };
    let taken = read(&limited(all), &body);
    assert_eq!(keys(&taken), ["a.0", "a.1", "a.2", "a.3", "a.8", "z"]);
    assert_eq!(taken.issues[0].found, "5 more: a.4, a.5, a.6, …");
    assert!(taken.issues[0].expected.contains("at most 4 records"));
    let each = RecordSelector {
        each: Some("/a".into()),
        ..RecordSelector::new("a.{#}", "")
    };
    let z = RecordSelector::new("z", "/z");
    let taken = read(&limited(Selection::Selectors(vec![each, z])), &body);
    assert_eq!(keys(&taken), ["a.0", "a.1", "a.2", "a.3", "a.8", "z"]);
    assert_eq!(taken.issues[0].found, "5 more: a.4, a.5, a.6, …");
}

#[test]
fn a_huge_name_is_not_repeated_by_the_leaves_below_it() {
    let many: serde_json::Map<String, Json> = (0..10_000)
        .map(|n| {
            (
                format!("f{n}"),
                if n < 5_000 { json!(n) } else { json!([n]) },
            )
        })
        .collect();
    let body = json!({ "x".repeat(2_000_000): many, "y": 1 });
    let all = Selection::AllLeaves {
        prefix: String::new(),
    };
    let taken = read(&source(all), &body);
    let keys: Vec<&str> = taken.readings.iter().map(|it| &*it.key).collect();
    assert_eq!(keys, ["y"]);
    assert_eq!(taken.issues.len(), limits::ISSUES_PER_RESPONSE);
    for issue in &taken.issues {
        assert!(issue.pointer.len() <= 4 * limits::POINTER_CHARS);
        assert!(issue.pointer.starts_with("/xxx"), "{}", issue.pointer);
    }
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

#[test]
fn each_element_gives_a_record_with_a_key_of_its_own_fields() {
    let each = |key: &str, each: &str, at: &str| {
        source(Selection::Selectors(vec![RecordSelector {
            each: Some(each.into()),
            ..RecordSelector::new(key, at)
        }]))
    };
    let stations = json!({"stations": [
        {"id": 7, "free": 3, "at": {"name": "Am Markt 1.5"}},
        {"id": "x", "free": "many"},
        {"free": 2},
        {"id": 7, "free": 9},
    ]});
    assert_eq!(
        lines(&read(&each("bikes.{id}", "/stations", "/free"), &stations)),
        [
            "bikes.7 3",
            "wrong_type: /stations/1/free: expected a number, found the text \"many\"; map = { many = 0 } gives it a number, text = true stores it",
            "missing: /stations/2: expected a text or a number for {id} of the key, found nothing",
            "duplicate_key: /stations/3: expected an element with a key of its own, found bikes.7",
        ]
    );
    assert_eq!(
        lines(&read(&each("{/at/name}", "/stations", "/free"), &stations))[0],
        "Am Markt 1%2E5 3"
    );
    let rooms = json!({"rooms": {"hall": {"t": 20}, "cellar/1": {"t": 12}}});
    assert_eq!(
        lines(&read(&each("{#}.t", "/rooms", "/t"), &rooms)),
        ["cellar/1.t 12", "hall.t 20"]
    );
    let plain = json!({"loads": [0.5, 0.25]});
    assert_eq!(
        lines(&read(&each("load{#}", "/loads", ""), &plain)),
        ["load0 0.5", "load1 0.25"]
    );
    assert_eq!(
        lines(&read(&each("{#}", "/gone", ""), &plain)),
        [
            "missing: /gone: expected a list or an object, to read each of, found nothing: the response has loads"
        ]
    );
    let many = json!({ "loads": vec![1; 1_000] });
    let taken = read(&each("load{#}", "/loads", ""), &many);
    assert_eq!(taken.readings.len(), limits::RECORDS_PER_SOURCE);
    assert_eq!(
        taken.issues[0].found,
        "744 more: load256, load257, load258, …"
    );
    let bad = json!({ "loads": vec!["x"; 1_000] });
    let taken = read(&each("load{#}", "/loads", ""), &bad);
    assert_eq!(taken.issues.len(), limits::ISSUES_PER_RESPONSE);
}

#[test]
fn texts_that_stand_for_numbers_are_mapped() {
    let door = source(Selection::Selectors(vec![RecordSelector {
        map: vec![("open".to_owned(), 1.0), ("closed".to_owned(), 0.0)],
        ..RecordSelector::new("door", "/door")
    }]));
    for (found, expected) in [
        (json!("open"), "door 1"),
        (json!("closed"), "door 0"),
        (json!(0.5), "door 0.5"),
        (
            json!("ajar"),
            "wrong_type: /door: expected one of open, closed, found the text \"ajar\"; map = { ajar = 0 } gives it a number, text = true stores it",
        ),
    ] {
        assert_eq!(lines(&read(&door, &json!({ "door": found }))), [expected]);
    }
}

#[test]
fn a_jump_is_not_believed_until_enough_time_has_passed_for_it() {
    let tank = source(Selection::Selectors(vec![RecordSelector {
        max_change: Some(2.0),
        ..RecordSelector::new("level", "/level")
    }]));
    let mut last_accepted = LastAccepted::default();
    for (second, level, expected) in [
        (0, 50.0, "level 50"),
        (10, 51.5, "level 51.5"),
        (
            20,
            90.0,
            "out_of_range: /level: expected a change of at most 2 per minute from 51.5, found 90",
        ),
        (30, 52.0, "level 52"),
        (330, 61.9, "level 61.9"),
    ] {
        let now = Mono(second * 1_000);
        let taken = normalise(
            &tank,
            &json!({ "level": level }),
            &last_accepted,
            test_moment(now),
        );
        assert_eq!(lines(&taken), [expected], "after {second} s");
        last_accepted.record(&tank, &taken.readings, now);
    }
}

#[test]
fn an_answer_with_nothing_in_it_is_told_from_one_that_lacks_what_was_asked_for() {
    let each = |each: &str| RecordSelector {
        each: Some(each.into()),
        ..RecordSelector::new("{id}", "/v")
    };
    let all = || Selection::AllLeaves {
        prefix: String::new(),
    };
    for (selection, body, expected) in [
        (all(), json!([]), true),
        (all(), json!({}), true),
        (all(), json!({ "warnings": [] }), true),
        (all(), json!({ "error": "no such key" }), false),
        (all(), json!(null), false),
        (all(), json!([null]), false),
        (all(), json!("ok"), false),
        (Selection::Selectors(vec![each("")]), json!([]), true),
        (Selection::Selectors(vec![each("")]), json!({}), true),
        (
            Selection::Selectors(vec![each("/items")]),
            json!({ "items": [], "n": 0 }),
            true,
        ),
        (Selection::Selectors(vec![each("/items")]), json!([]), true),
        (
            Selection::Selectors(vec![each("/items")]),
            json!({ "error": "no" }),
            false,
        ),
        (
            Selection::Selectors(vec![each("/items")]),
            json!({ "items": [{}] }),
            false,
        ),
        (
            Selection::Selectors(vec![each(""), pick("/v")]),
            json!([]),
            false,
        ),
        (Selection::Selectors(vec![pick("/v")]), json!([]), false),
        (Selection::Selectors(vec![pick("/v")]), json!({}), false),
    ] {
        let mut source = source(selection);
        source.observed_at = Some("/0/time".into());
        let taken = read(&source, &body);
        assert_eq!(taken.is_empty_answer, expected, "{body}");
        assert_eq!(
            taken.issues.is_empty() && taken.readings.is_empty(),
            expected,
            "{body}"
        );
    }
}

#[test]
fn a_map_holds_for_numbers_and_booleans_by_their_text() {
    let map = [("on", 1.0), ("true", 2.0), ("3", 0.0), ("nan", 9.0)];
    let pick = RecordSelector {
        map: map.map(|(text, number)| (text.to_owned(), number)).to_vec(),
        ..pick("/v")
    };
    let source = source(Selection::Selectors(vec![pick]));
    for (json, expected) in [
        (json!("on"), Some(1.0)),
        (json!(true), Some(2.0)),
        (json!(3), Some(0.0)),
        (json!(3.0), Some(0.0)),
        // What is not in it stays what it is.
        (json!(false), Some(0.0)),
        (json!(4), Some(4.0)),
        (json!("off"), None),
    ] {
        let taken = read(&source, &json!({ "v": json }));
        let number = taken.readings.first().and_then(|it| it.value.number());
        assert_eq!(number, expected, "{json}");
    }
}

#[test]
fn lenient_numbers_hold_for_every_leaf() {
    let mut all = source(Selection::AllLeaves {
        prefix: "m.".to_owned(),
    });
    let body = json!({
        "n": 1, "text": "21.4", "word": "on", "empty": "", "list": ["-3", true],
        "u": "230 V", "comma": "21,5 °C", "grouped": "1 234 kWh",
        "age": "7 days", "mac": "84f3eb12", "ip": "192.168.1.20", "date": "2026-11-29",
        "state": "12 stations", "either": "1,234",
    });
    let keys = |source: &SourcePlan| -> Vec<String> {
        let taken = read(source, &body);
        let line = |it: &Reading| {
            let unit = it.unit.as_deref().unwrap_or_default();
            format!("{}={}{unit}", it.key, it.value)
        };
        let readings = taken.readings.iter().map(line);
        readings
            .chain(taken.issues.iter().map(Issue::to_string))
            .collect()
    };
    assert_eq!(keys(&all), ["m.list.1=1", "m.n=1"]);
    all.numbers = Numbers::Lenient;
    assert_eq!(
        keys(&all),
        [
            "m.comma=21.5°C",
            "m.grouped=1234kWh",
            "m.list.0=-3",
            "m.list.1=1",
            "m.n=1",
            "m.text=21.4",
            "m.u=230V",
            "wrong_type: /either: expected a number that can be read in one way, found the text \"1,234\", 1.234 with decimal = \",\" and 1234 with decimal = \".\" of a record in [source.records]",
        ]
    );
}

/// Each record of a house: its readings and issues.
fn read_paths(records: &[(&str, Option<&str>, &str)]) -> Vec<String> {
    let body = json!({
        "checks": [
            {"name": "window", "status": 1}, {"name": "door", "status": 2}, {"name": "gate"}
        ],
        "rooms": {"hall": {"t": 20, "on": true}, "attic": {"t": 15, "on": false}},
        "none": [], "power": 7, "units": {"status": "V"},
    });
    let path = |text: &str| ValuePath::parse(text).expect(text);
    let picks = records.iter().map(|(key, each, at)| RecordSelector {
        each: each.map(path),
        ..RecordSelector::new(*key, path(at))
    });
    let source = SourcePlan {
        units_at: Some(path("$.units")),
        ..source(Selection::Selectors(picks.collect()))
    };
    let taken = read(&source, &body);
    let readings = taken.readings.iter().map(|it| {
        let unit = it.unit.as_deref().unwrap_or_default();
        format!("{} = {}{unit}", it.key, it.value)
    });
    readings
        .chain(taken.issues.iter().map(ToString::to_string))
        .collect()
}

#[test]
fn a_json_path_finds_the_value_whatever_the_order() {
    assert_eq!(
        read_paths(&[
            ("door", None, "$.checks[?@.name=='door'].status"),
            ("last", None, "$.checks[-2].status"),
            ("power", None, "$['power']"),
        ]),
        ["door = 2V", "last = 2V", "power = 7"]
    );
}

#[test]
fn a_json_path_without_one_value_says_what_is_there() {
    for (path, expected) in [
        (
            "$.checks[*].status",
            "too_many: $.checks[*].status: expected one value: add a position or a filter, or read `each`, \
             found 2: /checks/0/status, /checks/1/status",
        ),
        (
            "$.checks[?@.name=='dor'].status",
            "missing: $.checks[?@.name=='dor'].status: expected a number, found nothing: /checks is a list \
             of 3, in which nothing matches [?@.name=='dor']; name is \"window\", \"door\", \"gate\"",
        ),
        (
            "$.checks[?@.nam=='door'].status",
            "missing: $.checks[?@.nam=='door'].status: expected a number, found nothing: /checks is a list \
             of 3, in which nothing matches [?@.nam=='door']; none has nam",
        ),
        (
            "$.checks[2].status",
            "missing: $.checks[2].status: expected a number, found nothing: /checks/2 has name",
        ),
        (
            "$.checks[-4]",
            "missing: $.checks[-4]: expected a number, found nothing: /checks is a list of 3",
        ),
        (
            "$.checks.status",
            "missing: $.checks.status: expected a number, found nothing: /checks is a list: [*] stands for \
             its elements, [0] for the first, [-1] for the last",
        ),
        (
            "$.Power",
            "missing: $.Power: expected a number, found nothing: the response has power",
        ),
        (
            "$.power.now",
            "missing: $.power.now: expected a number, found nothing: /power is 7",
        ),
        (
            "$.none[-1]",
            "missing: $.none[-1]: expected a number, found nothing: /none is an empty list",
        ),
        (
            "$.checks[0].name",
            "wrong_type: /checks/0/name: expected a number, found the text \"window\"; \
             map = { window = 0 } gives it a number, text = true stores it",
        ),
    ] {
        assert_eq!(read_paths(&[("key", None, path)]), [expected], "{path}");
    }
}

#[test]
fn the_nodes_of_a_json_path_are_the_elements() {
    for (key, each, at, expected) in [
        (
            "{name}",
            "$.checks[?@.status]",
            "$.status",
            vec!["window = 1V", "door = 2V"],
        ),
        ("{#}", "$.checks[:2]", "/status", vec!["0 = 1V", "1 = 2V"]),
        ("{#}", "$.rooms[?@.on==true]", "/t", vec!["hall = 20"]),
        (
            "{#}.t",
            "$..t",
            "$",
            vec![
                "t.t = 15",
                "duplicate_key: /rooms/hall/t: expected an element with a key of its own, found t.t",
            ],
        ),
        // No element passes the filter, and that is an answer.
        ("{#}", "$.checks[?@.status>5]", "/status", vec![]),
        ("{#}", "$.none[*]", "/status", vec![]),
        (
            "{#}",
            "$.nothing[*]",
            "/status",
            vec![
                "missing: $.nothing[*]: expected elements, to read each of, found nothing: the response has \
             checks, none, power, rooms, units",
            ],
        ),
        (
            "{name}",
            "$.checks[2:]",
            "$.status",
            vec![
                "missing: /checks/2 $.status: expected a number, found nothing: /checks/2 has name",
            ],
        ),
        (
            "{name}",
            "$.checks[2:]",
            "$.*.*",
            vec![
                "missing: /checks/2 $.*.*: expected a number, found nothing: /checks/2/name is the text \"gate\"",
            ],
        ),
    ] {
        assert_eq!(read_paths(&[(key, Some(each), at)]), expected, "{each}");
    }
}

#[test]
fn more_elements_than_are_read_are_counted() {
    let body = json!({ "l": vec![json!({ "v": 1 }); limits::JSON_PATH_NODES + 1] });
    let pick = RecordSelector {
        each: Some(ValuePath::parse("$.l[*]").expect("path")),
        ..RecordSelector::new("{#}", "/v")
    };
    let taken = read(&source(Selection::Selectors(vec![pick])), &body);
    assert_eq!(taken.readings.len(), limits::RECORDS_PER_SOURCE);
    assert_eq!(
        taken.issues[0].to_string(),
        "too_many: $.l[*]: expected at most 2000 elements of a JSONPath: add a filter, or write the list as a JSON Pointer, found 2001"
    );
}

#[test]
fn dates_of_json_paths_are_those_of_the_response() {
    let mut source = source(Selection::Selectors(vec![RecordSelector::new(
        "price",
        ValuePath::parse("$.days[?@.day=='{today}'].price").expect("path"),
    )]));
    source.placeholder_zone = TimeZone::get("Europe/Berlin").expect("zone");
    assert!(source.has_dated_paths());
    let body =
        json!({"days": [{"day": "2026-11-29", "price": 1}, {"day": "2026-11-30", "price": 2}]});
    // 22:59 and 23:01 UTC.
    for (second, expected) in [(1_795_993_140, "1"), (1_795_993_260, "2")] {
        let plan = source.at_time(Wall::from_second(second));
        let taken = read(&plan, &body);
        assert_eq!(taken.readings[0].value.to_string(), expected);
    }
}

#[test]
fn booleans_of_a_response_are_told_from_numbers() {
    let body = json!({"on": true, "off": false, "one": 1, "text": "true"});
    let all = Selection::AllLeaves {
        prefix: String::new(),
    };
    let found = read(&source(all), &body).readings.into_iter();
    let found: Vec<(String, bool)> = found
        .map(|it| (it.key.to_string(), it.is_boolean))
        .collect();
    let leaf = |key: &str, is_boolean| (key.to_owned(), is_boolean);
    let expected = [leaf("off", true), leaf("on", true), leaf("one", false)];
    assert_eq!(found, expected);
    let scaled = |scale| RecordSelector {
        scale: Some(scale),
        ..pick("/on")
    };
    let inverted = RecordSelector {
        offset: Some(1.0),
        ..scaled(-1.0)
    };
    let mapped = |number| RecordSelector {
        map: vec![("true".to_owned(), number)],
        ..pick("/on")
    };
    let text = RecordSelector {
        text: true,
        ..pick("/on")
    };
    let missing = RecordSelector {
        missing: Some(0.0),
        ..pick("/gone")
    };
    for (selector, value, is_boolean) in [
        (pick("/on"), "1", true),
        (pick("/off"), "0", true),
        (pick("/one"), "1", false),
        (inverted, "0", true),
        (scaled(100.0), "100", false),
        (mapped(0.0), "0", true),
        (mapped(5.0), "5", false),
        (text, "true", false),
        (missing, "0", false),
    ] {
        let source = source(Selection::Selectors(vec![selector]));
        let reading = read(&source, &body).readings.remove(0);
        let found = (reading.value.to_string(), reading.is_boolean);
        assert_eq!(
            found,
            (value.to_owned(), is_boolean),
            "{:?}",
            source.selection
        );
    }
}
