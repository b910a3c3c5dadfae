//! Presentation: what people read instead of keys and stored numbers.
//!
//! Pure. A configured label, unit, `show`, `decimals` or word comes first; what is not configured
//! follows from the key, and from the values of the day.

mod abbreviations;
pub mod label_text;
mod number_format;
mod transliteration;
mod unit_scale;

use std::ops::Range;
use std::sync::Arc;

use self::label_text::{label_text, strip_context, words};
pub use self::number_format::{FormatOptions, NumberFormat, SeenNumbers, ShownValue};
pub use self::transliteration::transliterate;
use super::plan::{GroupPlan, MatrixPlan, Plan};
use super::snapshot::Record;

impl Plan {
    /// What people read instead of the key; `context` is the prefix that the heading already says
    /// (`room.`, `fridge.`).
    pub fn label(&self, key: &str, context: &str) -> String {
        let said = key.len() - strip_context(key, context).len();
        self.configured_label(key, said)
            .unwrap_or_else(|| label_text(&key[said..]))
    }

    /// The label where nothing around it says more (mail, sentences, titles): `Bedroom CO₂`.
    pub fn full_label(&self, key: &str) -> String {
        let label = self.label(key, "");
        // Several keys may be "Temperature", each below a heading of its own.
        match self.group_of(key).filter(|_| self.shares_own_label(key)) {
            Some(group) => format!("{} {label}", group.name),
            None => label,
        }
    }

    /// The name of a row of a table.
    pub fn row_label(&self, matrix: &MatrixPlan, row: &str) -> String {
        name_of(&matrix.rows, row).unwrap_or_else(|| label_text(row))
    }

    /// The name of a column of a table; `key` is one of its keys.
    pub fn column_label(&self, matrix: &MatrixPlan, column: &str, key: &str) -> String {
        let pattern = || Some(self.pattern_label(key)?.1.to_owned());
        name_of(&matrix.columns, column)
            .or_else(pattern)
            .unwrap_or_else(|| label_text(column))
    }

    /// Whether the configuration gives the key a label.
    pub fn has_label(&self, key: &str) -> bool {
        self.configured_label(key, 0).is_some()
    }

    /// A value as it is shown, with its unit.
    pub fn shown_value(&self, record: &Record) -> String {
        let format = self.number_format(record);
        let shown = format.value(&record.value);
        match shown.unit {
            Some(_) => format.append_unit(shown.text),
            None => shown.text,
        }
    }

    /// Digits behind the point of the stored number; none where people see another unit.
    pub fn stored_decimals(&self, key: &str) -> Option<u8> {
        if self.key_setting(key, |plan| plan.show.clone()).is_some() {
            return None;
        }
        self.configured_decimals(key)
    }

    fn configured_decimals(&self, key: &str) -> Option<u8> {
        self.key_setting(key, |plan| plan.decimals)
            .or_else(|| self.upstream_labels.get(key)?.decimals)
    }

    /// What the configuration calls a key below a heading that says its first `said` bytes.
    fn configured_label(&self, key: &str, said: usize) -> Option<String> {
        let own = || self.own_label(key).map(str::to_owned);
        own()
            .or_else(|| self.cell_label(key, said))
            .or_else(|| self.qualified_label(key, said))
            .or_else(|| self.upstream_label(key))
    }

    /// The label that a followed node gives the key.
    fn upstream_label(&self, key: &str) -> Option<String> {
        let there = self.upstream_labels.get(key)?;
        let label = there.label.as_ref().filter(|_| !there.is_shared);
        label.map(|label| label.to_string())
    }

    fn own_label(&self, key: &str) -> Option<&str> {
        self.keys.get(key)?.label.as_deref()
    }

    /// Whether the key's own label is that of another key too.
    fn shares_own_label(&self, key: &str) -> bool {
        let own = self.own_label(key);
        let mut others = self.keys.iter().filter(|(other, _)| ***other != *key);
        own.is_some() && others.any(|(_, plan)| plan.label.as_deref() == own)
    }

    /// The group that shows a key.
    fn group_of(&self, key: &str) -> Option<&GroupPlan> {
        self.pages.groups.iter().find(|group| group.has(key))
    }

    /// A key of a table: its row, unless that is said, and its column.
    fn cell_label(&self, key: &str, said: usize) -> Option<String> {
        let matrices = self.pages.groups.iter().filter_map(|it| it.matrix.as_ref());
        let mut cells = matrices.filter_map(|it| Some((it, it.place(key)?)));
        let (matrix, (row, column)) = cells.next()?;
        let column = self.column_label(matrix, column, key);
        let before = matrix.template.split("{row}").next().unwrap_or_default();
        Some(if before.len() < said {
            column
        } else {
            format!("{} {column}", self.row_label(matrix, row))
        })
    }

    /// Where the stars of the nearest pattern with a label are in the key, and that label.
    fn pattern_label(&self, key: &str) -> Option<(Vec<Range<usize>>, &str)> {
        self.key_patterns.iter().find_map(|(pattern, plan)| {
            let label = plan.label.as_deref()?;
            Some((pattern.captures(key)?, label))
        })
    }

    /// The label of a pattern is that of several keys: the words in which they differ stand around
    /// it as they do in the key, unless they are among the first `said` bytes of it.
    fn qualified_label(&self, key: &str, said: usize) -> Option<String> {
        let (captures, label) = self.pattern_label(key)?;
        let is_word = |it: &Range<usize>| it.start >= said && is_whole_word(key, it);
        let (behind, before): (Vec<_>, Vec<_>) = captures
            .into_iter()
            .filter(is_word)
            .partition(|it| it.end == key.len() && it.start > 0);
        let before = before.into_iter().map(|it| label_text(&key[it]));
        let behind = behind.into_iter().map(|it| words(&key[it]));
        let parts = before.chain([label.to_owned()]).chain(behind);
        Some(parts.collect::<Vec<_>>().join(" "))
    }

    /// How numbers of this key are written, all of a page.
    pub fn number_format(&self, record: &Record) -> NumberFormat {
        let value = record.value.number();
        let seen = match (record.today, value) {
            (Some(today), value) => SeenNumbers {
                value: value.unwrap_or(today.max),
                low: today.min,
                high: today.max,
            },
            (None, value) => SeenNumbers::one(value.unwrap_or_default()),
        };
        let mut options = self.format_options(&record.key, record.unit.as_deref());
        if record.is_boolean && options.words.is_empty() && options.show.is_none() {
            options.words = vec![(0.0, "Off".into()), (1.0, "On".into())];
        }
        NumberFormat::new(options, &seen)
    }

    /// The same for keys that have no record now (history of a forgotten key).
    pub fn number_format_of(&self, key: &str, unit: Option<&str>, typical: f64) -> NumberFormat {
        NumberFormat::new(self.format_options(key, unit), &SeenNumbers::one(typical))
    }

    fn format_options(&self, key: &str, unit: Option<&str>) -> FormatOptions {
        let words = self.key_setting(key, |plan| {
            let words = plan.words.iter().filter_map(|(number, word)| {
                Some((number.parse().ok()?, Arc::from(word.as_str())))
            });
            Some(words.collect()).filter(|words: &Vec<_>| !words.is_empty())
        });
        FormatOptions {
            unit: self
                .key_setting(key, |plan| plan.unit.clone())
                .or_else(|| unit.map(Arc::from)),
            show: self.key_setting(key, |plan| plan.show.clone()),
            decimals: self.configured_decimals(key),
            words: words.unwrap_or_default(),
            locale: self.pages.locale,
        }
    }
}

/// Whether a part of a key is one or more of its words, and no more than one segment.
fn is_whole_word(key: &str, part: &Range<usize>) -> bool {
    let is_separator = |c: char| matches!(c, '.' | ':' | '/' | '_');
    let text = &key[part.clone()];
    !text.is_empty()
        && !text.contains(['.', ':', '/'])
        && key[..part.start]
            .chars()
            .next_back()
            .is_none_or(is_separator)
        && key[part.end..].chars().next().is_none_or(is_separator)
}

fn name_of(names: &[(String, String)], part: &str) -> Option<String> {
    let found = names.iter().find(|(name, _)| name == part);
    found.map(|(_, name)| name.clone())
}

#[cfg(test)]
#[path = "tests/presentation.rs"]
mod tests;
