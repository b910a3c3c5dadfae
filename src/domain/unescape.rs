//! Escapes of URLs, JSON, JavaScript, JSON Pointers and HTML, decoded together, with the place of each byte in the text.
//!
//! Pure. Only for searching: a server may echo what it was sent in any spelling.

/// A text without escapes.
pub struct Unescaped {
    pub bytes: Vec<u8>,
    /// Where each byte begins in the text, and the end of the text.
    pub places: Vec<usize>,
}

/// Entities of HTML that libraries write by name; of letters those of passwords.
const ENTITIES: [(&str, char); 21] = [
    ("&amp;", '&'),
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&quot;", '"'),
    ("&apos;", '\''),
    ("&plus;", '+'),
    ("&sol;", '/'),
    ("&equals;", '='),
    ("&percnt;", '%'),
    ("&euro;", '€'),
    ("&sect;", '§'),
    ("&auml;", 'ä'),
    ("&ouml;", 'ö'),
    ("&uuml;", 'ü'),
    ("&Auml;", 'Ä'),
    ("&Ouml;", 'Ö'),
    ("&Uuml;", 'Ü'),
    ("&szlig;", 'ß'),
    ("&eacute;", 'é'),
    ("&egrave;", 'è'),
    ("&agrave;", 'à'),
];

/// Digits of the longest numeric entity, `&#1114111;`.
const ENTITY_DIGITS: usize = 7;

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
        b'&' => numeric_entity(rest).or_else(|| named_entity(rest)),
        _ => None,
    };
    found.unwrap_or((Decoded::Byte(first), 1))
}

fn named_entity(rest: &[u8]) -> Option<(Decoded, usize)> {
    let mut entities = ENTITIES.iter();
    let (spelling, c) = entities.find(|(spelling, _)| rest.starts_with(spelling.as_bytes()))?;
    Some((Decoded::Character(*c), spelling.len()))
}

/// `&#43;` or `&#x2B;`.
fn numeric_entity(rest: &[u8]) -> Option<(Decoded, usize)> {
    let (radix, from) = match rest.get(1..3)? {
        [b'#', b'x' | b'X'] => (16, 3),
        [b'#', _] => (10, 2),
        _ => return None,
    };
    let digits = rest[from..].iter().take(ENTITY_DIGITS + 1);
    let length = digits.take_while(|it| it.is_ascii_hexdigit()).count();
    let end = from + length;
    let text = std::str::from_utf8(&rest[from..end]).ok()?;
    let c = char::from_u32(u32::from_str_radix(text, radix).ok()?)?;
    (rest.get(end) == Some(&b';')).then_some((Decoded::Character(c), end + 1))
}

fn json_escape(rest: &[u8]) -> Option<(Decoded, usize)> {
    match rest.get(1)? {
        byte @ (b'"' | b'\\' | b'/' | b'\'') => Some((Decoded::Byte(*byte), 2)),
        // Of JavaScript.
        b'x' => Some((Decoded::Character(char::from_u32(hex(rest, 2, 2)?)?), 4)),
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
            ("&#43;&#x2F;&#X3d;&auml;&#228;&#0228;", Some("+/=äää")),
            (
                "&#; &#x; &#43 &#xZZ; &#99999999; %41",
                Some("&#; &#x; &#43 &#xZZ; &#99999999; A"),
            ),
            (r"\x2b\xE4\x2", Some(r"+ä\x2")),
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
