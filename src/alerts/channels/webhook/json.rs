//! Format `json`: the message with all facts of its events, for programs.

use super::format::{FormatInput, WebhookRequest};
use crate::domain::alert_event::{AlertEvent, WallStamp};

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    let events = input.events.iter().map(|item| event(&item.event));
    let body = serde_json::json!({
        "id": input.message_id,
        "node": input.node,
        "subject": input.message.subject,
        "text": input.message.text,
        "page": input.page,
        "level": input.level.name(),
        "events": events.collect::<Vec<serde_json::Value>>(),
    });
    let mut request = WebhookRequest::json(input.url().to_owned(), &body);
    request.authorize(&input.settings.service);
    request
}

fn event(event: &AlertEvent) -> serde_json::Value {
    let labelled = event.text.labelled.as_ref();
    let time = |stamp: WallStamp| stamp.is_trusted.then(|| stamp.wall().to_string());
    serde_json::json!({
        "incident": event.incident,
        "alert": event.alert,
        "kind": event.kind.name(),
        "level": event.level.name(),
        "at": time(event.at),
        "since": time(event.since),
        "lasted_s": event.lasted_ms / 1000,
        "about": event.text.about,
        "trouble": event.text.problem,
        "cause": event.text.cause_name,
        "detail": event.text.detail,
        "key": labelled.map(|it| &it.key),
        "label": labelled.map(|it| &it.about),
    })
}
