//! Authenticators of the sources: one for each `[auth.NAME]`, shared by its sources, and one for each
//! `auth = { … }` that needs one.
//!
//! Made on the main thread at start; used on the fetch threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use ureq::http::Uri;

use super::requests;
use crate::api::auth::cookie_auth::{CookieAuthenticator, SharedCookies};
use crate::api::auth::login::{LoginAuthenticator, LoginSettings};
use crate::api::auth::login_response::ExpectedLogin;
use crate::api::auth::oauth2::{GrantCredentials, OAuth2, OAuth2Settings};
use crate::api::auth::password::PasswordAuthenticator;
use crate::api::auth::rotated_token::RotatedToken;
use crate::api::auth::session_file::SessionFile;
use crate::api::auth::token_file::{TokenFile, TokenOwner, hash};
use crate::api::auth::{Authenticator, SourceAuth};
use crate::config::{
    Auth, Config, ConfiguredCredential, LoginConfig, OAuth2Config, OAuth2Grant, PasswordScheme,
    SourceConfig,
};
use crate::domain::toml_text::bare_or_quoted;
use crate::sys::clock::boot_id;
use crate::sys::tls::Trust;

pub struct Authenticators {
    /// By the names of the tables.
    accounts: BTreeMap<Arc<str>, Arc<dyn Authenticator>>,
    /// Of the tables without a credential: each source may have a password in its URL.
    cookies: BTreeMap<Arc<str>, SharedCookies>,
    inputs: AuthInputs,
}

/// What authenticators need besides their own settings.
struct AuthInputs {
    token_file: Arc<TokenFile>,
    /// Of date placeholders.
    zone: TimeZone,
}

impl Authenticators {
    /// # Errors
    /// What is wrong with an `[auth.NAME]`, and what to change.
    pub fn new(config: &Config) -> Result<Authenticators, String> {
        let inputs = AuthInputs {
            token_file: Arc::new(TokenFile::beside(&config.database)),
            zone: config.timezone.clone(),
        };
        let (mut accounts, mut cookies) = (BTreeMap::new(), BTreeMap::new());
        for (name, account) in &config.accounts {
            let user = TokenUser::table(name);
            let kept = account.auth.cookies.then(SharedCookies::default);
            match &account.auth.credential {
                Some(credential) => {
                    let made = credential_authenticator(credential, &user, &inputs)?;
                    let made = with_cookies(made, kept);
                    accounts.extend(made.map(|made| (name.clone(), made)));
                }
                None => cookies.extend(kept.map(|kept| (name.clone(), kept))),
            }
        }
        Ok(Authenticators {
            accounts,
            cookies,
            inputs,
        })
    }

    /// The authentication of an `[auth.NAME]` for what is no source. `None` where its credential is
    /// the same each time.
    ///
    /// # Errors
    /// What is wrong with its certificates, and what to change.
    pub fn of_account(&self, config: &Config, name: &str) -> Result<Option<SourceAuth>, String> {
        let (Some(shared), Some(account)) = (self.accounts.get(name), config.accounts.get(name))
        else {
            return Ok(None);
        };
        Ok(Some(SourceAuth {
            authenticator: shared.clone(),
            // Of no server: its requests all go to its own.
            origin: Uri::default(),
            trust: Trust::of(&account.auth.trust)?,
        }))
    }

    /// The authentication of a source; `None` where its requests are the same each time.
    ///
    /// # Errors
    /// What is wrong with its `auth`, and what to change.
    pub fn of(&self, source: &SourceConfig) -> Result<Option<Arc<SourceAuth>>, String> {
        let shared = source.account.as_ref();
        let found = match shared.and_then(|name| self.accounts.get(name)) {
            Some(shared) => Some(shared.clone()),
            None => self.own(source)?,
        };
        let Some(authenticator) = found else {
            return Ok(None);
        };
        let trust = source
            .auth
            .as_ref()
            .map(|auth| auth.trust())
            .unwrap_or_default();
        Ok(Some(Arc::new(SourceAuth {
            authenticator,
            origin: source.target.uri().unwrap_or_default(),
            trust: Trust::of(&trust)?,
        })))
    }

    /// What authenticates this source alone, but for cookies.
    fn own(&self, source: &SourceConfig) -> Result<Option<Arc<dyn Authenticator>>, String> {
        let auth = source.auth.as_ref();
        let made = match auth.and_then(Auth::active_credential) {
            Some(credential) => {
                let user = TokenUser::source(&source.plan.name);
                credential_authenticator(credential, &user, &self.inputs)?
            }
            None if matches!(auth, Some(Auth::Schemes(_))) => None,
            None => password_of_url(source),
        };
        let shared = source.account.as_ref();
        let shared = shared.and_then(|name| self.cookies.get(name).cloned());
        let keeps_cookies = auth.is_some_and(Auth::keeps_cookies);
        let kept = shared.or_else(|| keeps_cookies.then(SharedCookies::default));
        Ok(with_cookies(made, kept))
    }
}

/// What authenticates by a credential, if that is more than a header of every request.
fn credential_authenticator(
    credential: &ConfiguredCredential,
    user: &TokenUser,
    inputs: &AuthInputs,
) -> Result<Option<Arc<dyn Authenticator>>, String> {
    Ok(match credential {
        ConfiguredCredential::Token(_) => None,
        ConfiguredCredential::TokenFile(file) => Some(Arc::new(RotatedToken::new(
            file.path.clone(),
            file.placement.clone(),
        ))),
        ConfiguredCredential::Basic {
            user,
            password,
            scheme,
        } => {
            let answers_digest = *scheme != PasswordScheme::Basic;
            let (user, password) = (user.as_bytes(), password.reveal().as_bytes());
            Some(Arc::new(PasswordAuthenticator::new(
                user,
                password,
                answers_digest,
            )))
        }
        ConfiguredCredential::OAuth2(settings) => {
            let settings = oauth2_settings(settings, user)?;
            let token_file = inputs.token_file.clone();
            Some(Arc::new(OAuth2::new(settings, token_file, boot_id())))
        }
        ConfiguredCredential::Login(login) => Some(Arc::new(LoginAuthenticator::new(
            login_settings(login, user, inputs)?,
        ))),
    })
}

/// The same, and cookies, unless it keeps them itself.
fn with_cookies(
    made: Option<Arc<dyn Authenticator>>,
    cookies: Option<SharedCookies>,
) -> Option<Arc<dyn Authenticator>> {
    let keeps_cookies = made.as_ref().is_some_and(|it| it.keeps_cookies());
    match cookies.filter(|_| !keeps_cookies) {
        Some(cookies) => Some(Arc::new(CookieAuthenticator::new(cookies, made))),
        None => made,
    }
}

fn login_settings(
    login: &LoginConfig,
    user: &TokenUser,
    inputs: &AuthInputs,
) -> Result<LoginSettings, String> {
    let owner = TokenOwner {
        name: user.entry.clone(),
        identity: hash(requests::login_texts(login).iter().map(String::as_str)),
    };
    let token_file = inputs.token_file.clone();
    Ok(LoginSettings {
        request: requests::login_request(login)?,
        zone: inputs.zone.clone(),
        url: login.url.parse().unwrap_or_else(|_| login.uri()),
        expected: ExpectedLogin {
            token: login.token.clone(),
            lifetime: login.lifetime.clone(),
            placement: login.placement.clone(),
        },
        file: (login.token.is_some()).then(|| SessionFile::new(token_file, owner, boot_id())),
    })
}

/// `http://user:password@host/`, unless `headers` has the header for it.
fn password_of_url(source: &SourceConfig) -> Option<Arc<dyn Authenticator>> {
    let mut headers = source.headers.iter();
    if headers.any(|it| it.name.eq_ignore_ascii_case("authorization")) {
        return None;
    }
    let made = PasswordAuthenticator::of_url(&source.target.uri()?)?;
    Some(Arc::new(made))
}

/// Of whom a token is.
struct TokenUser {
    /// In messages.
    table: String,
    /// In the file of tokens; a source and an account may have the same name.
    entry: String,
}

impl TokenUser {
    fn table(name: &str) -> TokenUser {
        TokenUser {
            table: format!("[auth.{}]", bare_or_quoted(name)),
            entry: format!("auth:{name}"),
        }
    }

    fn source(name: &str) -> TokenUser {
        TokenUser {
            table: format!("`auth` of the source {name}"),
            entry: format!("source:{name}"),
        }
    }
}

fn oauth2_settings(settings: &OAuth2Config, user: &TokenUser) -> Result<OAuth2Settings, String> {
    let url = settings.token_url.parse::<Uri>();
    let secret = settings.client_secret.as_ref();
    let params = settings.token_params.iter();
    Ok(OAuth2Settings {
        table: user.table.clone(),
        location: settings.location.clone(),
        owner_name: user.entry.clone(),
        token_url: url.map_err(|_| "token_url: expected a URL".to_owned())?,
        grant: match &settings.grant {
            OAuth2Grant::ClientCredentials => GrantCredentials::ClientCredentials,
            OAuth2Grant::RefreshToken(token) => GrantCredentials::RefreshToken {
                configured: token.reveal().to_owned(),
            },
            OAuth2Grant::Password { user, password } => GrantCredentials::Password {
                user: user.clone(),
                password: password.reveal().to_owned(),
            },
        },
        client_id: settings.client_id.clone(),
        client_secret: secret.map(|it| it.reveal().to_owned()),
        client_auth: settings.client_auth,
        scope: settings.scope.clone(),
        params: params
            .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
            .collect(),
        placement: settings.placement.clone(),
    })
}
