//! All that several nodes say of one schema, gathered through `$ref` and allOf.

use std::collections::HashMap;

use super::{MAX_GATHER_DEPTH, MAX_VARIANTS, Schemas, address};
use crate::lower::report::Report;
use crate::lower::sizes;
use crate::lower::spec::reference_of;
use crate::lower::tree::{Kind, Node};
use crate::lower::values::{is_null_schema, type_of, type_of_value};
use crate::schema::Types;

/// All that several nodes say of one schema.
#[derive(Default)]
pub(super) struct SchemaBuilder<'a> {
    pub(super) types: Option<Types>,
    pub(super) nullable: bool,
    pub(super) format: Option<&'a str>,
    pub(super) pattern: Option<&'a Node>,
    pub(super) description: Option<&'a str>,
    pub(super) example: Option<&'a Node>,
    pub(super) default: Option<&'a Node>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    pub(super) exclusive_minimum: Option<f64>,
    pub(super) exclusive_maximum: Option<f64>,
    pub(super) literals: Option<Vec<&'a Node>>,
    pub(super) properties: Vec<(&'a str, Vec<&'a Node>)>,
    pub(super) property_index: HashMap<&'a str, usize>,
    pub(super) required: Vec<&'a str>,
    /// Bytes that are counted for it.
    pub(super) counted: usize,
    pub(super) closed: usize,
    pub(super) parts: usize,
    pub(super) patterned: bool,
    pub(super) additional: Vec<&'a Node>,
    pub(super) items: Vec<&'a Node>,
    pub(super) prefix: Vec<&'a Node>,
    pub(super) variants: Vec<Vec<&'a Node>>,
    pub(super) discriminator: Option<&'a Node>,
    pub(super) seen: Vec<usize>,
}

impl<'a> Schemas<'a> {
    /// What a pure reference means; one that says more beside `$ref` speaks for itself.
    pub(super) fn dereferenced(&self, node: &'a Node) -> &'a Node {
        const ANNOTATIONS: &[&str] = &[
            "$ref",
            "description",
            "summary",
            "title",
            "example",
            "examples",
            "deprecated",
            "readOnly",
        ];
        let mut node = node;
        for _ in 0..MAX_GATHER_DEPTH {
            let Some(reference) = reference_of(node) else {
                break;
            };
            let silent = |key: &str| ANNOTATIONS.contains(&key) || key.starts_with("x-");
            if !node.entries().iter().all(|entry| silent(&entry.key)) {
                break;
            }
            match self.spec.follow(node.place.file, reference) {
                Ok(target) => node = target,
                Err(_) => break,
            }
        }
        node
    }

    pub(super) fn gather(
        &self,
        node: &'a Node,
        builder: &mut SchemaBuilder<'a>,
        depth: usize,
        report: &mut Report,
    ) {
        if builder.seen.contains(&address(node)) || builder.seen.len() > 2_000 {
            return;
        }
        builder.seen.push(address(node));
        let note = |report: &mut Report, message: String| {
            report.note(self.spec.place(node.place), message);
        };
        if depth > MAX_GATHER_DEPTH {
            note(report, "allOf and $ref are nested too deeply".to_owned());
            return;
        }
        if let Some(reference) = reference_of(node) {
            match self.spec.follow(node.place.file, reference) {
                Ok(target) => self.gather(target, builder, depth + 1, report),
                Err(reason) => note(report, format!("{reason}; any value is accepted here")),
            }
        }
        match &node.kind {
            Kind::Map(_) => self.gather_map(node, builder, depth, report),
            Kind::Null | Kind::Bool(true) => {}
            Kind::Bool(false) => builder.types = Some(Types::NONE),
            Kind::Text(name) => match type_of(name) {
                Some(types) => builder.narrow(types),
                None => match self.spec.follow(node.place.file, name) {
                    Ok(target) if !name.is_empty() => {
                        self.gather(target, builder, depth + 1, report);
                    }
                    _ => note(
                        report,
                        format!(
                            "expected a schema, found {}; any value is accepted here",
                            self.spec.describe(node)
                        ),
                    ),
                },
            },
            Kind::List(_) | Kind::Number(_) => note(
                report,
                format!(
                    "expected a schema, found {}; any value is accepted here",
                    self.spec.describe(node)
                ),
            ),
        }
    }

    fn gather_map(
        &self,
        node: &'a Node,
        builder: &mut SchemaBuilder<'a>,
        depth: usize,
        report: &mut Report,
    ) {
        for entry in node.entries() {
            let value = &entry.value;
            let needed = sizes::keyword(entry);
            builder.counted += needed;
            if !self.spec.memory.take(needed, value.place) {
                return;
            }
            match entry.key.as_str() {
                "type" => self.gather_type(value, builder, report),
                "nullable" | "x-nullable" => {
                    builder.nullable |= value.boolean().unwrap_or(false);
                }
                "format" => {
                    builder.format = builder.format.or(value.text());
                }
                "pattern" => {
                    builder.pattern = builder.pattern.or(value.text().map(|_| value));
                }
                "description" | "title" => {
                    builder.description = builder.description.or(value.text());
                }
                "example" => builder.example = builder.example.or(Some(value)),
                "examples" => builder.example = builder.example.or(value.items().first()),
                "default" => builder.default = builder.default.or(Some(value)),
                "minimum" => builder.minimum = higher(builder.minimum, value.number()),
                "maximum" => builder.maximum = lower(builder.maximum, value.number()),
                "exclusiveMinimum" => {
                    builder.exclusive_minimum = higher(builder.exclusive_minimum, value.number());
                }
                "exclusiveMaximum" => {
                    builder.exclusive_maximum = lower(builder.exclusive_maximum, value.number());
                }
                "enum" if value.is_list() => builder.list(value.items().iter().collect()),
                "enum" if value.is_map() => {
                    // `enum: {a: …, b: …}`: the keys are not nodes; say nothing of them.
                }
                "const" => builder.list(vec![value]),
                "properties" => self.gather_properties(value, builder, report),
                "required" => {
                    builder
                        .required
                        .extend(value.items().iter().filter_map(Node::text));
                }
                "additionalProperties" | "unevaluatedProperties" => match &value.kind {
                    Kind::Bool(false) if entry.key == "additionalProperties" => builder.closed += 1,
                    Kind::Map(entries) if !entries.is_empty() => builder.additional.push(value),
                    _ => {}
                },
                "patternProperties" => builder.patterned = true,
                // Before 2020, a list of items was a tuple.
                "items" if value.is_list() => builder.prefix.extend(value.items()),
                "items" => builder.items.push(value),
                "prefixItems" => builder.prefix.extend(value.items()),
                "discriminator" if value.is_map() => {
                    builder.discriminator = builder.discriminator.or(Some(value));
                }
                "allOf" => {
                    for part in value.items() {
                        self.gather(part, builder, depth + 1, report);
                    }
                    // A single schema where a list belongs.
                    if value.is_map() {
                        self.gather(value, builder, depth + 1, report);
                    }
                }
                "oneOf" | "anyOf" => self.gather_variants(value, builder, depth, report),
                _ => {}
            }
        }
        builder.exclude_limits(node);
    }

    fn gather_type(&self, value: &'a Node, builder: &mut SchemaBuilder<'a>, report: &mut Report) {
        let mut types = Types::NONE;
        let one = std::slice::from_ref(value);
        for it in if value.is_list() { value.items() } else { one } {
            let found = if it.is_null() {
                Some(Types::NULL)
            } else {
                it.text().and_then(type_of)
            };
            match found {
                Some(found) => types = types.or(found),
                None => {
                    report.note(
                        self.spec.place(it.place),
                        format!(
                            "expected a type, found {}; any type is accepted",
                            self.spec.describe(it)
                        ),
                    );
                    types = Types::ANY;
                }
            }
        }
        if types == Types::NONE {
            return;
        }
        if types.has(Types::NULL) && !types.is_any() && types != Types::NULL {
            builder.nullable = true;
            types = types.without(Types::NULL);
        }
        builder.narrow(types);
    }

    fn gather_properties(
        &self,
        value: &'a Node,
        builder: &mut SchemaBuilder<'a>,
        report: &mut Report,
    ) {
        if !value.is_map() {
            report.note(
                self.spec.place(value.place),
                format!(
                    "expected properties by name, found {}; none are known",
                    self.spec.describe(value)
                ),
            );
            return;
        }
        builder.parts += 1;
        for entry in value.entries() {
            let name = entry.key.as_str();
            if matches!(
                entry.value.get("required").map(|it| &it.kind),
                Some(Kind::Bool(true))
            ) {
                builder.required.push(name);
            }
            match builder.property_index.get(name) {
                Some(&at) => builder.properties[at].1.push(&entry.value),
                None => {
                    builder
                        .property_index
                        .insert(name, builder.properties.len());
                    builder.properties.push((name, vec![&entry.value]));
                }
            }
        }
    }

    fn gather_variants(
        &self,
        value: &'a Node,
        builder: &mut SchemaBuilder<'a>,
        depth: usize,
        report: &mut Report,
    ) {
        let mut variants: Vec<&'a Node> = Vec::new();
        for item in value.items().iter().take(MAX_VARIANTS) {
            let target = self.dereferenced(item);
            if is_null_schema(target) {
                builder.nullable = true;
            } else if !builder.seen.contains(&address(target)) {
                // (A variant that is this schema itself, as in "Pet is one of Cat; Cat is all
                // of Pet and …", says nothing.)
                variants.push(item);
            }
        }
        match variants.as_slice() {
            [] => {}
            [one] => self.gather(one, builder, depth + 1, report),
            _ => builder.variants.push(variants),
        }
    }
}

impl<'a> SchemaBuilder<'a> {
    /// OpenAPI 3.0 says `exclusiveMinimum: true` beside the limit.
    fn exclude_limits(&mut self, node: &Node) {
        let limit = |flag: &str, limit: &str| {
            node.get(limit)
                .and_then(Node::number)
                .filter(|_| node.is_true(flag))
        };
        let minimum = limit("exclusiveMinimum", "minimum");
        let maximum = limit("exclusiveMaximum", "maximum");
        self.exclusive_minimum = higher(self.exclusive_minimum, minimum);
        self.exclusive_maximum = lower(self.exclusive_maximum, maximum);
    }

    fn narrow(&mut self, types: Types) {
        let old = self.types.unwrap_or(Types::ANY);
        let both = old.and(types);
        // Two types that exclude each other: either may come.
        self.types = Some(if both == Types::NONE {
            old.or(types)
        } else {
            both
        });
    }

    fn list(&mut self, nodes: Vec<&'a Node>) {
        if self.literals.is_none() && !nodes.is_empty() {
            self.literals = Some(nodes);
        }
    }

    pub(super) fn types(&self) -> Types {
        let types = self.types.unwrap_or_else(|| {
            if let Some(literals) = &self.literals {
                literals
                    .iter()
                    .fold(Types::NONE, |types, node| types.or(type_of_value(node)))
            } else if !self.variants.is_empty() {
                Types::ANY
            } else if !self.properties.is_empty()
                || !self.additional.is_empty()
                || !self.required.is_empty()
                || self.closed > 0
            {
                Types::OBJECT
            } else if !self.items.is_empty() || !self.prefix.is_empty() {
                Types::LIST
            } else {
                Types::ANY
            }
        });
        let null_listed = self
            .literals
            .as_ref()
            .is_some_and(|it| it.iter().any(|node| node.is_null()));
        match (
            self.nullable || null_listed,
            types.is_any(),
            self.variants.is_empty(),
        ) {
            (true, false, true) => types.or(Types::NULL),
            (true, _, false) => types.or(Types::NULLABLE),
            _ => types,
        }
    }
}

fn higher(old: Option<f64>, new: Option<f64>) -> Option<f64> {
    match (old, new) {
        (Some(old), Some(new)) => Some(old.max(new)),
        (old, new) => old.or(new),
    }
}

fn lower(old: Option<f64>, new: Option<f64>) -> Option<f64> {
    match (old, new) {
        (Some(old), Some(new)) => Some(old.min(new)),
        (old, new) => old.or(new),
    }
}
