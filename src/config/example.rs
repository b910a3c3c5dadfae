//! Example configurations: the built-in one, the house of `demo`, and one for other compiled-in APIs.

use super::example_body::body_skeleton;
use openapi::operation::{Api, Argument, Operation, Parameter, fits};
use openapi::schema::{Literal, Types};

/// The configuration without a file: the weather in Berlin.
pub const EXAMPLE: &str = include_str!("example.toml");
const EXAMPLE_OPERATION: &str = "getForecast";

/// The configuration of `demo`: a simulated house.
pub const DEMO_HOUSE: &str = include_str!("demo.toml");

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
            .map(|it| format!("{} = {}", key(&it.argument), placeholder(operation, it)))
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

/// A literal in TOML syntax.
pub fn literal_as_toml(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Boolean(truth) => truth.to_string(),
        Literal::Number(number) => number.clone(),
        Literal::Text(text) => format!("{text:?}"),
        Literal::Json(json) => json.clone(),
    }
}

/// A start value: the schema's example or default if it is valid, the first value of an enum,
/// or a placeholder.
pub fn placeholder(operation: &Operation, parameter: &Parameter) -> String {
    let schema = parameter.schema;
    if let Some(value) = example_value(operation, parameter) {
        return value;
    }
    if let Some(items) = schema.items() {
        let first = items.literals().first().map(literal_as_toml);
        return format!("[{}]", first.unwrap_or("\"…\"".to_owned()));
    }
    if let Some(first) = schema.literals().first() {
        return literal_as_toml(first);
    }
    let types = schema.types;
    if types.has(Types::TEXT) {
        "\"…\"".to_owned()
    } else if types.has(Types::BOOLEAN) {
        "true".to_owned()
    } else if types.has(Types::NUMBER) || types.has(Types::INTEGER) {
        let least = schema.minimum().filter(|least| *least > 0.0);
        least.unwrap_or(0.0).to_string()
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

fn argument(json: serde_json::Value) -> Option<Argument> {
    use serde_json::Value;
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
    use serde_json::Value;
    let is_scalar = |it: &Value| it.is_string() || it.is_number() || it.is_boolean();
    match serde_json::from_str(json).ok()? {
        Value::Array(items) => {
            let items = items.iter().map(|it| is_scalar(it).then(|| it.to_string()));
            let items = items.collect::<Option<Vec<String>>>()?;
            Some(format!("[{}]", items.join(", ")))
        }
        scalar => is_scalar(&scalar).then(|| scalar.to_string()),
    }
}

/// A source name from an operation id: without `get`, in lower case.
pub fn source_name(id: &str) -> String {
    let bare = id.strip_prefix("get").filter(|rest| !rest.is_empty());
    let name: String = bare
        .unwrap_or(id)
        .to_lowercase()
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    name.trim_matches('-').to_owned()
}

/// A TOML key, quoted if necessary.
pub fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.chars().all(is_bare) && !name.is_empty() {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

#[cfg(test)]
#[path = "tests/example.rs"]
mod tests;
