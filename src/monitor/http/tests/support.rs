//! Support of the HTTP server's tests over raw sockets: a handler, a running server, and
//! functions that send requests and read responses.

mod attacks;
mod conformance;
mod connection_cache;
mod event_stream;
mod idle_cost;
mod post;
mod shutdown;
mod trusted_proxies;
mod worker_pool;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use smol::Async;

use super::admission::{is_allowed, is_client_allowed};
use super::connection;
use super::event_log::{EventLog, SnapshotEvent, SnapshotSource};
use super::forwarded::{ClientNetworks, TrustedProxies};
use super::handler::{Dispatch, EventStreamStart, Handler, Overload, Request, Response};
use super::listener::bind;
use super::server::{HttpServer, HttpServerParts};
use super::server_limits::HttpLimits;
use super::server_state::ServerState;
use super::stats::{HttpStats, Rejection};
use crate::domain::snapshot_change::SnapshotChange;
use crate::limits;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A handler whose behaviour depends on the path.
struct TestHandler {
    big: Arc<[u8]>,
    /// Whether `/stuck` may respond.
    open: Mutex<bool>,
    opened: Condvar,
    stuck: AtomicU64,
    rendered: AtomicU64,
    /// Of `/cacheable`: how often it was dispatched, and how often it was a cache hit.
    dispatched: AtomicU64,
    cache_hits: AtomicU64,
    generation: AtomicU64,
}

impl TestHandler {
    fn new() -> Arc<TestHandler> {
        Arc::new(TestHandler {
            big: vec![b'x'; 3 * 1024 * 1024].into(),
            open: Mutex::new(false),
            opened: Condvar::new(),
            stuck: AtomicU64::new(0),
            rendered: AtomicU64::new(0),
            dispatched: AtomicU64::new(0),
            cache_hits: AtomicU64::new(0),
            generation: AtomicU64::new(0),
        })
    }

    fn release(&self) {
        *self.open.lock().expect("no poison") = true;
        self.opened.notify_all();
    }
}

fn response(status: u16, text: impl Into<Vec<u8>>) -> Response {
    let text: Vec<u8> = text.into();
    Response {
        status,
        headers: vec![("Content-Type", "text/plain".into())],
        body: text.into(),
    }
}

impl Handler for TestHandler {
    fn dispatch(&self, request: &Request) -> Dispatch {
        let path = request.target.split('?').next().unwrap_or_default();
        match path {
            "/hot" => Dispatch::Immediate(response(200, "hot")),
            "/cacheable" | "/cacheable-big" => {
                self.dispatched.fetch_add(1, Ordering::SeqCst);
                let generation = self.generation();
                let mut text = format!("generation {generation}").into_bytes();
                if path == "/cacheable-big" {
                    text.resize(limits::SMALL_RESPONSE_BYTES + 1, b' ');
                }
                let mut response = response(200, text);
                response.headers.push(("ETag", "\"1\"".into()));
                Dispatch::Cacheable(response, generation)
            }
            "/unchanged" => Dispatch::Immediate(response(304, "")),
            "/big" => Dispatch::Immediate(Response {
                body: self.big.clone(),
                ..response(200, "")
            }),
            // Each a body of its own.
            "/bigs" => Dispatch::Immediate(response(200, vec![b'y'; 3 * 1024 * 1024])),
            "/panic" => panic!("asked to"),
            "/events" => Dispatch::EventStream(EventStreamStart {
                headers: vec![("Content-Type", "text/event-stream".into())],
                last_id: request.header("last-event-id").map(str::to_owned),
            }),
            _ => Dispatch::Worker,
        }
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn on_cache_hit(&self, request: &Request, etag: &str) {
        assert!(request.target.starts_with("/cacheable") && etag == "\"1\"");
        self.cache_hits.fetch_add(1, Ordering::SeqCst);
    }

    fn render(&self, request: &Request) -> Response {
        self.rendered.fetch_add(1, Ordering::SeqCst);
        let path = request.target.split('?').next().unwrap_or_default();
        match path {
            "/rendered-panic" => panic!("asked to"),
            "/rendered-304" => response(304, ""),
            "/rendered-big" => response(200, vec![b'z'; 3 * 1024 * 1024]),
            "/rendered-huge" => response(200, vec![b'z'; limits::POOL_RESPONSE_BYTES + 1]),
            "/stuck" => {
                self.stuck.fetch_add(1, Ordering::SeqCst);
                let mut open = self.open.lock().expect("no poison");
                while !*open {
                    open = self.opened.wait(open).expect("no poison");
                }
                response(200, "free")
            }
            "/echo" => {
                let mut text = format!("{} {} {}\n", request.peer, request.is_head, request.target);
                for (name, value) in &request.headers {
                    text.push_str(&format!("{name}: {value}\n"));
                }
                let mut response = response(200, text);
                response.headers.push(("X-Umlaut", "\u{fc}".into()));
                response
            }
            _ => response(404, "nothing here"),
        }
    }

    fn options(&self, request: &Request) -> Response {
        let mut response = response(204, "");
        response.headers.push(("Allow", "GET".into()));
        response
            .headers
            .push(("X-Asked", request.target.clone().into()));
        response
    }

    fn post(&self, request: &Request) -> Option<Response> {
        match request.target.as_str() {
            "/log" => Some(response(204, "")),
            "/log-denied" => Some(response(401, "denied")),
            "/log-panic" => panic!("asked to"),
            _ => None,
        }
    }

    fn overloaded(&self, limit: Overload, _: Option<&Request>) -> Response {
        response(503, format!("met {limit:?}"))
    }

    fn rejection(&self, status: u16, _: Option<&Request>) -> Response {
        response(status, format!("refused {status}"))
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
    server: Option<HttpServer>,
    address: SocketAddr,
    stats: Arc<HttpStats>,
    events: Arc<EventLog>,
    handler: Arc<TestHandler>,
    heartbeats: Arc<AtomicU64>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handler.release();
    }
}

/// Short ticks; timeouts that a test does not shorten are long enough never to matter.
fn test_limits() -> HttpLimits {
    HttpLimits {
        tick: Duration::from_millis(5),
        // Tests wait for a number of these.
        heartbeat: Duration::from_millis(5),
        head_timeout: TIMEOUT,
        idle_timeout: TIMEOUT,
        write_timeout: TIMEOUT,
        worker_timeout: TIMEOUT,
        // Tests count the requests of the pool.
        page_cache_ttl: Duration::ZERO,
        linger_timeout: Duration::from_millis(500),
        ..HttpLimits::default()
    }
}

const SOON: Duration = Duration::from_millis(50);

fn start(limits: HttpLimits) -> Running {
    start_with(limits, || ())
}

/// `workers_heartbeat` is called as in [`HttpServerParts`].
fn start_with(limits: HttpLimits, workers_heartbeat: impl Fn() + Send + 'static) -> Running {
    start_for(ClientNetworks::default(), limits, workers_heartbeat)
}

fn start_for(
    networks: ClientNetworks,
    limits: HttpLimits,
    workers_heartbeat: impl Fn() + Send + 'static,
) -> Running {
    let handler = TestHandler::new();
    let listeners = bind(&[SocketAddr::from(([127, 0, 0, 1], 0))], &[]).expect("a free port");
    let (stats, events) = (Arc::new(HttpStats::new()), Arc::new(EventLog::new()));
    let heartbeats = Arc::new(AtomicU64::new(0));
    let heartbeat = {
        let heartbeats = heartbeats.clone();
        Box::new(move || {
            heartbeats.fetch_add(1, Ordering::SeqCst);
        })
    };
    let server = HttpServer::start(HttpServerParts {
        networks,
        listeners,
        handler: handler.clone(),
        events: events.clone(),
        stats: stats.clone(),
        private_bases: vec![std::env::temp_dir()],
        heartbeat,
        workers_heartbeat: Box::new(workers_heartbeat),
        limits,
    })
    .expect("the server starts");
    Running {
        address: server.addresses()[0],
        server: Some(server),
        stats,
        events,
        handler,
        heartbeats,
    }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a socket");
        stream.set_write_timeout(Some(TIMEOUT)).expect("a socket");
        stream
    }

    /// From another loopback address, which counts as another client.
    fn connect_from(&self, last: u8) -> TcpStream {
        use rustix::net::{AddressFamily, SocketType};
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
        let socket = socket.expect("a socket");
        let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
        rustix::net::bind(&socket, &from).expect("a loopback address");
        rustix::net::connect(&socket, &self.address).expect("the server listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(TIMEOUT)).expect("a socket");
        stream
    }

    /// Sends, and reads everything until the server closes.
    fn request_until_close(&self, sent: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may reject the request before it has read all of it.
        let _ = stream.write_all(sent);
        rest(stream)
    }

    fn rejection_count(&self, rejection: Rejection) -> u64 {
        self.stats.rejections(rejection)
    }

    /// Waits for two heartbeats: the server has then seen everything that was sent before.
    fn ticks(&self) {
        let seen = self.heartbeats.load(Ordering::SeqCst);
        self.until("two ticks", || {
            self.heartbeats.load(Ordering::SeqCst) >= seen + 2
        });
    }

    /// Waits until a condition that another thread fulfils holds.
    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < TIMEOUT, "still not: {what}");
            thread::yield_now();
        }
    }

    fn still_serves(&self) {
        let served = self.request_until_close(b"GET /hot HTTP/1.0\r\n\r\n");
        assert!(served.ends_with("\r\n\r\nhot"), "{served:?}");
        let served = self.request_until_close(b"GET /echo HTTP/1.0\r\n\r\n");
        assert!(served.starts_with("HTTP/1.1 200 "), "{served:?}");
    }
}

fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the response would be an error here: it must not lose the response.
    stream.read_to_end(&mut bytes).expect("an orderly end");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// Reads one response with a `Content-Length`.
fn read_response(reader: &mut BufReader<TcpStream>, is_head: bool) -> (u16, String, Vec<u8>) {
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

fn count_responses(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}
