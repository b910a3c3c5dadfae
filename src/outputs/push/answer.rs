//! Answer of a receiver: accepted, refused or failed, and what to change.
//!
//! Pure.

use std::time::Duration;

use crate::domain::redact::without_secrets;
use crate::sys::http_client::HttpResponse;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushAnswer {
    /// With the begin of the body.
    Accepted(String),
    /// This message; others may be right.
    Refused(String),
    /// The receiver answers, and takes nothing now; how long it asks to wait.
    Failed(String, Option<Duration>),
    /// There was no answer.
    Unreachable(String),
}

impl PushAnswer {
    pub fn text(&self) -> &str {
        match self {
            PushAnswer::Accepted(text)
            | PushAnswer::Refused(text)
            | PushAnswer::Failed(text, _)
            | PushAnswer::Unreachable(text) => text,
        }
    }
}

/// A redirect is not followed: the request may hold secrets.
pub fn classify(response: &HttpResponse, is_awtrix: bool) -> PushAnswer {
    let status = response.status;
    // An error page says nothing in its first lines.
    let said = match response.shown_body() {
        body if body.is_empty() || body.starts_with('<') => String::new(),
        body => format!(" {body}"),
    };
    let what = |advice: &str| format!("HTTP {status}{said}{advice}");
    if let (300..=399, Some(location)) = (status, &response.location) {
        let why = what(&format!(
            " leads to {}, and redirects are not followed: write the final address in `url`",
            without_secrets(location)
        ));
        return PushAnswer::Failed(why, None);
    }
    let advice = match status {
        200..=299 => return PushAnswer::Accepted(response.body.clone()),
        400 | 413 | 414 | 415 | 422 => return PushAnswer::Refused(what("")),
        // ErrorParsingJson
        500 if is_awtrix => return PushAnswer::Refused(what("")),
        300..=399 => "; redirects are not followed: write the final address in `url`",
        401 | 403 | 407 => "; are `user` and `password` right?",
        404 | 405 | 410 if is_awtrix => {
            "; there is no HTTP API of AWTRIX 3 at this address: is `url` right? AWTRIX 2 and AWTRIX NG have \
             other APIs"
        }
        404 | 405 | 410 => "; are `url` and `method` right?",
        _ => "",
    };
    PushAnswer::Failed(what(advice), response.retry_after)
}
