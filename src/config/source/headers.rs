//! Request headers of a source; their values may be secrets.

use crate::config::reader::{TableEntry, is_harmless_header};
use crate::config::secret::Secret;
use crate::config::section::inline_table;
use crate::config::types::Header;
use crate::domain::redact::MASK;
use crate::domain::toml_text::bare_or_quoted;

pub fn read_headers(item: &TableEntry<'_>) -> Vec<Header> {
    let mut headers = Vec::new();
    for entry in item.entries() {
        let Some(value) = entry.text() else {
            continue;
        };
        // A control character would begin a header of somebody else's.
        let name_fits = entry.key().parse::<ureq::http::HeaderName>().is_ok();
        let value_fits = value.parse::<ureq::http::HeaderValue>().is_ok();
        if !name_fits || !value_fits {
            // What is no name may be a whole header.
            let key = if name_fits { entry.key() } else { MASK };
            entry.problem(format!(
                "{key:?} or its value is not a valid HTTP header (RFC 9110)"
            ));
            continue;
        }
        if !is_harmless_header(entry.key()) {
            hide_header(&entry, &value);
        }
        headers.push(Header {
            name: entry.key().to_owned(),
            value: Secret::new(value),
        });
    }
    headers
}

/// A header's value, and in it what stands behind a scheme (`Bearer …`) or a cookie's name.
fn hide_header(entry: &TableEntry<'_>, value: &str) {
    entry.hide(value);
    if let Some((_, credential)) = value.split_once(' ') {
        entry.hide(credential.trim());
    }
    for (_, cookie) in value.split(';').filter_map(|pair| pair.split_once('=')) {
        entry.hide(cookie.trim().trim_matches('"'));
    }
}

/// Any header may carry a token; none is shown.
pub fn headers_as_toml(headers: &[Header]) -> Option<String> {
    let name = |header: &Header| format!("{} = \"***\"", bare_or_quoted(&header.name));
    inline_table(headers.iter().map(name).collect())
}
