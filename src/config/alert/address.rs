//! Addresses of webhooks and pings: URLs that often hold secrets.

use crate::config::reader::ConfigReader;
use crate::config::secret::Secret;
use crate::config::section::OptionReader;
use crate::domain::service_url::{origin, without_login};

pub fn read_address(option: &mut OptionReader<'_, '_>) -> Option<String> {
    let item = option.entry()?;
    let key = option.name;
    let text = item.text()?;
    let fits = ["https://", "http://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let parsed = text.parse::<ureq::http::Uri>().ok();
    if !fits || parsed.is_none_or(|uri| uri.host().is_none_or(str::is_empty)) {
        // The value may hold a secret.
        item.problem(format!(
            "{key}: expected an address that begins with https:// or http://"
        ));
        return None;
    }
    Some(text)
}

/// Registers the secrets of a URL: the URL, the part after the host, and each path segment that
/// is not a plain word.
pub fn add_url_secrets(reader: &ConfigReader<'_>, url: &str) {
    let rest = url.split_once("://").map_or(url, |it| it.1);
    // A host alone is no secret.
    let Some(at) = rest.trim_end_matches('/').find(['/', '?', '@']) else {
        return;
    };
    reader.add_secret(url);
    let is_word = |part: &str| part.len() < 16 && !part.bytes().any(|byte| byte.is_ascii_digit());
    let behind = &rest[at + 1..];
    if !behind.is_empty() {
        reader.add_secret(&rest[at..]);
        // A word of a path would be masked wherever it stands, in names of options and channels too.
        let is_path = rest[at..].starts_with('/') && !behind.contains(['?', '&', '=', '@']);
        if !(is_path && is_word(behind)) {
            reader.add_secret(behind);
        }
    }
    for part in rest.split(['/', '?', '&', '=', '@']).skip(1) {
        if !is_word(part) {
            reader.add_secret(part);
        }
    }
    if let Some((login, _)) = rest.split('/').next().unwrap_or_default().rsplit_once('@') {
        let password = login.split_once(':').map_or(login, |it| it.1);
        reader.add_secret(password);
    }
}

pub fn read_secret_address(option: &mut OptionReader<'_, '_>) -> Option<Secret> {
    let url = read_address(option)?;
    add_url_secrets(option.reader(), &url);
    Some(Secret::new(url))
}

/// An address without what may be a secret: all but scheme, host and port.
pub fn masked_url(url: &Secret) -> String {
    let url = without_login(url.reveal());
    format!("{}/***", origin(&url))
}

pub fn is_without_tls(url: &Secret) -> bool {
    url.reveal().starts_with("http://")
}
