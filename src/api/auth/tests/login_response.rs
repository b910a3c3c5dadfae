//! Tests of what the response to a login means.

use std::time::Duration;

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::{ExpectedLogin, LoginGrant, SessionLifetime, TokenLocation};
use crate::api::auth::AuthResponse;
use crate::api::auth::cookies::RefusedCookie;
use crate::domain::failure::Cause;
use crate::domain::time::{Mono, test_moment};
use crate::domain::token_placement::TokenPlacement;
use crate::domain::value_path::ValuePath;

fn response(status: u16, fields: &[(&str, &str)], body: &str) -> AuthResponse {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::try_from(*name).expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let body = body.as_bytes().to_vec();
    AuthResponse {
        status,
        headers,
        body,
    }
}

fn path(text: &str) -> ValuePath {
    ValuePath::parse(text).expect("a path")
}

fn in_body(text: &str) -> ExpectedLogin {
    ExpectedLogin {
        token: Some(TokenLocation::Body(path(text))),
        lifetime: Some(SessionLifetime::Body(path("/session/validity"))),
        placement: TokenPlacement::Standard,
    }
}

fn in_header() -> ExpectedLogin {
    let name = HeaderName::from_static("x-csrf-token");
    ExpectedLogin {
        token: Some(TokenLocation::Header(name)),
        lifetime: None,
        placement: TokenPlacement::Standard,
    }
}

fn in_cookies() -> ExpectedLogin {
    ExpectedLogin {
        token: None,
        lifetime: Some(SessionLifetime::Fixed(Duration::from_secs(1_500))),
        placement: TokenPlacement::Standard,
    }
}

#[test]
fn a_token_is_found_in_the_body_or_a_header_and_a_session_in_cookies() {
    const PIHOLE: &str = r#"{"session":{"valid":true,"sid":"ab+/=","validity":1800}}"#;
    let csrf = [("X-CSRF-Token", " tok ")];
    for (expected, found, cookies, token, lifetime_s) in [
        (
            in_body("/session/sid"),
            response(200, &[], PIHOLE),
            0,
            Some("ab+/="),
            Some(1800),
        ),
        (
            in_body("$.session.sid"),
            response(201, &[], PIHOLE),
            0,
            Some("ab+/="),
            Some(1800),
        ),
        (
            in_body("/id"),
            response(200, &[], r#"{"id":17}"#),
            0,
            Some("17"),
            None,
        ),
        (
            in_body("/id"),
            response(200, &[], r#"{"id":"a","session":{"validity":"90"}}"#),
            0,
            Some("a"),
            Some(90),
        ),
        (
            in_body("/id"),
            response(200, &[], r#"{"id":"a","session":{"validity":-1}}"#),
            0,
            Some("a"),
            None,
        ),
        (
            in_body("/id"),
            response(200, &[], r#"{"id":"a","session":{"validity":1e300}}"#),
            0,
            Some("a"),
            Some(315_360_000),
        ),
        (
            in_header(),
            response(200, &csrf, "<html>"),
            1,
            Some("tok"),
            None,
        ),
        (in_header(), response(302, &csrf, ""), 0, Some("tok"), None),
        (
            in_cookies(),
            response(200, &[], "<html>"),
            1,
            None,
            Some(1_500),
        ),
        (in_cookies(), response(303, &[], ""), 2, None, Some(1_500)),
    ] {
        let now = test_moment(Mono(0));
        let grant = expected.read("nas", &found, (cookies, None), now);
        let lifetime = lifetime_s.map(Duration::from_secs);
        let token = token.map(str::to_owned);
        assert_eq!(grant, Ok(LoginGrant { token, lifetime }), "{found:?}");
    }
}

#[test]
fn a_login_without_a_session_says_why() {
    let none = (0, None);
    let text = |body: &str| response(200, &[], body);
    let pihole =
        r#"{"session":{"valid":false,"sid":null,"message":"password incorrect"},"took":1}"#;
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(9_000));
    let mut messages = String::new();
    for (expected, found, cookies, cause) in [
        (
            in_body("/session/sid"),
            response(401, &[], pihole),
            none,
            Cause::HttpStatus,
        ),
        (in_body("/session/sid"), text(pihole), none, Cause::Schema),
        (
            in_body("/data/sid"),
            text(r#"{"success":false}"#),
            none,
            Cause::Schema,
        ),
        (
            in_body("/data/sid"),
            text(r#"{"error":{"code":400},"success":false}"#),
            none,
            Cause::Schema,
        ),
        (
            in_body("/result/sid"),
            text(r#"{"err":401}"#),
            none,
            Cause::Schema,
        ),
        (
            in_body("/0/value/Token/name"),
            text(r#"[{"cmd":"Login","code":1,"error":{"detail":"login failed","rspCode":-7}}]"#),
            none,
            Cause::Schema,
        ),
        (in_body("/a"), text(r#"{"a":{"b":1}}"#), none, Cause::Schema),
        (in_body("/a"), text(r#"{"a":" "}"#), none, Cause::Schema),
        (in_body("/a"), text(r#"{"a":"x\ny"}"#), none, Cause::Schema),
        (in_body("/id"), text(&long), none, Cause::TooLarge),
        (in_body("/a"), text("<html>log in"), none, Cause::NotJson),
        (in_body("/a"), text("<?xml?><a/>"), none, Cause::NotJson),
        (
            in_body("/SID"),
            text("<?xml?><SessionInfo><SID>0</SID><Challenge>2$1</Challenge></SessionInfo>"),
            none,
            Cause::NotJson,
        ),
        (in_body("/a"), text(""), none, Cause::NotJson),
        (
            in_body("/a"),
            response(
                429,
                &[("Retry-After", "120")],
                r#"{"error":{"message":"API seats exceeded"}}"#,
            ),
            none,
            Cause::RateLimited,
        ),
        (
            in_body("/a"),
            response(302, &[("Location", "https://nas/")], ""),
            none,
            Cause::Redirect,
        ),
        (
            in_body("/a"),
            response(404, &[], ""),
            none,
            Cause::HttpStatus,
        ),
        (
            in_body("/a"),
            response(503, &[("Retry-After", "60")], ""),
            none,
            Cause::HttpStatus,
        ),
        (in_header(), text("{}"), none, Cause::HttpStatus),
        (in_cookies(), text("<html>wrong"), none, Cause::HttpStatus),
        (
            in_cookies(),
            response(302, &[], ""),
            none,
            Cause::HttpStatus,
        ),
        (
            in_cookies(),
            text(""),
            (0, Some(RefusedCookie::Secure)),
            Cause::HttpStatus,
        ),
        (
            in_cookies(),
            text(""),
            (0, Some(RefusedCookie::Domain)),
            Cause::HttpStatus,
        ),
        (
            in_cookies(),
            text(""),
            (0, Some(RefusedCookie::TooLarge)),
            Cause::HttpStatus,
        ),
    ] {
        let now = test_moment(Mono(0));
        let failure = expected
            .read("nas", &found, cookies, now)
            .expect_err("none");
        assert_eq!(failure.cause, cause, "{}", failure.detail);
        messages += &format!("{failure}\n");
        let waits = found.headers.contains_key("retry-after");
        assert_eq!(failure.retry_after.is_some(), waits, "{}", failure.detail);
    }
    crate::golden::check("login-failures.txt", &messages);
}
