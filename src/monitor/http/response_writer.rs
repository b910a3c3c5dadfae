//! Response writer: the head's bytes, and one write for head and body.
//!
//! Runs on the server's thread. It decides framing (`Content-Length`, `Connection`, `Date`) and
//! does not interpret the response.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io::{self, IoSlice, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use smol::Async;

use super::connection_table::{ConnectionPhase, ConnectionState, Interrupt};
use super::handler::Response;
use super::parser::Version;
use super::send_budget::Reservation;

/// A response whose header fields are encoded.
pub struct EncodedResponse {
    pub status: u16,
    /// `Name: value` lines, each with its CR LF.
    pub fields: Vec<u8>,
    pub body: ResponseBody,
    /// Held until the client has read the body.
    pub reservation: Option<Reservation>,
}

/// A body from memory is shared by all its responses; one of the pool is not.
pub enum ResponseBody {
    Shared(Arc<[u8]>),
    Own(Vec<u8>),
}

impl ResponseBody {
    pub fn bytes(&self) -> &[u8] {
        match self {
            ResponseBody::Shared(bytes) => bytes,
            ResponseBody::Own(bytes) => bytes,
        }
    }
}

impl EncodedResponse {
    /// A field that would not survive on the wire (a line end in a value) is left out.
    pub fn new(response: Response) -> EncodedResponse {
        let mut fields = Vec::with_capacity(192);
        for (name, value) in &response.headers {
            if is_writer_field(name) {
                continue;
            }
            match value {
                // A constant of this program, like the names.
                Cow::Borrowed(value) => append(&mut fields, name, value),
                Cow::Owned(value) => append_checked(&mut fields, name, value),
            }
        }
        EncodedResponse {
            status: response.status,
            fields,
            body: ResponseBody::Shared(response.body),
            reservation: None,
        }
    }

    /// Adds a field unless there is one of that name.
    pub fn add_if_missing(&mut self, name: &str, value: &str) {
        let has_name = |line: &[u8]| {
            line.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
                && line.get(name.len()) == Some(&b':')
        };
        if !self.fields.split(|byte| *byte == b'\n').any(has_name) {
            append_checked(&mut self.fields, name, value);
        }
    }
}

/// Whether only the writer may add this field.
pub fn is_writer_field(name: &str) -> bool {
    const OURS: [&str; 6] = [
        "content-length",
        "connection",
        "date",
        "keep-alive",
        "transfer-encoding",
        "server",
    ];
    OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// Appends one field, if it is valid in a head.
pub fn append_checked(fields: &mut Vec<u8>, name: &str, value: &str) {
    let name_fits = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':');
    let value_fits = value
        .bytes()
        .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    if !name_fits || !value_fits {
        log::debug!("left out the header field {name:?}: it cannot stand in a response head");
        return;
    }
    append(fields, name, value);
}

fn append(fields: &mut Vec<u8>, name: &str, value: &str) {
    fields.extend_from_slice(name.as_bytes());
    fields.extend_from_slice(b": ");
    fields.extend_from_slice(value.as_bytes());
    fields.extend_from_slice(b"\r\n");
}

/// How the response is framed.
#[derive(Clone, Copy)]
pub struct ResponseFraming {
    pub is_head: bool,
    pub version: Version,
    pub keep_alive: bool,
}

/// The response head.
pub fn head(reply: &EncodedResponse, framing: ResponseFraming, date: Option<&str>) -> Vec<u8> {
    let mut head = Vec::with_capacity(reply.fields.len() + 128);
    append_status_line(&mut head, reply.status);
    head.extend_from_slice(&reply.fields);
    let length = reply.body.bytes().len();
    // RFC 9110 §8.6: a 204 has none, a 304 only that of the representation.
    if reply.status != 204 && !(reply.status == 304 && length == 0) {
        // Writing to a Vec cannot fail.
        let _ = write!(head, "Content-Length: {length}\r\n");
    }
    finish_head(&mut head, framing, reply.status, date);
    head
}

/// The head of an event stream: its body ends with the connection.
pub fn stream_head(
    status: u16,
    fields: &[u8],
    framing: ResponseFraming,
    date: Option<&str>,
) -> Vec<u8> {
    let mut head = Vec::with_capacity(fields.len() + 128);
    append_status_line(&mut head, status);
    head.extend_from_slice(fields);
    finish_head(&mut head, framing, status, date);
    head
}

fn append_status_line(head: &mut Vec<u8>, status: u16) {
    match status {
        200 => head.extend_from_slice(b"HTTP/1.1 200 OK\r\n"),
        304 => head.extend_from_slice(b"HTTP/1.1 304 Not Modified\r\n"),
        _ => drop(write!(head, "HTTP/1.1 {status} {}\r\n", reason(status))),
    }
}

fn finish_head(head: &mut Vec<u8>, framing: ResponseFraming, status: u16, date: Option<&str>) {
    if let Some(date) = date {
        append_checked(head, "Date", date);
    }
    match (framing.keep_alive, framing.version) {
        // The field `Upgrade` concerns this connection alone (RFC 9110 §7.8).
        (false, _) if status == 426 => head.extend_from_slice(b"Connection: close, upgrade\r\n"),
        (false, _) => head.extend_from_slice(b"Connection: close\r\n"),
        (true, Version::Http10) => head.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
    head.extend_from_slice(b"\r\n");
}

/// Sends head and body in one write where the socket takes them, all of it within `time`.
pub async fn send(
    stream: &Async<TcpStream>,
    connection: &ConnectionState,
    head: &[u8],
    body: &[u8],
    time: Duration,
) -> Result<(), SendError> {
    let phase = match connection.phase() {
        ConnectionPhase::Streaming => ConnectionPhase::Streaming,
        _ => ConnectionPhase::Answering,
    };
    connection.enter(phase, time);
    let (mut head, mut body) = (head, body);
    loop {
        let mut socket = stream.get_ref();
        let written = if body.is_empty() {
            socket.write(head)
        } else {
            socket.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])
        };
        match written {
            Ok(0) => return Err(SendError::Closed),
            Ok(written) => {
                let of_head = written.min(head.len());
                head = &head[of_head..];
                body = &body[written - of_head..];
                if head.is_empty() && body.is_empty() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let writable = poll_fn(|context| stream.poll_writable(context));
                match connection.wait(writable).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(SendError::Closed),
                    Err(interrupt) => return Err(SendError::Interrupted(interrupt)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(SendError::Closed),
        }
    }
}

/// Why a response was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    Closed,
    Interrupted(Interrupt),
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        // RFC 9112 §4: the phrase may be empty; the blank before it may not.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(
        status: u16,
        headers: Vec<(&'static str, Cow<'static, str>)>,
        body: &[u8],
    ) -> Response {
        Response {
            status,
            headers,
            body: body.into(),
        }
    }

    fn text(reply: &EncodedResponse, is_head: bool, version: Version, keep_alive: bool) -> String {
        let framing = ResponseFraming {
            is_head,
            version,
            keep_alive,
        };
        String::from_utf8(head(reply, framing, None)).expect("ASCII")
    }

    #[test]
    fn heads_are_framed_by_status_version_and_keep_alive() {
        let plain = EncodedResponse::new(response(
            200,
            vec![("Content-Type", "text/plain".into())],
            b"hello",
        ));
        let empty = EncodedResponse::new(response(304, vec![], b""));
        let with_length = EncodedResponse::new(response(304, vec![], b"hello"));
        let none = EncodedResponse::new(response(204, vec![], b""));
        use Version::*;
        let rows = [
            (
                &plain,
                Http11,
                true,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n",
            ),
            (
                &plain,
                Http11,
                false,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
            ),
            (
                &plain,
                Http10,
                true,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
            ),
            (&empty, Http11, true, "HTTP/1.1 304 Not Modified\r\n\r\n"),
            (
                &with_length,
                Http11,
                true,
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            ),
            (&none, Http11, true, "HTTP/1.1 204 No Content\r\n\r\n"),
        ];
        for (reply, version, keep_alive, expected) in rows {
            assert_eq!(text(reply, false, version, keep_alive), expected);
        }
    }

    #[test]
    fn a_header_value_cannot_contain_a_line_end() {
        let headers = vec![
            ("X-Broken", "a\r\nSet-Cookie: b".to_owned().into()),
            ("Content-Length", "999".into()),
            ("Server", "secret/1.0".into()),
            ("X-Fine", "c".into()),
        ];
        let reply = EncodedResponse::new(response(200, headers, b""));
        assert_eq!(reply.fields, b"X-Fine: c\r\n");
    }

    #[test]
    fn add_if_missing_adds_a_header_once() {
        let mut reply = EncodedResponse::new(response(405, vec![("Allow", "GET".into())], b""));
        reply.add_if_missing("allow", "GET, HEAD");
        reply.add_if_missing("Retry-After", "2");
        reply.add_if_missing("retry-after", "9");
        assert_eq!(reply.fields, b"Allow: GET\r\nRetry-After: 2\r\n");
    }
}
