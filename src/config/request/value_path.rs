//! Options that are a JSON Pointer or a JSONPath: problems with their places.

use crate::config::reader::TableEntry;
use crate::domain::json_path::JsonPath;
use crate::domain::toml_text::quoted;
use crate::domain::value_path::{ValuePath, escape};

/// In messages: `expected …`.
pub const VALUE_PATH: &str =
    "a JSON Pointer such as \"/current/temperature\", or a JSONPath such as \"$.list[-1].value\"";

/// The text of a JSONPath, whose `$` need not be doubled, or another one.
pub fn read_path_text(item: &TableEntry<'_>, what: &str) -> Option<String> {
    match item.value().as_str() {
        Some(text) if JsonPath::is_meant(text.replacen("$$", "$", 1).as_str()) => {
            item.text_with_dollars()
        }
        _ => item.text_as(what),
    }
}

pub fn read_value_path(item: &TableEntry<'_>) -> Option<ValuePath> {
    let text = read_path_text(item, VALUE_PATH)?;
    if JsonPath::is_meant(&text) {
        let path = ValuePath::parse(&text).map_err(|problem| {
            let rest = text.get(problem.at..).unwrap_or_default();
            let earlier = text.get(..problem.at).unwrap_or_default();
            let earlier = match rest {
                "" => 0,
                _ => earlier.matches(rest).count(),
            };
            let place = text.get(..problem.at).unwrap_or_default().chars().count() + 1;
            item.problem_in_text(
                rest,
                earlier,
                format!("{} (character {place} of the path)", problem.message),
            );
        });
        return path.ok();
    }
    if text.is_empty() || text.starts_with('/') {
        return Some(ValuePath::Pointer(text));
    }
    match pointer_of(&text) {
        _ if is_relative_pointer(&text) => {
            item.expected(&format!(
                "{VALUE_PATH}, here perhaps {}",
                quoted(&format!("/{text}"))
            ));
        }
        Some(instead) if !text.contains([' ', '/', '{', '"']) => {
            item.expected(&format!("{VALUE_PATH}, here perhaps {}", quoted(&instead)));
        }
        _ => item.expected(VALUE_PATH),
    }
    None
}

/// A JSON Pointer whose first `/` is missing.
fn is_relative_pointer(text: &str) -> bool {
    text.contains('/') && !text.contains([' ', '{', '"', '$', ':'])
}

/// The JSON Pointer of names and positions as other programs write them: `list[0].value`.
fn pointer_of(path: &str) -> Option<String> {
    let mut pointer = String::new();
    for part in path.split(['.', '[']) {
        let name = part.strip_suffix(']').unwrap_or(part);
        let name = name.trim_matches(['\'', '"']);
        if name.is_empty() || name.contains(['*', '?', '@', ']', '$']) {
            return None;
        }
        pointer.push('/');
        pointer.push_str(&escape(name));
    }
    Some(pointer)
}
