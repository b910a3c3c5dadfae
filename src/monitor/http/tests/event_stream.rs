//! Event streams over a socket.

use super::*;

struct TestSnapshot(String, Arc<[u8]>);

impl SnapshotSource for TestSnapshot {
    fn to_event(&self) -> SnapshotEvent {
        SnapshotEvent {
            id: self.0.clone(),
            body: self.1.clone(),
        }
    }
}

fn append(events: &EventLog, id: &str, body: &str) {
    let snapshot = TestSnapshot(id.to_owned(), body.as_bytes().into());
    events.append_snapshot(Arc::new(snapshot), SnapshotChange::Contents);
}

fn read_until(reader: &mut impl BufRead, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        assert!(
            reader.read_line(&mut text).expect("a line") > 0,
            "ended after {text:?}"
        );
    }
    text
}

#[test]
fn an_event_stream_starts_with_the_snapshot_and_gets_every_event() {
    let running = start(test_limits());
    append(&running.events, "\"1\"", "{\"n\":1}");
    let mut reader = BufReader::new(running.connect());
    reader.get_mut().write_all(&get("/events")).expect("sent");
    let head = read_until(&mut reader, "\r\n\r\n");
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(read_until(&mut reader, "\n\n"), "retry: 5000\n\n");
    let event = read_until(&mut reader, "\n\n");
    assert_eq!(event, "event: snapshot\nid: \"1\"\ndata: {\"n\":1}\n\n");
    running.events.append_alert(b"{}");
    assert_eq!(
        read_until(&mut reader, "\n\n"),
        "event: alert\ndata: {}\n\n"
    );
    append(&running.events, "\"2\"", "{\"n\":2}");
    let event = read_until(&mut reader, "\n\n");
    assert_eq!(event, "event: snapshot\nid: \"2\"\ndata: {\"n\":2}\n\n");
    assert_eq!(running.stats.snapshot().event_streams, 1);
    drop(reader);
    running.until("noticed", || running.stats.snapshot().event_streams == 0);
}

#[test]
fn an_event_stream_without_events_gets_keepalive_comments() {
    let limits = HttpLimits {
        event_keepalive: SOON,
        ..test_limits()
    };
    let running = start(limits);
    let mut reader = BufReader::new(running.connect());
    reader.get_mut().write_all(&get("/events")).expect("sent");
    read_until(&mut reader, "retry: 5000\n\n");
    for _ in 0..3 {
        assert_eq!(read_until(&mut reader, "\n\n"), ":\n\n");
    }
}

#[test]
fn two_hundred_event_streams_use_no_threads_and_one_more_gets_503() {
    let limits = HttpLimits {
        connections: 300,
        connections_per_address: 300,
        event_streams: 200,
        ..test_limits()
    };
    let running = start(limits);
    let mut listeners: Vec<_> = (0..200)
        .map(|_| BufReader::new(running.connect()))
        .collect();
    for listener in &mut listeners {
        listener.get_mut().write_all(&get("/events")).expect("sent");
    }
    running.until("all listening", || {
        running.stats.snapshot().event_streams == 200
    });
    let refused = running.request_until_close(b"GET /events HTTP/1.0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.ends_with("met EventStreams(200)"), "{refused}");
    append(&running.events, "\"1\"", "{}");
    for listener in &mut listeners {
        let event = read_until(listener, "data: {}\n\n");
        assert!(event.contains("event: snapshot\n"), "{event}");
    }
    running.still_serves();
}

#[test]
fn an_event_stream_that_is_not_read_is_closed_and_the_others_go_on() {
    let limits = HttpLimits {
        write_timeout: SOON,
        write_bytes_per_s: usize::MAX,
        ..test_limits()
    };
    let running = start(limits);
    let mut deaf = running.connect();
    rustix::net::sockopt::set_socket_recv_buffer_size(&deaf, 4096).expect("a socket");
    deaf.write_all(&get("/events")).expect("sent");
    let mut reader = BufReader::new(running.connect());
    reader.get_mut().write_all(&get("/events")).expect("sent");
    running.until("both listen", || {
        running.stats.snapshot().event_streams == 2
    });
    let long = "x".repeat(100_000);
    let mut number = 0;
    running.until("dropped", || {
        number += 1;
        append(&running.events, &number.to_string(), &long);
        read_until(&mut reader, &format!("id: {number}\n"));
        running.rejection_count(Rejection::SlowEventStream) == 1
    });
    running.until("gone", || running.stats.snapshot().event_streams == 1);
}

#[test]
fn a_head_request_for_events_gets_the_head_of_a_stream() {
    let running = start(test_limits());
    let response = running.request_until_close(b"HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        response,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    );
    running.until("closed", || running.stats.snapshot().event_streams == 0);
}
