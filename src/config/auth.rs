//! Authentication of a source: `auth = { … }`, `auth = "NAME"` and the tables `[auth.NAME]`.
//!
//! One list of options (`options`) is read, printed and documented for both; a table of kinds
//! (`kinds`) says which of them belong together.

mod accounts;
mod client_certificate;
mod kinds;
mod login;
mod oauth2;
mod options;
mod password;
mod requirements;
mod schemes;
mod token;
mod token_file;

use std::path::Path;

use toml::de::DeValue;

pub use self::accounts::{Accounts, print_accounts};
use self::kinds::{forms, read_credential};
#[cfg(test)]
pub use self::login::OPTIONS as LOGIN_OPTIONS;
pub use self::login::check_login;
pub use self::options::OPTIONS;
#[cfg(test)]
pub use self::options::QUOTA;
pub use self::requirements::{SourceCredentials, check_scheme, warn_missing_auth};
use self::schemes::{is_scheme, read_schemes};
use super::auth_types::{Auth, AuthConfig, ConfiguredCredential};
use super::problem::Severity;
use super::reader::{TableEntry, TableReader};
use super::request_types::Header;
use super::section::{options_as_toml, read_options};
use super::types::SourceTarget;
use crate::domain::redact::MASK;
use crate::domain::token_placement::TokenPlacement;
use crate::domain::toml_text::{bare_or_quoted, quoted};
use crate::sys::tls::ClientCertificateFiles;
use openapi::operation::{Operation, SecurityScheme};

pub fn read_auth(
    item: &TableEntry<'_>,
    target: Option<&SourceTarget>,
    directory: &Path,
    others: SourceCredentials<'_>,
) -> Option<Auth> {
    if !is_table(item) {
        return None;
    }
    let operation = match target {
        Some(SourceTarget::Operation { operation, .. }) => Some(*operation),
        _ => None,
    };
    if let Some(operation) = operation
        && has_schemes(item, operation)
    {
        return read_schemes(item, operation, directory, others);
    }
    let auth = read_single(item, directory)?;
    if let Some(operation) = operation {
        check_scheme(item, &auth, operation, others);
    }
    Some(Auth::Any(auth))
}

/// Whether a table names security schemes instead of options. A user and password, or a token,
/// are options whatever the schemes are called.
fn has_schemes(item: &TableEntry<'_>, operation: &'static Operation) -> bool {
    let entries = item.entries();
    let mut keys = entries.iter().map(TableEntry::key);
    if keys
        .clone()
        .all(|key| matches!(key, "user" | "password" | "token"))
    {
        return false;
    }
    keys.clone().any(|key| is_scheme(operation, key)) || !keys.any(is_option)
}

/// Whether a table may name security schemes: what they are called only the operation says.
pub fn may_have_schemes(item: &TableEntry<'_>) -> bool {
    match item.value() {
        DeValue::Table(written) => written.keys().any(|key| !is_option(key.get_ref())),
        _ => false,
    }
}

/// The client certificate of another section (`certificate`, `key`).
pub fn read_client_certificate(
    table: &mut TableReader<'_>,
    directory: &Path,
) -> Option<ClientCertificateFiles> {
    client_certificate::read(table, directory).ok().flatten()
}

fn is_option(name: &str) -> bool {
    OPTIONS.iter().any(|option| option.name == name)
}

/// Checked here because the usual type error would show the value, which is a secret.
fn is_table(item: &TableEntry<'_>) -> bool {
    let is_table = matches!(item.value(), DeValue::Table(_));
    if !is_table {
        item.problem(format!("expected {}", forms()));
    }
    is_table
}

/// Reads a table with the options of one credential.
fn read_single(item: &TableEntry<'_>, directory: &Path) -> Option<AuthConfig> {
    let mut table = item.table("auth")?;
    let auth = read_auth_options(&mut table, directory);
    table.finish();
    let auth = auth.ok()?;
    let DeValue::Table(written) = item.value() else {
        return None;
    };
    // An unknown option is a problem already.
    let has_unknown = written.keys().any(|key| !is_option(key.get_ref()));
    if auth == AuthConfig::default() && !has_unknown {
        item.problem(format!("`auth` is empty: expected {}", forms()));
        return None;
    }
    Some(auth)
}

/// A problem is reported.
struct Reported;

/// Reads the options of a table, which may have none.
fn read_auth_options(
    table: &mut TableReader<'_>,
    directory: &Path,
) -> Result<AuthConfig, Reported> {
    let mut auth = AuthConfig::default();
    read_options(&OPTIONS, table, directory, &mut auth);
    let client_certificate = client_certificate::read(table, directory);
    // Registers secrets, also where the certificate has a problem.
    auth.credential = read_credential(table, directory)?;
    auth.trust.client_certificate = client_certificate?;
    Ok(auth)
}

impl ConfiguredCredential {
    /// Whether tokens are got by it, and kept.
    pub fn has_tokens(&self) -> bool {
        match self {
            ConfiguredCredential::Basic { .. }
            | ConfiguredCredential::Token(_)
            | ConfiguredCredential::TokenFile(_) => false,
            ConfiguredCredential::OAuth2(_) | ConfiguredCredential::Login(_) => true,
        }
    }
}

/// Notes what a source of a URL has in `auth` and in `headers` or `params` too. No problem:
/// version 0.1 took it.
pub fn warn_sent_twice(
    item: &TableEntry<'_>,
    auth: &Auth,
    headers: &[Header],
    params: &[(String, String)],
) {
    let Some(credential) = auth.credential() else {
        return;
    };
    let standard = TokenPlacement::Standard;
    if matches!(credential, ConfiguredCredential::Login(login) if login.token.is_none()) {
        return;
    }
    let placement = credential.placement().unwrap_or(&standard);
    if let Some((name, _)) = placement.header("")
        && headers.iter().any(|it| it.name.eq_ignore_ascii_case(name))
    {
        let message =
            format!("`auth` is the header {name}, which `headers` has too: remove one of them");
        item.remark(Severity::Note, message);
    }
    if let Some(name) = placement.param()
        && params.iter().any(|(it, _)| it == name)
    {
        let message = format!(
            "`auth` is the query parameter {}, which `params` has too: remove one of them",
            quoted(name)
        );
        item.remark(Severity::Note, message);
    }
    if let ConfiguredCredential::Token(token) = credential
        && token.placement == TokenPlacement::Standard
        && begins_with_bearer(token.token.reveal())
    {
        item.remark(
            Severity::Note,
            "`token` is sent as `Bearer TOKEN`: remove the `Bearer ` that it begins with",
        );
    }
}

/// Notes a user and password of the URL that `auth` replaces.
pub fn warn_unused_user_info(item: &TableEntry<'_>, auth: &Auth, url: &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_replaced = match auth.credential() {
        Some(ConfiguredCredential::Basic { .. }) => true,
        Some(credential) => credential.placement().is_some_and(|placement| {
            let header = placement.header("");
            header.is_some_and(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        }),
        None => false,
    };
    if host.contains('@') && is_replaced {
        item.remark(
            Severity::Note,
            "`auth` replaces the user and password in the URL: remove one of them",
        );
    }
}

fn begins_with_bearer(token: &str) -> bool {
    let begin = token.get(..7);
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case("bearer "))
}

/// `auth` as TOML, credentials masked, the user name too: some services take their key as the
/// user name.
pub fn auth_as_toml(auth: &Auth) -> String {
    match auth {
        Auth::Any(auth) => options_as_toml(&OPTIONS, auth).join(", "),
        Auth::Schemes(credentials) => {
            let entry = |(scheme, credential): &(&SecurityScheme, ConfiguredCredential)| {
                let name = bare_or_quoted(&scheme.name);
                if let ConfiguredCredential::Token(_) = credential {
                    return format!("{name} = \"{MASK}\"");
                }
                let auth = AuthConfig {
                    credential: Some(credential.clone()),
                    ..AuthConfig::default()
                };
                let options = options_as_toml(&OPTIONS, &auth).join(", ");
                format!("{name} = {{ {options} }}")
            };
            credentials.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
    }
}
