//! Test support of `api`: a fetcher with a manual clock, and scripts for the fault server.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::agent::TransportSettings;
use super::fault_server::{Act, AfterResponse, response, send};
use super::fetcher::{Fetcher, SourceSettings};
use super::outgoing_request::SendRequest;
use super::pagination::Pagination;
use super::source_request::SourceRequest;
use super::url_source;
use crate::domain::failure::Cause;
use crate::domain::plan::{RecordSelector, Selection, SourcePlan};
use crate::domain::reading::{FetchOutcome, Observation};
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::sys::clock::{Clock, ManualClock};

/// 2026-11-23, noon.
const NOON: Wall = Wall(1_795_435_200_000);

pub fn clock_at_noon() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Moment {
        mono: Mono(1_000),
        wall: NOON,
        trust: ClockTrust::Trusted,
    }))
}

pub fn test_plan() -> SourcePlan {
    SourcePlan {
        name: "test".into(),
        every: Duration::from_secs(60),
        selection: Selection::Selectors(vec![RecordSelector::new("t", "/t")]),
        target: "test".into(),
        ..SourcePlan::default()
    }
}

pub fn fetcher(
    request: impl Into<SourceRequest>,
    transport: TransportSettings,
    clock: Arc<dyn Clock>,
) -> Fetcher {
    Fetcher::new(source_settings(request, transport), clock).expect("the settings are good")
}

pub fn source_settings(
    request: impl Into<SourceRequest>,
    transport: TransportSettings,
) -> SourceSettings {
    SourceSettings {
        index: 0,
        plan: test_plan(),
        request: request.into(),
        operation: None,
        follow: None,
        transport,
        quota: None,
        pagination: None,
        obey_expires: false,
        secrets: Arc::default(),
    }
}

/// All numbers of all pages.
pub fn paged_fetcher(
    request: Box<SendRequest>,
    transport: TransportSettings,
    pagination: Pagination,
) -> Fetcher {
    let settings = SourceSettings {
        pagination: Some(pagination),
        ..source_settings(request, transport)
    };
    let mut fetcher = Fetcher::new(settings, clock_at_noon()).expect("the settings are good");
    fetcher.select_all_leaves();
    fetcher
}

pub fn short_timeout() -> TransportSettings {
    TransportSettings {
        timeout: Duration::from_millis(600),
        body_limit: 100_000,
        ..TransportSettings::default()
    }
}

pub fn long_timeout() -> TransportSettings {
    TransportSettings {
        timeout: Duration::from_secs(20),
        ..short_timeout()
    }
}

pub fn good_response() -> Vec<u8> {
    response(
        "200 OK",
        "Content-Type: application/json\r\n",
        r#"{"t": 21.4}"#,
    )
}

pub fn cause(observation: Option<Observation>) -> Option<Cause> {
    match observation.expect("not cancelled").outcome {
        FetchOutcome::Failed { failure, .. } => Some(failure.cause),
        FetchOutcome::Readings { .. } | FetchOutcome::Unchanged | FetchOutcome::Empty => None,
    }
}

pub fn failure(observation: Option<Observation>) -> Option<(Cause, String)> {
    match observation.expect("not cancelled").outcome {
        FetchOutcome::Failed { failure, .. } => Some((failure.cause, failure.detail)),
        FetchOutcome::Readings { .. } | FetchOutcome::Unchanged | FetchOutcome::Empty => None,
    }
}

pub fn get_url(url: &str) -> Box<SendRequest> {
    url_source::prepare_request(url, &[], &[]).expect("a URL")
}

/// Answers the nth request with the nth of `acts`, and the rest with the last.
pub fn script(acts: Vec<Box<Act>>) -> Arc<Act> {
    let request_count = AtomicUsize::new(0);
    Arc::new(move |head, wire, server| {
        let nth = request_count
            .fetch_add(1, Ordering::SeqCst)
            .min(acts.len() - 1);
        acts[nth](head, wire, server)
    })
}

pub fn sends(bytes: Vec<u8>) -> Box<Act> {
    Box::new(move |_, wire, _| {
        if send(wire, &bytes) {
            AfterResponse::Keep
        } else {
            AfterResponse::Close
        }
    })
}

pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// A listener whose queue is full: connecting to it neither succeeds nor fails.
pub fn full_listener() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    // SAFETY: the descriptor is a bound socket; this only shortens its queue.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let address = listener.local_addr().expect("bound");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 64, "the queue never fills");
    }
    (listener, waiting)
}
