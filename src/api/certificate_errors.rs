//! TLS and certificate errors: each to a cause and a message.
//!
//! Pure.

use rustls::CertificateError;

use super::error_context::ErrorContext;
use crate::domain::failure::{Cause, Failure};
use crate::domain::time::{ClockTrust, Moment, Wall};
use crate::limits;
use crate::sys::tls;

pub fn classify_tls(error: &rustls::Error, context: ErrorContext) -> Failure {
    match error {
        rustls::Error::InvalidCertificate(problem) => classify_certificate(problem, context),
        rustls::Error::FailedToGetCurrentTime => clock_is_wrong(context),
        error => Failure::new(
            Cause::Tls,
            tls::describe_handshake_error(error, context.host),
        ),
    }
}

fn classify_certificate(problem: &CertificateError, context: ErrorContext) -> Failure {
    let host = context.host;
    let fail = |detail: String| Failure::new(Cause::Tls, detail);
    match problem {
        CertificateError::ExpiredContext { not_after, .. } => fail(format!(
            "the certificate of {host} expired on {}{}",
            date(*not_after),
            clock_caveat(context.now)
        )),
        CertificateError::Expired => fail(format!(
            "the certificate of {host} has expired{}",
            clock_caveat(context.now)
        )),
        // An unset clock is the likelier cause: a Pi without RTC starts in the past.
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
            "the TLS certificate of {host} is not trusted by this source's `ca_file`: put the CA \
             that issued it there, or the server's own certificate"
        )),
        CertificateError::UnknownIssuer => fail(format!(
            "the TLS certificate of {host} is not trusted (unknown issuer); if it is your own, \
             name its CA in `ca_file`"
        )),
        other => fail(format!(
            "the certificate of {host} {}",
            tls::describe_certificate_error(other)
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

fn clock_caveat(now: Moment) -> String {
    match now.trust {
        ClockTrust::Untrusted => format!(
            ", if this node's clock ({}), not synchronised, is right",
            &now.wall.to_string()[..10]
        ),
        ClockTrust::Trusted | ClockTrust::Unknown => String::new(),
    }
}

/// The clock is wrong, so that certificates cannot be verified.
pub fn clock_is_wrong(context: ErrorContext) -> Failure {
    let why = if context.now.wall.second() < limits::EARLIEST_PLAUSIBLE_WALL_S {
        "which cannot be right"
    } else {
        "which is not synchronised"
    };
    Failure::new(
        Cause::Clock,
        format!(
            "this node's clock says {}, {why}, so the certificate of {} cannot be checked; \
             waiting for the time to be set",
            &context.now.wall.to_string()[..10],
            context.host
        ),
    )
}

#[cfg(test)]
#[path = "tests/certificate_errors.rs"]
mod tests;
