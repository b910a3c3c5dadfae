//! `Retry-After` of responses: how long a server asks to wait (RFC 9110 §10.2.3).

use std::time::Duration;

use ureq::http::header::{self, HeaderMap, HeaderName};

use crate::domain::http_date;
use crate::domain::time::Wall;
use crate::limits;

/// How long the server asks to wait.
pub fn retry_after_of(headers: &HeaderMap, now: Wall) -> Option<Duration> {
    let text = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.map(str::trim)
    };
    let date = text(header::DATE).and_then(http_date::parse);
    text(header::RETRY_AFTER).and_then(|wait| retry_after(wait, date.unwrap_or(now)))
}

/// `Retry-After`: seconds, or a date beside the server's own `Date`.
fn retry_after(text: &str, server_now: Wall) -> Option<Duration> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().unwrap_or(u64::MAX);
        return (!text.is_empty())
            .then(|| Duration::from_secs(seconds).min(limits::MAX_RETRY_AFTER));
    }
    http_date::parse(text).map(|until| until.since(server_now).min(limits::MAX_RETRY_AFTER))
}
