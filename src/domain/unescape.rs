//! Escapes of URLs, JSON, JSON Pointers and HTML, decoded together, with the place of each byte in the text.
//!
//! Pure. Only for searching: a server may echo what it was sent in any spelling.

/// A text without escapes.
pub struct Unescaped {
    pub bytes: Vec<u8>,
    /// Where each byte begins in the text, and the end of the text.
    pub places: Vec<usize>,
}

/// Escapes of HTML that every library writes.
const ENTITIES: [(&str, u8); 7] = [
    ("&amp;", b'&'),
    ("&lt;", b'<'),
    ("&gt;", b'>'),
    ("&quot;", b'"'),
    ("&apos;", b'\''),
    ("&#39;", b'\''),
    ("&#x27;", b'\''),
];

impl Unescaped {
    /// The text as it is.
    pub fn of(text: &str) -> Unescaped {
        Unescaped {
            bytes: text.as_bytes().to_vec(),
            places: (0..=text.len()).collect(),
        }
    }

    /// Without one more level of escapes; `None` where nothing is escaped.
    pub fn unescape(&self) -> Option<Unescaped> {
        if !self.bytes.iter().any(|byte| b"%\\&~".contains(byte)) {
            return None;
        }
        let mut found = Unescaped {
            bytes: Vec::with_capacity(self.bytes.len()),
            places: Vec::with_capacity(self.places.len()),
        };
        let mut at = 0;
        while at < self.bytes.len() {
            let (decoded, length) = escape_at(&self.bytes[at..]);
            for byte in decoded.bytes() {
                found.bytes.push(byte);
                found.places.push(self.places[at]);
            }
            at += length;
        }
        found.places.push(self.places[self.bytes.len()]);
        (found.bytes.len() != self.bytes.len()).then_some(found)
    }
}

/// One byte, or a character of an escape.
enum Decoded {
    Byte(u8),
    Character(char),
}

impl Decoded {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Decoded::Byte(byte) => vec![*byte],
            Decoded::Character(c) => c.to_string().into_bytes(),
        }
    }
}

/// What the text begins with, and the length of its spelling.
fn escape_at(rest: &[u8]) -> (Decoded, usize) {
    let first = rest[0];
    let found = match first {
        b'%' => hex(rest, 1, 2).map(|value| (Decoded::Byte(value as u8), 3)),
        b'\\' => json_escape(rest),
        b'~' => match rest.get(1) {
            Some(b'0') => Some((Decoded::Byte(b'~'), 2)),
            Some(b'1') => Some((Decoded::Byte(b'/'), 2)),
            _ => None,
        },
        b'&' => ENTITIES.iter().find_map(|(spelling, byte)| {
            let is_it = rest.starts_with(spelling.as_bytes());
            is_it.then_some((Decoded::Byte(*byte), spelling.len()))
        }),
        _ => None,
    };
    found.unwrap_or((Decoded::Byte(first), 1))
}

fn json_escape(rest: &[u8]) -> Option<(Decoded, usize)> {
    match rest.get(1)? {
        byte @ (b'"' | b'\\' | b'/' | b'\'') => Some((Decoded::Byte(*byte), 2)),
        b'u' => {
            let high = hex(rest, 2, 4)?;
            let pair = (rest.get(6..8) == Some(b"\\u")).then(|| hex(rest, 8, 4));
            if let Some(Some(low)) = pair
                && let (0xd800..0xdc00, 0xdc00..0xe000) = (high, low)
            {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Some((Decoded::Character(char::from_u32(code)?), 12));
            }
            Some((Decoded::Character(char::from_u32(high)?), 6))
        }
        _ => None,
    }
}

fn hex(rest: &[u8], from: usize, digits: usize) -> Option<u32> {
    let text = std::str::from_utf8(rest.get(from..from + digits)?).ok()?;
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_everything_else_stays() {
        for (text, expected) in [
            ("plain", None),
            ("100% \\x &nbsp;", None),
            ("a%2Fb%2fc", Some("a/b/c")),
            (r#"\"a\/b\\\u00e9\ud83d\ude00"#, Some("\"a/b\\é😀")),
            ("a&amp;b&#39;&quot;", Some("a&b'\"")),
            ("/a~1b~0c~2", Some("/a/b~c~2")),
            // One level.
            ("%252F &amp;amp;", Some("%2F &amp;")),
            (r"é\u0040%40", Some("é@@")),
            // Half an escape, half a pair.
            (r"%4 %zz \u12 \ud83d %40", Some(r"%4 %zz \u12 \ud83d @")),
        ] {
            let found = Unescaped::of(text).unescape();
            let bytes = found.as_ref().map(|it| it.bytes.as_slice());
            assert_eq!(bytes, expected.map(str::as_bytes), "{text}");
            if let Some(found) = found {
                assert_eq!(found.places.len(), found.bytes.len() + 1);
                assert_eq!(found.places.last(), Some(&text.len()));
                assert!(
                    found
                        .places
                        .iter()
                        .all(|at| text.is_char_boundary(*at) || !text.is_ascii())
                );
            }
        }
    }
}
