//! What a sentence about a failed fetch may mention.
//!
//! Values.

use std::time::Duration;

use crate::domain::time::Moment;

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
