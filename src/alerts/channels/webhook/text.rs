//! Format `text`: the plain text of the message, its title in a header.

use ureq::http::Method;

use super::format::{FormatInput, WebhookRequest};

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    WebhookRequest {
        method: Method::POST,
        url: input.settings.url.reveal().to_owned(),
        headers: vec![
            header("Content-Type", "text/plain; charset=utf-8"),
            header("Title", &input.message.subject),
            header("Click", input.page),
        ],
        body: input.message.text.clone(),
    }
}
