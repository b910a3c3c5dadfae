//! OAuth 2.0 (RFC 6749): access tokens by client credentials, a refresh token or a password.
//!
//! One for all sources of an `[auth.NAME]`, used on their fetch threads: one of them asks for a token,
//! writes it to the file of tokens and only then uses it. Never asks more often than once a minute.

mod refusal;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{HeaderMap, Method, Uri, header};

use super::known_tokens::KnownTokens;
use super::renewal::{Renewal, Renewed};
use super::token_expiry::{StoredExpiry, TokenExpiry};
use super::token_file::{StoredToken, TokenFile, TokenOwner};
use super::token_placement::{accepts_token, carries_token, place_token};
use super::token_response::{self, TokenResponse};
use super::{AuthClient, Authenticator, DeniedResponse};
use crate::api::http_response::FetchError;
use crate::domain::failure::{Cause, Failure};
use crate::domain::redact::Secrets;
use crate::limits;
use crate::sys::private_file::Replacement;
use crate::sys::retry_after::retry_after_of;
use crate::sys::sync::Mutex;

pub use settings::{ClientAuth, GrantCredentials, OAuth2Settings};

pub struct OAuth2 {
    settings: OAuth2Settings,
    owner: TokenOwner,
    file: Arc<TokenFile>,
    boot_id: String,
    renewal: Renewal<AccessToken>,
    refresh: Mutex<RefreshState>,
    known: KnownTokens,
}

#[derive(Clone)]
struct AccessToken {
    text: Arc<str>,
    expiry: TokenExpiry,
}

#[derive(Default)]
struct RefreshState {
    /// The last one that this process got.
    token: Option<String>,
    /// Got, but not written to the file yet, so not used.
    unsaved: Option<StoredToken>,
    /// The one that the server does not accept, and what it said.
    refused: Option<(String, Failure)>,
}

/// Why there is no token, and for how long none is asked for.
type Refused = (FetchError, Duration);

impl OAuth2 {
    /// `boot_id` tells apart monotonic times of the file.
    pub fn new(settings: OAuth2Settings, file: Arc<TokenFile>, boot_id: String) -> OAuth2 {
        OAuth2 {
            owner: settings.owner(),
            settings,
            file,
            boot_id,
            renewal: Renewal::default(),
            refresh: Mutex::default(),
            known: KnownTokens::default(),
        }
    }

    /// A token that is valid now, as far as is known.
    ///
    /// # Errors
    /// Why there is none.
    pub fn access_token(&self, client: &dyn AuthClient) -> Result<String, FetchError> {
        let now = client.now().mono;
        let serves = |token: &AccessToken| !token.expiry.is_due(now);
        let renewed = self
            .renewal
            .get(client, serves, |it| self.renewed(it, client));
        let present = self.renewal.current();
        let living = present
            .as_ref()
            .filter(|it| !it.expiry.is_over(now))
            .cloned();
        let token = match (renewed, living) {
            (Ok(token), _) => token.or(present),
            (Err(FetchError::Failed(_)), Some(living)) => Some(living),
            (Err(error), _) => return Err(error),
        };
        token.map(|it| it.text.to_string()).ok_or_else(|| {
            let detail = format!("{} has no access token", self.settings.table);
            FetchError::Failed(Failure::new(Cause::HttpStatus, detail))
        })
    }

    /// Gets another token in the place of one that was refused. `false`: that was done a moment ago.
    ///
    /// # Errors
    /// Why there is no other.
    pub fn replace_token(&self, denied: &str, client: &dyn AuthClient) -> Result<bool, FetchError> {
        let serves = |token: &AccessToken| &*token.text != denied;
        let renewed = self
            .renewal
            .get(client, serves, |it| self.renewed(it, client));
        Ok(renewed?.is_some())
    }

    fn renewed(
        &self,
        present: Option<AccessToken>,
        client: &dyn AuthClient,
    ) -> Renewed<AccessToken> {
        let now = client.now().mono;
        match self.obtain(present.as_ref(), client) {
            Ok((token, pause)) => Renewed {
                result: Ok(token),
                pause,
            },
            Err((error, pause)) => {
                if let FetchError::Failed(failure) = &error
                    && present.is_some_and(|it| !it.expiry.is_over(now))
                {
                    let table = &self.settings.table;
                    let detail = self.secrets().mask(&failure.detail).into_owned();
                    log::warn!("{table}: the token could not be renewed: {detail}");
                }
                Renewed {
                    result: Err(error),
                    pause,
                }
            }
        }
    }

    /// Takes the token of the file, if another process has renewed it, or asks the server for one.
    fn obtain(
        &self,
        present: Option<&AccessToken>,
        client: &dyn AuthClient,
    ) -> Result<(AccessToken, Duration), Refused> {
        let _lock = self
            .file
            .lock(client)
            .map_err(|error| (error, Duration::ZERO))?;
        let gap = limits::TOKEN_RENEWAL_GAP;
        if let Some(token) = self.save_unsaved(client)? {
            return Ok((token, gap));
        }
        let stored = self.load()?;
        if let Some(stored) = &stored
            && let Some(token) = self.restore(stored, present, client)
        {
            return Ok((token, Duration::ZERO));
        }
        let refresh_token = self.refresh_token(stored.as_ref());
        if let Some((refused, failure)) = &self.refresh.lock().refused
            && refresh_token.as_ref() == Some(refused)
        {
            return Err((FetchError::Failed(failure.clone()), gap));
        }
        let prepared = self.reserve()?;
        let response = self.request_token(refresh_token.as_deref(), client)?;
        let token = self.keep(response, refresh_token, prepared, client)?;
        Ok((token, gap))
    }

    /// The token of the file, if it is another one than the present and is valid.
    fn restore(
        &self,
        stored: &StoredToken,
        present: Option<&AccessToken>,
        client: &dyn AuthClient,
    ) -> Option<AccessToken> {
        let now = client.now();
        let expiry = stored.expiry.as_ref();
        let expiry = expiry.map_or(TokenExpiry::Unknown, |it| it.restore(now, &self.boot_id));
        let is_other = present.is_none_or(|it| *it.text != *stored.access_token);
        let is_valid = stored.request == self.settings.request_hash()
            && accepts_token(&self.settings.placement, &stored.access_token)
            && !expiry.is_due(now.mono);
        (is_other && is_valid).then(|| AccessToken {
            text: stored.access_token.as_str().into(),
            expiry,
        })
    }

    /// The file's is the newest: another process may have renewed it.
    fn refresh_token(&self, stored: Option<&StoredToken>) -> Option<String> {
        let GrantCredentials::RefreshToken { configured } = &self.settings.grant else {
            return None;
        };
        let stored = stored.and_then(|it| it.refresh_token.clone());
        let newest = stored.or_else(|| self.refresh.lock().token.clone());
        Some(newest.unwrap_or_else(|| configured.clone()))
    }

    fn load(&self) -> Result<Option<StoredToken>, Refused> {
        match self.file.load(&self.owner) {
            Ok(stored) => {
                if let Some(stored) = &stored {
                    self.mask(stored);
                }
                Ok(stored)
            }
            Err(problem) => {
                let path = self.file.path().display();
                let problem = format!("{path} cannot be used: {problem}");
                self.storage_problem(problem).map(|()| None)
            }
        }
    }

    /// Space for the token that will come.
    fn reserve(&self) -> Result<Option<Replacement>, Refused> {
        match self.file.prepare(&self.owner) {
            Ok(prepared) => Ok(Some(prepared)),
            Err(problem) => {
                let path = self.file.path().display();
                let problem = format!("{path} cannot be written: {problem}");
                self.storage_problem(problem).map(|()| None)
            }
        }
    }

    /// Without the file a refresh token would be lost; other grants get their token anew.
    fn storage_problem(&self, problem: String) -> Result<(), Refused> {
        if matches!(self.settings.grant, GrantCredentials::RefreshToken { .. }) {
            let detail = format!(
                "{problem}; no new token is asked for, since a refresh token that is not kept is lost"
            );
            let failure = Failure::new(Cause::Storage, detail);
            return Err((FetchError::Failed(failure), limits::TOKEN_RENEWAL_GAP));
        }
        let table = &self.settings.table;
        log::warn!("{table}: {problem}; after a restart another token is asked for");
        Ok(())
    }

    fn request_token(
        &self,
        refresh_token: Option<&str>,
        client: &dyn AuthClient,
    ) -> Result<TokenResponse, Refused> {
        let gap = limits::TOKEN_RENEWAL_GAP;
        let request = self.settings.request(refresh_token);
        let response = client.send(&request).map_err(|error| match error {
            FetchError::Stopped => (error, Duration::ZERO),
            FetchError::Failed(failure) => {
                let detail = format!("no access token: {}", failure.detail);
                let failure = Failure { detail, ..failure };
                (FetchError::Failed(failure), gap)
            }
        })?;
        let parsed = token_response::parse(response.status, &response.body);
        let retry_after = retry_after_of(&response.headers, client.now().wall);
        let location = response.headers.get(header::LOCATION);
        let location = location.and_then(|it| it.to_str().ok());
        let token = match parsed {
            Ok(token) => {
                // Before anything of the response is shown.
                let refresh_token = token.refresh_token.as_deref();
                let tokens = [Some(token.access_token.as_str()), refresh_token];
                self.known.add(tokens.into_iter().flatten());
                token
            }
            Err(refusal) => {
                let found = refusal::Refusal {
                    settings: &self.settings,
                    status: response.status,
                    retry_after,
                    location,
                };
                let failure = found.failure(&refusal);
                let pause = found.pause(&refusal);
                if let Some(token) = refresh_token
                    && refusal::is_final(&refusal)
                {
                    self.refresh.lock().refused = Some((token.to_owned(), failure.clone()));
                }
                return Err((FetchError::Failed(failure), pause));
            }
        };
        match &token.other_type {
            Some(other) if self.settings.has_standard_placement() => {
                let failure = refusal::other_type(&self.settings, other);
                Err((FetchError::Failed(failure), limits::AUTH_REFUSAL_GAP))
            }
            _ => Ok(token),
        }
    }

    /// Writes a new token, before it is used.
    fn keep(
        &self,
        response: TokenResponse,
        used: Option<String>,
        prepared: Option<Replacement>,
        client: &dyn AuthClient,
    ) -> Result<AccessToken, Refused> {
        let now = client.now();
        // Only that grant needs one again.
        let given = response.refresh_token.filter(|_| used.is_some());
        let is_rotated = given.is_some() && given != used;
        let lifetime = response.lifetime;
        let stored = StoredToken {
            access_token: response.access_token,
            refresh_token: given.or(used),
            request: self.settings.request_hash(),
            expiry: lifetime.map(|it| StoredExpiry::after(it, now, &self.boot_id)),
        };
        self.mask(&stored);
        {
            let mut refresh = self.refresh.lock();
            refresh.token = stored.refresh_token.clone();
            refresh.refused = None;
        }
        if let Some(prepared) = prepared
            && let Err(problem) = self.file.store(prepared, &self.owner, &stored)
        {
            let problem = format!(
                "{} cannot be written: {problem}",
                self.file.path().display()
            );
            if is_rotated {
                self.refresh.lock().unsaved = Some(stored);
                let detail =
                    format!("{problem}; the new token is used as soon as it is kept there");
                let failure = Failure::new(Cause::Storage, detail);
                return Err((FetchError::Failed(failure), limits::TOKEN_RENEWAL_GAP));
            }
            log::warn!("{}: {problem}", self.settings.table);
        }
        Ok(AccessToken {
            text: stored.access_token.into(),
            expiry: lifetime.map_or(TokenExpiry::Unknown, |it| TokenExpiry::after(it, now)),
        })
    }

    /// Writes a token that could not be written when it came.
    fn save_unsaved(&self, client: &dyn AuthClient) -> Result<Option<AccessToken>, Refused> {
        let Some(stored) = self.refresh.lock().unsaved.clone() else {
            return Ok(None);
        };
        let prepared = self.file.prepare(&self.owner);
        let saved = prepared.and_then(|it| self.file.store(it, &self.owner, &stored));
        if let Err(problem) = saved {
            let path = self.file.path().display();
            let detail = format!(
                "{path} cannot be written: {problem}; the new token is used as soon as it is kept there"
            );
            let failure = Failure::new(Cause::Storage, detail);
            return Err((FetchError::Failed(failure), limits::TOKEN_RENEWAL_GAP));
        }
        self.refresh.lock().unsaved = None;
        Ok(self.restore(&stored, None, client))
    }

    /// Never shows the tokens from now on.
    fn mask(&self, token: &StoredToken) {
        let texts = [Some(&token.access_token), token.refresh_token.as_ref()];
        self.known
            .add(texts.into_iter().flatten().map(String::as_str));
    }
}

impl Authenticator for OAuth2 {
    fn prepare(&self, client: &dyn AuthClient) -> Result<(), FetchError> {
        self.access_token(client).map(|_| ())
    }

    fn authorize(&self, _: &Method, uri: &mut Uri, headers: &mut HeaderMap) {
        if let Some(token) = self.renewal.current() {
            place_token(&self.settings.placement, &token.text, uri, headers);
        }
    }

    fn renew(&self, denied: &DeniedResponse, client: &dyn AuthClient) -> Result<bool, FetchError> {
        let Some(token) = self.renewal.current() else {
            return Ok(false);
        };
        if !carries_token(denied, &token.text) {
            // Another source has renewed it meanwhile.
            return Ok(true);
        }
        if !is_about_token(denied, token.expiry) {
            return Ok(false);
        }
        self.replace_token(&token.text, client)
    }

    fn login_token(
        &self,
        refused: Option<&str>,
        client: &dyn AuthClient,
    ) -> Result<Option<String>, FetchError> {
        if let Some(token) = refused
            && !self.replace_token(token, client)?
        {
            return Ok(None);
        }
        self.access_token(client).map(Some)
    }

    fn secrets(&self) -> Arc<Secrets> {
        self.known.secrets()
    }
}

/// Whether another token may help (RFC 6750, 3.1): a 403 says that the scope is too small. Some servers
/// answer it for an expired token, which cannot be excluded for one whose age is not known.
fn is_about_token(denied: &DeniedResponse, expiry: TokenExpiry) -> bool {
    let challenges = denied.headers.get_all(header::WWW_AUTHENTICATE).iter();
    let challenges: Vec<String> = challenges
        .map(|it| String::from_utf8_lossy(it.as_bytes()).to_ascii_lowercase())
        .collect();
    let says = |word: &str| challenges.iter().any(|it| it.contains(word));
    match denied.status {
        _ if says("invalid_token") => true,
        401 => !says("insufficient_scope") && !says("invalid_request"),
        _ => expiry == TokenExpiry::Unverified,
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OAuth2 of {}", self.settings.table)
    }
}

#[cfg(test)]
#[path = "tests/oauth2.rs"]
mod tests;
