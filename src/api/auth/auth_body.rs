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

/// A body that is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherBody {
    Empty,
    Html,
    Xml,
    Text,
}

impl OtherBody {
    pub fn of(body: &[u8]) -> OtherBody {
        let text = text(body).to_ascii_lowercase();
        if text.is_empty() {
            OtherBody::Empty
        } else if text.contains("<html") || text.starts_with("<!doctype html") {
            OtherBody::Html
        } else if text.starts_with('<') {
            OtherBody::Xml
        } else {
            OtherBody::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_with_blanks_or_a_byte_order_mark_around_it() {
        for (body, expected) in [
            (&b"{}"[..], None),
            (b"\xef\xbb\xbf\r\n {} \n", None),
            (b"", Some(OtherBody::Empty)),
            (b" \r\n", Some(OtherBody::Empty)),
            (b"\xef\xbb\xbf", Some(OtherBody::Empty)),
            (b"\n<!doctype html>", Some(OtherBody::Html)),
            (b"<HTML lang=en>", Some(OtherBody::Html)),
            (b"<?xml version=\"1.0\"?><a/>", Some(OtherBody::Xml)),
            (b"OK", Some(OtherBody::Text)),
            (b"\xff\x00", Some(OtherBody::Text)),
        ] {
            let found = json(body).is_none().then(|| OtherBody::of(body));
            assert_eq!(found, expected, "{body:?}");
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
