//! Heads that servers send, and the strict ones that they become.

use super::*;

/// What `parse` makes of a head: `None` if it is strict, or the rewritten one.
fn rewritten(head: &str) -> Result<Option<String>, FramingError> {
    let parsed = parse(head.as_bytes())?;
    let text = |bytes| String::from_utf8(bytes).expect("ASCII");
    Ok(parsed.rewritten.map(text))
}

#[test]
fn strict_heads_are_not_copied() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nX-Y:z\r\n\r\n",
        "HTTP/1.0 404 Not Found\r\n\r\n",
        "HTTP/1.1 200\r\nEmpty:\r\n\r\n",
        "HTTP/1.1 200 \r\nContent-Length: 15\r\nContent-Length: 15\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: K\u{fc}che\tok\r\n\r\n",
    ] {
        let parsed = parse(head.as_bytes()).expect("readable");
        assert_eq!((parsed.rewritten, parsed.is_doubtful), (None, false));
    }
}

#[test]
fn odd_heads_become_strict() {
    let ok = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    for (head, expected, is_doubtful) in [
        ("HTTP/1.1 200 OK\nA: 1\n\n", ok("A: 1\r\n"), false),
        ("HTTP/1.1 200 OK\r\nA: 1\n\r\n", ok("A: 1\r\n"), false),
        (
            "HTTP/1.1 200 OK\r\r\nA: 1\r\r\n\r\r\n",
            ok("A: 1\r\n"),
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length \t: 9\r\n\r\n",
            ok("Content-Length: 9\r\n"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nA: one\r\n \ttwo\r\n three \r\nB: 1\r\n\r\n",
            ok("A: one two three\r\nB: 1\r\n"),
            true,
        ),
        // A fold below a dropped line, or below the status line, goes with it.
        (
            "HTTP/1.1 200 OK\r\n x: y\r\nno colon\r\n B: 1\r\nC: 2\r\n\r\n",
            ok("C: 2\r\n"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nX Powered By: esp\r\n: x\r\nC: 2\r\n\r\n",
            ok("C: 2\r\n"),
            true,
        ),
        // A CR alone begins no header.
        (
            "HTTP/1.1 200 OK\r\nA: 1\rContent-Length: 3\r\nB: a\0b\u{1}\r\n\r\n",
            ok("A: 1 Content-Length: 3\r\nB: a b \r\n"),
            true,
        ),
        ("http/1.1  200  OK\r\n\r\n", ok(""), true),
        ("HTTP/2 200 OK\r\n\r\n", ok(""), true),
        ("HTTP/1.1 200OK\r\n\r\n", ok(""), true),
        (
            "ICY 200 OK\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\n".to_owned(),
            true,
        ),
        (
            "HTTP/2.0 204\r\n\r\n",
            "HTTP/1.1 204 \r\n\r\n".to_owned(),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +15 bytes\r\n\r\n",
            ok("Content-Length: 15\r\n"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
            ok("Transfer-Encoding: chunked\r\n"),
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: gzip, chunked\r\nA: 1\r\n\r\n",
            ok("A: 1\r\nTransfer-Encoding: chunked\r\n"),
            true,
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            ok("Transfer-Encoding: chunked\r\n"),
            true,
        ),
    ] {
        let parsed = parse(head.as_bytes()).expect("readable");
        let text = parsed
            .rewritten
            .map(|it| String::from_utf8(it).expect("ASCII"));
        assert_eq!(text.as_deref(), Some(expected.as_str()), "{head:?}");
        assert_eq!(parsed.is_doubtful, is_doubtful, "{head:?}");
        // What is strict now stays as it is, but for chunks, which are always written anew.
        if !parsed.is_chunked {
            assert_eq!(rewritten(&expected), Ok(None), "{head:?}");
        }
    }
}

#[test]
fn what_is_not_http_is_refused_with_its_start() {
    let not_http = |found: &str| Err(FramingError::NotHttp(found.to_owned()));
    for (start, expected) in [
        ("", Ok(())),
        ("HT", Ok(())),
        ("\r\n\r\n http/1", Ok(())),
        ("ICY 2", Ok(())),
        ("S", not_http("S")),
        ("SSH-2.0-x\r\nmore", not_http("SSH-2.0-x")),
        ("HTTQ", not_http("HTTQ")),
        ("{\"t\":\t1}", not_http("{\"t\":?1}")),
        ("\u{15}\u{3}\u{1}", Err(FramingError::Tls)),
    ] {
        assert_eq!(check_start(start.as_bytes()), expected, "{start:?}");
    }
    for status_line in [
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000",
        "HTTP/1.1 099 x",
        "HTTP 200 OK",
        "HTTP/4 200 OK",
        "HTTP/1.10 200 OK",
        "ICYX 200 OK",
    ] {
        let found = rewritten(&format!("{status_line}\r\n\r\n"));
        let expected = FramingError::NotHttp(status_line.trim().to_owned());
        assert_eq!(found, Err(expected));
    }
}

#[test]
fn a_length_in_doubt_is_refused() {
    let bad = |found: &str| FramingError::BadLength(found.to_owned());
    for (lengths, expected) in [
        (&["8", "9"][..], FramingError::DifferentLengths(8, 9)),
        (&["8, 9"], FramingError::DifferentLengths(8, 9)),
        (&["many"], bad("many")),
        (&["-1"], bad("-1")),
        (&["0x10"], bad("0x10")),
        (&[""], bad("")),
        (&["99999999999999999999"], bad("99999999999999999999")),
    ] {
        let lines: Vec<String> = lengths
            .iter()
            .map(|it| format!("Content-Length: {it}\r\n"))
            .collect();
        let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", lines.concat());
        assert_eq!(rewritten(&head), Err(expected), "{head:?}");
    }
}

#[test]
fn the_end_of_a_head_is_found_wherever_reads_are_cut() {
    for (before, head) in [
        ("", "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n"),
        ("\r\n\n", "HTTP/1.1 200 OK\nA: 1\n\n"),
        ("", "HTTP/1.1 200 OK\r\n \r\nB: \r\n\n"),
    ] {
        let whole = format!("{before}{head}body\r\n\r\n").into_bytes();
        let expected = before.len()..before.len() + head.len();
        for cut in 0..=whole.len() {
            let mut scanner = HeadScanner::default();
            let found = scanner.scan(&whole[..cut]);
            let found = found.or_else(|| scanner.scan(&whole));
            assert_eq!(found, Some(expected.clone()), "cut at {cut}");
        }
    }
}
