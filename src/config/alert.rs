//! Alert options (`[alert]`): alert rules, webhook and ping.

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::reader::{ConfigReader, TableEntry, TableReader};
use super::secret::Secret;
use super::section::{
    ConfigOption, OptionReader, duration, list, number, path, plain, print_options, read_options,
    set, text,
};
use super::trust::{self, no_tls, print_fingerprints, read_fingerprints};
use super::types::{Config, KeySpans, Notifications, SourceConfig, WebhookConfig, WebhookFormat};
use crate::domain::alert::{AlertRules, DisplayRule, SourceRule, StaleRule, ValueRule};
use crate::domain::redact::without_secrets;
use crate::domain::time_window::TimeWindow;
use crate::domain::toml_text::bare_or_quoted;
use crate::sys::tls::TrustSettings;
use openapi::operation::nearest;

/// `[alert]` while it is read.
pub struct AlertDraft {
    rules: AlertRules,
    webhook: Option<Secret>,
    webhook_format: Option<WebhookFormat>,
    webhook_trust: TrustSettings,
    ping: Option<Secret>,
    page: Option<String>,
}

type AlertOption = ConfigOption<AlertDraft, Config>;

pub static OPTIONS: [AlertOption; 13] = [
    AlertOption::new(
        "no_success_for",
        "duration",
        "none (three times `every` of the source, at least 15 minutes)",
        "\"15m\"",
        "Alert when a source had no good response for this long.",
        |draft, option| draft.rules.no_success_for = option.duration(),
        |config| duration(config.alert.no_success_for?),
    ),
    AlertOption::new(
        "failures_in_a_row",
        "number, 1 to 10000",
        "5",
        "3",
        "Alert when this many requests of a source failed one after the other.",
        |draft, option| set(&mut draft.rules.failures_in_a_row, read_count(option)),
        |config| plain(config.alert.failures_in_a_row),
    ),
    AlertOption::new(
        "recover_after",
        "number, 1 to 10000",
        "2",
        "3",
        "Good responses in a row after which a source counts as recovered.",
        |draft, option| set(&mut draft.rules.recover_after, read_count(option)),
        |config| plain(config.alert.recover_after),
    ),
    AlertOption::new(
        "remind_after",
        "duration",
        "\"4h\"",
        "\"12h\"",
        "Interval between reminders while an incident lasts.",
        |draft, option| set(&mut draft.rules.remind_after, option.duration()),
        |config| duration(config.alert.remind_after),
    ),
    AlertOption::new(
        "clock_untrusted_for",
        "duration",
        "\"1h\"",
        "\"30m\"",
        "Alert when the clock of this machine has not been synchronised for this long.",
        |draft, option| set(&mut draft.rules.clock_untrusted_for, option.duration()),
        |config| duration(config.alert.clock_untrusted_for),
    ),
    AlertOption::new(
        "schema_drift",
        "true or false",
        "true",
        "false",
        "Alert when responses no longer match their OpenAPI file, even if all records can still be read.",
        |draft, option| set(&mut draft.rules.schema_drift, option.boolean()),
        |config| plain(config.alert.schema_drift),
    ),
    AlertOption::new(
        "mute",
        "list of days and hours",
        "none",
        "[\"Sat 22:00-23:00\", \"Mon-Fri 08:00-09:00\", \"daily 02:00-02:30\"]",
        "Days and hours without alerts, in `timezone`. An incident that still lasts afterwards is sent then.",
        |draft, option| {
            let reader = option.reader();
            draft.rules.mute = option
                .entry()
                .map(|it| read_mute(reader, &it))
                .unwrap_or_default();
        },
        |config| {
            let windows: Vec<String> = config.alert.mute.iter().map(|it| it.to_text()).collect();
            list(&windows)
        },
    ),
    AlertOption::new(
        "webhook",
        "URL",
        "none",
        "\"https://ntfy.sh/my-secret-topic\"",
        "URL that alerts are sent to by POST. It often contains a secret, so it is never shown.",
        |draft, option| draft.webhook = read_secret_address(option),
        // The URL may be a secret; the masked form is a valid URL too.
        |config| {
            config
                .notifications
                .webhook
                .as_ref()
                .map(|_| "\"https://***\"".to_owned())
        },
    ),
    AlertOption::new(
        "webhook_format",
        "\"json\" or \"text\"",
        "\"json\"",
        "\"text\"",
        "Body of the POST to `webhook`: `\"json\"`, or the `\"text\"` of the message with its title in a header, as ntfy takes it.",
        |draft, option| {
            let formats = [WebhookFormat::Json, WebhookFormat::Text];
            draft.webhook_format = option.choice(&formats.map(|format| (format.name(), format)));
        },
        |config| text(config.notifications.webhook.as_ref()?.format.name()),
    ),
    AlertOption::new(
        "webhook_ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        "PEM file with the root certificates to trust for `webhook`, instead of the system's, or with the server's own certificate.",
        |draft, option| draft.webhook_trust.ca_file = option.path(),
        |config| {
            let webhook = config.notifications.webhook.as_ref()?;
            path(webhook.trust.ca_file.as_deref()?)
        },
    ),
    AlertOption::new(
        "webhook_fingerprint",
        "text, or list of texts",
        "none",
        trust::EXAMPLE,
        "SHA-256 fingerprint of the certificate of `webhook`: this certificate is trusted, whatever its issuer, name and dates, and no other unless `webhook_ca_file` trusts it too. `main-node test-alert` prints the line.",
        |draft, option| draft.webhook_trust.fingerprints = read_fingerprints(option),
        |config| print_fingerprints(&config.notifications.webhook.as_ref()?.trust.fingerprints),
    ),
    AlertOption::new(
        "ping",
        "URL",
        "none",
        "\"https://hc-ping.com/00000000-0000-0000-0000-000000000000\"",
        "Heartbeat URL of a monitoring service (dead man's switch), requested once a minute while all is well. That service can alert you when this machine is off. It is never shown.",
        |draft, option| draft.ping = read_secret_address(option),
        |config| {
            config
                .notifications
                .ping
                .as_ref()
                .map(|_| "\"https://***\"".to_owned())
        },
    ),
    AlertOption::new(
        "page",
        "URL",
        "none (http://NAME.local:PORT)",
        "\"http://192.168.1.10:8000\"",
        "Address of this node's page, for the links in messages. Set it if `.local` names do not work in your network.",
        |draft, option| draft.page = read_address(option),
        |config| text(&without_secrets(config.notifications.page.as_deref()?)),
    ),
];

type SourceRuleOption = ConfigOption<SourceRule>;

/// Options of `[alert.source.NAME]`.
pub static SOURCE_OPTIONS: [SourceRuleOption; 2] = [
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
];

/// A rule for a key or a display while it is read.
#[derive(Default)]
pub struct RuleDraft {
    name: Option<String>,
    above: Option<f64>,
    below: Option<f64>,
    hysteresis: f64,
    hold: Duration,
    silent_for: Option<Duration>,
}

/// Options of `[[alert.value]]`.
pub static VALUE_OPTIONS: [ConfigOption<RuleDraft, ValueRule>; 5] = [
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
];

/// Options of `[[alert.stale]]`.
pub static STALE_OPTIONS: [ConfigOption<RuleDraft, StaleRule>; 2] = [
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
];

/// Options of `[[alert.display]]`.
pub static DISPLAY_OPTIONS: [ConfigOption<RuleDraft, DisplayRule>; 2] = [
    ConfigOption::new(
        "name",
        "text",
        "required",
        "\"192.168.1.20\"",
        "Name or IP address of a display, as the dashboard lists it.",
        |draft: &mut RuleDraft, option| draft.name = read_required(option, "192.168.1.20"),
        |rule: &DisplayRule| text(&rule.name),
    ),
    ConfigOption::new(
        "silent_for",
        "duration",
        "required",
        "\"1h\"",
        "Alert when the display requested nothing for this long.",
        |draft: &mut RuleDraft, option| draft.silent_for = read_silent_for(option),
        |rule: &DisplayRule| duration(rule.silent_for),
    ),
];

/// Reads `[alert]`, whose rules may refer to `sources`.
pub fn read_alert(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
    directory: &Path,
    sources: &[(SourceConfig, KeySpans)],
    timezone: &TimeZone,
) -> (AlertRules, Notifications) {
    let mut draft = AlertDraft {
        rules: AlertRules {
            timezone: timezone.clone(),
            ..AlertRules::default()
        },
        webhook: None,
        webhook_format: None,
        webhook_trust: TrustSettings::default(),
        ping: None,
        page: None,
    };
    if let Some(mut table) = root.get("alert").and_then(|item| item.table("[alert]")) {
        read_options(&OPTIONS, &mut table, directory, &mut draft);
        let rules = &mut draft.rules;
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
        check_webhook_trust(&mut table, draft.webhook.as_ref());
        table.finish();
        report_duplicates(rules, reader);
    }
    let format = draft.webhook_format.unwrap_or(WebhookFormat::Json);
    let notifications = Notifications {
        mail: None,
        webhook: draft.webhook.map(|url| WebhookConfig {
            url,
            format,
            trust: draft.webhook_trust,
        }),
        ping: draft.ping,
        page: draft.page,
    };
    (draft.rules, notifications)
}

fn read_count(option: &mut OptionReader<'_, '_>) -> Option<u64> {
    option.integer(1..=10_000)
}

fn read_mute(reader: &ConfigReader<'_>, item: &TableEntry<'_>) -> Vec<TimeWindow> {
    let mut windows = Vec::new();
    for (text, span) in item.texts() {
        match TimeWindow::parse(&text) {
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
    let mut rule = SourceRule {
        no_success_for: None,
        failures_in_a_row: None,
    };
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

fn read_silent_for(option: &mut OptionReader<'_, '_>) -> Option<Duration> {
    if let Some(entry) = option.entry() {
        return entry.duration();
    }
    option
        .table
        .problem("[[alert.display]] needs silent_for = \"1h\"");
    None
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
    })
}

fn read_stale(entry: &TableEntry<'_>, directory: &Path) -> Option<StaleRule> {
    let draft = read_rule(entry, "[[alert.stale]]", &STALE_OPTIONS, directory)?;
    Some(StaleRule {
        key: draft.name?.into(),
        hold: draft.hold,
    })
}

fn read_display(entry: &TableEntry<'_>, directory: &Path) -> Option<DisplayRule> {
    let draft = read_rule(entry, "[[alert.display]]", &DISPLAY_OPTIONS, directory)?;
    Some(DisplayRule {
        name: draft.name?.into(),
        silent_for: draft.silent_for?,
    })
}

/// Registers the secrets of a URL: the URL, the part after the host, and each path segment that
/// is not a plain word.
fn add_url_secrets(reader: &ConfigReader<'_>, url: &str) {
    reader.add_secret(url);
    let rest = url.split_once("://").map_or(url, |it| it.1);
    let Some(at) = rest.find(['/', '?', '@']) else {
        return;
    };
    if rest.len() - at > 1 {
        reader.add_secret(&rest[at..]);
        reader.add_secret(&rest[at + 1..]);
    }
    for part in rest.split(['/', '?', '&', '=', '@']).skip(1) {
        let is_word = part.len() < 16 && !part.bytes().any(|byte| byte.is_ascii_digit());
        if !is_word {
            reader.add_secret(part);
        }
    }
    if let Some((login, _)) = rest.split('/').next().unwrap_or_default().rsplit_once('@') {
        let password = login.split_once(':').map_or(login, |it| it.1);
        reader.add_secret(password);
    }
}

fn read_secret_address(option: &mut OptionReader<'_, '_>) -> Option<Secret> {
    let url = read_address(option)?;
    add_url_secrets(option.reader(), &url);
    Some(Secret::new(url))
}

/// Options of the webhook's certificate without a webhook that has one.
fn check_webhook_trust(table: &mut TableReader<'_>, webhook: Option<&Secret>) {
    for name in ["webhook_ca_file", "webhook_fingerprint"] {
        let Some(entry) = table.get(name) else {
            continue;
        };
        match webhook {
            None if table.get("webhook").is_none() => {
                entry.problem(format!("`{name}` belongs to a `webhook`, which is not set"));
            }
            Some(url) if url.reveal().starts_with("http://") => {
                entry.problem(no_tls("write https:// in `webhook`"));
            }
            _ => {}
        }
    }
}

fn read_address(option: &mut OptionReader<'_, '_>) -> Option<String> {
    let item = option.entry()?;
    let key = option.name;
    let text = item.text()?;
    let fits = ["https://", "http://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let parsed = text.parse::<ureq::http::Uri>().ok();
    if !fits || parsed.is_none_or(|uri| uri.host().is_none_or(str::is_empty)) {
        // The value may hold a secret.
        item.problem(format!(
            "{key}: expected an address that begins with https:// or http://"
        ));
        return None;
    }
    Some(text)
}

/// Rejects two rules with one name: they would be one alert.
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

/// Prints `[alert]` as TOML, secrets masked.
pub fn print_alert(out: &mut String, config: &Config) {
    let rules = &config.alert;
    out.push_str("\n[alert]\n");
    print_options(out, &OPTIONS, config);
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
