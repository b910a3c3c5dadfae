//! Error context: what an error message may mention.
//!
//! Values.

use std::time::Duration;

use crate::domain::time::Moment;
use crate::sys::tls::TrustOptionNames;

/// Which part of the response was being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponsePart {
    Head,
    Body,
}

/// Facts for error messages.
#[derive(Debug, Clone, Copy)]
pub struct ErrorContext<'a> {
    /// Host, with its port where that is not the scheme's own.
    pub host: &'a str,
    pub part: ResponsePart,
    pub timeout: Duration,
    pub body_limit: u64,
    /// Whether the source has a `ca_file`.
    pub has_ca_file: bool,
    pub has_client_certificate: bool,
    /// The options of the two.
    pub trust_options: &'static TrustOptionNames,
    pub now: Moment,
}
