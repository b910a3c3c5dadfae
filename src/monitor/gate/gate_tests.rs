//! The gate on raw sockets: every attack that ends, blocks or fools a bare tiny_http, and the
//! manners that well-behaved clients rely on.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

use super::listen::bind;
use super::*;
use crate::monitor::answer::{Answer, Request, Way};
use crate::monitor::events::{Event, EventKind};

const PATIENCE: Duration = Duration::from_secs(20);

/// Says what the path says.
struct Stage {
    big: Arc<[u8]>,
    /// Lets `/stuck` go on.
    open: Mutex<bool>,
    opened: Condvar,
    stuck: AtomicU64,
    cold: AtomicU64,
}

impl Stage {
    fn new() -> Arc<Stage> {
        Arc::new(Stage {
            big: vec![b'x'; 3 * 1024 * 1024].into(),
            open: Mutex::new(false),
            opened: Condvar::new(),
            stuck: AtomicU64::new(0),
            cold: AtomicU64::new(0),
        })
    }

    fn release(&self) {
        *self.open.lock().expect("no poison") = true;
        self.opened.notify_all();
    }
}

fn answer(status: u16, text: impl Into<Vec<u8>>) -> Answer {
    let text: Vec<u8> = text.into();
    Answer {
        status,
        headers: vec![("Content-Type", "text/plain".to_owned())],
        body: text.into(),
    }
}

impl Answerer for Stage {
    fn way(&self, request: &Request) -> Way {
        let path = request.target.split('?').next().unwrap_or_default();
        match path {
            "/hot" => Way::Now(answer(200, "hot")),
            "/unchanged" => Way::Now(answer(304, "")),
            "/big" => Way::Now(Answer {
                body: self.big.clone(),
                ..answer(200, "")
            }),
            // Each a body of its own.
            "/bigs" => Way::Now(answer(200, vec![b'y'; 3 * 1024 * 1024])),
            "/panic" => panic!("asked to"),
            "/events" => Way::Events(vec![("X-Extra", "1".to_owned())]),
            _ => Way::Pool,
        }
    }

    fn cold(&self, request: &Request) -> Answer {
        self.cold.fetch_add(1, Ordering::SeqCst);
        let path = request.target.split('?').next().unwrap_or_default();
        match path {
            "/cold-panic" => panic!("asked to"),
            "/cold-304" => answer(304, ""),
            "/cold-big" => answer(200, vec![b'z'; 3 * 1024 * 1024]),
            "/cold-huge" => answer(200, vec![b'z'; limits::BACKEND_ANSWER_BYTES + 1]),
            "/stuck" => {
                self.stuck.fetch_add(1, Ordering::SeqCst);
                let mut open = self.open.lock().expect("no poison");
                while !*open {
                    open = self.opened.wait(open).expect("no poison");
                }
                answer(200, "free")
            }
            "/echo" => {
                let mut text = format!("{} {} {}\n", request.peer, request.is_head, request.target);
                for (name, value) in &request.headers {
                    text.push_str(&format!("{name}: {value}\n"));
                }
                let mut answer = answer(200, text);
                answer.headers.push(("X-Umlaut", "\u{fc}".to_owned()));
                answer
            }
            _ => answer(404, "nothing here"),
        }
    }

    fn refusal(&self, status: u16, _: Option<&Request>) -> Answer {
        answer(status, format!("refused {status}"))
    }

    fn route_name(&self, request: &Request) -> &'static str {
        match request.target.as_str() {
            "/hot" => "hot",
            "/events" => "events",
            _ => "other",
        }
    }
}

struct Running {
    gate: Option<Gate>,
    address: SocketAddr,
    traffic: Arc<Traffic>,
    feed: Arc<Feed>,
    stage: Arc<Stage>,
    beats: Arc<AtomicU64>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stage.release();
    }
}

/// Quick to look at deadlines; what a test does not shorten is long enough never to matter.
fn test_limits() -> GateLimits {
    GateLimits {
        tick: Duration::from_millis(5),
        head_time: PATIENCE,
        idle_time: PATIENCE,
        write_time: PATIENCE,
        backend_time: PATIENCE,
        linger_time: Duration::from_millis(500),
        ..GateLimits::default()
    }
}

const SOON: Duration = Duration::from_millis(50);

fn start(limits: GateLimits) -> Running {
    let stage = Stage::new();
    let listeners = bind(&[SocketAddr::from(([127, 0, 0, 1], 0))]).expect("a free port");
    let (traffic, feed) = (Arc::new(Traffic::new()), Arc::new(Feed::new()));
    let beats = Arc::new(AtomicU64::new(0));
    let beat = {
        let beats = beats.clone();
        Box::new(move || {
            beats.fetch_add(1, Ordering::SeqCst);
        })
    };
    let gate = Gate::start(Parts {
        listeners,
        answerer: stage.clone(),
        feed: feed.clone(),
        traffic: traffic.clone(),
        private_bases: vec![std::env::temp_dir()],
        beat,
        limits,
    })
    .expect("the gate starts");
    Running {
        address: gate.addresses()[0],
        gate: Some(gate),
        traffic,
        feed,
        stage,
        beats,
    }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the gate listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// From another loopback address, which counts as another client.
    fn connect_from(&self, last: u8) -> TcpStream {
        use rustix::net::{AddressFamily, SocketType};
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
        let socket = socket.expect("a socket");
        let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
        rustix::net::bind(&socket, &from).expect("a loopback address");
        rustix::net::connect(&socket, &self.address).expect("the gate listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// Sends, and reads everything until the gate closes.
    fn whole(&self, sent: &[u8]) -> String {
        let mut stream = self.connect();
        // The gate may refuse before it has everything.
        let _ = stream.write_all(sent);
        rest(stream)
    }

    fn refusals(&self, abuse: Abuse) -> u64 {
        self.traffic.refusals(abuse)
    }

    /// Waits for what another thread is about to do.
    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "still not: {what}");
            thread::yield_now();
        }
    }

    fn still_serves(&self) {
        let served = self.whole(b"GET /hot HTTP/1.0\r\n\r\n");
        assert!(served.ends_with("\r\n\r\nhot"), "{served:?}");
        let served = self.whole(b"GET /echo HTTP/1.0\r\n\r\n");
        assert!(served.starts_with("HTTP/1.1 200 "), "{served:?}");
    }
}

fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer would be an error here: the answer must not be lost to one.
    stream.read_to_end(&mut bytes).expect("an orderly end");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// Reads one answer with a `Content-Length`.
fn read_answer(reader: &mut BufReader<TcpStream>, is_head: bool) -> (u16, String, Vec<u8>) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(
            reader.read_line(&mut head).expect("a line") > 0,
            "ended after {head:?}"
        );
    }
    let status = head[9..12].parse().expect("a status");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; if is_head { 0 } else { length }];
    reader.read_exact(&mut body).expect("the whole body");
    (status, head, body)
}

fn answers_in(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

// ---- Manners --------------------------------------------------------------------------

#[test]
fn one_connection_serves_many_requests_from_memory_and_from_the_pool() {
    let running = start(test_limits());
    let mut reader = BufReader::new(running.connect());
    for _ in 0..3 {
        for (path, body) in [("/hot", &b"hot"[..]), ("/nothing", b"nothing here")] {
            reader.get_mut().write_all(&get(path)).expect("sent");
            let (_, head, found) = read_answer(&mut reader, false);
            assert_eq!(found, body, "{head}");
            assert!(!head.contains("Connection"), "{head}");
            assert!(!head.contains("Server"), "{head}");
            assert!(!head.contains("x-gate"), "{head}");
        }
    }
    assert_eq!(running.traffic.snapshot().connections_accepted, 1);
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
        let (status, head, _) = read_answer(&mut reader, true);
        // The same connection goes on: no byte of a body was in between.
        reader.get_mut().write_all(&get(path)).expect("sent");
        let (got_status, got_head, _) = read_answer(&mut reader, false);
        assert_eq!(status, got_status);
        if path != "/echo" {
            assert_eq!(head, got_head, "{path}");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let running = start(test_limits());
    let mut reader = BufReader::new(running.connect());
    let mut sent = Vec::new();
    for number in 0..100 {
        sent.extend(get(["/hot", "/echo", "/unchanged", "/nothing"][number % 4]));
    }
    reader.get_mut().write_all(&sent).expect("sent");
    for number in 0..100 {
        let (status, _, _) = read_answer(&mut reader, false);
        assert_eq!(status, [200, 200, 304, 404][number % 4], "answer {number}");
    }
}

#[test]
fn old_clients_are_served_and_let_go_unless_they_ask_to_stay() {
    let running = start(test_limits());
    let served = running.whole(b"GET /hot HTTP/1.0\r\n\r\n");
    assert!(served.contains("Connection: close\r\n"), "{served}");
    let mut reader = BufReader::new(running.connect());
    for _ in 0..2 {
        let sent = b"GET /hot HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        reader.get_mut().write_all(sent).expect("sent");
        let (_, head, _) = read_answer(&mut reader, false);
        assert!(head.contains("Connection: keep-alive\r\n"), "{head}");
    }
}

#[test]
fn a_client_that_closes_its_side_after_asking_is_still_answered() {
    let running = start(test_limits());
    for path in ["/hot", "/echo", "/big", "/cold-big"] {
        let mut stream = running.connect();
        stream.write_all(&get(path)).expect("sent");
        stream.shutdown(Shutdown::Write).expect("a socket");
        let answered = rest(stream);
        assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"), "{path}");
        assert!(
            path.contains("big") == (answered.len() > 3_000_000),
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
    let answered = rest(stream);
    assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"), "{answered}");
}

#[test]
fn the_pool_gets_the_request_cleaned_and_the_peer_told() {
    let running = start(test_limits());
    let mut stream = running.connect_from(9);
    let sent = "GET /echo?q=%20 HTTP/1.1\r\nHost: a\r\nX-Gate-Peer: 6.6.6.6\r\nTE: trailers\r\n\
                X-Display-Name: K\u{fc}che 100%\r\nConnection: close\r\n\r\n";
    stream.write_all(sent.as_bytes()).expect("sent");
    let answered = rest(stream);
    let body = answered.split("\r\n\r\n").nth(1).expect("a body");
    assert_eq!(
        body,
        "127.0.0.9 false /echo?q=%20\nhost: a\nx-display-name: K\u{fc}che 100%\n"
    );
    assert!(answered.contains("X-Umlaut: \u{fc}\r\n"), "{answered}");
    let answered = running.whole(b"HEAD /echo HTTP/1.0\r\n\r\n");
    assert!(answered.contains("Content-Length: 21\r\n"), "{answered}");
}

#[test]
fn a_304_has_no_body_whoever_answers_it() {
    let running = start(test_limits());
    for path in ["/unchanged", "/cold-304"] {
        let sent = format!("GET {path} HTTP/1.0\r\n\r\n");
        let answered = running.whole(sent.as_bytes());
        assert!(
            answered.starts_with("HTTP/1.1 304 Not Modified\r\n"),
            "{answered}"
        );
        assert!(!answered.contains("Content-Length"), "{answered}");
        assert!(answered.ends_with("\r\n\r\n"), "{answered}");
    }
}

#[test]
fn the_loop_proves_that_it_turns() {
    let running = start(test_limits());
    let before = running.beats.load(Ordering::SeqCst);
    running.until("two more beats", || {
        running.beats.load(Ordering::SeqCst) >= before + 2
    });
}

// ---- Attacks --------------------------------------------------------------------------

#[test]
fn bad_requests_get_one_answer_and_an_orderly_end() {
    let running = start(test_limits());
    let pipelined = String::from_utf8(get("/hot").repeat(3)).expect("ASCII");
    let rows = [
        // Every row of the table of what fells a bare tiny_http that one request can do.
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
        let answered = running.whole(format!("{sent}{pipelined}").as_bytes());
        assert!(
            answered.starts_with(&format!("HTTP/1.1 {status} ")),
            "{sent:.80?}: {answered}"
        );
        assert_eq!(answers_in(&answered), 1, "{sent:.80?}: {answered}");
        assert!(answered.contains("Connection: close\r\n"), "{answered}");
        assert!(
            answered.ends_with(&format!("refused {status}")),
            "{answered}"
        );
        assert_eq!(
            answered.contains("Allow: GET, HEAD\r\n"),
            status == 405,
            "{answered}"
        );
    }
    running.still_serves();
}

#[test]
fn a_te_header_that_panics_tiny_http_does_not_reach_it() {
    let running = start(test_limits());
    let list = vec!["a;q=nan"; 50].join(", ");
    let sent = format!("GET /echo HTTP/1.0\r\nTE: {list}\r\n\r\n");
    for _ in 0..2 * limits::WORKERS {
        let answered = running.whole(sent.as_bytes());
        assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"), "{answered}");
    }
    assert_eq!(running.traffic.snapshot().panics, 0);
}

#[test]
fn a_body_still_on_its_way_does_not_cost_the_client_its_answer() {
    let running = start(test_limits());
    let mut stream = running.connect();
    let head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    stream.write_all(head).expect("sent");
    // All of it goes through: the gate reads and drops.
    stream.write_all(&[b'x'; 100_000]).expect("taken");
    let answered = rest(stream);
    assert!(answered.starts_with("HTTP/1.1 405 "), "{answered}");
    assert_eq!(answers_in(&answered), 1);
}

#[test]
fn clients_that_reset_after_asking_hurt_nobody() {
    let running = start(test_limits());
    for path in ["/hot", "/echo", "/big", "/cold-big"] {
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
        let snapshot = running.traffic.snapshot();
        (snapshot.connections, snapshot.bytes_outstanding) == (0, 0)
    });
    assert_eq!(running.traffic.snapshot().panics, 0);
}

#[test]
fn a_head_that_does_not_end_in_time_is_answered_408() {
    let limits = GateLimits {
        head_time: SOON,
        ..test_limits()
    };
    let running = start(limits);
    let answered = running.whole(b"GET /hot HTTP/1.1\r\nHost: a\r\nX: ");
    assert!(
        answered.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{answered}"
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
    let mut answered = [0; 12];
    stream.read_exact(&mut answered).expect("an answer");
    assert!(
        answered.starts_with(b"HTTP/1.1 4"),
        "408, or 414 if it dripped fast"
    );
    drop(stream);
    running.until("let go", || running.traffic.snapshot().connections == 0);
    dripping.join().expect("ends when the gate has closed");
    // Who says nothing at all is let go in silence.
    assert_eq!(running.whole(b""), "");
}

#[test]
fn an_idle_connection_is_closed_in_silence() {
    let limits = GateLimits {
        idle_time: SOON,
        ..test_limits()
    };
    let running = start(limits);
    let answered = running.whole(&get("/hot"));
    assert_eq!(answers_in(&answered), 1);
    assert!(answered.ends_with("\r\n\r\nhot"), "{answered}");
}

#[test]
fn a_truncated_head_gets_one_400() {
    let running = start(test_limits());
    let mut stream = running.connect();
    stream.write_all(b"GET /hot HTTP/1.1\r\nHos").expect("sent");
    stream.shutdown(Shutdown::Write).expect("a socket");
    let answered = rest(stream);
    assert!(answered.starts_with("HTTP/1.1 400 "), "{answered}");
    assert_eq!(answers_in(&answered), 1);
}

#[test]
fn clients_that_do_not_read_are_cut_and_hold_up_nobody() {
    let limits = GateLimits {
        write_time: SOON,
        ..test_limits()
    };
    let running = start(limits);
    // More than the pool has workers: tiny_http alone would be blocked now.
    let mut unread: Vec<_> = (0..2 * limits::WORKERS)
        .map(|_| running.connect())
        .collect();
    for stream in &mut unread {
        stream.write_all(&get("/big")).expect("sent");
    }
    running.still_serves();
    // Their answers are large, so they have the time of large answers; a stop cuts them too.
    let served = running.traffic.snapshot();
    assert_eq!(
        served.bytes_outstanding,
        3 * 1024 * 1024,
        "one body, counted once"
    );
}

#[test]
fn a_slow_reader_is_cut_when_its_time_is_over() {
    let limits = GateLimits {
        write_time: SOON,
        write_bytes_per_s: usize::MAX,
        ..test_limits()
    };
    let running = start(limits);
    let mut stream = running.connect();
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096).expect("a socket");
    stream.write_all(&get("/big")).expect("sent");
    running.until("cut", || running.refusals(Abuse::SlowReader) == 1);
    running.until("gone", || running.traffic.snapshot().connections == 0);
    assert_eq!(running.traffic.snapshot().bytes_outstanding, 0);
    running.still_serves();
}

#[test]
fn answers_not_taken_are_bounded_and_small_ones_go_on() {
    let limits = GateLimits {
        bytes_outstanding: 4 * 1024 * 1024,
        bytes_outstanding_per_address: 4 * 1024 * 1024,
        ..test_limits()
    };
    let running = start(limits);
    let mut unread = running.connect();
    unread.write_all(&get("/bigs")).expect("sent");
    running.until("on its way", || {
        running.traffic.snapshot().bytes_outstanding > 0
    });
    for path in ["/bigs", "/cold-big"] {
        let sent = format!("GET {path} HTTP/1.0\r\n\r\n");
        let answered = running.whole(sent.as_bytes());
        assert!(
            answered.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{path}"
        );
        assert!(answered.contains("Retry-After: "), "{answered}");
    }
    assert_eq!(running.refusals(Abuse::BytesOutstanding), 2);
    running.still_serves();
    drop(unread);
    running.until("given back", || {
        running.traffic.snapshot().bytes_outstanding == 0
    });
    let answered = running.whole(b"GET /cold-big HTTP/1.0\r\n\r\n");
    assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn connections_are_capped_per_address_and_others_are_served() {
    let limits = GateLimits {
        connections_per_address: 3,
        ..test_limits()
    };
    let running = start(limits);
    let held: Vec<_> = (0..3).map(|_| running.connect()).collect();
    running.until("let in", || running.traffic.snapshot().connections == 3);
    let mut refused = String::new();
    // Nothing was sent, so nothing resets the answer.
    running
        .connect()
        .read_to_string(&mut refused)
        .expect("an orderly end");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert_eq!(running.refusals(Abuse::ConnectionsOfOne), 1);
    let mut other = running.connect_from(7);
    other.write_all(b"GET /hot HTTP/1.0\r\n\r\n").expect("sent");
    assert!(rest(other).ends_with("hot"));
    drop(held);
    running.until("let go", || running.traffic.snapshot().connections == 0);
    running.still_serves();
}

#[test]
fn when_all_places_are_taken_the_idlest_gives_way() {
    let limits = GateLimits {
        connections: 3,
        shed_after: Duration::ZERO,
        ..test_limits()
    };
    let running = start(limits);
    let mut idlest = BufReader::new(running.connect());
    idlest.get_mut().write_all(&get("/hot")).expect("sent");
    read_answer(&mut idlest, false);
    let mut listening = running.connect_from(2);
    listening.write_all(&get("/events")).expect("sent");
    running.until("streaming", || {
        running.traffic.snapshot().event_streams == 1
    });
    let mut busy = running.connect_from(3);
    busy.write_all(&get("/stuck")).expect("sent");
    running.until("busy", || running.stage.stuck.load(Ordering::SeqCst) == 1);
    let mut newcomer = running.connect_from(4);
    newcomer
        .write_all(b"GET /hot HTTP/1.0\r\n\r\n")
        .expect("sent");
    assert!(rest(newcomer).ends_with("hot"));
    assert_eq!(rest(idlest.into_inner()), "", "closed in silence");
    assert_eq!(running.refusals(Abuse::Shed), 1);
    running.stage.release();
    busy.shutdown(Shutdown::Write).expect("a socket");
    assert!(
        rest(busy).ends_with("free"),
        "who is being answered is left alone"
    );
}

#[test]
fn a_panic_costs_one_request_alone() {
    let running = start(test_limits());
    let mut other = BufReader::new(running.connect());
    for path in ["/panic", "/cold-panic"] {
        let sent = format!("GET {path} HTTP/1.0\r\n\r\n");
        for _ in 0..2 * limits::WORKERS {
            let answered = running.whole(sent.as_bytes());
            assert!(answered.starts_with("HTTP/1.1 500 "), "{path}: {answered}");
        }
        other.get_mut().write_all(&get("/hot")).expect("sent");
        assert_eq!(read_answer(&mut other, false).0, 200);
    }
    assert_eq!(
        running.traffic.snapshot().panics,
        4 * limits::WORKERS as u64
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
            assert_eq!(read_answer(client, false).0, 200);
        }
    }
    let opened = running.traffic.snapshot().pool_connections;
    assert!(opened <= limits::WORKERS as u64, "{opened} were opened");
}

#[test]
fn connections_opened_and_dropped_by_the_thousand_leave_nothing_behind() {
    let running = start(test_limits());
    for number in 0..2000 {
        let stream = running.connect();
        if number % 2 == 0 {
            let at_once = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&stream, at_once).expect("a socket");
        }
    }
    running.still_serves();
    running.until("all gone", || running.traffic.snapshot().connections == 0);
}

/// Descriptors are the process's, so this one has a process of its own.
#[test]
fn it_serves_on_when_descriptors_run_out() {
    let mut child = std::process::Command::new(std::env::current_exe().expect("ourselves"))
        .args([
            "--exact",
            "monitor::gate::tests::out_of_descriptors",
            "--ignored",
            "--nocapture",
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut told = BufReader::new(child.stdout.take().expect("piped"));
    let address = loop {
        let mut line = String::new();
        assert!(
            told.read_line(&mut line).expect("a line") > 0,
            "the child said nothing"
        );
        if let Some((_, address)) = line.trim().split_once("listening on ") {
            break address.parse::<SocketAddr>().expect("an address");
        }
    };
    let connect = || {
        let stream = TcpStream::connect(address).expect("the kernel takes it");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    };
    let mut held = Vec::new();
    for _ in 0..60 {
        // Each is served at once, though each stays open and only a few descriptors are left.
        let mut reader = BufReader::new(connect());
        reader.get_mut().write_all(&get("/hot")).expect("sent");
        assert_eq!(read_answer(&mut reader, false).0, 200);
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
#[ignore = "the other half of it_serves_on_when_descriptors_run_out, which starts it"]
fn out_of_descriptors() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let few = Rlimit {
        current: Some(96),
        maximum: Some(96),
    };
    setrlimit(Resource::Nofile, few).expect("lowering is allowed");
    let limits = GateLimits {
        connections_per_address: 1000,
        ..test_limits()
    };
    let running = start(limits);
    running.still_serves();
    running.until("quiet", || running.traffic.snapshot().connections == 0);
    let mut junk = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        junk.push(file);
    }
    // What is left, beside the few that are being served.
    junk.truncate(junk.len() - 6);
    println!("listening on {}", running.address);
    let mut nothing = String::new();
    io::stdin().read_to_string(&mut nothing).expect("ends");
    assert!(running.refusals(Abuse::Shed) > 40, "the idlest gave way");
    drop(junk);
    running.still_serves();
}

// ---- The pool ---------------------------------------------------------------------------

#[test]
fn one_address_never_has_the_whole_pool() {
    let running = start(test_limits());
    let mut greedy: Vec<_> = (0..2 * limits::WORKERS)
        .map(|_| running.connect())
        .collect();
    for stream in &mut greedy {
        stream.write_all(&get("/stuck")).expect("sent");
    }
    let most = limits::WORKERS as u64 - 1;
    running.until("its share", || {
        running.stage.stuck.load(Ordering::SeqCst) == most
    });
    let mut other = running.connect_from(5);
    other
        .write_all(b"GET /echo HTTP/1.0\r\n\r\n")
        .expect("sent");
    assert!(rest(other).starts_with("HTTP/1.1 200 "));
    assert_eq!(running.stage.stuck.load(Ordering::SeqCst), most);
    running.stage.release();
    for mut stream in greedy {
        stream.shutdown(Shutdown::Write).expect("a socket");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an orderly end");
        assert!(text.ends_with("free"), "{text}");
    }
}

#[test]
fn who_resets_while_waiting_for_the_pool_is_forgotten() {
    let running = start(test_limits());
    let mut waiting: Vec<_> = (0..limits::WORKERS).map(|_| running.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(&get("/stuck")).expect("sent");
    }
    let most = limits::WORKERS as u64 - 1;
    running.until("its share", || {
        running.stage.stuck.load(Ordering::SeqCst) == most
    });
    for stream in waiting {
        let at_once = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&stream, at_once).expect("a socket");
    }
    running.until("forgotten", || running.traffic.snapshot().connections == 0);
    // The one that no worker had begun never reaches one.
    running.stage.release();
    running.still_serves();
    assert_eq!(running.stage.stuck.load(Ordering::SeqCst), most);
}

#[test]
fn a_silent_pool_is_said_with_503_and_serves_again_when_it_is_free() {
    let limits = GateLimits {
        backend_time: SOON,
        proof_time: SOON,
        ..test_limits()
    };
    let running = start(limits);
    // From several addresses, so that every worker gets stuck.
    for last in 1..=limits::WORKERS as u8 {
        let mut stream = running.connect_from(last);
        stream
            .write_all(b"GET /stuck HTTP/1.0\r\n\r\n")
            .expect("sent");
        let answered = rest(stream);
        assert!(answered.starts_with("HTTP/1.1 503 "), "{answered}");
    }
    let stuck = limits::WORKERS as u64;
    assert_eq!(running.stage.stuck.load(Ordering::SeqCst), stuck);
    // Nothing more is piled on the stuck workers, and memory is still served.
    for _ in 0..20 {
        let answered = running.whole(b"GET /echo HTTP/1.0\r\n\r\n");
        assert!(answered.starts_with("HTTP/1.1 503 "), "{answered}");
    }
    assert_eq!(running.stage.cold.load(Ordering::SeqCst), stuck);
    assert!(running.whole(b"GET /hot HTTP/1.0\r\n\r\n").ends_with("hot"));
    running.stage.release();
    running.until("serving again", || {
        running
            .whole(b"GET /echo HTTP/1.0\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    });
}

#[test]
fn a_deaf_tiny_http_is_replaced() {
    let limits = GateLimits {
        proof_time: Duration::from_millis(500),
        ..test_limits()
    };
    let running = start(limits);
    running.still_serves();
    // As after running out of descriptors: nobody accepts at the path any more.
    let desk = running.gate.as_ref().expect("running").pool.desk();
    let number = desk.number();
    desk.replace(number).expect("a second server");
    running.still_serves();
    std::fs::remove_file(desk.path()).expect("its socket");
    let deaf = std::os::unix::net::UnixListener::bind(desk.path()).expect("a deaf one");
    // Break the connections that are open: a replaced server's are not used again.
    desk.replace(number)
        .expect("of another number, so nothing happens");
    assert_eq!(desk.number(), number + 1);
    let replaced = || desk.number() > number + 1;
    // The one proved connection still serves; ask for more at once until another is opened.
    let mut held: Vec<_> = (0..2).map(|_| running.connect_from(6)).collect();
    for stream in &mut held {
        stream.write_all(&get("/stuck")).expect("sent");
    }
    running.until("replaced", replaced);
    drop(deaf);
    running.stage.release();
    running.still_serves();
    assert!(running.traffic.snapshot().pool_restarts >= 2);
}

#[test]
fn an_answer_too_large_to_hold_is_withheld() {
    let running = start(test_limits());
    let answered = running.whole(b"GET /cold-huge HTTP/1.0\r\n\r\n");
    assert!(answered.starts_with("HTTP/1.1 500 "), "{answered:.200}");
    running.still_serves();
}

// ---- Events -----------------------------------------------------------------------------

fn announce(feed: &Feed, kind: EventKind, id: &str, data: &str) {
    feed.announce(Event {
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
    announce(&running.feed, EventKind::Snapshot, "\"1\"", "{\"n\":1}");
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
    announce(&running.feed, EventKind::Alert, "", "{}");
    assert_eq!(
        read_until(&mut reader, "\n\n"),
        "event: alert\ndata: {}\n\n"
    );
    announce(&running.feed, EventKind::Snapshot, "\"2\"", "{\"n\":2}");
    let told = read_until(&mut reader, "\n\n");
    assert_eq!(told, "event: snapshot\nid: \"2\"\ndata: {\"n\":2}\n\n");
    assert_eq!(running.traffic.snapshot().event_streams, 1);
    drop(reader);
    running.until("noticed", || running.traffic.snapshot().event_streams == 0);
}

#[test]
fn a_silent_stream_is_kept_alive_by_comments() {
    let limits = GateLimits {
        heartbeat: SOON,
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
    let limits = GateLimits {
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
        running.traffic.snapshot().event_streams == 200
    });
    let refused = running.whole(b"GET /events HTTP/1.0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    announce(&running.feed, EventKind::Snapshot, "\"1\"", "{}");
    for listener in &mut listeners {
        let heard = read_until(listener, "data: {}\n\n");
        assert!(heard.contains("event: snapshot\n"), "{heard}");
    }
    running.still_serves();
}

#[test]
fn a_listener_that_does_not_read_is_dropped_and_the_others_hear() {
    let limits = GateLimits {
        write_time: SOON,
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
        running.traffic.snapshot().event_streams == 2
    });
    let long = "x".repeat(100_000);
    let mut number = 0;
    running.until("dropped", || {
        number += 1;
        announce(
            &running.feed,
            EventKind::Snapshot,
            &number.to_string(),
            &long,
        );
        read_until(&mut reader, &format!("id: {number}\n"));
        running.refusals(Abuse::SlowListener) == 1
    });
    running.until("gone", || running.traffic.snapshot().event_streams == 1);
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

// ---- Cost -------------------------------------------------------------------------------

#[test]
fn a_connections_task_is_small() {
    let bytes = {
        fn size<F>(_: fn(Async<TcpStream>, leash::Lease, Rc<Hall>) -> F) -> usize {
            size_of::<F>()
        }
        size(connection::serve)
    };
    assert!(
        bytes < 4096,
        "{bytes} bytes: some buffer is held while the task waits"
    );
}

// ---- Stopping ---------------------------------------------------------------------------

#[test]
fn a_stop_lets_answers_finish_ends_streams_and_leaves_nothing_behind() {
    let mut running = start(test_limits());
    let mut idle = BufReader::new(running.connect());
    idle.get_mut().write_all(&get("/hot")).expect("sent");
    read_answer(&mut idle, false);
    let mut listening = running.connect();
    listening.write_all(&get("/events")).expect("sent");
    let mut busy = running.connect();
    busy.write_all(&get("/stuck")).expect("sent");
    running.until("busy", || running.stage.stuck.load(Ordering::SeqCst) == 1);
    running.until("listening", || {
        running.traffic.snapshot().event_streams == 1
    });
    let gate = running.gate.take().expect("running");
    let socket = gate.pool.desk().path();
    assert!(socket.exists());
    let clean = Arc::new(AtomicBool::new(false));
    let stopping = {
        let clean = clean.clone();
        thread::spawn(move || clean.store(gate.stop(PATIENCE), Ordering::SeqCst))
    };
    assert_eq!(rest(idle.into_inner()), "");
    assert!(rest(listening).contains("text/event-stream"));
    running.stage.release();
    let answered = rest(busy);
    assert!(answered.ends_with("free"), "{answered}");
    assert!(answered.contains("Connection: close\r\n"), "{answered}");
    stopping.join().expect("no panic");
    assert!(clean.load(Ordering::SeqCst), "nothing was left behind");
    assert!(!socket.exists());
    assert!(!socket.parent().expect("a directory").exists());
    assert!(TcpStream::connect(running.address).is_err());
}

#[test]
fn a_stop_does_not_wait_for_the_stuck() {
    let mut running = start(test_limits());
    let mut stuck = running.connect();
    stuck.write_all(&get("/stuck")).expect("sent");
    let mut unread = running.connect();
    unread.write_all(&get("/bigs")).expect("sent");
    running.until("stuck", || running.stage.stuck.load(Ordering::SeqCst) == 1);
    let gate = running.gate.take().expect("running");
    let socket = gate.pool.desk().path();
    let begun = Instant::now();
    assert!(
        !gate.stop(Duration::from_millis(200)),
        "a worker is left behind"
    );
    assert!(!socket.parent().expect("a directory").exists());
    assert!(begun.elapsed() < PATIENCE / 2);
}
