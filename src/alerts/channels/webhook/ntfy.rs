//! Format `ntfy`: the text as the body, title, priority, tags and link as headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::format::{FormatInput, WebhookRequest};
use super::plain_text::{TextUnit, fit, unescaped};
use super::urgency::{Urgency, urgency};
use crate::limits;

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    let urgency = urgency(input);
    let (priority, tag) = match urgency {
        Urgency::Critical => (5, "rotating_light"),
        Urgency::Warning => (4, "warning"),
        Urgency::Info => (3, "information_source"),
        Urgency::Ended => (3, "white_check_mark"),
    };
    let service = &input.settings.service;
    let priority = service.priority.unwrap_or(priority);
    let tags: Vec<&str> = [tag]
        .into_iter()
        .chain(service.tags.iter().map(String::as_str))
        .collect();
    let mut request = WebhookRequest::post(
        input.url().to_owned(),
        "text/plain; charset=utf-8",
        fit(
            &input.message.chat_text,
            limits::NTFY_MESSAGE_BYTES,
            TextUnit::Byte,
            unescaped,
        ),
    );
    request.add_header("Title", &header_text(&input.message.subject));
    request.add_header("Priority", &priority.to_string());
    request.add_header("Tags", &header_text(&tags.join(",")));
    request.add_header("Click", input.page);
    request.authorize(service);
    request
}

/// Bytes of text in one encoded word: it may have 75 characters (RFC 2047, section 2).
const ENCODED_WORD_BYTES: usize = 45;

/// A text in a header: what is not ASCII, or looks like an encoded word, as encoded words.
fn header_text(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("=?");
    if is_plain {
        return text.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > ENCODED_WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let words = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", BASE64.encode(word)));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values by Python's `email.header.Header(text, "utf-8").encode()` for short ones.
    #[test]
    fn a_title_outside_ascii_is_encoded() {
        for (text, expected) in [
            (
                "[main-node] Weather: no data",
                "[main-node] Weather: no data",
            ),
            ("Küche", "=?UTF-8?B?S8O8Y2hl?="),
            (
                "=?UTF-8?B?S8O8Y2hl?=",
                "=?UTF-8?B?PT9VVEYtOD9CP1M4TzhZMmhsPz0=?=",
            ),
        ] {
            assert_eq!(header_text(text), expected);
        }
        let long = header_text(&"ä".repeat(100));
        assert_eq!(long.split(' ').count(), 5);
        assert!(long.split(' ').all(|word| word.len() <= 75), "{long}");
    }
}
