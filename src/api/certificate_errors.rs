//! TLS and certificate errors: each to a cause and a message.
//!
//! Pure.

use rustls::CertificateError;

use super::error_context::ErrorContext;
use crate::domain::failure::{Cause, Failure};
use crate::domain::time::{ClockTrust, Moment, Wall};
use crate::limits;
use crate::sys::tls::{self, RejectedCertificate, RejectionReason, TlsContext};

pub fn classify_tls(error: &rustls::Error, context: ErrorContext) -> Failure {
    if let rustls::Error::FailedToGetCurrentTime = error {
        return clock_is_wrong(context);
    }
    let rejected = RejectedCertificate::find(error);
    let dated = match (error, rejected.map(|it| &it.reason)) {
        (_, Some(RejectionReason::Untrusted(problem)))
        | (rustls::Error::InvalidCertificate(problem), None) => classify_dates(problem, context),
        _ => None,
    };
    dated.unwrap_or_else(|| {
        let context = TlsContext {
            host: context.host,
            has_ca_file: context.has_ca_file,
            has_client_certificate: context.has_client_certificate,
            options: Some(context.trust_options),
        };
        Failure::new(Cause::Tls, tls::describe_tls_error(error, context))
    })
}

/// What depends on this node's clock.
fn classify_dates(problem: &CertificateError, context: ErrorContext) -> Option<Failure> {
    let host = context.host;
    let fail = |detail: String| Some(Failure::new(Cause::Tls, detail));
    let place = context.trust_options.place;
    let pin = format!(
        "if it is that of your own device, `fingerprint`{place} trusts it whatever its dates"
    );
    match problem {
        CertificateError::ExpiredContext { not_after, .. } => fail(format!(
            "the certificate of {host} expired on {}{}; {pin}",
            date(*not_after),
            clock_caveat(context.now)
        )),
        CertificateError::Expired => fail(format!(
            "the certificate of {host} has expired{}; {pin}",
            clock_caveat(context.now)
        )),
        // An unset clock is the likelier cause: a Pi without RTC starts in the past.
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
            if context.now.trust == ClockTrust::Untrusted =>
        {
            Some(clock_is_wrong(context))
        }
        CertificateError::NotValidYetContext { not_before, .. } => fail(format!(
            "the certificate of {host} is valid from {} on, and it is {} here; {pin}",
            date(*not_before),
            &context.now.wall.to_string()[..10]
        )),
        _ => None,
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
