//! Shutdown: responses finish, within the timeout, and nothing is left behind.

use super::*;

/// A keep-alive connection after its first response.
fn idle_connection(running: &Running) -> TcpStream {
    let mut idle = BufReader::new(running.connect());
    idle.get_mut().write_all(&get("/hot")).expect("sent");
    read_response(&mut idle, false);
    idle.into_inner()
}

#[test]
fn a_stop_lets_responses_finish_ends_event_streams_and_leaves_nothing_behind() {
    let mut running = start(test_limits());
    let idle = idle_connection(&running);
    let mut listening = running.connect();
    listening.write_all(&get("/events")).expect("sent");
    let mut busy = running.connect();
    busy.write_all(&get("/stuck")).expect("sent");
    running.until("busy", || running.handler.stuck.load(Ordering::SeqCst) == 1);
    running.until("listening", || running.stats.snapshot().event_streams == 1);
    let server = running.server.take().expect("running");
    let socket = server.pool.state().socket_path();
    assert!(socket.exists());
    let clean = Arc::new(AtomicBool::new(false));
    let stopping = {
        let clean = clean.clone();
        thread::spawn(move || clean.store(server.stop(TIMEOUT), Ordering::SeqCst))
    };
    assert_eq!(rest(idle), "");
    assert!(rest(listening).contains("text/event-stream"));
    running.handler.release();
    let response = rest(busy);
    assert!(response.ends_with("free"), "{response}");
    assert!(response.contains("Connection: close\r\n"), "{response}");
    stopping.join().expect("no panic");
    assert!(clean.load(Ordering::SeqCst), "nothing was left behind");
    assert!(!socket.exists());
    assert!(!socket.parent().expect("a directory").exists());
    assert!(TcpStream::connect(running.address).is_err());
}

#[test]
fn a_stop_waits_for_a_response_and_not_for_the_next_request() {
    let mut running = start(test_limits());
    let idle = idle_connection(&running);
    let mut slow_client = running.connect();
    slow_client.write_all(&get("/bigs")).expect("sent");
    slow_client
        .read_exact(&mut [0])
        .expect("the response begins");

    let server = running.server.take().expect("running");
    let begun = Instant::now();
    let stopping = thread::spawn(move || server.stop(TIMEOUT));
    assert_eq!(rest(idle), "", "it has begun");
    let response = rest(slow_client);
    assert!(response.ends_with("yyyy"), "all of it came");
    assert!(
        stopping.join().expect("no panic"),
        "nothing was left behind"
    );
    assert!(begun.elapsed() < TIMEOUT / 2);
}

#[test]
fn a_request_that_comes_while_the_server_stops_is_responded_to() {
    let mut running = start(test_limits());
    let mut idle = idle_connection(&running);
    let mut accepted = running.connect();
    running.until("accepted", || running.stats.snapshot().connections == 2);
    let mut unread = running.connect();
    unread.write_all(b"GET /hot HT").expect("sent");
    running.until("accepted", || running.stats.snapshot().connections == 3);
    // Its request is in the socket when the stop begins.
    idle.write_all(&get("/hot")).expect("sent");
    let mut busy = running.connect();
    busy.write_all(&get("/stuck")).expect("sent");
    running.until("busy", || running.handler.stuck.load(Ordering::SeqCst) == 1);
    let server = running.server.take().expect("running");
    let stopping = thread::spawn(move || server.stop(TIMEOUT));
    assert!(
        rest(idle).contains("200 OK"),
        "the idle connection's request"
    );
    accepted.write_all(&get("/hot")).expect("sent");
    assert!(rest(accepted).contains("200 OK"), "the new connection's");
    unread
        .write_all(b"TP/1.1\r\nHost: a\r\n\r\n")
        .expect("sent");
    assert!(rest(unread).contains("200 OK"), "the unfinished one");
    running.handler.release();
    assert!(rest(busy).ends_with("free"));
    assert!(
        stopping.join().expect("no panic"),
        "nothing was left behind"
    );
}

#[test]
fn a_stop_does_not_wait_for_a_stuck_worker() {
    let mut running = start(test_limits());
    let mut stuck = running.connect();
    stuck.write_all(&get("/stuck")).expect("sent");
    let mut unread = running.connect();
    unread.write_all(&get("/bigs")).expect("sent");
    running.until("stuck", || {
        running.handler.stuck.load(Ordering::SeqCst) == 1
    });
    let server = running.server.take().expect("running");
    let socket = server.pool.state().socket_path();
    let begun = Instant::now();
    assert!(
        !server.stop(Duration::from_millis(200)),
        "a worker is left behind"
    );
    assert!(!socket.parent().expect("a directory").exists());
    assert!(begun.elapsed() < TIMEOUT / 2);
}
