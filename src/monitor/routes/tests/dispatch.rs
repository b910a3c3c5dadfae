//! Dispatch tests: the HTTP contract, request by request.

use super::*;
use crate::domain::plan::Selection;
use crate::domain::reading::Value;
use crate::domain::snapshot::{Record, Snapshot};
use crate::domain::snapshot_change::SnapshotChange;
use crate::monitor::routes::published::Published;
use crate::monitor::routes::representation::Encoded;
use crate::monitor::support::{self as testing, body, golden, header, request};

fn get(monitor: &App, target: &str) -> Response {
    let request = request(target, &[]);
    testing::respond(monitor, &request)
}

#[test]
fn the_snapshot_has_exactly_this_shape() {
    let mut fixture = testing::healthy();
    fixture.snapshot.records.truncate(2);
    let response = get(&fixture.clone().app(), "/snapshot");
    assert_eq!(
        body(&response),
        r#"{"timestamp":"2025-10-30T19:59:52Z","records":[{"key":"temperature","value":21.4},{"key":"humidity","value":45.2}],"summary":{"count":2,"avg":33.3}}"#
    );
    assert_eq!(header(&response, "Content-Type"), Some("application/json"));
    assert_eq!(header(&response, "Cache-Control"), Some("no-cache"));
    assert_eq!(header(&response, "Age"), None);
    let tag = header(&response, "ETag").expect("it has a tag");
    assert!(tag.starts_with("W/\"") && tag.ends_with('"'));
}

#[test]
fn untrusted_values_are_marked_with_fields_added_at_the_end() {
    let mut fixture = testing::healthy().stale(&["temperature", "humidity", "sky", "power"]);
    fixture.snapshot.alert = Some("weather: no answer for 23 min – däta is old".into());
    let monitor = fixture.app();
    assert_eq!(
        body(&get(&monitor, "/snapshot")),
        concat!(
            r#"{"timestamp":"2025-10-30T19:59:52Z","records":["#,
            r#"{"key":"temperature","value":21.4,"stale":true},"#,
            r#"{"key":"humidity","value":45.2,"stale":true},"#,
            r#"{"key":"sky","value":null,"text":"Cloudy","stale":true},"#,
            r#"{"key":"power","value":-120,"stale":true}],"#,
            r#""summary":{"count":4,"avg":null},"stale":true,"alert":"weather: no answer for 23 min  d"}"#
        )
    );
}

#[test]
fn the_variants_of_the_snapshot() {
    let monitor = testing::healthy().stale(&["humidity"]).app();
    let mut all = String::new();
    for target in [
        "/snapshot",
        "/snapshot?keys=humidity,temperature",
        "/snapshot?keys=humidity%2Csky",
        "/snapshot?keys=humidity&full=1",
        "/snapshot?format=text",
        "/snapshot?format=text&keys=sky,humidity",
        "/snapshot?full=1",
        "/snapshot?full=0&format=json",
        "/snapshot/temperature",
        "/snapshot/sky?full=1",
        "/snapshot/humidity?format=text",
        "/snapshot/humidity?format=text&full=1",
    ] {
        let request = request(target, &[]);
        let response = testing::from_memory(&monitor, &request).expect("it is in memory");
        assert_eq!(response.status, 200, "{target}");
        let content_type = header(&response, "Content-Type").expect("it has one");
        if content_type == "application/json" {
            serde_json::from_slice::<serde_json::Value>(&response.body).expect("it is JSON");
        }
        let body = body(&response);
        let end = if body.ends_with('\n') { "" } else { "\n" };
        all += &format!("GET {target}\n{content_type}\n{body}{end}\n");
    }
    golden("snapshot.txt", &all);
}

#[test]
fn wrong_requests_get_an_error_that_names_the_right_form() {
    let monitor = testing::healthy().app();
    let rows = [
        (
            "/snapshot?keys=temperatur",
            404,
            "There is no record \"temperatur\". Did you mean \"temperature\"?",
        ),
        ("/snapshot?keys=", 404, "There is no record \"\"."),
        ("/snapshot/nothing", 404, "There is no record \"nothing\"."),
        (
            "/snapshot?format=xml",
            400,
            "`format` is \"xml\"; expected json or text.",
        ),
        (
            "/snapshot?full=yes",
            400,
            "`full` is \"yes\"; expected 0 or 1.",
        ),
        (
            "/snapshot?pretty=1",
            400,
            "Unknown parameter \"pretty\": /snapshot takes keys, format, full, token.",
        ),
        (
            "/status?x",
            400,
            "Unknown parameter \"x\": /status takes none.",
        ),
        ("/snapshot?full=1&full=1", 400, "`full` is given twice."),
        (
            "/nowhere",
            404,
            "There is no page at \"/nowhere\". /openapi.json lists all endpoints; /web is the dashboard.",
        ),
        (
            "/snapshot/%zz",
            400,
            "The URL is not valid percent-encoded UTF-8: % must be followed by two hexadecimal digits.",
        ),
        ("/web/key/nothing", 404, "There is no record \"nothing\"."),
        (
            "/web/key/power?span=2h",
            400,
            "`span` is \"2h\"; expected 6h, 24h, 7d, 30d, 1y or all.",
        ),
        (
            "/web/source/nobody",
            404,
            "There is no source \"nobody\". There are \"weather\", \"meter\".",
        ),
        (
            "/web?fragment=x",
            404,
            "This page has no fragment \"x\"; it has: all, state, values.",
        ),
        (
            "/favicon.svg?state=blue",
            400,
            "`state` is \"blue\"; expected pass, warn or fail.",
        ),
    ];
    for (target, status, detail) in rows {
        let response = get(&monitor, target);
        assert_eq!(response.status, status, "{target}");
        assert_eq!(
            header(&response, "Content-Type"),
            Some("application/problem+json")
        );
        let problem: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        assert_eq!(problem["detail"], detail);
        assert_eq!(problem["status"].as_u64(), Some(u64::from(status)));
        assert_eq!(problem["type"], "about:blank");
        let page = [("accept", "text/html,*/*;q=0.8")];
        let browsers = monitor.render(&request(target, &page));
        assert_eq!(browsers.status, status);
        assert_eq!(
            header(&browsers, "Content-Type"),
            Some("text/html; charset=utf-8")
        );
    }
}

#[test]
fn a_configured_key_without_a_reading_is_not_unknown() {
    let monitor = testing::healthy().app();
    let response = get(&monitor, "/snapshot/voltage");
    assert_eq!(
        (response.status, header(&response, "Retry-After")),
        (503, Some("5"))
    );
    assert_eq!(get(&monitor, "/snapshot?keys=voltage").status, 503);
    let response = get(&monitor, "/snapshot?keys=voltage,power");
    assert!(body(&response).contains(r#""records":[{"key":"power","value":-120}]"#));
}

#[test]
fn a_forgotten_key_does_not_prevent_the_response_with_the_other_keys() {
    let mut fixture = testing::healthy();
    fixture.snapshot.forgotten = Arc::new(["attic".into()].into());
    let monitor = fixture.app();
    assert_eq!(get(&monitor, "/snapshot/attic").status, 404);
    assert_eq!(get(&monitor, "/snapshot?keys=attic").status, 404);
    let response = get(&monitor, "/snapshot?keys=attic,power");
    assert!(body(&response).contains(r#""records":[{"key":"power","value":-120}]"#));
    let misspelled = get(&monitor, "/snapshot?keys=atic,power");
    assert_eq!(misspelled.status, 404);
}

#[test]
fn without_any_data_the_snapshot_is_503_with_retry_after() {
    let monitor = testing::just_started().app();
    for target in [
        "/snapshot",
        "/snapshot?keys=anything",
        "/snapshot/x",
        "/snapshot?format=text",
    ] {
        let response = get(&monitor, target);
        assert_eq!(
            (response.status, header(&response, "Retry-After")),
            (503, Some("5")),
            "{target}"
        );
        let body: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        assert_eq!(body["summary"]["count"].as_u64(), Some(0));
    }
}

#[test]
fn etags_change_only_with_data_or_staleness() {
    use SnapshotChange::{Contents, Nothing, Times};
    let published = Published::new(Arc::new(testing::just_started().snapshot));
    let healthy = testing::healthy();
    let failing = healthy
        .clone()
        .failing("weather", crate::domain::failure::Cause::Dns, 60);
    let mut before: Option<Encoded> = None;
    for (what, snapshot, expected) in [
        ("data came", healthy.snapshot.clone(), Contents),
        ("health is not in the body", failing.snapshot, Nothing),
        ("a body has its time", a_minute_later(&healthy), Times),
        (
            "staleness",
            healthy.clone().stale(&["power"]).snapshot,
            Contents,
        ),
        ("freshness", healthy.snapshot.clone(), Contents),
        (
            "no record is left",
            testing::just_started().snapshot,
            Nothing,
        ),
        ("they are back", healthy.snapshot.clone(), Contents),
    ] {
        let (publication, change) = published.publish(Arc::new(snapshot));
        assert_eq!(change, expected, "{what}");
        let Some(json) = publication.json() else {
            before = None;
            continue;
        };
        let identity = json.identity.clone();
        if let Some(before) = &before {
            let (same_tag, same_body) =
                (before.etag == identity.etag, before.body == identity.body);
            assert_eq!(same_tag, change != Contents, "{what}");
            assert_eq!(same_body, change == Nothing, "{what}");
        }
        before = Some(identity);
    }
}

/// The same records, observed and fetched a minute later.
fn a_minute_later(fixture: &testing::NodeFixture) -> Snapshot {
    let mut snapshot = fixture.snapshot.clone();
    for record in &mut snapshot.records {
        record.stamp.observed = record
            .stamp
            .observed
            .after(std::time::Duration::from_secs(60));
    }
    snapshot
}

#[test]
fn a_fetch_that_brings_equal_values_is_a_304_and_any_other_change_is_none() {
    let fixture = testing::healthy();
    let number =
        |snapshot: &mut Snapshot, number| snapshot.records[1].value = Value::Number(number);
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Snapshot));
    let changes: [Change; 6] = [
        ("a value", &|it| number(it, 45.3)),
        ("a text", &|it| {
            it.records[2].value = Value::Text("Rain".into());
        }),
        ("a stale one", &|it| it.records[0].stale = true),
        ("an alert", &|it| {
            it.alert = Some("humidity too high".into());
        }),
        ("one less", &|it| drop(it.records.remove(3))),
        ("a key", &|it| it.records[0].key = "warmth".into()),
    ];
    let variants = [
        ("/snapshot", [true; 6]),
        (
            "/snapshot?keys=temperature,humidity,sky,power,warmth",
            [true; 6],
        ),
        (
            "/snapshot?format=text",
            [true, true, true, false, true, true],
        ),
        (
            "/snapshot?format=text&full=1",
            [true, true, true, false, true, true],
        ),
        (
            "/snapshot/humidity",
            [true, false, false, false, false, false],
        ),
        (
            "/snapshot/humidity?format=text",
            [true, false, false, false, false, false],
        ),
    ];
    let mut house = fixture.clone();
    house.plan.sources[0].selection = Selection::Selectors(
        ["temperature", "humidity", "sky", "power", "warmth"]
            .iter()
            .map(|key| crate::domain::plan::RecordSelector::new(*key, format!("/{key}")))
            .collect(),
    );
    let monitor = house.app();
    let published = &monitor.context.published;
    for (target, shows) in variants {
        published.publish(fixture.snapshot.clone().into());
        let first = get(&monitor, target);
        let tag = header(&first, "ETag").expect("a tag").to_owned();
        let respond = || {
            let request = request(target, &[("if-none-match", &*tag)]);
            testing::from_memory(&monitor, &request)
                .expect("it is in memory")
                .status
        };
        let later = a_minute_later(&fixture);
        published.publish(later.clone().into());
        assert_eq!(respond(), 304, "{target}: times alone");
        let again = get(&monitor, target);
        assert_eq!(
            again.body != first.body,
            body(&first).contains("timestamp"),
            "{target}: a body that is sent has the newest time"
        );
        for ((what, change), is_shown) in changes.iter().zip(shows) {
            let mut snapshot = later.clone();
            change(&mut snapshot);
            published.publish(snapshot.into());
            let expected = if is_shown { 200 } else { 304 };
            assert_eq!(respond(), expected, "{target}: {what}");
        }
    }
    // `?full=1`, which other nodes follow, contains times.
    for target in [
        "/snapshot?full=1",
        "/snapshot/sky?full=1",
        "/snapshot?full=1&keys=sky",
    ] {
        published.publish(fixture.snapshot.clone().into());
        let tag = get(&monitor, target).etag().to_owned();
        published.publish(a_minute_later(&fixture).into());
        assert!(!tag.starts_with("W/"));
        assert_ne!(get(&monitor, target).etag(), tag, "{target}");
    }
}

#[test]
fn every_variant_has_its_own_etag_and_its_own_304() {
    let mut fixture = testing::healthy();
    let more: Vec<_> = (0..50)
        .map(|at| {
            let mut record = fixture.snapshot.records[0].clone();
            record.key = format!("key.{at}").into();
            record
        })
        .collect();
    fixture.snapshot.records.extend(more);
    let monitor = fixture.app();
    let mut tags = std::collections::BTreeSet::new();
    for target in [
        "/snapshot",
        "/snapshot?format=text",
        "/snapshot?full=1",
        "/snapshot?keys=sky",
        "/snapshot/sky",
    ] {
        for coding in ["identity", "gzip"] {
            let response =
                testing::from_memory(&monitor, &request(target, &[("accept-encoding", coding)]))
                    .expect("it is in memory");
            let tag = header(&response, "ETag").expect("a tag").to_owned();
            let is_gzip = header(&response, "Content-Encoding").is_some();
            assert_eq!(header(&response, "Vary").is_some(), !target.contains("sky"));
            // A weak ETag is the same for all codings; a strong one identifies the bytes.
            let is_strong = target.contains("full");
            assert_eq!(tag.starts_with("W/"), !is_strong, "{target}");
            assert_eq!(
                tags.insert(tag.clone()),
                coding == "identity" || (is_gzip && is_strong),
                "{target} {coding}"
            );
            let again = [("accept-encoding", coding), ("if-none-match", tag.as_str())];
            let response =
                testing::from_memory(&monitor, &request(target, &again)).expect("it is in memory");
            assert_eq!((response.status, response.body.len()), (304, 0));
            assert_eq!(header(&response, "ETag"), Some(tag.as_str()));
            assert_eq!(header(&response, "Cache-Control"), Some("no-cache"));
        }
    }
}

#[test]
fn the_head_of_a_snapshot_is_small() {
    let response = get(&testing::healthy().app(), "/snapshot");
    let fields: usize = response
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    let rest =
        "HTTP/1.1 200 OK\r\nContent-Length: 120000\r\nDate: Thu, 30 Oct 2025 20:00:00 GMT\r\n\r\n";
    assert!(fields + rest.len() <= 256, "{} bytes", fields + rest.len());
}

#[test]
fn foreign_host_names_are_rejected_with_the_name_of_the_option() {
    let monitor = testing::healthy().app();
    for target in [
        "/snapshot",
        "/healthz",
        "/web",
        "/status",
        "/events",
        "/nowhere",
    ] {
        let request = request(target, &[("host", "evil.example:8000")]);
        let response = testing::respond(&monitor, &request);
        assert_eq!(response.status, 421, "{target}");
        let problem: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.ends_with(r#"hosts = ["evil.example"]."#), "{detail}");
    }
    assert!(!testing::is_event_stream(
        &monitor,
        &request("/events", &[("host", "evil.example")])
    ));
    assert!(testing::is_event_stream(
        &monitor,
        &request("/events", &[("host", "main-node.local:8000")])
    ));
    assert!(!testing::is_event_stream(
        &monitor,
        &request("/events?since=1", &[])
    ));
}

#[test]
fn an_event_stream_knows_the_last_event_of_its_client() {
    let monitor = testing::healthy().app();
    let sent = ("last-event-id", "W/\"1\"");
    for (target, headers, expected) in [
        ("/events", &[][..], None),
        ("/events", &[sent], Some("W/\"1\"")),
        ("/events?lastEventId=W%2F%222%22", &[], Some("W/\"2\"")),
        ("/events?lastEventId=W%2F%222%22", &[sent], Some("W/\"1\"")),
    ] {
        let Dispatch::EventStream(start) = monitor.dispatch(&request(target, headers)) else {
            panic!("{target} is no event stream");
        };
        assert_eq!(start.last_id.as_deref(), expected, "{target} {headers:?}");
        let accel = start.headers.iter().find(|it| it.0 == "X-Accel-Buffering");
        assert_eq!(accel.map(|it| &*it.1), Some("no"));
    }
}

#[test]
fn a_password_protects_everything_but_healthz() {
    let mut fixture = testing::healthy();
    fixture.password = Some("sesame");
    let monitor = fixture.app();
    let respond = |target: &str, headers: &[(&str, &str)]| {
        let request = request(target, headers);
        testing::respond(&monitor, &request)
    };
    // printf :sesame | base64
    let known = ("authorization", "Basic OnNlc2FtZQ==");
    for target in ["/snapshot", "/web", "/status", "/metrics", "/openapi.json"] {
        let denied = respond(target, &[]);
        assert_eq!(denied.status, 401, "{target}");
        let challenge = header(&denied, "WWW-Authenticate").expect("RFC 9110 wants one");
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        assert_eq!(respond(target, &[known]).status, 200, "{target}");
    }
    assert_eq!(
        respond("/nowhere", &[]).status,
        401,
        "unknown paths are not revealed either"
    );
    assert_eq!(respond("/healthz", &[]).status, 200);
    assert!(body(&respond("/web", &[("accept", "text/html")])).contains("password_file"));
    assert!(!testing::is_event_stream(
        &monitor,
        &request("/events", &[])
    ));
    assert!(testing::is_event_stream(
        &monitor,
        &request("/events", &[known])
    ));
    let seen = monitor.display_facts();
    assert_eq!(seen.len(), 1, "who is not let in is no display");
}

#[test]
fn liveness_depends_on_the_node_alone() {
    let mut fixture = testing::just_started().storage_trouble("the disk is full");
    assert_eq!(get(&fixture.clone().app(), "/healthz").status, 200);
    fixture.stuck = Some("ingest");
    let response = get(&fixture.app(), "/healthz");
    assert_eq!(response.status, 503);
    assert!(body(&response).contains("The node is stuck: ingest"));
}

/// As many records as there may be.
fn largest_fixture() -> testing::NodeFixture {
    let mut fixture = testing::healthy();
    let one = fixture.snapshot.records.remove(0);
    let record = |number: usize| Record {
        key: format!("key {number:04}").into(),
        value: Value::Number(number as f64),
        ..one.clone()
    };
    fixture.snapshot.records = (0..limits::RECORDS_TOTAL).map(record).collect();
    fixture
}

#[test]
fn expensive_snapshot_requests_are_rendered_by_workers() {
    let monitor = largest_fixture().app();
    let keys = |count: usize, separator: &str| {
        let keys: Vec<String> = (0..count)
            .map(|n| format!("key+{:04}", n * 7 % 2000))
            .collect();
        format!("/snapshot?keys={}", keys.join(separator))
    };
    let few = limits::SNAPSHOT_INLINE_KEYS;
    for (target, is_quick, status) in [
        // Rendered once for all displays, by a worker.
        ("/snapshot".to_owned(), false, 200),
        ("/snapshot".to_owned(), true, 200),
        ("/snapshot?format=text".to_owned(), false, 200),
        ("/snapshot?format=text".to_owned(), true, 200),
        ("/snapshot/key%200001".to_owned(), true, 200),
        (keys(few, ","), true, 200),
        (keys(few, "%2C"), true, 200),
        (keys(few + 1, ","), false, 200),
        (keys(few + 1, "%2c"), false, 200),
        (keys(600, ","), false, 200),
        (format!("/snapshot?keys={}", ",".repeat(7_000)), false, 404),
        // A suggestion compares all keys.
        ("/snapshot/key%20x".to_owned(), false, 404),
        ("/snapshot?keys=key+0001,key+x".to_owned(), false, 404),
        // Rendered once for all that follow this node.
        ("/snapshot?full=1".to_owned(), false, 200),
        ("/snapshot?full=1".to_owned(), true, 200),
        ("/snapshot?format=yaml".to_owned(), true, 400),
    ] {
        let request = request(&target, &[]);
        let from_memory = testing::from_memory(&monitor, &request);
        assert_eq!(from_memory.is_some(), is_quick, "{target:.60}");
        let response = from_memory.unwrap_or_else(|| monitor.render(&request));
        assert_eq!(response.status, status, "{target:.60}: {}", body(&response));
    }
    // Compressed once for all displays, and for none that has the bytes already.
    let gzip = ("accept-encoding", "gzip");
    let plain = testing::from_memory(&monitor, &request("/snapshot", &[]));
    let etag = plain.expect("it is rendered").etag().to_owned();
    let known = request("/snapshot", &[gzip, ("if-none-match", &etag)]);
    let unchanged = testing::from_memory(&monitor, &known).expect("from memory");
    assert_eq!(unchanged.status, 304);
    let gzip_request = request("/snapshot", &[gzip]);
    assert!(testing::from_memory(&monitor, &gzip_request).is_none());
    let coded = monitor.render(&gzip_request);
    assert_eq!(header(&coded, "Content-Encoding"), Some("gzip"));
    assert_eq!(header(&coded, "ETag"), Some(&*etag));
    assert!(testing::from_memory(&monitor, &gzip_request).is_some());
    let way = monitor.dispatch(&request(&keys(600, ","), &[]));
    assert!(matches!(way, Dispatch::Worker));
}

#[test]
fn each_requested_record_comes_once_and_in_order() {
    let monitor = largest_fixture().app();
    let keys: Vec<String> = (0..900)
        .map(|n| format!("key+{:04}", n * 7 % 450))
        .collect();
    let target = format!("/snapshot?format=text&keys={}", keys.join(","));
    let response = get(&monitor, &target);
    let expected: String = (0..450).map(|n| format!("key%20{n:04} {n}\n")).collect();
    assert_eq!(body(&response), expected);
    let tag = header(&response, "ETag").expect("it has a tag");
    let again = monitor.render(&request(&target, &[("if-none-match", tag)]));
    assert_eq!(again.status, 304);
}

#[test]
fn requests_over_the_work_limit_are_cut_off_and_counted() {
    let mut fixture = testing::healthy();
    fixture.history_rows = limits::HISTORY_ROWS + 1;
    let monitor = fixture.clone().app();
    let cut_off = |monitor: &App, route: &str| {
        let metrics = get(monitor, "/metrics");
        let name = format!("mainnode_http_cut_off_total{{route=\"{route}\"}} ");
        let line = body(&metrics).lines().find(|line| line.starts_with(&name));
        line.map(|line| line[name.len()..].to_owned())
    };
    for route in ["history", "web", "web_key", "web_alerts"] {
        assert_eq!(cut_off(&monitor, route).as_deref(), Some("0"));
    }
    for format in ["json", "csv"] {
        let target = format!("/history?key=temperature&format={format}");
        let response = get(&monitor, &target);
        assert_eq!(response.status, 503);
        assert!(header(&response, "Retry-After").is_some());
        let problem: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        assert_eq!(
            problem["detail"],
            "The request was cut off at its limit: 100000 rows read. Choose a shorter time span between `from` and `to`."
        );
    }
    assert_eq!(cut_off(&monitor, "history").as_deref(), Some("2"));
    // Several keys may cost as much as a page.
    for (keys, status) in [
        ("key=power&", 200),
        ("key=power&key=sky&key=humidity&", 503),
    ] {
        let target = format!("/history?{keys}key=temperature");
        assert_eq!(get(&monitor, &target).status, status, "{target}");
    }
    assert_eq!(cut_off(&monitor, "history").as_deref(), Some("3"));
    // A page may cost more, and shows what it can of what costs more still.
    assert!(body(&get(&monitor, "/web")).contains("class=\"spark\""));
    assert_eq!(cut_off(&monitor, "web").as_deref(), Some("0"));
    fixture.history_rows = limits::PAGE_ROWS + 1;
    let monitor = fixture.app();
    assert_eq!(get(&monitor, "/web").status, 200);
    let page = get(&monitor, "/web/key/temperature?span=all");
    assert_eq!(page.status, 200);
    assert!(body(&page).contains("cut off at the limit of one page: 400000 rows read"));
    assert_eq!(cut_off(&monitor, "web").as_deref(), Some("1"));
    assert_eq!(cut_off(&monitor, "web_key").as_deref(), Some("1"));
    for target in [
        "/status",
        "/metrics",
        "/snapshot",
        "/web/about",
        "/web/alerts",
    ] {
        assert_eq!(get(&monitor, target).status, 200, "{target}");
    }
}

#[test]
fn only_pages_have_a_content_security_policy() {
    let monitor = testing::healthy().app();
    for (target, is_page) in [
        ("/web", true),
        ("/web?fragment=all", true),
        ("/web/about", true),
        ("/snapshot", false),
        ("/status", false),
        ("/metrics", false),
        ("/openapi.json", false),
    ] {
        let response = get(&monitor, target);
        assert_eq!(response.status, 200);
        assert_eq!(
            header(&response, "X-Content-Type-Options"),
            Some("nosniff"),
            "{target}"
        );
        let policy = header(&response, "Content-Security-Policy");
        assert_eq!(policy.is_some(), is_page, "{target}");
        assert!(policy.is_none_or(|policy| !policy.contains("unsafe")));
        assert_eq!(header(&response, "Referrer-Policy").is_some(), is_page);
        assert_eq!(header(&response, "Access-Control-Allow-Origin"), None);
    }
    let response = get(&monitor, "/");
    assert_eq!(
        (response.status, header(&response, "Location")),
        (302, Some("/web"))
    );
}

#[test]
fn style_and_script_are_immutable_under_their_hashed_names() {
    let monitor = testing::healthy().app();
    let page = get(&monitor, "/web");
    for (start, content_type) in [
        ("/web/style/", "text/css; charset=utf-8"),
        ("/web/script/", "text/javascript; charset=utf-8"),
    ] {
        let at = body(&page).find(start).expect("the page names it");
        let path = body(&page)[at..].split('"').next().expect("it ends");
        let response = get(&monitor, path);
        assert_eq!(response.status, 200);
        assert_eq!(header(&response, "Content-Type"), Some(content_type));
        assert!(header(&response, "Cache-Control").is_some_and(|c| c.contains("immutable")));
        assert_eq!(get(&monitor, &format!("{start}old")).status, 404);
    }
    // With the wall's script at most 4 kB.
    assert!(web::SCRIPT_GZIPPED.len() < 3_200);
}

#[test]
fn rendered_responses_are_compressed_when_gzip_is_accepted() {
    let monitor = testing::healthy().app();
    for target in [
        "/web",
        "/status",
        "/metrics",
        "/history?key=power",
        "/openapi.json",
    ] {
        let coded = monitor.render(&request(target, &[("accept-encoding", "gzip")]));
        let plain = monitor.render(&request(target, &[]));
        assert_eq!(header(&coded, "Content-Encoding"), Some("gzip"), "{target}");
        assert_eq!(header(&plain, "Content-Encoding"), None);
        assert!(header(&plain, "Vary").is_some_and(|vary| vary.contains("Accept-Encoding")));
        assert!(coded.body.len() < plain.body.len());
    }
}

#[test]
fn with_cors_a_page_of_another_origin_may_read_any_response() {
    let mut fixture = testing::healthy();
    fixture.password = Some("sesame");
    let mut monitor = fixture.app();
    monitor.context.settings.cors = cors::CorsPolicy::AnyOrigin;
    let known = ("authorization", "Basic OnNlc2FtZQ==");
    let wrong = ("authorization", "Basic d3Jvbmc6");
    let respond = |target: &str, headers: &[(&str, &str)]| {
        let request = request(target, headers);
        testing::respond(&monitor, &request)
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut check = |response: Response, what: &str| {
        seen.insert(response.status);
        let origin = header(&response, "Access-Control-Allow-Origin");
        assert_eq!(origin, Some("*"), "{what}");
        let exposed = header(&response, "Access-Control-Expose-Headers").expect(what);
        for name in ["ETag", "Retry-After", "WWW-Authenticate"] {
            assert!(exposed.split(", ").any(|it| it == name), "{exposed}");
        }
        assert_eq!(header(&response, "Access-Control-Allow-Credentials"), None);
    };
    let preflight = [
        ("access-control-request-method", "GET"),
        (
            "access-control-request-headers",
            "authorization, if-none-match",
        ),
    ];
    let tag = respond("/snapshot", &[known]).etag().to_owned();
    // What is for devices is not there without displays.
    let is_there = |row: &&table::RouteRow| row.access != table::Access::Device;
    for row in table::TABLE.iter().filter(is_there) {
        // A preflight needs no password, also after wrong ones.
        let target = row.template.replace(['{', '}'], "");
        let response = monitor.options(&request(&target, &preflight));
        assert_eq!(response.status, 204, "{target}");
        assert_eq!(header(&response, "Allow"), Some(row.methods));
        let methods = header(&response, "Access-Control-Allow-Methods");
        assert_eq!(methods, Some(row.methods));
        check(response, &target);
        check(respond(&target, &[known]), &target);
        check(respond(&target, &[]), &target);
    }
    let modified = [known, ("if-none-match", &*tag)];
    check(respond("/snapshot", &modified), "304");
    check(respond("/snapshot/voltage", &[known]), "503");
    check(respond("/nowhere", &[known]), "404");
    for _ in 0..=limits::WRONG_PASSWORDS {
        check(respond("/snapshot", &[wrong]), "401, then 429");
    }
    check(monitor.options(&request("/snapshot", &preflight)), "204");
    check(monitor.options(&request("/nowhere", &preflight)), "404");
    let foreign = [preflight[0], ("host", "evil.example")];
    check(monitor.options(&request("/snapshot", &foreign)), "421");
    for status in [400, 403, 405] {
        check(monitor.rejection(status, None), "a refusal");
    }
    let limit = Overload::ConnectionsPerAddress(64);
    check(monitor.overloaded(limit, None), "a limit");
    check(
        Response {
            status: 200,
            headers: monitor.event_stream_headers(&request("/events", &[])),
            body: Arc::new([]),
        },
        "/events",
    );
    for status in [200, 204, 302, 304, 400, 401, 404, 405, 421, 429, 503] {
        assert!(seen.contains(&status), "{status} was not among {seen:?}");
    }
}

#[test]
fn without_the_cors_option_there_are_no_cors_headers() {
    let monitor = testing::healthy().app();
    let preflight = [
        ("origin", "http://ha.local"),
        ("access-control-request-method", "GET"),
    ];
    let responses = [
        monitor.options(&request("/snapshot", &preflight)),
        monitor.options(&request("*", &preflight)),
        monitor.render(&request("/snapshot", &preflight)),
        monitor.rejection(405, None),
    ];
    for response in responses {
        let is_of_cors = |name: &str| name.starts_with("Access-Control");
        assert!(!response.headers.iter().any(|(name, _)| is_of_cors(name)));
    }
    let response = monitor.options(&request("/snapshot", &preflight));
    assert_eq!(response.headers, [("Allow", table::READ.into())]);
    assert_eq!(
        monitor.options(&request("/snapshot/", &preflight)).status,
        404
    );
    assert_eq!(monitor.options(&request("/%zz", &preflight)).status, 400);
}

#[test]
fn rejections_of_the_http_server_name_what_is_accepted() {
    let monitor = testing::healthy().app();
    for status in [400, 405, 408, 413, 414, 426, 431, 505] {
        let response = monitor.rejection(status, None);
        assert_eq!(response.status, status);
        assert_eq!(header(&response, "Allow").is_some(), status == 405);
        let problem: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        assert_eq!(problem["status"].as_u64(), Some(u64::from(status)));
    }
    let mut handshake = request("/api/websocket", &[]);
    handshake.base = "/node".to_owned();
    for (request, path) in [(None, "/events"), (Some(&handshake), "/node/events")] {
        let response = monitor.rejection(426, request);
        let content_type = header(&response, "Content-Type");
        assert_eq!(content_type, Some("application/problem+json"));
        let named = format!("new EventSource('{path}')");
        assert!(body(&response).contains(&named), "{}", body(&response));
    }
    let browser = request("/web", &[("accept", "text/html")]);
    let response = monitor.rejection(405, Some(&browser));
    assert!(body(&response).contains("This server is read-only"));
    assert_eq!(header(&response, "Allow"), Some(table::READ));
}

#[test]
fn polling_displays_are_remembered() {
    let monitor = testing::healthy().app();
    get(&monitor, "/snapshot?keys=power");
    get(&monitor, "/snapshot?keys=nothing");
    get(&monitor, "/status");
    let displays = monitor.displays.list();
    assert_eq!(displays.len(), 1);
    assert_eq!(
        (displays[0].polls, displays[0].target.as_str()),
        (1, "/snapshot?keys=power")
    );
}

#[test]
fn snapshot_responses_are_cacheable_until_the_next_publication() {
    let fixture = testing::healthy();
    let monitor = fixture.clone().app();
    let cacheable = |monitor: &App, target: &str, headers: &[(&str, &str)]| match monitor
        .dispatch(&request(target, headers))
    {
        Dispatch::Cacheable(response, generation) => Some((response, generation)),
        _ => None,
    };
    let (response, generation) =
        cacheable(&monitor, "/snapshot", &[]).expect("it is all published");
    let tag = header(&response, "ETag").expect("a tag").to_owned();
    assert_eq!(generation, monitor.generation());
    for target in ["/snapshot?keys=power", "/snapshot/power?format=text"] {
        assert!(cacheable(&monitor, target, &[]).is_some(), "{target}");
    }
    let unchanged = cacheable(&monitor, "/snapshot", &[("if-none-match", &tag)]);
    assert_eq!(unchanged.map(|(response, _)| response.status), Some(304));
    for target in ["/healthz", "/snapshot/nothing", "/status", "/web"] {
        assert!(cacheable(&monitor, target, &[]).is_none(), "{target}");
    }

    // A poll with a cached response counts as a poll.
    let polls = || monitor.displays.list()[0].polls;
    let before = polls();
    monitor.on_cache_hit(&request("/snapshot", &[]), response.etag());
    assert_eq!(polls(), before + 1);

    let published = &monitor.context.published;
    published.publish(Arc::new(fixture.clone().stale(&["power"]).snapshot));
    assert_ne!(monitor.generation(), generation);

    let mut guarded = fixture;
    guarded.password = Some("sesame");
    let known = ("authorization", "Basic OnNlc2FtZQ==");
    let monitor = guarded.app();
    assert!(matches!(
        monitor.dispatch(&request("/snapshot", &[known])),
        Dispatch::Immediate(response) if response.status == 200
    ));
}

/// Whatever an API sends as a key, a value or a unit is text on every page.
#[test]
fn text_from_an_api_is_escaped_on_every_page() {
    const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let mut fixture = testing::healthy().failing("weather", crate::domain::failure::Cause::Dns, 60);
    for record in &mut fixture.snapshot.records {
        record.key = EVIL.into();
        record.value = Value::Text(EVIL.into());
        record.unit = Some(EVIL.into());
    }
    for source in &mut fixture.snapshot.sources {
        for issue in &mut source.health.issues {
            issue.found = EVIL.to_owned();
            issue.pointer = EVIL.to_owned();
        }
        source.attribution = Some(EVIL.into());
    }
    let monitor = fixture.app();
    let key = crate::domain::percent::encode(EVIL);
    let agent = [("user-agent", EVIL), ("x-display-name", EVIL)];
    testing::from_memory(&monitor, &request("/snapshot", &agent)).expect("it is in memory");
    for target in [
        "/web".to_owned(),
        format!("/web/key/{key}"),
        "/web/source/weather".to_owned(),
        "/web/source/meter".to_owned(),
        "/web/about".to_owned(),
        format!("/web/key/x{key}"),
        format!("/{key}"),
    ] {
        let response = monitor.render(&request(&target, &[("accept", "text/html")]));
        let page = body(&response);
        assert!(
            !page.contains("<script>") && !page.contains("<img"),
            "{target}"
        );
        assert!(!page.contains("\"'>"), "{target}");
    }
}
