//! List of the options of `auth = { … }` and of `[auth.NAME]`.
//!
//! Those of a credential are read together, by its kind (`kinds`).

use crate::config::option::read_quota;
use crate::config::section::{ConfigOption, path, text, with_others};
use crate::config::types::{
    Account, AuthConfig, ConfiguredCredential, PasswordScheme, TokenCredential,
};
use crate::domain::redact::MASK;

use super::password;
use super::token::{print_header, print_param};

type AuthOption = ConfigOption<AuthConfig>;

pub static OPTIONS: [AuthOption; 8] = [
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
        "header",
        "text, `\"NAME: VALUE\"` with `{token}` in VALUE",
        "none (`\"Authorization: Bearer {token}\"`)",
        "\"X-Api-Key: {token}\"",
        "The header in which the token is sent. `{token}` is the only placeholder.",
        with_others,
        |auth| print_header(&token(auth)?.placement),
    ),
    AuthOption::new(
        "param",
        "text",
        "none",
        "\"api_key\"",
        "The query parameter in which the token is sent, instead of a header.",
        with_others,
        |auth| print_param(&token(auth)?.placement),
    ),
    AuthOption::new(
        "certificate",
        "file",
        "none",
        "\"client.pem\"",
        "PEM file with the TLS client certificate that the server requires (mutual TLS), behind it those of intermediate CAs. May stand beside any credential, or alone. Only the source's own server gets it, never one that a redirect leads to.",
        with_others,
        |auth| path(&auth.client_certificate.as_ref()?.certificate),
    ),
    AuthOption::new(
        "key",
        "file",
        "none (the key is in `certificate`)",
        "\"client.key\"",
        "PEM file with the private key of `certificate`, without a passphrase (PKCS#8, PKCS#1 or SEC1).",
        with_others,
        |auth| path(auth.client_certificate.as_ref()?.key.as_deref()?),
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
    matches!(auth.credential, Some(ConfiguredCredential::Basic { .. }))
}

fn token(auth: &AuthConfig) -> Option<&TokenCredential> {
    match &auth.credential {
        Some(ConfiguredCredential::Token(token)) => Some(token),
        _ => None,
    }
}
