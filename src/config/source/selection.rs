//! What is read from a source's answers: `[source.records]`, or every leaf.

use std::sync::Arc;

use toml::de::DeValue;

use super::KeySpans;
use crate::config::reader::{Severity, TableEntry, TableReader};
use crate::domain::plan::{RecordSelector, Selection};
use crate::domain::toml_text::quoted;
use crate::limits;

/// `[source.records]`, or every leaf behind `prefix`.
pub fn read_selection(table: &mut TableReader<'_>) -> (Selection, KeySpans) {
    let prefix = table.get("prefix");
    let Some(records) = table.get("records") else {
        let prefix = prefix.and_then(|item| item.text()).unwrap_or_default();
        return (Selection::AllLeaves { prefix }, Vec::new());
    };
    if let Some(prefix) = prefix {
        prefix.problem("`prefix` is for sources without [source.records], which name their keys");
    }
    let mut picks = Vec::new();
    let mut keys = Vec::new();
    for entry in records.entries() {
        let key: Arc<str> = entry.key().into();
        if key.is_empty() || key.len() > limits::KEY_BYTES || key.chars().any(char::is_control) {
            entry.problem(format!(
                "expected a key of 1 to {} bytes, found {key:?}",
                limits::KEY_BYTES
            ));
            continue;
        }
        if let Some(pick) = read_pick(&entry, key.clone()) {
            picks.push(pick);
            keys.push((key, entry.key_span()));
        }
    }
    if picks.len() > limits::RECORDS_PER_SOURCE {
        let most = limits::RECORDS_PER_SOURCE;
        records.problem(format!(
            "expected at most {most} records, found {}",
            picks.len()
        ));
    }
    (Selection::Selectors(picks), keys)
}

fn read_pick(entry: &TableEntry<'_>, key: Arc<str>) -> Option<RecordSelector> {
    let mut pick = RecordSelector::new(key, "");
    if matches!(entry.value(), DeValue::String(_)) {
        pick.at = read_pointer(entry)?;
        warn_unused_braces(entry, &pick);
        return Some(pick);
    }
    if !matches!(entry.value(), DeValue::Table(_)) {
        entry.expected("a JSON Pointer, or a table with `at`");
        return None;
    }
    let mut table = entry.table(format!("the record {:?}", entry.key()))?;
    let at = table.get("at");
    pick.unit = table
        .get("unit")
        .and_then(|item| item.text())
        .map(Into::into);
    let mut number = |key| table.get(key).and_then(|item: TableEntry| item.number());
    (pick.min, pick.max) = (number("min"), number("max"));
    (pick.scale, pick.offset) = (number("scale"), number("offset"));
    pick.max_change = number("max_change");
    pick.text = table
        .get("text")
        .and_then(|item| item.boolean())
        .unwrap_or(false);
    pick.each = table.get("each").and_then(|item| read_pointer(&item));
    if let Some(map) = table.get("map") {
        let entries = map.entries();
        let pairs = entries
            .iter()
            .filter_map(|entry| Some((entry.key().to_owned(), entry.number()?)));
        pick.map = pairs.collect();
    }
    if pick.each.is_some() && !pick.key.contains('{') {
        entry.problem(format!(
            "with `each` a key wants a mark for what tells the elements apart: \"{}.{{id}}\" for \
             their field id, \"{}.{{#}}\" for their place",
            pick.key, pick.key
        ));
    }
    if let (Some(min), Some(max)) = (pick.min, pick.max)
        && min > max
    {
        entry.problem(format!("min = {min} is above max = {max}: swap them"));
    }
    warn_unused_braces(entry, &pick);
    let pointer = match &at {
        Some(at) => read_pointer(at),
        None => {
            table.problem(format!(
                "{} does not say where it is read: add at = \"/…\"",
                table.name()
            ));
            None
        }
    };
    table.finish();
    pick.at = pointer?;
    Some(pick)
}

/// The JSON Pointer for a JSONPath of names and indices alone: `$.list[0].value`.
fn pointer_of(path: &str) -> Option<String> {
    let mut pointer = String::new();
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        let (name, behind) = match rest.strip_prefix('[') {
            Some(inner) => {
                let (name, behind) = inner.split_once(']')?;
                let bare = name.trim_matches(['\'', '"']);
                let is_index = name.bytes().all(|byte| byte.is_ascii_digit());
                (
                    Some(bare).filter(|bare| is_index || bare.len() + 2 == name.len())?,
                    behind,
                )
            }
            None => {
                let rest = rest.strip_prefix('.')?;
                rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()))
            }
        };
        if name.is_empty() || name.contains(['*', '?', '@']) {
            return None;
        }
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        rest = behind;
    }
    Some(pointer)
}

/// Braces of a key are filled in from elements, which `each` names.
fn warn_unused_braces(entry: &TableEntry<'_>, pick: &RecordSelector) {
    if pick.each.is_none() && pick.key.contains(['{', '}']) {
        let message = format!(
            "the key {} has braces and its record no `each`: nothing is filled in; add each = \
             \"/…\", or remove the braces",
            quoted(&pick.key)
        );
        entry.remark(Severity::Problem, message);
    }
}

pub fn read_pointer(item: &TableEntry<'_>) -> Option<String> {
    const WHAT: &str = "a JSON Pointer such as \"/current/temperature\"";
    if let DeValue::String(text) = item.value()
        && (text.starts_with("$.") || text.starts_with("$["))
    {
        let instead = match pointer_of(text) {
            Some(pointer) => format!(": {}", quoted(&pointer)),
            None => ", such as \"/list/0/value\"".to_owned(),
        };
        item.problem(format!(
            "{}: JSONPath is not understood yet; write a JSON Pointer instead{instead}",
            item.key()
        ));
        return None;
    }
    let pointer = item.text_as(WHAT)?;
    if !pointer.is_empty() && !pointer.starts_with('/') {
        item.expected(WHAT);
        return None;
    }
    Some(pointer)
}
