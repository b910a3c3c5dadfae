//! Method and body of a source's requests: `method`, `body`, `content_type`.

use serde::de::IgnoredAny;
use ureq::http::HeaderValue;

use super::arguments::{add_secrets, argument_as_toml, read_argument};
use super::operation_body::read_operation_method;
use super::placeholders::{add_quoted_secrets, add_text_secrets, read_template, sample_time};
use crate::config::reader::{TableEntry, TableReader};
use crate::config::request_types::{ConfiguredBody, Header, RequestMethod};
use crate::config::section::text;
use crate::config::types::{SourceConfig, SourceTarget};
use crate::domain::secret_detection::is_secret_name;
use crate::limits;
use toml::de::DeValue;

const JSON: &str = "application/json";

/// `None` where the options contradict each other, which is reported.
pub fn read_method(
    table: &mut TableReader<'_>,
    target: Option<&SourceTarget>,
    headers: &[Header],
) -> Option<RequestMethod> {
    if let Some(SourceTarget::Operation { operation, .. }) = target {
        return read_operation_method(table, operation);
    }
    let method = table.get("method");
    let body = table.get("body");
    let content_type = table.get("content_type");
    if let Some(SourceTarget::Follow { .. }) = target {
        let given = [method, body, content_type].into_iter().flatten();
        let count = given.map(|item| {
            item.problem(format!(
                "`{}` has no effect on a `follow` source, which is always read by GET: remove it",
                item.key()
            ));
        });
        return (count.count() == 0).then_some(RequestMethod::Get);
    }
    if let Some(SourceTarget::Unavailable { .. }) = target {
        return None;
    }
    let method = match &method {
        None => None,
        Some(item) => Some(read_method_name(item)?),
    };
    if method == Some("GET")
        && let Some(body) = &body
    {
        body.problem("a GET request has no body: write method = \"POST\", or remove `body`");
        return None;
    }
    let Some(body) = body else {
        if let Some(content_type) = content_type {
            content_type.problem(
                "`content_type` is the type of a `body`: add body = \"…\", or remove `content_type`",
            );
            return None;
        }
        return Some(match method {
            Some("POST") => RequestMethod::Post(None),
            _ => RequestMethod::Get,
        });
    };
    let body = read_body(&body, content_type.as_ref(), headers)?;
    Some(RequestMethod::Post(Some(body)))
}

fn read_method_name(item: &TableEntry<'_>) -> Option<&'static str> {
    let name = item.text_as("\"GET\" or \"POST\"")?;
    let known = ["GET", "POST"].into_iter().find(|it| *it == name);
    if known.is_none() {
        item.problem(format!(
            "main-node only reads: expected method = \"GET\" or \"POST\", found {name:?}"
        ));
    }
    known
}

fn read_body(
    item: &TableEntry<'_>,
    content_type: Option<&TableEntry<'_>>,
    headers: &[Header],
) -> Option<ConfiguredBody> {
    let header = headers
        .iter()
        .find(|it| it.name.eq_ignore_ascii_case("content-type"))
        .map(|it| it.value.reveal());
    match item.value() {
        DeValue::Table(_) => {
            let argument = read_argument(item, limits::REQUEST_BODY_DEPTH, "a body")?;
            add_secrets(item, "", &argument, false);
            if let Some(content_type) = content_type {
                content_type.problem(format!(
                    "a `body` that is a table is sent as {JSON}: remove `content_type`, or write \
                     `body` as a text"
                ));
                return None;
            }
            if header.is_some_and(|header| !is_same_type(header, JSON)) {
                item.problem(format!(
                    "a `body` that is a table is sent as {JSON}, and the header Content-Type says \
                     otherwise: remove the header, or write `body` as a text with content_type = \"…\""
                ));
                return None;
            }
            Some(ConfiguredBody::Json(argument))
        }
        DeValue::String(_) => {
            let text = item.text()?;
            let template = read_template(item, &text)?;
            let filled = template.fill(&sample_time());
            add_secrets_of_text(item, &text, &filled);
            let content_type = match (content_type, header) {
                (Some(content_type), header) => read_content_type(content_type, header)?,
                (None, Some(header)) => header.to_owned(),
                (None, None) if is_json(&filled) => JSON.to_owned(),
                (None, None) if filled.trim_start().starts_with(['{', '[']) => {
                    let error = serde_json::from_str::<IgnoredAny>(&filled).err();
                    item.problem(format!(
                        "the text of `body` begins as JSON, but is not valid{}: write it as a table, or \
                         add content_type = \"…\" if it is something else",
                        error.map_or(String::new(), |it| format!(" ({it})"))
                    ));
                    return None;
                }
                (None, None) => {
                    item.problem(
                        "the text of `body` is not JSON, and nothing says what it is: add \
                         content_type = \"…\", such as \"application/x-www-form-urlencoded\" or \
                         \"text/xml\"",
                    );
                    return None;
                }
            };
            Some(ConfiguredBody::Text { text, content_type })
        }
        _ => {
            item.expected("a table (sent as JSON) or a text (a list as JSON: body = '[1, 2]')");
            None
        }
    }
}

fn read_content_type(item: &TableEntry<'_>, header: Option<&str>) -> Option<String> {
    const WHAT: &str = "a media type such as \"application/json\" or \"text/xml; charset=utf-8\"";
    let text = item.text_as(WHAT)?;
    let (kind, subtype) = text.split_once('/').unwrap_or_default();
    if kind.is_empty() || subtype.is_empty() || HeaderValue::from_str(&text).is_err() {
        item.expected(WHAT);
        return None;
    }
    if header.is_some_and(|header| !is_same_type(header, &text)) {
        item.problem("`content_type` and the header Content-Type differ: remove the header");
        return None;
    }
    Some(text)
}

/// Whether two media types are the same, whatever their parameters.
fn is_same_type(one: &str, other: &str) -> bool {
    let essence = |text: &str| {
        let text = text.split(';').next().unwrap_or_default();
        text.trim().to_ascii_lowercase()
    };
    essence(one) == essence(other)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Registers values by their names, where the text is JSON, XML or a form.
pub fn add_secrets_of_text(item: &TableEntry<'_>, text: &str, filled: &str) {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(filled) {
        add_json_secrets(item, "", &json, false);
        return;
    }
    add_quoted_secrets(item, text);
    for element in text.split('<').skip(1) {
        let (tag, value) = element.split_once('>').unwrap_or((element, ""));
        let name = tag.split([' ', '/', '\n', '\r', '\t']).next();
        if name.is_some_and(is_secret_name) && !value.trim().is_empty() {
            add_text_secrets(item, value.trim());
        }
    }
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        if is_secret_name(name) {
            add_text_secrets(item, value);
            item.add_secret(crate::domain::percent::decode_lossy(value));
        }
    }
}

fn add_json_secrets(item: &TableEntry<'_>, name: &str, value: &serde_json::Value, is_secret: bool) {
    use serde_json::Value::*;
    let is_secret = is_secret || is_secret_name(name);
    match value {
        Array(items) => items
            .iter()
            .for_each(|value| add_json_secrets(item, name, value, is_secret)),
        Object(fields) => fields
            .iter()
            .for_each(|(name, value)| add_json_secrets(item, name, value, is_secret)),
        String(text) if is_secret => item.add_secret(text.as_str()),
        Number(number) if is_secret => item.add_secret(number.to_string()),
        String(text) => add_quoted_secrets(item, text),
        Number(_) | Bool(_) | Null => {}
    }
}

pub fn print_method(source: &SourceConfig) -> Option<String> {
    match source.method {
        RequestMethod::Get => None,
        RequestMethod::Post(_) => text("POST"),
    }
}

pub fn print_body(source: &SourceConfig) -> Option<String> {
    match &source.method {
        RequestMethod::Post(Some(ConfiguredBody::Json(argument))) => {
            Some(argument_as_toml(argument))
        }
        RequestMethod::Post(Some(ConfiguredBody::Text { text: body, .. })) => text(body),
        RequestMethod::Get | RequestMethod::Post(None) => None,
    }
}

pub fn print_content_type(source: &SourceConfig) -> Option<String> {
    match &source.method {
        RequestMethod::Post(Some(ConfiguredBody::Text { content_type, .. })) => text(content_type),
        _ => None,
    }
}
