//! OpenAPI files to operations: the GETs of a description and the POSTs that are named, each
//! included or skipped with a reason.
//!
//! `spec` reads files within `limits` with `yaml` and `json` into a `tree` that knows its places; `candidates`
//! finds the operations; this asks `parameters`, `request_body`, `security`, `responses` and
//! `schemas` for their parts; `dedupe` makes equal schemas one; `report` keeps what was included
//! and what was skipped. One bad node costs at most its operation.

pub mod candidates;
pub mod dedupe;
pub mod files;
pub mod json;
pub mod limits;
pub mod names;
pub mod parameters;
pub mod report;
pub mod request_body;
pub mod responses;
pub mod schemas;
pub mod security;
mod sizes;
pub mod spec;
pub mod tree;
pub mod values;
pub mod yaml;

use std::path::Path;

use crate::compact::{self, Description};
use crate::lower::candidates::{Candidate, Candidates, Wanted};
use crate::lower::report::{Included, Report, Skipped};
use crate::lower::responses::JsonResponses;
use crate::lower::schemas::Schemas;
use crate::lower::sizes::Weights;
use crate::lower::spec::{Failure, Spec};
use crate::lower::tree::{Kind, Node, truncate};
use crate::lower::values::{first_sentence, words};
use crate::operation::{Api, Method, Operation, Server, Variable};

/// An operation of a file takes this often what its nodes take in the tree, while it is lowered.
const OPERATION_FACTOR: usize = 10;

/// Lowers the wanted operations of a description. What comes of it, and its compact text, stays
/// within the limit of memory that the description was read with.
pub fn lower(spec: &Spec, module: &str, wanted: &Wanted) -> Result<(Description, Report), Failure> {
    let root = spec.root();
    let before = spec.memory.used();
    spec.memory
        .take(report::MAX_NOTE_BYTES + NOTE_IN_HAND, root.place);
    spec.check_memory()?;
    let mut report = Report::new(spec.main_file(), module);
    for warning in &spec.warnings {
        report.note(spec.place(warning.place), warning.message.clone());
    }
    let candidates = Candidates::find(spec, &mut report);
    let candidates = candidates.select(spec, wanted, &mut report)?;

    let mut weights = Weights::default();
    let needed = OPERATION_FACTOR * own_weight(root, &mut weights);
    spec.memory.take(needed, root.place);
    // A list that grew would lie in memory twice.
    let places = candidates.len() * size_of::<Operation>() + 32;
    spec.memory.take(places, root.place);
    spec.check_memory()?;
    let own = servers(spec, root, &mut report).unwrap_or_default();
    let mut schemas = Schemas::new(spec);
    let mut operations = Vec::with_capacity(candidates.len());
    for candidate in &candidates {
        let needed = OPERATION_FACTOR * operation_weight(spec, candidate, &mut weights)
            + sizes::servers(&own);
        spec.memory.take(needed, candidate.place);
        weights.count(&spec.memory, candidate.place);
        spec.check_memory()?;
        if let Some(mut operation) = lowered(spec, candidate, &mut schemas, &mut report) {
            operation.api = module.to_owned();
            if operation.servers.is_empty() {
                operation.servers = own.clone();
            }
            let bytes = sizes::operation(&operation);
            spec.memory.take(bytes, candidate.place);
            operations.push(operation);
        }
        spec.check_memory()?;
        spec.memory.give_back(needed);
    }
    let api = Api {
        name: module.to_owned(),
        title: info(root, "title", 100),
        version: info(root, "version", 40),
        source_file: spec.main_file().to_owned(),
        servers: own,
        operations,
    };
    let mut description = Description {
        api,
        schemas: schemas.into_schemas(),
    };
    dedupe::dedupe(&mut description, &spec.memory, root.place);
    spec.check_memory()?;
    let most_of_one = description
        .api
        .operations
        .iter()
        .map(sizes::operation)
        .max();
    let text = compact::memory(&description) + most_of_one.unwrap_or(0);
    spec.memory.take(text, root.place);
    spec.check_memory()?;
    // The next call begins where this one did: what it made is its caller's now.
    spec.memory.give_back(spec.memory.used() - before);
    Ok((description, report))
}

/// An operation, or why there is none in the report.
fn lowered<'a>(
    spec: &'a Spec,
    candidate: &Candidate<'a>,
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Option<Operation> {
    let (id, path) = (candidate.id.clone(), candidate.path.clone());
    let (method, place) = (candidate.method, spec.place(candidate.place));
    let lowered = match candidate.operation {
        Some(node) => operation(spec, candidate, node, schemas, report),
        None => Ok(assumed(spec, candidate, report)),
    };
    match lowered {
        Ok(operation) => {
            report.included.push(Included {
                method,
                id,
                path,
                place,
                assumed: candidate.operation.is_none(),
            });
            Some(operation)
        }
        Err(reason) => {
            let reason = truncate(&reason, 1_000);
            let bytes = 2 * limits::heap(reason.len());
            spec.memory.take(bytes, candidate.place);
            report.skipped.push(Skipped {
                method,
                id,
                path,
                place,
                reason,
            });
            None
        }
    }
}

fn info(root: &Node, key: &str, most: usize) -> String {
    let info = root.get("info");
    one_line(info.and_then(|it| it.text_of(key)).unwrap_or(""), most)
}

/// A note that is being written, with the texts that it quotes.
const NOTE_IN_HAND: usize = 200_000;

/// What the root says for all operations.
fn own_weight(root: &Node, weights: &mut Weights) -> usize {
    let keys = ["servers", "schemes", "basePath", "host"];
    keys.iter()
        .filter_map(|key| root.get(key))
        .map(|it| weights.of(it))
        .sum()
}

/// What is read of an operation, as it weighs in the tree: also what it refers to.
fn operation_weight(spec: &Spec, candidate: &Candidate<'_>, weights: &mut Weights) -> usize {
    let mut weight = 400 + 2 * candidate.path.len();
    let operation = candidate.operation.and_then(|it| spec.resolve(it).ok());
    let nodes = [operation, Some(candidate.item)];
    for (at, node) in nodes.into_iter().flatten().enumerate() {
        if at == 0 {
            weight += weights.of(node);
        }
        for key in ["parameters", "servers"] {
            weight += node.get(key).map_or(0, |it| weights.of(it));
        }
        let parameters = node.get("parameters");
        let items = parameters.map_or(&[][..], Node::items).iter();
        let entries = parameters
            .map_or(&[][..], Node::entries)
            .iter()
            .map(|it| &it.value);
        let responses = node.get("responses").map_or(&[][..], Node::entries);
        let responses = responses.iter().map(|it| &it.value);
        let body = node.get("requestBody").into_iter();
        for part in items.chain(entries).chain(responses).chain(body) {
            weight += spec.resolve(part).map_or(0, |it| weights.of(it));
        }
    }
    let node = operation.unwrap_or(candidate.item);
    weight + security::weight(spec, node, weights)
}

pub fn one_line(text: &str, most: usize) -> String {
    truncate(&words(text, most + 1), most)
}

fn operation<'a>(
    spec: &'a Spec,
    candidate: &Candidate<'a>,
    node: &'a Node,
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Result<Operation, String> {
    let node = spec.resolve(node)?;
    if !node.is_map() {
        return Err(format!(
            "expected an operation, found {}",
            spec.describe(node)
        ));
    }
    let request_body = match candidate.method {
        Method::Get => {
            let body = node.get("requestBody").map(|it| spec.resolve(it));
            if body.is_some_and(|it| it.is_ok_and(|it| it.is_true("required"))) {
                let why = "it needs a request body, which a GET of main-node does not send";
                return Err(why.to_owned());
            }
            None
        }
        Method::Post => request_body::request_body(spec, candidate, node, schemas, report)?,
    };
    let security = security::security(spec, node, report);
    let JsonResponses { accept, responses } =
        responses::responses(spec, node, candidate.place, schemas, report)?;
    let parameters = parameters::parameters(spec, candidate, node, &security, schemas, report)?;
    let own = servers(spec, node, report).or_else(|| servers(spec, candidate.item, report));
    Ok(Operation {
        api: String::new(),
        method: candidate.method,
        id: candidate.id.clone(),
        summary: summary(node),
        description: one_line(node.text_of("description").unwrap_or(""), 160),
        path: candidate.path.clone(),
        servers: own.unwrap_or_default(),
        parameters,
        request_body,
        security,
        accept,
        responses,
        deprecated: node.is_true("deprecated"),
    })
}

/// The summary of an operation, else the first sentence of its description.
pub fn summary(operation: &Node) -> String {
    let text = |key: &str| operation.text_of(key).filter(|it| !it.is_empty());
    let text = text("summary").or_else(|| text("description"));
    first_sentence(text.unwrap_or(""), 100)
}

/// What a file calls its API: `x-main-node-name`, or the file's name, or where that says nothing
/// the API's title.
pub fn module_name(spec: &Spec) -> String {
    const GENERIC_NAMES: &[&str] = &[
        "openapi", "swagger", "api", "api_docs", "spec", "schema", "main", "index", "root", "v1",
        "v2", "v3",
    ];
    if let Some(name) = spec.root().text_of("x-main-node-name") {
        return names::snake(name);
    }
    let path = Path::new(spec.main_file());
    let stem = path
        .file_stem()
        .map(|it| it.to_string_lossy().into_owned())
        .unwrap_or_default();
    let stem = names::snake(&stem);
    if !GENERIC_NAMES.contains(&stem.as_str()) {
        return stem;
    }
    let title = spec
        .root()
        .get("info")
        .and_then(|it| it.text_of("title"))
        .unwrap_or("");
    if title.trim().is_empty() {
        stem
    } else {
        names::snake(title)
    }
}

/// A path whose file is missing: that it can be got is likely, and asked for by name it may
/// be tried. Nothing calls it otherwise.
fn assumed(spec: &Spec, get: &Candidate<'_>, report: &mut Report) -> Operation {
    Operation {
        id: get.id.clone(),
        summary: "(its file is missing)".to_owned(),
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
