//! Format `apprise`: JSON for `/notify/KEY` of Apprise API, which passes it on.

use super::format::{FormatInput, WebhookRequest};
use super::plain_text::{TextUnit, defuse, fit, unescaped};
use super::urgency::{Urgency, urgency};
use crate::limits;

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    let kind = match urgency(input) {
        Urgency::Critical => "failure",
        Urgency::Warning => "warning",
        Urgency::Info => "info",
        Urgency::Ended => "success",
    };
    let link = format!("\n\n{}", input.page);
    let unit = TextUnit::Character;
    let most = limits::CHAT_MESSAGE_CHARS.saturating_sub(unit.count(&link));
    let text = fit(&defuse(&input.message.chat_text), most, unit, unescaped) + &link;
    let mut body = serde_json::json!({
        "title": defuse(&input.message.subject),
        "body": text,
        "type": kind,
        "format": "text",
    });
    let service = &input.settings.service;
    if !service.tags.is_empty() {
        // A comma: any of them.
        body["tag"] = service.tags.join(",").into();
    }
    let mut request = WebhookRequest::json(input.url().to_owned(), &body);
    request.authorize(service);
    request
}

/// 204 says that there is nobody to notify.
pub fn judge(status: u16) -> Option<String> {
    (status == 204).then(|| {
        "Apprise API has no configuration for the key at the end of the address".to_owned()
    })
}
