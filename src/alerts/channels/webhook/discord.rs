//! Format `discord`: JSON of a webhook of a channel.

use super::format::{FormatInput, WebhookRequest};
use super::plain_text::{TextUnit, fit};
use crate::domain::service_url::with_parameter;
use crate::limits;

/// The flag of a message that shows no previews of links.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    let title = format!("**{}**\n\n", escaped(&input.message.subject));
    let link = format!("\n\n{}", input.page);
    // Counted so that neither way of counting refuses it.
    let unit = TextUnit::Utf16Unit;
    let most = limits::DISCORD_CONTENT_CHARS.saturating_sub(unit.count(&title) + unit.count(&link));
    let text = fit(&input.message.chat_text, most, unit, escape);
    let body = serde_json::json!({
        "content": title + &text + &link,
        "allowed_mentions": {"parse": []},
        "flags": SUPPRESS_EMBEDS,
    });
    // Without `wait` the answer comes before the message is stored, and hides that it was not.
    let url = with_parameter(input.url(), "wait", "true");
    WebhookRequest::json(url, &body)
}

/// Takes the meaning of Markdown.
fn escape(previous: Option<char>, c: char, out: &mut String) {
    let is_mark = match c {
        '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '[' | ']' => true,
        '#' | '>' | '-' | '+' => previous.is_none_or(char::is_whitespace),
        _ => false,
    };
    if is_mark {
        out.push('\\');
    }
    out.push(c);
}

fn escaped(text: &str) -> String {
    let (mut escaped, mut previous) = (String::new(), None);
    for c in text.chars() {
        escape(previous, c, &mut escaped);
        previous = Some(c);
    }
    escaped
}
