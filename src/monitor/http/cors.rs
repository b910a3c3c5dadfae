//! CORS and the method OPTIONS: which requests of pages of another origin a browser allows, and
//! which fields of the response they may read.
//!
//! Pure; any thread. With `cors = "*"` every page may read whatever needs no credentials of the
//! browser's own; without it there are no CORS fields, and browsers withhold the response.

use super::handler::{Request, Response};
use crate::limits;

/// Response fields that a page of another origin may read, beside the safelisted ones.
const EXPOSED: &str = "ETag, Date, Retry-After, Allow, WWW-Authenticate";

/// Request fields that such a page may send, whether or not the preflight lists them.
const ALLOWED: &str = "If-None-Match, Authorization";

/// How long a browser may cache the preflight; browsers with a lower maximum shorten it.
const MAX_AGE_S: &str = "86400";

/// 204 with the methods of a path and, where `cors_any`, the preflight response. Needs
/// no password: a browser sends no credentials with a preflight (Fetch, 3.2.5).
pub fn options(request: &Request, methods: &'static str, cors_any: bool) -> Response {
    let mut headers = vec![("Allow", methods.into())];
    if cors_any && request.header("access-control-request-method").is_some() {
        headers.push(("Access-Control-Allow-Methods", methods.into()));
        headers.push(("Access-Control-Allow-Headers", allowed(request).into()));
        headers.push(("Access-Control-Max-Age", MAX_AGE_S.into()));
        // A page from the internet that reads a node of the local network.
        if request.header("access-control-request-private-network") == Some("true") {
            headers.push(("Access-Control-Allow-Private-Network", "true".into()));
        }
    }
    Response {
        status: 204,
        headers,
        body: Vec::new().into(),
    }
}

/// Adds the fields that let a page of any origin read a response. Never `Allow-Credentials`: what a
/// browser remembers of its user is not for every page.
pub fn open_to_any_origin(response: &mut Response) {
    let headers = &mut response.headers;
    headers.push(("Access-Control-Allow-Origin", "*".into()));
    headers.push(("Access-Control-Expose-Headers", EXPOSED.into()));
}

/// The fields that a page may send: [`ALLOWED`], and the harmless ones of this preflight.
fn allowed(request: &Request) -> String {
    let name = "access-control-request-headers";
    let fields = request.headers.iter().filter(|(field, _)| field == name);
    let mut allowed = ALLOWED.to_owned();
    let mut names: Vec<String> = ALLOWED.split(", ").map(str::to_ascii_lowercase).collect();
    for name in fields.flat_map(|(_, value)| value.split(',')) {
        let name = name.trim().to_ascii_lowercase();
        if names.len() >= limits::PREFLIGHT_FIELDS {
            break;
        }
        if is_harmless(&name) && !names.contains(&name) {
            allowed.push_str(", ");
            allowed.push_str(&name);
            names.push(name);
        }
    }
    allowed
}

/// A field name that has no effect here, as for most fields of a GET. Fields that name on
/// whose behalf a request comes are for proxies to send, not for pages.
fn is_harmless(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_of_proxies = name == "forwarded"
        || name == "x-real-ip"
        || name.starts_with("x-forwarded-")
        || name.starts_with("proxy-");
    !name.is_empty()
        && name.len() <= limits::PREFLIGHT_FIELD_BYTES
        && name.bytes().all(is_token)
        && !is_of_proxies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::support::{header, request};

    const GET: (&str, &str) = ("access-control-request-method", "GET");

    #[test]
    fn a_preflight_allows_the_requested_headers_that_do_no_harm() {
        let long = "x".repeat(limits::PREFLIGHT_FIELD_BYTES + 1);
        for (requested, expected) in [
            ("", ALLOWED.to_owned()),
            ("if-none-match", ALLOWED.to_owned()),
            ("authorization,if-none-match", ALLOWED.to_owned()),
            (
                "Last-Event-ID , X-Display-Name,,x-display-name",
                format!("{ALLOWED}, last-event-id, x-display-name"),
            ),
            (
                "x-forwarded-for, forwarded, x-real-ip, proxy-authorization",
                ALLOWED.to_owned(),
            ),
            ("a b, \"c\", d:e, \u{e9}", ALLOWED.to_owned()),
            (&long, ALLOWED.to_owned()),
        ] {
            let requested = [GET, ("access-control-request-headers", requested)];
            let response = options(&request("/snapshot", &requested), "GET", true);
            assert_eq!(
                header(&response, "Access-Control-Allow-Headers"),
                Some(&*expected),
                "{requested:?}"
            );
        }
        let many: Vec<String> = (0..1000).map(|number| format!("x-{number}")).collect();
        let requested = [GET, ("access-control-request-headers", &many.join(","))];
        let response = options(&request("/snapshot", &requested), "GET", true);
        let names = header(&response, "Access-Control-Allow-Headers").expect("some");
        assert_eq!(names.split(", ").count(), limits::PREFLIGHT_FIELDS);
    }

    #[test]
    fn options_lists_only_the_methods_without_cors_or_without_a_preflight() {
        let private = ("access-control-request-private-network", "true");
        for (headers, cors_any, expected) in [
            (vec![], false, 1),
            (vec![GET, private], false, 1),
            (vec![], true, 1),
            (vec![private], true, 1),
            (vec![GET], true, 4),
            (vec![GET, private], true, 5),
        ] {
            let response = options(&request("/snapshot", &headers), "GET, HEAD", cors_any);
            assert_eq!((response.status, response.body.len()), (204, 0));
            assert_eq!(response.headers[0], ("Allow", "GET, HEAD".into()));
            assert_eq!(response.headers.len(), expected, "{headers:?} {cors_any}");
        }
    }
}
