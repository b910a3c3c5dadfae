//! Format `slack`: JSON of an incoming webhook, which Mattermost and others take as well.

use super::format::{FormatInput, WebhookRequest};
use super::plain_text::{TextUnit, defuse, fit};
use crate::limits;

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    let text = format!("{}\n\n{}", input.message.subject, input.message.chat_text);
    let link = format!("\n\n{}", escaped(input.page));
    let most = limits::SLACK_TEXT_CHARS.saturating_sub(link.chars().count());
    let text = fit(&defuse(&text), most, TextUnit::Character, escape) + &link;
    // `mrkdwn`: no markup.
    let body = serde_json::json!({"text": text, "mrkdwn": false});
    let mut request = WebhookRequest::json(input.url().to_owned(), &body);
    request.authorize(&input.settings.service);
    request
}

/// `chat.postMessage` and those that take the same form answer 200 with `"ok": false`.
pub fn judge(body: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    let is_refused = answer["ok"] == false || answer["success"] == false;
    is_refused.then(|| {
        let why = answer["error"].as_str();
        why.unwrap_or("without a reason").to_owned()
    })
}

fn escape(_: Option<char>, c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        escape(None, c, &mut escaped);
    }
    escaped
}
