//! Telling people: from events in the outbox to mail, webhooks and a dead man's switch.
//!
//! The threads `mail` and `webhook` each deliver one channel, `ping` tells a dead man's
//! switch that all is well. None of them decides what is worth telling (`domain::alert`
//! does), and none touches the database: the outbox is handed in. Async code lives in
//! [`smtp`] alone.

pub mod delivery;
pub mod mail;
pub mod message;
pub mod ping;
pub mod smtp;
pub mod webhook;

/// What is wrong with a server's certificate.
fn certificate(error: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Wrong;
    match error {
        Wrong::UnknownIssuer => "it is self-signed, or its issuer is not known here".to_owned(),
        Wrong::Expired | Wrong::ExpiredContext { .. } => {
            "it has expired, or this node's clock is wrong".to_owned()
        }
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            "it is not valid yet, or this node's clock is wrong".to_owned()
        }
        Wrong::NotValidForName => "it is for another name".to_owned(),
        Wrong::NotValidForNameContext { presented, .. } => {
            // `DnsName("mail.example")`, as the library writes it.
            let names = presented
                .iter()
                .map(|it| it.split('"').nth(1).unwrap_or(it));
            let names: Vec<&str> = names.take(4).collect();
            format!("it is for {}", names.join(", "))
        }
        Wrong::Revoked => "it was revoked".to_owned(),
        Wrong::BadSignature => "its signature is wrong".to_owned(),
        Wrong::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is a CA's own certificate and cannot be a server's too".to_owned()
        }
        Wrong::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            "it has an outdated form (X.509 before version 3): the server needs a new one"
                .to_owned()
        }
        _ => "it has a form that main-node cannot check; the server needs another one".to_owned(),
    }
}
