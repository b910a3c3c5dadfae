//! Responses as InfluxDB 1.6, InfluxDB 2 and VictoriaMetrics give them.

use super::*;

fn response(status: u16, body: &str) -> WriteResult {
    classify(&HttpResponse {
        status,
        body: body.to_owned(),
        ..HttpResponse::default()
    })
}

fn kind(status: u16, body: &str) -> &'static str {
    match response(status, body) {
        WriteResult::Accepted => "accepted",
        WriteResult::TooOld { .. } => "too old",
        WriteResult::Refused(_) => "refused",
        WriteResult::TooLarge => "too large",
        WriteResult::Failed {
            is_outage: true, ..
        } => "outage",
        WriteResult::Failed { .. } => "failed",
    }
}

const CONFLICT: &str = r#"{"error":"partial write: field type conflict: input field \"value\" on measurement \"m\" is type float, already exists as type string dropped=1"}"#;

#[test]
fn a_status_says_whether_to_go_on_to_split_or_to_wait() {
    for (status, body, expected) in [
        (204, "", "accepted"),
        (200, "{\"results\":[]}", "accepted"),
        (200, "<!DOCTYPE html><title>Grafana</title>", "failed"),
        (
            200,
            "<HTML><HEAD><TITLE>Login</TITLE></HEAD></HTML>",
            "failed",
        ),
        (
            200,
            "<script>location='http://10.0.0.1/'</script>",
            "failed",
        ),
        (
            203,
            "  <?xml version=\"1.0\"?><WISPAccessGatewayParam/>",
            "failed",
        ),
        (400, CONFLICT, "refused"),
        (
            400,
            "{\"error\":\"unable to parse 'a': missing fields\"}",
            "refused",
        ),
        (
            400,
            "{\"error\":\"partial write: points beyond retention policy dropped=3\"}",
            "too old",
        ),
        (
            422,
            "{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to database: partial write: points beyond retention policy dropped=1\"}",
            "too old",
        ),
        (400, "{\"error\":\"database is required\"}", "refused"),
        (401, "{\"error\":\"authorization failed\"}", "failed"),
        (403, "", "failed"),
        (
            404,
            "{\"error\":\"database not found: \\\"x\\\"\"}",
            "failed",
        ),
        (413, "", "too large"),
        (429, "", "failed"),
        (500, "", "outage"),
        (503, "{\"error\":\"engine is closed\"}", "outage"),
    ] {
        assert_eq!(kind(status, body), expected, "{status} {body}");
    }
}

#[test]
fn messages_name_the_reason_that_the_server_gave() {
    let why = |status, body: &str| match response(status, body) {
        WriteResult::Failed { why, .. }
        | WriteResult::Refused(why)
        | WriteResult::TooOld { why, .. } => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        why(404, "{\"error\":\"database not found: \\\"x\\\"\"}"),
        "HTTP 404: there is no such database or bucket, or the path of `url` is wrong: database not found: \"x\""
    );
    assert_eq!(
        why(
            401,
            "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}"
        ),
        "HTTP 401: the token, or user and password, are wrong: unauthorized access"
    );
    assert!(why(400, CONFLICT).starts_with("partial write: field type conflict"));
    assert_eq!(why(400, ""), "HTTP 400");
    let points = |body| response(400, body);
    let body = "partial write: points beyond retention policy dropped=17";
    assert_eq!(
        points(body),
        WriteResult::TooOld {
            points: 17,
            why: body.to_owned()
        }
    );
}

#[test]
fn a_web_page_is_no_acknowledgement_even_where_its_body_cannot_be_read() {
    for (status, is_html, is_accepted) in
        [(200, true, false), (200, false, true), (204, false, true)]
    {
        let response = HttpResponse {
            status,
            is_html,
            ..HttpResponse::default()
        };
        let result = classify(&response);
        assert_eq!(result == WriteResult::Accepted, is_accepted, "{status}");
    }
}
