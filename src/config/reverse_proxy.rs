//! Options for reverse proxies and pages of other origins: `base_path`, `trusted_proxies`, `token`,
//! `cors`, `frame_ancestors`.

use ipnet::IpNet;

use super::option::{OptionText, parse_each, parse_networks};
use super::secret::Secret;
use super::section::OptionReader;
use crate::domain::path_prefix;
use crate::limits;

pub fn read_base_path(option: &mut OptionReader<'_, '_>) -> Option<String> {
    let named = option.one_text()?;
    let is_valid = path_prefix::is_valid(&named.text);
    if !is_valid {
        let message = "expected a path such as \"/node\", with a slash before each part and none at \
                       the end, of letters, digits and - . _ ~ alone";
        named.problem(option.reader(), message);
    }
    is_valid.then_some(named.text)
}

/// Networks of proxies, with a note on those that are everybody.
pub fn read_trusted_proxies(option: &mut OptionReader<'_, '_>) -> Vec<IpNet> {
    let texts = option.texts();
    let is_everybody = |text: &OptionText| text.text.ends_with("/0");
    if let Some(everybody) = texts.iter().find(|text| is_everybody(text)) {
        let message = format!(
            "trusted_proxies = [\"{}\"] lets everybody claim any address: name those of the proxies",
            everybody.text
        );
        everybody.remark(option.reader(), &message);
    }
    parse_networks(texts, option.reader())
}

/// The token, which no message shows.
pub fn read_token(option: &mut OptionReader<'_, '_>, has_password: bool) -> Option<Secret> {
    let named = option.one_text()?;
    let reader = option.reader();
    let token = reader.secret(named.text.clone());
    let is_unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let length = token.reveal().chars().count();
    if length < limits::TOKEN_CHARS {
        let least = limits::TOKEN_CHARS;
        let message = format!(
            "token: expected at least {least} characters, found {length}: make one with \
             `openssl rand -hex 16`"
        );
        named.problem_without_text(reader, &message);
        None
    } else if !token.reveal().chars().all(is_unreserved) {
        let message = "token: expected letters, digits and - . _ ~ alone, since it stands in URLs \
                       (?token=…), where others need an escape: make one with `openssl rand -hex 16`";
        named.problem_without_text(reader, message);
        None
    } else {
        if !has_password {
            let message = "token opens nothing that is closed: without `password_file` everybody \
                           may read everything";
            named.remark(reader, message);
        }
        Some(token)
    }
}

/// Origins whose pages may read; `*` is every one.
pub fn read_cors(option: &mut OptionReader<'_, '_>) -> Vec<String> {
    let texts = option.texts();
    if let [only] = texts.as_slice()
        && only.text == "off"
    {
        return Vec::new();
    }
    let expected = "expected \"*\", \"off\", or origins as browsers send them: scheme, name and \
                    port without a path, such as \"http://homeassistant.local:8123\"";
    parse_each(texts, option.reader(), expected, |text| match text {
        "*" => Some(text.to_owned()),
        _ => parse_origin(text),
    })
}

/// An origin in the form in which browsers send it.
fn parse_origin(text: &str) -> Option<String> {
    let origin = text.to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://")?;
    let is_origin = is_scheme(scheme) && is_host_and_port(authority, false);
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    is_origin.then(|| format!("{scheme}://{authority}"))
}

/// Who may show the pages in a frame.
pub fn read_frame_ancestors(option: &mut OptionReader<'_, '_>) -> Vec<String> {
    let texts = option.texts();
    let count = texts.len();
    let expected = "expected \"'self'\", \"*\", or sites such as \"http://homeassistant.local:8123\" \
                    or \"https://*.example.org\"";
    let is_only_none = |text: &OptionText| text.text == "'none'" && count > 1;
    if let Some(none) = texts.iter().find(|text| is_only_none(text)) {
        let message = "expected 'none' alone, or the sites without it";
        none.problem(option.reader(), message);
        return Vec::new();
    }
    parse_each(texts, option.reader(), expected, |text| {
        is_frame_source(text).then(|| text.to_owned())
    })
}

/// A source of `frame-ancestors` (CSP 3): nothing that could end the directive or the header.
fn is_frame_source(text: &str) -> bool {
    if matches!(text, "'self'" | "'none'" | "*") {
        return true;
    }
    if let Some(scheme) = text.strip_suffix(':') {
        return is_scheme(scheme);
    }
    let (scheme, host) = text.split_once("://").unwrap_or(("https", text));
    let is_bare_word = scheme == "https" && matches!(host, "self" | "none" | "off");
    is_scheme(scheme) && !is_bare_word && is_host_and_port(host, true)
}

fn is_scheme(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_allowed)
}

/// A host name or address, maybe with a port; `wildcards`: `*.example.org` and `:*` too.
fn is_host_and_port(text: &str, wildcards: bool) -> bool {
    let (host, port) = match text.rfind(']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_port = match port.strip_prefix(':') {
        Some("*") => wildcards,
        Some(digits) => digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let name = match host.strip_prefix("*.") {
        Some(name) if wildcards => name,
        _ => host,
    };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let bracketed = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(is_allowed),
    };
    is_port && is_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for (text, expected) in [
            ("https://ha.example.com", Some("https://ha.example.com")),
            ("http://HA.local:8123", Some("http://ha.local:8123")),
            ("https://a.example:443", Some("https://a.example")),
            ("http://a.example:80", Some("http://a.example")),
            ("http://a.example:443", Some("http://a.example:443")),
            ("http://[fd00::1]:8123", Some("http://[fd00::1]:8123")),
            ("capacitor://localhost", Some("capacitor://localhost")),
            ("https://a.example/", None),
            ("https://a.example/path", None),
            ("https://*.example", None),
            ("https://a.example:*", None),
            ("https://me@a.example", None),
            ("a.example", None),
            ("null", None),
            ("https://", None),
            ("https://a.example, https://b.example", None),
            ("https://a.example:99999", None),
        ] {
            assert_eq!(parse_origin(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_frame_source_cannot_end_the_directive() {
        for (text, expected) in [
            ("'self'", true),
            ("'none'", true),
            ("*", true),
            ("https:", true),
            ("http://homeassistant.local:8123", true),
            ("https://*.example.org", true),
            ("ha.example.org:*", true),
            ("http://192.168.1.5:8123", true),
            ("http://[fd00::1]:8123", true),
            ("self", false),
            ("none", false),
            ("", false),
            ("https://a.example; script-src *", false),
            ("https://a.example https://b.example", false),
            ("https://a.example\r\nX: y", false),
            ("https://a.example,*", false),
            ("'unsafe-inline'", false),
            ("https://a.example/path", false),
            ("https://*", false),
        ] {
            assert_eq!(is_frame_source(text), expected, "{text:?}");
        }
    }
}
