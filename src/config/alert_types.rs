//! Alert channels of the configuration: webhooks, the ping and mail.
//!
//! Values.

use super::mail::MailConfig;
use super::request_types::Header;
use super::secret::Secret;
use crate::domain::alert_filter::AlertFilter;
use crate::sys::tls::TrustSettings;

/// Alert channels, and the page that alerts link to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notifications {
    pub mail: Option<MailConfig>,
    pub webhooks: Vec<WebhookConfig>,
    /// Dead man's switch, called once a minute.
    pub ping: Option<PingConfig>,
    /// URL of the node's page, for links in alerts.
    pub page: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The outbox stores it.
    pub name: String,
    pub form: WebhookForm,
    /// It may be a secret.
    pub url: Secret,
    pub format: WebhookFormat,
    /// Instead of that of the format.
    pub method: Option<WebhookMethod>,
    /// Besides those of the format, and instead of them.
    pub headers: Vec<Header>,
    pub service: ServiceOptions,
    /// A template, instead of the format.
    pub body: Option<Secret>,
    pub filter: AlertFilter,
    pub trust: TrustSettings,
}

/// What the services of webhooks need besides an address; each format uses some of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceOptions {
    pub token: Option<Secret>,
    /// A user name, or the key of a user, which is a secret.
    pub user: Option<Secret>,
    pub password: Option<Secret>,
    pub chat_id: Option<String>,
    /// Instead of that by the level of the alert.
    pub priority: Option<i64>,
    pub tags: Vec<String>,
}

impl WebhookConfig {
    /// Names of placeholders in `url`, `headers` and `body`.
    pub const PLACEHOLDERS: [&'static str; 9] = [
        "subject", "text", "kind", "level", "key", "value", "page", "node", "id",
    ];
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingConfig {
    pub form: WebhookForm,
    /// It may be a secret.
    pub url: Secret,
    /// Called while the node is not well.
    pub fail_url: Option<Secret>,
    pub method: WebhookMethod,
    pub headers: Vec<Header>,
    pub body: Option<Secret>,
    pub trust: TrustSettings,
}

impl PingConfig {
    /// Names of placeholders in URLs and body: whether all is well, what is wrong, the node, its page.
    pub const PLACEHOLDERS: [&'static str; 4] = ["ok", "text", "node", "page"];
}

/// How a webhook or the ping is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookForm {
    /// As a URL: `webhook = "URL"` with `webhook_format` and others beside it, `ping = "URL"`.
    Text,
    /// As a table: `[[alert.webhook]]`, `[alert.ping]`.
    Table,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    Json,
    /// Plain text with a title header.
    Text,
    Ntfy,
    Gotify,
    Slack,
    Discord,
    Telegram,
    Pushover,
    Apprise,
    HomeAssistant,
}

impl WebhookFormat {
    pub const ALL: [WebhookFormat; 10] = [
        WebhookFormat::Json,
        WebhookFormat::Text,
        WebhookFormat::Ntfy,
        WebhookFormat::Gotify,
        WebhookFormat::Slack,
        WebhookFormat::Discord,
        WebhookFormat::Telegram,
        WebhookFormat::Pushover,
        WebhookFormat::Apprise,
        WebhookFormat::HomeAssistant,
    ];

    pub fn name(self) -> &'static str {
        match self {
            WebhookFormat::Json => "json",
            WebhookFormat::Text => "text",
            WebhookFormat::Ntfy => "ntfy",
            WebhookFormat::Gotify => "gotify",
            WebhookFormat::Slack => "slack",
            WebhookFormat::Discord => "discord",
            WebhookFormat::Telegram => "telegram",
            WebhookFormat::Pushover => "pushover",
            WebhookFormat::Apprise => "apprise",
            WebhookFormat::HomeAssistant => "home_assistant",
        }
    }
}

/// HTTP method of a webhook or a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookMethod {
    Get,
    Post,
    Put,
}

impl WebhookMethod {
    pub const ALL: [WebhookMethod; 3] =
        [WebhookMethod::Get, WebhookMethod::Post, WebhookMethod::Put];

    pub fn name(self) -> &'static str {
        match self {
            WebhookMethod::Get => "GET",
            WebhookMethod::Post => "POST",
            WebhookMethod::Put => "PUT",
        }
    }
}

/// The configured `Content-Type`.
pub fn content_type(headers: &[Header]) -> Option<&str> {
    let mut headers = headers.iter();
    let header = headers.find(|it| it.name.eq_ignore_ascii_case("content-type"));
    header.map(|it| it.value.reveal())
}
