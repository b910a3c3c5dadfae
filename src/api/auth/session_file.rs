//! The session of a login in the file of tokens, so that a restart does not use up another one.
//!
//! What cannot be read or written is logged once: then a restart logs in anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::AuthClient;
use super::token_expiry::{StoredExpiry, TokenExpiry};
use super::token_file::{StoredToken, TokenFile, TokenFileLock, TokenOwner};
use crate::api::http_response::FetchError;
use crate::domain::time::Moment;
use crate::sys::private_file::Replacement;

pub struct SessionFile {
    file: Arc<TokenFile>,
    owner: TokenOwner,
    /// Tells apart monotonic times of the file.
    boot_id: String,
    has_warned: AtomicBool,
}

impl SessionFile {
    pub fn new(file: Arc<TokenFile>, owner: TokenOwner, boot_id: String) -> SessionFile {
        SessionFile {
            file,
            owner,
            boot_id,
            has_warned: AtomicBool::new(false),
        }
    }

    /// While it lasts, no other process logs in for a session of this file.
    pub fn lock(&self, client: &dyn AuthClient) -> Result<TokenFileLock<'_>, FetchError> {
        self.file.lock(client)
    }

    /// The token of the session, and when it ends.
    pub fn load(&self, now: Moment) -> Option<(String, TokenExpiry)> {
        let stored = self.file.load(&self.owner);
        let stored = self.warn(stored, "read")??;
        let expiry = stored.expiry.as_ref();
        let expiry = expiry.map_or(TokenExpiry::Unknown, |it| it.restore(now, &self.boot_id));
        Some((stored.access_token, expiry))
    }

    /// Reserves the space of a token.
    pub fn prepare(&self) -> Option<Replacement> {
        self.warn(self.file.prepare(&self.owner), "written")
    }

    pub fn store(
        &self,
        prepared: Replacement,
        token: &str,
        lifetime: Option<Duration>,
        now: Moment,
    ) {
        let stored = StoredToken {
            access_token: token.to_owned(),
            refresh_token: None,
            request: String::new(),
            expiry: lifetime.map(|it| StoredExpiry::after(it, now, &self.boot_id)),
        };
        self.warn(self.file.store(prepared, &self.owner, &stored), "written");
    }

    fn warn<T>(&self, result: Result<T, String>, what: &str) -> Option<T> {
        let problem = match result {
            Ok(value) => return Some(value),
            Err(problem) => problem,
        };
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "{} cannot be {what}: {problem}; a restart logs in anew",
                self.file.path().display()
            );
        }
        None
    }
}
