//! Fault cases: everything that an upstream server can do wrong, for the tests here and for
//! `node::faults`, which runs them through the whole node.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::fault_server::{AfterResponse, FaultState, Wire, response, send};
use super::support::gzip;
use crate::domain::failure::Cause;

pub type Fault = fn(&str, &mut dyn Wire, &FaultState) -> AfterResponse;

pub struct FaultCase {
    pub name: &'static str,
    pub cause: Cause,
    /// Faults that only time ends have a short one.
    pub is_slow: bool,
    pub fault: Fault,
}

fn fault(name: &'static str, cause: Cause, fault: Fault) -> FaultCase {
    FaultCase {
        name,
        cause,
        is_slow: false,
        fault,
    }
}

fn slow_fault(name: &'static str, cause: Cause, behaviour: Fault) -> FaultCase {
    FaultCase {
        is_slow: true,
        ..fault(name, cause, behaviour)
    }
}

/// An act that sends these bytes and closes.
macro_rules! sends {
    ($bytes:expr) => {
        |_, wire, _| {
            send(wire, $bytes);
            AfterResponse::Close
        }
    };
}

/// An act that sends `head` and then `more` until the client goes or the test is over.
macro_rules! endless {
    ($head:expr, $more:expr) => {
        |_, wire, server| {
            let more: &[u8] = $more;
            let mut goes_on = send(wire, $head);
            while goes_on && !server.is_over() {
                goes_on = send(wire, more);
                server.sent.fetch_add(more.len() as u64, Ordering::SeqCst);
            }
            AfterResponse::Close
        }
    };
}

pub fn fault_cases() -> Vec<FaultCase> {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    vec![
        fault("closes without an answer", Cause::Connect, |_, _, _| {
            AfterResponse::Close
        }),
        fault("resets before the head", Cause::Connect, |_, _, _| {
            AfterResponse::Reset
        }),
        fault(
            "closes in the middle of the head",
            Cause::Connect,
            sends!(format!("{OK}Conte")),
        ),
        fault(
            "resets in the middle of the body",
            Cause::Protocol,
            |_, wire, _| {
                send(wire, format!("{OK}Content-Length: 100\r\n\r\n{{\"t\":"));
                AfterResponse::Reset
            },
        ),
        slow_fault(
            "accepts, then is silent",
            Cause::Timeout,
            |_, wire, server| {
                server.hold(wire);
                AfterResponse::Close
            },
        ),
        slow_fault("drips the head", Cause::Timeout, |_, wire, server| {
            send(wire, OK);
            while !server.is_over() && send(wire, "X: y\r\n") {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            AfterResponse::Close
        }),
        slow_fault("drips the body", Cause::Timeout, |_, wire, server| {
            send(wire, format!("{OK}Content-Length: 100000\r\n\r\n"));
            while !server.is_over() && send(wire, " ") {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            AfterResponse::Close
        }),
        fault(
            "interim answers without end",
            Cause::Protocol,
            |_, wire, server| {
                while !server.is_over() && send(wire, "HTTP/1.1 102 Processing\r\n\r\n") {
                    std::thread::park_timeout(Duration::from_millis(5));
                }
                AfterResponse::Close
            },
        ),
        fault(
            "a header line without end",
            Cause::TooLarge,
            endless!(format!("{OK}X: "), &[b'a'; 4096]),
        ),
        fault(
            "headers without end",
            Cause::TooLarge,
            endless!(OK, &b"X-Header: value\r\n".repeat(64)),
        ),
        fault(
            "a body without end",
            Cause::TooLarge,
            endless!(format!("{OK}\r\n"), &[b' '; 4096]),
        ),
        fault(
            "chunks without end",
            Cause::TooLarge,
            endless!(
                format!("{OK}Transfer-Encoding: chunked\r\n\r\n"),
                &b"1\r\n \r\n".repeat(500)
            ),
        ),
        fault(
            "announces a body past the limit",
            Cause::TooLarge,
            sends!(format!("{OK}Content-Length: 1000000000000\r\n\r\n")),
        ),
        fault("a gzip bomb", Cause::TooLarge, |_, wire, _| {
            static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&vec![b' '; 20_000_000]));
            send(
                wire,
                response("200 OK", "Content-Encoding: gzip\r\n", &*BOMB),
            );
            AfterResponse::Close
        }),
        fault("gzip that is none", Cause::Protocol, |_, wire, _| {
            send(
                wire,
                response("200 OK", "Content-Encoding: gzip\r\n", "\0\u{1}{\"t\": 1}"),
            );
            AfterResponse::Close
        }),
        fault("gzip that ends early", Cause::Protocol, |_, wire, _| {
            let packed = gzip(br#"{"t": 21.4, "and": "some more to pack"}"#);
            let half = &packed[..packed.len() / 2];
            send(wire, response("200 OK", "Content-Encoding: gzip\r\n", half));
            AfterResponse::Close
        }),
        fault(
            "a coding that was not asked for",
            Cause::Protocol,
            sends!(response("200 OK", "Content-Encoding: br\r\n", "{\"t\": 1}")),
        ),
        fault(
            "a content length that is too long",
            Cause::Protocol,
            sends!(format!("{OK}Content-Length: 50\r\n\r\n{{\"t\": 1}}")),
        ),
        fault(
            "a content length that is too short",
            Cause::NotJson,
            sends!(format!("{OK}Content-Length: 5\r\n\r\n{{\"t\": 1}}")),
        ),
        fault(
            "a content length that is no number",
            Cause::Protocol,
            sends!(format!("{OK}Content-Length: many\r\n\r\n{{\"t\": 1}}")),
        ),
        fault(
            "two content lengths",
            Cause::Protocol,
            sends!(format!(
                "{OK}Content-Length: 8\r\nContent-Length: 9\r\n\r\n{{\"t\": 1}}"
            )),
        ),
        fault(
            "chunks that end early",
            Cause::Protocol,
            sends!(format!(
                "{OK}Transfer-Encoding: chunked\r\n\r\n8\r\n{{\"t\": "
            )),
        ),
        fault(
            "chunks that are none",
            Cause::Protocol,
            sends!(format!(
                "{OK}Transfer-Encoding: chunked\r\n\r\n{{\"t\": 1}}\r\n"
            )),
        ),
        fault(
            "what is not HTTP",
            Cause::Protocol,
            sends!("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        ),
        fault(
            "bytes of TLS",
            Cause::Protocol,
            sends!(b"\x15\x03\x01\x00\x02\x02\x46"),
        ),
        fault("no head at all", Cause::Protocol, sends!("{\"t\": 1}")),
        fault(
            "zlib data that ends early",
            Cause::Protocol,
            sends!(response(
                "200 OK",
                "Content-Encoding: deflate\r\n",
                b"\x78\x9c\xab\x56"
            )),
        ),
        fault(
            "chunks without a last one",
            Cause::Protocol,
            sends!(format!(
                "{OK}Transfer-Encoding: chunked\r\n\r\n8\r\n{{\"t\": 1}}\r\n"
            )),
        ),
        fault(
            "a chunk length without end",
            Cause::Protocol,
            endless!(
                format!("{OK}Transfer-Encoding: chunked\r\n\r\n8;"),
                &[b'x'; 4096]
            ),
        ),
        fault(
            "204",
            Cause::Protocol,
            sends!("HTTP/1.1 204 No Content\r\n\r\n"),
        ),
        fault(
            "304 with nothing cached",
            Cause::Protocol,
            sends!("HTTP/1.1 304 Not Modified\r\n\r\n"),
        ),
        fault(
            "101",
            Cause::Protocol,
            sends!("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        ),
        fault("a redirect to itself", Cause::Redirect, |head, wire, _| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            send(
                wire,
                response(
                    "301 Moved Permanently",
                    &format!("Location: {path}\r\n"),
                    "",
                ),
            );
            AfterResponse::Close
        }),
        fault("redirects on and on", Cause::Redirect, |head, wire, _| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            send(
                wire,
                response("302 Found", &format!("Location: {path}1\r\n"), "moved"),
            );
            AfterResponse::Close
        }),
        fault(
            "a redirect to another protocol",
            Cause::Redirect,
            sends!(response(
                "302 Found",
                "Location: ftp://files.example/x?key=topsecret\r\n",
                ""
            )),
        ),
        fault(
            "a redirect to nowhere",
            Cause::Redirect,
            sends!(response("302 Found", "", "")),
        ),
        fault(
            "400",
            Cause::HttpStatus,
            sends!(response("400 Bad Request", "", "{}")),
        ),
        fault(
            "401",
            Cause::HttpStatus,
            sends!(response("401 Unauthorized", "", "{}")),
        ),
        fault(
            "403",
            Cause::HttpStatus,
            sends!(response("403 Forbidden", "", "{}")),
        ),
        fault(
            "404",
            Cause::HttpStatus,
            sends!(response("404 Not Found", "", "<html>")),
        ),
        fault(
            "429",
            Cause::RateLimited,
            sends!(response("429 Too Many Requests", "", "")),
        ),
        fault(
            "429 with seconds",
            Cause::RateLimited,
            sends!(response(
                "429 Too Many Requests",
                "Retry-After: 7200\r\n",
                ""
            )),
        ),
        fault(
            "429 with a date",
            Cause::RateLimited,
            sends!(response(
                "429 Too Many Requests",
                "Date: Sun, 06 Nov 1994 08:00:00 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                ""
            )),
        ),
        fault(
            "500",
            Cause::HttpStatus,
            sends!(response("500 Internal Server Error", "", "{\"t\": 1}")),
        ),
        fault(
            "503 with seconds",
            Cause::HttpStatus,
            sends!(response(
                "503 Service Unavailable",
                "Retry-After: 300\r\n",
                ""
            )),
        ),
        fault(
            "an unknown status",
            Cause::HttpStatus,
            sends!(response("599 Odd", "", "")),
        ),
        fault(
            "HTML instead of JSON",
            Cause::NotJson,
            sends!(response(
                "200 OK",
                "Content-Type: text/html\r\n",
                "<!DOCTYPE html><title>Login</title>"
            )),
        ),
        fault(
            "an empty body",
            Cause::NotJson,
            sends!(response("200 OK", "", "")),
        ),
        fault(
            "truncated JSON",
            Cause::NotJson,
            sends!(response("200 OK", "", "{\"t\": 21.")),
        ),
        fault(
            "JSON without a length that broke off",
            Cause::NotJson,
            sends!(format!("{OK}\r\n{{\"t\": 2")),
        ),
        fault(
            "deeply nested JSON",
            Cause::NotJson,
            sends!(response("200 OK", "", "[".repeat(90_000))),
        ),
        fault(
            "NaN",
            Cause::Empty,
            sends!(response("200 OK", "", "{\"t\": NaN}")),
        ),
        fault(
            "a number with a leading zero",
            Cause::NotJson,
            sends!(response("200 OK", "", "{\"t\": 021.5}")),
        ),
        fault(
            "invalid UTF-8",
            Cause::Empty,
            sends!(response("200 OK", "", b"{\"t\": \"\xff\"}")),
        ),
        fault(
            "a number that no float holds",
            Cause::Empty,
            sends!(response("200 OK", "", "{\"t\": 1e999}")),
        ),
        fault(
            "a wrong type",
            Cause::Empty,
            sends!(response("200 OK", "", "{\"t\": \"warm\"}")),
        ),
        fault(
            "a missing field",
            Cause::Empty,
            sends!(response("200 OK", "", "{\"temperature\": 1}")),
        ),
        fault(
            "a null field",
            Cause::Empty,
            sends!(response("200 OK", "", "{\"t\": null}")),
        ),
        fault(
            "an empty array",
            Cause::Empty,
            sends!(response("200 OK", "", "[]")),
        ),
    ]
}
