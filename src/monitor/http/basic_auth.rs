//! HTTP Basic authentication (RFC 7617): the option `password_file`.
//!
//! Runs on the server's thread and the workers' before anything else is looked at; no disk, and a
//! lock that is held for a look at two small tables. It keeps a digest, never the password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use super::handler::Request;
use super::login_throttle::LoginThrottle;
use crate::domain::time::Mono;
use crate::limits;
use crate::sys::sync::Mutex;

/// The password; any user name is accepted with it.
pub struct Password {
    digest: [u8; 32],
    /// Of the same without trailing blanks, which an editor may leave in the file.
    trimmed: [u8; 32],
    throttle: Mutex<LoginThrottle>,
}

/// The credentials of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CredentialCheck {
    Valid,
    /// None: a browser sends its first request without.
    Missing,
    Invalid,
}

/// Why a request is not authorized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    PasswordRequired,
    TooManyAttempts,
}

impl AuthError {
    pub fn status(self) -> u16 {
        match self {
            AuthError::PasswordRequired => 401,
            AuthError::TooManyAttempts => 429,
        }
    }

    pub fn detail(self) -> &'static str {
        match self {
            AuthError::PasswordRequired => {
                "A password is required: the one in the file that `password_file` in \
                 main-node.toml names. curl -u :PASSWORD, with any user name."
            }
            AuthError::TooManyAttempts => {
                "Too many wrong passwords from this address. Wait a minute, then try again."
            }
        }
    }

    /// The header field of the response.
    pub fn header(self) -> (&'static str, String) {
        match self {
            AuthError::PasswordRequired => {
                let challenge = "Basic realm=\"main-node\", charset=\"UTF-8\"";
                ("WWW-Authenticate", challenge.to_owned())
            }
            AuthError::TooManyAttempts => {
                let seconds = limits::WRONG_PASSWORD_WINDOW.as_secs().to_string();
                ("Retry-After", seconds)
            }
        }
    }
}

impl Password {
    pub fn new(text: &str) -> Password {
        Password {
            digest: sha256(text.as_bytes()),
            trimmed: sha256(text.trim_end().as_bytes()),
            throttle: Mutex::default(),
        }
    }

    /// Why this request is not authorized, if so. A wrong password counts against the address
    /// it came from: to be called once per request.
    pub fn deny(&self, request: &Request, now: Mono) -> Option<AuthError> {
        let mut failures = self.throttle.lock();
        if failures.is_locked_out(request.peer, now) {
            return Some(AuthError::TooManyAttempts);
        }
        match self.check_credentials(request) {
            CredentialCheck::Valid => {
                failures.record_success(request.peer, now);
                return None;
            }
            CredentialCheck::Invalid => failures.record_failure(request.peer, now),
            CredentialCheck::Missing => {}
        }
        Some(AuthError::PasswordRequired)
    }

    /// Whether [`Password::deny`] would let it pass; counts nothing.
    pub fn is_authorized(&self, request: &Request, now: Mono) -> bool {
        let failures = self.throttle.lock();
        let is_refused = || failures.is_locked_out(request.peer, now);
        !is_refused() && self.check_credentials(request) == CredentialCheck::Valid
    }

    fn check_credentials(&self, request: &Request) -> CredentialCheck {
        let Some(field) = request.header("authorization").map(str::trim) else {
            return CredentialCheck::Missing;
        };
        if field.is_empty() {
            CredentialCheck::Missing
        } else if self.matches(field) {
            CredentialCheck::Valid
        } else {
            CredentialCheck::Invalid
        }
    }

    fn matches(&self, field: &str) -> bool {
        let Some((scheme, encoded)) = field.split_once(' ') else {
            return false;
        };
        let decoded = STANDARD.decode(encoded.trim()).unwrap_or_default();
        // A user name has no colon, a password may.
        let Some(colon) = decoded.iter().position(|byte| *byte == b':') else {
            return false;
        };
        // Digests have one length, so that the time does not depend on the password's length
        // either.
        let given = sha256(&decoded[colon + 1..]);
        let is_right: bool = (given.ct_eq(&self.digest) | given.ct_eq(&self.trimmed)).into();
        is_right && scheme.eq_ignore_ascii_case("basic")
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
#[path = "tests/basic_auth.rs"]
mod tests;
