//! A request as the gate has checked it, and an answer before it is put on a wire.
//!
//! Plain values between the gate (which speaks HTTP) and whoever knows what to say.

use std::net::IpAddr;
use std::sync::Arc;

/// A well-framed GET or HEAD. The gate has checked syntax, sizes and framing; the meaning of
/// the target and of the headers is for the answerer.
#[derive(Debug, Clone)]
pub struct Request {
    pub is_head: bool,
    /// Origin form, as sent: path and query, percent-encoded.
    pub target: String,
    /// Names in lower case, in the order sent; values without surrounding blanks.
    pub headers: Vec<(String, String)>,
    pub peer: IpAddr,
}

impl Request {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What goes back. `Content-Length`, `Date` and `Connection` are the writer's business.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Further header fields, `Content-Type` among them.
    pub headers: Vec<(&'static str, String)>,
    /// Shared, so that many slow readers of one snapshot hold one copy.
    pub body: Arc<[u8]>,
}
