//! User and password: Digest (RFC 7616) where the server asks for it. What a request begins with,
//! Basic or nothing, is one of its headers.
//!
//! Shared by the sources of an `[auth.NAME]`, so by their fetch threads. Each server has challenges
//! of its own. One that asked for Digest is never sent Basic again.

use std::collections::BTreeMap;
use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use ureq::http::{HeaderMap, HeaderValue, Method, Uri, header};

use super::{AuthClient, Authenticator, DeniedResponse};
use crate::api::digest::{DigestChallenge, DigestOffer, DigestSession};
use crate::api::http_response::FetchError;
use crate::api::www_authenticate::{self, Challenge};
use crate::api::{basic_auth, origin};
use crate::domain::failure::{Cause, Failure};
use crate::domain::text::hexadecimal;
use crate::limits;
use crate::sys::sync::Mutex;

/// RFC 7615.
const AUTHENTICATION_INFO: &str = "authentication-info";

/// A user, its password, and how they may be sent.
pub struct PasswordAuthenticator {
    user: Vec<u8>,
    password: Vec<u8>,
    answers_digest: bool,
    /// Servers that asked for Digest, by origin.
    servers: Mutex<BTreeMap<String, DigestServer>>,
}

/// A server that asked for Digest.
#[derive(Default)]
struct DigestServer {
    /// Of the last challenge, unless its answer was refused.
    session: Option<DigestSession>,
    /// The password was right for this session.
    is_accepted: bool,
}

impl fmt::Debug for PasswordAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordAuthenticator")
    }
}

impl PasswordAuthenticator {
    pub fn new(user: &[u8], password: &[u8], answers_digest: bool) -> PasswordAuthenticator {
        PasswordAuthenticator {
            user: user.to_vec(),
            password: password.to_vec(),
            answers_digest,
            servers: Mutex::default(),
        }
    }

    /// Of `http://user:p%40ss@host/`, decoded.
    pub fn of_url(uri: &Uri) -> Option<PasswordAuthenticator> {
        let (user, password) = basic_auth::user_info(uri)?;
        Some(PasswordAuthenticator::new(&user, &password, true))
    }

    /// Whether the answer to a new challenge may be accepted where the one that was sent was not.
    fn is_worth_another(
        server: &DigestServer,
        sent: Option<&HeaderValue>,
        challenge: &DigestChallenge,
    ) -> bool {
        let Some(sent) = sent.and_then(|it| it.as_bytes().strip_prefix(b"Digest ")) else {
            return true;
        };
        let params = www_authenticate::parse_params(sent);
        let sent = params.param("nonce").unwrap_or_default();
        let session = server.session.as_ref();
        // Devices that restart, or whose nonces expire, often do not say `stale`.
        let has_expired = server.is_accepted && challenge.nonce != sent;
        let is_replaced = session.is_some_and(|it| it.nonce() != sent);
        challenge.is_stale || has_expired || is_replaced
    }

    /// Forgets a session whose answer was refused without another challenge. Whether its password
    /// was right before: a request without an answer gets a challenge then.
    fn drop_session(&self, uri: &Uri) -> bool {
        let mut servers = self.servers.lock();
        let Some(server) = servers.get_mut(&server_key(uri)) else {
            return false;
        };
        server.session.take().is_some() && std::mem::take(&mut server.is_accepted)
    }

    fn new_session(&self, challenge: DigestChallenge) -> Option<DigestSession> {
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).ok()?;
        let cnonce = hexadecimal(&random);
        let (user, password) = (&self.user, &self.password);
        Some(DigestSession::new(challenge, user, password, cnonce))
    }

    /// Why there is no answer to a challenge other than Digest; `None` where the response says it.
    fn explain(&self, denied: &DeniedResponse, challenges: &[Challenge]) -> Option<FetchError> {
        let wanted_digest = self.servers.lock().contains_key(&server_key(&denied.uri));
        let is_sent = denied.sent.contains_key(header::AUTHORIZATION);
        let wants_basic = challenges.iter().any(|it| it.is("Basic"));
        let words = if challenges.is_empty() && !wanted_digest && !is_sent {
            "it does not ask for Digest authentication, and `scheme` or the OpenAPI file says \
             Digest, so nothing is sent: write scheme = \"basic\" if you trust the network between"
        } else if !wants_basic {
            return None;
        } else if wanted_digest {
            "it wants Basic authentication and wanted Digest before, which protects the password: \
             if you changed it yourself, restart main-node"
        } else if !is_sent {
            "it wants Basic authentication, and `scheme` or the OpenAPI file says Digest, so the \
             password is not sent: write scheme = \"basic\" if you trust the network between"
        } else {
            return None;
        };
        let host = origin::display_host(&denied.uri);
        let detail = format!("{host} answers 401 Unauthorized: {words}");
        Some(FetchError::Failed(Failure::new(Cause::HttpStatus, detail)))
    }
}

impl Authenticator for PasswordAuthenticator {
    fn authorize(&self, method: &Method, uri: &mut Uri, headers: &mut HeaderMap) {
        let mut servers = self.servers.lock();
        let Some(server) = servers.get_mut(&server_key(uri)) else {
            return;
        };
        headers.remove(header::AUTHORIZATION);
        let session = server.session.as_mut();
        if let Some(value) = session.and_then(|it| it.authorization(method, uri)) {
            headers.insert(header::AUTHORIZATION, value);
        }
    }

    fn is_denied(&self, status: u16, _: &Uri, _: &HeaderMap) -> bool {
        status == 401
    }

    fn renew(&self, denied: &DeniedResponse, _: &dyn AuthClient) -> Result<bool, FetchError> {
        let challenges = www_authenticate::challenges(&denied.headers);
        let challenge = match DigestOffer::of(&challenges) {
            DigestOffer::Supported(challenge) if self.answers_digest => challenge,
            DigestOffer::None => {
                let is_worth_it = self.drop_session(&denied.uri);
                let explained = self.explain(denied, &challenges);
                return explained.map_or(Ok(is_worth_it), Err);
            }
            _ => {
                self.drop_session(&denied.uri);
                return Ok(false);
            }
        };
        let key = server_key(&denied.uri);
        let mut servers = self.servers.lock();
        if !servers.contains_key(&key) && servers.len() >= limits::DIGEST_SERVERS {
            return Ok(false);
        }
        let server = servers.entry(key).or_default();
        let sent = denied.sent.get(header::AUTHORIZATION);
        let is_worth_it = Self::is_worth_another(server, sent, &challenge);
        *server = DigestServer {
            session: is_worth_it.then(|| self.new_session(challenge)).flatten(),
            is_accepted: false,
        };
        Ok(server.session.is_some())
    }

    fn observe(&self, status: u16, uri: &Uri, headers: &HeaderMap) {
        if status >= 400 {
            return;
        }
        let mut servers = self.servers.lock();
        let Some(server) = servers.get_mut(&server_key(uri)) else {
            return;
        };
        server.is_accepted = true;
        let info = headers.get(AUTHENTICATION_INFO);
        let info = info.map(|it| www_authenticate::parse_params(it.as_bytes()));
        let next = info.as_ref().and_then(|it| it.param("nextnonce"));
        if let (Some(session), Some(next)) = (&mut server.session, next) {
            session.use_nonce(next.to_vec());
        }
    }
}

fn server_key(uri: &Uri) -> String {
    origin::pool_key(uri)
}

#[cfg(test)]
#[path = "tests/password.rs"]
mod tests;
