//! Attacks that stop, block or confuse a bare tiny_http, against limits and timeouts.

use super::*;

#[test]
fn bad_requests_get_one_response_and_an_orderly_close() {
    let running = start(test_limits());
    let pipelined = String::from_utf8(get("/hot").repeat(3)).expect("ASCII");
    let rows = [
        // Single requests that stop a bare tiny_http.
        (405, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n".to_owned()),
        (413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n".to_owned()),
        (413, "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".to_owned()),
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(100_000))),
        (414, format!("GET /{}", "y".repeat(100_000))),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100))),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 40\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n".to_owned()),
        (400, "\u{16}\u{3}\u{1}".to_owned()),
        (400, "\r\n".repeat(5000)),
    ];
    for (status, sent) in rows {
        // Whatever follows is not taken for a request.
        let response = running.request_until_close(format!("{sent}{pipelined}").as_bytes());
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{sent:.80?}: {response}"
        );
        assert_eq!(count_responses(&response), 1, "{sent:.80?}: {response}");
        assert!(response.contains("Connection: close\r\n"), "{response}");
        assert!(
            response.ends_with(&format!("refused {status}")),
            "{response}"
        );
        assert_eq!(
            response.contains("Allow: GET, HEAD, OPTIONS\r\n"),
            status == 405,
            "{response}"
        );
    }
    running.still_serves();
}

#[test]
fn a_te_header_that_panics_tiny_http_does_not_reach_it() {
    let running = start(test_limits());
    let list = vec!["a;q=nan"; 50].join(", ");
    let sent = format!("GET /echo HTTP/1.0\r\nTE: {list}\r\n\r\n");
    for _ in 0..2 * limits::POOL_WORKERS {
        let response = running.request_until_close(sent.as_bytes());
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    }
    assert_eq!(running.stats.snapshot().panics, 0);
}

#[test]
fn a_response_is_not_lost_while_the_request_body_is_still_being_sent() {
    let running = start(test_limits());
    let mut stream = running.connect();
    let head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    stream.write_all(head).expect("sent");
    // All of it is sent: the server reads and drops it.
    stream.write_all(&[b'x'; 100_000]).expect("taken");
    let response = rest(stream);
    assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    assert_eq!(count_responses(&response), 1);
}

#[test]
fn clients_that_reset_after_their_request_do_not_affect_others() {
    let running = start(test_limits());
    for path in ["/hot", "/echo", "/big", "/rendered-big"] {
        for _ in 0..25 {
            let mut stream = running.connect();
            stream.write_all(&get(path)).expect("sent");
            let at_once = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&stream, at_once).expect("a socket");
            drop(stream);
        }
    }
    // The kernel hands connections over in their order, so this one comes after them all.
    running.still_serves();
    running.until("all gone", || {
        let snapshot = running.stats.snapshot();
        (snapshot.connections, snapshot.bytes_outstanding) == (0, 0)
    });
    assert_eq!(running.stats.snapshot().panics, 0);
}

#[test]
fn an_incomplete_head_gets_408_at_the_timeout() {
    let limits = HttpLimits {
        head_timeout: SOON,
        ..test_limits()
    };
    let running = start(limits);
    let response = running.request_until_close(b"GET /hot HTTP/1.1\r\nHost: a\r\nX: ");
    assert!(
        response.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{response}"
    );
    // Dripping does not help: the deadline is for the whole head.
    let mut stream = running.connect();
    let drip = stream.try_clone().expect("a socket");
    let dripping = thread::spawn(move || {
        let mut drip = drip;
        while drip.write_all(b"X").is_ok() {
            thread::yield_now();
        }
    });
    let mut response = [0; 12];
    stream.read_exact(&mut response).expect("a response");
    assert!(
        response.starts_with(b"HTTP/1.1 4"),
        "408, or 414 if it dripped fast"
    );
    drop(stream);
    running.until("let go", || running.stats.snapshot().connections == 0);
    dripping.join().expect("ends when the server has closed");
    // A client that sends nothing is closed without a response.
    assert_eq!(running.request_until_close(b""), "");
}

#[test]
fn an_idle_connection_is_closed_without_a_response() {
    let limits = HttpLimits {
        idle_timeout: SOON,
        ..test_limits()
    };
    let running = start(limits);
    let response = running.request_until_close(&get("/hot"));
    assert_eq!(count_responses(&response), 1);
    assert!(response.ends_with("\r\n\r\nhot"), "{response}");
}

#[test]
fn a_truncated_head_gets_one_400() {
    let running = start(test_limits());
    let mut stream = running.connect();
    stream.write_all(b"GET /hot HTTP/1.1\r\nHos").expect("sent");
    stream.shutdown(Shutdown::Write).expect("a socket");
    let response = rest(stream);
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert_eq!(count_responses(&response), 1);
}

#[test]
fn clients_that_do_not_read_are_closed_and_delay_no_others() {
    let limits = HttpLimits {
        write_timeout: SOON,
        ..test_limits()
    };
    let running = start(limits);
    // More than the pool has workers: tiny_http alone would be blocked now.
    let mut unread: Vec<_> = (0..2 * limits::POOL_WORKERS)
        .map(|_| running.connect())
        .collect();
    for stream in &mut unread {
        stream.write_all(&get("/big")).expect("sent");
    }
    running.still_serves();
    // Their responses are large, with a longer timeout; a stop closes them too.
    let served = running.stats.snapshot();
    assert_eq!(
        served.bytes_outstanding,
        3 * 1024 * 1024,
        "one body, counted once"
    );
}

#[test]
fn a_slow_reader_is_closed_at_the_write_timeout() {
    let limits = HttpLimits {
        write_timeout: SOON,
        write_bytes_per_s: usize::MAX,
        ..test_limits()
    };
    let running = start(limits);
    let mut stream = running.connect();
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096).expect("a socket");
    stream.write_all(&get("/big")).expect("sent");
    running.until("cut", || {
        running.rejection_count(Rejection::SlowClient) == 1
    });
    running.until("gone", || running.stats.snapshot().connections == 0);
    assert_eq!(running.stats.snapshot().bytes_outstanding, 0);
    running.still_serves();
}

#[test]
fn unread_responses_are_bounded_and_small_ones_are_still_sent() {
    let limits = HttpLimits {
        bytes_outstanding: 4 * 1024 * 1024,
        bytes_outstanding_per_address: 4 * 1024 * 1024,
        ..test_limits()
    };
    let running = start(limits);
    let mut unread = running.connect();
    unread.write_all(&get("/bigs")).expect("sent");
    running.until("on its way", || {
        running.stats.snapshot().bytes_outstanding > 0
    });
    for path in ["/bigs", "/rendered-big"] {
        let sent = format!("GET {path} HTTP/1.0\r\n\r\n");
        let response = running.request_until_close(sent.as_bytes());
        assert!(
            response.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{path}"
        );
        assert!(response.contains("Retry-After: "), "{response}");
        assert!(
            response.ends_with("met BytesOutstanding(4194304)"),
            "{path}"
        );
    }
    assert_eq!(running.rejection_count(Rejection::SendBudget), 2);
    running.still_serves();
    drop(unread);
    running.until("given back", || {
        running.stats.snapshot().bytes_outstanding == 0
    });
    let response = running.request_until_close(b"GET /rendered-big HTTP/1.0\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn connections_are_capped_per_address_and_others_are_served() {
    let limits = HttpLimits {
        connections_per_address: 3,
        ..test_limits()
    };
    let running = start(limits);
    let held: Vec<_> = (0..3).map(|_| running.connect()).collect();
    running.until("let in", || running.stats.snapshot().connections == 3);
    let mut refused = String::new();
    // Nothing was sent, so nothing resets the response.
    running
        .connect()
        .read_to_string(&mut refused)
        .expect("an orderly end");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(
        refused.ends_with("met ConnectionsPerAddress(3)"),
        "{refused}"
    );
    assert_eq!(running.rejection_count(Rejection::ConnectionsPerAddress), 1);
    let mut other = running.connect_from(7);
    other.write_all(b"GET /hot HTTP/1.0\r\n\r\n").expect("sent");
    assert!(rest(other).ends_with("hot"));
    drop(held);
    running.until("let go", || running.stats.snapshot().connections == 0);
    running.still_serves();
}

#[test]
fn at_the_connection_limit_the_longest_idle_connection_is_closed() {
    let limits = HttpLimits {
        connections: 3,
        evict_idle_after: Duration::ZERO,
        ..test_limits()
    };
    let running = start(limits);
    let mut idlest = BufReader::new(running.connect());
    idlest.get_mut().write_all(&get("/hot")).expect("sent");
    read_response(&mut idlest, false);
    let mut listening = running.connect_from(2);
    listening.write_all(&get("/events")).expect("sent");
    running.until("streaming", || running.stats.snapshot().event_streams == 1);
    let mut busy = running.connect_from(3);
    busy.write_all(&get("/stuck")).expect("sent");
    running.until("busy", || running.handler.stuck.load(Ordering::SeqCst) == 1);
    let mut newcomer = running.connect_from(4);
    newcomer
        .write_all(b"GET /hot HTTP/1.0\r\n\r\n")
        .expect("sent");
    assert!(rest(newcomer).ends_with("hot"));
    assert_eq!(rest(idlest.into_inner()), "", "closed in silence");
    assert_eq!(running.rejection_count(Rejection::EvictedIdle), 1);
    running.handler.release();
    busy.shutdown(Shutdown::Write).expect("a socket");
    assert!(
        rest(busy).ends_with("free"),
        "a connection with a request in progress is not closed"
    );
}

#[test]
fn a_panic_fails_only_its_request() {
    let running = start(test_limits());
    let mut other = BufReader::new(running.connect());
    for path in ["/panic", "/rendered-panic"] {
        let sent = format!("GET {path} HTTP/1.0\r\n\r\n");
        for _ in 0..2 * limits::POOL_WORKERS {
            let response = running.request_until_close(sent.as_bytes());
            assert!(response.starts_with("HTTP/1.1 500 "), "{path}: {response}");
        }
        other.get_mut().write_all(&get("/hot")).expect("sent");
        assert_eq!(read_response(&mut other, false).0, 200);
    }
    assert_eq!(
        running.stats.snapshot().panics,
        4 * limits::POOL_WORKERS as u64
    );
    running.still_serves();
}

#[test]
fn many_connections_at_once_share_the_pool() {
    let running = start(test_limits());
    let mut clients: Vec<_> = (0..48).map(|_| BufReader::new(running.connect())).collect();
    for _ in 0..3 {
        for client in &mut clients {
            client.get_mut().write_all(&get("/echo")).expect("sent");
        }
        for client in &mut clients {
            assert_eq!(read_response(client, false).0, 200);
        }
    }
    let opened = running.stats.snapshot().pool_connections;
    assert!(
        opened <= limits::POOL_WORKERS as u64,
        "{opened} were opened"
    );
}

#[test]
fn thousands_of_dropped_connections_leave_nothing_behind() {
    let running = start(test_limits());
    for number in 0..2000 {
        let stream = running.connect();
        if number % 2 == 0 {
            let at_once = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&stream, at_once).expect("a socket");
        }
    }
    running.still_serves();
    running.until("all gone", || running.stats.snapshot().connections == 0);
}

/// The descriptor limit is per process, so this test has a process of its own.
#[test]
fn the_server_still_serves_when_file_descriptors_run_out() {
    let mut child = std::process::Command::new(std::env::current_exe().expect("ourselves"))
        .args([
            "--exact",
            "monitor::http::tests::attacks::out_of_descriptors",
            "--ignored",
            "--nocapture",
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let address = loop {
        let mut line = String::new();
        assert!(
            stdout.read_line(&mut line).expect("a line") > 0,
            "the child printed nothing"
        );
        if let Some((_, address)) = line.trim().split_once("listening on ") {
            break address.parse::<SocketAddr>().expect("an address");
        }
    };
    let connect = || {
        let stream = TcpStream::connect(address).expect("the kernel takes it");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a socket");
        stream
    };
    let mut held = Vec::new();
    for _ in 0..60 {
        // Each is served at once, though each stays open and only a few descriptors are left.
        let mut reader = BufReader::new(connect());
        reader.get_mut().write_all(&get("/hot")).expect("sent");
        assert_eq!(read_response(&mut reader, false).0, 200);
        held.push(reader);
    }
    let mut pooled = connect();
    pooled
        .write_all(b"GET /echo HTTP/1.0\r\n\r\n")
        .expect("sent");
    assert!(rest(pooled).starts_with("HTTP/1.1 200 "));
    // Its stdin ends, and so does it.
    drop(child.stdin.take());
    assert!(child.wait().expect("ends").success());
}

#[test]
#[ignore = "the other half of the_server_still_serves_when_file_descriptors_run_out, which starts it"]
fn out_of_descriptors() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let few = Rlimit {
        current: Some(96),
        maximum: Some(96),
    };
    setrlimit(Resource::Nofile, few).expect("lowering is allowed");
    let limits = HttpLimits {
        connections_per_address: 1000,
        ..test_limits()
    };
    let running = start(limits);
    running.still_serves();
    running.until("quiet", || running.stats.snapshot().connections == 0);
    let mut junk = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        junk.push(file);
    }
    // What is left, beside the few that are being served.
    junk.truncate(junk.len() - 6);
    println!("listening on {}", running.address);
    let mut nothing = String::new();
    io::stdin().read_to_string(&mut nothing).expect("ends");
    assert!(
        running.rejection_count(Rejection::EvictedIdle) > 40,
        "the idlest were evicted"
    );
    drop(junk);
    running.still_serves();
}
