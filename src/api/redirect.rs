//! Redirects: resolves `Location`, and decides whether credentials are sent along.
//!
//! Pure. Never shows a query or user-info.

use ureq::http::Uri;
use ureq::http::uri::{Authority, PathAndQuery, Scheme};

use super::origin::{same_host, same_origin};
use crate::domain::percent;
use crate::sys::host_address::port;

pub fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Resolves `location` relative to `here` (RFC 3986, 5.2). `Err` completes "invalid redirect
/// from HOST: …".
pub fn resolve_location(here: &Uri, location: Option<&[u8]>) -> Result<Uri, String> {
    let no_location = || "no Location".to_owned();
    let text = std::str::from_utf8(location.ok_or_else(no_location)?)
        .map_err(|_| no_location())?
        .trim();
    if text.is_empty() || text.starts_with('#') {
        return Err(no_location());
    }
    let target = resolve_reference(here, text)?;
    if target.scheme() == Some(&Scheme::HTTP) && here.scheme() == Some(&Scheme::HTTPS) {
        return Err("from https to http, which is not encrypted".to_owned());
    }
    Ok(target)
}

/// Resolves a URI reference relative to `here` (RFC 3986, 5.2), to http or https. `Err` says what
/// is wrong with it.
pub fn resolve_reference(here: &Uri, reference: &str) -> Result<Uri, String> {
    let invalid = || "not a valid URL".to_owned();
    let text = reference.split('#').next().unwrap_or_default();
    let full = if has_scheme(text) {
        text.to_owned()
    } else {
        let scheme = here.scheme_str().unwrap_or("http");
        let authority = here.authority().map_or("", Authority::as_str);
        // User-info is sent as a header.
        let authority = authority.rsplit_once('@').map_or(authority, |it| it.1);
        if text.starts_with("//") {
            format!("{scheme}:{text}")
        } else {
            let base = here.path_and_query().map_or("/", PathAndQuery::as_str);
            format!("{scheme}://{authority}{}", resolve_path(base, text))
        }
    };
    // A scheme and authority alone mean the root.
    let parts = encode_path(&full).parse::<Uri>().map_err(|_| invalid())?;
    let parts = parts.into_parts();
    let scheme = parts.scheme.ok_or_else(invalid)?;
    let authority = parts.authority.ok_or_else(invalid)?;
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
        return Err("neither http nor https".to_owned());
    }
    if authority.as_str().contains('@') {
        return Err("with a user name in the URL".to_owned());
    }
    if authority.host().is_empty() || has_bad_port(&authority) {
        return Err(invalid());
    }
    let path = parts
        .path_and_query
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|_| invalid())
}

/// A port beyond 65535 would be read as none, and so as that of the scheme.
fn has_bad_port(authority: &Authority) -> bool {
    let end = authority.as_str().rsplit(']').next().unwrap_or_default();
    let port = end.rsplit_once(':').map_or("", |it| it.1);
    !port.is_empty() && authority.port_u16().is_none()
}

/// Escapes what servers often leave unescaped in paths and queries: blanks, and letters outside
/// ASCII.
fn encode_path(url: &str) -> String {
    let start = url.find("//").map_or(0, |at| at + 2);
    let (origin, path) = url.split_at(
        url[start..]
            .find(['/', '?'])
            .map_or(url.len(), |at| start + at),
    );
    format!("{origin}{}", percent::encode_set(path, percent::URL))
}

fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Path and query of a reference without scheme and authority; `base` has both too.
fn resolve_path(base: &str, reference: &str) -> String {
    if reference.is_empty() {
        return base.to_owned();
    }
    let base = base.split('?').next().unwrap_or_default();
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (reference, String::new()),
    };
    let whole = match path {
        "" => base.to_owned(),
        _ if path.starts_with('/') => path.to_owned(),
        _ => format!("{}/{path}", base.rsplit_once('/').map_or("", |it| it.0)),
    };
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = whole.split('/').skip(1).collect();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Whether credentials are sent along from `here` to `target`: on the same origin, and from HTTP
/// to HTTPS on the same host with default ports, since the token was sent in plain text already
/// and TLS authenticates the host. Another port may belong to another program.
pub fn keeps_credentials(here: &Uri, target: &Uri) -> bool {
    let is_upgrade = here.scheme() == Some(&Scheme::HTTP)
        && target.scheme() == Some(&Scheme::HTTPS)
        && (port(here), port(target)) == (80, 443);
    same_origin(here, target) || (is_upgrade && same_host(here, target))
}

#[cfg(test)]
#[path = "tests/redirect.rs"]
mod tests;
