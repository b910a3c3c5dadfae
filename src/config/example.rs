//! Example configurations: the built-in one, the house of `demo`, and one for other compiled-in APIs.

use super::example_body::{self, body_skeleton};
use crate::domain::toml_text::bare_or_quoted;
use openapi::operation::{Api, Argument, Operation, Parameter, fits};
use openapi::schema::{Literal, Schema, Types};
use serde_json::Value;

/// The configuration without a file: the weather in Berlin.
pub const EXAMPLE: &str = include_str!("example.toml");
const EXAMPLE_OPERATION: &str = "getForecast";

/// The configuration of `demo`: a simulated house.
pub const DEMO_HOUSE: &str = include_str!("demo.toml");

/// Bytes of a source name that is made of an operation's: a source's has 40.
const SOURCE_NAME_BYTES: usize = 36;

/// Maximum sources of a demo for other APIs than the example's.
const DEMO_SOURCES: usize = 6;

/// The house, which needs the operation of the example; where that is not compiled in one source for each of the first
/// operations whose required parameters have examples or defaults.
pub fn demo_text(apis: &[&'static Api]) -> String {
    let operations = || apis.iter().flat_map(|api| api.operations.iter());
    if operations().any(|it| it.api == "open_meteo" && it.id == EXAMPLE_OPERATION) {
        return DEMO_HOUSE.to_owned();
    }
    let mut text = String::new();
    for operation in operations().filter(|it| has_values(it)).take(DEMO_SOURCES) {
        let params: Vec<String> = required(operation)
            .map(|it| {
                format!(
                    "{} = {}",
                    bare_or_quoted(&it.argument),
                    placeholder(operation, it)
                )
            })
            .collect();
        let name = source_name(&operation.id);
        let body = body_skeleton(operation).map(|it| format!("body = {it}\n"));
        text += &format!(
            "[[source]]\nname = {name:?}\noperation = {:?}\napi = {:?}\nprefix = \"{name}.\"\n\
             params = {{ {} }}\n{}",
            operation.id,
            operation.api,
            params.join(", "),
            body.unwrap_or_default()
        );
    }
    text
}

/// Whether a simulated response has any values.
fn has_values(operation: &Operation) -> bool {
    let response = operation.response();
    let declared = operation.request_body.as_ref();
    if declared.is_some_and(|it| it.required) && body_skeleton(operation).is_none() {
        return false;
    }
    let has_shape = response.types.has(Types::OBJECT) || response.types.has(Types::LIST);
    has_shape
        && !response.types.is_any()
        && required(operation).all(|it| {
            let is_plain = it.schema.variants().is_empty() && it.schema.pattern().is_none();
            is_plain || example_value(operation, it).is_some()
        })
}

fn required(operation: &Operation) -> impl Iterator<Item = &Parameter> {
    let parameters = operation.parameters.iter();
    parameters.filter(|it| it.required && !it.filled_by_security)
}

/// The first of these literals that TOML can spell.
fn first_as_toml(literals: &[Literal]) -> Option<String> {
    let mut values = literals.iter().map(|it| Value::from(it.clone()));
    values.find_map(|it| example_body::json_as_toml(&it))
}

/// A start value: the schema's example or default if it is valid, the first value of an enum,
/// or a placeholder.
pub fn placeholder(operation: &Operation, parameter: &Parameter) -> String {
    let schema = parameter.schema;
    if let Some(value) = example_value(operation, parameter) {
        return value;
    }
    if let Some(items) = schema.items() {
        return format!("[{}]", scalar_placeholder(items));
    }
    scalar_placeholder(&schema)
}

/// The first value of an enum, or one of the right type.
fn scalar_placeholder(schema: &Schema) -> String {
    if let Some(first) = first_as_toml(schema.literals()) {
        return first;
    }
    let types = schema.types;
    if types.has(Types::TEXT) {
        "\"…\"".to_owned()
    } else if types.has(Types::BOOLEAN) {
        "true".to_owned()
    } else if types.has(Types::NUMBER) || types.has(Types::INTEGER) {
        let least = schema.minimum().filter(|least| *least > 0.0);
        let least = least.map(|it| it.to_string());
        least
            .and_then(|it| example_body::number_as_toml(&it))
            .unwrap_or("0".to_owned())
    } else {
        "\"…\"".to_owned()
    }
}

/// The example or default of a parameter, if it is valid.
pub fn example_value(operation: &Operation, parameter: &Parameter) -> Option<String> {
    let schema = parameter.schema;
    let example = Some(parameter.example.as_str()).filter(|json| !json.is_empty());
    [example, schema.example(), schema.default_value()]
        .into_iter()
        .flatten()
        .filter(|json| {
            let value = serde_json::from_str(json).ok().and_then(argument);
            value.is_some_and(|value| fits(operation, parameter, &value))
        })
        .find_map(json_as_toml)
}

fn argument(json: Value) -> Option<Argument> {
    Some(match json {
        Value::String(text) => Argument::Text(text),
        Value::Bool(it) => Argument::Boolean(it),
        Value::Number(it) => match it.as_i64() {
            Some(it) => Argument::Integer(it),
            None => Argument::Number(it.as_f64()?),
        },
        Value::Array(items) => {
            Argument::List(items.into_iter().map(argument).collect::<Option<_>>()?)
        }
        Value::Null | Value::Object(_) => return None,
    })
}

/// A scalar or a list of scalars in TOML syntax, which is that of JSON.
fn json_as_toml(json: &str) -> Option<String> {
    let value: Value = serde_json::from_str(json).ok()?;
    let is_scalar = |it: &Value| !it.is_array() && !it.is_object();
    let is_flat = match &value {
        Value::Array(items) => items.iter().all(is_scalar),
        one => is_scalar(one),
    };
    is_flat.then(|| example_body::json_as_toml(&value))?
}

/// A source name from an operation id: without `get`, in lower case, with room for a number behind it.
pub fn source_name(id: &str) -> String {
    let bare = id.strip_prefix("get").filter(|rest| !rest.is_empty());
    let name: String = bare
        .unwrap_or(id)
        .to_lowercase()
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    let mut end = name.len().min(SOURCE_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    match name[..end].trim_matches('-') {
        "" => "source".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
#[path = "tests/example.rs"]
mod tests;
