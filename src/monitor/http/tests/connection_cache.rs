//! Connection cache: identical requests, byte for byte.

use super::*;

/// How often a request was dispatched, and how often it was served from the cache.
fn counts(running: &Running) -> (u64, u64) {
    let handler = &running.handler;
    (
        handler.dispatched.load(Ordering::SeqCst),
        handler.cache_hits.load(Ordering::SeqCst),
    )
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn of(running: &Running) -> Client {
        Client(BufReader::new(running.connect()))
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("it listens");
    }

    fn body(&mut self) -> String {
        let (status, _, body) = read_response(&mut self.0, false);
        assert_eq!(status, 200);
        String::from_utf8(body).expect("text")
    }

    fn request(&mut self, bytes: &[u8]) -> String {
        self.send(bytes);
        self.body()
    }
}

#[test]
fn an_identical_request_gets_the_cached_response_until_a_new_generation() {
    let running = start(test_limits());
    let mut client = Client::of(&running);
    for _ in 0..3 {
        assert_eq!(client.request(&get("/cacheable")), "generation 0");
    }
    assert_eq!(counts(&running), (1, 2));

    running.handler.generation.store(1, Ordering::SeqCst);
    assert_eq!(client.request(&get("/cacheable")), "generation 1");
    assert_eq!(client.request(&get("/cacheable")), "generation 1");
    assert_eq!(counts(&running), (2, 3));

    // Other requests in between do not end it; each connection has its own.
    assert_eq!(client.request(&get("/hot")), "hot");
    assert_eq!(client.request(&get("/cacheable")), "generation 1");
    assert_eq!(counts(&running), (2, 4));
    assert_eq!(
        Client::of(&running).request(&get("/cacheable")),
        "generation 1"
    );
    assert_eq!(counts(&running), (3, 4));

    // Counted after the response, like any other.
    running.until("all are counted", || {
        let requests = running.stats.snapshot().requests;
        requests.iter().map(|(_, count)| count).sum::<u64>() == 8
    });
}

#[test]
fn only_an_identical_head_is_served_from_the_cache() {
    let running = start(test_limits());
    let mut client = Client::of(&running);
    client.request(&get("/cacheable"));
    for other in [
        "GET /cacheable HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET /cacheable HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
        "GET /cacheable?x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /cacheable HTTP/1.1\nHost: a\n\n",
    ] {
        let (dispatched, cache_hits) = counts(&running);
        client.request(other.as_bytes());
        assert_eq!(counts(&running), (dispatched + 1, cache_hits), "{other:?}");
    }
    // A head that begins the same and is invalid.
    client.request(&get("/cacheable"));
    client.send(b"GET /cacheable HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n");
    assert_eq!(read_response(&mut client.0, false).0, 400);
}

#[test]
fn responses_are_sent_in_order_however_the_bytes_arrive() {
    let running = start(test_limits());
    let mut client = Client::of(&running);
    let head = get("/cacheable");
    client.request(&head);

    // In two pieces, the first of which is surely read alone.
    let (first, second) = head.split_at(9);
    let read = |running: &Running| running.heartbeats.load(Ordering::SeqCst);
    client.send(first);
    let before = read(&running);
    running.until("the server has turned", || read(&running) > before + 2);
    client.send(second);
    assert_eq!(client.body(), "generation 0");

    // Many at once, with another among them and blank lines between.
    client.send(&[&head[..], &head, &get("/hot"), b"\r\n", &head, &head].concat());
    let bodies: Vec<String> = (0..5).map(|_| client.body()).collect();
    let cached = "generation 0";
    assert_eq!(bodies, [cached, cached, "hot", cached, cached]);
    assert_eq!(counts(&running), (2, 4), "one came behind a blank line");
}

#[test]
fn large_responses_and_other_methods_are_not_cached() {
    let running = start(test_limits());
    let rows = [
        "GET /cacheable-big HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /cacheable HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned(),
        format!(
            "GET /cacheable HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(limits::CACHED_HEAD_BYTES)
        ),
    ];
    for head in &rows {
        let mut client = Client::of(&running);
        let (dispatched, cache_hits) = counts(&running);
        client.request(head.as_bytes());
        client.request(head.as_bytes());
        assert_eq!(counts(&running), (dispatched + 2, cache_hits), "{head:?}");
    }
    let mut client = Client::of(&running);
    for _ in 0..2 {
        client.send(b"HEAD /cacheable HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(read_response(&mut client.0, true).0, 200);
    }
    let closing = "GET /cacheable HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let responses = running.request_until_close(closing.repeat(2).as_bytes());
    assert_eq!(count_responses(&responses), 1, "{responses:?}");
    assert_eq!(counts(&running).1, 0);
}
