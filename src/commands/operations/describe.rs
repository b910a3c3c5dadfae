//! One operation for a person: what it returns and takes, as comments, and its `[[source]]`.

use std::fmt::Write;

use openapi::operation::{Location, Operation, Parameter, RequestBody};
use openapi::schema::{Literal, Schema, Types};

use super::source_table::source_table;
use crate::domain::text::{escape_controls, truncate_list};

/// Maximum number of response fields listed.
const MAX_LEAVES: usize = 12;
/// Schemas that are searched for them: types that contain each other have no end.
const MAX_SCHEMAS: usize = 2_000;
/// Maximum number of fields of a request body listed.
const MAX_FIELDS: usize = 16;
/// Maximum number of enum values listed.
const MAX_VALUES: usize = 8;
/// Characters of a comment: a text of the OpenAPI file may have any length.
const COMMENT_CHARS: usize = 400;

/// A line of a comment, whatever characters the text has.
pub fn comment(text: &str) -> String {
    let mut line = escape_controls(text.trim_end());
    if let Some((end, _)) = line.char_indices().nth(COMMENT_CHARS) {
        line.truncate(end);
        line.push('…');
    }
    format!("# {line}\n")
}

/// The comments and the `[[source]]` of an operation, with an empty line behind it.
pub fn describe(operation: &'static Operation, name_api: bool, name: &str) -> String {
    let (method, path) = (operation.method.name(), &operation.path);
    let summary = match operation.summary.trim() {
        "" => "(no summary)",
        summary => summary,
    };
    let deprecated = if operation.deprecated {
        " (deprecated)"
    } else {
        ""
    };
    let mut out = comment(&format!("{method} {path}: {summary}{deprecated}"));
    let leaves = Leaves::of(operation.response());
    out += &match leaves.as_slice() {
        [] => {
            comment("returns: not declared in the OpenAPI file; `main-node once` shows the records")
        }
        leaves => comment(&format!("returns: {}", truncate_list(leaves, MAX_LEAVES))),
    };
    for parameter in &operation.parameters {
        if !parameter.filled_by_security {
            out += &describe_parameter(parameter);
        }
    }
    if let Some(body) = &operation.request_body {
        describe_body(&mut out, body);
    }
    out + &source_table(operation, name_api, name, &[])
}

/// The body of a POST and its fields.
fn describe_body(out: &mut String, body: &'static RequestBody) {
    let (need, media_type) = (need(body.required), &body.media_type);
    let schema = body.schema.get();
    let properties = schema.properties();
    let what = if properties.is_empty() {
        schema.describe()
    } else {
        "a table".to_owned()
    };
    *out += &comment(&format!("  body: {what}, {need}, sent as {media_type}"));
    for property in properties.iter().take(MAX_FIELDS) {
        *out += &comment(&format!(
            "    {}: {}, {}",
            property.name,
            describe_values(property.schema.get()),
            self::need(property.required)
        ));
    }
    match properties.len().saturating_sub(MAX_FIELDS) {
        0 => {}
        more => *out += &comment(&format!("    … and {more} more fields")),
    }
}

fn need(required: bool) -> &'static str {
    if required { "required" } else { "optional" }
}

fn describe_parameter(parameter: &Parameter) -> String {
    let need = need(parameter.required);
    let place = match parameter.location {
        Location::Query => "",
        Location::Path => ", in the path",
        Location::Header => ", a header",
        Location::Cookie => ", a cookie",
    };
    comment(&format!(
        "  {}: {}, {need}{place}{}",
        parameter.argument,
        describe_values(parameter.schema.get()),
        first_sentence(&parameter.description)
    ))
}

/// The numeric leaves that a schema declares, as dotted paths.
#[derive(Default)]
struct Leaves {
    found: Vec<String>,
    visited: usize,
}

impl Leaves {
    fn of(schema: &'static Schema) -> Vec<String> {
        let mut leaves = Leaves::default();
        leaves.collect(schema, "", 0);
        leaves.found
    }

    fn collect(&mut self, schema: &'static Schema, path: &str, depth: usize) {
        self.visited += 1;
        // Limits recursive schemas.
        if depth > 5 || self.found.len() > MAX_LEAVES || self.visited > MAX_SCHEMAS {
            return;
        }
        let join = |name: &str| match path {
            "" => name.to_owned(),
            _ => format!("{path}.{name}"),
        };
        for property in schema.properties() {
            self.collect(property.schema.get(), &join(&property.name), depth + 1);
        }
        if let Some(items) = schema.items() {
            self.collect(items, &join("0"), depth + 1);
        }
        for variant in schema.variants() {
            self.collect(variant.get(), path, depth + 1);
        }
        let is_numeric = [Types::NUMBER, Types::INTEGER, Types::BOOLEAN]
            .iter()
            .any(|kind| schema.types.has(*kind));
        let is_known = || self.found.iter().any(|it| it == path);
        if is_numeric && !schema.types.is_any() && !path.is_empty() && !is_known() {
            self.found.push(path.to_owned());
        }
    }
}

fn describe_values(schema: &'static Schema) -> String {
    let of = match schema.items() {
        Some(items) => items,
        None => schema,
    };
    let literals = of.literals();
    let values: Vec<String> = literals.iter().take(MAX_VALUES + 1).map(shown).collect();
    let list = if schema.items().is_some() {
        "a list of "
    } else {
        ""
    };
    if values.is_empty() {
        schema.describe()
    } else {
        format!("{list}{}", truncate_list(&values, MAX_VALUES))
    }
}

fn shown(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Boolean(truth) => truth.to_string(),
        Literal::Number(number) => number.clone(),
        Literal::Text(text) => format!("{text:?}"),
        Literal::Json(json) => json.clone(),
    }
}

/// The first sentence of a description, on one line.
fn first_sentence(description: &str) -> String {
    let mut line = String::new();
    for word in description.split_whitespace() {
        let _ = write!(line, "{}{word}", if line.is_empty() { ": " } else { " " });
        if word.ends_with('.') || line.len() > 160 {
            break;
        }
    }
    line.chars().take(122).collect()
}
