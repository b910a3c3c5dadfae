//! Settings of OAuth 2.0 and the request for a token (RFC 6749, 4.3, 4.4, 6).
//!
//! Pure.

use std::sync::Arc;

use ureq::http::{HeaderName, HeaderValue, Uri, header};

use crate::api::auth::token_file::{TokenOwner, hash};
use crate::api::outgoing_request::{OutgoingMethod, OutgoingRequest};
use crate::api::url_source::FORM_TYPE;
use crate::api::{basic_auth, origin};
use crate::domain::percent;
use crate::domain::token_placement::TokenPlacement;

/// No `Debug`: it has secrets.
#[derive(Clone)]
pub struct OAuth2Settings {
    /// How messages name it: `[auth.netatmo]`.
    pub table: String,
    /// Where it is written: `main-node.toml:12:1`.
    pub location: String,
    /// How the file of tokens names it.
    pub owner_name: String,
    pub token_url: Uri,
    pub grant: GrantCredentials,
    pub client_id: String,
    pub client_secret: Option<String>,
    pub client_auth: ClientAuth,
    pub scope: Option<String>,
    /// Further fields of the request.
    pub params: Vec<(String, String)>,
    pub placement: TokenPlacement,
}

#[derive(Clone)]
pub enum GrantCredentials {
    ClientCredentials,
    RefreshToken { configured: String },
    Password { user: String, password: String },
}

/// How the client authenticates (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    Body,
    Basic,
}

impl GrantCredentials {
    /// The value of `grant_type`, and of the option `grant`.
    pub fn name(&self) -> &'static str {
        match self {
            GrantCredentials::ClientCredentials => "client_credentials",
            GrantCredentials::RefreshToken { .. } => "refresh_token",
            GrantCredentials::Password { .. } => "password",
        }
    }
}

impl OAuth2Settings {
    /// A changed `refresh_token` is another owner, so that it is used and not the one of the file.
    pub fn owner(&self) -> TokenOwner {
        let url = self.token_url.to_string();
        let (user, refresh_token) = match &self.grant {
            GrantCredentials::ClientCredentials => ("", ""),
            GrantCredentials::RefreshToken { configured } => ("", configured.as_str()),
            GrantCredentials::Password { user, .. } => (user.as_str(), ""),
        };
        let parts = [
            self.grant.name(),
            &url,
            &self.client_id,
            user,
            refresh_token,
        ];
        TokenOwner {
            name: self.owner_name.clone(),
            identity: hash(parts),
        }
    }

    /// A hash of what an access token is for.
    pub fn request_hash(&self) -> String {
        let params = self.params.iter();
        let params = params.flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        hash(
            [self.scope.as_deref().unwrap_or_default()]
                .into_iter()
                .chain(params),
        )
    }

    /// The token server, as messages name it.
    pub fn host(&self) -> String {
        origin::display_host(&self.token_url)
    }

    pub fn has_standard_placement(&self) -> bool {
        self.placement == TokenPlacement::Standard
    }

    /// The request for a token.
    pub fn request(&self, refresh_token: Option<&str>) -> OutgoingRequest {
        let mut fields = vec![("grant_type", self.grant.name())];
        match &self.grant {
            GrantCredentials::ClientCredentials => {}
            GrantCredentials::RefreshToken { configured } => {
                fields.push(("refresh_token", refresh_token.unwrap_or(configured)));
            }
            GrantCredentials::Password { user, password } => {
                fields.extend([("username", user.as_str()), ("password", password)]);
            }
        }
        if self.client_auth == ClientAuth::Body {
            let id = Some(&self.client_id).filter(|it| !it.is_empty());
            fields.extend(id.map(|it| ("client_id", it.as_str())));
            let secret = self.client_secret.as_deref();
            fields.extend(secret.map(|it| ("client_secret", it)));
        }
        fields.extend(self.scope.as_deref().map(|it| ("scope", it)));
        let params = self.params.iter();
        fields.extend(params.map(|(name, value)| (name.as_str(), value.as_str())));
        let form = percent::encode_form(fields);
        let mut headers: Vec<(HeaderName, HeaderValue)> = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static(FORM_TYPE)),
            (header::ACCEPT, HeaderValue::from_static("application/json")),
        ];
        headers.extend(self.client_header().map(|it| (header::AUTHORIZATION, it)));
        OutgoingRequest {
            uri: self.token_url.clone(),
            headers,
            method: OutgoingMethod::Post(Some(Arc::from(form.into_bytes()))),
        }
    }

    /// Identifier and secret are encoded as in a form before they are joined.
    fn client_header(&self) -> Option<HeaderValue> {
        if self.client_auth == ClientAuth::Body {
            return None;
        }
        let secret = self.client_secret.as_deref().unwrap_or_default();
        let (id, secret) = (percent::encode(&self.client_id), percent::encode(secret));
        basic_auth::header(id.as_bytes(), secret.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(grant: GrantCredentials, client_auth: ClientAuth) -> OAuth2Settings {
        OAuth2Settings {
            table: "[auth.netatmo]".to_owned(),
            location: "main-node.toml:1:1".to_owned(),
            owner_name: "auth:netatmo".to_owned(),
            token_url: Uri::from_static("http://auth.example/token"),
            grant,
            client_id: "my id".to_owned(),
            client_secret: Some("s&c:r+t".to_owned()),
            client_auth,
            scope: Some("read_station write".to_owned()),
            params: vec![("audience".to_owned(), "https://api/".to_owned())],
            placement: TokenPlacement::Standard,
        }
    }

    fn refresh(configured: &str) -> GrantCredentials {
        GrantCredentials::RefreshToken {
            configured: configured.to_owned(),
        }
    }

    #[test]
    fn each_grant_is_a_form() {
        let user = || GrantCredentials::Password {
            user: "jürgen".to_owned(),
            password: "p=1".to_owned(),
        };
        let client = "client_id=my%20id&client_secret=s%26c%3Ar%2Bt";
        let rest = "scope=read_station%20write&audience=https%3A%2F%2Fapi%2F";
        for (grant, client_auth, token, expected) in [
            (
                GrantCredentials::ClientCredentials,
                ClientAuth::Body,
                None,
                format!("grant_type=client_credentials&{client}&{rest}"),
            ),
            (
                GrantCredentials::ClientCredentials,
                ClientAuth::Basic,
                None,
                format!("grant_type=client_credentials&{rest}"),
            ),
            (
                refresh("a|1"),
                ClientAuth::Body,
                None,
                format!("grant_type=refresh_token&refresh_token=a%7C1&{client}&{rest}"),
            ),
            (
                refresh("a|1"),
                ClientAuth::Basic,
                Some("b"),
                format!("grant_type=refresh_token&refresh_token=b&{rest}"),
            ),
            (
                user(),
                ClientAuth::Body,
                None,
                format!("grant_type=password&username=j%C3%BCrgen&password=p%3D1&{client}&{rest}"),
            ),
        ] {
            let request = settings(grant, client_auth).request(token);
            let OutgoingMethod::Post(Some(body)) = &request.method else {
                panic!("it is a POST with a body");
            };
            assert_eq!(String::from_utf8_lossy(body), expected);
            let authorization = request
                .headers
                .iter()
                .find(|it| it.0 == header::AUTHORIZATION);
            // printf 'my%%20id:s%%26c%%3Ar%%2Bt' | base64
            let expected =
                (client_auth == ClientAuth::Basic).then_some("Basic bXklMjBpZDpzJTI2YyUzQXIlMkJ0");
            assert_eq!(authorization.and_then(|it| it.1.to_str().ok()), expected);
        }
    }

    #[test]
    fn a_token_is_of_its_server_client_user_and_refresh_token() {
        let base = settings(refresh("a"), ClientAuth::Body);
        let changed = |change: fn(&mut OAuth2Settings)| {
            let mut settings = base.clone();
            change(&mut settings);
            settings.owner() == base.owner()
        };
        for (change, expected) in [
            (
                (|it| it.token_url = Uri::from_static("http://auth.example/other"))
                    as fn(&mut OAuth2Settings),
                false,
            ),
            (|it| it.client_id = "other".to_owned(), false),
            (|it| it.grant = refresh("b"), false),
            (|it| it.grant = GrantCredentials::ClientCredentials, false),
            (|it| it.owner_name = "source:netatmo".to_owned(), false),
            (|it| it.scope = None, true),
            (|it| it.client_secret = None, true),
        ] {
            assert_eq!(changed(change), expected);
        }
        let mut other = base.clone();
        other.scope = None;
        assert_ne!(other.request_hash(), base.request_hash());
    }
}
