//! Pagination: the next page, where it may be, how pages become one body, and what of a hostile
//! server bounds the requests.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::super::agent::TransportSettings;
use super::super::cache_lifetime::CacheLifetime;
use super::super::fault_server::{Act, AfterResponse, FaultServer, response, send};
use super::super::fetcher::Fetcher;
use super::super::http_response::FetchedResponse;
use super::super::support::{
    failure, get_url, header, long_timeout, paged_fetcher, script, sends, test_plan,
};
use super::super::validators::Validators;
use super::super::{response_format, url_source};
use super::*;
use crate::domain::reading::FetchOutcome;

fn by_pointer(pages: u32) -> Pagination {
    Pagination {
        next: NextLink::Path("/next".into()),
        pages,
    }
}

fn page(uri: &str, body: &str) -> FetchedResponse {
    let uri: Uri = uri.parse().expect("a URL");
    FetchedResponse {
        status: 200,
        body: body.as_bytes().to_vec(),
        is_end_marked: true,
        validators: Validators::default(),
        date: None,
        origin: origin::display_origin(&uri),
        uri,
        next_link: None,
        cache_lifetime: CacheLifetime::default(),
        content_type: None,
        retry_after: None,
    }
}

/// The URLs that are requested after the first page, each answered by the next of `bodies`; and
/// what comes of it.
fn follow(bodies: &[&str], pages: u32) -> (Vec<String>, Result<Pages, FetchError>) {
    let source = "http://meter:8080/v1/list?page=1";
    let mut asked = Vec::new();
    let mut first = page(source, bodies[0]);
    let found = collect(
        &by_pointer(pages),
        &source.parse().expect("a URL"),
        &mut first,
        |page| response_format::parse(page, &test_plan()),
        |uri| {
            asked.push(uri.to_string());
            Ok(page(
                &uri.to_string(),
                bodies[asked.len().min(bodies.len() - 1)],
            ))
        },
    );
    (asked, found)
}

#[test]
fn the_next_page_is_where_rfc_3986_says_on_the_same_origin_or_refused() {
    let refused = |target: &str| {
        Err(format!(
            "redirect: the next page is at {target}, and this source is http://meter:8080: pages are \
             fetched from the same scheme, host and port only; if {target} is right, write it in \
             `url` (`base_url` of an operation)"
        ))
    };
    let invalid = |why: &str| {
        let text = "redirect: invalid URL of the next page from meter:8080:";
        Err(format!("{text} {why}"))
    };
    let schema = |found: &str| {
        Err(format!(
            "schema: the response of meter:8080 has no URL of the next page at /next: expected a text \
             or null, found {found}"
        ))
    };
    for (next, expected) in [
        ("null", Ok(None)),
        ("false", Ok(None)),
        ("\"\"", Ok(None)),
        ("\" \"", Ok(None)),
        // The first page again.
        ("\"#top\"", Ok(None)),
        ("\"http://METER:8080/v1/list?page=1#x\"", Ok(None)),
        ("\"?page=2\"", Ok(Some("http://meter:8080/v1/list?page=2"))),
        (
            "\"list?page=2\"",
            Ok(Some("http://meter:8080/v1/list?page=2")),
        ),
        ("\"/v2\"", Ok(Some("http://meter:8080/v2"))),
        ("\"//meter:8080/v2\"", Ok(Some("http://meter:8080/v2"))),
        (
            "\"http://meter:8080/v2?c=a%20b\"",
            Ok(Some("http://meter:8080/v2?c=a%20b")),
        ),
        (
            "\"?c=Köln am Rhein\"",
            Ok(Some("http://meter:8080/v1/list?c=K%C3%B6ln%20am%20Rhein")),
        ),
        ("\"http://meter/v2\"", refused("http://meter")),
        ("\"https://meter:8080/v2\"", refused("https://meter:8080")),
        (
            "\"http://meter.example:8080/v2\"",
            refused("http://meter.example:8080"),
        ),
        ("\"//127.0.0.1:8080/v2\"", refused("http://127.0.0.1:8080")),
        (
            "\"http://me:secret@meter:8080/v2\"",
            invalid("with a user name in the URL"),
        ),
        ("\"ftp://meter:8080/v2\"", invalid("neither http nor https")),
        ("\"file:///etc/passwd\"", invalid("not a valid URL")),
        ("\"http://me ter:8080/\"", invalid("not a valid URL")),
        ("\"javascript:alert(1)\"", invalid("not a valid URL")),
        (
            "2",
            schema("a number: pages that are only numbered cannot be followed"),
        ),
        ("true", schema("true")),
        ("[\"/v2\"]", schema("a list")),
        (
            "{\"href\": \"/v2\"}",
            schema("an object: point `next` at the URL inside it, such as \"/_links/next/href\""),
        ),
    ] {
        let body = format!("{{\"t\": [1], \"next\": {next}}}");
        let (asked, found) = follow(&[&body, "{\"t\": [2]}"], 10);
        let found = match found {
            Ok(_) => Ok(asked.first().map(String::as_str)),
            Err(FetchError::Failed(failure)) => Err(failure.to_string()),
            Err(FetchError::Stopped) => panic!("{next}"),
        };
        assert_eq!(found, expected, "{next}");
        assert!(asked.len() <= 1, "{next}");
    }
    let (asked, found) = follow(&["{\"t\": 1}"], 10);
    assert!(asked.is_empty() && found.is_ok(), "no `next` at all");
}

#[test]
fn a_json_path_finds_the_next_page_among_links() {
    let source = "http://meter/list";
    let path = "$.links[?@.rel=='next'].href";
    let link = NextLink::Path(ValuePath::parse(path).expect("path"));
    let link_to = |rel: &str, href: &str| json!({ "rel": rel, "href": href });
    for (links, expected) in [
        (
            vec![link_to("self", "/list"), link_to("next", "/list?page=2")],
            Ok(Some("http://meter/list?page=2".to_owned())),
        ),
        (vec![link_to("self", "/list")], Ok(None)),
        (
            vec![link_to("next", "/a"), link_to("next", "/b")],
            Err("the response of meter has no URL of the next page at \
                 $.links[?@.rel=='next'].href: expected a text or null, found several values, 2: \
                 /links/0/href, /links/1/href"
                .to_owned()),
        ),
    ] {
        let body = json!({ "links": links });
        let uri = source.parse().expect("a URL");
        let found = next_page(&link, &body, &page(source, ""), &uri);
        let found = found.map(|it| it.map(|uri| uri.to_string()));
        assert_eq!(found.map_err(|it| it.detail), expected);
    }
}

#[test]
fn arrays_at_the_same_place_are_concatenated_and_all_else_is_of_the_first_page() {
    for (first, second, expected) in [
        (json!([1, 2]), json!([3]), Ok(json!([1, 2, 3]))),
        (json!([1]), json!([]), Ok(json!([1]))),
        (json!([1]), json!(null), Ok(json!([1]))),
        (json!(null), json!([1]), Ok(json!([1]))),
        (
            json!({"count": 2, "page": 1, "results": [{"id": 1, "tags": ["a"]}]}),
            json!({"count": 3, "page": 2, "results": [{"id": 2, "tags": ["b"]}]}),
            Ok(
                json!({"count": 2, "page": 1, "results": [{"id": 1, "tags": ["a"]}, {"id": 2, "tags": ["b"]}]}),
            ),
        ),
        (
            json!({"data": {"list": {"items": [1]}, "other": [7]}}),
            json!({"data": {"list": {"items": [2]}, "other": []}}),
            Ok(json!({"data": {"list": {"items": [1, 2]}, "other": [7]}})),
        ),
        // Go writes an empty list as null, and others leave it out.
        (json!({"r": null}), json!({"r": [1]}), Ok(json!({"r": [1]}))),
        (json!({"r": [1]}), json!({"r": null}), Ok(json!({"r": [1]}))),
        (json!({"r": [1]}), json!({}), Ok(json!({"r": [1]}))),
        (json!({}), json!({"r": [1]}), Ok(json!({"r": [1]}))),
        // Objects whose fields are the elements.
        (
            json!({"by_id": {"a": {"t": 1}}}),
            json!({"by_id": {"b": {"t": 2}}}),
            Ok(json!({"by_id": {"a": {"t": 1}, "b": {"t": 2}}})),
        ),
        (json!({"t": 1}), json!({"t": "x"}), Ok(json!({"t": 1}))),
        (json!(1), json!(2), Ok(json!(1))),
        (
            json!([1]),
            json!({"error": "busy"}),
            Err("the whole response of H: expected an array as on the first page, found an object"),
        ),
        (
            json!({"r": [1]}),
            json!([1]),
            Err("the whole response of H: expected an object as on the first page, found an array"),
        ),
        (
            json!({"a/b": {"r": [1]}}),
            json!({"a/b": {"r": "none"}}),
            Err("/a~1b/r of H: expected an array as on the first page, found a text"),
        ),
    ] {
        let mut all = first.clone();
        let found = concatenate(&mut all, second.clone(), "", "H");
        let found = found.map(|()| all).map_err(|failure| failure.detail);
        assert_eq!(found, expected.map_err(str::to_owned), "{first} {second}");
    }
}

#[test]
fn places_on_a_later_page_are_those_in_the_joined_response() {
    let all = json!({"a/b": {"list": [[1, 2], 3]}, "t": 1});
    for (pointer, expected) in [
        ("/a~1b/list/0", "/a~1b/list/2"),
        ("/a~1b/list/1/0", "/a~1b/list/3/0"),
        ("/t", "/t"),
        ("/new/0", "/new/0"),
        ("", ""),
    ] {
        assert_eq!(shift_index(&all, pointer), expected);
    }
    assert_eq!(shift_index(&json!([1, 2]), "/0/t"), "/2/t");
}

#[test]
fn pages_end_at_their_bound_and_a_failure_names_its_page() {
    let endless = "{\"t\": [1], \"next\": \"?page=2\"}";
    // Names itself: the second page is fetched once.
    let (asked, found) = follow(&[endless], 10);
    assert_eq!(asked.len(), 1);
    assert_eq!(found.map(|pages| pages.more.is_some()), Ok(false));
    // Two that name each other.
    let (asked, _) = follow(&[endless, "{\"next\": \"?page=1\"}"], 10);
    assert_eq!(asked.len(), 1);
    let growing: Vec<String> = (2..200)
        .map(|number| format!("{{\"t\": [{number}], \"next\": \"?page={number}\"}}"))
        .collect();
    let growing: Vec<&str> = growing.iter().map(String::as_str).collect();
    let (asked, found) = follow(&growing, 4);
    assert_eq!(asked.len(), 3);
    let pages = found.expect("four pages");
    assert_eq!(pages.body.tree["t"], json!([2, 3, 4, 5]));
    assert_eq!(
        pages.more.expect("there are more").to_string(),
        "too_many: /next: expected at most 4 pages (`pages`), found one more, which was not fetched"
    );
    // As many pages as allowed is no issue.
    let (_, found) = follow(&[growing[0], growing[1], "{}"], 3);
    assert_eq!(found.expect("three pages").more, None);
    let (_, found) = follow(&[growing[0], growing[1], "{\"t\": [1"], 9);
    let Err(FetchError::Failed(failure)) = found else {
        panic!("the third page is cut");
    };
    assert!(
        failure.to_string().starts_with("not_json: page 3: "),
        "{failure}"
    );
    let many = format!(
        "{{\"t\": [{}1], \"next\": \"?page=2\"}}",
        "1,".repeat(limits::JSON_VALUES / 2)
    );
    let (_, found) = follow(&[&many, &many], 9);
    let Err(FetchError::Failed(failure)) = found else {
        panic!("too many values");
    };
    assert_eq!(failure.cause, Cause::TooLarge);
}

#[test]
fn a_page_that_does_not_fit_is_not_parsed_beside_the_others() {
    let objects = r#"{"a":1},"#.repeat(limits::JSON_VALUES / 8);
    let many = format!("{{\"t\": [{objects}0], \"next\": \"?page=2\"}}");
    let source = "http://meter:8080/v1/list?page=1";
    let parsed = Cell::new(0);
    let found = collect(
        &by_pointer(9),
        &source.parse().expect("a URL"),
        &mut page(source, &many),
        |page| {
            parsed.set(parsed.get() + 1);
            response_format::parse(page, &test_plan())
        },
        |uri| Ok(page(&uri.to_string(), &many)),
    );
    let Err(FetchError::Failed(failure)) = found else {
        panic!("too many values");
    };
    assert_eq!((failure.cause, parsed.get()), (Cause::TooLarge, 1));
}

/// A server whose page N (`?page=N`) is `pages[N - 1]`, sent as it is.
fn server_of(pages: Vec<Vec<u8>>) -> FaultServer {
    FaultServer::start(Arc::new(move |head: &str, wire, _: &_| {
        let number = page_number(head);
        let sent = match pages.get(number - 1) {
            Some(bytes) => send(wire, bytes),
            None => send(wire, response("404 Not Found", "", "")),
        };
        if sent {
            AfterResponse::Keep
        } else {
            AfterResponse::Close
        }
    }))
}

fn page_number(head: &str) -> usize {
    let line = head.lines().next().unwrap_or_default();
    let number = line.split_once("page=").map_or("1", |it| it.1);
    let digits = number.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|it| it.parse().ok()).unwrap_or(1)
}

fn listed(numbers: &[u32], next: Option<&str>) -> Vec<u8> {
    let body = json!({"list": numbers, "next": next}).to_string();
    response("200 OK", "ETag: \"v1\"\r\n", body)
}

fn readings(fetcher: &mut Fetcher) -> Vec<String> {
    match fetcher.fetch_once().expect("not cancelled").outcome {
        FetchOutcome::Readings { readings, .. } => {
            readings.iter().map(|it| it.value.to_string()).collect()
        }
        outcome => vec![format!("{outcome:?}")],
    }
}

#[test]
fn pages_are_one_response_and_are_never_asked_for_conditionally() {
    let server = server_of(vec![
        listed(&[1, 2], Some("?page=2")),
        listed(&[3], Some("?page=3")),
        listed(&[4], None),
    ]);
    let headers = [("X-Api-Key".to_owned(), "k".to_owned())];
    let login = server.url().replace("//", "//me:pw@");
    let request = url_source::prepare_request(&login, &[], &headers).expect("a URL");
    let mut fetcher = paged_fetcher(request, long_timeout(), by_pointer(10));
    for _ in 0..2 {
        assert_eq!(readings(&mut fetcher), ["1", "2", "3", "4"]);
    }
    let heads = server.server.heads.lock().expect("no act panics");
    assert_eq!(heads.len(), 6);
    for head in heads.iter() {
        assert_eq!(header(head, "X-Api-Key"), Some("k"), "{head}");
        assert_eq!(
            header(head, "Authorization"),
            Some("Basic bWU6cHc="),
            "{head}"
        );
        assert_eq!(header(head, "Accept"), Some("application/json"), "{head}");
        assert_eq!(header(head, "If-None-Match"), None, "{head}");
    }
    assert_eq!(server.server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn the_link_header_names_the_next_page() {
    let linked = |link: &str, body: &str| response("200 OK", link, body);
    let server = server_of(vec![
        linked(
            "Link: <?page=9>; rel=last\r\nlink: </x?page=2>; title=\"a, b\"; rel=\"prev next\"\r\n",
            "[1]",
        ),
        linked("Link: <?page=1>; rel=prev\r\n", "[2]"),
    ]);
    let mut fetcher = paged_fetcher(
        get_url(&server.url()),
        long_timeout(),
        Pagination::default(),
    );
    assert_eq!(readings(&mut fetcher), ["1", "2"]);
}

#[test]
fn the_redirects_of_all_pages_are_bounded_together() {
    for (per_page, pages, is_read) in [(1, 10, true), (2, 4, true), (3, 4, false)] {
        let server = FaultServer::start(Arc::new(move |head: &str, wire, _: &_| {
            let number = page_number(head);
            let line = head.lines().next().unwrap_or_default();
            let hops = line.matches("hop").count();
            let sent = if hops < per_page {
                let location = format!("Location: ?page={number}{}\r\n", "&hop".repeat(hops + 1));
                send(wire, response("302 Found", &location, ""))
            } else {
                let next = (number < pages).then(|| format!("?page={}", number + 1));
                send(wire, listed(&[1], next.as_deref()))
            };
            if sent {
                AfterResponse::Keep
            } else {
                AfterResponse::Close
            }
        }));
        let mut fetcher = paged_fetcher(get_url(&server.url()), long_timeout(), by_pointer(10));
        let found = readings(&mut fetcher);
        let case = format!("{per_page} {pages}: {found:?}");
        if is_read {
            assert_eq!(found, vec!["1"; pages], "{case}");
        } else {
            assert!(found[0].contains("more than 5 redirects"), "{case}");
        }
    }
}

#[test]
fn a_page_that_fails_fails_the_fetch() {
    let other = FaultServer::start(script(vec![sends(response(
        "200 OK",
        "",
        "{\"list\": [9]}",
    ))]));
    let elsewhere = format!("Location: http://{}/x\r\n", other.address);
    let next = |bytes: Vec<u8>| {
        vec![
            listed(&[1], Some("?page=2")),
            listed(&[2], Some("?page=3")),
            bytes,
        ]
    };
    let big = json!({"list": vec![7; 99_000 / 2], "next": null}).to_string();
    for (pages, cause, part, wait) in [
        (
            next(response(
                "429 Too Many Requests",
                "Retry-After: 120\r\n",
                "",
            )),
            Cause::RateLimited,
            "page 3: ",
            120,
        ),
        (
            next(response("503 Busy", "Retry-After: 60\r\n", "")),
            Cause::HttpStatus,
            "page 3: ",
            60,
        ),
        (
            next(response("404 Not Found", "", "")),
            Cause::HttpStatus,
            "page 3: ",
            0,
        ),
        (
            next(response("304 Not Modified", "", "")),
            Cause::Protocol,
            "page 3: ",
            0,
        ),
        (
            next(response("204 No Content", "", "")),
            Cause::Protocol,
            "page 3: ",
            0,
        ),
        (
            next(response("200 OK", "", "{\"list\": [")),
            Cause::NotJson,
            "page 3: ",
            0,
        ),
        (
            next(response("200 OK", "", "[3]")),
            Cause::Schema,
            "page 3: ",
            0,
        ),
        (
            next(response("302 Found", "Location: ?page=3\r\n", "")),
            Cause::Redirect,
            "redirect loop",
            0,
        ),
        (
            next(response(
                "302 Found",
                "Location: ?page=3\r\nSet-Cookie: seen=1\r\n",
                "",
            )),
            Cause::Redirect,
            "which auth = { cookies = true } keeps",
            0,
        ),
        // Each is within the limit of 100,000 bytes, and both are not.
        (
            next(response("200 OK", "", big)),
            Cause::TooLarge,
            "page 3: ",
            0,
        ),
        (
            next(listed(&[3], Some("//example.org/x"))),
            Cause::Redirect,
            "http://example.org",
            0,
        ),
    ] {
        let mut pages = pages;
        if part == "page 3: " && cause == Cause::TooLarge {
            let half = json!({"list": vec![7; 99_000 / 2], "next": "?page=3"}).to_string();
            pages[1] = response("200 OK", "", half);
        }
        let server = server_of(pages);
        let mut fetcher = paged_fetcher(get_url(&server.url()), long_timeout(), by_pointer(10));
        let observation = fetcher.fetch_once().expect("not cancelled");
        let ordered = observation.server_wait.as_secs();
        let (found, detail) = failure(Some(observation)).expect(part);
        assert_eq!(found, cause, "{detail}");
        assert!(detail.contains(part), "{part}: {detail}");
        assert_eq!(ordered, wait, "{detail}");
        assert!(!detail.contains("secret"), "{detail}");
    }
    // A redirect within the origin is followed; to another one without credentials.
    let server = server_of(vec![
        listed(&[1], Some("?page=2")),
        response("307 Moved", "Location: ?page=3\r\n", ""),
        response("307 Moved", &elsewhere, ""),
    ]);
    let secret = [("X-Api-Key".to_owned(), "topsecret".to_owned())];
    let request = url_source::prepare_request(&server.url(), &[], &secret).expect("a URL");
    let mut fetcher = paged_fetcher(request, long_timeout(), by_pointer(10));
    assert_eq!(readings(&mut fetcher), ["1", "9"]);
    let heads = other.server.heads.lock().expect("no act panics");
    assert!(!heads[0].contains("secret"), "{}", heads[0]);
}

#[test]
fn a_hostile_server_gets_no_more_requests_than_pages_and_redirects_allow() {
    let inside = FaultServer::start(script(vec![sends(response("200 OK", "", "[1]"))]));
    let port = inside.address.port();
    let count = Arc::new(AtomicUsize::new(0));
    let endless: Box<Act> = {
        let count = count.clone();
        Box::new(move |_, wire, _| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            // Every second answer is a redirect, every answer names another page.
            let bytes = if number.is_multiple_of(2) {
                response("302 Found", &format!("Location: /r{number}\r\n"), "")
            } else {
                listed(&[1], Some(&format!("/n{number}")))
            };
            if send(wire, bytes) {
                AfterResponse::Keep
            } else {
                AfterResponse::Close
            }
        })
    };
    let growing: Box<Act> = Box::new(|head, wire, _| {
        let line = head.split(' ').nth(1).unwrap_or_default();
        send(wire, listed(&[1], Some(&format!("{line}{line}"))));
        AfterResponse::Keep
    });
    let closes: Box<Act> = Box::new(|head, wire, _| {
        if head.contains("/data") {
            send(wire, listed(&[1], Some("/n")));
            AfterResponse::Keep
        } else {
            AfterResponse::Close
        }
    });
    let link = "<http://x/>; rel=next, ".repeat(500_000);
    let long: Box<Act> = Box::new(move |_, wire, _| {
        send(
            wire,
            response("200 OK", &format!("Link: {link}\r\n"), "[1]"),
        );
        AfterResponse::Close
    });
    let many_links: Box<Act> = Box::new(|_, wire, _| {
        let links = "Link: <x>; rel=\"prev\"\r\n".repeat(600);
        send(wire, response("200 OK", &links, "[1]"));
        AfterResponse::Close
    });
    let to = |target: String| sends(listed(&[1], Some(&target)));
    for (name, act, most) in [
        ("endless, with redirects", endless, 2 * 4),
        ("growing", growing, 4),
        ("itself", to("/data?key=topsecret".to_owned()), 1),
        ("another port", to(format!("http://127.0.0.1:{port}/")), 1),
        ("another name", to(format!("http://localhost:{port}/")), 1),
        // A request on a connection that was closed is repeated once.
        ("closes", closes, 3),
        ("10 MB of links", long, 1),
        ("many links", many_links, 1),
    ] {
        let server = FaultServer::start(script(vec![act]));
        let mut fetcher = paged_fetcher(get_url(&server.url()), long_timeout(), by_pointer(4));
        fetcher.fetch_once().expect("not cancelled");
        let heads = server.server.heads.lock().expect("no act panics").len();
        assert!(heads <= most, "{name}: {heads}");
    }
    assert_eq!(inside.server.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn all_pages_together_have_the_time_of_one_fetch() {
    let slow = FaultServer::start(script(vec![
        sends(listed(&[1], Some("?page=2"))),
        Box::new(|_, wire, server| {
            server.hold(wire);
            AfterResponse::Close
        }),
    ]));
    let settings = TransportSettings {
        timeout: std::time::Duration::from_millis(300),
        ..long_timeout()
    };
    let mut fetcher = paged_fetcher(get_url(&slow.url()), settings, by_pointer(10));
    let (cause, detail) = failure(fetcher.fetch_once()).expect("it times out");
    assert_eq!(cause, Cause::Timeout, "{detail}");
    assert!(detail.starts_with("page 2: "), "{detail}");
}

/// The first page is answered from outside; nothing that it names leads inside.
#[test]
fn a_page_of_a_public_server_never_leads_inside() {
    const OUTSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    let inside = FaultServer::start(script(vec![sends(response("200 OK", "", "[1]"))]));
    let target = format!("Location: http://{}/\r\n", inside.address);
    let server = FaultServer::start_at(
        OUTSIDE,
        script(vec![
            sends(listed(&[1], Some("?page=2"))),
            sends(response("302 Found", &target, "")),
        ]),
    );
    let settings = TransportSettings {
        is_private: |address| address.to_canonical() != OUTSIDE,
        ..long_timeout()
    };
    let mut fetcher = paged_fetcher(get_url(&server.url()), settings, by_pointer(10));
    let (cause, detail) = failure(fetcher.fetch_once()).expect("it is refused");
    assert_eq!(cause, Cause::Redirect, "{detail}");
    assert!(detail.contains("inside this network"), "{detail}");
    assert_eq!(inside.server.connections.load(Ordering::SeqCst), 0);
}
