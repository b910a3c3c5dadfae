//! What went wrong with a request, as RFC 9457 says it.
//!
//! Values; any thread.

use serde::Serialize;
use std::borrow::Cow;

use super::answer::{Answer, Request};
use super::entity::weights;

/// An error for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    /// What was expected, what was found, what to change.
    pub detail: String,
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    pub fn new(status: u16, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            detail: detail.into(),
            headers: Vec::new(),
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Problem {
        self.headers.push((name, value.into()));
        self
    }

    /// As `application/problem+json`.
    pub fn answer(&self) -> Answer {
        let body = Body {
            r#type: "about:blank",
            title: title(self.status),
            status: self.status,
            detail: &self.detail,
        };
        // Strings and a number always serialise.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut headers = vec![
            ("Content-Type", "application/problem+json".into()),
            ("Cache-Control", "no-store".into()),
            ("X-Content-Type-Options", "nosniff".into()),
        ];
        headers.extend(self.headers.iter().cloned());
        Answer {
            status: self.status,
            headers,
            body: body.into(),
        }
    }
}

/// The reason phrase of a status, for titles.
pub fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

/// What the gate says when it refuses a request; `request` if one could be read.
pub fn refusal(status: u16) -> Problem {
    let detail = match status {
        400 => "This is not a request that HTTP/1.1 allows.",
        403 => {
            "This node does not answer to this network; `allow` in main-node.toml names those it does."
        }
        405 => "This node is read-only: it takes GET and HEAD.",
        408 => "The request did not come to its end in time.",
        413 => "This node takes no request body.",
        414 => "The address of the request is too long.",
        429 => "Too many connections from this address; close some.",
        431 => "The request's header fields are too large.",
        503 => "This node has as much to do as it can bear. Ask again in a moment.",
        504 => "The answer took too long to make.",
        505 => "This node speaks HTTP/1.0 and HTTP/1.1.",
        500 => "Something went wrong in this node; its log says more.",
        _ => "The request cannot be answered.",
    };
    let problem = Problem::new(status, detail);
    match status {
        429 | 503 => problem.with("Retry-After", "1"),
        _ => problem,
    }
}

/// Whether the client would rather have a page than JSON.
pub fn prefers_html(request: &Request) -> bool {
    let members = [
        "text/html",
        "application/json",
        "application/problem+json",
        "*/*",
        "application/*",
    ];
    let [html, json, problem, any, application] =
        weights(request, "accept", members).map(Option::unwrap_or_default);
    html > json.max(problem) && html >= any.max(application)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{header, request};
    use super::*;

    #[test]
    fn browsers_get_a_page_and_programs_json() {
        for (accept, expected) in [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
                true,
            ),
            (Some("text/html"), true),
            (Some("text/html;q=0.5, application/json"), false),
            (Some("text/html;q=0"), false),
        ] {
            let headers: Vec<_> = accept.map(|field| ("accept", field)).into_iter().collect();
            assert_eq!(
                prefers_html(&request("/", &headers)),
                expected,
                "{accept:?}"
            );
        }
    }

    #[test]
    fn a_refusal_says_what_would_be_taken() {
        let answer = refusal(405).answer();
        assert_eq!(
            header(&answer, "Content-Type"),
            Some("application/problem+json")
        );
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(body["status"].as_u64(), Some(405));
        assert_eq!(body["title"], "Method Not Allowed");
    }
}
