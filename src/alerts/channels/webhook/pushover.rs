//! Format `pushover`: JSON for `/1/messages.json`.

use super::format::{FormatInput, WebhookRequest};
use super::plain_text::{TextUnit, fit, unescaped};
use super::urgency::{Urgency, urgency};
use crate::domain::service_url::{path, with_path_end};
use crate::limits;

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    // 1 passes quiet hours, -1 makes no sound. 2 would repeat until somebody confirms it.
    let priority = match urgency(input) {
        Urgency::Critical => 1,
        Urgency::Warning | Urgency::Ended => 0,
        Urgency::Info => -1,
    };
    let service = &input.settings.service;
    let unit = TextUnit::Character;
    let mut body = serde_json::json!({
        "title": fit(&input.message.subject, limits::PUSHOVER_TITLE_CHARS, unit, unescaped),
        "message": fit(&input.message.chat_text, limits::PUSHOVER_MESSAGE_CHARS, unit, unescaped),
        "priority": service.priority.unwrap_or(priority),
    });
    if input.page.chars().count() <= limits::PUSHOVER_URL_CHARS {
        body["url"] = input.page.into();
    }
    if let Some(token) = &service.token {
        body["token"] = token.reveal().into();
    }
    if let Some(user) = &service.user {
        body["user"] = user.reveal().into();
    }
    let url = input.url();
    let url = if matches!(path(url), "" | "/") {
        with_path_end(url, "/1/messages.json")
    } else {
        url.to_owned()
    };
    WebhookRequest::json(url, &body)
}

pub fn judge(body: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    let status = answer.get("status")?;
    (*status != 1).then(|| {
        let errors = answer["errors"].as_array();
        let errors = errors
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_str);
        match errors.collect::<Vec<_>>().join(", ") {
            why if why.is_empty() => "without a reason".to_owned(),
            why => why,
        }
    })
}
