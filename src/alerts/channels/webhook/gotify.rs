//! Format `gotify`: JSON for `/message`.

use super::format::{FormatInput, WebhookRequest};
use super::plain_text::{TextUnit, fit, unescaped};
use super::urgency::{Urgency, urgency};
use crate::domain::service_url::{path, with_path_end};
use crate::limits;

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    // Of the Android app: from 8 on it pops up, below 4 it makes no sound.
    let priority = match urgency(input) {
        Urgency::Critical => 8,
        Urgency::Warning => 5,
        Urgency::Info => 2,
        Urgency::Ended => 4,
    };
    let service = &input.settings.service;
    let body = serde_json::json!({
        "title": input.message.subject,
        "message": fit(
            &input.message.chat_text,
            limits::CHAT_MESSAGE_CHARS,
            TextUnit::Character,
            unescaped,
        ),
        "priority": service.priority.unwrap_or(priority),
        "extras": {
            "client::display": {"contentType": "text/plain"},
            "client::notification": {"click": {"url": input.page}},
        },
    });
    let url = input.url();
    let url = if path(url).trim_end_matches('/').ends_with("/message") {
        url.to_owned()
    } else {
        with_path_end(url, "/message")
    };
    let mut request = WebhookRequest::json(url, &body);
    if let Some(token) = &service.token {
        request.add_header("X-Gotify-Key", token.reveal());
    }
    request
}
