//! Formats of webhooks: the request that each makes of a message, and what its server's answer says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ureq::http::Method;

use super::{
    apprise, discord, gotify, home_assistant, json, ntfy, pushover, slack, telegram, template, text,
};
use crate::alerts::channels::DeliveryBatch;
use crate::alerts::message::{Message, SenderInfo};
use crate::config::{ServiceOptions, WebhookConfig, WebhookFormat};
use crate::domain::alert_level::AlertLevel;
use crate::domain::outbox::OutboxItem;

/// What a format makes a request of.
pub struct FormatInput<'a> {
    pub settings: &'a WebhookConfig,
    pub message: &'a Message,
    pub events: &'a [OutboxItem],
    /// A resend of the same message has the same.
    pub message_id: &'a str,
    pub node: &'a str,
    /// The node's page.
    pub page: &'a str,
    /// The highest of the incidents that are open, else of all.
    pub level: AlertLevel,
}

impl<'a> FormatInput<'a> {
    pub fn new(
        settings: &'a WebhookConfig,
        message: &'a Message,
        batch: &'a DeliveryBatch<'_>,
        sender: &'a SenderInfo,
        page: &'a str,
    ) -> FormatInput<'a> {
        FormatInput {
            settings,
            message,
            events: batch.items,
            message_id: batch.message_id,
            node: &sender.node,
            page,
            level: level_of(batch.items),
        }
    }

    pub fn url(&self) -> &'a str {
        self.settings.url.reveal()
    }
}

/// The level of a message.
fn level_of(items: &[OutboxItem]) -> AlertLevel {
    let closed: Vec<u64> = items
        .iter()
        .filter(|item| item.event.kind.closes())
        .map(|item| item.event.incident)
        .collect();
    let open = items
        .iter()
        .filter(|item| !closed.contains(&item.event.incident));
    let open = open.map(|item| item.event.level).max();
    let all = items.iter().map(|item| item.event.level).max();
    open.or(all).unwrap_or_default()
}

/// A request, before the headers of the configuration are added.
pub struct WebhookRequest {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl WebhookRequest {
    pub fn post(url: String, content_type: &str, body: String) -> WebhookRequest {
        WebhookRequest {
            method: Method::POST,
            url,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body,
        }
    }

    pub fn json(url: String, body: &serde_json::Value) -> WebhookRequest {
        WebhookRequest::post(url, "application/json", body.to_string())
    }

    pub fn add_header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Adds the token, or user and password, as `Authorization`.
    pub fn authorize(&mut self, service: &ServiceOptions) {
        let value = match (&service.token, &service.user, &service.password) {
            (Some(token), ..) => format!("Bearer {}", token.reveal()),
            (None, Some(user), Some(password)) => {
                let login = format!("{}:{}", user.reveal(), password.reveal());
                format!("Basic {}", BASE64.encode(login))
            }
            _ => return,
        };
        self.add_header("Authorization", &value);
    }
}

/// The request of a message.
pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    if let Some(body) = &input.settings.body {
        return template::compose(input, body.reveal());
    }
    match input.settings.format {
        WebhookFormat::Json => json::compose(input),
        WebhookFormat::Text => text::compose(input),
        WebhookFormat::Ntfy => ntfy::compose(input),
        WebhookFormat::Gotify => gotify::compose(input),
        WebhookFormat::Slack => slack::compose(input),
        WebhookFormat::Discord => discord::compose(input),
        WebhookFormat::Telegram => telegram::compose(input),
        WebhookFormat::Pushover => pushover::compose(input),
        WebhookFormat::Apprise => apprise::compose(input),
        WebhookFormat::HomeAssistant => home_assistant::compose(input),
    }
}

/// Why a server did not accept a message though its status is 2xx.
pub fn judge(format: WebhookFormat, status: u16, body: &str) -> Option<String> {
    match format {
        WebhookFormat::Slack => slack::judge(body),
        WebhookFormat::Telegram => telegram::judge(body),
        WebhookFormat::Pushover => pushover::judge(body),
        WebhookFormat::Apprise => apprise::judge(status),
        // These say it with the status.
        WebhookFormat::Json
        | WebhookFormat::Text
        | WebhookFormat::Ntfy
        | WebhookFormat::Gotify
        | WebhookFormat::Discord
        | WebhookFormat::HomeAssistant => None,
    }
}

#[cfg(test)]
#[path = "tests/format.rs"]
mod tests;
