//! Elements with times of their own: which there are, from when until when, and with what value.

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use crate::domain::normalise::{LastAccepted, Normalised, normalise};
use crate::domain::plan::{AggregateFunction, ElementTime, RecordSelector, Selection, SourcePlan};
use crate::domain::reading::{Issue, ShownElement, TimedValue};
use crate::domain::time::{Mono, test_moment};
use crate::domain::value_path::ValuePath;
use crate::limits;

fn path(text: &str) -> ValuePath {
    ValuePath::parse(text).expect(text)
}

fn time(text: &str) -> ElementTime {
    match text {
        "true" => ElementTime::Parallel,
        template if template.contains('{') => ElementTime::Template(template.to_owned()),
        pointer => ElementTime::Path(path(pointer)),
    }
}

fn now(each: &str, at: &str, start: &str) -> RecordSelector {
    let mut pick = RecordSelector {
        each: Some(path(each)).filter(|_| each != "-"),
        ..RecordSelector::new("key", path(at))
    };
    pick.elements.now = Some(time(start));
    pick
}

fn timed(each: &str, at: &str, start: &str) -> RecordSelector {
    let mut pick = now(each, at, start);
    pick.elements.element_time = pick.elements.now.take();
    pick
}

fn read(pick: RecordSelector, body: &Json) -> Normalised {
    let source = SourcePlan {
        placeholder_zone: TimeZone::get("Europe/Berlin").expect("zone"),
        selection: Selection::Selectors(vec![pick]),
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

/// `10:00-11:00 5`, in UTC.
fn element(element: &TimedValue) -> String {
    let clock = |text: String| text[11..16].to_owned();
    let start = clock(element.start.to_string());
    let end = element
        .end
        .map(|end| format!("-{}", clock(end.to_string())));
    let stated = if element.is_stated { " stated" } else { "" };
    format!(
        "{start}{} {}{stated}",
        end.unwrap_or_default(),
        element.value
    )
}

fn lines(taken: &Normalised) -> Vec<String> {
    assert_eq!(taken.readings, []);
    let elements = taken.series.iter().flat_map(|series| {
        let unit = series.unit.iter().map(|unit| format!("in {unit}"));
        unit.chain(series.elements.iter().map(element))
    });
    elements
        .chain(taken.issues.iter().map(Issue::to_string))
        .collect()
}

#[test]
fn an_element_is_now_until_the_next_one_or_its_end() {
    let hours = |hours: &[(&str, Json)]| -> Json {
        let hours = hours.iter().map(|(hour, value)| {
            let start = format!("2026-11-29T{hour}:00Z");
            json!({"start": start, "v": value})
        });
        hours.collect()
    };
    let with_ends = json!([
        {"start": "2026-11-29T10:00Z", "end": "2026-11-29T11:00Z", "v": 5},
        {"start": "2026-11-29T13:00Z", "end": "2026-11-29T14:00Z", "v": 6},
    ]);
    let odd_ends = json!([
        {"start": "2026-11-29T10:00Z", "end": "2026-11-29T12:00Z", "v": 5},
        {"start": "2026-11-29T11:00Z", "end": "2026-11-29T10:00Z", "v": 6},
        {"start": "2026-11-29T12:00Z", "end": "late", "v": 7},
        {"start": "2026-11-29T13:00Z", "v": 8},
    ]);
    let plain = || now("", "/v", "/start");
    let ended = || {
        let mut pick = plain();
        pick.elements.end_at = Some(path("/end"));
        pick
    };
    let ahead = |count| {
        let mut pick = plain();
        pick.elements.ahead = Some(count);
        pick
    };
    let null = RecordSelector {
        null: Some(0.0),
        ..plain()
    };
    let cases: [(RecordSelector, Json, &[&str]); 10] = [
        (
            plain(),
            hours(&[
                ("10:00", json!(5)),
                ("11:00", json!(6)),
                ("12:00", json!(7)),
            ]),
            &["10:00-11:00 5", "11:00-12:00 6", "12:00 7"],
        ),
        // Not in order, and one twice: the last one counts.
        (
            plain(),
            hours(&[
                ("12:00", json!(7)),
                ("10:00", json!(4)),
                ("11:00", json!(6)),
                ("10:00", json!(5)),
            ]),
            &["10:00-11:00 5", "11:00-12:00 6", "12:00 7"],
        ),
        // Not known, and no issue.
        (
            plain(),
            hours(&[
                ("10:00", json!(5)),
                ("11:00", Json::Null),
                ("12:00", json!(7)),
                ("13:00", Json::Null),
            ]),
            &["10:00-11:00 5", "12:00-13:00 7"],
        ),
        (
            null,
            hours(&[("10:00", json!(5)), ("11:00", Json::Null)]),
            &["10:00-11:00 5", "11:00 0 stated"],
        ),
        (
            plain(),
            hours(&[("10:00", Json::Null), ("11:00", Json::Null)]),
            &["missing: /0/v: expected a number, found null, as in all 2 elements"],
        ),
        (ended(), with_ends, &["10:00-11:00 5", "13:00-14:00 6"]),
        (
            ended(),
            odd_ends,
            &[
                "10:00-11:00 5",
                "11:00-12:00 6",
                "12:00-13:00 7",
                "13:00 8",
                "bad_time: /2/end: expected a time: RFC 3339, ISO 8601, RFC 2822, YYYYMMDDhhmmss, or seconds, \
                 milliseconds, microseconds or nanoseconds since 1970, found the text \"late\"",
            ],
        ),
        (
            ahead(1),
            hours(&[
                ("10:00", json!(5)),
                ("11:00", json!(6)),
                ("12:00", Json::Null),
                ("13:00", json!(8)),
            ]),
            &["10:00-11:00 6", "12:00-13:00 8"],
        ),
        (
            ahead(4),
            hours(&[("10:00", json!(5)), ("11:00", json!(6))]),
            &["missing: : expected more than 4 elements, for ahead = 4, found 2"],
        ),
        (
            plain(),
            json!([{"start": "x", "v": 1}, {"start": "2026-11-29T10:00Z", "v": "wet"}, {"v": 2},
                {"start": "2026-11-29T11:00Z", "v": "dry"}, {"start": "2026-11-29T12:00Z", "v": 3}]),
            &[
                "12:00 3",
                "bad_time: /0/start: expected a time: RFC 3339, ISO 8601, RFC 2822, YYYYMMDDhhmmss, or seconds, \
                 milliseconds, microseconds or nanoseconds since 1970, found the text \"x\", and 1 more \
                 element without a time",
                "wrong_type: /1/v: expected a number, found the text \"wet\"; map = { wet = 0 } gives it a number, \
                 text = true stores it, and 1 more element",
            ],
        ),
    ];
    for (pick, body, expected) in cases {
        let expected: Vec<String> = expected
            .iter()
            .map(|it| (*it).replace("missing: :", "missing: the whole response:"))
            .collect();
        assert_eq!(lines(&read(pick, &body)), expected, "{body}");
    }
}

#[test]
fn of_several_elements_in_one_second_the_last_with_a_value_counts() {
    let body = json!([
        {"t": 1_795_946_400_250_i64, "v": 1}, {"t": 1_795_946_400_750_i64, "v": 2},
        {"t": 1_795_946_460_000_i64, "v": 3}, {"t": 1_795_946_460_500_i64, "v": null},
        {"t": 1_795_946_520_999_i64, "v": 4}, {"t": 1_795_946_521_000_i64, "v": 5},
    ]);
    for (pick, expected) in [
        (
            timed("", "/v", "/t"),
            ["10:00 2", "10:01 3", "10:02 4", "10:02 5"],
        ),
        (
            now("", "/v", "/t"),
            ["10:00-10:01 2", "10:01-10:01 3", "10:02-10:02 4", "10:02 5"],
        ),
    ] {
        assert_eq!(lines(&read(pick, &body)), expected);
    }
}

#[test]
fn what_is_read_of_each_element_holds_for_a_series() {
    let body = json!({
        "data": [
            {"t": 1_795_946_400_000_i64, "price": "80,5", "u": "EUR/MWh", "sky": "rain"},
            {"t": 1_795_950_000_000_i64, "price": "-3000", "u": "EUR/MWh", "sky": "sun"},
            {"t": 1_795_953_600_000_i64, "price": "10", "sky": "snow"},
        ],
    });
    let scaled = RecordSelector {
        decimal: Some(crate::domain::plan::Decimal::Comma),
        scale: Some(0.1),
        min: Some(-100.0),
        unit: Some("ct/kWh".into()),
        ..timed("/data", "/price", "/t")
    };
    assert_eq!(
        lines(&read(scaled, &body)),
        [
            "in ct/kWh",
            "10:00 8.05",
            "12:00 1",
            "out_of_range: /data/1/price: expected at least -100, found -300"
        ]
    );
    let mapped = RecordSelector {
        map: vec![("rain".to_owned(), 1.0), ("sun".to_owned(), 0.0)],
        unit_at: Some(path("/u")),
        ..timed("/data", "/sky", "/t")
    };
    assert_eq!(
        lines(&read(mapped, &body))[..3],
        ["in EUR/MWh", "10:00 1", "11:00 0"]
    );
    let text = RecordSelector {
        text: true,
        ..now("/data", "/sky", "/t")
    };
    assert_eq!(
        lines(&read(text, &body)),
        ["10:00-11:00 rain", "11:00-12:00 sun", "12:00 snow"]
    );
    let missing = RecordSelector {
        missing: Some(9.0),
        ..timed("/data", "/no", "/t")
    };
    assert_eq!(
        lines(&read(missing, &body)),
        ["10:00 9 stated", "11:00 9 stated", "12:00 9 stated"]
    );
}

#[test]
fn lists_of_forecast_apis_are_read() {
    let mut open_meteo = timed("-", "/hourly/temperature_2m", "true");
    open_meteo.elements.times_at = Some(path("/hourly/time"));
    let mut energy_charts = now("-", "/price", "true");
    energy_charts.elements.times_at = Some(path("/unix_seconds"));
    let mut deep = now(
        "$.timeSeries[*].parameters[?@.name=='t'].values[0]",
        "",
        "{../../validTime}",
    );
    deep.key = "{../../../place}.t".into();
    let cases: [(RecordSelector, Json, ShownElement, &[&str]); 5] = [
        (
            open_meteo,
            json!({"hourly": {"time": ["2026-11-29T11:00", "2026-11-29T12:00"], "temperature_2m": [3.5, null]}}),
            ShownElement::Newest,
            &["10:00 3.5"],
        ),
        (
            energy_charts,
            json!({"unix_seconds": [1795946400, 1795950000, 1795953600], "price": [70.5, 71]}),
            ShownElement::Current,
            &[
                "10:00-11:00 70.5",
                "11:00 71",
                "bad_time: /unix_seconds: expected as many times as /price has elements, 2, found 3",
            ],
        ),
        // An object whose names are the times.
        (
            now("/result/watts", "", "{#}"),
            json!({"result": {"watts": {"2026-11-29 12:00:00": 40, "2026-11-29 11:00:00": 20}}}),
            ShownElement::Current,
            &["10:00-11:00 20", "11:00 40"],
        ),
        // The date is around the hours.
        (
            timed("$.days[*].hours[*]", "/v", "{../date} {h}"),
            json!({"days": [{"date": "2026-11-29", "hours": [{"h": "11:00", "v": 1}, {"h": "12:00", "v": 2}]}]}),
            ShownElement::Newest,
            &["10:00 1", "11:00 2"],
        ),
        (
            deep,
            json!({"place": "home", "timeSeries": [
                {"validTime": "2026-11-29T10:00:00Z", "parameters": [{"name": "t", "values": [1.5]}, {"name": "r", "values": [9]}]},
                {"validTime": "2026-11-29T11:00:00Z", "parameters": [{"name": "t", "values": [2.5]}]},
            ]}),
            ShownElement::Current,
            &["10:00-11:00 1.5", "11:00 2.5"],
        ),
    ];
    for (pick, body, shown, expected) in cases {
        let taken = read(pick, &body);
        assert_eq!(lines(&taken), expected, "{body}");
        assert_eq!(taken.series.first().map(|it| it.shown), Some(shown));
    }
}

/// Hours of a local day as APIs give them: 25 names with one twice, or 23.
#[test]
fn days_on_which_clocks_are_set_have_all_their_hours() {
    let day = |date: &str, hours: &[u8]| -> Vec<String> {
        let hours = hours
            .iter()
            .map(|hour| json!({"t": format!("{date} {hour:02}:00"), "v": hour}));
        lines(&read(now("", "/v", "/t"), &hours.collect()))
    };
    let autumn: Vec<u8> = [0, 1, 2].into_iter().chain(2..24).collect();
    let found = day("2026-10-25", &autumn);
    assert_eq!(found.len(), 25);
    assert_eq!(
        found[..5],
        [
            "22:00-23:00 0",
            "23:00-00:00 1",
            "00:00-01:00 2",
            "01:00-02:00 2",
            "02:00-03:00 3"
        ]
    );
    let backwards: Vec<u8> = autumn.iter().rev().copied().collect();
    assert_eq!(day("2026-10-25", &backwards), found);
    let spring: Vec<u8> = [0, 1].into_iter().chain(3..24).collect();
    let found = day("2026-03-29", &spring);
    assert_eq!(found.len(), 23);
    assert_eq!(found[1..3], ["00:00-01:00 1", "01:00-02:00 3"]);
    // 02:00 does not exist: whatever the order, 03:00 counts.
    for hours in [[1, 2, 3, 4], [4, 3, 2, 1]] {
        assert_eq!(
            day("2026-03-29", &hours),
            ["00:00-01:00 1", "01:00-02:00 3", "02:00 4"]
        );
    }
}

#[test]
fn more_elements_than_a_key_may_have_are_those_nearest_to_now() {
    const HOUR: i64 = 3_600;
    let now_second = test_moment(Mono(0)).wall.second();
    let list = |before: i64, after: i64| -> Json {
        let hours = (-before..after).map(|it| json!({"t": now_second + it * HOUR, "v": it}));
        hours.collect()
    };
    let most = limits::SERIES_ELEMENTS as i64;
    for (pick, before, after, first) in [
        (now("", "/v", "/t"), 0, 8_760, 0),
        (now("", "/v", "/t"), 500, 8_760, 0),
        (now("", "/v", "/t"), 5_000, 24, 24 - most),
        (timed("", "/v", "/t"), 5_000, 0, -most),
        (timed("", "/v", "/t"), 5_000, 300, 300 - most),
        (timed("", "/v", "/t"), 5_000, 5_000, 1 - most / 2),
        (timed("", "/v", "/t"), most, 0, -most),
    ] {
        let taken = read(pick, &list(before, after));
        let elements = &taken.series[0].elements;
        assert_eq!(elements.len() as i64, most);
        assert_eq!(
            elements[0].value.number(),
            Some(first as f64),
            "{before} {after}"
        );
        let issues: Vec<String> = taken.issues.iter().map(Issue::to_string).collect();
        if before + after == most {
            assert_eq!(issues, [""; 0]);
        } else {
            assert_eq!(
                issues,
                [format!(
                    "too_many: the whole response: expected at most 2000 elements of the key key: those \
                     nearest to now are read, found {}",
                    before + after
                )]
            );
        }
    }
}

#[test]
fn a_template_makes_a_series_of_each_key() {
    let body = json!({"zones": [
        {"id": "DE", "prices": [{"s": 1795946400, "p": 1}, {"s": 1795950000, "p": 2}]},
        {"id": "AT", "prices": [{"s": 1795946400, "p": 3}]},
        {"id": "CH", "prices": []},
    ]});
    let mut pick = now("$.zones[*].prices[*]", "/p", "/s");
    pick.key = "price.{../id}".into();
    let taken = read(pick, &body);
    let keys: Vec<(&str, usize)> = taken
        .series
        .iter()
        .map(|series| (&*series.key, series.elements.len()))
        .collect();
    assert_eq!(keys, [("price.DE", 2), ("price.AT", 1)]);
    assert_eq!(taken.issues, []);
}

#[test]
fn the_time_of_the_smallest_value_is_a_local_time() {
    let body = json!({
        "data": [{"s": 1795946400, "p": 3}, {"s": 1795950000, "p": 1}, {"s": 1795953600, "p": 1}, {"s": 1795957200, "p": null}],
        "times": [1795946400, 1795950000], "values": [5, 9], "none": [],
    });
    let time_of = |function, each: &str, at: &str, start: Option<&str>| {
        let mut pick = timed(each, at, start.unwrap_or("/"));
        pick.elements.aggregate = Some(function);
        if start.is_none() {
            pick.elements.element_time = None;
            pick.elements.times_at = Some(path("/times"));
        }
        let taken = read(pick, &body);
        let readings = taken.readings.iter().map(|it| it.value.to_string());
        let issues = taken.issues.iter().map(Issue::to_string);
        readings.chain(issues).collect::<Vec<_>>()
    };
    let (min, max) = (AggregateFunction::TimeOfMin, AggregateFunction::TimeOfMax);
    assert_eq!(
        time_of(min, "/data", "/p", Some("/s")),
        ["2026-11-29 12:00"]
    );
    assert_eq!(
        time_of(max, "/data", "/p", Some("/s")),
        ["2026-11-29 11:00"]
    );
    assert_eq!(time_of(max, "-", "/values", None), ["2026-11-29 12:00"]);
    let upcoming = "$.data[?@.s > 1795950000]";
    assert_eq!(
        time_of(max, upcoming, "/p", Some("/s")),
        ["2026-11-29 13:00"]
    );
    assert_eq!(time_of(min, "/none", "/p", Some("/s")), [""; 0]);
}
