//! Operations of an API: what is sent, what may be given, what comes back.
//!
//! Configuration, `check`, `operations` and `demo` read them; `lower` makes them of a file, and
//! `compact` keeps them. Pure: nothing is sent, nothing is read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compact::SchemaRef;
use crate::schema::Schema;

pub use body::{BodyProblem, BodyProblemKind, check_body};
pub use check::{check_arguments, fits, nearest};

mod body;
mod check;

/// One OpenAPI file.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Api {
    /// What a source calls it: `api = "open_meteo"`.
    pub name: String,
    pub title: String,
    pub version: String,
    pub source_file: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub servers: Vec<Server>,
    #[serde(skip)]
    pub operations: Vec<Operation>,
}

/// Where an API lives; `url` may be relative and may hold `{variables}`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    pub url: String,
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    #[serde(skip_serializing_if = "is_default")]
    pub variables: Vec<Variable>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    pub default: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub values: Vec<String>,
}

/// One operation: a GET, or a POST that was named.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operation {
    #[serde(skip)]
    pub api: String,
    #[serde(skip_serializing_if = "is_default")]
    pub method: Method,
    /// The operationId, or a stable readable name where the file has none.
    pub id: String,
    pub summary: String,
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// The template: `/stations/{id}.json`.
    pub path: String,
    /// Its own, its path's or its API's, whichever is nearest.
    #[serde(skip_serializing_if = "is_default")]
    pub servers: Vec<Server>,
    #[serde(skip_serializing_if = "is_default")]
    pub parameters: Vec<Parameter>,
    #[serde(skip_serializing_if = "is_default")]
    pub request_body: Option<RequestBody>,
    /// Alternatives; of each all schemes are needed; an empty one means none is.
    #[serde(skip_serializing_if = "is_default")]
    pub security: Vec<Vec<SecurityScheme>>,
    /// What to ask for: `application/json`.
    pub accept: String,
    /// Every JSON success response, best first.
    pub responses: Vec<Response>,
    #[serde(skip_serializing_if = "is_default")]
    pub deprecated: bool,
}

/// What is ever sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    #[default]
    Get,
    Post,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }

    /// Whether a name means the operation with this method: its id, or method and path; a path alone
    /// is that of a GET.
    pub fn is_named(self, id: &str, path: &str, name: &str) -> bool {
        id == name
            || (self == Method::Get && path == name)
            || name.split_once(' ').is_some_and(|(method, named)| {
                method.eq_ignore_ascii_case(self.name()) && named.trim() == path
            })
    }
}

/// What a POST carries.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestBody {
    #[serde(skip_serializing_if = "is_default")]
    pub required: bool,
    pub media_type: String,
    #[serde(skip_serializing_if = "is_default")]
    pub encoding: BodyEncoding,
    pub schema: SchemaRef,
    /// Fields of a form that are not written as `name=value` for each value.
    #[serde(skip_serializing_if = "is_default")]
    pub fields: Vec<FieldStyle>,
    /// A body that its file shows, as JSON; empty where it shows none.
    #[serde(skip_serializing_if = "is_default")]
    pub example: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyEncoding {
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// As it is written.
    Text,
}

/// How a field of a form is written.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldStyle {
    pub name: String,
    pub style: Style,
    #[serde(skip_serializing_if = "is_default")]
    pub explode: bool,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// `200`, `2XX` or `default`.
    pub status: String,
    pub media_type: String,
    pub schema: SchemaRef,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameter {
    /// What a source's `params` calls it: the wire name, unless two places share that.
    pub argument: String,
    /// The name on the wire.
    pub name: String,
    pub location: Location,
    #[serde(skip_serializing_if = "is_default")]
    pub required: bool,
    /// A credential goes here: `params` need not name it.
    #[serde(skip_serializing_if = "is_default")]
    pub filled_by_security: bool,
    pub style: Style,
    #[serde(skip_serializing_if = "is_default")]
    pub explode: bool,
    /// Reserved characters stay as they are (`allowReserved`).
    #[serde(skip_serializing_if = "is_default")]
    pub allow_reserved: bool,
    pub schema: SchemaRef,
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// A value that its file shows for it, as JSON; empty where it shows none.
    #[serde(skip_serializing_if = "is_default")]
    pub example: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    Path,
    #[default]
    Query,
    Header,
    Cookie,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    Simple,
    Label,
    Matrix,
    #[default]
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
    /// Swagger 2.0's `collectionFormat: tsv`.
    TabDelimited,
    /// `content: application/json`: the value as one JSON text.
    Json,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityScheme {
    /// What the file calls it.
    pub name: String,
    pub kind: SecurityKind,
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// How OAuth 2.0 gives the token.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grants: Vec<TokenGrant>,
    /// Where OpenID Connect says how it gives the token.
    #[serde(default, skip_serializing_if = "is_default")]
    pub discovery_url: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityKind {
    /// Place and wire name.
    ApiKey(Location, String),
    Basic,
    Digest,
    /// Bearer, OAuth 2 or OpenID Connect: a token that somebody has.
    #[default]
    Bearer,
    /// A TLS client certificate.
    ClientCertificate,
    /// Another scheme, which the owner sends with `headers`: the first word of the header
    /// `Authorization`; empty if it is not known.
    Other(String),
}

/// A grant of OAuth 2.0 that needs no browser, or whose refresh token does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenGrant {
    /// `grant_type` of the request: `client_credentials`, `password` or `refresh_token`.
    pub grant: String,
    pub token_url: String,
}

/// Leaves out of the compact form what its reader fills in.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
    /// The schema of the best success response.
    pub fn response(&self) -> &'static Schema {
        self.responses
            .first()
            .map_or(SchemaRef::ANY, |it| it.schema)
            .get()
    }

    /// The schema declared for a status: the exact one, then `2XX`, then `default`.
    pub fn schema_for(&self, status: u16) -> Option<&'static Schema> {
        let exact = status.to_string();
        let class = format!("{}XX", status / 100);
        [exact.as_str(), class.as_str(), "default"]
            .into_iter()
            .find_map(|wanted| {
                let response = self
                    .responses
                    .iter()
                    .find(|it| it.status.eq_ignore_ascii_case(wanted));
                response.map(|response| response.schema.get())
            })
    }

    /// Whether a name means it (see [`Method::is_named`]).
    pub fn is_named(&self, name: &str) -> bool {
        self.method.is_named(&self.id, &self.path, name)
    }

    /// Every reference of it to a schema.
    pub fn schemas_mut(&mut self) -> impl Iterator<Item = &mut SchemaRef> {
        let responses = self.responses.iter_mut().map(|it| &mut it.schema);
        let body = self.request_body.iter_mut().map(|it| &mut it.schema);
        let parameters = self.parameters.iter_mut().map(|it| &mut it.schema);
        responses.chain(parameters).chain(body)
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
        let mut url = self.url.clone();
        for variable in &self.variables {
            url = url.replace(&format!("{{{}}}", variable.name), &variable.default);
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

    /// As JSON text, fields in their order.
    pub fn json_text(&self) -> String {
        match self {
            Argument::List(items) => {
                let items: Vec<String> = items.iter().map(Argument::json_text).collect();
                format!("[{}]", items.join(","))
            }
            Argument::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| {
                    format!("{}:{}", Value::from(name.as_str()), value.json_text())
                });
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            _ => self.to_json().to_string(),
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
    fn describe(&self) -> String {
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
    pub fn default_value(&self) -> Option<Argument> {
        match serde_json::from_str(self.schema.default_value()?).ok()? {
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
    pub fn describe(&self) -> String {
        if self.style == Style::Json {
            "a value".to_owned()
        } else {
            self.schema.describe()
        }
    }
}

#[cfg(test)]
#[path = "tests/operation.rs"]
mod tests;
