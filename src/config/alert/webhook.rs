//! Webhook options: `[[alert.webhook]]`, and `webhook = "URL"` with the options beside it.

use std::path::Path;

use toml::de::DeValue;

use super::address::{is_without_tls, masked_url, read_secret_address};
use super::service_options::{read_chat, read_priority, read_secret, read_tags};
use super::services;
use super::template::{check_template, read_body, read_method};
use crate::config::alert_filter::{LEVELS, print_only, read_level, read_only};
use crate::config::alert_types::{
    ServiceOptions, WebhookConfig, WebhookForm, WebhookFormat, WebhookMethod, content_type,
};
use crate::config::problem::Severity;
use crate::config::reader::{TableEntry, TableReader};
use crate::config::request::headers::{headers_as_toml, read_literal_headers};
use crate::config::request_types::Header;
use crate::config::secret::Secret;
use crate::config::section::{
    ConfigOption, OptionReader, list, masked, path, plain, print_options, read_options, set, text,
};
use crate::config::trust::{
    self, no_tls, print_fingerprints, read_fingerprints, reject_without_tls,
};
use crate::domain::alert_filter::AlertFilter;
use crate::domain::template::{TemplatePlace, TextTemplate};
use crate::limits;
use crate::sys::tls::TrustSettings;

/// The name of a webhook that has none of its own.
const DEFAULT_NAME: &str = "webhook";

const FORMATS: &str = "\"json\", \"text\", \"ntfy\", \"gotify\", \"slack\", \"discord\", \"telegram\", \"pushover\", \"apprise\" or \"home_assistant\"";

/// Names of other channels and of alerts: an alert about a channel has its name.
const TAKEN_NAMES: [&str; 7] = [
    "mail", "ping", "network", "storage", "database", "clock", "test",
];

/// `[[alert.webhook]]` while it is read.
#[derive(Default)]
pub struct WebhookDraft {
    name: Option<String>,
    url: Option<Secret>,
    format: Option<WebhookFormat>,
    method: Option<WebhookMethod>,
    headers: Vec<Header>,
    service: ServiceOptions,
    body: Option<Secret>,
    filter: AlertFilter,
    trust: TrustSettings,
}

type WebhookOption = ConfigOption<WebhookDraft, WebhookConfig>;

/// Options of `[[alert.webhook]]`.
pub static WEBHOOK_OPTIONS: [WebhookOption; 16] = [
    WebhookOption::new(
        "name",
        "text",
        "\"webhook\"",
        "\"phone\"",
        "Name of the channel, on the pages, in `/status` and metrics: 1 to 32 letters, digits or `-_.`. Several webhooks need different names. Alerts that wait belong to the name: a channel that is renamed begins anew, and those that wait for the old name are given up after 14 days.",
        |draft, option| draft.name = read_name(option),
        |webhook| text(&webhook.name),
    ),
    WebhookOption::new(
        "url",
        "URL",
        "required",
        "\"https://hooks.example.org/services/my-secret\"",
        "URL that alerts are sent to. It often contains a secret, so it is never shown. Redirects are not followed.",
        |draft, option| draft.url = read_url(option),
        |webhook| text(&masked_url(&webhook.url)),
    ),
    WebhookOption::new(
        "format",
        FORMATS,
        "\"json\"",
        "\"ntfy\"",
        "What is sent: all facts as `\"json\"`, the `\"text\"` of the message with its title in a header, or the form of a service. docs/alerts.md says what each service needs, and has recipes for others.",
        |draft, option| draft.format = read_format(option),
        |webhook| match webhook.body {
            Some(_) => None,
            None => text(webhook.format.name()),
        },
    ),
    WebhookOption::new(
        "method",
        "\"GET\", \"POST\" or \"PUT\"",
        "none (that of the format, mostly POST)",
        "\"PUT\"",
        "HTTP method of the request.",
        |draft, option| draft.method = read_method(option),
        |webhook| text(webhook.method?.name()),
    ),
    WebhookOption::new(
        "headers",
        "table of texts",
        "none",
        "{ Authorization = \"Bearer my-secret\" }",
        "HTTP headers, besides those of the format and instead of them. Values are never shown.",
        |draft, option| {
            let entry = option.entry();
            draft.headers = entry.iter().flat_map(read_literal_headers).collect();
        },
        |webhook| headers_as_toml(&webhook.headers),
    ),
    WebhookOption::new(
        "token",
        "text",
        "none",
        "\"${NTFY_TOKEN}\"",
        "Token of the service: of an application (Gotify, Pushover), of the bot (Telegram), else sent as `Authorization: Bearer`. It is never shown.",
        |draft, option| draft.service.token = read_secret(option),
        |webhook| masked(webhook.service.token.as_ref()),
    ),
    WebhookOption::new(
        "user",
        "text",
        "none",
        "\"my-pi\"",
        "User, with `password` for HTTP Basic; for Pushover the key of a user or group. It is never shown.",
        |draft, option| draft.service.user = read_secret(option),
        |webhook| masked(webhook.service.user.as_ref()),
    ),
    WebhookOption::new(
        "password",
        "text",
        "none",
        "\"${NTFY_PASSWORD}\"",
        "Password of `user`. It is never shown.",
        |draft, option| draft.service.password = read_secret(option),
        |webhook| masked(webhook.service.password.as_ref()),
    ),
    WebhookOption::new(
        "chat_id",
        "number, or \"@name\" of a public channel",
        "none",
        "-1001234567890",
        "Chat of Telegram to send to; groups have negative numbers.",
        |draft, option| draft.service.chat_id = read_chat(option),
        |webhook| text(webhook.service.chat_id.as_deref()?),
    ),
    WebhookOption::new(
        "priority",
        "number",
        "none (by the level of the alert)",
        "3",
        "Priority of all messages: 1 to 5 for ntfy, 0 to 10 for Gotify, -2 to 1 for Pushover.",
        |draft, option| draft.service.priority = read_priority(option),
        |webhook| plain(webhook.service.priority?),
    ),
    WebhookOption::new(
        "tags",
        "list of texts",
        "none",
        "[\"house\"]",
        "Tags of ntfy, besides that of the level; tags of Apprise, any of which a service must have.",
        |draft, option| draft.service.tags = read_tags(option),
        |webhook| list(&webhook.service.tags),
    ),
    WebhookOption::new(
        "body",
        "text",
        "none (that of the format)",
        "\"{ \\\"title\\\": \\\"{subject}\\\", \\\"severity\\\": \\\"{level}\\\" }\"",
        "Body of the request, instead of `format`. Placeholders, in `url` and `headers` too: `{subject}`, `{text}`, `{kind}` (`trigger`, `reminder`, `recovery`, `flapping` or `unwatched`), `{level}`, `{key}` and `{value}` (of an alert about a key), `{page}`, `{node}` and `{id}` (of the message: a resend has the same). They are escaped for their place: in JSON (also the number `{value}` without quotes), URLs, forms, headers. Any other brace is text. `Content-Type` is that in `headers`, else JSON or plain text by the look of the body. It is never shown.",
        |draft, option| draft.body = read_body(option),
        |webhook| masked(webhook.body.as_ref()),
    ),
    WebhookOption::new(
        "level",
        LEVELS,
        "\"info\"",
        "\"critical\"",
        "The least level of the alerts that this channel gets. The recovery goes to the channels that got the alert. Alerts are of the level `\"warning\"` where their rule has no `level`; trouble with storage is `\"critical\"`.",
        |draft, option| set(&mut draft.filter.level, read_level(option)),
        |webhook| text(webhook.filter.level.name()),
    ),
    WebhookOption::new(
        "only",
        "text, or list of texts",
        "none (all alerts)",
        "[\"source:meter\", \"value:*\", \"house.*\"]",
        "The alerts that this channel gets, by their names as on the page `/web/alerts` (`source:NAME`, `schema:NAME`, `value:KEY>30`, `stale:KEY`, `display:NAME`, `network`, `storage`, `database`, `clock`, names of channels) or by the keys that they are about; `*` stands for any characters.",
        |draft, option| draft.filter.only = read_only(option),
        |webhook| print_only(&webhook.filter),
    ),
    WebhookOption::new(
        "ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        trust::CA_FILE_HELP,
        |draft, option| draft.trust.ca_file = option.path(),
        |webhook| path(webhook.trust.ca_file.as_deref()?),
    ),
    WebhookOption::new(
        "fingerprint",
        "text, or list of texts",
        "none",
        trust::EXAMPLE,
        trust::CHANNEL_FINGERPRINT_HELP,
        |draft, option| draft.trust.fingerprints = read_fingerprints(option),
        |webhook| print_fingerprints(&webhook.trust.fingerprints),
    ),
];

/// `webhook` of `[alert]`: the address of one, or tables.
pub enum WebhookEntry {
    Address(Secret),
    Tables(Vec<WebhookConfig>),
}

pub fn read_webhook(option: &mut OptionReader<'_, '_>) -> Option<WebhookEntry> {
    let directory = option.directory;
    let entry = option.entry()?;
    let tables = match entry.value() {
        DeValue::Table(_) => vec![entry.clone()],
        DeValue::Array(_) => entry.tables(),
        DeValue::String(_) => return read_secret_address(option).map(WebhookEntry::Address),
        _ => {
            entry.expected("a URL, or tables [[alert.webhook]]");
            return None;
        }
    };
    let mut webhooks: Vec<WebhookConfig> = Vec::new();
    for entry in tables {
        let Some(webhook) = read_table(&entry, directory) else {
            continue;
        };
        if webhooks.iter().any(|other| other.name == webhook.name) {
            let name = &webhook.name;
            entry.problem(format!(
                "there are two webhooks with the name {name:?}: give each [[alert.webhook]] a `name` of its own"
            ));
        }
        webhooks.push(webhook);
    }
    if webhooks.len() > limits::WEBHOOKS {
        let (most, found) = (limits::WEBHOOKS, webhooks.len());
        entry.problem(format!("expected at most {most} webhooks, found {found}"));
    }
    Some(WebhookEntry::Tables(webhooks))
}

fn read_table(entry: &TableEntry<'_>, directory: &Path) -> Option<WebhookConfig> {
    let mut table = entry.table("[[alert.webhook]]")?;
    let mut draft = WebhookDraft::default();
    read_options(&WEBHOOK_OPTIONS, &mut table, directory, &mut draft);
    if draft.url.as_ref().is_some_and(is_without_tls) {
        reject_without_tls(
            &mut table,
            &["ca_file", "fingerprint"],
            "write https:// in `url`",
        );
    }
    check_templates(&mut table, &draft);
    let webhook = draft.url.map(|url| WebhookConfig {
        name: draft.name.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
        form: WebhookForm::Table,
        url,
        format: draft.format.unwrap_or(WebhookFormat::Json),
        method: draft.method,
        headers: draft.headers,
        service: draft.service,
        body: draft.body,
        filter: draft.filter,
        trust: draft.trust,
    });
    if let Some(webhook) = &webhook {
        check_service(&mut table, webhook);
    }
    table.finish();
    webhook
}

/// Reports what its service needs, and what it has no use for.
pub fn check_service(table: &mut TableReader<'_>, webhook: &WebhookConfig) {
    for remark in services::check(webhook) {
        let name = match (webhook.form, remark.option) {
            (WebhookForm::Text, "format") => "webhook_format",
            (WebhookForm::Text, _) => "webhook",
            (WebhookForm::Table, name) => name,
        };
        // What has no `format` is meant by its address.
        let entry = table.get(name).or_else(|| table.get("url"));
        match (entry, remark.severity) {
            (Some(entry), Some(severity)) => entry.remark(severity, remark.message),
            (Some(entry), None) => entry.problem(remark.message),
            (None, _) => table.problem(remark.message),
        }
    }
}

/// The webhook of `webhook = "URL"` and the options beside it.
pub fn webhook_at(
    url: Secret,
    format: Option<WebhookFormat>,
    trust: TrustSettings,
) -> WebhookConfig {
    WebhookConfig {
        name: DEFAULT_NAME.to_owned(),
        form: WebhookForm::Text,
        url,
        format: format.unwrap_or(WebhookFormat::Json),
        method: None,
        headers: Vec::new(),
        service: ServiceOptions::default(),
        body: None,
        filter: AlertFilter::default(),
        trust,
    }
}

pub fn read_format(option: &mut OptionReader<'_, '_>) -> Option<WebhookFormat> {
    option.choice(&WebhookFormat::ALL.map(|format| (format.name(), format)))
}

fn read_name(option: &mut OptionReader<'_, '_>) -> Option<String> {
    let entry = option.entry()?;
    let name = entry.text()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > limits::CHANNEL_NAME_BYTES || !name.bytes().all(is_plain) {
        let most = limits::CHANNEL_NAME_BYTES;
        entry.problem(format!(
            "name: expected 1 to {most} letters, digits or -_., found {name:?}"
        ));
        return None;
    }
    if TAKEN_NAMES.contains(&&*name) {
        entry.problem(format!(
            "name: {name:?} is the name of another channel or of an alert: choose another one"
        ));
        return None;
    }
    Some(name)
}

fn read_url(option: &mut OptionReader<'_, '_>) -> Option<Secret> {
    if option.entry().is_none() {
        let table = &option.table;
        table.problem("[[alert.webhook]] needs url = \"https://…\"");
        return None;
    }
    read_secret_address(option)
}

/// Placeholders, and options that do not go together.
fn check_templates(table: &mut TableReader<'_>, draft: &WebhookDraft) {
    let names = &WebhookConfig::PLACEHOLDERS;
    let url = draft.url.as_ref().map(Secret::reveal).unwrap_or_default();
    if let Some(entry) = table.get("url") {
        check_template(&entry, url, TemplatePlace::Url, names);
    }
    for header in table.get("headers").iter().flat_map(TableEntry::entries) {
        let of_name = |it: &&Header| it.name == header.key();
        if let Some(found) = draft.headers.iter().find(of_name) {
            check_template(&header, found.value.reveal(), TemplatePlace::Header, names);
        }
    }
    if let (Some(body), Some(entry)) = (&draft.body, table.get("body")) {
        let place = TemplatePlace::of_body(content_type(&draft.headers), body.reveal());
        check_template(&entry, body.reveal(), place, names);
        if table.get("format").is_some() {
            entry.problem("`body` is sent instead of what `format` makes: remove one of them");
        }
        if draft.method == Some(WebhookMethod::Get) {
            entry.problem("a GET has no body: remove `method`, or write method = \"POST\"");
        }
    } else if draft.method == Some(WebhookMethod::Get)
        && !TextTemplate::parse(url, TemplatePlace::Url, names)
            .is_ok_and(|url| names.iter().any(|name| url.uses(name)))
        && let Some(entry) = table.get("method")
    {
        let message = "a GET has no body, so the message must be in the URL: \
                       url = \"https://…?text={subject}\"";
        entry.remark(Severity::Problem, message.to_owned());
    }
}

/// Options beside `webhook` without a `webhook` that they are about.
pub fn check_options_beside(table: &mut TableReader<'_>, webhook: Option<&WebhookEntry>) {
    for (name, in_table) in [
        ("webhook_format", "format"),
        ("webhook_ca_file", "ca_file"),
        ("webhook_fingerprint", "fingerprint"),
    ] {
        let Some(entry) = table.get(name) else {
            continue;
        };
        let is_trust = name != "webhook_format";
        match webhook {
            None if is_trust && table.get("webhook").is_none() => {
                entry.problem(format!("`{name}` belongs to a `webhook`, which is not set"));
            }
            Some(WebhookEntry::Tables(_)) => entry.problem(format!(
                "`{name}` belongs to webhook = \"URL\": write `{in_table}` in the [[alert.webhook]]"
            )),
            Some(WebhookEntry::Address(url)) if is_trust && url.reveal().starts_with("http://") => {
                entry.problem(no_tls("write https:// in `webhook`"));
            }
            _ => {}
        }
    }
}

/// Prints the tables of webhooks.
pub fn print_webhooks(out: &mut String, webhooks: &[WebhookConfig]) {
    let tables = webhooks.iter().filter(|it| it.form == WebhookForm::Table);
    for webhook in tables {
        out.push_str("\n[[alert.webhook]]\n");
        print_options(out, &WEBHOOK_OPTIONS, webhook);
    }
}
