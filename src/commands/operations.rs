//! `main-node operations`: lists the compiled-in operations, each ready to paste as
//! `[[source]]`.

mod credentials;

use std::fmt::Write;

use self::credentials::print_credentials;
pub use self::credentials::variable as variable_name;
use crate::config::example::{example_value, key, literal_as_toml, placeholder, source_name};
use crate::config::example_body::body_skeleton;
use crate::domain::text::truncate_list;
use crate::domain::toml_text::quoted_value;
use openapi::operation::{Api, Location, Operation, Parameter, RequestBody};
use openapi::schema::{Schema, Types};

/// Maximum number of response fields listed.
const MAX_LEAVES: usize = 12;
/// Maximum number of fields of a request body listed.
const MAX_FIELDS: usize = 16;
/// The argument that stands for no parameter, but for the server.
pub const BASE_URL: &str = "base_url";
/// Maximum number of enum values listed.
const MAX_VALUES: usize = 8;

/// The operations that have all `words` in their id, path or summary.
pub fn list(apis: &[&'static Api], words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let is_wanted = |operation: &Operation| {
        let text = format!(
            "{} {} {} {}",
            operation.api, operation.id, operation.path, operation.summary
        );
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let mut out = String::new();
    let mut count = 0;
    for api in apis {
        let wanted: Vec<_> = api.operations.iter().filter(|it| is_wanted(it)).collect();
        count += wanted.len();
        if wanted.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "# {} {} ({}): {} of {} operations\n",
            api.title,
            api.version,
            api.source_file,
            wanted.len(),
            api.operations.len()
        );
        let several = apis.len() > 1;
        for operation in wanted {
            let _ = describe(&mut out, operation, several);
        }
    }
    if count == 0 {
        let all: usize = apis.iter().map(|api| api.operations.len()).sum();
        let _ = writeln!(
            out,
            "# none of the {all} compiled-in operations has {:?} in its id, path or summary",
            words.join(" ")
        );
    }
    out
}

fn describe(out: &mut String, operation: &'static Operation, name_api: bool) -> std::fmt::Result {
    let summary = operation.summary.trim();
    let summary = if summary.is_empty() {
        "(no summary)"
    } else {
        summary
    };
    let deprecated = if operation.deprecated {
        " (deprecated)"
    } else {
        ""
    };
    let method = operation.method.name();
    writeln!(out, "# {method} {}: {summary}{deprecated}", operation.path)?;
    let mut leaves = Vec::new();
    collect_leaves(operation.response(), "", 0, &mut leaves);
    if leaves.is_empty() {
        writeln!(
            out,
            "# returns: not declared in the OpenAPI file; `main-node once` shows the records"
        )?;
    } else {
        writeln!(out, "# returns: {}", truncate_list(&leaves, MAX_LEAVES))?;
    }
    for parameter in &operation.parameters {
        if !parameter.filled_by_security {
            writeln!(out, "{}", describe_parameter(parameter))?;
        }
    }
    if let Some(body) = &operation.request_body {
        describe_body(out, body)?;
    }
    write_source(out, operation, name_api, &source_name(&operation.id), &[])
}

/// The `[[source]]` of an operation, with these arguments: names and TOML values.
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

/// The body of a POST and its fields.
fn describe_body(out: &mut String, body: &'static RequestBody) -> std::fmt::Result {
    let need = need(body.required);
    let schema = body.schema.get();
    let properties = schema.properties();
    if properties.is_empty() {
        let what = schema.describe();
        return writeln!(out, "#   body: {what}, {need}, sent as {}", body.media_type);
    }
    writeln!(
        out,
        "#   body: a table, {need}, sent as {}",
        body.media_type
    )?;
    for property in properties.iter().take(MAX_FIELDS) {
        writeln!(
            out,
            "#     {}: {}, {}",
            property.name,
            describe_values(property.schema.get()),
            self::need(property.required)
        )?;
    }
    match properties.len().saturating_sub(MAX_FIELDS) {
        0 => Ok(()),
        more => writeln!(out, "#     … and {more} more fields"),
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
    format!(
        "#   {}: {}, {need}{place}{}",
        parameter.argument,
        describe_values(parameter.schema.get()),
        first_sentence(&parameter.description)
    )
}

/// The `[[source]]` to paste.
fn write_source(
    out: &mut String,
    operation: &'static Operation,
    name_api: bool,
    name: &str,
    arguments: &[(String, String)],
) -> std::fmt::Result {
    let given = |name: &str| arguments.iter().find(|it| it.0 == name).map(|it| &it.1);
    writeln!(out, "[[source]]")?;
    writeln!(out, "name = {}", quoted_value(name))?;
    writeln!(out, "operation = {:?}", operation.id)?;
    if name_api {
        writeln!(out, "api = {:?}", operation.api)?;
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
            format!("{} = {value}", key(&it.argument))
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

/// The numeric leaves that a schema declares, as dotted paths.
fn collect_leaves(schema: &'static Schema, path: &str, depth: usize, leaves: &mut Vec<String>) {
    // Limits recursive schemas.
    if depth > 5 || leaves.len() > MAX_LEAVES {
        return;
    }
    let join = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    for property in schema.properties() {
        collect_leaves(
            property.schema.get(),
            &join(&property.name),
            depth + 1,
            leaves,
        );
    }
    if let Some(items) = schema.items() {
        collect_leaves(items, &join("0"), depth + 1, leaves);
    }
    for variant in schema.variants() {
        collect_leaves(variant.get(), path, depth + 1, leaves);
    }
    let is_numeric = [Types::NUMBER, Types::INTEGER, Types::BOOLEAN]
        .iter()
        .any(|kind| schema.types.has(*kind));
    if is_numeric && !schema.types.is_any() && !path.is_empty() {
        leaves.push(path.to_owned());
    }
}

fn describe_values(schema: &'static Schema) -> String {
    let of = match schema.items() {
        Some(items) => items,
        None => schema,
    };
    let values: Vec<String> = of.literals().iter().map(literal_as_toml).collect();
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

/// The first sentence of a description, on one line.
fn first_sentence(description: &str) -> String {
    let line = description.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.find(". ").map_or(line.len(), |at| at + 1);
    match line[..end].chars().take(120).collect::<String>() {
        empty if empty.is_empty() => empty,
        sentence => format!(": {sentence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::client::APIS;
    use crate::config::environment::Environment;
    use crate::config::{Overrides, load};

    #[test]
    fn printed_operations_can_be_pasted() {
        let printed = list(&APIS, &[]);
        let place = crate::golden::scratch("operations");
        let file = place.join("main-node.toml");
        std::fs::write(&file, &printed).expect("a file");
        let overrides = Overrides {
            file: Some(file),
            ..Overrides::default()
        };
        let config = load(&overrides, Environment::default(), &APIS);
        let config = config.unwrap_or_else(|problems| panic!("{problems:?} in\n{printed}"));
        assert_eq!(config.sources.len(), 1);
        let params = "params = { latitude = 52.52, longitude = 13.41, \
                      current = [\"temperature_2m\",\"relative_humidity_2m\"]";
        let printed = printed.replace("\", \"", "\",\"");
        assert!(printed.contains(params), "{printed}");
        std::fs::remove_dir_all(place).expect("its own directory");
    }

    #[test]
    fn words_filter_operations() {
        assert!(list(&APIS, &["FORECAST".to_owned()]).contains("[[source]]"));
        let none = list(&APIS, &["forecast".to_owned(), "tide".to_owned()]);
        assert!(
            none.starts_with("# none of the 1 compiled-in operations has"),
            "{none}"
        );
    }
}
