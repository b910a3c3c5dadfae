//! Tests of `login = { … }`: what is read, printed, warned about and refused.

use super::auth_types::Auth;
use super::support::{load_text, problems};
use super::{Config, ConfiguredCredential, LoginConfig, LoginMethod};
use crate::api::auth::login_response::{SessionLifetime, TokenLocation};

fn load(auth: &str) -> Config {
    load_text(&source(auth), &[]).expect("it is valid")
}

fn source(auth: &str) -> String {
    format!("[[source]]\nname = \"a\"\nurl = \"http://nas.lan/x\"\nauth = {auth}\n")
}

fn login(config: &Config) -> &LoginConfig {
    match config.sources[0].auth.as_ref().and_then(Auth::credential) {
        Some(ConfiguredCredential::Login(login)) => login,
        other => panic!("a login, not {other:?}"),
    }
}

#[test]
fn a_login_is_read_and_what_check_prints_can_be_pasted() {
    for (auth, printed) in [
        (
            r#"{ login = { url = "http://nas.lan/auth", body = { user = "me", password = "hush-hush" }, token = "/session/sid", lifetime = "/session/validity" }, header = "X-FTL-SID: {token}" }"#,
            r#"{ header = "X-FTL-SID: {token}", login = { url = "http://nas.lan/auth", method = "POST", body = { user = "***", password = "***" }, token = "/session/sid", lifetime = "/session/validity" } }"#,
        ),
        (
            r#"{ login = { url = "http://nas.lan/auth", form = { name = "hush1", code = 12345678, keep = true } } }"#,
            r#"{ login = { url = "http://nas.lan/auth", method = "POST", form = { name = "***", code = "***", keep = "***" } } }"#,
        ),
        (
            r#"{ login = { url = "http://nas.lan/auth?u=hush-hush&method=login", token = "$.sid", lifetime = "1h30m" }, param = "_sid" }"#,
            r#"{ param = "_sid", login = { url = "http://nas.lan/auth?***", token = "$.sid", lifetime = "1h30m" } }"#,
        ),
        (
            r#"{ login = { url = "http://nas.lan/auth", method = "POST", body = "<p>hush-hush-1</p>", content_type = "text/xml", headers = { X-A = "hush" }, token_header = "X-CSRF" }, cookies = true }"#,
            r#"{ login = { url = "http://nas.lan/auth", method = "POST", body = "***", content_type = "text/xml", headers = { X-A = "***" }, token_header = "x-csrf" }, cookies = true }"#,
        ),
        ("{ cookies = true }", "{ cookies = true }"),
    ] {
        let config = load(auth).to_toml();
        assert!(
            config.contains(&format!("\nauth = {printed}\n")),
            "{config}"
        );
        assert!(!config.contains("hush"), "{config}");
        let again = load_text(&config, &[]).expect("it is valid").to_toml();
        assert_eq!(again, config);
    }
}

#[test]
fn a_login_has_a_method_a_token_and_a_lifetime() {
    let config = load(
        r#"{ login = { url = "http://nas.lan/{today}", form = { "a b" = "x" }, token_header = "X-CSRF", lifetime = "25m" } }"#,
    );
    let found = login(&config);
    assert!(matches!(&found.method, LoginMethod::PostForm(fields) if fields[0].0 == "a b"));
    assert!(matches!(&found.token, Some(TokenLocation::Header(name)) if name == "x-csrf"));
    let lifetime = SessionLifetime::Fixed(std::time::Duration::from_secs(1_500));
    assert_eq!(found.lifetime, Some(lifetime));
    let plain = load(r#"{ login = { url = "http://nas.lan/auth" } }"#);
    assert_eq!(login(&plain).method, LoginMethod::Get);
    let empty = load(r#"{ login = { url = "http://nas.lan/auth", method = "POST" } }"#);
    assert_eq!(login(&empty).method, LoginMethod::Post(None));
}

#[test]
fn each_device_logs_in_by_itself() {
    let text = "[[source]]\nfor = { a = \"10.0.0.1\", b = \"10.0.0.2\" }\nurl = \"http://{device}/x\"\n\
                auth = { login = { url = \"http://{device}/login\", form = { p = \"{device}\" } } }\n";
    let config = load_text(text, &[]).expect("it is valid");
    let hosts: Vec<Option<String>> = config
        .sources
        .iter()
        .map(
            |source| match source.auth.as_ref().and_then(Auth::credential) {
                Some(ConfiguredCredential::Login(login)) => login.uri().host().map(str::to_owned),
                _ => None,
            },
        )
        .collect();
    assert_eq!(
        hosts,
        [Some("10.0.0.1".to_owned()), Some("10.0.0.2".to_owned())]
    );
}

#[test]
fn wrong_logins_are_reported_without_their_secrets() {
    let mut messages = String::new();
    for auth in [
        r#"{ login = "http://nas.lan/hush" }"#,
        "{ login = { } }",
        r#"{ login = { url = "nas.lan/hush-hush?pw=hush" } }"#,
        r#"{ login = { url = "http://nas.lan/", token = "session.sid" } }"#,
        r#"{ login = { url = "http://nas.lan/", token = "hush0123456789abcdefhush" } }"#,
        r#"{ login = { url = "http://nas.lan/", token = "/a", token_header = "X-B" } }"#,
        r#"{ login = { url = "http://nas.lan/", token_header = "a b" } }"#,
        r#"{ login = { url = "http://nas.lan/", form = { a = "hush" }, body = { a = "hush" } } }"#,
        r#"{ login = { url = "http://nas.lan/", form = { a = "hush" }, method = "GET" } }"#,
        r#"{ login = { url = "http://nas.lan/", form = { a = ["hush"] } } }"#,
        r#"{ login = { url = "http://nas.lan/", form = { } } }"#,
        r#"{ login = { url = "http://nas.lan/", form = "a=hush" } }"#,
        r#"{ login = { url = "http://nas.lan/", body = "a=hush" } }"#,
        r#"{ login = { url = "http://nas.lan/", method = "PUT" } }"#,
        r#"{ login = { url = "http://nas.lan/", lifetime = "10s" } }"#,
        r#"{ login = { url = "http://nas.lan/", lifetime = "session.validity" } }"#,
        r#"{ login = { url = "http://nas.lan/", lifetime = 1500 } }"#,
        r#"{ login = { url = "http://nas.lan/", password = "hush" } }"#,
        r#"{ login = { url = "http://nas.lan/" }, header = "X-Sid: {token}" }"#,
        r#"{ login = { url = "http://nas.lan/", token = "/a" }, header = "X-Sid: hush" }"#,
        r#"{ login = { url = "http://nas.lan/" }, user = "me", password = "hush" }"#,
        r#"{ login = { url = "http://nas.lan:81/auth" } }"#,
        r#"{ cookies = "hush" }"#,
        "{ cookies = false }",
    ] {
        let found = problems(&source(auth));
        assert!(!found.contains("hush"), "{auth}: {found}");
        messages += &format!("== {auth}\n{found}\n");
    }
    crate::golden::check("login-problems.txt", &messages);
}

#[test]
fn a_login_elsewhere_or_without_encryption_is_remarked() {
    for (url, expected) in [
        ("http://nas.lan/auth", ""),
        (
            "http://192.168.1.5/auth",
            "the login is at http://192.168.1.5, and its token is sent to http://nas.lan",
        ),
        (
            "http://login.example.org/auth",
            "the login goes to login.example.org without encryption: write https://, if it can",
        ),
        (
            "https://login.example.org/auth",
            "the login is at https://login.example.org, and its token is sent to http://nas.lan",
        ),
    ] {
        let config = load(&format!(
            "{{ login = {{ url = \"{url}\", token = \"/t\" }} }}"
        ));
        let found: Vec<&str> = config
            .remarks
            .iter()
            .map(|it| it.problem.message.as_str())
            .collect();
        let is_told = found.contains(&expected);
        assert!(
            is_told || (expected.is_empty() && found.is_empty()),
            "{url}: {found:?}"
        );
    }
}
