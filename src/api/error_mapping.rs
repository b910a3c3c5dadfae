//! Every way in which a fetch can fail, to its one cause and one sentence for people.
//!
//! Pure. The sentences are made here from what is known to be harmless (host names, sizes,
//! times, certificate names): a library's own text never passes, since it may hold a URL
//! with its query.

use std::io;
use std::time::Duration;

use rustls::CertificateError;
use ureq::http::StatusCode;
use ureq::{Error, Timeout};

use super::connect::ConnectError;
use super::private_address::is_mdns_name;
use crate::domain::health::{Cause, Failure};
use crate::domain::time::{ClockTrust, Moment, Wall, human_duration};
use crate::limits;
use crate::sys::tls;

/// How far the exchange had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponsePart {
    Head,
    Body,
}

/// What the sentences may mention.
#[derive(Debug, Clone, Copy)]
pub struct ErrorContext<'a> {
    /// Host, with its port where that is not the scheme's own.
    pub host: &'a str,
    pub part: ResponsePart,
    pub timeout: Duration,
    pub body_limit: u64,
    /// Whether the owner names the certificates to trust.
    pub has_ca_file: bool,
    pub now: Moment,
}

/// The cause of an error of ureq's; `None` if the node is stopping.
pub fn classify_error(error: &Error, context: ErrorContext) -> Option<Failure> {
    let host = context.host;
    let fail = |cause, detail: String| Some(Failure::new(cause, detail));
    match error {
        Error::Other(inner) => match inner.downcast_ref::<ConnectError>() {
            Some(error) => classify_connect_error(error, context),
            None => fail(
                Cause::Connect,
                format!("the connection to {host} failed in a way that nobody foresaw"),
            ),
        },
        Error::Io(error) => Some(classify_io(error, context)),
        Error::Timeout(which) => Some(classify_timeout(*which, context)),
        Error::HostNotFound => fail(Cause::Dns, unknown_host(host)),
        Error::BodyExceedsLimit(_) => Some(body_too_large(context)),
        Error::LargeResponseHeader(..) => fail(
            Cause::TooLarge,
            format!(
                "{host} sent a head of more than {}",
                format_size(limits::RESPONSE_HEAD_BYTES as u64)
            ),
        ),
        Error::Protocol(error) => Some(classify_protocol(error, host)),
        Error::Decompress(..) => fail(
            Cause::Protocol,
            format!("the answer of {host} is said to be gzip and cannot be unpacked"),
        ),
        Error::Rustls(error) => Some(classify_tls(error, context)),
        Error::Tls(_) | Error::Pem(_) | Error::TlsRequired => fail(
            Cause::Tls,
            format!("no secure connection to {host} came about"),
        ),
        Error::StatusCode(code) => {
            Some(classify_status(*code, host, None, &AccessDenial::default()))
        }
        Error::ConnectProxyFailed(reason) => Some(classify_proxy(reason, host)),
        Error::InvalidProxyUrl => fail(
            Cause::Connect,
            "the configured proxy is not a URL that can be used".to_owned(),
        ),
        Error::ConnectionFailed => fail(
            Cause::Connect,
            format!("no connection to {host} came about"),
        ),
        Error::TooManyRedirects | Error::RedirectFailed => fail(
            Cause::Redirect,
            format!("{host} sends the node elsewhere, and it cannot follow"),
        ),
        Error::BadUri(_) | Error::Http(_) | Error::RequireHttpsOnly(_) => fail(
            Cause::Protocol,
            "no request can be made of this source's address, parameters and headers".to_owned(),
        ),
        Error::BodyStalled => fail(Cause::Protocol, truncated_body(host)),
        // The enum may grow with ureq.
        _ => fail(
            Cause::Protocol,
            format!("the exchange with {host} failed in a way that nobody foresaw"),
        ),
    }
}

/// ureq's words hold the proxy's status, and nothing else that is harmless.
fn classify_proxy(reason: &str, host: &str) -> Failure {
    let status = reason
        .split(|c: char| !c.is_ascii_digit())
        .find_map(|digits| digits.parse().ok().filter(|code| *code >= 100));
    let detail = match status {
        Some(407) => PROXY_LOGIN.to_owned(),
        Some(code) => format!(
            "the proxy answers {code}{} when it is asked to connect to {host}: does it allow that \
             host and port?",
            reason_phrase(code)
        ),
        None => format!("the proxy does not connect to {host}"),
    };
    Failure::new(Cause::Connect, detail)
}

const PROXY_LOGIN: &str = "the proxy answers 407: it wants another user and password; write them \
                           as proxy = \"http://user:password@host:port\"";

fn classify_connect_error(error: &ConnectError, context: ErrorContext) -> Option<Failure> {
    let host = context.host;
    let failure = match error {
        ConnectError::Stopped => return None,
        ConnectError::Lookup(error) => {
            // Only the text of getaddrinfo tells an unknown name from a silent server;
            // glibc and musl word it differently.
            let text = error.to_string();
            let silent = ["emporary failure", "Try again"];
            let is_silent = silent.iter().any(|part| text.contains(part));
            let detail = match is_silent && !is_mdns_name(host) {
                true => format!(
                    "no name server says where {host} is; is the network or the router down?"
                ),
                false => unknown_host(host),
            };
            Failure::new(Cause::Dns, detail)
        }
        ConnectError::LookupTimeout if is_mdns_name(host) => {
            Failure::new(Cause::Dns, unknown_host(host))
        }
        ConnectError::LookupTimeout => Failure::new(
            Cause::Dns,
            format!("no name server said in time where {host} is"),
        ),
        ConnectError::Connect(error) => classify_connect_io(error, host),
        ConnectError::ConnectTimeout => Failure::new(
            Cause::Timeout,
            format!("{host} did not take a connection in time; is it switched on?"),
        ),
        ConnectError::PrivateAddress => Failure::new(Cause::Redirect, redirect_to_private(host)),
        ConnectError::OtherMachine => {
            Failure::new(Cause::Redirect, redirect_to_other_machine(host))
        }
    };
    Some(failure)
}

/// An answer from outside that names this machine or its network.
pub fn redirect_to_private(host: &str) -> String {
    format!(
        "the server sends the node to {host}, which is an address inside this network: an answer \
         from outside is not followed there; if it is right, write that address in this source"
    )
}

/// An answer from inside that names another machine.
pub fn redirect_to_other_machine(host: &str) -> String {
    format!(
        "the server sends the node to {host}, which is another machine: an answer from inside \
         this network is followed on the same machine only; if it is right, write that address \
         in this source"
    )
}

fn unknown_host(host: &str) -> String {
    match is_mdns_name(host) {
        true => format!(
            "the name {host} cannot be looked up: .local names need multicast DNS, which this \
             program does not speak yet; write the device's address instead, such as \
             http://192.168.1.20/ (the router's list of devices has it)"
        ),
        false => format!("there is no host named {host}; is the name right?"),
    }
}

fn classify_connect_io(error: &io::Error, host: &str) -> Failure {
    use io::ErrorKind::*;
    let (cause, detail) = match error.kind() {
        ConnectionRefused => (
            Cause::Connect,
            format!("{host} refuses connections; is the service there running?"),
        ),
        HostUnreachable => (
            Cause::Connect,
            format!("{host} cannot be reached; is it switched on?"),
        ),
        NetworkUnreachable | NetworkDown | AddrNotAvailable => (
            Cause::Network,
            format!("there is no way to {host}; is this node's network up?"),
        ),
        PermissionDenied => (
            Cause::Connect,
            format!("a firewall on this node forbids connections to {host}"),
        ),
        ConnectionReset | ConnectionAborted => (Cause::Connect, connection_closed(host)),
        _ => (
            Cause::Network,
            format!("this node could not open a connection to {host}"),
        ),
    };
    Failure::new(cause, detail)
}

fn classify_io(error: &io::Error, context: ErrorContext) -> Failure {
    use io::ErrorKind::*;
    let host = context.host;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(error) = inner {
        return classify_tls(error, context);
    }
    match (context.part, error.kind()) {
        (_, TimedOut | WouldBlock) => classify_timeout(Timeout::Global, context),
        (_, NetworkUnreachable | NetworkDown | HostUnreachable) => classify_connect_io(error, host),
        (ResponsePart::Head, _) => Failure::new(Cause::Connect, connection_closed(host)),
        (ResponsePart::Body, _) => Failure::new(Cause::Protocol, truncated_body(host)),
    }
}

fn connection_closed(host: &str) -> String {
    format!("{host} closed the connection without an answer")
}

pub fn truncated_body(host: &str) -> String {
    format!("the answer of {host} broke off in the middle")
}

fn classify_timeout(which: Timeout, context: ErrorContext) -> Failure {
    let host = context.host;
    let detail = match (which, context.part) {
        (Timeout::Resolve, _) => {
            let detail = format!("no name server said in time where {host} is");
            return Failure::new(Cause::Dns, detail);
        }
        // The TCP connection has a failure of its own; what follows it is TLS or a proxy.
        (Timeout::Connect, _) => {
            format!("no secure connection to {host} came about in time; does it speak TLS there?")
        }
        (_, ResponsePart::Head) => format!(
            "{host} did not answer within {}",
            format_timeout(context.timeout)
        ),
        (_, ResponsePart::Body) => format!(
            "the answer of {host} was not whole within {}",
            format_timeout(context.timeout)
        ),
    };
    Failure::new(Cause::Timeout, detail)
}

/// A configured duration; tests use some shorter than a second.
fn format_timeout(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        _ => human_duration(duration),
    }
}

pub fn body_too_large(context: ErrorContext) -> Failure {
    let limit = format_size(context.body_limit);
    Failure::new(
        Cause::TooLarge,
        format!("the answer of {} is larger than {limit}", context.host),
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
            format!("what {host} sends is not HTTP")
        }
        "TooManyContentLengthHeaders" | "BadContentLengthHeader" | "ConflictingBodyHeaders" => {
            format!("{host} contradicts itself about the length of its answer")
        }
        "ChunkLenNotAscii" | "ChunkLenNotANumber" | "ChunkExpectedCrLf" => {
            format!("the answer of {host} is broken: a chunk without its length")
        }
        "NoLocationHeader" | "BadLocationHeader" => {
            let detail = format!("{host} sends the node elsewhere without saying where");
            return Failure::new(Cause::Redirect, detail);
        }
        "TooManyHostHeaders" | "BadHostHeader" | "BadAuthorizationHeader" | "OutputOverflow" => {
            "no request can be made of this source's address, parameters and headers".to_owned()
        }
        _ => format!("{host} does not keep to HTTP"),
    };
    Failure::new(Cause::Protocol, detail)
}

fn classify_tls(error: &rustls::Error, context: ErrorContext) -> Failure {
    match error {
        rustls::Error::InvalidCertificate(problem) => classify_certificate(problem, context),
        rustls::Error::FailedToGetCurrentTime => clock_is_wrong(context),
        error => Failure::new(Cause::Tls, tls::handshake_words(error, context.host)),
    }
}

fn classify_certificate(problem: &CertificateError, context: ErrorContext) -> Failure {
    let host = context.host;
    let fail = |detail: String| Failure::new(Cause::Tls, detail);
    match problem {
        CertificateError::ExpiredContext { not_after, .. } => fail(format!(
            "the certificate of {host} expired on {}{}",
            date(*not_after),
            clock_doubt(context.now)
        )),
        CertificateError::Expired => fail(format!(
            "the certificate of {host} has expired{}",
            clock_doubt(context.now)
        )),
        // A clock that nobody has set is the likelier culprit: a Pi wakes up in its past.
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
            if context.now.trust == ClockTrust::Untrusted =>
        {
            clock_is_wrong(context)
        }
        CertificateError::NotValidYetContext { not_before, .. } => fail(format!(
            "the certificate of {host} is valid from {} on, and it is {} here",
            date(*not_before),
            &context.now.wall.to_string()[..10]
        )),
        CertificateError::NotValidYet => {
            fail(format!("the certificate of {host} is not valid yet"))
        }
        CertificateError::NotValidForName => {
            fail(format!("the certificate of {host} is for another name"))
        }
        CertificateError::NotValidForNameContext { presented, .. } => fail(format!(
            "the certificate of {host} is for {}",
            certificate_names(presented)
        )),
        CertificateError::UnknownIssuer if context.has_ca_file => fail(format!(
            "no certificate of this source's `ca_file` vouches for the certificate of {host}: \
             put the CA's there that made it, or the server's own"
        )),
        CertificateError::UnknownIssuer => fail(format!(
            "nobody whom this node trusts vouches for the certificate of {host}; if it is \
             your own, name its CA in `ca_file`"
        )),
        other => fail(format!(
            "the certificate of {host} {}",
            tls::certificate_words(other)
        )),
    }
}

/// Up to three of the names that a certificate holds: `DnsName("example.org")`.
fn certificate_names(presented: &[String]) -> String {
    let bare = |name: &String| -> String {
        let inner = name.split('"').nth(1).unwrap_or(name);
        inner.chars().filter(|c| !c.is_control()).take(64).collect()
    };
    match presented {
        [] => "no name at all".to_owned(),
        [..] => {
            let mut shown: Vec<String> = presented.iter().take(3).map(bare).collect();
            if presented.len() > 3 {
                shown.push("others".to_owned());
            }
            shown.join(", ")
        }
    }
}

fn date(time: rustls::pki_types::UnixTime) -> String {
    let second = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Wall::from_second(second).to_string()[..10].to_owned()
}

fn clock_doubt(now: Moment) -> String {
    match now.trust {
        ClockTrust::Untrusted => format!(
            ", if this node's clock ({}), which nobody has set, is right",
            &now.wall.to_string()[..10]
        ),
        ClockTrust::Trusted | ClockTrust::Unknown => String::new(),
    }
}

/// The clock forbids to judge certificates.
pub fn clock_is_wrong(context: ErrorContext) -> Failure {
    let why = match context.now.wall.second() < limits::EARLIEST_WALL_S {
        true => "which cannot be right",
        false => "and nobody has set it",
    };
    Failure::new(
        Cause::Clock,
        format!(
            "this node's clock says {}, {why}, so the certificate of {} cannot be judged; the \
             node waits for the time to be set",
            &context.now.wall.to_string()[..10],
            context.host
        ),
    )
}

/// The name of an enum's variant, without what it carries.
fn variant_name(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find(|c: char| !c.is_ascii_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}

/// What an answer with a 401 or 403, and the way to it, say about why.
#[derive(Debug, Clone, Default)]
pub struct AccessDenial {
    /// The fields `WWW-Authenticate`.
    pub challenges: Vec<String>,
    /// The scheme of the `Authorization` that was sent: `Basic`.
    pub sent_scheme: Option<String>,
    /// Its head or body speaks of a quota.
    pub mentions_quota: bool,
    /// A redirect from the one origin to the other, which credentials do not follow.
    pub dropped_credentials: Option<(String, String)>,
}

impl AccessDenial {
    fn explain(&self, code: u16) -> String {
        if let Some((from, to)) = &self.dropped_credentials {
            return format!(
                "{from} sent the node on to {to}, and credentials and headers are not sent along \
                 to another server or port; write {to} in this source"
            );
        }
        if code == 403 && self.mentions_quota {
            return "it speaks of a limit or quota; ask less often (`every`, `quota`), or see what \
                    your key allows"
                .to_owned();
        }
        let wants = |scheme: &str| {
            let mut parts = self.challenges.iter().flat_map(|it| it.split([',', ' ']));
            parts.any(|part| part.eq_ignore_ascii_case(scheme))
        };
        let sends = |scheme: &str| {
            let sent = self.sent_scheme.as_ref();
            sent.is_some_and(|sent| sent.eq_ignore_ascii_case(scheme))
        };
        let is_sent = self.sent_scheme.is_some();
        let words = match () {
            () if wants("Digest") && !wants("Basic") && !wants("Bearer") => {
                "it wants Digest authentication (RFC 7616), which main-node does not speak yet; \
                 set it to Basic, or to no password, if it can"
            }
            () if sends("Basic")
                && (wants("Basic") || code == 401 && self.challenges.is_empty()) =>
            {
                "the user or the password is wrong"
            }
            () if sends("Bearer") && wants("Bearer") => "the token is wrong or has expired",
            () if wants("Basic") && is_sent => {
                "it wants a user and a password (auth = { user = …, password = … }), and this \
                 source sends something else"
            }
            () if wants("Basic") => {
                "it wants a user and a password: add auth = { user = …, password = … }"
            }
            () if wants("Bearer") && is_sent => {
                "it wants a token (auth = { token = … }), and this source sends something else"
            }
            () if wants("Bearer") => "it wants a token: add auth = { token = … }",
            () if code == 403 => {
                "the credentials are missing or wrong, or do not allow this; some servers refuse \
                 addresses or programs that they do not know"
            }
            () => "the credentials are missing or wrong",
        };
        words.to_owned()
    }
}

/// Whether the body of an error is about a quota: `API rate limit exceeded`.
pub fn mentions_quota(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    let signs = [
        "rate limit",
        "rate-limit",
        "rate_limit",
        "ratelimit",
        "quota",
        "too many requests",
        "limit exceeded",
        "limit_exceeded",
        "limit reached",
        "limitexceeded",
    ];
    signs.iter().any(|sign| text.contains(sign))
}

/// ` Not Found`; nothing where the code is not a usual one.
fn reason_phrase(code: u16) -> String {
    StatusCode::from_u16(code)
        .ok()
        .and_then(|status| status.canonical_reason())
        .map_or(String::new(), |reason| format!(" {reason}"))
}

/// A status that brings no reading.
pub fn classify_status(
    code: u16,
    host: &str,
    retry_after: Option<Duration>,
    denial: &AccessDenial,
) -> Failure {
    let reason = reason_phrase(code);
    let (cause, detail) = match code {
        204 | 205 => (
            Cause::Protocol,
            format!("{host} answers {code}{reason}: success, and nothing to read"),
        ),
        304 => (
            Cause::Protocol,
            format!("{host} answers 304 Not Modified, and nothing was read before"),
        ),
        100..=299 => (
            Cause::Protocol,
            format!("{host} answers {code}{reason}, which no request here asks for"),
        ),
        300..=399 => (
            Cause::Redirect,
            format!("{host} answers {code}{reason} without saying where to go"),
        ),
        401 | 403 => (
            Cause::HttpStatus,
            format!("{host} answers {code}{reason}: {}", denial.explain(code)),
        ),
        407 => (Cause::HttpStatus, PROXY_LOGIN.to_owned()),
        404 | 410 => (
            Cause::HttpStatus,
            format!("{host} answers {code}{reason}: the address or a parameter is wrong"),
        ),
        429 => (
            Cause::RateLimited,
            match retry_after {
                Some(wait) => format!("{host} wants to be left alone for {}", human_duration(wait)),
                None => format!("{host} is asked too often"),
            },
        ),
        400..=499 => (
            Cause::HttpStatus,
            format!("{host} answers {code}{reason}: it does not accept the request"),
        ),
        _ => {
            let until = match retry_after {
                Some(wait) => format!(" and wants to be left alone for {}", human_duration(wait)),
                None => ": it has trouble of its own".to_owned(),
            };
            (
                Cause::HttpStatus,
                format!("{host} answers {code}{reason}{until}"),
            )
        }
    };
    Failure {
        cause,
        detail,
        retry_after,
    }
}

/// Bytes for people: `512 bytes`, `32 KiB`, `4 MiB`.
pub fn format_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use rustls::{
        AlertDescription, CertificateError, ContentType, HandshakeType, InvalidMessage, OtherError,
        PeerIncompatible, PeerMisbehaved,
    };

    use super::super::faults::clock_at_noon;
    use super::*;
    use crate::sys::clock::Clock;

    fn context(part: ResponsePart, has_ca_file: bool) -> ErrorContext<'static> {
        ErrorContext {
            host: "meter.example",
            part,
            timeout: Duration::from_secs(30),
            body_limit: limits::BODY_BYTES,
            has_ca_file,
            now: clock_at_noon().now(),
        }
    }

    /// A library's name for a variant: `UnknownIssuer`.
    fn is_a_types_name(word: &str) -> bool {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_joint = |pair: &[u8]| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
        // The certificate's own purpose is written so.
        word != "serverAuth" && word.as_bytes().windows(2).any(is_joint)
    }

    #[derive(Debug)]
    struct CaUsedAsEndEntity;

    impl std::fmt::Display for CaUsedAsEndEntity {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("CaUsedAsEndEntity")
        }
    }

    impl std::error::Error for CaUsedAsEndEntity {}

    fn certificate_errors() -> Vec<CertificateError> {
        use CertificateError::*;
        let time = rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(1));
        let other = OtherError(std::sync::Arc::new(CaUsedAsEndEntity));
        let name = rustls::pki_types::ServerName::try_from("a.example").expect("a name");
        vec![
            BadEncoding,
            Expired,
            ExpiredContext {
                time,
                not_after: time,
            },
            NotValidYet,
            NotValidYetContext {
                time,
                not_before: time,
            },
            Revoked,
            UnhandledCriticalExtension,
            UnknownIssuer,
            UnknownRevocationStatus,
            ExpiredRevocationList,
            ExpiredRevocationListContext {
                time,
                next_update: time,
            },
            BadSignature,
            UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![1],
                supported_algorithms: Vec::new(),
            },
            NotValidForName,
            NotValidForNameContext {
                expected: name,
                presented: vec!["DnsName(\"b.example\")".to_owned()],
            },
            InvalidPurpose,
            InvalidOcspResponse,
            ApplicationVerificationFailure,
            Other(other),
        ]
    }

    fn tls_errors() -> Vec<rustls::Error> {
        let general = "topsecret".to_owned();
        let alerts =
            (0..=u8::MAX).map(|code| rustls::Error::AlertReceived(AlertDescription::from(code)));
        let certificates = certificate_errors().into_iter();
        let mut errors = vec![
            rustls::Error::InappropriateMessage {
                expect_types: vec![ContentType::Handshake],
                got_type: ContentType::Alert,
            },
            rustls::Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::ServerHello],
                got_type: HandshakeType::Finished,
            },
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
            rustls::Error::NoCertificatesPresented,
            rustls::Error::UnsupportedNameType,
            rustls::Error::DecryptError,
            rustls::Error::EncryptError,
            rustls::Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered),
            rustls::Error::PeerMisbehaved(PeerMisbehaved::TooMuchEarlyDataReceived),
            rustls::Error::General(general),
            rustls::Error::FailedToGetCurrentTime,
            rustls::Error::FailedToGetRandomBytes,
            rustls::Error::HandshakeNotComplete,
            rustls::Error::PeerSentOversizedRecord,
            rustls::Error::NoApplicationProtocol,
            rustls::Error::BadMaxFragmentSize,
            rustls::Error::Other(OtherError(std::sync::Arc::new(CaUsedAsEndEntity))),
        ];
        errors.extend(alerts);
        errors.extend(certificates.map(rustls::Error::InvalidCertificate));
        errors
    }

    #[test]
    fn no_message_shows_a_librarys_own_names() {
        use io::ErrorKind::*;
        let kinds = [
            NotFound,
            PermissionDenied,
            ConnectionRefused,
            ConnectionReset,
            HostUnreachable,
            NetworkUnreachable,
            ConnectionAborted,
            NotConnected,
            AddrInUse,
            AddrNotAvailable,
            NetworkDown,
            BrokenPipe,
            AlreadyExists,
            WouldBlock,
            InvalidInput,
            InvalidData,
            TimedOut,
            WriteZero,
            Interrupted,
            Unsupported,
            UnexpectedEof,
            OutOfMemory,
            Other,
        ];
        let mut errors: Vec<Error> = tls_errors().into_iter().map(Error::Rustls).collect();
        let within = |error| Error::Io(io::Error::new(InvalidData, error));
        errors.extend(tls_errors().into_iter().map(within));
        errors.extend(kinds.map(|kind| Error::Io(kind.into())));
        errors.extend(kinds.map(|kind| ConnectError::Connect(kind.into()).into()));
        errors.extend(kinds.map(|kind| ConnectError::Lookup(kind.into()).into()));
        errors.extend([
            Error::HostNotFound,
            Error::BodyStalled,
            Error::ConnectionFailed,
            Error::InvalidProxyUrl,
            Error::TlsRequired,
            Error::Timeout(Timeout::Connect),
            Error::Timeout(Timeout::Resolve),
            Error::Timeout(Timeout::RecvResponse),
        ]);
        let mut seen = 0;
        for error in &errors {
            for (part, has_ca_file) in [(ResponsePart::Head, false), (ResponsePart::Body, true)] {
                let failure =
                    classify_error(error, context(part, has_ca_file)).expect("nobody stops");
                let said = failure.detail;
                let name = said.split_whitespace().find(|word| is_a_types_name(word));
                assert_eq!(name, None, "{said}");
                assert!(!said.contains("topsecret"), "{said}");
                seen += 1;
            }
        }
        assert!(seen > 1_000, "{seen}");
    }

    #[test]
    fn what_is_set_already_is_not_asked_for() {
        let error = Error::Rustls(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer,
        ));
        let said = |has_ca_file| {
            let failure = classify_error(&error, context(ResponsePart::Head, has_ca_file));
            failure.expect("nobody stops").detail
        };
        assert!(said(false).contains("name its CA in `ca_file`"));
        assert!(said(true).starts_with("no certificate of this source's `ca_file` vouches"));
    }

    #[test]
    fn a_refusal_says_its_cause_and_what_to_do() {
        let denial = |challenges: &[&str], sent: Option<&str>| AccessDenial {
            challenges: challenges.iter().map(|it| (*it).to_owned()).collect(),
            sent_scheme: sent.map(str::to_owned),
            ..AccessDenial::default()
        };
        let limited = AccessDenial {
            mentions_quota: mentions_quota(b"{\"message\": \"API rate limit exceeded\"}"),
            ..AccessDenial::default()
        };
        let dropped = AccessDenial {
            dropped_credentials: Some(("http://nas".to_owned(), "https://nas:8443".to_owned())),
            ..denial(&["Basic realm=\"x\""], None)
        };
        let digest = "Digest realm=\"shelly\", nonce=\"1\", qop=\"auth\"";
        for (code, denial, expected) in [
            (
                401,
                denial(&[], None),
                "the credentials are missing or wrong",
            ),
            (
                401,
                denial(&[digest], Some("Basic")),
                "it wants Digest authentication",
            ),
            (
                401,
                denial(&[digest, "Basic realm=\"x\""], Some("Basic")),
                "the user or the password is wrong",
            ),
            (
                401,
                denial(&["Basic realm=\"x\""], None),
                "add auth = { user =",
            ),
            (
                401,
                denial(&["Basic"], Some("Bearer")),
                "this source sends something else",
            ),
            (
                401,
                denial(&["Bearer"], Some("Bearer")),
                "the token is wrong or has expired",
            ),
            (401, denial(&["Bearer"], None), "add auth = { token ="),
            (403, denial(&[], Some("Bearer")), "or do not allow this"),
            (
                403,
                limited,
                "it speaks of a limit or quota; ask less often",
            ),
            (
                401,
                dropped,
                "http://nas sent the node on to https://nas:8443, and credentials",
            ),
        ] {
            let failure = classify_status(code, "meter.example", None, &denial);
            assert_eq!(failure.cause, Cause::HttpStatus);
            assert!(failure.detail.contains(expected), "{}", failure.detail);
        }
    }

    #[test]
    fn a_local_name_is_told_from_one_that_is_wrong() {
        for (host, expected) in [
            ("meter.local", true),
            ("Meter.LOCAL.", true),
            ("meter.local:8080", true),
            ("meter.local.example.org", false),
            ("local", false),
        ] {
            assert_eq!(is_mdns_name(host), expected, "{host}");
        }
        let unknown = io::Error::other("failed to lookup: Try again");
        let local = ErrorContext {
            host: "meter.local",
            ..context(ResponsePart::Head, false)
        };
        let failure =
            classify_error(&ConnectError::Lookup(unknown).into(), local).expect("nobody stops");
        assert_eq!(failure.cause, Cause::Dns);
        assert!(
            failure
                .detail
                .contains("write the device's address instead")
        );
    }
}
