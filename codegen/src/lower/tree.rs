//! A file as a tree in which every node knows its place.
//!
//! Owns the tree and the lenient way of asking it things. It knows nothing of OpenAPI and
//! never fails: what is not there, or not of the asked kind, is `None`.

use std::fmt;

pub use crate::schema::truncate;
pub use map::{MAX_UNSORTED, Map, join_entries};

mod map;

/// Deeper than any real file; deeper input is refused before it can overflow a stack.
pub const MAX_DEPTH: usize = 200;
/// Warnings of one description that are kept.
pub const MAX_WARNINGS: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    pub file: u32,
    pub line: u32,
    pub column: u32,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub kind: Kind,
    pub place: Position,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Null,
    Bool(bool),
    /// The text as it stands in the file: it may fit no machine number.
    Number(String),
    Text(String),
    List(Box<[Node]>),
    Map(Map),
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub place: Position,
    pub value: Node,
}

/// Something odd that a reader met and lived with.
#[derive(Debug, Clone)]
pub struct Warning {
    pub place: Position,
    pub message: String,
}

/// Why a file cannot be read at all.
#[derive(Debug, Clone)]
pub struct ParseError {
    pub line: u32,
    pub column: u32,
    pub message: String,
    /// It may be right: reading it takes too much memory.
    pub is_over_limit: bool,
}

impl ParseError {
    pub fn new(line: u32, column: u32, message: impl Into<String>) -> ParseError {
        ParseError {
            line,
            column,
            message: message.into(),
            is_over_limit: false,
        }
    }

    /// At a place where `Memory::take` said no.
    pub fn over_limit(place: Position) -> ParseError {
        ParseError {
            is_over_limit: true,
            ..ParseError::new(place.line, place.column, "")
        }
    }
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(map) => map.find(key),
            _ => None,
        }
    }

    /// The entries of a map; of anything else, none.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; of anything else, none.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    pub fn is_map(&self) -> bool {
        matches!(self.kind, Kind::Map(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The text of a scalar, whatever its kind: `version: 1.0` has the text `1.0`.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(it) | Kind::Number(it) => Some(it),
            Kind::Bool(true) => Some("true"),
            Kind::Bool(false) => Some("false"),
            _ => None,
        }
    }

    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    pub fn boolean(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    pub fn is_true(&self, key: &str) -> bool {
        self.get(key).and_then(Node::boolean).unwrap_or(false)
    }

    /// A finite number, also from text: `minimum: "0"`.
    pub fn number(&self) -> Option<f64> {
        match &self.kind {
            Kind::Number(it) | Kind::Text(it) => parse_number(it),
            _ => None,
        }
    }

    /// In words, for messages.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(it) => it.to_string(),
            Kind::Number(it) => it.clone(),
            Kind::Text(it) => format!("the text {:?}", truncate(it, 40)),
            Kind::List(it) => format!("a list of {}", it.len()),
            Kind::Map(it) => format!("an object of {}", it.len()),
        }
    }

    /// In words, without what a text or a number says.
    pub fn describe_kind(&self) -> String {
        match &self.kind {
            Kind::Number(_) => "a number".to_owned(),
            Kind::Text(it) => format!("a text of {} characters", it.chars().count()),
            _ => self.describe(),
        }
    }

    /// As JSON, one line.
    pub fn json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    /// As JSON, one line of at most so many bytes.
    pub fn json_within(&self, most: usize) -> Option<String> {
        let fits = self.least_json(most) <= most;
        fits.then(|| self.json()).filter(|it| it.len() <= most)
    }

    /// Bytes of heap while `json` is made: a text is six times as long at most, and grows.
    pub fn json_memory(&self) -> usize {
        8 * self.most_json() + 100
    }

    fn most_json(&self) -> usize {
        match &self.kind {
            Kind::Null | Kind::Bool(_) => 6,
            Kind::Number(it) | Kind::Text(it) => 6 * it.len() + 24,
            Kind::List(items) => 3 + items.iter().map(Node::most_json).sum::<usize>(),
            Kind::Map(entries) => {
                let entries = entries.iter();
                let lengths = entries.map(|it| 6 * it.key.len() + 4 + it.value.most_json());
                3 + lengths.sum::<usize>()
            }
        }
    }

    /// The length of its JSON text, or less; what is beyond `most` is not looked at.
    fn least_json(&self, most: usize) -> usize {
        let mut length = 0;
        let mut add = |more: usize| {
            length += more;
            length <= most
        };
        match &self.kind {
            Kind::Null | Kind::Bool(_) => return 4,
            // A number may become shorter.
            Kind::Number(_) => return 1,
            Kind::Text(it) => return it.len() + 2,
            Kind::List(items) => {
                let _ = items.iter().all(|it| add(1 + it.least_json(most)));
            }
            Kind::Map(entries) => {
                let _ = entries
                    .iter()
                    .all(|it| add(4 + it.key.len() + it.value.least_json(most)));
            }
        }
        length
    }

    fn write_json(&self, out: &mut String) {
        match &self.kind {
            Kind::Null => out.push_str("null"),
            Kind::Bool(it) => out.push_str(if *it { "true" } else { "false" }),
            Kind::Number(it) => match json_number(it) {
                Some(number) => out.push_str(&number),
                None => out.push_str(&quoted(it)),
            },
            Kind::Text(it) => out.push_str(&quoted(it)),
            Kind::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    item.write_json(out);
                }
                out.push(']');
            }
            Kind::Map(entries) => {
                out.push('{');
                for (at, entry) in entries.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    out.push_str(&quoted(&entry.key));
                    out.push(':');
                    entry.value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

pub fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// A finite number in JSON's or YAML's spelling.
pub fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(hex) = digits.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(|it| sign * it as f64);
    }
    if let Some(octal) = digits.strip_prefix("0o") {
        return u64::from_str_radix(octal, 8)
            .ok()
            .map(|it| sign * it as f64);
    }
    let plain = digits
        .bytes()
        .next()
        .is_some_and(|it| it.is_ascii_digit() || it == b'.');
    let parsed = digits
        .parse::<f64>()
        .ok()
        .filter(|it| plain && it.is_finite())?;
    Some(sign * parsed)
}

/// The number as JSON spells it; a number that JSON spells so already stays as it is.
pub fn json_number(text: &str) -> Option<String> {
    if serde_json::from_str::<serde_json::Number>(text).is_ok() {
        return Some(text.to_owned());
    }
    let number = parse_number(text)?;
    serde_json::Number::from_f64(number).map(|it| it.to_string())
}

/// Keeps a warning, where there are not too many. Its message is a few hundred bytes at most.
pub fn warn(warnings: &mut Vec<Warning>, place: Position, message: impl FnOnce() -> String) {
    match warnings.len() {
        MAX_WARNINGS.. => {}
        len => {
            let message = if len + 1 == MAX_WARNINGS {
                "there is more like this, which is not told".to_owned()
            } else {
                message()
            };
            warnings.push(Warning { place, message });
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.line, self.column, self.message)
    }
}
