use std::io;

use rustls::{
    AlertDescription, CertificateError, ContentType, HandshakeType, InvalidMessage, OtherError,
    PeerIncompatible, PeerMisbehaved,
};

use super::super::connect_error::ConnectError;
use super::super::status_errors::mentions_quota;
use super::super::support::clock_at_noon;
use super::super::www_authenticate::parse_challenges;
use super::*;
use crate::golden;
use crate::sys::clock::Clock;
use crate::sys::name_lookup::NoAddress;
use crate::sys::tls::TrustOptionNames;

fn context(part: ResponsePart, has_ca_file: bool) -> ErrorContext<'static> {
    ErrorContext {
        host: "meter.example",
        part,
        timeout: Duration::from_secs(30),
        body_limit: limits::BODY_BYTES,
        has_ca_file,
        has_client_certificate: has_ca_file,
        trust_options: &TrustOptionNames::SOURCE,
        now: clock_at_noon().now(),
    }
}

/// A library's name for a variant: `UnknownIssuer`.
fn is_type_name(word: &str) -> bool {
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
fn no_message_contains_type_names_of_a_library() {
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
            let failure = classify_error(error, context(part, has_ca_file)).expect("not stopped");
            let message = failure.detail;
            let name = message.split_whitespace().find(|word| is_type_name(word));
            assert_eq!(name, None, "{message}");
            assert!(!message.contains("topsecret"), "{message}");
            seen += 1;
        }
    }
    assert!(seen > 1_000, "{seen}");
}

#[test]
fn a_configured_ca_file_is_not_suggested_again() {
    let error = Error::Rustls(rustls::Error::InvalidCertificate(
        CertificateError::UnknownIssuer,
    ));
    let message = |has_ca_file| {
        let failure = classify_error(&error, context(ResponsePart::Head, has_ca_file));
        failure.expect("not stopped").detail
    };
    assert!(message(false).contains("name its CA in `ca_file`"));
    assert!(
        message(true)
            .starts_with("the TLS certificate of meter.example is not trusted by `ca_file`")
    );
}

#[test]
fn a_denied_access_has_its_cause_and_advice() {
    let denial = |challenges: &[&str], sent: Option<&str>| AccessDenial {
        challenges: challenges
            .iter()
            .flat_map(|it| parse_challenges(it.as_bytes()))
            .collect(),
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
    let anonymous = AccessDenial {
        is_anonymous: true,
        ..AccessDenial::default()
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
            "it wants Digest authentication, which auth = { user = …, password = … } answers",
        ),
        (
            401,
            denial(&[digest], None),
            "it wants a user and a password (Digest): add auth = { user =",
        ),
        (
            401,
            denial(&[digest], Some("Digest")),
            "the user or the password is wrong",
        ),
        (
            401,
            denial(&["Digest nonce=1, stale=TRUE"], Some("Digest")),
            "it calls a nonce stale that it has just made",
        ),
        (
            401,
            denial(&["Digest nonce=1, algorithm=SHA-512-256"], Some("Basic")),
            "it wants Digest authentication with algorithm SHA-512-256, and main-node answers MD5",
        ),
        (403, denial(&[], Some("Digest")), "or do not allow this"),
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
        // An inverter that takes its own kind of session says nothing of HTTP.
        (
            401,
            denial(&[], Some("Basic")),
            "wrong, or it does not take them as HTTP Basic",
        ),
        (
            401,
            denial(&["NTLM", "Negotiate"], Some("Basic")),
            "it wants NTLM authentication, which main-node cannot answer",
        ),
        (
            401,
            denial(&["hmac realm=\"x\""], None),
            "it wants hmac authentication, which main-node cannot answer",
        ),
        (
            401,
            denial(&["Negotiate", "Basic realm=\"x\""], None),
            "it wants a user and a password: add auth = { user =",
        ),
        (
            401,
            denial(&["ApiKey"], Some("Basic")),
            "missing or wrong, or it wants them in another place: auth = { token = …, header = \"Authorization: ApiKey {token}\" }",
        ),
        (
            401,
            denial(&["Token realm=\"x\""], Some("token")),
            "the credentials are wrong or have expired",
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
        (
            401,
            denial(&[], Some("Bearer")),
            "or the server wants it in another form than `Authorization: Bearer`",
        ),
        (
            401,
            anonymous,
            "this source sends no credentials: add `auth`",
        ),
        (403, denial(&[], Some("Bearer")), "or do not allow this"),
        (
            403,
            limited,
            "it speaks of a limit or quota; ask less often",
        ),
        (
            401,
            dropped,
            "http://nas redirects to https://nas:8443, and credentials",
        ),
    ] {
        let failure = classify_status(code, "meter.example", None, &denial);
        assert_eq!(failure.cause, Cause::HttpStatus);
        assert!(failure.detail.contains(expected), "{}", failure.detail);
    }
}

#[test]
fn a_name_that_multicast_dns_does_not_know_is_a_dns_failure() {
    let local = ErrorContext {
        host: "meter.local",
        ..context(ResponsePart::Head, false)
    };
    let why = NoAddress("nothing answers on eth0".to_owned());
    let failure = classify_error(&ConnectError::NoAddress(why).into(), local);
    assert_eq!(
        failure.expect("not stopped").to_string(),
        "dns: cannot resolve meter.local: nothing answers on eth0"
    );
}

#[test]
fn each_system_and_library_error_has_one_cause() {
    let os = |code: i32| io::Error::from_raw_os_error(code);
    let connect = |code| ureq::Error::from(ConnectError::Connect(os(code)));
    let lookup = |text: &str| {
        let text = format!("failed to lookup address information: {text}");
        ureq::Error::from(ConnectError::Lookup(io::Error::other(text)))
    };
    let scene = |part| ErrorContext {
        host: "HOST",
        part,
        timeout: Duration::from_secs(30),
        body_limit: limits::BODY_BYTES,
        has_ca_file: false,
        has_client_certificate: false,
        trust_options: &TrustOptionNames::SOURCE,
        now: clock_at_noon().now(),
    };
    use ResponsePart::{Body, Head};
    let secret = || "https://user:topsecret@host/?key=topsecret".to_owned();
    let mut lines = String::new();
    for (name, part, error) in [
        ("ECONNREFUSED", Head, connect(libc::ECONNREFUSED)),
        ("EHOSTUNREACH", Head, connect(libc::EHOSTUNREACH)),
        ("ENETUNREACH", Head, connect(libc::ENETUNREACH)),
        ("ENETDOWN", Head, connect(libc::ENETDOWN)),
        ("EADDRNOTAVAIL", Head, connect(libc::EADDRNOTAVAIL)),
        ("EACCES", Head, connect(libc::EACCES)),
        ("EMFILE", Head, connect(libc::EMFILE)),
        ("ECONNRESET on connecting", Head, connect(libc::ECONNRESET)),
        (
            "connecting for too long",
            Head,
            ConnectError::ConnectTimeout.into(),
        ),
        (
            "unknown name (glibc)",
            Head,
            lookup("Name or service not known"),
        ),
        ("unknown name (musl)", Head, lookup("Name does not resolve")),
        (
            "no name server (glibc)",
            Head,
            lookup("Temporary failure in name resolution"),
        ),
        ("no name server (musl)", Head, lookup("Try again")),
        (
            "a lookup for too long",
            Head,
            ConnectError::LookupTimeout.into(),
        ),
        ("EPIPE", Head, ureq::Error::Io(os(libc::EPIPE))),
        (
            "ENETUNREACH later",
            Body,
            ureq::Error::Io(os(libc::ENETUNREACH)),
        ),
        (
            "ETIMEDOUT later",
            Body,
            ureq::Error::Io(os(libc::ETIMEDOUT)),
        ),
        ("no address", Head, ureq::Error::HostNotFound),
        ("BadUri", Head, ureq::Error::BadUri(secret())),
        (
            "RequireHttpsOnly",
            Head,
            ureq::Error::RequireHttpsOnly(secret()),
        ),
        (
            "ConnectProxyFailed",
            Head,
            ureq::Error::ConnectProxyFailed(secret()),
        ),
        ("Tls", Head, ureq::Error::Tls("topsecret")),
        ("Other", Head, ureq::Error::Other(secret().into())),
        ("TooManyRedirects", Head, ureq::Error::TooManyRedirects),
        ("StatusCode", Head, ureq::Error::StatusCode(503)),
        (
            "a TLS alert",
            Head,
            ureq::Error::Rustls(rustls::Error::AlertReceived(
                rustls::AlertDescription::HandshakeFailure,
            )),
        ),
    ] {
        let failure = classify_error(&error, scene(part)).expect("not stopped");
        lines += &format!("{name}\n    {failure}\n");
    }
    assert!(!lines.contains("secret"), "{lines}");
    assert_eq!(
        classify_error(&ConnectError::Stopped.into(), scene(Head)),
        None
    );
    golden::check("attribution.txt", &lines);
}
