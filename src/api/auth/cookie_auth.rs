//! Authentication by the cookies that a server sets, alone or beside another kind.

use std::fmt;
use std::sync::Arc;

use ureq::http::{HeaderMap, Method, Uri, header};

use super::cookies::CookieJar;
use super::{AuthClient, Authenticator, DeniedResponse};
use crate::api::http_response::FetchError;
use crate::domain::redact::Secrets;
use crate::domain::time::Mono;
use crate::sys::sync::Mutex;

/// Cookies that sources share, each with a credential of its own or none.
#[derive(Clone, Default)]
pub struct SharedCookies(Arc<Mutex<CookieState>>);

/// Keeps the cookies of its sources' servers and sends them along.
pub struct CookieAuthenticator {
    /// What authenticates besides.
    other: Option<Arc<dyn Authenticator>>,
    state: Arc<Mutex<CookieState>>,
}

#[derive(Default)]
struct CookieState {
    jar: CookieJar,
    /// The begin of the latest fetch.
    now: Mono,
    secrets: Arc<Secrets>,
}

impl CookieAuthenticator {
    pub fn new(
        cookies: SharedCookies,
        other: Option<Arc<dyn Authenticator>>,
    ) -> CookieAuthenticator {
        let state = cookies.0;
        CookieAuthenticator { other, state }
    }
}

impl fmt::Debug for CookieAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jar = &self.state.lock().jar;
        write!(f, "CookieAuthenticator with {jar:?} and {:?}", self.other)
    }
}

impl Authenticator for CookieAuthenticator {
    fn prepare(&self, client: &dyn AuthClient) -> Result<(), FetchError> {
        let now = client.now().mono;
        let mut state = self.state.lock();
        state.now = state.now.max(now);
        drop(state);
        self.other.as_ref().map_or(Ok(()), |it| it.prepare(client))
    }

    fn authorize(&self, method: &Method, uri: &mut Uri, headers: &mut HeaderMap) {
        if let Some(other) = &self.other {
            other.authorize(method, uri, headers);
        }
        let state = self.state.lock();
        state.jar.add_to(uri, headers, state.now);
    }

    fn is_denied(&self, status: u16, uri: &Uri, headers: &HeaderMap) -> bool {
        let other = self.other.as_ref();
        other.is_some_and(|it| it.is_denied(status, uri, headers))
    }

    fn renew(&self, denied: &DeniedResponse, client: &dyn AuthClient) -> Result<bool, FetchError> {
        let other = self.other.as_ref();
        other.map_or(Ok(false), |it| it.renew(denied, client))
    }

    fn login_token(
        &self,
        refused: Option<&str>,
        client: &dyn AuthClient,
    ) -> Result<Option<String>, FetchError> {
        let other = self.other.as_ref();
        other.map_or(Ok(None), |it| it.login_token(refused, client))
    }

    fn observe(&self, status: u16, uri: &Uri, headers: &HeaderMap) {
        if headers.contains_key(header::SET_COOKIE) {
            let mut state = self.state.lock();
            let now = state.now;
            state.jar.store(uri, headers, now);
            let known = Secrets::new(state.jar.secrets().map(str::to_owned));
            state.secrets = Arc::new(known);
        }
        if let Some(other) = &self.other {
            other.observe(status, uri, headers);
        }
    }

    fn keeps_cookies(&self) -> bool {
        true
    }

    fn secrets(&self) -> Arc<Secrets> {
        let own = self.state.lock().secrets.clone();
        match &self.other {
            Some(other) => Arc::new(own.with(&other.secrets())),
            None => own,
        }
    }
}
