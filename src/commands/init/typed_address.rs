//! Addresses as people type or paste them: with or without `http://`, with letters that no URL has,
//! with secrets inside.
//!
//! Pure.

use super::secret_variables::SecretVariables;
use crate::domain::percent;
use crate::domain::placeholder::Template;
use crate::domain::secret_detection::{is_likely_key, is_secret_name};
use crate::domain::toml_text::quoted;

/// A URL and the credentials that were inside it.
pub struct TypedAddress {
    /// As the configuration spells it: with `${NAME}` for secrets and `$$` for `$`. A TOML text.
    pub url: String,
    /// User and password, ready for the configuration.
    pub auth: Option<String>,
}

impl TypedAddress {
    /// `Err` says what is wrong, without secrets.
    pub fn read(typed: &str, secrets: &mut SecretVariables) -> Result<TypedAddress, String> {
        let (scheme, rest) = split_scheme(typed)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info), host),
            None => (None, authority),
        };
        if host.is_empty() {
            return Err("the address has no host name: http://192.168.1.20/api".to_owned());
        }
        if rest.contains('@') && user_info.is_none() && has_no_port(host) {
            return Err(
                "an @ after the first slash of the address: in a user name or a password, write / \
                 as %2F, ? as %3F and # as %23"
                    .to_owned(),
            );
        }
        let auth = match user_info {
            Some(user_info) => Some(credentials(user_info, secrets)?),
            None => None,
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.split('/').map(|it| segment(it, secrets));
        let mut url = format!("{scheme}://{}", spelled(host));
        url += &path.collect::<Vec<_>>().join("/");
        if rest.contains('?') {
            let pairs = query.split('&').map(|it| query_pair(it, secrets));
            url += &format!("?{}", pairs.collect::<Vec<_>>().join("&"));
        }
        Ok(TypedAddress {
            url: quoted(&url),
            auth,
        })
    }
}

/// `http` where none is typed.
pub fn split_scheme(typed: &str) -> Result<(String, &str), String> {
    let typed = typed.trim();
    match typed.split_once("://") {
        Some((scheme, rest))
            if scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '+') =>
        {
            match scheme.to_ascii_lowercase() {
                scheme if scheme == "http" || scheme == "https" => Ok((scheme, rest)),
                scheme => Err(format!(
                    "expected an address that begins with http:// or https://, found {scheme}://"
                )),
            }
        }
        _ => Ok(("http".to_owned(), typed)),
    }
}

/// `me:pa/ss@host` is cut at the slash: what stands there is no port.
fn has_no_port(host: &str) -> bool {
    let port = host.rsplit_once(']').map_or(host, |it| it.1);
    port.rsplit_once(':')
        .is_some_and(|it| it.1.parse::<u16>().is_err())
}

/// `{ user = …, password = … }` with a variable for the password; without one, for the user, which
/// is a key then.
fn credentials(user_info: &str, secrets: &mut SecretVariables) -> Result<String, String> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let (user, password) = (plain(user)?, plain(password)?);
    let text = quoted_with_variables;
    let variable = |secrets: &mut SecretVariables, suffix: &str, typed: String| {
        if typed.is_empty() || is_variable(&typed) {
            text(&typed)
        } else {
            secrets.variable(suffix, typed)
        }
    };
    Ok(if password.is_empty() {
        let user = variable(secrets, "USER", user);
        format!("{{ user = {user}, password = \"\" }}")
    } else {
        let password = variable(secrets, "PASSWORD", password);
        format!("{{ user = {}, password = {password} }}", text(&user))
    })
}

/// Without percent-encoding.
fn plain(typed: &str) -> Result<String, String> {
    let text = percent::decode_strict(typed).filter(|text| !text.chars().any(char::is_control));
    text.map(|it| it.into_owned()).ok_or_else(|| {
        "the user name or password in the address is no text: write it as %20, %C3%BC".to_owned()
    })
}

fn segment(typed: &str, secrets: &mut SecretVariables) -> String {
    if is_likely_key(typed) {
        secrets.reference("KEY", typed.to_owned())
    } else {
        spelled(typed)
    }
}

fn query_pair(typed: &str, secrets: &mut SecretVariables) -> String {
    match typed.split_once('=') {
        Some((name, value)) if is_secret_name(name) && !is_open(value) => {
            let value = percent::encode_set(value, percent::URL);
            format!("{}={}", spelled(name), secrets.reference(name, value))
        }
        _ => spelled(typed),
    }
}

/// Whether a value is no secret itself.
fn is_open(value: &str) -> bool {
    value.is_empty() || is_variable(value) || has_placeholders(value)
}

fn has_placeholders(text: &str) -> bool {
    Template::parse(text).is_ok_and(|it| it.has_placeholders())
}

/// A part of a URL as the configuration spells it.
fn spelled(typed: &str) -> String {
    with_variables(typed, encoded)
}

/// A value as a TOML text, `${NAME}` kept.
pub fn quoted_with_variables(typed: &str) -> String {
    quoted(&with_variables(typed, str::to_owned))
}

/// Escapes every `$` but that of `${NAME}`.
fn with_variables(typed: &str, spell: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    let mut rest = typed;
    while let Some(at) = rest.find('$') {
        text += &spell(&rest[..at]);
        let (variable, after) = match rest[at..].find('}') {
            Some(end) if is_variable(&rest[at..=at + end]) => rest[at..].split_at(end + 1),
            _ => ("$$", &rest[at + 1..]),
        };
        text += variable;
        rest = after;
    }
    text + &spell(rest)
}

fn encoded(text: &str) -> String {
    let encoded = percent::encode_set(text, percent::URL);
    if has_placeholders(&encoded) {
        encoded
    } else {
        encoded.replace('{', "%7B").replace('}', "%7D")
    }
}

/// `${NAME}`.
fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|it| it.strip_suffix('}'));
    name.is_some_and(|name| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}
