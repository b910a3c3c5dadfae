//! A file as a tree in which every node knows its place.
//!
//! Owns the tree and the lenient way of asking it things. It knows nothing of OpenAPI and
//! never fails: what is not there, or not of the asked kind, is `None`.

use std::fmt;

pub use crate::schema::truncate;

/// Deeper than any real file; deeper input is refused before it can overflow a stack.
pub const MAX_DEPTH: usize = 200;

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
    List(Vec<Node>),
    Map(Vec<Entry>),
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
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
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

    /// As JSON, one line.
    pub fn json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
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

/// Builds a map in which a repeated key is lived with: two maps are joined, of anything
/// else the later one counts.
pub fn join_entries(entries: Vec<Entry>, warnings: &mut Vec<Warning>) -> Vec<Entry> {
    let mut seen = std::collections::HashMap::with_capacity(entries.len());
    let mut joined: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(&at) = seen.get(&entry.key) else {
            seen.insert(entry.key.clone(), joined.len());
            joined.push(entry);
            continue;
        };
        let earlier: &mut Entry = &mut joined[at];
        warnings.push(Warning {
            place: entry.place,
            message: format!(
                "the key {:?} is here for the second time (first in line {}); the later counts",
                truncate(&entry.key, 60),
                earlier.place.line
            ),
        });
        match (&mut earlier.value.kind, entry.value.kind) {
            (Kind::Map(old), Kind::Map(new)) => {
                old.extend(new);
                let both = std::mem::take(old);
                *old = join_entries(both, &mut Vec::new());
            }
            (old, new) => *old = new,
        }
    }
    joined
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.line, self.column, self.message)
    }
}
