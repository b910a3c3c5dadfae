//! JSON schemas of parameters and responses, as main-node uses them.
//!
//! A schema is a set of types and a list of rules. A new keyword is a `Rule` here: `lower` fills
//! it, its compact form follows from its type, `validate` and `operation::check` apply it.
//! Pure: no I/O, no clock.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::compact::SchemaRef;
pub use validate::{Drift, DriftKind, Validator, validate};

pub mod pattern;
mod validate;

/// Characters of a pattern that a message shows.
const SHOWN_OF_PATTERN: usize = 200;

/// A declared schema. By their references schemas may lie in circles (recursive schemas).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    #[serde(default, skip_serializing_if = "says_nothing")]
    pub types: Types,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// One statement of a schema beside its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// `date-time`, `int64`, `float` … as the file says it.
    Format(String),
    Minimum(f64),
    Maximum(f64),
    ExclusiveMinimum(f64),
    ExclusiveMaximum(f64),
    Enum(Vec<Literal>),
    /// As the file says it (`pattern`).
    Pattern(String),
    Properties(Vec<Property>),
    /// `additionalProperties: false`.
    Closed,
    /// The schema of properties that are not named.
    AdditionalProperties(SchemaRef),
    Items(SchemaRef),
    /// The first items of a tuple.
    PrefixItems(Vec<SchemaRef>),
    /// `oneOf` or `anyOf`: at least one fits.
    Variants(Vec<SchemaRef>),
    /// The property whose text says which variant it is.
    Discriminator(String, Vec<(String, usize)>),
    /// A JSON text.
    Default(String),
    /// A JSON text.
    Example(String),
    Description(String),
}

/// A value that a schema lists; numbers keep the text that the file has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
pub enum Literal {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    /// A list or an object, as JSON text.
    Json(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Property {
    pub name: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    pub schema: SchemaRef,
}

/// A set of JSON types; `number|null` in the compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Types(u8);

fn says_nothing(types: &Types) -> bool {
    *types == Types::ANY
}

impl Default for Types {
    fn default() -> Types {
        Types::ANY
    }
}

impl Default for Schema {
    fn default() -> Schema {
        Schema::of(Types::ANY)
    }
}

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

    const NAMES: [(Types, &str); 9] = [
        (Types::ANY, "any"),
        (Types::OBJECT, "object"),
        (Types::LIST, "array"),
        (Types::TEXT, "string"),
        (Types::NUMBER, "number"),
        (Types::INTEGER, "integer"),
        (Types::BOOLEAN, "boolean"),
        (Types::NULLABLE, "nullable"),
        (Types::NULL, "null"),
    ];

    pub const fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    pub const fn has(self, other: Types) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_any(self) -> bool {
        self.0 & 127 == 127
    }

    pub const fn without(self, other: Types) -> Types {
        Types(self.0 & !other.0)
    }

    /// What both allow; every number may be an integer.
    pub fn and(self, other: Types) -> Types {
        let wide = |it: Types| {
            if it.has(Types::NUMBER) {
                it.or(Types::INTEGER)
            } else {
                it
            }
        };
        let both = Types(wide(self).0 & wide(other).0);
        if both.has(Types::NUMBER) && !both.is_any() {
            both.without(Types::INTEGER)
        } else {
            both
        }
    }

    /// In text, for messages: "a number", "text or null".
    pub fn describe(self) -> String {
        if self.is_any() {
            return "anything".to_owned();
        }
        let mut text = Vec::new();
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
                text.push(word);
            }
        }
        if text.is_empty() {
            "nothing".to_owned()
        } else {
            text.join(" or ")
        }
    }
}

impl From<String> for Types {
    fn from(names: String) -> Types {
        names.split('|').fold(Types::NONE, |types, name| {
            let known = Types::NAMES.iter().find(|(_, it)| *it == name);
            known.map_or(types, |(one, _)| types.or(*one))
        })
    }
}

impl From<Types> for String {
    fn from(types: Types) -> String {
        let mut rest = types;
        let mut names = Vec::new();
        for (one, name) in Types::NAMES {
            if rest.has(one) {
                rest = rest.without(one);
                names.push(name);
            }
        }
        // `any` takes null with it.
        if types.has(Types::NULLABLE) && types.is_any() {
            names.push("nullable");
        }
        names.join("|")
    }
}

impl Rule {
    /// The schemas that it leads to.
    pub fn children_mut(&mut self) -> Vec<&mut SchemaRef> {
        match self {
            Rule::Properties(it) => it.iter_mut().map(|property| &mut property.schema).collect(),
            Rule::AdditionalProperties(it) | Rule::Items(it) => vec![it],
            Rule::PrefixItems(it) | Rule::Variants(it) => it.iter_mut().collect(),
            _ => Vec::new(),
        }
    }
}

impl Schema {
    pub const fn of(types: Types) -> Schema {
        Schema {
            types,
            rules: Vec::new(),
        }
    }

    pub fn format(&self) -> Option<&str> {
        self.find(|rule| match rule {
            Rule::Format(it) => Some(it.as_str()),
            _ => None,
        })
    }

    pub fn description(&self) -> Option<&str> {
        self.find(|rule| match rule {
            Rule::Description(it) => Some(it.as_str()),
            _ => None,
        })
    }

    pub fn pattern(&self) -> Option<&str> {
        self.find(|rule| match rule {
            Rule::Pattern(it) => Some(it.as_str()),
            _ => None,
        })
    }

    /// The example as JSON text.
    pub fn example(&self) -> Option<&str> {
        self.find(|rule| match rule {
            Rule::Example(it) => Some(it.as_str()),
            _ => None,
        })
    }

    /// The default as JSON text.
    pub fn default_value(&self) -> Option<&str> {
        self.find(|rule| match rule {
            Rule::Default(it) => Some(it.as_str()),
            _ => None,
        })
    }

    /// The lowest number that fits, exclusive or not.
    pub fn minimum(&self) -> Option<f64> {
        self.find(|rule| match rule {
            Rule::Minimum(it) | Rule::ExclusiveMinimum(it) => Some(*it),
            _ => None,
        })
    }

    /// The highest number that fits, exclusive or not.
    pub fn maximum(&self) -> Option<f64> {
        self.find(|rule| match rule {
            Rule::Maximum(it) | Rule::ExclusiveMaximum(it) => Some(*it),
            _ => None,
        })
    }

    pub fn literals(&self) -> &[Literal] {
        self.find(|rule| match rule {
            Rule::Enum(it) => Some(it.as_slice()),
            _ => None,
        })
        .unwrap_or(&[])
    }

    pub fn properties(&self) -> &[Property] {
        self.find(|rule| match rule {
            Rule::Properties(it) => Some(it.as_slice()),
            _ => None,
        })
        .unwrap_or(&[])
    }

    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties()
            .iter()
            .find(|property| property.name == name)
    }

    pub fn items(&self) -> Option<&'static Schema> {
        self.find(|rule| match rule {
            Rule::Items(it) => Some(it.get()),
            _ => None,
        })
    }

    pub fn prefix(&self) -> &[SchemaRef] {
        self.find(|rule| match rule {
            Rule::PrefixItems(it) => Some(it.as_slice()),
            _ => None,
        })
        .unwrap_or(&[])
    }

    pub fn additional(&self) -> Option<&'static Schema> {
        self.find(|rule| match rule {
            Rule::AdditionalProperties(it) => Some(it.get()),
            _ => None,
        })
    }

    pub fn is_closed(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::Closed))
    }

    /// `oneOf` or `anyOf`; a schema has at most a few such lists, this is the first.
    pub fn variants(&self) -> &[SchemaRef] {
        self.find(|rule| match rule {
            Rule::Variants(it) => Some(it.as_slice()),
            _ => None,
        })
        .unwrap_or(&[])
    }

    pub fn is_nullable(&self) -> bool {
        self.types.has(Types::NULL)
    }

    fn find<'a, T>(&'a self, pick: impl Fn(&'a Rule) -> Option<T>) -> Option<T> {
        self.rules.iter().find_map(pick)
    }

    /// What a value has to be, in text: "a number from -90 to 90".
    pub fn describe(&self) -> String {
        let literals = self.literals();
        if !literals.is_empty() {
            return describe_literals(literals);
        }
        let mut text = self.types.describe();
        if let Some(items) = self.items().filter(|_| self.types == Types::LIST) {
            let of = if items.literals().is_empty() {
                items.types.describe()
            } else {
                describe_literals(items.literals())
            };
            text = format!("a list of {of}");
        }
        if let Some(range) = self.describe_range() {
            text.push(' ');
            text.push_str(&range);
        }
        if let Some(pattern) = self.pattern() {
            text += &format!(" that matches {}", truncate(pattern, SHOWN_OF_PATTERN));
        }
        text
    }

    /// Whether the declared pattern rules a text out.
    pub fn mismatches(&self, text: &str) -> bool {
        self.rules.iter().any(|rule| match rule {
            Rule::Pattern(it) => !pattern::is_match(it, text),
            _ => false,
        })
    }

    fn describe_range(&self) -> Option<String> {
        let low = self.find(|rule| match rule {
            Rule::Minimum(it) => Some(format!("{it}")),
            Rule::ExclusiveMinimum(it) => Some(format!("above {it}")),
            _ => None,
        });
        let high = self.find(|rule| match rule {
            Rule::Maximum(it) => Some(format!("{it}")),
            Rule::ExclusiveMaximum(it) => Some(format!("below {it}")),
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
            Rule::ExclusiveMinimum(limit) => number <= *limit,
            Rule::ExclusiveMaximum(limit) => number >= *limit,
            _ => false,
        })
    }
}

fn describe_literals(literals: &[Literal]) -> String {
    const SHOWN: usize = 6;
    let mut text: Vec<String> = literals
        .iter()
        .take(SHOWN)
        .map(Literal::to_string)
        .collect();
    if literals.len() > SHOWN {
        text.push(format!("… ({} in all)", literals.len()));
    }
    match text.len() {
        1 => text.remove(0),
        _ => format!("one of {}", text.join(", ")),
    }
}

impl From<Value> for Literal {
    fn from(value: Value) -> Literal {
        match value {
            Value::Null => Literal::Null,
            Value::Bool(it) => Literal::Boolean(it),
            Value::Number(it) => Literal::Number(it.to_string()),
            Value::String(it) => Literal::Text(it),
            other => Literal::Json(other.to_string()),
        }
    }
}

impl From<Literal> for Value {
    fn from(literal: Literal) -> Value {
        match literal {
            Literal::Null => Value::Null,
            Literal::Boolean(it) => Value::Bool(it),
            Literal::Text(it) => Value::String(it),
            Literal::Number(it) | Literal::Json(it) => {
                serde_json::from_str(&it).unwrap_or(Value::String(it))
            }
        }
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

/// At most so many characters of a text.
pub fn truncate(text: &str, most: usize) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
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
