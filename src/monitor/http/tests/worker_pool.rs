//! Worker pool: fair queue, stuck workers, micro cache, replacement of tiny_http.

use super::*;

#[test]
fn one_address_never_gets_all_slots_of_the_pool() {
    let running = start(test_limits());
    let mut first_streams: Vec<_> = (0..2 * limits::POOL_WORKERS)
        .map(|_| running.connect())
        .collect();
    for stream in &mut first_streams {
        stream.write_all(&get("/stuck")).expect("sent");
    }
    let most = limits::POOL_WORKERS as u64 - 1;
    running.until("its share", || {
        running.handler.stuck.load(Ordering::SeqCst) == most
    });
    let mut other = running.connect_from(5);
    other
        .write_all(b"GET /echo HTTP/1.0\r\n\r\n")
        .expect("sent");
    assert!(rest(other).starts_with("HTTP/1.1 200 "));
    assert_eq!(running.handler.stuck.load(Ordering::SeqCst), most);
    running.handler.release();
    for mut stream in first_streams {
        stream.shutdown(Shutdown::Write).expect("a socket");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an orderly end");
        assert!(text.ends_with("free"), "{text}");
    }
}

#[test]
fn a_request_that_is_reset_in_the_queue_never_reaches_a_worker() {
    let running = start(test_limits());
    let mut waiting: Vec<_> = (0..limits::POOL_WORKERS)
        .map(|_| running.connect())
        .collect();
    for stream in &mut waiting {
        stream.write_all(&get("/stuck")).expect("sent");
    }
    let most = limits::POOL_WORKERS as u64 - 1;
    running.until("its share", || {
        running.handler.stuck.load(Ordering::SeqCst) == most
    });
    for stream in waiting {
        let at_once = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&stream, at_once).expect("a socket");
    }
    running.until("forgotten", || running.stats.snapshot().connections == 0);
    // The request that was still queued never reaches a worker.
    running.handler.release();
    running.still_serves();
    assert_eq!(running.handler.stuck.load(Ordering::SeqCst), most);
}

#[test]
fn a_stuck_worker_pool_gives_503_and_serves_again_when_it_is_free() {
    let limits = HttpLimits {
        worker_timeout: SOON,
        pool_ping_timeout: SOON,
        ..test_limits()
    };
    let running = start(limits);
    // From several addresses, so that every worker gets stuck.
    for last in 1..=limits::POOL_WORKERS as u8 {
        let mut stream = running.connect_from(last);
        stream
            .write_all(b"GET /stuck HTTP/1.0\r\n\r\n")
            .expect("sent");
        let response = rest(stream);
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        assert!(response.ends_with("met ResponseTime(50ms)"), "{response}");
    }
    // On a busy machine a worker may begin after the client got its response.
    let stuck = limits::POOL_WORKERS as u64;
    running.until("every worker is stuck", || {
        running.handler.stuck.load(Ordering::SeqCst) == stuck
    });
    // Nothing more is queued for the stuck workers, and memory is still served.
    for _ in 0..20 {
        let response = running.request_until_close(b"GET /echo HTTP/1.0\r\n\r\n");
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    }
    assert_eq!(running.handler.rendered.load(Ordering::SeqCst), stuck);
    assert!(
        running
            .request_until_close(b"GET /hot HTTP/1.0\r\n\r\n")
            .ends_with("hot")
    );
    running.handler.release();
    running.until("serving again", || {
        running
            .request_until_close(b"GET /echo HTTP/1.0\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    });
}

#[test]
fn workers_are_not_alive_when_requests_wait_and_none_is_finished_for_a_minute() {
    use crate::monitor::support::now;
    use crate::sys::clock::{Clock, ManualClock};
    use crate::sys::heartbeat::Heartbeats;
    let clock = Arc::new(ManualClock::new(now()));
    let loops = Heartbeats::starting(clock.now().mono);
    let (heartbeats, beat_clock) = (loops.workers.clone(), clock.clone());
    let limits = HttpLimits {
        worker_timeout: SOON,
        pool_ping_timeout: SOON,
        ..test_limits()
    };
    let running = start_with(limits, move || heartbeats.beat(beat_clock.now().mono));
    let not_alive = || {
        let now = clock.now().mono;
        // In a node these loops are running.
        loops.ingest.beat(now);
        loops.http.beat(now);
        loops.not_alive(now)
    };
    let longer = limits::HEARTBEAT_TIMEOUT + Duration::from_secs(1);
    running.ticks();
    clock.advance(longer);
    running.ticks();
    assert_eq!(not_alive(), None, "no request waits");
    // One worker never comes back; the others are free.
    let stuck = |last| {
        let mut stream = running.connect_from(last);
        stream
            .write_all(b"GET /stuck HTTP/1.0\r\n\r\n")
            .expect("sent");
        assert!(rest(stream).starts_with("HTTP/1.1 503 "));
        // On a busy machine its worker may begin after the client got its response.
        running.until("a worker is stuck", || {
            running.handler.stuck.load(Ordering::SeqCst) == u64::from(last)
        });
    };
    stuck(1);
    running.ticks();
    clock.advance(longer);
    running.ticks();
    assert_eq!(not_alive(), None, "no request waits");
    for last in 2..=limits::POOL_WORKERS as u8 {
        stuck(last);
    }
    running.ticks();
    assert_eq!(not_alive(), None, "not for a minute yet");
    clock.advance(longer);
    running.ticks();
    assert_eq!(not_alive(), Some("the page workers"));
    running.handler.release();
    running.until("alive again", || not_alive().is_none());
    clock.advance(longer);
    running.ticks();
    assert_eq!(not_alive(), None);
}

#[test]
fn an_identical_request_is_rendered_once_until_an_event_is_appended() {
    let limits = HttpLimits {
        page_cache_ttl: TIMEOUT,
        ..test_limits()
    };
    let running = start(limits);
    let rendered = || running.handler.rendered.load(Ordering::SeqCst);
    let first = running.request_until_close(b"GET /echo HTTP/1.0\r\n\r\n");
    assert_eq!(
        running.request_until_close(b"GET /echo HTTP/1.0\r\n\r\n"),
        first
    );
    assert_eq!(rendered(), 1);
    running.request_until_close(b"GET /echo HTTP/1.0\r\nX-A: b\r\n\r\n");
    assert_eq!(rendered(), 2, "another request");
    running.events.append_alert(b"{}");
    running.request_until_close(b"GET /echo HTTP/1.0\r\n\r\n");
    assert_eq!(rendered(), 3, "news");
    assert_eq!(running.stats.snapshot().requests[0].1, 4);
}

#[test]
fn a_tiny_http_server_that_no_longer_accepts_is_replaced() {
    let limits = HttpLimits {
        pool_ping_timeout: Duration::from_millis(500),
        ..test_limits()
    };
    let running = start(limits);
    running.still_serves();
    // As after running out of descriptors: tiny_http no longer accepts at the path.
    let pool = running.server.as_ref().expect("running").pool.state();
    let number = pool.server_number();
    pool.replace(number).expect("a second server");
    running.still_serves();
    std::fs::remove_file(pool.socket_path()).expect("its socket");
    let deaf = std::os::unix::net::UnixListener::bind(pool.socket_path()).expect("a deaf one");
    // Break the open connections: those of a replaced server are not used again.
    pool.replace(number)
        .expect("of another number, so nothing happens");
    assert_eq!(pool.server_number(), number + 1);
    let replaced = || pool.server_number() > number + 1;
    // The one connection that was pinged still serves; send more at once until another is opened.
    let mut held: Vec<_> = (0..2).map(|_| running.connect_from(6)).collect();
    for stream in &mut held {
        stream.write_all(&get("/stuck")).expect("sent");
    }
    running.until("replaced", replaced);
    drop(deaf);
    running.handler.release();
    running.still_serves();
    assert!(running.stats.snapshot().pool_restarts >= 2);
}

#[test]
fn a_response_over_the_size_limit_is_not_sent() {
    let running = start(test_limits());
    let response = running.request_until_close(b"GET /rendered-huge HTTP/1.0\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 500 "), "{response:.200}");
    running.still_serves();
}
