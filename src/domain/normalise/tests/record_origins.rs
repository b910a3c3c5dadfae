//! Where records come from, beside what `normalise` makes of them.

use serde_json::json;

use super::*;
use crate::domain::normalise::{LastAccepted, normalise};
use crate::domain::plan::{AggregateFunction, ElementTime};
use crate::domain::time::{Mono, test_moment};

fn lines(source: &SourcePlan, body: &Json) -> Vec<String> {
    let found = find_origins(source, body);
    let line = |it: &RecordOrigin| format!("{} {} {}", it.key, it.pointer, it.found);
    found.first.iter().map(line).collect()
}

fn source(selection: Selection) -> SourcePlan {
    SourcePlan {
        selection,
        ..SourcePlan::default()
    }
}

#[test]
fn times_without_an_offset_are_noticed_where_no_zone_is_set() {
    let berlin = || TimeZone::get("Europe/Berlin").expect("zone");
    let series = || {
        let mut pick = RecordSelector::new("t", "/t");
        pick.elements.element_time = Some(ElementTime::Parallel);
        pick.elements.times_at = Some("/time".into());
        SourcePlan {
            placeholder_zone: berlin(),
            ..source(Selection::Selectors(vec![pick]))
        }
    };
    let observed = || SourcePlan {
        observed_at: Some("/time/0".into()),
        ..series()
    };
    let (local, absolute) = ("2026-11-29T10:00", "2026-11-29T10:00+01:00");
    for (source, time, expected) in [
        (series(), local, true),
        (observed(), local, true),
        (series(), absolute, false),
        (
            SourcePlan {
                observed_zone: berlin(),
                ..series()
            },
            local,
            false,
        ),
        (
            SourcePlan {
                placeholder_zone: TimeZone::UTC,
                ..series()
            },
            local,
            false,
        ),
    ] {
        let found = find_origins(&source, &json!({"t": [1], "time": [time]}));
        assert_eq!(
            found.likely_zone,
            expected.then(berlin),
            "{time} {source:?}"
        );
    }
}

#[test]
fn each_record_has_its_place_and_what_stands_there() {
    let body = json!({
        "p": "1,2 kW", "on": true, "n": null, "deep": {"a/b": [1.50, {}]},
        "rooms": [{"id": "k", "t": 20}, {"id": "l"}, {"t": 3}],
    });
    let path = |text: &str| ValuePath::parse(text).expect("path");
    let each = RecordSelector {
        each: Some(path("$.rooms[*]")),
        ..RecordSelector::new("{id}.t", "/t")
    };
    let mut sum = RecordSelector {
        each: Some("/rooms".into()),
        ..RecordSelector::new("sum", "/t")
    };
    sum.elements.aggregate = Some(AggregateFunction::Sum);
    let picks = vec![
        RecordSelector::new("power", "/p"),
        RecordSelector::new("on", "/on"),
        RecordSelector::new("null", "/n"),
        RecordSelector::new("last", path("$.deep['a/b'][0]")),
        RecordSelector::new("list", "/deep/a~1b"),
        RecordSelector::new("object", ""),
        RecordSelector::new("gone", path("$.gone.x")),
        RecordSelector::new("two", path("$.rooms[*].t")),
        each,
        sum,
    ];
    let expected = [
        "power /p text \"1,2 kW\"",
        "on /on boolean true",
        "null /n null",
        "last /deep/a~1b/0 number 1.5",
        "list /deep/a~1b list of 2",
        "object  object of 5 fields",
        "gone $.gone.x nothing",
        "two $.rooms[*].t several values, 2: /rooms/0/t, /rooms/2/t",
        "k.t /rooms/0/t number 20",
        "l.t /rooms/1/t nothing",
        "{id}.t /rooms/2 object of 1 fields",
        "sum /rooms 3 elements",
    ];
    assert_eq!(lines(&source(Selection::Selectors(picks)), &body), expected);
}

/// Whatever the response is, each reading is explained.
#[test]
fn leaves_have_their_places_and_long_lists_are_cut() {
    let all = || Selection::AllLeaves {
        prefix: "m.".to_owned(),
    };
    let body = json!({"a.b": {"c": [1, true, "x"]}, "d": 2});
    let expected = [
        "m.a%2Eb.c.0 /a.b/c/0 number 1",
        "m.a%2Eb.c.1 /a.b/c/1 boolean true",
        "m.d /d number 2",
    ];
    assert_eq!(lines(&source(all()), &body), expected);
    let body = json!(vec![7; 100]);
    let source = source(all());
    let found = find_origins(&source, &body);
    assert_eq!(found.first.len(), limits::EXPLAINED_RECORDS);
    assert_eq!(found.more, 100 - limits::EXPLAINED_RECORDS);
    let taken = normalise(
        &source,
        &body,
        &LastAccepted::default(),
        test_moment(Mono(0)),
    );
    for (reading, found) in taken.readings.iter().zip(&found.first) {
        assert_eq!(reading.key, found.key);
    }
}

#[test]
fn secrets_are_masked_where_records_come_from() {
    let secrets = Secrets::new(["token-000".to_owned()]);
    let mut origin = RecordOrigin {
        key: "by token-000".into(),
        pointer: "/by token-000".to_owned(),
        found: OriginValue::Value("text \"token-000\"".to_owned()),
    };
    origin.mask(&secrets, &secrets);
    let shown = format!("{} {} {}", origin.key, origin.pointer, origin.found);
    assert_eq!(shown, "by *** /by *** text \"***\"");
}
