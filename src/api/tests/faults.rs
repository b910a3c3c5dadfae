//! Everything that an upstream can do wrong, for the tests of this room and for
//! `node::faults`, which plays it through the whole node.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::fault_server::{Server, Then, Wire, answer, say};
use super::fetcher::{Fetcher, SourceSettings};
use super::transport::{Send, TransportSettings};
use crate::domain::health::Cause;
use crate::domain::plan::{Numbers, Pick, Selection, SourcePlan};
use crate::domain::time::{Moment, Mono, Trust, Wall};
use crate::sys::clock::{Clock, ManualClock};

/// 2026-11-23, noon.
const NOON: Wall = Wall(1_795_435_200_000);

pub fn noon() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Moment {
        mono: Mono(1_000),
        wall: NOON,
        trust: Trust::Trusted,
    }))
}

pub fn plan() -> SourcePlan {
    SourcePlan {
        name: "test".into(),
        every: Duration::from_secs(60),
        stale_after: None,
        forget_after: crate::limits::FORGET_AFTER,
        follows: false,
        selection: Selection::Picks(vec![Pick::new("t", "/t")]),
        observed_at: None,
        observed_zone: TimeZone::UTC,
        units_at: None,
        numbers: Numbers::Strict,
        attribution: None,
        calls: "test".into(),
        summary: "".into(),
        description: "".into(),
    }
}

pub fn fetcher(request: Box<Send>, transport: TransportSettings, clock: Arc<dyn Clock>) -> Fetcher {
    let settings = SourceSettings {
        index: 0,
        plan: plan(),
        request,
        operation: None,
        follow: None,
        transport,
        quota: None,
        secrets: Arc::default(),
    };
    Fetcher::new(settings, clock).expect("the settings are good")
}

pub fn short() -> TransportSettings {
    TransportSettings {
        timeout: Duration::from_millis(600),
        body_limit: 100_000,
        ..TransportSettings::default()
    }
}

pub fn patient() -> TransportSettings {
    TransportSettings {
        timeout: Duration::from_secs(20),
        ..short()
    }
}

pub fn good() -> Vec<u8> {
    answer(
        "200 OK",
        "Content-Type: application/json\r\n",
        r#"{"t": 21.4}"#,
    )
}

pub type Fault = fn(&str, &mut dyn Wire, &Server) -> Then;

pub struct Row {
    pub name: &'static str,
    pub cause: Cause,
    /// Faults that only time ends have a short one.
    pub is_slow: bool,
    pub fault: Fault,
}

fn row(name: &'static str, cause: Cause, fault: Fault) -> Row {
    Row {
        name,
        cause,
        is_slow: false,
        fault,
    }
}

fn slow(name: &'static str, cause: Cause, fault: Fault) -> Row {
    Row {
        is_slow: true,
        ..row(name, cause, fault)
    }
}

/// An act that sends these bytes and closes.
macro_rules! sends {
    ($bytes:expr) => {
        |_, wire, _| {
            say(wire, $bytes);
            Then::Close
        }
    };
}

/// An act that sends `head` and then `more` until the client goes or the test is over.
macro_rules! endless {
    ($head:expr, $more:expr) => {
        |_, wire, server| {
            let more: &[u8] = $more;
            let mut goes_on = say(wire, $head);
            while goes_on && !server.is_over() {
                goes_on = say(wire, more);
                server.sent.fetch_add(more.len() as u64, Ordering::SeqCst);
            }
            Then::Close
        }
    };
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

pub fn rows() -> Vec<Row> {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    vec![
        row("closes without an answer", Cause::Connect, |_, _, _| {
            Then::Close
        }),
        row("resets before the head", Cause::Connect, |_, _, _| {
            Then::Reset
        }),
        row(
            "closes in the middle of the head",
            Cause::Connect,
            sends!(format!("{OK}Conte")),
        ),
        row(
            "resets in the middle of the body",
            Cause::Protocol,
            |_, wire, _| {
                say(wire, format!("{OK}Content-Length: 100\r\n\r\n{{\"t\":"));
                Then::Reset
            },
        ),
        slow(
            "accepts, then is silent",
            Cause::Timeout,
            |_, wire, server| {
                server.hold(wire);
                Then::Close
            },
        ),
        slow("drips the head", Cause::Timeout, |_, wire, server| {
            say(wire, OK);
            while !server.is_over() && say(wire, "X: y\r\n") {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            Then::Close
        }),
        slow("drips the body", Cause::Timeout, |_, wire, server| {
            say(wire, format!("{OK}Content-Length: 100000\r\n\r\n"));
            while !server.is_over() && say(wire, " ") {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            Then::Close
        }),
        slow(
            "interim answers without end",
            Cause::Timeout,
            |_, wire, server| {
                while !server.is_over() && say(wire, "HTTP/1.1 102 Processing\r\n\r\n") {
                    std::thread::park_timeout(Duration::from_millis(5));
                }
                Then::Close
            },
        ),
        row(
            "a header line without end",
            Cause::TooLarge,
            endless!(format!("{OK}X: "), &[b'a'; 4096]),
        ),
        row(
            "headers without end",
            Cause::TooLarge,
            endless!(OK, &b"X-Header: value\r\n".repeat(64)),
        ),
        row(
            "a body without end",
            Cause::TooLarge,
            endless!(format!("{OK}\r\n"), &[b' '; 4096]),
        ),
        row(
            "chunks without end",
            Cause::TooLarge,
            endless!(
                format!("{OK}Transfer-Encoding: chunked\r\n\r\n"),
                &b"1\r\n \r\n".repeat(500)
            ),
        ),
        row(
            "announces a body past the limit",
            Cause::TooLarge,
            sends!(format!("{OK}Content-Length: 1000000000000\r\n\r\n")),
        ),
        row("a gzip bomb", Cause::TooLarge, |_, wire, _| {
            static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&vec![b' '; 20_000_000]));
            say(wire, answer("200 OK", "Content-Encoding: gzip\r\n", &*BOMB));
            Then::Close
        }),
        row("gzip that is none", Cause::Protocol, |_, wire, _| {
            say(
                wire,
                answer("200 OK", "Content-Encoding: gzip\r\n", "{\"t\": 1}"),
            );
            Then::Close
        }),
        row("gzip that ends early", Cause::Protocol, |_, wire, _| {
            let packed = gzip(br#"{"t": 21.4, "and": "some more to pack"}"#);
            let half = &packed[..packed.len() / 2];
            say(wire, answer("200 OK", "Content-Encoding: gzip\r\n", half));
            Then::Close
        }),
        row(
            "a coding that was not asked for",
            Cause::Protocol,
            sends!(answer("200 OK", "Content-Encoding: br\r\n", "{\"t\": 1}")),
        ),
        row(
            "a content length that is too long",
            Cause::Protocol,
            sends!(format!("{OK}Content-Length: 50\r\n\r\n{{\"t\": 1}}")),
        ),
        row(
            "a content length that is too short",
            Cause::NotJson,
            sends!(format!("{OK}Content-Length: 5\r\n\r\n{{\"t\": 1}}")),
        ),
        row(
            "a content length that is no number",
            Cause::Protocol,
            sends!(format!("{OK}Content-Length: many\r\n\r\n{{\"t\": 1}}")),
        ),
        row(
            "two content lengths",
            Cause::Protocol,
            sends!(format!(
                "{OK}Content-Length: 8\r\nContent-Length: 9\r\n\r\n{{\"t\": 1}}"
            )),
        ),
        row(
            "chunks that end early",
            Cause::Protocol,
            sends!(format!(
                "{OK}Transfer-Encoding: chunked\r\n\r\n8\r\n{{\"t\": "
            )),
        ),
        row(
            "chunks that are none",
            Cause::Protocol,
            sends!(format!(
                "{OK}Transfer-Encoding: chunked\r\n\r\n{{\"t\": 1}}\r\n"
            )),
        ),
        row(
            "what is not HTTP",
            Cause::Protocol,
            sends!("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        ),
        row(
            "204",
            Cause::Protocol,
            sends!("HTTP/1.1 204 No Content\r\n\r\n"),
        ),
        row(
            "304 with nothing cached",
            Cause::Protocol,
            sends!("HTTP/1.1 304 Not Modified\r\n\r\n"),
        ),
        row(
            "101",
            Cause::Protocol,
            sends!("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        ),
        row("a redirect to itself", Cause::Redirect, |head, wire, _| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            say(
                wire,
                answer(
                    "301 Moved Permanently",
                    &format!("Location: {path}\r\n"),
                    "",
                ),
            );
            Then::Close
        }),
        row("redirects on and on", Cause::Redirect, |head, wire, _| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            say(
                wire,
                answer("302 Found", &format!("Location: {path}1\r\n"), "moved"),
            );
            Then::Close
        }),
        row(
            "a redirect to another protocol",
            Cause::Redirect,
            sends!(answer(
                "302 Found",
                "Location: ftp://files.example/x?key=topsecret\r\n",
                ""
            )),
        ),
        row(
            "a redirect to nowhere",
            Cause::Redirect,
            sends!(answer("302 Found", "", "")),
        ),
        row(
            "400",
            Cause::HttpStatus,
            sends!(answer("400 Bad Request", "", "{}")),
        ),
        row(
            "401",
            Cause::HttpStatus,
            sends!(answer("401 Unauthorized", "", "{}")),
        ),
        row(
            "403",
            Cause::HttpStatus,
            sends!(answer("403 Forbidden", "", "{}")),
        ),
        row(
            "404",
            Cause::HttpStatus,
            sends!(answer("404 Not Found", "", "<html>")),
        ),
        row(
            "429",
            Cause::RateLimited,
            sends!(answer("429 Too Many Requests", "", "")),
        ),
        row(
            "429 with seconds",
            Cause::RateLimited,
            sends!(answer("429 Too Many Requests", "Retry-After: 7200\r\n", "")),
        ),
        row(
            "429 with a date",
            Cause::RateLimited,
            sends!(answer(
                "429 Too Many Requests",
                "Date: Sun, 06 Nov 1994 08:00:00 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                ""
            )),
        ),
        row(
            "500",
            Cause::HttpStatus,
            sends!(answer("500 Internal Server Error", "", "{\"t\": 1}")),
        ),
        row(
            "503 with seconds",
            Cause::HttpStatus,
            sends!(answer(
                "503 Service Unavailable",
                "Retry-After: 300\r\n",
                ""
            )),
        ),
        row(
            "an unknown status",
            Cause::HttpStatus,
            sends!(answer("599 Odd", "", "")),
        ),
        row(
            "HTML instead of JSON",
            Cause::NotJson,
            sends!(answer(
                "200 OK",
                "Content-Type: text/html\r\n",
                "<!DOCTYPE html><title>Login</title>"
            )),
        ),
        row(
            "an empty body",
            Cause::NotJson,
            sends!(answer("200 OK", "", "")),
        ),
        row(
            "truncated JSON",
            Cause::NotJson,
            sends!(answer("200 OK", "", "{\"t\": 21.")),
        ),
        row(
            "JSON without a length that broke off",
            Cause::NotJson,
            sends!(format!("{OK}\r\n{{\"t\": 2")),
        ),
        row(
            "deeply nested JSON",
            Cause::NotJson,
            sends!(answer("200 OK", "", "[".repeat(90_000))),
        ),
        row(
            "NaN",
            Cause::NotJson,
            sends!(answer("200 OK", "", "{\"t\": NaN}")),
        ),
        row(
            "invalid UTF-8",
            Cause::NotJson,
            sends!(answer("200 OK", "", b"{\"t\": \"\xff\"}")),
        ),
        row(
            "a number that no float holds",
            Cause::Empty,
            sends!(answer("200 OK", "", "{\"t\": 1e999}")),
        ),
        row(
            "a wrong type",
            Cause::Empty,
            sends!(answer("200 OK", "", "{\"t\": \"warm\"}")),
        ),
        row(
            "a missing field",
            Cause::Empty,
            sends!(answer("200 OK", "", "{\"temperature\": 1}")),
        ),
        row(
            "a null field",
            Cause::Empty,
            sends!(answer("200 OK", "", "{\"t\": null}")),
        ),
        row(
            "an empty array",
            Cause::Empty,
            sends!(answer("200 OK", "", "[]")),
        ),
    ]
}
