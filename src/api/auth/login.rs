//! Login: a request that gives a session, by a token or cookies, which requests then send.
//!
//! Shared by the fetch threads of its sources. One login at a time; after one that failed, or whose
//! session was refused at once, none for [`limits::LOGIN_PAUSE`].

mod session;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use ureq::http::{HeaderMap, Method, Uri, header};

use self::session::{LoginSession, LoginState};
use super::login_response::{ExpectedLogin, LoginGrant};
use super::renewal::{Renewal, Renewed};
use super::session_file::SessionFile;
use super::token_expiry::TokenExpiry;
use super::token_placement::place_token;
use super::{AuthClient, Authenticator, DeniedResponse};
use crate::api::error_message::describe_body;
use crate::api::http_response::{FetchError, is_html};
use crate::api::origin;
use crate::api::redirect::{is_redirect, resolve_location};
use crate::api::status_errors::reason_phrase;
use crate::api::url_source::UrlTemplate;
use crate::domain::failure::{Cause, Failure};
use crate::domain::placeholder::PlaceholderTime;
use crate::domain::redact::Secrets;
use crate::domain::text::human_duration;
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::sync::Mutex;

/// Parts of a path that mean a page to log in.
const LOGIN_PAGES: [&str; 8] = [
    "login", "log-in", "log_in", "signin", "sign-in", "sign_in", "logon", "sso",
];

pub struct LoginSettings {
    pub request: UrlTemplate,
    /// Of date placeholders.
    pub zone: TimeZone,
    /// URL of the login, with its origin.
    pub url: Uri,
    pub expected: ExpectedLogin,
    /// Where the token is kept for a restart.
    pub file: Option<SessionFile>,
}

pub struct LoginAuthenticator {
    settings: LoginSettings,
    host: String,
    renewal: Renewal<LoginSession>,
    state: Mutex<LoginState>,
}

impl LoginAuthenticator {
    pub fn new(settings: LoginSettings) -> LoginAuthenticator {
        LoginAuthenticator {
            host: origin::display_host(&settings.url),
            settings,
            renewal: Renewal::default(),
            state: Mutex::default(),
        }
    }

    /// Sees to it that there is a session that has not ended.
    fn ensure_session(&self, client: &dyn AuthClient) -> Result<(), FetchError> {
        let now = client.now();
        let serves = |session: &LoginSession| {
            !self.state.lock().has_ended(session) && !session.expiry.is_due(now.mono)
        };
        let renew = |present: Option<LoginSession>| Renewed {
            result: self.new_session(present.as_ref(), client),
            // The pause is kept here.
            pause: Duration::ZERO,
        };
        match self.renewal.get(client, serves, renew) {
            Ok(_) => Ok(()),
            Err(FetchError::Failed(failure)) => {
                // A session that is renewed before its end serves until then.
                let is_alive = |it: &LoginSession| {
                    !self.state.lock().has_ended(it) && !it.expiry.is_over(now.mono)
                };
                match self.renewal.current() {
                    Some(session) if is_alive(&session) => Ok(()),
                    _ => Err(FetchError::Failed(failure)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The session of the file, if that has another than the present one, or one of a login.
    fn new_session(
        &self,
        present: Option<&LoginSession>,
        client: &dyn AuthClient,
    ) -> Result<LoginSession, FetchError> {
        let now = client.now();
        let lock = match &self.settings.file {
            Some(file) => Some(file.lock(client)?),
            None => None,
        };
        if let Some(file) = &self.settings.file
            && let Some((token, expiry)) = file.load(now)
            && present.is_none_or(|it| it.token.as_deref() != Some(&*token))
            && !expiry.is_due(now.mono)
        {
            let session = self.state.lock().begin_session(Some(token), expiry, None);
            return Ok(session);
        }
        if let Some(failure) = self.state.lock().paused(now.mono) {
            return Err(FetchError::Failed(failure));
        }
        let result = self.log_in(client, now);
        drop(lock);
        result
    }

    fn log_in(&self, client: &dyn AuthClient, now: Moment) -> Result<LoginSession, FetchError> {
        let prepared = self.settings.file.as_ref().and_then(SessionFile::prepare);
        let grant = match self.send_login(client, now) {
            Ok(grant) => grant,
            Err(FetchError::Stopped) => return Err(FetchError::Stopped),
            Err(FetchError::Failed(failure)) => {
                let pause = pause_after(&failure);
                let failure = self.state.lock().pause(now.mono, pause, failure);
                return Err(FetchError::Failed(failure));
            }
        };
        let lifetime = grant.lifetime.map(|it| it.max(limits::LOGIN_INTERVAL));
        if let (Some(file), Some(prepared), Some(token)) =
            (&self.settings.file, prepared, &grant.token)
        {
            file.store(prepared, token, lifetime, now);
        }
        let expiry = lifetime.map_or(TokenExpiry::Unknown, |it| TokenExpiry::after(it, now));
        let mut state = self.state.lock();
        let detail = format!(
            "the session of the login at {} has ended within a minute",
            self.host
        );
        let failure = Failure::new(Cause::HttpStatus, detail);
        state.pause(now.mono, limits::LOGIN_INTERVAL, failure);
        Ok(state.begin_session(grant.token, expiry, Some(now.mono)))
    }

    fn send_login(&self, client: &dyn AuthClient, now: Moment) -> Result<LoginGrant, FetchError> {
        let time = PlaceholderTime {
            wall: now.wall,
            zone: self.settings.zone.clone(),
        };
        let request = self.settings.request.fill(&time).map_err(|problem| {
            let detail = format!("the login cannot be made for this date: {problem}");
            FetchError::Failed(Failure::new(Cause::Schema, detail))
        })?;
        let response = client.send(&request).map_err(|error| match error {
            FetchError::Failed(failure) => FetchError::Failed(Failure {
                retry_after: failure.retry_after,
                ..Failure::new(failure.cause, format!("login: {}", failure.detail))
            }),
            FetchError::Stopped => FetchError::Stopped,
        })?;
        let cookies = self
            .state
            .lock()
            .replace_cookies(&request.uri, &response.headers, now.mono);
        let grant = self
            .settings
            .expected
            .read(&self.host, &response, cookies, now);
        grant.map_err(FetchError::Failed)
    }

    /// The failure of a request that was refused with a session that has just begun.
    fn refused_at_once(&self, denied: &DeniedResponse) -> Failure {
        let code = denied.status;
        let detail = format!(
            "{} answers {code}{} to the session of the login, which succeeded: is the token where the \
             server expects it (`header`, `param`), and may the user read this?{}",
            origin::display_host(&denied.uri),
            reason_phrase(code),
            describe_body(&denied.body_start)
        );
        Failure::new(Cause::HttpStatus, detail)
    }

    /// Whether a redirect leads to a page to log in.
    fn is_login_page(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let location = headers.get(header::LOCATION).map(|it| it.as_bytes());
        let Ok(target) = resolve_location(uri, location) else {
            return false;
        };
        let own = self.settings.url.path();
        let is_own = own != "/" && target.path() == own;
        let is_named = |part: &str| {
            let name = part.split('.').next().unwrap_or_default();
            LOGIN_PAGES.iter().any(|it| name.eq_ignore_ascii_case(it))
        };
        is_own || target.path().split('/').any(is_named)
    }
}

/// How long no login follows one that failed: none where the server got nothing.
fn pause_after(failure: &Failure) -> Duration {
    match failure.cause {
        Cause::Clock | Cause::Network | Cause::Dns | Cause::Connect | Cause::Tls => Duration::ZERO,
        _ => limits::LOGIN_PAUSE.max(failure.retry_after.unwrap_or_default()),
    }
}

fn expects_json(sent: &HeaderMap) -> bool {
    let accept = sent.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    accept.is_some_and(|accept| accept.contains("json"))
}

impl fmt::Debug for LoginAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginAuthenticator at {}", self.host)
    }
}

impl Authenticator for LoginAuthenticator {
    fn prepare(&self, client: &dyn AuthClient) -> Result<(), FetchError> {
        self.state.lock().see(client.now().mono);
        self.ensure_session(client)
    }

    fn authorize(&self, _: &Method, uri: &mut Uri, headers: &mut HeaderMap) {
        let Some(session) = self.renewal.current() else {
            return;
        };
        if let Some(token) = &session.token {
            place_token(&self.settings.expected.placement, token, uri, headers);
        }
        self.state.lock().use_session(&session, uri, headers);
    }

    /// A session that has ended often means a page to log in instead of a 401.
    fn is_denied(&self, status: u16, uri: &Uri, headers: &HeaderMap) -> bool {
        match status {
            401 | 403 => true,
            200..=299 => is_html(headers),
            _ => is_redirect(status) && self.is_login_page(uri, headers),
        }
    }

    fn renew(&self, denied: &DeniedResponse, client: &dyn AuthClient) -> Result<bool, FetchError> {
        let is_page = denied.status < 400;
        let Some(session) = self.renewal.current() else {
            return Ok(false);
        };
        if is_page && !expects_json(&denied.sent) {
            return Ok(false);
        }
        let now: Mono = client.now().mono;
        let mut state = self.state.lock();
        if state.used_by_this_thread() < session.id {
            // Another thread has logged in meanwhile.
            return Ok(true);
        }
        let begun = session
            .begun
            .filter(|at| now.since(*at) < limits::LOGIN_PAUSE);
        if begun.is_some() && !state.was_accepted_here(&session) {
            if is_page {
                return Ok(false);
            }
            let mut failure = self.refused_at_once(denied);
            if !state.was_accepted(&session) {
                state.end(&session);
                failure = state.pause(now, limits::LOGIN_PAUSE, failure);
            }
            return Err(FetchError::Failed(failure));
        }
        if state.was_accepted_elsewhere(&session, now) {
            return Ok(false);
        }
        state.end(&session);
        drop(state);
        self.ensure_session(client)?;
        Ok(true)
    }

    fn observe(&self, status: u16, uri: &Uri, headers: &HeaderMap) {
        let is_accepted =
            matches!(status, 200..=299 | 304) && !self.is_denied(status, uri, headers);
        self.state.lock().observe(is_accepted, uri, headers);
    }

    fn keeps_cookies(&self) -> bool {
        true
    }

    fn secrets(&self) -> Arc<Secrets> {
        self.state.lock().secrets()
    }
}

/// `; the next login is in 5 min`.
fn with_next_login(failure: &Failure, left: Duration) -> Failure {
    let next = match human_duration(left) {
        _ if left.is_zero() => String::new(),
        wait => format!("; the next login is in {wait}"),
    };
    Failure {
        retry_after: failure.retry_after.map(|wait| wait.min(left)),
        ..Failure::new(failure.cause, format!("{}{next}", failure.detail))
    }
}

#[cfg(test)]
#[path = "tests/login.rs"]
mod tests;
