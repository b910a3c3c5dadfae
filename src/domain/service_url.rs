//! Parts of the URL of a service, and paths and parameters that its documentation asks for.
//!
//! Pure.

/// The host, without login and port.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

/// Scheme, host and port, with the login if there is one.
pub fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..begin + end])
}

/// The same URL without user and password, which are sent in a header.
pub fn without_login(url: &str) -> String {
    let origin = origin(url);
    let begin = origin.find("://").map_or(0, |at| at + 3);
    match origin[begin..].rfind('@') {
        Some(at) => format!("{}{}", &url[..begin], &url[begin + at + 1..]),
        None => url.to_owned(),
    }
}

/// Whether there is a login in front of the host.
pub fn has_user_info(url: &str) -> bool {
    origin(url).contains('@')
}

/// The path, without query.
pub fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    rest.find('/').map_or("", |at| &rest[at..])
}

/// The value of a parameter of the query, as it is written.
pub fn query_value<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// The same URL with `end` behind its path.
pub fn with_path_end(url: &str, end: &str) -> String {
    let at = url.find(['?', '#']).unwrap_or(url.len());
    let (base, rest) = url.split_at(at);
    format!("{}{end}{rest}", base.trim_end_matches('/'))
}

/// The same URL with a parameter, unless it has one of that name.
pub fn with_parameter(url: &str, name: &str, value: &str) -> String {
    if query_value(url, name).is_some() {
        return url.to_owned();
    }
    let (base, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let separator = if base.contains('?') { '&' } else { '?' };
    format!("{base}{separator}{name}={value}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found() {
        for (url, expected) in [
            ("https://ntfy.sh/topic", "ntfy.sh"),
            ("http://me:p@ss@pi.lan:80/x", "pi.lan"),
            ("http://[fd00::1]:80?x", "[fd00::1]"),
            ("https://a#b@c", "a"),
        ] {
            assert_eq!(host(url), expected);
        }
    }

    #[test]
    fn a_login_is_taken_out() {
        for (url, expected, expected_origin) in [
            (
                "https://ntfy.sh/topic",
                "https://ntfy.sh/topic",
                "https://ntfy.sh",
            ),
            (
                "http://me:p@ss@pi.lan:80/x@y",
                "http://pi.lan:80/x@y",
                "http://pi.lan:80",
            ),
            (
                "http://u@[fd00::1]:80?x",
                "http://[fd00::1]:80?x",
                "http://[fd00::1]:80",
            ),
            ("https://a?b@c", "https://a?b@c", "https://a"),
        ] {
            let found = without_login(url);
            assert_eq!(found, expected);
            assert_eq!(origin(&found), expected_origin);
        }
    }

    #[test]
    fn paths_and_parameters_are_added_once() {
        for (url, path_of, with_end, with_wait) in [
            ("https://a", "", "https://a/x", "https://a?wait=true"),
            ("https://a/", "/", "https://a/x", "https://a/?wait=true"),
            (
                "http://a:1/b/?c=d",
                "/b/",
                "http://a:1/b/x?c=d",
                "http://a:1/b/?c=d&wait=true",
            ),
            (
                "http://a/b?wait=false#f",
                "/b",
                "http://a/b/x?wait=false#f",
                "http://a/b?wait=false#f",
            ),
            (
                "http://a/b#f?wait=1",
                "/b",
                "http://a/b/x#f?wait=1",
                "http://a/b#f?wait=1",
            ),
        ] {
            assert_eq!(path(url), path_of);
            assert_eq!(with_path_end(url, "/x"), with_end);
            assert_eq!(with_parameter(url, "wait", "true"), with_wait);
        }
    }
}
