//! Schemas of a file to schemas of the model.
//!
//! `$ref` and allOf are dissolved here: a schema is the sum of all nodes that speak of it.
//! Works off a queue instead of recursing, so that neither a circle nor a long chain of
//! schemas can hang it or overflow the stack. A malformed node says nothing, and is noted.

use std::collections::{HashMap, VecDeque};

use crate::lower::patterns;
use crate::lower::report::Report;
use crate::lower::spec::Spec;
use crate::lower::tree::{Kind, Node, shortened};
use crate::lower::values::{example, example_of, literal, sentence};
use crate::model::{ANY, Literal, Number, Property, Rule, Schema, SchemaId, Types};

#[path = "schema_builder.rs"]
mod schema_builder;
use schema_builder::Draft;

/// allOf and `$ref` inside each other.
const MAX_GATHER_DEPTH: usize = 100;
/// Schemas of one file; GitHub's 640 GETs need about a tenth.
const MAX_SCHEMAS: usize = 400_000;
/// Nodes that may speak of one schema; more are a circle of allOf in disguise.
const MAX_SPEAKERS: usize = 64;
const MAX_VARIANTS: usize = 500;
const MAX_DESCRIPTION: usize = 60;

/// What a schema is for: responses are judged and simulated, parameters are explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    Response,
    Parameter,
}

type Key = (Use, Vec<usize>);

pub struct Shapes<'a> {
    spec: &'a Spec,
    schemas: Vec<Schema>,
    known: HashMap<Key, SchemaId>,
    queue: VecDeque<(SchemaId, Use, Vec<&'a Node>)>,
    /// Names that the file gives to nodes.
    names: HashMap<usize, &'a str>,
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node) as usize
}

impl<'a> Shapes<'a> {
    pub fn new(spec: &'a Spec) -> Shapes<'a> {
        let any = Schema {
            name: "any".to_owned(),
            named: false,
            types: Types::ANY,
            rules: Vec::new(),
        };
        let root = spec.root();
        let components = root.get("components").and_then(|it| it.get("schemas"));
        let names = [components, root.get("definitions")]
            .into_iter()
            .flatten()
            .flat_map(Node::entries)
            .map(|entry| (address(&entry.value), entry.key.as_str()))
            .collect();
        Shapes {
            spec,
            schemas: vec![any],
            known: HashMap::new(),
            queue: VecDeque::new(),
            names,
        }
    }

    /// The schema of a node, complete with all that it leads to.
    pub fn shape(
        &mut self,
        node: &'a Node,
        used: Use,
        hint: &str,
        report: &mut Report,
    ) -> SchemaId {
        let id = self.enqueue(&[node], used, hint, report);
        while let Some((id, used, nodes)) = self.queue.pop_front() {
            let mut draft = Draft::default();
            for node in nodes {
                self.gather(node, &mut draft, 0, report);
            }
            self.finish(id, draft, used, report);
        }
        id
    }

    pub fn get(&self, id: SchemaId) -> &Schema {
        self.schemas.get(id).unwrap_or(&self.schemas[ANY])
    }

    pub fn into_schemas(self) -> Vec<Schema> {
        self.schemas
    }

    fn pattern(&self, node: &Node, report: &mut Report) -> Option<Rule> {
        let pattern = node.text()?;
        let table = patterns::table(pattern).unwrap_or_else(|why| {
            let what = shortened(pattern, 40);
            let note = format!("the pattern {what:?} is not checked: {why}");
            report.note(self.spec.place(node.place), note);
            Vec::new()
        });
        Some(Rule::Pattern(shortened(pattern, 200), table))
    }

    fn enqueue(
        &mut self,
        nodes: &[&'a Node],
        used: Use,
        hint: &str,
        report: &mut Report,
    ) -> SchemaId {
        let mut speakers: Vec<&'a Node> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let node = self.dereferenced(node);
            if !speakers.iter().any(|it| std::ptr::eq(*it, node)) {
                speakers.push(node);
            }
        }
        let says_nothing = |it: &&Node| {
            it.is_null()
                || matches!(it.kind, Kind::Bool(true))
                || (it.is_map() && it.entries().is_empty())
        };
        if speakers.iter().all(says_nothing) {
            return ANY;
        }
        let mut addresses: Vec<usize> = speakers.iter().map(|it| address(it)).collect();
        addresses.sort_unstable();
        if let Some(id) = self.known.get(&(used, addresses.clone())) {
            return *id;
        }
        let first = speakers[0];
        if self.schemas.len() >= MAX_SCHEMAS || speakers.len() > MAX_SPEAKERS {
            report.note(
                self.spec.place(first.place),
                "too many schemas lie inside each other here; anything is taken".to_owned(),
            );
            return ANY;
        }
        let id = self.schemas.len();
        let given = if speakers.len() == 1 {
            self.names.get(&address(first))
        } else {
            None
        };
        let name = given.map_or_else(|| hint.to_owned(), |it| (*it).to_owned());
        self.schemas.push(Schema {
            name,
            named: given.is_some(),
            types: Types::ANY,
            rules: Vec::new(),
        });
        self.known.insert((used, addresses), id);
        self.queue.push_back((id, used, speakers));
        id
    }

    fn finish(&mut self, id: SchemaId, draft: Draft<'a>, used: Use, report: &mut Report) {
        let mut rules = Vec::new();
        let types = draft.types();
        let numeric = types.has(Types::NUMBER) || types.has(Types::INTEGER);
        let scalar = !types.is_any() && !types.has(Types::OBJECT) && !types.has(Types::LIST);
        let hint = self.schemas[id].name.clone();
        rules.extend(
            draft
                .format
                .clone()
                .map(|it| Rule::Format(shortened(&it, 30))),
        );
        if used == Use::Response && scalar && (numeric || types.has(Types::BOOLEAN)) {
            let text = draft
                .description
                .as_deref()
                .map(|it| sentence(it, MAX_DESCRIPTION));
            rules.extend(text.filter(|it| !it.is_empty()).map(Rule::Description));
        }
        let limit = |it: Option<f64>| it.map(Number::of);
        // `exclusiveMinimum: true` repeats the minimum: one of them is enough.
        rules.extend(limit(draft.minimum.filter(|it| Some(*it) != draft.above)).map(Rule::Minimum));
        rules.extend(limit(draft.maximum.filter(|it| Some(*it) != draft.below)).map(Rule::Maximum));
        rules.extend(limit(draft.above).map(Rule::Above));
        rules.extend(limit(draft.below).map(Rule::Below));
        if let Some(nodes) = &draft.literals {
            let mut literals: Vec<Literal> =
                nodes.iter().map(|node| literal(node, types)).collect();
            if types.has(Types::NULL) && !literals.contains(&Literal::Null) {
                literals.push(Literal::Null);
            }
            rules.push(Rule::Enum(literals));
        }
        if used == Use::Parameter {
            rules.extend(draft.pattern.and_then(|node| self.pattern(node, report)));
        }
        let mut properties: Vec<Property> = Vec::with_capacity(draft.properties.len());
        for (name, nodes) in &draft.properties {
            let required = draft.required.contains(name)
                && !nodes.iter().any(|node| node.is_true("writeOnly"));
            let schema = self.enqueue(nodes, used, name, report);
            properties.push(Property {
                name: (*name).to_owned(),
                required,
                schema,
            });
        }
        for name in &draft.required {
            if !draft.property_index.contains_key(name)
                && !properties.iter().any(|it| it.name == *name)
            {
                let name = (*name).to_owned();
                properties.push(Property {
                    name,
                    required: true,
                    schema: ANY,
                });
            }
        }
        let named_properties = !properties.is_empty();
        if named_properties {
            rules.push(Rule::Properties(properties));
        }
        if !draft.additional.is_empty() {
            let schema = self.enqueue(&draft.additional, used, &hint, report);
            if schema != ANY {
                rules.push(Rule::Additional(schema));
            }
        } else if draft.closed > 0
            && draft.parts <= 1
            && !draft.patterned
            && draft.variants.is_empty()
        {
            // Closed parts of an allOf would exclude each other: nobody means that.
            rules.push(Rule::Closed);
        }
        if !draft.items.is_empty() {
            let schema = self.enqueue(&draft.items, used, &hint, report);
            if schema != ANY {
                rules.push(Rule::Items(schema));
            }
        }
        if !draft.prefix.is_empty() {
            let prefix = draft.prefix.iter().take(MAX_VARIANTS);
            let ids = prefix
                .map(|it| self.enqueue(&[it], used, &hint, report))
                .collect();
            rules.push(Rule::Prefix(ids));
        }
        for nodes in &draft.variants {
            let ids: Vec<SchemaId> = nodes
                .iter()
                .map(|it| self.enqueue(&[it], used, &hint, report))
                .collect();
            if !ids.contains(&ANY) {
                rules.push(Rule::Variants(ids));
            }
        }
        if let (Some(node), [nodes, ..]) = (draft.discriminator, draft.variants.as_slice()) {
            rules.extend(self.discriminator(node, nodes));
        }
        let example = draft.example.and_then(|it| example(it, types));
        if used == Use::Parameter {
            let default = draft.default.filter(|it| !it.is_null()).map(Node::json);
            rules.extend(default.filter(|it| it.len() <= 200).map(Rule::Default));
            rules.extend(example.map(Rule::Example));
        } else {
            let default = || {
                draft
                    .default
                    .filter(|_| numeric)
                    .and_then(|it| example_of(it, types))
            };
            rules.extend(example.or_else(default).map(Rule::Example));
        }
        let schema = &mut self.schemas[id];
        schema.types = types;
        schema.rules = rules;
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
