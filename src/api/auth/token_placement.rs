//! Sending a token: in a header or a parameter of the query.
//!
//! Pure.

use ureq::http::uri::PathAndQuery;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::DeniedResponse;
use crate::domain::percent;
use crate::domain::token_placement::TokenPlacement;
use crate::limits;

/// Whether a token can be sent there: a header cannot hold a line break.
pub fn accepts_token(placement: &TokenPlacement, token: &str) -> bool {
    let fits = placement.param().is_some() || header(placement, token).is_some();
    fits && (1..=limits::CREDENTIAL_BYTES).contains(&token.len())
}

/// Adds a token to a request, in the place of any earlier one. One that cannot be sent there is
/// left out.
pub fn place_token(
    placement: &TokenPlacement,
    token: &str,
    uri: &mut Uri,
    headers: &mut HeaderMap,
) {
    if let Some(name) = placement.param() {
        set_param(uri, name, token);
    } else if let Some((name, value)) = header(placement, token) {
        headers.insert(name, value);
    }
}

/// Whether the request that was denied had this token.
pub fn carries_token(denied: &DeniedResponse, token: &str) -> bool {
    if token.is_empty() {
        return false;
    }
    let mut values = denied.sent.values();
    let is_in = |text: &[u8]| text.windows(token.len()).any(|it| it == token.as_bytes());
    let query = denied.uri.query().unwrap_or_default();
    values.any(|it| is_in(it.as_bytes()))
        || is_in(query.as_bytes())
        || query.contains(&percent::encode(token))
}

fn header(placement: &TokenPlacement, token: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = placement.header(token)?;
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some((name.parse().ok()?, value))
}

/// Sets a parameter of the query: in the place of the first of its name, or behind all.
fn set_param(uri: &mut Uri, name: &str, value: &str) {
    let pair = format!("{}={}", percent::encode(name), percent::encode(value));
    let mut pairs: Vec<&str> = Vec::new();
    let mut is_set = false;
    for other in uri.query().unwrap_or_default().split('&') {
        let other_name = other.split('=').next().unwrap_or_default();
        let is_same = percent::decode_lossy(other_name) == name;
        if is_same && !is_set {
            pairs.push(&pair);
        } else if !is_same && !other.is_empty() {
            pairs.push(other);
        }
        is_set |= is_same;
    }
    if !is_set {
        pairs.push(&pair);
    }
    let target = format!("{}?{}", uri.path(), pairs.join("&"));
    let mut parts = uri.clone().into_parts();
    let Ok(target) = target.parse::<PathAndQuery>() else {
        return;
    };
    parts.path_and_query = Some(target);
    if let Ok(with_param) = Uri::from_parts(parts) {
        *uri = with_param;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_placed_in_a_header_or_a_parameter() {
        let header = |text: &str| TokenPlacement::of_header(text).expect("a header");
        let param = |name: &str| TokenPlacement::Param(name.to_owned());
        for (placement, url, expected_url, expected_header) in [
            (
                TokenPlacement::Standard,
                "http://nas/x?a=1",
                "http://nas/x?a=1",
                Some(("authorization", "Bearer a+b/c=")),
            ),
            (
                header("X-FTL-SID: {token}"),
                "http://nas/",
                "http://nas/",
                Some(("x-ftl-sid", "a+b/c=")),
            ),
            (
                header("Cookie:PVEAuthCookie={token}; lang=de"),
                "http://nas/",
                "http://nas/",
                Some(("cookie", "PVEAuthCookie=a+b/c=; lang=de")),
            ),
            (
                param("_sid"),
                "http://nas/x",
                "http://nas/x?_sid=a%2Bb%2Fc%3D",
                None,
            ),
            (
                param("_sid"),
                "http://nas:5000/x?a=1&b",
                "http://nas:5000/x?a=1&b&_sid=a%2Bb%2Fc%3D",
                None,
            ),
            // Earlier ones, in another spelling.
            (
                param("_sid"),
                "http://nas/x?%5Fsid=old&a=1&_sid=older",
                "http://nas/x?_sid=a%2Bb%2Fc%3D&a=1",
                None,
            ),
            (
                param("a b"),
                "http://nas?",
                "http://nas/?a%20b=a%2Bb%2Fc%3D",
                None,
            ),
        ] {
            let mut uri: Uri = url.parse().expect("a URL");
            let mut headers = HeaderMap::new();
            place_token(&placement, "old", &mut uri, &mut headers);
            place_token(&placement, "a+b/c=", &mut uri, &mut headers);
            assert_eq!(uri.to_string(), expected_url, "{url}");
            let found: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("?")))
                .collect();
            assert_eq!(found, expected_header.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_request_carries_a_token_as_it_is_and_as_it_is_encoded() {
        let mut sent = HeaderMap::new();
        sent.insert("x-key", HeaderValue::from_static("Key abc"));
        let denied = DeniedResponse {
            status: 401,
            uri: Uri::from_static("http://nas/x?sid=a%2Bb"),
            sent,
            headers: HeaderMap::new(),
            body_start: Vec::new(),
        };
        // The empty one is of a file that somebody edited.
        for (token, expected) in [("abc", true), ("a+b", true), ("abd", false), ("", false)] {
            assert_eq!(carries_token(&denied, token), expected, "{token}");
        }
    }

    #[test]
    fn a_token_with_a_line_break_fits_no_header() {
        let param = TokenPlacement::Param("t".to_owned());
        let long = "a".repeat(limits::CREDENTIAL_BYTES + 1);
        for token in ["", &long] {
            assert!(
                !accepts_token(&TokenPlacement::Standard, token) && !accepts_token(&param, token)
            );
        }
        for (token, in_header, in_param) in [("abc", true, true), ("a\r\nX: b", false, true)] {
            assert_eq!(accepts_token(&TokenPlacement::Standard, token), in_header);
            assert_eq!(accepts_token(&param, token), in_param);
            let (mut uri, mut headers) = (Uri::from_static("http://nas/"), HeaderMap::new());
            place_token(&TokenPlacement::Standard, token, &mut uri, &mut headers);
            assert_eq!(!headers.is_empty(), in_header);
        }
    }
}
