//! The `[[source]]` table of an operation, ready to paste.

use std::fmt::{self, Write};

use openapi::operation::{Operation, Parameter};

use super::credentials::print_credentials;
use crate::config::example::{example_value, placeholder};
use crate::config::example_body::body_skeleton;
use crate::domain::toml_text::{bare_or_quoted, quoted_value};

/// The argument that stands for no parameter, but for the server.
pub const BASE_URL: &str = "base_url";

/// The `[[source]]` of an operation, with these arguments: names and TOML values. An empty line is
/// behind it.
pub fn source_table(
    operation: &'static Operation,
    name_api: bool,
    name: &str,
    arguments: &[(String, String)],
) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_source(&mut out, operation, name_api, name, arguments);
    out
}

fn write_source(
    out: &mut String,
    operation: &'static Operation,
    name_api: bool,
    name: &str,
    arguments: &[(String, String)],
) -> fmt::Result {
    let given = |name: &str| arguments.iter().find(|it| it.0 == name).map(|it| &it.1);
    writeln!(out, "[[source]]")?;
    writeln!(out, "name = {}", quoted_value(name))?;
    writeln!(out, "operation = {}", quoted_value(&operation.id))?;
    if name_api {
        writeln!(out, "api = {}", quoted_value(&operation.api))?;
    }
    if let Some(url) = given(BASE_URL) {
        writeln!(out, "base_url = {url}")?;
    } else if operation.base_url(None).is_err() {
        writeln!(
            out,
            "base_url = \"http://…\"       # the OpenAPI file names no server"
        )?;
    }
    // Required parameters, and those that select fields: without them many APIs respond without
    // values. Other examples are arbitrary dates and places.
    let is_given = |it: &Parameter| given(&it.argument).is_some();
    let (pasted, others): (Vec<_>, Vec<_>) = operation
        .parameters
        .iter()
        .filter(|it| !it.filled_by_security)
        .filter(|it| it.required || is_given(it) || has_example(operation, it))
        .partition(|it| it.required || is_given(it) || selects_fields(it));
    let as_toml = |parameters: &[&'static Parameter]| {
        let spelled = parameters.iter().map(|it| {
            let value = given(&it.argument).cloned();
            let value = value.unwrap_or_else(|| placeholder(operation, it));
            format!("{} = {value}", bare_or_quoted(&it.argument))
        });
        spelled.collect::<Vec<_>>().join(", ")
    };
    if !pasted.is_empty() {
        writeln!(out, "params = {{ {} }}", as_toml(&pasted))?;
    }
    if !others.is_empty() {
        writeln!(out, "# examples of the OpenAPI file: {}", as_toml(&others))?;
    }
    if let Some(body) = body_skeleton(operation) {
        writeln!(out, "body = {body}")?;
    }
    print_credentials(out, operation)?;
    writeln!(out, "every = \"5m\"\n")
}

/// Whether the parameter itself has a valid example or default.
fn has_example(operation: &Operation, parameter: &'static Parameter) -> bool {
    let is_empty = matches!(parameter.example.as_str(), "" | "\"\"" | "[]" | "[\"\"]");
    !is_empty && example_value(operation, parameter).is_some()
}

/// Whether a parameter is a list of enum values, such as a list of fields.
fn selects_fields(parameter: &Parameter) -> bool {
    let items = parameter.schema.items();
    items.is_some_and(|items| !items.literals().is_empty())
}
