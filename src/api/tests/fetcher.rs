//! Fetch loop: quota, wake-ups, back-off, stop, panics, masking, and counters after many faults.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::agent::TransportSettings;
use super::super::fault_server::{Act, AfterResponse, FaultServer, response, send};
use super::super::faults::fault_cases;
use super::super::fetcher::{Fetcher, SourceSettings};
use super::super::outgoing_request::SendRequest;
use super::super::request_quota::QuotaHandle;
use super::super::support::{
    cause, clock_at_noon, fetcher, full_listener, get_url, good_response, long_timeout, script,
    sends, short_timeout, source_settings, test_plan,
};
use super::super::url_source;
use crate::domain::failure::Cause;
use crate::domain::health::SourceHealth;
use crate::domain::plan::SourcePlan;
use crate::domain::quota::SavedQuota;
use crate::domain::reading::FetchOutcome;
use crate::domain::redact::Secrets;
use crate::limits;
use crate::sys::shutdown::StopSource;

#[test]
fn an_empty_list_is_a_success_and_a_missing_record_is_a_failure() {
    let server = FaultServer::start(script(vec![sends(response("200 OK", "", "[]"))]));
    let mut source = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    assert_eq!(cause(source.fetch_once()), Some(Cause::Empty));
    source.select_all_leaves();
    let observation = source.fetch_once().expect("not cancelled");
    assert_eq!(observation.outcome, FetchOutcome::Empty);
    assert!(
        source
            .log_lines(&observation)
            .iter()
            .all(|it| it.0 == log::Level::Info)
    );
}

#[test]
fn secrets_echoed_by_a_server_are_masked() {
    let secret = "hunter2-0123456789";
    let bodies = [
        format!("{{\"t\": \"the key {secret} is wrong\"}}"),
        format!("{{\"{secret}\": {{\"x\": true}}}}"),
        format!("not JSON, but {secret}"),
        format!("<html>{secret}</html>"),
        format!("{{\"t\": 1, \"{secret}\""),
        format!("{{\"t\": \"a long text that ends with the key {secret}\"}}"),
    ];
    for body in bodies {
        let server = FaultServer::start(script(vec![sends(response("200 OK", "", &body))]));
        let headers = [("X-Key".to_owned(), secret.to_owned())];
        let settings = SourceSettings {
            index: 0,
            plan: test_plan(),
            request: url_source::prepare_request(&server.url(), &[], &headers)
                .expect("a URL")
                .into(),
            operation: None,
            follow: None,
            transport: long_timeout(),
            quota: None,
            pagination: None,
            obey_expires: false,
            secrets: Arc::new(Secrets::new([secret.to_owned()])),
        };
        let mut fetcher = Fetcher::new(settings, clock_at_noon()).expect("the settings are good");
        let observation = fetcher.fetch_once().expect("not cancelled");
        let lines = fetcher.log_lines(&observation);
        let texts = format!("{observation:?}{lines:?}");
        assert!(texts.contains("Failed"), "{texts}");
        assert!(!texts.contains("hunter2"), "{texts}");
    }
}

#[test]
fn quota_is_reserved_before_each_request_and_counts_failures_and_redirects() {
    let server = FaultServer::start(script(vec![
        sends(response("302 Found", "Location: /here\r\n", "")),
        sends(response("500 Oops", "", "")),
    ]));
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    let share = Duration::from_secs(1_000);
    fetcher.limit_requests(share);
    let stop = StopSource::new();
    let stopping = stop.token();
    let written = Arc::new(Mutex::new(Vec::new()));
    let (notes, heads) = (written.clone(), server.server.clone());
    let ration = QuotaHandle {
        carried: SavedQuota::Nothing,
        reserve: Box::new(move |reserved| {
            let sent = heads.heads.lock().expect("no act panics").len();
            notes.lock().expect("whole").push((sent, reserved.ahead));
        }),
        account: None,
    };
    let mut waits = Vec::new();
    fetcher.run(&stopping, ration, |observation| {
        waits.push(observation.next_in);
        stop.stop();
    });
    let written = written.lock().expect("whole");
    assert_eq!(written[..], [(0, share), (2, share * 2)]);
    assert_eq!(waits, [share * 2], "two requests were spent");
}

#[test]
fn an_early_wake_fetches_at_once_but_not_repeatedly() {
    /// How long a source waits really, between its first and its second answer.
    fn pause(every: Duration, since_the_first: Duration) -> Duration {
        let good = || sends(response("200 OK", "", r#"{"t": 1}"#));
        let server = FaultServer::start(script(vec![good(), good()]));
        let clock = clock_at_noon();
        let settings = SourceSettings {
            index: 0,
            plan: SourcePlan {
                every,
                ..test_plan()
            },
            request: get_url(&server.url()).into(),
            operation: None,
            follow: None,
            transport: long_timeout(),
            quota: None,
            pagination: None,
            obey_expires: false,
            secrets: Arc::default(),
        };
        let fetcher = Fetcher::new(settings, clock.clone()).expect("the settings are good");
        let stop = StopSource::new();
        let stopping = stop.token();
        let nudges = stopping.clone();
        let mut answers = Vec::new();
        fetcher.run(&stopping, QuotaHandle::none(), |_| {
            answers.push(Instant::now());
            match answers.len() {
                1 => {
                    clock.advance(since_the_first);
                    nudges.wake();
                }
                _ => stop.stop(),
            }
        });
        answers[1] - answers[0]
    }
    let hour = Duration::from_secs(3600);
    assert!(pause(hour, limits::EARLY_PROBE_INTERVAL) < Duration::from_secs(60));
    let short = Duration::from_millis(300);
    assert!(pause(short, Duration::ZERO) >= short / 2, "it sleeps on");
}

#[test]
fn a_very_long_field_name_is_shortened_in_messages() {
    let name = "k".repeat(90_000);
    let body = format!("{{\"{name}\": 1}}");
    let server = FaultServer::start(script(vec![sends(response("200 OK", "", body))]));
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    fetcher.select_all_leaves();
    let outcome = fetcher.fetch_once().expect("not cancelled").outcome;
    let FetchOutcome::Failed { failure, issues } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(issues.len(), 1);
    assert!(format!("{failure}{issues:?}").len() < 1_000, "{failure}");
}

#[test]
fn the_stop_cancels_a_fetch_that_hangs() {
    let silent = FaultServer::start(script(vec![Box::new(|_, wire, server| {
        server.hold(wire);
        AfterResponse::Close
    })]));
    let dripping = FaultServer::start(script(vec![Box::new(|_, wire, server| {
        send(wire, "HTTP/1.1 200 OK\r\n\r\n{");
        server.hold(wire);
        AfterResponse::Close
    })]));
    let (listener, _waiting) = full_listener();
    let deaf = listener.local_addr().expect("bound");
    for url in [silent.url(), dripping.url(), format!("http://{deaf}/")] {
        let settings = TransportSettings {
            timeout: Duration::from_secs(60),
            ..TransportSettings::default()
        };
        let fetcher = fetcher(get_url(&url), settings, clock_at_noon());
        let stop = StopSource::new();
        let stopping = stop.token();
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let deliver = delivered.clone();
        let thread = std::thread::spawn(move || {
            fetcher.run(&stopping, QuotaHandle::none(), |it| {
                deliver.lock().expect("whole").push(it);
            });
        });
        std::thread::park_timeout(Duration::from_millis(150));
        let begun = Instant::now();
        stop.stop();
        thread.join().expect("no panic");
        assert!(begun.elapsed() < Duration::from_secs(5), "{url}");
        assert_eq!(
            *delivered.lock().expect("whole"),
            [],
            "a stop is no failure"
        );
    }
}

#[test]
fn a_panic_fails_one_fetch_only() {
    let server = FaultServer::start(script(vec![sends(good_response())]));
    let good = get_url(&server.url());
    let request_count = AtomicUsize::new(0);
    let request: Box<SendRequest> =
        Box::new(
            move |agent| match request_count.fetch_add(1, Ordering::SeqCst) {
                1 => panic!("on purpose"),
                _ => good(agent),
            },
        );
    let mut fetcher = fetcher(request, long_timeout(), clock_at_noon());
    let outcomes: Vec<Option<Cause>> = (0..3).map(|_| cause(fetcher.fetch_once())).collect();
    assert_eq!(outcomes, [None, Some(Cause::Protocol), None]);
}

#[test]
fn failures_back_off_and_retry_after_is_respected() {
    let server = FaultServer::start(script(vec![
        sends(response("500 Oops", "", "")),
        sends(response("500 Oops", "", "")),
        sends(response("500 Oops", "", "")),
        sends(response("429 Slow", "Retry-After: 900\r\n", "")),
        sends(good_response()),
    ]));
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    let waits: Vec<u64> = (0..5)
        .map(|_| {
            fetcher
                .fetch_once()
                .expect("not cancelled")
                .next_in
                .as_secs()
        })
        .collect();
    for (wait, (least, most)) in
        waits
            .iter()
            .zip([(60, 66), (120, 132), (240, 264), (900, 900), (60, 60)])
    {
        assert!((least..=most).contains(wait), "{waits:?}");
    }
}

#[test]
fn a_response_that_is_still_valid_delays_the_next_request_where_that_is_wanted() {
    const DATE: &str = "Date: Sun, 29 Nov 2026 12:00:00 GMT\r\n";
    for (obey_expires, fields, expected_s) in [
        (true, "Cache-Control: max-age=300\r\n", 300),
        (true, "Expires: Sun, 29 Nov 2026 12:05:00 GMT\r\n", 300),
        (
            true,
            "Cache-Control: max-age=300\r\nRetry-After: 400\r\n",
            400,
        ),
        // Ten intervals at most.
        (true, "Cache-Control: max-age=86400\r\n", 600),
        (true, "Cache-Control: max-age=10\r\n", 60),
        (true, "Cache-Control: no-cache, max-age=300\r\n", 60),
        (true, "", 60),
        (false, "Cache-Control: max-age=300\r\n", 60),
    ] {
        let server = FaultServer::start(script(vec![
            sends(response(
                "200 OK",
                &format!("{DATE}ETag: \"v1\"\r\n{fields}"),
                r#"{"t": 1}"#,
            )),
            // Takes its lifetime from the response that it confirms.
            sends(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
            sends(response("500 Oops", "", "")),
        ]));
        let settings = SourceSettings {
            obey_expires,
            ..source_settings(get_url(&server.url()), long_timeout())
        };
        let mut fetcher = Fetcher::new(settings, clock_at_noon()).expect("the settings are good");
        let mut next = || fetcher.fetch_once().expect("not cancelled");
        let fresh = next();
        assert_eq!(fresh.next_in.as_secs(), expected_s, "{fields}");
        let ordered = if expected_s == 60 { 0 } else { expected_s };
        assert_eq!(fresh.server_wait.as_secs(), ordered, "{fields}");
        let confirmed = next();
        assert_eq!(confirmed.outcome, FetchOutcome::Unchanged, "{fields}");
        if !fields.contains("Retry-After") && !fields.contains("Expires") {
            assert_eq!(confirmed.next_in.as_secs(), expected_s, "{fields}");
        }
        assert_eq!(next().server_wait, Duration::ZERO, "{fields}");
    }
}

#[test]
fn counters_are_exact_after_a_thousand_random_faults() {
    let rows: Vec<_> = fault_cases()
        .into_iter()
        .filter(|row| !row.is_slow)
        .collect();
    let faults: Vec<_> = rows.iter().map(|row| row.fault).collect();
    let chosen = Arc::new(AtomicUsize::new(usize::MAX));
    let choice = chosen.clone();
    let act: Arc<Act> =
        Arc::new(
            move |head, wire, server| match faults.get(choice.load(Ordering::SeqCst)) {
                Some(fault) => fault(head, wire, server),
                None => {
                    if send(wire, good_response()) {
                        AfterResponse::Keep
                    } else {
                        AfterResponse::Close
                    }
                }
            },
        );
    let server = FaultServer::start(act);
    let mut fetcher = fetcher(get_url(&server.url()), long_timeout(), clock_at_noon());
    let mut random = fastrand::Rng::with_seed(1_795_435_200);
    let mut health = SourceHealth::default();
    let mut expected = std::collections::BTreeMap::new();
    for _ in 0..1_000 {
        let index = random.usize(..rows.len() + 20);
        chosen.store(index, Ordering::SeqCst);
        if let Some(row) = rows.get(index) {
            *expected.entry(row.cause).or_insert(0_u64) += 1;
        }
        health.record(&fetcher.fetch_once().expect("not cancelled"));
    }
    chosen.store(usize::MAX, Ordering::SeqCst);
    health.record(&fetcher.fetch_once().expect("not cancelled"));
    assert_eq!(health.attempts, 1_001);
    assert_eq!(health.failures, expected);
    assert_eq!(health.failures_in_a_row, 0);
}

#[test]
fn skipped_intervals_are_counted_and_reported() {
    // Nothing listens on the discard port: whether the fetch succeeds does not matter.
    let request = url_source::prepare_request("http://127.0.0.1:9/", &[], &[]).expect("a URL");
    let mut source = fetcher(request, short_timeout(), clock_at_noon());
    source.skip_interval();
    source.skip_interval();
    let late = source.fetch_once().expect("not cancelled");
    let texts = late.late_notice.as_deref().unwrap_or_default();
    let expected = "answers slower than its sources ask: raise `connections` or `every`";
    assert!(texts.ends_with(expected), "{texts}");
    assert_eq!(late.skipped_polls, 2);

    source.clear_overload();
    let in_time = source.fetch_once().expect("not cancelled");
    assert_eq!((in_time.late_notice, in_time.skipped_polls), (None, 0));
}
