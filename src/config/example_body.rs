//! Example request bodies of POST operations: what to begin with, in TOML.

use openapi::operation::{BodyEncoding, Operation, check_body};
use openapi::schema::{Literal, Schema, Types};
use serde_json::{Map, Value};

use crate::domain::toml_text::{bare_or_quoted, quoted_value};
use crate::limits;

/// A `body` to begin with: the example of the OpenAPI file if it is short and valid, else its
/// required fields. `None` if the operation has no body, or none is needed and none is shown.
pub fn body_skeleton(operation: &Operation) -> Option<String> {
    let declared = operation.request_body.as_ref()?;
    let shown: Option<Value> = serde_json::from_str(&declared.example).ok();
    let is_text = declared.encoding == BodyEncoding::Text;
    let shown = shown.filter(|it| it.is_string() == is_text && !it.is_null());
    if let Some(shown) = &shown
        && declared.example.len() <= limits::EXAMPLE_BODY_BYTES
        && check_body(operation, Some(shown)).is_empty()
        && let Some(toml) = json_as_toml(shown)
    {
        return Some(toml);
    }
    let made = if is_text {
        Value::from("…")
    } else {
        skeleton(declared.schema.get(), shown.as_ref(), 0)
    };
    let is_empty = made.as_object().is_some_and(Map::is_empty);
    if is_empty && !declared.required {
        return None;
    }
    json_as_toml(&made)
}

/// The required fields of a schema, from an example where it has them.
fn skeleton(schema: &'static Schema, shown: Option<&Value>, depth: usize) -> Value {
    let mut properties = schema.properties().iter().peekable();
    if properties.peek().is_some() && depth < limits::EXAMPLE_BODY_DEPTH {
        let required = properties.filter(|it| it.required).map(|it| {
            let shown = shown.and_then(|shown| shown.get(&it.name));
            let value = skeleton(it.schema.get(), shown, depth + 1);
            (it.name.clone(), value)
        });
        return Value::Object(required.collect());
    }
    if let Some(shown) = shown
        && json_as_toml(shown).is_some_and(|it| it.len() <= limits::EXAMPLE_BODY_BYTES)
    {
        return shown.clone();
    }
    let declared = [schema.example(), schema.default_value()];
    let declared = declared.into_iter().flatten();
    if let Some(value) = declared
        .filter_map(|it| serde_json::from_str(it).ok())
        .next()
    {
        return value;
    }
    let mut literals = schema.literals().iter();
    if let Some(first) = literals.find(|it| **it != Literal::Null) {
        return Value::from(first.clone());
    }
    if let Some(first) = schema
        .variants()
        .first()
        .filter(|_| depth < limits::EXAMPLE_BODY_DEPTH)
    {
        return skeleton(first.get(), None, depth + 1);
    }
    placeholder(schema, depth)
}

fn placeholder(schema: &'static Schema, depth: usize) -> Value {
    let types = schema.types;
    if types.has(Types::TEXT) && !types.is_any() {
        let text = match schema.format() {
            Some("date") => "{today}",
            Some("date-time") => "{now}",
            _ => "…",
        };
        Value::from(text)
    } else if types.is_any() {
        Value::from("…")
    } else if types.has(Types::OBJECT) {
        Value::Object(Map::new())
    } else if types.has(Types::LIST) {
        let items = schema
            .items()
            .filter(|_| depth < limits::EXAMPLE_BODY_DEPTH);
        let items = items.map(|items| skeleton(items, None, depth + 1));
        Value::Array(items.into_iter().collect())
    } else if types.has(Types::BOOLEAN) {
        Value::from(true)
    } else {
        let least = schema.minimum().filter(|least| *least > 0.0).unwrap_or(0.0);
        let number = serde_json::from_str(&least.to_string());
        number.unwrap_or_else(|_| Value::from(0))
    }
}

/// A value on one line of TOML; `None` if it has what TOML lacks.
pub fn json_as_toml(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number_as_toml(&number.to_string())?,
        Value::String(text) => quoted_value(text),
        Value::Array(items) => {
            let items = items.iter().map(json_as_toml).collect::<Option<Vec<_>>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                Some(format!(
                    "{} = {}",
                    bare_or_quoted(name),
                    json_as_toml(value)?
                ))
            };
            let fields = fields.iter().map(field).collect::<Option<Vec<_>>>()?;
            format!("{{ {} }}", fields.join(", "))
        }
    })
}

/// An integer beyond 64 bits is none of TOML.
pub fn number_as_toml(number: &str) -> Option<String> {
    let is_float = number.contains(['.', 'e', 'E']);
    (is_float || number.parse::<i64>().is_ok()).then(|| number.to_owned())
}

#[cfg(test)]
#[path = "tests/example_body.rs"]
mod tests;
