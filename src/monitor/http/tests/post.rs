//! POST: the body is read and dropped, where the path takes one.

use super::*;

fn post(target: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}").into_bytes()
}

#[test]
fn a_body_is_dropped_and_the_connection_goes_on() {
    let running = start(test_limits());
    let mut reader = BufReader::new(running.connect());
    let largest = "GET /hot HTTP/1.1\r\n".repeat(300);
    let largest = &largest[..limits::POST_BODY_BYTES as usize];
    for body in ["", "{}", "GET /hot HTTP/1.1\r\nHost: a\r\n\r\n", largest] {
        let fields = format!("Content-Length: {}\r\n", body.len());
        // At once, with a request behind it, and byte by byte.
        let mut sent = post("/log", &fields, body);
        sent.extend(get("/hot"));
        reader.get_mut().write_all(&sent).expect("sent");
        assert_eq!(read_response(&mut reader, false).0, 204, "{body:.40?}");
        assert_eq!(read_response(&mut reader, false).2, b"hot", "{body:.40?}");
        for piece in post("/log", &fields, body).chunks(1 + body.len() / 10) {
            reader.get_mut().write_all(piece).expect("sent");
        }
        let (status, head, _) = read_response(&mut reader, false);
        assert_eq!(status, 204, "{head}");
        assert!(!head.contains("Connection"), "{head}");
        assert!(!head.contains("Content-Length"), "{head}");
    }
    assert_eq!(running.stats.snapshot().connections_accepted, 1);
}

#[test]
fn a_client_that_waits_for_100_gets_it_where_its_body_is_wanted() {
    let running = start(test_limits());
    let fields = "Content-Length: 2\r\nExpect: 100-continue\r\n";
    let mut reader = BufReader::new(running.connect());
    reader
        .get_mut()
        .write_all(&post("/log", fields, ""))
        .expect("sent");
    let (status, head, _) = read_response(&mut reader, false);
    assert_eq!((status, &*head), (100, "HTTP/1.1 100 Continue\r\n\r\n"));
    reader.get_mut().write_all(b"{}").expect("sent");
    assert_eq!(read_response(&mut reader, false).0, 204);
    for (target, expected) in [("/log-denied", 401), ("/hot", 405)] {
        let response = running.request_until_close(&post(target, fields, ""));
        assert!(
            response.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{response}"
        );
        assert_eq!(count_responses(&response), 1);
    }
}

#[test]
fn what_is_not_taken_gets_one_response_and_an_orderly_close() {
    let running = start(test_limits());
    let body = "x".repeat(100_000);
    for (status, target, fields) in [
        (413, "/log", "Content-Length: 4097\r\n"),
        (413, "/log", "Content-Length: 1000000000000\r\n"),
        (411, "/log", ""),
        (411, "/log", "Transfer-Encoding: chunked\r\n"),
        (417, "/log", "Content-Length: 2\r\nExpect: miracles\r\n"),
        (400, "/log", "Content-Length: 2\r\nContent-Length: 40\r\n"),
        (400, "/log", "Content-Length: +2\r\n"),
        (
            400,
            "/log",
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        ),
        (401, "/log-denied", "Content-Length: 100000\r\n"),
        (401, "/log-denied", "Content-Length: 2\r\n"),
        (500, "/log-panic", "Content-Length: 100000\r\n"),
        (405, "/hot", "Content-Length: 100000\r\n"),
        (405, "/hot", "Content-Length: 2\r\n"),
        (405, "/log/", "Transfer-Encoding: chunked\r\n"),
    ] {
        let response = running.request_until_close(&post(target, fields, &body));
        let shown = format!("{target} {fields:?}: {response}");
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{shown}"
        );
        assert_eq!(count_responses(&response), 1, "{shown}");
        assert!(response.contains("Connection: close\r\n"), "{shown}");
    }
    // GET, HEAD and OPTIONS take no body, of the same path either.
    for method in ["GET", "HEAD", "OPTIONS", "PUT"] {
        let sent = format!("{method} /log HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{}}");
        let response = running.request_until_close(sent.as_bytes());
        let expected = if method == "PUT" { 405 } else { 413 };
        assert!(
            response.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{method}: {response}"
        );
    }
    running.still_serves();
}

#[test]
fn a_body_that_does_not_come_ends_the_connection_at_the_timeout() {
    let running = start(HttpLimits {
        head_timeout: SOON,
        ..test_limits()
    });
    let response = running.request_until_close(&post("/log", "Content-Length: 9\r\n", "x"));
    assert_eq!(response, "");
    running.still_serves();
}
