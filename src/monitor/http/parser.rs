//! HTTP/1 request parser: syntax, sizes and framing; targets and fields are left to the handler.
//!
//! Owns the unread bytes of one connection. Pure: no socket, no clock; the connection feeds it
//! and takes requests. A head is checked once, when it is complete, so that a client that drips
//! bytes costs no more than their number.

use std::net::IpAddr;

use super::handler::Request;
use super::stats::Rejection;
use crate::limits;

/// Header names with this prefix are private to the server and its pool; from clients they
/// are dropped.
pub const PRIVATE_PREFIX: &str = "x-pool-";

/// A request and what its connection needs to know about it.
#[derive(Debug)]
pub struct RequestHead {
    pub request: Request,
    pub version: Version,
    pub method: Method,
    /// Whether the connection stays open after the response.
    pub keep_alive: bool,
    /// Its bytes, to compare the next head with; none where they are too many to store.
    pub raw_bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET or HEAD: [`Request::is_head`].
    Read,
    Options,
    /// Rejected with 405 unless the handler takes it.
    Post(PostBody),
}

/// The body behind the head of a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostBody {
    /// Bytes, or the status and the counter of what is wrong with the framing.
    pub length: Result<usize, (u16, Rejection)>,
    /// The client waits for a 100 before it sends the body (RFC 9110, 10.1.1).
    pub expects_continue: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// A head that is rejected. Its connection is closed after the response: where the next
/// request would begin is unknown.
#[derive(Debug)]
pub struct HeadError {
    pub status: u16,
    pub rejection: Rejection,
    /// As far as it could be parsed, for a response in the client's media type.
    pub request: Option<Box<Request>>,
    pub is_head: bool,
}

/// The bytes of one connection that have not become requests yet: at most one head's worth, so
/// that a client that pipelines waits for its responses (back-pressure).
#[derive(Default)]
pub struct RequestBuffer {
    bytes: Vec<u8>,
    /// Where the unread part begins.
    start: usize,
    /// How far the unread part was searched for its end.
    searched: usize,
    /// Empty line ends dropped before this head.
    leading_newlines: usize,
}

impl RequestBuffer {
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// How much may be added.
    pub fn room(&self) -> usize {
        limits::REQUEST_HEAD_BYTES - (self.bytes.len() - self.start)
    }

    pub fn add(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops at most so many unread bytes, those of a body; how many there were.
    pub fn discard(&mut self, most: usize) -> usize {
        let dropped = most.min(self.bytes.len() - self.start);
        self.consume(dropped);
        dropped
    }

    /// The next request, if all of its head is there.
    pub fn next_head(&mut self, peer: IpAddr) -> Result<Option<RequestHead>, HeadError> {
        self.skip_leading_newlines()?;
        let unread = &self.bytes[self.start..];
        let Some(first) = unread.first() else {
            self.clear();
            return Ok(None);
        };
        // A TLS ClientHello or a binary protocol: rejected at once, not at the timeout.
        if !first.is_ascii_alphanumeric() {
            return Err(refusal(400, Rejection::BadRequest, unread));
        }
        let Some(end) = end_of_head(unread, self.searched) else {
            // The last two bytes may be the beginning of an end.
            self.searched = unread.len().saturating_sub(2);
            if unread.len() < limits::REQUEST_HEAD_BYTES {
                return Ok(None);
            }
            let status = if unread.contains(&b'\n') { 431 } else { 414 };
            return Err(refusal(status, Rejection::HeadTooLarge, unread));
        };
        let head = parse(&unread[..end], peer)?;
        self.consume(end);
        Ok(Some(head))
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.searched = 0;
        self.leading_newlines = 0;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Takes the next request if its head is identical to this one.
    pub fn take_identical(&mut self, head: &[u8]) -> bool {
        // A head ends with its first empty line, so what begins like a whole one is that one.
        let is_identical = !head.is_empty() && self.bytes[self.start..].starts_with(head);
        if is_identical {
            self.consume(head.len());
        }
        is_identical
    }

    /// The error where no more bytes will come, or not in time.
    pub fn incomplete(&self, status: u16, rejection: Rejection) -> HeadError {
        refusal(status, rejection, &self.bytes[self.start..])
    }

    fn skip_leading_newlines(&mut self) -> Result<(), HeadError> {
        while let Some(b'\r' | b'\n') = self.bytes.get(self.start) {
            self.start += 1;
            self.searched = 0;
            self.leading_newlines += 1;
            if self.leading_newlines > limits::LEADING_NEWLINES {
                return Err(refusal(400, Rejection::BadRequest, b""));
            }
        }
        Ok(())
    }

    /// An idle connection holds next to nothing.
    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(1024);
        self.start = 0;
    }
}

fn refusal(status: u16, rejection: Rejection, bytes: &[u8]) -> HeadError {
    HeadError {
        status,
        rejection,
        request: None,
        is_head: bytes.starts_with(b"HEAD "),
    }
}

/// Behind the first empty line. Lines may end in LF alone: RFC 9112 §2.2 allows it, and small
/// clients do it.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        at += found + 1;
        match &bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

fn parse(bytes: &[u8], peer: IpAddr) -> Result<RequestHead, HeadError> {
    let bad = || refusal(400, Rejection::BadRequest, bytes);
    let mut fields = [httparse::EMPTY_HEADER; limits::REQUEST_HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(used)) if used == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(refusal(431, Rejection::HeadTooLarge, bytes));
        }
        Err(httparse::Error::Version) if has_http_version(bytes) => {
            return Err(refusal(505, Rejection::VersionNotSupported, bytes));
        }
        _ => return Err(bad()),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(bad());
    };
    let version = match minor {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let framing = FramingFields::of(parsed.headers);
    if framing.is_broken(version) {
        return Err(bad());
    }
    let mut request = Request {
        is_head: method == "HEAD",
        target: String::new(),
        headers: forwarded_headers(parsed.headers),
        peer,
        base: String::new(),
        is_https: false,
        token: None,
    };
    let method = match check(&mut request, method, target, version, &framing) {
        Ok(method) => method,
        Err((status, rejection)) => {
            return Err(HeadError {
                status,
                rejection,
                is_head: request.is_head,
                request: Some(Box::new(request)),
            });
        }
    };
    let keep_alive = match version {
        Version::Http10 => framing.says_keep_alive && !framing.says_close,
        Version::Http11 => !framing.says_close,
    };
    let raw_bytes = if bytes.len() <= limits::CACHED_HEAD_BYTES {
        bytes.to_vec()
    } else {
        Vec::new()
    };
    Ok(RequestHead {
        request,
        version,
        method,
        keep_alive,
        raw_bytes,
    })
}

/// Checks method, body, expectation and host of a well-formed head, and sets the request's
/// target; the status and the counter of what is wrong. What is wrong with the body of a POST is
/// left in the method: most paths take none at all.
fn check(
    request: &mut Request,
    method: &str,
    target: &str,
    version: Version,
    framing: &FramingFields,
) -> Result<Method, (u16, Rejection)> {
    let split = match target {
        "*" if method == "OPTIONS" => Some((None, "*".to_owned())),
        target => split_target(target),
    };
    let method = match method {
        "GET" | "HEAD" => Method::Read,
        "OPTIONS" => Method::Options,
        "POST" if split.is_some() => Method::Post(framing.post_body(version)),
        _ => {
            // The response names the methods of the path.
            request.target = split.map(|(_, origin)| origin).unwrap_or_default();
            return Err((405, Rejection::MethodNotAllowed));
        }
    };
    if !matches!(method, Method::Post(_)) {
        framing.check_no_body()?;
    }
    if framing.hosts > 1 || (framing.hosts == 0 && version == Version::Http11) {
        return Err((400, Rejection::BadRequest));
    }
    let Some((authority, origin)) = split else {
        return Err((400, Rejection::BadRequest));
    };
    request.target = origin;
    if let Some(authority) = authority {
        request.headers.retain(|(name, _)| name != "host");
        request.headers.push(("host".to_owned(), authority));
    }
    if !request.header("host").is_none_or(is_host_syntax) {
        return Err((400, Rejection::BadRequest));
    }
    // RFC 9110 §7.8: in HTTP/1.0 the field is ignored, as other protocols (h2c) are.
    let is_get = method == Method::Read && !request.is_head;
    if framing.asks_for_websocket() && is_get && version == Version::Http11 {
        return Err((426, Rejection::WebSocket));
    }
    Ok(method)
}

/// Whether the request line ends with another HTTP version, rather than being invalid.
fn has_http_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.rsplit(|byte| *byte == b' ').next() {
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

/// Framing by the header fields: where this request ends, and whether the connection stays open.
#[derive(Default)]
struct FramingFields {
    lengths: usize,
    length: Option<u64>,
    bad_length: bool,
    coded: bool,
    hosts: usize,
    says_close: bool,
    says_keep_alive: bool,
    says_upgrade: bool,
    names_websocket: bool,
    expects_continue: bool,
    unmet_expectation: bool,
}

impl FramingFields {
    fn of(fields: &[httparse::Header<'_>]) -> FramingFields {
        let mut framing = FramingFields::default();
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                framing.lengths += 1;
                framing.length = parse_length(field.value);
                framing.bad_length |= framing.length.is_none();
            } else if is("transfer-encoding") {
                framing.coded = true;
            } else if is("host") {
                framing.hosts += 1;
            } else if is("connection") {
                framing.says_close |= lists(field.value, b"close");
                framing.says_keep_alive |= lists(field.value, b"keep-alive");
                framing.says_upgrade |= lists(field.value, b"upgrade");
            } else if is("upgrade") {
                framing.names_websocket |= lists(field.value, b"websocket");
            } else if is("expect") {
                // RFC 9110 §10.1.1: without a body no client waits for the 100.
                let met = field
                    .value
                    .trim_ascii()
                    .eq_ignore_ascii_case(b"100-continue");
                framing.expects_continue |= met;
                framing.unmet_expectation |= !met;
            }
        }
        framing
    }

    /// Of what has no body: anything but a POST.
    fn check_no_body(&self) -> Result<(), (u16, Rejection)> {
        if self.coded {
            return Err((400, Rejection::BodyNotAllowed));
        }
        if self.length.is_some_and(|length| length > 0) {
            return Err((413, Rejection::BodyNotAllowed));
        }
        if self.unmet_expectation {
            return Err((417, Rejection::ExpectationFailed));
        }
        Ok(())
    }

    /// A POST says how long its body is; one of unknown length (`chunked`) is not read.
    fn post_body(&self, version: Version) -> PostBody {
        let length = match self.length {
            _ if self.unmet_expectation => Err((417, Rejection::ExpectationFailed)),
            None => Err((411, Rejection::BodyNotAllowed)),
            Some(length) if length > limits::POST_BODY_BYTES => {
                Err((413, Rejection::BodyNotAllowed))
            }
            Some(length) => Ok(length as usize),
        };
        PostBody {
            length,
            expects_continue: self.expects_continue && version == Version::Http11,
        }
    }

    /// The opening handshake of RFC 6455, also of an `Upgrade` that lists more protocols.
    fn asks_for_websocket(&self) -> bool {
        self.says_upgrade && self.names_websocket
    }

    /// Invalid with any method: two parsers could see two different ends (request smuggling).
    fn is_broken(&self, version: Version) -> bool {
        self.bad_length
            || self.lengths > 1
            || (self.coded && self.lengths > 0)
            || (self.coded && version == Version::Http10)
    }
}

/// Whether a list field has this member, in any case.
fn lists(value: &[u8], member: &[u8]) -> bool {
    let mut members = value.split(|byte| *byte == b',');
    members.any(|it| it.trim_ascii().eq_ignore_ascii_case(member))
}

/// Digits alone: no sign, no blank inside, no list.
fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The fields that concern the request and not the connection.
fn forwarded_headers(fields: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    const OF_THE_CONNECTION: [&str; 11] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        "expect",
        "content-length",
        "proxy-authorization",
    ];
    let mut passed = Vec::with_capacity(fields.len());
    for field in fields {
        let name = field.name.to_ascii_lowercase();
        if OF_THE_CONNECTION.contains(&name.as_str()) || name.starts_with(PRIVATE_PREFIX) {
            continue;
        }
        let value = String::from_utf8_lossy(field.value.trim_ascii()).into_owned();
        passed.push((name, value));
    }
    passed
}

/// The authority, where the target has one, and the target in origin form.
fn split_target(target: &str) -> Option<(Option<String>, String)> {
    let visible = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b'#';
    if !target.bytes().all(visible) {
        return None;
    }
    if target.starts_with('/') {
        return Some((None, target.to_owned()));
    }
    // Absolute form, as a client sends to a proxy; RFC 9112 §3.2.2 has every server take it.
    let scheme = target.get(..7)?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return None;
    }
    let rest = &target[7..];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() {
        return None;
    }
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Some((Some(authority.to_owned()), path))
}

/// Whether this can be a host with or without a port; which hosts are accepted is not decided here.
fn is_host_syntax(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+;=".contains(&byte);
    value.bytes().all(allowed)
}

#[cfg(test)]
#[path = "tests/parser.rs"]
mod tests;
