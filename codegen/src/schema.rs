//! What a response is declared to be, as static data.
//!
//! The generated `api/client.rs` holds the schemas; this file says what they are made of, and
//! `judge` walks a response along them, so that no schema, however odd, can break compilation.
//! Pure: no I/O, no clock.

// The vocabulary of generated clients: which words of it a build uses depends on the
// files that were compiled in.
#![allow(dead_code)]

use serde_json::Value;

#[allow(unused_imports)]
pub use validate::{Drift, DriftKind, Judge, judge};

pub use compact::{Link, Pack};

mod compact;
mod pattern;
mod validate;

/// A declared schema. Statics may refer to each other in circles (recursive schemas).
#[derive(Debug)]
pub struct Schema {
    pub types: Types,
    pub rules: &'static [Rule],
}

/// One statement of a schema beside its type.
#[derive(Debug)]
pub enum Rule {
    /// `date-time`, `int64`, `float` … as the file says it.
    Format(&'static str),
    Minimum(f64),
    Maximum(f64),
    /// `exclusiveMinimum`.
    Above(f64),
    /// `exclusiveMaximum`.
    Below(f64),
    Enum(&'static [Literal]),
    /// As the file says it, for people, and as codegen has compiled it.
    Pattern(&'static str, &'static [u8]),
    Properties(&'static [Property]),
    /// `additionalProperties: false`.
    Closed,
    /// The schema of properties that are not named.
    Additional(Link),
    Items(Link),
    /// The first items of a tuple.
    Prefix(&'static [Link]),
    /// `oneOf` or `anyOf`: at least one fits.
    Variants(&'static [Link]),
    /// The property whose text says which variant it is.
    Discriminator(&'static str, &'static [(&'static str, usize)]),
    /// A JSON text.
    Default(&'static str),
    /// A JSON text.
    Example(&'static str),
    Description(&'static str),
}

/// A value that a schema lists; numbers keep the text that the file has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Literal {
    Null,
    Boolean(bool),
    Number(&'static str),
    Text(&'static str),
    /// A list or an object, as JSON text.
    Json(&'static str),
}

#[derive(Debug)]
pub struct Property {
    pub name: &'static str,
    pub required: bool,
    pub schema: Link,
}

/// A set of JSON types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types(u8);

impl Types {
    pub const NONE: Types = Types(0);
    pub const NULL: Types = Types(1);
    pub const BOOLEAN: Types = Types(2);
    pub const INTEGER: Types = Types(4);
    /// A number may be an integer too.
    pub const NUMBER: Types = Types(8);
    pub const TEXT: Types = Types(16);
    pub const LIST: Types = Types(32);
    pub const OBJECT: Types = Types(64);
    /// Nothing said: all may come.
    pub const ANY: Types = Types(127);
    /// Null is declared whatever the variants say.
    pub const NULLABLE: Types = Types(128 | 1);

    pub const fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    pub const fn has(self, other: Types) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_any(self) -> bool {
        self.0 & 127 == 127
    }

    /// In words, for messages: "a number", "text or null".
    pub fn words(self) -> String {
        if self.is_any() {
            return "anything".to_owned();
        }
        let mut words = Vec::new();
        for (one, word) in [
            (Types::NUMBER, "a number"),
            (Types::INTEGER, "an integer"),
            (Types::TEXT, "text"),
            (Types::BOOLEAN, "true or false"),
            (Types::LIST, "a list"),
            (Types::OBJECT, "an object"),
            (Types::NULL, "null"),
        ] {
            if self.has(one) && !(one == Types::INTEGER && self.has(Types::NUMBER)) {
                words.push(word);
            }
        }
        if words.is_empty() {
            "nothing".to_owned()
        } else {
            words.join(" or ")
        }
    }
}

/// The schemas that every file has, once.
pub mod leaf {
    use super::{Schema, Types};

    pub static ANY: Schema = Schema::of(Types::ANY);
    pub static BOOLEAN: Schema = Schema::of(Types::BOOLEAN);
    pub static INTEGER: Schema = Schema::of(Types::INTEGER);
    pub static NUMBER: Schema = Schema::of(Types::NUMBER);
    pub static TEXT: Schema = Schema::of(Types::TEXT);
    pub static OBJECT: Schema = Schema::of(Types::OBJECT);
}

impl Schema {
    const fn of(types: Types) -> Schema {
        Schema { types, rules: &[] }
    }

    pub fn format(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Format(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    pub fn description(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Description(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    pub fn pattern(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Pattern(it, _) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    /// The example as JSON text.
    pub fn example(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Example(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    /// The default as JSON text.
    pub fn default(&self) -> Option<&'static str> {
        self.find(|rule| {
            if let Rule::Default(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
    }

    /// The lowest number that fits, exclusive or not.
    pub fn minimum(&self) -> Option<f64> {
        self.find(|rule| match rule {
            Rule::Minimum(it) | Rule::Above(it) => Some(*it),
            _ => None,
        })
    }

    /// The highest number that fits, exclusive or not.
    pub fn maximum(&self) -> Option<f64> {
        self.find(|rule| match rule {
            Rule::Maximum(it) | Rule::Below(it) => Some(*it),
            _ => None,
        })
    }

    pub fn literals(&self) -> &'static [Literal] {
        self.find(|rule| {
            if let Rule::Enum(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    pub fn properties(&self) -> &'static [Property] {
        self.find(|rule| {
            if let Rule::Properties(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    pub fn property(&self, name: &str) -> Option<&'static Property> {
        self.properties()
            .iter()
            .find(|property| property.name == name)
    }

    pub fn items(&self) -> Option<&'static Schema> {
        self.find(|rule| {
            if let Rule::Items(it) = rule {
                Some(it.get())
            } else {
                None
            }
        })
    }

    pub fn prefix(&self) -> &'static [Link] {
        self.find(|rule| {
            if let Rule::Prefix(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    pub fn additional(&self) -> Option<&'static Schema> {
        self.find(|rule| {
            if let Rule::Additional(it) = rule {
                Some(it.get())
            } else {
                None
            }
        })
    }

    pub fn is_closed(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::Closed))
    }

    /// `oneOf` or `anyOf`; a schema has at most a few such lists, this is the first.
    pub fn variants(&self) -> &'static [Link] {
        self.find(|rule| {
            if let Rule::Variants(it) = rule {
                Some(*it)
            } else {
                None
            }
        })
        .unwrap_or(&[])
    }

    pub fn is_nullable(&self) -> bool {
        self.types.has(Types::NULL)
    }

    fn find<T>(&self, pick: impl Fn(&Rule) -> Option<T>) -> Option<T> {
        self.rules.iter().find_map(pick)
    }

    /// What a value has to be, in words: "a number from -90 to 90".
    pub fn words(&self) -> String {
        let literals = self.literals();
        if !literals.is_empty() {
            return literal_words(literals);
        }
        let mut words = self.types.words();
        if let Some(items) = self.items().filter(|_| self.types == Types::LIST) {
            let of = if items.literals().is_empty() {
                items.types.words()
            } else {
                literal_words(items.literals())
            };
            words = format!("a list of {of}");
        }
        if let Some(range) = self.range_words() {
            words.push(' ');
            words.push_str(&range);
        }
        if let Some(pattern) = self.pattern() {
            words += &format!(" that matches {pattern}");
        }
        words
    }

    /// Whether the declared pattern rules a text out.
    pub fn mismatches(&self, text: &str) -> bool {
        self.rules.iter().any(|rule| match rule {
            Rule::Pattern(_, table) => !pattern::is_match(table, text),
            _ => false,
        })
    }

    fn range_words(&self) -> Option<String> {
        let low = self.find(|rule| match rule {
            Rule::Minimum(it) => Some(format!("{it}")),
            Rule::Above(it) => Some(format!("above {it}")),
            _ => None,
        });
        let high = self.find(|rule| match rule {
            Rule::Maximum(it) => Some(format!("{it}")),
            Rule::Below(it) => Some(format!("below {it}")),
            _ => None,
        });
        match (low, high) {
            (Some(low), Some(high)) => Some(format!("from {low} to {high}")),
            (Some(low), None) => Some(format!("from {low}")),
            (None, Some(high)) => Some(format!("up to {high}")),
            (None, None) => None,
        }
    }

    /// Whether a number lies outside the declared range.
    pub fn excludes(&self, number: f64) -> bool {
        self.rules.iter().any(|rule| match rule {
            Rule::Minimum(limit) => number < *limit,
            Rule::Maximum(limit) => number > *limit,
            Rule::Above(limit) => number <= *limit,
            Rule::Below(limit) => number >= *limit,
            _ => false,
        })
    }
}

fn literal_words(literals: &[Literal]) -> String {
    const SHOWN: usize = 6;
    let mut words: Vec<String> = literals
        .iter()
        .take(SHOWN)
        .map(Literal::to_string)
        .collect();
    if literals.len() > SHOWN {
        words.push(format!("… ({} in all)", literals.len()));
    }
    match words.len() {
        1 => words.remove(0),
        _ => format!("one of {}", words.join(", ")),
    }
}

impl std::fmt::Display for Literal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Literal::Null => out.write_str("null"),
            Literal::Boolean(it) => write!(out, "{it}"),
            Literal::Number(it) | Literal::Json(it) => out.write_str(it),
            Literal::Text(it) => write!(out, "{it:?}"),
        }
    }
}

impl Literal {
    pub fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Literal::Null, Value::Null) => true,
            (Literal::Boolean(it), Value::Bool(found)) => it == found,
            (Literal::Text(it), Value::String(found)) => it == found,
            (Literal::Number(it), Value::Number(found)) => {
                found.to_string() == *it
                    || it.parse::<f64>().is_ok_and(|it| number(found) == Some(it))
            }
            (Literal::Json(it), found) => {
                serde_json::from_str::<Value>(it).is_ok_and(|it| it == *found)
            }
            _ => false,
        }
    }
}

/// The number, unless no f64 holds it.
fn number(found: &serde_json::Number) -> Option<f64> {
    found
        .to_string()
        .parse::<f64>()
        .ok()
        .filter(|it| it.is_finite())
}

#[cfg(test)]
#[path = "tests/schema.rs"]
mod tests;
