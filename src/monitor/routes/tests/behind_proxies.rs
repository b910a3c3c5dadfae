//! Routes behind reverse proxies: links below a path prefix, the token, frames, event streams.

use crate::monitor::App;
use crate::monitor::http::basic_auth::Password;
use crate::monitor::http::handler::{Handler as _, Request, Response};
use crate::monitor::support::{self as testing, body, header, request};

const TOKEN: &str = "0123456789abcdef";

/// As the server asks.
fn prepared(monitor: &App, target: &str, forwarded: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = request(target, headers);
    forwarded.clone_into(&mut request.base);
    monitor.prepare(&mut request);
    request
}

fn get(monitor: &App, target: &str, forwarded: &str) -> Response {
    let accept = [("accept", "text/html")];
    testing::respond(monitor, &prepared(monitor, target, forwarded, &accept))
}

/// The paths that a page names.
fn paths(page: &str) -> Vec<&str> {
    let attributes = ["href=\"/", "src=\"/"];
    let of = |attribute: &'static str| {
        let parts = page.split(attribute).skip(1);
        parts.map(move |part| &part[..part.find('"').unwrap_or(part.len())])
    };
    attributes.into_iter().flat_map(of).collect()
}

#[test]
fn every_link_and_redirect_begins_with_the_prefix() {
    let mut configured = testing::healthy().app();
    configured.context.settings.base_path = "/node".to_owned();
    let plain = testing::healthy().app();
    for (monitor, forwarded) in [
        (&configured, ""),
        (&configured, "/other"),
        (&plain, "/node"),
    ] {
        for target in [
            "/web",
            "/node/web",
            "/web/key/temperature",
            "/node/web/source/weather",
            "/web/alerts",
            "/web/about",
            "/nowhere",
            "/web/key/none",
        ] {
            let response = get(monitor, target, forwarded);
            let page = body(&response);
            let paths = paths(page);
            assert!(!paths.is_empty(), "{target}: {page}");
            for path in paths {
                assert!(path.starts_with("node/"), "{target}: /{path}");
            }
        }
        for target in ["/", "/node", "/node/", "/web/", "/node/web/"] {
            let response = get(monitor, target, forwarded);
            assert_eq!(header(&response, "Location"), Some("/node/web"), "{target}");
        }
        let manifest = get(monitor, "/manifest.webmanifest", forwarded);
        assert!(body(&manifest).contains(r#""start_url":"/node/web""#));
        let snapshot = get(monitor, "/node/snapshot", forwarded);
        let direct = get(monitor, "/snapshot", "");
        assert_eq!(body(&snapshot), body(&direct));
    }
    let response = get(&plain, "/web", "");
    assert!(paths(body(&response)).contains(&"web/alerts"));
}

#[test]
fn the_token_opens_snapshots_and_events_alone_and_is_shown_nowhere() {
    let mut monitor = testing::healthy().app();
    let password = Password::new("sesame").with_token(Some(TOKEN));
    monitor.context.password = Some(password);
    let parameter = format!("token={TOKEN}");
    let bearer = format!("Bearer {TOKEN}");
    for (target, is_opened) in [
        ("/snapshot", true),
        ("/snapshot?keys=temperature", true),
        ("/snapshot/temperature", true),
        ("/snapshot/none", true),
        ("/events", true),
        ("/", false),
        ("/web", false),
        ("/web/key/temperature", false),
        ("/status", false),
        ("/metrics", false),
        ("/history?key=temperature", false),
        ("/openapi.json", false),
        ("/nowhere", false),
    ] {
        let mark = if target.contains('?') { "&" } else { "?" };
        let by_parameter = prepared(&monitor, &format!("{target}{mark}{parameter}"), "", &[]);
        let by_header = prepared(&monitor, target, "", &[("authorization", &bearer)]);
        for mut request in [by_parameter, by_header] {
            for is_head in [false, true] {
                request.is_head = is_head;
                if target == "/events" {
                    assert!(testing::is_event_stream(&monitor, &request));
                    continue;
                }
                let response = testing::respond(&monitor, &request);
                let is_open = response.status != 401;
                assert_eq!(is_open, is_opened, "{request:?}: {}", response.status);
                assert!(!body(&response).contains(TOKEN), "{target}");
            }
            assert!(!request.target.contains(TOKEN), "{}", request.target);
        }
        let nothing = prepared(&monitor, target, "", &[]);
        assert_eq!(testing::respond(&monitor, &nothing).status, 401, "{target}");
    }
    let displays = monitor.displays.list();
    assert!(!displays.is_empty());
    assert!(displays.iter().all(|it| !it.target.contains("token")));
}

#[test]
fn the_parameter_token_is_unknown_where_it_opens_nothing() {
    let mut monitor = testing::healthy().app();
    monitor.context.password = None;
    for (target, status) in [
        ("/snapshot?token=abc", 200),
        ("/snapshot/temperature?token=abc", 200),
        ("/snapshot?token=abc&token=abc", 400),
        ("/web?token=abc", 400),
        ("/status?token=abc", 400),
        ("/healthz?token=abc", 400),
    ] {
        let response = testing::respond(&monitor, &prepared(&monitor, target, "", &[]));
        assert_eq!(response.status, status, "{target}");
        assert!(!body(&response).contains("abc"), "{target}");
    }
}

#[test]
fn frames_are_for_the_sites_of_the_option_alone() {
    for (sites, expected) in [
        (&[][..], "frame-ancestors 'none'"),
        (
            &["'self'", "http://ha.local:8123"],
            "frame-ancestors 'self' http://ha.local:8123",
        ),
    ] {
        let sites: Vec<String> = sites.iter().map(|it| (*it).to_owned()).collect();
        let policy = crate::monitor::web::content_security_policy(&sites);
        assert!(policy.ends_with(&format!("; {expected}")), "{policy}");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    }
    let monitor = testing::healthy().app();
    for target in ["/web", "/nowhere"] {
        let response = get(&monitor, target, "");
        let policy = header(&response, "Content-Security-Policy").expect("pages have one");
        assert!(policy.ends_with("; frame-ancestors 'none'"), "{policy}");
        assert_eq!(header(&response, "Referrer-Policy"), Some("no-referrer"));
    }
}

#[test]
fn proxies_are_told_not_to_keep_events_back() {
    let monitor = testing::healthy().app();
    let headers = monitor.event_stream_headers(&request("/events", &[]));
    assert!(headers.contains(&("X-Accel-Buffering", "no".into())));
}
