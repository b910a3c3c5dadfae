//! Failures that a token server reports, in words for the person who can mend them.
//!
//! Pure.

use std::time::Duration;

use super::super::token_response::TokenRefusal;
use super::settings::{ClientAuth, GrantCredentials, OAuth2Settings};
use crate::api::status_errors::reason_phrase;
use crate::api::{origin, redirect};
use crate::domain::failure::{Cause, Failure};
use crate::domain::text::human_duration;
use crate::limits;

/// A response without a token.
pub struct Refusal<'a> {
    pub settings: &'a OAuth2Settings,
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// The header `Location`.
    pub location: Option<&'a str>,
}

impl Refusal<'_> {
    pub fn failure(&self, refusal: &TokenRefusal) -> Failure {
        let host = self.settings.host();
        let cause = match (self.status, refusal) {
            (429, _) => Cause::RateLimited,
            (_, TokenRefusal::Error { .. }) => Cause::HttpStatus,
            (300..=399, _) => Cause::Redirect,
            (_, TokenRefusal::Status { .. }) => Cause::HttpStatus,
            (_, TokenRefusal::NoToken { .. }) => Cause::Schema,
            (_, TokenRefusal::NotReadable { .. }) => Cause::NotJson,
        };
        let says = |code: &str, words: &str| match words {
            "" => code.to_owned(),
            _ => format!("{code}: {words}"),
        };
        let answers = format!("the token server {host} answers {}", self.status);
        let answers = format!("{answers}{}", reason_phrase(self.status));
        let detail = match refusal {
            _ if self.status == 429 => match self.retry_after {
                Some(wait) => format!(
                    "the token server {host} asks to wait {}",
                    human_duration(wait)
                ),
                None => format!("the token server {host}: too many requests"),
            },
            TokenRefusal::Error { code, words } => {
                let says = says(code, words);
                format!(
                    "the token server {host} says {says:?}: {}",
                    self.advice(code)
                )
            }
            TokenRefusal::Status { .. } if cause == Cause::Redirect => self.redirect(&answers),
            TokenRefusal::Status { words } if self.status >= 500 => {
                format!("{answers}{words}: it has a problem")
            }
            TokenRefusal::Status { words } if matches!(self.status, 401 | 403) => {
                format!("{answers}{words}: {}", self.advice("invalid_client"))
            }
            TokenRefusal::Status { words } => format!(
                "{answers}{words}: is `token_url` in {} right?",
                self.place()
            ),
            TokenRefusal::NoToken { found } => format!(
                "expected `access_token` in the response of the token server {host}, found {found}"
            ),
            TokenRefusal::NotReadable { found } => format!(
                "expected JSON with `access_token` from the token server {host}, found {found}: is \
                 `token_url` in {} right?",
                self.place()
            ),
        };
        Failure {
            retry_after: self.retry_after,
            ..Failure::new(cause, detail)
        }
    }

    /// For how long no token is asked for.
    pub fn pause(&self, refusal: &TokenRefusal) -> Duration {
        let is_passing = match refusal {
            TokenRefusal::Error { code, .. } => {
                self.status >= 500
                    || matches!(
                        code.as_str(),
                        "temporarily_unavailable" | "server_error" | "slow_down"
                    )
            }
            _ => self.status >= 500,
        };
        let least = if is_passing || matches!(self.status, 408 | 429) {
            limits::TOKEN_RENEWAL_GAP
        } else {
            limits::AUTH_REFUSAL_GAP
        };
        least.max(self.retry_after.unwrap_or_default())
    }

    fn place(&self) -> String {
        place(self.settings)
    }

    fn redirect(&self, answers: &str) -> String {
        let target = self
            .location
            .and_then(|it| redirect::resolve_reference(&self.settings.token_url, it).ok())
            .map(|it| origin::display_origin(&it));
        match target {
            Some(target) => format!(
                "{answers} and sends on to {target}: write the address there as `token_url` in {}; \
                 a secret follows no redirect",
                self.place()
            ),
            None => format!("{answers}: is `token_url` in {} right?", self.place()),
        }
    }

    fn advice(&self, code: &str) -> String {
        let place = self.place();
        let grant = self.settings.grant.name();
        match (code, &self.settings.grant) {
            (_, GrantCredentials::RefreshToken { .. }) if is_of_grant(code) => format!(
                "get a new refresh token there, write it as `refresh_token` in {place} and restart \
                 main-node; until then none is asked for"
            ),
            ("invalid_grant", GrantCredentials::Password { .. }) => {
                format!("are `user` and `password` in {place} right?")
            }
            ("invalid_client", _) => {
                let other = match self.settings.client_auth {
                    ClientAuth::Body => "basic",
                    ClientAuth::Basic => "body",
                };
                format!(
                    "are `client_id` and `client_secret` in {place} right? Some servers want \
                     client_auth = \"{other}\""
                )
            }
            ("unauthorized_client", _) => format!(
                "the client may not use grant = \"{grant}\": allow it where the client was created, or \
                 use another `grant` in {place}"
            ),
            ("unsupported_grant_type", _) => {
                format!("it has no grant = \"{grant}\": use another `grant` in {place}")
            }
            ("invalid_scope", _) => match &self.settings.scope {
                Some(_) => format!("is `scope` in {place} right?"),
                None => format!("write the `scope` that the service documents into {place}"),
            },
            ("invalid_request", _) => format!(
                "it misses something or has too much: compare {place} with the documentation of the \
                 service; `token_params` adds fields"
            ),
            _ if self.status >= 500 => "it has a problem".to_owned(),
            _ => format!("compare {place} with the documentation of the service"),
        }
    }
}

/// `[auth.netatmo] (main-node.toml:12:1)`
fn place(settings: &OAuth2Settings) -> String {
    match settings.location.as_str() {
        "" => settings.table.clone(),
        location => format!("{} ({location})", settings.table),
    }
}

/// RFC 6749 has one name; GitHub and others have their own.
fn is_of_grant(code: &str) -> bool {
    code == "invalid_grant" || code.contains("refresh_token")
}

/// Whether the same refresh token will never be accepted.
pub fn is_final(refusal: &TokenRefusal) -> bool {
    matches!(refusal, TokenRefusal::Error { code, .. } if is_of_grant(code))
}

/// For a token that is not sent as `Bearer`.
pub fn other_type(settings: &OAuth2Settings, found: &str) -> Failure {
    let detail = format!(
        "expected a token of the type Bearer from the token server {}, found {found:?}: write how the \
         service wants it as `header` in {}, such as \"Authorization: NAME {{token}}\"",
        settings.host(),
        place(settings)
    );
    Failure::new(Cause::Schema, detail)
}
