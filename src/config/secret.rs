//! Secrets: texts that are never printed, and detection of secrets by name and in URLs.

use std::fmt;

use crate::domain::redact::MASK;

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

/// Whether a path segment is likely to be a key: Telegram's `bot123:ABC…`, or long, with
/// letters and digits and without separators.
pub fn is_likely_key(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte);
    part.len() >= 20 && digits >= 3 && letters >= 3 && part.bytes().all(is_plain)
}

/// Whether a parameter of this name is likely to hold a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = [
        "key",
        "token",
        "secret",
        "pass",
        "appid",
        "auth",
        "cred",
        "cookie",
        "session",
        "signature",
    ];
    let names = [
        "sid", "pin", "pwd", "pw", "sig", "code", "jwt", "login", "user", "username",
    ];
    parts.iter().any(|part| name.contains(part)) || names.contains(&name.as_str())
}

#[cfg(test)]
#[path = "tests/secret.rs"]
mod tests;
