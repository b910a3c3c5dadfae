//! Fuzz test of the routes: for any request that the HTTP parser accepts, the router and the
//! handlers give one response, and none panics. On stable Rust, seeded.
//!
//! `cargo test fuzz` runs briefly; `FUZZ_SECONDS=60 FUZZ_SEED=7 cargo test fuzz` runs for as
//! long as given and prints the seed of a failure.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::table::{RequestTarget, TABLE, TargetError};
use crate::golden::Budget;
use crate::monitor::App;
use crate::monitor::http::handler::Handler as _;
use crate::monitor::http::handler::{Request, Response};
use crate::monitor::http::host_check::AllowedHosts;
use crate::monitor::support::{from_memory, healthy, request, respond};

/// Pieces of targets, near to what is understood and far from it.
const PIECES: [&str; 40] = [
    "/",
    "?",
    "&",
    "=",
    ",",
    "%",
    "%2",
    "%2C",
    "%2f",
    "%00",
    "%0d%0a",
    "%ff",
    "%C3%A4",
    "%F0%9F",
    "+",
    ";",
    "..",
    "//",
    "/snapshot",
    "/web",
    "/web/key/",
    "/history",
    "?key=",
    "&from=",
    "&to=",
    "&points=",
    "&format=",
    "text",
    "csv",
    "json",
    "keys=",
    "full=1",
    "span=7d",
    "fragment=",
    "current.temperature_2m",
    "-1",
    "99999999999999999999",
    "2025-10-30T20:00:00Z",
    "1e999",
    "{key}",
];

/// Pieces of header values; visible ASCII, blanks and Latin-1 letters are what the parser accepts.
const VALUES: [&str; 30] = [
    "*",
    ",",
    ";",
    "\"",
    "W/",
    "\"\"",
    "text/html",
    "application/json",
    "*/*",
    "application/openmetrics-text",
    "q=",
    "0",
    "1",
    "0.5",
    "NaN",
    "inf",
    "-1",
    "gzip",
    "identity",
    " ",
    "localhost",
    ":",
    "80",
    "99999",
    "[::1]",
    "[",
    "]",
    ".",
    "evil.example",
    "\u{e9}",
];

const NAMES: [&str; 8] = [
    "host",
    "accept",
    "accept-encoding",
    "if-none-match",
    "user-agent",
    "x-display-name",
    "x-display-battery",
    "x-display-rssi",
];

fn pick<'a>(random: &mut fastrand::Rng, from: &[&'a str]) -> &'a str {
    from[random.usize(..from.len())]
}

fn target(random: &mut fastrand::Rng) -> String {
    // Only a snapshot is ever 304, however many routes there are.
    let row = match random.u8(..8) {
        0 => &TABLE[0],
        _ => &TABLE[random.usize(..TABLE.len())],
    };
    let mut target = row.template.to_owned();
    for parameter in row.parameters {
        if random.u8(..3) == 0 {
            target += if target.contains('?') { "&" } else { "?" };
            target += parameter;
            target += "=";
            target += pick(random, &PIECES);
        }
    }
    for _ in 0..random.usize(..6) {
        // The parser accepts only visible ASCII, so that any index is a character boundary.
        let at = random.usize(1..=target.len());
        match random.u8(..5) {
            0 => target.truncate(at),
            1 => target.insert(at, char::from(random.u8(0x21..=0x7e))),
            2 => target.insert_str(at, &pick(random, &PIECES).repeat(random.usize(..40))),
            _ => target.insert_str(at, pick(random, &PIECES)),
        }
    }
    target.replace('#', "")
}

fn any_request(random: &mut fastrand::Rng, etag: &str) -> Request {
    let target = target(random);
    let mut headers: Vec<(&str, String)> = Vec::new();
    for _ in 0..random.usize(..5) {
        let name = pick(random, &NAMES);
        let is_second_host = name == "host" && headers.iter().any(|(given, _)| *given == name);
        if is_second_host {
            continue;
        }
        let mut value = String::new();
        for _ in 0..random.usize(..8) {
            match random.u8(..6) {
                0 => value += etag,
                _ => value += pick(random, &VALUES),
            }
        }
        if name == "if-none-match" && random.bool() {
            value = random
                .choice([etag.to_owned(), format!("\"x\", W/{etag}")])
                .unwrap_or_default();
        }
        headers.push((name, value.trim().to_owned()));
    }
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut request = request(&target, &headers);
    request.is_head = random.bool();
    request
}

/// Invariants of the response to any request.
fn check(monitor: &App, request: &Request) -> u16 {
    let response = respond(monitor, request);
    check_clean(&response);
    let is_ours = request
        .header("host")
        .is_none_or(|host| AllowedHosts::new("house", &[]).allows(host));
    let expected: &[u16] = match RequestTarget::read(&request.target) {
        _ if !is_ours => &[421],
        Err(TargetError::NotFound) => &[404],
        Err(_) => &[400],
        // A route may reject a key or a value; it never fails with 500.
        Ok(_) => &[200, 302, 303, 304, 307, 308, 400, 404, 406],
    };
    let status = response.status;
    assert!(expected.contains(&status), "{status} for {expected:?}");
    assert!(status != 304 || request.header("if-none-match").is_some());
    // The route label of metrics is from a table: a request cannot make new ones.
    let name = monitor.route_name(request);
    assert!(name == super::table::UNKNOWN || TABLE.iter().any(|row| row.name == name));
    status
}

fn check_clean(response: &Response) {
    for (name, value) in &response.headers {
        let is_clean = !value.contains(|c: char| c.is_control() || !c.is_ascii());
        assert!(is_clean, "{name}: {value:?}");
    }
    let is_coded = response
        .headers
        .iter()
        .any(|(it, _)| *it == "Content-Encoding");
    assert!(is_coded || std::str::from_utf8(&response.body).is_ok());
}

#[test]
fn fuzz_the_router() {
    let monitor = healthy().app();
    let snapshot = from_memory(&monitor, &request("/snapshot", &[])).expect("it is in memory");
    let etag = crate::monitor::support::header(&snapshot, "ETag").expect("has a tag");
    let mut met = BTreeSet::new();
    for seed in Budget::new(20_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut request = any_request(&mut random, etag);
        monitor.prepare(&mut request);
        let turn = catch_unwind(AssertUnwindSafe(|| check(&monitor, &request)));
        assert!(turn.is_ok(), "FUZZ_SEED={seed}: {request:?}");
        met.extend(turn);
    }
    // If all requests were rejected by the access rules, the handlers would not be tested.
    let all = [200, 304, 400, 404, 421];
    assert!(all.iter().all(|it| met.contains(it)), "only met {met:?}");
}
