//! Event streams on the wire.

use super::*;

fn announce(events: &EventLog, kind: EventKind, id: &str, data: &str) {
    events.append(StreamEvent {
        kind,
        id: id.to_owned(),
        data: data.as_bytes().into(),
    });
}

fn read_until(reader: &mut impl BufRead, wanted: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(wanted) {
        assert!(
            reader.read_line(&mut text).expect("a line") > 0,
            "ended after {text:?}"
        );
    }
    text
}

#[test]
fn a_listener_is_greeted_and_told_of_every_change() {
    let running = start(test_limits());
    announce(&running.events, EventKind::Snapshot, "\"1\"", "{\"n\":1}");
    let mut reader = BufReader::new(running.connect());
    reader.get_mut().write_all(&get("/events")).expect("sent");
    let head = read_until(&mut reader, "\r\n\r\n");
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nX-Extra: 1\r\nContent-Type: text/event-stream\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(read_until(&mut reader, "\n\n"), "retry: 5000\n\n");
    let greeting = read_until(&mut reader, "\n\n");
    assert_eq!(greeting, "event: snapshot\nid: \"1\"\ndata: {\"n\":1}\n\n");
    announce(&running.events, EventKind::Alert, "", "{}");
    assert_eq!(
        read_until(&mut reader, "\n\n"),
        "event: alert\ndata: {}\n\n"
    );
    announce(&running.events, EventKind::Snapshot, "\"2\"", "{\"n\":2}");
    let told = read_until(&mut reader, "\n\n");
    assert_eq!(told, "event: snapshot\nid: \"2\"\ndata: {\"n\":2}\n\n");
    assert_eq!(running.stats.snapshot().event_streams, 1);
    drop(reader);
    running.until("noticed", || running.stats.snapshot().event_streams == 0);
}

#[test]
fn a_silent_stream_is_kept_alive_by_comments() {
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
fn two_hundred_streams_cost_no_threads_and_one_more_is_told_to_come_back() {
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
    let refused = running.whole(b"GET /events HTTP/1.0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.ends_with("met EventStreams(200)"), "{refused}");
    announce(&running.events, EventKind::Snapshot, "\"1\"", "{}");
    for listener in &mut listeners {
        let heard = read_until(listener, "data: {}\n\n");
        assert!(heard.contains("event: snapshot\n"), "{heard}");
    }
    running.still_serves();
}

#[test]
fn a_listener_that_does_not_read_is_dropped_and_the_others_hear() {
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
        announce(
            &running.events,
            EventKind::Snapshot,
            &number.to_string(),
            &long,
        );
        read_until(&mut reader, &format!("id: {number}\n"));
        running.refusals(Rejection::SlowEventStream) == 1
    });
    running.until("gone", || running.stats.snapshot().event_streams == 1);
}

#[test]
fn a_head_request_for_events_ends_after_its_head() {
    let running = start(test_limits());
    let answered = running.whole(b"HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        answered.contains("Content-Type: text/event-stream\r\n"),
        "{answered}"
    );
    assert!(answered.ends_with("\r\n\r\n"), "{answered}");
}
