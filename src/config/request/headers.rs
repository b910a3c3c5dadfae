//! Request headers of a source; values are treated as secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::placeholders::{add_text_secrets, read_template, sample_time};
use crate::config::problem::Severity;
use crate::config::reader::{TableEntry, is_harmless_header};
use crate::config::request_types::Header;
use crate::config::secret::Secret;
use crate::config::section::inline_table;
use crate::domain::redact::MASK;
use crate::domain::secret_detection::{is_likely_key, is_secret_name};
use crate::domain::toml_text::bare_or_quoted;

pub fn read_headers(item: &TableEntry<'_>) -> Vec<Header> {
    let mut headers = Vec::new();
    for entry in item.entries() {
        let Some(value) = entry.text() else {
            continue;
        };
        // A control character would allow header injection.
        let name_fits = entry.key().parse::<ureq::http::HeaderName>().is_ok();
        let Some(template) = read_template(&entry, &value) else {
            continue;
        };
        let filled = template.fill(&sample_time());
        let value_fits = filled.parse::<ureq::http::HeaderValue>().is_ok();
        if !name_fits || !value_fits {
            // An invalid name may be a whole header with its secret value.
            let key = if name_fits { entry.key() } else { MASK };
            entry.problem(format!(
                "{key:?} or its value is not a valid HTTP header (RFC 9110)"
            ));
            continue;
        }
        if let Some(problem) = framing_problem(entry.key(), &filled) {
            // No error: a server that overlooked it has answered until now.
            entry.remark(Severity::Problem, problem);
            continue;
        }
        if !is_harmless_header(entry.key()) {
            add_header_secrets(&entry, &value);
        }
        headers.push(Header {
            name: entry.key().to_owned(),
            value: Secret::new(value),
        });
    }
    headers
}

/// The same without date placeholders.
pub fn read_literal_headers(item: &TableEntry<'_>) -> Vec<Header> {
    let mut headers = Vec::new();
    for entry in item.entries() {
        let Some(value) = entry.text() else {
            continue;
        };
        let name_fits = entry.key().parse::<ureq::http::HeaderName>().is_ok();
        if !name_fits || value.parse::<ureq::http::HeaderValue>().is_err() {
            // An invalid name may be a whole header with its secret value.
            let key = if name_fits { entry.key() } else { MASK };
            entry.problem(format!(
                "{key:?} or its value is not a valid HTTP header (RFC 9110)"
            ));
            continue;
        }
        if let Some(problem) = framing_problem(entry.key(), &value) {
            entry.problem(problem);
            continue;
        }
        if is_secret_name(entry.key()) || is_likely_key(&value) {
            add_header_secrets(&entry, &value);
        }
        headers.push(Header {
            name: entry.key().to_owned(),
            value: Secret::new(value),
        });
    }
    headers
}

/// What is wrong with a header that says where the body of a request ends: one that differs from
/// the body makes the server wait, or take the rest for the next request.
fn framing_problem(name: &str, value: &str) -> Option<String> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let is_wrong = is("transfer-encoding") || (is("content-length") && value.trim() != "0");
    is_wrong.then(|| {
        format!(
            "{name} is not sent: main-node sets it itself, as the body of the request needs it; \
             remove it"
        )
    })
}

/// Registers a header's value as a secret, and the part after a scheme (`Bearer …`) or a cookie
/// name.
fn add_header_secrets(entry: &TableEntry<'_>, value: &str) {
    add_text_secrets(entry, value);
    if let Some((_, credential)) = value.split_once(' ') {
        add_text_secrets(entry, credential.trim());
        // `Basic bWU6…`: the password in it.
        let login = BASE64.decode(credential.trim()).ok();
        let login = login.and_then(|login| String::from_utf8(login).ok());
        if let Some((_, password)) = login.as_deref().and_then(|it| it.split_once(':')) {
            entry.add_secret(password);
        }
    }
    for (_, cookie) in value.split(';').filter_map(|pair| pair.split_once('=')) {
        add_text_secrets(entry, cookie.trim().trim_matches('"'));
    }
}

/// Any header may carry a token, so every value is masked.
pub fn headers_as_toml(headers: &[Header]) -> Option<String> {
    let name = |header: &Header| format!("{} = \"***\"", bare_or_quoted(&header.name));
    inline_table(headers.iter().map(name).collect())
}
