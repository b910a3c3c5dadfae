//! A request as the gate has checked it, an answer before it is put on a wire, and what the
//! gate asks of whoever knows what to say.
//!
//! Plain values and one trait between the gate (which speaks HTTP) and the views (which know
//! the meaning of a path). No thread of its own; each method says where it runs.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A well-framed GET, HEAD or OPTIONS. The gate has checked syntax, sizes and framing; the meaning of
/// the target and of the headers is for the answerer.
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
    /// This answer, from memory. The very same question has it as long as
    /// [`Answerer::edition`] gives this number, and [`Answerer::asked_again`] is told.
    Cacheable(Response, u64),
    /// By tiny_http's pool: the gate passes the request on and a worker calls
    /// [`Answerer::cold`].
    Worker,
    /// As a stream of events, with these further header fields (CORS, say); the gate writes
    /// `Content-Type` and `Cache-Control` itself.
    EventStream(Vec<(&'static str, Cow<'static, str>)>),
}

/// A limit of the gate that somebody met, and how much it is now.
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

/// Knows what to say. Node hands one in; the gate and its pool call it.
pub trait Handler: Send + Sync + 'static {
    /// How to serve this request. Runs on the gate's thread, which serves everybody: no disk,
    /// no lock that a writer holds long, nothing that grows with history. Access rules (`Host`,
    /// password, allowed networks) are decided here for every way, events among them.
    fn dispatch(&self, request: &Request) -> Dispatch;

    /// The answer to OPTIONS. Runs on the gate's thread. The access rules but the password are
    /// decided here.
    fn options(&self, request: &Request) -> Response;

    /// What standing answers are made of: another number as soon as that is another. Asked for
    /// every repeated question, on the gate's thread.
    fn generation(&self) -> u64 {
        0
    }

    /// A question was asked again on its connection, and its standing answer, of this ETag, is
    /// given again. Runs on the gate's thread.
    fn on_cache_hit(&self, _request: &Request, _etag: &str) {}

    /// Must not depend on who asks: a good answer also serves whoever else asks the very same
    /// within `limits::PAGE_CACHE_TTL`, unless something was announced in between.
    ///
    /// Runs on a worker of the pool; may read history and take its time, within
    /// `limits::POOL_TIMEOUT`.
    fn render(&self, request: &Request) -> Response;

    /// The answer, 503, to whoever met a limit: which it is, and what to do. `request` is there
    /// where one was read. Runs on the gate's thread. The gate adds `Retry-After` where it is
    /// missing.
    fn overloaded(&self, limit: Overload, request: Option<&Request>) -> Response;

    /// The answer to what the gate itself refuses: 400, 403, 405, 408, 413, 414, 417, 431, 500
    /// or 505. `request` is there where the head could be read well enough. Runs on the gate's
    /// thread. The gate adds `Allow` where it is missing.
    fn rejection(&self, status: u16, request: Option<&Request>) -> Response;

    /// The route's name for counters: one of a small fixed set, never the path itself.
    fn route_name(&self, request: &Request) -> &'static str;

    /// The value of `Date` for the coming moments, where the clock can be believed (RFC 9110
    /// wants none from a clock that cannot). Asked once a tick, on the gate's thread.
    fn date(&self) -> Option<String> {
        None
    }
}
