//! Plain text to a tree: one value, lines of names and values, or lines.
//!
//! Pure.

use serde_json::{Map, Value as Json};

use super::{FormatError, UniqueNames, ValueBudget, leaf};
use crate::domain::text::shorten;
use crate::limits;

/// Parses a text whose last line is whole. If each line is `name = value`, `name: value` or a
/// name, a tab and a value, `#` lines left out, that is an object; else one line is its value, and more are an array.
/// `is_value`: the configuration reads the whole text as one value, so that one line is none of
/// an object.
pub fn parse(text: &str, is_value: bool) -> Result<Json, FormatError> {
    let mut budget = ValueBudget::default();
    let mut lines = Vec::new();
    for line in text.lines().filter(|it| !it.trim().is_empty()) {
        // With the name that it may have.
        budget.take(2)?;
        // Not tabs: the last value may be blank.
        lines.push(line.trim_matches(' '));
    }
    if let ([line], true) = (&lines[..], is_value) {
        return Ok(leaf(line));
    }
    let named = lines.iter().filter(|line| !line.starts_with('#'));
    let pairs: Option<Vec<(&str, &str)>> = named.map(|line| split_pair(line)).collect();
    if let Some(pairs) = pairs.filter(|it| !it.is_empty()) {
        let mut names = UniqueNames::default();
        let fields = pairs.into_iter().map(|(name, value)| {
            let name = names.unique(shorten(name, limits::KEY_BYTES));
            (name, leaf(value))
        });
        return Ok(Json::Object(Map::from_iter(fields)));
    }
    Ok(match &lines[..] {
        [line] => leaf(line),
        lines => Json::Array(lines.iter().map(|line| leaf(line)).collect()),
    })
}

/// Name and value of a line, split at the first separator. A name begins with a letter: `12:30`
/// is a time.
pub fn split_pair(line: &str) -> Option<(&str, &str)> {
    let at = line.find(['=', ':', '\t'])?;
    let name = line[..at].trim();
    let is_url = line[at..].starts_with("://");
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_') && !is_url;
    is_name.then(|| (name, line[at + 1..].trim()))
}

#[cfg(test)]
#[path = "tests/text.rs"]
mod tests;
