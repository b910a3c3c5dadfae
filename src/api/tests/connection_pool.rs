use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

use super::super::agent::TransportSettings;
use super::super::fault_server::{AfterResponse, FaultServer, send};
use super::super::fetcher::Fetcher;
use super::super::support::{clock_at_noon, fetcher, good_response, long_timeout};
use super::super::url_source;
use super::*;
use crate::domain::reading::FetchOutcome;

fn device() -> FaultServer {
    FaultServer::start(Arc::new(|_: &str, wire, _: &_| {
        if send(wire, good_response()) {
            AfterResponse::Keep
        } else {
            AfterResponse::Close
        }
    }))
}

fn source(server: &FaultServer, pool: &Arc<ConnectionPool>) -> Fetcher {
    let settings = TransportSettings {
        pool: pool.clone(),
        ..long_timeout()
    };
    let request = url_source::prepare_request(&server.url(), &[], &[]).expect("a URL");
    fetcher(request, settings, clock_at_noon())
}

fn succeeds(fetcher: &mut Fetcher) -> bool {
    let outcome = fetcher.fetch_once().expect("not cancelled").outcome;
    matches!(outcome, FetchOutcome::Readings { .. })
}

fn connections(server: &FaultServer) -> usize {
    server.server.connections.load(Ordering::SeqCst)
}

#[test]
fn sources_of_one_device_share_its_one_connection() {
    let server = device();
    let pool = ConnectionPool::new("http://meter", 1);
    let mut sources = [source(&server, &pool), source(&server, &pool)];
    for _ in 0..3 {
        assert!(sources.iter_mut().all(succeeds));
    }
    assert_eq!(connections(&server), 1);
}

#[test]
fn without_keep_alive_each_request_has_a_connection_of_its_own() {
    let server = device();
    let pool = ConnectionPool::new("http://meter", 1);
    let settings = TransportSettings {
        pool: pool.clone(),
        keep_alive: false,
        ..long_timeout()
    };
    let request = url_source::prepare_request(&server.url(), &[], &[]).expect("a URL");
    let mut closing = fetcher(request, settings, clock_at_noon());
    let mut keeping = source(&server, &pool);
    for _ in 0..2 {
        assert!(succeeds(&mut closing));
        // Nor does it use the connection of another source.
        assert!(succeeds(&mut keeping));
    }
    assert_eq!(connections(&server), 4);
    let heads = server.server.heads.lock().expect("no act panics").clone();
    let closes = |head: &String| head.to_lowercase().contains("\r\nconnection: close\r\n");
    let found: Vec<bool> = heads.iter().map(closes).collect();
    assert_eq!(found, [true, false, true, false]);
}

#[test]
fn the_connection_limit_is_respected() {
    let server = device();
    let pool = ConnectionPool::new("http://meter", 2);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert!(succeeds(&mut source(&server, &pool))));
        }
    });
    let found = connections(&server);
    assert!((1..=2).contains(&found), "{found} connections");
    assert_eq!(pool.lock().active, 0);
}

#[test]
fn an_idle_connection_is_evicted_for_another_origin() {
    let (one, other) = (device(), device());
    let pool = ConnectionPool::new("http://meter", 1);
    assert!(succeeds(&mut source(&one, &pool)));
    assert!(succeeds(&mut source(&other, &pool)));
    let state = pool.lock();
    let origins: Vec<&str> = state.idle.iter().map(|it| it.origin.as_str()).collect();
    assert_eq!(origins, [format!("http://{}", other.address)]);
}

#[test]
fn an_expired_idle_connection_is_closed_without_a_fetch() {
    let server = device();
    let pool = ConnectionPool::with_idle_timeout("http://meter", 1, Duration::ZERO);
    assert!(succeeds(&mut source(&server, &pool)));
    assert_eq!(pool.lock().idle.len(), 1);
    assert_eq!(pool.close_expired(), None);
    assert!(pool.lock().idle.is_empty());

    let pool = ConnectionPool::new("http://meter", 1);
    assert!(succeeds(&mut source(&server, &pool)));
    let left = pool.close_expired().expect("it is kept");
    assert!(left <= limits::KEEP_ALIVE_TIMEOUT);
    assert_eq!(pool.lock().idle.len(), 1);
}

#[test]
fn a_pooled_connection_that_the_server_closed_is_replaced() {
    let server = FaultServer::start(Arc::new(|_: &str, wire, _: &_| {
        send(wire, good_response());
        AfterResponse::Close
    }));
    let pool = ConnectionPool::new("http://meter", 1);
    let mut source = source(&server, &pool);
    assert!((0..3).all(|_| succeeds(&mut source)));
}

#[test]
fn permits_are_given_in_the_order_of_due_times() {
    let pool = ConnectionPool::new("http://meter", 1);
    let control = FetchControl::default();
    let now = Some(Duration::ZERO);
    let mut running = pool.queue(Mono(1));
    assert_eq!(running.wait(&control, now), WaitResult::Ready);
    let mut later = pool.queue(Mono(3));
    let mut earlier = pool.queue(Mono(2));
    assert_eq!(earlier.wait(&control, now), WaitResult::TimedOut);
    drop(running);
    assert_eq!(
        later.wait(&control, now),
        WaitResult::TimedOut,
        "it is not first in the queue"
    );
    assert_eq!(earlier.wait(&control, now), WaitResult::Ready);
    drop(earlier);
    assert_eq!(later.wait(&control, now), WaitResult::Ready);
    drop(later);

    // A dropped permit does not block the others.
    drop(pool.queue(Mono(4)));
    assert_eq!(pool.queue(Mono(5)).wait(&control, now), WaitResult::Ready);
}

#[test]
fn the_stop_ends_the_wait_for_a_permit() {
    let pool = ConnectionPool::new("http://meter", 1);
    let control = Arc::new(FetchControl::default());
    let mut running = pool.queue(Mono(1));
    assert_eq!(running.wait(&control, None), WaitResult::Ready);
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut waiting = pool.queue(Mono(2));
            sender.send(()).expect("the test listens");
            assert_eq!(waiting.wait(&control, None), WaitResult::Stopped);
        });
        receiver.recv().expect("it is queued");
        control.stop();
        pool.wake();
    });
}

#[test]
fn private_servers_get_one_connection_and_public_servers_more() {
    for (host, expected) in [
        ("127.0.0.1", 1),
        ("192.168.1.20", 1),
        ("[fe80::1]", 1),
        ("meter.local", 1),
        ("localhost", 1),
        ("nas", 1),
        ("1.1.1.1", 4),
        ("api.example.org", 4),
    ] {
        assert_eq!(default_connections(host), expected, "{host}");
    }
}
