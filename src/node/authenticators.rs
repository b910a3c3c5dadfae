//! Authenticators of the sources: one for each `[auth.NAME]`, shared by its sources, and one for each
//! `auth = { … }` that needs one.
//!
//! Made on the main thread at start; used on the fetch threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::auth::{Authenticator, SourceAuth};
use crate::config::{Auth, Config, ConfiguredCredential, SourceConfig};
use crate::sys::tls::Trust;

pub struct Authenticators {
    /// By the names of the tables.
    accounts: BTreeMap<Arc<str>, Arc<dyn Authenticator>>,
}

impl Authenticators {
    /// # Errors
    /// What is wrong with an `[auth.NAME]`, and what to change.
    pub fn new(config: &Config) -> Result<Authenticators, String> {
        let mut accounts = BTreeMap::new();
        for (name, account) in &config.accounts {
            if let Some(credential) = &account.credential
                && let Some(made) = authenticator(credential)?
            {
                accounts.insert(name.clone(), made);
            }
        }
        Ok(Authenticators { accounts })
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
                Some(Auth::Any(credential)) => authenticator(credential)?,
                Some(Auth::Schemes(_)) | None => None,
            },
        };
        Ok(found.map(|authenticator| {
            Arc::new(SourceAuth {
                authenticator,
                origin: source.target.uri().unwrap_or_default(),
                trust: Trust::System,
            })
        }))
    }
}

/// What authenticates by a credential, if that is more than a header of every request.
fn authenticator(
    credential: &ConfiguredCredential,
) -> Result<Option<Arc<dyn Authenticator>>, String> {
    match credential {
        ConfiguredCredential::Basic { .. } | ConfiguredCredential::Token(_) => Ok(None),
    }
}
