//! Schemas of a file to schemas of the model.
//!
//! `$ref` and allOf are dissolved here: a schema is the sum of all nodes that speak of it.
//! Works off a queue instead of recursing, so that neither a circle nor a long chain of
//! schemas can hang it or overflow the stack. A malformed node says nothing, and is noted.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::lower::limits::{hashed, heap};
use crate::lower::report::Report;
use crate::lower::sizes;
use crate::lower::spec::Spec;
use crate::lower::tree::{Kind, Node, truncate};
use crate::lower::values::{example, example_of, first_sentence, literal};
use crate::schema::pattern::{self, MAX_PATTERN_BYTES};
use crate::schema::{Literal, Property, Rule, Schema, SchemaRef, Types};

mod schema_builder;
use schema_builder::SchemaBuilder;

/// allOf and `$ref` inside each other.
const MAX_GATHER_DEPTH: usize = 100;
/// Schemas of one file; GitHub's 640 GETs need about a tenth.
const MAX_SCHEMAS: usize = 400_000;
/// Nodes that may speak of one schema; more are a circle of allOf in disguise.
const MAX_SOURCES: usize = 64;
const MAX_VARIANTS: usize = 500;
const MAX_DESCRIPTION: usize = 60;
/// What a `SchemaBuilder` takes, of up to 2,000 nodes, and single values of the schema.
const BUILDER: usize = 3 * 8 * 2_000 + 10_000;
/// A schema in the lists that grow: all, known ones, and those to be made.
const SCHEMA: usize = 500;
/// A pattern while it is compiled, by the limits of `schema::pattern`.
const PATTERN: usize = 500_000;

/// What a schema is for: responses are judged and simulated, parameters and request bodies are
/// explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    Response,
    Parameter,
    Body,
}

impl Usage {
    /// A property with this mark is not needed here: the other side alone says it.
    fn optional_mark(self) -> &'static str {
        match self {
            Usage::Response | Usage::Parameter => "writeOnly",
            Usage::Body => "readOnly",
        }
    }
}

type Key = (Usage, Vec<usize>);

pub struct Schemas<'a> {
    spec: &'a Spec,
    schemas: Vec<Schema>,
    known: HashMap<Key, SchemaRef>,
    queue: VecDeque<(SchemaRef, Usage, Vec<&'a Node>)>,
    /// Names that the file gives to nodes.
    names: HashMap<usize, &'a str>,
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node) as usize
}

impl<'a> Schemas<'a> {
    pub fn new(spec: &'a Spec) -> Schemas<'a> {
        let root = spec.root();
        let components = root.get("components").and_then(|it| it.get("schemas"));
        let lists = [components, root.get("definitions")];
        let entries = || lists.into_iter().flatten().flat_map(Node::entries);
        spec.memory.take(entries().count() * hashed(24), root.place);
        let names = entries()
            .map(|entry| (address(&entry.value), entry.key.as_str()))
            .collect();
        Schemas {
            spec,
            schemas: vec![Schema::default()],
            known: HashMap::new(),
            queue: VecDeque::new(),
            names,
        }
    }

    /// The schema of a node, complete with all that it leads to.
    pub fn schema(&mut self, node: &'a Node, usage: Usage, report: &mut Report) -> SchemaRef {
        let id = self.enqueue(&[node], usage, report);
        while let Some((id, usage, nodes)) = self.queue.pop_front() {
            let mut builder = SchemaBuilder {
                counted: BUILDER,
                ..SchemaBuilder::default()
            };
            self.spec.memory.take(BUILDER, node.place);
            for node in nodes {
                self.gather(node, &mut builder, 0, report);
            }
            // The rest of the queue would be made of too much, too.
            if self.spec.memory.is_exceeded() {
                self.queue.clear();
                break;
            }
            self.finish(id, &builder, usage, report);
            let kept = sizes::schema(&self.schemas[id.id()]);
            self.spec.memory.give_back(builder.counted);
            self.spec.memory.take(kept, node.place);
        }
        id
    }

    /// An object with these properties, which the file declares one by one.
    pub fn object(&mut self, properties: Vec<Property>) -> SchemaRef {
        let id = SchemaRef::new(self.schemas.len());
        self.schemas.push(Schema {
            types: Types::OBJECT,
            rules: vec![Rule::Properties(properties)],
        });
        id
    }

    pub fn get(&self, schema: SchemaRef) -> &Schema {
        &self.schemas[schema.id()]
    }

    pub fn into_schemas(self) -> Vec<Schema> {
        self.schemas
    }

    fn pattern(&self, node: &Node, report: &mut Report) -> Option<Rule> {
        let text = node.text()?;
        self.spec.memory.take(PATTERN, node.place);
        if let Err(why) = pattern::compile(text) {
            let what = truncate(text, 40);
            let note = format!("the pattern {what:?} is not checked: {why}");
            report.note(self.spec.place(node.place), note);
        }
        self.spec.memory.give_back(PATTERN);
        (text.len() <= MAX_PATTERN_BYTES).then(|| Rule::Pattern(text.to_owned()))
    }

    fn enqueue(&mut self, nodes: &[&'a Node], usage: Usage, report: &mut Report) -> SchemaRef {
        let mut sources: Vec<&'a Node> = Vec::with_capacity(nodes.len().min(MAX_SOURCES + 1));
        for node in nodes {
            let node = self.dereferenced(node);
            if sources.len() <= MAX_SOURCES && !sources.iter().any(|it| std::ptr::eq(*it, node)) {
                sources.push(node);
            }
        }
        let says_nothing = |it: &&Node| {
            it.is_null()
                || matches!(it.kind, Kind::Bool(true))
                || (it.is_map() && it.entries().is_empty())
        };
        if sources.iter().all(says_nothing) {
            return SchemaRef::ANY;
        }
        let mut addresses: Vec<usize> = sources.iter().map(|it| address(it)).collect();
        addresses.sort_unstable();
        if let Some(id) = self.known.get(&(usage, addresses.clone())) {
            return *id;
        }
        let first = sources[0];
        if self.schemas.len() >= MAX_SCHEMAS || sources.len() > MAX_SOURCES {
            report.note(
                self.spec.place(first.place),
                "schemas are nested too deeply here; any value is accepted".to_owned(),
            );
            return SchemaRef::ANY;
        }
        if !self
            .spec
            .memory
            .take(SCHEMA + 4 * heap(8 * sources.len()), first.place)
        {
            return SchemaRef::ANY;
        }
        let id = SchemaRef::new(self.schemas.len());
        self.schemas.push(Schema::default());
        self.known.insert((usage, addresses), id);
        self.queue.push_back((id, usage, sources));
        id
    }

    fn finish(
        &mut self,
        id: SchemaRef,
        builder: &SchemaBuilder<'a>,
        usage: Usage,
        report: &mut Report,
    ) {
        let types = builder.types();
        let mut rules = Vec::new();
        scalar_rules(builder, types, usage, &mut rules);
        if usage != Usage::Response {
            rules.extend(builder.pattern.and_then(|node| self.pattern(node, report)));
        }
        self.object_rules(builder, usage, &mut rules, report);
        self.list_rules(builder, usage, &mut rules, report);
        for nodes in &builder.variants {
            let ids: Vec<SchemaRef> = nodes
                .iter()
                .map(|it| self.enqueue(&[it], usage, report))
                .collect();
            if !ids.contains(&SchemaRef::ANY) {
                rules.push(Rule::Variants(ids));
            }
        }
        if let (Some(node), [nodes, ..]) = (builder.discriminator, builder.variants.as_slice()) {
            rules.extend(self.discriminator(node, nodes));
        }
        rules.extend(values_shown(builder, types, usage));
        self.schemas[id.id()] = Schema { types, rules };
    }

    fn object_rules(
        &mut self,
        builder: &SchemaBuilder<'a>,
        usage: Usage,
        rules: &mut Vec<Rule>,
        report: &mut Report,
    ) {
        let mut properties: Vec<Property> = Vec::with_capacity(builder.properties.len());
        let required: HashSet<&str> = builder.required.iter().copied().collect();
        let mut named: HashSet<&str> = HashSet::new();
        for (name, nodes) in &builder.properties {
            let required = required.contains(name)
                && !nodes.iter().any(|node| node.is_true(usage.optional_mark()));
            let schema = self.enqueue(nodes, usage, report);
            properties.push(Property {
                name: (*name).to_owned(),
                required,
                schema,
            });
        }
        for name in &builder.required {
            if !builder.property_index.contains_key(name) && named.insert(name) {
                properties.push(Property {
                    name: (*name).to_owned(),
                    required: true,
                    schema: SchemaRef::ANY,
                });
            }
        }
        if !properties.is_empty() {
            rules.push(Rule::Properties(properties));
        }
        if !builder.additional.is_empty() {
            let schema = self.enqueue(&builder.additional, usage, report);
            if schema != SchemaRef::ANY {
                rules.push(Rule::AdditionalProperties(schema));
            }
        } else if builder.closed > 0
            && builder.parts <= 1
            && !builder.patterned
            && builder.variants.is_empty()
        {
            // Closed parts of an allOf would exclude each other: nobody means that.
            rules.push(Rule::Closed);
        }
    }

    fn list_rules(
        &mut self,
        builder: &SchemaBuilder<'a>,
        usage: Usage,
        rules: &mut Vec<Rule>,
        report: &mut Report,
    ) {
        if !builder.items.is_empty() {
            let schema = self.enqueue(&builder.items, usage, report);
            if schema != SchemaRef::ANY {
                rules.push(Rule::Items(schema));
            }
        }
        if !builder.prefix.is_empty() {
            let prefix = builder.prefix.iter().take(MAX_VARIANTS);
            let ids = prefix
                .map(|it| self.enqueue(&[it], usage, report))
                .collect();
            rules.push(Rule::PrefixItems(ids));
        }
    }

    fn discriminator(&self, node: &'a Node, variants: &[&'a Node]) -> Option<Rule> {
        let property = node.text_of("propertyName")?;
        let targets: Vec<usize> = variants
            .iter()
            .map(|it| address(self.dereferenced(it)))
            .collect();
        let mut mapping: Vec<(String, usize)> = Vec::new();
        for entry in node.get("mapping").map(Node::entries).unwrap_or(&[]) {
            let target = entry.value.text().and_then(|reference| {
                let target = self.spec.follow(node.place.file, reference).ok()?;
                targets
                    .iter()
                    .position(|it| *it == address(self.dereferenced(target)))
            });
            mapping.extend(target.map(|at| (entry.key.clone(), at)));
        }
        for (at, target) in targets.iter().enumerate() {
            if let Some(name) = self.names.get(target)
                && !mapping
                    .iter()
                    .any(|(known, index)| known == name || *index == at)
            {
                mapping.push(((*name).to_owned(), at));
            }
        }
        if mapping.is_empty() {
            None
        } else {
            Some(Rule::Discriminator(property.to_owned(), mapping))
        }
    }
}

/// What is said of numbers and texts.
fn scalar_rules(builder: &SchemaBuilder, types: Types, usage: Usage, rules: &mut Vec<Rule>) {
    let numeric = types.has(Types::NUMBER) || types.has(Types::INTEGER);
    let scalar = !types.is_any() && !types.has(Types::OBJECT) && !types.has(Types::LIST);
    let format = builder.format;
    rules.extend(format.map(|it| Rule::Format(truncate(it, 30))));
    // The demo takes a number's unit from its description; nothing reads the others.
    if usage == Usage::Response && scalar && numeric {
        let text = builder.description;
        let text = text.map(|it| first_sentence(it, MAX_DESCRIPTION));
        rules.extend(text.filter(|it| !it.is_empty()).map(Rule::Description));
    }
    // `exclusiveMinimum: true` repeats the minimum: one of them is enough.
    let minimum = builder
        .minimum
        .filter(|it| Some(*it) != builder.exclusive_minimum);
    let maximum = builder
        .maximum
        .filter(|it| Some(*it) != builder.exclusive_maximum);
    rules.extend(minimum.map(Rule::Minimum));
    rules.extend(maximum.map(Rule::Maximum));
    rules.extend(builder.exclusive_minimum.map(Rule::ExclusiveMinimum));
    rules.extend(builder.exclusive_maximum.map(Rule::ExclusiveMaximum));
    if let Some(nodes) = &builder.literals {
        let mut literals: Vec<Literal> = nodes.iter().map(|node| literal(node, types)).collect();
        if types.has(Types::NULL) && !literals.contains(&Literal::Null) {
            literals.push(Literal::Null);
        }
        rules.push(Rule::Enum(literals));
    }
}

/// Default and example.
fn values_shown(builder: &SchemaBuilder, types: Types, usage: Usage) -> Vec<Rule> {
    let example = builder.example.and_then(|it| example(it, types));
    let mut rules = Vec::new();
    if usage != Usage::Response {
        let default = builder.default.filter(|it| !it.is_null());
        rules.extend(
            default
                .and_then(|it| it.json_within(200))
                .map(Rule::Default),
        );
        rules.extend(example.map(Rule::Example));
    } else {
        let numeric = types.has(Types::NUMBER) || types.has(Types::INTEGER);
        let default = builder.default.filter(|_| numeric);
        let default = || default.and_then(|it| example_of(it, types));
        rules.extend(example.or_else(default).map(Rule::Example));
    }
    rules
}
