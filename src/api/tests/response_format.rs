use serde_json::json;

use super::*;
use crate::domain::plan::{RecordSelector, Selection};

fn fetched(body: &[u8], content_type: &str, is_end_marked: bool) -> FetchedResponse {
    FetchedResponse {
        uri: ureq::http::Uri::default(),
        next_link: None,
        cache_lifetime: Default::default(),
        status: 200,
        body: body.to_vec(),
        is_end_marked,
        validators: Default::default(),
        date: None,
        origin: "http://HOST".to_owned(),
        content_type: Some(content_type.to_owned()),
        retry_after: None,
    }
}

fn plan(format: ResponseFormat) -> SourcePlan {
    SourcePlan {
        format,
        ..SourcePlan::default()
    }
}

#[test]
fn bodies_are_parsed_in_the_configured_format() {
    use ResponseFormat::*;
    for (format, body, expected) in [
        (Json, "{\"a\": 1}", json!({"a": 1})),
        (
            Ndjson,
            "{\"a\": 1}\n\n{\"a\": 2}\r\n",
            json!([{"a": 1}, {"a": 2}]),
        ),
        (Csv, "\u{feff}a,b\n1,2\n\0", json!([{"a": 1, "b": 2}])),
        (Xml, "\u{feff}<r><a>1</a></r>\n\0", json!({"r": {"a": 1}})),
        (Prometheus, "a 1\n", json!({"a": 1})),
        (Text, "21.5\n", json!(21.5)),
        // Text may be anything.
        (Text, "a,b\n1,2\n", json!(["a,b", "1,2"])),
    ] {
        let body = parse(&fetched(body.as_bytes(), "text/plain", true), &plan(format));
        assert_eq!(body, Ok(ParsedBody::from(expected)), "{format:?}");
    }
    let latin1 = b"<?xml version='1.0' encoding='ISO-8859-1'?><r>K\xfcche</r>";
    let body = parse(&fetched(latin1, "application/xml", true), &plan(Xml));
    assert_eq!(body, Ok(ParsedBody::from(json!({"r": "Küche"}))));
}

#[test]
fn a_last_line_counts_where_its_end_is_certain() {
    use ResponseFormat::*;
    for (format, body, expected) in [
        (Csv, "a,b\n1,2\n3,4", json!([{"a": 1, "b": 2}])),
        (Prometheus, "a 1\nb 2", json!({"a": 1})),
        (Text, "a=1\nb=2", json!({"a": 1})),
    ] {
        let parsed = parse(&fetched(body.as_bytes(), "text/plain", true), &plan(format));
        assert!(parsed.is_ok_and(|it| it.issues.is_empty()), "{format:?}");
        let parsed = parse(
            &fetched(body.as_bytes(), "text/plain", false),
            &plan(format),
        );
        let parsed = parsed.expect("lines");
        assert_eq!(
            (parsed.tree, parsed.issues.len()),
            (expected, 1),
            "{format:?}"
        );
    }
    let parsed = parse(&fetched(b"<r>1</r>", "text/xml", false), &plan(Xml));
    assert_eq!(parsed, Ok(ParsedBody::from(json!({"r": 1}))));
}

#[test]
fn bodies_of_another_format_are_refused() {
    use ResponseFormat::*;
    for (format, body, expected) in [
        (Csv, "", "the response of HOST is empty, expected CSV"),
        (
            Csv,
            "PK\u{3}\u{4}\u{14}\0\0\0zip",
            "HOST returned binary data, expected CSV",
        ),
        (
            Csv,
            "<!doctype html>",
            "HOST returned a web page (HTML), expected CSV",
        ),
        (
            Text,
            " <html><title>Log in</title>",
            "HOST returned a web page (HTML) with the title `Log in`, expected text",
        ),
        (
            Csv,
            "[1]",
            "HOST returned JSON (`format = \"json\"` reads it), expected CSV",
        ),
        (
            Csv,
            "{\"error\": \"invalid token\"}",
            "HOST returned JSON (`format = \"json\"` reads it), expected CSV; its `error` says \
             \"invalid token\"",
        ),
        (
            Text,
            "{\"a\": 1}",
            "HOST returned JSON (`format = \"json\"` reads it), expected text",
        ),
        (
            Prometheus,
            "<r/>",
            "HOST returned XML (`format = \"xml\"` reads it), expected Prometheus metrics",
        ),
        (
            Prometheus,
            "a,b\n1,2\n",
            "the response of HOST is not valid Prometheus metrics (line 1): expected a metric and \
             its number, found `a,b`; it looks like CSV (`format = \"csv\"` reads it)",
        ),
        (
            Xml,
            "<r>\n<temp>21.5</hum>",
            "the response of HOST is not valid XML (line 2): expected </temp>, found `</hum>`",
        ),
        (
            Xml,
            "a=1\n",
            "the response of HOST is not valid XML (line 1): expected XML elements and no text \
             outside, found `a=1`; it looks like text (`format = \"text\"` reads it)",
        ),
    ] {
        let failure = parse(&fetched(body.as_bytes(), "", true), &plan(format));
        let failure = failure.err().map(|it| it.to_string());
        assert_eq!(failure, Some(format!("not_json: {expected}")), "{body}");
    }
    let failure = parse(&fetched(b"21.5", "text/plain", false), &plan(Text));
    let expected = "not_json: the only line of the response of HOST may be cut: expected a line end \
                    behind the last line, or a Content-Length, found `21.5`";
    assert_eq!(
        failure.err().map(|it| it.to_string()).as_deref(),
        Some(expected)
    );
    let many = format!("<r>{}</r>", "<i/>".repeat(limits::JSON_VALUES));
    let failure = parse(&fetched(many.as_bytes(), "", true), &plan(Xml));
    assert_eq!(failure.err().map(|it| it.cause), Some(Cause::TooLarge));
}

#[test]
fn one_line_is_a_value_where_the_whole_response_is_selected() {
    let mut plan = plan(ResponseFormat::Text);
    let line = fetched(b"state: OK\n", "text/plain", true);
    let tree = |plan: &SourcePlan| parse(&line, plan).map(|it| it.tree);
    assert_eq!(tree(&plan), Ok(json!({"state": "OK"})));
    plan.selection = Selection::Selectors(vec![RecordSelector::new("a", "")]);
    assert_eq!(tree(&plan), Ok(json!("state: OK")));
}
