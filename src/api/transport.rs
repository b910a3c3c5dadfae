//! One source's way to its API: an HTTP agent with every limit set, redirects, and what a
//! failure is called.
//!
//! Runs on the source's fetch thread; only [`Canceller`] is used from others. It knows
//! HTTP and nothing of JSON, schemas or readings. Each failure comes out as exactly one
//! cause with a sentence that holds no query, user-info or secret.

use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ureq::config::Config;
use ureq::http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector};
use ureq::{Agent, Body, Error, SendBody};

use super::connect::{ConnectError, DnsResolver, FetchControl, RedirectScope, TcpConnector};
use super::connection_pool::{ConnectionPool, PoolPermit, PoolingConnector};
use super::error_mapping::{self, AccessDenial, ErrorContext, ResponsePart};
use super::http_exchange::HttpExchange;
use super::proxy::HttpProxyConnector;
use super::{private_address, redirect};
use crate::domain::health::{Cause, Failure};
use crate::domain::percent;
use crate::domain::time::{Moment, Mono, Wall};
use crate::limits;
use crate::sys::tls::{Tls, Trust};

/// What a source's configuration says about its requests.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// The whole of one fetch, redirects included.
    pub timeout: Duration,
    /// Of the body, after decompression.
    pub body_limit: u64,
    pub redirects: u32,
    /// Certificates to trust instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// `http://host:port`, used for everything; the environment's proxies are not.
    pub proxy: Option<String>,
    pub user_agent: String,
    /// The connections that it shares with the other sources of its server.
    pub pool: Arc<ConnectionPool>,
    /// Which addresses an answer from outside must not lead to; tests have others.
    pub is_private: fn(IpAddr) -> bool,
}

impl Default for TransportSettings {
    fn default() -> TransportSettings {
        TransportSettings {
            timeout: limits::FETCH_TIMEOUT,
            body_limit: limits::BODY_BYTES,
            redirects: limits::REDIRECTS,
            ca_file: None,
            proxy: None,
            user_agent: concat!("main-node/", env!("CARGO_PKG_VERSION")).to_owned(),
            pool: ConnectionPool::new("", limits::CONNECTIONS_TO_A_DEVICE),
            is_private: private_address::is_private,
        }
    }
}

/// Sends the first request of a fetch with the agent it is given; redirects are followed
/// here.
pub type SendRequest = dyn Fn(&Agent) -> Result<Response<Body>, Error> + std::marker::Send + Sync;

/// What makes a request conditional: what the server called its last answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl Validators {
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// An answer that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedResponse {
    /// 2xx with a body, or 304 if the request was conditional.
    pub status: u16,
    /// After decompression.
    pub body: Vec<u8>,
    pub validators: Validators,
    /// The server's clock, unless it is this machine's or a cache may have kept the answer.
    pub date: Option<Wall>,
    /// The origin that answered in the end: `https://example.org`.
    pub origin: String,
    pub is_html: bool,
    /// A wait that the server asked for beside a good answer.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The node is stopping; nothing is to be said about the source.
    Stopped,
    Failed(Failure),
}

pub struct Transport {
    settings: TransportSettings,
    /// With the proxy, if there is one, and without.
    config: Config,
    direct: Config,
    trust: Trust,
    control: Arc<FetchControl>,
    agent: Arc<Mutex<Agent>>,
    sent: Arc<Mutex<SentRequest>>,
}

/// Ends what a transport is doing, from another thread and for good.
#[derive(Clone)]
pub struct Canceller {
    control: Arc<FetchControl>,
    pool: Arc<ConnectionPool>,
    agent: Arc<Mutex<Agent>>,
}

impl Canceller {
    pub fn cancel(&self) {
        self.control.stop();
        self.pool.wake();
        lock(&self.agent).clone().shutdown();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Transport {
    /// `Err` says what is wrong with the settings and what to change.
    pub fn new(settings: TransportSettings) -> Result<Transport, String> {
        let control = Arc::new(FetchControl::default());
        let sent = Arc::new(Mutex::new(SentRequest::default()));
        let proxy = settings.proxy.as_deref().map(parse_proxy).transpose()?;
        let config = build_config(&settings, proxy, RequestRecorder(sent.clone()))?;
        let direct = build_config(&settings, None, RequestRecorder(sent.clone()))?;
        let trust = Trust::of(settings.ca_file.as_deref())?;
        let agent = Arc::new(Mutex::new(make_agent(
            (&config, &direct),
            &trust,
            &control,
            &settings.pool,
        )));
        Ok(Transport {
            settings,
            config,
            direct,
            trust,
            control: control,
            agent,
            sent: sent,
        })
    }

    pub fn canceller(&self) -> Canceller {
        Canceller {
            control: self.control.clone(),
            pool: self.settings.pool.clone(),
            agent: self.agent.clone(),
        }
    }

    /// Forgets every connection. After repeated failures nothing that is kept (a half-dead
    /// connection, a TLS session) is worth trusting.
    pub fn reset_connections(&mut self) {
        let pool = &self.settings.pool;
        // Other sources may use connections that the old one opened: it is not shut down.
        let configs = (&self.config, &self.direct);
        *lock(&self.agent) = make_agent(configs, &self.trust, &self.control, pool);
        pool.close_idle();
        if self.control.is_stopped() {
            lock(&self.agent).clone().shutdown();
        }
    }

    /// Queues the next fetch, which fell due at `due`: it needs its turn before `get`.
    pub fn queue(&self, due: Mono) -> PoolPermit {
        self.settings.pool.queue(due)
    }

    /// What is to be said where sources ask for more than their server can answer.
    pub fn overload_warning(&self) -> String {
        self.settings.pool.overload_warning()
    }

    pub fn control(&self) -> &FetchControl {
        &self.control
    }

    /// Closes connections that have been idle for too long; how soon the next one will have.
    pub fn close_expired(&self) -> Option<Duration> {
        self.settings.pool.close_expired()
    }

    /// From now on keeps what is sent and answered, for a command to show.
    pub fn record_exchanges(&self) {
        lock(&self.sent).exchanges = Some(Vec::new());
    }

    /// What the last fetch sent and was answered; empty unless it is watched.
    pub fn exchanges(&self) -> Vec<HttpExchange> {
        lock(&self.sent).exchanges.clone().unwrap_or_default()
    }

    /// Notes how the answer begins, if somebody watches.
    fn record_body(&self, body: &[u8]) {
        let mut sent = lock(&self.sent);
        if let Some(exchange) = sent.exchanges.as_mut().and_then(|seen| seen.last_mut()) {
            exchange.set_body(body);
        }
    }

    /// Requests that the last fetch sent, or tried to: redirects and second tries count.
    pub fn requests(&self) -> u32 {
        lock(&self.sent).requests
    }

    /// One whole fetch: the request that `send` makes, its redirects, the body.
    pub fn get(
        &self,
        now: Moment,
        validators: &Validators,
        send: &SendRequest,
    ) -> Result<FetchedResponse, FetchError> {
        let begun = Instant::now();
        self.control.set_deadline(begun + self.settings.timeout);
        lock(&self.sent).begin(now, validators);
        let agent = lock(&self.agent).clone();
        self.control.set_scope(RedirectScope::Anywhere);

        let mut response = self.retry_if_closed(now, || send(&agent))?;
        let mut seen: Vec<Uri> = Vec::new();
        let mut dropped = None;
        loop {
            let here = lock(&self.sent).uri.clone().unwrap_or_default();
            if !redirect::is_redirect(response.status().as_u16()) {
                return self.read_response(response, &here, now, validators, dropped);
            }
            let host = redirect::display_host(&here);
            let location = response.headers().get(header::LOCATION);
            let target = redirect::resolve_location(&here, location.map(HeaderValue::as_bytes))
                .map_err(|why| redirect_error(&host, &why))?;
            seen.push(here.clone());
            if seen.contains(&target) {
                return Err(redirect_error(&host, "in a circle"));
            }
            if seen.len() > self.settings.redirects as usize {
                let more = format!("on and on, more than {} times", self.settings.redirects);
                return Err(redirect_error(&host, &more));
            }
            self.control.set_scope(self.redirect_scope(&here, &target)?);
            // Its connection is given up rather than its body read.
            drop(response);
            let mut headers = std::mem::take(&mut lock(&self.sent).headers);
            if !redirect::keeps_credentials(&here, &target) {
                let accept = headers.remove(header::ACCEPT);
                if has_credentials(&headers) {
                    let (from, to) = (
                        redirect::display_origin(&here),
                        redirect::display_origin(&target),
                    );
                    dropped.get_or_insert((from, to));
                }
                headers = accept.map(|it| (header::ACCEPT, it)).into_iter().collect();
            }
            response = self.retry_if_closed(now, || {
                let mut request = agent.get(target.clone());
                for (name, value) in &headers {
                    request = request.header(name, value);
                }
                request.call()
            })?;
        }
    }

    /// Where a redirect from `here` may be followed to: from outside nowhere inside, from
    /// inside on the same machine only, which one name stands for too.
    fn redirect_scope(&self, here: &Uri, target: &Uri) -> Result<RedirectScope, FetchError> {
        let is_same_host = redirect::same_host(here, target);
        if self.settings.proxy.is_some() {
            return self.scope_by_name(here, target, is_same_host);
        }
        let is_inside = self.settings.is_private;
        Ok(match self.control.peer() {
            Some(peer) if is_inside(peer) && is_same_host => RedirectScope::Anywhere,
            Some(peer) if is_inside(peer) => RedirectScope::SameMachine(peer),
            _ => RedirectScope::PublicOnly(is_inside),
        })
    }

    /// A proxy connects for us, and to what stays unknown: what the names mean here decides,
    /// and one that means nothing here is inside unless it is one of the world's.
    fn scope_by_name(
        &self,
        here: &Uri,
        target: &Uri,
        is_same_host: bool,
    ) -> Result<RedirectScope, FetchError> {
        if is_same_host {
            return Ok(RedirectScope::Anywhere);
        }
        let names = DnsResolver(self.control.clone());
        let is_inside = |uri: &Uri| match names.addresses(uri) {
            Ok(found) if found.is_empty() => Ok(private_address::is_local_name(
                uri.host().unwrap_or_default(),
            )),
            Ok(found) => Ok(found.into_iter().any(self.settings.is_private)),
            Err(ConnectError::Stopped) | Err(_) => Err(FetchError::Stopped),
        };
        let host = redirect::display_host(target);
        let refused = |detail| Err(FetchError::Failed(Failure::new(Cause::Redirect, detail)));
        if is_inside(here)? {
            return refused(error_mapping::redirect_to_other_machine(&host));
        }
        match is_inside(target)? {
            true => refused(error_mapping::redirect_to_private(&host)),
            false => Ok(RedirectScope::Anywhere),
        }
    }

    /// A server may close a kept connection just when it is used again: that says nothing
    /// about the server, and is tried once more on a fresh one.
    fn retry_if_closed(
        &self,
        now: Moment,
        send: impl Fn() -> Result<Response<Body>, Error>,
    ) -> Result<Response<Body>, FetchError> {
        let connections = self.control.connections_opened();
        let mut answer = send();
        if let Err(Error::Io(error)) = &answer {
            use std::io::ErrorKind::*;
            let closed = matches!(
                error.kind(),
                UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe
            );
            if closed
                && self.control.connections_opened() == connections
                && !self.control.is_stopped()
            {
                // Others that are kept may be as dead.
                self.settings.pool.close_idle();
                answer = send();
            }
        }
        answer.map_err(|error| self.classify(&error, ResponsePart::Head, now))
    }

    /// Judges the status and reads the body.
    fn read_response(
        &self,
        mut response: Response<Body>,
        from: &Uri,
        now: Moment,
        validators: &Validators,
        dropped: Option<(String, String)>,
    ) -> Result<FetchedResponse, FetchError> {
        let host = redirect::display_host(from);
        let headers = response.headers();
        let text = |name: header::HeaderName| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(|value| value.trim().to_owned())
        };
        let date = text(header::DATE).and_then(|date| http_date(&date));
        let retry_after =
            text(header::RETRY_AFTER).and_then(|wait| retry_after(&wait, date.unwrap_or(now.wall)));
        let short = |text: &String| text.len() <= limits::VALIDATOR_BYTES;
        let status = response.status().as_u16();
        let vouches = !self.control.used_loopback() && is_origin_date(status, headers);
        let mut fetched = FetchedResponse {
            status,
            body: Vec::new(),
            validators: Validators {
                etag: text(header::ETAG).filter(short),
                last_modified: text(header::LAST_MODIFIED).filter(short),
            },
            date: date.filter(|_| vouches),
            origin: redirect::display_origin(from),
            is_html: text(header::CONTENT_TYPE)
                .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html")),
            retry_after,
        };
        match fetched.status {
            304 if !validators.is_empty() => return Ok(fetched),
            200..=203 | 206..=299 => {}
            code => {
                let denial = self.read_denial(&mut response, dropped);
                let failure = error_mapping::classify_status(code, &host, retry_after, &denial);
                return Err(FetchError::Failed(failure));
            }
        }
        if let Some(coding) = text(header::CONTENT_ENCODING)
            && !matches!(coding.to_ascii_lowercase().as_str(), "" | "identity")
        {
            let detail = format!("{host} packed its answer in a way that was not asked for");
            return Err(FetchError::Failed(Failure::new(Cause::Protocol, detail)));
        }
        let context = self.error_context(&host, ResponsePart::Body, now);
        let announced = response.body().content_length();
        if announced.is_some_and(|bytes| bytes > self.settings.body_limit) {
            return Err(FetchError::Failed(error_mapping::body_too_large(context)));
        }
        let body = response.body_mut().with_config();
        fetched.body = body
            .limit(self.settings.body_limit)
            .read_to_vec()
            .map_err(|error| self.classify(&error, ResponsePart::Body, now))?;
        self.record_body(&fetched.body);
        // Closing the sockets can look like the end of a body without a length.
        match self.control.is_stopped() {
            true => Err(FetchError::Stopped),
            false => Ok(fetched),
        }
    }

    /// What an answer that is refused says about why.
    fn read_denial(
        &self,
        response: &mut Response<Body>,
        dropped: Option<(String, String)>,
    ) -> AccessDenial {
        let headers = response.headers();
        let words = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let challenges: Vec<String> = challenges.map(words).collect();
        let is_spent = [
            "x-ratelimit-remaining",
            "ratelimit-remaining",
            "x-rate-limit-remaining",
        ]
        .iter()
        .any(|name| headers.get(*name).is_some_and(|value| value == "0"));
        let mut text = Vec::new();
        let is_watched = lock(&self.sent).exchanges.is_some();
        if response.status() == 403 || is_watched {
            // What cannot be read says nothing.
            let body = response.body_mut().as_reader();
            let _ = body.take(limits::REFUSAL_BYTES).read_to_end(&mut text);
            self.record_body(&text);
        }
        let sent = lock(&self.sent)
            .headers
            .get(header::AUTHORIZATION)
            .map(words);
        AccessDenial {
            challenges,
            sent_scheme: sent.and_then(|it| Some(it.split_whitespace().next()?.to_owned())),
            mentions_quota: is_spent || error_mapping::mentions_quota(&text),
            dropped_credentials: dropped,
        }
    }

    fn classify(&self, error: &Error, part: ResponsePart, now: Moment) -> FetchError {
        let uri = lock(&self.sent).uri.clone().unwrap_or_default();
        let host = match &self.config.proxy() {
            // What cannot be connected to is the proxy: it connects to the host.
            Some(proxy) if is_connect_error(error) => {
                format!("the proxy {}", redirect::display_host(proxy.uri()))
            }
            _ => redirect::display_host(&uri),
        };
        let context = self.error_context(&host, part, now);
        if self.control.is_stopped() {
            return FetchError::Stopped;
        }
        if let Error::Other(inner) = error
            && inner.is::<ClockTooEarly>()
        {
            return FetchError::Failed(error_mapping::clock_is_wrong(context));
        }
        match error_mapping::classify_error(error, context) {
            Some(failure) => FetchError::Failed(failure),
            None => FetchError::Stopped,
        }
    }

    fn error_context<'a>(
        &self,
        host: &'a str,
        part: ResponsePart,
        now: Moment,
    ) -> ErrorContext<'a> {
        ErrorContext {
            host,
            part,
            timeout: self.settings.timeout,
            body_limit: self.settings.body_limit,
            has_ca_file: self.settings.ca_file.is_some(),
            now,
        }
    }
}

/// Whether more than what every request has is among its headers.
fn has_credentials(headers: &HeaderMap) -> bool {
    let usual = [
        header::ACCEPT_ENCODING,
        header::HOST,
        header::IF_MODIFIED_SINCE,
        header::IF_NONE_MATCH,
        header::USER_AGENT,
    ];
    headers.keys().any(|name| !usual.contains(name))
}

fn is_connect_error(error: &Error) -> bool {
    let Error::Other(inner) = error else {
        return false;
    };
    matches!(
        inner.downcast_ref(),
        Some(
            ConnectError::Lookup(_)
                | ConnectError::LookupTimeout
                | ConnectError::Connect(_)
                | ConnectError::ConnectTimeout
        )
    )
}

fn redirect_error(host: &str, why: &str) -> FetchError {
    let detail = format!("{host} sends the node {why}");
    FetchError::Failed(Failure::new(Cause::Redirect, detail))
}

fn make_agent(
    (config, direct): (&Config, &Config),
    trust: &Trust,
    control: &Arc<FetchControl>,
    pool: &Arc<ConnectionPool>,
) -> Agent {
    let opens = ()
        .chain(HttpProxyConnector {
            direct: direct.clone(),
        })
        .chain(ConnectProxyConnector::default())
        .chain(TcpConnector(control.clone()))
        .chain(Tls::new(trust.clone()));
    let connector = PoolingConnector {
        connector: opens,
        pool: pool.clone(),
        control: control.clone(),
        has_proxy: config.proxy().is_some(),
    };
    Agent::with_parts(config.clone(), connector, DnsResolver(control.clone()))
}

fn build_config(
    settings: &TransportSettings,
    proxy: Option<ureq::Proxy>,
    recorder: RequestRecorder,
) -> Result<Config, String> {
    if HeaderValue::from_str(&settings.user_agent).is_err() {
        return Err("expected a user agent of printable ASCII".to_owned());
    }
    Ok(Agent::config_builder()
        .timeout_global(Some(settings.timeout))
        .timeout_resolve(Some(limits::RESOLVE_TIMEOUT.min(settings.timeout)))
        .timeout_connect(Some(limits::CONNECT_TIMEOUT.min(settings.timeout)))
        .timeout_recv_response(Some(settings.timeout))
        .http_status_as_error(false)
        // Followed here: ureq would take custom headers along to another host.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(limits::RESPONSE_HEAD_BYTES)
        // One byte more than a head may have, or ureq waits for room instead of failing.
        .input_buffer_size(limits::RESPONSE_HEAD_BYTES + 1)
        .output_buffer_size(limits::TRANSPORT_BUFFER_BYTES)
        // `pool` keeps them, for all sources of a server.
        .max_idle_connections(0)
        .user_agent(settings.user_agent.as_str())
        .proxy(proxy)
        .middleware(recorder)
        .build())
}

fn parse_proxy(text: &str) -> Result<ureq::Proxy, String> {
    let wrong = "expected a proxy as http://host:port or https://host:port";
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(wrong.to_owned());
    }
    ureq::Proxy::new(text).map_err(|_| wrong.to_owned())
}

/// What the agent's request was, as it went out: generated code makes it, and redirects
/// and sentences need it.
#[derive(Debug)]
struct SentRequest {
    now: Option<Moment>,
    validators: Validators,
    uri: Option<Uri>,
    headers: HeaderMap,
    /// Requests sent for this fetch.
    requests: u32,
    /// All of them, where somebody watches.
    exchanges: Option<Vec<HttpExchange>>,
}

impl Default for SentRequest {
    fn default() -> SentRequest {
        SentRequest {
            now: None,
            validators: Validators::default(),
            uri: None,
            headers: HeaderMap::new(),
            requests: 0,
            exchanges: None,
        }
    }
}

impl SentRequest {
    fn begin(&mut self, now: Moment, validators: &Validators) {
        *self = SentRequest {
            now: Some(now),
            validators: validators.clone(),
            exchanges: self.exchanges.as_ref().map(|_| Vec::new()),
            ..SentRequest::default()
        };
    }
}

/// TLS must not begin: certificates cannot be judged by a clock that is surely wrong, and
/// one before 1970 panics inside the TLS library.
#[derive(Debug)]
struct ClockTooEarly;

impl std::fmt::Display for ClockTooEarly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the clock is too early")
    }
}

impl std::error::Error for ClockTooEarly {}

/// Sees every request on its way out: makes the first one conditional, and notes it.
struct RequestRecorder(Arc<Mutex<SentRequest>>);

impl Middleware for RequestRecorder {
    fn handle(
        &self,
        mut request: Request<SendBody>,
        next: MiddlewareNext,
    ) -> Result<Response<Body>, Error> {
        {
            let mut sent = lock(&self.0);
            if sent.uri.is_none() {
                let Validators {
                    etag,
                    last_modified,
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
            if let Some(login) = basic_auth(request.uri())
                && !request.headers().contains_key(header::AUTHORIZATION)
            {
                request.headers_mut().insert(header::AUTHORIZATION, login);
            }
            sent.uri = Some(request.uri().clone());
            sent.headers = request.headers().clone();
            let too_early = sent
                .now
                .is_none_or(|now| now.wall.second() < limits::EARLIEST_WALL_S);
            if too_early && request.uri().scheme_str() == Some("https") {
                return Err(Error::Other(Box::new(ClockTooEarly)));
            }
            sent.requests += 1;
            if let Some(seen) = &mut sent.exchanges {
                let (method, uri) = (request.method(), request.uri());
                seen.push(HttpExchange::new(method, uri, request.headers()));
            }
        }
        let response = next.handle(request)?;
        let mut sent = lock(&self.0);
        if let Some(exchange) = sent.exchanges.as_mut().and_then(|seen| seen.last_mut()) {
            exchange.status = Some(response.status().as_u16());
        }
        drop(sent);
        Ok(response)
    }
}

/// The credentials of `http://user:p%40ss@host/`, decoded, which ureq would send as they stand.
fn basic_auth(uri: &Uri) -> Option<HeaderValue> {
    let (login, _) = uri.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let pair = [percent::decode(user), percent::decode(password)].join(&b':');
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a `Date` says when the answer was sent: what a cache hands out has `Age`, and a 304
/// may be its word alone.
fn is_origin_date(status: u16, headers: &HeaderMap) -> bool {
    status != 304 && !headers.contains_key(header::AGE)
}

/// `Retry-After`: seconds, or a date beside the server's own `Date`.
fn retry_after(text: &str, server_now: Wall) -> Option<Duration> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().unwrap_or(u64::MAX);
        return (!text.is_empty()).then(|| Duration::from_secs(seconds).min(limits::RETRY_AFTER));
    }
    http_date(text).map(|until| until.since(server_now).min(limits::RETRY_AFTER))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Wall> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Wall(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_out_of_a_cache_vouches_for_no_clock() {
        for (status, fields, expected) in [
            (200, &[][..], true),
            (203, &[("x-cache", "MISS")], true),
            (200, &[("age", "0")], false),
            (200, &[("Age", "86400")], false),
            (304, &[], false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let name = header::HeaderName::try_from(*name).expect("a name");
                headers.insert(name, HeaderValue::from_static(value));
            }
            let found = is_origin_date(status, &headers);
            assert_eq!(found, expected, "{status} {fields:?}");
        }
    }

    #[test]
    fn the_user_name_and_password_of_an_address_are_decoded_once() {
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
