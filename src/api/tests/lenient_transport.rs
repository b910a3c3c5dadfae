//! Raw responses through the transport: what curl reads is read, on a fresh connection and on a
//! reused one, wherever reads are cut.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use ureq::Timeout;
use ureq::unversioned::transport::time::Duration;

use super::super::fault_server::{AfterResponse, FaultServer, response, send};
use super::super::support::{
    clock_at_noon, fetcher, get_url, good_response, gzip, long_timeout, script, sends,
};
use super::*;
use crate::domain::failure::Cause;
use crate::domain::reading::FetchOutcome;

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const BODY: &str = "{\"t\": 1}";

/// Name, response, and whether its connection is reused; all are read.
fn readable() -> Vec<(&'static str, Vec<u8>, bool)> {
    let sized = |head: &str| format!("{head}Content-Length: 8\r\n\r\n{BODY}").into_bytes();
    let chunks = |rest: &str| format!("{CHUNKS}{rest}").into_bytes();
    vec![
        ("strict", response("200 OK", "", BODY), true),
        ("no reason phrase", sized("HTTP/1.1 200\r\n"), true),
        (
            "lines ended by LF",
            format!("HTTP/1.1 200 OK\nContent-Length: 8\n\n{BODY}").into_bytes(),
            true,
        ),
        (
            "blank before the colon",
            format!("{OK}Content-Length : 8\r\n\r\n{BODY}").into_bytes(),
            false,
        ),
        (
            "folded header",
            sized(&format!("{OK}X: one\r\n two\r\n")),
            false,
        ),
        (
            "line without a colon",
            sized(&format!("{OK}nonsense\r\n")),
            false,
        ),
        (
            "blanks in a name",
            sized(&format!("{OK}X By: me\r\n")),
            false,
        ),
        (
            "Latin-1 in a value",
            {
                let mut bytes = sized(&format!("{OK}X: K?che\r\n"));
                bytes[21] = 0xfc;
                bytes
            },
            true,
        ),
        ("HTTP/2 in the status line", sized("HTTP/2 200\r\n"), false),
        ("HTTP/1.0", sized("HTTP/1.0 200 OK\r\n"), false),
        ("ICY", sized("ICY 200 OK\r\n"), false),
        ("empty lines before", sized(&format!("\r\n\n{OK}")), true),
        (
            "interim responses before",
            sized(&format!(
                "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 Hints\n\n{OK}"
            )),
            true,
        ),
        (
            "two equal lengths",
            sized(&format!("{OK}Content-Length: 8\r\n")),
            true,
        ),
        (
            "more than its length",
            format!("{OK}Content-Length: 8\r\n\r\n{BODY}XXXX").into_bytes(),
            false,
        ),
        ("chunks", chunks("8\r\n{\"t\": 1}\r\n0\r\n\r\n"), true),
        ("chunks with LF", chunks("8\n{\"t\": 1}\n0\n\n"), true),
        (
            "chunks with extensions and trailers",
            chunks("3;a=b\r\n{\"t\r\n5 \r\n\": 1}\r\n0\r\nX: y\r\n\r\n"),
            true,
        ),
        (
            "chunks and a length",
            format!(
                "{OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{BODY}\r\n0\r\n\r\n"
            )
            .into_bytes(),
            false,
        ),
        (
            "more than its chunks",
            chunks("8\r\n{\"t\": 1}\r\n0\r\n\r\nXX"),
            false,
        ),
        (
            "gzip in chunks",
            {
                let packed = gzip(BODY.as_bytes());
                let head = format!(
                    "{OK}Content-Encoding: x-gzip\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\n",
                    packed.len()
                );
                [head.into_bytes(), packed, b"\n0\n\n".to_vec()].concat()
            },
            true,
        ),
    ]
}

#[test]
fn what_curl_reads_is_read_on_fresh_and_reused_connections() {
    for (name, bytes, is_reused) in readable() {
        let act = script(vec![
            sends(bytes.clone()),
            sends(good_response()),
            sends(bytes),
            sends(good_response()),
        ]);
        let server = FaultServer::start(act);
        let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
        for expected in ["1", "21.4", "1", "21.4"] {
            let outcome = fetcher.fetch_once().expect("not cancelled").outcome;
            let FetchOutcome::Readings { readings, .. } = outcome else {
                panic!("{name}: {outcome:?}");
            };
            assert_eq!(readings[0].value.to_string(), expected, "{name}");
        }
        let connections = server.server.connections.load(Ordering::SeqCst);
        assert_eq!(connections, if is_reused { 1 } else { 3 }, "{name}");
    }
}

#[test]
fn a_body_until_the_end_of_the_connection_is_read() {
    for (head, body) in [
        (OK.to_owned(), BODY.as_bytes().to_vec()),
        ("HTTP/1.0 200 OK\n".to_owned(), BODY.as_bytes().to_vec()),
        (OK.to_owned(), gzip(BODY.as_bytes())),
        (
            format!("{OK}Content-Encoding: gzip\r\n"),
            BODY.as_bytes().to_vec(),
        ),
    ] {
        let bytes = [head.as_bytes(), b"\r\n", &body].concat();
        let server = FaultServer::start(Arc::new(move |_, wire, _| {
            send(wire, &bytes);
            AfterResponse::Close
        }));
        let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
        let outcome = fetcher.fetch_once().expect("not cancelled").outcome;
        assert!(
            matches!(outcome, FetchOutcome::Readings { .. }),
            "{head:?}: {outcome:?}"
        );
    }
}

#[test]
fn a_refused_response_says_what_was_there() {
    let chunks = format!("{CHUNKS}{BODY}");
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(limits::INTERIM_RESPONSES + 1);
    for (bytes, expected) in [
        (
            "SSH-2.0-OpenSSH_9.9\r\n".as_bytes().to_vec(),
            "HOST does not send HTTP: expected a status line such as \"HTTP/1.1 200 OK\", found \
             \"SSH-2.0-OpenSSH_9.9\"",
        ),
        (
            b"\x15\x03\x01\x00\x02\x02\x46".to_vec(),
            "HOST speaks TLS on that port: try https:// instead of http://",
        ),
        (
            format!("{OK}Content-Length: 8\r\nContent-Length: 9\r\n\r\n{BODY}").into_bytes(),
            "HOST sends conflicting Content-Length headers: 8 and 9",
        ),
        (
            format!("{OK}Content-Length: many\r\n\r\n{BODY}").into_bytes(),
            "HOST sends an invalid Content-Length: expected a number of bytes, found \"many\"",
        ),
        (
            chunks.into_bytes(),
            "the response of HOST has an invalid chunk: expected a length in hexadecimal digits, \
             found \"{\"t\": 1}\"",
        ),
        (
            interim.into_bytes(),
            "HOST sent more than 16 interim responses (status 1xx) before its response",
        ),
        (
            response("200 OK", "Content-Encoding: br\r\n", "\u{b}\u{7}"),
            "HOST sent its response with the content coding \"br\" although only gzip was asked \
             for",
        ),
        (
            format!("{OK}Content-Length: 40\r\n\r\n{BODY}").into_bytes(),
            "the response of HOST ended early",
        ),
    ] {
        let server = FaultServer::start(Arc::new(move |_, wire, _| {
            send(wire, &bytes);
            AfterResponse::Close
        }));
        let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
        let outcome = fetcher.fetch_once().expect("not cancelled").outcome;
        let FetchOutcome::Failed { failure, .. } = outcome else {
            panic!("{expected}: {outcome:?}");
        };
        assert_eq!(failure.cause, Cause::Protocol, "{expected}");
        let host = server.address.to_string();
        assert_eq!(failure.detail.replace(&host, "HOST"), expected);
    }
}

/// A connection whose reads are scripted.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    buffers: LazyBuffers,
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pieces")
    }
}

impl Transport for Pieces {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let mut piece = self.pieces.pop_front().unwrap_or_default();
        let room = self.buffers.input_append_buf();
        let count = piece.len().min(room.len());
        room[..count].copy_from_slice(&piece[..count]);
        self.buffers.input_appended(count);
        let rest = piece.split_off(count);
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        true
    }
}

fn through(pieces: &[&[u8]]) -> LenientTransport {
    let size = limits::RESPONSE_HEAD_BYTES + 1;
    let pieces = pieces.iter().map(|it| it.to_vec());
    LenientTransport {
        transport: Box::new(Pieces {
            pieces: pieces.filter(|it| !it.is_empty()).collect(),
            buffers: LazyBuffers::new(size, size),
        }),
        control: Arc::default(),
        state: ReadState::Head(HeadScanner::default()),
        interim_responses: 0,
        is_connect: false,
        is_doubtful: false,
        rewritten: None,
    }
}

/// All that ureq would be given to read.
fn read_all(transport: &mut LenientTransport) -> Result<Vec<u8>, Error> {
    let timeout = NextTimeout {
        after: Duration::NotHappening,
        reason: Timeout::RecvBody,
        per_read: None,
        per_write: None,
    };
    let mut all = Vec::new();
    loop {
        let has_input = transport.await_input(timeout)?;
        loop {
            let input = transport.buffers().input().to_vec();
            if input.is_empty() {
                break;
            }
            transport.buffers().input_consume(input.len());
            all.extend_from_slice(&input);
        }
        if !has_input {
            return Ok(all);
        }
    }
}

/// Joins the chunks of a body, which may be cut anywhere.
fn joined_chunks(whole: &[u8]) -> Vec<u8> {
    let end = whole.windows(4).position(|it| it == b"\r\n\r\n");
    let (head, body) = whole.split_at(end.expect("a head") + 4);
    if !head.ends_with(b"chunked\r\n\r\n") {
        return whole.to_vec();
    }
    let mut data = head.to_vec();
    let mut rest = body;
    while !rest.starts_with(b"0\r\n\r\n") {
        let end = rest.iter().position(|b| *b == b'\r').expect("a length");
        let digits = str::from_utf8(&rest[..end]).expect("ASCII");
        let length = usize::from_str_radix(digits, 16).expect("digits");
        data.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
    data.extend_from_slice(&rest[5..]);
    data
}

#[test]
fn it_does_not_matter_where_reads_are_cut() {
    for (name, bytes, _) in readable() {
        // What follows the last chunk is not waited for.
        if name == "more than its chunks" {
            continue;
        }
        let whole = read_all(&mut through(&[&bytes])).expect("readable");
        let expected = joined_chunks(&whole);
        for cut in 1..bytes.len() {
            let (before, after) = bytes.split_at(cut);
            let found = read_all(&mut through(&[before, after])).expect("readable");
            assert_eq!(joined_chunks(&found), expected, "{name} cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let found = read_all(&mut through(&single)).expect("readable");
        assert_eq!(joined_chunks(&found), expected, "{name}, byte by byte");
    }
}

#[test]
fn a_strict_response_passes_unchanged() {
    for bytes in [
        response("200 OK", "X-Y: z\r\n", BODY),
        format!("HTTP/1.0 200 OK\r\n\r\n{BODY}").into_bytes(),
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
    ] {
        let mut transport = through(&[&bytes]);
        assert_eq!(read_all(&mut transport).expect("readable"), bytes);
        assert!(transport.is_open());
    }
}

#[test]
fn a_head_is_bounded_however_it_comes() {
    let line = b"X-Header: value\r\n".repeat(64);
    let mut pieces: Vec<&[u8]> = vec![OK.as_bytes()];
    pieces.extend(std::iter::repeat_n(line.as_slice(), 20));
    assert!(read_all(&mut through(&pieces[..3])).is_err(), "no end");
    let blanks = b"\r\n".repeat(limits::RESPONSE_HEAD_BYTES / 2 + 1);
    for pieces in [pieces, vec![&blanks[..64 * 100], &blanks[64 * 100..]]] {
        // The buffer of a connection holds one byte more than a head may have.
        let result = read_all(&mut through(&pieces));
        assert!(
            matches!(result, Err(Error::LargeResponseHeader(..))),
            "{result:?}"
        );
    }
}
