//! Everything that an upstream can do wrong, once transient and once persistent: what it
//! is called, that the node goes on, and that the next good answer heals it.
//!
//! The words are in `tests/golden/faults.txt`; `UPDATE_GOLDEN=1 cargo test faults` rewrites
//! them.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::fault_server::{Act, FaultServer, Server, Then, Wire, answer, say};
use super::fetcher::{Fetcher, SourceSettings};
use super::plain;
use super::transport::{Send, TransportSettings};
use crate::domain::health::{Cause, SourceHealth};
use crate::domain::plan::{Numbers, Pick, Selection, SourcePlan};
use crate::domain::reading::Outcome;
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

/// Plays one row and gives its line of the golden file.
fn play(row: &Row) -> String {
    let is_faulty = Arc::new(AtomicBool::new(false));
    let (switch, fault) = (is_faulty.clone(), row.fault);
    let act: Arc<Act> = Arc::new(
        move |head, wire, server| match switch.load(Ordering::SeqCst) {
            true => fault(head, wire, server),
            false => match say(wire, good()) {
                true => Then::Keep,
                false => Then::Close,
            },
        },
    );
    let server = FaultServer::start(act);
    let request = plain::request(&server.url(), &[], &[]).expect("a URL");
    let settings = if row.is_slow { short() } else { patient() };
    let body_limit = settings.body_limit;
    let mut fetcher = fetcher(request, settings, noon());
    let mut health = SourceHealth::default();
    let mut fetch = |expected: Option<Cause>| {
        let observation = fetcher.fetch_once().expect("nobody cancels");
        health.record(&observation);
        let failure = match &observation.outcome {
            Outcome::Failed { failure, .. } => Some(failure.clone()),
            _ => None,
        };
        let found = failure.as_ref().map(|failure| failure.cause);
        assert_eq!(found, expected, "{}: {:?}", row.name, failure);
        assert!(observation.bytes <= body_limit);
        failure
    };
    let mut said = Vec::new();
    fetch(None);
    // Transient.
    is_faulty.store(true, Ordering::SeqCst);
    said.extend(fetch(Some(row.cause)));
    is_faulty.store(false, Ordering::SeqCst);
    fetch(None);
    // Persistent, through a renewal of the connections.
    is_faulty.store(true, Ordering::SeqCst);
    for _ in 0..4 {
        said.extend(fetch(Some(row.cause)));
    }
    is_faulty.store(false, Ordering::SeqCst);
    fetch(None);
    assert_eq!(health.attempts, 8);
    assert_eq!(health.failures[&row.cause], 5);
    assert_eq!(health.failures_in_a_row, 0);
    said.dedup();
    let words: Vec<String> = said
        .iter()
        .map(|failure| {
            let wait = failure.retry_after.map_or(String::new(), |wait| {
                format!(" [waits {} s]", wait.as_secs())
            });
            let text = failure.to_string();
            assert!(!text.contains("secret"), "{text}");
            text.replace(&server.address.to_string(), "HOST") + &wait
        })
        .collect();
    assert_eq!(
        words.len(),
        1,
        "{}: the same fault, the same words",
        row.name
    );
    // What sockets and buffers hold comes on top of what the node took.
    let sent = server.server.sent.load(Ordering::SeqCst);
    assert!(sent < 5 * 8_000_000, "{} took {sent} bytes", row.name);
    format!("{}\n    {}\n", row.name, words[0])
}

#[test]
fn every_fault_has_its_cause_and_words_and_the_next_good_answer_heals_it() {
    let rows = rows();
    let lines: Vec<Mutex<String>> = rows.iter().map(|_| Mutex::default()).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    let Some(row) = rows.get(index) else { return };
                    *lines[index].lock().expect("one writer") = play(row);
                }
            });
        }
    });
    let lines: Vec<String> = lines
        .into_iter()
        .map(|line| line.into_inner().expect("one writer"))
        .collect();
    golden("faults.txt", &lines.concat());
}

/// Compares with a file of `tests/golden`, or rewrites it.
pub fn golden(name: &str, found: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().expect("it has one")).expect("a writable tree");
        std::fs::write(&file, found).expect("a writable tree");
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{} differs; UPDATE_GOLDEN=1 rewrites it. Found:\n{found}",
        file.display()
    );
}
