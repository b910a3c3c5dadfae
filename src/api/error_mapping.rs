//! Error mapping: every error of a fetch to one cause and one message.
//!
//! Pure. Messages hold only what is known to be harmless (host names, sizes, times,
//! certificate names), never a library's own text, which may contain a URL with its query.

use std::io;
use std::time::Duration;

use ureq::{Error, Timeout};

use super::certificate_errors::classify_tls;
use super::connect_error::ConnectError;
use super::error_context::{ErrorContext, ResponsePart};
use super::response_head::FramingError;
use super::status_errors::{AccessDenial, PROXY_LOGIN, classify_status, reason_phrase};
use crate::domain::failure::{Cause, Failure};
use crate::domain::text::{format_binary_size, human_duration};
use crate::limits;

/// The cause of an error of ureq's; `None` if the node is stopping.
pub fn classify_error(error: &Error, context: ErrorContext) -> Option<Failure> {
    let host = context.host;
    let fail = |cause, detail: String| Some(Failure::new(cause, detail));
    match error {
        Error::Other(inner) => {
            if let Some(error) = inner.downcast_ref::<ConnectError>() {
                classify_connect_error(error, context)
            } else if let Some(error) = inner.downcast_ref::<FramingError>() {
                fail(Cause::Protocol, describe_framing_error(error, host))
            } else {
                fail(
                    Cause::Connect,
                    format!("connection to {host}: unexpected error"),
                )
            }
        }
        Error::Io(error) => Some(classify_io(error, context)),
        Error::Timeout(which) => Some(classify_timeout(*which, context)),
        Error::HostNotFound => fail(Cause::Dns, unknown_host(host)),
        Error::BodyExceedsLimit(_) => Some(body_too_large(context)),
        Error::LargeResponseHeader(..) => fail(
            Cause::TooLarge,
            format!(
                "{host} sent response headers of more than {}",
                format_binary_size(limits::RESPONSE_HEAD_BYTES as u64)
            ),
        ),
        Error::Protocol(error) => Some(classify_protocol(error, host)),
        Error::Rustls(error) => Some(classify_tls(error, context)),
        Error::Tls(_) | Error::Pem(_) | Error::TlsRequired => {
            fail(Cause::Tls, format!("TLS connection to {host} failed"))
        }
        Error::StatusCode(code) => {
            Some(classify_status(*code, host, None, &AccessDenial::default()))
        }
        Error::ConnectProxyFailed(reason) => Some(classify_proxy(reason, host)),
        Error::InvalidProxyUrl => fail(
            Cause::Connect,
            "the configured proxy is not a valid URL".to_owned(),
        ),
        Error::ConnectionFailed => fail(Cause::Connect, format!("connection to {host} failed")),
        Error::TooManyRedirects | Error::RedirectFailed => {
            fail(Cause::Redirect, format!("invalid redirect from {host}"))
        }
        Error::BadUri(_) | Error::Http(_) | Error::RequireHttpsOnly(_) => fail(
            Cause::Protocol,
            "this source's URL, parameters or headers do not make a valid request".to_owned(),
        ),
        Error::BodyStalled => fail(Cause::Protocol, truncated_body(host)),
        // The enum is non-exhaustive.
        _ => fail(
            Cause::Protocol,
            format!("request to {host}: unexpected error"),
        ),
    }
}

/// ureq's text contains the proxy's status; the rest may contain secrets.
fn classify_proxy(reason: &str, host: &str) -> Failure {
    let status = reason
        .split(|c: char| !c.is_ascii_digit())
        .find_map(|digits| digits.parse().ok().filter(|code| *code >= 100));
    let detail = match status {
        Some(407) => PROXY_LOGIN.to_owned(),
        Some(code @ 500..=599) => format!(
            "the proxy answers {code}{} to a connection to {host}: it cannot reach that host",
            reason_phrase(code)
        ),
        Some(code) => format!(
            "the proxy answers {code}{} to a connection to {host}: does it allow that host and \
             port?",
            reason_phrase(code)
        ),
        None => format!("the proxy could not connect to {host}"),
    };
    Failure::new(Cause::Connect, detail)
}

fn classify_connect_error(error: &ConnectError, context: ErrorContext) -> Option<Failure> {
    let host = context.host;
    let failure = match error {
        ConnectError::Stopped => return None,
        ConnectError::Lookup(error) => {
            // Only the text of getaddrinfo distinguishes an unknown name from a silent server;
            // glibc and musl differ.
            let text = error.to_string();
            let silent = ["emporary failure", "Try again"];
            let is_silent = silent.iter().any(|part| text.contains(part));
            let detail = if is_silent {
                format!(
                    "cannot resolve {host}: no DNS server answers; is the network or the router \
                     down?"
                )
            } else {
                unknown_host(host)
            };
            Failure::new(Cause::Dns, detail)
        }
        ConnectError::LookupTimeout => Failure::new(
            Cause::Dns,
            format!("resolving {host} timed out: no DNS server answered"),
        ),
        ConnectError::NoAddress(why) => {
            Failure::new(Cause::Dns, format!("cannot resolve {host}: {why}"))
        }
        ConnectError::Connect(error) => classify_connect_io(error, host),
        ConnectError::ConnectTimeout => Failure::new(
            Cause::Timeout,
            format!("connecting to {host} timed out; is it switched on?"),
        ),
        ConnectError::PrivateAddress => Failure::new(Cause::Redirect, redirect_to_private(host)),
        ConnectError::OtherMachine => {
            Failure::new(Cause::Redirect, redirect_to_other_machine(host))
        }
    };
    Some(failure)
}

/// A redirect by a public server to a private address.
pub fn redirect_to_private(host: &str) -> String {
    format!(
        "the server redirects to {host}, an address inside this network: redirects from outside \
         are not followed there; if it is right, write that address in this source"
    )
}

/// A redirect by a private server to another machine.
pub fn redirect_to_other_machine(host: &str) -> String {
    format!(
        "the server redirects to {host}, which is another machine: redirects from inside this \
         network are followed on the same machine only; if it is right, write that address in this \
         source"
    )
}

fn unknown_host(host: &str) -> String {
    format!("cannot resolve {host}: no such host; is the name right?")
}

fn classify_connect_io(error: &io::Error, host: &str) -> Failure {
    use io::ErrorKind::*;
    let (cause, detail) = match error.kind() {
        ConnectionRefused => (
            Cause::Connect,
            format!("{host} refused the connection; is the service running there?"),
        ),
        HostUnreachable => (
            Cause::Connect,
            format!("{host} is unreachable; is it switched on?"),
        ),
        NetworkUnreachable | NetworkDown | AddrNotAvailable => (
            Cause::Network,
            format!("no route to {host}; is this node's network up?"),
        ),
        PermissionDenied => (
            Cause::Connect,
            format!("a firewall on this node blocks connections to {host}"),
        ),
        ConnectionReset | ConnectionAborted => (Cause::Connect, connection_closed(host)),
        _ => (
            Cause::Network,
            format!("could not open a connection to {host}"),
        ),
    };
    Failure::new(cause, detail)
}

fn classify_io(error: &io::Error, context: ErrorContext) -> Failure {
    use io::ErrorKind::*;
    let host = context.host;
    if let Some(error) = inner_tls_error(error) {
        return classify_tls(error, context);
    }
    match (context.part, error.kind()) {
        (_, TimedOut | WouldBlock) => classify_timeout(Timeout::Global, context),
        (_, NetworkUnreachable | NetworkDown | HostUnreachable) => classify_connect_io(error, host),
        (ResponsePart::Head, _) => Failure::new(Cause::Connect, connection_closed(host)),
        (ResponsePart::Body, _) => Failure::new(Cause::Protocol, truncated_body(host)),
    }
}

/// The error of TLS that an error of ureq's is or contains.
pub fn tls_error(error: &Error) -> Option<&rustls::Error> {
    match error {
        Error::Rustls(error) => Some(error),
        Error::Io(error) => inner_tls_error(error),
        _ => None,
    }
}

fn inner_tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn connection_closed(host: &str) -> String {
    format!("{host} closed the connection without a response")
}

pub fn truncated_body(host: &str) -> String {
    format!("the response of {host} ended early")
}

fn classify_timeout(which: Timeout, context: ErrorContext) -> Failure {
    let host = context.host;
    let detail = match (which, context.part) {
        (Timeout::Resolve, _) => {
            let detail = format!("resolving {host} timed out: no DNS server answered");
            return Failure::new(Cause::Dns, detail);
        }
        // TCP has an error of its own: this is TLS or a proxy.
        (Timeout::Connect, _) => {
            format!("the TLS connection to {host} timed out; does it speak TLS on that port?")
        }
        (_, ResponsePart::Head) => format!(
            "{host} did not respond within {}",
            format_timeout(context.timeout)
        ),
        (_, ResponsePart::Body) => format!(
            "the response of {host} was not complete within {}",
            format_timeout(context.timeout)
        ),
    };
    Failure::new(Cause::Timeout, detail)
}

/// A timeout for a message; tests use some shorter than a second.
fn format_timeout(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        _ => human_duration(duration),
    }
}

pub fn body_too_large(context: ErrorContext) -> Failure {
    let limit = format_binary_size(context.body_limit);
    Failure::new(
        Cause::TooLarge,
        format!("the response of {} is larger than {limit}", context.host),
    )
}

/// ureq does not export the type of its protocol errors, but shows the variant's name.
fn classify_protocol(error: &impl std::fmt::Debug, host: &str) -> Failure {
    let variant = variant_name(error);
    let detail = match variant.as_str() {
        "HttpParseTooManyHeaders" => {
            let detail = format!("{host} sent more headers than a response may have");
            return Failure::new(Cause::TooLarge, detail);
        }
        "HttpParseFail" | "UnsupportedVersion" | "BadHeader" | "HeadersWith100" => {
            format!("{host} does not send HTTP")
        }
        "TooManyContentLengthHeaders" | "BadContentLengthHeader" | "ConflictingBodyHeaders" => {
            format!("{host} sends conflicting Content-Length headers")
        }
        "ChunkLenNotAscii" | "ChunkLenNotANumber" | "ChunkExpectedCrLf" => {
            format!("the response of {host} has an invalid chunk length")
        }
        "NoLocationHeader" | "BadLocationHeader" => {
            let detail = format!("invalid redirect from {host}: no Location");
            return Failure::new(Cause::Redirect, detail);
        }
        "TooManyHostHeaders" | "BadHostHeader" | "BadAuthorizationHeader" | "OutputOverflow" => {
            "this source's URL, parameters or headers do not make a valid request".to_owned()
        }
        _ => format!("{host} violates HTTP"),
    };
    Failure::new(Cause::Protocol, detail)
}

fn describe_framing_error(error: &FramingError, host: &str) -> String {
    match error {
        FramingError::NotHttp(found) => format!(
            "{host} does not send HTTP: expected a status line such as \"HTTP/1.1 200 OK\", found \
             \"{found}\""
        ),
        FramingError::Tls => {
            format!("{host} speaks TLS on that port: try https:// instead of http://")
        }
        FramingError::BadLength(found) => format!(
            "{host} sends an invalid Content-Length: expected a number of bytes, found \"{found}\""
        ),
        FramingError::DifferentLengths(one, other) => {
            format!("{host} sends conflicting Content-Length headers: {one} and {other}")
        }
        FramingError::TooManyInterim => format!(
            "{host} sent more than {} interim responses (status 1xx) before its response",
            limits::INTERIM_RESPONSES
        ),
        FramingError::LongChunkLine => format!(
            "the response of {host} has an invalid chunk: more than {} KiB beside its data",
            limits::RESPONSE_HEAD_BYTES / 1024
        ),
        FramingError::BadChunk(found) => format!(
            "the response of {host} has an invalid chunk: expected a length in hexadecimal digits, \
             found \"{found}\""
        ),
    }
}

/// The name of an enum's variant, without what it carries.
fn variant_name(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find(|c: char| !c.is_ascii_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}

#[cfg(test)]
#[path = "tests/error_mapping.rs"]
mod tests;
