//! Method and body of a source with an `operation`: what its OpenAPI file declares.

use openapi::operation::{
    BodyEncoding, BodyProblem, BodyProblemKind, Method, Operation, RequestBody, check_body,
};
use serde_json::Value;
use toml::de::DeValue;

use super::arguments::{add_secrets, read_argument};
use super::body::add_secrets_of_text;
use super::placeholders::{read_template, sample_time};
use crate::api::argument_template::{ArgumentTemplate, fill_body};
use crate::config::example_body::body_skeleton;
use crate::config::problem::Severity;
use crate::config::reader::{TableEntry, TableReader};
use crate::config::request_types::{ConfiguredBody, RequestMethod};
use crate::domain::placeholder::Template;
use crate::domain::redact::MASK;
use crate::domain::secret_detection::is_secret_name;
use crate::domain::value_path::unescape;
use crate::limits;

/// `None` where the options do not fit the operation, which is reported.
pub fn read_operation_method(
    table: &mut TableReader<'_>,
    operation: &'static Operation,
) -> Option<RequestMethod> {
    let mut fits = true;
    let name = operation.method.name();
    if let Some(method) = table.get("method")
        && method.text().is_some_and(|it| it != name)
    {
        method.problem(format!(
            "the OpenAPI file says that {} is a {name}: remove `method`",
            operation.id
        ));
        fits = false;
    }
    let declared = operation.request_body.as_ref();
    if let Some(content_type) = table.get("content_type")
        && content_type
            .text()
            .is_some_and(|it| declared.is_none_or(|body| body.media_type != it))
    {
        content_type.problem(format!(
            "the OpenAPI file says what {} is sent as: remove `content_type`",
            operation.id
        ));
        fits = false;
    }
    let body = table.get("body");
    let method = match (operation.method, body) {
        (Method::Get, None) => Some(RequestMethod::Get),
        (Method::Get, Some(body)) => {
            body.problem(format!(
                "{} is a GET, which has no body: remove `body`",
                operation.id
            ));
            None
        }
        (Method::Post, None) => {
            read_without_body(table, operation).then_some(RequestMethod::Post(None))
        }
        (Method::Post, Some(body)) => {
            read_body(&body, operation).map(|body| RequestMethod::Post(Some(body)))
        }
    };
    method.filter(|_| fits)
}

fn read_without_body(table: &mut TableReader<'_>, operation: &'static Operation) -> bool {
    if check_body(operation, None).is_empty() {
        return true;
    }
    let skeleton = body_skeleton(operation);
    let message = format!(
        "{} is a POST that needs a body: add body = {}",
        operation.id,
        skeleton.as_deref().unwrap_or("…")
    );
    match table.get("operation") {
        Some(entry) => entry.problem(message),
        None => table.problem(message),
    }
    false
}

fn read_body(item: &TableEntry<'_>, operation: &'static Operation) -> Option<ConfiguredBody> {
    let Some(declared) = &operation.request_body else {
        item.problem(format!(
            "the OpenAPI file declares no body of {}: remove `body`",
            operation.id
        ));
        return None;
    };
    match item.value() {
        DeValue::Table(_) | DeValue::Array(_) => read_value(item, operation, declared),
        DeValue::String(_) => read_text(item, operation, declared),
        _ => {
            item.expected("a table or a text");
            None
        }
    }
}

fn read_value(
    item: &TableEntry<'_>,
    operation: &'static Operation,
    declared: &'static RequestBody,
) -> Option<ConfiguredBody> {
    let argument = read_argument(item, limits::REQUEST_BODY_DEPTH, "a body")?;
    add_secrets(item, "", &argument, false);
    let template = ArgumentTemplate::new(&argument);
    let filled = fill_body(declared.schema.get(), &template, &sample_time());
    let mut fits = true;
    for problem in check_body(operation, Some(&filled.to_json())) {
        fits &= problem.is_doubt();
        report(item, operation, &problem);
    }
    fits.then_some(ConfiguredBody::Json(argument))
}

fn read_text(
    item: &TableEntry<'_>,
    operation: &'static Operation,
    declared: &'static RequestBody,
) -> Option<ConfiguredBody> {
    let text = item.text()?;
    let filled = read_template(item, &text)?.fill(&sample_time());
    add_secrets_of_text(item, &text, &filled);
    let value = match declared.encoding {
        BodyEncoding::Form | BodyEncoding::Text => Value::String(filled),
        BodyEncoding::Json => match serde_json::from_str(&filled) {
            Ok(value) => value,
            Err(error) => {
                item.problem(format!(
                    "the text of `body` is not JSON, as {} needs it (line {}, column {} of the \
                     text): correct it, or write a table",
                    operation.id,
                    error.line(),
                    error.column()
                ));
                return None;
            }
        },
    };
    let raw = item.value().as_str().unwrap_or_default();
    let has_variable = raw.contains("${");
    let mut fits = true;
    for problem in check_body(operation, Some(&value)) {
        fits &= problem.is_doubt();
        let found = has_variable.then(|| MASK.to_owned());
        let message = message(operation, &problem, found);
        if problem.is_doubt() {
            item.remark(Severity::Note, message);
        } else {
            item.problem(message);
        }
    }
    let content_type = declared.media_type.clone();
    fits.then_some(ConfiguredBody::Text { text, content_type })
}

/// A problem at the innermost entry of the body that is there.
fn report(body: &TableEntry<'_>, operation: &Operation, problem: &BodyProblem) {
    let mut entry = body.clone();
    let mut is_there = true;
    for part in problem.pointer.split('/').skip(1) {
        let name = unescape(part);
        let inner = match entry.value() {
            DeValue::Array(_) => name
                .parse()
                .ok()
                .and_then(|at: usize| entry.tables().into_iter().nth(at)),
            DeValue::Table(_) => entry.entries().into_iter().find(|it| it.key() == name),
            _ => None,
        };
        match inner {
            Some(inner) => entry = inner,
            None => {
                is_there = false;
                break;
            }
        }
    }
    let found = is_there.then(|| found(&entry, problem));
    let message = message(operation, problem, found);
    if problem.is_doubt() {
        entry.remark(Severity::Note, message);
    } else {
        entry.problem(message);
    }
}

/// What was found at an entry; where it has the date, what that is now.
fn found(entry: &TableEntry<'_>, problem: &BodyProblem) -> String {
    let is_secret = is_secret(problem);
    let found = entry.found(is_secret);
    let text = entry.value().as_str().unwrap_or_default();
    let is_dated = Template::parse(text).is_ok_and(|it| it.has_placeholders());
    // A variable may hold a secret.
    if is_dated && !is_secret && !text.contains("${") {
        format!("{found}, now {}", problem.found)
    } else {
        found
    }
}

fn is_secret(problem: &BodyProblem) -> bool {
    problem.pointer.split('/').any(is_secret_name)
}

/// `found` is what the entry shows of itself; a sample of what a text holds may be a secret.
fn message(operation: &Operation, problem: &BodyProblem, found: Option<String>) -> String {
    let place = match problem.pointer.strip_prefix('/') {
        None => format!("`body` of {}", operation.id),
        Some(place) => format!("`{place}` in the body of {}", operation.id),
    };
    let found = match found {
        _ if problem.kind != BodyProblemKind::Value => problem.found.clone(),
        Some(found) => found,
        None if is_secret(problem) => MASK.to_owned(),
        None => problem.found.clone(),
    };
    let (expected, change) = (&problem.expected, &problem.change);
    format!("{place}: expected {expected}, found {found}; {change}")
}

#[cfg(test)]
#[path = "tests/operation_body.rs"]
mod tests;
