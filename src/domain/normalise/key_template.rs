//! Key templates: `{name}` is a field of the element, `{../name}` one of the object around it.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::elements::{self, Element};
use super::{encode_segment, sample};
use crate::domain::value_path::{ValuePath, last_name};

/// A template with its `{parts}` taken from an element of `body`, each encoded. `Err` names the
/// part that the response cannot fill, and what it has there.
pub fn fill(
    template: &str,
    body: &Json,
    element: &Element<'_>,
    encode: fn(&str) -> String,
) -> Result<String, (String, String)> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((part, after)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        rest = after;
        match value_of(part, body, element) {
            Ok(text) => filled.push_str(&encode(&text)),
            Err(found) => return Err((part.to_owned(), found)),
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Whether the template gives each element that `each` finds in `body` a key of its own.
pub fn tells_elements_apart(template: &str, body: &Json, each: &ValuePath) -> bool {
    let Ok(mut elements) = elements::of_each(body, each) else {
        return false;
    };
    let mut keys = BTreeSet::new();
    elements.list.all(|element| {
        let key = fill(template, body, &element, encode_segment);
        key.is_ok_and(|key| keys.insert(key))
    })
}

/// The text or number that a part stands for. `Err` has what is there instead.
fn value_of(part: &str, body: &Json, element: &Element<'_>) -> Result<String, String> {
    let mut field = part;
    let (mut pointer, mut value) = (element.pointer.as_str(), element.value);
    while let Some(rest) = field.strip_prefix("../") {
        (pointer, value) = parent(body, pointer).ok_or("nothing: the response ends there")?;
        field = rest;
    }
    if field == "#" {
        return match pointer {
            "" => Err("the whole response, which has no name".to_owned()),
            _ => Ok(last_name(pointer)),
        };
    }
    let found = if field.starts_with('/') {
        value.pointer(field)
    } else {
        value.get(field)
    };
    match found {
        Some(Json::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Json::Number(number)) => Ok(number.as_str().to_owned()),
        other => Err(other.map_or("nothing".to_owned(), sample)),
    }
}

/// The object around what is at `pointer`. A list that is a field, or the response, is not
/// counted: its fields are those of the object that has it.
fn parent<'a, 'p>(body: &'a Json, pointer: &'p str) -> Option<(&'p str, &'a Json)> {
    let mut at = pointer;
    loop {
        let (around, _) = at.rsplit_once('/')?;
        let value = body.pointer(around)?;
        let is_field = match around.rsplit_once('/') {
            Some((holder, _)) => body.pointer(holder).is_some_and(Json::is_object),
            None => true,
        };
        if !(value.is_array() && is_field) {
            return Some((around, value));
        }
        at = around;
    }
}

/// What is wrong with a part that leads to what is around the element.
pub fn problem(template: &str) -> Option<String> {
    let parts = template.split('{').skip(1);
    let mut parts = parts.filter_map(|part| Some(part.split_once('}')?.0));
    parts.find_map(|part| {
        let field = part.trim_start_matches("../");
        let is_wrong = field.is_empty() && !part.is_empty() || field.starts_with("..");
        is_wrong.then(|| {
            format!(
                "{{{part}}} lacks what to take: {{../name}} is the field `name` of the object around the \
                 element, {{../../name}} of the next one, {{../#}} its position or name"
            )
        })
    })
}
