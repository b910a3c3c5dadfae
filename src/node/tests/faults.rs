//! Every fault of an upstream, once transient and once persistent, through the whole node:
//! what it is called, what `/status`, `/snapshot` and the log say, that memory stays bounded,
//! and that the next good answer heals it.
//!
//! The words are in `tests/golden/faults.txt`; `UPDATE_GOLDEN=1 cargo test faults` rewrites
//! them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;

use crate::api::fault_server::{Act, AfterResponse, FaultServer, send};
use crate::api::faults::{FaultCase, fault_cases};
use crate::api::fetcher::Fetcher;
use crate::api::support::{
    clock_at_noon, fetcher, good_response, long_timeout, short_timeout, test_plan,
};
use crate::api::url_source;
use crate::domain::alert::{AlertRules, AlertState, NodeFacts};
use crate::domain::failure::Cause;
use crate::domain::health::Storage;
use crate::domain::ledger::Ledger;
use crate::domain::plan::Plan;
use crate::domain::reading::FetchOutcome;
use crate::golden;
use crate::ingest::Ingest;
use crate::monitor::http::handler::Handler as _;
use crate::monitor::http::handler::Request;
use crate::monitor::{App, Context, Published, ViewSettings};
use crate::sys::clock::{Clock as _, ManualClock};
use crate::sys::heartbeat::Heartbeat;

/// A node of one source, without threads, database and sockets of its own.
struct Bench {
    fetcher: Fetcher,
    ingest: Ingest,
    monitor: App,
    clock: Arc<ManualClock>,
    log: String,
}

/// What one fetch came to.
struct Seen {
    cause: Option<Cause>,
    /// Cause, words and ordered wait.
    words: String,
    bytes: u64,
}

impl Bench {
    fn new(fetcher: Fetcher, clock: Arc<ManualClock>) -> Bench {
        let plan = Arc::new(Plan {
            sources: vec![test_plan()],
            ..Plan::default()
        });
        let ledger = Ledger::new(plan.clone());
        let published = Arc::new(Published::new(Arc::new(ledger.snapshot(clock.now()))));
        let monitor = App::new(Context {
            published: published.clone(),
            clock: clock.clone(),
            plan,
            storage: Box::new(Storage::default),
            history: Box::new(|_, _| Ok(Vec::new())),
            http_stats: Arc::default(),
            channels: Box::new(Vec::new),
            incidents: Box::new(|_| Ok(Vec::new())),
            stuck: Box::new(|| None),
            password: None,
            settings: ViewSettings {
                node_name: "node".to_owned(),
                host_name: "node".to_owned(),
                hosts: Vec::new(),
                timezone: jiff::tz::TimeZone::UTC,
                version: "0",
                build: || "0",
                started: clock.now(),
                is_example: false,
                is_demo: false,
                cors_any: false,
            },
        });
        let ingest = Ingest {
            rules: AlertRules::default(),
            ledger,
            alerts: AlertState::new("test"),
            clock: clock.clone(),
            beat: Heartbeat::default(),
            has_probed: false,
            store: Box::new(|_| ()),
            commit_alerts: Box::new(|_| ()),
            node: Box::new(NodeFacts::default),
            probe_sources: Box::new(|| ()),
            subscribers: vec![Box::new(move |snapshot| {
                published.publish(snapshot.clone());
            })],
        };
        Bench {
            fetcher,
            ingest,
            monitor,
            clock,
            log: String::new(),
        }
    }

    /// One fetch, a minute after the one before, taken into account everywhere.
    fn fetch(&mut self) -> Seen {
        self.clock.advance(Duration::from_secs(60));
        let observation = self.fetcher.fetch_once().expect("not cancelled");
        for (level, line) in self.fetcher.log_lines(&observation) {
            let _ = writeln!(self.log, "{}: {line}", level.as_str().to_lowercase());
        }
        let (cause, words) = match &observation.outcome {
            FetchOutcome::Failed { failure, .. } => {
                let wait = failure.retry_after.map_or(String::new(), |wait| {
                    format!(" [waits {} s]", wait.as_secs())
                });
                (Some(failure.cause), format!("{failure}{wait}"))
            }
            _ => (None, String::new()),
        };
        let bytes = observation.bytes;
        let started = self.clock.now().mono;
        self.ingest.step(vec![observation], started);
        Seen {
            cause,
            words,
            bytes,
        }
    }

    fn get(&self, path: &str) -> (u16, Json) {
        let answer = self.monitor.render(&Request {
            is_head: false,
            target: path.to_owned(),
            headers: Vec::new(),
            peer: "192.168.0.9".parse().expect("an address"),
        });
        let body = serde_json::from_slice(&answer.body).expect("JSON");
        (answer.status, body)
    }

    /// The verdict and every sentence of `/status`, and what a display gets.
    fn views(&self) -> (String, String) {
        let (code, status) = self.get("/status");
        assert_eq!(code, 200);
        let mut said = format!("{}: {}", text(&status["status"]), text(&status["summary"]));
        for sentence in status["troubles"].as_array().into_iter().flatten() {
            let _ = write!(said, " {}", text(sentence));
        }
        let (code, snapshot) = self.get("/snapshot");
        assert_eq!(code, 200, "what was good stays");
        assert_eq!(snapshot["records"][0]["value"].as_f64(), Some(21.4));
        let mut shown = String::from("t 21.4");
        if snapshot["records"][0]["stale"] == true {
            shown.push_str(" stale");
        }
        if let Some(alert) = snapshot["alert"].as_str() {
            let _ = write!(shown, ", alert {alert:?}");
        }
        (said, shown)
    }
}

fn text(value: &Json) -> &str {
    value.as_str().expect("a text")
}

/// Plays one row and gives its lines of the golden file.
fn play(row: &FaultCase) -> String {
    let is_faulty = Arc::new(AtomicBool::new(false));
    let (switch, fault) = (is_faulty.clone(), row.fault);
    let act: Arc<Act> = Arc::new(
        move |head, wire, server| match switch.load(Ordering::SeqCst) {
            true => fault(head, wire, server),
            false => match send(wire, good_response()) {
                true => AfterResponse::Keep,
                false => AfterResponse::Close,
            },
        },
    );
    let server = FaultServer::start(act);
    let request = url_source::prepare_request(&server.url(), &[], &[]).expect("a URL");
    let settings = if row.is_slow {
        short_timeout()
    } else {
        long_timeout()
    };
    let body_limit = settings.body_limit;
    let clock = clock_at_noon();
    let mut bench = Bench::new(fetcher(request, settings, clock.clone()), clock);
    let mut words = Vec::new();
    let mut play = |bench: &mut Bench, times: usize, expected: Option<Cause>| {
        is_faulty.store(expected.is_some(), Ordering::SeqCst);
        for _ in 0..times {
            let seen = bench.fetch();
            assert_eq!(seen.cause, expected, "{}: {}", row.name, seen.words);
            assert!(seen.bytes <= body_limit);
            if seen.cause.is_some() {
                words.push(seen.words);
            }
        }
        bench.views()
    };
    let is_well = ("pass: test is fresh.".to_owned(), "t 21.4".to_owned());
    assert_eq!(play(&mut bench, 1, None), is_well);
    let (status, snapshot) = play(&mut bench, 1, Some(row.cause));
    assert_eq!(play(&mut bench, 1, None), is_well, "healed");
    // Through a renewal of the connections.
    let (lasting_status, lasting_snapshot) = play(&mut bench, 4, Some(row.cause));
    assert_eq!(play(&mut bench, 1, None), is_well, "healed");
    let (_, status_after) = bench.get("/status");
    let source = &status_after["sources"][0];
    assert_eq!(source["attempts"].as_u64(), Some(8));
    assert_eq!(source["failures"][row.cause.name()].as_u64(), Some(5));
    assert_eq!(source["failures_in_a_row"].as_u64(), Some(0));
    words.dedup();
    assert_eq!(words.len(), 1, "{}: one fault, one word", row.name);
    // What sockets and buffers hold comes on top of what the node took.
    let sent = server.server.sent.load(Ordering::SeqCst);
    assert!(sent < 5 * 8_000_000, "{} took {sent} bytes", row.name);

    let mut lines = format!("{}\n    {}\n", row.name, words[0]);
    for (view, said) in [
        ("status", &status),
        ("snapshot", &snapshot),
        ("lasting, status", &lasting_status),
        ("lasting, snapshot", &lasting_snapshot),
    ] {
        let _ = writeln!(lines, "    {view}: {said}");
    }
    for line in bench.log.lines() {
        let _ = writeln!(lines, "    log, {line}");
    }
    let everything = format!("{lines}{status_after}");
    assert!(!everything.contains("secret"), "{everything}");
    lines.replace(&server.address.to_string(), "HOST")
}

#[test]
fn every_fault_has_its_cause_and_words_everywhere_and_the_next_good_answer_heals_it() {
    let rows = fault_cases();
    let lines: Vec<Mutex<String>> = rows.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
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
    let lines = lines
        .into_iter()
        .map(|line| line.into_inner().expect("one writer"));
    golden::check("faults.txt", &lines.collect::<String>());
}
