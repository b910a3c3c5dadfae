//! Key options (`[key.NAME]`): settings of one key, independent of its source.

mod values;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use self::values::{
    check_bad_behind_warn, print_bounds, read_bounds, read_display_unit, read_range, read_words,
};
use super::reader::{ConfigReader, TableEntry, TableReader};
use super::section::{
    ConfigOption, duration, inline_table, plain, print_options, read_options, text,
};
use super::types::{KeySpans, SourceConfig};
use crate::domain::compact_sort::CompactSort;
use crate::domain::key_pattern::KeyPattern;
use crate::domain::plan::{ChartKind, KeyPlan, Merge, RecordSelector, Selection};
use crate::domain::text::format_number;
use crate::domain::toml_text::{
    bare_or_quoted, key_table, merge_advice, prefix_advice, quoted, quoted_value,
};
use crate::limits;

type KeyOption = ConfigOption<KeyPlan>;

pub static OPTIONS: [KeyOption; 13] = [
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
    KeyOption::new(
        "label",
        "text",
        "none (the words of the key)",
        "\"Living room\"",
        "What people read instead of the key; `/snapshot?full=1` has it. In the table of a pattern the words for which `*` stands come with it: `[key.\"room.*.co2\"]` with `\"CO₂\"` gives \"Bedroom CO₂\".",
        |plan, option| {
            plan.label = option
                .entry()
                .and_then(|it| read_label(&it))
                .map(Into::into);
        },
        |plan| text(plan.label.as_deref()?),
    ),
    KeyOption::new(
        "decimals",
        "number, 0 to 9",
        "none (by the values of the day)",
        "1",
        "Digits behind the decimal point for people; `/snapshot?full=1` has the number. Without it three or four digits in all, and a unit that fits: 1,234 W are 1.23 kW. With it the unit stays. Data are not rounded.",
        |plan, option| {
            plan.decimals = option
                .integer(0..=limits::DECIMALS.into())
                .map(|decimals| decimals as u8);
        },
        |plan| plain(plan.decimals?),
    ),
    KeyOption::new(
        "show",
        "text",
        "none (as it is stored)",
        "\"1e-3 kWh\"",
        "Factor and unit in which people see the value, always: with `\"1e-3 kWh\"` 12500 Wh are 12.5 kWh. It goes before `unit`. Data are not changed.",
        |plan, option| plan.show = option.entry().and_then(|it| read_display_unit(&it)),
        |plan| {
            let show = plan.show.as_ref()?;
            text(&format!("{} {}", format_number(show.factor), show.unit))
        },
    ),
    KeyOption::new(
        "words",
        "table",
        "none",
        "{ 0 = \"Off\", 1 = \"On\" }",
        "Words that people see instead of numbers, before `show` and `decimals`; booleans are \"On\" and \"Off\" without it. Data are not changed.",
        |plan, option| plan.words = option.entry().map(|it| read_words(&it)).unwrap_or_default(),
        |plan| {
            let pair = |(number, word): &(String, String)| {
                format!("{} = {}", bare_or_quoted(number), quoted_value(word))
            };
            inline_table(plan.words.iter().map(pair).collect())
        },
    ),
    KeyOption::new(
        "hide",
        "true or false",
        "none (not hidden)",
        "true",
        "Leave the key out where all keys are listed for people. It is still stored, and in `/snapshot`.",
        |plan, option| plan.hide = option.boolean(),
        |plan| plain(plan.hide?),
    ),
    KeyOption::new(
        "chart",
        "\"line\", \"area\", \"bars\", \"steps\", \"state\" or \"none\"",
        "none (\"state\" for texts and words, \"bars\" for a counter, else \"line\")",
        "\"area\"",
        "How the history of the key is drawn. `\"bars\"`: one for each hour, day or month; `\"steps\"`: for what holds until it changes; `\"state\"`: a strip of segments.",
        |plan, option| plan.chart = option.choice(&ChartKind::ALL.map(|kind| (kind.name(), kind))),
        |plan| text(plan.chart?.name()),
    ),
    KeyOption::new(
        "range",
        "list of two numbers",
        "none (that of the values)",
        "[0, 9000]",
        "What the axis of the chart shows at least, in the unit of the data. Not of bars, which begin at zero.",
        |plan, option| plan.range = option.entry().and_then(|it| read_range(&it)),
        |plan| {
            let (low, high) = plan.range?;
            Some(format!("[{}, {}]", format_number(low), format_number(high)))
        },
    ),
    KeyOption::new(
        "warn",
        "text, or list of two",
        "none",
        "\">1000\"",
        "Values that pages mark as worth a look: above (`\">1000\"`) or below (`\"<5\"`) a limit, or both, in the unit of the data. No message is sent: that is `[[alert.value]]`.",
        |plan, option| {
            plan.warn = option
                .entry()
                .map(|it| read_bounds(&it))
                .unwrap_or_default();
        },
        |plan| print_bounds(plan.warn),
    ),
    KeyOption::new(
        "bad",
        "text, or list of two",
        "none",
        "[\"<10\", \">1400\"]",
        "Values that pages mark as bad; written as `warn`.",
        |plan, option| {
            plan.bad = option
                .entry()
                .map(|it| read_bounds(&it))
                .unwrap_or_default();
        },
        |plan| print_bounds(plan.bad),
    ),
    KeyOption::new(
        "counter",
        "true or false",
        "none (no counter)",
        "true",
        "The value only rises, as that of a meter does: its chart shows how much was added in each hour, day or month. \
         A fall by more than a tenth means that the meter was changed or reset: then its new value counts. A counter that \
         falls at nearly every midnight is taken as one of the day. What was counted while data are missing is one bar.",
        |plan, option| plan.counter = option.boolean(),
        |plan| plain(plan.counter?),
    ),
];

/// A table `[key."PATTERN"]`.
pub struct PatternTable {
    pub pattern: KeyPattern,
    pub plan: KeyPlan,
    pub name: String,
}

/// Reads `[key.NAME]`: those of one key, and those of patterns, the longest first.
pub fn read_keys(
    root: &mut TableReader<'_>,
    directory: &Path,
) -> (BTreeMap<Arc<str>, KeyPlan>, Vec<PatternTable>) {
    let mut keys = BTreeMap::new();
    let mut patterns: Vec<PatternTable> = Vec::new();
    for entry in root.get("key").iter().flat_map(TableEntry::entries) {
        let name = entry.key().to_owned();
        let Some(mut table) = entry.table(key_table(&name)) else {
            continue;
        };
        let options = OPTIONS.each_ref().map(|option| option.name);
        if entry.has_unquoted_key(&["words"], &options, key_table) {
            continue;
        }
        let mut plan = KeyPlan::default();
        read_options(&OPTIONS, &mut table, directory, &mut plan);
        check_bad_behind_warn(&mut table, &plan);
        let Some(pattern) = KeyPattern::new(&name) else {
            table.finish();
            keys.insert(name.into(), plan);
            continue;
        };
        for option in ["merge", "stale_after"] {
            if let Some(entry) = table.get(option) {
                entry.problem(format!(
                    "`{option}` is of one key: name it in a table of its own, without *"
                ));
            }
        }
        table.finish();
        let is_tie = |other: &&PatternTable| {
            other.pattern.length() == pattern.length() && other.pattern.overlaps(&pattern)
        };
        if let Some(other) = patterns.iter().find(is_tie) {
            entry.problem(format!(
                "a key may match this pattern and {}, which is as long: make one of them longer, or name the key",
                quoted(&other.name)
            ));
        }
        patterns.push(PatternTable {
            pattern,
            plan,
            name,
        });
    }
    if patterns.len() > limits::KEY_PATTERNS
        && let Some(entry) = root.get("key")
    {
        entry.problem(format!(
            "expected at most {} tables with a pattern, found {}",
            limits::KEY_PATTERNS,
            patterns.len()
        ));
    }
    patterns.compact_sort_by_key(|it| std::cmp::Reverse(it.pattern.length()));
    (keys, patterns)
}

/// A line of text that people read.
pub fn read_label(entry: &TableEntry<'_>) -> Option<String> {
    let label = entry.text()?;
    let is_fit = (1..=limits::LABEL_CHARS).contains(&label.chars().count())
        && !label.chars().any(char::is_control);
    if !is_fit {
        entry.expected(&format!(
            "a line of 1 to {} characters",
            limits::LABEL_CHARS
        ));
    }
    Some(label).filter(|_| is_fit)
}

/// A key that several sources write needs `merge`; a series cannot have it.
pub fn check_shared_keys(
    reader: &ConfigReader<'_>,
    sources: &[(SourceConfig, KeySpans)],
    keys: &BTreeMap<Arc<str>, KeyPlan>,
) {
    let mut first_provider: BTreeMap<&str, &SourceConfig> = BTreeMap::new();
    for (source, named) in sources {
        for (key, span) in named {
            let first = *first_provider.entry(key).or_insert(source);
            if first.plan.name == source.plan.name {
                continue;
            }
            let is_merged = keys.get(key).is_some_and(|key| key.merge.is_some());
            let is_series = [first, source].map(|it| it.plan.shown_element(key).is_some());
            let prefix = prefix_advice(&source.plan.name, source.plan.has_shared_prefix);
            let provider = &first.plan.name;
            let message = if is_series.contains(&true) {
                format!(
                    "the source {provider:?} gives the key {key:?} too, and values with times of \
                     their own (`now`, `element_time`) are not merged: {prefix}"
                )
            } else if is_merged {
                continue;
            } else {
                let is_template =
                    |selector: &RecordSelector| selector.is_template() && *selector.key == **key;
                let advice = match &source.plan.selection {
                    // `[key.NAME]` cannot name a template, only the keys made from it.
                    Selection::Selectors(selectors) if selectors.iter().any(is_template) => prefix,
                    _ => format!("{prefix}, or {}", merge_advice(key)),
                };
                format!("the source {provider:?} gives the key {key:?} too: {advice}")
            };
            reader.problem(span, message);
        }
    }
}

/// Prints the patterns as TOML.
pub fn print_key_patterns(out: &mut String, patterns: &[(KeyPattern, KeyPlan)]) {
    for (pattern, plan) in patterns {
        *out += &format!("\n{}\n", key_table(&pattern.to_string()));
        print_options(out, &OPTIONS, plan);
    }
}

/// Prints the keys as TOML.
pub fn print_keys(out: &mut String, keys: &BTreeMap<Arc<str>, KeyPlan>) {
    for (name, plan) in keys {
        *out += &format!("\n{}\n", key_table(name));
        print_options(out, &OPTIONS, plan);
    }
}
