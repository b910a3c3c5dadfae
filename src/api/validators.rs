//! Validators of a response (RFC 9110 §8.8), for a conditional request.
//!
//! A value.

/// Validators of the last response, for a conditional request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// Identity of the request whose response had them, where requests differ.
    pub request: u64,
}

impl Validators {
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}
