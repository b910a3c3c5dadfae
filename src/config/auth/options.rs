//! List of the options of `auth = { … }` and of `[auth.NAME]`.
//!
//! Those of a credential are read together, by its kind (`kinds`).

use crate::config::auth_types::{
    Account, AuthConfig, ConfiguredCredential, OAuth2Config, OAuth2Grant, PasswordScheme,
    TokenCredential,
};
use crate::config::option::read_quota;
use crate::config::section::{ConfigOption, path, plain, set, text, with_others};
use crate::config::trust::{self, print_fingerprints, read_fingerprints};
use crate::domain::redact::{MASK, without_secrets};

use super::login::print_login;
use super::token::{print_header, print_param};
use super::{oauth2, password};

type AuthOption = ConfigOption<AuthConfig>;

pub static OPTIONS: [AuthOption; 21] = [
    AuthOption::new(
        "user",
        "text",
        "none",
        "\"me\"",
        "User name, together with `password`.",
        with_others,
        |auth| is_password(auth).then(|| text(MASK)).flatten(),
    ),
    AuthOption::new(
        "password",
        "text",
        "none",
        "\"${METER_PASSWORD}\"",
        "Password of `user`.",
        with_others,
        |auth| is_password(auth).then(|| text(MASK)).flatten(),
    ),
    AuthOption::new(
        "scheme",
        "\"basic\" or \"digest\"",
        "none (HTTP Basic at once, HTTP Digest where the server asks for it)",
        "\"digest\"",
        "How `user` and `password` are sent. `\"digest\"`: nothing before the server asks, and never as HTTP Basic. `\"basic\"`: never as HTTP Digest.",
        with_others,
        |auth| match &auth.credential {
            Some(ConfiguredCredential::Basic { scheme, .. }) => match scheme {
                PasswordScheme::Negotiate => None,
                scheme => text(password::scheme_name(*scheme)?),
            },
            _ => None,
        },
    ),
    AuthOption::new(
        "token",
        "text",
        "none",
        "\"${METER_TOKEN}\"",
        "A Bearer token, or an API key with `header` or `param`; with `operation` it goes where the OpenAPI file says.",
        with_others,
        |auth| token(auth).and_then(|_| text(MASK)),
    ),
    AuthOption::new(
        "token_file",
        "file",
        "none",
        "\"/run/meter/token\"",
        "A file with the token alone, which another program writes and replaces: it is read before each fetch, and again when the server refuses the token. A systemd credential is `\"${CREDENTIALS_DIRECTORY}/NAME\"`.",
        with_others,
        |auth| match &auth.credential {
            Some(ConfiguredCredential::TokenFile(file)) => path(&file.path),
            _ => None,
        },
    ),
    AuthOption::new(
        "header",
        "text, `\"NAME: VALUE\"` with `{token}` in VALUE",
        "none (`\"Authorization: Bearer {token}\"`)",
        "\"X-Api-Key: {token}\"",
        "The header in which the token is sent. `{token}` is the only placeholder.",
        with_others,
        |auth| print_header(auth.credential.as_ref()?.placement()?),
    ),
    AuthOption::new(
        "param",
        "text",
        "none",
        "\"api_key\"",
        "The query parameter in which the token is sent, instead of a header.",
        with_others,
        |auth| print_param(auth.credential.as_ref()?.placement()?),
    ),
    AuthOption::new(
        "grant",
        "`\"client_credentials\"`, `\"refresh_token\"` or `\"password\"`",
        "none",
        "\"refresh_token\"",
        "OAuth 2.0 (RFC 6749): how access tokens are got from `token_url`. `\"client_credentials\"` needs `client_id` and mostly `client_secret`; `\"refresh_token\"` needs `refresh_token`; `\"password\"` needs `user` and `password`. The tokens are kept in `tokens.json` beside the database.",
        with_others,
        |auth| oauth2::print_grant(oauth2::settings(auth)?),
    ),
    AuthOption::new(
        "token_url",
        "text",
        "none",
        "\"https://api.netatmo.com/oauth2/token\"",
        "The address of the token server, with `grant`.",
        with_others,
        |auth| text(&without_secrets(&oauth2::settings(auth)?.token_url)),
    ),
    AuthOption::new(
        "client_id",
        "text",
        "none",
        "\"5f0c\"",
        "The identifier that the service gave your application, with `grant`.",
        with_others,
        |auth| text(Some(&oauth2::settings(auth)?.client_id).filter(|it| !it.is_empty())?),
    ),
    AuthOption::new(
        "client_secret",
        "text",
        "none",
        "\"${METER_PASSWORD}\"",
        "The secret that belongs to `client_id`.",
        with_others,
        |auth| {
            oauth2::settings(auth)?
                .client_secret
                .as_ref()
                .and_then(|_| text(MASK))
        },
    ),
    AuthOption::new(
        "client_auth",
        "`\"body\"` or `\"basic\"`",
        "\"body\"",
        "\"basic\"",
        "Where `client_id` and `client_secret` are sent: in the body of the request for a token, or as HTTP Basic.",
        with_others,
        |auth| oauth2::print_client_auth(oauth2::settings(auth)?),
    ),
    AuthOption::new(
        "scope",
        "text or list of texts",
        "none",
        "\"read_station\"",
        "What the token is for, in the words of the service; several are separated by blanks.",
        with_others,
        |auth| text(oauth2::settings(auth)?.scope.as_ref()?),
    ),
    AuthOption::new(
        "token_params",
        "table of texts",
        "none",
        "{ audience = \"https://api.example.org/\" }",
        "Further fields of the request for a token, where the service wants some.",
        with_others,
        |auth| oauth2::print_params(oauth2::settings(auth)?),
    ),
    AuthOption::new(
        "refresh_token",
        "text",
        "none",
        "\"${METER_TOKEN}\"",
        "The first refresh token, with `grant = \"refresh_token\"`. Where the service exchanges it, `tokens.json` has the newest one; a changed `refresh_token` here counts before that.",
        with_others,
        |auth| match oauth2::settings(auth)?.grant {
            OAuth2Grant::RefreshToken(_) => text(MASK),
            _ => None,
        },
    ),
    AuthOption::new(
        "login",
        "table",
        "none",
        "{ url = \"http://pi.hole/api/auth\", body = { password = \"${PIHOLE_PASSWORD}\" }, token = \"/session/sid\" }",
        "A request that gives a session: by a token, or by cookies; see “Logins”. Each source logs in when it has no session, when the server refuses it, and before its `lifetime` ends.",
        with_others,
        |auth| match &auth.credential {
            Some(ConfiguredCredential::Login(login)) => print_login(login),
            _ => None,
        },
    ),
    AuthOption::new(
        "cookies",
        "true or false",
        "none (they are kept with `login` only)",
        "true",
        "Whether cookies that the source's server sets are kept, in memory, and sent back to it: at most 20 of 4 kB.",
        |auth, option| set(&mut auth.cookies, option.boolean()),
        |auth| auth.cookies.then(|| plain(true)).flatten(),
    ),
    AuthOption::new(
        "certificate",
        "file",
        "none",
        "\"client.pem\"",
        "PEM file with the TLS client certificate that the server requires (mutual TLS), behind it those of intermediate CAs. May stand beside any credential, or alone. Only the source's own server and that of `token_url` or `login` get it, never one that a redirect leads to.",
        with_others,
        |auth| path(&auth.trust.client_certificate.as_ref()?.certificate),
    ),
    AuthOption::new(
        "key",
        "file",
        "none (the key is in `certificate`)",
        "\"client.key\"",
        "PEM file with the private key of `certificate`, without a passphrase (PKCS#8, PKCS#1 or SEC1).",
        with_others,
        |auth| path(auth.trust.client_certificate.as_ref()?.key.as_deref()?),
    ),
    AuthOption::new(
        "ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        "PEM file with the root certificates to trust for the server of `token_url` or `login`, or with that server's own certificate. Where it is the source's own server, the options of the source hold.",
        |auth, option| auth.trust.ca_file = option.path(),
        |auth| path(auth.trust.ca_file.as_deref()?),
    ),
    AuthOption::new(
        "fingerprint",
        "text, or list of texts",
        "none",
        trust::EXAMPLE,
        "SHA-256 fingerprint of the certificate of that server, as in a source.",
        |auth, option| auth.trust.fingerprints = read_fingerprints(option),
        |auth| print_fingerprints(&auth.trust.fingerprints),
    ),
];

/// Options of `[auth.NAME]` alone: a source has a `quota` of its own.
pub static QUOTA: [ConfigOption<Account>; 1] = [ConfigOption::new(
    "quota",
    "text, `\"N/minute\"`, `\"N/hour\"`, `\"N/day\"` or `\"N/month\"`",
    "none",
    "\"300/day\"",
    "How many requests the provider allows for the account, all sources together. Each gets an equal share: its `every` is raised until they fit. Requests before a restart count too. A source may have a stricter `quota` of its own.",
    |account, option| account.quota = option.entry().and_then(|it| read_quota(&it)),
    |account| text(&account.quota?.to_string()),
)];

fn is_password(auth: &AuthConfig) -> bool {
    let is_grant = |it: &OAuth2Config| matches!(it.grant, OAuth2Grant::Password { .. });
    matches!(auth.credential, Some(ConfiguredCredential::Basic { .. }))
        || oauth2::settings(auth).is_some_and(is_grant)
}

fn token(auth: &AuthConfig) -> Option<&TokenCredential> {
    match &auth.credential {
        Some(ConfiguredCredential::Token(token)) => Some(token),
        _ => None,
    }
}
