//! Servers that stored rows are forwarded to, as they are configured.
//!
//! Values.

use std::sync::Arc;

use super::request_types::Header;
use super::secret::Secret;
use crate::api::basic_auth;
use crate::domain::plan::KeySelector;
use crate::domain::service_url::without_login;
use crate::sys::tls::TrustSettings;

/// A server that takes InfluxDB line protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardConfig {
    pub name: Arc<str>,
    /// As it is configured.
    pub url: Secret,
    pub precision: TimePrecision,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub token: Option<Secret>,
    pub headers: Vec<Header>,
    pub measurement: String,
    pub tags: Vec<(String, String)>,
    /// Empty: all.
    pub keys: Vec<KeySelector>,
    /// Whether it begins with the oldest row.
    pub backfill: bool,
    pub forecasts: bool,
    pub trust: TrustSettings,
}

/// The unit of timestamps, as the URL says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimePrecision {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl ForwardConfig {
    /// The value of the header `Authorization`, unless `headers` has it.
    pub fn authorization(&self) -> Option<Secret> {
        if let Some(token) = &self.token {
            return Some(Secret::new(format!("Token {}", token.reveal())));
        }
        let basic = |user: &[u8], password: &[u8]| basic_auth::header_text(user, password);
        let own = self.user.as_ref().zip(self.password.as_ref());
        let text = match own {
            Some((user, password)) => basic(user.as_bytes(), password.reveal().as_bytes()),
            None => {
                let uri: ureq::http::Uri = self.url.reveal().parse().ok()?;
                let (user, password) = basic_auth::user_info(&uri)?;
                basic(&user, &password)
            }
        };
        Some(Secret::new(text))
    }

    /// The address that rows are sent to, without a login.
    pub fn write_url(&self) -> String {
        let url = self.url.reveal();
        let url = url.split('#').next().unwrap_or_default();
        let url = &without_login(url);
        let (before, query) = url.split_once('?').unwrap_or((url, ""));
        let has_precision = query.split('&').any(|pair| pair.starts_with("precision="));
        let is_version_3 = before.ends_with("/write_lp");
        let unit = if is_version_3 { "second" } else { "s" };
        match (has_precision, query.is_empty()) {
            (true, _) => url.to_owned(),
            (false, true) => format!("{before}?precision={unit}"),
            (false, false) => format!("{before}?{query}&precision={unit}"),
        }
    }
}
