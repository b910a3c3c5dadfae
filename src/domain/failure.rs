//! Failures of fetches and their causes.
//!
//! One vocabulary of causes for `/status`, metrics, mail, log and page: [`Cause`].

use std::fmt;
use std::time::Duration;

use super::text::escape_controls;

/// Why a fetch failed. Every failure has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The node's own clock cannot be right, so certificates cannot be judged; or it is not trusted,
    /// and the request contains the date.
    Clock,
    /// No route, no Wi-Fi.
    Network,
    Dns,
    /// Refused, unreachable, or reset before the head.
    Connect,
    Tls,
    Timeout,
    /// Head or body past the limit.
    TooLarge,
    /// Malformed or truncated HTTP, a bad coding, a reset in the body, 204 or 304 with
    /// nothing cached.
    Protocol,
    /// A loop, too many, or a target that is refused.
    Redirect,
    HttpStatus,
    RateLimited,
    /// Invalid JSON, or another format that the body is not of.
    NotJson,
    /// Not the declared schema, so that nothing could be read.
    Schema,
    /// A response of which no reading survived.
    Empty,
    /// Other sources give every key of the response already.
    DuplicateKey,
    /// The node cannot keep what the source needs: a token that cannot be written to its file.
    Storage,
    /// The OpenAPI file of the source's `[[api]]` cannot be used.
    Configuration,
}

impl Cause {
    pub const ALL: [Cause; 17] = [
        Cause::Clock,
        Cause::Network,
        Cause::Dns,
        Cause::Connect,
        Cause::Tls,
        Cause::Timeout,
        Cause::TooLarge,
        Cause::Protocol,
        Cause::Redirect,
        Cause::HttpStatus,
        Cause::RateLimited,
        Cause::NotJson,
        Cause::Schema,
        Cause::Empty,
        Cause::DuplicateKey,
        Cause::Storage,
        Cause::Configuration,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Cause::Clock => "clock",
            Cause::Network => "network",
            Cause::Dns => "dns",
            Cause::Connect => "connect",
            Cause::Tls => "tls",
            Cause::Timeout => "timeout",
            Cause::TooLarge => "too_large",
            Cause::Protocol => "protocol",
            Cause::Redirect => "redirect",
            Cause::HttpStatus => "http_status",
            Cause::RateLimited => "rate_limited",
            Cause::NotJson => "not_json",
            Cause::Schema => "schema",
            Cause::Empty => "empty",
            Cause::DuplicateKey => "duplicate_key",
            Cause::Storage => "storage",
            Cause::Configuration => "configuration",
        }
    }

    /// Whether an answer came and was no good, rather than none.
    pub fn is_unusable_response(self) -> bool {
        matches!(
            self,
            Cause::TooLarge | Cause::Protocol | Cause::NotJson | Cause::Schema | Cause::Empty
        )
    }

    /// Whether an answer came at all, good or bad.
    pub fn was_answered(self) -> bool {
        let never_came = matches!(
            self,
            Cause::Clock | Cause::Tls | Cause::Storage | Cause::Configuration
        ) || self.is_below_http();
        !never_came
    }

    /// Whether the failure lies below HTTP: no answer came back at all. When every source
    /// fails so, it is the node's own network.
    pub fn is_below_http(self) -> bool {
        matches!(
            self,
            Cause::Network | Cause::Dns | Cause::Connect | Cause::Timeout
        )
    }
}

/// A failed fetch: its cause, and one sentence for people. The sentence never holds a
/// secret, a query string or user-info of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    pub detail: String,
    /// A wait that the server asked for (`Retry-After`).
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// The detail may quote what a server sent, such as a field's name: it becomes one line.
    pub fn new(cause: Cause, detail: impl AsRef<str>) -> Failure {
        Failure {
            cause,
            detail: escape_controls(detail.as_ref()),
            retry_after: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.name(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sends_does_not_break_the_line_of_a_failure() {
        let failure = Failure::new(
            Cause::Empty,
            "the response has \t, a\r\nb, \u{202e}c\u{1b}[2J",
        );
        assert_eq!(
            failure.detail,
            r"the response has \t, a\r\nb, \u{202e}c\u{1b}[2J"
        );
    }
}
