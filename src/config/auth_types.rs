//! Configured credentials: what `auth` and `[auth.NAME]` hold.
//!
//! Values.

use std::path::PathBuf;

use ureq::http::Uri;

use super::request_types::{ConfiguredBody, Header, origin_of};
use super::secret::Secret;
use crate::api::auth::login_response::{SessionLifetime, TokenLocation};
use crate::api::auth::oauth2::ClientAuth;
use crate::domain::quota::Quota;
use crate::domain::token_placement::TokenPlacement;
use crate::sys::tls::TrustSettings;
use openapi::operation::SecurityScheme;

/// Credentials and quota that sources share (`[auth.NAME]`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    pub auth: AuthConfig,
    pub quota: Option<Quota>,
}

/// The options of `auth = { … }`, or those of an `[auth.NAME]` but its quota.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthConfig {
    pub credential: Option<ConfiguredCredential>,
    /// Whom to trust at the server of tokens or logins, and the client certificate.
    pub trust: TrustSettings,
    /// Whether cookies are kept and sent; those of a login always are.
    pub cookies: bool,
}

/// Credentials of a source; the OpenAPI file declares where they are sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    /// For the scheme that accepts this type of credential.
    Any(AuthConfig),
    /// By the names of security schemes, to choose one or to satisfy several.
    Schemes(Vec<(&'static SecurityScheme, ConfiguredCredential)>),
}

/// One credential.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfiguredCredential {
    Basic {
        user: String,
        password: Secret,
        scheme: PasswordScheme,
    },
    Token(TokenCredential),
    TokenFile(TokenFileCredential),
    OAuth2(Box<OAuth2Config>),
    Login(Box<LoginConfig>),
}

/// How an OAuth 2.0 token is got (RFC 6749), and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Config {
    pub grant: OAuth2Grant,
    pub token_url: String,
    /// Empty if the server wants none.
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub client_auth: ClientAuth,
    /// Separated by blanks.
    pub scope: Option<String>,
    /// Further fields of the request for a token.
    pub token_params: Vec<(String, Secret)>,
    pub placement: TokenPlacement,
    /// Where the secret is written that the server may refuse.
    pub location: String,
}

/// What a token is got for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuth2Grant {
    ClientCredentials,
    RefreshToken(Secret),
    Password { user: String, password: Secret },
}

/// A request that gives a session, by a token or cookies.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoginConfig {
    pub url: String,
    pub method: LoginMethod,
    pub headers: Vec<Header>,
    /// Without it the session is in cookies.
    pub token: Option<TokenLocation>,
    pub lifetime: Option<SessionLifetime>,
    pub placement: TokenPlacement,
}

impl LoginConfig {
    /// Scheme, host and port of its address; a date placeholder behind them need not be a valid part
    /// of a URL.
    pub fn uri(&self) -> Uri {
        origin_of(&self.url).unwrap_or_default()
    }
}

/// HTTP method and body of a login.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum LoginMethod {
    #[default]
    Get,
    Post(Option<ConfiguredBody>),
    /// Fields of a form, as texts that may have date placeholders.
    PostForm(Vec<(String, Secret)>),
}

/// How a user and password are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordScheme {
    /// HTTP Basic at once, HTTP Digest where the server asks for it.
    Negotiate,
    /// Never HTTP Digest.
    Basic,
    /// Never HTTP Basic.
    Digest,
}

/// A token in a file that another program rotates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFileCredential {
    pub path: PathBuf,
    pub placement: TokenPlacement,
}

/// A bearer or OAuth 2 token, or an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCredential {
    pub token: Secret,
    pub placement: TokenPlacement,
}
