//! JSON parsing with limits, and messages for responses that are not JSON.
//!
//! Pure. A value is only built when it is known to be small enough.

use serde_json::Value as Json;

use crate::domain::failure::{Cause, Failure};
use crate::limits;

/// Parses `text`, which `host` sent. `is_html`: its Content-Type is HTML; that alone is no
/// failure, many devices label their JSON wrongly.
pub fn parse(text: &str, is_html: bool, host: &str) -> Result<Json, Failure> {
    let fail = |cause, detail: String| Err(Failure::new(cause, detail));
    let begin = text.trim_start();
    if begin.is_empty() {
        let detail = format!("the response of {host} is empty, expected JSON");
        return fail(Cause::NotJson, detail);
    }
    if begin.starts_with('<') {
        let what = if is_html || begin.get(..200).unwrap_or(begin).contains("html") {
            "a web page (HTML)"
        } else {
            "markup (XML or HTML)"
        };
        let detail = format!("{host} returned {what}, expected JSON");
        return fail(Cause::NotJson, detail);
    }
    if max_values(text.as_bytes()) > limits::JSON_VALUES {
        let most = limits::JSON_VALUES;
        let detail = format!("the response of {host} holds more than {most} values");
        return fail(Cause::TooLarge, detail);
    }
    serde_json::from_str(text).or_else(|error| {
        let (line, column) = (error.line(), error.column());
        let detail = if error.is_eof() {
            format!("the JSON of {host} ends early (line {line}, column {column})")
        } else if error.to_string().starts_with("recursion limit") {
            format!("the JSON of {host} is nested too deeply (line {line}, column {column})")
        } else {
            format!("the response of {host} is not valid JSON (line {line}, column {column})")
        };
        fail(Cause::NotJson, detail)
    })
}

/// An upper bound of the values in a JSON text, without building one: each but the first
/// stands behind a bracket, comma or colon.
fn max_values(body: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' | b',' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_that_are_not_json_are_described() {
        for (body, expected) in [
            ("{\"a\": 1}", None),
            ("  7 ", None),
            (
                "{\"a\": 1",
                Some("not_json: the JSON of HOST ends early (line 1, column 7)"),
            ),
            (
                "{\"a\": NaN}",
                Some("not_json: the response of HOST is not valid JSON (line 1, column 7)"),
            ),
            (
                "{} trailing",
                Some("not_json: the response of HOST is not valid JSON (line 1, column 4)"),
            ),
            (
                "",
                Some("not_json: the response of HOST is empty, expected JSON"),
            ),
            (
                "\n<!doctype html><html>",
                Some("not_json: HOST returned a web page (HTML), expected JSON"),
            ),
            (
                "<?xml version=\"1.0\"?>",
                Some("not_json: HOST returned markup (XML or HTML), expected JSON"),
            ),
        ] {
            let failure = parse(body, false, "HOST").err().map(|it| it.to_string());
            assert_eq!(failure.as_deref(), expected);
        }
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let deep = "[".repeat(100_000);
        let failure = parse(&deep, false, "HOST").expect_err("too deep");
        assert!(failure.detail.contains("nested too deeply"), "{failure}");
        let many = format!("[{}1]", "1,".repeat(limits::JSON_VALUES));
        let failure = parse(&many, false, "HOST").expect_err("too many");
        assert_eq!(failure.cause, Cause::TooLarge);
        assert_eq!(max_values(br#"{"a,[{\",": [1, 2], "b": {}}"#), 6);
    }

    #[test]
    fn numbers_that_no_float_holds_are_still_json() {
        let digits = format!("[{}]", "9".repeat(200));
        assert!(parse(&digits, false, "HOST").is_ok());
        assert!(parse("[1e999]", false, "HOST").is_ok());
        let private = r#"{"$serde_json::private::Number": "x"}"#;
        assert!(parse(private, false, "HOST").is_err());
    }
}
