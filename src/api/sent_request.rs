//! Request middleware: headers of every request, conditional ones, credentials, recording.
//!
//! Runs on the fetch thread.

use std::sync::Arc;

use ureq::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::{Body, Error, SendBody};

use super::auth::SourceAuth;
use super::basic_auth;
use super::http_exchange::HttpExchange;
use super::request::SentBody;
use super::validators::Validators;
use crate::domain::time::Moment;
use crate::limits;
use crate::sys::host_address;
use crate::sys::sync::Mutex;

/// The last request of a fetch; redirects and error messages need it.
#[derive(Debug)]
pub struct SentRequest {
    now: Option<Moment>,
    validators: Validators,
    pub method: Method,
    pub uri: Option<Uri>,
    /// Without what the authenticator adds, which a redirect gets anew.
    pub headers: HeaderMap,
    /// URL and headers as they were sent.
    pub authorized: (Uri, HeaderMap),
    /// The first request of the fetch, without its conditions.
    pub first: Option<(Uri, HeaderMap)>,
    /// What the bodies of the fetch may still hold.
    pub body_limit: u64,
    /// Redirects that the fetch may still follow.
    pub redirects_left: u32,
    /// Requests sent for this fetch.
    pub requests: u32,
    /// A request of an authenticator runs, which is no part of the fetch itself.
    pub is_auth_request: bool,
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
            authorized: Default::default(),
            first: None,
            body_limit: 0,
            redirects_left: 0,
            requests: 0,
            is_auth_request: false,
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

    /// Begins a request of an authenticator; returns what [`SentRequest::end_auth_request`] needs.
    pub fn begin_auth_request(&mut self) -> FetchRequest {
        self.is_auth_request = true;
        FetchRequest {
            method: self.method.clone(),
            uri: self.uri.clone(),
            headers: self.headers.clone(),
            authorized: self.authorized.clone(),
        }
    }

    /// Goes on with the fetch: its last request is again the last one.
    pub fn end_auth_request(&mut self, fetch: FetchRequest) {
        self.is_auth_request = false;
        self.method = fetch.method;
        self.uri = fetch.uri;
        self.headers = fetch.headers;
        self.authorized = fetch.authorized;
    }
}

/// The last request of a fetch while one of its authenticator runs.
pub struct FetchRequest {
    method: Method,
    uri: Option<Uri>,
    headers: HeaderMap,
    authorized: (Uri, HeaderMap),
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
    pub auth: Option<Arc<SourceAuth>>,
    pub user_agent: HeaderValue,
    /// `false` asks the server to close the connection.
    pub keep_alive: bool,
}

impl RequestRecorder {
    /// The headers that every request has.
    fn add_default_headers(&self, request: &mut Request<SendBody>) {
        let login = basic_auth::of_url(request.uri());
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

    /// The authentication of a request, if it is one of the source to its own server.
    fn auth_of(&self, request: &Request<SendBody>) -> Option<&SourceAuth> {
        let auth = self.auth.as_deref()?;
        let is_own = !self.sent.lock().is_auth_request && auth.covers(request.uri());
        is_own.then_some(auth)
    }

    /// Makes the first request conditional, and records every request.
    fn record_request(&self, request: &mut Request<SendBody>) -> Result<(), ClockTooEarly> {
        let mut sent = self.sent.lock();
        // A POST is never conditional (RFC 9110, 13.1).
        if sent.uri.is_none() && !sent.is_auth_request && request.method() == Method::GET {
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
        if sent.first.is_none() && !sent.is_auth_request {
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
        Ok(())
    }

    /// Adds the credential of the authenticator, and records the request as it is sent.
    fn authorize(&self, request: &mut Request<SendBody>) {
        if let Some(auth) = self.auth_of(request) {
            let method = request.method().clone();
            let mut uri = request.uri().clone();
            let authenticator = &auth.authenticator;
            authenticator.authorize(&method, &mut uri, request.headers_mut());
            *request.uri_mut() = uri;
        }
        let mut sent = self.sent.lock();
        sent.authorized = (request.uri().clone(), request.headers().clone());
        if let Some(seen) = &mut sent.exchanges {
            let (method, uri) = (request.method(), request.uri());
            let body = request.extensions().get::<SentBody>();
            let body = body.map(|it| &*it.0).unwrap_or_default();
            seen.push(HttpExchange::new(method, uri, request.headers(), body));
        }
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
        self.authorize(&mut request);
        // Not recorded: a redirect would take it along.
        if let Some(host) = host_address::host_field(request.uri()) {
            request.headers_mut().entry(header::HOST).or_insert(host);
        }
        let observed = self.auth_of(&request).map(|it| (it, request.uri().clone()));
        let response = next.handle(request)?;
        if let Some((auth, uri)) = observed {
            let status = response.status().as_u16();
            auth.authenticator.observe(status, &uri, response.headers());
        }
        let mut sent = self.sent.lock();
        if let Some(exchange) = sent.exchanges.as_mut().and_then(|seen| seen.last_mut()) {
            exchange.status = Some(response.status().as_u16());
        }
        drop(sent);
        Ok(response)
    }
}
