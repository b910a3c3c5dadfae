//! User and password against servers that ask for Basic, Digest, or both.

use crate::api::agent::TransportSettings;
use crate::api::auth::SourceAuth;
use crate::api::auth::password::PasswordAuthenticator;
use crate::api::fault_server::{Act, FaultServer, response};
use crate::api::fetcher::Fetcher;
use crate::api::pagination::{NextLink, Pagination};
use crate::api::support::{
    clock_at_noon, failure, fetcher, get_url, good_response, header, long_timeout, paged_fetcher,
    script, sends,
};
use crate::api::url_source;
use crate::api::www_authenticate::parse_params;
use crate::sys::tls::{Trust, TrustSettings};
use std::sync::Arc;

const BASIC: &str = "Basic realm=\"x\"";
const DIGEST: &str = "Digest realm=\"x\", nonce=\"n1\", qop=\"auth\"";
const DIGEST_2: &str = "Digest realm=\"x\", nonce=\"n2\", qop=\"auth\"";
const STALE: &str = "Digest realm=\"x\", nonce=\"n2\", qop=\"auth\", stale=true";
const WRONG: Option<&str> = Some("the user or the password is wrong");

/// How a password may be sent.
#[derive(Clone, Copy)]
enum Scheme {
    Any,
    Basic,
    Digest,
}

fn authenticator(scheme: Scheme) -> Arc<PasswordAuthenticator> {
    let answers_digest = !matches!(scheme, Scheme::Basic);
    let made = PasswordAuthenticator::new(b"me", b"topsecret", answers_digest);
    Arc::new(made)
}

fn settings(shared: &Arc<PasswordAuthenticator>, server: &FaultServer) -> TransportSettings {
    TransportSettings {
        auth: Some(Arc::new(SourceAuth {
            authenticator: shared.clone(),
            origin: server.url().parse().expect("a URL"),
            trust: Trust::of(&TrustSettings::default()).expect("the system's"),
        })),
        ..long_timeout()
    }
}

fn source(scheme: Scheme, shared: &Arc<PasswordAuthenticator>, server: &FaultServer) -> Fetcher {
    let basic = (
        "Authorization".to_owned(),
        "Basic bWU6dG9wc2VjcmV0".to_owned(),
    );
    let headers = match scheme {
        Scheme::Any | Scheme::Basic => vec![basic],
        Scheme::Digest => Vec::new(),
    };
    let request = url_source::prepare_request(&server.url(), &[], &headers).expect("a URL");
    fetcher(request, settings(shared, server), clock_at_noon())
}

/// A 401, with a challenge unless that is empty.
fn challenge(value: &str) -> Box<Act> {
    let field = format!("WWW-Authenticate: {value}\r\n");
    let field = if value.is_empty() { "" } else { &field };
    sends(response("401 Unauthorized", field, ""))
}

/// An answer with a header.
fn good(field: &str) -> Box<Act> {
    sends(response("200 OK", field, r#"{"t": 21.4}"#))
}

/// What each request sent: `none`, `Basic`, or nonce and count of Digest.
fn sent(server: &FaultServer) -> Vec<String> {
    let heads = server.server.heads.lock().expect("no act panics");
    let shown = |head: &String| match header(head, "authorization") {
        None => "none".to_owned(),
        Some(value) => match value.strip_prefix("Digest ") {
            None => value.split(' ').next().unwrap_or_default().to_owned(),
            Some(params) => {
                let params = parse_params(params.as_bytes());
                let shown = |name| params.shown_param(name).unwrap_or_default();
                format!("{} {}", shown("nonce"), shown("nc").trim_start_matches('0'))
            }
        },
    };
    heads.iter().map(shown).collect()
}

#[test]
fn a_password_is_sent_as_the_server_asks() {
    use Scheme::{Any, Basic, Digest};
    // Each fetch: what the server answers, what was sent, and why it failed.
    type Fetch = (
        &'static [&'static str],
        &'static [&'static str],
        Option<&'static str>,
    );
    let cases: [(&str, Scheme, &[Fetch]); 14] = [
        ("basic", Any, &[(&["ok"], &["Basic"], None)]),
        ("basic refused", Any, &[(&[BASIC], &["Basic"], WRONG)]),
        (
            "digest, once asked for",
            Any,
            &[
                (&[DIGEST, "ok"], &["Basic", "n1 1"], None),
                (&["ok"], &["n1 2"], None),
                (&["ok"], &["n1 3"], None),
            ],
        ),
        (
            "digest alone",
            Digest,
            &[
                (&[DIGEST, "ok"], &["none", "n1 1"], None),
                (&["ok"], &["n1 2"], None),
            ],
        ),
        (
            "a wrong password is one more request each time, never in plain text again",
            Any,
            &[
                (&[DIGEST, DIGEST_2], &["Basic", "n1 1"], WRONG),
                (&[DIGEST, DIGEST_2], &["none", "n1 1"], WRONG),
            ],
        ),
        (
            "stale",
            Any,
            &[
                (&[DIGEST, "ok"], &["Basic", "n1 1"], None),
                (&[STALE, "ok"], &["n1 2", "n2 1"], None),
            ],
        ),
        (
            "stale for ever",
            Digest,
            &[(
                &[STALE, STALE, STALE],
                &["none", "n2 1", "n2 1"],
                Some("it calls a nonce stale that it has just made"),
            )],
        ),
        (
            "a device that restarted",
            Digest,
            &[
                (&[DIGEST, "ok"], &["none", "n1 1"], None),
                (&[DIGEST_2, "ok"], &["n1 2", "n2 1"], None),
                // And then with another password.
                (&[DIGEST, DIGEST_2], &["n2 2", "n1 1"], WRONG),
            ],
        ),
        (
            "refused without a challenge",
            Digest,
            &[
                (&[DIGEST, "ok"], &["none", "n1 1"], None),
                (&["", DIGEST_2, "ok"], &["n1 2", "none", "n2 1"], None),
                (
                    &["", ""],
                    &["n2 2", "none"],
                    Some("the credentials are missing"),
                ),
                (&[DIGEST, ""], &["none", "n1 1"], WRONG),
            ],
        ),
        (
            "the same nonce again",
            Digest,
            &[(&[DIGEST, DIGEST], &["none", "n1 1"], WRONG)],
        ),
        (
            "no downgrade",
            Any,
            &[
                (&[DIGEST, "ok"], &["Basic", "n1 1"], None),
                (&[BASIC], &["n1 2"], Some("wanted Digest before")),
            ],
        ),
        (
            "digest of a server with basic",
            Digest,
            &[(
                &[BASIC],
                &["none"],
                Some("says Digest, so the password is not sent"),
            )],
        ),
        (
            "basic of a server with digest",
            Basic,
            &[(
                &[DIGEST],
                &["Basic"],
                Some("it wants Digest authentication, which"),
            )],
        ),
        (
            "unsupported",
            Any,
            &[(
                &["Digest nonce=n1, algorithm=SHA-512-256, Basic"],
                &["Basic"],
                WRONG,
            )],
        ),
    ];
    for (name, scheme, fetches) in cases {
        let answers = fetches.iter().flat_map(|it| it.0).map(|it| match *it {
            "ok" => good(""),
            asked => challenge(asked),
        });
        let server = FaultServer::start(script(answers.collect()));
        let mut source = source(scheme, &authenticator(scheme), &server);
        let mut expected: Vec<&str> = Vec::new();
        for (answers, requests, why) in fetches {
            let failed = failure(source.fetch_once()).map(|it| it.1);
            let detail = failed.clone().unwrap_or_default();
            assert_eq!(failed.is_some(), why.is_some(), "{name}: {detail}");
            assert!(detail.contains(why.unwrap_or_default()), "{name}: {detail}");
            assert_eq!(source.requests() as usize, answers.len(), "{name}");
            expected.extend(*requests);
            assert_eq!(sent(&server), expected, "{name}");
        }
    }
}

#[test]
fn a_server_that_never_asks_for_digest_is_told_apart() {
    let refusal = || sends(response("401 Unauthorized", "", "{\"detail\": \"no key\"}"));
    for (scheme, expected) in [
        (Scheme::Digest, "it does not ask for Digest authentication"),
        (Scheme::Any, "the user or the password is wrong"),
    ] {
        let server = FaultServer::start(script(vec![refusal()]));
        let mut source = source(scheme, &authenticator(scheme), &server);
        let (_, detail) = failure(source.fetch_once()).expect("denied");
        assert!(detail.contains(expected), "{detail}");
    }
}

#[test]
fn the_next_nonce_of_a_response_is_used() {
    let next = "Authentication-Info: nextnonce=\"n7\", qop=auth\r\n";
    let server = FaultServer::start(script(vec![challenge(DIGEST), good(next), good("")]));
    let mut source = source(Scheme::Digest, &authenticator(Scheme::Digest), &server);
    for _ in 0..3 {
        assert_eq!(failure(source.fetch_once()), None);
    }
    assert_eq!(sent(&server), ["none", "n1 1", "n7 1", "n7 2"]);
}

#[test]
fn sources_of_one_server_share_a_nonce_and_other_servers_have_their_own() {
    let start = || FaultServer::start(script(vec![challenge(DIGEST), good(""), good("")]));
    let (one, other) = (start(), start());
    let shared = authenticator(Scheme::Any);
    for server in [&one, &one, &other] {
        assert_eq!(
            failure(source(Scheme::Any, &shared, server).fetch_once()),
            None
        );
    }
    assert_eq!(sent(&one), ["Basic", "n1 1", "n1 2"]);
    assert_eq!(sent(&other), ["Basic", "n1 1"]);
}

#[test]
fn each_page_and_redirect_has_an_answer_for_its_own_url() {
    let page = |next: &str| {
        sends(response(
            "200 OK",
            &format!("Link: <{next}>; rel=\"next\"\r\n"),
            r#"[{"t": 1}]"#,
        ))
    };
    let server = FaultServer::start(script(vec![
        challenge(DIGEST),
        sends(response("302 Found", "Location: /moved?a=1\r\n", "")),
        page("/page/2"),
        sends(good_response()),
    ]));
    let pagination = Pagination {
        next: NextLink::LinkHeader,
        pages: 3,
    };
    let settings = settings(&authenticator(Scheme::Digest), &server);
    let mut source = paged_fetcher(get_url(&server.url()), settings, pagination);
    source.fetch_once();
    assert_eq!(sent(&server), ["none", "n1 1", "n1 2", "n1 3"]);
    let heads = server.server.heads.lock().expect("no act panics");
    for (head, target) in heads[1..]
        .iter()
        .zip(["/data?key=topsecret", "/moved?a=1", "/page/2"])
    {
        let answer = header(head, "authorization").unwrap_or_default();
        assert!(answer.contains(&format!("uri=\"{target}\"")), "{answer}");
        assert!(head.starts_with(&format!("GET {target} ")), "{head}");
    }
}

#[test]
fn nothing_goes_along_to_another_server() {
    let elsewhere = FaultServer::start(script(vec![challenge(DIGEST)]));
    let moved = format!("Location: {}\r\n", elsewhere.url());
    let moved = sends(response("302 Found", &moved, ""));
    let server = FaultServer::start(script(vec![challenge(DIGEST), moved]));
    let mut source = source(Scheme::Any, &authenticator(Scheme::Any), &server);
    let (_, detail) = failure(source.fetch_once()).expect("denied there");
    assert!(detail.contains("are not sent to another"), "{detail}");
    assert_eq!(sent(&server), ["Basic", "n1 1"]);
    assert_eq!(sent(&elsewhere), ["none"]);
}

#[test]
fn a_password_in_the_url_answers_digest_too() {
    let server = FaultServer::start(script(vec![challenge(DIGEST), good(""), good("")]));
    let url = format!("http://me:top%73ecret@{}/data", server.address);
    let uri = url.parse().expect("a URL");
    let made = PasswordAuthenticator::of_url(&uri).expect("it has a password");
    let mut source = fetcher(
        get_url(&url),
        settings(&Arc::new(made), &server),
        clock_at_noon(),
    );
    source.record_exchanges();
    for _ in 0..2 {
        assert_eq!(failure(source.fetch_once()), None);
    }
    assert_eq!(sent(&server), ["Basic", "n1 1", "n1 2"]);
    let shown = format!("{:?}", source.exchanges());
    assert!(shown.contains("nc=00000002"), "{shown}");
    assert!(!shown.contains("ecret"), "{shown}");
}
