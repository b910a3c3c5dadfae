//! HTTP authentication: the option `password_file` (Basic, RFC 7617) and the option `token` (Bearer,
//! RFC 6750, or a parameter).
//!
//! Runs on the server's thread and the workers' before anything else is looked at; no disk, and a
//! lock that is held for a look at two small tables. It keeps digests, never the secrets.

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
    /// Of the token, which opens some paths as well.
    token: Option<[u8; 32]>,
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
    /// The path takes the token as well, and there is one.
    PasswordOrTokenRequired,
    TooManyAttempts,
}

impl AuthError {
    pub fn status(self) -> u16 {
        match self {
            AuthError::PasswordRequired | AuthError::PasswordOrTokenRequired => 401,
            AuthError::TooManyAttempts => 429,
        }
    }

    pub fn detail(self) -> &'static str {
        match self {
            AuthError::PasswordRequired => {
                "A password is required: the one in the file that `password_file` in \
                 main-node.toml names. curl -u :PASSWORD, with any user name."
            }
            AuthError::PasswordOrTokenRequired => {
                "The password or the token is required: that of the file that `password_file` in \
                 main-node.toml names (curl -u :PASSWORD, with any user name), or `token` \
                 (?token=TOKEN, or curl -H 'Authorization: Bearer TOKEN')."
            }
            AuthError::TooManyAttempts => {
                "Too many wrong passwords or tokens from this address. Wait a minute, then try \
                 again. Other addresses are not affected."
            }
        }
    }

    /// The header field of the response.
    pub fn header(self) -> (&'static str, String) {
        match self {
            AuthError::PasswordRequired | AuthError::PasswordOrTokenRequired => {
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
            token: None,
            throttle: Mutex::default(),
        }
    }

    pub fn with_token(self, token: Option<&str>) -> Password {
        Password {
            token: token.map(|token| sha256(token.as_bytes())),
            ..self
        }
    }

    /// Why this request is not authorized, if so. A wrong password or token counts against the
    /// address it came from: to be called once per request. `takes_token`: its path does.
    pub fn deny(&self, request: &Request, takes_token: bool, now: Mono) -> Option<AuthError> {
        let mut failures = self.throttle.lock();
        if failures.is_locked_out(request.peer, now) {
            return Some(AuthError::TooManyAttempts);
        }
        match self.check_credentials(request, takes_token) {
            CredentialCheck::Valid => {
                failures.record_success(request.peer, now);
                return None;
            }
            CredentialCheck::Invalid => failures.record_failure(request.peer, now),
            CredentialCheck::Missing => {}
        }
        Some(match (takes_token, self.token) {
            (true, Some(_)) => AuthError::PasswordOrTokenRequired,
            _ => AuthError::PasswordRequired,
        })
    }

    /// Whether [`Password::deny`] would let it pass; counts nothing.
    pub fn is_authorized(&self, request: &Request, takes_token: bool, now: Mono) -> bool {
        let failures = self.throttle.lock();
        let is_refused = || failures.is_locked_out(request.peer, now);
        let check = || self.check_credentials(request, takes_token);
        !is_refused() && check() == CredentialCheck::Valid
    }

    /// Of a header and a parameter, one that is valid is enough.
    fn check_credentials(&self, request: &Request, takes_token: bool) -> CredentialCheck {
        let field = request.header("authorization").map(str::trim);
        let field = field.map(|field| self.check_field(field, takes_token));
        let token = request.token.as_deref();
        let token = token.map(|token| self.check_token(token, takes_token));
        let has = |check| field == Some(check) || token == Some(check);
        if has(CredentialCheck::Valid) {
            CredentialCheck::Valid
        } else if has(CredentialCheck::Invalid) {
            CredentialCheck::Invalid
        } else {
            CredentialCheck::Missing
        }
    }

    fn check_field(&self, field: &str, takes_token: bool) -> CredentialCheck {
        match field.split_once(' ') {
            _ if field.is_empty() => CredentialCheck::Missing,
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                self.check_token(token.trim(), takes_token)
            }
            _ if self.matches(field) => CredentialCheck::Valid,
            _ => CredentialCheck::Invalid,
        }
    }

    /// The right token where it opens nothing is no guess.
    fn check_token(&self, token: &str, takes_token: bool) -> CredentialCheck {
        let given = sha256(token.as_bytes());
        let is_right = self.token.is_some_and(|token| given.ct_eq(&token).into());
        match (is_right, takes_token) {
            (true, true) => CredentialCheck::Valid,
            (true, false) => CredentialCheck::Missing,
            (false, _) if token.is_empty() => CredentialCheck::Missing,
            (false, _) => CredentialCheck::Invalid,
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
