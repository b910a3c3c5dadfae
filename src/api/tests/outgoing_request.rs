//! POST requests on the wire, and requests with date placeholders: method, headers, body, redirects,
//! repetition, validators, and the wait for the clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::super::argument_template::ArgumentTemplate;
use super::super::fault_server::{Act, AfterResponse, FaultServer, response, send};
use super::super::fetcher::{Fetcher, SourceSettings};
use super::super::request_quota::QuotaHandle;
use super::super::source_request::SourceRequest;
use super::super::support::{
    cause, clock_at_noon, failure, fetcher, good_response, header, long_timeout, script, sends,
    test_plan,
};
use super::super::url_source::{BodyTemplate, MethodTemplate, UrlTemplate};
use crate::domain::failure::Cause;
use crate::domain::placeholder::Template;
use crate::domain::quota::SavedQuota;
use crate::domain::reading::FetchOutcome;
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::sys::clock::{Clock, ManualClock};
use crate::sys::shutdown::StopSource;
use openapi::operation::Argument;

fn template(text: &str) -> Template {
    Template::parse(text).expect("a template")
}

/// A request to `url` as a source of the configuration makes it, in UTC.
fn request(url: &str, headers: &[(&str, &str)], method: MethodTemplate) -> SourceRequest {
    let headers = headers.iter();
    let template = UrlTemplate {
        url: template(url),
        params: Vec::new(),
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), template(value)))
            .collect(),
        method,
    };
    SourceRequest::Dated {
        zone: TimeZone::UTC,
        fill: Box::new(move |time| Ok(template.fill(time)?.into())),
    }
}

fn post(url: &str) -> SourceRequest {
    request(url, &[], MethodTemplate::Post(Some(json_body())))
}

fn json_body() -> BodyTemplate {
    let text = |text: &str| Argument::Text(text.to_owned());
    let fields = vec![
        ("query".to_owned(), text("{ \"ä\" }")),
        ("day".to_owned(), text("{today}")),
        ("at".to_owned(), text("{now:unix}")),
        ("label".to_owned(), text("at {now:unix}")),
        (
            "rows".to_owned(),
            Argument::List(vec![Argument::Integer(1), Argument::Number(0.5)]),
        ),
        (
            "deep".to_owned(),
            Argument::Object(vec![("on".to_owned(), Argument::Boolean(true))]),
        ),
    ];
    BodyTemplate::Json(ArgumentTemplate::new(&Argument::Object(fields)))
}

/// Reads the body of each request before `act` answers it.
fn reading_bodies(bodies: Arc<Mutex<Vec<String>>>, act: Arc<Act>) -> Arc<Act> {
    Arc::new(move |head, wire, server| {
        let (start, rest) = head.split_once("\r\n\r\n").expect("a whole head");
        let length = header(start, "content-length").map_or(0, |it| it.parse().expect("a length"));
        let mut body = rest.as_bytes().to_vec();
        let mut buffer = [0; 4096];
        while body.len() < length && !server.is_over() {
            let count = wire.read(&mut buffer).unwrap_or(0);
            body.extend_from_slice(&buffer[..count]);
        }
        let body = String::from_utf8(body).expect("UTF-8");
        bodies.lock().expect("whole").push(body);
        act(head, wire, server)
    })
}

#[test]
fn a_post_sends_its_body_and_the_type_of_it() {
    let form = |content_type: &str| BodyTemplate::Text {
        text: template("day={today:%d.%m.%Y}&x={}"),
        content_type: content_type.to_owned(),
    };
    for (headers, body, content_type, expected) in [
        (
            vec![],
            Some(json_body()),
            Some("application/json"),
            // 2026-11-23T12:00:00Z
            "{\"query\":\"{ \\\"ä\\\" }\",\"day\":\"2026-11-23\",\"at\":1795435200,\
             \"label\":\"at 1795435200\",\"rows\":[1,0.5],\"deep\":{\"on\":true}}",
        ),
        (
            vec![("content-type", "application/json; charset=utf-8")],
            Some(BodyTemplate::Json(ArgumentTemplate::new(
                &Argument::Object(Vec::new()),
            ))),
            Some("application/json; charset=utf-8"),
            "{}",
        ),
        (
            vec![("X-Day", "{today}")],
            Some(form("application/x-www-form-urlencoded")),
            Some("application/x-www-form-urlencoded"),
            "day=23.11.2026&x={}",
        ),
        (vec![], None, None, ""),
    ] {
        let bodies = Arc::default();
        let answers = script(vec![sends(good_response())]);
        let server = FaultServer::start(reading_bodies(Arc::clone(&bodies), answers));
        let method = MethodTemplate::Post(body);
        let request = request(&server.url(), &headers, method);
        let mut fetcher = fetcher(request, long_timeout(), clock_at_noon());
        fetcher.record_exchanges();
        assert_eq!(cause(fetcher.fetch_once()), None);
        assert_eq!(*bodies.lock().expect("whole"), [expected]);
        let heads = server.server.heads.lock().expect("no act panics");
        assert!(
            heads[0].starts_with("POST /data?key=topsecret HTTP/1.1\r\n"),
            "{heads:?}"
        );
        assert_eq!(header(&heads[0], "content-type"), content_type);
        assert_eq!(
            header(&heads[0], "content-length"),
            Some(&*expected.len().to_string())
        );
        assert_eq!(header(&heads[0], "transfer-encoding"), None);
        let day = headers
            .iter()
            .any(|it| it.0 == "X-Day")
            .then_some("2026-11-23");
        assert_eq!(header(&heads[0], "x-day"), day);
        let [exchange] = &fetcher.exchanges()[..] else {
            panic!("one request");
        };
        assert_eq!(exchange.request_body, expected);
    }
}

#[test]
fn a_post_follows_no_redirect_and_says_where_it_was_sent_on_to() {
    for status in [
        "301 Moved",
        "302 Found",
        "303 See",
        "307 Moved",
        "308 Moved",
    ] {
        let answers = script(vec![sends(response(
            status,
            "Location: /v2/data?session=1234\r\n",
            "",
        ))]);
        let server = FaultServer::start(reading_bodies(Arc::default(), answers));
        let mut fetcher = fetcher(post(&server.url()), long_timeout(), clock_at_noon());
        let (cause, detail) = failure(fetcher.fetch_once()).expect("a failure");
        assert_eq!(cause, Cause::Redirect, "{status}");
        let target = format!("http://{}/v2/data,", server.address);
        assert!(
            detail.contains(&target) && detail.contains("`url`"),
            "{detail}"
        );
        let heads = server.server.heads.lock().expect("no act panics");
        assert_eq!(heads.len(), 1, "{status}");
    }
}

#[test]
fn a_post_is_never_conditional() {
    let named = response(
        "200 OK",
        "ETag: \"v1\"\r\nLast-Modified: then\r\n",
        "{\"t\": 1}",
    );
    let answers = script(vec![sends(named)]);
    let server = FaultServer::start(reading_bodies(Arc::default(), answers));
    let mut fetcher = fetcher(post(&server.url()), long_timeout(), clock_at_noon());
    for _ in 0..2 {
        assert_eq!(cause(fetcher.fetch_once()), None);
    }
    let heads = server.server.heads.lock().expect("no act panics");
    for name in ["if-none-match", "if-modified-since"] {
        assert_eq!(header(&heads[1], name), None);
    }
}

#[test]
fn a_post_is_repeated_only_where_nothing_was_answered() {
    let answers = script(vec![
        sends(good_response()),
        // An idle connection that the server closed: the request goes out once more.
        Box::new(|_, _, _| AfterResponse::Close),
        sends(good_response()),
        // An answer that begins and ends: the server has seen the request.
        Box::new(|_, wire, _| {
            send(wire, "HTTP/1.1 200 OK\r\nContent-");
            AfterResponse::Close
        }),
        sends(good_response()),
    ]);
    let bodies = Arc::default();
    let server = FaultServer::start(reading_bodies(Arc::clone(&bodies), answers));
    let mut fetcher = fetcher(post(&server.url()), long_timeout(), clock_at_noon());
    let outcomes: Vec<bool> = (0..3)
        .map(|_| cause(fetcher.fetch_once()).is_none())
        .collect();
    assert_eq!(outcomes, [true, true, false]);
    let bodies = bodies.lock().expect("whole");
    assert_eq!(bodies.len(), 4);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[test]
fn validators_of_one_date_are_not_sent_with_another() {
    let named = response("200 OK", "ETag: \"v1\"\r\n", "{\"t\": 1}");
    let server = FaultServer::start(script(vec![sends(named)]));
    let url = server.url() + "&day={today}";
    let clock = clock_at_noon();
    let request = request(&url, &[], MethodTemplate::Get);
    let mut fetcher = fetcher(request, long_timeout(), clock.clone());
    let hour = Duration::from_secs(3_600);
    for advance in [Duration::ZERO, hour, 24 * hour, hour] {
        clock.advance(advance);
        assert_eq!(cause(fetcher.fetch_once()), None);
    }
    let heads = server.server.heads.lock().expect("no act panics");
    let sent: Vec<(bool, Option<&str>)> = heads
        .iter()
        .map(|head| {
            (
                head.contains("day=2026-11-24"),
                header(head, "If-None-Match"),
            )
        })
        .collect();
    let v1 = Some("\"v1\"");
    assert_eq!(sent, [(false, None), (false, v1), (true, None), (true, v1)]);
}

/// A clock that nothing has set, at this date.
fn untrusted_clock(second: i64) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Moment {
        mono: Mono(1_000),
        wall: Wall::from_second(second),
        trust: ClockTrust::Untrusted,
    }))
}

#[test]
fn a_request_with_the_date_waits_for_the_clock_without_spending_the_quota() {
    let server = FaultServer::start(script(vec![sends(good_response())]));
    let clock = untrusted_clock(0);
    let url = server.url() + "&day={today}";
    let settings = SourceSettings {
        pagination: None,
        obey_expires: false,
        index: 0,
        plan: test_plan(),
        request: request(&url, &[], MethodTemplate::Get),
        operation: None,
        follow: None,
        transport: long_timeout(),
        quota: Some(Duration::from_secs(60)),
        secrets: Arc::default(),
    };
    let fetcher = Fetcher::new(settings, clock.clone()).expect("the settings are good");
    let stop = StopSource::new();
    let stopping = stop.token();
    let wake = stopping.clone();
    let reserved = Arc::new(AtomicUsize::new(0));
    let (count, heads) = (reserved.clone(), server.server.clone());
    let quota = QuotaHandle {
        account: None,
        carried: SavedQuota::Nothing,
        reserve: Box::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        }),
    };
    let mut seen = Vec::new();
    fetcher.run(&stopping, quota, |observation| {
        seen.push(match &observation.outcome {
            FetchOutcome::Failed { failure, .. } => {
                assert_eq!(heads.heads.lock().expect("no act panics").len(), 0);
                assert_eq!(reserved.load(Ordering::SeqCst), 0);
                (Some(failure.cause), observation.next_in)
            }
            _ => (None, observation.next_in),
        });
        // The clock is set to a good date, and trusted; what was slept does not matter.
        let now = clock.now();
        clock.set(match seen.len() {
            // It is still wrong after the 10 minutes.
            1 => Moment {
                mono: now.mono.after(Duration::from_secs(600)),
                ..now
            },
            _ => Moment {
                wall: Wall::from_second(1_795_435_200),
                trust: ClockTrust::Trusted,
                ..now
            },
        });
        match seen.len() {
            3 => stop.stop(),
            _ => wake.wake(),
        }
    });
    let every = Duration::from_secs(60);
    assert_eq!(seen[0], (Some(Cause::Clock), Duration::from_secs(600)));
    assert_eq!(seen[1].0, Some(Cause::Clock), "the date is impossible");
    assert_eq!(seen[2].0, None);
    assert!(seen[2].1 <= every, "no interval has grown: {:?}", seen[2].1);
    assert_eq!(server.server.heads.lock().expect("no act panics").len(), 1);
}

#[test]
fn after_ten_minutes_the_clock_is_used_as_it_is() {
    let server = FaultServer::start(script(vec![sends(good_response())]));
    let clock = untrusted_clock(1_795_435_200);
    let url = server.url() + "&day={today}";
    let fetcher = fetcher(
        request(&url, &[], MethodTemplate::Get),
        long_timeout(),
        clock.clone(),
    );
    let stop = StopSource::new();
    let stopping = stop.token();
    let wake = stopping.clone();
    let mut causes = Vec::new();
    fetcher.run(&stopping, QuotaHandle::none(), |observation| {
        causes.push(match &observation.outcome {
            FetchOutcome::Failed { failure, .. } => Some(failure.cause),
            _ => None,
        });
        clock.advance(Duration::from_secs(600));
        match causes.len() {
            2 => stop.stop(),
            _ => wake.wake(),
        }
    });
    assert_eq!(causes, [Some(Cause::Clock), None]);
    let heads = server.server.heads.lock().expect("no act panics");
    assert!(heads[0].contains("day=2026-11-23"), "{heads:?}");
}

#[test]
fn a_command_does_not_wait_for_the_clock() {
    let server = FaultServer::start(script(vec![sends(good_response())]));
    let url = server.url() + "&day={today}";
    let request = request(&url, &[], MethodTemplate::Get);
    let mut fetcher = fetcher(request, long_timeout(), untrusted_clock(0));
    assert_eq!(cause(fetcher.fetch_once()), None);
    let heads = server.server.heads.lock().expect("no act panics");
    assert!(heads[0].contains("day=1970-01-01"), "{heads:?}");
}
