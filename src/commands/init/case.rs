//! Cases of `main-node init`: what each reads of the command line, and the `[[source]]` that it
//! makes of it.

use openapi::operation::{Api, Operation, Parameter, nearest};
use openapi::schema::{Schema, Types};

use super::coordinates::Coordinates;
use super::record_lines::ResponseSample;
use super::secret_variables::SecretVariables;
use super::template::{FOLLOW, METER, TemplateLines, WEATHER};
use super::typed_address::{TypedAddress, split_scheme};
use crate::api::connection_pool;
use crate::commands::operations::{self, BASE_URL};
use crate::config::example::{example_value, source_name};
use crate::domain::plan::{Numbers, ResponseFormat};
use crate::domain::toml_text::quoted;
use crate::limits;

/// What a source is made for.
pub enum InitCase {
    Weather(Coordinates),
    Meter {
        typed: String,
    },
    OpenApi {
        operation: &'static Operation,
        name_api: bool,
        arguments: Vec<(String, String)>,
    },
    Follow {
        typed: String,
    },
}

/// Name, arguments, and what it is for.
pub const CASES: [(&str, &str, &str); 4] = [
    (
        "weather",
        "52.52 13.41",
        "the weather at a place, by latitude and longitude",
    ),
    (
        "meter",
        "http://192.168.1.20/api/v1/data",
        "a device or service with an address",
    ),
    (
        "openapi",
        "OPERATION name=value…",
        "an operation of a compiled-in OpenAPI file; without one, lists them",
    ),
    ("follow", "pi.local", "another main-node"),
];

/// The name of a new source, and whether others may have its keys.
pub struct SourceNaming {
    pub name: String,
    pub has_prefix: bool,
}

/// What the source is for.
#[derive(Clone, Copy)]
pub enum InitStage<'a> {
    /// A first request.
    Sample,
    /// The file, with the first response if it could be read.
    File(Option<&'a ResponseSample>),
}

impl InitCase {
    pub fn read(case: &str, words: &[String], apis: &[&'static Api]) -> Result<InitCase, String> {
        match case {
            "weather" => Coordinates::read(words).map(InitCase::Weather),
            "meter" => one_word(case, words).map(|typed| InitCase::Meter { typed }),
            "follow" => one_word(case, words).map(|typed| InitCase::Follow { typed }),
            "openapi" => read_operation(words, apis),
            _ if case.contains("://") => Err(format!(
                "expected one of the words weather, meter, openapi and follow before the address\n{}",
                usage()
            )),
            _ => {
                let near = nearest(case, CASES.iter().map(|it| it.0));
                let near = near
                    .map(|it| format!("; did you mean {it}?"))
                    .unwrap_or_default();
                Err(format!("there is no case {case:?}{near}\n{}", usage()))
            }
        }
    }

    pub fn default_name(&self) -> String {
        match self {
            InitCase::Weather(_) => "weather".to_owned(),
            InitCase::Meter { .. } => "meter".to_owned(),
            InitCase::Follow { .. } => "node".to_owned(),
            InitCase::OpenApi { operation, .. } => match source_name(&operation.id) {
                name if name.is_empty() => "api".to_owned(),
                name => name,
            },
        }
    }

    /// Whether a first response decides what is written.
    pub fn needs_sample(&self) -> bool {
        matches!(self, InitCase::Meter { .. } | InitCase::Weather(_))
    }

    /// What a person should know of the values that nobody typed; a line each.
    pub fn examples(&self) -> String {
        let InitCase::OpenApi {
            operation,
            arguments,
            ..
        } = self
        else {
            return String::new();
        };
        let is_given = |name: &str| arguments.iter().any(|it| it.0 == name);
        let parameters = operation.parameters.iter();
        let required = parameters.filter(|it| it.required && !it.filled_by_security);
        let assumed = required.filter(|it| !is_given(&it.argument));
        let lines = assumed.filter_map(|it| {
            let value = example_value(operation, it)?;
            Some(format!(
                "{} = {value} is the example of the OpenAPI file: correct it if it is not yours.\n",
                it.argument
            ))
        });
        lines.collect()
    }

    /// Whether the address is another main-node's.
    pub fn is_follow(&self) -> bool {
        matches!(self, InitCase::Follow { .. })
    }

    /// The lines of the source, and the secrets that its address had.
    pub fn source(
        &self,
        naming: &SourceNaming,
        secrets: &mut SecretVariables,
        stage: InitStage<'_>,
    ) -> Result<String, String> {
        let mut lines = match self {
            InitCase::Weather(place) => weather(place, stage),
            InitCase::Meter { typed } => meter(typed, &naming.name, secrets, stage)?,
            InitCase::Follow { typed } => follow(typed, &naming.name, secrets)?,
            InitCase::OpenApi {
                operation,
                name_api,
                arguments,
            } => {
                let table = operations::source_table(operation, *name_api, &naming.name, arguments);
                TemplateLines::new(&format!("\n{}", table.trim_end()))
            }
        };
        lines.set("name", &quoted(&naming.name));
        if naming.has_prefix && !matches!(self, InitCase::Follow { .. }) {
            lines.insert_after("name", "prefix", &quoted(&format!("{}.", naming.name)));
        }
        Ok(lines.into_text())
    }
}

/// The cases, for a person.
pub fn usage() -> String {
    let mut text =
        "main-node init CASE … writes a configuration with one source and tries it:\n\n".to_owned();
    for (name, arguments, what) in CASES {
        let command = format!("main-node init {name} {arguments}");
        text += &format!("  {command:<53} {what}\n");
    }
    text + "\n--add adds the source to a configuration that is there, --replace replaces it and keeps \
            the old one.\nmain-node init --help has the other options.\n"
}

fn one_word(case: &str, words: &[String]) -> Result<String, String> {
    match words {
        [word] if !word.trim().is_empty() => Ok(word.clone()),
        [] | [_] => Err(format!("{case}: expected an address\n{}", usage())),
        _ => Err(format!(
            "{case}: expected one address, found {} words: put quotes around it for the shell",
            words.len()
        )),
    }
}

fn weather(place: &Coordinates, stage: InitStage<'_>) -> TemplateLines {
    let mut lines = TemplateLines::new(WEATHER);
    lines.replace(
        "latitude = 52.52",
        &format!("latitude = {}", place.latitude),
    );
    lines.replace(
        "longitude = 13.41",
        &format!("longitude = {}", place.longitude),
    );
    if let InitStage::Sample = stage {
        // The response names the zone of the place then.
        lines.replace("params = { ", "params = { timezone = \"auto\", ");
    }
    lines
}

fn meter(
    typed: &str,
    name: &str,
    secrets: &mut SecretVariables,
    stage: InitStage<'_>,
) -> Result<TemplateLines, String> {
    let address = TypedAddress::read(typed, secrets)?;
    let mut lines = TemplateLines::new(METER);
    lines.replace("METER_", &format!("{}_", operations::variable_name(name)));
    lines.set("url", &address.url);
    if !is_at_home(typed) {
        lines.set("every", "\"5m\"");
    }
    if let Some(auth) = &address.auth {
        lines.remove("headers");
        lines.set("auth", auth);
    }
    let InitStage::File(Some(sample)) = stage else {
        return Ok(lines);
    };
    if sample.numbers == Numbers::Lenient {
        lines.insert_after("url", "numbers", "\"lenient\"");
    }
    if sample.format != ResponseFormat::Json {
        lines.insert_after("url", "format", &quoted(sample.format.name()));
    }
    if sample.is_one_value() {
        lines.push("\n[source.records]");
        lines.push("value = \"\"");
        return Ok(lines);
    }
    let found = sample.lines();
    if !found.is_empty() {
        lines.push(
            "\n# Every number of the response is a record. To keep only some of them, to rename them or to\n\
             # give them units, remove the # of the heading and of the lines to keep.\n#[source.records]",
        );
    }
    for line in found.iter().take(limits::INIT_RECORD_LINES) {
        let mark = if line.starts_with('#') { "" } else { "#" };
        lines.push(format!("{mark}{line}"));
    }
    if found.len() > limits::INIT_RECORD_LINES {
        lines.push("# … and more: `main-node once` prints them.");
    }
    Ok(lines)
}

/// Whether it is a device of the local network, which may be asked often.
fn is_at_home(typed: &str) -> bool {
    let rest = split_scheme(typed).map_or("", |it| it.1);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |it| it.1);
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    connection_pool::default_connections(host) == limits::CONNECTIONS_PER_DEVICE
}

fn follow(typed: &str, name: &str, secrets: &mut SecretVariables) -> Result<TemplateLines, String> {
    let address = TypedAddress::read(&node_address(typed)?, secrets)?;
    let mut lines = TemplateLines::new(FOLLOW);
    lines.replace("NODE_", &format!("{}_", operations::variable_name(name)));
    lines.set("follow", &address.url);
    if let Some(auth) = &address.auth {
        lines.set("auth", auth);
    }
    Ok(lines)
}

/// The address of a node: port 8000 where only a host name is typed, and without the path of a page.
fn node_address(typed: &str) -> Result<String, String> {
    let typed = typed.trim();
    let (scheme, rest) = split_scheme(typed)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |it| it.1);
    let behind = host.rsplit_once(']').map_or(host, |it| it.1);
    let port = if typed.contains("://") || behind.contains(':') {
        ""
    } else {
        ":8000"
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let is_page = |it: &str| matches!(it, "web" | "snapshot" | "status" | "wall");
    let kept: Vec<&str> = path.split('/').take_while(|it| !is_page(it)).collect();
    let path = kept.join("/");
    Ok(format!(
        "{scheme}://{authority}{port}{}",
        path.trim_end_matches('/')
    ))
}

fn read_operation(words: &[String], apis: &[&'static Api]) -> Result<InitCase, String> {
    let id = words.first().map_or("", String::as_str);
    let all = || apis.iter().flat_map(|api| api.operations.iter());
    let Some(operation) = all().find(|it| it.id == id) else {
        let near = nearest(id, all().map(|it| it.id.as_str()));
        let near = near
            .map(|it| format!("; did you mean {it}?"))
            .unwrap_or_default();
        return Err(format!(
            "there is no operation {id:?}{near}\nmain-node init openapi lists them"
        ));
    };
    let mut arguments = Vec::new();
    for word in &words[1..] {
        let Some((name, value)) = word.split_once('=') else {
            return Err(format!("expected name=value, found {word:?}"));
        };
        let parameters = || {
            operation
                .parameters
                .iter()
                .filter(|it| !it.filled_by_security)
        };
        let parameter = parameters().find(|it| it.argument == name);
        let value = match parameter {
            Some(parameter) => as_toml(&parameter.schema, value),
            None if name == BASE_URL => quoted(value),
            None => {
                let near = nearest(name, parameters().map(|it| it.argument.as_str()));
                let near = near
                    .map(|it| format!("; did you mean {it}?"))
                    .unwrap_or_default();
                return Err(format!("{id} has no parameter {name:?}{near}"));
            }
        };
        arguments.push((name.to_owned(), value));
    }
    let is_given = |name: &str| arguments.iter().any(|it| it.0 == name);
    let is_missing = |it: &&Parameter| {
        it.required
            && !it.filled_by_security
            && !is_given(&it.argument)
            && example_value(operation, it).is_none()
    };
    let missing = operation.parameters.iter().filter(is_missing);
    let mut missing: Vec<String> = missing.map(|it| format!("{}=…", it.argument)).collect();
    if operation.base_url(None).is_err() && !is_given(BASE_URL) {
        missing.push(format!("{BASE_URL}=http://…"));
    }
    if !missing.is_empty() {
        return Err(format!(
            "{id} needs values: main-node init openapi {id} {}\n`main-node operations {id}` describes them",
            missing.join(" ")
        ));
    }
    Ok(InitCase::OpenApi {
        operation,
        name_api: apis.len() > 1,
        arguments,
    })
}

/// A typed value as the schema wants it: a number, a truth value, a list separated by commas, or a
/// text.
fn as_toml(schema: &Schema, typed: &str) -> String {
    if let Some(items) = schema.items() {
        let items = typed.split(',').map(|it| as_toml(items, it.trim()));
        return format!("[{}]", items.collect::<Vec<_>>().join(", "));
    }
    let is_number = schema.types.has(Types::NUMBER) || schema.types.has(Types::INTEGER);
    let is_truth = schema.types.has(Types::BOOLEAN) && matches!(typed, "true" | "false");
    if is_truth || is_number && serde_json::from_str::<serde_json::Number>(typed).is_ok() {
        typed.to_owned()
    } else {
        super::typed_address::quoted_with_variables(typed)
    }
}

#[cfg(test)]
#[path = "tests/case.rs"]
mod tests;
