//! Worker pool: tiny_http's server and its threads, which render pages.
//!
//! Owns threads `web-1` …, each of which takes one request at a time from tiny_http and calls
//! the handler. It listens on a Unix socket in a private directory and sees only what the
//! server sends: clean GETs of HTTP/1.1 without a body. tiny_http must never see anything else:
//! its faults (`Content-Length`, `TE`, resets, bursts, descriptors) can all be triggered by
//! any client that can write to it.
//!
//! A request that panics gets a 500 and is counted. When tiny_http's accept loop has ended (it
//! does so for good when descriptors run out) the whole server is replaced.

use std::borrow::Cow;
use std::io::{self, Cursor};
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::handler::{Handler, Request, Response};
use super::private_dir::PrivateDir;
use super::stats::HttpStats;
use crate::domain::percent;
use crate::limits;
use crate::sys::shutdown::{StopSource, StopToken};
use crate::sys::sync::Mutex;
use crate::sys::thread::{Thread, lower_priority, spawn};

/// The peer address: a private header field between the server and the pool, as all below.
pub const PEER_FIELD: &str = "x-pool-peer";
/// The path prefix, where there is one.
pub const BASE_FIELD: &str = "x-pool-base";
/// The parameter `token`, where there is one.
pub const TOKEN_FIELD: &str = "x-pool-token";
/// Set if the client's method is HEAD; the pool gets only GET.
pub const HEAD_FIELD: &str = "x-pool-head";
/// Set if only the connection is to be tested.
pub const HTTPS_FIELD: &str = "x-pool-https";
pub const PING_FIELD: &str = "x-pool-ping";
/// Slot and number of the request, so that it can be seen when its worker is free again.
pub const REQUEST_ID_FIELD: &str = "x-pool-request-id";
/// The response's own status.
pub const STATUS_FIELD: &str = "x-pool-status";
/// Before the names of the response's own header fields.
pub const FIELD_PREFIX: &str = "x-pool-field-";

/// The pool. Dropping it stops it.
pub struct WorkerPool {
    state: Arc<PoolState>,
    workers: Vec<Thread>,
    shutdown: StopSource,
}

/// What the server's thread and the workers share.
pub struct PoolState {
    handler: Arc<dyn Handler>,
    stats: Arc<HttpStats>,
    current: Mutex<CurrentServer>,
    /// By slot: the last request that was finished.
    finished: [AtomicU64; limits::POOL_WORKERS],
    /// Requests that workers have finished, ever.
    done: AtomicU64,
    idle: AtomicUsize,
    stopping: StopToken,
    // Last: the directory goes after the server that listens in it.
    directory: PrivateDir,
}

/// tiny_http's server of the moment; after a replacement there is another.
struct CurrentServer {
    server: Option<Arc<tiny_http::Server>>,
    number: u64,
}

impl WorkerPool {
    pub fn start(
        handler: Arc<dyn Handler>,
        stats: Arc<HttpStats>,
        directory: PrivateDir,
    ) -> io::Result<WorkerPool> {
        let shutdown = StopSource::new();
        let stopping = shutdown.token();
        let server = start_tiny_http(directory.socket(0))?;
        let state = Arc::new(PoolState {
            handler,
            stats,
            current: Mutex::new(CurrentServer {
                server: Some(server),
                number: 0,
            }),
            finished: std::array::from_fn(|_| AtomicU64::new(0)),
            done: AtomicU64::new(0),
            idle: AtomicUsize::new(0),
            stopping,
            directory,
        });
        let mut pool = WorkerPool {
            state,
            workers: Vec::with_capacity(limits::POOL_WORKERS),
            shutdown,
        };
        for number in 1..=limits::POOL_WORKERS {
            let state = pool.state.clone();
            let worker = spawn(&format!("web-{number}"), move || state.worker_loop())?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    pub fn state(&self) -> Arc<PoolState> {
        self.state.clone()
    }

    /// Ends the workers, waiting for those that are busy at most for `time`. True if all ended.
    pub fn stop(&mut self, time: Duration) -> bool {
        self.shutdown.stop();
        let deadline = Instant::now() + time;
        let server = self.state.current().server.take();
        if let Some(server) = &server {
            // One call frees one worker.
            for _ in 0..limits::POOL_WORKERS {
                server.unblock();
            }
        }
        drop(server);
        let ended = self.workers.drain(..).map(|it| it.join_by(deadline));
        let busy = ended.filter(|has_ended| !has_ended).count();
        if busy > 0 {
            log::warn!("{busy} page workers were still busy and are left behind");
        }
        // One that is left behind holds the state; the directory goes all the same.
        self.state.directory.remove();
        busy == 0
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.stop(limits::SHUTDOWN_GRACE);
    }
}

fn start_tiny_http(path: PathBuf) -> io::Result<Arc<tiny_http::Server>> {
    match tiny_http::Server::http_unix(&path) {
        Ok(server) => Ok(Arc::new(server)),
        Err(error) => Err(io::Error::other(format!(
            "the page workers cannot listen on {}: {error}",
            path.display()
        ))),
    }
}

impl PoolState {
    /// Where the server of the moment listens.
    pub fn socket_path(&self) -> PathBuf {
        self.directory.socket(self.current().number)
    }

    /// Workers that wait for a request.
    pub fn idle_workers(&self) -> usize {
        self.idle.load(Ordering::Acquire)
    }

    /// How many requests workers have finished.
    pub fn finished_requests(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    /// Whether the worker of this request has responded.
    pub fn has_finished(&self, slot: usize, request_id: u64) -> bool {
        self.finished[slot].load(Ordering::Acquire) >= request_id
    }

    /// Replaces the server, if it is still the one of that number.
    pub fn replace(&self, number: u64) -> io::Result<()> {
        let mut current = self.current();
        if current.number != number || self.stopping.is_stopping() {
            return Ok(());
        }
        let next = start_tiny_http(self.directory.socket(number + 1))?;
        current.number += 1;
        let dead = current.server.replace(next);
        drop(current);
        let times = self.stats.pool_restarted();
        if times.is_power_of_two() {
            log::warn!(
                "tiny_http's server no longer took connections and was replaced; {times} times \
                 so far"
            );
        }
        if let Some(dead) = dead {
            for _ in 0..limits::POOL_WORKERS {
                dead.unblock();
            }
        }
        Ok(())
    }

    /// The number of the server of the moment, for [`PoolState::replace`].
    pub fn server_number(&self) -> u64 {
        self.current().number
    }

    fn current(&self) -> std::sync::MutexGuard<'_, CurrentServer> {
        self.current.lock()
    }

    /// The loop of one worker.
    fn worker_loop(&self) {
        // Displays before pages: the server responds to them while workers render.
        lower_priority();
        loop {
            let (server, number) = {
                let current = self.current();
                (current.server.clone(), current.number)
            };
            let Some(server) = server else {
                return;
            };
            self.idle.fetch_add(1, Ordering::AcqRel);
            let received = server.recv();
            self.idle.fetch_sub(1, Ordering::AcqRel);
            match received {
                Ok(request) => self.handle(request),
                Err(_) if self.stopping.is_stopping() => return,
                // Either this server was replaced and unblocked this worker, or its accept loop
                // has ended.
                Err(error) => {
                    if self.server_number() != number {
                        continue;
                    }
                    log::debug!("tiny_http: {error}");
                    if let Err(error) = self.replace(number) {
                        log::debug!("{error}");
                        self.stopping.wait(limits::ACCEPT_RETRY_DELAY);
                    }
                }
            }
        }
    }

    fn handle(&self, received: tiny_http::Request) {
        let mut request_id = None;
        let turned = catch_unwind(AssertUnwindSafe(|| {
            let Some(pool_request) = decode(&received) else {
                // Only a process with access to the private directory can send this.
                return respond(
                    received,
                    text_response(400, "the pool serves only the HTTP server\n"),
                );
            };
            request_id = pool_request.request_id;
            let response = if pool_request.is_ping {
                text_response(200, "")
            } else {
                self.render(&pool_request.request)
            };
            respond(received, response)
        }));
        match turned {
            Ok(Ok(())) => {}
            // The server gave this one up and has closed its end.
            Ok(Err(error)) => log::debug!("a response came too late: {error}"),
            Err(_) => self.stats.record_panic("a page worker"),
        }
        if let Some((slot, number)) = request_id {
            self.finished[slot].fetch_max(number, Ordering::AcqRel);
            self.done.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn render(&self, request: &Request) -> Response {
        let rendered = catch_unwind(AssertUnwindSafe(|| self.handler.render(request)));
        let Ok(response) = rendered else {
            self.stats.record_panic("a page worker");
            return self.handler.rejection(500, Some(request));
        };
        if response.body.len() > limits::POOL_RESPONSE_BYTES {
            let (bytes, most) = (response.body.len(), limits::POOL_RESPONSE_BYTES);
            log::error!("a response of {bytes} bytes was not sent: the limit is {most}");
            return self.handler.rejection(500, Some(request));
        }
        response
    }
}

/// A request from the server.
struct PoolRequest {
    request: Request,
    request_id: Option<(usize, u64)>,
    is_ping: bool,
}

fn decode(received: &tiny_http::Request) -> Option<PoolRequest> {
    let mut request = Request {
        is_head: false,
        target: received.url().to_owned(),
        headers: Vec::with_capacity(received.headers().len()),
        peer: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        base: String::new(),
        is_https: false,
        token: None,
    };
    let (mut request_id, mut is_ping, mut has_peer) = (None, false, false);
    for header in received.headers() {
        let name = header.field.as_str().as_str();
        let value = header.value.as_str();
        match name {
            PEER_FIELD => {
                request.peer = value.parse().ok()?;
                has_peer = true;
            }
            BASE_FIELD => request.base = unescape(value)?,
            TOKEN_FIELD => request.token = Some(unescape(value)?),
            HEAD_FIELD => request.is_head = true,
            HTTPS_FIELD => request.is_https = true,
            PING_FIELD => is_ping = true,
            REQUEST_ID_FIELD => request_id = Some(parse_request_id(value)?),
            _ => request.headers.push((name.to_owned(), unescape(value)?)),
        }
    }
    (is_ping || has_peer).then_some(PoolRequest {
        request,
        request_id,
        is_ping,
    })
}

/// Always status 200 with a `Content-Length`, whatever the response's own status, which is sent
/// in a field: so tiny_http never drops a body or a length by its own rules.
fn respond(received: tiny_http::Request, response: Response) -> io::Result<()> {
    let mut headers = Vec::with_capacity(response.headers.len() + 1);
    let status = response.status.to_string();
    headers.extend(tiny_http::Header::from_bytes(STATUS_FIELD, status).ok());
    for (name, value) in &response.headers {
        // Encoded, since tiny_http takes ASCII alone; renamed, since it replaces or drops
        // some names.
        let name = format!("{FIELD_PREFIX}{name}");
        match tiny_http::Header::from_bytes(name.as_bytes(), escape(value)) {
            Ok(header) => headers.push(header),
            Err(()) => log::debug!("left out a header field that cannot be sent: {name}"),
        }
    }
    let length = response.body.len();
    let encoded = tiny_http::Response::new(
        tiny_http::StatusCode(200),
        headers,
        Cursor::new(response.body),
        Some(length),
        None,
    );
    received.respond(encoded.with_chunked_threshold(usize::MAX))
}

fn text_response(status: u16, text: &str) -> Response {
    Response {
        status,
        headers: vec![("Content-Type", "text/plain; charset=utf-8".into())],
        body: text.as_bytes().into(),
    }
}

fn parse_request_id(value: &str) -> Option<(usize, u64)> {
    let (slot, number) = value.split_once('-')?;
    let slot = slot.parse().ok()?;
    (slot < limits::POOL_WORKERS).then_some((slot, number.parse().ok()?))
}

/// Visible ASCII and blanks as they are; everything else, and `%`, as `%XX`.
pub fn escape(value: &str) -> String {
    percent::encode_set(value, percent::HEADER)
}

pub fn unescape(coded: &str) -> Option<String> {
    percent::decode_strict(coded).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_round_trip() {
        for value in [
            "",
            "plain",
            "100%",
            "%41",
            "Küche 🌡",
            "a\tb",
            "a\r\nb: c",
            "\u{fffd}",
        ] {
            let coded = escape(value);
            assert!(
                coded.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{coded}"
            );
            assert_eq!(unescape(&coded).as_deref(), Some(value));
        }
    }

    #[test]
    fn invalid_escapes_are_rejected() {
        for coded in ["%", "%4", "%zz", "%FF"] {
            assert_eq!(unescape(coded), None, "{coded}");
        }
    }

    #[test]
    fn request_ids_name_a_slot_that_exists() {
        assert_eq!(parse_request_id("2-77"), Some((2, 77)));
        for broken in ["", "2", "4-1", "-1-1", "1-", "1-x"] {
            assert_eq!(parse_request_id(broken), None, "{broken}");
        }
    }
}
