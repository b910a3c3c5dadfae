//! Memory and wake-ups of an idle connection.

use super::*;

#[test]
fn the_task_of_a_connection_is_small() {
    let bytes = {
        fn size<F>(
            _: fn(
                Async<TcpStream>,
                crate::monitor::http::connection_table::ConnectionGuard,
                Rc<ServerState>,
            ) -> F,
        ) -> usize {
            size_of::<F>()
        }
        size(connection::serve)
    };
    assert!(
        bytes < 4096,
        "{bytes} bytes: some buffer is held while the task waits"
    );
}

#[test]
fn a_server_whose_timer_sleeps_for_an_hour_responds_at_once_and_keeps_deadlines() {
    let running = start(HttpLimits {
        heartbeat: Duration::from_secs(3600),
        head_timeout: SOON,
        ..test_limits()
    });
    running.until("asleep", || running.heartbeats.load(Ordering::SeqCst) > 0);
    running.still_serves();
    let mut late = running.connect();
    late.write_all(b"GET /hot HTTP/1.1\r\n").expect("sent");
    let refused = rest(late);
    assert!(refused.starts_with("HTTP/1.1 408 "), "{refused}");
    // An idle connection has one deadline, and nothing ticks until then.
    let mut idle = BufReader::new(running.connect());
    idle.get_mut().write_all(&get("/hot")).expect("sent");
    assert_eq!(read_response(&mut idle, false).0, 200);
    running.still_serves();
    let iterations = running.heartbeats.load(Ordering::SeqCst);
    assert!(iterations < 50, "{iterations} iterations");
}
