//! Redirects: resolving Location, credentials, and which addresses a redirect may reach.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::agent::TransportSettings;
use super::super::fault_server::{
    Act, AfterResponse, FaultServer, FaultState, Wire, response, send,
};
use super::super::origin::{display_host, display_origin};
use super::super::support::{
    cause, clock_at_noon, failure, fetcher, get_url, good_response, header, long_timeout, script,
    sends,
};
use super::super::url_source;
use super::*;
use crate::domain::failure::Cause;

#[test]
fn credentials_follow_a_redirect_within_an_origin_and_never_to_another() {
    let other = FaultServer::start(script(vec![sends(good_response())]));
    let elsewhere = format!("Location: http://{}/there\r\n", other.address);
    let server = FaultServer::start(script(vec![
        sends(response("301 Moved", "Location: /here\r\n", "moved")),
        sends(response("307 Moved", &elsewhere, "moved")),
    ]));
    let secrets = [
        ("Authorization", "Bearer topsecret"),
        ("X-Api-Key", "topsecret"),
        ("Cookie", "session=topsecret"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = url_source::prepare_request(&server.url(), &[], &secrets).expect("a URL");
    let mut fetcher = fetcher(request, long_timeout(), clock_at_noon());
    assert_eq!(cause(fetcher.fetch_once()), None);
    let heads = server.server.heads.lock().expect("no act panics");
    assert!(heads[1].starts_with("GET /here HTTP/1.1\r\n"));
    for (name, value) in &secrets {
        assert_eq!(header(&heads[1], name), Some(value.as_str()), "{name}");
    }
    let heads = other.server.heads.lock().expect("no act panics");
    assert!(heads[0].starts_with("GET /there HTTP/1.1\r\n"));
    assert!(!heads[0].contains("secret"), "{}", heads[0]);
}

#[test]
fn every_redirect_is_followed_by_a_get_without_the_headers_of_another_server() {
    for status in ["301", "302", "303", "307", "308"] {
        let other = FaultServer::start(script(vec![sends(good_response())]));
        let place = format!("Location: http://{}/there\r\n", other.address);
        let server = FaultServer::start(script(vec![sends(response(status, &place, ""))]));
        let headers = [("X-Api-Key".to_owned(), "topsecret".to_owned())];
        let url = server.url().replace("//", "//me:topsecret@");
        let request = url_source::prepare_request(&url, &[], &headers).expect("a URL");
        let mut fetcher = fetcher(request, long_timeout(), clock_at_noon());
        assert_eq!(failure(fetcher.fetch_once()), None, "{status}");
        let heads = other.server.heads.lock().expect("no act panics");
        assert!(heads[0].starts_with("GET /there HTTP/1.1\r\n"), "{status}");
        for name in ["X-Api-Key", "Authorization"] {
            assert_eq!(header(&heads[0], name), None, "{status}");
        }
    }
}

/// For these tests one address of this machine is the outside world.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn is_inside(address: IpAddr) -> bool {
    address.to_canonical() != OUTSIDE
}

fn with_an_outside() -> TransportSettings {
    TransportSettings {
        is_private: is_inside,
        ..long_timeout()
    }
}

fn moved(to: &str) -> Box<Act> {
    sends(response(
        "302 Found",
        &format!("Location: {to}\r\n"),
        "moved",
    ))
}

#[test]
fn a_redirect_from_a_public_server_never_reaches_a_private_address() {
    let inside = FaultServer::start(script(vec![sends(good_response())]));
    let port = inside.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ] {
        let target = format!("http://{host}:{port}/admin?key=topsecret");
        let server = FaultServer::start_at(OUTSIDE, script(vec![moved("/on"), moved(&target)]));
        let mut fetcher = fetcher(get_url(&server.url()), with_an_outside(), clock_at_noon());
        let (cause, detail) = failure(fetcher.fetch_once()).expect("it is refused");
        assert_eq!(cause, Cause::Redirect, "{host}: {detail}");
        assert!(detail.contains("inside this network"), "{host}: {detail}");
        assert!(!detail.contains("secret"), "{detail}");
    }
    assert_eq!(inside.server.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn a_redirect_leads_from_outside_to_outside_and_from_inside_to_the_same_machine() {
    const INSIDE: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const OTHER_INSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
    let answer = |_: &str, wire: &mut dyn Wire, _: &FaultState| {
        send(wire, good_response());
        AfterResponse::Close
    };
    let good = |at| FaultServer::start_at(at, Arc::new(answer));
    let servers = [good(INSIDE), good(OTHER_INSIDE), good(OUTSIDE)];
    let [inside, other, outside] = servers.each_ref().map(|it| it.address.port());
    let to_inside = Some("inside this network");
    let to_other = Some("another machine");
    for (from, host, port, refused) in [
        (INSIDE, "127.0.0.1", inside, None),
        (INSIDE, "localhost", inside, None),
        (INSIDE, "[::ffff:127.0.0.1]", inside, None),
        (INSIDE, "127.0.0.3", other, to_other),
        (INSIDE, "[::ffff:127.0.0.3]", other, to_other),
        (INSIDE, "[fe80::1]", other, to_other),
        (INSIDE, "192.168.1.1", other, to_other),
        (INSIDE, "127.0.0.2", outside, to_other),
        (OTHER_INSIDE, "127.0.0.1", inside, to_other),
        (OTHER_INSIDE, "localhost", inside, to_other),
        (OTHER_INSIDE, "127.0.0.3", other, None),
        (OUTSIDE, "127.0.0.2", outside, None),
        (OUTSIDE, "[::ffff:127.0.0.2]", outside, None),
        (OUTSIDE, "127.0.0.3", other, to_inside),
        (OUTSIDE, "[::ffff:127.0.0.3]", other, to_inside),
        (OUTSIDE, "[fe80::1]", other, to_inside),
        (OUTSIDE, "[fd00::1]", other, to_inside),
        (OUTSIDE, "192.168.1.1", other, to_inside),
    ] {
        let target = moved(&format!("http://{host}:{port}/x?key=topsecret"));
        let server = FaultServer::start_at(from, script(vec![moved("/on"), target]));
        let mut fetcher = fetcher(get_url(&server.url()), with_an_outside(), clock_at_noon());
        let found = failure(fetcher.fetch_once());
        let Some(part) = refused else {
            assert_eq!(found, None, "{from} to {host}");
            continue;
        };
        let (cause, detail) = found.expect("it is refused");
        assert_eq!(cause, Cause::Redirect, "{from} to {host}: {detail}");
        assert!(detail.contains(part), "{from} to {host}: {detail}");
        assert!(!detail.contains("secret"), "{detail}");
    }
    let connections = servers
        .each_ref()
        .map(|it| it.server.connections.load(Ordering::SeqCst));
    assert_eq!(connections, [3, 1, 2]);
}

#[test]
fn behind_a_proxy_a_redirect_is_checked_by_host_name_only() {
    for (from, target, refused) in [
        ("1.1.1.1", "http://1.1.1.1:81/x", None),
        ("1.1.1.1", "http://9.9.9.9/x", None),
        ("1.1.1.1", "http://127.0.0.1/x", Some("inside this network")),
        ("1.1.1.1", "http://localhost/x", Some("inside this network")),
        (
            "1.1.1.1",
            "http://[::ffff:192.168.1.1]/x",
            Some("inside this network"),
        ),
        ("192.168.1.2", "http://192.168.1.2:81/x", None),
        (
            "192.168.1.2",
            "http://192.168.1.3/x",
            Some("another machine"),
        ),
        ("192.168.1.2", "http://9.9.9.9/x", Some("another machine")),
        ("[fd00::2]", "http://[fd00::3]/x", Some("another machine")),
    ] {
        let target = target.to_owned();
        let proxy = FaultServer::start(Arc::new(move |head: &str, wire, _: &_| {
            let is_sent = match head.split(' ').next() {
                Some("CONNECT") => send(wire, "HTTP/1.1 200 Connected\r\n\r\n"),
                _ if head.contains("/data") => {
                    let place = format!("Location: {target}\r\n");
                    send(wire, response("302 Found", &place, ""))
                }
                _ => send(wire, good_response()),
            };
            if is_sent {
                AfterResponse::Keep
            } else {
                AfterResponse::Close
            }
        }));
        let settings = TransportSettings {
            proxy: Some(format!("http://{}", proxy.address)),
            ..long_timeout()
        };
        let mut fetcher = fetcher(
            get_url(&format!("http://{from}/data")),
            settings,
            clock_at_noon(),
        );
        let found = failure(fetcher.fetch_once());
        match (refused, found) {
            (None, found) => assert_eq!(found, None),
            (Some(part), Some((cause, detail))) => {
                assert_eq!(cause, Cause::Redirect);
                assert!(detail.contains(part), "{detail}");
            }
            (Some(_), None) => panic!("it was followed"),
        }
    }
}

#[test]
fn a_location_leads_where_rfc_3986_says_or_is_refused() {
    let here = "https://api.example.org/v1/data/now?key=secret";
    for (location, expected) in [
        (
            "https://other.example/x?y=1",
            Ok("https://other.example/x?y=1"),
        ),
        ("https://other.example", Ok("https://other.example/")),
        ("//other.example/x", Ok("https://other.example/x")),
        ("/v2", Ok("https://api.example.org/v2")),
        ("later", Ok("https://api.example.org/v1/data/later")),
        (
            "../b/./c?q=1#part",
            Ok("https://api.example.org/v1/b/c?q=1"),
        ),
        ("../../../..", Ok("https://api.example.org/")),
        ("?page=2", Ok("https://api.example.org/v1/data/now?page=2")),
        ("", Err("no Location")),
        ("#part", Err("no Location")),
        (
            "http://api.example.org/v2",
            Err("from https to http, which is not encrypted"),
        ),
        ("ftp://example.org/x", Err("neither http nor https")),
        ("file:///etc/passwd", Err("not a valid URL")),
        (
            "https://user:pass@example.org/",
            Err("with a user name in the URL"),
        ),
        ("https://exa mple/", Err("not a valid URL")),
        ("http://example.org:65536/", Err("not a valid URL")),
        ("http://[::1]:99999/", Err("not a valid URL")),
    ] {
        let here: Uri = here.parse().expect("a URL");
        let found = resolve_location(&here, Some(location.as_bytes())).map(|uri| uri.to_string());
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(found, expected, "{location:?}");
    }
    let named: Uri = "http://me:p%40ss@nas/api".parse().expect("a URL");
    let found = resolve_location(&named, Some(b"/x")).map(|uri| uri.to_string());
    assert_eq!(found, Ok("http://nas/x".to_owned()));
    let here: Uri = here.parse().expect("a URL");
    assert!(resolve_location(&here, None).is_err());
    assert!(resolve_location(&here, Some(b"/\xff")).is_err());
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let uri = |text: &str| text.parse::<Uri>().expect("a URL");
    for (one, other, same) in [
        ("http://a/x", "http://A:80/y", true),
        ("http://a/x", "http://a:8080/x", false),
        ("http://a/x", "https://a/x", false),
        ("http://a/x", "http://b/x", false),
    ] {
        assert_eq!(same_origin(&uri(one), &uri(other)), same, "{one} {other}");
    }
    for (here, target, kept) in [
        ("http://a/x", "http://a/y", true),
        ("http://a/x", "https://A/x", true),
        ("http://a:80/x", "https://a:443/x", true),
        ("http://a/x", "https://a:8443/x", false),
        ("http://a:8080/x", "https://a/x", false),
        ("http://a:8080/x", "https://a:8443/x", false),
        ("http://a/x", "https://b/x", false),
        ("https://a/x", "http://a/x", false),
    ] {
        let found = keeps_credentials(&uri(here), &uri(target));
        assert_eq!(found, kept, "{here} {target}");
    }
    assert_eq!(display_host(&uri("https://u:p@a:443/x?y")), "a");
    assert_eq!(display_origin(&uri("http://a:8080/x?y")), "http://a:8080");
}
