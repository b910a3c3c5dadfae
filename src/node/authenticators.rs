//! Authenticators of the sources: one for each `[auth.NAME]`, shared by its sources, and one for each
//! `auth = { … }` that needs one.
//!
//! Made on the main thread at start; used on the fetch threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use ureq::http::Uri;

use crate::api::auth::oauth2::{GrantCredentials, OAuth2, OAuth2Settings};
use crate::api::auth::password::PasswordAuthenticator;
use crate::api::auth::token_file::TokenFile;
use crate::api::auth::{Authenticator, SourceAuth};
use crate::config::{
    Config, ConfiguredCredential, OAuth2Config, OAuth2Grant, PasswordScheme, SourceConfig,
};
use crate::domain::toml_text::bare_or_quoted;
use crate::sys::clock::boot_id;
use crate::sys::tls::{Trust, TrustSettings};

pub struct Authenticators {
    /// By the names of the tables.
    accounts: BTreeMap<Arc<str>, Arc<dyn Authenticator>>,
    token_file: Arc<TokenFile>,
}

impl Authenticators {
    /// # Errors
    /// What is wrong with an `[auth.NAME]`, and what to change.
    pub fn new(config: &Config) -> Result<Authenticators, String> {
        let token_file = Arc::new(TokenFile::beside(&config.database));
        let mut accounts = BTreeMap::new();
        for (name, account) in &config.accounts {
            if let Some(credential) = &account.auth.credential
                && let Some(made) = authenticator(credential, &TokenUser::table(name), &token_file)?
            {
                accounts.insert(name.clone(), made);
            }
        }
        Ok(Authenticators {
            accounts,
            token_file,
        })
    }

    /// The authentication of a source; `None` where its requests are the same each time.
    ///
    /// # Errors
    /// What is wrong with its `auth`, and what to change.
    pub fn of(&self, source: &SourceConfig) -> Result<Option<Arc<SourceAuth>>, String> {
        let shared = source.account.as_ref();
        let found = match shared.and_then(|name| self.accounts.get(name)) {
            Some(shared) => Some(shared.clone()),
            None => match &source.auth {
                Some(auth) => match auth.active_credential() {
                    Some(credential) => {
                        let user = TokenUser::source(&source.plan.name);
                        authenticator(credential, &user, &self.token_file)?
                    }
                    None => None,
                },
                None => password_of_url(source),
            },
        };
        let Some(authenticator) = found else {
            return Ok(None);
        };
        Ok(Some(Arc::new(SourceAuth {
            authenticator,
            origin: source.target.uri().unwrap_or_default(),
            trust: Trust::of(&TrustSettings::default())?,
        })))
    }
}

/// What authenticates by a credential, if that is more than a header of every request.
fn authenticator(
    credential: &ConfiguredCredential,
    user: &TokenUser,
    token_file: &Arc<TokenFile>,
) -> Result<Option<Arc<dyn Authenticator>>, String> {
    match credential {
        ConfiguredCredential::Basic {
            user,
            password,
            scheme,
        } => {
            let answers_digest = *scheme != PasswordScheme::Basic;
            let (user, password) = (user.as_bytes(), password.reveal().as_bytes());
            let made = PasswordAuthenticator::new(user, password, answers_digest);
            Ok(Some(Arc::new(made)))
        }
        ConfiguredCredential::Token(_) => Ok(None),
        ConfiguredCredential::OAuth2(settings) => {
            let settings = oauth2_settings(settings, user)?;
            let made = OAuth2::new(settings, token_file.clone(), boot_id());
            Ok(Some(Arc::new(made)))
        }
    }
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
