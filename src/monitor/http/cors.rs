//! CORS and the method OPTIONS: which requests of pages of another origin a browser allows, and
//! which fields of the response they may read.
//!
//! Pure; any thread. With `cors = "*"` every page may read whatever needs no credentials of the
//! browser's own, with a list of origins those pages; without it there are no CORS fields, and
//! browsers withhold the response.

use std::borrow::Cow;

use super::handler::{Request, Response};
use crate::limits;

/// The option `cors`: pages of which origins may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CorsPolicy {
    #[default]
    Off,
    AnyOrigin,
    /// As browsers send them: in lower case, without the scheme's own port.
    Origins(Vec<String>),
}

impl CorsPolicy {
    /// `*` among the origins is every one; none is [`CorsPolicy::Off`].
    pub fn new(origins: &[String]) -> CorsPolicy {
        if origins.iter().any(|origin| origin == "*") {
            CorsPolicy::AnyOrigin
        } else if origins.is_empty() {
            CorsPolicy::Off
        } else {
            CorsPolicy::Origins(origins.to_vec())
        }
    }

    /// Adds the fields that let a page of an allowed origin read a response. Never
    /// `Allow-Credentials`: what a browser remembers of its user is not for every page.
    pub fn apply(&self, request: Option<&Request>, response: &mut Response) {
        let headers = &mut response.headers;
        if let CorsPolicy::Origins(_) = self {
            // Caches must not give the response for one origin to another.
            match headers.iter_mut().find(|(name, _)| *name == "Vary") {
                Some((_, fields)) => fields.to_mut().push_str(", Origin"),
                None => headers.push(("Vary", "Origin".into())),
            }
        }
        if let Some(origin) = self.allowed_origin(request) {
            headers.push(("Access-Control-Allow-Origin", origin));
            headers.push(("Access-Control-Expose-Headers", EXPOSED.into()));
        }
    }

    /// The value of `Access-Control-Allow-Origin`.
    fn allowed_origin(&self, request: Option<&Request>) -> Option<Cow<'static, str>> {
        match self {
            CorsPolicy::Off => None,
            CorsPolicy::AnyOrigin => Some("*".into()),
            CorsPolicy::Origins(allowed) => {
                let origin = request?.header("origin")?;
                let found = allowed.iter().find(|allowed| *allowed == origin)?;
                Some(found.clone().into())
            }
        }
    }
}

/// Response fields that a page of another origin may read, beside the safelisted ones.
const EXPOSED: &str = "ETag, Date, Retry-After, Allow, WWW-Authenticate";

/// Request fields that such a page may send, whether or not the preflight lists them.
const ALLOWED: &str = "If-None-Match, Authorization";

/// How long a browser may cache the preflight; browsers with a lower maximum shorten it.
const MAX_AGE_S: &str = "86400";

/// 204 with the methods of a path and, where the policy allows, the preflight response. Needs
/// no password: a browser sends no credentials with a preflight (Fetch, 3.2.5).
pub fn options(request: &Request, methods: &'static str, policy: &CorsPolicy) -> Response {
    let mut headers = vec![("Allow", methods.into())];
    let is_allowed = policy.allowed_origin(Some(request)).is_some();
    if is_allowed && request.header("access-control-request-method").is_some() {
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
            let response = options(
                &request("/snapshot", &requested),
                "GET",
                &CorsPolicy::AnyOrigin,
            );
            assert_eq!(
                header(&response, "Access-Control-Allow-Headers"),
                Some(&*expected),
                "{requested:?}"
            );
        }
        let many: Vec<String> = (0..1000).map(|number| format!("x-{number}")).collect();
        let requested = [GET, ("access-control-request-headers", &many.join(","))];
        let response = options(
            &request("/snapshot", &requested),
            "GET",
            &CorsPolicy::AnyOrigin,
        );
        let names = header(&response, "Access-Control-Allow-Headers").expect("some");
        assert_eq!(names.split(", ").count(), limits::PREFLIGHT_FIELDS);
    }

    #[test]
    fn options_lists_only_the_methods_without_cors_or_without_a_preflight() {
        let private = ("access-control-request-private-network", "true");
        let off = CorsPolicy::Off;
        let any = CorsPolicy::AnyOrigin;
        let one = CorsPolicy::new(&["https://a.example".to_owned()]);
        let listed = ("origin", "https://a.example");
        let other = ("origin", "https://b.example");
        for (headers, policy, expected) in [
            (vec![], &off, 1),
            (vec![GET, private], &off, 1),
            (vec![], &any, 1),
            (vec![private], &any, 1),
            (vec![GET], &any, 4),
            (vec![GET, private], &any, 5),
            (vec![GET, listed], &one, 4),
            (vec![GET, private, listed], &one, 5),
            (vec![GET, other], &one, 1),
            (vec![GET], &one, 1),
        ] {
            let response = options(&request("/snapshot", &headers), "GET, HEAD", policy);
            assert_eq!((response.status, response.body.len()), (204, 0));
            assert_eq!(response.headers[0], ("Allow", "GET, HEAD".into()));
            assert_eq!(response.headers.len(), expected, "{headers:?} {policy:?}");
        }
    }

    #[test]
    fn a_listed_origin_is_echoed_and_caches_are_told() {
        let allowed = ["https://a.example", "http://ha.local:8123"].map(str::to_owned);
        let listed = CorsPolicy::new(&allowed);
        let any = CorsPolicy::new(&["https://a.example".to_owned(), "*".to_owned()]);
        let off = CorsPolicy::new(&[]);
        for (policy, origin, expected, vary) in [
            (&off, Some("https://a.example"), None, Some("Accept")),
            (&any, Some("https://b.example"), Some("*"), Some("Accept")),
            (&any, None, Some("*"), Some("Accept")),
            (
                &listed,
                Some("http://ha.local:8123"),
                Some("http://ha.local:8123"),
                Some("Accept, Origin"),
            ),
            (
                &listed,
                Some("http://ha.local"),
                None,
                Some("Accept, Origin"),
            ),
            (
                &listed,
                Some("https://a.example.evil.example"),
                None,
                Some("Accept, Origin"),
            ),
            (&listed, Some("null"), None, Some("Accept, Origin")),
            (&listed, Some("*"), None, Some("Accept, Origin")),
            (&listed, None, None, Some("Accept, Origin")),
        ] {
            let headers: Vec<_> = origin.map(|it| ("origin", it)).into_iter().collect();
            let request = request("/snapshot", &headers);
            let mut response = Response {
                status: 200,
                headers: vec![("Vary", "Accept".into())],
                body: Vec::new().into(),
            };
            policy.apply(Some(&request), &mut response);
            let found = header(&response, "Access-Control-Allow-Origin");
            assert_eq!(found, expected, "{policy:?} {origin:?}");
            let exposed = header(&response, "Access-Control-Expose-Headers");
            assert_eq!(
                exposed.is_some(),
                expected.is_some(),
                "{policy:?} {origin:?}"
            );
            assert_eq!(header(&response, "Vary"), vary, "{policy:?} {origin:?}");
        }
    }
}
