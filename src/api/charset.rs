//! Charset detection: the bytes of a body to text.
//!
//! Pure. A body is text in the charset that its bytes show; the charset that the server names
//! decides only what the bytes leave open. So UTF-8 under a header that says ISO-8859-1, a
//! common default of servers, is still UTF-8 (RFC 8259 knows no charset of JSON but this).

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Decodes `body`. In this order: a byte order mark, UTF-16 or UTF-32 by its zero bytes, valid
/// UTF-8, the charset of `content_type` or of an XML declaration, and UTF-8 in which each byte
/// that is none is windows-1252 (Latin-1 and more). Never fails; the mark is left out.
pub fn decode<'a>(body: &'a [u8], content_type: Option<&str>) -> Cow<'a, str> {
    if let Some(text) = decode_unicode(body) {
        return text;
    }
    let named = content_type
        .and_then(charset_of)
        .or_else(|| charset_of_xml(body))
        .and_then(|label| Encoding::for_label_no_replacement(label.as_bytes()));
    // ISO-2022-JP is ASCII alone, told by its escapes.
    let is_stateful = named.is_some_and(|encoding| !encoding.is_ascii_compatible());
    let is_escaped = is_stateful && body.contains(&0x1b);
    if !is_escaped && let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    match named {
        Some(encoding) if encoding != UTF_8 => encoding.decode_without_bom_handling(body).0,
        _ => Cow::Owned(decode_mixed(body)),
    }
}

/// Text whose first bytes show that it is UTF-8, UTF-16 or UTF-32.
fn decode_unicode(body: &[u8]) -> Option<Cow<'_, str>> {
    match body {
        [0, 0, 0xfe, 0xff, text @ ..] => return Some(decode_utf32(text, u32::from_be_bytes)),
        [0xff, 0xfe, 0, 0, text @ ..] => return Some(decode_utf32(text, u32::from_le_bytes)),
        [0xfe, 0xff, text @ ..] => return Some(UTF_16BE.decode_without_bom_handling(text).0),
        [0xff, 0xfe, text @ ..] => return Some(UTF_16LE.decode_without_bom_handling(text).0),
        [0xef, 0xbb, 0xbf, text @ ..] => {
            return Some(match std::str::from_utf8(text) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => Cow::Owned(decode_mixed(text)),
            });
        }
        _ => {}
    }
    // The first two characters of any format are ASCII (RFC 4627, section 3).
    let is_utf32 = body.len().is_multiple_of(4);
    match body {
        [0, 0, 0, 1..=0xff, ..] if is_utf32 => Some(decode_utf32(body, u32::from_be_bytes)),
        [1..=0xff, 0, 0, 0, _, ..] if is_utf32 => Some(decode_utf32(body, u32::from_le_bytes)),
        [0, 1..=0xff, 0, 1..=0xff, ..] => Some(UTF_16BE.decode_without_bom_handling(body).0),
        [1..=0xff, 0, 1..=0xff, 0, ..] => Some(UTF_16LE.decode_without_bom_handling(body).0),
        _ => None,
    }
}

fn decode_utf32(body: &[u8], value: fn([u8; 4]) -> u32) -> Cow<'_, str> {
    let units = body.as_chunks().0;
    let character = |unit: &[u8; 4]| char::from_u32(value(*unit));
    Cow::Owned(
        units
            .iter()
            .map(|unit| character(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}

/// UTF-8 with some bytes of Latin-1: what programs give that pass texts of devices on, or cut
/// them in the middle of a character.
fn decode_mixed(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
    }
    text
}

/// The `charset` of a Content-Type: `text/html; charset="utf-8"`.
fn charset_of(content_type: &str) -> Option<&str> {
    let parameters = content_type.split(';').skip(1);
    parameters
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, label)| label.trim().trim_matches(['"', '\'']).trim())
}

/// `<?xml version="1.0" encoding="ISO-8859-1"?>`.
fn charset_of_xml(body: &[u8]) -> Option<&str> {
    let rest = body.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = rest.iter().position(|byte| *byte == b'>')?;
    let declaration = std::str::from_utf8(&rest[..end]).ok()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    value.split(['"', '\'']).nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left: bytes as Python's `'…'.encode(NAME)` gives them.
    #[test]
    fn text_is_decoded_by_mark_bytes_and_header() {
        for (body, content_type, expected) in [
            (&b""[..], None, ""),
            (b"{}", None, "{}"),
            (b"\xef\xbb\xbf[1]", None, "[1]"),
            (b"\xef\xbb\xbf\xb0", None, "°"),
            (b"\xff\xfe7\0", None, "7"),
            (b"\xfe\xff\0\xb0", Some("text/plain"), "°"),
            (b"\xff\xfe\0\0\xb0\0\0\0", None, "°"),
            (b"\0\0\xfe\xff\0\0\0\xb0", None, "°"),
            (b"{\0}\0", None, "{}"),
            (b"\0{\0}", None, "{}"),
            (b"{\0\0\0}\0\0\0", None, "{}"),
            (b"\0\0\0{\0\0\0}", None, "{}"),
            // Text with zero bytes after it is no UTF-16.
            (b"7\0", None, "7\0"),
            (b"7\0\0\0", None, "7\0\0\0"),
            (b"\xc2\xb0", Some("application/json; charset=utf-8"), "°"),
            // A wrong header: version 0.1 read UTF-8 whatever it says, as browsers do.
            (b"\xc2\xb0", Some("text/plain; charset=ISO-8859-1"), "°"),
            (b"{}", Some("text/plain; charset=utf-16"), "{}"),
            (b"K\xfcche", Some("text/plain; charset=ISO-8859-1"), "Küche"),
            (b"K\xfcche", Some("text/plain; charset=utf-8"), "Küche"),
            (b"K\xfcche", Some("text/plain; charset=x-none"), "Küche"),
            (b"K\xfcche", None, "Küche"),
            (b"\x80", Some("text/plain;charset=us-ascii"), "€"),
            (b"\xa4", Some("text/plain; CHARSET = 'ISO-8859-15'"), "€"),
            (b"\xb0\xc2\xb0", None, "°°"),
            (
                b"\xd2\xd6\xc1",
                Some("text/html; a=b; charset=\"KOI8-R\""),
                "ржа",
            ),
            (
                b"\x82\xa0",
                Some("application/json;charset=Shift_JIS"),
                "あ",
            ),
            (
                b"\x1b$B$\"\x1b(B",
                Some("text/plain; charset=ISO-2022-JP"),
                "あ",
            ),
            (
                b"<?xml version='1.0' encoding='windows-1251'?>\xe6",
                Some("text/xml"),
                "<?xml version='1.0' encoding='windows-1251'?>ж",
            ),
        ] {
            let found = decode(body, content_type);
            let shown = body.escape_ascii();
            assert_eq!(found, expected, "{shown} {content_type:?}");
        }
    }
}
