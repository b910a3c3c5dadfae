//! Lenient JSON parser: what Python's json reads, and what devices print for "no number".
//!
//! Pure. One pass without a step back. Beyond RFC 8259 it takes bare `NaN`, `nan`, `-inf` and
//! `Infinity` in any case (as null), control characters in strings, halves of surrogate pairs
//! (U+FFFD), and zero bytes or blanks behind the text. Numbers are RFC 8259's alone.

use serde_json::{Map, Number, Value as Json};

use crate::api::parsed_body::{NotANumber, ParsedBody};
use crate::domain::text::ellipsis;
use crate::domain::value_path::escape;
use crate::limits;

/// Where a text stops to be JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub kind: ErrorKind,
    /// Byte in the text.
    pub at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Something else than this.
    Expected(&'static str),
    /// The text ends inside of this.
    EndsIn(&'static str),
    TooDeep,
    TooManyValues,
}

pub const VALUE: &str = "a value";
pub const NAME: &str = "a name in double quotes";
pub const AFTER_FIELD: &str = "`,` or `}`";
pub const AFTER_ITEM: &str = "`,` or `]`";
pub const END: &str = "nothing behind the JSON";

/// Reads all of `text`.
pub fn read(text: &str) -> Result<ParsedBody, SyntaxError> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        values: 0,
        not_numbers: Vec::new(),
    };
    let tree = reader.value("a value")?;
    let is_padding = |c: char| c == '\0' || c.is_whitespace();
    let rest = reader.rest();
    match rest.find(|c| !is_padding(c)) {
        Some(padding) => Err(SyntaxError {
            kind: ErrorKind::Expected(END),
            at: reader.at + padding,
        }),
        None => Ok(ParsedBody {
            not_numbers: reader.not_numbers,
            ..ParsedBody::from(tree)
        }),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    values: usize,
    not_numbers: Vec<NotANumber>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn skip_while(&mut self, is_part: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&is_part) {
            self.at += 1;
        }
    }

    fn skip_blanks(&mut self) {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    fn error<T>(&self, kind: ErrorKind) -> Result<T, SyntaxError> {
        Err(SyntaxError { kind, at: self.at })
    }

    /// The failure of finding something else than `expected` inside of `place`.
    fn unexpected<T>(&self, expected: &'static str, place: &'static str) -> Result<T, SyntaxError> {
        self.error(match self.peek() {
            Some(_) => ErrorKind::Expected(expected),
            None => ErrorKind::EndsIn(place),
        })
    }

    /// `place`: what ends early where nothing is left.
    fn value(&mut self, place: &'static str) -> Result<Json, SyntaxError> {
        self.skip_blanks();
        self.values += 1;
        if self.values > limits::JSON_VALUES {
            return self.error(ErrorKind::TooManyValues);
        }
        match self.peek() {
            Some(b'{') => self.nested(Reader::object),
            Some(b'[') => self.nested(Reader::array),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'+' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => self.scalar(),
            _ => self.unexpected(VALUE, place),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Json, SyntaxError>,
    ) -> Result<Json, SyntaxError> {
        self.depth += 1;
        if self.depth > limits::JSON_NESTING {
            return self.error(ErrorKind::TooDeep);
        }
        self.at += 1;
        let json = read(self);
        self.depth -= 1;
        json
    }

    fn object(&mut self) -> Result<Json, SyntaxError> {
        let mut fields = Map::new();
        self.skip_blanks();
        if self.take(b'}') {
            return Ok(Json::Object(fields));
        }
        self.values += limits::OBJECT_VALUES;
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return self.unexpected(NAME, "an object");
            }
            let name = self.string()?;
            self.skip_blanks();
            if !self.take(b':') {
                return self.unexpected("`:`", "an object");
            }
            let before = self.not_numbers.len();
            let value = self.value("an object")?;
            self.locate(before, || escape(&name));
            fields.insert(name, value);
            self.skip_blanks();
            if self.take(b'}') {
                return Ok(Json::Object(fields));
            }
            if !self.take(b',') {
                return self.unexpected(AFTER_FIELD, "an object");
            }
        }
    }

    fn array(&mut self) -> Result<Json, SyntaxError> {
        let mut items = Vec::new();
        self.skip_blanks();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            let before = self.not_numbers.len();
            let value = self.value("an array")?;
            self.locate(before, || items.len().to_string());
            items.push(value);
            self.skip_blanks();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return self.unexpected(AFTER_ITEM, "an array");
            }
        }
    }

    /// Puts a segment in front of the pointers of what was found in a value. One of a huge
    /// name is dropped: no message shows it.
    fn locate(&mut self, from: usize, segment: impl FnOnce() -> String) {
        if self.not_numbers.len() == from {
            return;
        }
        let segment = segment();
        let most = 4 * limits::POINTER_CHARS;
        let is_short = |it: &NotANumber| 1 + segment.len() + it.pointer.len() <= most;
        let mut at = 0;
        // Checked before the pointers are made: many of a huge name would not fit in memory.
        self.not_numbers.retain(|it| {
            at += 1;
            at <= from || is_short(it)
        });
        for found in &mut self.not_numbers[from..] {
            found.pointer = format!("/{segment}{}", found.pointer);
        }
    }

    /// A number or a word.
    fn scalar(&mut self) -> Result<Json, SyntaxError> {
        let from = self.at;
        let sign = self.take(b'-') || self.take(b'+');
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at = from;
            return self.number();
        }
        let word = self.at;
        self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let word = &self.text[word..self.at];
        match word {
            "null" if !sign => return Ok(Json::Null),
            "true" if !sign => return Ok(Json::Bool(true)),
            "false" if !sign => return Ok(Json::Bool(false)),
            _ => {}
        }
        let is_one_of = |words: [&str; 3]| words.iter().any(|it| word.eq_ignore_ascii_case(it));
        if is_one_of(["nan", "inf", "infinity"]) {
            self.note_not_a_number(from);
            return Ok(Json::Null);
        }
        // A word that is cut off, not a wrong one.
        let begins = |it: &str| it.starts_with(word);
        if self.peek().is_none() && ["null", "true", "false"].into_iter().any(begins) {
            return self.error(ErrorKind::EndsIn("a value"));
        }
        self.at = from;
        self.error(ErrorKind::Expected(VALUE))
    }

    fn note_not_a_number(&mut self, from: usize) {
        // What some C libraries print: nan(ind), nan(0x8000000000000).
        let word_end = self.at;
        if self.take(b'(') {
            self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !self.take(b')') {
                self.at = word_end;
            }
        }
        if self.not_numbers.len() < limits::NOT_NUMBERS {
            self.not_numbers.push(NotANumber {
                pointer: String::new(),
                text: ellipsis(&self.text[from..self.at], limits::SAMPLE_CHARS),
            });
        }
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
    fn number(&mut self) -> Result<Json, SyntaxError> {
        let from = self.at;
        let is_digit = |byte: u8| byte.is_ascii_digit();
        let is_wrong = |reader: &Reader| !reader.peek().is_some_and(is_digit);
        if self.take(b'+') {
            self.at = from;
            return self.error(ErrorKind::Expected(VALUE));
        }
        self.take(b'-');
        if self.take(b'0') {
            if self.peek().is_some_and(is_digit) {
                self.at = from;
                return self.error(ErrorKind::Expected(VALUE));
            }
        } else {
            self.skip_while(is_digit);
        }
        if self.take(b'.') {
            if is_wrong(self) {
                return self.unexpected("a digit", "a number");
            }
            self.skip_while(is_digit);
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'-') || self.take(b'+');
            if is_wrong(self) {
                return self.unexpected("a digit", "a number");
            }
            self.skip_while(is_digit);
        }
        let number: Result<Number, _> = self.text[from..self.at].parse();
        number.map(Json::Number).or_else(|_| {
            self.at = from;
            self.error(ErrorKind::Expected(VALUE))
        })
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        const PLACE: &str = "a text";
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find(['"', '\\']) else {
                self.at = self.text.len();
                return self.error(ErrorKind::EndsIn(PLACE));
            };
            text.push_str(&rest[..end]);
            self.at += end;
            if self.take(b'"') {
                return Ok(text);
            }
            let c = match rest[end + 1..].chars().next() {
                Some(c @ ('"' | '\\' | '/')) => c,
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('u') => {
                    text.push(self.unicode_escape()?);
                    continue;
                }
                Some(_) => return self.error(ErrorKind::Expected(ESCAPE)),
                None => return self.error(ErrorKind::EndsIn(PLACE)),
            };
            text.push(c);
            self.at += 2;
        }
    }

    /// `\u00e9`, or two for a character of a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, SyntaxError> {
        let Some(first) = self.code_unit() else {
            return self.error(match self.rest().len() {
                0..6 => ErrorKind::EndsIn("a text"),
                _ => ErrorKind::Expected(ESCAPE),
            });
        };
        self.at += 6;
        let second = match first {
            0xd800..0xdc00 => self
                .code_unit()
                .filter(|unit| (0xdc00..0xe000).contains(unit)),
            _ => None,
        };
        self.at += second.map_or(0, |_| 6);
        let units = [Some(first), second].into_iter().flatten();
        let read = char::decode_utf16(units).next().and_then(Result::ok);
        Ok(read.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn code_unit(&self) -> Option<u16> {
        let digits = self.rest().strip_prefix("\\u")?.get(..4)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    }
}

pub const ESCAPE: &str = "an escape of JSON";
