//! Request middleware: headers of every request, conditional ones, Basic auth of the URL, recording.
//!
//! Runs on the fetch thread.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::{Body, Error, SendBody};

use super::http_exchange::HttpExchange;
use super::request::SentBody;
use crate::domain::percent;
use crate::domain::time::Moment;
use crate::limits;
use crate::sys::host_address;
use crate::sys::sync::Mutex;

/// Validators of the last response, for a conditional request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// Identity of the request whose response had them, where requests differ.
    pub request: u64,
}

impl Validators {
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// The last request as it was sent; redirects and error messages need it.
#[derive(Debug)]
pub struct SentRequest {
    now: Option<Moment>,
    validators: Validators,
    pub method: Method,
    pub uri: Option<Uri>,
    pub headers: HeaderMap,
    /// The first request of the fetch, without its conditions.
    pub first: Option<(Uri, HeaderMap)>,
    /// What the bodies of the fetch may still hold.
    pub body_limit: u64,
    /// Redirects that the fetch may still follow.
    pub redirects_left: u32,
    /// Requests sent for this fetch.
    pub requests: u32,
    /// All exchanges, if they are recorded.
    pub exchanges: Option<Vec<HttpExchange>>,
}

impl Default for SentRequest {
    fn default() -> SentRequest {
        SentRequest {
            now: None,
            validators: Validators::default(),
            method: Method::GET,
            uri: None,
            headers: HeaderMap::new(),
            first: None,
            body_limit: 0,
            redirects_left: 0,
            requests: 0,
            exchanges: None,
        }
    }
}

impl SentRequest {
    pub fn begin(
        &mut self,
        now: Moment,
        validators: &Validators,
        (body_limit, redirects): (u64, u32),
    ) {
        *self = SentRequest {
            now: Some(now),
            validators: validators.clone(),
            body_limit,
            redirects_left: redirects,
            exchanges: self.exchanges.as_ref().map(|_| Vec::new()),
            ..SentRequest::default()
        };
    }
}

/// The clock is certainly wrong: certificates cannot be verified, and a time before 1970 panics
/// inside the TLS library.
#[derive(Debug)]
pub struct ClockTooEarly;

impl std::fmt::Display for ClockTooEarly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the clock is too early")
    }
}

impl std::error::Error for ClockTooEarly {}

/// Completes each request and records it: one middleware, since each costs 6 kB of the stack of
/// every source's thread.
pub struct RequestRecorder {
    pub sent: Arc<Mutex<SentRequest>>,
    pub user_agent: HeaderValue,
    /// `false` asks the server to close the connection.
    pub keep_alive: bool,
}

impl RequestRecorder {
    /// The headers that every request has.
    fn add_default_headers(&self, request: &mut Request<SendBody>) {
        let login = basic_auth(request.uri());
        let headers = request.headers_mut();
        headers
            .entry(header::USER_AGENT)
            .or_insert_with(|| self.user_agent.clone());
        if !self.keep_alive {
            let close = HeaderValue::from_static("close");
            headers.insert(header::CONNECTION, close);
        }
        if let Some(login) = login {
            headers.entry(header::AUTHORIZATION).or_insert(login);
        }
    }

    /// Makes the first request conditional, and records every request.
    fn record_request(&self, request: &mut Request<SendBody>) -> Result<(), ClockTooEarly> {
        let mut sent = self.sent.lock();
        // A POST is never conditional (RFC 9110, 13.1).
        if sent.uri.is_none() && request.method() == Method::GET {
            let Validators {
                etag,
                last_modified,
                ..
            } = std::mem::take(&mut sent.validators);
            let conditions = [
                (header::IF_NONE_MATCH, etag),
                (header::IF_MODIFIED_SINCE, last_modified),
            ];
            for (name, value) in conditions {
                if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_str) {
                    request.headers_mut().insert(name, value);
                }
            }
        }
        sent.method = request.method().clone();
        sent.uri = Some(request.uri().clone());
        sent.headers = request.headers().clone();
        if sent.first.is_none() {
            let mut headers = sent.headers.clone();
            headers.remove(header::IF_NONE_MATCH);
            headers.remove(header::IF_MODIFIED_SINCE);
            sent.first = Some((request.uri().clone(), headers));
        }
        let too_early = sent
            .now
            .is_none_or(|now| now.wall.second() < limits::EARLIEST_PLAUSIBLE_WALL_S);
        if too_early && request.uri().scheme_str() == Some("https") {
            return Err(ClockTooEarly);
        }
        sent.requests += 1;
        if let Some(seen) = &mut sent.exchanges {
            let (method, uri) = (request.method(), request.uri());
            let body = request.extensions().get::<SentBody>();
            let body = body.map(|it| &*it.0).unwrap_or_default();
            seen.push(HttpExchange::new(method, uri, request.headers(), body));
        }
        Ok(())
    }
}

impl Middleware for RequestRecorder {
    fn handle(
        &self,
        mut request: Request<SendBody>,
        next: MiddlewareNext,
    ) -> Result<Response<Body>, Error> {
        self.add_default_headers(&mut request);
        if let Err(error) = self.record_request(&mut request) {
            return Err(Error::Other(Box::new(error)));
        }
        // Not recorded: a redirect would take it along.
        if let Some(host) = host_address::host_field(request.uri()) {
            request.headers_mut().entry(header::HOST).or_insert(host);
        }
        let response = next.handle(request)?;
        let mut sent = self.sent.lock();
        if let Some(exchange) = sent.exchanges.as_mut().and_then(|seen| seen.last_mut()) {
            exchange.status = Some(response.status().as_u16());
        }
        drop(sent);
        Ok(response)
    }
}

/// The credentials of `http://user:p%40ss@host/`, decoded; ureq would send them undecoded.
pub fn basic_auth(uri: &Uri) -> Option<HeaderValue> {
    let (login, _) = uri.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let pair = [percent::decode(user), percent::decode(password)].join(&b':');
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_name_and_password_of_a_url_are_decoded_once() {
        for (url, expected) in [
            // me:p@ss
            ("http://me:p%40ss@nas/x", Some("Basic bWU6cEBzcw==")),
            // me:100%
            ("http://me:100%25@nas/x", Some("Basic bWU6MTAwJQ==")),
            // key:
            ("http://key@nas/x", Some("Basic a2V5Og==")),
            ("http://nas/x@y", None),
        ] {
            let uri: Uri = url.parse().expect("a URL");
            let found = basic_auth(&uri);
            let found = found.as_ref().map(|it| it.to_str().expect("ASCII"));
            assert_eq!(found, expected, "{url}");
        }
    }
}
