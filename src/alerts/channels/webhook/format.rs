//! Formats of webhooks: the request that each makes of a message, and what its server's answer says.

use ureq::http::Method;

use super::{json, text};
use crate::alerts::channels::DeliveryBatch;
use crate::alerts::message::{Message, SenderInfo};
use crate::config::{WebhookConfig, WebhookFormat};
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

/// The request of a message.
pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    match input.settings.format {
        WebhookFormat::Json => json::compose(input),
        WebhookFormat::Text => text::compose(input),
    }
}

/// Why a server did not accept a message though its status is 2xx, by the body of its answer.
pub fn judge(format: WebhookFormat, _body: &str) -> Option<String> {
    match format {
        WebhookFormat::Json | WebhookFormat::Text => None,
    }
}
