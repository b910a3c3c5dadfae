//! JSON to a tree with places. The YAML reader could read most JSON, but not its escaped
//! surrogate pairs, tabs and long keys, and not 13 MB of it in a second.
//!
//! Lenient where that is harmless (comments, a trailing comma, control characters in
//! strings); bounded in depth.

use crate::lower::limits::{self, ENTRY, ITEM, Memory, OPEN, heap};
use crate::lower::tree::{
    Entry, Kind, MAX_DEPTH, Node, ParseError, Position, Warning, join_entries,
};

/// The tree of a text. What it takes of `memory` stays counted.
pub fn read(
    text: &str,
    file: u32,
    warnings: &mut Vec<Warning>,
    memory: &Memory,
) -> Result<Node, ParseError> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
        text,
        at: 0,
        line: 1,
        line_start: 0,
        file,
        warnings,
        memory,
    };
    reader.skip()?;
    let root = reader.value(0)?;
    reader.skip()?;
    if reader.at < reader.bytes.len() {
        return Err(reader.broken("expected the end of the file after the last bracket"));
    }
    Ok(root)
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
    file: u32,
    warnings: &'a mut Vec<Warning>,
    memory: &'a Memory,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn place(&self) -> Position {
        let before = self.text.get(self.line_start..self.at).unwrap_or("");
        // Counting characters of a file in one line would be quadratic.
        let column = if before.len() > 500 {
            before.len()
        } else {
            before.chars().count()
        };
        Position {
            file: self.file,
            line: self.line,
            column: u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1),
        }
    }

    fn broken(&self, message: &str) -> ParseError {
        let place = self.place();
        let found = match self
            .text
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
        {
            Some(found) => format!("{found:?}"),
            None => "the end of the file".to_owned(),
        };
        ParseError::new(
            place.line,
            place.column,
            format!("{message}, found {found}"),
        )
    }

    fn take(&self, bytes: usize) -> Result<(), ParseError> {
        let place = Position {
            file: self.file,
            line: self.line,
            column: u32::try_from(self.at - self.line_start).unwrap_or(u32::MAX),
        };
        if self.memory.take(bytes, place) {
            Ok(())
        } else {
            Err(ParseError::over_limit(self.place()))
        }
    }

    fn newline(&mut self) {
        self.line = self.line.saturating_add(1);
        self.line_start = self.at + 1;
    }

    /// White space and comments.
    fn skip(&mut self) -> Result<(), ParseError> {
        loop {
            match self.peek() {
                Some(b'\n') => {
                    self.newline();
                    self.at += 1;
                }
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'/') if self.bytes.get(self.at + 1) == Some(&b'/') => {
                    while self.peek().is_some_and(|it| it != b'\n') {
                        self.at += 1;
                    }
                }
                Some(b'/') if self.bytes.get(self.at + 1) == Some(&b'*') => {
                    while !self.bytes[self.at..].starts_with(b"*/") {
                        match self.peek() {
                            None => return Err(self.broken("expected `*/` to end a comment")),
                            Some(b'\n') => self.newline(),
                            Some(_) => {}
                        }
                        self.at += 1;
                    }
                    self.at += 2;
                }
                _ => return Ok(()),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.broken("expected fewer than 200 brackets inside each other"));
        }
        let place = self.place();
        let kind = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => {
                let number = self.word().to_owned();
                self.take(heap(number.len()))?;
                Kind::Number(number)
            }
            Some(b't' | b'f' | b'n') => match self.word() {
                "true" => Kind::Bool(true),
                "false" => Kind::Bool(false),
                "null" => Kind::Null,
                _ => return Err(self.broken("expected true, false or null before this")),
            },
            _ => return Err(self.broken("expected a value")),
        };
        Ok(Node { kind, place })
    }

    fn word(&mut self) -> &str {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'+' | b'.'))
        {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or("")
    }

    fn list(&mut self, depth: usize) -> Result<Kind, ParseError> {
        let mut items = Vec::new();
        self.at += 1;
        self.take(OPEN)?;
        loop {
            self.skip()?;
            if self.peek() == Some(b']') {
                self.at += 1;
                let items = items.into_boxed_slice();
                self.memory.give_back(OPEN + items.len() * ITEM);
                self.take(limits::list(items.len()))?;
                return Ok(Kind::List(items));
            }
            self.take(ITEM)?;
            items.push(self.value(depth + 1)?);
            self.comma_or(b']', "expected `,` or `]`")?;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, ParseError> {
        let mut entries = Vec::new();
        self.at += 1;
        self.take(OPEN)?;
        loop {
            self.skip()?;
            let place = self.place();
            match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    let count = entries.len();
                    let map = join_entries(entries, self.warnings, self.memory);
                    self.memory.give_back(OPEN + count * ENTRY);
                    self.take(limits::map(count))?;
                    return Ok(Kind::Map(map));
                }
                Some(b'"') => {}
                _ => return Err(self.broken("expected a key in double quotes or `}`")),
            }
            self.take(ENTRY)?;
            let key = self.string()?;
            self.skip()?;
            if self.peek() != Some(b':') {
                return Err(self.broken("expected `:` after a key"));
            }
            self.at += 1;
            self.skip()?;
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, place, value });
            self.comma_or(b'}', "expected `,` or `}`")?;
        }
    }

    fn comma_or(&mut self, end: u8, message: &str) -> Result<(), ParseError> {
        self.skip()?;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(())
            }
            Some(it) if it == end => Ok(()),
            _ => Err(self.broken(message)),
        }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        let mut start = self.at;
        let rest = self.bytes.get(start..).unwrap_or(&[]);
        let plain = rest.iter().position(|it| matches!(it, b'"' | b'\\'));
        let longest = match plain.map(|at| (at, rest[at])) {
            Some((at, b'"')) => at,
            // Written with escapes no text is shorter than it is.
            _ => end_of_string(rest),
        };
        // Twice: it is made as long as it may be, then as long as it is.
        self.take(2 * heap(longest))?;
        let mut out = String::with_capacity(longest);
        loop {
            match self.peek() {
                None => return Err(self.broken("expected `\"` to end a text")),
                Some(b'"') => {
                    out.push_str(self.text.get(start..self.at).unwrap_or(""));
                    self.at += 1;
                    out.shrink_to_fit();
                    self.memory.give_back(2 * heap(longest));
                    self.take(heap(out.len()))?;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(self.text.get(start..self.at).unwrap_or(""));
                    self.at += 1;
                    out.push(self.escape()?);
                    start = self.at;
                }
                Some(byte) => {
                    if byte == b'\n' {
                        self.newline();
                    }
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let escaped = match self.peek() {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(it @ (b'"' | b'\\' | b'/')) => char::from(it),
            Some(b'u') => {
                self.at += 1;
                let high = self.hex()?;
                let behind = self.at;
                if (0xD800..0xDC00).contains(&high) && self.bytes[behind..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.hex()?;
                    if (0xDC00..0xE000).contains(&low) {
                        let both = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                        return Ok(char::from_u32(both).unwrap_or('\u{fffd}'));
                    }
                    // An escape of its own: what is before it is half a pair.
                    self.at = behind;
                }
                return Ok(char::from_u32(high).unwrap_or('\u{fffd}'));
            }
            _ => return Err(self.broken("expected one of \\n \\t \\\" \\\\ \\/ \\uXXXX")),
        };
        self.at += 1;
        Ok(escaped)
    }

    fn hex(&mut self) -> Result<u32, ParseError> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
        match digits.and_then(|it| u32::from_str_radix(it, 16).ok()) {
            Some(value) => {
                self.at += 4;
                Ok(value)
            }
            None => Err(self.broken("expected four hexadecimal digits after \\u")),
        }
    }
}

/// Where the string ends that begins here: at its first `"` without a `\` before it.
fn end_of_string(bytes: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = bytes.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_alone(text: &str) -> Result<Node, ParseError> {
        read(text, 0, &mut Vec::new(), &Memory::new(usize::MAX))
    }

    #[test]
    fn half_a_surrogate_pair_costs_its_character_alone() {
        for (written, expected) in [
            (r"\ud83d\ude00", "\u{1f600}"),
            (r"\uD83D\u0041", "\u{fffd}A"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\ud83d", "\u{fffd}"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83dx", "\u{fffd}x"),
        ] {
            let read = read_alone(&format!("\"{written}\"")).expect(written);
            let Kind::Text(text) = read.kind else {
                panic!("{written} is a string");
            };
            assert_eq!(text, expected, "{written}");
        }
        for broken in [r#""\ud83d\u00""#, r#""\ud83d\"#, r#""\ud83d\u"#] {
            assert!(read_alone(broken).is_err(), "{broken}");
        }
    }
}
