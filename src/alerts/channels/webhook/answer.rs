//! Answers to a webhook's request: delivered, refused, or to be tried again.
//!
//! Pure.

use std::time::Duration;

use ureq::http::Uri;

use crate::alerts::channels::Attempt;
use crate::alerts::url_mask::mask_url_parts;
use crate::limits;
use crate::sys::http_client::HttpResponse;
use crate::sys::redirect::describe_redirect;

/// What a message about an answer may name.
pub struct AnswerContext<'a> {
    pub url: &'a str,
    /// The option with the URL, and the one with the format.
    pub url_option: &'a str,
    pub format_option: &'a str,
    pub method: &'a str,
}

/// The result of a delivery by its HTTP status. A redirect is retried: captive portals send one
/// until their user has logged in.
pub fn classify(response: &HttpResponse, context: &AnswerContext<'_>) -> Attempt {
    let status = response.status;
    let body = match mask_url_parts(&response.shown_body(), context.url) {
        body if body.is_empty() => body,
        body => format!(" {body}"),
    };
    if let Ok(url) = context.url.parse::<Uri>()
        && let Some(why) = describe_redirect(response, &url, ("the webhook", context.url_option))
    {
        return Attempt::retry(why);
    }
    let AnswerContext {
        format_option,
        method,
        ..
    } = context;
    let advice = match status {
        200..=299 => return Attempt::default(),
        408 | 425 | 429 | 500.. | ..200 => {
            return Attempt {
                retry_after: wait_of(response),
                ..Attempt::retry(format!("the webhook responded with HTTP {status}{body}"))
            };
        }
        400 | 415 | 422 => {
            format!("the server cannot read the message: is `{format_option}` right?")
        }
        401 | 403 | 407 => "access denied: check the token or password".to_owned(),
        404 | 410 => "not found: check the address".to_owned(),
        405 => format!("{method} is not allowed: check the address"),
        413 | 414 | 431 => "the message is too large".to_owned(),
        _ => "check the address, and what the server accepts".to_owned(),
    };
    Attempt {
        refused: Some(format!(
            "the webhook refused the message: HTTP {status}{body} ({advice})"
        )),
        is_about_content: matches!(status, 400 | 413 | 414 | 415 | 422 | 431),
        ..Attempt::default()
    }
}

/// How long the server asks to wait: by its header, else as Discord and Telegram say it in JSON.
fn wait_of(response: &HttpResponse) -> Option<Duration> {
    response.retry_after.or_else(|| {
        let json: serde_json::Value = serde_json::from_str(&response.body).ok()?;
        let of_telegram = || json.pointer("/parameters/retry_after");
        let seconds = json.get("retry_after").or_else(of_telegram)?.as_f64()?;
        let wait = Duration::try_from_secs_f64(seconds).ok()?;
        Some(wait.min(limits::MAX_RETRY_AFTER))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(response: &HttpResponse) -> Attempt {
        let context = AnswerContext {
            url: "https://a.example/hook/s3cr3t",
            url_option: "url",
            format_option: "format",
            method: "POST",
        };
        classify(response, &context)
    }

    /// Content errors are marked, so that the batch is split.
    #[test]
    fn every_status_is_accepted_retried_or_refused() {
        for status in 100..=599 {
            let attempt = answer(&HttpResponse {
                status,
                body: "Cannot POST /hook/s3cr3t".to_owned(),
                ..HttpResponse::default()
            });
            let text = format!("{attempt:?}");
            assert!(!text.contains("s3cr3t"), "{text}");
            let is_refused = (400..500).contains(&status) && ![408, 425, 429].contains(&status);
            let is_accepted = (200..300).contains(&status);
            assert_eq!(attempt.refused.is_some(), is_refused, "{status}");
            assert_eq!(
                attempt.retry.is_some(),
                !is_refused && !is_accepted,
                "{status}"
            );
            assert_eq!(
                attempt.is_about_content,
                [400, 413, 414, 415, 422, 431].contains(&status),
                "{status}"
            );
        }
    }

    #[test]
    fn a_server_says_how_long_to_wait() {
        let second = Duration::from_secs;
        for (header, body, expected) in [
            (None, "", None),
            (Some(second(7)), "{\"retry_after\": 3}", Some(second(7))),
            (
                None,
                "{\"retry_after\": 3.5}",
                Some(Duration::from_millis(3500)),
            ),
            (
                None,
                "{\"ok\":false,\"parameters\":{\"retry_after\":30}}",
                Some(second(30)),
            ),
            (None, "{\"retry_after\": -1}", None),
            (None, "{\"retry_after\": 1e300}", None),
            (
                None,
                "{\"retry_after\": 9999999}",
                Some(limits::MAX_RETRY_AFTER),
            ),
            (None, "retry_after 3", None),
        ] {
            let found = answer(&HttpResponse {
                status: 429,
                body: body.to_owned(),
                retry_after: header,
                ..HttpResponse::default()
            });
            assert_eq!(found.retry_after, expected, "{body}");
        }
    }
}
