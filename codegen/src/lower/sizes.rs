//! How much of the heap parts of a description take, for `limits::Memory`.

use std::collections::HashMap;

use crate::lower::limits::{self, Memory, hashed, heap};
use crate::lower::tree::{Entry, Kind, Node, Position};
use crate::operation::{Operation, SecurityKind, Server};
use crate::schema::{Literal, Rule, Schema};

/// Weights of nodes that many operations refer to, each found once.
#[derive(Default)]
pub struct Weights {
    known: HashMap<usize, usize>,
    /// Those that `Memory` knows of.
    counted: usize,
}

impl Weights {
    /// Counts what was added since it was last counted.
    pub fn count(&mut self, memory: &Memory, place: Position) {
        let added = self.known.len() - self.counted;
        self.counted = self.known.len();
        memory.take(added * hashed(size_of::<(usize, usize)>()), place);
    }

    /// What a part of an operation takes in the tree, without the schemas and examples in it.
    pub fn of(&mut self, node: &Node) -> usize {
        let address = std::ptr::from_ref(node) as usize;
        *self.known.entry(address).or_insert_with(|| weight(node))
    }
}

fn weight(node: &Node) -> usize {
    const OTHERS: &[&str] = &["schema", "example", "examples"];
    match &node.kind {
        Kind::Null | Kind::Bool(_) => size_of::<Node>(),
        Kind::Number(it) | Kind::Text(it) => size_of::<Node>() + heap(it.len().min(4_000)),
        Kind::List(items) => {
            let items = items.iter().map(weight);
            size_of::<Node>() + heap(1) + items.sum::<usize>()
        }
        Kind::Map(entries) => {
            let entries = entries.iter().map(|entry| {
                let value = if OTHERS.contains(&entry.key.as_str()) {
                    0
                } else {
                    weight(&entry.value)
                };
                heap(entry.key.len()) + 40 + value
            });
            limits::map(0) + heap(1) + entries.sum::<usize>()
        }
    }
}

fn text(text: &str) -> usize {
    heap(text.len())
}

/// Servers that several operations have, each a copy.
pub fn servers(servers: &[Server]) -> usize {
    let one = |it: &Server| {
        let variables = it.variables.iter().map(|it| {
            let values: usize = it.values.iter().map(|it| text(it) + 72).sum();
            text(&it.name) + text(&it.default) + values + 32 + 3 * size_of_val(it)
        });
        text(&it.url) + text(&it.description) + variables.sum::<usize>() + 3 * size_of_val(it)
    };
    servers.iter().map(one).sum::<usize>() + 32
}

/// An operation, without its place in the list.
pub fn operation(operation: &Operation) -> usize {
    let schemes = operation.security.iter().flatten().map(|it| {
        let kind = match &it.kind {
            SecurityKind::ApiKey(_, name) | SecurityKind::Other(name) => text(name),
            _ => 0,
        };
        let grants = it
            .grants
            .iter()
            .map(|it| text(&it.grant) + text(&it.token_url) + 192);
        let texts = text(&it.name) + text(&it.description) + text(&it.discovery_url);
        kind + texts + grants.sum::<usize>() + 3 * size_of_val(it)
    });
    let parameters = operation.parameters.iter().map(|it| {
        let texts = [&it.argument, &it.name, &it.description, &it.example];
        // An argument may have grown.
        texts.map(|it| 2 * text(it)).iter().sum::<usize>() + 3 * size_of_val(it)
    });
    let responses = operation
        .responses
        .iter()
        .map(|it| text(&it.status) + text(&it.media_type) + 3 * size_of_val(it));
    let body = operation.request_body.iter().map(|it| {
        let fields = it
            .fields
            .iter()
            .map(|it| text(&it.name) + 3 * size_of_val(it));
        text(&it.media_type) + 3 * text(&it.example) + fields.sum::<usize>()
    });
    let texts = [
        &operation.api,
        &operation.id,
        &operation.summary,
        &operation.description,
        &operation.path,
        &operation.accept,
    ];
    texts.map(|it| 2 * text(it)).iter().sum::<usize>()
        + servers(&operation.servers)
        + schemes.sum::<usize>()
        + operation.security.len() * 104
        + parameters.sum::<usize>()
        + responses.sum::<usize>()
        + body.sum::<usize>()
        + 256
}

/// What a schema holds.
pub fn schema(schema: &Schema) -> usize {
    let rules = schema.rules.iter().map(|rule| match rule {
        Rule::Format(it)
        | Rule::Pattern(it)
        | Rule::Default(it)
        | Rule::Example(it)
        | Rule::Description(it) => 2 * text(it),
        Rule::Enum(literals) => {
            let texts = literals.iter().map(|it| match it {
                Literal::Number(it) | Literal::Text(it) => text(it),
                Literal::Json(it) => 2 * text(it),
                Literal::Null | Literal::Boolean(_) => 0,
            });
            texts.sum::<usize>() + heap(literals.len() * 2 * size_of::<Literal>())
        }
        Rule::Properties(properties) => {
            let names = properties.iter().map(|it| text(&it.name));
            names.sum::<usize>() + heap(properties.len() * 2 * 48)
        }
        Rule::PrefixItems(ids) | Rule::Variants(ids) => heap(ids.len() * 16),
        Rule::Discriminator(property, mapping) => {
            let texts = mapping.iter().map(|(name, _)| text(name) + 3 * 32);
            text(property) + texts.sum::<usize>() + 128
        }
        Rule::Minimum(_)
        | Rule::Maximum(_)
        | Rule::ExclusiveMinimum(_)
        | Rule::ExclusiveMaximum(_)
        | Rule::Closed
        | Rule::AdditionalProperties(_)
        | Rule::Items(_) => 0,
    });
    let list = match schema.rules.len() {
        0 => 0,
        count => heap((count * 2).max(4) * size_of::<Rule>()),
    };
    rules.sum::<usize>() + list
}

/// What a keyword takes in a `SchemaBuilder` and in the schema that is made of it.
pub fn keyword(entry: &Entry) -> usize {
    let value = &entry.value;
    match entry.key.as_str() {
        "properties" => {
            let names = value
                .entries()
                .iter()
                .map(|it| 500 + 2 * heap(it.key.len()));
            names.sum()
        }
        "enum" => value.items().iter().map(literal_memory).sum(),
        "const" => literal_memory(value),
        "required" => {
            let names = value.items().iter().filter_map(Node::text);
            names.map(|it| 300 + 2 * heap(it.len())).sum()
        }
        "discriminator" => {
            let mapping = value.get("mapping").map(Node::entries).unwrap_or(&[]);
            let names = mapping.iter().map(|it| 200 + heap(it.key.len()));
            let property = value.text_of("propertyName").unwrap_or("");
            100_000 + heap(property.len()) + names.sum::<usize>()
        }
        "oneOf" | "anyOf" | "items" | "prefixItems" => value.items().len() * 200,
        "format" => 1_000,
        "pattern" => 3_000,
        _ => 8,
    }
}

/// A listed value, and where it is no scalar its JSON text.
fn literal_memory(node: &Node) -> usize {
    let text = match &node.kind {
        Kind::Null | Kind::Bool(_) => 0,
        Kind::Number(it) | Kind::Text(it) => heap(it.len()),
        Kind::List(_) | Kind::Map(_) => node.json_memory(),
    };
    3 * size_of::<Literal>() + 8 + text
}
