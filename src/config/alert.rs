//! Alert options (`[alert]`): when alerts are sent, the channels besides mail, and the ping.

mod address;
pub mod ping;
pub mod rules;
mod service_options;
mod services;
mod template;
pub mod webhook;

use std::path::Path;

use jiff::tz::TimeZone;

use self::address::read_address;
use self::ping::{print_ping, read_ping};
use self::rules::{print_rules, read_count, read_rules};
use self::webhook::{
    WebhookEntry, check_options_beside, check_service, print_webhooks, read_format, read_webhook,
    webhook_at,
};
use super::alert_types::{Notifications, PingConfig, WebhookConfig, WebhookForm, WebhookFormat};
use super::reader::{ConfigReader, TableEntry, TableReader};
use super::section::{
    ConfigOption, duration, list, path, plain, print_options, read_options, set, text,
};
use super::trust::{self, print_fingerprints, read_fingerprints};
use super::types::{Config, KeySpans, SourceConfig};
use crate::domain::alert::AlertRules;
use crate::domain::redact::without_secrets;
use crate::domain::time_window::TimeWindow;
use crate::sys::tls::TrustSettings;

/// `[alert]` while it is read.
pub struct AlertDraft {
    rules: AlertRules,
    webhook: Option<WebhookEntry>,
    webhook_format: Option<WebhookFormat>,
    webhook_trust: TrustSettings,
    ping: Option<PingConfig>,
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
        "Alert when this many requests of a source failed one after the other, over at least two minutes.",
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
        "URL, or tables `[[alert.webhook]]`",
        "none",
        "\"https://hooks.example.org/my-secret\"",
        "URL that alerts are sent to by POST. It often contains a secret, so it is never shown. Services such as ntfy, Slack or Telegram, and several webhooks, have tables: see `[[alert.webhook]]`.",
        |draft, option| draft.webhook = read_webhook(option),
        // The URL may be a secret; the masked form is a valid URL too.
        |config| text_webhook(config).map(|_| "\"https://***\"".to_owned()),
    ),
    AlertOption::new(
        "webhook_format",
        "as `format` of `[[alert.webhook]]`",
        "\"json\"",
        "\"ntfy\"",
        "Body of the POST to `webhook`: `\"json\"`, the `\"text\"` of the message with its title in a header, or the form of a service that needs nothing but an address, such as `\"ntfy\"`, `\"slack\"` or `\"discord\"`.",
        |draft, option| draft.webhook_format = read_format(option),
        |config| text(text_webhook(config)?.format.name()),
    ),
    AlertOption::new(
        "webhook_ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        "PEM file with the root certificates to trust for `webhook`, instead of the system's, or with the server's own certificate.",
        |draft, option| draft.webhook_trust.ca_file = option.path(),
        |config| {
            let webhook = text_webhook(config)?;
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
        |config| print_fingerprints(&text_webhook(config)?.trust.fingerprints),
    ),
    AlertOption::new(
        "ping",
        "URL, or a table `[alert.ping]`",
        "none",
        "\"https://hc-ping.com/00000000-0000-0000-0000-000000000000\"",
        "Heartbeat URL of a monitoring service (dead man's switch), requested once a minute while all is well. That service can alert you when this machine is off. It is never shown.",
        |draft, option| draft.ping = read_ping(option),
        |config| {
            let ping = config.notifications.ping.as_ref()?;
            (ping.form == WebhookForm::Text).then(|| "\"https://***\"".to_owned())
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

/// Reads `[alert]`, whose rules may refer to `sources`.
pub fn read_alert(
    root: &mut TableReader<'_>,
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
    let mut webhooks = Vec::new();
    if let Some(mut table) = root.get("alert").and_then(|item| item.table("[alert]")) {
        read_options(&OPTIONS, &mut table, directory, &mut draft);
        read_rules(&mut table, directory, sources, &mut draft.rules);
        check_options_beside(&mut table, draft.webhook.as_ref());
        webhooks = match draft.webhook {
            None => Vec::new(),
            Some(WebhookEntry::Tables(webhooks)) => webhooks,
            Some(WebhookEntry::Address(url)) => {
                let webhook = webhook_at(url, draft.webhook_format, draft.webhook_trust);
                check_service(&mut table, &webhook);
                vec![webhook]
            }
        };
        table.finish();
    }
    let notifications = Notifications {
        mail: None,
        webhooks,
        ping: draft.ping,
        page: draft.page,
    };
    (draft.rules, notifications)
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

/// Prints `[alert]` as TOML, secrets masked.
pub fn print_alert(out: &mut String, config: &Config) {
    out.push_str("\n[alert]\n");
    print_options(out, &OPTIONS, config);
    print_webhooks(out, &config.notifications.webhooks);
    print_ping(out, config.notifications.ping.as_ref());
    print_rules(out, &config.alert);
}

/// The webhook that is written as `webhook = "URL"`.
fn text_webhook(config: &Config) -> Option<&WebhookConfig> {
    let mut webhooks = config.notifications.webhooks.iter();
    webhooks.find(|it| it.form == WebhookForm::Text)
}
