//! Schemas of a file to schemas of the model.
//!
//! `$ref` and allOf are dissolved here: a schema is the sum of all nodes that speak of it.
//! Works off a queue instead of recursing, so that neither a circle nor a long chain of
//! schemas can hang it or overflow the stack. A malformed node says nothing, and is noted.

use std::collections::{HashMap, VecDeque};

use crate::model::{ANY, Literal, Number, Property, Rule, Schema, SchemaId, Types};
use crate::node::{Kind, Node, json_number, shortened};
use crate::report::Report;
use crate::spec::{Spec, reference_of};

/// allOf and `$ref` inside each other.
const MAX_GATHER_DEPTH: usize = 100;
/// Schemas of one file; GitHub's 640 GETs need about a tenth.
const MAX_SCHEMAS: usize = 400_000;
/// Nodes that may speak of one schema; more are a circle of allOf in disguise.
const MAX_SPEAKERS: usize = 64;
const MAX_VARIANTS: usize = 500;
/// Examples longer than this are prose.
const MAX_EXAMPLE: usize = 32;
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

/// All that several nodes say of one schema.
#[derive(Default)]
struct Draft<'a> {
    types: Option<Types>,
    nullable: bool,
    format: Option<String>,
    pattern: Option<String>,
    description: Option<String>,
    example: Option<&'a Node>,
    default: Option<&'a Node>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    above: Option<f64>,
    below: Option<f64>,
    literals: Option<Vec<&'a Node>>,
    properties: Vec<(&'a str, Vec<&'a Node>)>,
    property_index: HashMap<&'a str, usize>,
    required: Vec<&'a str>,
    closed: usize,
    parts: usize,
    patterned: bool,
    additional: Vec<&'a Node>,
    items: Vec<&'a Node>,
    prefix: Vec<&'a Node>,
    variants: Vec<Vec<&'a Node>>,
    discriminator: Option<&'a Node>,
    seen: Vec<usize>,
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

    /// What a pure reference means; one that says more beside `$ref` speaks for itself.
    fn dereferenced(&self, node: &'a Node) -> &'a Node {
        const SAYS_NOTHING: &[&str] = &[
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
            let silent = |key: &str| SAYS_NOTHING.contains(&key) || key.starts_with("x-");
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

    fn gather(&self, node: &'a Node, draft: &mut Draft<'a>, depth: usize, report: &mut Report) {
        if draft.seen.contains(&address(node)) || draft.seen.len() > 2_000 {
            return;
        }
        draft.seen.push(address(node));
        let note = |report: &mut Report, message: String| {
            report.note(self.spec.place(node.place), message);
        };
        if depth > MAX_GATHER_DEPTH {
            note(
                report,
                "too many allOf or $ref lie inside each other".to_owned(),
            );
            return;
        }
        if let Some(reference) = reference_of(node) {
            match self.spec.follow(node.place.file, reference) {
                Ok(target) => self.gather(target, draft, depth + 1, report),
                Err(reason) => note(report, format!("{reason}; anything is taken here")),
            }
        }
        match &node.kind {
            Kind::Map(_) => self.gather_map(node, draft, depth, report),
            Kind::Null | Kind::Bool(true) => {}
            Kind::Bool(false) => draft.types = Some(Types::NONE),
            Kind::Text(name) => match type_of(name) {
                Some(types) => draft.narrow(types),
                None => match self.spec.follow(node.place.file, name) {
                    Ok(target) if !name.is_empty() => self.gather(target, draft, depth + 1, report),
                    _ => note(
                        report,
                        format!(
                            "expected a schema, found {}; anything is taken here",
                            node.words()
                        ),
                    ),
                },
            },
            Kind::List(_) | Kind::Number(_) => note(
                report,
                format!(
                    "expected a schema, found {}; anything is taken here",
                    node.words()
                ),
            ),
        }
    }

    fn gather_map(&self, node: &'a Node, draft: &mut Draft<'a>, depth: usize, report: &mut Report) {
        for entry in node.entries() {
            let value = &entry.value;
            match entry.key.as_str() {
                "type" => self.gather_type(value, draft, report),
                "nullable" | "x-nullable" => {
                    draft.nullable |= value.boolean().unwrap_or(false);
                }
                "format" => draft.format = draft.format.take().or(value.text().map(str::to_owned)),
                "pattern" => {
                    draft.pattern = draft.pattern.take().or(value.text().map(str::to_owned));
                }
                "description" | "title" => {
                    let old = draft.description.take();
                    draft.description = old.or(value.text().map(str::to_owned));
                }
                "example" => draft.example = draft.example.or(Some(value)),
                "examples" => draft.example = draft.example.or(value.items().first()),
                "default" => draft.default = draft.default.or(Some(value)),
                "minimum" => draft.minimum = higher(draft.minimum, value.number()),
                "maximum" => draft.maximum = lower(draft.maximum, value.number()),
                "exclusiveMinimum" => draft.above = higher(draft.above, value.number()),
                "exclusiveMaximum" => draft.below = lower(draft.below, value.number()),
                "enum" if value.is_list() => draft.list(value.items().iter().collect()),
                "enum" if value.is_map() => {
                    // `enum: {a: …, b: …}`: the keys are not nodes; say nothing of them.
                }
                "const" => draft.list(vec![value]),
                "properties" => self.gather_properties(value, draft, report),
                "required" => {
                    draft
                        .required
                        .extend(value.items().iter().filter_map(Node::text));
                }
                "additionalProperties" | "unevaluatedProperties" => match &value.kind {
                    Kind::Bool(false) if entry.key == "additionalProperties" => draft.closed += 1,
                    Kind::Map(entries) if !entries.is_empty() => draft.additional.push(value),
                    _ => {}
                },
                "patternProperties" => draft.patterned = true,
                // Before 2020, a list of items was a tuple.
                "items" if value.is_list() => draft.prefix.extend(value.items()),
                "items" => draft.items.push(value),
                "prefixItems" => draft.prefix.extend(value.items()),
                "discriminator" if value.is_map() => {
                    draft.discriminator = draft.discriminator.or(Some(value));
                }
                "allOf" => {
                    for part in value.items() {
                        self.gather(part, draft, depth + 1, report);
                    }
                    // A single schema where a list belongs.
                    if value.is_map() {
                        self.gather(value, draft, depth + 1, report);
                    }
                }
                "oneOf" | "anyOf" => self.gather_variants(value, draft, depth, report),
                _ => {}
            }
        }
        // OpenAPI 3.0 says `exclusiveMinimum: true` beside the limit.
        if node.is_true("exclusiveMinimum") {
            draft.above = higher(draft.above, node.get("minimum").and_then(Node::number));
        }
        if node.is_true("exclusiveMaximum") {
            draft.below = lower(draft.below, node.get("maximum").and_then(Node::number));
        }
    }

    fn gather_type(&self, value: &'a Node, draft: &mut Draft<'a>, report: &mut Report) {
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
                        format!("expected a type, found {}; any type is taken", it.words()),
                    );
                    types = Types::ANY;
                }
            }
        }
        if types == Types::NONE {
            return;
        }
        if types.has(Types::NULL) && !types.is_any() && types != Types::NULL {
            draft.nullable = true;
            types = types.without(Types::NULL);
        }
        draft.narrow(types);
    }

    fn gather_properties(&self, value: &'a Node, draft: &mut Draft<'a>, report: &mut Report) {
        if !value.is_map() {
            report.note(
                self.spec.place(value.place),
                format!(
                    "expected properties by name, found {}; none are known",
                    value.words()
                ),
            );
            return;
        }
        draft.parts += 1;
        for entry in value.entries() {
            let name = entry.key.as_str();
            if matches!(
                entry.value.get("required").map(|it| &it.kind),
                Some(Kind::Bool(true))
            ) {
                draft.required.push(name);
            }
            match draft.property_index.get(name) {
                Some(&at) => draft.properties[at].1.push(&entry.value),
                None => {
                    draft.property_index.insert(name, draft.properties.len());
                    draft.properties.push((name, vec![&entry.value]));
                }
            }
        }
    }

    fn gather_variants(
        &self,
        value: &'a Node,
        draft: &mut Draft<'a>,
        depth: usize,
        report: &mut Report,
    ) {
        let mut variants: Vec<&'a Node> = Vec::new();
        for item in value.items().iter().take(MAX_VARIANTS) {
            let target = self.dereferenced(item);
            if is_null_schema(target) {
                draft.nullable = true;
            } else if !draft.seen.contains(&address(target)) {
                // (A variant that is this schema itself, as in "Pet is one of Cat; Cat is all
                // of Pet and …", says nothing.)
                variants.push(item);
            }
        }
        match variants.as_slice() {
            [] => {}
            [one] => self.gather(one, draft, depth + 1, report),
            _ => draft.variants.push(variants),
        }
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
            rules.extend(
                draft
                    .pattern
                    .clone()
                    .map(|it| Rule::Pattern(shortened(&it, 200))),
            );
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

impl<'a> Draft<'a> {
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

    fn types(&self) -> Types {
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

fn is_null_schema(node: &Node) -> bool {
    let only_null = |it: &Node| it.is_null() || it.text() == Some("null");
    if node.get("type").is_some_and(|it| {
        only_null(it) || (!it.items().is_empty() && it.items().iter().all(only_null))
    }) {
        return true;
    }
    let listed = node.get("enum").map(Node::items).unwrap_or(&[]);
    node.get("const").is_some_and(Node::is_null)
        || (!listed.is_empty() && listed.iter().all(Node::is_null))
}

fn type_of(name: &str) -> Option<Types> {
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "null" | "nil" => Types::NULL,
        "boolean" | "bool" => Types::BOOLEAN,
        "integer" | "int" | "int32" | "int64" | "long" => Types::INTEGER,
        "number" | "float" | "double" | "decimal" => Types::NUMBER,
        "string" | "str" | "text" | "date" | "date-time" | "datetime" | "uuid" => Types::TEXT,
        "array" | "list" => Types::LIST,
        "object" | "dict" | "map" => Types::OBJECT,
        "any" => Types::ANY,
        _ => return None,
    })
}

fn type_of_value(node: &Node) -> Types {
    match &node.kind {
        Kind::Null => Types::NULL,
        Kind::Bool(_) => Types::BOOLEAN,
        Kind::Number(it) if it.bytes().all(|it| it.is_ascii_digit() || it == b'-') => {
            Types::INTEGER
        }
        Kind::Number(_) => Types::NUMBER,
        Kind::Text(_) => Types::TEXT,
        Kind::List(_) => Types::LIST,
        Kind::Map(_) => Types::OBJECT,
    }
}

/// A listed value; one that YAML took for another type than the declared is put right.
fn literal(node: &Node, types: Types) -> Literal {
    let numeric = types.has(Types::NUMBER) || types.has(Types::INTEGER);
    match &node.kind {
        Kind::Null if types.without(Types::NULL) == Types::TEXT && !types.has(Types::NULL) => {
            Literal::Text("null".to_owned())
        }
        Kind::Null => Literal::Null,
        Kind::Bool(it) if types.has(Types::BOOLEAN) || !types.has(Types::TEXT) => {
            Literal::Boolean(*it)
        }
        Kind::Number(it) if numeric || !types.has(Types::TEXT) => match json_number(it) {
            Some(number) => Literal::Number(number),
            None => Literal::Text(it.clone()),
        },
        Kind::Text(it) if numeric && !types.has(Types::TEXT) => match json_number(it) {
            Some(number) => Literal::Number(number),
            None => Literal::Text(it.clone()),
        },
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => {
            Literal::Text(node.text().unwrap_or("").to_owned())
        }
        Kind::List(_) | Kind::Map(_) => Literal::Json(node.json()),
    }
}

fn example(node: &Node, types: Types) -> Option<String> {
    // `example: {value: 3}` is how examples of parameters look.
    let node = if types.has(Types::OBJECT) {
        node
    } else {
        node.get("value").unwrap_or(node)
    };
    example_of(node, types)
}

/// A scalar example of the declared type, as JSON.
fn example_of(node: &Node, types: Types) -> Option<String> {
    let numeric = types.has(Types::NUMBER) || types.has(Types::INTEGER);
    let json = match &node.kind {
        Kind::Bool(it) if types.has(Types::BOOLEAN) => it.to_string(),
        Kind::Number(it) | Kind::Text(it) if numeric && !types.has(Types::TEXT) => json_number(it)?,
        Kind::Number(it) if numeric => json_number(it)?,
        Kind::Text(_) | Kind::Number(_) if types.has(Types::TEXT) && !types.is_any() => {
            crate::node::quoted(node.text()?)
        }
        _ => return None,
    };
    (json.len() <= MAX_EXAMPLE).then_some(json)
}

/// The first sentence of a text, in one line, without markup that nobody renders.
pub fn sentence(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.find(". ").map_or(line.as_str(), |at| &line[..at]);
    shortened(end.trim_end_matches('.').trim(), most)
}
