//! Secrets: texts that are never printed, and URLs without them.

use std::fmt;

use crate::domain::redact::MASK;
pub use crate::domain::secret_detection::{is_likely_key, is_secret_name};

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL without user-info, query, fragment and path segments that look like a key.
pub fn without_secrets(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let (path, query) = match path.split_once('?') {
        Some((path, _)) => (path, "?***"),
        None => (path, ""),
    };
    let shown = |part| if is_likely_key(part) { MASK } else { part };
    let path: Vec<&str> = path.split('/').map(shown).collect();
    format!("{scheme}://{host}{}{query}", path.join("/"))
}

#[cfg(test)]
#[path = "tests/secret.rs"]
mod tests;
