//! Records that elements of a list make together, and keys of what is around an element.

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use crate::domain::normalise::{LastAccepted, Normalised, normalise};
use crate::domain::plan::{AggregateFunction, ElementTime, RecordSelector, Selection, SourcePlan};
use crate::domain::reading::Issue;
use crate::domain::time::{Mono, test_moment};
use crate::domain::value_path::ValuePath;

fn path(text: &str) -> ValuePath {
    ValuePath::parse(text).expect(text)
}

fn pick(key: &str, each: &str, at: &str) -> RecordSelector {
    RecordSelector {
        each: Some(path(each)).filter(|_| each != "-"),
        ..RecordSelector::new(key, path(at))
    }
}

fn read(picks: Vec<RecordSelector>, body: &Json) -> Normalised {
    let source = SourcePlan {
        selection: Selection::Selectors(picks),
        observed_zone: TimeZone::get("Europe/Berlin").expect("zone"),
        ..SourcePlan::default()
    };
    normalise(
        &source,
        body,
        &LastAccepted::default(),
        test_moment(Mono(0)),
    )
}

fn lines(taken: &Normalised) -> Vec<String> {
    let readings = taken.readings.iter().map(|reading| {
        let time = reading.observed.map(|time| format!(" at {time}"));
        let unit = reading.unit.iter().map(|unit| format!(" {unit}"));
        let unit: String = unit.collect();
        let value = &reading.value;
        format!("{} {value}{unit}{}", reading.key, time.unwrap_or_default())
    });
    readings
        .chain(taken.issues.iter().map(Issue::to_string))
        .collect()
}

#[test]
fn keys_take_fields_of_what_is_around_an_element() {
    let body = json!({
        "site": "home", "id": 7,
        "rooms": [
            {"name": "hall", "sensors": [{"id": "t", "v": 1}, {"id": "h", "v": 2}]},
            {"name": "a.b", "sensors": [{"id": "t", "v": 3}]},
        ],
        "map": {"kitchen": {"floor": 1, "lamps": {"left": {"w": 5}, "right": {"w": 6}}}},
        "grid": [[1, 2], [3]],
        "deep": [{"y": "2026", "months": [{"m": 11, "days": [{"d": 28, "v": 8}, {"d": 29, "v": 9}]}]}],
    });
    let sensors = "$.rooms[*].sensors[*]";
    let cases: [(&str, &str, &str, &[&str]); 9] = [
        (
            "{../name}.{id}",
            sensors,
            "/v",
            &["hall.t 1", "hall.h 2", "a%2Eb.t 3"],
        ),
        ("{../#}.{#}", sensors, "/v", &["0.0 1", "0.1 2", "1.0 3"]),
        (
            "{../../site}.{../../id}.{../name}.{id}",
            sensors,
            "/v",
            &["home.7.hall.t 1", "home.7.hall.h 2", "home.7.a%2Eb.t 3"],
        ),
        (
            "{../site}.{name}",
            "/rooms",
            "/sensors/0/v",
            &["home.hall 1", "home.a%2Eb 3"],
        ),
        (
            "{../../#}.{../../floor}.{../#}.{#}",
            "$.map.*.lamps.*",
            "/w",
            &["kitchen.1.lamps.left 5", "kitchen.1.lamps.right 6"],
        ),
        (
            "{../#}.{#}",
            "$.grid[*][*]",
            "",
            &["0.0 1", "0.1 2", "1.0 3"],
        ),
        (
            "{../../y}-{../m}-{d}",
            "$.deep[*].months[*].days[*]",
            "/v",
            &["2026-11-28 8", "2026-11-29 9"],
        ),
        (
            "{../../../x}",
            "$.rooms[1].sensors[*]",
            "/v",
            &[
                "missing: /rooms/1/sensors/0: expected a text or a number for {../../../x} of the key, \
               found nothing: the response ends there",
            ],
        ),
        (
            "{../../#}",
            "$.rooms[1].sensors[*]",
            "/v",
            &[
                "missing: /rooms/1/sensors/0: expected a text or a number for {../../#} of the key, \
               found the whole response, which has no name",
            ],
        ),
    ];
    for (key, each, at, expected) in cases {
        let taken = read(vec![pick(key, each, at)], &body);
        assert_eq!(lines(&taken), expected, "{key} of {each}");
    }
}

fn aggregate(aggregate: AggregateFunction, key: &str, each: &str, at: &str) -> RecordSelector {
    let mut pick = pick(key, each, at);
    pick.elements.aggregate = Some(aggregate);
    pick
}

#[test]
fn values_of_many_elements_make_one_number() {
    use AggregateFunction::{Count, Max, Mean, Min, Sum};
    let body = json!({
        "watts": [1.5, 2.5, -4, null], "none": [], "texts": [1, "x"], "nulls": [null, null],
        "batteries": [{"id": "a", "p": 10, "on": true}, {"id": "b", "p": 30, "on": true}, {"id": "c", "on": false}],
        "rooms": [{"n": "hall", "t": [20, 22]}, {"n": "loft", "t": [10]}],
        "named": {"x": {"v": 1}, "y": {"v": 2}},
        "tenths": [0.1, 0.2], "nothing": null,
    });
    let cases: [(AggregateFunction, &str, &str, &[&str]); 21] = [
        (Count, "-", "/watts", &["key 3"]),
        (Sum, "-", "/watts", &["key 0"]),
        (Min, "-", "/watts", &["key -4"]),
        (Max, "-", "$.watts", &["key 2.5"]),
        (Mean, "-", "$.watts[:2]", &["key 2"]),
        (Sum, "-", "/tenths", &["key 0.3"]),
        (Count, "-", "/none", &["key 0"]),
        (Sum, "-", "$.none[*]", &["key 0"]),
        (Count, "-", "$.batteries[?@.on==true]", &["key 2"]),
        (Count, "-", "$.batteries[?@.p>99]", &["key 0"]),
        (Count, "-", "/named", &["key 2"]),
        (Sum, "/batteries", "/p", &["key 40"]),
        (Count, "/batteries", "/p", &["key 2"]),
        (Mean, "/named", "/v", &["key 1.5"]),
        (
            Mean,
            "-",
            "/none",
            &["missing: /none: expected at least one value, for mean, found none"],
        ),
        (
            Sum,
            "-",
            "/texts",
            &[
                "wrong_type: /texts/1: expected a number, found the text \"x\"; map = { x = 0 } gives it \
               a number, text = true stores it",
            ],
        ),
        (
            Sum,
            "-",
            "/nulls",
            &["missing: /nulls/0: expected a number, found null, as in all 2 elements"],
        ),
        (
            Sum,
            "/batteries",
            "/power",
            &[
                "missing: /batteries/0/power: expected a number, found nothing: /batteries/0 has id, on, p, \
               as in all 3 elements",
            ],
        ),
        (
            Sum,
            "-",
            "/wats",
            &[
                "missing: /wats: expected a list or an object, to read each of, found nothing: the response \
               has batteries, named, none, nothing, nulls, rooms, tenths, texts, watts",
            ],
        ),
        (
            Count,
            "-",
            "$.batteries.on",
            &[
                "missing: $.batteries.on: expected elements, to read each of, found nothing: /batteries is a \
               list: [*] stands for its elements, [0] for the first, [-1] for the last",
            ],
        ),
        (Sum, "-", "$.rooms[*].t[*]", &["key 52"]),
    ];
    let good = RecordSelector::new("good", "/watts/0");
    for (function, each, at, expected) in cases {
        let picks = vec![good.clone(), aggregate(function, "key", each, at)];
        let taken = read(picks, &body);
        assert_eq!(lines(&taken)[1..], *expected, "{function:?} {each} {at}");
    }
    let cases: [(AggregateFunction, &str, &str, &[&str]); 8] = [
        (Count, "-", "/gone", &["key 7"]),
        (Sum, "-", "$.gone[*]", &["key 7"]),
        (Mean, "/gone", "/v", &["key 7"]),
        (Max, "-", "/none", &["key 7"]),
        (Min, "-", "$.batteries[?@.p>99].p", &["key 7"]),
        (Count, "-", "/none", &["key 0"]),
        (Sum, "-", "/nothing", &["key 8"]),
        (
            Sum,
            "-",
            "/tenths/0",
            &["wrong_type: /tenths/0: expected a list or an object, to read each of, found 0.1"],
        ),
    ];
    for (function, each, at, expected) in cases {
        let picks = vec![
            good.clone(),
            RecordSelector {
                missing: Some(7.0),
                null: Some(8.0),
                ..aggregate(function, "key", each, at)
            },
        ];
        let taken = read(picks, &body);
        assert_eq!(
            lines(&taken)[1..],
            *expected,
            "stated: {function:?} {each} {at}"
        );
    }
    let of_rooms = aggregate(Mean, "{../n}.mean", "$.rooms[*].t[*]", "");
    let taken = read(vec![of_rooms], &body);
    assert_eq!(lines(&taken), ["hall.mean 21", "loft.mean 10"]);
}

#[test]
fn numbers_that_no_float_holds_are_named() {
    use AggregateFunction::{Max, Min, Sum, TimeOfMax};
    let cases = [
        (Sum, "[1e308, 1e308]", "the whole response", "inf"),
        (Sum, "[1, 1e999]", "/1", "1e+999"),
        (Max, "[1, 1e999]", "/1", "1e+999"),
        (Min, "[-1e999, 1]", "/0", "-1e+999"),
        (TimeOfMax, "[1, 1e999]", "/1", "1e+999"),
    ];
    for (function, list, place, found) in cases {
        let body: Json = serde_json::from_str(list).expect("JSON");
        let mut pick = aggregate(function, "key", "-", "");
        pick.elements.element_time = Some(ElementTime::Template("{#}0000000".to_owned()));
        let expected = format!(
            "not_finite: {place}: expected a number that a 64-bit float can hold, found {found}"
        );
        let found = lines(&read(vec![pick], &body));
        assert_eq!(found.last(), Some(&expected), "{function:?} {list}");
    }
}

#[test]
fn options_of_a_record_apply_to_its_aggregate() {
    let body =
        json!({"states": ["on", "off", "on"], "t": [1, null, "2,5 °C"], "units": {"t": "K"}});
    let states = RecordSelector {
        map: vec![("on".to_owned(), 1.0), ("off".to_owned(), 0.0)],
        scale: Some(10.0),
        offset: Some(1.0),
        ..aggregate(AggregateFunction::Sum, "on", "-", "/states")
    };
    let numbers = RecordSelector {
        decimal: Some(crate::domain::plan::Decimal::Comma),
        null: Some(-0.5),
        ..aggregate(AggregateFunction::Sum, "t", "-", "/t")
    };
    let ranged = RecordSelector {
        max: Some(2.0),
        key: "ranged".into(),
        ..numbers.clone()
    };
    assert_eq!(
        lines(&read(vec![states, numbers, ranged], &body)),
        [
            "on 21",
            "t 3 °C",
            "out_of_range: /t: expected at most 2, found 3"
        ]
    );
}

#[test]
fn an_empty_list_is_an_answer() {
    for (function, is_empty_answer, count) in [
        (AggregateFunction::Count, false, 1),
        (AggregateFunction::Sum, false, 1),
        (AggregateFunction::Mean, true, 0),
        (AggregateFunction::Max, true, 0),
    ] {
        for (body, at) in [
            (json!({"l": []}), "/l"),
            (json!({"l": []}), "$.l[?@.x==1]"),
            (json!([]), "/l"),
            (json!({"l": {}}), "/l"),
        ] {
            let taken = read(vec![aggregate(function, "key", "-", at)], &body);
            assert_eq!(
                taken.is_empty_answer, is_empty_answer,
                "{function:?} {body}"
            );
            assert_eq!(taken.readings.len(), count, "{function:?} {body}");
            assert_eq!(taken.issues, [], "{function:?} {body}");
        }
    }
}

fn newest(key: &str, each: &str, at: &str, time: &str) -> RecordSelector {
    let mut pick = pick(key, each, at);
    let time = match time {
        template if template.contains('{') => ElementTime::Template(template.to_owned()),
        pointer => ElementTime::Path(path(pointer)),
    };
    pick.elements.newest_by = Some(time);
    pick
}

#[test]
fn the_newest_element_is_found_by_its_time() {
    let body = json!({
        "list": [
            {"f": 49.9, "t": "2026-11-29 12:00:00", "id": "a"},
            {"f": 50.1, "t": "2026-11-29 12:00:02", "id": "a"},
            {"f": 50.0, "t": "2026-11-29 12:00:01", "id": "b"},
            {"f": null, "t": "2026-11-29 12:00:03", "id": "b"},
        ],
        "twice": [{"v": 1, "t": 1795946400}, {"v": 2, "t": 1795946400}],
        "bad": [{"v": 1, "t": "soon"}, {"v": 2}, {"v": 3, "t": "2026-11-29T11:00:00Z"}],
        "worse": [{"v": 1, "t": "soon"}],
        "by_time": {"2026-11-29 10:00": 5, "2026-11-29 11:00": 6},
        "days": [{"date": "2026-11-29", "hours": [{"h": "11:00", "v": 7}, {"h": "12:00", "v": 8}]}],
        "pairs": [[50.003, "2022-07-05 12:55:56"], [50.014, "2022-07-05 12:55:57"]],
        "empty": [],
    });
    let cases: [(RecordSelector, &[&str]); 9] = [
        (
            newest("f", "/list", "/f", "/t"),
            &["f 50.1 at 2026-11-29T11:00:02Z"],
        ),
        (
            newest("{id}.f", "/list", "/f", "/t"),
            &[
                "a.f 50.1 at 2026-11-29T11:00:02Z",
                "b.f 50 at 2026-11-29T11:00:01Z",
            ],
        ),
        (
            newest("v", "/twice", "/v", "/t"),
            &["v 2 at 2026-11-29T10:00:00Z"],
        ),
        (
            newest("v", "/bad", "/v", "/t"),
            &[
                "v 3 at 2026-11-29T11:00:00Z",
                "bad_time: /bad/0/t: expected a time: RFC 3339, ISO 8601, RFC 2822, YYYYMMDDhhmmss, or \
                 seconds, milliseconds, microseconds or nanoseconds since 1970, found the text \"soon\", \
                 and 1 more element without a time",
            ],
        ),
        (
            newest("v", "/by_time", "", "{#}"),
            &["v 6 at 2026-11-29T10:00:00Z"],
        ),
        (
            newest("v", "$.days[*].hours[*]", "/v", "{../date} {h}"),
            &["v 8 at 2026-11-29T11:00:00Z"],
        ),
        (
            newest("v", "/pairs", "/0", "/1"),
            &["v 50.014 at 2022-07-05T10:55:57Z"],
        ),
        (newest("v", "/empty", "/v", "/t"), &[]),
        (
            newest("v", "/list", "/g", "/t"),
            &[
                "missing: /list/3/g: expected a number, found nothing: /list/3 has f, id, t, as in all 4 \
               elements",
            ],
        ),
    ];
    let good = RecordSelector::new("good", "/twice/0/v");
    for (pick, expected) in cases {
        let about = format!("{pick:?}");
        let taken = read(vec![good.clone(), pick], &body);
        assert_eq!(lines(&taken)[1..], *expected, "{about}");
    }
    let taken = read(vec![newest("v", "/worse", "/v", "/t")], &body);
    assert_eq!((taken.readings.len(), taken.issues.len()), (0, 1));
    let taken = read(vec![newest("v", "/empty", "/v", "/t")], &body);
    assert!(taken.is_empty_answer);
}

#[test]
fn times_can_stand_in_a_list_of_their_own() {
    let body = json!({
        "hourly": {"time": ["2026-11-29T10:00", "2026-11-29T11:00", "2026-11-29T12:00"], "t": [1, 2, null],
            "short": [7]},
        "hourly_units": {"t": "°C"},
        "rows": [{"x": 1}, {"x": 2}],
        "stamps": [{"s": 1795946400}, {"s": 1795942800}],
        "none": [],
    });
    let parallel = |each: &str, at: &str, times: &str| {
        let mut pick = newest("v", each, at, "/");
        pick.elements.newest_by = Some(ElementTime::Parallel);
        pick.elements.times_at = Some(path(times));
        pick
    };
    let cases: [(RecordSelector, &[&str]); 5] = [
        (
            parallel("-", "/hourly/t", "/hourly/time"),
            &["v 2 at 2026-11-29T10:00:00Z"],
        ),
        (
            parallel("/rows", "/x", "$.stamps[*].s"),
            &["v 1 at 2026-11-29T10:00:00Z"],
        ),
        (
            parallel("-", "/hourly/short", "/hourly/time"),
            &[
                "v 7 at 2026-11-29T09:00:00Z",
                "bad_time: /hourly/time: expected as many times as /hourly/short has elements, 1, found 3",
            ],
        ),
        (
            parallel("-", "/hourly/t", "/none"),
            &["bad_time: /none: expected as many times as /hourly/t has elements, 3, found 0"],
        ),
        (
            parallel("-", "/hourly/t", "/hourly/times"),
            &[
                "bad_time: /hourly/times: expected a list of times, found nothing: /hourly has short, t, time",
            ],
        ),
    ];
    for (pick, expected) in cases {
        assert_eq!(lines(&read(vec![pick], &body)), expected);
    }
}
