//! What the response to a write request means, and what to do about it.
//!
//! Pure. InfluxDB 1 writes what it can of a request and answers 400 with "partial write: … dropped=N";
//! InfluxDB 2 answers 400 or 422.

use std::time::Duration;

use crate::domain::text::ellipsis;
use crate::limits;
use crate::sys::http_client::HttpResponse;

/// Result of a write request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteResult {
    Accepted,
    /// So many points are older than the database keeps any; the others are written.
    TooOld {
        points: u64,
        why: String,
    },
    /// At least one line is bad.
    Refused(String),
    /// The request has too many bytes.
    TooLarge,
    /// Nothing is known to be written, and the same may be accepted later.
    Failed {
        why: String,
        wait: Option<Duration>,
        /// What the server has taken before may be lost with it.
        is_outage: bool,
    },
}

/// The meaning of a response that is no redirect.
pub fn classify(response: &HttpResponse) -> WriteResult {
    let HttpResponse {
        status,
        body,
        is_html,
        retry_after,
        ..
    } = response;
    let (status, retry_after) = (*status, *retry_after);
    let said = message(body);
    let failed = |why: String| WriteResult::Failed {
        why,
        wait: retry_after,
        is_outage: status >= 500,
    };
    let with_message = |text: &str| match said.as_str() {
        "" => format!("HTTP {status}: {text}"),
        said => format!("HTTP {status}: {text}: {said}"),
    };
    match status {
        // No such server answers a write that it has taken with markup.
        200..=299 if *is_html || body.trim_start().starts_with('<') => failed(format!(
            "HTTP {status} with a web page: the path of `url` is not one that takes line protocol, or \
             a login page of the network answers"
        )),
        200..=299 => WriteResult::Accepted,
        400 | 422 => refused(said, status),
        401 => failed(with_message("the token, or user and password, are wrong")),
        403 => failed(with_message("the login may not write there")),
        404 => failed(with_message(
            "there is no such database or bucket, or the path of `url` is wrong",
        )),
        405 => failed(with_message(
            "the path of `url` is not one that takes line protocol",
        )),
        413 => WriteResult::TooLarge,
        429 | 503 => failed(with_message("it is busy")),
        _ => failed(with_message("it does not take the rows")),
    }
}

fn refused(said: String, status: u16) -> WriteResult {
    let lower = said.to_lowercase();
    let is_too_old = lower.contains("retention policy") || lower.contains("retention period");
    let number = |text: &str| -> Option<u64> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text.get(..digits)?.parse().ok()
    };
    let points = lower.split_once("dropped=").and_then(|it| number(it.1));
    let points = points.or_else(|| lower.split_once("dropped ").and_then(|it| number(it.1)));
    match points {
        Some(points) if is_too_old => WriteResult::TooOld { points, why: said },
        _ if lower.contains("database is required") => {
            WriteResult::Refused(format!("{said}: write ?db=NAME at the end of `url`"))
        }
        _ if said.is_empty() => WriteResult::Refused(format!("HTTP {status}")),
        _ => WriteResult::Refused(said),
    }
}

/// What a server says in a body of JSON (`error` in InfluxDB 1, `message` in InfluxDB 2) or text.
fn message(body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let of_json = json.as_ref().and_then(|json| {
        let text = json.get("message").or_else(|| json.get("error"))?;
        text.as_str()
    });
    ellipsis(of_json.unwrap_or(body).trim(), limits::REPLY_CHARS)
}

#[cfg(test)]
#[path = "tests/write_response.rs"]
mod tests;
