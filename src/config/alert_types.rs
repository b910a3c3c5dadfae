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
    pub filter: AlertFilter,
    pub trust: TrustSettings,
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
    /// Plain text with a title header, for ntfy.
    Text,
}

impl WebhookFormat {
    pub const ALL: [WebhookFormat; 2] = [WebhookFormat::Json, WebhookFormat::Text];

    pub fn name(self) -> &'static str {
        match self {
            WebhookFormat::Json => "json",
            WebhookFormat::Text => "text",
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
