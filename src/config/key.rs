//! Key options (`[key.NAME]`): settings of one key, independent of its source.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;

use super::problem::Severity;
use super::reader::{ConfigReader, TableEntry, TableReader};
use super::section::{ConfigOption, duration, print_options, read_options, text};
use super::types::{KeySpans, SourceConfig};
use crate::domain::alert::AlertRules;
use crate::domain::plan::{KeyPlan, Merge, RecordSelector, Selection};
use crate::domain::toml_text::{key_table, merge_advice, prefix_advice, quoted};
use openapi::operation::nearest;

type KeyOption = ConfigOption<KeyPlan>;

pub static OPTIONS: [KeyOption; 3] = [
    KeyOption::new(
        "merge",
        "\"priority\", \"latest\", \"mean\" or \"median\"",
        "none (an error if two sources name the key)",
        "\"mean\"",
        "What to publish when several sources give the key: the value of the first configured source (`priority`), the newest value (`latest`), or the `mean` or `median`. Fresh values count before stale ones.",
        |plan, option| {
            let merges = Merge::ALL.map(|merge| (merge.name(), merge));
            plan.merge = option.choice(&merges);
        },
        |plan| text(plan.merge?.name()),
    ),
    KeyOption::new(
        "stale_after",
        "duration",
        "none (that of the source)",
        "\"30m\"",
        "Age at which the value of this key counts as stale.",
        |plan, option| plan.stale_after = option.duration(),
        |plan| duration(plan.stale_after?),
    ),
    KeyOption::new(
        "unit",
        "text",
        "none (that of the source)",
        "\"°C\"",
        "Unit to show for this key.",
        |plan, option| plan.unit = option.text().map(Into::into),
        |plan| text(plan.unit.as_deref()?),
    ),
];

pub fn read_keys(root: &mut TableReader<'_>, directory: &Path) -> BTreeMap<Arc<str>, KeyPlan> {
    let mut keys = BTreeMap::new();
    for entry in root.get("key").iter().flat_map(TableEntry::entries) {
        let name = entry.key().to_owned();
        let Some(mut table) = entry.table(key_table(&name)) else {
            continue;
        };
        let DeValue::Table(inner) = entry.value() else {
            continue;
        };
        if let Some((part, _)) = inner.iter().find(|(_, it)| it.get_ref().is_table()) {
            let full_key = format!("{name}.{}", part.get_ref());
            let message = format!("a key with a dot needs quotes: {}", key_table(&full_key));
            root.reader().problem(&part.span(), message);
            continue;
        }
        let mut plan = KeyPlan::default();
        read_options(&OPTIONS, &mut table, directory, &mut plan);
        table.finish();
        keys.insert(name.into(), plan);
    }
    keys
}

/// A key that several sources write needs `merge`.
pub fn check_shared_keys(
    reader: &ConfigReader<'_>,
    sources: &[(SourceConfig, KeySpans)],
    keys: &BTreeMap<Arc<str>, KeyPlan>,
) {
    let mut first_provider: BTreeMap<&str, &str> = BTreeMap::new();
    for (source, named) in sources {
        for (key, span) in named {
            let provider = *first_provider.entry(key).or_insert(&source.plan.name);
            let is_merged = keys.get(key).is_some_and(|key| key.merge.is_some());
            if provider != &*source.plan.name && !is_merged {
                let is_template =
                    |selector: &RecordSelector| selector.each.is_some() && *selector.key == **key;
                let prefix = prefix_advice(&source.plan.name, source.plan.has_shared_prefix);
                let advice = match &source.plan.selection {
                    // `[key.NAME]` cannot name a template, only the keys made from it.
                    Selection::Selectors(selectors) if selectors.iter().any(is_template) => prefix,
                    _ => format!("{prefix}, or {}", merge_advice(key)),
                };
                let message =
                    format!("the source {provider:?} gives the key {key:?} too: {advice}");
                reader.problem(span, message);
            }
        }
    }
}

/// Reports keys of `[alert]` and `[key.NAME]` that no source declares: a warning if every
/// source declares its records, otherwise only the responses can show it.
pub fn warn_unknown_keys(
    reader: &ConfigReader<'_>,
    sources: &[(SourceConfig, KeySpans)],
    keys: &BTreeMap<Arc<str>, KeyPlan>,
    alert: &AlertRules,
) {
    let selectors = || {
        let selections = sources.iter().map(|(source, _)| &source.plan.selection);
        selections.filter_map(|selection| match selection {
            Selection::Selectors(selectors) => Some(selectors),
            Selection::AllLeaves { .. } => None,
        })
    };
    let are_all_named = selectors().count() == sources.len();
    let values = alert.values.iter().map(|it| (&it.key, "[[alert.value]]"));
    let stale = alert.stale.iter().map(|it| (&it.key, "[[alert.stale]]"));
    let tables = keys.keys().map(|key| (key, "[key]"));
    for (key, location) in values.chain(stale).chain(tables) {
        if selectors()
            .flatten()
            .any(|selector| selector.selects_key(key))
        {
            continue;
        }
        let location = match location {
            "[key]" => key_table(key),
            _ => format!("{location} key = {}", quoted(key)),
        };
        let near = nearest(key, selectors().flatten().map(|selector| &*selector.key));
        let hint = near.map_or_else(String::new, |near| {
            format!("; did you mean {}?", quoted(near))
        });
        let (severity, message) = if are_all_named {
            (Severity::Problem, format!("no source gives this key{hint}"))
        } else {
            let message =
                format!("whether a source gives this key: no [source.records] names it{hint}");
            (Severity::NotChecked, message)
        };
        reader.remark_at(severity, &location, message);
    }
}

/// Prints the keys as TOML.
pub fn print_keys(out: &mut String, keys: &BTreeMap<Arc<str>, KeyPlan>) {
    for (name, plan) in keys {
        *out += &format!("\n{}\n", key_table(name));
        print_options(out, &OPTIONS, plan);
    }
}
