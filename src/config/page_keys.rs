//! Keys that groups, walls, displays and outputs name: those that nothing gives, and those that another group shows.

use std::collections::BTreeSet;

use super::problem::Severity;
use super::reader::ConfigReader;
use super::types::Config;
use super::unknown_keys::KeyNames;
use crate::domain::plan::{
    GroupPlan, KeySelector, PagesPlan, PictureLayout, RecordSelector, Selection, SourcePlan,
};
use crate::domain::text::{count_noun, truncate_list};
use crate::domain::toml_text::quoted;
use crate::limits;

/// Reports keys of `[[group]]`, `[[wall]]` and `[[display]]` that show nothing.
pub fn warn_page_keys(
    reader: &ConfigReader<'_>,
    names: &KeyNames<'_>,
    pages: &PagesPlan,
    sources: &[&SourcePlan],
) {
    let (groups, walls) = (&pages.groups, &pages.walls);
    for (at, group) in groups.iter().enumerate() {
        let table = format!("[[group]] {}", quoted(&group.name));
        warn_unknown(reader, names, &table, group.keys.iter());
        let template = group.matrix.as_ref().map(|it| &*it.template);
        if let Some(template) = template
            && names.are_complete()
            && !names.may_match(&pattern_of(template))
        {
            let message = format!("no source gives a key of the form {}", quoted(template));
            reader.remark_at(Severity::Problem, &table, message);
        }
        warn_shown_before(reader, &table, group, &groups[..at]);
    }
    for wall in walls {
        let name = wall.name.as_deref().map(|it| format!(" {}", quoted(it)));
        let table = format!("[[wall]]{}", name.unwrap_or_default());
        warn_unknown(reader, names, &table, wall.keys.iter().chain(&wall.text));
        if wall.rotate.is_some() && walls.len() == 1 {
            let message = "`rotate` needs another [[wall]] to follow";
            reader.remark_at(Severity::Note, &table, message);
        }
    }
    for display in &pages.displays {
        let table = format!("[[display]] {}", quoted(&display.name));
        let chart = display.chart.iter();
        let chart: Vec<KeySelector> = chart.map(|it| KeySelector::Key(it.key.clone())).collect();
        let keys = display.keys.iter().chain(&display.footer).chain(&chart);
        warn_unknown(reader, names, &table, keys);
        if display.layout == PictureLayout::Chart && display.chart.is_none() {
            let message =
                "the layout \"chart\" needs `chart`, such as chart = { key = \"temperature\" }";
            reader.remark_at(Severity::Problem, &table, message);
        }
        if display.layout == PictureLayout::Rooms && !has_table(groups, sources) {
            let message =
                "the layout \"rooms\" needs a [[group]] with `matrix`, whose table it shows";
            reader.remark_at(Severity::Problem, &table, message);
        }
    }
}

/// Whether pages show values as a table: that of a group, and without groups that of a source whose keys a
/// template makes.
fn has_table(groups: &[GroupPlan], sources: &[&SourcePlan]) -> bool {
    if !groups.is_empty() {
        return groups.iter().any(|group| group.matrix.is_some());
    }
    sources.iter().any(|source| match &source.selection {
        Selection::Selectors(selectors) => selectors.iter().any(RecordSelector::is_template),
        Selection::AllLeaves { .. } => false,
    })
}

/// Reports keys of outputs that nothing gives.
pub fn warn_output_keys(reader: &ConfigReader<'_>, names: &KeyNames<'_>, config: &Config) {
    if let Some(mqtt) = &config.mqtt {
        warn_unknown(reader, names, "[mqtt]", mqtt.keys.iter());
    }
    for push in &config.pushes {
        let name = push.name.as_deref().map(|it| format!(" {}", quoted(it)));
        let table = format!("[[push]]{}", name.unwrap_or_default());
        warn_unknown(reader, names, &table, push.keys.iter());
    }
    for forward in &config.forwards {
        let table = format!("[[forward]] {}", quoted(&forward.name));
        warn_unknown(reader, names, &table, forward.keys.iter());
    }
}

/// All keys of the form of a matrix.
fn pattern_of(template: &str) -> KeySelector {
    KeySelector::new(&template.replace("{row}", "*").replace("{column}", "*"))
}

/// Reports those of the keys of a table that no source gives.
fn warn_unknown<'k>(
    reader: &ConfigReader<'_>,
    names: &KeyNames<'_>,
    table: &str,
    selectors: impl Iterator<Item = &'k KeySelector>,
) {
    let unknown = selectors.filter(|it| !names.may_match(it));
    if names.are_complete() {
        for selector in unknown {
            let message = match selector {
                KeySelector::Key(key) => {
                    format!("no source gives the key {}{}", quoted(key), names.hint(key))
                }
                KeySelector::Pattern(pattern) => {
                    let pattern = quoted(&pattern.to_string());
                    format!("no source gives a key that matches {pattern}")
                }
            };
            reader.remark_at(Severity::Problem, table, message);
        }
        return;
    }
    // Only the responses can show it: one remark for all.
    let mut unknown: Vec<String> = unknown.map(|it| quoted(&it.to_string())).collect();
    let mut seen = BTreeSet::new();
    unknown.retain(|key| seen.insert(key.clone()));
    if !unknown.is_empty() {
        let keys = count_noun(unknown.len(), "key");
        let listed = truncate_list(&unknown, limits::NAMES_SUGGESTED);
        let message =
            format!("whether a source gives its {keys} {listed}: no [source.records] names them");
        reader.remark_at(Severity::NotChecked, table, message);
    }
}

/// A key is shown once: in the first group that names it.
fn warn_shown_before(
    reader: &ConfigReader<'_>,
    table: &str,
    group: &GroupPlan,
    before: &[GroupPlan],
) {
    for selector in &group.keys {
        let KeySelector::Key(key) = selector else {
            continue;
        };
        let shows = |other: &&GroupPlan| {
            let matrix = other.matrix.as_ref();
            other.keys.iter().any(|it| it.matches(key))
                || matrix.is_some_and(|it| it.place(key).is_some())
        };
        if let Some(other) = before.iter().find(shows) {
            let (key, other) = (quoted(key), quoted(&other.name));
            let message = format!(
                "the group {other} above it shows the key {key}: a key is shown once; move this group above that one, or name the key in one of them"
            );
            reader.remark_at(Severity::Note, table, message);
        }
    }
}
