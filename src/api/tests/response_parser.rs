//! Tests of the response parser: what becomes of a body whose fields are no numbers.

use super::super::support::{clock_at_noon, test_plan};
use super::*;
use crate::domain::plan::{AggregateFunction, ElementTime, RecordSelector};
use crate::domain::value_path::ValuePath;
use crate::sys::clock::Clock;

/// Readings and issues of a JSON response, one per line, or why there are none.
fn outcome(body: &str, selection: Selection) -> String {
    outcome_of(None, body, selection)
}

fn outcome_of(operation: Option<&'static Operation>, body: &str, selection: Selection) -> String {
    let plan = SourcePlan {
        selection,
        ..test_plan()
    };
    let parser = ResponseParser {
        plan: &plan,
        operation,
        follow: None,
        last_accepted: &LastAccepted::default(),
        found: None,
    };
    let fetched = FetchedResponse {
        uri: ureq::http::Uri::default(),
        next_link: None,
        cache_lifetime: super::super::cache_lifetime::CacheLifetime::default(),
        status: 200,
        body: body.as_bytes().to_vec(),
        is_end_marked: true,
        validators: Default::default(),
        date: None,
        origin: "http://HOST".to_owned(),
        content_type: None,
        retry_after: None,
    };
    let (readings, issues, failure) = match parser.parse(&fetched, clock_at_noon().now()).outcome {
        FetchOutcome::Readings {
            readings, issues, ..
        } => (readings, issues, None),
        FetchOutcome::Failed { failure, issues } => (Vec::new(), issues, Some(failure)),
        other => panic!("{other:?}"),
    };
    let readings = readings.iter().map(|it| format!("{} {}", it.key, it.value));
    let lines = readings.chain(issues.iter().map(Issue::to_string));
    let lines = lines.chain(failure.map(|it| it.to_string()));
    lines.collect::<Vec<_>>().join("\n")
}

fn all() -> Selection {
    Selection::AllLeaves {
        prefix: String::new(),
    }
}

#[test]
fn a_bare_nan_is_an_issue_of_its_field_where_that_is_asked_for() {
    let body = r#"{"t": -nan, "unasked": inf, "hum": 45.2}"#;
    assert_eq!(
        outcome(body, all()),
        "hum 45.2\n\
         not_finite: /t: expected a number, found -nan\n\
         not_finite: /unasked: expected a number, found inf"
    );
    let selectors = ["t", "hum"].map(|name| RecordSelector::new(name, format!("/{name}")));
    assert_eq!(
        outcome(body, Selection::Selectors(selectors.into())),
        "hum 45.2\nmissing: /t: expected a number, found -nan"
    );
}

#[test]
fn a_broken_line_is_an_issue_and_the_others_are_read() {
    assert_eq!(
        outcome("{\"t\": 1}\n{\"t\": 021}\n{\"t\": 3}\n", all()),
        "0.t 1\n2.t 3\nwrong_type: /1: expected a value at column 7, found `021}`"
    );
}

#[test]
fn stated_values_are_readings_but_not_of_an_error() {
    let stated = RecordSelector {
        missing: Some(0.0),
        ..RecordSelector::new("rain", "/rain")
    };
    for (body, expected) in [
        (r#"{"rain": 2}"#, "rain 2"),
        (r#"{"clouds": 0.5}"#, "rain 0"),
        (r#"{"rain": 2, "error": "sensor 7 is gone"}"#, "rain 2"),
        (
            r#"{"error": "invalid token"}"#,
            "empty: no number in the response of HOST; its `error` says \"invalid token\"",
        ),
    ] {
        let selection = Selection::Selectors(vec![stated.clone()]);
        assert_eq!(outcome(body, selection), expected, "{body}");
    }
}

#[test]
fn what_an_api_says_instead_of_data_is_shown() {
    let selectors = || Selection::Selectors(vec![RecordSelector::new("t", "/t")]);
    for (body, expected) in [
        (
            r#"{"error": "invalid token"}"#,
            "missing: /t: expected a number, found nothing: the response has error\n\
             empty: no readings in the response of HOST; /t: expected a number, found nothing: the response has error; \
             its `error` says \"invalid token\"",
        ),
        (
            r#"{"code": 7, "error": {"code": 7, "message": "expired"}}"#,
            "missing: /t: expected a number, found nothing: the response has code, error\n\
             empty: no readings in the response of HOST; /t: expected a number, found nothing: the response has code, error; \
             its `error` says \"expired\"",
        ),
        (
            r#"{"error": false, "data": {}}"#,
            "missing: /t: expected a number, found nothing: the response has data, error\n\
             empty: no readings in the response of HOST; /t: expected a number, found nothing: the response has data, error",
        ),
    ] {
        assert_eq!(outcome(body, selectors()), expected, "{body}");
    }
    assert_eq!(
        outcome(r#"{"error": "invalid token"}"#, all()),
        "empty: no number in the response of HOST; its `error` says \"invalid token\""
    );
}

/// Whatever selects the records, a response that is not what the OpenAPI file says is reported.
#[test]
fn drift_is_reported_beside_json_paths_series_and_aggregates() {
    let operation = crate::api::client::APIS[0].operations.first();
    let path = |text: &str| ValuePath::parse(text).expect("path");
    let body = r#"{"latitude": "north", "current": {"time": "2025-10-30T20:00", "t": 7}, "list": [{"at": 1761850800, "v": 1}]}"#;
    let whole = |at: &str| RecordSelector::new("k", path(at));
    let each = || RecordSelector {
        each: Some(path("$.list[*]")),
        ..RecordSelector::new("k", "/v")
    };
    let mut series = each();
    series.elements.now = Some(ElementTime::Path("/at".into()));
    let mut sum = each();
    sum.elements.aggregate = Some(AggregateFunction::Sum);
    for record in [whole("$.current.t"), series, sum] {
        let lines = outcome_of(operation, body, Selection::Selectors(vec![record.clone()]));
        assert!(
            lines.contains("schema: /latitude: expected a number"),
            "{record:?}: {lines}"
        );
        let lines = outcome_of(None, body, Selection::Selectors(vec![record]));
        assert!(!lines.contains("schema"), "{lines}");
    }
}
