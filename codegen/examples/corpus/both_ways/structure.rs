//! Whether two APIs, operations or schemas say the same, whatever their schemas' numbers.

use std::collections::HashSet;

use openapi::operation::{Api, Operation};
use openapi::schema::{Rule, Schema, SchemaRef};
use serde::Serialize;
use serde_json::Value;

/// Of a value in a message, this many characters.
const SHOWN: usize = 300;

/// The first difference of two APIs beside their operations and where their file is.
pub fn difference_of_apis(left: &Api, right: &Api) -> Option<String> {
    let bare = |api: &Api| Api {
        operations: Vec::new(),
        source_file: String::new(),
        ..api.clone()
    };
    difference(&bare(left), &bare(right))
}

/// The first difference of two operations, schemas included.
pub fn difference_of_operations(left: &Operation, right: &Operation) -> Option<String> {
    let (mut bare_left, mut bare_right) = (left.clone(), right.clone());
    let left: Vec<SchemaRef> = bare_left.schemas_mut().map(std::mem::take).collect();
    let right: Vec<SchemaRef> = bare_right.schemas_mut().map(std::mem::take).collect();
    if bare_left.api != bare_right.api {
        return Some(compared("api", &bare_left.api, &bare_right.api));
    }
    if let Some(found) = difference(&bare_left, &bare_right) {
        return Some(found);
    }
    let mut seen = HashSet::new();
    let pairs = left.into_iter().zip(right).enumerate();
    for (number, (left, right)) in pairs {
        let mut place = format!("schema {number} of the operation");
        let found = difference_of_schemas(left.get(), right.get(), &mut place, &mut seen);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Follows both side by side; a pair that was met before is equal if nothing else is not.
fn difference_of_schemas(
    left: &'static Schema,
    right: &'static Schema,
    place: &mut String,
    seen: &mut HashSet<(*const Schema, *const Schema)>,
) -> Option<String> {
    if !seen.insert((left, right)) {
        return None;
    }
    if let Some(found) = difference(&bare(left), &bare(right)) {
        return Some(format!("{place}: {found}"));
    }
    let length = place.len();
    let pairs = children(left).into_iter().zip(children(right));
    for (number, (left, right)) in pairs.enumerate() {
        place.push_str(&format!("/{number}"));
        let found = difference_of_schemas(left.get(), right.get(), place, seen);
        place.truncate(length);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The schemas that its rules lead to, in their order.
fn children(schema: &'static Schema) -> Vec<SchemaRef> {
    let mut rules = schema.rules.clone();
    let children = rules.iter_mut().flat_map(Rule::children_mut);
    children.map(|it| *it).collect()
}

/// With no number in it.
fn bare(schema: &Schema) -> Schema {
    let mut schema = schema.clone();
    let children = schema.rules.iter_mut().flat_map(Rule::children_mut);
    children.for_each(|it| *it = SchemaRef::ANY);
    schema
}

fn difference<T: PartialEq + Serialize>(left: &T, right: &T) -> Option<String> {
    if left == right {
        return None;
    }
    let json = |it: &T| serde_json::to_value(it).unwrap_or_default();
    let (left, right) = (json(left), json(right));
    let mut place = String::new();
    let (left, right) = first_difference(&left, &right, &mut place);
    Some(compared(
        &place,
        format_args!("{left}"),
        format_args!("{right}"),
    ))
}

/// Where two values part.
fn first_difference<'a>(
    left: &'a Value,
    right: &'a Value,
    place: &mut String,
) -> (&'a Value, &'a Value) {
    static NOTHING: Value = Value::Null;
    let next = match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names = a.keys().chain(b.keys());
            names
                .find(|name| a.get(*name) != b.get(*name))
                .map(|name| (name.clone(), a.get(name), b.get(name)))
        }
        (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len()))
            .find(|at| a.get(*at) != b.get(*at))
            .map(|at| (at.to_string(), a.get(at), b.get(at))),
        _ => None,
    };
    match next {
        Some((name, a, b)) => {
            place.push('/');
            place.push_str(&name);
            first_difference(a.unwrap_or(&NOTHING), b.unwrap_or(&NOTHING), place)
        }
        None => (left, right),
    }
}

/// A difference in words.
pub fn compared(what: &str, left: impl std::fmt::Debug, right: impl std::fmt::Debug) -> String {
    let short = |text: String| -> String {
        let more = text.chars().nth(SHOWN).map_or("", |_| "…");
        text.chars().take(SHOWN).chain(more.chars()).collect()
    };
    let (left, right) = (short(format!("{left:?}")), short(format!("{right:?}")));
    format!("{what}: compiled in {left}, at run time {right}")
}
