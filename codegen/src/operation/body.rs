//! Whether a request body fits an operation, and what to change where it does not.

use serde_json::Value;

use super::{BodyEncoding, Operation, RequestBody, nearest};
use crate::schema::{Drift, DriftKind, Schema, Types, Validator};

/// More than these nobody corrects at once.
const MAX_PROBLEMS: usize = 16;

const KNOWN_FIELD: &str = "a field that the OpenAPI file names";

/// Why an operation cannot be sent with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyProblem {
    /// Where in the body (RFC 6901); of what is missing, where it would be.
    pub pointer: String,
    pub expected: String,
    /// A short sample; it may be of a secret.
    pub found: String,
    /// What to write instead.
    pub change: String,
    pub kind: BodyProblemKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyProblemKind {
    Value,
    Missing,
    /// A field that is not allowed.
    Field,
    /// A field that nothing forbids, but it looks like a slip.
    DoubtfulField,
}

impl BodyProblem {
    pub fn is_doubt(&self) -> bool {
        self.kind == BodyProblemKind::DoubtfulField
    }
}

impl std::fmt::Display for BodyProblem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.pointer.is_empty() {
            write!(out, "{}: ", self.pointer)?;
        }
        let (expected, found, change) = (&self.expected, &self.found, &self.change);
        write!(out, "expected {expected}, found {found}; {change}")
    }
}

/// Every problem of a body, each with what to change. `None` is no body.
pub fn check_body(operation: &Operation, body: Option<&Value>) -> Vec<BodyProblem> {
    let problem = |expected: &str, found: &str, change: &str| BodyProblem {
        pointer: String::new(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        change: change.to_owned(),
        kind: BodyProblemKind::Value,
    };
    match (&operation.request_body, body) {
        (None, None) => Vec::new(),
        (None, Some(_)) => {
            let what = format!("no body: {} declares none", operation.id);
            vec![problem(&what, "one", "remove it")]
        }
        (Some(declared), None) if declared.required => {
            let what = format!("a body: {} needs one", operation.id);
            vec![problem(&what, "none", "add body = …")]
        }
        (Some(_), None) => Vec::new(),
        (Some(declared), Some(value)) => match declared.encoding {
            BodyEncoding::Text if !value.is_string() => {
                let what = format!("a text, which is sent as {}", declared.media_type);
                vec![problem(&what, "a table or a list", "write it in quotes")]
            }
            BodyEncoding::Form if !value.is_object() => {
                let what = format!("a table, which is sent as {}", declared.media_type);
                vec![problem(&what, "something else", "write { name = value }")]
            }
            _ => check_value(declared, value),
        },
    }
}

fn check_value(declared: &RequestBody, value: &Value) -> Vec<BodyProblem> {
    let validator = Validator {
        bound: MAX_PROBLEMS,
        numbers_as_text: declared.encoding == BodyEncoding::Form,
    };
    let schema = declared.schema.get();
    let drifts = validator.validate(schema, value).into_iter();
    let mut problems: Vec<BodyProblem> = drifts
        .map(|drift| {
            let change = change(schema, value, &drift);
            let (kind, expected, found) = match drift.kind {
                DriftKind::Missing => (BodyProblemKind::Missing, drift.expected, drift.found),
                DriftKind::Unknown => {
                    let found = format!("`{}`", last_name(&drift.pointer));
                    (BodyProblemKind::Field, KNOWN_FIELD.to_owned(), found)
                }
                _ => (BodyProblemKind::Value, drift.expected, drift.found),
            };
            BodyProblem {
                pointer: drift.pointer,
                expected,
                found,
                change,
                kind,
            }
        })
        .collect();
    doubts(schema, value, &mut String::new(), &mut problems);
    problems.truncate(MAX_PROBLEMS);
    problems
}

fn change(schema: &'static Schema, body: &Value, drift: &Drift) -> String {
    let name = last_name(&drift.pointer);
    match drift.kind {
        DriftKind::Missing => format!("add {name} = …"),
        DriftKind::Unknown => {
            let parent = drift.pointer.rsplit_once('/').map_or("", |it| it.0);
            let known = schema_at(schema, parent).map_or(&[][..], Schema::properties);
            match nearest(&name, known.iter().map(|it| it.name.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("remove `{name}`"),
            }
        }
        _ => {
            let place = schema_at(schema, &drift.pointer);
            let listed = place.map_or(&[][..], Schema::literals).iter();
            let texts = listed.filter_map(|literal| match literal {
                crate::schema::Literal::Text(text) => Some(text.as_str()),
                _ => None,
            });
            let texts: Vec<&str> = texts.collect();
            let types = place.map_or(Types::ANY, |it| it.types);
            match body.pointer(&drift.pointer) {
                Some(Value::String(text)) => match nearest(text, texts.into_iter()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None if is_quoted(types, text) => "write it without quotes".to_owned(),
                    None => "change it".to_owned(),
                },
                Some(Value::Number(_) | Value::Bool(_)) if types == Types::TEXT => {
                    "put it in quotes".to_owned()
                }
                _ => "change it".to_owned(),
            }
        }
    }
}

/// Whether a text is the number, or true or false, that is wanted.
fn is_quoted(types: Types, text: &str) -> bool {
    let is_number = types.has(Types::NUMBER) || types.has(Types::INTEGER);
    let is_boolean = types.has(Types::BOOLEAN) && matches!(text, "true" | "false");
    !types.has(Types::TEXT) && (is_boolean || (is_number && text.trim().parse::<f64>().is_ok()))
}

/// The last part of a pointer.
fn last_name(pointer: &str) -> String {
    let name = pointer.rsplit('/').next().unwrap_or("");
    name.replace("~1", "/").replace("~0", "~")
}

/// The schema of a place, where the way to it holds no variants.
fn schema_at(schema: &'static Schema, pointer: &str) -> Option<&'static Schema> {
    pointer.split('/').skip(1).try_fold(schema, |schema, part| {
        let name = part.replace("~1", "/").replace("~0", "~");
        let property = schema.property(&name).map(|it| it.schema.get());
        property.or(schema.items()).or(schema.additional())
    })
}

/// Fields that the schema does not know and that are nearly called like one it does.
fn doubts(
    schema: &'static Schema,
    value: &Value,
    pointer: &mut String,
    problems: &mut Vec<BodyProblem>,
) {
    let length = pointer.len();
    match value {
        Value::Object(fields) => {
            let is_open = schema.additional().is_none() && schema.variants().is_empty();
            for (name, value) in fields {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                if let Some(property) = schema.property(name) {
                    doubts(property.schema.get(), value, pointer, problems);
                } else if is_open && !schema.is_closed() {
                    let unused = schema.properties().iter();
                    let unused = unused.filter(|it| !fields.contains_key(&it.name));
                    let near = nearest(name, unused.map(|it| it.name.as_str()));
                    problems.extend(near.map(|near| BodyProblem {
                        pointer: pointer.clone(),
                        expected: KNOWN_FIELD.to_owned(),
                        found: format!("`{name}`"),
                        change: format!("did you mean `{near}`?"),
                        kind: BodyProblemKind::DoubtfulField,
                    }));
                }
                pointer.truncate(length);
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.items() else {
                return;
            };
            for (at, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{at}"));
                doubts(schema, item, pointer, problems);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "tests/body.rs"]
mod tests;
