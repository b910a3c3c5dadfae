//! What an API offers, as static data, and the arguments that a source may give it.
//!
//! The generated `api/client.rs` holds the operations; configuration, `check`, `operations`
//! and `demo` read them here. Pure: nothing is sent, nothing is read.

// The vocabulary of generated clients: which words of it a build uses depends on the
// files that were compiled in.
#![allow(dead_code)]

use serde_json::Value;

use crate::schema::{Link, Schema};

#[allow(unused_imports)]
pub use check::{check_arguments, fits, nearest};

mod check;

/// One OpenAPI file.
#[derive(Debug)]
pub struct Api {
    /// What a source calls it: `api = "open_meteo"`.
    pub name: &'static str,
    pub title: &'static str,
    pub version: &'static str,
    pub source_file: &'static str,
    pub servers: &'static [Server],
    pub operations: &'static [&'static Operation],
}

/// Where an API lives; `url` may be relative and may hold `{variables}`.
#[derive(Debug)]
pub struct Server {
    pub url: &'static str,
    pub description: &'static str,
    pub variables: &'static [Variable],
}

#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    pub default: &'static str,
    pub values: &'static [&'static str],
}

/// One GET operation.
#[derive(Debug)]
pub struct Operation {
    pub api: &'static str,
    /// The operationId, or a stable readable name where the file has none.
    pub id: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
    /// The template: `/stations/{id}.json`.
    pub path: &'static str,
    /// Its own, its path's or its API's, whichever is nearest.
    pub servers: &'static [Server],
    pub parameters: &'static [Parameter],
    /// Alternatives; of each all schemes are needed; an empty one means none is.
    pub security: &'static [&'static [SecurityScheme]],
    /// What to ask for: `application/json`.
    pub accept: &'static str,
    /// The schema of the best success response.
    pub response: Link,
    /// Every JSON success response, most exact first.
    pub answers: &'static [Answer],
    pub deprecated: bool,
}

#[derive(Debug)]
pub struct Answer {
    /// `200`, `2XX` or `default`.
    pub status: &'static str,
    pub media_type: &'static str,
    pub schema: Link,
}

#[derive(Debug)]
pub struct Parameter {
    /// What a source's `params` calls it: the wire name, unless two places share that.
    pub argument: &'static str,
    /// The name on the wire.
    pub name: &'static str,
    pub location: Location,
    pub required: bool,
    /// A credential goes here: `params` need not name it.
    pub filled_by_security: bool,
    pub style: Style,
    pub explode: bool,
    /// Reserved characters stay as they are (`allowReserved`).
    pub reserved: bool,
    pub schema: &'static Schema,
    pub description: &'static str,
    /// A value that its file shows for it, as JSON; empty where it shows none.
    pub example: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    Path,
    Query,
    Header,
    Cookie,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
    /// Swagger 2.0's `collectionFormat: tsv`.
    TabDelimited,
    /// `content: application/json`: the value as one JSON text.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityScheme {
    /// What the file calls it.
    pub name: &'static str,
    pub kind: SecurityKind,
    pub description: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityKind {
    /// Place and wire name.
    ApiKey(Location, &'static str),
    Basic,
    /// Bearer, OAuth 2 or OpenID Connect: a token that somebody has.
    Bearer,
}

/// A value of a source's `params` table.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    List(Vec<Argument>),
    Object(Vec<(String, Argument)>),
}

/// Why an operation cannot be called so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentProblem {
    /// The argument's name, where there is one.
    pub argument: Option<String>,
    pub message: String,
}

impl std::fmt::Display for ArgumentProblem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for ArgumentProblem {}

impl Operation {
    /// The schema declared for a status: the exact one, then `2XX`, then `default`.
    pub fn schema_for(&self, status: u16) -> Option<&'static Schema> {
        let exact = status.to_string();
        let class = format!("{}XX", status / 100);
        [exact.as_str(), class.as_str(), "default"]
            .into_iter()
            .find_map(|wanted| {
                let answer = self
                    .answers
                    .iter()
                    .find(|it| it.status.eq_ignore_ascii_case(wanted));
                answer.map(|answer| answer.schema.get())
            })
    }

    /// Where to send requests. `configured` overrides the file: as it stands where it has a
    /// path (`http://host/` has one), else with the path of the file's first server behind it.
    pub fn base_url(&self, configured: Option<&str>) -> Result<String, String> {
        let declared = self
            .servers
            .first()
            .map_or_else(String::new, Server::resolved);
        match configured {
            Some(url) if !is_absolute(url) => Err(format!(
                "expected a URL that begins with http:// or https://, found {url:?}"
            )),
            Some(url) if path_of(url).is_empty() => {
                Ok(format!("{url}{}", path_of(&declared).trim_end_matches('/')))
            }
            Some(url) => Ok(url.trim_end_matches('/').to_owned()),
            None if is_absolute(&declared) => Ok(declared.trim_end_matches('/').to_owned()),
            None => Err(format!(
                "{} of {} says no server address (found {declared:?}); give the source one: \
                 base_url = \"http://…\"",
                self.id, self.api
            )),
        }
    }
}

impl Server {
    /// The URL with each variable's default in its place.
    pub fn resolved(&self) -> String {
        let mut url = self.url.to_owned();
        for variable in self.variables {
            url = url.replace(&format!("{{{}}}", variable.name), variable.default);
        }
        url
    }
}

fn is_absolute(url: &str) -> bool {
    let url = url.to_ascii_lowercase();
    url.starts_with("http://") || url.starts_with("https://")
}

/// The path of an absolute or a relative URL, without its query.
fn path_of(url: &str) -> &str {
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]),
        None => url,
    };
    rest.split(['?', '#']).next().unwrap_or("")
}

impl Argument {
    pub fn to_json(&self) -> Value {
        match self {
            Argument::Text(it) => Value::String(it.clone()),
            Argument::Integer(it) => Value::from(*it),
            Argument::Number(it) => Value::from(*it),
            Argument::Boolean(it) => Value::Bool(*it),
            Argument::List(it) => it.iter().map(Argument::to_json).collect(),
            Argument::Object(it) => it
                .iter()
                .map(|(name, value)| (name.clone(), value.to_json()))
                .collect(),
        }
    }

    /// The text that stands for a scalar in a URL or a header.
    pub fn scalar_text(&self) -> Option<String> {
        match self {
            Argument::Text(it) => Some(it.clone()),
            Argument::Integer(it) => Some(it.to_string()),
            Argument::Number(it) => Some(it.to_string()),
            Argument::Boolean(it) => Some(it.to_string()),
            Argument::List(_) | Argument::Object(_) => None,
        }
    }

    /// In words, for messages.
    pub(super) fn words(&self) -> String {
        match self {
            Argument::Text(it) => {
                let short: String = it.chars().take(32).collect();
                let more = if short.len() < it.len() { "…" } else { "" };
                format!("\"{}{more}\"", short.escape_debug())
            }
            Argument::Integer(it) => it.to_string(),
            Argument::Number(it) => it.to_string(),
            Argument::Boolean(it) => it.to_string(),
            Argument::List(it) => format!("a list of {}", it.len()),
            Argument::Object(_) => "a table".to_owned(),
        }
    }
}

impl Parameter {
    /// A scalar default of the file, where it may stand in for a missing argument.
    pub fn default(&self) -> Option<Argument> {
        match serde_json::from_str(self.schema.default()?).ok()? {
            Value::String(it) => Some(Argument::Text(it)),
            Value::Bool(it) => Some(Argument::Boolean(it)),
            Value::Number(it) => match it.as_i64() {
                Some(it) => Some(Argument::Integer(it)),
                None => it
                    .as_f64()
                    .filter(|it| it.is_finite())
                    .map(Argument::Number),
            },
            _ => None,
        }
    }

    /// What a source has to write, in words.
    pub fn words(&self) -> String {
        if self.style == Style::Json {
            "a value".to_owned()
        } else {
            self.schema.words()
        }
    }
}

#[cfg(test)]
#[path = "tests/operation.rs"]
mod tests;
