//! Percent-encoding (RFC 3986) of text in addresses, headers and keys.
//!
//! Pure. The sets say what is escaped beside what is not ASCII.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str};

/// All but the unreserved characters of RFC 3986: a path segment, a name or value of a query.
pub const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// A level of an MQTT topic.
pub const TOPIC: &AsciiSet = &COMPONENT.add(b'~');
/// A path of several segments.
pub const PATH: &AsciiSet = &COMPONENT.remove(b'/');
/// A date in the path or query of a URL: the separators that are written stay.
pub const DATE: &AsciiSet = &COMPONENT.remove(b'/').remove(b':').remove(b',');
/// A value of a query that may be a list: the comma stands between its items.
pub const LIST: &AsciiSet = &COMPONENT.remove(b',');
/// A value where reserved characters keep their meaning (OpenAPI's `allowReserved`).
pub const RESERVED: &AsciiSet = &COMPONENT
    .remove(b':')
    .remove(b'/')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=');
/// The same in a query, without what would end its name or value.
pub const RESERVED_IN_QUERY: &AsciiSet = &RESERVED
    .remove(b'?')
    .remove(b'[')
    .remove(b']')
    .add(b'&')
    .add(b'+')
    .add(b'=');
/// A path and query that are encoded already but for blanks and letters outside ASCII.
pub const URL: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');
/// The value of a header: what is printable ASCII stays, but for the sign of an escape.
pub const HEADER: &AsciiSet = &CONTROLS.add(b'%');

const ALL: &AsciiSet = NON_ALPHANUMERIC;

/// As one path segment, or a name or value of a query.
pub fn encode(text: &str) -> String {
    encode_set(text, COMPONENT)
}

/// The fields of a form (`application/x-www-form-urlencoded`).
pub fn encode_form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pair = |(name, value)| format!("{}={}", encode(name), encode(value));
    let pairs: Vec<String> = fields.into_iter().map(pair).collect();
    pairs.join("&")
}

pub fn encode_set(text: &str, set: &'static AsciiSet) -> String {
    percent_encoding::utf8_percent_encode(text, set).to_string()
}

/// Escapes a character whatever it is.
pub fn encode_all(c: char) -> String {
    let mut bytes = [0; 4];
    percent_encoding::percent_encode(c.encode_utf8(&mut bytes).as_bytes(), ALL).to_string()
}

/// What is no escape stays as it is.
pub fn decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// The same as text; bytes that are not UTF-8 are replaced.
pub fn decode_lossy(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// `None` for a bad escape, or for what is not UTF-8 then.
pub fn decode_strict(text: &str) -> Option<Cow<'_, str>> {
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
    };
    let is_good = text.split('%').skip(1).all(is_escape);
    is_good.then(|| percent_decode_str(text).decode_utf8().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_escapes_what_it_says() {
        let text = "aZ0-._~ %/,?&=+[]:ä\n";
        for (set, expected) in [
            (
                COMPONENT,
                "aZ0-._~%20%25%2F%2C%3F%26%3D%2B%5B%5D%3A%C3%A4%0A",
            ),
            (TOPIC, "aZ0-._%7E%20%25%2F%2C%3F%26%3D%2B%5B%5D%3A%C3%A4%0A"),
            (PATH, "aZ0-._~%20%25/%2C%3F%26%3D%2B%5B%5D%3A%C3%A4%0A"),
            (LIST, "aZ0-._~%20%25%2F,%3F%26%3D%2B%5B%5D%3A%C3%A4%0A"),
            (RESERVED, "aZ0-._~%20%25/,%3F&=+%5B%5D:%C3%A4%0A"),
            (RESERVED_IN_QUERY, "aZ0-._~%20%25/,?%26%3D%2B[]:%C3%A4%0A"),
            (HEADER, "aZ0-._~ %25/,?&=+[]:%C3%A4%0A"),
        ] {
            assert_eq!(encode_set(text, set), expected);
            assert_eq!(decode_strict(expected).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_bad_escape_stays_or_is_refused() {
        for (text, lossy, strict) in [
            ("a%40b", "a@b", Some("a@b")),
            ("100%", "100%", None),
            ("%4", "%4", None),
            ("%zz%41", "%zzA", None),
            ("%+1", "%+1", None),
            ("%ff", "\u{fffd}", None),
            ("%C3%A4", "ä", Some("ä")),
        ] {
            assert_eq!(decode_lossy(text), lossy, "{text}");
            assert_eq!(decode_strict(text).as_deref(), strict, "{text}");
        }
        assert_eq!(decode("%ff"), [0xff]);
    }
}
