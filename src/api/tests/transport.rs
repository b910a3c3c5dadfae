//! HTTP transport: framing, conditional requests, retries on closed connections, timeouts.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::fault_server::{AfterResponse, FaultServer, response, send};
use super::super::support::{
    cause, clock_at_noon, fetcher, full_listener, get_url, good_response, gzip, header,
    long_timeout, script, sends, short_timeout,
};
use super::super::transport::{SendRequest, Transport};
use super::super::validators::Validators;
use crate::domain::failure::Cause;
use crate::domain::reading::FetchOutcome;
use crate::sys::clock::Clock;

#[test]
fn unusual_but_readable_responses_are_parsed() {
    let ok = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes();
    let digits = format!("{{\"t\": 1{}}}", "0".repeat(199));
    for (name, bytes, expected) in [
        (
            "gzip",
            response("200 OK", "Content-Encoding: gzip\r\n", gzip(b"{\"t\": 1}")),
            "1",
        ),
        (
            "chunks",
            ok("Transfer-Encoding: chunked\r\n\r\n5\r\n{\"t\":\r\n3\r\n 1}\r\n0\r\n\r\n"),
            "1",
        ),
        ("no length", ok("\r\n{\"t\": 1}"), "1"),
        (
            "HTTP/1.0",
            b"HTTP/1.0 200 OK\r\n\r\n{\"t\": 1}".to_vec(),
            "1",
        ),
        (
            "an interim answer before",
            [
                b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec(),
                good_response(),
            ]
            .concat(),
            "21.4",
        ),
        (
            "JSON that is called HTML",
            response("200 OK", "Content-Type: text/html\r\n", "{\"t\": 1}"),
            "1",
        ),
        (
            "a byte order mark",
            response("200 OK", "", "\u{feff}{\"t\": 1}"),
            "1",
        ),
        (
            "a number of 200 digits",
            response("200 OK", "", digits),
            "1e199",
        ),
        (
            "duplicate keys: the last",
            response("200 OK", "", "{\"t\": 1, \"t\": 2}"),
            "2",
        ),
        (
            "another status of success",
            response("203 Odd", "", "{\"t\": 1}"),
            "1",
        ),
        ("a boolean", response("200 OK", "", "{\"t\": true}"), "1"),
    ] {
        let server = FaultServer::start(Arc::new(move |_, wire, _| {
            send(wire, &bytes);
            AfterResponse::Close
        }));
        let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
        let outcome = fetcher.fetch_once().expect("not cancelled").outcome;
        let FetchOutcome::Readings { readings, .. } = outcome else {
            panic!("{name}: {outcome:?}");
        };
        assert_eq!(readings[0].value.to_string(), expected, "{name}");
    }
}

#[test]
fn a_conditional_request_never_revalidates_an_unusable_response() {
    let named = |body: &str| response("200 OK", "ETag: \"v1\"\r\nLast-Modified: then\r\n", body);
    let server = FaultServer::start(script(vec![
        sends(named("{\"t\": 1}")),
        sends(response("304 Not Modified", "", "")),
        sends(response("503 Busy", "", "")),
        sends(named("{\"t\": null}")),
        sends(response("304 Not Modified", "", "")),
        sends(good_response()),
    ]));
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    let outcomes: Vec<Option<Cause>> = (0..6).map(|_| cause(fetcher.fetch_once())).collect();
    let expected = [
        None,
        None,
        Some(Cause::HttpStatus),
        Some(Cause::Empty),
        Some(Cause::Protocol),
        None,
    ];
    assert_eq!(outcomes, expected);
    let heads = server.server.heads.lock().expect("no act panics");
    let v1 = Some("\"v1\"");
    let conditions: Vec<Option<&str>> = heads
        .iter()
        .map(|head| header(head, "If-None-Match"))
        .collect();
    assert_eq!(conditions, [None, v1, v1, v1, None, None]);
    assert_eq!(header(&heads[1], "If-Modified-Since"), Some("then"));
}

#[test]
fn a_request_on_a_connection_the_server_closed_is_retried_once() {
    let server = FaultServer::start(script(vec![
        sends(good_response()),
        Box::new(|_, _, _| AfterResponse::Close),
        sends(good_response()),
        sends(good_response()),
        // Twice: the second time on a fresh connection, and that counts.
        Box::new(|_, _, _| AfterResponse::Reset),
        Box::new(|_, _, _| AfterResponse::Reset),
        sends(good_response()),
    ]));
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    let outcomes: Vec<Option<Cause>> = (0..5).map(|_| cause(fetcher.fetch_once())).collect();
    assert_eq!(outcomes, [None, None, None, Some(Cause::Connect), None]);
    assert_eq!(server.server.connections.load(Ordering::SeqCst), 4);
}

#[test]
fn a_source_recovers_after_connection_and_dns_errors() {
    let server = FaultServer::start(script(vec![sends(good_response())]));
    let refused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("loopback");
    // A label of more than 63 characters: no resolver has to be asked.
    let nowhere = format!("http://{}.invalid/", "x".repeat(70));
    for (url, expected) in [
        (format!("http://{refused}/"), Cause::Connect),
        (nowhere, Cause::Dns),
    ] {
        let (bad, good) = (get_url(&url), get_url(&server.url()));
        let request_count = AtomicUsize::new(0);
        let request: Box<SendRequest> = Box::new(move |agent| {
            match request_count.fetch_add(1, Ordering::SeqCst) {
                // Once, then for long.
                0 | 2..=6 => bad(agent),
                _ => good(agent),
            }
        });
        let mut fetcher = fetcher(request, short_timeout(), clock_at_noon());
        for attempt in 0..8 {
            let expected = matches!(attempt, 0 | 2..=6).then_some(expected);
            assert_eq!(cause(fetcher.fetch_once()), expected, "{url} {attempt}");
        }
    }
}

#[test]
fn connecting_to_a_full_listen_queue_times_out() {
    let (listener, _waiting) = full_listener();
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let mut fetcher = fetcher(get_url(&url), short_timeout(), clock_at_noon());
    assert_eq!(cause(fetcher.fetch_once()), Some(Cause::Timeout));
}

#[test]
fn the_end_of_a_body_is_marked_or_not() {
    let ok = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes();
    for (name, bytes, expected) in [
        ("a length", good_response(), true),
        (
            "chunks",
            ok("Transfer-Encoding: chunked\r\n\r\n3\r\na,b\r\n0\r\n\r\n"),
            true,
        ),
        ("until the connection ends", ok("\r\na,b\nc,"), false),
        (
            "gzip until it ends",
            [ok("\r\n"), gzip(b"a,b\nc,")].concat(),
            true,
        ),
        (
            "text that is called gzip",
            ok("Content-Encoding: gzip\r\n\r\na,b\nc,"),
            false,
        ),
    ] {
        let server = FaultServer::start(Arc::new(move |_, wire, _| {
            send(wire, &bytes);
            AfterResponse::Close
        }));
        let transport = Transport::new(long_timeout()).expect("the settings are good");
        let request = get_url(&server.url());
        let fetched = transport.fetch(clock_at_noon().now(), &Validators::default(), &*request);
        let fetched = fetched.expect("readable");
        assert_eq!(fetched.is_end_marked, expected, "{name}");
    }
}
