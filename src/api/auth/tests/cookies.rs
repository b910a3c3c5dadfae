//! Tests of the cookie jar. Expected values: RFC 6265, and what curl sends.

use ureq::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use super::{CookieJar, RefusedCookie, SetCookie, cookie_date};
use crate::domain::time::Mono;
use crate::limits;

fn uri(url: &str) -> Uri {
    url.parse().expect("a URL")
}

fn response(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::try_from(*name).expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

/// The `Cookie` header of a request, beside a configured one.
fn sent(jar: &CookieJar, url: &str, configured: Option<&str>, second: u64) -> Option<String> {
    let mut headers = HeaderMap::new();
    if let Some(configured) = configured {
        let value = HeaderValue::from_str(configured).expect("a value");
        headers.insert(header::COOKIE, value);
    }
    jar.add_to(&uri(url), &mut headers, Mono(second * 1000));
    let value = headers.get(header::COOKIE)?.to_str().expect("ASCII");
    Some(value.to_owned())
}

/// A jar after one response with these `Set-Cookie` fields, at second 100.
fn jar(url: &str, fields: &[&str]) -> CookieJar {
    let mut jar = CookieJar::default();
    let fields: Vec<(&str, &str)> = fields.iter().map(|it| ("set-cookie", *it)).collect();
    jar.store(&uri(url), &response(&fields), Mono(100_000));
    jar
}

#[test]
fn cookies_are_sent_to_their_origin_and_path() {
    for (set_at, field, asked, expected) in [
        ("http://nas/", "sid=1", "http://nas/x", Some("sid=1")),
        (
            "http://nas/",
            " sid = a=b ; HttpOnly",
            "http://nas/",
            Some("sid=a=b"),
        ),
        (
            "http://nas/",
            "sid=\"1 2\"; SameSite=Lax",
            "http://NAS/",
            Some("sid=\"1 2\""),
        ),
        ("http://nas/", "sid=", "http://nas/", Some("sid=")),
        ("http://nas/", "sid", "http://nas/", None),
        ("http://nas/", "=1", "http://nas/", None),
        // Another scheme, port or host.
        ("http://nas/", "sid=1", "https://nas/", None),
        ("http://nas/", "sid=1", "http://nas:8080/", None),
        ("http://nas/", "sid=1", "http://nas:80/", Some("sid=1")),
        ("http://nas/", "sid=1", "http://nas.lan/", None),
        // `Domain` narrows only.
        (
            "http://a.nas.lan/",
            "sid=1; Domain=nas.lan",
            "http://nas.lan/",
            None,
        ),
        (
            "http://a.nas.lan/",
            "sid=1; Domain=nas.lan",
            "http://b.nas.lan/",
            None,
        ),
        (
            "http://a.nas.lan/",
            "sid=1; domain=.NAS.lan",
            "http://a.nas.lan/",
            Some("sid=1"),
        ),
        (
            "http://a.nas.lan/",
            "sid=1; Domain=other.lan",
            "http://a.nas.lan/",
            None,
        ),
        (
            "http://a.nas.lan/",
            "sid=1; Domain=s.lan",
            "http://a.nas.lan/",
            None,
        ),
        (
            "http://10.0.0.1/",
            "sid=1; Domain=0.0.1",
            "http://10.0.0.1/",
            None,
        ),
        (
            "http://10.0.0.1/",
            "sid=1; Domain=10.0.0.1",
            "http://10.0.0.1/",
            Some("sid=1"),
        ),
        // The default path is the directory of the request.
        (
            "http://nas/api/login",
            "sid=1",
            "http://nas/api/x",
            Some("sid=1"),
        ),
        (
            "http://nas/api/login",
            "sid=1",
            "http://nas/api",
            Some("sid=1"),
        ),
        ("http://nas/api/login", "sid=1", "http://nas/apis", None),
        ("http://nas/api/login", "sid=1", "http://nas/", None),
        (
            "http://nas/login",
            "sid=1",
            "http://nas/api/x",
            Some("sid=1"),
        ),
        (
            "http://nas/api/login",
            "sid=1; Path=/",
            "http://nas/",
            Some("sid=1"),
        ),
        (
            "http://nas/api/login",
            "sid=1; Path=x",
            "http://nas/api/",
            Some("sid=1"),
        ),
        (
            "http://nas/",
            "sid=1; Path=/api",
            "http://nas/api?a=1",
            Some("sid=1"),
        ),
        ("http://nas/", "sid=1; Path=/api/", "http://nas/api", None),
        // Secure.
        (
            "https://nas/",
            "sid=1; Secure",
            "https://nas/",
            Some("sid=1"),
        ),
        ("http://nas/", "sid=1; secure", "http://nas/", None),
        (
            "http://127.0.0.1/",
            "sid=1; Secure",
            "http://127.0.0.1/",
            Some("sid=1"),
        ),
        // Lifetime: now is second 100, the request second 110.
        (
            "http://nas/",
            "sid=1; Max-Age=11",
            "http://nas/",
            Some("sid=1"),
        ),
        ("http://nas/", "sid=1; Max-Age=10", "http://nas/", None),
        ("http://nas/", "sid=1; Max-Age=0", "http://nas/", None),
        ("http://nas/", "sid=1; Max-Age=-5", "http://nas/", None),
        (
            "http://nas/",
            "sid=1; Max-Age=99999999999999999999",
            "http://nas/",
            Some("sid=1"),
        ),
        (
            "http://nas/",
            "sid=1; Max-Age=1x",
            "http://nas/",
            Some("sid=1"),
        ),
        (
            "http://nas/",
            "sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "http://nas/",
            None,
        ),
        // Nobody says what time it is for the server.
        (
            "http://nas/",
            "sid=1; Expires=Sun, 29 Nov 2026 10:00:00 GMT",
            "http://nas/",
            Some("sid=1"),
        ),
        (
            "http://nas/",
            "sid=1; Expires=soon",
            "http://nas/",
            Some("sid=1"),
        ),
    ] {
        let found = sent(&jar(set_at, &[field]), asked, None, 110);
        assert_eq!(found.as_deref(), expected, "{field} of {set_at} at {asked}");
    }
}

#[test]
fn expiry_is_measured_by_the_date_of_the_response() {
    // The server's clock is years behind, ours does not matter.
    let date = ("date", "Sun, 01 Jan 2017 00:00:00 GMT");
    for (expires, at_110, at_111) in [
        ("Sun, 01 Jan 2017 00:00:11 GMT", true, false),
        ("Sunday, 01-Jan-17 00:00:11 GMT", true, false),
        ("Sun Jan  1 00:00:11 2017", true, false),
        ("Sat, 31 Dec 2016 23:59:59 GMT", false, false),
        ("Sun, 01 Jan 2017 00:00:11 GMT; Max-Age=60", true, true),
    ] {
        let mut jar = CookieJar::default();
        let field = format!("sid=1; Expires={expires}");
        let head = response(&[date, ("set-cookie", &field)]);
        jar.store(&uri("http://nas/"), &head, Mono(100_000));
        for (second, expected) in [(110, at_110), (111, at_111)] {
            let found = sent(&jar, "http://nas/", None, second).is_some();
            assert_eq!(found, expected, "{expires} at {second}");
        }
    }
}

#[test]
fn dates_of_cookies_are_read_as_browsers_do() {
    // 784111777 is the time of RFC 9110, 5.6.7.
    for (text, expected) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
        ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
        ("6 november 1994 8:49:37", Some(784_111_777)),
        ("1994 Nov 06 08:49:37", Some(784_111_777)),
        ("Thu, 01-Jan-70 00:00:00 GMT", Some(0)),
        ("Fri, 01 Jan 2038 00:00:00 GMT", Some(2_145_916_800)),
        ("Sun, 06 Nov 1994", None),
        ("Sun, 31 Feb 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 25:49:37 GMT", None),
        ("Sun, 06 Nov 1600 08:49:37 GMT", None),
        ("", None),
        ("ä:ö:ü €", None),
    ] {
        let found = cookie_date(text).map(crate::domain::time::Wall::second);
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn the_order_is_by_path_and_age_and_a_new_value_keeps_its_place() {
    let mut jar = jar(
        "http://nas/a/b",
        &["one=1; Path=/", "two=2", "three=3; Path=/", "two=x; Path=/"],
    );
    jar.store(
        &uri("http://nas/a/b"),
        &response(&[("set-cookie", "one=9; Path=/")]),
        Mono(100_000),
    );
    let found = sent(&jar, "http://nas/a/c", None, 100);
    assert_eq!(found.as_deref(), Some("two=2; one=9; three=3; two=x"));
    let removal = response(&[("set-cookie", "one=; Max-Age=0; Path=/")]);
    let (count, _) = jar.store(&uri("http://nas/a/b"), &removal, Mono(100_000));
    assert_eq!(count, 0);
    let found = sent(&jar, "http://nas/x", None, 100);
    assert_eq!(found.as_deref(), Some("three=3; two=x"));
    jar.clear(&uri("http://nas/"));
    assert_eq!(sent(&jar, "http://nas/a/c", None, 100), None);
}

#[test]
fn a_configured_cookie_header_stays_and_counts() {
    let jar = jar("http://nas/", &["sid=1", "csrf=2"]);
    for (configured, expected) in [
        ("lang=de", "lang=de; sid=1; csrf=2"),
        ("lang=de;", "lang=de; sid=1; csrf=2"),
        ("lang=de; sid=mine", "lang=de; sid=mine; csrf=2"),
    ] {
        let found = sent(&jar, "http://nas/", Some(configured), 100);
        assert_eq!(found.as_deref(), Some(expected));
    }
    let elsewhere = sent(&jar, "http://other/", Some("lang=de"), 100);
    assert_eq!(elsewhere.as_deref(), Some("lang=de"));
}

#[test]
fn a_server_has_at_most_20_cookies_of_4_kb() {
    let mut jar = CookieJar::default();
    let here = uri("http://nas/");
    for number in 0..50 {
        let field = format!("c{number}={number}");
        jar.store(&here, &response(&[("set-cookie", &field)]), Mono(0));
    }
    jar.store(
        &uri("http://other/"),
        &response(&[("set-cookie", "a=1")]),
        Mono(0),
    );
    let found = sent(&jar, "http://nas/", None, 0).expect("cookies");
    assert_eq!(found.split("; ").count(), 20);
    assert!(
        found.starts_with("c30=30; ") && found.ends_with("; c49=49"),
        "{found}"
    );
    for (value_bytes, expected) in [
        (4_096 - "big/".len(), (1, None)),
        (4_097 - "big/".len(), (0, Some(RefusedCookie::TooLarge))),
    ] {
        let field = format!("big={}; Path=/", "x".repeat(value_bytes));
        let head = response(&[("set-cookie", &field)]);
        assert_eq!(jar.store(&here, &head, Mono(0)), expected, "{value_bytes}");
    }
    for number in 0..2 * limits::SOURCES {
        let other = uri(&format!("http://nas{number}/"));
        let fields: Vec<(&str, String)> = (0..20)
            .map(|it| ("set-cookie", format!("c{it}=1")))
            .collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|it| (it.0, it.1.as_str())).collect();
        jar.store(&other, &response(&fields), Mono(0));
    }
    assert_eq!(jar.len(), limits::COOKIES * limits::SOURCES);
}

#[test]
fn cookies_that_do_not_fit_a_line_are_left_out() {
    let cookie = |name: &str, size: usize| format!("{name}={}", "v".repeat(size));
    let fields = [
        cookie("a", 3_000),
        cookie("b", 3_500),
        cookie("c", 3_000),
        cookie("d", 500),
    ];
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let sent = sent(
        &jar("http://nas/", &fields),
        "http://nas/",
        Some("own=1"),
        100,
    );
    let names = sent.as_deref().unwrap_or_default().split("; ");
    let names: Vec<&str> = names.filter_map(|it| Some(it.split_once('=')?.0)).collect();
    assert_eq!(names, ["own", "a", "b", "d"]);
}

#[test]
fn refusals_are_named() {
    let mut jar = CookieJar::default();
    for (field, expected) in [
        ("sid=1; Secure", Some(RefusedCookie::Secure)),
        ("sid=1; Domain=example.org", Some(RefusedCookie::Domain)),
        ("sid", None),
    ] {
        let head = response(&[("set-cookie", field)]);
        assert_eq!(
            jar.store(&uri("http://nas/"), &head, Mono(0)),
            (0, expected)
        );
    }
}

#[test]
fn no_bytes_of_a_server_break_the_parser() {
    let pieces: [&[u8]; 20] = [
        b"a",
        b"=",
        b";",
        b" ",
        b"\"",
        b",",
        b"expires=",
        b"Max-Age=",
        b"-",
        b"99999999999999999999",
        b"Path=/",
        b"domain=",
        b".",
        b"Secure",
        b"06 Nov 1994 08:49:37",
        b"\xff",
        b"\xc3\xa4",
        b":",
        b"\t",
        b"1",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    let mut jar = CookieJar::default();
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..random.usize(..12))
            .flat_map(|_| random.choice(pieces).unwrap_or(b"").to_vec())
            .collect();
        let Ok(field) = HeaderValue::from_bytes(&bytes) else {
            continue;
        };
        if let Some(cookie) = SetCookie::parse(&field) {
            assert!(
                !cookie.name.is_empty() && !cookie.value.contains(';'),
                "{field:?}"
            );
        }
        let mut head = HeaderMap::new();
        head.insert(header::SET_COOKIE, field);
        jar.store(&uri("http://nas/a/b"), &head, Mono(100_000));
        assert!(jar.len() <= limits::COOKIES);
        let mut headers = HeaderMap::new();
        jar.add_to(&uri("http://nas/a/b"), &mut headers, Mono(100_000));
    }
    assert!(jar.len() > 1);
}

#[test]
fn values_that_identify_a_session_are_secrets() {
    let fields = [
        "sid=1",
        "PHPSESSID=0a1b2c3d4e",
        "connect.sid=s%3Aabc123",
        "lang=deutsch",
        "theme=dark2",
        "auth_token=correcthorse",
    ];
    let jar = jar("http://nas/", &fields);
    let secrets: Vec<&str> = jar.secrets().collect();
    assert_eq!(secrets, ["1", "0a1b2c3d4e", "s%3Aabc123", "correcthorse"]);
}
