//! The parameters of an operation: where each goes, how it is written, what it may be.

use std::collections::HashSet;

use crate::lower::candidates::Candidate;
use crate::lower::names::Scope;
use crate::lower::report::Report;
use crate::lower::schemas::{Schemas, Usage};
use crate::lower::spec::Spec;
use crate::lower::tree::Node;
use crate::lower::values::{first_sentence, short_json};
use crate::operation::{Location, Method, Parameter, SecurityKind, SecurityScheme, Style};
use crate::schema::SchemaRef;

/// Those of the path and of the operation; the operation's win.
pub fn parameters<'a>(
    spec: &'a Spec,
    candidate: &Candidate<'a>,
    operation: &'a Node,
    security: &[Vec<SecurityScheme>],
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Result<Vec<Parameter>, String> {
    let mut found: Vec<Parameter> = Vec::new();
    let path = candidate.path.as_str();
    let template = template_names(path);
    for list in [
        operation.get("parameters"),
        candidate.item.get("parameters"),
    ]
    .into_iter()
    .flatten()
    {
        // `parameters: {limit: {…}}` instead of a list.
        let nodes = list
            .items()
            .iter()
            .chain(list.entries().iter().map(|it| &it.value));
        for node in nodes {
            if candidate.method == Method::Post && is_body(spec, node) {
                continue;
            }
            let at = spec.place(node.place);
            let parameter = match parameter(spec, node, schemas, report) {
                Ok(parameter) => parameter,
                Err(ParameterError::Skipped(why)) => {
                    report.note(at, why);
                    continue;
                }
                Err(ParameterError::Required(why)) => return Err(why),
            };
            let same =
                |it: &Parameter| it.name == parameter.name && it.location == parameter.location;
            if parameter.location == Location::Path && !template.contains(&parameter.name) {
                report.note(
                    at,
                    format!(
                        "the path {path} has no {{{}}}; the parameter is skipped",
                        parameter.name
                    ),
                );
            } else if !found.iter().any(same) {
                found.push(parameter);
            }
        }
    }
    for name in &template {
        let is = |it: &Parameter, location| it.location == location && it.name == *name;
        if found.iter().any(|it| is(it, Location::Path)) {
            continue;
        }
        // `/find?by={x}` with `x` declared in the query: it stands in the template.
        if let Some(query) = found.iter_mut().find(|it| is(it, Location::Query)) {
            query.location = Location::Path;
            query.style = Style::Simple;
            query.explode = false;
            query.required = true;
            continue;
        }
        report.note(
            spec.place(operation.place),
            format!("the path's {{{name}}} is not declared; any text is accepted"),
        );
        found.push(undeclared(name));
    }
    for parameter in &mut found {
        parameter.filled_by_security = is_filled_by_security(security, parameter);
    }
    found.sort_by_key(|it| !it.required || it.filled_by_security);
    name_arguments(&mut found);
    Ok(found)
}

/// Whether a parameter is the body or a part of it (Swagger 2.0).
fn is_body(spec: &Spec, node: &Node) -> bool {
    let place = spec.resolve(node).ok().and_then(|it| it.text_of("in"));
    place.is_some_and(|it| matches!(it.to_ascii_lowercase().as_str(), "body" | "formdata"))
}

/// What a path alone says of its parameters.
pub fn from_template(path: &str) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = template_names(path)
        .iter()
        .map(|name| undeclared(name))
        .collect();
    name_arguments(&mut parameters);
    parameters
}

/// The `{names}` of a path, each once.
pub fn template_names(path: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        if !names.iter().any(|it| it == name) {
            names.push(name.to_owned());
        }
        rest = after;
    }
    names
}

fn undeclared(name: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        location: Location::Path,
        required: true,
        style: Style::Simple,
        ..Parameter::default()
    }
}

fn is_filled_by_security(security: &[Vec<SecurityScheme>], parameter: &Parameter) -> bool {
    let is_header = |name: &str| {
        parameter.location == Location::Header && parameter.name.eq_ignore_ascii_case(name)
    };
    is_header("authorization")
        || security.iter().flatten().any(|scheme| match &scheme.kind {
            SecurityKind::ApiKey(Location::Header, name) => is_header(name),
            SecurityKind::ApiKey(location, name) => {
                parameter.location == *location && parameter.name == *name
            }
            SecurityKind::Basic
            | SecurityKind::Digest
            | SecurityKind::Bearer
            | SecurityKind::ClientCertificate
            | SecurityKind::Other(_) => false,
        })
}

/// Arguments are called as on the wire, unless two places share a name.
fn name_arguments(parameters: &mut [Parameter]) {
    let mut arguments = Scope::default();
    let mut first: HashSet<String> = HashSet::new();
    for parameter in parameters.iter() {
        first.insert(parameter.name.clone());
    }
    for at in 0..parameters.len() {
        let name = parameters[at].name.clone();
        let shared = parameters[..at].iter().any(|it| it.name == name);
        let place = match parameters[at].location {
            Location::Path => "path",
            Location::Query => "query",
            Location::Header => "header",
            Location::Cookie => "cookie",
        };
        let argument = if shared {
            format!("{name}_{place}")
        } else {
            name
        };
        let mut unique = arguments.unique(argument.clone());
        while shared && first.contains(&unique) {
            unique = arguments.unique(argument.clone());
        }
        parameters[at].argument = unique;
    }
}

enum ParameterError {
    /// It can be done without.
    Skipped(String),
    Required(String),
}

fn parameter<'a>(
    spec: &'a Spec,
    node: &'a Node,
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Result<Parameter, ParameterError> {
    let node = spec
        .resolve(node)
        .map_err(|reason| ParameterError::Skipped(format!("{reason}; the parameter is skipped")))?;
    let Some(name) = node.text_of("name").filter(|it| !it.is_empty()) else {
        return Err(ParameterError::Skipped(format!(
            "expected a parameter with a name, found {}; it is skipped",
            spec.describe(node)
        )));
    };
    let needed = node.is_true("required");
    let refuse = |why: String| {
        if needed {
            ParameterError::Required(why)
        } else {
            ParameterError::Skipped(format!("{why}; it is skipped"))
        }
    };
    let place = node.text_of("in").unwrap_or("").trim().to_ascii_lowercase();
    let location = location_of(name, &place).map_err(refuse)?;
    let is_header = |it: &str| location == Location::Header && name.eq_ignore_ascii_case(it);
    if is_header("accept") || is_header("content-type") {
        return Err(ParameterError::Skipped(format!(
            "the header {name:?} follows from the response; as a parameter it is skipped"
        )));
    }
    if location == Location::Header && !name.bytes().all(is_header_byte) {
        return Err(refuse(format!("expected a header's name, found {name:?}")));
    }
    let (content, media) = match node.get("content").map(Node::entries) {
        Some([entry, ..]) => (spec.resolve(&entry.value).ok(), entry.key.as_str()),
        _ => (None, ""),
    };
    let schema_node = content
        .and_then(|it| it.get("schema"))
        .or_else(|| node.get("schema"));
    // Swagger 2.0: the parameter is its own schema.
    let schema_node = schema_node
        .or_else(|| (node.get("type").is_some() || node.get("enum").is_some()).then_some(node));
    let schema = schema_node.map_or(SchemaRef::ANY, |it| {
        schemas.schema(it, Usage::Parameter, report)
    });
    let (mut style, mut explode) =
        style_of(node, location).map_err(|why| refuse(format!("the parameter {name:?} {why}")))?;
    if place == "querystring" {
        (style, explode) = (Style::Form, true);
    } else if media.to_ascii_lowercase().contains("json") {
        (style, explode) = (Style::Json, false);
    }
    let description = node
        .text_of("description")
        .or_else(|| schema_node.and_then(|it| it.text_of("description")))
        .unwrap_or("");
    Ok(Parameter {
        argument: String::new(),
        name: name.to_owned(),
        location,
        required: needed || location == Location::Path,
        filled_by_security: false,
        style,
        explode,
        allow_reserved: node.is_true("allowReserved"),
        schema,
        description: first_sentence(description, 100),
        example: example_of(node).unwrap_or_default(),
    })
}

fn location_of(name: &str, place: &str) -> Result<Location, String> {
    match place {
        "path" => Ok(Location::Path),
        "query" | "querystring" => Ok(Location::Query),
        "header" => Ok(Location::Header),
        "cookie" => Ok(Location::Cookie),
        "body" | "formdata" => Err(format!(
            "the parameter {name:?} is a request body, which a GET of main-node does not send"
        )),
        other => Err(format!(
            "expected the parameter {name:?} in path, query, header or cookie, found {other:?}"
        )),
    }
}

/// The value that the parameter's author shows for it; the schema's own example is the
/// schema's.
fn example_of(node: &Node) -> Option<String> {
    let examples = node.get("examples");
    let first = examples.and_then(|it| it.entries().first());
    let value = node
        .get("example")
        .or_else(|| first.and_then(|entry| entry.value.get("value")))?;
    short_json(value)
}

fn is_header_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub fn style_of(node: &Node, location: Location) -> Result<(Style, bool), String> {
    let default = match location {
        Location::Path | Location::Header => Style::Simple,
        Location::Query | Location::Cookie => Style::Form,
    };
    if let Some(collection) = node.text_of("collectionFormat") {
        return Ok(match collection {
            "csv" => (default, false),
            "ssv" => (Style::SpaceDelimited, false),
            "tsv" => (Style::TabDelimited, false),
            "pipes" => (Style::PipeDelimited, false),
            "multi" => (default, true),
            other => return Err(format!("has the unknown collectionFormat {other:?}")),
        });
    }
    let style = match node.text_of("style") {
        None | Some("") => default,
        Some("simple") => Style::Simple,
        Some("label") => Style::Label,
        Some("matrix") => Style::Matrix,
        Some("form" | "cookie") => Style::Form,
        Some("spaceDelimited") => Style::SpaceDelimited,
        Some("pipeDelimited") => Style::PipeDelimited,
        Some("deepObject") => Style::DeepObject,
        Some(other) => return Err(format!("has the unknown style {other:?}")),
    };
    // A style that its place does not have is the place's own.
    let fits = match location {
        Location::Path => matches!(style, Style::Simple | Style::Label | Style::Matrix),
        Location::Header => style == Style::Simple,
        Location::Query => !matches!(style, Style::Simple | Style::Label | Style::Matrix),
        Location::Cookie => style == Style::Form,
    };
    let style = if fits { style } else { default };
    // Swagger 2.0's lists are joined by commas unless said otherwise.
    let swagger =
        node.get("schema").is_none() && node.get("content").is_none() && node.get("type").is_some();
    let explode = node.get("explode").and_then(Node::boolean);
    Ok((style, explode.unwrap_or(style == Style::Form && !swagger)))
}
