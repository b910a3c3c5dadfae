//! Requests of an authenticator, and the requests that it authenticates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ureq::http::{HeaderMap, HeaderValue, Method, Uri, header};

use crate::api::agent::TransportSettings;
use crate::api::auth::{AuthClient, Authenticator, DeniedResponse, SourceAuth};
use crate::api::fault_server::{Act, AfterResponse, FaultServer, response, send};
use crate::api::http_response::FetchError;
use crate::api::support::{
    cause, clock_at_noon, failure, fetcher, get_url, good_response, header as field, long_timeout,
    script, sends,
};
use crate::api::transport::Transport;
use crate::api::url_source;
use crate::domain::failure::Cause;
use crate::domain::redact::Secrets;
use crate::sys::clock::Clock;
use crate::sys::sync::Mutex;
use crate::sys::tls::{Trust, TrustSettings};

/// Gets a token from `server` before the first request, and another after each refusal.
#[derive(Debug)]
struct TokenOf {
    server: String,
    token: Mutex<String>,
    renewals: AtomicU32,
    is_giving_up: AtomicBool,
}

impl TokenOf {
    fn fetch_token(&self, client: &dyn AuthClient) -> Result<(), FetchError> {
        let request = url_source::get_request(&self.server, &[], &[]).expect("a URL");
        let response = client.send(&request)?;
        assert_eq!(response.status, 200);
        *self.token.lock() = String::from_utf8(response.body).expect("text");
        Ok(())
    }
}

impl Authenticator for TokenOf {
    fn prepare(&self, client: &dyn AuthClient) -> Result<(), FetchError> {
        if self.token.lock().is_empty() {
            self.fetch_token(client)?;
        }
        Ok(())
    }

    fn authorize(&self, _: &Method, _: &mut Uri, headers: &mut HeaderMap) {
        let value = format!("Bearer {}", self.token.lock());
        let value = HeaderValue::from_str(&value).expect("a header");
        headers.insert(header::AUTHORIZATION, value);
    }

    fn renew(&self, _: &DeniedResponse, client: &dyn AuthClient) -> Result<bool, FetchError> {
        self.renewals.fetch_add(1, Ordering::SeqCst);
        if self.is_giving_up.load(Ordering::SeqCst) {
            return Ok(false);
        }
        self.fetch_token(client)?;
        Ok(true)
    }

    fn secrets(&self) -> Arc<Secrets> {
        Arc::new(Secrets::new([self.token.lock().clone()]))
    }
}

fn token_of(server: &FaultServer) -> Arc<TokenOf> {
    Arc::new(TokenOf {
        server: server.url(),
        token: Mutex::default(),
        renewals: AtomicU32::new(0),
        is_giving_up: AtomicBool::new(false),
    })
}

fn settings(authenticator: &Arc<TokenOf>, source: &FaultServer) -> TransportSettings {
    TransportSettings {
        auth: Some(Arc::new(SourceAuth {
            authenticator: authenticator.clone(),
            origin: source.url().parse().expect("a URL"),
            trust: Trust::of(&TrustSettings::default()).expect("no file is read"),
        })),
        ..long_timeout()
    }
}

/// Gives the tokens `token-000`, `token-001` and so on.
fn token_server() -> FaultServer {
    let tokens = (0..9).map(|nth| sends(response("200 OK", "", format!("token-{nth:03}"))));
    FaultServer::start(script(tokens.collect()))
}

fn denied(body: &str) -> Box<Act> {
    sends(response(
        "401 Unauthorized",
        "WWW-Authenticate: Bearer\r\n",
        body,
    ))
}

fn sent_tokens(server: &FaultServer) -> Vec<String> {
    let heads = server.server.heads.lock().expect("no act panics");
    let token = |head: &String| field(head, "authorization").unwrap_or("none").to_owned();
    heads.iter().map(token).collect()
}

#[test]
fn a_denied_request_is_sent_again_with_another_credential() {
    let (tokens, source) = (
        token_server(),
        FaultServer::start(script(vec![
            denied(""),
            denied(""),
            sends(good_response()),
            denied("no"),
        ])),
    );
    let authenticator = token_of(&tokens);
    let url = get_url(&source.url());
    let mut fetcher = fetcher(url, settings(&authenticator, &source), clock_at_noon());
    assert_eq!(cause(fetcher.fetch_once()), None);
    let expected = ["Bearer token-000", "Bearer token-001", "Bearer token-002"];
    assert_eq!(sent_tokens(&source), expected);
    // Three requests of the source, and three of its authenticator.
    assert_eq!(fetcher.requests(), 6);
    assert_eq!(
        sent_tokens(&tokens),
        ["none"; 3],
        "no token goes to the other server"
    );
    // It is tried a bounded number of times.
    assert_eq!(cause(fetcher.fetch_once()), Some(Cause::HttpStatus));
    assert_eq!(sent_tokens(&source).len(), 6);
    authenticator.is_giving_up.store(true, Ordering::SeqCst);
    assert_eq!(cause(fetcher.fetch_once()), Some(Cause::HttpStatus));
    assert_eq!(sent_tokens(&source).len(), 7);
}

#[test]
fn a_credential_follows_no_redirect_to_another_server_and_is_not_renewed_there() {
    let elsewhere = FaultServer::start(script(vec![denied("")]));
    let moved = format!("Location: {}\r\n", elsewhere.url());
    let source = FaultServer::start(script(vec![sends(response("302 Found", &moved, ""))]));
    let tokens = token_server();
    let authenticator = token_of(&tokens);
    let url = get_url(&source.url());
    let mut fetcher = fetcher(url, settings(&authenticator, &source), clock_at_noon());
    assert_eq!(cause(fetcher.fetch_once()), Some(Cause::HttpStatus));
    assert_eq!(sent_tokens(&source), ["Bearer token-000"]);
    assert_eq!(sent_tokens(&elsewhere), ["none"]);
    assert_eq!(authenticator.renewals.load(Ordering::SeqCst), 0);
}

#[test]
fn what_a_server_repeats_of_a_token_is_masked() {
    let source = FaultServer::start(script(vec![denied(r#"{"message": "bad token-000"}"#)]));
    let tokens = token_server();
    let authenticator = token_of(&tokens);
    authenticator.is_giving_up.store(true, Ordering::SeqCst);
    let url = get_url(&source.url());
    let mut fetcher = fetcher(url, settings(&authenticator, &source), clock_at_noon());
    fetcher.record_exchanges();
    let (_, detail) = failure(fetcher.fetch_once()).expect("a failure");
    assert!(detail.contains("bad ***"), "{detail}");
    let shown = format!("{:?}", fetcher.exchanges());
    assert!(!shown.contains("token-000"), "{shown}");
}

#[test]
fn without_a_token_nothing_is_sent_to_the_source() {
    let source = FaultServer::start(script(vec![sends(good_response())]));
    let tokens = FaultServer::start(script(vec![sends(b"what?\r\n\r\n".to_vec())]));
    let authenticator = token_of(&tokens);
    let url = get_url(&source.url());
    let mut fetcher = fetcher(url, settings(&authenticator, &source), clock_at_noon());
    let (_, detail) = failure(fetcher.fetch_once()).expect("a failure");
    let host = tokens
        .url()
        .parse::<Uri>()
        .expect("a URL")
        .authority()
        .map(ToString::to_string);
    assert!(detail.contains(&host.expect("it has one")), "{detail}");
    assert_eq!(sent_tokens(&source).len(), 0);
}

#[test]
fn a_denied_request_is_known_as_it_was_sent() {
    #[derive(Debug, Default)]
    struct QueryToken(Mutex<Vec<String>>);
    impl Authenticator for QueryToken {
        fn authorize(&self, _: &Method, uri: &mut Uri, _: &mut HeaderMap) {
            *uri = format!("{uri}&token=t").parse().expect("a URL");
        }

        fn renew(&self, denied: &DeniedResponse, _: &dyn AuthClient) -> Result<bool, FetchError> {
            let query = denied.uri.query().unwrap_or_default();
            self.0.lock().push(query.to_owned());
            Ok(true)
        }
    }
    let source = FaultServer::start(script(vec![denied(""), sends(good_response())]));
    let authenticator = Arc::new(QueryToken::default());
    let url = format!("http://{}/?a=1", source.address);
    let settings = TransportSettings {
        auth: Some(Arc::new(SourceAuth {
            authenticator: authenticator.clone(),
            origin: url.parse().expect("a URL"),
            trust: Trust::of(&TrustSettings::default()).expect("no file is read"),
        })),
        ..long_timeout()
    };
    let mut fetcher = fetcher(get_url(&url), settings, clock_at_noon());
    assert_eq!(cause(fetcher.fetch_once()), None);
    assert_eq!(*authenticator.0.lock(), ["a=1&token=t"]);
    let heads = source.server.heads.lock().expect("no act panics");
    let once = |head: &String| head.matches("token=t").count() == 1;
    assert!(heads.iter().all(once), "{heads:?}");
}

#[test]
fn a_token_has_more_time_than_a_short_timeout_of_its_source() {
    let source = FaultServer::start(script(vec![sends(good_response())]));
    let tokens = token_server();
    let authenticator = token_of(&tokens);
    let settings = TransportSettings {
        timeout: Duration::from_micros(1),
        ..settings(&authenticator, &source)
    };
    let mut fetcher = fetcher(get_url(&source.url()), settings, clock_at_noon());
    assert_eq!(cause(fetcher.fetch_once()), Some(Cause::Timeout));
    assert_eq!(*authenticator.token.lock(), "token-000");
}

#[test]
fn a_stop_does_not_lose_the_response_to_a_request_for_a_token() {
    let transport = Transport::new(long_timeout()).expect("the settings are good");
    let canceller = transport.canceller();
    let tokens = FaultServer::start(Arc::new(move |_, wire, _| {
        canceller.cancel();
        send(wire, response("200 OK", "", "token-000"));
        AfterResponse::Close
    }));
    let request = url_source::get_request(&tokens.url(), &[], &[]).expect("a URL");
    let now = clock_at_noon().now();
    let sent = transport.with_auth_client(now, |client| client.send(&request));
    assert_eq!(sent.map(|it| it.body), Ok(b"token-000".to_vec()));
    // Nothing is sent after it.
    let sent = transport.with_auth_client(now, |client| client.send(&request));
    assert_eq!(sent.map(|it| it.body), Err(FetchError::Stopped));
}
