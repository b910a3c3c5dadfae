//! Values of the options that services of webhooks need: logins, chats, priorities, tags.

use toml::de::DeValue;

use crate::config::secret::Secret;
use crate::config::section::OptionReader;
use crate::limits;

/// A text that is never shown.
pub fn read_secret(option: &mut OptionReader<'_, '_>) -> Option<Secret> {
    let entry = option.entry()?;
    let secret = entry.secret()?;
    let text = secret.reveal();
    if text.is_empty() || text.chars().any(char::is_control) {
        entry.problem(format!(
            "{}: expected a text without line breaks and other control characters",
            option.name
        ));
        return None;
    }
    Some(secret)
}

/// A number, or a name such as `@channel`.
pub fn read_chat(option: &mut OptionReader<'_, '_>) -> Option<String> {
    let entry = option.entry()?;
    match entry.value() {
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::String(_) => entry.text(),
        _ => {
            entry.expected("the number of a chat, or a text");
            None
        }
    }
}

/// A whole number, which may be negative.
pub fn read_priority(option: &mut OptionReader<'_, '_>) -> Option<i64> {
    let entry = option.entry()?;
    let number = match entry.value() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    if number.is_none() {
        entry.expected("a whole number");
    }
    number
}

/// Texts without commas, which stand between them.
pub fn read_tags(option: &mut OptionReader<'_, '_>) -> Vec<String> {
    let Some(entry) = option.entry() else {
        return Vec::new();
    };
    let texts = entry.texts();
    if texts.len() > limits::WEBHOOK_TAGS {
        let (most, found) = (limits::WEBHOOK_TAGS, texts.len());
        entry.problem(format!("tags: expected at most {most}, found {found}"));
    }
    let mut tags = Vec::new();
    for (text, span) in texts {
        let is_tag = !text.is_empty()
            && text.len() <= limits::WEBHOOK_TAG_BYTES
            && !text.contains(|c: char| c == ',' || c.is_control());
        if !is_tag {
            let most = limits::WEBHOOK_TAG_BYTES;
            let message =
                format!("tags: expected texts of 1 to {most} bytes without commas, found {text:?}");
            option.reader().problem(&span, message);
        }
        tags.push(text);
    }
    tags
}
