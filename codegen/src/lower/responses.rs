//! Which responses of an operation are JSON, and their schemas.

use crate::lower::report::Report;
use crate::lower::schemas::{Schemas, Usage};
use crate::lower::spec::Spec;
use crate::lower::tree::{Entry, Node, Position};
use crate::operation::Response;
use crate::schema::SchemaRef;

/// What to ask for, and what may come.
pub struct JsonResponses {
    pub accept: String,
    pub responses: Vec<Response>,
}

/// A JSON response of which nothing is known.
pub fn free_form(status: &str) -> Response {
    Response {
        status: status.to_owned(),
        media_type: "application/json".to_owned(),
        schema: SchemaRef::ANY,
    }
}

/// The JSON success responses, best first; an error where there is none.
pub fn responses<'a>(
    spec: &'a Spec,
    operation: &'a Node,
    at: Position,
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Result<JsonResponses, String> {
    let declared = operation.get("responses").map(Node::entries).unwrap_or(&[]);
    let successes = successes(declared);
    let mut search = Search::default();
    for (status, node) in &successes {
        search.add(spec, operation, status, node, schemas, report);
    }
    if let (true, Some((status, place))) = (search.is_empty(), &search.undeclared) {
        report.note(
            spec.place(*place),
            "the response declares no content; any JSON is accepted".to_owned(),
        );
        search.found.push(free_form(status));
    }
    if successes.is_empty() && declared.is_empty() {
        report.note(
            spec.place(at),
            "it declares no responses; any JSON is accepted".to_owned(),
        );
        search.found.push(free_form("2XX"));
    }
    let Some(first) = search.found.first() else {
        let mut others = search.others;
        others.sort();
        others.dedup();
        return Err(if others.is_empty() {
            let statuses: Vec<&str> = declared.iter().map(|it| it.key.as_str()).collect();
            format!(
                "it declares no success response, only {}",
                statuses.join(", ")
            )
        } else {
            format!("its success response is not JSON but {}", others.join(", "))
        });
    };
    // What has no schema asks for what its media type says; `*/*` asks for JSON.
    let accept = match first.media_type.split(';').next().unwrap_or("").trim() {
        media if media.contains('*') || !media.contains('/') => "application/json".to_owned(),
        media if is_generic(media) => format!("application/json, {media};q=0.9"),
        media => media.to_owned(),
    };
    Ok(JsonResponses {
        accept,
        responses: search.found,
    })
}

/// Success statuses with their nodes, best first.
fn successes(declared: &[Entry]) -> Vec<(String, &Node)> {
    let mut successes: Vec<(String, &Node)> = Vec::new();
    for entry in declared {
        let status = entry.key.trim().to_ascii_uppercase();
        if status == "DEFAULT" {
            successes.push(("default".to_owned(), &entry.value));
        } else if status.len() == 3 && status.starts_with('2') {
            successes.push((status, &entry.value));
        }
    }
    // `default` is the error where a success is named.
    if successes.iter().any(|(status, _)| status != "default") {
        successes.retain(|(status, _)| status != "default");
    }
    successes.sort_by_key(|(status, _)| (status.ends_with("XX"), status != "200", status.clone()));
    successes
}

#[derive(Default)]
struct Search {
    found: Vec<Response>,
    /// Media types that are not JSON.
    others: Vec<String>,
    /// The first response without a media type.
    undeclared: Option<(String, Position)>,
}

impl Search {
    fn is_empty(&self) -> bool {
        self.found.is_empty() && self.others.is_empty()
    }

    fn add<'a>(
        &mut self,
        spec: &'a Spec,
        operation: &'a Node,
        status: &str,
        node: &'a Node,
        schemas: &mut Schemas<'a>,
        report: &mut Report,
    ) {
        if matches!(status, "204" | "205") {
            self.others.push(format!("{status} (no body)"));
            return;
        }
        let response = match spec.resolve(node) {
            Ok(response) => response,
            Err(reason) => {
                report.note(
                    spec.place(node.place),
                    format!("{reason}; any JSON is accepted here"),
                );
                self.found.push(free_form(status));
                return;
            }
        };
        let media = media_types(spec, operation, response);
        match best_media_type(spec, &media) {
            Some((media_type, holder)) => {
                let schema = holder.and_then(|it| it.get("schema"));
                let schema = match schema {
                    Some(node) => schemas.schema(node, Usage::Response, report),
                    None => SchemaRef::ANY,
                };
                self.found.push(Response {
                    status: status.to_owned(),
                    media_type: media_type.to_owned(),
                    schema,
                });
            }
            None if media.is_empty() => {
                let first = self.undeclared.take();
                self.undeclared = first.or(Some((status.to_owned(), response.place)));
            }
            None => {
                let names = media.iter().map(|(name, _)| (*name).to_owned());
                self.others.extend(names);
            }
        }
    }
}

/// Each media type with the node that holds its schema.
fn media_types<'a>(
    spec: &'a Spec,
    operation: &'a Node,
    response: &'a Node,
) -> Vec<(&'a str, Option<&'a Node>)> {
    if let Some(content) = response.get("content") {
        return content
            .entries()
            .iter()
            .map(|entry| (entry.key.as_str(), spec.resolve(&entry.value).ok()))
            .collect();
    }
    // Swagger 2.0: the schema lies in the response, the media types elsewhere.
    let schema = response.get("schema");
    let root = spec.root();
    let produces = operation.get("produces").or_else(|| root.get("produces"));
    let mut media: Vec<(&str, Option<&Node>)> = produces
        .map(Node::items)
        .unwrap_or(&[])
        .iter()
        .filter_map(Node::text)
        .map(|name| (name, schema.map(|_| response)))
        .collect();
    let is_file = schema.is_some_and(|it| it.text_of("type") == Some("file"));
    if is_file {
        return vec![("a file", None)];
    }
    if schema.is_some() && media.is_empty() {
        media.push(("application/json", Some(response)));
    }
    media
}

/// The JSON media type to ask for.
fn best_media_type<'a>(
    spec: &Spec,
    media: &[(&'a str, Option<&'a Node>)],
) -> Option<(&'a str, Option<&'a Node>)> {
    let declared = media
        .iter()
        .filter_map(|(name, node)| Some((json_rank(name)?, *name, *node)))
        .min_by_key(|(rank, _, _)| *rank)
        .map(|(_, name, node)| (name, node));
    declared.or_else(|| {
        let mislabelled = media.iter().find(|(name, holder)| {
            let schema = holder.and_then(|it| it.get("schema"));
            is_generic(name) && schema.is_some_and(|it| is_structured(spec, it))
        });
        mislabelled.copied()
    })
}

/// Whether a media type names no format of its own, so that frameworks leave it standing on
/// answers that are JSON.
fn is_generic(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(
        name.split(';').next().unwrap_or("").trim(),
        "text/html"
            | "text/plain"
            | "text/javascript"
            | "application/text"
            | "application/javascript"
            | "application/octet-stream"
    )
}

/// Whether a schema says that there is an object or a list, which plain text cannot be.
fn is_structured(spec: &Spec, schema: &Node) -> bool {
    let Ok(schema) = spec.resolve(schema) else {
        return false;
    };
    let says = |name: &str| matches!(name, "object" | "array");
    let by_type = schema.get("type").is_some_and(|it| {
        it.text().is_some_and(says) || it.items().iter().filter_map(Node::text).any(says)
    });
    by_type || schema.get("properties").is_some_and(Node::is_map)
}

/// How good a media type is; `None` where it is not JSON.
pub fn json_rank(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    let name = name.split(';').next().unwrap_or("").trim();
    let subtype = name.split('/').nth(1).unwrap_or(name);
    match (name, subtype) {
        ("application/json", _) => Some(0),
        (_, "json" | "x-json" | "application-json") => Some(1),
        (_, it) if it.ends_with("+json") => Some(2),
        ("*/*" | "application/*" | "*", _) => Some(3),
        // `application/vnd.vendor.json`, but no stream of documents.
        (_, it) if it.ends_with(".json") && !it.contains("stream") => Some(4),
        _ => None,
    }
}
