//! OpenAPI files to operations: the GETs of a description, each included or skipped with a
//! reason.
//!
//! `spec` reads files with `yaml` and `json` into a `tree` that knows its places; this finds the
//! GETs and asks `parameters`, `security`, `responses` and `schemas` for their parts; `dedupe`
//! makes equal schemas one; `report` keeps what was included and what was skipped.
//!
//! Owns which operations there are and what they are called. One bad node costs at most its
//! operation.

pub mod dedupe;
pub mod json;
pub mod names;
pub mod parameters;
pub mod patterns;
pub mod report;
pub mod responses;
pub mod schemas;
pub mod security;
pub mod spec;
pub mod tree;
pub mod values;
pub mod yaml;

use std::collections::HashSet;

use crate::compact::Description;
use crate::lower::names::Scope;
use crate::lower::report::{Included, Report, Skipped};
use crate::lower::responses::JsonResponses;
use crate::lower::schemas::Schemas;
use crate::lower::spec::{Failure, Spec};
use crate::lower::tree::{Kind, Node, Position, truncate};
use crate::lower::values::first_sentence;
use crate::operation::{Api, Operation, Server, Variable};

/// A GET as the file has it, before anything of it is judged.
struct Get<'a> {
    path: String,
    /// `None` where its file is missing.
    operation: Option<&'a Node>,
    item: &'a Node,
    place: Position,
    id: String,
}

/// Lowers a description. `wanted` prunes to the operations that it names.
pub fn lower(
    spec: &Spec,
    module: &str,
    wanted: &[String],
) -> Result<(Description, Report), Failure> {
    let root = spec.root();
    let mut report = Report::new(spec.main_file(), module);
    for warning in &spec.warnings {
        report.note(spec.place(warning.place), warning.message.clone());
    }
    let mut gets = find_gets(spec, &mut report);
    name_gets(spec, &mut gets, &mut report);
    let all = gets.len();
    let gets = requested(spec, gets, wanted)?;
    report.not_requested = all - gets.len();

    let own = servers(spec, root, &mut report).unwrap_or_default();
    let mut schemas = Schemas::new(spec);
    let mut operations = Vec::new();
    for get in &gets {
        let (id, path, place) = (get.id.clone(), get.path.clone(), spec.place(get.place));
        let lowered = match get.operation {
            Some(node) => operation(spec, get, node, &mut schemas, &mut report),
            None => Ok(assumed(spec, get, &mut report)),
        };
        match lowered {
            Ok(mut operation) => {
                operation.api = module.to_owned();
                if operation.servers.is_empty() {
                    operation.servers = own.clone();
                }
                operations.push(operation);
                report.included.push(Included {
                    id,
                    path,
                    place,
                    assumed: get.operation.is_none(),
                });
            }
            Err(reason) => report.skipped.push(Skipped {
                id,
                path,
                place,
                reason,
            }),
        }
    }
    let info = root.get("info");
    let text = |key: &str| {
        info.and_then(|it| it.text_of(key))
            .unwrap_or("")
            .trim()
            .to_owned()
    };
    let api = Api {
        name: module.to_owned(),
        title: one_line(&text("title"), 100),
        version: one_line(&text("version"), 40),
        source_file: spec.main_file().to_owned(),
        servers: own,
        operations,
    };
    let mut description = Description {
        api,
        schemas: schemas.into_schemas(),
    };
    dedupe::dedupe(&mut description);
    Ok((description, report))
}

/// What the file itself asks for.
pub fn requested_by_file(spec: &Spec) -> Vec<String> {
    let list = spec
        .root()
        .get("x-main-node-operations")
        .map(Node::items)
        .unwrap_or(&[]);
    list.iter()
        .filter_map(Node::text)
        .map(str::to_owned)
        .collect()
}

pub fn one_line(text: &str, most: usize) -> String {
    truncate(&text.split_whitespace().collect::<Vec<_>>().join(" "), most)
}

fn find_gets<'a>(spec: &'a Spec, report: &mut Report) -> Vec<Get<'a>> {
    let mut gets = Vec::new();
    for entry in spec.root().get("paths").map(Node::entries).unwrap_or(&[]) {
        let (path, place) = (entry.key.as_str(), entry.place);
        if path.starts_with("x-") {
            continue;
        }
        let trimmed = path.trim().split('#').next().unwrap_or("");
        let slash = if trimmed.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{trimmed}");
        let get = |operation, item, place| Get {
            path: path.clone(),
            operation,
            item,
            place,
            id: String::new(),
        };
        let item = match spec.resolve(&entry.value) {
            Ok(item) => item,
            Err(reason) => {
                report.note(
                    spec.place(place),
                    format!(
                        "{reason}; put it there to have the parameters and the response of {path}"
                    ),
                );
                gets.push(get(None, &entry.value, place));
                continue;
            }
        };
        if !item.is_map() {
            report.note(
                spec.place(entry.value.place),
                format!(
                    "expected the operations of {path}, found {}",
                    item.describe()
                ),
            );
            continue;
        }
        // What stands beside the `$ref` counts too.
        for part in [item, &entry.value] {
            for method in part.entries() {
                match method.key.to_ascii_lowercase().as_str() {
                    "get"
                        if !gets
                            .iter()
                            .any(|it: &Get| it.path == path && it.operation.is_some()) =>
                    {
                        gets.push(get(Some(&method.value), item, method.place));
                    }
                    "post" | "put" | "patch" | "delete" | "head" | "options" | "trace"
                    | "query"
                        if std::ptr::eq(part, item) =>
                    {
                        report.other_methods += 1;
                    }
                    _ => {}
                }
            }
            if std::ptr::eq(item, &entry.value) {
                break;
            }
        }
    }
    gets
}

/// operationIds, where they are usable and unique; else a name made of the path.
fn name_gets(spec: &Spec, gets: &mut [Get<'_>], report: &mut Report) {
    let said = |get: &Get| -> Option<String> {
        let text = get.operation?.text_of("operationId")?.trim();
        let usable = !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
        usable.then(|| text.to_owned())
    };
    let mut scope = Scope::default();
    let mut first: HashSet<String> = HashSet::new();
    // Ids of the file come first: a made-up name must not take one away.
    for get in gets.iter_mut() {
        if let Some(id) = said(get)
            && first.insert(id.clone())
        {
            get.id = scope.unique(id);
        }
    }
    for get in gets.iter_mut().filter(|get| get.id.is_empty()) {
        get.id = scope.unique(name_of_path(&get.path));
        if let Some(clash) = said(get) {
            report.note(
                spec.place(get.place),
                format!(
                    "the operationId {clash:?} is used twice; this one is named {:?}",
                    get.id
                ),
            );
        }
    }
}

/// `/stations/{id}/latest.json` → `getStationsByIdLatestJson`.
fn name_of_path(path: &str) -> String {
    let mut name = "get".to_owned();
    for part in path.split(['/', '?', '&']) {
        let mut rest = part;
        while let Some((before, after)) = rest.split_once('{') {
            let (variable, after) = after.split_once('}').unwrap_or((after, ""));
            if !before.is_empty() {
                name.push_str(&names::pascal(before));
            }
            name.push_str("By");
            name.push_str(&names::pascal(variable));
            rest = after;
        }
        if !rest.is_empty() {
            name.push_str(&names::pascal(rest));
        }
    }
    if name == "get" {
        "getRoot".to_owned()
    } else {
        name
    }
}

fn requested<'a>(
    spec: &Spec,
    gets: Vec<Get<'a>>,
    wanted: &[String],
) -> Result<Vec<Get<'a>>, Failure> {
    if wanted.is_empty() {
        return Ok(gets);
    }
    let is = |get: &Get, name: &str| {
        get.id == name || get.path == name || name.strip_prefix("GET ") == Some(&get.path)
    };
    for name in wanted {
        if !gets.iter().any(|get| is(get, name)) {
            let near = gets
                .iter()
                .map(|get| (strsim::jaro_winkler(name, &get.id), &get.id))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(likeness, _)| *likeness > 0.7)
                .map(|(_, id)| format!("did you mean {id:?}?"))
                .unwrap_or_else(|| "run codegen without a list to see all".to_owned());
            return Err(Failure(format!(
                "{}: expected a GET operation named {name:?}, found none of its {}; {near}",
                spec.main_file(),
                gets.len()
            )));
        }
    }
    Ok(gets
        .into_iter()
        .filter(|get| wanted.iter().any(|name| is(get, name)))
        .collect())
}

fn operation<'a>(
    spec: &'a Spec,
    get: &Get<'a>,
    node: &'a Node,
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Result<Operation, String> {
    let node = spec.resolve(node)?;
    if !node.is_map() {
        return Err(format!("expected an operation, found {}", node.describe()));
    }
    if let Some(body) = node.get("requestBody")
        && spec.resolve(body).is_ok_and(|it| it.is_true("required"))
    {
        return Err("it needs a request body, which a GET of main-node does not send".to_owned());
    }
    let security = security::security(spec, node, report);
    let JsonResponses { accept, responses } =
        responses::responses(spec, node, get.place, schemas, report)?;
    let parameters =
        parameters::parameters(spec, &get.path, get.item, node, &security, schemas, report)?;
    let own = servers(spec, node, report).or_else(|| servers(spec, get.item, report));
    let text = |key: &str| node.text_of(key).unwrap_or("");
    let summary = if text("summary").is_empty() {
        text("description")
    } else {
        text("summary")
    };
    Ok(Operation {
        api: String::new(),
        id: get.id.clone(),
        summary: first_sentence(summary, 100),
        description: one_line(text("description"), 160),
        path: get.path.clone(),
        servers: own.unwrap_or_default(),
        parameters,
        security,
        accept,
        responses,
        deprecated: node.is_true("deprecated"),
    })
}

/// A path whose file is missing: that it can be got is likely, and asked for by name it may
/// be tried. Nothing calls it otherwise.
fn assumed(spec: &Spec, get: &Get, report: &mut Report) -> Operation {
    Operation {
        id: get.id.clone(),
        summary: "(its file was missing when this was generated)".to_owned(),
        path: get.path.clone(),
        parameters: parameters::from_template(&get.path),
        security: security::security(spec, get.item, report),
        accept: "application/json".to_owned(),
        responses: vec![responses::free_form("200")],
        ..Operation::default()
    }
}

/// The servers that a node names itself; `None` where it names none.
fn servers(spec: &Spec, node: &Node, report: &mut Report) -> Option<Vec<Server>> {
    if let Some(list) = node.get("servers") {
        let servers: Vec<Server> = list.items().iter().filter_map(server).collect();
        if servers.len() < list.items().len() || (servers.is_empty() && !list.items().is_empty()) {
            report.note(
                spec.place(list.place),
                "a server without a URL is skipped".to_owned(),
            );
        }
        return (!servers.is_empty()).then_some(servers);
    }
    let host = node.text_of("host").filter(|it| !it.is_empty());
    let base = node.text_of("basePath").unwrap_or("");
    if host.is_none() && base.is_empty() {
        return None;
    }
    let slash = if base.starts_with('/') || base.is_empty() {
        ""
    } else {
        "/"
    };
    let Some(host) = host else {
        return Some(vec![plain_server(format!("{slash}{base}"))]);
    };
    let mut schemes: Vec<&str> = node
        .get("schemes")
        .map(Node::items)
        .unwrap_or(&[])
        .iter()
        .filter_map(Node::text)
        .collect();
    schemes.retain(|it| matches!(*it, "http" | "https"));
    schemes.sort_by_key(|it| *it != "https");
    if schemes.is_empty() {
        schemes.push("https");
    }
    Some(
        schemes
            .iter()
            .map(|it| plain_server(format!("{it}://{host}{slash}{base}")))
            .collect(),
    )
}

fn plain_server(url: String) -> Server {
    Server {
        url,
        description: String::new(),
        variables: Vec::new(),
    }
}

fn server(node: &Node) -> Option<Server> {
    let url = match &node.kind {
        Kind::Text(url) => url.as_str(),
        _ => node.text_of("url")?,
    };
    let variables = node
        .get("variables")
        .map(Node::entries)
        .unwrap_or(&[])
        .iter()
        .map(|entry| {
            let values: Vec<String> = entry
                .value
                .get("enum")
                .map(Node::items)
                .unwrap_or(&[])
                .iter()
                .filter_map(|it| it.text().map(str::to_owned))
                .collect();
            let default = entry.value.text_of("default").map(str::to_owned);
            Variable {
                name: entry.key.clone(),
                default: default
                    .or_else(|| values.first().cloned())
                    .unwrap_or_default(),
                values,
            }
        });
    Some(Server {
        url: url.trim().to_owned(),
        description: one_line(node.text_of("description").unwrap_or(""), 100),
        variables: variables.collect(),
    })
}
