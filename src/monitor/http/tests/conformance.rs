//! HTTP conformance: keep-alive, pipelining, HEAD, OPTIONS, HTTP/1.0, heartbeat.

use super::*;

#[test]
fn only_allowed_networks_and_loopback_may_connect() {
    let networks = |texts: &[&str]| -> Vec<IpNet> {
        let parsed = texts.iter().map(|text| text.parse().expect("a network"));
        parsed.collect()
    };
    for (allow, peer, expected) in [
        (&[][..], "203.0.113.9", true),
        (&["192.168.0.0/16"], "192.168.7.9", true),
        (&["192.168.0.0/16"], "192.169.0.1", false),
        (&["192.168.0.0/16"], "fd00::1", false),
        (&["192.168.0.0/16", "fd00::/8"], "fd00::1", true),
        (&["192.168.1.7/32"], "192.168.1.8", false),
        (&["192.168.0.0/16"], "127.0.0.5", true),
        (&["192.168.0.0/16"], "::1", true),
    ] {
        let address = peer.parse().expect("an address");
        let found = is_allowed(&networks(allow), address);
        assert_eq!(found, expected, "{peer} into {allow:?}");
    }
}

#[test]
fn one_connection_serves_many_requests_from_memory_and_from_the_pool() {
    let running = start(test_limits());
    let mut reader = BufReader::new(running.connect());
    for _ in 0..3 {
        for (path, body) in [("/hot", &b"hot"[..]), ("/nothing", b"nothing here")] {
            reader.get_mut().write_all(&get(path)).expect("sent");
            let (_, head, found) = read_response(&mut reader, false);
            assert_eq!(found, body, "{head}");
            assert!(!head.contains("Connection"), "{head}");
            assert!(!head.contains("Server"), "{head}");
            assert!(!head.contains("x-server"), "{head}");
        }
    }
    assert_eq!(running.stats.snapshot().connections_accepted, 1);
}

#[test]
fn options_gets_no_body_and_the_connection_stays_open() {
    let running = start(test_limits());
    let mut reader = BufReader::new(running.connect());
    for target in ["/hot", "/events", "/nothing", "*"] {
        let options = format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        reader
            .get_mut()
            .write_all(options.as_bytes())
            .expect("it is sent");
        let (status, head, _) = read_response(&mut reader, false);
        assert_eq!(status, 204);
        assert!(head.contains(&format!("X-Asked: {target}\r\n")), "{head}");
        assert!(!head.contains("Content-Length"), "{head}");
        assert!(!head.contains("Connection"), "{head}");
    }
    assert_eq!(running.stats.snapshot().connections_accepted, 1);
}

#[test]
fn a_websocket_is_refused_with_the_protocol_to_use() {
    let running = start(test_limits());
    let response = running.request_until_close(
        b"GET /events HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
          Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(
        response,
        "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain\r\nUpgrade: HTTP/1.1\r\n\
         Content-Length: 11\r\nConnection: close, upgrade\r\n\r\nrefused 426"
    );
    assert_eq!(running.rejection_count(Rejection::WebSocket), 1);
    running.still_serves();
}

#[test]
fn head_equals_get_without_the_body() {
    let running = start(test_limits());
    for path in ["/hot", "/echo", "/nothing", "/big"] {
        let mut reader = BufReader::new(running.connect());
        let head_request = format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        reader
            .get_mut()
            .write_all(head_request.as_bytes())
            .expect("sent");
        let (status, head, _) = read_response(&mut reader, true);
        // The same connection goes on: no byte of a body was in between.
        reader.get_mut().write_all(&get(path)).expect("sent");
        let (got_status, got_head, _) = read_response(&mut reader, false);
        assert_eq!(status, got_status);
        if path != "/echo" {
            assert_eq!(head, got_head, "{path}");
        }
    }
}

#[test]
fn pipelined_requests_get_responses_in_order() {
    let running = start(test_limits());
    let mut reader = BufReader::new(running.connect());
    let mut sent = Vec::new();
    for number in 0..100 {
        sent.extend(get(["/hot", "/echo", "/unchanged", "/nothing"][number % 4]));
    }
    reader.get_mut().write_all(&sent).expect("sent");
    for number in 0..100 {
        let (status, _, _) = read_response(&mut reader, false);
        assert_eq!(
            status,
            [200, 200, 304, 404][number % 4],
            "response {number}"
        );
    }
}

#[test]
fn http_1_0_connections_are_closed_without_keep_alive() {
    let running = start(test_limits());
    let served = running.request_until_close(b"GET /hot HTTP/1.0\r\n\r\n");
    assert!(served.contains("Connection: close\r\n"), "{served}");
    let mut reader = BufReader::new(running.connect());
    for _ in 0..2 {
        let sent = b"GET /hot HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        reader.get_mut().write_all(sent).expect("sent");
        let (_, head, _) = read_response(&mut reader, false);
        assert!(head.contains("Connection: keep-alive\r\n"), "{head}");
    }
}

#[test]
fn a_client_that_half_closes_after_its_request_gets_the_response() {
    let running = start(test_limits());
    for path in ["/hot", "/echo", "/big", "/rendered-big"] {
        let mut stream = running.connect();
        stream.write_all(&get(path)).expect("sent");
        stream.shutdown(Shutdown::Write).expect("a socket");
        let response = rest(stream);
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{path}");
        assert!(
            path.contains("big") == (response.len() > 3_000_000),
            "{path}"
        );
    }
}

#[test]
fn requests_in_single_bytes_and_lines_of_lf_alone_are_served() {
    let running = start(test_limits());
    let mut stream = running.connect();
    for byte in b"GET /echo HTTP/1.1\nHost: a\nConnection: close\n\n" {
        stream.write_all(&[*byte]).expect("sent");
    }
    let response = rest(stream);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
}

#[test]
fn a_worker_gets_the_cleaned_request_and_the_peer_address() {
    let running = start(test_limits());
    let mut stream = running.connect_from(9);
    let sent = "GET /echo?q=%20 HTTP/1.1\r\nHost: a\r\nX-Pool-Peer: 6.6.6.6\r\nTE: trailers\r\n\
                X-Display-Name: K\u{fc}che 100%\r\nConnection: close\r\n\r\n";
    stream.write_all(sent.as_bytes()).expect("sent");
    let response = rest(stream);
    let body = response.split("\r\n\r\n").nth(1).expect("a body");
    assert_eq!(
        body,
        "127.0.0.9 false /echo?q=%20\nhost: a\nx-display-name: K\u{fc}che 100%\n"
    );
    assert!(response.contains("X-Umlaut: \u{fc}\r\n"), "{response}");
    let response = running.request_until_close(b"HEAD /echo HTTP/1.0\r\n\r\n");
    assert!(response.contains("Content-Length: 21\r\n"), "{response}");
}

#[test]
fn a_304_has_no_body_from_memory_or_from_a_worker() {
    let running = start(test_limits());
    for path in ["/unchanged", "/rendered-304"] {
        let sent = format!("GET {path} HTTP/1.0\r\n\r\n");
        let response = running.request_until_close(sent.as_bytes());
        assert!(
            response.starts_with("HTTP/1.1 304 Not Modified\r\n"),
            "{response}"
        );
        assert!(!response.contains("Content-Length"), "{response}");
        assert!(response.ends_with("\r\n\r\n"), "{response}");
    }
}

#[test]
fn the_server_loop_sends_heartbeats() {
    let running = start(test_limits());
    let before = running.heartbeats.load(Ordering::SeqCst);
    running.until("two more heartbeats", || {
        running.heartbeats.load(Ordering::SeqCst) >= before + 2
    });
}
