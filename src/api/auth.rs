//! Authentication of a source's requests: what gets a credential, adds it, and renews it.
//!
//! An [`Authenticator`] is shared by the sources of an `[auth.NAME]`, so by their fetch threads.
//! Static tokens need none: they are headers of the request.

mod auth_body;
pub mod cookie_auth;
mod cookies;
mod known_tokens;
pub mod login;
pub mod login_response;
pub mod oauth2;
pub mod password;
mod renewal;
pub mod rotated_token;
pub mod session_file;
mod token_expiry;
pub mod token_file;
mod token_placement;
pub mod token_response;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use ureq::http::{HeaderMap, Method, Uri};

use super::http_response::FetchError;
use super::outgoing_request::OutgoingRequest;
use super::redirect;
use crate::domain::redact::Secrets;
use crate::domain::time::Moment;
use crate::sys::tls::Trust;

/// Authenticates the requests of the sources of one server or account.
pub trait Authenticator: Send + Sync + Debug {
    /// Called before the first request of a fetch: gets a token, or renews one that expires.
    ///
    /// # Errors
    /// Why there is none; the fetch fails with it, and nothing is sent to the source.
    fn prepare(&self, _client: &dyn AuthClient) -> Result<(), FetchError> {
        Ok(())
    }

    /// Adds the credential to a request to the source's server, which has none of it yet.
    fn authorize(&self, method: &Method, uri: &mut Uri, headers: &mut HeaderMap);

    /// Whether a response of the source's server refuses access for want of a (valid) credential.
    /// Asked before a redirect is followed.
    fn is_denied(&self, status: u16, _uri: &Uri, _headers: &HeaderMap) -> bool {
        matches!(status, 401 | 403)
    }

    /// Called after a response that [`Authenticator::is_denied`]. `true`: there is another
    /// credential, and the first request (of the page) is sent once more. `false`: the response is
    /// taken as it is.
    ///
    /// # Errors
    /// Why no other credential could be got; the fetch fails with it.
    fn renew(
        &self,
        _denied: &DeniedResponse,
        _client: &dyn AuthClient,
    ) -> Result<bool, FetchError> {
        Ok(false)
    }

    /// The token itself, for a login that is no HTTP request. `refused`: another one than this is
    /// needed. `None`: there is none, or no other.
    ///
    /// # Errors
    /// Why none could be got.
    fn login_token(
        &self,
        _refused: Option<&str>,
        _client: &dyn AuthClient,
    ) -> Result<Option<String>, FetchError> {
        Ok(None)
    }

    /// Called with the head of every response of the source's server.
    fn observe(&self, _status: u16, _uri: &Uri, _headers: &HeaderMap) {}

    /// Whether a response can change what the next request sends, so that a redirect to where it
    /// comes from is no loop.
    fn keeps_cookies(&self) -> bool {
        false
    }

    /// Texts known since the start that are never shown: tokens, session identifiers.
    fn secrets(&self) -> Arc<Secrets> {
        Arc::default()
    }
}

/// Sends requests of an [`Authenticator`], on the fetch thread. Each has at least
/// [`crate::limits::AUTH_TIMEOUT`], which is no part of the time of the fetch.
/// Each is counted as a request of the source. Redirects are not followed.
pub trait AuthClient {
    /// # Errors
    /// Without a response, or with one that cannot be read; every status is a response.
    fn send(&self, request: &OutgoingRequest) -> Result<AuthResponse, FetchError>;

    fn now(&self) -> Moment;

    /// Whether the node stops: waits end then.
    fn is_stopping(&self) -> bool;

    /// When the time of the fetch is over.
    fn deadline(&self) -> Instant;
}

/// Response to a request of an [`Authenticator`].
#[derive(Debug)]
pub struct AuthResponse {
    pub status: u16,
    pub headers: HeaderMap,
    /// After decompression, at most [`crate::limits::AUTH_BODY_BYTES`].
    pub body: Vec<u8>,
}

/// A response that refuses access, read and closed.
#[derive(Debug)]
pub struct DeniedResponse {
    pub status: u16,
    /// URL of the request as it was sent.
    pub uri: Uri,
    /// Headers of the request as it was sent.
    pub sent: HeaderMap,
    pub headers: HeaderMap,
    /// Start of its body, where the status is one of an error.
    pub body_start: Vec<u8>,
}

/// The authentication of one source.
#[derive(Debug, Clone)]
pub struct SourceAuth {
    pub authenticator: Arc<dyn Authenticator>,
    /// URL of the source, of which the origin counts: credentials go nowhere else.
    pub origin: Uri,
    /// Certificates to trust for other servers: of tokens, of logins.
    pub trust: Trust,
}

impl SourceAuth {
    /// Whether a request to `uri` may carry the credential.
    pub fn covers(&self, uri: &Uri) -> bool {
        redirect::keeps_credentials(&self.origin, uri)
    }
}

#[cfg(test)]
#[path = "tests/auth_requests.rs"]
mod tests;
