//! What a person should be told of, and how beside mail: `[alert]`.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::print::without_secrets;
use super::reader::{ConfigReader, TableEntry, TableReader};
use super::{MailConfig, Secret, SourceConfig};
use crate::domain::alert::{AlertRules, DisplayRule, MuteWindow, SourceRule, StaleRule, ValueRule};
use crate::domain::time::format_duration;
use crate::domain::toml_text::{bare_or_quoted, quoted};
use openapi::operation::nearest;

/// Where alerts are sent, and what messages say about the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notifications {
    pub mail: Option<MailConfig>,
    /// Where alerts are posted; the address itself may be the secret.
    pub webhook: Option<WebhookConfig>,
    /// A dead man's switch that hears once a minute that all is well.
    pub ping: Option<Secret>,
    /// Where people find the node's page, for links in messages.
    pub page: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    pub url: Secret,
    pub format: WebhookFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    Json,
    /// The message's text with a title, as ntfy takes it.
    Text,
}

impl WebhookFormat {
    pub fn name(self) -> &'static str {
        match self {
            WebhookFormat::Json => "json",
            WebhookFormat::Text => "text",
        }
    }
}

type Sources = [(SourceConfig, Vec<(Arc<str>, Range<usize>)>)];

/// Reads `[alert]`; `sources` are those that it may name.
pub fn read(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
    sources: &Sources,
    timezone: &TimeZone,
) -> (AlertRules, Notifications) {
    let mut rules = AlertRules {
        timezone: timezone.clone(),
        ..AlertRules::default()
    };
    let mut telling = Notifications::default();
    let Some(mut table) = root.get("alert").and_then(|item| item.table("[alert]")) else {
        return (rules, telling);
    };
    if let Some(item) = table.get("no_success_for") {
        rules.no_success_for = item.duration();
    }
    if let Some(item) = table.get("failures_in_a_row") {
        rules.failures_in_a_row = count(&item).unwrap_or(rules.failures_in_a_row);
    }
    if let Some(item) = table.get("recover_after") {
        rules.recover_after = count(&item).unwrap_or(rules.recover_after);
    }
    if let Some(item) = table.get("remind_after") {
        rules.remind_after = item.duration().unwrap_or(rules.remind_after);
    }
    if let Some(item) = table.get("clock_untrusted_for") {
        rules.clock_untrusted_for = item.duration().unwrap_or(rules.clock_untrusted_for);
    }
    if let Some(item) = table.get("schema_drift") {
        rules.schema_drift = item.boolean().unwrap_or(rules.schema_drift);
    }
    if let Some(item) = table.get("mute") {
        rules.mute = windows(reader, &item);
    }
    for entry in table.get("source").iter().flat_map(TableEntry::entries) {
        read_source(&entry, sources, &mut rules);
    }
    for entry in table.get("value").iter().flat_map(TableEntry::tables) {
        rules.values.extend(read_value(&entry));
    }
    for entry in table.get("stale").iter().flat_map(TableEntry::tables) {
        rules.stale.extend(read_stale(&entry));
    }
    for entry in table.get("display").iter().flat_map(TableEntry::tables) {
        rules.displays.extend(read_display(&entry));
    }
    let format = table.get("webhook_format").and_then(|item| {
        let known = [WebhookFormat::Json, WebhookFormat::Text];
        item.choice(&known.map(|format| (format.name(), format)))
    });
    let webhook = address(&mut table, "webhook");
    let ping = address(&mut table, "ping");
    for url in [&webhook, &ping].into_iter().flatten() {
        hide_secret_parts(reader, url);
    }
    telling.webhook = webhook.map(|url| WebhookConfig {
        url: Secret::new(url),
        format: format.unwrap_or(WebhookFormat::Json),
    });
    telling.ping = ping.map(Secret::new);
    telling.page = address(&mut table, "page");
    table.finish();
    report_duplicates(&rules, reader);
    (rules, telling)
}

fn count(item: &TableEntry<'_>) -> Option<u64> {
    item.integer(1..=10_000)
}

fn windows(reader: &ConfigReader<'_>, item: &TableEntry<'_>) -> Vec<MuteWindow> {
    let mut windows = Vec::new();
    for (text, span) in item.texts() {
        match MuteWindow::parse(&text) {
            Some(window) => windows.push(window),
            None => reader.problem(
                &span,
                format!(
                    "mute: expected days and hours such as \"Sat 22:00-23:00\", \"Mon-Fri \
                     08:00-09:00\" or \"daily 02:00-02:30\", found {text:?}"
                ),
            ),
        }
    }
    windows
}

fn read_source(entry: &TableEntry<'_>, sources: &Sources, rules: &mut AlertRules) {
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
    let rule = SourceRule {
        no_success_for: table.get("no_success_for").and_then(|item| item.duration()),
        failures_in_a_row: table.get("failures_in_a_row").and_then(|item| count(&item)),
    };
    table.finish();
    rules.sources.insert(name.into(), rule);
}

/// The text of an option that such a table cannot do without.
fn required(table: &mut TableReader<'_>, key: &'static str, example: &str) -> Option<String> {
    match table.get(key) {
        Some(item) => item.text(),
        None => {
            table.problem(format!("{} needs {key} = {example:?}", table.name()));
            None
        }
    }
}

fn read_value(entry: &TableEntry<'_>) -> Option<ValueRule> {
    let mut table = entry.table("[[alert.value]]")?;
    let key = required(&mut table, "key", "temperature");
    let mut number = |key| {
        table
            .get(key)
            .and_then(|item: TableEntry<'_>| item.number())
    };
    let (above, below, hysteresis) = (number("above"), number("below"), number("hysteresis"));
    let hold = table.get("for").and_then(|item| item.duration());
    if above.is_none() && below.is_none() {
        entry.problem("[[alert.value]] says no bound: add above = … or below = …");
    }
    if let (Some(above), Some(below)) = (above, below)
        && below >= above
    {
        entry.problem(format!(
            "below = {below} and above = {above} leave nothing that is good: swap them"
        ));
    }
    let hysteresis = hysteresis.unwrap_or(0.0);
    if hysteresis < 0.0 {
        entry.problem(format!("hysteresis = {hysteresis}: expected 0 or more"));
    }
    table.finish();
    Some(ValueRule {
        key: key?.into(),
        above,
        below,
        hysteresis,
        hold: hold.unwrap_or(Duration::ZERO),
    })
}

fn read_stale(entry: &TableEntry<'_>) -> Option<StaleRule> {
    let mut table = entry.table("[[alert.stale]]")?;
    let key = required(&mut table, "key", "temperature");
    let hold = table.get("for").and_then(|item| item.duration());
    table.finish();
    Some(StaleRule {
        key: key?.into(),
        hold: hold.unwrap_or(Duration::ZERO),
    })
}

fn read_display(entry: &TableEntry<'_>) -> Option<DisplayRule> {
    let mut table = entry.table("[[alert.display]]")?;
    let name = required(&mut table, "name", "192.168.1.20");
    let silent_for = table.get("silent_for");
    if silent_for.is_none() {
        table.problem("[[alert.display]] needs silent_for = \"1h\"");
    }
    let silent_for = silent_for.and_then(|item| item.duration());
    table.finish();
    Some(DisplayRule {
        name: name?.into(),
        silent_for: silent_for?,
    })
}

/// An address whose path is the secret: the whole of it, what stands behind the host, and
/// each part that is no plain word.
fn hide_secret_parts(reader: &ConfigReader<'_>, url: &str) {
    reader.hide(url);
    let rest = url.split_once("://").map_or(url, |it| it.1);
    let Some(at) = rest.find(['/', '?', '@']) else {
        return;
    };
    if rest.len() - at > 1 {
        reader.hide(&rest[at..]);
        reader.hide(&rest[at + 1..]);
    }
    for part in rest.split(['/', '?', '&', '=', '@']).skip(1) {
        let is_word = part.len() < 16 && !part.bytes().any(|byte| byte.is_ascii_digit());
        if !is_word {
            reader.hide(part);
        }
    }
    if let Some((login, _)) = rest.split('/').next().unwrap_or_default().rsplit_once('@') {
        let password = login.split_once(':').map_or(login, |it| it.1);
        reader.hide(password);
    }
}

fn address(table: &mut TableReader<'_>, key: &'static str) -> Option<String> {
    let item = table.get(key)?;
    let text = item.text()?;
    let fits = ["https://", "http://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let parsed = text.parse::<ureq::http::Uri>().ok();
    if !fits || parsed.is_none_or(|uri| uri.host().is_none_or(str::is_empty)) {
        // What was found may hold a secret.
        item.problem(format!(
            "{key}: expected an address that begins with https:// or http://"
        ));
        return None;
    }
    Some(text)
}

/// Two rules of one name would be one alert.
fn report_duplicates(rules: &AlertRules, reader: &ConfigReader<'_>) {
    let values = rules.values.iter().map(ValueRule::name);
    let stale = rules.stale.iter().map(|rule| format!("stale:{}", rule.key));
    let displays = rules.displays.iter();
    let displays = displays.map(|rule| format!("display:{}", rule.name));
    let mut names: Vec<String> = values.chain(stale).chain(displays).collect();
    names.sort();
    for pair in names.windows(2) {
        if pair[0] == pair[1] {
            let message = format!("[alert] has two rules for {}: remove one", pair[0]);
            reader.problem(&(0..0), message);
        }
    }
}

/// Both as TOML, secrets masked: a part of what `check` prints.
pub fn describe(out: &mut String, rules: &AlertRules, telling: &Notifications) -> std::fmt::Result {
    writeln!(out, "\n[alert]")?;
    if let Some(span) = rules.no_success_for {
        writeln!(out, "no_success_for = \"{}\"", format_duration(span))?;
    }
    writeln!(out, "failures_in_a_row = {}", rules.failures_in_a_row)?;
    writeln!(out, "recover_after = {}", rules.recover_after)?;
    let remind_after = format_duration(rules.remind_after);
    writeln!(out, "remind_after = \"{remind_after}\"")?;
    let clock = format_duration(rules.clock_untrusted_for);
    writeln!(out, "clock_untrusted_for = \"{clock}\"")?;
    writeln!(out, "schema_drift = {}", rules.schema_drift)?;
    if !rules.mute.is_empty() {
        let windows: Vec<String> = rules.mute.iter().map(|it| quoted(&it.to_text())).collect();
        writeln!(out, "mute = [{}]", windows.join(", "))?;
    }
    if let Some(webhook) = &telling.webhook {
        // The address may be the secret, and is a valid one while it is masked.
        writeln!(out, "webhook = \"https://***\"")?;
        writeln!(out, "webhook_format = \"{}\"", webhook.format.name())?;
    }
    if telling.ping.is_some() {
        writeln!(out, "ping = \"https://***\"")?;
    }
    if let Some(page) = &telling.page {
        writeln!(out, "page = {}", quoted(&without_secrets(page)))?;
    }
    for (name, rule) in &rules.sources {
        writeln!(out, "[alert.source.{}]", bare_or_quoted(name))?;
        if let Some(span) = rule.no_success_for {
            writeln!(out, "no_success_for = \"{}\"", format_duration(span))?;
        }
        if let Some(count) = rule.failures_in_a_row {
            writeln!(out, "failures_in_a_row = {count}")?;
        }
    }
    let hold = |hold: Duration| match hold.is_zero() {
        true => String::new(),
        false => format!("for = \"{}\"\n", format_duration(hold)),
    };
    for rule in &rules.values {
        writeln!(out, "[[alert.value]]\nkey = {}", quoted(&rule.key))?;
        for (name, bound) in [("above", rule.above), ("below", rule.below)] {
            if let Some(bound) = bound {
                writeln!(out, "{name} = {bound:?}")?;
            }
        }
        writeln!(out, "hysteresis = {:?}", rule.hysteresis)?;
        write!(out, "{}", hold(rule.hold))?;
    }
    for rule in &rules.stale {
        writeln!(out, "[[alert.stale]]\nkey = {}", quoted(&rule.key))?;
        write!(out, "{}", hold(rule.hold))?;
    }
    for rule in &rules.displays {
        writeln!(out, "[[alert.display]]\nname = {}", quoted(&rule.name))?;
        writeln!(out, "silent_for = \"{}\"", format_duration(rule.silent_for))?;
    }
    Ok(())
}
