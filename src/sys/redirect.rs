//! Redirects that are not followed: where they lead, and what to write instead.
//!
//! Pure. A path may hold a secret, so no message shows one.

use ureq::http::Uri;

use super::http_client::HttpResponse;

/// Why a request to `url` was not answered but redirected, and what to write in `option`; `None` for
/// any other response. `who` answered.
pub fn describe_redirect(
    response: &HttpResponse,
    url: &Uri,
    (who, option): (&str, &str),
) -> Option<String> {
    let status = response.status;
    if !(300..=399).contains(&status) {
        return None;
    }
    let is_permanent = matches!(status, 301 | 308);
    let (target, advice) = match target_of(response, url) {
        Target::Unknown => (
            String::new(),
            format!("set `{option}` to the final address"),
        ),
        Target::Https => (
            " to https://".to_owned(),
            format!("write https:// instead of http:// in `{option}`"),
        ),
        Target::Slash(true) => (
            " to the same address with a / at its end".to_owned(),
            format!("write it so in `{option}`"),
        ),
        Target::Slash(false) => (
            " to the same address without the / at its end".to_owned(),
            format!("write it so in `{option}`"),
        ),
        Target::Path => (
            " to another path on the same server".to_owned(),
            format!("set `{option}` to the final address; `curl -I` shows it"),
        ),
        Target::Server(server) => (
            format!(" to {server}"),
            format!("set `{option}` to the final address there, if you trust it"),
        ),
    };
    let advice = if is_permanent {
        advice
    } else {
        format!("if this is no login page of the network, {advice}")
    };
    Some(format!(
        "{who} redirects (HTTP {status}){target}, and redirects are not followed: {advice}"
    ))
}

enum Target {
    Unknown,
    /// The same with TLS.
    Https,
    /// The same with, or without, a slash at the end.
    Slash(bool),
    Path,
    /// Scheme, host and port.
    Server(String),
}

fn target_of(response: &HttpResponse, url: &Uri) -> Target {
    let Some(location) = response.location.as_deref().map(str::trim) else {
        return Target::Unknown;
    };
    // A reference without a scheme has the one of the request, and `//host` another host.
    let absolute = match location.strip_prefix("//") {
        Some(rest) => format!("{}://{rest}", url.scheme_str().unwrap_or("https")),
        None if location.contains("://") => location.to_owned(),
        None if location.is_empty() => return Target::Unknown,
        None => {
            let path = location.split(['?', '#']).next().unwrap_or_default();
            return path_target(url.path(), path);
        }
    };
    let Ok(target) = absolute.parse::<Uri>() else {
        return Target::Unknown;
    };
    let (Some(scheme), Some(host)) = (target.scheme_str(), target.host()) else {
        return Target::Unknown;
    };
    let is_same_host = url.host().is_some_and(|it| it.eq_ignore_ascii_case(host));
    let has_same_scheme = url.scheme_str() == Some(scheme);
    if is_same_host && has_same_scheme && url.port_u16() == target.port_u16() {
        return path_target(url.path(), target.path());
    }
    let is_usual_port = target.port_u16().is_none_or(|port| port == 443);
    if is_same_host && scheme == "https" && is_usual_port && url.path() == target.path() {
        return Target::Https;
    }
    let port = target.port_u16().map(|port| format!(":{port}"));
    Target::Server(format!("{scheme}://{host}{}", port.unwrap_or_default()))
}

fn path_target(from: &str, to: &str) -> Target {
    if to.strip_suffix('/') == Some(from) {
        Target::Slash(true)
    } else if from.strip_suffix('/') == Some(to) {
        Target::Slash(false)
    } else {
        Target::Path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_says_where_it_leads_and_what_to_write() {
        for (status, url, location, expected) in [
            (200, "http://a/x", None, None),
            (
                301,
                "http://a/x",
                None,
                Some(("", "set `url` to the final address")),
            ),
            (
                301,
                "http://a/secret?x=1",
                Some("https://A/secret?x=1"),
                Some((" to https://", "write https:// instead of http:// in `url`")),
            ),
            (
                308,
                "https://a/secret",
                Some("/secret/"),
                Some((
                    " to the same address with a / at its end",
                    "write it so in `url`",
                )),
            ),
            (
                301,
                "https://a/secret/",
                Some("https://a/secret"),
                Some((
                    " to the same address without the / at its end",
                    "write it so in `url`",
                )),
            ),
            (
                301,
                "https://a/secret",
                Some("https://a/other"),
                Some((
                    " to another path on the same server",
                    "set `url` to the final address; `curl -I` shows it",
                )),
            ),
            (
                301,
                "https://a/secret",
                Some("//b.example:8443/secret"),
                Some((
                    " to https://b.example:8443",
                    "set `url` to the final address there, if you trust it",
                )),
            ),
            (
                302,
                "http://a/x",
                Some("http://login.portal/?from=a"),
                Some((
                    " to http://login.portal",
                    "if this is no login page of the network, set `url` to the final address \
                     there, if you trust it",
                )),
            ),
        ] {
            let response = HttpResponse {
                status,
                location: location.map(str::to_owned),
                ..HttpResponse::default()
            };
            let url: Uri = url.parse().expect("it is a URL");
            let found = describe_redirect(&response, &url, ("it", "url"));
            let expected = expected.map(|(target, advice)| {
                format!(
                    "it redirects (HTTP {status}){target}, and redirects are not followed: {advice}"
                )
            });
            assert_eq!(found, expected, "{url} {location:?}");
        }
    }
}
