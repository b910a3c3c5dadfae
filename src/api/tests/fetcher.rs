//! What fetching does over several turns: conditions, redirects, kept connections, names,
//! certificates, the stop, and a thousand faults in a row. Test-only.

use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::agent::TransportSettings;
use super::connect_error::ConnectError;
use super::error_context::{ErrorContext, ResponsePart};
use super::error_mapping::classify_error;
use super::fault_server::{Act, AfterResponse, FaultServer, response, send};
use super::faults::{
    clock_at_noon, fault_cases, fetcher, good_response, gzip, long_timeout, short_timeout,
    test_plan,
};
use super::fetcher::{Fetcher, QuotaHandle, SourceSettings};
use super::transport::SendRequest;
use super::url_source;
use crate::domain::failure::Cause;
use crate::domain::health::SourceHealth;
use crate::domain::plan::SourcePlan;
use crate::domain::quota::SavedQuota;
use crate::domain::reading::{FetchOutcome, Observation};
use crate::domain::redact::Secrets;
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::golden;
use crate::limits;
use crate::sys::clock::{Clock, ManualClock};
use crate::sys::shutdown::StopSource;

fn cause(observation: Option<Observation>) -> Option<Cause> {
    match observation.expect("nobody cancels").outcome {
        FetchOutcome::Failed { failure, .. } => Some(failure.cause),
        FetchOutcome::Readings { .. } | FetchOutcome::Unchanged | FetchOutcome::Empty => None,
    }
}

fn get_url(url: &str) -> Box<SendRequest> {
    url_source::prepare_request(url, &[], &[]).expect("a URL")
}

/// Answers the nth request with the nth of `acts`, and the rest with the last.
fn script(acts: Vec<Box<Act>>) -> Arc<Act> {
    let turn = AtomicUsize::new(0);
    Arc::new(move |head, wire, server| {
        let nth = turn.fetch_add(1, Ordering::SeqCst).min(acts.len() - 1);
        acts[nth](head, wire, server)
    })
}

fn sends(bytes: Vec<u8>) -> Box<Act> {
    Box::new(move |_, wire, _| {
        if send(wire, &bytes) {
            AfterResponse::Keep
        } else {
            AfterResponse::Close
        }
    })
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[test]
fn odd_answers_that_can_be_read_are_read() {
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
        let outcome = fetcher.fetch_once().expect("nobody cancels").outcome;
        let FetchOutcome::Readings { readings, .. } = outcome else {
            panic!("{name}: {outcome:?}");
        };
        assert_eq!(readings[0].value.to_string(), expected, "{name}");
    }
}

#[test]
fn an_unchanged_answer_is_asked_for_and_a_bad_one_is_never_confirmed() {
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

fn failure(observation: Option<Observation>) -> Option<(Cause, String)> {
    match observation.expect("nobody cancels").outcome {
        FetchOutcome::Failed { failure, .. } => Some((failure.cause, failure.detail)),
        FetchOutcome::Readings { .. } | FetchOutcome::Unchanged | FetchOutcome::Empty => None,
    }
}

#[test]
fn nothing_that_an_answer_from_outside_names_leads_inside() {
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
fn from_outside_a_redirect_leads_outside_and_from_inside_to_the_same_machine() {
    let outside = FaultServer::start_at(OUTSIDE, script(vec![sends(good_response())]));
    let there = format!("http://{}/x", outside.address);
    let server = FaultServer::start_at(OUTSIDE, script(vec![moved("/on"), moved(&there)]));
    let mut from_outside = fetcher(get_url(&server.url()), with_an_outside(), clock_at_noon());
    assert_eq!(failure(from_outside.fetch_once()), None);

    let inside = FaultServer::start(script(vec![sends(good_response())]));
    let port = inside.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let other_port = moved(&format!("http://{host}:{port}/x"));
        let server = FaultServer::start(script(vec![moved("/on"), other_port]));
        let mut from_inside = fetcher(get_url(&server.url()), with_an_outside(), clock_at_noon());
        assert_eq!(failure(from_inside.fetch_once()), None, "{host}");
    }
    let server = FaultServer::start(script(vec![moved(&there)]));
    let mut from_inside = fetcher(get_url(&server.url()), with_an_outside(), clock_at_noon());
    let (cause, detail) = failure(from_inside.fetch_once()).expect("it is refused");
    assert_eq!(cause, Cause::Redirect, "{detail}");
    assert!(detail.contains("another machine"), "{detail}");
    assert_eq!(outside.server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn behind_a_proxy_names_decide_since_nobody_knows_what_it_connects_to() {
    for (target, refused) in [
        ("http://1.1.1.1:81/x", None),
        ("http://9.9.9.9/x", None),
        ("http://127.0.0.1/x", Some("inside this network")),
        ("http://localhost/x", Some("inside this network")),
        ("http://[::ffff:192.168.1.1]/x", Some("inside this network")),
    ] {
        let target = target.to_owned();
        let proxy = FaultServer::start(Arc::new(move |head: &str, wire, _: &_| {
            let said = match head.split(' ').next() {
                Some("CONNECT") => send(wire, "HTTP/1.1 200 Connected\r\n\r\n"),
                _ if head.contains("/data") => {
                    let place = format!("Location: {target}\r\n");
                    send(wire, response("302 Found", &place, ""))
                }
                _ => send(wire, good_response()),
            };
            if said {
                AfterResponse::Keep
            } else {
                AfterResponse::Close
            }
        }));
        let settings = TransportSettings {
            proxy: Some(format!("http://{}", proxy.address)),
            ..long_timeout()
        };
        let mut fetcher = fetcher(get_url("http://1.1.1.1/data"), settings, clock_at_noon());
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
fn a_list_of_nothing_is_a_good_answer_and_a_missing_record_is_not() {
    let server = FaultServer::start(script(vec![sends(response("200 OK", "", "[]"))]));
    let mut source = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    assert_eq!(cause(source.fetch_once()), Some(Cause::Empty));
    source.select_all_leaves();
    let observation = source.fetch_once().expect("nobody cancels");
    assert_eq!(observation.outcome, FetchOutcome::Empty);
    assert!(
        source
            .log_lines(&observation)
            .iter()
            .all(|it| it.0 == log::Level::Info)
    );
}

#[test]
fn a_refused_request_says_where_its_credentials_went_and_what_a_403_is_about() {
    let sent_on = FaultServer::start(script(vec![sends(response(
        "401 Unauthorized",
        "WWW-Authenticate: Basic realm=\"x\"\r\n",
        "",
    ))]));
    let place = format!("Location: http://{}/x\r\n", sent_on.address);
    let first = FaultServer::start(script(vec![sends(response("302 Found", &place, ""))]));
    let headers = [("Authorization".to_owned(), "Bearer topsecret".to_owned())];
    let request = url_source::prepare_request(&first.url(), &[], &headers).expect("a URL");
    let (_, detail) =
        failure(fetcher(request, long_timeout(), clock_at_noon()).fetch_once()).expect("401");
    let expected = format!(
        "{0} answers 401 Unauthorized: http://{1} redirects to http://{0}, and credentials \
         and headers are not sent to another server or port; write http://{0} in this source",
        sent_on.address, first.address
    );
    assert_eq!(detail, expected);
    let heads = sent_on.server.heads.lock().expect("no act panics").clone();
    assert!(!heads[0].contains("topsecret"));
    assert!(
        heads[0].contains("accept: application/json"),
        "{}",
        heads[0]
    );

    for (name, head, body, expected) in [
        (
            "a quota",
            "",
            "{\"message\": \"API rate limit exceeded\"}",
            "a limit or quota",
        ),
        (
            "nothing left",
            "X-RateLimit-Remaining: 0\r\n",
            "",
            "a limit or quota",
        ),
        (
            "forbidden",
            "",
            "{\"error\": \"forbidden\"}",
            "do not allow this",
        ),
    ] {
        let server = FaultServer::start(script(vec![sends(response("403 Forbidden", head, body))]));
        let found =
            failure(fetcher(get_url(&server.url()), long_timeout(), clock_at_noon()).fetch_once());
        let (cause, detail) = found.expect("it is refused");
        assert_eq!(cause, Cause::HttpStatus, "{name}");
        assert!(detail.contains(expected), "{name}: {detail}");
    }
}

#[test]
fn a_secret_that_a_server_repeats_is_in_no_text_that_the_node_makes_of_it() {
    let secret = "hunter2-0123456789";
    let bodies = [
        format!("{{\"t\": \"the key {secret} is wrong\"}}"),
        format!("{{\"{secret}\": {{\"x\": true}}}}"),
        format!("not JSON, but {secret}"),
        format!("<html>{secret}</html>"),
        format!("{{\"t\": 1, \"{secret}\""),
        format!("{{\"t\": \"a long text that ends with the key {secret}\"}}"),
    ];
    for body in bodies {
        let server = FaultServer::start(script(vec![sends(response("200 OK", "", &body))]));
        let headers = [("X-Key".to_owned(), secret.to_owned())];
        let settings = SourceSettings {
            index: 0,
            plan: test_plan(),
            request: url_source::prepare_request(&server.url(), &[], &headers).expect("a URL"),
            operation: None,
            follow: None,
            transport: long_timeout(),
            quota: None,
            secrets: Arc::new(Secrets::new([secret.to_owned()])),
        };
        let mut fetcher = Fetcher::new(settings, clock_at_noon()).expect("the settings are good");
        let observation = fetcher.fetch_once().expect("nobody cancels");
        let lines = fetcher.log_lines(&observation);
        let said = format!("{observation:?}{lines:?}");
        assert!(said.contains("Failed"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_kept_connection_that_the_server_has_closed_is_no_failure() {
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
fn a_refused_connection_and_an_unknown_name_heal_too() {
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
        let turn = AtomicUsize::new(0);
        let request: Box<SendRequest> = Box::new(move |agent| {
            match turn.fetch_add(1, Ordering::SeqCst) {
                // Once, then for long.
                0 | 2..=6 => bad(agent),
                _ => good(agent),
            }
        });
        let mut fetcher = fetcher(request, short_timeout(), clock_at_noon());
        for turn in 0..8 {
            let expected = matches!(turn, 0 | 2..=6).then_some(expected);
            assert_eq!(cause(fetcher.fetch_once()), expected, "{url} {turn}");
        }
    }
}

#[test]
fn a_request_is_written_down_before_it_goes_out_and_failures_and_redirects_count() {
    let server = FaultServer::start(script(vec![
        sends(response("302 Found", "Location: /here\r\n", "")),
        sends(response("500 Oops", "", "")),
    ]));
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    let share = Duration::from_secs(1_000);
    fetcher.limit_requests(share);
    let stop = StopSource::new();
    let stopping = stop.token();
    let written = Arc::new(Mutex::new(Vec::new()));
    let (notes, heads) = (written.clone(), server.server.clone());
    let ration = QuotaHandle {
        carried: SavedQuota::Nothing,
        reserve: Box::new(move |reserved| {
            let sent = heads.heads.lock().expect("no act panics").len();
            notes.lock().expect("whole").push((sent, reserved.ahead));
        }),
    };
    let mut waits = Vec::new();
    fetcher.run(&stopping, ration, |observation| {
        waits.push(observation.next_in);
        stop.stop();
    });
    let written = written.lock().expect("whole");
    assert_eq!(written[..], [(0, share), (2, share * 2)]);
    assert_eq!(waits, [share * 2], "two requests were spent");
}

#[test]
fn a_source_that_is_nudged_is_asked_early_but_not_again_and_again() {
    /// How long a source waits really, between its first and its second answer.
    fn pause(every: Duration, since_the_first: Duration) -> Duration {
        let good = || sends(response("200 OK", "", r#"{"t": 1}"#));
        let server = FaultServer::start(script(vec![good(), good()]));
        let clock = clock_at_noon();
        let settings = SourceSettings {
            index: 0,
            plan: SourcePlan {
                every,
                ..test_plan()
            },
            request: get_url(&server.url()),
            operation: None,
            follow: None,
            transport: long_timeout(),
            quota: None,
            secrets: Arc::default(),
        };
        let fetcher = Fetcher::new(settings, clock.clone()).expect("the settings are good");
        let stop = StopSource::new();
        let stopping = stop.token();
        let nudges = stopping.clone();
        let mut answers = Vec::new();
        fetcher.run(&stopping, QuotaHandle::none(), |_| {
            answers.push(Instant::now());
            match answers.len() {
                1 => {
                    clock.advance(since_the_first);
                    nudges.wake();
                }
                _ => stop.stop(),
            }
        });
        answers[1] - answers[0]
    }
    let hour = Duration::from_secs(3600);
    assert!(pause(hour, limits::EARLY_PROBE_INTERVAL) < Duration::from_secs(60));
    let short = Duration::from_millis(300);
    assert!(pause(short, Duration::ZERO) >= short / 2, "it sleeps on");
}

#[test]
fn an_answer_that_is_one_long_name_is_shown_shortened() {
    let name = "k".repeat(90_000);
    let body = format!("{{\"{name}\": 1}}");
    let server = FaultServer::start(script(vec![sends(response("200 OK", "", body))]));
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    fetcher.select_all_leaves();
    let outcome = fetcher.fetch_once().expect("nobody cancels").outcome;
    let FetchOutcome::Failed { failure, issues } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(issues.len(), 1);
    assert!(format!("{failure}{issues:?}").len() < 1_000, "{failure}");
}

/// A listener whose queue is full: the kernel answers no more connections.
fn deaf_listener() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    // SAFETY: the descriptor is a bound socket; this only shortens its queue.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let address = listener.local_addr().expect("bound");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 64, "the queue never fills");
    }
    (listener, waiting)
}

#[test]
fn the_stop_interrupts_a_fetch_that_hangs_wherever_it_hangs() {
    let silent = FaultServer::start(script(vec![Box::new(|_, wire, server| {
        server.hold(wire);
        AfterResponse::Close
    })]));
    let dripping = FaultServer::start(script(vec![Box::new(|_, wire, server| {
        send(wire, "HTTP/1.1 200 OK\r\n\r\n{");
        server.hold(wire);
        AfterResponse::Close
    })]));
    let (listener, _waiting) = deaf_listener();
    let deaf = listener.local_addr().expect("bound");
    for url in [silent.url(), dripping.url(), format!("http://{deaf}/")] {
        let settings = TransportSettings {
            timeout: Duration::from_secs(60),
            ..TransportSettings::default()
        };
        let fetcher = fetcher(get_url(&url), settings, clock_at_noon());
        let stop = StopSource::new();
        let stopping = stop.token();
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let deliver = delivered.clone();
        let thread = std::thread::spawn(move || {
            fetcher.run(&stopping, QuotaHandle::none(), |it| {
                deliver.lock().expect("whole").push(it)
            });
        });
        std::thread::park_timeout(Duration::from_millis(150));
        let begun = Instant::now();
        stop.stop();
        thread.join().expect("no panic");
        assert!(begun.elapsed() < Duration::from_secs(5), "{url}");
        assert_eq!(
            *delivered.lock().expect("whole"),
            [],
            "a stop is no failure"
        );
    }
}

#[test]
fn a_connection_that_nobody_takes_times_out() {
    let (listener, _waiting) = deaf_listener();
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let mut fetcher = fetcher(get_url(&url), short_timeout(), clock_at_noon());
    assert_eq!(cause(fetcher.fetch_once()), Some(Cause::Timeout));
}

#[test]
fn a_panic_costs_its_turn_and_nothing_else() {
    let server = FaultServer::start(script(vec![sends(good_response())]));
    let good = get_url(&server.url());
    let turn = AtomicUsize::new(0);
    let request: Box<SendRequest> =
        Box::new(move |agent| match turn.fetch_add(1, Ordering::SeqCst) {
            1 => panic!("on purpose"),
            _ => good(agent),
        });
    let mut fetcher = fetcher(request, long_timeout(), clock_at_noon());
    let outcomes: Vec<Option<Cause>> = (0..3).map(|_| cause(fetcher.fetch_once())).collect();
    assert_eq!(outcomes, [None, Some(Cause::Protocol), None]);
}

#[test]
fn failures_back_off_and_an_ordered_wait_is_kept() {
    let server = FaultServer::start(script(vec![
        sends(response("500 Oops", "", "")),
        sends(response("500 Oops", "", "")),
        sends(response("500 Oops", "", "")),
        sends(response("429 Slow", "Retry-After: 900\r\n", "")),
        sends(good_response()),
    ]));
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    let waits: Vec<u64> = (0..5)
        .map(|_| {
            fetcher
                .fetch_once()
                .expect("nobody cancels")
                .next_in
                .as_secs()
        })
        .collect();
    for (wait, (least, most)) in
        waits
            .iter()
            .zip([(60, 66), (120, 132), (240, 264), (900, 900), (60, 60)])
    {
        assert!((least..=most).contains(wait), "{waits:?}");
    }
}

#[test]
fn a_thousand_random_faults_end_with_a_healthy_node_and_exact_counters() {
    let rows: Vec<_> = fault_cases()
        .into_iter()
        .filter(|row| !row.is_slow)
        .collect();
    let faults: Vec<_> = rows.iter().map(|row| row.fault).collect();
    let chosen = Arc::new(AtomicUsize::new(usize::MAX));
    let choice = chosen.clone();
    let act: Arc<Act> =
        Arc::new(
            move |head, wire, server| match faults.get(choice.load(Ordering::SeqCst)) {
                Some(fault) => fault(head, wire, server),
                None => {
                    if send(wire, good_response()) {
                        AfterResponse::Keep
                    } else {
                        AfterResponse::Close
                    }
                }
            },
        );
    let server = FaultServer::start(act);
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    let mut random = fastrand::Rng::with_seed(1_795_435_200);
    let mut health = SourceHealth::default();
    let mut expected = std::collections::BTreeMap::new();
    for _ in 0..1_000 {
        let index = random.usize(..rows.len() + 20);
        chosen.store(index, Ordering::SeqCst);
        if let Some(row) = rows.get(index) {
            *expected.entry(row.cause).or_insert(0_u64) += 1;
        }
        health.record(&fetcher.fetch_once().expect("nobody cancels"));
    }
    chosen.store(usize::MAX, Ordering::SeqCst);
    health.record(&fetcher.fetch_once().expect("nobody cancels"));
    assert_eq!(health.attempts, 1_001);
    assert_eq!(health.failures, expected);
    assert_eq!(health.failures_in_a_row, 0);
}

// ---- Certificates ----------------------------------------------------------------------

struct TestCertificate {
    config: Arc<rustls::ServerConfig>,
    /// What would have to be trusted.
    pem: String,
}

fn certify(name: &str, years: (i32, i32)) -> TestCertificate {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a good name");
    parameters.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let certificate = parameters.self_signed(&key).expect("a certificate");
    let der = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let chain = vec![certificate.der().clone()];
            builder.with_no_client_auth().with_single_cert(chain, der)
        })
        .expect("a good configuration");
    TestCertificate {
        config: Arc::new(config),
        pem: certificate.pem(),
    }
}

/// A directory of the test's own, gone when it ends.
struct ScratchFile(std::path::PathBuf);

impl ScratchFile {
    fn new(name: &str) -> ScratchFile {
        let path = std::env::temp_dir().join(format!("main-node-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a writable directory");
        ScratchFile(path)
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn certificates_are_judged_and_an_own_one_can_be_trusted() {
    let scratch = ScratchFile::new("certificates");
    let mut lines = String::new();
    let mut tell = |name: &str, fetched: Option<Observation>, server: &FaultServer| {
        let outcome = fetched.expect("nobody cancels").outcome;
        let words = match &outcome {
            FetchOutcome::Failed { failure, .. } => failure.to_string(),
            _ => "fine".to_owned(),
        };
        let words = words.replace(&server.address.to_string(), "HOST");
        lines += &format!("{name}\n    {words}\n");
        match outcome {
            FetchOutcome::Failed { failure, .. } => Some(failure.cause),
            _ => None,
        }
    };
    let secure =
        |server: &FaultServer| get_url(&format!("https://{}/x?key=topsecret", server.address));
    for (name, host, years, trusted, expected) in [
        (
            "self-signed",
            "127.0.0.1",
            (2020, 2120),
            false,
            Some(Cause::Tls),
        ),
        (
            "self-signed and in ca_file",
            "127.0.0.1",
            (2020, 2120),
            true,
            None,
        ),
        ("expired", "127.0.0.1", (2020, 2021), true, Some(Cause::Tls)),
        (
            "not valid yet",
            "127.0.0.1",
            (2119, 2120),
            true,
            Some(Cause::Tls),
        ),
        (
            "for another name",
            "other.example",
            (2020, 2120),
            true,
            Some(Cause::Tls),
        ),
    ] {
        let certified = certify(host, years);
        let file = scratch.0.join("ca.pem");
        std::fs::write(&file, &certified.pem).expect("a writable directory");
        let settings = TransportSettings {
            ca_file: trusted.then_some(file),
            ..long_timeout()
        };
        let server = FaultServer::start_tls(script(vec![sends(good_response())]), certified.config);
        let mut fetcher = fetcher(secure(&server), settings, clock_at_noon());
        assert_eq!(cause(fetcher.fetch_once()), expected, "{name}");
        assert_eq!(
            tell(name, fetcher.fetch_once(), &server),
            expected,
            "{name}"
        );
    }

    let certified = certify("127.0.0.1", (2119, 2120));
    let unset = ManualClock::new(Moment {
        trust: ClockTrust::Untrusted,
        ..clock_at_noon().now()
    });
    let file = scratch.0.join("ca.pem");
    std::fs::write(&file, &certified.pem).expect("a writable directory");
    let settings = TransportSettings {
        ca_file: Some(file),
        ..long_timeout()
    };
    let server = FaultServer::start_tls(script(vec![sends(good_response())]), certified.config);
    let mut behind = fetcher(secure(&server), settings, Arc::new(unset));
    let found = tell(
        "not valid yet, by a clock that nobody set",
        behind.fetch_once(),
        &server,
    );
    assert_eq!(found, Some(Cause::Clock));

    // A server that waits for a request in plain HTTP, and one that speaks first.
    let server = FaultServer::start(script(vec![sends(good_response())]));
    let mut plain = fetcher(secure(&server), short_timeout(), clock_at_noon());
    let found = tell("silent instead of TLS", plain.fetch_once(), &server);
    assert_eq!(found, Some(Cause::Timeout));
    let server = FaultServer::start_speaking("HTTP/1.1 400 Bad Request\r\n\r\n");
    let mut plain = fetcher(secure(&server), long_timeout(), clock_at_noon());
    let found = tell("plain HTTP instead of TLS", plain.fetch_once(), &server);
    assert_eq!(found, Some(Cause::Tls));

    // At 1970 nothing is tried over TLS, and everything is when the clock is set.
    let certified = certify("127.0.0.1", (2020, 2120));
    let file = scratch.0.join("ca.pem");
    std::fs::write(&file, &certified.pem).expect("a writable directory");
    let settings = TransportSettings {
        ca_file: Some(file),
        ..long_timeout()
    };
    let server = FaultServer::start_tls(script(vec![sends(good_response())]), certified.config);
    let clock = Arc::new(ManualClock::new(Moment {
        mono: Mono(1_000),
        wall: Wall(60_000),
        trust: ClockTrust::Untrusted,
    }));
    let mut early = fetcher(secure(&server), settings, clock.clone());
    for _ in 0..3 {
        assert_eq!(cause(early.fetch_once()), Some(Cause::Clock));
    }
    tell("at 1970", early.fetch_once(), &server);
    assert_eq!(server.server.connections.load(Ordering::SeqCst), 0);
    clock.set(clock_at_noon().now());
    assert_eq!(cause(early.fetch_once()), None);
    golden::check("certificates.txt", &lines);
}

#[test]
fn what_is_wrong_with_a_ca_file_is_said_before_anything_is_fetched() {
    let scratch = ScratchFile::new("ca-file");
    let file = scratch.0.join("ca.pem");
    let wrong = |text: Option<&str>| {
        match text {
            Some(text) => std::fs::write(&file, text).expect("a writable directory"),
            None => drop(std::fs::remove_file(&file)),
        }
        let settings = TransportSettings {
            ca_file: Some(file.clone()),
            ..TransportSettings::default()
        };
        let said = super::transport::Transport::new(settings).err();
        said.map(|said| said.replace(&file.display().to_string(), "FILE"))
    };
    let good = certify("127.0.0.1", (2020, 2120)).pem;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, expected) in [
        (Some(good.as_str()), None),
        (
            Some("nothing"),
            Some("FILE holds no certificate: expected -----BEGIN CERTIFICATE-----"),
        ),
        (
            Some(broken),
            Some("FILE: certificate 1 is not a certificate in PEM form"),
        ),
        (
            Some(&format!("{good}{broken}")),
            Some("FILE: certificate 2 is not a certificate in PEM form"),
        ),
        (None, Some("FILE cannot be read: no such file or directory")),
    ] {
        assert_eq!(wrong(text).as_deref(), expected);
    }
}

// ---- Attribution of what no test can bring about ---------------------------------------

#[test]
fn errors_of_the_system_and_the_library_have_one_cause_each() {
    let os = |code: i32| io::Error::from_raw_os_error(code);
    let connect = |code| ureq::Error::from(ConnectError::Connect(os(code)));
    let lookup = |text: &str| {
        let text = format!("failed to lookup address information: {text}");
        ureq::Error::from(ConnectError::Lookup(io::Error::other(text)))
    };
    let scene = |part| ErrorContext {
        host: "HOST",
        part,
        timeout: Duration::from_secs(30),
        body_limit: limits::BODY_BYTES,
        has_ca_file: false,
        now: clock_at_noon().now(),
    };
    use ResponsePart::{Body, Head};
    let secret = || "https://user:topsecret@host/?key=topsecret".to_owned();
    let mut lines = String::new();
    for (name, part, error) in [
        ("ECONNREFUSED", Head, connect(libc::ECONNREFUSED)),
        ("EHOSTUNREACH", Head, connect(libc::EHOSTUNREACH)),
        ("ENETUNREACH", Head, connect(libc::ENETUNREACH)),
        ("ENETDOWN", Head, connect(libc::ENETDOWN)),
        ("EADDRNOTAVAIL", Head, connect(libc::EADDRNOTAVAIL)),
        ("EACCES", Head, connect(libc::EACCES)),
        ("EMFILE", Head, connect(libc::EMFILE)),
        ("ECONNRESET on connecting", Head, connect(libc::ECONNRESET)),
        (
            "connecting for too long",
            Head,
            ConnectError::ConnectTimeout.into(),
        ),
        (
            "unknown name (glibc)",
            Head,
            lookup("Name or service not known"),
        ),
        ("unknown name (musl)", Head, lookup("Name does not resolve")),
        (
            "no name server (glibc)",
            Head,
            lookup("Temporary failure in name resolution"),
        ),
        ("no name server (musl)", Head, lookup("Try again")),
        (
            "a lookup for too long",
            Head,
            ConnectError::LookupTimeout.into(),
        ),
        ("EPIPE", Head, ureq::Error::Io(os(libc::EPIPE))),
        (
            "ENETUNREACH later",
            Body,
            ureq::Error::Io(os(libc::ENETUNREACH)),
        ),
        (
            "ETIMEDOUT later",
            Body,
            ureq::Error::Io(os(libc::ETIMEDOUT)),
        ),
        ("no address", Head, ureq::Error::HostNotFound),
        ("BadUri", Head, ureq::Error::BadUri(secret())),
        (
            "RequireHttpsOnly",
            Head,
            ureq::Error::RequireHttpsOnly(secret()),
        ),
        (
            "ConnectProxyFailed",
            Head,
            ureq::Error::ConnectProxyFailed(secret()),
        ),
        ("Tls", Head, ureq::Error::Tls("topsecret")),
        ("Other", Head, ureq::Error::Other(secret().into())),
        ("TooManyRedirects", Head, ureq::Error::TooManyRedirects),
        ("StatusCode", Head, ureq::Error::StatusCode(503)),
        (
            "a TLS alert",
            Head,
            ureq::Error::Rustls(rustls::Error::AlertReceived(
                rustls::AlertDescription::HandshakeFailure,
            )),
        ),
    ] {
        let failure = classify_error(&error, scene(part)).expect("nobody stops");
        lines += &format!("{name}\n    {failure}\n");
    }
    assert!(!lines.contains("secret"), "{lines}");
    assert_eq!(
        classify_error(&ConnectError::Stopped.into(), scene(Head)),
        None
    );
    golden::check("attribution.txt", &lines);
}
