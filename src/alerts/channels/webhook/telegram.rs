//! Format `telegram`: JSON for `sendMessage` of the Bot API, without markup.

use super::format::{FormatInput, WebhookRequest};
use super::plain_text::{TextUnit, defuse, fit, unescaped};
use super::urgency::{Urgency, urgency};
use crate::domain::service_url::{path, with_path_end};
use crate::limits;

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    let text = format!("{}\n\n{}", input.message.subject, input.message.chat_text);
    let link = format!("\n\n{}", input.page);
    let unit = TextUnit::Utf16Unit;
    let most = limits::TELEGRAM_TEXT_UNITS.saturating_sub(unit.count(&link));
    let mut body = serde_json::json!({
        "text": fit(&defuse(&text), most, unit, unescaped) + &link,
        "link_preview_options": {"is_disabled": true},
        "disable_notification": urgency(input) == Urgency::Info,
    });
    let service = &input.settings.service;
    if let Some(chat) = &service.chat_id {
        body["chat_id"] = match chat.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => chat.as_str().into(),
        };
    }
    WebhookRequest::json(request_url(input), &body)
}

/// The URL may be that of the service, of the bot, or of the method.
fn request_url(input: &FormatInput<'_>) -> String {
    let url = input.url();
    let path = path(url).trim_end_matches('/');
    match &input.settings.service.token {
        _ if path.ends_with("/sendMessage") => url.to_owned(),
        Some(token) => with_path_end(url, &format!("/bot{}/sendMessage", token.reveal())),
        None => with_path_end(url, "/sendMessage"),
    }
}

/// Proxies of the Bot API answer 200 with `"ok": false`.
pub fn judge(body: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    (answer["ok"] == false).then(|| {
        let why = answer["description"].as_str();
        why.unwrap_or("without a reason").to_owned()
    })
}
