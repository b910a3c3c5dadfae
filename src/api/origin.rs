//! Origin of a URL (scheme, host, port): comparison, and display without secrets.
//!
//! Pure. Never shows a path, a query or user-info.

use ureq::http::Uri;

use crate::sys::host_address::{port, scheme_port};

/// `example.org`, or `meter.local:8080` where the port is not the scheme's own.
pub fn display_host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or("this source's host");
    match uri.port_u16() {
        Some(port) if port != scheme_port(uri) => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

/// `https://example.org:8443`.
pub fn display_origin(uri: &Uri) -> String {
    format!(
        "{}://{}",
        uri.scheme_str().unwrap_or("http"),
        display_host(uri)
    )
}

/// Scheme, host and port, the same for every spelling.
pub fn pool_key(uri: &Uri) -> String {
    display_origin(uri).to_ascii_lowercase()
}

pub fn same_origin(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

/// Compares host names, whatever the port.
pub fn same_host(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| {
        let host = uri.host().map(str::to_ascii_lowercase);
        host.map(|host| host.trim_end_matches('.').to_owned())
    };
    host(one) == host(other)
}
