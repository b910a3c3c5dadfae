//! Access tokens of the mail login (`[mail] auth`): the OAuth client of an `[auth.NAME]`, which sources
//! may use too, with a connection of its own.
//!
//! Made on the main thread; used on the thread `mail`.

use std::sync::Arc;

use super::authenticators::Authenticators;
use crate::alerts::channels::AccessTokens;
use crate::api::agent::TransportSettings;
use crate::api::connection_pool::ConnectionPool;
use crate::api::http_response::FetchError;
use crate::api::transport::{Canceller, Transport};
use crate::config::Config;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::sync::Mutex;

pub struct MailTokens {
    pub tokens: AccessTokens,
    /// Ends a request for a token when the node stops.
    pub canceller: Canceller,
}

impl MailTokens {
    /// `None` where mail logs in with a password, or not at all.
    ///
    /// # Errors
    /// What is wrong with the settings, and what to change.
    pub fn new(
        config: &Config,
        authenticators: &Authenticators,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<MailTokens>, String> {
        let mail = config.notifications.mail.as_ref();
        let Some(name) = mail.and_then(|mail| mail.auth.as_ref()) else {
            return Ok(None);
        };
        let auth = authenticators
            .of_account(config, name)?
            .ok_or_else(|| format!("[mail]: [auth.{name}] has no access tokens"))?;
        let client = auth.authenticator.clone();
        let transport = Transport::new(TransportSettings {
            timeout: limits::MAIL_TOKEN_TIMEOUT,
            auth: Some(Arc::new(auth)),
            pool: ConnectionPool::new("mail", 1),
            ..TransportSettings::default()
        })?;
        let canceller = transport.canceller();
        let (transport, clock) = (Mutex::new(transport), clock.clone());
        let get = move |refused: Option<&str>| {
            let transport = transport.lock();
            let result = transport.with_auth_client(clock.now(), |requests| {
                client.login_token(refused, requests)
            });
            let why = match result {
                Ok(Some(token)) => return Ok(token),
                Ok(None) => "it is too new to be renewed".to_owned(),
                Err(FetchError::Stopped) => "main-node is stopping".to_owned(),
                Err(FetchError::Failed(failure)) => failure.detail,
            };
            Err(client.secrets().mask(&why).into_owned())
        };
        Ok(Some(MailTokens {
            tokens: Arc::new(get),
            canceller,
        }))
    }
}
