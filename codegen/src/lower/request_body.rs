//! The request body of a POST: its media type, how it is written, its schema.
//!
//! OpenAPI 3 declares it as `requestBody`, Swagger 2.0 as parameters in `body` or `formData`.
//! JSON is preferred, then a form, then plain text; files are never sent.

use crate::lower::candidates::Candidate;
use crate::lower::parameters::style_of;
use crate::lower::report::Report;
use crate::lower::responses::json_rank;
use crate::lower::schemas::{Schemas, Usage};
use crate::lower::spec::Spec;
use crate::lower::tree::Node;
use crate::operation::{BodyEncoding, FieldStyle, Location, RequestBody, Style};
use crate::schema::{Property, Rule, Schema, SchemaRef, Types};

const FORM: &str = "application/x-www-form-urlencoded";
/// An example longer than this is no value to begin with.
const MAX_EXAMPLE: usize = 2_000;

/// What a POST may send; `None` where it declares no body.
pub fn request_body<'a>(
    spec: &'a Spec,
    post: &Candidate<'a>,
    operation: &'a Node,
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Result<Option<RequestBody>, String> {
    if let Some(node) = operation.get("requestBody") {
        return body_of_content(spec, spec.resolve(node)?, schemas, report).map(Some);
    }
    let mut body = None;
    let mut fields: Vec<(&'a str, &'a Node)> = Vec::new();
    // The operation's win, as with other parameters.
    for list in [operation.get("parameters"), post.item.get("parameters")] {
        let nodes = list.map_or(&[][..], Node::items).iter();
        for node in nodes.filter_map(|it| spec.resolve(it).ok()) {
            let name = node.text_of("name").unwrap_or("");
            match node.text_of("in").map(str::to_ascii_lowercase).as_deref() {
                Some("body") => body = body.or(Some(node)),
                Some("formdata") if fields.iter().all(|(earlier, _)| *earlier != name) => {
                    fields.push((name, node));
                }
                _ => {}
            }
        }
    }
    let consumes = media_types(spec, operation);
    match body {
        Some(node) => body_parameter(spec, node, &consumes, schemas, report).map(Some),
        None if fields.is_empty() => Ok(None),
        None => form_parameters(&fields, &consumes, schemas, report).map(Some),
    }
}

/// Swagger 2.0's `consumes`.
fn media_types<'a>(spec: &'a Spec, operation: &'a Node) -> Vec<&'a str> {
    let declared = operation
        .get("consumes")
        .or_else(|| spec.root().get("consumes"));
    let items = declared.map_or(&[][..], Node::items).iter();
    items.filter_map(Node::text).collect()
}

/// OpenAPI 3: the best of `content`.
fn body_of_content<'a>(
    spec: &'a Spec,
    body: &'a Node,
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Result<RequestBody, String> {
    let required = body.is_true("required");
    let content = body.get("content").map_or(&[][..], Node::entries);
    if content.is_empty() {
        report.note(
            spec.place(body.place),
            "the request body declares no content; any JSON is accepted".to_owned(),
        );
        return Ok(RequestBody {
            required,
            media_type: "application/json".to_owned(),
            ..RequestBody::default()
        });
    }
    let json = content
        .iter()
        .filter_map(|entry| Some((json_rank(&entry.key)?, entry)))
        .min_by_key(|(rank, _)| *rank);
    let form = content.iter().find(|entry| essence(&entry.key) == FORM);
    let text = content
        .iter()
        .find(|entry| is_text(spec, &entry.key, resolved(spec, &entry.value)));
    let (entry, encoding) = match (json, form, text) {
        (Some((_, entry)), _, _) => (entry, BodyEncoding::Json),
        (None, Some(entry), _) => (entry, BodyEncoding::Form),
        (None, None, Some(entry)) => (entry, BodyEncoding::Text),
        (None, None, None) => {
            let names: Vec<&str> = content.iter().map(|entry| entry.key.as_str()).collect();
            return Err(refusal(&names));
        }
    };
    let holder = resolved(spec, &entry.value);
    let node = holder.and_then(|it| it.get("schema"));
    let schema = node.map_or(SchemaRef::ANY, |it| schemas.schema(it, Usage::Body, report));
    let mut found = RequestBody {
        required,
        media_type: media_type(&entry.key)?,
        encoding,
        schema,
        fields: Vec::new(),
        example: example(spec, holder, node),
    };
    if encoding == BodyEncoding::Form {
        found.fields = encodings(holder.and_then(|it| it.get("encoding")))?;
        check_form(schemas, schema, &found.fields)?;
    }
    Ok(found)
}

fn resolved<'a>(spec: &'a Spec, node: &'a Node) -> Option<&'a Node> {
    spec.resolve(node).ok()
}

/// Swagger 2.0: a parameter `in: body`.
fn body_parameter<'a>(
    spec: &'a Spec,
    parameter: &'a Node,
    consumes: &[&str],
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Result<RequestBody, String> {
    let json = consumes
        .iter()
        .filter_map(|name| Some((json_rank(name)?, *name)))
        .min_by_key(|(rank, _)| *rank);
    let text = consumes
        .iter()
        .find(|name| is_text(spec, name, Some(parameter)));
    let (name, encoding) = match (json, text) {
        (Some((_, name)), _) => (name, BodyEncoding::Json),
        (None, Some(name)) => (*name, BodyEncoding::Text),
        (None, None) if consumes.is_empty() => ("application/json", BodyEncoding::Json),
        (None, None) => return Err(refusal(consumes)),
    };
    let node = parameter.get("schema");
    Ok(RequestBody {
        required: parameter.is_true("required"),
        media_type: media_type(name)?,
        encoding,
        schema: node.map_or(SchemaRef::ANY, |it| schemas.schema(it, Usage::Body, report)),
        fields: Vec::new(),
        example: example(spec, Some(parameter), node),
    })
}

/// Swagger 2.0: parameters `in: formData`, each its own schema.
fn form_parameters<'a>(
    fields: &[(&'a str, &'a Node)],
    consumes: &[&str],
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) -> Result<RequestBody, String> {
    if !consumes.is_empty() && !consumes.iter().any(|name| essence(name) == FORM) {
        return Err(refusal(consumes));
    }
    let mut properties = Vec::new();
    let mut styles = Vec::new();
    for (name, node) in fields {
        if node.text_of("type") == Some("file") {
            return Err(format!(
                "its form field {name:?} is a file, which main-node does not send"
            ));
        }
        properties.push(Property {
            name: (*name).to_owned(),
            required: node.is_true("required"),
            schema: schemas.schema(node, Usage::Body, report),
        });
        styles.extend(field_style(name, node)?);
    }
    let required = properties.iter().any(|it| it.required);
    let schema = schemas.object(properties);
    check_form(schemas, schema, &styles)?;
    Ok(RequestBody {
        required,
        media_type: FORM.to_owned(),
        encoding: BodyEncoding::Form,
        schema,
        fields: styles,
        example: String::new(),
    })
}

/// OpenAPI 3's `encoding`, by property.
fn encodings(encoding: Option<&Node>) -> Result<Vec<FieldStyle>, String> {
    let mut found = Vec::new();
    for entry in encoding.map_or(&[][..], Node::entries) {
        found.extend(field_style(&entry.key, &entry.value)?);
    }
    Ok(found)
}

/// How a field is written, where it is not as `name=value` for each value.
fn field_style(name: &str, node: &Node) -> Result<Option<FieldStyle>, String> {
    let (mut style, mut explode) =
        style_of(node, Location::Query).map_err(|why| format!("its form field {name:?} {why}"))?;
    if node
        .text_of("contentType")
        .is_some_and(|it| json_rank(it).is_some())
    {
        (style, explode) = (Style::Json, false);
    }
    let is_default = style == Style::Form && explode;
    Ok((!is_default).then(|| FieldStyle {
        name: name.to_owned(),
        style,
        explode,
    }))
}

/// A form is a list of names with values: scalars, or lists of them. More only where the file
/// says how it is written.
fn check_form(schemas: &Schemas<'_>, form: SchemaRef, styles: &[FieldStyle]) -> Result<(), String> {
    let form = schemas.get(form);
    if !form.types.has(Types::OBJECT) {
        return Err(format!(
            "its request body is a form of {}, not of fields",
            form.types.describe()
        ));
    }
    let has_parts = |schema: &Schema| {
        !schema.types.is_any()
            && (schema.types == Types::OBJECT || schema.types == Types::OBJECT.or(Types::NULL))
    };
    let is_styled = |name: &str| {
        let mut styles = styles.iter();
        styles.any(|it| it.name == name && matches!(it.style, Style::Json | Style::DeepObject))
    };
    for property in form.properties().iter().filter(|it| !is_styled(&it.name)) {
        let schema = schemas.get(property.schema);
        let items = schema.rules.iter().find_map(|rule| match rule {
            Rule::Items(items) => Some(schemas.get(*items)),
            _ => None,
        });
        if has_parts(schema) || items.is_some_and(|it| has_parts(it) || it.types == Types::LIST) {
            return Err(format!(
                "its form field {:?} has fields of its own, which a form cannot carry",
                property.name
            ));
        }
    }
    Ok(())
}

fn essence(name: &str) -> String {
    let name = name.split(';').next().unwrap_or("");
    name.trim().to_ascii_lowercase()
}

/// Whether a body of this type is a text that a person can write.
fn is_text(spec: &Spec, name: &str, holder: Option<&Node>) -> bool {
    let name = essence(name);
    if name.starts_with("multipart/") || name == FORM || !name.contains('/') {
        return false;
    }
    let schema = holder.and_then(|it| it.get("schema"));
    let Some(schema) = schema.and_then(|it| spec.resolve(it).ok()) else {
        return name.starts_with("text/");
    };
    let is_file = matches!(schema.text_of("format"), Some("binary" | "byte" | "base64"));
    schema.text_of("type") == Some("string") && !is_file
}

fn refusal(names: &[&str]) -> String {
    format!(
        "its request body is {}; expected JSON, a form or a text",
        names.join(", ")
    )
}

/// The media type as a header carries it; one that leaves the choice is JSON.
fn media_type(name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.contains('*') || !name.contains('/') {
        return Ok("application/json".to_owned());
    }
    if name.bytes().all(|it| (b' '..=b'~').contains(&it)) {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "expected a media type of its request body, found {name:?}"
        ))
    }
}

/// The body that the file shows, as JSON; empty where it shows none.
fn example<'a>(spec: &'a Spec, holder: Option<&'a Node>, schema: Option<&'a Node>) -> String {
    let shown = holder.and_then(|it| {
        let first = it.get("examples").and_then(|it| it.entries().first());
        let first = first.and_then(|entry| spec.resolve(&entry.value).ok());
        it.get("example").or_else(|| first?.get("value"))
    });
    let of_schema = || {
        let schema = spec.resolve(schema?).ok()?;
        let first = schema.get("examples").and_then(|it| it.items().first());
        schema.get("example").or(first)
    };
    let shown = shown.or_else(of_schema);
    shown
        .and_then(|it| it.json_within(MAX_EXAMPLE))
        .unwrap_or_default()
}
