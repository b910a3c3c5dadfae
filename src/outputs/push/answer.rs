//! Answer of a receiver: accepted, refused or failed, and what to change.
//!
//! Pure.

use std::time::Duration;

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

/// The meaning of a response that is no redirect.
pub fn classify(response: &HttpResponse, is_awtrix: bool) -> PushAnswer {
    let status = response.status;
    // An error page says nothing in its first lines.
    let said = match response.shown_body() {
        body if body.is_empty() || body.starts_with('<') => String::new(),
        body => format!(" {body}"),
    };
    let what = |advice: &str| format!("HTTP {status}{said}{advice}");
    let advice = match status {
        200..=299 => return PushAnswer::Accepted(response.body.clone()),
        400 | 413 | 414 | 415 | 422 => return PushAnswer::Refused(what("")),
        // ErrorParsingJson
        500 if is_awtrix => return PushAnswer::Refused(what("")),
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
