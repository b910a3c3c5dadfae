//! Makes equal schemas one and drops what no operation leads to, so that the generated file
//! and the binary hold each thing once.

use std::collections::HashMap;

use crate::compact::{self, Description};
use crate::lower::limits::{Memory, hashed, heap};
use crate::lower::tree::Position;
use crate::schema::{Rule, Schema, SchemaRef};

/// Leaves become one in the first round, what holds them in the next …
const MAX_ROUNDS: usize = 24;

/// Counts what it needs; where that is too much it leaves all as it is.
pub fn dedupe(description: &mut Description, memory: &Memory, place: Position) {
    let schemas = &mut description.schemas;
    let lengths = || schemas.iter().map(compact::length);
    let keys = lengths().map(heap).sum::<usize>() + 3 * lengths().max().unwrap_or(0) + 500;
    // Besides the keys by text: numbers of schemas, and those that are kept.
    let needed = keys + schemas.len() * (hashed(32) + hashed(16) + 3 * size_of::<Schema>() + 64);
    if !memory.take(needed, place) {
        return;
    }
    drop_empty(schemas);
    let mut same: Vec<usize> = (0..schemas.len()).collect();
    for _ in 0..MAX_ROUNDS {
        // Equal schemas have equal compact forms, which unlike numbers can be hashed.
        let mut first: HashMap<String, usize> = HashMap::new();
        let mut found = false;
        for (id, schema) in schemas.iter().enumerate() {
            if same[id] != id {
                continue;
            }
            let Ok(mut key) = serde_json::to_string(schema) else {
                continue;
            };
            key.shrink_to_fit();
            let earlier = *first.entry(key).or_insert(id);
            found |= earlier != id;
            same[id] = earlier;
        }
        if !found {
            break;
        }
        same = (0..same.len())
            .map(|id| representative(&same, id))
            .collect();
        for child in children_mut(schemas) {
            *child = SchemaRef::new(same[child.id()]);
        }
    }
    renumber(description, &same);
    memory.give_back(needed);
}

fn children_mut(schemas: &mut [Schema]) -> impl Iterator<Item = &mut SchemaRef> {
    let rules = schemas.iter_mut().flat_map(|it| it.rules.iter_mut());
    rules.flat_map(Rule::children_mut)
}

fn representative(same: &[usize], id: usize) -> usize {
    let mut id = id;
    while same[id] != id {
        id = same[id];
    }
    id
}

/// A rule that leads to the schema that says nothing, says nothing.
fn drop_empty(schemas: &mut [Schema]) {
    let empty: Vec<bool> = schemas.iter().map(|it| *it == Schema::default()).collect();
    for child in children_mut(schemas) {
        if empty[child.id()] {
            *child = SchemaRef::ANY;
        }
    }
    for schema in schemas {
        schema.rules.retain(|rule| match rule {
            Rule::Items(it) | Rule::AdditionalProperties(it) => *it != SchemaRef::ANY,
            Rule::Variants(it) => !it.contains(&SchemaRef::ANY),
            _ => true,
        });
        let is_variants = |rule: &Rule| matches!(rule, Rule::Variants(_));
        if !schema.rules.iter().any(is_variants) {
            schema
                .rules
                .retain(|rule| !matches!(rule, Rule::Discriminator(..)));
        }
    }
}

/// Keeps what operations lead to, in the order in which they do.
fn renumber(description: &mut Description, same: &[usize]) {
    let mut new: HashMap<usize, usize> = HashMap::from([(0, 0)]);
    let mut order = vec![0];
    let mut next = 0;
    let mut number = |child: &mut SchemaRef, order: &mut Vec<usize>| {
        let id = same[child.id()];
        let id = *new.entry(id).or_insert_with(|| {
            order.push(id);
            order.len() - 1
        });
        *child = SchemaRef::new(id);
    };
    for operation in &mut description.api.operations {
        for child in operation.schemas_mut() {
            number(child, &mut order);
        }
    }
    let mut kept = Vec::new();
    while next < order.len() {
        let mut schema = std::mem::take(&mut description.schemas[order[next]]);
        for child in schema.rules.iter_mut().flat_map(Rule::children_mut) {
            number(child, &mut order);
        }
        kept.push(schema);
        next += 1;
    }
    description.schemas = kept;
}
