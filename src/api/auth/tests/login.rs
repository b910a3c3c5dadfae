//! Tests of logins: when they happen, when they do not, and what requests get of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::{LoginAuthenticator, LoginSettings};
use crate::api::auth::login_response::{ExpectedLogin, SessionLifetime, TokenLocation};
use crate::api::auth::session_file::SessionFile;
use crate::api::auth::token_file::{TokenFile, TokenOwner};
use crate::api::auth::{AuthClient, AuthResponse, Authenticator, DeniedResponse};
use crate::api::http_response::FetchError;
use crate::api::outgoing_request::{OutgoingMethod, OutgoingRequest};
use crate::api::url_source::{BodyTemplate, MethodTemplate, UrlTemplate};
use crate::domain::failure::{Cause, Failure};
use crate::domain::placeholder::Template;
use crate::domain::time::{Moment, Mono, test_moment};
use crate::domain::token_placement::TokenPlacement;
use crate::golden::scratch;

/// A server of logins, and the clock.
#[derive(Default)]
struct Server {
    second: Cell<u64>,
    responses: RefCell<VecDeque<Result<AuthResponse, FetchError>>>,
    bodies: RefCell<Vec<String>>,
}

impl Server {
    fn respond(&self, status: u16, fields: &[(&str, &str)], body: &str) {
        let response = AuthResponse {
            status,
            headers: headers(fields),
            body: body.as_bytes().to_vec(),
        };
        self.responses.borrow_mut().push_back(Ok(response));
    }

    fn fail(&self, cause: Cause) {
        let failure = Failure::new(cause, "no answer");
        let mut responses = self.responses.borrow_mut();
        responses.push_back(Err(FetchError::Failed(failure)));
    }

    fn logins(&self) -> usize {
        self.bodies.borrow().len()
    }
}

impl AuthClient for Server {
    fn send(&self, request: &OutgoingRequest) -> Result<AuthResponse, FetchError> {
        let body = match &request.method {
            OutgoingMethod::Post(Some(body)) => body.to_vec(),
            _ => Vec::new(),
        };
        let body = String::from_utf8(body).expect("text");
        self.bodies.borrow_mut().push(body);
        let response = self.responses.borrow_mut().pop_front();
        response.expect("a login too many")
    }

    fn now(&self) -> Moment {
        test_moment(Mono(self.second.get() * 1_000))
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(60)
    }
}

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::try_from(*name).expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

fn uri() -> Uri {
    Uri::from_static("http://nas/api/x")
}

fn login(expected: ExpectedLogin, file: Option<SessionFile>) -> LoginAuthenticator {
    let field = |name: &str, value: &str| (name.to_owned(), Template::literal(value));
    LoginAuthenticator::new(LoginSettings {
        request: UrlTemplate {
            url: Template::literal("http://nas/api/auth"),
            params: Vec::new(),
            headers: Vec::new(),
            method: MethodTemplate::Post(Some(BodyTemplate::Form(vec![
                field("user", "me"),
                field("pass word", "p ä&=+"),
            ]))),
        },
        zone: jiff::tz::TimeZone::UTC,
        url: Uri::from_static("http://nas/api/auth"),
        expected,
        file,
    })
}

fn by_token() -> ExpectedLogin {
    ExpectedLogin {
        token: Some(TokenLocation::Body("/sid".into())),
        lifetime: Some(SessionLifetime::Body("/validity".into())),
        placement: TokenPlacement::of_header("X-FTL-SID: {token}").expect("a header"),
    }
}

fn by_cookies() -> ExpectedLogin {
    ExpectedLogin {
        token: None,
        lifetime: None,
        placement: TokenPlacement::Standard,
    }
}

/// The credential of a request: its token or its cookies.
fn credential(auth: &LoginAuthenticator) -> String {
    let sent = sent(auth);
    let credential = sent.get("x-ftl-sid").or(sent.get("cookie"));
    credential.map_or(String::new(), |it| it.to_str().expect("ASCII").to_owned())
}

fn sent(auth: &LoginAuthenticator) -> HeaderMap {
    let mut headers = headers(&[("accept", "application/json")]);
    auth.authorize(&Method::GET, &mut uri(), &mut headers);
    headers
}

/// One request and its response; `Ok(true)`: it is sent once more.
fn request(
    auth: &LoginAuthenticator,
    server: &Server,
    status: u16,
    fields: &[(&str, &str)],
) -> Result<bool, FetchError> {
    let (sent, headers) = (sent(auth), headers(fields));
    auth.observe(status, &uri(), &headers);
    if !auth.is_denied(status, &uri(), &headers) {
        return Ok(false);
    }
    let denied = DeniedResponse {
        status,
        uri: uri(),
        sent,
        headers,
        body_start: Vec::new(),
    };
    auth.renew(&denied, server)
}

fn failure(result: Result<impl Sized, FetchError>) -> String {
    match result {
        Err(FetchError::Failed(failure)) => failure.to_string(),
        Err(FetchError::Stopped) => "stopped".to_owned(),
        Ok(_) => "no failure".to_owned(),
    }
}

#[test]
fn a_session_serves_until_it_is_refused() {
    let (server, auth) = (Server::default(), login(by_token(), None));
    server.respond(200, &[], r#"{"sid":"one"}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(credential(&auth), "one");
    assert_eq!(
        *server.bodies.borrow(),
        ["user=me&pass%20word=p%20%C3%A4%26%3D%2B"]
    );
    for minute in 1..60 {
        server.second.set(minute * 60);
        assert_eq!(auth.prepare(&server), Ok(()));
        assert_eq!(request(&auth, &server, 200, &[]), Ok(false));
    }
    assert_eq!(server.logins(), 1);
    server.second.set(3_600);
    server.respond(200, &[], r#"{"sid":"two"}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(request(&auth, &server, 401, &[]), Ok(true));
    assert_eq!(credential(&auth), "two");
    assert_eq!(server.logins(), 2);
    assert_eq!(auth.secrets().mask("one and two: one"), "one and two: one");
}

#[test]
fn a_session_is_renewed_before_its_lifetime_ends_and_serves_to_its_end() {
    let (server, auth) = (Server::default(), login(by_token(), None));
    server.respond(200, &[], r#"{"sid":"one","validity":1000}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    server.second.set(900);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(server.logins(), 1);
    // Half a minute before the end.
    server.second.set(975);
    server.respond(500, &[], "");
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!((server.logins(), credential(&auth)), (2, "one".to_owned()));
    server.second.set(1_001);
    let expected = "http_status: the login at nas answers 500 Internal Server Error; the next login \
                    is in 4 min";
    assert_eq!(failure(auth.prepare(&server)), expected);
    assert_eq!(server.logins(), 2);
    server.second.set(975 + 300);
    server.respond(200, &[], r#"{"sid":"two","validity":1000}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(credential(&auth), "two");
}

#[test]
fn after_a_login_that_failed_there_is_none_for_five_minutes() {
    for (is_answered, first_s) in [(true, 300), (false, 10)] {
        let (server, auth) = (Server::default(), login(by_token(), None));
        if is_answered {
            server.respond(401, &[], r#"{"message":"password incorrect"}"#);
        } else {
            server.fail(Cause::Connect);
        }
        let found = failure(auth.prepare(&server));
        let expected = if is_answered {
            "http_status: the login at nas answers 401 Unauthorized: a user, a password or the form \
             of the login is wrong; its `message` says \"password incorrect\"; the next login is in \
             5 min"
        } else {
            // Nothing was sent: the next fetch may try.
            "connect: login: no answer"
        };
        assert_eq!(found, expected);
        if is_answered {
            for second in [1, 60, 299] {
                server.second.set(second);
                let found = failure(auth.prepare(&server));
                assert!(found.contains("password incorrect"), "{found}");
            }
            assert!(failure(auth.prepare(&server)).ends_with("; the next login is in 1 s"));
            assert_eq!(server.logins(), 1);
        }
        server.second.set(first_s);
        server.respond(200, &[], r#"{"sid":"one"}"#);
        assert_eq!(auth.prepare(&server), Ok(()));
        assert_eq!(server.logins(), 2);
    }
}

#[test]
fn a_wait_that_the_server_orders_is_obeyed() {
    let (server, auth) = (Server::default(), login(by_token(), None));
    server.respond(429, &[("retry-after", "900")], "");
    let Err(FetchError::Failed(first)) = auth.prepare(&server) else {
        panic!("it fails");
    };
    assert_eq!(first.cause, Cause::RateLimited);
    assert_eq!(first.retry_after, Some(Duration::from_secs(900)));
    server.second.set(600);
    let Err(FetchError::Failed(again)) = auth.prepare(&server) else {
        panic!("it fails");
    };
    assert_eq!(again.retry_after, Some(Duration::from_secs(300)));
    assert_eq!(server.logins(), 1);
}

#[test]
fn a_login_whose_session_is_refused_at_once_is_not_repeated() {
    let (server, auth) = (Server::default(), login(by_token(), None));
    server.respond(200, &[], r#"{"sid":"one"}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(request(&auth, &server, 200, &[]), Ok(false));
    server.second.set(3_600);
    server.respond(200, &[], r#"{"sid":"two"}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(request(&auth, &server, 401, &[]), Ok(true));
    // The same request again.
    let found = failure(request(&auth, &server, 401, &[]));
    let expected = "http_status: nas answers 401 Unauthorized to the session of the login, which \
                    succeeded: is the token where the server expects it (`header`, `param`), and may the \
                    user read this?; the next login is in 5 min";
    assert_eq!(found, expected);
    server.second.set(3_660);
    let found = failure(auth.prepare(&server));
    assert!(found.ends_with("the next login is in 4 min"), "{found}");
    assert_eq!(server.logins(), 2);
    server.second.set(3_900);
    server.respond(200, &[], r#"{"sid":"three"}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(request(&auth, &server, 200, &[]), Ok(false));
}

#[test]
fn sessions_that_last_a_moment_do_not_cost_a_login_each() {
    let (server, auth) = (Server::default(), login(by_token(), None));
    server.respond(200, &[], r#"{"sid":"one"}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(request(&auth, &server, 200, &[]), Ok(false));
    server.second.set(1);
    let found = failure(request(&auth, &server, 401, &[]));
    let expected = "http_status: the session of the login at nas has ended within a minute; the next \
                    login is in 59 s";
    assert_eq!(found, expected);
    assert_eq!(server.logins(), 1);
    server.second.set(60);
    server.respond(200, &[], r#"{"sid":"two"}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!((server.logins(), credential(&auth)), (2, "two".to_owned()));
}

#[test]
fn a_page_in_the_place_of_json_means_that_the_session_has_ended() {
    let html = [("content-type", "text/html; charset=utf-8")];
    let to_login = |path| [("location", path)];
    for (status, fields, is_ended) in [
        (200, &html[..], true),
        (302, &to_login("/login?next=%2Fapi"), true),
        (303, &to_login("http://nas/accounts/SignIn.html"), true),
        (302, &to_login("/api/auth"), true),
        (302, &to_login("/api/y"), false),
        (302, &to_login("/api/logins"), false),
        (200, &[("content-type", "application/json")], false),
        (404, &html, false),
        (500, &html, false),
    ] {
        let (server, auth) = (Server::default(), login(by_cookies(), None));
        server.respond(302, &[("set-cookie", "session=a1; Path=/")], "");
        assert_eq!(auth.prepare(&server), Ok(()));
        assert_eq!(credential(&auth), "session=a1");
        assert_eq!(request(&auth, &server, 200, &[]), Ok(false));
        server.second.set(100);
        if is_ended {
            server.respond(302, &[("set-cookie", "session=a2; Path=/")], "");
        }
        assert_eq!(
            request(&auth, &server, status, fields),
            Ok(is_ended),
            "{status} {fields:?}"
        );
        assert_eq!(
            server.logins(),
            1 + usize::from(is_ended),
            "{status} {fields:?}"
        );
        if is_ended {
            assert_eq!(credential(&auth), "session=a2");
            // The source is a page: it is taken as it is, without another login.
            assert_eq!(request(&auth, &server, status, fields), Ok(false));
            assert_eq!(server.logins(), 2);
        }
    }
}

#[test]
fn a_source_that_reads_pages_gets_them() {
    let (server, auth) = (Server::default(), login(by_cookies(), None));
    server.respond(200, &[("set-cookie", "session=a1; Path=/")], "");
    assert_eq!(auth.prepare(&server), Ok(()));
    let denied = DeniedResponse {
        status: 200,
        uri: uri(),
        sent: headers(&[("accept", "text/plain, */*")]),
        headers: headers(&[("content-type", "text/html")]),
        body_start: Vec::new(),
    };
    assert_eq!(auth.renew(&denied, &server), Ok(false));
}

#[test]
fn another_source_of_the_login_is_not_logged_in_twice() {
    let auth = Arc::new(login(by_token(), None));
    let server = Server::default();
    server.respond(200, &[], r#"{"sid":"one"}"#);
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(request(&auth, &server, 200, &[]), Ok(false));
    let (first_sent, first_go) = std::sync::mpsc::channel();
    let (second_sent, second_go) = std::sync::mpsc::channel();
    let other = auth.clone();
    let thread = std::thread::spawn(move || {
        let server = Server::default();
        server.second.set(1_000);
        assert_eq!(other.prepare(&server), Ok(()));
        assert_eq!(credential(&other), "one");
        first_sent.send(()).expect("the test waits");
        second_go.recv().expect("the test goes on");
        // Its request was sent with the session that has ended.
        let denied = DeniedResponse {
            status: 401,
            uri: uri(),
            sent: HeaderMap::new(),
            headers: HeaderMap::new(),
            body_start: Vec::new(),
        };
        assert_eq!(other.renew(&denied, &server), Ok(true));
        assert_eq!(credential(&other), "two");
        // It is refused with the new one too, which serves the first source.
        let found = request(&other, &server, 403, &[]);
        assert!(failure(found).contains("403 Forbidden to the session of the login"));
        assert_eq!(server.logins(), 0);
    });
    first_go.recv().expect("the other source has begun");
    server.second.set(1_000);
    server.respond(200, &[], r#"{"sid":"two"}"#);
    assert_eq!(request(&auth, &server, 401, &[]), Ok(true));
    assert_eq!(request(&auth, &server, 200, &[]), Ok(false));
    second_sent.send(()).expect("the other source waits");
    thread.join().expect("the other source");
    assert_eq!(auth.prepare(&server), Ok(()));
    assert_eq!(server.logins(), 2);
}

#[test]
fn cookies_and_a_token_are_sent_together() {
    let expected = ExpectedLogin {
        token: Some(TokenLocation::Header(HeaderName::from_static(
            "x-csrf-token",
        ))),
        lifetime: None,
        placement: TokenPlacement::of_header("X-CSRF-Token: {token}").expect("a header"),
    };
    let (server, auth) = (Server::default(), login(expected, None));
    let fields = [
        ("x-csrf-token", "c5"),
        ("set-cookie", "TOKEN=abc12345; Path=/; HttpOnly"),
    ];
    server.respond(200, &fields, "{}");
    assert_eq!(auth.prepare(&server), Ok(()));
    let found = sent(&auth);
    let field = |name| {
        found
            .get(name)
            .map(|it: &HeaderValue| it.to_str().expect("ASCII"))
    };
    assert_eq!(field("x-csrf-token"), Some("c5"));
    assert_eq!(field("cookie"), Some("TOKEN=abc12345"));
    assert_eq!(auth.secrets().mask("no session abc12345"), "no session ***");
    // A later response replaces the cookie.
    let renewed = [("set-cookie", "TOKEN=def67890; Path=/")];
    assert_eq!(request(&auth, &server, 200, &renewed), Ok(false));
    assert_eq!(credential(&auth), "TOKEN=def67890");
    assert_eq!(auth.secrets().mask("no session def67890"), "no session ***");
}

#[test]
fn a_restart_uses_the_session_of_the_file() {
    let directory = scratch("login-session");
    let file = Arc::new(TokenFile::beside(&directory.join("main-node.db")));
    let session_file = |identity: &str| {
        let owner = TokenOwner {
            name: "source:a".to_owned(),
            identity: identity.to_owned(),
        };
        Some(SessionFile::new(file.clone(), owner, "boot".to_owned()))
    };
    let start = |identity: &str| login(by_token(), session_file(identity));
    let server = Server::default();
    server.respond(200, &[], r#"{"sid":"one","validity":1000}"#);
    assert_eq!(start("i").prepare(&server), Ok(()));
    assert_eq!(server.logins(), 1);
    server.second.set(100);
    let second = start("i");
    assert_eq!(second.prepare(&server), Ok(()));
    assert_eq!(
        (server.logins(), credential(&second)),
        (1, "one".to_owned())
    );
    // It has ended meanwhile: one login, which the next start uses.
    server.respond(200, &[], r#"{"sid":"two","validity":1000}"#);
    assert_eq!(request(&second, &server, 401, &[]), Ok(true));
    assert_eq!(
        (server.logins(), credential(&second)),
        (2, "two".to_owned())
    );
    assert_eq!(request(&second, &server, 200, &[]), Ok(false));
    let third = start("i");
    assert_eq!(third.prepare(&server), Ok(()));
    assert_eq!((server.logins(), credential(&third)), (2, "two".to_owned()));
    // Another process has logged in.
    server.second.set(200);
    server.respond(200, &[], r#"{"sid":"three","validity":1000}"#);
    assert_eq!(request(&third, &server, 401, &[]), Ok(true));
    assert_eq!(request(&second, &server, 401, &[]), Ok(true));
    assert_eq!(
        (server.logins(), credential(&second)),
        (3, "three".to_owned())
    );
    // Its lifetime is over, or it is of another user.
    server.second.set(1_300);
    for identity in ["i", "j"] {
        server.respond(200, &[], r#"{"sid":"four","validity":1000}"#);
        assert_eq!(start(identity).prepare(&server), Ok(()));
    }
    assert_eq!(server.logins(), 5);
}
