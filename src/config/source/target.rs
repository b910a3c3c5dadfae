//! Source target: an operation of an OpenAPI file, a URL, or another main-node.

use crate::config::api_files::Apis;
use crate::config::reader::TableReader;
use crate::config::request::arguments::{argument_as_toml, read_arguments, read_query};
use crate::config::request::url::{read_url, read_url_template};
use crate::config::section::{inline_table, text};
use crate::config::types::{SourceConfig, SourceTarget};
use crate::domain::redact::MASK;
use crate::domain::redact::without_secrets;
use crate::domain::secret_detection::is_secret_name;
use crate::domain::toml_text::{bare_or_quoted, quoted, quoted_value};
use openapi::operation::Argument;

pub fn read_target(table: &mut TableReader<'_>, apis: &Apis<'_>) -> Option<SourceTarget> {
    let targets = [
        table.get("operation"),
        table.get("url"),
        table.get("follow"),
    ];
    let api = table.get("api");
    let base_url = table.get("base_url");
    let params = table.get("params");
    let mut named = targets.iter().flatten();
    let Some(first) = named.next() else {
        table.problem(format!(
            "{} has nothing to fetch: add operation = \"…\" (`main-node operations` lists them), \
             url = \"http://…\" or follow = \"http://another-main-node:8000\"",
            table.name()
        ));
        return None;
    };
    if let Some(second) = named.next() {
        let (first, second_key) = (first.key(), second.key());
        second.problem(format!(
            "a source has one of `operation`, `url` and `follow`: remove `{first}` or `{second_key}`"
        ));
        return None;
    }
    if first.key() == "operation" {
        let found = apis.find(first, api.as_ref())?;
        let base = base_url.as_ref().and_then(|item| {
            let url = read_url(item)?;
            Some(url.trim_end_matches('/').to_owned())
        });
        let arguments = read_arguments(table, first, params.as_ref(), found);
        if base_url.is_none()
            && let Err(message) = found.base_url(None)
        {
            first.problem(message);
        }
        return Some(SourceTarget::Operation {
            operation: found,
            base,
            arguments,
        });
    }
    for item in [api, base_url].into_iter().flatten() {
        let (key, kind) = (item.key(), first.key());
        item.problem(format!(
            "`{key}` belongs to an `operation`, not to a `{kind}`"
        ));
    }
    if first.key() == "follow" {
        let url = read_url(first)?;
        if let Some(params) = params {
            params.problem("`params` has no effect on a `follow` source: remove it");
        }
        let node = url.trim_end_matches('/').to_owned();
        return Some(SourceTarget::Follow { node });
    }
    let url = read_url_template(first);
    let params = params.as_ref().map(read_query).unwrap_or_default();
    let url = url?;
    Some(SourceTarget::Url { url, params })
}

pub fn print_operation(source: &SourceConfig) -> Option<String> {
    match &source.target {
        SourceTarget::Operation { operation, .. } => text(&operation.id),
        SourceTarget::Unavailable { operation, .. } => text(operation),
        SourceTarget::Url { .. } | SourceTarget::Follow { .. } => None,
    }
}

pub fn print_base_url(source: &SourceConfig) -> Option<String> {
    let SourceTarget::Operation {
        operation, base, ..
    } = &source.target
    else {
        return None;
    };
    let url = operation.base_url(base.as_deref()).ok()?;
    text(&without_secrets(&url))
}

pub fn print_params(source: &SourceConfig) -> Option<String> {
    match &source.target {
        SourceTarget::Follow { .. } | SourceTarget::Unavailable { .. } => None,
        SourceTarget::Operation {
            operation,
            arguments,
            ..
        } => {
            let is_filled_by_security = |name: &str| {
                let mut parameters = operation.parameters.iter();
                parameters.any(|it| it.argument == name && it.filled_by_security)
            };
            let shown = |(name, value): &(String, Argument)| {
                let is_secret = is_filled_by_security(name) || is_secret_name(name);
                let value = if is_secret {
                    quoted(MASK)
                } else {
                    argument_as_toml(value)
                };
                format!("{} = {value}", bare_or_quoted(name))
            };
            inline_table(arguments.iter().map(shown).collect())
        }
        SourceTarget::Url { params, .. } => {
            let shown = |(name, value): &(String, String)| {
                let value = if is_secret_name(name) { MASK } else { value };
                format!("{} = {}", bare_or_quoted(name), quoted_value(value))
            };
            inline_table(params.iter().map(shown).collect())
        }
    }
}
