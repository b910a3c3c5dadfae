//! Response schemas as text, one JSON line each, read when first looked at.
//!
//! As statics, three operations of a large API cost the binary 150 kB, most of it pointers
//! and their relocations; as text they cost a tenth, and what is never looked at costs no
//! memory. What is read stays for the life of the program; schemas that refer to each other
//! in circles are no harm, for a link is followed only when somebody looks.
//!
//! A long text is deflated in the binary and inflated at the first look, never past the length
//! that codegen states. What does not inflate to just that says nothing, as a line that cannot
//! be read: then nothing is declared, and readings are taken as they come.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use flate2::{Decompress, FlushDecompress, Status};
use serde_json::Value;

use super::{Literal, Property, Rule, Schema, Types, leaf};

/// All response schemas of one API. Line 0 is empty and says nothing.
pub struct Pack {
    text: Text,
    lines: OnceLock<Vec<(&'static str, OnceLock<&'static Schema>)>>,
}

enum Text {
    Plain(&'static str),
    /// The length that it inflates to, and raw deflate.
    Deflated(usize, &'static [u8]),
}

/// A reference to a schema; it is one for everybody who looks through it.
#[derive(Clone, Copy)]
pub enum Link {
    Static(&'static Schema),
    Packed(&'static Pack, u32),
}

impl Link {
    pub fn get(&self) -> &'static Schema {
        match *self {
            Link::Static(schema) => schema,
            Link::Packed(pack, line) => pack.get(line),
        }
    }
}

impl Deref for Link {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        self.get()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Static(schema) => write!(out, "{}", schema.types.words()),
            Link::Packed(_, line) => write!(out, "schema {line}"),
        }
    }
}

impl Pack {
    pub const fn new(text: &'static str) -> Pack {
        Pack {
            text: Text::Plain(text),
            lines: OnceLock::new(),
        }
    }

    /// `bytes` inflate to a text of `length` bytes.
    pub const fn deflated(length: usize, bytes: &'static [u8]) -> Pack {
        Pack {
            text: Text::Deflated(length, bytes),
            lines: OnceLock::new(),
        }
    }

    fn get(&'static self, line: u32) -> &'static Schema {
        let lines = self.lines.get_or_init(|| {
            let text = match self.text {
                Text::Plain(text) => text,
                Text::Deflated(length, bytes) => inflated(length, bytes).unwrap_or(""),
            };
            text.split('\n').map(|it| (it, OnceLock::new())).collect()
        });
        match lines.get(line as usize) {
            Some((text, schema)) => schema.get_or_init(|| self.read(text)),
            None => &leaf::ANY,
        }
    }

    /// A line that cannot be read says nothing: codegen writes them, and its tests read each.
    fn read(&'static self, text: &str) -> &'static Schema {
        match serde_json::from_str(text) {
            Ok(Value::Object(said)) => {
                let types = said
                    .get("t")
                    .and_then(Value::as_str)
                    .map_or(Types::ANY, types);
                let rules: Vec<Rule> = said
                    .iter()
                    .filter_map(|(key, value)| self.rule(key, value))
                    .collect();
                Box::leak(Box::new(Schema {
                    types,
                    rules: Vec::leak(rules),
                }))
            }
            _ => &leaf::ANY,
        }
    }

    fn rule(&'static self, key: &str, value: &Value) -> Option<Rule> {
        Some(match key {
            "format" => Rule::Format(kept(value)?),
            "about" => Rule::Description(kept(value)?),
            "example" => Rule::Example(kept(value)?),
            "default" => Rule::Default(kept(value)?),
            "min" => Rule::Minimum(value.as_f64()?),
            "max" => Rule::Maximum(value.as_f64()?),
            "above" => Rule::Above(value.as_f64()?),
            "below" => Rule::Below(value.as_f64()?),
            "closed" => Rule::Closed,
            "enum" => Rule::Enum(leaked(value.as_array()?.iter().map(literal))),
            "items" => Rule::Items(self.link(value)),
            "more" => Rule::Additional(self.link(value)),
            "first" => Rule::Prefix(leaked(value.as_array()?.iter().map(|it| self.link(it)))),
            // Several lists of variants: `any`, `any2` …
            _ if key.starts_with("any") => {
                Rule::Variants(leaked(value.as_array()?.iter().map(|it| self.link(it))))
            }
            "kind" => {
                let [property, mapping @ ..] = value.as_array()?.as_slice() else {
                    return None;
                };
                Rule::Discriminator(
                    kept(property)?,
                    leaked(mapping.chunks_exact(2).filter_map(|pair| {
                        Some((kept(&pair[0])?, usize::try_from(pair[1].as_u64()?).ok()?))
                    })),
                )
            }
            // Name and line by turns; a required one has a `!` before its name.
            "has" => Rule::Properties(leaked(value.as_array()?.chunks_exact(2).filter_map(
                |pair| {
                    let name = kept(&pair[0])?;
                    let bare = name.strip_prefix('!');
                    let name = name.strip_prefix(['!', '.']).unwrap_or(name);
                    Some(Property {
                        name,
                        required: bare.is_some(),
                        schema: self.link(&pair[1]),
                    })
                },
            ))),
            _ => return None,
        })
    }

    fn link(&'static self, value: &Value) -> Link {
        Link::Packed(
            self,
            value
                .as_u64()
                .and_then(|it| u32::try_from(it).ok())
                .unwrap_or(0),
        )
    }
}

/// `decompress_vec` fills what there is room for and never makes more; one byte more than
/// stated tells a text that is too long.
fn inflated(length: usize, bytes: &[u8]) -> Option<&'static str> {
    let mut text = Vec::with_capacity(length + 1);
    let end = Decompress::new(false)
        .decompress_vec(bytes, &mut text, FlushDecompress::Finish)
        .ok()?;
    let text = String::from_utf8(text).ok()?;
    (end == Status::StreamEnd && text.len() == length).then(|| &*String::leak(text))
}

fn kept(value: &Value) -> Option<&'static str> {
    Some(String::leak(value.as_str()?.to_owned()))
}

fn leaked<T>(items: impl Iterator<Item = T>) -> &'static [T] {
    Vec::leak(items.collect())
}

fn literal(value: &Value) -> Literal {
    match value {
        Value::Null => Literal::Null,
        Value::Bool(it) => Literal::Boolean(*it),
        Value::Number(it) => Literal::Number(String::leak(it.to_string())),
        Value::String(it) => Literal::Text(String::leak(it.clone())),
        other => Literal::Json(String::leak(other.to_string())),
    }
}

fn types(names: &str) -> Types {
    names.split('|').fold(Types::NONE, |types, name| {
        types.or(match name {
            "null" => Types::NULL,
            "boolean" => Types::BOOLEAN,
            "integer" => Types::INTEGER,
            "number" => Types::NUMBER,
            "string" => Types::TEXT,
            "array" => Types::LIST,
            "object" => Types::OBJECT,
            "nullable" => Types::NULLABLE,
            "any" => Types::ANY,
            _ => Types::NONE,
        })
    })
}
