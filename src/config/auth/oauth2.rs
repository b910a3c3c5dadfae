//! OAuth 2.0: `grant`, `token_url`, the client, and what each grant needs.

use std::net::IpAddr;
use std::path::Path;

use super::password::{add_login_secrets, add_pair};
use super::token::read_placement;
use crate::api::auth::oauth2::ClientAuth;
use crate::api::private_address::is_private_range;
use crate::config::auth_types::{AuthConfig, ConfiguredCredential, OAuth2Config, OAuth2Grant};
use crate::config::problem::Severity;
use crate::config::reader::{TableEntry, TableReader};
use crate::config::request::url::read_url;
use crate::config::secret::Secret;
use crate::config::section::text;
use crate::domain::percent;
use crate::domain::redact::MASK;
use crate::domain::secret_detection::{is_likely_key, is_secret_name};
use crate::domain::toml_text::{bare_or_quoted, quoted};
use ureq::http::Uri;

pub const FORM: &str = "{ grant = …, token_url = …, client_id = … }";

/// A grant, by what it needs beside the common options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GrantName {
    ClientCredentials,
    RefreshToken,
    Password,
}

const GRANTS: [(&str, GrantName); 3] = [
    ("client_credentials", GrantName::ClientCredentials),
    ("refresh_token", GrantName::RefreshToken),
    ("password", GrantName::Password),
];

const CLIENT_AUTHS: [(&str, ClientAuth); 2] =
    [("body", ClientAuth::Body), ("basic", ClientAuth::Basic)];

impl GrantName {
    /// The options that it needs.
    fn needs(self) -> &'static [&'static str] {
        match self {
            GrantName::ClientCredentials => &["client_id"],
            GrantName::RefreshToken => &["refresh_token"],
            GrantName::Password => &["user", "password"],
        }
    }

    fn name(self) -> &'static str {
        let named = GRANTS.iter().find(|(_, it)| *it == self);
        named.map_or("", |(name, _)| name)
    }
}

pub fn read(table: &mut TableReader<'_>, _: &Path) -> Option<ConfiguredCredential> {
    let grant = table.get("grant").map(|item| item.choice(&GRANTS));
    let token_url = table.get("token_url").map(|item| read_token_url(&item));
    let client_auth = table
        .get("client_auth")
        .map(|item| item.choice(&CLIENT_AUTHS));
    let client_secret = table.get("client_secret").map(|item| item.secret());
    let client_id = table.get("client_id").map(|item| item.text());
    let scope = table.get("scope").map(|item| read_scope(&item));
    let params = table.get("token_params").map(|item| read_params(&item));
    let placement = read_placement(table);
    let refresh_token = table.get("refresh_token").map(|item| item.secret());
    let user = table.get("user").map(|item| item.text());
    let password = table.get("password").map(|item| item.secret());
    let location = location(table);
    if let (Some(Some(client_id)), Some(Some(secret))) = (&client_id, &client_secret) {
        let encoded = (percent::encode(client_id), percent::encode(secret.reveal()));
        add_pair(table, &encoded.0, &encoded.1);
    }
    if let (Some(Some(user)), Some(Some(password))) = (&user, &password) {
        add_login_secrets(table, user, password.reveal());
    }
    let grant = grant??;
    check_needs(table, grant)?;
    let grant = match grant {
        GrantName::ClientCredentials => OAuth2Grant::ClientCredentials,
        GrantName::RefreshToken => OAuth2Grant::RefreshToken(refresh_token??),
        GrantName::Password => OAuth2Grant::Password {
            user: user??,
            password: password??,
        },
    };
    Some(ConfiguredCredential::OAuth2(Box::new(OAuth2Config {
        grant,
        token_url: token_url??,
        client_id: client_id.unwrap_or_else(|| Some(String::new()))?,
        client_secret: optional(client_secret)?,
        client_auth: client_auth.unwrap_or(Some(ClientAuth::Body))?,
        scope: optional(scope)?,
        token_params: params.unwrap_or_else(|| Some(Vec::new()))?,
        placement: placement?,
        location,
    })))
}

/// An option that may be missing, but not wrong.
fn optional<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(value) => value.map(Some),
        None => Some(None),
    }
}

/// Where a person changes what is refused.
fn location(table: &mut TableReader<'_>) -> String {
    for name in ["refresh_token", "password", "client_secret"] {
        if let Some(entry) = table.get(name) {
            return entry.reader().location(&entry.span());
        }
    }
    table.location()
}

/// Reports what a grant needs and does not have, and what belongs to another one.
fn check_needs(table: &mut TableReader<'_>, grant: GrantName) -> Option<()> {
    let mut is_valid = true;
    for (_, other) in GRANTS.iter().filter(|(_, it)| *it != grant) {
        // A client may have an identifier with every grant.
        for option in other.needs().iter().filter(|it| **it != "client_id") {
            if let Some(entry) = table.get(option) {
                entry.problem(format!(
                    "`{option}` belongs to grant = {}, and this is {}: remove it, or change `grant`",
                    quoted(other.name()),
                    quoted(grant.name())
                ));
                is_valid = false;
            }
        }
    }
    let needed = grant.needs().iter().filter(|it| table.get(it).is_none());
    let missing: Vec<String> = needed.map(|it| format!("`{it}`")).collect();
    if !missing.is_empty() && is_valid {
        table.problem(format!(
            "{} lacks {}, which grant = {} needs{}",
            table.name(),
            missing.join(" and "),
            quoted(grant.name()),
            match grant {
                GrantName::RefreshToken =>
                    ": the service gives the first one when its owner logs in there",
                _ => "",
            }
        ));
        is_valid = false;
    }
    is_valid.then_some(())
}

fn read_token_url(item: &TableEntry<'_>) -> Option<String> {
    let url = read_url(item)?;
    let uri = url.parse::<Uri>().ok()?;
    let is_open = uri.scheme_str() == Some("http") && !is_of_network(uri.host()?);
    if is_open {
        item.remark(
            Severity::Note,
            "token_url: http:// sends the secrets of the client unencrypted through the internet: write \
             https://, if the service has it",
        );
    }
    Some(url)
}

/// Whether a host is in the local network, as far as its name says.
fn is_of_network(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => is_private_range(address),
        Err(_) => {
            const LOCAL: [&str; 6] = [".local", ".lan", ".home", ".home.arpa", ".internal", ".box"];
            !host.contains('.') || LOCAL.iter().any(|it| host.ends_with(it))
        }
    }
}

/// A text, or a list, which is joined by blanks.
fn read_scope(item: &TableEntry<'_>) -> Option<String> {
    let texts: Vec<String> = item.texts().into_iter().map(|it| it.0).collect();
    let scope = texts.join(" ");
    (!scope.is_empty()).then_some(scope)
}

fn read_params(item: &TableEntry<'_>) -> Option<Vec<(String, Secret)>> {
    let mut params = Vec::new();
    for entry in item.entries() {
        let value = read_param(&entry)?;
        params.push((entry.key().to_owned(), value));
    }
    Some(params)
}

fn read_param(entry: &TableEntry<'_>) -> Option<Secret> {
    const OF_OPTIONS: [(&str, &str); 8] = [
        ("grant_type", "grant"),
        ("client_id", "client_id"),
        ("client_secret", "client_secret"),
        ("refresh_token", "refresh_token"),
        ("scope", "scope"),
        ("username", "user"),
        ("password", "password"),
        ("url", "token_url"),
    ];
    if let Some((_, option)) = OF_OPTIONS.iter().find(|(name, _)| *name == entry.key()) {
        entry.problem(format!("write it as `{option}`, not in `token_params`"));
        return None;
    }
    if is_secret_name(entry.key()) {
        return entry.secret();
    }
    let text = entry.text()?;
    if is_likely_key(&text) {
        entry.add_secret(text.clone());
    }
    Some(Secret::new(text))
}

/// The settings of an `auth` of this kind.
pub fn settings(auth: &AuthConfig) -> Option<&OAuth2Config> {
    match &auth.credential {
        Some(ConfiguredCredential::OAuth2(settings)) => Some(settings),
        _ => None,
    }
}

pub fn print_grant(settings: &OAuth2Config) -> Option<String> {
    text(match settings.grant {
        OAuth2Grant::ClientCredentials => GrantName::ClientCredentials.name(),
        OAuth2Grant::RefreshToken(_) => GrantName::RefreshToken.name(),
        OAuth2Grant::Password { .. } => GrantName::Password.name(),
    })
}

pub fn print_client_auth(settings: &OAuth2Config) -> Option<String> {
    let mut auths = CLIENT_AUTHS.iter();
    let (name, _) = auths.find(|(_, it)| *it == settings.client_auth)?;
    (settings.client_auth != ClientAuth::Body).then(|| text(name))?
}

pub fn print_params(settings: &OAuth2Config) -> Option<String> {
    let params = settings.token_params.iter();
    let params: Vec<String> = params
        .map(|(name, _)| format!("{} = \"{MASK}\"", bare_or_quoted(name)))
        .collect();
    (!params.is_empty()).then(|| format!("{{ {} }}", params.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Config, Environment, Overrides, read};

    const CLIENT: &str = "grant = \"client_credentials\", client_id = \"i\"";

    fn config(auth: &str) -> Result<Config, String> {
        let text =
            format!("[[source]]\nname = \"s\"\nurl = \"http://a.local/\"\nauth = {{ {auth} }}\n");
        let file = Some(PathBuf::from("main-node.toml"));
        let environment = Environment::new([]);
        read(&text, file, &Overrides::default(), environment, &[]).map_err(|problems| {
            let lines = problems.iter().map(ToString::to_string);
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn what_a_grant_misses_or_does_not_need_is_a_problem() {
        let url = "token_url = \"http://a.local/\"";
        let refresh = "grant = \"refresh_token\"";
        for (auth, expected) in [
            (
                format!("{refresh}, {url}"),
                "4:1: auth lacks `refresh_token`, which grant = \"refresh_token\" needs: the service gives the first one when its owner logs in there",
            ),
            (
                format!("grant = \"password\", {url}, user = \"me\""),
                "4:1: auth lacks `password`, which grant = \"password\" needs",
            ),
            (
                format!("grant = \"client_credentials\", {url}"),
                "4:1: auth lacks `client_id`, which grant = \"client_credentials\" needs",
            ),
            (
                format!("{CLIENT}, {url}, refresh_token = \"hush\""),
                "`refresh_token` belongs to grant = \"refresh_token\", and this is \"client_credentials\": remove it, or change `grant`",
            ),
            (
                format!("{refresh}, {url}, refresh_token = \"hush\", user = \"me\""),
                "`user` belongs to grant = \"password\", and this is \"refresh_token\": remove it, or change `grant`",
            ),
            (
                format!("{CLIENT}, {url}, token_params = {{ client_secret = \"hush\" }}"),
                "write it as `client_secret`, not in `token_params`",
            ),
            (CLIENT.to_owned(), "4:1: auth lacks `token_url`"),
            (
                format!("{url}, client_id = \"i\""),
                "4:1: auth lacks `grant`",
            ),
            (
                format!("grant = \"authorization_code\", {url}"),
                "expected one of \"client_credentials\", \"refresh_token\", \"password\"",
            ),
            (
                format!("grant = \"device_code\", {url}"),
                "here perhaps \"refresh_token\"",
            ),
            (
                format!("{CLIENT}, token_url = \"auth.example/token\""),
                "token_url: expected an address",
            ),
            (
                format!("{CLIENT}, {url}, client_secret = 5"),
                "expected a text in quotes",
            ),
        ] {
            let Err(found) = config(&auth) else {
                panic!("it is valid: {auth}");
            };
            assert!(found.contains(expected), "{auth}\n{found}");
            assert!(!found.contains("hush"), "{found}");
        }
    }

    #[test]
    fn an_unencrypted_token_server_outside_is_noted() {
        for (url, is_noted) in [
            ("http://auth.example.org/token", true),
            ("http://203.0.113.7/token", true),
            ("https://auth.example.org/token", false),
            ("http://192.168.1.5:8080/token", false),
            ("http://[fe80::1]/token", false),
            ("http://nas/token", false),
            ("http://nas.local/token", false),
            ("http://fritz.box/token", false),
        ] {
            let config = config(&format!("{CLIENT}, token_url = \"{url}\"")).expect("it is valid");
            let mut remarks = config.remarks.iter().map(|it| it.problem.to_string());
            let found = remarks.any(|it| it.contains("token_url: http:// sends the secrets"));
            assert_eq!(found, is_noted, "{url}");
        }
    }

    #[test]
    fn secrets_are_known_and_masked_and_the_line_of_one_is_kept() {
        let auth = "grant = \"refresh_token\", token_url = \"https://a.example/\", client_id = \"i\", \
                    client_secret = \"hush-secret\", refresh_token = \"hush-token\", \
                    token_params = { api_key = \"hush-key\", zone = \"hush-1a2b3c4d5e6f7g8h\", audience = \"all\" }";
        let config = config(auth).expect("it is valid");
        let shown = config.to_toml();
        assert!(!shown.contains("hush"), "{shown}");
        for secret in [
            "hush-secret",
            "hush-token",
            "hush-key",
            "hush-1a2b3c4d5e6f7g8h",
        ] {
            assert_eq!(config.secrets.mask(secret), MASK, "{secret}");
        }
        let auth = config.sources[0].auth.as_ref();
        let Some(ConfiguredCredential::OAuth2(settings)) = auth.and_then(|it| it.credential())
        else {
            panic!("another kind");
        };
        assert!(
            settings.location.starts_with("main-node.toml:4:"),
            "{}",
            settings.location
        );
    }
}
