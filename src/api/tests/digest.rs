//! Digest answers, against values that Python's hashlib computed from the formulas of RFC 7616
//! (those of its section 3.9.1 are the same).

use super::super::www_authenticate::parse_challenges;
use super::*;

const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const OPAQUE: &str = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS";

fn supported(header: &[u8]) -> DigestChallenge {
    match DigestOffer::of(&parse_challenges(header)) {
        DigestOffer::Supported(challenge) => challenge,
        other => panic!("{other:?}"),
    }
}

fn session(header: &str) -> DigestSession {
    let challenge = supported(header.as_bytes());
    let cnonce = CNONCE.to_owned();
    DigestSession::new(challenge, b"Mufasa", b"Circle of Life", cnonce)
}

fn mufasa(more: &str) -> DigestSession {
    session(&format!(
        "Digest realm=\"http-auth@example.org\", nonce=\"{NONCE}\", opaque=\"{OPAQUE}\"{more}"
    ))
}

fn answer(session: &mut DigestSession, method: &Method, target: &str) -> String {
    let uri = format!("http://www.example.org{target}");
    let value = session.authorization(method, &uri.parse().expect("a URL"));
    let value = value.expect("a header");
    value.to_str().expect("ASCII").to_owned()
}

/// The value of a parameter of an answer.
fn param(answer: &str, name: &str) -> Option<String> {
    let read = super::super::www_authenticate::parse_params(answer.as_bytes());
    let value = read.param(name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[test]
fn responses_are_those_of_the_standard() {
    let both = ", qop=\"auth, auth-int\"";
    for (more, response) in [
        (
            format!("{both}, algorithm=MD5"),
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (both.to_owned(), "8ca523f5e9506fed4657c9700eebdbec"),
        (
            format!("{both}, algorithm=SHA-256"),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (
            format!("{both}, algorithm=\"sha-256\""),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (
            format!("{both}, algorithm=MD5-sess"),
            "e783283f46242139c486a698fec7211d",
        ),
        (
            format!("{both}, algorithm=SHA-256-sess"),
            "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7",
        ),
        // RFC 2069.
        (String::new(), "7b2cc3b30e75b4777ea31027084363fd"),
        (
            ", algorithm=SHA-256".to_owned(),
            "a1306b0595a6c7fe96c448631fb5cfbd5107bd1fe1da729d978dd7446b812363",
        ),
    ] {
        let sent = answer(&mut mufasa(&more), &Method::GET, "/dir/index.html");
        assert_eq!(
            param(&sent, "response").as_deref(),
            Some(response),
            "{more}"
        );
    }
}

#[test]
fn an_answer_has_the_parameters_of_its_challenge() {
    let mut session = mufasa(", qop=auth, algorithm=MD5");
    assert_eq!(
        answer(&mut session, &Method::GET, "/dir/index.html"),
        format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", nonce=\"{NONCE}\", \
             uri=\"/dir/index.html\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"{CNONCE}\", \
             response=\"8ca523f5e9506fed4657c9700eebdbec\", opaque=\"{OPAQUE}\""
        )
    );
    // The same nonce again, of another method and URL.
    let second = answer(&mut session, &Method::POST, "/dir/index.html?a=1");
    assert_eq!(param(&second, "nc").as_deref(), Some("00000002"));
    assert_eq!(
        param(&second, "uri").as_deref(),
        Some("/dir/index.html?a=1")
    );
    let response = param(&second, "response");
    assert_eq!(
        response.as_deref(),
        Some("765ef013e699203395d5d18622f9f4fb")
    );

    let old = answer(&mut mufasa(""), &Method::GET, "/dir/index.html");
    for name in ["qop", "nc", "cnonce", "algorithm"] {
        assert_eq!(param(&old, name), None, "{name}");
    }
}

#[test]
fn the_next_nonce_is_counted_from_one() {
    let mut session = mufasa(", qop=auth");
    answer(&mut session, &Method::GET, "/dir/index.html");
    session.use_nonce(b"next".to_vec());
    let sent = answer(&mut session, &Method::GET, "/dir/index.html");
    assert_eq!(param(&sent, "nc").as_deref(), Some("00000001"));
    assert_eq!(param(&sent, "nonce").as_deref(), Some("next"));
    let response = param(&sent, "response");
    assert_eq!(
        response.as_deref(),
        Some("68b73f9d81c5b8acb2e77fd72eca7327")
    );
    // The key of a session is that of its first nonce.
    let mut session = mufasa(", qop=auth, algorithm=MD5-sess");
    session.use_nonce(b"next".to_vec());
    let sent = answer(&mut session, &Method::GET, "/dir/index.html");
    let response = param(&sent, "response");
    assert_eq!(
        response.as_deref(),
        Some("024890dca8a922796bd6a8324bc748c2")
    );
    // What is too long is not repeated.
    session.use_nonce(vec![b'a'; limits::DIGEST_CHALLENGE_BYTES + 1]);
    assert_eq!(session.nonce(), b"next");
}

#[test]
fn user_names_are_quoted_hashed_or_encoded() {
    let make = |challenge: &[u8], user: &str, password: &str, cnonce: &str| {
        let challenge = supported(challenge);
        let (user, password) = (user.as_bytes(), password.as_bytes());
        let mut session = DigestSession::new(challenge, user, password, cnonce.to_owned());
        let uri = "http://api.example.org/doe.json".parse().expect("a URL");
        let value = session.authorization(&Method::GET, &uri);
        let value = value.expect("a header");
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    };
    let quoted = make(
        br#"Digest realm="x\"y", nonce="n", qop=auth"#,
        r#"a"b\c"#,
        "p",
        "c",
    );
    assert!(
        quoted.starts_with(r#"Digest username="a\"b\\c", realm="x\"y", nonce="n", "#),
        "{quoted}"
    );
    let header = "Digest realm=\"api@example.org\", qop=auth, algorithm=SHA-256, \
                  nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\"";
    let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm";
    for more in ["", ", charset=UTF-8"] {
        let header = format!("{header}{more}");
        let sent = make(header.as_bytes(), "Jäsøn Doe", "Secret, or not?", cnonce);
        let begin = "Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm=";
        assert!(sent.starts_with(begin), "{sent}");
        assert_eq!(
            param(&sent, "response").as_deref(),
            Some("06d0c14162099f487a92ebceaf71097534ee5f90d858386449c337ab69f7f6b8")
        );
    }
    let header = "Digest realm=\"http-auth@example.org\", nonce=n, algorithm=SHA-256, \
                  userhash=true, charset=UTF-8";
    let sent = make(header.as_bytes(), "Mufasa", "x", cnonce);
    let begin = "Digest username=\"a947aad205e80e429958a387394944c6b496301e79f89d35a4cc23b6ee12b5b6\", \
                 userhash=true, ";
    assert!(sent.starts_with(begin), "{sent}");
}

#[test]
fn the_strongest_supported_challenge_is_answered() {
    let offer = |header: &str| DigestOffer::of(&parse_challenges(header.as_bytes()));
    let nonce = |header: &str| match offer(header) {
        DigestOffer::Supported(challenge) => String::from_utf8_lossy(&challenge.nonce).into_owned(),
        other => format!("{other:?}"),
    };
    for (header, expected) in [
        ("Basic realm=x, Digest nonce=a", "a"),
        (
            "Digest nonce=a, algorithm=MD5, Digest nonce=b, algorithm=SHA-256",
            "b",
        ),
        (
            "Digest nonce=a, algorithm=SHA-512-256, Digest nonce=b, algorithm=MD5",
            "b",
        ),
        (
            "Digest nonce=a, qop=auth-int, Digest nonce=b, qop=auth",
            "b",
        ),
        ("Digest nonce=a, Digest nonce=b", "a"),
        ("Digest nonce=a, qop=\"\"", "a"),
        ("Digest nonce=a, qop=\"auth-int,AUTH\"", "a"),
        ("Basic realm=x", "None"),
        (
            "Digest nonce=a, algorithm=SHA-512-256",
            "Unsupported(\"algorithm SHA-512-256\")",
        ),
        (
            "Digest nonce=a, qop=\"auth-int\"",
            "Unsupported(\"qop auth-int alone\")",
        ),
        (
            "Digest realm=\"Gerät\", nonce=a",
            "Unsupported(\"a realm or nonce outside ASCII\")",
        ),
        (
            "Digest realm=x",
            "Unsupported(\"a challenge without a nonce\")",
        ),
    ] {
        assert_eq!(nonce(header), expected, "{header}");
    }
    let long = format!("Digest nonce={}", "a".repeat(5_000));
    assert_eq!(nonce(&long), "Unsupported(\"a challenge of 5000 bytes\")");
}
