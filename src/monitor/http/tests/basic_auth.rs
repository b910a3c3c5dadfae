//! Basic authentication: which credentials pass, and what is exempt.

use super::*;
use crate::monitor::support::request;

#[test]
fn the_password_is_accepted_with_any_user_name() {
    let password = Password::new("a:b \u{e9}");
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    for (second, (field, is_admitted)) in [
        (basic("me:a:b \u{e9}"), true),
        (basic(":a:b \u{e9}"), true),
        (basic("me:a:b \u{e9}").replace("Basic", "bAsIc  "), true),
        (basic("me:a:b"), false),
        (basic("me:a:b \u{e9} "), false),
        (basic("me:"), false),
        (basic("a b \u{e9}"), false),
        (basic("me:a:b \u{e9}").replace("Basic", "Bearer"), false),
        ("Basic".to_owned(), false),
        ("Basic ???".to_owned(), false),
        (String::new(), false),
    ]
    .into_iter()
    .enumerate()
    {
        let now = Mono(second as u64 * 10_000);
        let request = request("/snapshot", &[("authorization", field.as_str())]);
        assert_eq!(
            password.is_authorized(&request, false, now),
            is_admitted,
            "{field:?}"
        );
        let denied = password.deny(&request, false, now);
        assert_eq!(denied.is_none(), is_admitted, "{field:?}");
    }
}

#[test]
fn without_credentials_the_response_is_401_and_does_not_contain_the_password() {
    let password = Password::new("open sesame");
    for target in ["/", "/events", "/nowhere"] {
        let error = password.deny(&request(target, &[]), false, Mono(0));
        let error = error.expect("a password is required");
        assert_eq!(error.status(), 401);
        assert_eq!(error.header().0, "WWW-Authenticate");
        assert!(!format!("{error:?} {}", error.detail()).contains("sesame"));
    }
}

#[test]
fn the_token_opens_the_paths_that_take_one_by_header_or_parameter() {
    let password = Password::new("open sesame").with_token(Some("0123456789abcdef"));
    let without = Password::new("open sesame");
    let right = "Bearer 0123456789abcdef";
    let basic = format!("Basic {}", STANDARD.encode("me:open sesame"));
    for (field, parameter, takes_token, admitted) in [
        (Some(right), None, true, true),
        (Some("bearer  0123456789abcdef "), None, true, true),
        (None, Some("0123456789abcdef"), true, true),
        (Some("Basic wrong"), Some("0123456789abcdef"), true, true),
        (Some(&*basic), Some("wrong"), true, true),
        (Some(right), None, false, false),
        (Some("Bearer 0123456789abcde"), None, true, false),
        (Some("Bearer open sesame"), None, true, false),
        (None, Some("open sesame"), true, false),
        (None, Some(""), true, false),
        (Some("Bearer "), None, true, false),
        (None, None, true, false),
    ] {
        let fields: Vec<_> = field.map(|it| ("authorization", it)).into_iter().collect();
        let mut request = request("/snapshot", &fields);
        request.token = parameter.map(str::to_owned);
        let case = format!("{field:?} {parameter:?} {takes_token}");
        let is_authorized = |it: &Password| it.is_authorized(&request, takes_token, Mono(0));
        assert_eq!(is_authorized(&password), admitted, "{case}");
        let by_password = field == Some(&*basic);
        assert_eq!(is_authorized(&without), by_password, "{case}");
        let denied = password.deny(&request, takes_token, Mono(0));
        assert_eq!(denied.is_none(), admitted, "{case}");
        let detail = denied.map_or("", AuthError::detail);
        assert_eq!(
            detail.contains("token"),
            takes_token && !admitted,
            "{detail}"
        );
        assert!(!detail.contains("0123"), "{detail}");
    }
}

#[test]
fn wrong_tokens_count_like_wrong_passwords_and_the_right_one_elsewhere_does_not() {
    let password = Password::new("open sesame").with_token(Some("0123456789abcdef"));
    let status = |field: Option<&str>, parameter: Option<&str>, takes_token: bool| {
        let fields: Vec<_> = field.map(|it| ("authorization", it)).into_iter().collect();
        let mut request = request("/snapshot", &fields);
        request.token = parameter.map(str::to_owned);
        let denied = password.deny(&request, takes_token, Mono(0));
        denied.map_or(200, AuthError::status)
    };
    let right = "0123456789abcdef";
    for _ in 0..3 * limits::WRONG_PASSWORDS {
        assert_eq!(status(Some(&format!("Bearer {right}")), None, false), 401);
    }
    for guess in 0..limits::WRONG_PASSWORDS {
        let guess = format!("guess number {guess}");
        let code = match guess.len() % 2 {
            0 => status(None, Some(&guess), true),
            _ => status(Some(&format!("Bearer {guess}")), None, true),
        };
        assert_eq!(code, 401);
    }
    assert_eq!(status(None, Some(right), true), 429);
}

#[test]
fn trailing_blanks_in_the_password_file_are_not_required() {
    let password = Password::new("open sesame \t");
    for (password_text, is_admitted) in [
        ("open sesame", true),
        ("open sesame \t", true),
        ("open sesame ", false),
        (" open sesame", false),
    ] {
        let field = format!("Basic {}", STANDARD.encode(format!("me:{password_text}")));
        let request = request("/", &[("authorization", field.as_str())]);
        assert_eq!(
            password.is_authorized(&request, false, Mono(0)),
            is_admitted,
            "{password_text:?}"
        );
    }
}

#[test]
fn too_many_wrong_passwords_get_429_and_missing_credentials_do_not_count() {
    let password = Password::new("open sesame");
    let basic =
        |password_text: &str| format!("Basic {}", STANDARD.encode(format!("me:{password_text}")));
    let deny = |peer: &str, field: Option<&str>, now: u64| {
        let fields: Vec<(&str, &str)> = field.map(|it| ("authorization", it)).into_iter().collect();
        let mut request = request("/snapshot", &fields);
        request.peer = peer.parse().expect("an address");
        password.deny(&request, false, Mono(now))
    };
    let status = |denied: Option<AuthError>| denied.map_or(200, AuthError::status);
    let (right, wrong) = (basic("open sesame"), basic("hunter2"));
    for _ in 0..50 {
        assert_eq!(status(deny("10.0.0.1", None, 0)), 401);
    }
    for _ in 0..limits::WRONG_PASSWORDS {
        assert_eq!(status(deny("10.0.0.1", Some(&wrong), 0)), 401);
        assert_eq!(status(deny("10.0.0.2", Some(&right), 0)), 200);
    }
    for field in [Some(&*wrong), Some(&*right), None] {
        let problem = deny("10.0.0.1", field, 59_999).expect("it is refused");
        assert_eq!(problem.status(), 429);
        assert_eq!(problem.header(), ("Retry-After", "60".into()));
    }
    assert_eq!(status(deny("10.0.0.2", Some(&right), 59_999)), 200);
    assert_eq!(status(deny("10.0.0.1", Some(&right), 60_000)), 200);
}
