//! Token servers, login servers and sources that want a credential; they echo every secret too.
//!
//! `/auth/MODE/KIND`: MODE is `token`, `login`, `error-…` or how a source answers.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::places::{AUTHENTICATION, html, many_spellings, named, percent, secret};

/// Counts the requests of each path.
#[derive(Default)]
pub struct AuthServer(Mutex<BTreeMap<String, usize>>);

/// What a server gave to a source of a kind.
const GIVEN: [(&str, &[&str]); 8] = [
    ("client", &["access token of a client"]),
    (
        "refresh",
        &[
            "access token of a refresh token",
            "rotated refresh token",
            "configured refresh token",
        ],
    ),
    ("password", &["access token of a password"]),
    ("json", &["session in a body"]),
    ("text", &["session in a header"]),
    ("form", &["session cookie", "replaced cookie"]),
    ("cookies", &["first cookie", "second cookie"]),
    ("mixed", &["first cookie", "second cookie"]),
];

/// Whether only the servers that gave it know it.
fn is_given(name: &str) -> bool {
    let mut all = GIVEN.iter().flat_map(|(_, names)| names.iter());
    all.any(|it| *it == name) && name != "configured refresh token"
}

/// Secrets that a server may know: what is configured, and what it gave itself.
fn known_to(kind: &str) -> Vec<String> {
    let configured = AUTHENTICATION.map(|at| (crate::places::PLACES[at].name, secret(at)));
    let configured = configured.filter(|(name, _)| !is_given(name));
    let given = GIVEN.iter().filter(|(name, _)| *name == kind);
    let given = given.flat_map(|(_, names)| names.iter().map(|name| named(name)));
    configured.map(|(_, secret)| secret).chain(given).collect()
}

impl AuthServer {
    pub fn response(&self, path: &str, head: &str) -> String {
        let mut parts = path.split('/').skip(2);
        let mode = parts.next().unwrap_or_default();
        let kind = parts.next().unwrap_or_default();
        let count = {
            let mut counts = self.0.lock().expect("no thread panics");
            let count = counts.entry(path.to_owned()).or_default();
            *count += 1;
            *count
        };
        // Other servers than the one of tokens know none.
        let secrets = known_to(if mode.starts_with("error") { "" } else { kind });
        let (status, headers, body) = match mode {
            _ if mode.starts_with("token") => token(kind, count, &secrets),
            _ if mode.starts_with("login") => login(kind),
            _ if mode.starts_with("error") => refusal(mode, kind, &secrets),
            _ => data(mode, kind, head, &secrets),
        };
        format!(
            "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

type Response = (String, String, String);

fn echo(secrets: &[String]) -> String {
    let all = secrets.iter().flat_map(|it| many_spellings(it));
    all.collect::<Vec<_>>().join(" ")
}

/// The first request gets a token; others an error that repeats everything.
fn token(kind: &str, count: usize, secrets: &[String]) -> Response {
    if count > 1 {
        let mode = if count.is_multiple_of(2) {
            "error-json"
        } else {
            "error-html"
        };
        return refusal(mode, kind, secrets);
    }
    let (_, given) = GIVEN.iter().find(|(name, _)| *name == kind).expect("given");
    let mut body = serde_json::json!({
        "access_token": named(given[0]), "token_type": "Bearer", "expires_in": 3600, "scope": echo(secrets),
        "message": echo(secrets),
    });
    if kind == "refresh" {
        body["refresh_token"] = named("rotated refresh token").into();
    }
    ("200 OK".to_owned(), String::new(), body.to_string())
}

fn login(kind: &str) -> Response {
    let ok = "200 OK".to_owned();
    let body = |sid: &str| serde_json::json!({"session": {"sid": sid}, "message": sid}).to_string();
    match kind {
        "json" => (ok, String::new(), body(&named("session in a body"))),
        "text" => {
            let token = named("session in a header");
            (ok, format!("X-Token: {token}\r\n"), body(&token))
        }
        _ => {
            let cookie = named("session cookie");
            (
                ok,
                format!("Set-Cookie: sid={cookie}; Path=/\r\n"),
                body(&cookie),
            )
        }
    }
}

/// Refusals of token servers and of logins.
fn refusal(mode: &str, kind: &str, secrets: &[String]) -> Response {
    // What is cut off of a long text begins at another place of it.
    let (form, turn) = mode.rsplit_once('.').unwrap_or((mode, "0"));
    let turn: usize = turn.parse().expect("a number");
    let mut turned = secrets.to_vec();
    turned.rotate_left(turn * 5 % secrets.len());
    let all = format!("{}{}", "x".repeat(turn * 7), echo(&turned));
    let json = |value: serde_json::Value| value.to_string();
    let short: String = all.chars().take(6000).collect();
    let query = percent(&short);
    match form {
        "error-json" => {
            let body =
                json(serde_json::json!({"error": "invalid_grant", "error_description": all}));
            ("400 Bad Request".to_owned(), String::new(), body)
        }
        "error-code" => {
            let body = json(serde_json::json!({"error": all}));
            ("401 Unauthorized".to_owned(), String::new(), body)
        }
        "error-html" => {
            let html = format!("<html>{}", html(&all));
            ("403 Forbidden".to_owned(), String::new(), html)
        }
        "error-redirect" => {
            let location = format!("Location: http://me:{query}@127.0.0.2/{query}?q={query}\r\n");
            ("302 Found".to_owned(), location, all)
        }
        "error-none" => {
            let body = json(serde_json::json!({all.as_str(): all, "session": {"message": all}}));
            ("200 OK".to_owned(), String::new(), body)
        }
        "error-type" => {
            let token = match kind {
                "client" => named("access token of a client"),
                _ => "opaque".to_owned(),
            };
            let body =
                serde_json::json!({"access_token": token, "token_type": format!("{token} {all}")});
            ("200 OK".to_owned(), String::new(), json(body))
        }
        _ => {
            let reason: String = all.chars().take(4000).collect();
            (format!("500 {reason}"), String::new(), all)
        }
    }
}

/// A source's response: records, or a refusal.
fn data(mode: &str, kind: &str, head: &str, secrets: &[String]) -> Response {
    let all = echo(secrets);
    let mut headers = String::new();
    if matches!(kind, "cookies" | "form" | "mixed") {
        let (first, second) = match kind {
            "form" => ("session cookie", "replaced cookie"),
            _ => ("first cookie", "second cookie"),
        };
        if !head.contains("\r\ncookie:") {
            let cookie = named(first);
            headers =
                format!("Location: /auth/{mode}/{kind}\r\nSet-Cookie: sid={cookie}; Path=/\r\n");
            return ("302 Found".to_owned(), headers, all);
        }
        headers = match mode {
            "texts" => format!("Set-Cookie: sid={}; Path=/\r\n", named(second)),
            _ => "Set-Cookie: sid=gone; Path=/; Max-Age=0\r\n".to_owned(),
        };
        // Not yet known where it was not set.
        if mode != "texts" {
            let known: Vec<String> = secrets
                .iter()
                .filter(|it| **it != named(second))
                .cloned()
                .collect();
            return answer(mode, kind, headers, &echo(&known), &known);
        }
    }
    if kind == "digest" && !head.contains("authorization: digest") {
        let challenge = "WWW-Authenticate: Digest realm=\"house\", qop=\"auth\", algorithm=SHA-256, nonce=\"n1\"\r\n";
        return ("401 Unauthorized".to_owned(), challenge.to_owned(), all);
    }
    answer(mode, kind, std::mem::take(&mut headers), &all, secrets)
}

fn answer(mode: &str, kind: &str, headers: String, all: &str, secrets: &[String]) -> Response {
    let realm: String = all
        .chars()
        .take(3000)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match mode {
        "texts" => ("200 OK".to_owned(), headers, texts(secrets)),
        "denied" => {
            let scheme = if kind == "digest" { "Basic" } else { "Bearer" };
            let realm = realm.replace('"', "");
            let headers = format!("{headers}WWW-Authenticate: {scheme} realm=\"{realm}\"\r\n");
            let body = serde_json::json!({"error": {"message": all}}).to_string();
            ("401 Unauthorized".to_owned(), headers, body)
        }
        _ => (format!("500 {realm}"), headers, all.to_owned()),
    }
}

/// Values and keys.
fn texts(secrets: &[String]) -> String {
    let mut tree = serde_json::Map::new();
    tree.insert("t".to_owned(), 20.5.into());
    for (nth, secret) in secrets.iter().enumerate() {
        for (spelling, text) in many_spellings(secret).into_iter().enumerate() {
            tree.insert(format!("text{nth}_{spelling}"), text.clone().into());
            tree.insert(text, (nth as u64).into());
        }
    }
    serde_json::Value::Object(tree).to_string()
}
