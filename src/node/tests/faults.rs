//! Fault tests: every fault of an upstream, transient and persistent, through the whole node.
//! Checks its cause and texts in `/status`, `/snapshot` and the log, that memory stays bounded, and
//! that the next valid response recovers the source.
//!
//! The texts are in `tests/golden/faults.txt`; `UPDATE_GOLDEN=1 cargo test faults` rewrites
//! them.

use std::fmt::Write as _;
use std::path::Path;
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
use crate::domain::history::StateHistory;
use crate::domain::ledger::Ledger;
use crate::domain::plan::Plan;
use crate::domain::reading::FetchOutcome;
use crate::golden;
use crate::ingest::{Ingest, WindowUpkeep};
use crate::monitor::http::handler::Handler as _;
use crate::monitor::http::handler::Request;
use crate::monitor::{App, Context, DeviceKeys, Installation, Published, ViewSettings};
use crate::sys::clock::{Clock as _, ManualClock};
use crate::sys::heartbeat::Heartbeat;

/// A node of one source, without threads, database and sockets of its own.
struct TestNode {
    fetcher: Fetcher,
    ingest: Ingest,
    monitor: App,
    clock: Arc<ManualClock>,
    log: String,
}

/// The result of one fetch.
struct FetchSummary {
    cause: Option<Cause>,
    /// Cause, text and requested wait.
    text: String,
    bytes: u64,
}

impl TestNode {
    fn new(fetcher: Fetcher, clock: Arc<ManualClock>) -> TestNode {
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
            forecast: Box::new(|_, _, _| Ok(Vec::new())),
            periods: Box::new(|_, _| Ok(Vec::new())),
            stored_unit: Box::new(|_| None),
            states: Box::new(|_, _| Ok(StateHistory::default())),
            http_stats: Arc::default(),
            channels: Box::new(Vec::new),
            outputs: Box::new(Vec::new),
            refused_configuration: Box::new(|| None),
            incidents: Box::new(|_| Ok(Vec::new())),
            stuck: Box::new(|| None),
            password: None,
            device_keys: DeviceKeys::beside(Path::new("/nowhere/main-node.db")),
            settings: ViewSettings {
                node_name: "node".to_owned(),
                host_name: "node".to_owned(),
                hosts: Vec::new(),
                timezone: jiff::tz::TimeZone::UTC,
                version: "0",
                build: || "0",
                started: clock.now(),
                configuration_loaded: clock.now(),
                is_example: false,
                installation: Installation::default(),
                is_demo: false,
                demo_history: None,
                cors: Default::default(),
                base_path: String::new(),
                frame_ancestors: Vec::new(),
            },
        });
        let ingest = Ingest {
            rules: AlertRules::default(),
            ledger,
            alerts: AlertState::new("test"),
            clock: clock.clone(),
            heartbeat: Heartbeat::default(),
            has_probed: false,
            store: Box::new(|_| ()),
            store_forecasts: Box::new(|_| ()),
            commit_alerts: Box::new(|_| ()),
            windows: WindowUpkeep::new(Box::new(())),
            node: Box::new(NodeFacts::default),
            probe_sources: Box::new(|| ()),
            save_absences: Box::new(|_| ()),
            absences_due: crate::domain::time::Mono(0),
            subscribers: vec![Box::new(move |snapshot| {
                published.publish(snapshot.clone());
            })],
        };
        TestNode {
            fetcher,
            ingest,
            monitor,
            clock,
            log: String::new(),
        }
    }

    /// One fetch, a minute after the one before, taken into account everywhere.
    fn fetch(&mut self) -> FetchSummary {
        self.clock.advance(Duration::from_secs(60));
        let observation = self.fetcher.fetch_once().expect("not cancelled");
        for (level, line) in self.fetcher.log_lines(&observation) {
            let _ = writeln!(self.log, "{}: {line}", level.as_str().to_lowercase());
        }
        let (cause, description) = match &observation.outcome {
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
        FetchSummary {
            cause,
            text: description,
            bytes,
        }
    }

    fn get(&self, path: &str) -> (u16, Json) {
        let response = self.monitor.render(&Request {
            is_head: false,
            target: path.to_owned(),
            headers: Vec::new(),
            peer: "192.168.0.9".parse().expect("an address"),
            base: String::new(),
            is_https: false,
            token: None,
        });
        let body = serde_json::from_slice(&response.body).expect("JSON");
        (response.status, body)
    }

    /// The texts of `/status`, and of `/snapshot` as a display shows it.
    fn views(&self) -> (String, String) {
        let (code, status) = self.get("/status");
        assert_eq!(code, 200);
        let mut status_text = format!("{}: {}", text(&status["status"]), text(&status["summary"]));
        for sentence in status["troubles"].as_array().into_iter().flatten() {
            let _ = write!(status_text, " {}", text(sentence));
        }
        let (code, snapshot) = self.get("/snapshot");
        assert_eq!(code, 200, "the last good value stays");
        assert_eq!(snapshot["records"][0]["value"].as_f64(), Some(21.4));
        let mut display_text = String::from("t 21.4");
        if snapshot["records"][0]["stale"] == true {
            display_text.push_str(" stale");
        }
        if let Some(alert) = snapshot["alert"].as_str() {
            let _ = write!(display_text, ", alert {alert:?}");
        }
        (status_text, display_text)
    }
}

fn text(value: &Json) -> &str {
    value.as_str().expect("a text")
}

/// Runs one fault case and returns its lines of the golden file.
fn run_case(row: &FaultCase) -> String {
    let is_faulty = Arc::new(AtomicBool::new(false));
    let (switch, fault) = (is_faulty.clone(), row.fault);
    let act: Arc<Act> = Arc::new(move |head, wire, server| {
        if switch.load(Ordering::SeqCst) {
            fault(head, wire, server)
        } else if send(wire, good_response()) {
            AfterResponse::Keep
        } else {
            AfterResponse::Close
        }
    });
    let server = FaultServer::start(act);
    let request = url_source::prepare_request(&server.url(), &[], &[]).expect("a URL");
    let settings = if row.is_slow {
        short_timeout()
    } else {
        long_timeout()
    };
    let body_limit = settings.body_limit;
    let clock = clock_at_noon();
    let mut node = TestNode::new(fetcher(request, settings, clock.clone()), clock);
    let mut texts = Vec::new();
    let mut fetch = |node: &mut TestNode, times: usize, expected: Option<Cause>| {
        is_faulty.store(expected.is_some(), Ordering::SeqCst);
        for _ in 0..times {
            let seen = node.fetch();
            assert_eq!(seen.cause, expected, "{}: {}", row.name, seen.text);
            assert!(seen.bytes <= body_limit);
            if seen.cause.is_some() {
                texts.push(seen.text);
            }
        }
        node.views()
    };
    let is_well = ("pass: test is fresh.".to_owned(), "t 21.4".to_owned());
    assert_eq!(fetch(&mut node, 1, None), is_well);
    let (status, snapshot) = fetch(&mut node, 1, Some(row.cause));
    assert_eq!(fetch(&mut node, 1, None), is_well, "recovered");
    // Long enough for connections to be renewed.
    let (lasting_status, lasting_snapshot) = fetch(&mut node, 4, Some(row.cause));
    assert_eq!(fetch(&mut node, 1, None), is_well, "recovered");
    let (_, status_after) = node.get("/status");
    let source = &status_after["sources"][0];
    assert_eq!(source["attempts"].as_u64(), Some(8));
    assert_eq!(source["failures"][row.cause.name()].as_u64(), Some(5));
    assert_eq!(source["failures_in_a_row"].as_u64(), Some(0));
    texts.dedup();
    assert_eq!(texts.len(), 1, "{}: one text per fault", row.name);
    // Includes what is still in socket buffers.
    let sent = server.server.sent.load(Ordering::SeqCst);
    assert!(sent < 5 * 8_000_000, "{} took {sent} bytes", row.name);

    let mut lines = format!("{}\n    {}\n", row.name, texts[0]);
    for (view, said) in [
        ("status", &status),
        ("snapshot", &snapshot),
        ("lasting, status", &lasting_status),
        ("lasting, snapshot", &lasting_snapshot),
    ] {
        let _ = writeln!(lines, "    {view}: {said}");
    }
    for line in node.log.lines() {
        let _ = writeln!(lines, "    log, {line}");
    }
    let everything = format!("{lines}{status_after}");
    assert!(!everything.contains("secret"), "{everything}");
    lines.replace(&server.address.to_string(), "HOST")
}

#[test]
fn every_fault_is_reported_with_its_cause_and_the_next_valid_response_recovers() {
    let rows = fault_cases();
    let lines: Vec<Mutex<String>> = rows.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    let Some(row) = rows.get(index) else { return };
                    *lines[index].lock().expect("one writer") = run_case(row);
                }
            });
        }
    });
    let lines = lines
        .into_iter()
        .map(|line| line.into_inner().expect("one writer"));
    golden::check("faults.txt", &lines.collect::<String>());
}
