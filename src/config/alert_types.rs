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
    /// URL of a dead man's switch, called once a minute.
    pub ping: Option<Secret>,
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

/// How a webhook is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookForm {
    /// `webhook = "URL"`, with `webhook_format` and others beside it.
    Text,
    /// `[[alert.webhook]]`
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
