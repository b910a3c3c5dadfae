//! Request, response, and the handler trait between the HTTP server and the routes.
//!
//! Plain values and one trait: the server speaks HTTP, the routes know the meaning of a path.
//! No thread of its own; each method says where it runs.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A well-framed GET, HEAD or OPTIONS. The parser has checked syntax, sizes and framing; the meaning
/// of the target and of the headers is for the handler.
#[derive(Debug, Clone)]
pub struct Request {
    pub is_head: bool,
    /// Origin form, as sent: path and query, percent-encoded, visible ASCII without `#`; of an
    /// OPTIONS maybe `*`.
    pub target: String,
    /// Names in lower case, in the order sent; values without surrounding blanks. What only
    /// concerns one connection (`connection`, `te`, `expect` …) is left out. `host` stands
    /// here once, at most; where the target was absolute it is the target's.
    pub headers: Vec<(String, String)>,
    pub peer: IpAddr,
}

impl Response {
    /// The tag that tells the client whether it has these bytes; empty where there is none.
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

/// What weak comparison compares: the tag without its mark of weakness.
pub fn opaque_tag(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

/// What goes back. `Content-Length`, `Date` and `Connection` are the writer's business.
///
/// To a HEAD the writer tells the length of `body` and sends none of it. A 304 with a body
/// tells the length of that representation and sends none of it; with an empty body it tells
/// no length, as RFC 9110 wants.
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
    /// This answer, from memory.
    Immediate(Response),
    /// This response, from memory. The same request gets it again as long as
    /// [`Handler::generation`] returns this number; [`Handler::on_cache_hit`] is called then.
    Cacheable(Response, u64),
    /// By the worker pool: a worker calls [`Handler::render`].
    Worker,
    /// As a stream of events, with these further header fields (CORS, say); the server writes
    /// `Content-Type` and `Cache-Control` itself.
    EventStream(Vec<(&'static str, Cow<'static, str>)>),
}

/// A limit of the server that was reached, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overload {
    Connections(usize),
    ConnectionsPerAddress(usize),
    EventStreams(usize),
    /// Bytes of large answers that clients have not taken yet.
    BytesOutstanding(usize),
    BytesOutstandingPerAddress(usize),
    /// How long the workers have for an answer.
    ResponseTime(Duration),
}

/// Responds to requests. Given by node, called by the server and its pool.
pub trait Handler: Send + Sync + 'static {
    /// How to serve this request. Runs on the server's thread, which serves all clients: no disk,
    /// no lock that a writer holds long, nothing that grows with history. Access rules (`Host`,
    /// password, allowed networks) are decided here for every kind of dispatch, event streams included.
    fn dispatch(&self, request: &Request) -> Dispatch;

    /// The answer to OPTIONS. Runs on the server's thread. The access rules but the password are
    /// decided here.
    fn options(&self, request: &Request) -> Response;

    /// Of what cacheable responses are made from: another number as soon as that changes. Called
    /// for every repeated request, on the server's thread.
    fn generation(&self) -> u64 {
        0
    }

    /// A cached response, of this ETag, is sent again. Runs on the server's thread.
    fn on_cache_hit(&self, _request: &Request, _etag: &str) {}

    /// Must not depend on who asks: a good answer also serves whoever else asks the very same
    /// within `limits::PAGE_CACHE_TTL`, unless an event was appended in between.
    ///
    /// Runs on a worker of the pool; may read history and take its time, within
    /// `limits::POOL_TIMEOUT`.
    fn render(&self, request: &Request) -> Response;

    /// The answer, 503, to a request that reached a limit: which it is, and what to do. `request` is there
    /// where one was read. Runs on the server's thread. The server adds `Retry-After` where it is
    /// missing.
    fn overloaded(&self, limit: Overload, request: Option<&Request>) -> Response;

    /// The response to what the server itself rejects: 400, 403, 405, 408, 413, 414, 417, 431, 500
    /// or 505. `request` is there where the head could be read well enough. Runs on the gate's
    /// thread. The server adds `Allow` where it is missing.
    fn rejection(&self, status: u16, request: Option<&Request>) -> Response;

    /// The route's name for counters: one of a small fixed set, never the path itself.
    fn route_name(&self, request: &Request) -> &'static str;

    /// The value of `Date` for the coming moments, where the clock can be believed (RFC 9110
    /// wants none from a clock that cannot). Asked once a tick, on the server's thread.
    fn date(&self) -> Option<String> {
        None
    }
}
