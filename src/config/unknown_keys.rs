//! Unknown keys: those that alerts, `[key.NAME]` and formulas name, and that nothing gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::derived::DerivedTable;
use super::key::PatternTable;
use super::problem::Severity;
use super::reader::ConfigReader;
use super::types::{KeySpans, SourceConfig};
use crate::domain::alert::AlertRules;
use crate::domain::derived_key::{DerivedKey, DerivedRule};
use crate::domain::formula::{Formula, key_in_formula};
use crate::domain::plan::{KeyPlan, KeySelector, RecordSelector, Selection};
use crate::domain::toml_text::{derived_table, key_table, quoted, quoted_value};
use openapi::operation::nearest;

/// The keys that the configuration gives names to.
pub struct KeyNames<'a> {
    sources: &'a [(SourceConfig, KeySpans)],
    derived: &'a [DerivedTable],
}

impl<'a> KeyNames<'a> {
    pub fn new(
        sources: &'a [(SourceConfig, KeySpans)],
        derived: &'a [DerivedTable],
    ) -> KeyNames<'a> {
        KeyNames { sources, derived }
    }

    fn selections(&self) -> impl Iterator<Item = &'a Vec<RecordSelector>> {
        let selections = self
            .sources
            .iter()
            .map(|(source, _)| &source.plan.selection);
        selections.filter_map(|selection| match selection {
            Selection::Selectors(selectors) => Some(selectors),
            Selection::AllLeaves { .. } => None,
        })
    }

    fn selectors(&self) -> impl Iterator<Item = &'a RecordSelector> {
        self.selections().flatten()
    }

    fn derived(&self) -> impl Iterator<Item = &'a str> {
        self.derived.iter().map(|table| &*table.key.key)
    }

    /// Whether all sources declare their records: then no other key can come.
    pub fn are_complete(&self) -> bool {
        self.selections().count() == self.sources.len()
    }

    /// Whether a record or a derived key is called so.
    fn is_given(&self, key: &str) -> bool {
        self.derived().any(|it| it == key) || self.selectors().any(|it| it.selects_key(key))
    }

    /// Whether a record or a derived key may be among those that are selected.
    pub fn may_match(&self, selector: &KeySelector) -> bool {
        let pattern = match selector {
            KeySelector::Key(key) => return self.is_given(key),
            KeySelector::Pattern(pattern) => pattern,
        };
        let is_among = |record: &RecordSelector| {
            let template = record.key_pattern();
            template.map_or_else(
                || pattern.matches(&record.key),
                |template| template.overlaps(pattern),
            )
        };
        self.derived().any(|it| pattern.matches(it)) || self.selectors().any(is_among)
    }

    /// What is said of a key that nothing gives: a problem if every source declares its records,
    /// otherwise only the responses can show it.
    fn unknown(&self, key: &str, hint: &str) -> (Severity, String) {
        if self.are_complete() {
            (Severity::Problem, format!("no source gives {key}{hint}"))
        } else {
            let message =
                format!("whether a source gives {key}: no [source.records] names it{hint}");
            (Severity::NotChecked, message)
        }
    }

    /// The nearest name, as the end of a sentence.
    pub fn hint(&self, key: &str) -> String {
        let names = self.selectors().map(|it| &*it.key).chain(self.derived());
        let near = nearest(key, names);
        near.map_or_else(String::new, |near| {
            format!("; did you mean {}?", quoted(near))
        })
    }

    /// A key with a hyphen, of which a formula takes `part` for a key of its own.
    fn hyphenated(&self, derived: &DerivedKey, part: &str) -> Option<&'a str> {
        let DerivedRule::Formula(formula) = &derived.rule else {
            return None;
        };
        let names = self.selectors().map(|it| &*it.key).chain(self.derived());
        names
            .filter(|name| name.split('-').any(|it| it == part))
            .find(|name| formula.has_difference(name))
    }
}

/// Reports keys of `[alert]` and `[key.NAME]` that nothing gives.
pub fn warn_unknown_keys(
    reader: &ConfigReader<'_>,
    names: &KeyNames<'_>,
    keys: &BTreeMap<Arc<str>, KeyPlan>,
    patterns: &[PatternTable],
    alert: &AlertRules,
) {
    let in_alert = |table: &str, key: &Arc<str>| format!("{table} key = {}", quoted_value(key));
    let values = alert.values.iter().map(|it| &it.key);
    let values = values.map(|key| (key, in_alert("[[alert.value]]", key)));
    let stale = alert.stale.iter().map(|it| &it.key);
    let stale = stale.map(|key| (key, in_alert("[[alert.stale]]", key)));
    let tables = keys.keys().map(|key| (key, key_table(key)));
    for (key, location) in values.chain(stale).chain(tables) {
        if names.is_given(key) {
            continue;
        }
        let (severity, message) = names.unknown("this key", &names.hint(key));
        reader.remark_at(severity, &location, message);
    }
    for table in patterns {
        let selector = KeySelector::Pattern(table.pattern.clone());
        if names.are_complete() && !names.may_match(&selector) {
            let message = "no source gives a key that matches this pattern";
            reader.remark_at(Severity::Problem, &key_table(&table.name), message);
        }
    }
}

/// Reports keys of formulas that nothing gives, as those of alerts.
pub fn warn_unknown_inputs(
    reader: &ConfigReader<'_>,
    tables: &[DerivedTable],
    names: &KeyNames<'_>,
) {
    for table in tables {
        for input in table.key.inputs() {
            if names.is_given(input) {
                continue;
            }
            let hint = names.hyphenated(&table.key, input).map_or_else(
                || names.hint(input),
                |key| {
                    let quoted = key_in_formula(key);
                    format!("; - subtracts here: write {quoted} in backticks for the key {key}")
                },
            );
            let is_formula = Formula::parse(input)
                .is_ok_and(|it| it.inputs().iter().all(|part| names.is_given(part)));
            let hint = if is_formula {
                "; one key is expected here: compute it in a [derived.NAME] with `formula`, and name that".to_owned()
            } else {
                hint
            };
            let what = format!("the key {}", quoted(input));
            let (severity, message) = names.unknown(&what, &hint);
            let location = reader.location(&table.rule_span);
            let table = derived_table(&table.key.key);
            reader.remark_at(severity, &location, format!("{table}: {message}"));
        }
    }
}
