//! OAuth 2.0 against a scripted token server: when it is asked, what is kept, what is said.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use ureq::http::{HeaderName, HeaderValue, StatusCode};

use super::*;
use crate::api::auth::AuthResponse;
use crate::api::outgoing_request::{OutgoingMethod, OutgoingRequest};
use crate::domain::time::{ClockTrust, Moment, Mono, test_moment};
use crate::domain::token_placement::TokenPlacement;
use crate::golden::scratch;

const FIRST: &str = "first-refresh-token";

/// A token server with a script; it panics when it is asked more often.
struct TokenServer {
    now: Moment,
    script: RefCell<VecDeque<(u16, &'static str, String)>>,
    asked: RefCell<Vec<String>>,
}

impl TokenServer {
    fn at(now_s: u64, script: &[(u16, &str)]) -> TokenServer {
        let script = script.iter();
        TokenServer {
            now: test_moment(Mono(now_s * 1_000)),
            script: RefCell::new(
                script
                    .map(|(status, body)| (*status, "", (*body).to_owned()))
                    .collect(),
            ),
            asked: RefCell::default(),
        }
    }

    fn with_header(self, field: &'static str) -> TokenServer {
        for act in self.script.borrow_mut().iter_mut() {
            act.1 = field;
        }
        self
    }

    /// The values of a field in the requests.
    fn asked_with(&self, field: &str) -> Vec<String> {
        let asked = self.asked.borrow();
        let fields = asked.iter().flat_map(|it| it.split('&'));
        let values = fields.filter_map(|it| it.strip_prefix(field)?.strip_prefix('='));
        values.map(str::to_owned).collect()
    }
}

impl AuthClient for TokenServer {
    fn send(&self, request: &OutgoingRequest) -> Result<AuthResponse, FetchError> {
        let OutgoingMethod::Post(Some(body)) = &request.method else {
            panic!("it is a POST with a body");
        };
        self.asked
            .borrow_mut()
            .push(String::from_utf8_lossy(body).into_owned());
        let (status, field, body) = self
            .script
            .borrow_mut()
            .pop_front()
            .expect("the server is not asked so often");
        if status == 0 {
            return Err(failed(Cause::Timeout, "auth.example does not answer"));
        }
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = field.split_once(": ") {
            let name = HeaderName::try_from(name).expect("a name");
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(AuthResponse {
            status: StatusCode::from_u16(status).expect("a status").as_u16(),
            headers,
            body: body.into_bytes(),
        })
    }

    fn now(&self) -> Moment {
        self.now
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(600)
    }
}

fn failed(cause: Cause, detail: &str) -> FetchError {
    FetchError::Failed(Failure::new(cause, detail))
}

fn grant(configured: &str) -> GrantCredentials {
    GrantCredentials::RefreshToken {
        configured: configured.to_owned(),
    }
}

fn oauth2(directory: &std::path::Path, grant: GrantCredentials) -> OAuth2 {
    let settings = OAuth2Settings {
        table: "[auth.netatmo]".to_owned(),
        location: "main-node.toml:12:1".to_owned(),
        owner_name: "auth:netatmo".to_owned(),
        token_url: Uri::from_static("https://auth.example/token"),
        grant,
        client_id: "id".to_owned(),
        client_secret: Some("hush".to_owned()),
        client_auth: ClientAuth::Body,
        scope: None,
        params: Vec::new(),
        placement: TokenPlacement::Standard,
    };
    let file = TokenFile::beside(&directory.join("main-node.db"));
    OAuth2::new(settings, Arc::new(file), "boot".to_owned())
}

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        Directory(scratch(name))
    }

    fn oauth2(&self) -> OAuth2 {
        oauth2(&self.0, grant(FIRST))
    }

    fn file(&self) -> PathBuf {
        self.0.join("tokens.json")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Left for the next run with this process identifier.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The response with the nth token of a server that exchanges refresh tokens.
fn rotated(nth: u32) -> String {
    format!(
        r#"{{"access_token":"access-{nth}","expires_in":3600,"refresh_token":"refresh-{nth}"}}"#
    )
}

fn sent(oauth2: &OAuth2) -> String {
    let (mut uri, mut headers) = (Uri::from_static("http://api/"), HeaderMap::new());
    oauth2.authorize(&Method::GET, &mut uri, &mut headers);
    let value = headers.get(header::AUTHORIZATION);
    value.map_or("", |it| it.to_str().expect("text")).to_owned()
}

fn denied(status: u16, token: &str, challenge: &'static str) -> DeniedResponse {
    let mut sent = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    sent.insert(header::AUTHORIZATION, value.expect("a header"));
    let mut headers = HeaderMap::new();
    if !challenge.is_empty() {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        );
    }
    DeniedResponse {
        status,
        uri: Uri::from_static("http://api/"),
        sent,
        headers,
        body_start: Vec::new(),
    }
}

fn failure(result: Result<(), FetchError>) -> (Cause, String) {
    match result {
        Err(FetchError::Failed(failure)) => (failure.cause, failure.detail),
        other => panic!("no failure: {other:?}"),
    }
}

#[test]
fn tokens_are_exchanged_before_they_expire_and_the_next_run_goes_on() {
    let directory = Directory::new("oauth2-rotation");
    let first = directory.oauth2();
    for (now_s, script, expected) in [
        (100, Some(1), "Bearer access-1"),
        (3_600, None, "Bearer access-1"),
        // Half a minute before its end.
        (3_670, Some(2), "Bearer access-2"),
        (7_000, None, "Bearer access-2"),
    ] {
        let body = script.map(rotated);
        let acts: Vec<(u16, &str)> = body.iter().map(|it| (200, it.as_str())).collect();
        let server = TokenServer::at(now_s, &acts);
        assert_eq!(first.prepare(&server), Ok(()));
        assert_eq!(sent(&first), expected, "{now_s}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(directory.file())
            .expect("it is there")
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    // Another run of the same boot: nothing is asked until the token expires.
    let second = directory.oauth2();
    assert_eq!(second.prepare(&TokenServer::at(7_001, &[])), Ok(()));
    assert_eq!(sent(&second), "Bearer access-2");
    let body = rotated(3);
    let server = TokenServer::at(7_300, &[(200, &body)]);
    assert_eq!(second.prepare(&server), Ok(()));
    assert_eq!(server.asked_with("refresh_token"), ["refresh-2"]);
    // The first one, still running, takes what the other has got.
    assert_eq!(first.prepare(&TokenServer::at(7_300, &[])), Ok(()));
    assert_eq!(sent(&first), "Bearer access-3");
}

#[test]
fn a_changed_refresh_token_in_the_configuration_wins() {
    let directory = Directory::new("oauth2-changed");
    let body = rotated(1);
    let server = TokenServer::at(100, &[(200, &body)]);
    assert_eq!(directory.oauth2().prepare(&server), Ok(()));
    assert_eq!(server.asked_with("refresh_token"), [FIRST]);
    let changed = oauth2(&directory.0, grant("changed"));
    let body = rotated(2);
    let server = TokenServer::at(200, &[(200, &body)]);
    assert_eq!(changed.prepare(&server), Ok(()));
    assert_eq!(server.asked_with("refresh_token"), ["changed"]);
    // Taken back: its own newest token is there.
    let again = directory.oauth2();
    assert_eq!(again.prepare(&TokenServer::at(300, &[])), Ok(()));
    assert_eq!(sent(&again), "Bearer access-1");
}

#[test]
fn a_refused_refresh_token_is_tried_once_and_again_after_a_restart() {
    let directory = Directory::new("oauth2-refused");
    let refused = r#"{"error":"invalid_grant","error_description":"Token revoked"}"#;
    let oauth2 = directory.oauth2();
    let said = failure(oauth2.prepare(&TokenServer::at(100, &[(400, refused)])));
    assert_eq!(
        said,
        (
            Cause::HttpStatus,
            "the token server auth.example says \"invalid_grant: Token revoked\": get a new refresh \
             token there, write it as `refresh_token` in [auth.netatmo] (main-node.toml:12:1) and \
             restart main-node; until then none is asked for"
                .to_owned()
        )
    );
    for now_s in [101, 500, 100_000] {
        assert_eq!(failure(oauth2.prepare(&TokenServer::at(now_s, &[]))), said);
    }
    // Another process got one: `once` after a person has changed the file.
    let body = rotated(1);
    let restarted = directory.oauth2();
    let server = TokenServer::at(200_000, &[(200, &body)]);
    assert_eq!(restarted.prepare(&server), Ok(()));
    assert_eq!(oauth2.prepare(&TokenServer::at(200_001, &[])), Ok(()));
    assert_eq!(sent(&oauth2), "Bearer access-1");
}

#[test]
fn after_a_lost_response_the_old_refresh_token_is_tried_again() {
    let directory = Directory::new("oauth2-lost");
    let oauth2 = directory.oauth2();
    let server = TokenServer::at(100, &[(0, "")]);
    let said = failure(oauth2.prepare(&server));
    let detail = "no access token: auth.example does not answer".to_owned();
    assert_eq!(said, (Cause::Timeout, detail));
    // Not within a minute.
    assert_eq!(failure(oauth2.prepare(&TokenServer::at(159, &[]))), said);
    let body = rotated(1);
    let server = TokenServer::at(160, &[(200, &body)]);
    assert_eq!(oauth2.prepare(&server), Ok(()));
    assert_eq!(server.asked_with("refresh_token"), [FIRST]);
}

#[test]
fn while_the_old_token_lives_a_failing_server_costs_nothing() {
    let directory = Directory::new("oauth2-lives");
    let oauth2 = directory.oauth2();
    let body = rotated(1);
    assert_eq!(
        oauth2.prepare(&TokenServer::at(100, &[(200, &body)])),
        Ok(())
    );
    let server = TokenServer::at(3_680, &[(503, "<html>busy</html>")]);
    assert_eq!(oauth2.prepare(&server), Ok(()));
    assert_eq!(sent(&oauth2), "Bearer access-1");
    let said = failure(oauth2.prepare(&TokenServer::at(3_700, &[])));
    assert_eq!(
        said,
        (
            Cause::HttpStatus,
            "the token server auth.example answers 503 Service Unavailable: it has a problem"
                .to_owned()
        )
    );
    let body = rotated(2);
    assert_eq!(
        oauth2.prepare(&TokenServer::at(3_740, &[(200, &body)])),
        Ok(())
    );
}

#[test]
fn a_wait_that_the_token_server_orders_is_kept() {
    let directory = Directory::new("oauth2-retry-after");
    let oauth2 = directory.oauth2();
    let server = TokenServer::at(100, &[(429, "")]).with_header("retry-after: 7200");
    let Err(FetchError::Failed(failure)) = oauth2.prepare(&server) else {
        panic!("it fails");
    };
    assert_eq!(failure.cause, Cause::RateLimited);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7_200)));
    assert!(oauth2.prepare(&TokenServer::at(7_299, &[])).is_err());
    let body = rotated(1);
    assert_eq!(
        oauth2.prepare(&TokenServer::at(7_300, &[(200, &body)])),
        Ok(())
    );
}

#[test]
fn a_refused_access_token_is_replaced_at_most_once_a_minute() {
    let directory = Directory::new("oauth2-denied");
    let oauth2 = directory.oauth2();
    let body = rotated(1);
    assert_eq!(
        oauth2.prepare(&TokenServer::at(100, &[(200, &body)])),
        Ok(())
    );
    let invalid = "Bearer realm=\"x\", error=\"invalid_token\"";
    let body = rotated(2);
    for (now_s, asks, denied, expected) in [
        // The scope is too small, or the request is wrong: another token has the same.
        (200, false, denied(403, "access-1", ""), Ok(false)),
        (
            200,
            false,
            denied(403, "access-1", "Bearer error=\"insufficient_scope\""),
            Ok(false),
        ),
        (
            200,
            false,
            denied(401, "access-1", "Bearer error=\"insufficient_scope\""),
            Ok(false),
        ),
        // A moment ago.
        (120, false, denied(401, "access-1", invalid), Ok(false)),
        (200, true, denied(403, "access-1", invalid), Ok(true)),
        // Another source was faster.
        (201, false, denied(401, "access-1", ""), Ok(true)),
        (202, false, denied(401, "access-2", ""), Ok(false)),
    ] {
        let script = [(200, body.as_str())];
        let server = TokenServer::at(now_s, if asks { &script } else { &[] });
        assert_eq!(oauth2.renew(&denied, &server), expected, "{denied:?}");
    }
    assert_eq!(sent(&oauth2), "Bearer access-2");
}

#[test]
fn without_a_file_no_refresh_token_is_exchanged() {
    let directory = Directory::new("oauth2-no-file");
    let oauth2 = directory.oauth2();
    let body = rotated(1);
    assert_eq!(
        oauth2.prepare(&TokenServer::at(100, &[(200, &body)])),
        Ok(())
    );
    fs::remove_file(directory.file()).expect("it is there");
    fs::create_dir(directory.file()).expect("it can be made");
    // The old one lives.
    assert_eq!(oauth2.prepare(&TokenServer::at(3_680, &[])), Ok(()));
    let (cause, detail) = failure(oauth2.prepare(&TokenServer::at(3_800, &[])));
    assert_eq!(cause, Cause::Storage);
    let path = directory.file().display().to_string();
    let expected = format!(
        "{path} cannot be used: it is not a file; no new token is asked for, since a refresh token that \
         is not kept is lost"
    );
    assert_eq!(detail, expected);
    fs::remove_dir(directory.file()).expect("it is empty");
    let body = rotated(2);
    let server = TokenServer::at(3_900, &[(200, &body)]);
    assert_eq!(oauth2.prepare(&server), Ok(()));
    assert_eq!(server.asked_with("refresh_token"), ["refresh-1"]);
}

#[test]
fn a_grant_that_has_nothing_to_lose_does_without_a_file() {
    let directory = Directory::new("oauth2-client");
    fs::create_dir(directory.file()).expect("it can be made");
    let user = GrantCredentials::Password {
        user: "me".to_owned(),
        password: "hush".to_owned(),
    };
    for grant in [GrantCredentials::ClientCredentials, user] {
        let oauth2 = oauth2(&directory.0, grant);
        let body = rotated(1);
        let server = TokenServer::at(100, &[(200, &body)]);
        assert_eq!(oauth2.prepare(&server), Ok(()));
        assert_eq!(sent(&oauth2), "Bearer access-1");
        // It is asked for anew, not exchanged.
        let body = rotated(2);
        let server = TokenServer::at(3_690, &[(200, &body)]);
        assert_eq!(oauth2.prepare(&server), Ok(()));
        assert_eq!(server.asked_with("refresh_token"), [""; 0]);
    }
}

/// The directory vanishes between the reservation and the write.
struct VanishingDirectory<'a>(TokenServer, &'a Directory);

impl AuthClient for VanishingDirectory<'_> {
    fn send(&self, request: &OutgoingRequest) -> Result<AuthResponse, FetchError> {
        fs::remove_dir_all(&self.1.0).expect("it is there");
        self.0.send(request)
    }

    fn now(&self) -> Moment {
        self.0.now()
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn deadline(&self) -> Instant {
        self.0.deadline()
    }
}

#[test]
fn a_token_that_could_not_be_written_is_used_when_it_is() {
    let directory = Directory::new("oauth2-unsaved");
    let oauth2 = directory.oauth2();
    let body = rotated(1);
    let server = VanishingDirectory(TokenServer::at(100, &[(200, &body)]), &directory);
    let (cause, detail) = failure(oauth2.prepare(&server));
    assert_eq!(cause, Cause::Storage);
    assert!(
        detail.ends_with("the new token is used as soon as it is kept there"),
        "{detail}"
    );
    assert_eq!(sent(&oauth2), "");
    assert_eq!(
        failure(oauth2.prepare(&TokenServer::at(160, &[]))).0,
        Cause::Storage
    );
    fs::create_dir(&directory.0).expect("it can be made");
    // Nothing is asked for: the refresh token of the configuration is exchanged already.
    assert_eq!(oauth2.prepare(&TokenServer::at(220, &[])), Ok(()));
    assert_eq!(sent(&oauth2), "Bearer access-1");
}

#[test]
fn after_a_reboot_without_a_clock_the_token_is_used_until_it_is_refused() {
    let directory = Directory::new("oauth2-reboot");
    let body = rotated(1);
    let server = TokenServer::at(1_000, &[(200, &body)]);
    assert_eq!(directory.oauth2().prepare(&server), Ok(()));
    let rebooted = OAuth2 {
        boot_id: "another".to_owned(),
        ..directory.oauth2()
    };
    let unset = |now_s: u64, script: &[(u16, &str)]| {
        let mut server = TokenServer::at(now_s, script);
        server.now.trust = ClockTrust::Untrusted;
        server.now.wall = crate::domain::time::Wall(0);
        server
    };
    assert_eq!(rebooted.prepare(&unset(10, &[])), Ok(()));
    assert_eq!(sent(&rebooted), "Bearer access-1");
    // A server that says 403 for an expired token: once, since then its age is known.
    let body = rotated(2);
    let server = unset(20, &[(200, &body)]);
    assert_eq!(
        rebooted.renew(&denied(403, "access-1", ""), &server),
        Ok(true)
    );
    assert_eq!(
        rebooted.renew(&denied(403, "access-2", ""), &unset(90, &[])),
        Ok(false)
    );
    // The clock jumps by years: the lifetime goes on.
    let mut jumped = TokenServer::at(100, &[]);
    jumped.now.wall = jumped.now.wall.after(Duration::from_secs(86_400 * 400));
    assert_eq!(rebooted.prepare(&jumped), Ok(()));
    assert_eq!(sent(&rebooted), "Bearer access-2");
}

#[test]
fn what_a_server_says_instead_of_a_token_is_explained() {
    let place = "[auth.netatmo] (main-node.toml:12:1)";
    for (status, body, cause, said) in [
        (
            401,
            r#"{"error":"invalid_client"}"#,
            Cause::HttpStatus,
            "the token server auth.example says \"invalid_client\": are `client_id` and `client_secret` in PLACE right? Some servers want client_auth = \"basic\"",
        ),
        (
            400,
            r#"{"error":"unauthorized_client"}"#,
            Cause::HttpStatus,
            "the token server auth.example says \"unauthorized_client\": the client may not use grant = \"refresh_token\": allow it where the client was created, or use another `grant` in PLACE",
        ),
        (
            400,
            r#"{"error":"unsupported_grant_type"}"#,
            Cause::HttpStatus,
            "the token server auth.example says \"unsupported_grant_type\": it has no grant = \"refresh_token\": use another `grant` in PLACE",
        ),
        (
            400,
            r#"{"error":"invalid_scope"}"#,
            Cause::HttpStatus,
            "the token server auth.example says \"invalid_scope\": write the `scope` that the service documents into PLACE",
        ),
        (
            200,
            r#"{"error":"odd"}"#,
            Cause::HttpStatus,
            "the token server auth.example says \"odd\": compare PLACE with the documentation of the service",
        ),
        (
            401,
            "Unauthorized",
            Cause::HttpStatus,
            "the token server auth.example answers 401 Unauthorized: are `client_id` and `client_secret` in PLACE right? Some servers want client_auth = \"basic\"",
        ),
        (
            404,
            "<html>",
            Cause::HttpStatus,
            "the token server auth.example answers 404 Not Found: is `token_url` in PLACE right?",
        ),
        (
            302,
            "",
            Cause::Redirect,
            "the token server auth.example answers 302 Found: is `token_url` in PLACE right?",
        ),
        (
            200,
            "<html>log in</html>",
            Cause::NotJson,
            "expected JSON with `access_token` from the token server auth.example, found a web page: is `token_url` in PLACE right?",
        ),
        (
            200,
            r#"{"token":"x"}"#,
            Cause::Schema,
            "expected `access_token` in the response of the token server auth.example, found `token`",
        ),
        (
            200,
            r#"{"access_token":"x","token_type":"mac"}"#,
            Cause::Schema,
            "expected a token of the type Bearer from the token server auth.example, found \"mac\": write how the service wants it as `header` in PLACE, such as \"Authorization: NAME {token}\"",
        ),
    ] {
        let directory = Directory::new("oauth2-refusals");
        let oauth2 = directory.oauth2();
        let server = TokenServer::at(100, &[(status, body)]);
        let expected = (cause, said.replace("PLACE", place));
        assert_eq!(failure(oauth2.prepare(&server)), expected);
        // A person must change something: not each minute.
        assert!(
            oauth2.prepare(&TokenServer::at(399, &[])).is_err(),
            "{body}"
        );
    }
}

#[test]
fn tokens_are_masked_from_the_moment_they_are_known() {
    let directory = Directory::new("oauth2-masked");
    let oauth2 = directory.oauth2();
    let body = rotated(1);
    assert_eq!(
        oauth2.prepare(&TokenServer::at(100, &[(200, &body)])),
        Ok(())
    );
    let masked = oauth2.secrets().mask("access-1 and refresh-1").into_owned();
    assert_eq!(masked, "*** and ***");
    let shown = format!("{oauth2:?} {:?}", directory.oauth2().file);
    assert!(
        !shown.contains("access-1") && !shown.contains("hush"),
        "{shown}"
    );
}

#[test]
fn a_token_goes_where_the_configuration_says() {
    let directory = Directory::new("oauth2-param");
    let mut oauth2 = directory.oauth2();
    oauth2.settings.placement = TokenPlacement::Param("access_token".to_owned());
    let body = r#"{"access_token":"a+b","token_type":"mac","expires_in":3600}"#;
    assert_eq!(
        oauth2.prepare(&TokenServer::at(100, &[(200, body)])),
        Ok(())
    );
    let (mut uri, mut headers) = (Uri::from_static("http://api/x?a=1"), HeaderMap::new());
    oauth2.authorize(&Method::GET, &mut uri, &mut headers);
    assert_eq!(uri.to_string(), "http://api/x?a=1&access_token=a%2Bb");
    let denied = DeniedResponse {
        uri,
        ..denied(401, "other", "")
    };
    let body = rotated(2);
    let server = TokenServer::at(200, &[(200, &body)]);
    assert_eq!(oauth2.renew(&denied, &server), Ok(true));
    assert_eq!(server.asked_with("refresh_token"), [FIRST]);
}
