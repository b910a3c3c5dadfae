//! Body of a response to a login or to a request for a token: JSON as servers write it.
//!
//! Pure. Its declared type is often wrong, so the body decides.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value as Json;

use crate::limits;

/// Without a byte order mark and blanks around it.
pub fn text(body: &[u8]) -> Cow<'_, str> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    String::from_utf8_lossy(body.trim_ascii())
}

pub fn json(body: &[u8]) -> Option<Json> {
    serde_json::from_str(&text(body)).ok()
}

/// A number of seconds, perhaps as a text. Less than one says nothing.
pub fn lifetime(seconds: &Json) -> Option<Duration> {
    let seconds: f64 = match seconds {
        Json::Number(number) => number.as_f64()?,
        Json::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let most = limits::MAX_TOKEN_LIFETIME.as_secs_f64();
    // Not a number fails the comparison.
    (seconds >= 1.0).then(|| Duration::from_secs_f64(seconds.min(most).floor()))
}

/// What a body is that is no JSON.
pub fn describe_other(body: &[u8]) -> &'static str {
    let text = text(body);
    if text.is_empty() {
        "an empty response"
    } else if text.starts_with('<') {
        "a web page"
    } else {
        "another text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_with_blanks_or_a_byte_order_mark_around_it() {
        for (body, is_json, found) in [
            (&b"{}"[..], true, ""),
            (b"\xef\xbb\xbf\r\n {} \n", true, ""),
            (b"", false, "an empty response"),
            (b" \r\n", false, "an empty response"),
            (b"\xef\xbb\xbf", false, "an empty response"),
            (b"\n<!doctype html>", false, "a web page"),
            (b"OK", false, "another text"),
            (b"\xff\x00", false, "another text"),
        ] {
            assert_eq!(json(body).is_some(), is_json, "{body:?}");
            assert!(is_json || describe_other(body) == found, "{body:?}");
        }
    }

    #[test]
    fn a_lifetime_is_a_number_of_seconds() {
        let most = limits::MAX_TOKEN_LIFETIME.as_secs();
        for (seconds, expected) in [
            ("3600", Some(3_600)),
            ("1.9", Some(1)),
            ("\" 90 \"", Some(90)),
            ("1e300", Some(most)),
            ("\"inf\"", Some(most)),
            ("0", None),
            ("-1", None),
            ("\"NaN\"", None),
            ("\"soon\"", None),
            ("null", None),
            ("[60]", None),
        ] {
            let found = serde_json::from_str(seconds)
                .ok()
                .and_then(|it| lifetime(&it));
            assert_eq!(found.map(|it| it.as_secs()), expected, "{seconds}");
        }
    }
}
