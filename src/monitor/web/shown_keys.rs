//! Keys of wall pages and pictures: which values are shown in which order, and as a sentence.
//!
//! Pure; any thread.

use std::collections::BTreeSet;

use super::PageContext;
use super::severity::{ValueSeverity, reason, severity};
use crate::domain::plan::KeySelector;
use crate::domain::snapshot::Record;
use crate::domain::text::human_duration;

/// A key of the page: with its record, if there is one now.
pub enum ShownKey<'a> {
    Record(&'a Record),
    Missing(&'a str),
}

/// At most `most` keys that `selectors` name, in their order, each once. Without selectors the records
/// of the first group, or the first ones there are: at most as many as `defaults` say of each.
pub fn shown<'a>(
    view: &PageContext<'a>,
    selectors: &'a [KeySelector],
    most: usize,
    defaults: (usize, usize),
) -> Vec<ShownKey<'a>> {
    if selectors.is_empty() {
        let records = default_records(view, defaults);
        return records.into_iter().map(ShownKey::Record).collect();
    }
    let mut shown = selected(view, selectors);
    shown.truncate(most);
    shown
}

fn default_records<'a>(
    view: &PageContext<'a>,
    (of_group, first): (usize, usize),
) -> Vec<&'a Record> {
    let records = || {
        view.snapshot
            .records
            .iter()
            .filter(|it| !is_hidden(view, it))
    };
    let group = view.plan.pages.groups.first();
    let found: Vec<&Record> = group.map_or_else(Vec::new, |group| {
        let listed = selected(view, &group.keys)
            .into_iter()
            .filter_map(|it| match it {
                ShownKey::Record(record) => Some(record),
                ShownKey::Missing(_) => None,
            });
        let matrix = group.matrix.as_ref();
        let in_matrix = records().filter(|it| matrix.is_some_and(|m| m.place(&it.key).is_some()));
        listed.chain(in_matrix).take(of_group).collect()
    });
    if found.is_empty() {
        records().take(first).collect()
    } else {
        found
    }
}

/// What selectors name, in their order. A pattern leaves out what is hidden.
pub fn selected<'a>(view: &PageContext<'a>, selectors: &'a [KeySelector]) -> Vec<ShownKey<'a>> {
    let records = &view.snapshot.records;
    let mut shown: Vec<ShownKey> = Vec::new();
    let mut seen = BTreeSet::new();
    for selector in selectors {
        let is_named = matches!(selector, KeySelector::Key(_));
        let matching = records.iter().filter(|it| selector.matches(&it.key));
        let visible = matching.filter(|it| is_named || !is_hidden(view, it));
        shown.extend(
            visible
                .filter(|it| seen.insert(&*it.key))
                .map(ShownKey::Record),
        );
        if let KeySelector::Key(key) = selector
            && seen.insert(key)
        {
            shown.push(ShownKey::Missing(key));
        }
    }
    shown
}

fn is_hidden(view: &PageContext, record: &Record) -> bool {
    view.plan
        .key_setting(&record.key, |key| key.hide)
        .unwrap_or(false)
}

/// A value as a part of the line of text: a text as it is, others behind their label; and `words` of
/// what is wrong with it.
pub fn sentence(view: &PageContext, record: &Record, words: Option<String>) -> String {
    let value = view.plan.number_format(record).value(&record.value);
    let mut text = match (record.value.text(), value.unit) {
        (Some(_), _) => value.text,
        (None, Some(unit)) => format!(
            "{} {} {unit}",
            view.plan.full_label(&record.key),
            value.text
        ),
        (None, None) => format!("{} {}", view.plan.full_label(&record.key), value.text),
    };
    if let Some(words) = words {
        text = format!("{text} ({words})");
    }
    text
}

/// What is wrong, in words, with a sign before it.
pub fn words(view: &PageContext, record: &Record) -> Option<String> {
    let reason = reason(view, record)?;
    Some(match severity(view, record) {
        ValueSeverity::None => reason,
        ValueSeverity::Stale => match record.stamp.age(view.now) {
            Some(age) => format!("{} old", human_duration(age)),
            None => reason,
        },
        ValueSeverity::Warn => format!("▲ {reason}"),
        ValueSeverity::Bad => format!("✕ {reason}"),
    })
}
