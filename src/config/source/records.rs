//! Record options (`[source.records]`): which values of a response become records. `options` lists
//! all.

mod combinations;
mod element_time;
mod options;

use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;

pub use self::options::OPTIONS;
use super::is_source_option;
use crate::config::other_names;
use crate::config::reader::{TableEntry, TableReader};
use crate::config::request::value_path::{VALUE_PATH, read_value_path};
use crate::config::section::{options_as_toml, read_options};
use crate::config::types::KeySpans;
use crate::domain::json_path::JsonPath;
use crate::domain::plan::{RecordSelector, Selection};
use crate::domain::toml_text::{bare_or_quoted, quoted};
use crate::limits;

/// Reads `[source.records]`; without it, all leaves are selected. `prefix` stands before every
/// key of both.
pub fn read_selection(
    table: &mut TableReader<'_>,
    directory: &Path,
    max_records: usize,
) -> (Selection, KeySpans) {
    let prefix = match (table.get("prefix"), table.device()) {
        (Some(prefix), _) => prefix.text().unwrap_or_default(),
        (None, Some(device)) => format!("{}.", device.name),
        (None, None) => String::new(),
    };
    let Some(records) = table.get("records") else {
        return (Selection::AllLeaves { prefix }, Vec::new());
    };
    let mut selectors = Vec::new();
    let mut keys = Vec::new();
    for entry in records.entries() {
        let key: Arc<str> = format!("{prefix}{}", entry.key()).into();
        if entry.key().is_empty()
            || key.len() > limits::KEY_BYTES
            || key.chars().any(char::is_control)
        {
            entry.problem(format!(
                "expected a key of 1 to {} bytes, found {key:?}",
                limits::KEY_BYTES
            ));
            continue;
        }
        if let Some(selector) = read_selector(&entry, key.clone(), directory) {
            selectors.push(selector);
            keys.push((key, entry.key_span()));
        }
    }
    if selectors.len() > max_records {
        let found = selectors.len();
        let advice = if found <= limits::MAX_CONFIGURED_RECORDS {
            format!(": add max_records = {found} to its [[source]]")
        } else {
            String::new()
        };
        records.problem(format!(
            "expected at most {max_records} records, found {found}{advice}"
        ));
    }
    (Selection::Selectors(selectors), keys)
}

fn read_selector(
    entry: &TableEntry<'_>,
    key: Arc<str>,
    directory: &Path,
) -> Option<RecordSelector> {
    let mut selector = RecordSelector::new(key, "");
    let may_be_record = match entry.value() {
        DeValue::String(text) => {
            text.is_empty() || text.starts_with('/') || JsonPath::is_meant(text)
        }
        DeValue::Table(_) => true,
        _ => false,
    };
    if !may_be_record && is_source_option(entry.key()) {
        let option = entry.key();
        entry.problem(format!(
            "{option}: expected {VALUE_PATH}; the option `{option}` of [[source]] stands above [source.records]"
        ));
        return None;
    }
    if matches!(entry.value(), DeValue::String(_)) {
        selector.at = read_value_path(entry)?;
        combinations::check_key(entry, &selector);
        return Some(selector);
    }
    if !matches!(entry.value(), DeValue::Table(_)) {
        entry.expected("a JSON Pointer or JSONPath, or a table with `at`");
        return None;
    }
    let mut table = entry.table(format!("the record {:?}", entry.key()))?;
    let at = table.get("at");
    if at.is_none()
        && let Some(rest) = unquoted_rest(entry)
    {
        entry.problem(format!(
            "a key with a dot needs quotes: {} = …",
            quoted(&format!("{}.{rest}", entry.key()))
        ));
        return None;
    }
    read_options(&OPTIONS, &mut table, directory, &mut selector);
    combinations::check(entry, &mut table, &selector);
    let pointer = match &at {
        Some(at) => read_value_path(at),
        None => {
            table.problem(format!("{} has no `at`: add at = \"/…\"", table.name()));
            None
        }
    };
    table.finish();
    selector.at = pointer?;
    Some(selector)
}

/// The end of a key with a dot (`house.power = "/p"`), which TOML reads as a table.
fn unquoted_rest(entry: &TableEntry<'_>) -> Option<String> {
    let parts = entry.entries();
    let [only] = parts.as_slice() else {
        return None;
    };
    let is_option = OPTIONS.iter().any(|option| option.name == only.key());
    let is_record = match only.value() {
        DeValue::String(text) => text.starts_with('/') || JsonPath::is_meant(text),
        DeValue::Table(record) => record.contains_key("at"),
        _ => false,
    };
    let is_named = other_names::advice(only.key(), &["at"]).is_none();
    (!is_option && is_record && is_named).then(|| only.key().to_owned())
}

/// Prints `[source.records]` as TOML, one record per line.
pub fn print_records(out: &mut String, selectors: &[RecordSelector]) {
    out.push_str("[source.records]\n");
    for selector in selectors {
        let options = options_as_toml(&OPTIONS, selector).join(", ");
        *out += &format!("{} = {{ {options} }}\n", bare_or_quoted(&selector.key));
    }
}
