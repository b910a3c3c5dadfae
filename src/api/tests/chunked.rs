//! Chunked bodies that servers send.

use super::*;

/// The data of a body that comes in two pieces; `None` where it is refused or does not end.
fn decode(body: &[u8], cut: usize) -> Option<Vec<u8>> {
    let mut decoder = ChunkDecoder::new();
    let mut strict = Vec::new();
    for piece in [&body[..cut], &body[cut..]] {
        let mut rest = piece;
        loop {
            let mut room = [0; 64];
            let (used, written) = decoder.decode(rest, &mut room).ok()?;
            strict.extend_from_slice(&room[..written]);
            rest = &rest[used..];
            if used == 0 && written == 0 {
                break;
            }
        }
    }
    let mut room = [0; 64];
    let written = decoder.end(&mut room);
    strict.extend_from_slice(&room[..written]);
    decoder.is_done().then(|| read_strict(&strict))
}

/// Reads chunks as the standard has them, and nothing else.
fn read_strict(mut rest: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let end = rest.windows(2).position(|it| it == b"\r\n");
        let line = &rest[..end.expect("a line")];
        let length = usize::from_str_radix(str::from_utf8(line).expect("ASCII"), 16);
        let length = length.expect("a number");
        rest = &rest[line.len() + 2..];
        data.extend_from_slice(&rest[..length]);
        assert_eq!(&rest[length..length + 2], b"\r\n");
        rest = &rest[length + 2..];
        if length == 0 {
            assert!(rest.is_empty());
            return data;
        }
    }
}

#[test]
fn chunks_are_read_as_curl_and_python_read_them() {
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "n".repeat(900));
    let wide = format!("{:x}\r\n{}\r\n0\r\n\r\n", 500, "w".repeat(500));
    let w500 = "w".repeat(500);
    let endless = format!("5;{}", "n".repeat(limits::RESPONSE_HEAD_BYTES));
    for (body, expected) in [
        ("5\r\nhello\r\n0\r\n\r\n", Some("hello")),
        ("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", Some("hello")),
        ("5\nhello\n0\n\n", Some("hello")),
        ("5  \r\nhello\r\n0\r\n\r\n", Some("hello")),
        (" 5\r\nhello\r\n0\r\n\r\n", Some("hello")),
        (
            "00000000000000000005\r\nhello\r\n000\r\n\r\n",
            Some("hello"),
        ),
        ("5;name=v\r\nhello\r\n0;x\r\n\r\n", Some("hello")),
        ("5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\n\n", Some("hello")),
        ("5\r\nhello\r\n0\r\n\r\nnext", Some("hello")),
        ("0\r\n\r\n", Some("")),
        // The last chunk without its blank line, then the end: Python reads it.
        ("5\r\nhello\r\n0\r\n", Some("hello")),
        (&long, Some("hello")),
        (&wide, Some(&w500)),
        ("5\r\nhello\r\n", None),
        ("5\r\nhello", None),
        ("5\r\nhel", None),
        // Could be the start of a longer number.
        ("5\r\nhello\r\n0", None),
        ("5\r\nhello0\r\n\r\n", None),
        ("5\r\nhelloZZ\r\n0\r\n\r\n", None),
        ("0x5\r\nhello\r\n0\r\n\r\n", None),
        ("-5\r\nhello\r\n0\r\n\r\n", None),
        ("\r\n5\r\nhello\r\n0\r\n\r\n", None),
        ("{\"t\": 1}", None),
        ("fffffffffffffffff\r\nhello", None),
        (&endless, None),
    ] {
        let step = 1 + body.len() / 200;
        for cut in (0..=body.len()).step_by(step) {
            let found = decode(body.as_bytes(), cut);
            let expected = expected.map(|it| it.as_bytes().to_vec());
            assert_eq!(found, expected, "{body:?} cut at {cut}");
        }
    }
}
