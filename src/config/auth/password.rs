//! User and password: `user`, `password`, `scheme`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::config::auth_types::{ConfiguredCredential, PasswordScheme};
use crate::config::reader::TableReader;

/// Shorter user names are names and no keys.
pub const SHORTEST_KEY: usize = 16;

const SCHEMES: [(&str, PasswordScheme); 2] = [
    ("basic", PasswordScheme::Basic),
    ("digest", PasswordScheme::Digest),
];

pub fn read(table: &mut TableReader<'_>, _: &Path) -> Option<ConfiguredCredential> {
    let user = table.get("user").map(|item| item.text());
    let password = table.get("password").map(|item| item.secret());
    let scheme = table.get("scheme").map(|item| item.choice(&SCHEMES));
    let (user, password) = (user??, password??);
    add_login_secrets(table, &user, password.reveal());
    Some(ConfiguredCredential::Basic {
        user,
        password,
        scheme: scheme.unwrap_or(Some(PasswordScheme::Negotiate))?,
    })
}

/// Registers a user that is a key, and the pair as HTTP Basic sends it; the password is registered.
pub fn add_login_secrets(table: &TableReader<'_>, user: &str, password: &str) {
    // Services whose key is the user name need an empty or a fixed password.
    let is_key = user.len() >= SHORTEST_KEY && !user.contains('@');
    if password.is_empty() || is_key {
        table.reader().add_secret(user);
    }
    add_pair(table, user, password);
}

/// Registers the text of HTTP Basic.
pub fn add_pair(table: &TableReader<'_>, user: &str, password: &str) {
    let pair = format!("{user}:{password}");
    table.reader().add_secret(BASE64.encode(pair));
}

pub fn scheme_name(scheme: PasswordScheme) -> Option<&'static str> {
    let named = SCHEMES.iter().find(|(_, it)| *it == scheme);
    named.map(|(name, _)| *name)
}
