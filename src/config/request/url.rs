//! URL options (http or https) and the secrets inside URLs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::placeholders::{add_text_secrets, note_unfilled, read_template, sample_time};
use crate::api::url_source::fill_url;
use crate::config::reader::TableEntry;
use crate::domain::percent;
use crate::domain::placeholder::Template;
use crate::domain::redact::MASK;
use crate::domain::secret_detection::{is_likely_key, is_secret_name};

const WHAT: &str = "an address that begins with http:// or https://";

/// Messages omit query and user-info, which may be secrets.
pub fn read_url(item: &TableEntry<'_>) -> Option<String> {
    let url = item.text_as(WHAT)?;
    check_url(item, &url).then_some(url)
}

/// The same with date placeholders in path and query.
pub fn read_url_template(item: &TableEntry<'_>) -> Option<String> {
    let url = item.text_as(WHAT)?;
    let template = read_template(item, &url)?;
    note_unfilled(
        item,
        url.split_once("://")
            .map_or("", |it| &it.1[authority_end(it.1)..]),
    );
    if !template.has_placeholders() {
        return check_url(item, &url).then_some(url);
    }
    let behind_scheme = url.find("://").map_or(0, |at| at + 3);
    let host = &url[..behind_scheme + authority_end(&url[behind_scheme..])];
    let has_placeholder = |text: &str| Template::parse(text).is_ok_and(|it| it.has_placeholders());
    if has_placeholder(host) {
        item.problem(format!(
            "{}: a date placeholder may stand in the path and the query, not in the scheme, the host or \
             the port",
            item.key()
        ));
        return None;
    }
    let query = url.split_once('?').map_or("", |it| it.1);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if is_secret_name(name) {
            add_text_secrets(item, value);
        }
    }
    let filled = fill_url(&template, &sample_time());
    check_url(item, &filled).then_some(url)
}

/// Whether a URL can be requested; what is wrong with it is reported.
pub fn check_url(item: &TableEntry<'_>, url: &str) -> bool {
    let key = item.key();
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|it| url.strip_prefix(it));
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
        // Only the text before the first slash, which may be the host, is shown; a path may be
        // a secret.
        let rest = url.split_once("://").map_or(url, |it| it.1);
        let (authority, behind) = rest.split_at(authority_end(rest));
        let shown = if behind.contains('@') {
            MASK
        } else {
            authority.rsplit_once('@').map_or(authority, |it| it.1)
        };
        add_url_secrets(item, rest);
        item.problem(format!("{key}: expected {WHAT}, found the text {shown:?}"));
        return false;
    };
    add_url_secrets(item, rest);
    let authority = &rest[..authority_end(rest)];
    if rest[authority.len()..].contains('@') && authority.contains(':') && !authority.contains('@')
    {
        // `me:pa/ss@host`: any part of it may be the password.
        let port = authority.rsplit_once(':').map_or("", |it| it.1);
        if port.parse::<u16>().is_err() {
            item.problem(format!(
                "{key}: expected {WHAT}, found an @ after the first slash: in a user name or a \
                 password, write / as %2F, ? as %3F and # as %23"
            ));
            return false;
        }
    }
    let host = authority.rsplit_once('@').map_or(authority, |it| it.1);
    if host == "…" {
        item.problem(format!(
            "{key}: … stands for an address that only you know: write the host, and the port if it has one, as \
             in http://192.168.1.20:8080"
        ));
        return false;
    }
    if !host.is_ascii() {
        item.problem(format!(
            "{key}: expected a host name in ASCII, found {host:?}: write it in Punycode (xn--…)"
        ));
        return false;
    }
    // After the bracket of an IPv6 address, or after the only colon.
    let port = host.rsplit_once(']').map_or(host, |it| it.1);
    let port = port.rsplit_once(':').map(|it| it.1);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        item.problem(format!(
            "{key}: expected a port from 1 to 65535, found {host:?}"
        ));
        return false;
    }
    if host.contains(['{', '}']) {
        item.problem(format!(
            "{key}: expected {WHAT}, found braces in the host {host:?}: only {{device}} is filled in \
             there, and only in a source with `for`"
        ));
        return false;
    }
    let parsed = url.parse::<ureq::http::Uri>().ok();
    if parsed.is_none_or(|uri| uri.host().is_none_or(str::is_empty)) {
        item.problem(format!(
            "{key}: expected {WHAT}, found an invalid URL (RFC 3986) with the host {host:?}: \
             write spaces and letters outside ASCII as %20, %C3%BC"
        ));
        return false;
    }
    true
}

/// The address of an HTTP proxy.
pub fn read_proxy(item: &TableEntry<'_>) -> Option<String> {
    const WHAT: &str = "an HTTP proxy as \"http://host:port\"";
    let url = item.text_as(WHAT)?;
    let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
    let authority = &rest[..authority_end(rest)];
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let scheme = scheme.to_ascii_lowercase();
    let message = match scheme.as_str() {
        "http" | "https" => return read_url(item),
        "socks" | "socks4" | "socks4a" | "socks5" | "socks5h" => format!(
            "proxy: expected {WHAT}, found a SOCKS proxy, which main-node does not speak: use the \
             HTTP port of the proxy, if it has one"
        ),
        // A path or an @ after a slash: any part may be the password.
        _ if authority.len() < rest.trim_end_matches('/').len() => {
            format!("proxy: expected {WHAT}, found something else")
        }
        _ => {
            let login = if login.is_empty() {
                ""
            } else {
                "user:password@"
            };
            format!(
                "proxy: expected {WHAT}, found {host:?}: write proxy = \"http://{login}{host}\""
            )
        }
    };
    add_url_secrets(item, rest);
    item.problem(message);
    None
}

/// Start of the path, the query or the fragment.
fn authority_end(rest: &str) -> usize {
    rest.find(['/', '?', '#']).unwrap_or(rest.len())
}

/// Registers the secrets of a URL without scheme: the password, or the user if there is none,
/// query values by their names, path segments that look like a key.
fn add_url_secrets(item: &TableEntry<'_>, rest: &str) {
    let (authority, behind) = rest.split_at(authority_end(rest));
    if let Some((login, _)) = authority.rsplit_once('@') {
        let decoded = percent::decode_lossy(login);
        item.add_secret(BASE64.encode(&decoded));
        for login in [login, &decoded] {
            match login.split_once(':') {
                Some((_, password)) if !password.is_empty() => item.add_secret(password),
                Some((user, _)) => item.add_secret(user),
                None => item.add_secret(login),
            }
        }
    }
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    let query = query.split('#').next().unwrap_or_default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if is_secret_name(name) {
            item.add_secret(value);
            item.add_secret(percent::decode_lossy(value));
        }
    }
    for part in path.split('/').filter(|part| is_likely_key(part)) {
        item.add_secret(part);
        if let Some((_, token)) = part.split_once(':') {
            item.add_secret(token);
        }
    }
}
