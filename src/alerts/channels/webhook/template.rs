//! Requests by template: what fills the placeholders of a webhook's `body`, `url` and `headers`.

use super::format::{FormatInput, WebhookRequest};
use super::plain_text::{TextUnit, defuse, fit, unescaped};
use crate::config::{WebhookConfig, content_type};
use crate::domain::alert_event::AlertEvent;
use crate::domain::outbox::OutboxItem;
use crate::domain::template::{TemplatePlace, TemplateValue, TextTemplate};
use crate::limits;

/// What fills the placeholders of one message.
pub struct TemplateValues<'a> {
    input: &'a FormatInput<'a>,
    subject: String,
    text: String,
    /// For URLs and headers.
    short_text: String,
    event: Option<&'a AlertEvent>,
}

impl<'a> TemplateValues<'a> {
    pub fn new(input: &'a FormatInput<'a>) -> TemplateValues<'a> {
        let text = defuse(&input.message.chat_text);
        TemplateValues {
            input,
            // Most services of templates are chats.
            subject: defuse(&input.message.subject),
            short_text: fit(&text, limits::URL_TEXT_BYTES, TextUnit::Byte, unescaped),
            text,
            event: leading_event(input),
        }
    }

    /// The text with its placeholders filled; as it is where a placeholder has no place.
    pub fn fill(&self, text: &str, place: TemplatePlace) -> String {
        let input = self.input;
        let labelled = self.event.and_then(|it| it.text.labelled.as_ref());
        let key = labelled.map_or("", |it| &it.key);
        let text_value = |text: &'a str| match text {
            "" => TemplateValue::Absent,
            text => TemplateValue::Text(text),
        };
        let message = match place {
            TemplatePlace::Url | TemplatePlace::Header => &self.short_text,
            _ => &self.text,
        };
        let values = [
            ("subject", TemplateValue::Text(&self.subject)),
            ("text", TemplateValue::Text(message)),
            (
                "kind",
                text_value(self.event.map_or("", |it| it.kind.name())),
            ),
            ("level", TemplateValue::Text(input.level.name())),
            ("key", text_value(key)),
            ("value", TemplateValue::parse(self.value())),
            ("page", TemplateValue::Text(input.page)),
            ("node", TemplateValue::Text(input.node)),
            ("id", TemplateValue::Text(input.message_id)),
        ];
        match TextTemplate::parse(text, place, &WebhookConfig::PLACEHOLDERS) {
            Ok(template) => template.fill(&values),
            Err(_) => text.to_owned(),
        }
    }

    /// The value of the key, as it was when the alert began; else the last good one.
    fn value(&self) -> &'a str {
        let Some(event) = self.event else {
            return "";
        };
        let Some(labelled) = &event.text.labelled else {
            return "";
        };
        if !labelled.value.is_empty() {
            return &labelled.value;
        }
        let mut last_good = event.last_good.iter();
        let last_good = last_good.find(|it| it.key == labelled.key);
        last_good.map_or("", |it| &it.value)
    }
}

/// The newest event of the most urgent incident that is open, else the last of all.
fn leading_event<'a>(input: &FormatInput<'a>) -> Option<&'a AlertEvent> {
    let is_closed = |item: &&OutboxItem| {
        let mut events = input.events.iter().map(|it| &it.event);
        events.any(|it| it.incident == item.event.incident && it.kind.closes())
    };
    let open = input.events.iter().filter(|it| !is_closed(it));
    let leading = open.max_by_key(|it| it.event.level).or(input.events.last());
    leading.map(|item| &item.event)
}

/// A request with a body of the configuration's own.
pub fn compose(input: &FormatInput<'_>, body: &str) -> WebhookRequest {
    let configured = content_type(&input.settings.headers);
    let place = TemplatePlace::of_body(configured, body);
    let mut request = WebhookRequest::post(
        input.url().to_owned(),
        place.content_type(),
        TemplateValues::new(input).fill(body, place),
    );
    request.authorize(&input.settings.service);
    request
}
