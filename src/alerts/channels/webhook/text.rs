//! Format `text`: the plain text of the message, its title in a header.

use super::format::{FormatInput, WebhookRequest};

pub fn compose(input: &FormatInput<'_>) -> WebhookRequest {
    let url = input.url().to_owned();
    let text = input.message.text.clone();
    let mut request = WebhookRequest::post(url, "text/plain; charset=utf-8", text);
    request.add_header("Title", &input.message.subject);
    request.add_header("Click", input.page);
    request.authorize(&input.settings.service);
    request
}
