//! Makes equal schemas one and drops what no operation leads to, so that the generated file
//! and the binary hold each thing once.

use std::collections::HashMap;

use crate::model::{ANY, Api, Rule, Schema, SchemaId, Types};

/// Leaves become one in the first round, what holds them in the next …
const MAX_ROUNDS: usize = 24;

pub fn dedupe(api: &mut Api) {
    drop_hollow(&mut api.schemas);
    let mut same: Vec<SchemaId> = (0..api.schemas.len()).collect();
    for _ in 0..MAX_ROUNDS {
        let mut first: HashMap<(Types, Vec<Rule>), SchemaId> = HashMap::new();
        let mut found = false;
        for (id, schema) in api.schemas.iter().enumerate() {
            if same[id] != id {
                continue;
            }
            let key = (schema.types, schema.rules.clone());
            match first.get(&key) {
                Some(&earlier) => {
                    same[id] = earlier;
                    found = true;
                }
                None => {
                    first.insert(key, id);
                }
            }
        }
        if !found {
            break;
        }
        let merged: Vec<SchemaId> = (0..same.len()).map(|id| final_of(&same, id)).collect();
        same = merged;
        for schema in &mut api.schemas {
            for child in schema.rules.iter_mut().flat_map(Rule::children_mut) {
                *child = same[*child];
            }
        }
    }
    // A name of the file is worth more than a hint.
    let names: Vec<(SchemaId, String)> = api
        .schemas
        .iter()
        .enumerate()
        .filter(|(id, schema)| same[*id] != *id && schema.named)
        .map(|(id, schema)| (same[id], schema.name.clone()))
        .collect();
    for (id, name) in names {
        let schema = &mut api.schemas[id];
        if !schema.named {
            schema.named = true;
            schema.name = name;
        }
    }
    relabel(api, &same);
}

fn final_of(same: &[SchemaId], id: SchemaId) -> SchemaId {
    let mut id = id;
    while same[id] != id {
        id = same[id];
    }
    id
}

/// A rule that leads to the schema that says nothing, says nothing.
fn drop_hollow(schemas: &mut [Schema]) {
    let hollow: Vec<bool> = schemas
        .iter()
        .map(|it| it.types == Types::ANY && it.rules.is_empty())
        .collect();
    for schema in schemas {
        for child in schema.rules.iter_mut().flat_map(Rule::children_mut) {
            if hollow[*child] {
                *child = ANY;
            }
        }
        schema.rules.retain(|rule| match rule {
            Rule::Items(it) | Rule::Additional(it) => *it != ANY,
            Rule::Variants(it) => !it.contains(&ANY),
            _ => true,
        });
        if !schema
            .rules
            .iter()
            .any(|rule| matches!(rule, Rule::Variants(_)))
        {
            schema
                .rules
                .retain(|rule| !matches!(rule, Rule::Discriminator(..)));
        }
    }
}

/// Keeps what operations lead to, in the order in which they do.
fn relabel(api: &mut Api, same: &[SchemaId]) {
    let mut new: HashMap<SchemaId, SchemaId> = HashMap::from([(ANY, ANY)]);
    let mut order = vec![ANY];
    let mut next = 0;
    let mut label = |id: SchemaId, order: &mut Vec<SchemaId>| -> SchemaId {
        let id = same[id];
        *new.entry(id).or_insert_with(|| {
            order.push(id);
            order.len() - 1
        })
    };
    for operation in &mut api.operations {
        for answer in &mut operation.answers {
            answer.schema = label(answer.schema, &mut order);
        }
        for parameter in &mut operation.parameters {
            parameter.schema = label(parameter.schema, &mut order);
        }
    }
    let mut kept = Vec::new();
    while next < order.len() {
        let mut schema = api.schemas[order[next]].clone();
        for child in schema.rules.iter_mut().flat_map(Rule::children_mut) {
            *child = label(*child, &mut order);
        }
        kept.push(schema);
        next += 1;
    }
    api.schemas = kept;
}
