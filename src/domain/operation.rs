//! What an API offers, as static data, and the check of the arguments that a source gives.
//!
//! The generated `api/client.rs` holds the operations; configuration, `check`, `operations`
//! and `demo` read them here. Pure: nothing is sent, nothing is read, no URL is built.

use serde_json::Value;

use super::schema::{Literal, Schema, Types};

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
    pub response: &'static Schema,
    /// Every JSON success response, most exact first.
    pub answers: &'static [Answer],
    pub deprecated: bool,
}

#[derive(Debug)]
pub struct Answer {
    /// `200`, `2XX` or `default`.
    pub status: &'static str,
    pub media_type: &'static str,
    pub schema: &'static Schema,
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
                answer.map(|answer| answer.schema)
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
    fn words(&self) -> String {
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

/// Every problem of these arguments, each with what to change; none means it can be called.
pub fn check_arguments(
    operation: &Operation,
    arguments: &[(String, Argument)],
) -> Vec<ArgumentProblem> {
    let mut problems = Vec::new();
    for (position, (name, argument)) in arguments.iter().enumerate() {
        let problem = match operation.parameters.iter().find(|it| it.argument == name) {
            None => Some(unknown(operation, name)),
            Some(_)
                if arguments[..position]
                    .iter()
                    .any(|(earlier, _)| earlier == name) =>
            {
                Some(format!(
                    "`{name}` is given twice to {}; keep one",
                    operation.id
                ))
            }
            Some(parameter) => unfit(operation, parameter, argument),
        };
        problems.extend(problem.map(|message| ArgumentProblem {
            argument: Some(name.clone()),
            message,
        }));
    }
    for parameter in operation.parameters {
        let given = arguments.iter().any(|(name, _)| name == parameter.argument);
        let needed = parameter.required && !parameter.filled_by_security;
        if needed && !given && parameter.default().is_none() {
            problems.push(ArgumentProblem {
                argument: Some(parameter.argument.to_owned()),
                message: format!(
                    "{} needs `{}` ({}) and `params` does not give it; add {} = …",
                    operation.id,
                    parameter.argument,
                    parameter.words(),
                    key(parameter.argument)
                ),
            });
        }
    }
    problems
}

/// A TOML key: quoted where it has to be.
fn key(name: &str) -> String {
    let bare = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

fn unknown(operation: &Operation, name: &str) -> String {
    let names = operation.parameters.iter().map(|it| it.argument);
    match nearest(name, names) {
        Some(near) => format!(
            "{} has no parameter `{name}`; did you mean `{near}`?",
            operation.id
        ),
        None if operation.parameters.is_empty() => {
            format!("{} takes no parameters; remove `{name}`", operation.id)
        }
        None => {
            let mut known: Vec<&str> = operation
                .parameters
                .iter()
                .map(|it| it.argument)
                .take(8)
                .collect();
            if operation.parameters.len() > known.len() {
                known.push("…");
            }
            format!(
                "{} has no parameter `{name}`; it has: {}",
                operation.id,
                known.join(", ")
            )
        }
    }
}

/// The known name that a person most likely meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase();
    known
        .map(|it| (strsim::damerau_levenshtein(&folded, &it.to_lowercase()), it))
        .filter(|(distance, it)| *distance <= 1 + it.chars().count().min(folded.len()) / 4)
        .min()
        .map(|(_, it)| it)
}

fn unfit(operation: &Operation, parameter: &Parameter, argument: &Argument) -> Option<String> {
    if parameter.style == Style::Json {
        return None;
    }
    let id = operation.id;
    let name = parameter.argument;
    if let Some(text) = argument.scalar_text() {
        let hint = match parameter.location {
            Location::Path if text.is_empty() => "may not be empty: it is a part of the path",
            Location::Path if is_dots(&text) => "may not be `.` or `..`: it is a part of the path",
            Location::Header | Location::Cookie if text.chars().any(|it| it.is_control()) => {
                "holds a line break or another control character, which no header can carry"
            }
            _ => "",
        };
        if !hint.is_empty() {
            return Some(format!("`{name}` of {id} {hint}; change it in `params`"));
        }
    }
    let unfit = misfit(parameter.schema, argument, 0)?;
    let near = match &unfit.found {
        Argument::Text(text) => nearest(text, texts(unfit.schema)),
        _ => None,
    };
    let change = match (near, &unfit.found) {
        (Some(near), _) => format!("did you mean \"{near}\"?"),
        (None, Argument::Integer(_) | Argument::Number(_) | Argument::Boolean(_))
            if unfit.schema.types == Types::TEXT && unfit.schema.literals().is_empty() =>
        {
            format!("put it in quotes: \"{}\"", unfit.found.words())
        }
        _ => "change it in `params`".to_owned(),
    };
    Some(format!(
        "`{name}` of {id}: expected {}, found {}; {change}",
        unfit.schema.words(),
        unfit.found.words()
    ))
}

fn is_dots(text: &str) -> bool {
    text == "." || text == ".."
}

fn texts(schema: &Schema) -> impl Iterator<Item = &'static str> {
    schema
        .literals()
        .iter()
        .filter_map(|literal| match literal {
            Literal::Text(it) => Some(*it),
            _ => None,
        })
}

struct Misfit {
    schema: &'static Schema,
    found: Argument,
}

fn misfit(schema: &'static Schema, argument: &Argument, depth: usize) -> Option<Misfit> {
    if depth > 32 {
        return None;
    }
    let no = || {
        Some(Misfit {
            schema,
            found: argument.clone(),
        })
    };
    let variants = schema.variants();
    if !variants.is_empty() {
        let mut first = None;
        for variant in variants {
            match misfit(variant, argument, depth + 1) {
                None => return None,
                some => first = first.or(some),
            }
        }
        return if variants.len() == 1 {
            first
        } else {
            no_variant(variants, argument, first)
        };
    }
    let literals = schema.literals();
    let types = schema.types;
    match argument {
        Argument::List(items) if types.has(Types::LIST) => {
            let of = schema.items()?;
            items.iter().find_map(|item| misfit(of, item, depth + 1))
        }
        // One value for a list of one.
        _ if types.has(Types::LIST) && !types.is_any() && scalar_misfit(types, argument) => {
            if matches!(argument, Argument::Object(_)) {
                return no();
            }
            misfit(schema.items()?, argument, depth + 1)
        }
        Argument::List(_) => no(),
        Argument::Object(fields) if types.has(Types::OBJECT) => {
            fields.iter().find_map(|(name, value)| {
                let property = schema.property(name).map(|it| it.schema);
                misfit(property.or(schema.additional())?, value, depth + 1)
            })
        }
        Argument::Object(_) => no(),
        _ if scalar_misfit(types, argument) => no(),
        _ => {
            let text = argument.scalar_text()?;
            let listed = literals.is_empty()
                || literals.iter().any(|it| match it {
                    Literal::Text(it) => *it == text,
                    Literal::Boolean(it) => it.to_string() == text,
                    Literal::Number(it) => {
                        *it == text
                            || it
                                .parse::<f64>()
                                .ok()
                                .is_some_and(|it| Some(it) == parsed(&text))
                    }
                    Literal::Null | Literal::Json(_) => false,
                });
            let numeric = types.has(Types::NUMBER) || types.has(Types::INTEGER);
            let outside = numeric && parsed(&text).is_some_and(|it| schema.excludes(it));
            if listed && !outside { None } else { no() }
        }
    }
}

/// Variants of one form, like two enums, share the first one's message.
fn no_variant(
    variants: &'static [&'static Schema],
    argument: &Argument,
    first: Option<Misfit>,
) -> Option<Misfit> {
    let whole = variants
        .iter()
        .find(|it| !scalar_misfit(it.types, argument));
    match whole {
        Some(schema) => Some(Misfit {
            schema,
            found: argument.clone(),
        }),
        None => first,
    }
}

fn parsed(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|it| it.is_finite())
}

/// Whether no scalar type of these takes the argument. Text that holds a number is taken
/// for one: it may come from the environment.
fn scalar_misfit(types: Types, argument: &Argument) -> bool {
    let number = types.has(Types::NUMBER);
    let integer = number || types.has(Types::INTEGER);
    !match argument {
        Argument::Text(text) => {
            types.has(Types::TEXT)
                || (number && parsed(text).is_some())
                || (integer && text.trim().parse::<i64>().is_ok())
                || (types.has(Types::BOOLEAN) && matches!(text.as_str(), "true" | "false"))
        }
        Argument::Integer(_) => integer,
        Argument::Number(it) => it.is_finite() && (number || (integer && it.fract() == 0.0)),
        Argument::Boolean(_) => types.has(Types::BOOLEAN),
        Argument::List(_) => types.has(Types::LIST),
        Argument::Object(_) => types.has(Types::OBJECT),
    }
}

#[cfg(test)]
#[path = "operation/tests.rs"]
mod tests;
