//! Sessions of a login: the present one, which threads use and the server accepts, its cookies,
//! and the pause after a login that failed.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::Duration;

use ureq::http::{HeaderMap, Uri, header};

use super::with_next_login;
use crate::api::auth::cookies::{CookieJar, RefusedCookie};
use crate::api::auth::known_tokens::KnownTokens;
use crate::api::auth::token_expiry::TokenExpiry;
use crate::domain::failure::Failure;
use crate::domain::redact::Secrets;
use crate::domain::time::Mono;
use crate::limits;

#[derive(Clone)]
pub struct LoginSession {
    /// Later ones are greater.
    pub id: u64,
    /// `None`: the session is in cookies.
    pub token: Option<String>,
    pub expiry: TokenExpiry,
    /// When it was got by a login; `None` where it is of the file.
    pub begun: Option<Mono>,
}

/// Which session a thread used last, and which was accepted there last.
#[derive(Default)]
struct ThreadSession {
    used: u64,
    accepted: u64,
}

/// No login before `until`.
pub struct LoginPause {
    until: Mono,
    failure: Failure,
}

#[derive(Default)]
pub struct LoginState {
    jar: CookieJar,
    /// The begin of the latest fetch.
    now: Mono,
    last_id: u64,
    /// Sessions up to this one have ended.
    ended: u64,
    /// The session that was accepted last, by which thread and when.
    accepted: Option<(u64, ThreadId, Mono)>,
    threads: HashMap<ThreadId, ThreadSession>,
    pause: Option<LoginPause>,
    tokens: KnownTokens,
    /// Values of cookies that are never shown.
    cookies: Arc<Secrets>,
}

impl LoginState {
    pub fn see(&mut self, now: Mono) {
        self.now = self.now.max(now);
    }

    pub fn begin_session(
        &mut self,
        token: Option<String>,
        expiry: TokenExpiry,
        begun: Option<Mono>,
    ) -> LoginSession {
        self.last_id += 1;
        self.tokens.add(token.as_deref());
        LoginSession {
            id: self.last_id,
            token,
            expiry,
            begun,
        }
    }

    pub fn end(&mut self, session: &LoginSession) {
        self.ended = self.ended.max(session.id);
    }

    pub fn has_ended(&self, session: &LoginSession) -> bool {
        session.id <= self.ended
    }

    /// Adds the cookies to a request, and notes its session.
    pub fn use_session(&mut self, session: &LoginSession, uri: &Uri, headers: &mut HeaderMap) {
        self.jar.add_to(uri, headers, self.now);
        self.this_thread().used = session.id;
    }

    fn this_thread(&mut self) -> &mut ThreadSession {
        if self.threads.len() >= limits::SOURCES {
            // Of commands that make a thread for each fetch.
            let this = std::thread::current().id();
            self.threads.retain(|id, _| *id == this);
        }
        self.threads.entry(std::thread::current().id()).or_default()
    }

    pub fn used_by_this_thread(&mut self) -> u64 {
        self.this_thread().used
    }

    /// Keeps cookies, and notes whether the session of the last request was accepted.
    pub fn observe(&mut self, is_accepted: bool, uri: &Uri, headers: &HeaderMap) {
        if headers.contains_key(header::SET_COOKIE) {
            self.jar.store(uri, headers, self.now);
            self.update_cookies();
        }
        if is_accepted {
            let now = self.now;
            let thread = self.this_thread();
            thread.accepted = thread.used;
            self.accepted = Some((thread.used, std::thread::current().id(), now));
        }
    }

    pub fn was_accepted(&self, session: &LoginSession) -> bool {
        self.accepted.is_some_and(|(id, ..)| id == session.id)
    }

    pub fn was_accepted_here(&mut self, session: &LoginSession) -> bool {
        self.this_thread().accepted == session.id
    }

    /// Whether another source was served a moment ago, so that the session is not what is refused.
    pub fn was_accepted_elsewhere(&self, session: &LoginSession, now: Mono) -> bool {
        let this = std::thread::current().id();
        self.accepted.is_some_and(|(id, thread, at)| {
            id == session.id && thread != this && now.since(at) < limits::LOGIN_INTERVAL
        })
    }

    /// The cookies that the response to a login sets replace those of an earlier session.
    pub fn replace_cookies(
        &mut self,
        uri: &Uri,
        headers: &HeaderMap,
        now: Mono,
    ) -> (usize, Option<RefusedCookie>) {
        let mut new = self.jar.clone();
        new.clear(uri);
        let (count, refused) = new.store(uri, headers, now);
        if count > 0 {
            self.jar = new;
            self.update_cookies();
        }
        (count, refused)
    }

    /// Begins a pause; returns its failure with the time of the next login.
    pub fn pause(&mut self, now: Mono, length: Duration, failure: Failure) -> Failure {
        let shown = with_next_login(&failure, length);
        self.pause = Some(LoginPause {
            until: now.after(length),
            failure,
        });
        shown
    }

    /// Why there is no login yet.
    pub fn paused(&self, now: Mono) -> Option<Failure> {
        let pause = self.pause.as_ref().filter(|it| now < it.until)?;
        Some(with_next_login(&pause.failure, pause.until.since(now)))
    }

    fn update_cookies(&mut self) {
        let cookies = self.jar.secrets().map(str::to_owned);
        self.cookies = Arc::new(Secrets::new(cookies));
    }

    pub fn secrets(&self) -> Arc<Secrets> {
        let (tokens, cookies) = (self.tokens.secrets(), self.cookies.clone());
        if cookies.is_empty() {
            tokens
        } else if tokens.is_empty() {
            cookies
        } else {
            Arc::new(tokens.with(&cookies))
        }
    }
}
