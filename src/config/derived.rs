//! Derived key options (`[derived.NAME]`): keys that are computed from others.

mod hold;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

pub use self::hold::set_holds;
use super::reader::{ConfigReader, TableEntry, TableReader};
use super::section::{ConfigOption, OptionReader, duration, print_options, read_options, text};
use super::types::{KeySpans, SourceConfig};
use crate::domain::derived::{CalendarPeriod, WindowFunction, WindowRule, WindowSpan};
use crate::domain::derived_key::{DerivedKey, DerivedKeys, DerivedRule};
use crate::domain::formula::Formula;
use crate::domain::toml_text::{derived_table, quoted};
use crate::limits;

/// `[derived.NAME]` while it is read.
#[derive(Default)]
pub struct DerivedDraft {
    formula: Option<Formula>,
    /// The key that a window function is of.
    input: Option<(WindowFunction, Arc<str>)>,
    over: Option<Duration>,
    since: Option<CalendarPeriod>,
    unit: Option<Arc<str>>,
    stale_after: Option<Duration>,
}

type DerivedOption = ConfigOption<DerivedDraft, DerivedKey>;

/// The default of each rule in the documentation.
const ONE_RULE: &str = "one of `formula` and the window functions";

pub static OPTIONS: [DerivedOption; 11] = [
    DerivedOption::new(
        "formula",
        "text",
        ONE_RULE,
        "\"grid + solar\"",
        "What to compute from other keys; see \"Derived keys\".",
        |draft, option| draft.formula = option.entry().and_then(|it| read_formula(&it)),
        |key| match &key.rule {
            DerivedRule::Formula(formula) => text(formula.text()),
            DerivedRule::Window(_) => None,
        },
    ),
    DerivedOption::new(
        "increase",
        "key",
        ONE_RULE,
        "\"meter.total\"",
        "How much a counter rose in the window, in its unit.",
        |draft, option| read_input(draft, option, WindowFunction::Increase),
        |key| print_input(key, WindowFunction::Increase),
    ),
    DerivedOption::new(
        "rate",
        "key",
        ONE_RULE,
        "\"meter.total\"",
        "`increase` per second.",
        |draft, option| read_input(draft, option, WindowFunction::Rate),
        |key| print_input(key, WindowFunction::Rate),
    ),
    DerivedOption::new(
        "integral",
        "key",
        ONE_RULE,
        "\"solar\"",
        "Value × hours: of W it makes Wh.",
        |draft, option| read_input(draft, option, WindowFunction::Integral),
        |key| print_input(key, WindowFunction::Integral),
    ),
    DerivedOption::new(
        "min_over_time",
        "key",
        ONE_RULE,
        "\"temperature\"",
        "The least value in the window.",
        |draft, option| read_input(draft, option, WindowFunction::MinOverTime),
        |key| print_input(key, WindowFunction::MinOverTime),
    ),
    DerivedOption::new(
        "max_over_time",
        "key",
        ONE_RULE,
        "\"temperature\"",
        "The greatest value in the window.",
        |draft, option| read_input(draft, option, WindowFunction::MaxOverTime),
        |key| print_input(key, WindowFunction::MaxOverTime),
    ),
    DerivedOption::new(
        "avg_over_time",
        "key",
        ONE_RULE,
        "\"temperature\"",
        "The mean of the values in the window; each weighs the same.",
        |draft, option| read_input(draft, option, WindowFunction::AvgOverTime),
        |key| print_input(key, WindowFunction::AvgOverTime),
    ),
    DerivedOption::new(
        "over",
        "duration, 1s to 366d",
        "none",
        "\"24h\"",
        "The window of a window function: the time up to now. One of `over` and `since` is needed.",
        |draft, option| draft.over = option.entry().and_then(|it| read_over(&it)),
        |key| match window(key)?.span {
            WindowSpan::Over(span) => duration(span),
            WindowSpan::Since(_) => None,
        },
    ),
    DerivedOption::new(
        "since",
        "\"day\", \"week\", \"month\" or \"year\"",
        "none",
        "\"day\"",
        "The window of a window function: from the begin of the calendar period in `timezone`. Weeks begin on Monday.",
        |draft, option| {
            let periods = CalendarPeriod::ALL.map(|period| (period.name(), period));
            draft.since = option.choice(&periods);
        },
        |key| match window(key)?.span {
            WindowSpan::Over(_) => None,
            WindowSpan::Since(period) => text(period.name()),
        },
    ),
    DerivedOption::new(
        "unit",
        "text",
        "none (that of the input of a window function, with `/s` or `h` where that is certain)",
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
pub fn read_derived(
    root: &mut TableReader<'_>,
    directory: &Path,
    zone: &TimeZone,
) -> Vec<DerivedTable> {
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
    let read = |entry: &TableEntry<'_>| read_table(entry, directory, zone);
    entries.iter().filter_map(read).collect()
}

fn read_table(entry: &TableEntry<'_>, directory: &Path, zone: &TimeZone) -> Option<DerivedTable> {
    let name = entry.key();
    let mut table = entry.table(derived_table(name))?;
    if entry.has_unquoted_key(&[], &[], derived_table) {
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
    let functions = WindowFunction::ALL.map(WindowFunction::name);
    let names = std::iter::once("formula").chain(functions);
    let rules = names.filter_map(|name| table.get(name)).collect();
    let rule_span = check_rules(&mut table, rules);
    table.finish();
    let key = DerivedKey {
        key: name.into(),
        rule: read_rule(&draft, zone)?,
        unit: draft.unit,
        stale_after: draft.stale_after,
    };
    Some(DerivedTable {
        key,
        span: entry.key_span(),
        rule_span: rule_span?,
    })
    .filter(|_| is_key)
}

/// One rule, and a window where it needs one; where the rule stands.
fn check_rules(table: &mut TableReader<'_>, rules: Vec<TableEntry<'_>>) -> Option<Range<usize>> {
    let Some(rule) = rules.first() else {
        let message = format!(
            "{} has no rule: add formula = \"…\", or increase = \"KEY\" with since = \"day\"",
            table.name()
        );
        table.problem(message);
        return None;
    };
    if let Some(other) = rules.get(1) {
        let message = format!(
            "expected one rule, found `{}` and `{}`: give one of them a [derived.NAME] of its own",
            rule.key(),
            other.key()
        );
        other.problem(message);
        return None;
    }
    let name = rule.key();
    match (name, table.get("over"), table.get("since")) {
        ("formula", Some(entry), _) | ("formula", None, Some(entry)) => {
            let message = format!(
                "{}: a formula has no window; it belongs to `increase` and the like",
                entry.key()
            );
            entry.problem(message);
            return None;
        }
        ("formula", None, None) | (_, Some(_), None) | (_, None, Some(_)) => {}
        (_, Some(_), Some(since)) => {
            since.problem("`over` says what the window is: remove one of the two");
            return None;
        }
        (_, None, None) => {
            let message = format!("{name}: add over = \"24h\" or since = \"day\"");
            rule.problem(message);
            return None;
        }
    }
    Some(rule.span())
}

/// The rule; `None` where a problem is reported.
fn read_rule(draft: &DerivedDraft, zone: &TimeZone) -> Option<DerivedRule> {
    if let Some(formula) = &draft.formula {
        return Some(DerivedRule::Formula(formula.clone()));
    }
    let (function, input) = draft.input.clone()?;
    let over = draft.over.map(WindowSpan::Over);
    Some(DerivedRule::Window(WindowRule {
        function,
        input,
        span: over.or(draft.since.map(WindowSpan::Since))?,
        zone: zone.clone(),
        // Known when the sources are; see `set_holds`.
        hold: Duration::ZERO,
    }))
}

fn window(key: &DerivedKey) -> Option<&WindowRule> {
    match &key.rule {
        DerivedRule::Formula(_) => None,
        DerivedRule::Window(rule) => Some(rule),
    }
}

fn read_input(
    draft: &mut DerivedDraft,
    option: &mut OptionReader<'_, '_>,
    function: WindowFunction,
) {
    let Some(entry) = option.entry() else {
        return;
    };
    let input = entry.text_as("a key");
    if input.as_ref().is_some_and(String::is_empty) {
        entry.expected("a key");
        return;
    }
    draft.input = input.map(|input| (function, input.into()));
}

fn print_input(key: &DerivedKey, function: WindowFunction) -> Option<String> {
    let rule = window(key).filter(|rule| rule.function == function)?;
    text(&rule.input)
}

fn read_over(entry: &TableEntry<'_>) -> Option<Duration> {
    let over = entry.duration()?;
    let is_fit = (Duration::from_secs(1)..=limits::MAX_WINDOW).contains(&over);
    if !is_fit {
        entry.expected("a duration from \"1s\" to \"366d\"");
    }
    is_fit.then_some(over)
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
