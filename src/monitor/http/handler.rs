//! Request, response, and the handler trait between the HTTP server and the routes.
//!
//! Plain values and one trait: the server speaks HTTP, the routes know the meaning of a path.
//! No thread of its own; each method's comment names its thread.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A well-framed GET, HEAD, OPTIONS or POST. The parser has checked syntax, sizes and framing; the
/// meaning of the target and of the headers is for the handler.
#[derive(Debug, Clone)]
pub struct Request {
    pub is_head: bool,
    /// Origin form, as sent: path and query, percent-encoded, visible ASCII without `#`; of an
    /// OPTIONS maybe `*`.
    pub target: String,
    /// Names in lower case, in the order sent; values without surrounding blanks. What only
    /// concerns one connection (`connection`, `te`, `expect` …) is left out. `host` is
    /// here at most once; where the target was absolute it is the target's.
    pub headers: Vec<(String, String)>,
    /// The client: that of a trusted proxy's request is the address that the proxy names.
    pub peer: IpAddr,
    /// Path prefix of links (`/node`), from a reverse proxy or the configuration; empty without.
    /// The target is without it.
    pub base: String,
    /// Whether the client speaks TLS with a trusted proxy (`X-Forwarded-Proto`).
    pub is_https: bool,
    /// The parameter `token`, which the target no longer has: so no log, list or page shows it.
    pub token: Option<String>,
}

impl Response {
    /// The ETag; empty where there is none.
    pub fn etag(&self) -> &str {
        let found = self.headers.iter().find(|(name, _)| *name == "ETag");
        found.map_or("", |(_, etag)| etag)
    }
}

impl Request {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The ETag without its `W/`, as weak comparison compares it.
pub fn opaque_tag(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

/// A response. `Content-Length`, `Date` and `Connection` are added by the writer.
///
/// To a HEAD the writer sends the length of `body` and no body. A 304 with a body
/// sends the length of that representation and no body; with an empty body it sends
/// no length (RFC 9110).
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Further header fields, `Content-Type` among them.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Shared, so that many slow readers of one snapshot hold one copy.
    pub body: Arc<[u8]>,
}

/// How a request is to be served.
pub enum Dispatch {
    /// This response, from memory.
    Immediate(Response),
    /// This response, from memory. The same request gets it again as long as
    /// [`Handler::generation`] returns this number; [`Handler::on_cache_hit`] is called then.
    Cacheable(Response, u64),
    /// By the worker pool: a worker calls [`Handler::render`].
    Worker,
    /// As an event stream.
    EventStream(EventStreamStart),
}

/// How an event stream begins.
pub struct EventStreamStart {
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The id of the last event that the client was sent.
    pub last_id: Option<String>,
}

/// A limit of the server that was reached, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overload {
    Connections(usize),
    ConnectionsPerAddress(usize),
    /// Connections of one trusted proxy.
    ConnectionsPerProxy(usize),
    EventStreams(usize),
    /// Bytes of large responses that clients have not read yet.
    BytesOutstanding(usize),
    BytesOutstandingPerAddress(usize),
    /// How long the workers have for a response.
    ResponseTime(Duration),
}

/// Responds to requests. Given by node, called by the server and its pool.
pub trait Handler: Send + Sync + 'static {
    /// Called first, for every request whose head could be parsed: takes the path prefix and the
    /// token out of the target. Runs on the server's thread.
    fn prepare(&self, _request: &mut Request) {}

    /// How to serve this request. Runs on the server's thread, which serves all clients: no disk,
    /// no lock that a writer holds long, nothing that grows with history. Access rules (`Host`,
    /// password, allowed networks) are decided here for every kind of dispatch, event streams
    /// included.
    fn dispatch(&self, request: &Request) -> Dispatch;

    /// The response to OPTIONS. Runs on the server's thread. The access rules but the password are
    /// decided here.
    fn options(&self, request: &Request) -> Response;

    /// The response to POST, by its head alone: the server reads the body and drops it, so that no
    /// handler ever holds one. `None` where the path takes no POST: it gets 405. The access rules
    /// are decided here. Runs on the server's thread.
    fn post(&self, _request: &Request) -> Option<Response> {
        None
    }

    /// The version of what cacheable responses are made from: it changes with that data. Called
    /// for every repeated request, on the server's thread.
    fn generation(&self) -> u64 {
        0
    }

    /// A cached response, of this ETag, is sent again. Runs on the server's thread.
    fn on_cache_hit(&self, _request: &Request, _etag: &str) {}

    /// Must not depend on the client: a good response is also sent for identical requests of others
    /// within `limits::PAGE_CACHE_TTL`, unless an event was appended in between.
    ///
    /// Runs on a worker of the pool; may read history and take its time, within
    /// `limits::POOL_TIMEOUT`.
    fn render(&self, request: &Request) -> Response;

    /// The 503 for a request that reached a limit: which one, and what to do. `request` is there
    /// where one was read. Runs on the server's thread. The server adds `Retry-After` where it is
    /// missing.
    fn overloaded(&self, limit: Overload, request: Option<&Request>) -> Response;

    /// The response to what the server itself rejects: 400, 403, 405, 408, 411, 413, 414, 417, 431, 500
    /// or 505. `request` is there where enough of the head could be parsed. Runs on the server's
    /// thread. The server adds `Allow` where it is missing.
    fn rejection(&self, status: u16, request: Option<&Request>) -> Response;

    /// The route's name for counters: one of a small fixed set, never the path itself.
    fn route_name(&self, request: &Request) -> &'static str;

    /// The value of `Date` for the next tick, where the clock is trusted (RFC 9110
    /// requires none without a clock). Called once a tick, on the server's thread.
    fn date(&self) -> Option<String> {
        None
    }
}
