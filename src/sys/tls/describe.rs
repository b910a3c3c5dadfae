//! Texts of TLS errors: what is wrong with a certificate or a handshake, and the option that helps.
//!
//! The names of the library's types mean nothing to users.

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::client_certificate::ClientCertificateError;
use super::verifier::{RejectedCertificate, RejectionReason};
use crate::limits;

/// What a message about a TLS connection may mention.
#[derive(Debug, Clone, Copy)]
pub struct TlsContext<'a> {
    /// The server, as the message names it.
    pub host: &'a str,
    pub has_ca_file: bool,
    pub has_client_certificate: bool,
    /// The options that say whom to trust; none where there are none.
    pub options: Option<&'static TrustOptionNames>,
}

/// Names of the options that say whom to trust.
#[derive(Debug, PartialEq, Eq)]
pub struct TrustOptionNames {
    pub ca_file: &'static str,
    pub fingerprint: &'static str,
    /// The table that they are in.
    pub table: &'static str,
    /// The end of a sentence that says so, where another table has them too.
    pub place: &'static str,
    /// How the name of the server is changed.
    pub name: &'static str,
    /// Where a client certificate is configured, if it can be.
    pub client_certificate: Option<&'static str>,
}

impl TrustOptionNames {
    pub const FORWARD: TrustOptionNames = TrustOptionNames {
        ca_file: "ca_file",
        fingerprint: "fingerprint",
        table: "[[forward]]",
        place: " in [[forward]]",
        name: "write that name in `url`",
        client_certificate: None,
    };
    pub const SOURCE: TrustOptionNames = TrustOptionNames {
        ca_file: "ca_file",
        fingerprint: "fingerprint",
        table: "[[source]]",
        place: "",
        name: "write that name in the URL",
        client_certificate: Some("`certificate` and `key` in `auth`"),
    };
    /// For the server of `token_url` or `login`.
    pub const AUTH: TrustOptionNames = TrustOptionNames {
        table: "`auth`",
        place: " in `auth`",
        name: "write that name in its URL",
        ..TrustOptionNames::SOURCE
    };
    pub const MAIL: TrustOptionNames = TrustOptionNames {
        table: "[mail]",
        name: "set `host` to the name that it is for",
        client_certificate: None,
        ..TrustOptionNames::SOURCE
    };
    pub const WEBHOOK_TABLE: TrustOptionNames = TrustOptionNames {
        table: "[[alert.webhook]]",
        name: "write that name in `url`",
        client_certificate: None,
        ..TrustOptionNames::SOURCE
    };
    pub const MQTT: TrustOptionNames = TrustOptionNames {
        table: "[mqtt]",
        name: "write that name in `url`",
        client_certificate: Some("`certificate` and `key`"),
        ..TrustOptionNames::SOURCE
    };
    pub const PING: TrustOptionNames = TrustOptionNames {
        table: "[alert.ping]",
        place: " in [alert.ping]",
        ..TrustOptionNames::WEBHOOK_TABLE
    };
    pub const WEBHOOK: TrustOptionNames = TrustOptionNames {
        ca_file: "webhook_ca_file",
        fingerprint: "webhook_fingerprint",
        table: "[alert]",
        place: "",
        name: "write that name in `webhook`",
        client_certificate: None,
    };
}

/// Why a connection failed, with the server's name and what to do about it.
pub fn describe_tls_error(error: &rustls::Error, context: TlsContext<'_>) -> String {
    let host = context.host;
    if let Some(rejected) = RejectedCertificate::find(error) {
        return describe_rejection(rejected, context);
    }
    if let Some(unusable) = ClientCertificateError::find(error) {
        return format!("no TLS connection to {host}: {unusable}");
    }
    match error {
        rustls::Error::InvalidCertificate(problem) => describe_untrusted(problem, context),
        rustls::Error::InvalidMessage(_) => {
            format!("{host} does not speak TLS on that port: try http:// instead of https://")
        }
        rustls::Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            describe_old_tls(host)
        }
        rustls::Error::PeerIncompatible(_) => format!(
            "{host} speaks TLS 1.2 without what is required for it to be safe; newer firmware may \
             have it, or TLS 1.3"
        ),
        rustls::Error::PeerMisbehaved(_)
        | rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. }
        | rustls::Error::PeerSentOversizedRecord
        | rustls::Error::DecryptError => format!("{host} violates TLS"),
        rustls::Error::NoCertificatesPresented => format!("{host} sends no certificate"),
        rustls::Error::AlertReceived(alert) => describe_tls_alert(*alert, context),
        _ => format!("TLS connection to {host} failed"),
    }
}

fn describe_rejection(rejected: &RejectedCertificate, context: TlsContext<'_>) -> String {
    let host = context.host;
    match &rejected.reason {
        RejectionReason::Untrusted(problem) => describe_untrusted(problem, context),
        RejectionReason::OtherFingerprint(expected) => {
            let shown = expected.iter().take(limits::FINGERPRINTS_SHOWN);
            let shown: Vec<String> = shown.map(ToString::to_string).collect();
            let others = match expected.len().saturating_sub(shown.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let neither = match context.options {
                Some(options) if context.has_ca_file => {
                    format!(", and `{}` does not trust it either", options.ca_file)
                }
                _ => String::new(),
            };
            format!(
                "the certificate of {host} has another fingerprint{neither}: expected {}{others}, \
                 found {}; nothing was sent. If the certificate was renewed, compare the new \
                 fingerprint with the device's own and write it",
                shown.join(" or "),
                rejected.presented.fingerprint
            )
        }
        RejectionReason::ShortRsaKey(bits) => format!(
            "the certificate of {host} has an RSA key of {bits} bits, which is no longer safe and \
             cannot be pinned either: make one with RSA 2048 or ECDSA P-256"
        ),
        RejectionReason::NotItsKey => format!(
            "{host} presents a certificate whose key it does not have: another machine answers \
             with a copy of it"
        ),
    }
}

/// A certificate that is not trusted, and the option that helps.
fn describe_untrusted(problem: &CertificateError, context: TlsContext<'_>) -> String {
    let host = context.host;
    let what = format!(
        "the certificate of {host} {}",
        describe_certificate_error(problem)
    );
    let Some(options) = context.options else {
        return what;
    };
    let TrustOptionNames {
        ca_file,
        fingerprint,
        name,
        place,
        ..
    } = options;
    match problem {
        CertificateError::UnknownIssuer if context.has_ca_file => format!(
            "the TLS certificate of {host} is not trusted by `{ca_file}`: put the CA that issued it \
             there, or the server's own certificate; or pin it with `{fingerprint}`{place}"
        ),
        CertificateError::UnknownIssuer => format!(
            "the TLS certificate of {host} is not trusted (unknown issuer); if it is your own, \
             name its CA in `{ca_file}`, or pin it with `{fingerprint}`{place}"
        ),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!("{what}; pin it with `{fingerprint}`{place}, which holds for any name")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "{what}: {name}, or pin it with `{fingerprint}`{place}, which holds for any name"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!(
                "{what}; if it is that of your own device, `{fingerprint}`{place} trusts it whatever its dates"
            )
        }
        CertificateError::Revoked | CertificateError::BadSignature => what,
        _ => format!("{what}, or pin it with `{fingerprint}`{place}"),
    }
}

/// What is wrong with a certificate, as the end of "the certificate of HOST …".
fn describe_certificate_error(problem: &CertificateError) -> String {
    let text = match problem {
        CertificateError::BadEncoding => "is damaged: it is not valid X.509",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        CertificateError::Revoked => "was revoked by its CA",
        CertificateError::UnhandledCriticalExtension => {
            "has a critical extension that main-node does not know"
        }
        CertificateError::UnknownIssuer => "is signed by no CA that this node trusts",
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::InvalidOcspResponse => "cannot be checked for being revoked",
        CertificateError::BadSignature => {
            "has a signature that does not match: the trusted CA has the same name and another \
             key, or the certificate was changed"
        }
        CertificateError::NotValidForName => "is for another name",
        CertificateError::NotValidForNameContext { presented, .. } => {
            return format!("is for {}", certificate_names(presented));
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not meant for a server: make one with the extended key usage serverAuth"
        }
        CertificateError::Other(_) if mentions(problem, "CaUsedAsEndEntity") => {
            "is a CA's (CA:TRUE), which no server may use: make one that says CA:FALSE"
        }
        CertificateError::Other(_) if mentions(problem, "UnsupportedCertVersion") => {
            "is of an old form (X.509 version 1): make one of version 3"
        }
        // rustls has several variants for this, some of them to be removed.
        _ if mentions(problem, "Unsupported") => {
            "has a key or a signature that is no longer safe (RSA below 2048 bits, SHA-1); make \
             one with RSA 2048 or ECDSA P-256, and SHA-256"
        }
        _ => {
            "is not acceptable; make a new one: X.509 version 3, CA:FALSE, RSA 2048 or ECDSA P-256"
        }
    };
    text.to_owned()
}

/// By the error text: the types are private, or of an indirect dependency.
fn mentions(problem: &CertificateError, name: &str) -> bool {
    format!("{problem:?}").contains(name)
}

/// The first names that a certificate holds: `DnsName("example.org")`.
fn certificate_names(presented: &[String]) -> String {
    let bare = |name: &String| -> String {
        let inner = name.split('"').nth(1).unwrap_or(name);
        let inner = inner.chars().filter(|c| !c.is_control());
        inner.take(limits::CERTIFICATE_NAME_CHARS).collect()
    };
    match presented {
        [] => "no name at all".to_owned(),
        [..] => {
            let most = limits::CERTIFICATE_NAMES;
            let mut shown: Vec<String> = presented.iter().take(most).map(bare).collect();
            if presented.len() > most {
                shown.push("others".to_owned());
            }
            shown.join(", ")
        }
    }
}

fn describe_old_tls(host: &str) -> String {
    format!(
        "{host} speaks only TLS 1.0 or 1.1 (or SSL), which are no longer safe; main-node needs \
         TLS 1.2 or 1.3, which newer firmware may have"
    )
}

/// An alert with which the server ended the handshake (RFC 8446 §6).
fn describe_tls_alert(alert: AlertDescription, context: TlsContext<'_>) -> String {
    let host = context.host;
    match alert {
        AlertDescription::ProtocolVersion | AlertDescription::InappropriateFallback => {
            describe_old_tls(host)
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => format!(
            "{host} and this node have no TLS cipher in common: those of the server are no longer \
             safe, its key is on another curve than P-256 and P-384, or it requires {}; newer \
             firmware may have others",
            required_certificate(context)
        ),
        AlertDescription::CertificateRequired => {
            format!("{host} requires {}", required_certificate(context))
        }
        AlertDescription::BadCertificate if !context.has_client_certificate => {
            format!("{host} requires {}", required_certificate(context))
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::DecryptError
            if context.has_client_certificate =>
        {
            format!(
                "{host} does not accept the client certificate in `certificate`{}: the CA that it \
                 trusts has to issue one",
                match alert {
                    AlertDescription::CertificateRevoked => " (revoked)",
                    AlertDescription::CertificateExpired => " (expired)",
                    AlertDescription::UnknownCA => " (unknown issuer)",
                    _ => "",
                }
            )
        }
        AlertDescription::UnrecognisedName => {
            format!("{host} has no site of that name: use the name in its certificate")
        }
        AlertDescription::AccessDenied => format!("{host} refuses access to this node"),
        AlertDescription::InternalError => {
            format!("{host} has an internal error with TLS")
        }
        other => format!("{host} ended the TLS handshake (alert {})", u8::from(other)),
    }
}

/// What a server requires that gets no client certificate, or another one.
fn required_certificate(context: TlsContext<'_>) -> String {
    let option = context.options.and_then(|it| it.client_certificate);
    match option {
        _ if context.has_client_certificate => {
            "another client certificate than that in `certificate`".to_owned()
        }
        Some(option) => format!("a client certificate (mutual TLS): set {option}"),
        None => {
            "a client certificate (mutual TLS), which main-node does not have there: switch that \
                 off for this address, or use another one"
                .to_owned()
        }
    }
}

/// What the certificate is that was not accepted, and the line that pins it; nothing where pinning it
/// does not help.
pub fn pin_advice(error: &rustls::Error, options: &TrustOptionNames) -> Option<[String; 2]> {
    let RejectedCertificate { reason, presented } = RejectedCertificate::find(error)?;
    match reason {
        RejectionReason::ShortRsaKey(_) | RejectionReason::NotItsKey => None,
        RejectionReason::Untrusted(_) | RejectionReason::OtherFingerprint(_) => Some([
            format!(
                "its certificate: {presented}. To pin it, compare this fingerprint with the device's \
                 own (in a browser behind the padlock, as SHA-256; on the device: openssl x509 -noout \
                 -fingerprint -sha256 -in CERTIFICATE), then write in {}:",
                options.table
            ),
            format!("{} = \"{}\"", options.fingerprint, presented.fingerprint),
        ]),
    }
}

/// The same in a sentence, behind that of [`describe_tls_error`]; nothing where that says it already.
pub fn pin_hint(error: &rustls::Error, options: &TrustOptionNames) -> Option<String> {
    let RejectedCertificate { reason, presented } = RejectedCertificate::find(error)?;
    matches!(reason, RejectionReason::Untrusted(_)).then(|| {
        format!(
            "it presents {presented}: compared with its own, write {} = \"{}\"",
            options.fingerprint, presented.fingerprint
        )
    })
}
