//! Alert rules: `[alert.source.NAME]`, `[[alert.value]]`, `[[alert.stale]]`, `[[alert.display]]`.

use std::path::Path;
use std::time::Duration;

use crate::config::alert_filter::{LEVELS, print_level, read_level};
use crate::config::reader::{ConfigReader, TableEntry, TableReader};
use crate::config::section::{
    ConfigOption, OptionReader, duration, number, plain, print_options, read_options, set, text,
};
use crate::config::types::{KeySpans, SourceConfig};
use crate::domain::alert::{AlertRules, DisplayRule, SourceRule, StaleRule, ValueRule};
use crate::domain::alert_level::AlertLevel;
use crate::domain::battery::Battery;
use crate::domain::text::format_number;
use crate::domain::toml_text::bare_or_quoted;
use openapi::operation::nearest;

const LEVEL_HELP: &str =
    "How urgent the alert is: channels have a `level` too, the least that they get.";

type SourceRuleOption = ConfigOption<SourceRule>;

/// Options of `[alert.source.NAME]`.
pub static SOURCE_OPTIONS: [SourceRuleOption; 3] = [
    SourceRuleOption::new(
        "no_success_for",
        "duration",
        "none (that of `[alert]`)",
        "\"2h\"",
        "As in `[alert]`, for this source.",
        |rule, option| rule.no_success_for = option.duration(),
        |rule| duration(rule.no_success_for?),
    ),
    SourceRuleOption::new(
        "failures_in_a_row",
        "number, 1 to 10000",
        "none (that of `[alert]`)",
        "20",
        "As in `[alert]`, for this source.",
        |rule, option| rule.failures_in_a_row = read_count(option),
        |rule| plain(rule.failures_in_a_row?),
    ),
    SourceRuleOption::new(
        "level",
        LEVELS,
        "\"warning\"",
        "\"critical\"",
        "How urgent the alerts about this source are: channels have a `level` too, the least that they get.",
        |rule, option| set(&mut rule.level, read_level(option)),
        |rule| print_level(rule.level),
    ),
];

/// A rule for a key or a display while it is read.
#[derive(Default)]
pub struct RuleDraft {
    name: Option<String>,
    above: Option<f64>,
    below: Option<f64>,
    hysteresis: f64,
    hold: Duration,
    /// A limit of a display is given, valid or not.
    has_limit: bool,
    silent_for: Option<Duration>,
    battery_below: Option<Battery>,
    level: AlertLevel,
}

/// Options of `[[alert.value]]`.
pub static VALUE_OPTIONS: [ConfigOption<RuleDraft, ValueRule>; 6] = [
    ConfigOption::new(
        "key",
        "text",
        "required",
        "\"temperature\"",
        "The key to watch.",
        |draft: &mut RuleDraft, option| draft.name = read_required(option, "temperature"),
        |rule: &ValueRule| text(&rule.key),
    ),
    ConfigOption::new(
        "above",
        "number",
        "one of `above`, `below` is required",
        "30",
        "Alert when the value is above this.",
        |draft: &mut RuleDraft, option| draft.above = option.number(),
        |rule: &ValueRule| number(rule.above?),
    ),
    ConfigOption::new(
        "below",
        "number",
        "none",
        "5",
        "Alert when the value is below this. With both limits, `below` is the smaller one.",
        |draft: &mut RuleDraft, option| draft.below = option.number(),
        |rule: &ValueRule| number(rule.below?),
    ),
    ConfigOption::new(
        "hysteresis",
        "number, 0 or more",
        "0",
        "0.5",
        "How far the value must be back inside the limit before the alert ends; prevents alerts that come and go.",
        |draft: &mut RuleDraft, option| set(&mut draft.hysteresis, option.number()),
        |rule: &ValueRule| number(rule.hysteresis),
    ),
    ConfigOption::new(
        "for",
        "duration",
        "none (at once)",
        "\"10m\"",
        "How long the value must be outside before the alert begins.",
        |draft: &mut RuleDraft, option| set(&mut draft.hold, option.duration()),
        |rule: &ValueRule| print_hold(rule.hold),
    ),
    ConfigOption::new(
        "level",
        LEVELS,
        "\"warning\"",
        "\"critical\"",
        LEVEL_HELP,
        |draft: &mut RuleDraft, option| set(&mut draft.level, read_level(option)),
        |rule: &ValueRule| print_level(rule.level),
    ),
];

/// Options of `[[alert.stale]]`.
pub static STALE_OPTIONS: [ConfigOption<RuleDraft, StaleRule>; 3] = [
    ConfigOption::new(
        "key",
        "text",
        "required",
        "\"temperature\"",
        "The key to watch.",
        |draft: &mut RuleDraft, option| draft.name = read_required(option, "temperature"),
        |rule: &StaleRule| text(&rule.key),
    ),
    ConfigOption::new(
        "for",
        "duration",
        "none (at once)",
        "\"1h\"",
        "How long the value must have been stale before the alert begins. It becomes stale after `stale_after`.",
        |draft: &mut RuleDraft, option| set(&mut draft.hold, option.duration()),
        |rule: &StaleRule| print_hold(rule.hold),
    ),
    ConfigOption::new(
        "level",
        LEVELS,
        "\"warning\"",
        "\"critical\"",
        LEVEL_HELP,
        |draft: &mut RuleDraft, option| set(&mut draft.level, read_level(option)),
        |rule: &StaleRule| print_level(rule.level),
    ),
];

/// Options of `[[alert.display]]`.
pub static DISPLAY_OPTIONS: [ConfigOption<RuleDraft, DisplayRule>; 4] = [
    ConfigOption::new(
        "name",
        "text",
        "required",
        "\"192.168.1.20\"",
        "Name of a `[[display]]`, or name or IP address of another display, as the page System lists it.",
        |draft: &mut RuleDraft, option| draft.name = read_required(option, "192.168.1.20"),
        |rule: &DisplayRule| text(&rule.name),
    ),
    ConfigOption::new(
        "silent_for",
        "duration",
        "one of `silent_for`, `battery_below` is required",
        "\"1h\"",
        "Alert when the display requested nothing for this long. The `quiet` hours of a `[[display]]` do not count.",
        read_silent_for,
        |rule: &DisplayRule| duration(rule.silent_for?),
    ),
    ConfigOption::new(
        "battery_below",
        "`\"20%\"` or `\"3.5 V\"`",
        "none",
        "\"20%\"",
        "Alert when the battery of the display is below this. The alert ends when it is 5 points above. Volts are compared with the volts that a device says, else in per cent: 3.3 V is 0 %, 4.1 V is 100 %.",
        read_battery,
        |rule: &DisplayRule| print_battery(rule.battery_below?),
    ),
    ConfigOption::new(
        "level",
        LEVELS,
        "\"warning\"",
        "\"critical\"",
        LEVEL_HELP,
        |draft: &mut RuleDraft, option| set(&mut draft.level, read_level(option)),
        |rule: &DisplayRule| print_level(rule.level),
    ),
];

/// Reads the rules of `[alert]`.
pub fn read_rules(
    table: &mut TableReader<'_>,
    directory: &Path,
    sources: &[(SourceConfig, KeySpans)],
    rules: &mut AlertRules,
) {
    for entry in table.get("source").iter().flat_map(TableEntry::entries) {
        read_source(&entry, directory, sources, rules);
    }
    for entry in table.get("value").iter().flat_map(TableEntry::tables) {
        rules.values.extend(read_value(&entry, directory));
    }
    for entry in table.get("stale").iter().flat_map(TableEntry::tables) {
        rules.stale.extend(read_stale(&entry, directory));
    }
    for entry in table.get("display").iter().flat_map(TableEntry::tables) {
        rules.displays.extend(read_display(&entry, directory));
    }
    report_duplicates(rules, table.reader());
}

pub fn read_count(option: &mut OptionReader<'_, '_>) -> Option<u64> {
    option.integer(1..=10_000)
}

fn read_source(
    entry: &TableEntry<'_>,
    directory: &Path,
    sources: &[(SourceConfig, KeySpans)],
    rules: &mut AlertRules,
) {
    let name = entry.key();
    let known = || sources.iter().map(|(source, _)| &*source.plan.name);
    if !known().any(|known| known == name) {
        let hint = match nearest(name, known()) {
            Some(near) => format!("; did you mean {near:?}?"),
            None => String::new(),
        };
        entry.problem(format!("there is no source {name:?}{hint}"));
    }
    let Some(mut table) = entry.table(format!("[alert.source.{}]", bare_or_quoted(name))) else {
        return;
    };
    let mut rule = SourceRule::default();
    read_options(&SOURCE_OPTIONS, &mut table, directory, &mut rule);
    table.finish();
    rules.sources.insert(name.into(), rule);
}

/// The text of a required option.
fn read_required(option: &mut OptionReader<'_, '_>, example: &str) -> Option<String> {
    if let Some(entry) = option.entry() {
        return entry.text();
    }
    let (table, name) = (&option.table, option.name);
    table.problem(format!("{} needs {name} = {example:?}", table.name()));
    None
}

fn read_silent_for(draft: &mut RuleDraft, option: &mut OptionReader<'_, '_>) {
    let Some(entry) = option.entry() else {
        return;
    };
    draft.has_limit = true;
    draft.silent_for = entry.duration();
}

fn read_battery(draft: &mut RuleDraft, option: &mut OptionReader<'_, '_>) {
    let Some(entry) = option.entry() else {
        return;
    };
    draft.has_limit = true;
    let Some(found) = entry.text() else {
        return;
    };
    let has_unit = found.trim_end().ends_with(['%', 'V', 'v']);
    let battery = Battery::parse(&found).filter(|_| has_unit);
    if battery.is_none() {
        entry.problem(format!(
            "battery_below = {found:?}: expected per cent or volts of one cell, such as \"20%\" or \"3.5 V\""
        ));
    }
    draft.battery_below = battery;
}

fn print_battery(battery: Battery) -> Option<String> {
    text(&match battery.volts {
        Some(volts) => format!("{} V", format_number(volts)),
        None => format!("{}%", format_number(battery.percent)),
    })
}

fn print_hold(hold: Duration) -> Option<String> {
    (!hold.is_zero()).then(|| duration(hold))?
}

fn read_rule<P: 'static>(
    entry: &TableEntry<'_>,
    heading: &str,
    options: &'static [ConfigOption<RuleDraft, P>],
    directory: &Path,
) -> Option<RuleDraft> {
    let mut table = entry.table(heading)?;
    let mut draft = RuleDraft::default();
    read_options(options, &mut table, directory, &mut draft);
    table.finish();
    Some(draft)
}

fn read_value(entry: &TableEntry<'_>, directory: &Path) -> Option<ValueRule> {
    let draft = read_rule(entry, "[[alert.value]]", &VALUE_OPTIONS, directory)?;
    let (above, below, hysteresis) = (draft.above, draft.below, draft.hysteresis);
    if above.is_none() && below.is_none() {
        entry.problem("[[alert.value]] has no limit: add above = … or below = …");
    }
    if let (Some(above), Some(below)) = (above, below)
        && below >= above
    {
        entry.problem(format!(
            "no value can satisfy both below = {below} and above = {above}: swap them"
        ));
    }
    if hysteresis < 0.0 {
        entry.problem(format!("hysteresis = {hysteresis}: expected 0 or more"));
    }
    Some(ValueRule {
        key: draft.name?.into(),
        above,
        below,
        hysteresis,
        hold: draft.hold,
        level: draft.level,
    })
}

fn read_stale(entry: &TableEntry<'_>, directory: &Path) -> Option<StaleRule> {
    let draft = read_rule(entry, "[[alert.stale]]", &STALE_OPTIONS, directory)?;
    Some(StaleRule {
        key: draft.name?.into(),
        hold: draft.hold,
        level: draft.level,
    })
}

fn read_display(entry: &TableEntry<'_>, directory: &Path) -> Option<DisplayRule> {
    let draft = read_rule(entry, "[[alert.display]]", &DISPLAY_OPTIONS, directory)?;
    if !draft.has_limit {
        entry.problem("[[alert.display]] needs silent_for = \"1h\" or battery_below = \"20%\"");
    }
    Some(DisplayRule {
        name: draft.name?.into(),
        silent_for: draft.silent_for,
        battery_below: draft.battery_below,
        level: draft.level,
    })
}

/// Rejects two rules with one name: they would be one alert.
fn report_duplicates(rules: &AlertRules, reader: &ConfigReader<'_>) {
    let values = rules.values.iter().map(ValueRule::name);
    let stale = rules.stale.iter().map(|rule| format!("stale:{}", rule.key));
    let displays = rules.displays.iter().flat_map(DisplayRule::alerts);
    let mut names: Vec<String> = values.chain(stale).chain(displays).collect();
    names.sort();
    for pair in names.windows(2) {
        if pair[0] == pair[1] {
            let message = format!("[alert] has two rules for {}: remove one", pair[0]);
            reader.problem(&(0..0), message);
        }
    }
}

/// Prints the tables of the rules.
pub fn print_rules(out: &mut String, rules: &AlertRules) {
    for (name, rule) in &rules.sources {
        *out += &format!("[alert.source.{}]\n", bare_or_quoted(name));
        print_options(out, &SOURCE_OPTIONS, rule);
    }
    for rule in &rules.values {
        out.push_str("[[alert.value]]\n");
        print_options(out, &VALUE_OPTIONS, rule);
    }
    for rule in &rules.stale {
        out.push_str("[[alert.stale]]\n");
        print_options(out, &STALE_OPTIONS, rule);
    }
    for rule in &rules.displays {
        out.push_str("[[alert.display]]\n");
        print_options(out, &DISPLAY_OPTIONS, rule);
    }
}
