//! Derived key options (`[derived.NAME]`): keys that are computed from others.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{ConfigReader, TableEntry, TableReader};
use super::section::{ConfigOption, duration, print_options, read_options, text};
use super::types::{KeySpans, SourceConfig};
use crate::domain::derived_key::{DerivedKey, DerivedKeys, DerivedRule};
use crate::domain::formula::Formula;
use crate::domain::toml_text::{derived_table, quoted};
use crate::limits;

/// `[derived.NAME]` while it is read.
#[derive(Default)]
pub struct DerivedDraft {
    formula: Option<Formula>,
    unit: Option<Arc<str>>,
    stale_after: Option<Duration>,
}

type DerivedOption = ConfigOption<DerivedDraft, DerivedKey>;

pub static OPTIONS: [DerivedOption; 3] = [
    DerivedOption::new(
        "formula",
        "text",
        "required",
        "\"grid + solar\"",
        "What to compute from other keys; see \"Derived keys\".",
        |draft, option| draft.formula = option.entry().and_then(|it| read_formula(&it)),
        |key| {
            let DerivedRule::Formula(formula) = &key.rule;
            text(formula.text())
        },
    ),
    DerivedOption::new(
        "unit",
        "text",
        "none",
        "\"W\"",
        "Unit of the value.",
        |draft, option| draft.unit = option.text().map(Into::into),
        |key| text(key.unit.as_deref()?),
    ),
    DerivedOption::new(
        "stale_after",
        "duration",
        "none (stale as soon as one of its inputs is)",
        "\"10m\"",
        "Age of the oldest input at which the value counts as stale.",
        |draft, option| draft.stale_after = option.duration(),
        |key| duration(key.stale_after?),
    ),
];

/// A derived key, and where the keys that it names stand in the file.
pub struct DerivedTable {
    pub key: DerivedKey,
    span: Range<usize>,
    pub rule_span: Range<usize>,
}

/// Reads `[derived.NAME]`, in the order of the file.
pub fn read_derived(root: &mut TableReader<'_>, directory: &Path) -> Vec<DerivedTable> {
    let Some(derived) = root.get("derived") else {
        return Vec::new();
    };
    let entries = derived.entries();
    if entries.len() > limits::DERIVED_KEYS {
        derived.problem(format!(
            "expected at most {} derived keys, found {}",
            limits::DERIVED_KEYS,
            entries.len()
        ));
    }
    let read = |entry: &TableEntry<'_>| read_table(entry, directory);
    entries.iter().filter_map(read).collect()
}

fn read_table(entry: &TableEntry<'_>, directory: &Path) -> Option<DerivedTable> {
    let name = entry.key();
    let mut table = entry.table(derived_table(name))?;
    let DeValue::Table(inner) = entry.value() else {
        return None;
    };
    if let Some((part, _)) = inner.iter().find(|(_, it)| it.get_ref().is_table()) {
        let full_key = format!("{name}.{}", part.get_ref());
        let message = format!(
            "a key with a dot needs quotes: {}",
            derived_table(&full_key)
        );
        table.reader().problem(&part.span(), message);
        return None;
    }
    let is_key =
        (1..=limits::KEY_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    if !is_key {
        let most = limits::KEY_BYTES;
        entry.problem(format!(
            "expected a key of 1 to {most} bytes, found {}",
            quoted(name)
        ));
    }
    let mut draft = DerivedDraft::default();
    read_options(&OPTIONS, &mut table, directory, &mut draft);
    let rule = table.get("formula");
    if rule.is_none() {
        let advice = "add formula = \"…\"";
        table.problem(format!("{} has no rule: {advice}", table.name()));
    }
    table.finish();
    let rule_span = rule?.span();
    let key = DerivedKey {
        key: name.into(),
        rule: DerivedRule::Formula(draft.formula?),
        unit: draft.unit,
        stale_after: draft.stale_after,
    };
    is_key.then(|| DerivedTable {
        key,
        span: entry.key_span(),
        rule_span,
    })
}

fn read_formula(entry: &TableEntry<'_>) -> Option<Formula> {
    let text = entry.text_as("a formula such as \"grid + solar\"")?;
    match Formula::parse(&text) {
        Ok(formula) if formula.inputs().is_empty() => {
            entry.problem("expected a formula with a key of a source, such as \"grid + solar\"");
            None
        }
        Ok(formula) => Some(formula),
        Err(message) => {
            entry.problem(format!("formula: {message}"));
            None
        }
    }
}

/// Orders the derived keys; a cycle is a problem.
pub fn order_derived(reader: &ConfigReader<'_>, tables: &[DerivedTable]) -> DerivedKeys {
    let keys = tables.iter().map(|table| table.key.clone()).collect();
    DerivedKeys::new(keys).unwrap_or_else(|cycle| {
        let names: Vec<String> = cycle.iter().map(|key| quoted(key)).collect();
        let first = tables
            .iter()
            .find(|table| Some(&table.key.key) == cycle.first());
        if let (Some(table), [rest @ .., last]) = (first, names.as_slice()) {
            let message = match rest {
                [] => format!("{last} is computed from itself: name another key"),
                _ => format!(
                    "{} is computed from {}, which is computed from {} again: break the cycle",
                    rest[0],
                    [&rest[1..], std::slice::from_ref(last)]
                        .concat()
                        .join(", that from "),
                    rest[0]
                ),
            };
            reader.problem(&table.rule_span, message);
        }
        DerivedKeys::default()
    })
}

/// A derived key has its name for itself.
pub fn check_derived_names(
    reader: &ConfigReader<'_>,
    tables: &[DerivedTable],
    sources: &[(SourceConfig, KeySpans)],
    is_merged: impl Fn(&str) -> bool,
) {
    for table in tables {
        let name = &table.key.key;
        let gives =
            |(_, named): &&(SourceConfig, KeySpans)| named.iter().any(|(key, _)| key == name);
        if let Some((source, _)) = sources.iter().find(gives) {
            let message = format!(
                "the source {} gives the key {} too: give one of them another name",
                quoted(&source.plan.name),
                quoted(name)
            );
            reader.problem(&table.span, message);
        } else if is_merged(name) {
            let message = format!(
                "merge: {} is derived, and not given by several sources: remove `merge` from its \
                 [key] table",
                quoted(name)
            );
            reader.problem(&table.span, message);
        }
    }
}

/// Prints the derived keys as TOML.
pub fn print_derived(out: &mut String, keys: &DerivedKeys) {
    for key in keys.iter() {
        *out += &format!("\n{}\n", derived_table(&key.key));
        print_options(out, &OPTIONS, key);
    }
}
