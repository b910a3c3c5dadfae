//! Format `home_assistant`: JSON for an automation with a webhook as its trigger, or for an action
//! such as `notify`.

use super::format::{FormatInput, WebhookRequest};
use super::urgency::{Urgency, urgency};
use crate::domain::service_url::path;

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    let message = input.message;
    let mut body = serde_json::json!({
        "title": message.subject,
        "message": message.chat_text,
    });
    // Actions refuse fields that they do not know.
    if !path(input.url()).starts_with("/api/services/") {
        body["level"] = input.level.name().into();
        body["is_over"] = (urgency(input) == Urgency::Ended).into();
        body["node"] = input.node.into();
        body["page"] = input.page.into();
        body["id"] = input.message_id.into();
        let events = input.events.iter().map(|item| {
            let event = &item.event;
            let key = event.text.labelled.as_ref().map(|it| &it.key);
            serde_json::json!({
                "incident": event.incident,
                "alert": event.alert,
                "kind": event.kind.name(),
                "level": event.level.name(),
                "key": key,
            })
        });
        body["events"] = events.collect::<Vec<_>>().into();
    }
    let mut request = WebhookRequest::json(input.url().to_owned(), &body);
    request.authorize(&input.settings.service);
    request
}
