//! Record options (`[source.records]`): which values of a response become records.

use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;

use super::is_source_option;
use super::value_path::{VALUE_PATH, read_value_path};
use crate::config::other_names;
use crate::config::problem::Severity;
use crate::config::reader::{TableEntry, TableReader};
use crate::config::section::{
    ConfigOption, inline_table, number, options_as_toml, plain, read_options, text, with_others,
};
use crate::config::types::KeySpans;
use crate::domain::json_path::JsonPath;
use crate::domain::number_pattern::NumberPattern;
use crate::domain::plan::{Decimal, RecordSelector, Selection};
use crate::domain::toml_text::{bare_or_quoted, quoted};
use crate::domain::value_path::ValuePath;
use crate::limits;

type RecordOption = ConfigOption<RecordSelector>;

/// Options of one record; a pointer alone can replace the table.
pub static OPTIONS: [RecordOption; 16] = [
    RecordOption::new(
        "at",
        "JSON Pointer or JSONPath",
        "required",
        "\"/current/temperature_2m\"",
        "Where the value is in the response; with `each`, where it is in the element. A path alone can replace the table: `temperature = \"/current/temperature_2m\"`.",
        with_others,
        |record| text(record.at.as_str()),
    ),
    RecordOption::new(
        "unit",
        "text",
        "none (what the response says)",
        "\"°C\"",
        "Unit of the value. Where it is not set, it is what `unit_at` says, else `units_at`, else the text of the value, such as `\"21.5 °C\"` (not where `scale` or `offset` is set).",
        |record, option| record.unit = option.text().map(Into::into),
        |record| text(record.unit.as_deref()?),
    ),
    RecordOption::new(
        "unit_at",
        "JSON Pointer or JSONPath",
        "none",
        "\"/unit\"",
        "Where the unit of the value is in the response; with `each`, where it is in the element.",
        |record, option| record.unit_at = option.entry().and_then(|it| read_value_path(&it)),
        |record| text(record.unit_at.as_ref()?.as_str()),
    ),
    RecordOption::new(
        "decimal",
        "\",\" or \".\"",
        "none (see `numbers`)",
        "\",\"",
        "The decimal mark of numbers in texts; the other of the two groups thousands: with `\",\"` the text `\"1.234,5 kWh\"` is 1234.5. A unit behind the number, or a currency before it, is read too.",
        |record, option| {
            let choices = [Decimal::Comma, Decimal::Point].map(|it| (it.name(), it));
            record.decimal = option.choice(&choices);
        },
        |record| text(record.decimal?.name()),
    ),
    RecordOption::new(
        "pattern",
        "regular expression",
        "none",
        "'power=([-0-9.]+)'",
        "Takes the number out of a text: what its one group matches is read as the value, with `text = true` stored as text. Write it in single quotes, where TOML leaves `\\` as it is; `$` is the end of the text. It has no look-around and no back-references.",
        |record, option| record.pattern = option.entry().and_then(|it| read_pattern(&it)),
        |record| text(record.pattern.as_ref()?.as_str()),
    ),
    RecordOption::new(
        "base",
        "number, 2 to 36",
        "none (10)",
        "16",
        "Base of whole numbers in texts: with 16 the texts `\"0x1F4\"` and `\"1f4\"` are 500. Values that are numbers in the response are not changed.",
        |record, option| record.base = option.integer(2..=36).map(|base| base as u32),
        |record| plain(record.base?),
    ),
    RecordOption::new(
        "missing",
        "number",
        "none (an issue)",
        "0",
        "The value to publish where the response has nothing at `at`, for APIs that leave out what is zero. It is published as it stands: `scale`, `min` and the like do not apply.",
        |record, option| record.missing = option.number(),
        |record| number(record.missing?),
    ),
    RecordOption::new(
        "null",
        "number",
        "none (an issue)",
        "0",
        "The same where the response has null.",
        |record, option| record.null = option.number(),
        |record| number(record.null?),
    ),
    RecordOption::new(
        "min",
        "number",
        "none",
        "-60",
        "Smallest plausible value, after `scale` and `offset`. A smaller one is dropped and reported as an issue.",
        |record, option| record.min = option.number(),
        |record| number(record.min?),
    ),
    RecordOption::new(
        "max",
        "number",
        "none",
        "60",
        "Largest plausible value, after `scale` and `offset`. A larger one is dropped and reported as an issue.",
        |record, option| record.max = option.number(),
        |record| number(record.max?),
    ),
    RecordOption::new(
        "scale",
        "number",
        "none (1)",
        "0.001",
        "Factor: what is stored is value × `scale` + `offset`.",
        |record, option| record.scale = option.number(),
        |record| number(record.scale?),
    ),
    RecordOption::new(
        "offset",
        "number",
        "none (0)",
        "-273.15",
        "Added after `scale`: what is stored is value × `scale` + `offset`.",
        |record, option| record.offset = option.number(),
        |record| number(record.offset?),
    ),
    RecordOption::new(
        "max_change",
        "number",
        "none",
        "5",
        "Largest plausible change per minute, in the unit of the value. A larger jump is dropped and reported as an issue, until enough minutes have passed for it.",
        |record, option| record.max_change = option.number(),
        |record| number(record.max_change?),
    ),
    RecordOption::new(
        "each",
        "JSON Pointer or JSONPath",
        "none",
        "\"/stations\"",
        "A list or an object in the response: one record is made of each of its elements. With a JSONPath, such as `\"$.stations[*]\"`, the nodes that it finds are the elements. The key is then a template, see \"Keys\" above.",
        |record, option| record.each = option.entry().and_then(|it| read_each(&it)),
        |record| text(record.each.as_ref()?.as_str()),
    ),
    RecordOption::new(
        "map",
        "table",
        "none",
        "{ on = 1, off = 0 }",
        "Numbers for texts, booleans or numbers of the response. `min` to `max_change` apply to the result; numbers without an entry stay as they are.",
        |record, option| record.map = option.entry().map(|it| read_map(&it)).unwrap_or_default(),
        |record| {
            let pair =
                |(text, number): &(String, f64)| format!("{} = {number:?}", bare_or_quoted(text));
            inline_table(record.map.iter().map(pair).collect())
        },
    ),
    RecordOption::new(
        "text",
        "true or false",
        "false",
        "true",
        "Store the value as text, up to 256 bytes, instead of a number. `min`, `max`, `scale` and the like have no effect then.",
        |record, option| record.text = option.boolean().unwrap_or(false),
        |record| record.text.then(|| "true".to_owned()),
    ),
];

/// Reads `[source.records]`; without it, all leaves are selected. `prefix` stands before every
/// key of both.
pub fn read_selection(table: &mut TableReader<'_>, directory: &Path) -> (Selection, KeySpans) {
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
    if selectors.len() > limits::RECORDS_PER_SOURCE {
        let maximum = limits::RECORDS_PER_SOURCE;
        records.problem(format!(
            "expected at most {maximum} records, found {}",
            selectors.len()
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
        warn_unused_braces(entry, &selector);
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
    if selector.each.is_some() && !selector.key.contains('{') {
        entry.problem(format!(
            "with `each` a key needs a placeholder, so that every element has a key of its own: \
             \"{}.{{id}}\" for its field id, \"{}.{{#}}\" for its position",
            selector.key, selector.key
        ));
    }
    if let (Some(min), Some(max)) = (selector.min, selector.max)
        && min > max
    {
        entry.problem(format!("min = {min} is above max = {max}: swap them"));
    }
    check_combinations(&mut table, &selector);
    warn_unused_braces(entry, &selector);
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

/// A JSONPath finds the elements themselves, so one of names alone finds their list.
fn read_each(entry: &TableEntry<'_>) -> Option<ValuePath> {
    let path = read_value_path(entry)?;
    if let ValuePath::JsonPath(path) = &path
        && path.is_singular()
    {
        let path = path.as_str();
        entry.problem(format!(
            "each: {path} is one value, and a JSONPath here finds the elements themselves: write \
             {}",
            quoted(&format!("{path}[*]"))
        ));
        return None;
    }
    Some(path)
}

/// Options that contradict each other.
fn check_combinations(table: &mut TableReader<'_>, selector: &RecordSelector) {
    let mut refuse = |option: &'static str, why: &str| {
        if let Some(entry) = table.get(option) {
            entry.problem(format!("{option}: {why}"));
        }
    };
    if selector.unit.is_some() && selector.unit_at.is_some() {
        refuse(
            "unit_at",
            "`unit` says what the unit is: remove one of the two",
        );
    }
    if selector.base.is_some() && selector.decimal.is_some() {
        refuse(
            "decimal",
            "a number with `base` is whole: remove one of the two",
        );
    }
    if selector.text {
        for option in ["decimal", "base", "missing", "null"] {
            refuse(
                option,
                "with text = true the value is no number: remove one of the two",
            );
        }
    }
}

fn read_pattern(entry: &TableEntry<'_>) -> Option<NumberPattern> {
    let text =
        entry.literal_text("a regular expression with one group, such as '([0-9.]+) kWh'")?;
    match NumberPattern::new(&text) {
        Ok(pattern) => Some(pattern),
        Err(problem) => {
            entry.problem(format!("pattern: {} {problem}", quoted(&text)));
            None
        }
    }
}

fn read_map(entry: &TableEntry<'_>) -> Vec<(String, f64)> {
    let entries = entry.entries();
    let pairs = entries.iter();
    pairs
        .filter_map(|pair| Some((pair.key().to_owned(), pair.number()?)))
        .collect()
}

/// Prints `[source.records]` as TOML, one record per line.
pub fn print_records(out: &mut String, selectors: &[RecordSelector]) {
    out.push_str("[source.records]\n");
    for selector in selectors {
        let options = options_as_toml(&OPTIONS, selector).join(", ");
        *out += &format!("{} = {{ {options} }}\n", bare_or_quoted(&selector.key));
    }
}

/// A key template (`{field}`) needs `each`, whose elements fill it in.
fn warn_unused_braces(entry: &TableEntry<'_>, selector: &RecordSelector) {
    if selector.each.is_none() && selector.key.contains(['{', '}']) {
        let message = format!(
            "the key {} has braces, but its record has no `each`, so nothing is filled in: add each = \
             \"/…\", or remove the braces",
            quoted(&selector.key)
        );
        entry.remark(Severity::Problem, message);
    }
}
