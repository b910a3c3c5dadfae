//! HTTP parser tests, as tables: valid heads, invalid heads with their status, and random
//! bytes, which must not panic or give two errors for one bad request.

use super::*;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn take(bytes: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    let mut buffer = RequestBuffer::default();
    buffer.add(bytes);
    buffer.next_head(PEER)
}

fn status(bytes: &[u8]) -> u16 {
    match take(bytes) {
        Ok(Some(_)) => 200,
        Ok(None) => 0,
        Err(refusal) => refusal.status,
    }
}

#[test]
fn valid_heads_become_requests() {
    // Sent; target; host; keep-alive.
    let rows: &[(&str, &str, Option<&str>, bool)] = &[
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "/", Some("a"), true),
        (
            "GET /x?y=%20 HTTP/1.1\r\nHost: a:8000\r\n\r\n",
            "/x?y=%20",
            Some("a:8000"),
            true,
        ),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "/", Some(""), true),
        (
            "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
            "/",
            Some("[::1]:80"),
            true,
        ),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "/", Some("a"), true),
        ("GET / HTTP/1.0\r\n\r\n", "/", None, false),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            "/",
            None,
            true,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "/",
            Some("a"),
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: y, CLOSE\r\n\r\n",
            "/",
            Some("a"),
            false,
        ),
        // Small clients end lines in LF alone.
        ("GET / HTTP/1.1\nHost: a\n\n", "/", Some("a"), true),
        ("GET / HTTP/1.1\nHost: a\n\r\n", "/", Some("a"), true),
        ("GET / HTTP/1.0\n\n", "/", None, false),
        // An empty line before a request is skipped.
        (
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "/",
            Some("a"),
            true,
        ),
        // Absolute form: the target's host counts.
        (
            "GET http://b:80/p?q HTTP/1.1\r\nHost: a\r\n\r\n",
            "/p?q",
            Some("b:80"),
            true,
        ),
        (
            "GET HTTP://b HTTP/1.1\r\nHost: a\r\n\r\n",
            "/",
            Some("b"),
            true,
        ),
        (
            "GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n",
            "/?q",
            Some("b"),
            true,
        ),
        // No body, with and without `Content-Length`.
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "/",
            Some("a"),
            true,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n",
            "/",
            Some("a"),
            true,
        ),
        // `Upgrade` is ignored, but to a WebSocket.
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
            "/",
            Some("a"),
            true,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
            "/",
            Some("a"),
            true,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
            "/",
            Some("a"),
            true,
        ),
        (
            "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "/",
            Some("a"),
            true,
        ),
        (
            "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "/",
            Some("a"),
            false,
        ),
    ];
    for (sent, target, host, keep_alive) in rows {
        let head = match take(sent.as_bytes()) {
            Ok(Some(head)) => head,
            other => panic!("{sent:?} gave {other:?}"),
        };
        assert_eq!(head.request.target, *target, "{sent:?}");
        assert_eq!(head.request.header("host"), *host, "{sent:?}");
        assert_eq!(head.keep_alive, *keep_alive, "{sent:?}");
        assert_eq!(head.request.is_head, sent.starts_with("HEAD"), "{sent:?}");
    }
}

#[test]
fn invalid_heads_are_rejected_with_the_right_status() {
    let head = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let many = "X: y\r\n".repeat(limits::REQUEST_HEADERS);
    let long_value = format!("X: {}\r\n", "y".repeat(limits::REQUEST_HEAD_BYTES));
    let long_target = format!(
        "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
        "y".repeat(limits::REQUEST_HEAD_BYTES)
    );
    let rows: Vec<(u16, String)> = vec![
        // No request at all.
        (400, "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03".into()),
        (400, "\r\n".repeat(100)),
        (400, "GET\r\n\r\n".into()),
        (400, "GET /\r\n\r\n".into()),
        (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n".into()),
        (400, "GET / http/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET / HTTX/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET / HTTP/1.1x\r\nHost: a\r\n\r\n".into()),
        (400, "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        // Other versions.
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".into()),
        (505, "GET / HTTP/3.0\nHost: a\n\n".into()),
        (505, "GET / HTTP/0.9\r\n\r\n".into()),
        // WebSockets.
        (426, head("Connection: Upgrade\r\nUpgrade: websocket\r\n")),
        (
            426,
            head(
                "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: x\r\n",
            ),
        ),
        (
            426,
            head("Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c , websocket\r\n"),
        ),
        // Hosts.
        (400, "GET / HTTP/1.1\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into()),
        (400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into()),
        // Lines.
        (400, head("X : y\r\n")),
        (400, head(" X: y\r\n")),
        (400, head("X: y\r\n z\r\n")),
        (400, head("X y\r\n")),
        (400, head(": y\r\n")),
        (400, head("X: a\0b\r\n")),
        (400, head("X: a\rb\r\n")),
        (400, head("X\u{e4}: y\r\n")),
        // Bodies, and framing that two parsers could read differently.
        (413, head("Content-Length: 1\r\n")),
        (413, head("Content-Length: 1000000000000\r\n")),
        (413, head("Expect: 100-continue\r\nContent-Length: 5\r\n")),
        (400, head("Content-Length: 0\r\nContent-Length: 0\r\n")),
        (400, head("Content-Length: 3\r\nContent-Length: 4\r\n")),
        (400, head("Content-Length: 0, 0\r\n")),
        (400, head("Content-Length: +0\r\n")),
        (400, head("Content-Length: -1\r\n")),
        (400, head("Content-Length: 0x0\r\n")),
        (400, head("Content-Length: \r\n")),
        (400, head("Content-Length: 99999999999999999999999\r\n")),
        (400, head("Transfer-Encoding: chunked\r\n")),
        (400, head("Transfer-Encoding: identity\r\n")),
        (
            400,
            head("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        ),
        (
            400,
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        ),
        (
            400,
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
                .into(),
        ),
        (417, head("Expect: the-spanish-inquisition\r\n")),
        // Methods.
        (
            405,
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n".into(),
        ),
        (
            405,
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        ),
        (405, "POST * HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "POST / HTTP/1.1\r\n\r\n".into()),
        (400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "OPTIONS a HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (400, "OPTIONS * HTTP/1.1\r\n\r\n".into()),
        (
            413,
            "OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx".into(),
        ),
        (405, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".into()),
        (405, "get / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (405, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        // Sizes.
        (431, head(&many)),
        (431, head(&long_value)),
        (414, long_target),
        (414, "G".repeat(limits::REQUEST_HEAD_BYTES)),
    ];
    for (expected, sent) in rows {
        let mut sent = sent.into_bytes();
        sent.truncate(limits::REQUEST_HEAD_BYTES);
        let shown: String = String::from_utf8_lossy(&sent).chars().take(120).collect();
        assert_eq!(status(&sent), expected, "{shown:?}");
    }
}

#[test]
fn connection_headers_and_private_headers_are_removed() {
    let sent = "GET / HTTP/1.1\r\nHost: a\r\nTE: a;q=nan, b;q=nan\r\nX-Pool-Peer: 1.2.3.4\r\n\
                x-pool-ping: 1\r\nConnection: keep-alive\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n\
                Content-Length: 0\r\nX-Display-Name:  K\u{fc}che \r\n\r\n";
    let head = take(sent.as_bytes()).expect("good").expect("whole");
    let expected = [("host", "a"), ("x-display-name", "K\u{fc}che")];
    let found: Vec<_> = head
        .request
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn options_takes_a_path_or_an_asterisk_and_other_methods_only_a_path() {
    for (line, target, method) in [
        ("OPTIONS * HTTP/1.1", "*", Method::Options),
        ("OPTIONS /a?b HTTP/1.1", "/a?b", Method::Options),
        ("OPTIONS http://a/b HTTP/1.1", "/b", Method::Options),
        ("GET /a HTTP/1.1", "/a", Method::Read),
        ("HEAD /a HTTP/1.1", "/a", Method::Read),
    ] {
        let sent = format!("{line}\r\nHost: a\r\n\r\n");
        let head = take(sent.as_bytes()).expect("good").expect("whole");
        assert_eq!(head.request.target, target);
        assert_eq!(head.method, method, "{line}");
    }
    let refused = take(b"PUT /a?b HTTP/1.1\r\nHost: a\r\n\r\n").expect_err("no POST");
    let request = refused.request.expect("it could be read");
    assert_eq!((refused.status, &*request.target), (405, "/a?b"));
}

#[test]
fn a_post_says_how_long_its_body_is() {
    let largest = limits::POST_BODY_BYTES;
    let one_more = largest + 1;
    let broken = |status, rejection| Err((status, rejection));
    for (fields, length, expects_continue) in [
        ("Content-Length: 0", Ok(0), false),
        (&*format!("Content-Length: {largest}"), Ok(4096), false),
        (
            &*format!("Content-Length: {one_more}"),
            broken(413, Rejection::BodyNotAllowed),
            false,
        ),
        (
            "Content-Length: 1000000000000",
            broken(413, Rejection::BodyNotAllowed),
            false,
        ),
        ("X: y", broken(411, Rejection::BodyNotAllowed), false),
        (
            "Transfer-Encoding: chunked",
            broken(411, Rejection::BodyNotAllowed),
            false,
        ),
        ("Content-Length: 7\r\nExpect: 100-Continue", Ok(7), true),
        (
            "Content-Length: 7\r\nExpect: miracles",
            broken(417, Rejection::ExpectationFailed),
            false,
        ),
    ] {
        let sent = format!("POST /log HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        let head = take(sent.as_bytes()).expect("good").expect("whole");
        let body = PostBody {
            length,
            expects_continue,
        };
        assert_eq!(head.method, Method::Post(body), "{fields}");
    }
}

#[test]
fn a_rejected_head_request_is_marked_as_head() {
    let refused = take(b"HEAD / HTTP/1.1\r\n\r\n").expect_err("no Host");
    assert!(refused.is_head);
    let refused = take(b"HEAD broken\r\n\r\n").expect_err("no request");
    assert!(refused.is_head);
}

#[test]
fn a_head_may_arrive_in_any_pieces() {
    let sent = b"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\nHost: a\n\nGET /c HTTP/1.0\r\n\r\n";
    for size in 1..sent.len() {
        let mut buffer = RequestBuffer::default();
        let mut targets = Vec::new();
        for piece in sent.chunks(size) {
            buffer.add(piece);
            while let Some(head) = buffer.next_head(PEER).expect("good") {
                targets.push(head.request.target);
            }
        }
        assert_eq!(targets, ["/a", "/b", "/c"], "in pieces of {size}");
        assert!(buffer.is_empty());
    }
}

#[test]
fn the_buffer_never_holds_more_than_one_head() {
    let mut buffer = RequestBuffer::default();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let many = request.repeat(limits::REQUEST_HEAD_BYTES / request.len());
    buffer.add(&many);
    assert!(buffer.room() < request.len());
    assert!(buffer.next_head(PEER).expect("good").is_some());
    assert!(buffer.room() >= request.len());
    assert!(buffer.bytes.capacity() <= 2 * limits::REQUEST_HEAD_BYTES);
}

/// A small random number generator, so that a failure can be repeated from its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }
}

const SEEDS: [&str; 10] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /snapshot?keys=a,b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET http://b/ HTTP/1.1\nHost: a\n\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTE: a;q=nan\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: [::1]:8000\r\nX-Display-Name: K\u{fc}che\r\n\r\n",
];

const SPICE: [&[u8]; 18] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"\r\n\r\n",
    b"\xff",
    b"HTTP/1.1",
    b"HTTP/9.9",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"\r\n ",
    b"%",
    b"http://",
    b"X-Pool-Peer: 9.9.9.9\r\n",
];

fn mutated(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = SEEDS[dice.roll(SEEDS.len())].as_bytes().to_vec();
    if dice.roll(4) == 0 {
        bytes.extend_from_slice(SEEDS[dice.roll(SEEDS.len())].as_bytes());
    }
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        match dice.roll(5) {
            0 if at < bytes.len() => bytes[at] = dice.roll(256) as u8,
            1 if at < bytes.len() => {
                bytes.remove(at);
            }
            2 => {
                let spice = SPICE[dice.roll(SPICE.len())];
                bytes.splice(at..at, spice.iter().copied());
            }
            3 => bytes.truncate(at),
            _ => {
                let repeated = bytes[at..]
                    .iter()
                    .copied()
                    .take(dice.roll(40))
                    .collect::<Vec<_>>();
                let times = dice.roll(60);
                bytes.splice(at..at, repeated.repeat(times));
            }
        }
    }
    bytes
}

/// Runs for `FUZZ_SECONDS`, else a second.
fn fuzz_time() -> Duration {
    let seconds = std::env::var("FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

#[test]
fn no_bytes_make_the_parser_panic_or_continue_after_an_error() {
    let begun = Instant::now();
    let mut seed = 0;
    while begun.elapsed() < fuzz_time() {
        for _ in 0..256 {
            seed += 1;
            let mut dice = Dice(seed);
            let bytes = mutated(&mut dice);
            check_any(seed, &bytes, &mut dice);
        }
    }
    assert!(seed > 0);
}

fn check_any(seed: u64, bytes: &[u8], dice: &mut Dice) {
    // The result is the same in one piece and in random pieces: what is served and
    // rejected cannot depend on the segments of a network.
    let request_until_close = outcome(bytes.chunks(limits::REQUEST_HEAD_BYTES), seed);
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(1 + dice.roll(rest.len()));
        pieces.push(piece);
        rest = later;
    }
    assert_eq!(
        outcome(pieces.into_iter(), seed),
        request_until_close,
        "seed {seed}"
    );
}

/// The targets served, and the status of the error that ended it.
fn outcome<'a>(pieces: impl Iterator<Item = &'a [u8]>, seed: u64) -> (Vec<String>, Option<u16>) {
    let mut buffer = RequestBuffer::default();
    let mut targets = Vec::new();
    for piece in pieces {
        let mut piece = piece;
        loop {
            let now = piece.len().min(buffer.room());
            buffer.add(&piece[..now]);
            piece = &piece[now..];
            match buffer.next_head(PEER) {
                Ok(Some(head)) => {
                    check_clean(&head, seed);
                    targets.push(head.request.target);
                }
                Ok(None) if piece.is_empty() => break,
                Ok(None) => assert!(buffer.room() > 0, "seed {seed}: stuck with a full buffer"),
                Err(refusal) => return (targets, Some(refusal.status)),
            }
        }
    }
    (targets, None)
}

/// What tiny_http and the routes may rely on.
fn check_clean(head: &RequestHead, seed: u64) {
    let visible = |byte: u8| (0x21..=0x7e).contains(&byte);
    let request = &head.request;
    let is_of_server = head.method == Method::Options && request.target == "*";
    assert!(
        is_of_server || request.target.starts_with('/') && request.target.bytes().all(visible),
        "seed {seed}"
    );
    for (name, value) in &request.headers {
        assert!(
            name.bytes().all(visible) && !name.starts_with(PRIVATE_PREFIX),
            "seed {seed}: {name:?}"
        );
        assert!(
            !value.contains(['\r', '\n', '\0']),
            "seed {seed}: {value:?}"
        );
        let of_framing = [
            "content-length",
            "transfer-encoding",
            "te",
            "expect",
            "connection",
            "upgrade",
        ];
        assert!(!of_framing.contains(&name.as_str()), "seed {seed}: {name}");
    }
    assert!(
        request
            .headers
            .iter()
            .filter(|(name, _)| name == "host")
            .count()
            <= 1
    );
}
