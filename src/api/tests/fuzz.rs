//! Fuzzing of responses, from the bytes on the wire to readings: nothing that a server sends
//! may panic, hang or grow without bound. On stable Rust, seeded.
//!
//! `cargo test fuzz` runs a few thousand; `FUZZ_SECONDS=60 FUZZ_SEED=7 cargo test fuzz`
//! runs for that long and prints the seed of a failure.

use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use ureq::http::Method;

use super::auth::token_response;
use super::chunked::ChunkDecoder;
use super::client::APIS;
use super::content_coding::{self, ContentCoding};
use super::digest::{DigestOffer, DigestSession};
use super::fault_server::{Act, AfterResponse, FaultServer, send};
use super::http_response::FetchedResponse;
use super::json::{self, BodyOrigin};
use super::response_head::{self, HeadScanner};
use super::support::{clock_at_noon, fetcher, gzip, long_timeout, test_plan};
use super::validators::Validators;
use super::{charset, response_format, url_source, www_authenticate};
use crate::domain::normalise::{LastAccepted, normalise};
use crate::domain::number_pattern::NumberPattern;
use crate::domain::plan::{
    AggregateFunction, Decimal, ElementTime, Numbers, RecordSelector, ResponseFormat, Selection,
    SourcePlan,
};
use crate::domain::reading::FetchOutcome;
use crate::domain::time::{Mono, test_moment};
use crate::domain::value_path::ValuePath;
use crate::golden::Budget;
use crate::limits;
use openapi::schema::validate;

const BODIES: [&str; 6] = [
    r#"{"t": 21.4, "stations": [{"id": 1, "free": 3}, {"id": "x", "free": null}]}"#,
    r#"{"current": {"time": "2025-10-30T20:00", "temperature_2m": 11.4, "rain": null}, "latitude": 52.52, "longitude": 13.41, "utc_offset_seconds": 0, "timezone": "GMT", "current_units": {"temperature_2m": "°C"}}"#,
    r#"[1, -0.0, 1e308, 1E-999, 123456789012345678901234567890, true, "\ud83d\ude00\u0000", {}]"#,
    r#"{"a~/.%b": {"c": [[[[[1]]]]]}, "": 2, "stations": {"k/~": {"free": 1}}}"#,
    r#"{"text": "1.234,5 °C", "t": "0x1F4", "current": {"time": "Sun, 29 Nov 2026 10:00:00 +0100"}, "n": "\u2212 1\u202f234 m²"}"#,
    r#"{"$serde_json::private::Number": "1", "t": {"$serde_json::private::RawValue": 2}}"#,
];

const CONTENT_TYPES: [&str; 4] = [
    "application/json",
    "text/plain; charset=ISO-8859-1",
    "a/b; charset=utf-16le",
    "a/b; charset=gb18030",
];

const TOKENS: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "-",
    "1e999",
    "0.1",
    "\\ud800",
    "\u{feff}",
    "NaN",
    "\r\n",
    "\r\n\r\n",
    "0\r\n",
    "ffffffffffffffff\r\n",
    "HTTP/1.1 ",
    "HTTP/2 200",
    "ICY 200",
    "\n",
    "\r",
    "\r\n ",
    " :",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Location: //",
    "\0",
];

fn mutate(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(..8) {
        let at = random.usize(..=bytes.len());
        match random.u8(..6) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => {
                let from = random.usize(..=at);
                let piece = bytes[from..at].to_vec();
                for _ in 0..random.usize(..4) {
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
            _ => {
                let token = TOKENS[random.usize(..TOKENS.len())];
                bytes.splice(at..at, token.bytes());
            }
        }
        bytes.truncate(100_000);
    }
}

fn plans() -> Vec<SourcePlan> {
    let picks = vec![
        RecordSelector {
            max_change: Some(1.0),
            min: Some(-1.0),
            scale: Some(1e200),
            ..RecordSelector::new("t", "/t")
        },
        RecordSelector {
            text: true,
            ..RecordSelector::new("text", "/current/time")
        },
        RecordSelector {
            each: Some("/stations".into()),
            map: vec![("full".to_owned(), 0.0)],
            ..RecordSelector::new("bikes.{id}.{#}", "/free")
        },
        RecordSelector {
            each: Some("".into()),
            ..RecordSelector::new("{/id}{", "")
        },
        RecordSelector {
            each: Some(json_path("$..*[?@.id || @.time]")),
            ..RecordSelector::new("path.{#}", json_path("$[?@>0]"))
        },
        RecordSelector::new("several", json_path("$..*")),
        RecordSelector::new("dated", json_path("$.stations[?@.day=='{today}'].free")),
        RecordSelector {
            decimal: Some(Decimal::Comma),
            unit_at: Some(json_path("$.units")),
            missing: Some(0.0),
            ..RecordSelector::new("comma", "/text")
        },
        RecordSelector {
            base: Some(16),
            pattern: NumberPattern::new("([0-9a-fx]+)").ok(),
            null: Some(1.0),
            ..RecordSelector::new("hexadecimal", json_path("$.text"))
        },
    ];
    let picks = picks.into_iter().chain(combined()).collect();
    let all = Selection::AllLeaves {
        prefix: "all".to_owned(),
    };
    [Selection::Selectors(picks), all]
        .map(|selection| SourcePlan {
            selection,
            observed_at: Some("/current/time".into()),
            units_at: Some("/current_units".into()),
            numbers: Numbers::Lenient,
            ..test_plan()
        })
        .into()
}

/// Records that elements make together.
fn combined() -> Vec<RecordSelector> {
    let mut newest = RecordSelector {
        each: Some(json_path("$..*")),
        ..RecordSelector::new("{../#}.{../../id}.{#}", json_path("$[?@>0]"))
    };
    newest.elements.newest_by = Some(ElementTime::Template("{../time} {#}".to_owned()));
    let mut listed = RecordSelector::new("listed", "/stations");
    listed.elements.newest_by = Some(ElementTime::Parallel);
    listed.elements.times_at = Some(json_path("$..time"));
    let mut by_path = RecordSelector {
        each: Some("".into()),
        ..RecordSelector::new("by_path", "")
    };
    by_path.elements.newest_by = Some(ElementTime::Path("/time".into()));
    let mut current = RecordSelector {
        each: Some(json_path("$..*")),
        ..RecordSelector::new("now.{../#}", json_path("$[?@>0]"))
    };
    current.elements.now = Some(ElementTime::Path("/time".into()));
    current.elements.end_at = Some(json_path("$..id"));
    current.elements.ahead = Some(1);
    let mut timed = RecordSelector::new("timed", json_path("$..*"));
    timed.elements.element_time = Some(ElementTime::Parallel);
    timed.elements.times_at = Some(json_path("$..*"));
    let aggregates = AggregateFunction::ALL.into_iter().map(|aggregate| {
        let mut pick = RecordSelector::new(aggregate.name(), json_path("$..*"));
        pick.elements.aggregate = Some(aggregate);
        pick.elements.times_at = aggregate.is_time().then(|| json_path("$..*"));
        pick
    });
    [newest, listed, by_path, current, timed]
        .into_iter()
        .chain(aggregates)
        .collect()
}

fn json_path(text: &str) -> ValuePath {
    ValuePath::parse(text).expect("path")
}

/// What holds of every answer, however odd.
fn check(body: &Json, last_accepted: &mut LastAccepted, now: Mono) {
    let drift = validate(APIS[0].operations[0].response(), body, 16);
    assert!(drift.len() <= 16);
    for plan in plans() {
        let taken = normalise(&plan, body, last_accepted, test_moment(now));
        assert!(taken.readings.len() <= limits::RECORDS_PER_SOURCE);
        assert!(taken.issues.len() <= 2 * limits::ISSUES_PER_RESPONSE);
        for reading in &taken.readings {
            assert!(reading.key.len() <= limits::KEY_BYTES);
            assert!(reading.value.number().is_none_or(f64::is_finite));
            let text = reading.value.text().unwrap_or_default();
            assert!(text.len() <= limits::TEXT_BYTES && !text.contains('\n'));
        }
        for series in &taken.series {
            let elements = series.elements.as_slice();
            assert!((1..=limits::SERIES_ELEMENTS).contains(&elements.len()));
            for pair in elements.windows(2) {
                assert!(pair[0].start < pair[1].start);
                assert!(
                    pair[0]
                        .end
                        .is_none_or(|end| pair[0].start < end && end <= pair[1].start)
                );
            }
        }
        last_accepted.record(&plan, &taken.readings, now);
    }
}

#[test]
fn fuzz_bodies() {
    let mut last_accepted = LastAccepted::default();
    for seed in Budget::new(5_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut body = BODIES[random.usize(..BODIES.len())].as_bytes().to_vec();
        mutate(&mut random, &mut body);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let text = charset::decode(&body, random.choice(CONTENT_TYPES));
            let origin = BodyOrigin {
                host: "HOST",
                is_html: random.bool(),
                is_end_marked: random.bool(),
            };
            let parse = if random.bool() {
                json::parse
            } else {
                json::parse_lines
            };
            if let Ok(read) = parse(&text, origin) {
                check(&read.tree, &mut last_accepted, Mono(seed * 1_000));
            }
        }));
        assert!(result.is_ok(), "FUZZ_SEED={seed}: {}", body.escape_ascii());
    }
}

const HEADS: [&str; 4] = [
    "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nContent-Type: text/json\r\n\r\n",
    "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\nX-A: one\n two\n\n",
    "ICY 200 OK\r\nX Powered By: esp\r\nno colon\r\nContent-Length : 5\r\n\r\n",
    "\r\nHTTP/2 204\r\nA: \r\n\tb\r\nContent-Length: 5, 5\r\n\r\n",
];

/// A rewritten head is strict, and has no header that was no line of its own.
fn check_head(head: &[u8]) {
    let Ok(parsed) = response_head::parse(head) else {
        return;
    };
    let strict = parsed.rewritten.as_deref().unwrap_or(head);
    let mut headers = [httparse::EMPTY_HEADER; 1_000];
    let mut response = httparse::Response::new(&mut headers);
    let read = response.parse(strict).expect("a strict head");
    assert_eq!(read, httparse::Status::Complete(strict.len()));
    assert_eq!(response.code, Some(parsed.status));
    let lines: Vec<String> = head
        .split(|b| *b == b'\n')
        .map(|line| String::from_utf8_lossy(line).to_ascii_lowercase())
        .collect();
    assert!(response.headers.len() < lines.len());
    for header in response.headers {
        let name = header.name.to_ascii_lowercase();
        let is_line = |line: &String| line.starts_with(&name);
        assert!(lines.iter().any(is_line), "{name}");
        assert!(!header.value.contains(&b'\r'));
    }
}

#[test]
fn fuzz_heads() {
    for seed in Budget::new(5_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = HEADS[random.usize(..HEADS.len())].as_bytes().to_vec();
        mutate(&mut random, &mut bytes);
        let result = std::panic::catch_unwind(|| {
            let mut scanner = HeadScanner::default();
            if let Some(range) = scanner.scan(&bytes) {
                check_head(&bytes[range]);
            }
            // Refused or not; what matters is that it ends.
            let _ = response_head::check_start(&bytes);
        });
        assert!(result.is_ok(), "FUZZ_SEED={seed}: {}", bytes.escape_ascii());
    }
}

const CHALLENGES: [&str; 5] = [
    "Digest realm=\"a, \\\"b\\\"\", nonce=\"60dc2c69==\", algorithm=SHA-256, qop=\"auth,auth-int\"",
    "Basic realm=x, Digest nonce=1, qop=auth, opaque=\"\", stale=true, Bearer error=\"x\"",
    "Digest nonce=\"n\", algorithm=MD5-sess, userhash=true, charset=UTF-8, domain=\"/ /x\"",
    "Negotiate YII/abc==, NTLM, Digest realm=\"\", nonce=\"\"",
    "nextnonce=\"n2\", qop=auth, rspauth=\"00\", cnonce=\"c\", nc=00000001",
];

#[test]
fn fuzz_challenges() {
    let uri = "http://HOST/x?a=1".parse().expect("a URL");
    for seed in Budget::new(5_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = CHALLENGES[random.usize(..CHALLENGES.len())]
            .as_bytes()
            .to_vec();
        mutate(&mut random, &mut bytes);
        let result = std::panic::catch_unwind(|| {
            let info = www_authenticate::parse_params(&bytes);
            let challenges = www_authenticate::parse_challenges(&bytes);
            let challenge = match DigestOffer::of(&challenges) {
                DigestOffer::Supported(challenge) => challenge,
                DigestOffer::Unsupported(what) => {
                    assert!(what.chars().count() < 100 && !what.contains(char::is_control));
                    return;
                }
                DigestOffer::None => return,
            };
            let mut session = DigestSession::new(challenge, b"me", b"topsecret", "c".to_owned());
            session.use_nonce(info.param("nextnonce").unwrap_or_default().to_vec());
            // Where a header can hold the answer, it is read as it was meant.
            let Some(answer) = session.authorization(&Method::GET, &uri) else {
                return;
            };
            let params = www_authenticate::parse_params(&answer.as_bytes()["Digest ".len()..]);
            assert_eq!(params.param("nonce"), Some(session.nonce()));
            assert_eq!(params.param("uri"), Some(&b"/x?a=1"[..]));
            assert!(answer.len() <= 2 * limits::DIGEST_CHALLENGE_BYTES + 1_000);
        });
        assert!(result.is_ok(), "FUZZ_SEED={seed}: {}", bytes.escape_ascii());
    }
}

#[test]
fn fuzz_token_responses() {
    const RESPONSES: [&str; 4] = [
        r#"{"access_token":"abc","token_type":"Bearer","expires_in":"3600","refresh_token":"r"}"#,
        r#"{"error":{"code":"1","message":"no"},"error_description":null}"#,
        "access_token=a%62c&expires_in=1e9&token_type=bearer",
        "<html>log in</html>",
    ];
    for seed in Budget::new(5_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut body = RESPONSES[random.usize(..RESPONSES.len())]
            .as_bytes()
            .to_vec();
        mutate(&mut random, &mut body);
        let Ok(token) = token_response::parse(random.u16(100..600), &body) else {
            continue;
        };
        let value = ureq::http::HeaderValue::from_str(&token.access_token);
        let is_bounded = token
            .lifetime
            .is_none_or(|it| it <= limits::MAX_TOKEN_LIFETIME);
        assert!(
            value.is_ok() && is_bounded,
            "FUZZ_SEED={seed}: {}",
            body.escape_ascii()
        );
    }
}

#[test]
fn fuzz_chunks() {
    for seed in Budget::new(5_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = b"5;x=y\r\nhello\r\n 6 \n world\n0\r\nA: b\r\n\r\n".to_vec();
        mutate(&mut random, &mut bytes);
        let (mut decoder, mut rest, mut total) = (ChunkDecoder::new(), &bytes[..], 0);
        while !rest.is_empty() {
            let piece = &rest[..random.usize(1..=rest.len())];
            let mut room = [0; 48];
            let Ok((used, written)) = decoder.decode(piece, &mut room) else {
                break;
            };
            total += written;
            rest = &rest[used..];
            if used == 0 {
                assert!(decoder.is_done(), "FUZZ_SEED={seed}: it stands still");
                break;
            }
        }
        // A strict chunk of one byte takes six.
        assert!(total <= 6 * bytes.len() + 5, "FUZZ_SEED={seed}");
    }
}

#[test]
fn fuzz_content_codings() {
    const CODINGS: [&[ContentCoding]; 4] = [
        &[],
        &[ContentCoding::Gzip],
        &[ContentCoding::Deflate],
        &[ContentCoding::Gzip, ContentCoding::Deflate],
    ];
    for seed in Budget::new(2_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut body = gzip(BODIES[random.usize(..BODIES.len())].as_bytes());
        mutate(&mut random, &mut body);
        let codings = CODINGS[random.usize(..CODINGS.len())];
        let limit = random.u64(..1_000);
        let start = content_coding::decode_start(body.clone(), 100);
        assert!(start.len() <= body.len().max(100), "FUZZ_SEED={seed}");
        if let Ok(decoded) = content_coding::decode(body, codings, limit) {
            assert!(decoded.body.len() as u64 <= limit, "FUZZ_SEED={seed}");
        }
    }
}

const FORMAT_BODIES: [(ResponseFormat, &str); 8] = [
    (ResponseFormat::Ndjson, "{\"t\": 1}\n{\"t\": 2}\n"),
    (
        ResponseFormat::Csv,
        "# x\nt;\"a \"\"b\";t\n1;2,5;\"3\n4\"\n7;;;9\n",
    ),
    (ResponseFormat::Csv, "1,2\n3,4"),
    (
        ResponseFormat::Xml,
        "<?xml version=\"1.0\"?>\n<t a='1' b=\"&lt;&#65;\"><!-- c --><stations>2</stations>\
         <stations id='x'><free>3</free></stations><![CDATA[<x>]]>&amp;<e/></t>",
    ),
    (
        ResponseFormat::Prometheus,
        "# TYPE t gauge\nt 1\nstations{id=\"a\\\\\\n\\\"\",free=\"2\",} 1.5e3 17 # {x=\"1\"} 2\n\
         {\"u.t\",value=\"1\"} NaN\nt{a=\"b\"} +Inf\n# EOF\n",
    ),
    (ResponseFormat::Text, "t = 1\nstations: x\nt\t7\n"),
    (ResponseFormat::Text, "21.5 kWh\r\n"),
    (ResponseFormat::Json, "[1, 2]"),
];

/// Pieces of the formats that are not JSON.
const FORMAT_TOKENS: [&str; 20] = [
    "<",
    ">",
    "</",
    "/>",
    "<a>",
    "</a>",
    "<!DOCTYPE x>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "&",
    "&#x0;",
    "&#xffffffff;",
    "=",
    "\"\"",
    "# ",
    ";",
    "\t",
    "{}",
];

#[test]
fn fuzz_formats() {
    let mut last_accepted = LastAccepted::default();
    for seed in Budget::new(5_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let (format, text) = FORMAT_BODIES[random.usize(..FORMAT_BODIES.len())];
        let mut body = text.as_bytes().to_vec();
        for _ in 0..random.usize(..4) {
            let token = FORMAT_TOKENS[random.usize(..FORMAT_TOKENS.len())];
            let at = random.usize(..=body.len());
            body.splice(at..at, token.bytes());
        }
        mutate(&mut random, &mut body);
        let fetched = FetchedResponse {
            uri: ureq::http::Uri::default(),
            next_link: None,
            cache_lifetime: Default::default(),
            status: 200,
            body,
            is_end_marked: random.bool(),
            validators: Validators::default(),
            date: None,
            origin: "http://HOST".to_owned(),
            content_type: None,
            retry_after: None,
        };
        // Any text may come in any format.
        let any = ResponseFormat::ALL[random.usize(..ResponseFormat::ALL.len())];
        let format = if random.u8(..4) == 0 { any } else { format };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for plan in plans() {
                let plan = SourcePlan { format, ..plan };
                match response_format::parse(&fetched, &plan) {
                    Ok(parsed) => {
                        assert!(parsed.issues.len() <= 2 * limits::ISSUES_PER_RESPONSE);
                        check(&parsed.tree, &mut last_accepted, Mono(seed * 1_000));
                    }
                    Err(failure) => {
                        let detail = failure.detail;
                        assert!(!detail.contains(char::is_control), "{detail}");
                        assert!(detail.chars().count() < 400, "{detail}");
                    }
                }
            }
        }));
        let shown = fetched.body.escape_ascii();
        assert!(result.is_ok(), "FUZZ_SEED={seed} {format:?}: {shown}");
    }
}

#[test]
fn fuzz_the_wire() {
    let next = Arc::new(Mutex::new(Vec::new()));
    let answer = next.clone();
    let act: Arc<Act> = Arc::new(move |_, wire, _| {
        let bytes = answer.lock().expect("whole").clone();
        send(wire, bytes);
        AfterResponse::Close
    });
    let server = FaultServer::start(act);
    let request = url_source::prepare_request(&server.url(), &[], &[]).expect("a URL");
    let mut fetcher = fetcher(request, long_timeout(), clock_at_noon());
    for seed in Budget::new(1_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let body = BODIES[random.usize(..BODIES.len())];
        let status = random.choice(["200 OK", "304 Not Modified", "301 Moved", "503 Busy"]);
        let more = random.choice([
            "",
            "ETag: \"x\"\r\n",
            "Retry-After: 1\r\n",
            "Location: /\r\n",
        ]);
        let (status, more) = (status.unwrap_or_default(), more.unwrap_or_default());
        let framing = match random.u8(..3) {
            0 => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            1 => format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            ),
            _ => format!("\r\n{body}"),
        };
        let mut bytes = format!("HTTP/1.1 {status}\r\n{more}{framing}").into_bytes();
        mutate(&mut random, &mut bytes);
        *next.lock().expect("whole") = bytes.clone();
        let fetched = fetcher.fetch_once().expect("not cancelled");
        if let FetchOutcome::Failed { failure, .. } = &fetched.outcome {
            let shown = bytes.escape_ascii();
            let is_own = failure.detail.contains("internal error")
                || failure.detail.contains("unexpected error");
            assert!(!is_own, "FUZZ_SEED={seed}: {failure}\n{shown}");
            assert!(!failure.detail.contains("secret"), "{failure}");
            assert!(!failure.detail.contains(char::is_control), "{failure}");
        }
    }
}
