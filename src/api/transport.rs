//! HTTP transport of one source: agent, redirects, one retry, error classification.
//!
//! Runs on the source's fetch thread; only [`Canceller`] is used from others. It knows
//! HTTP and nothing of JSON, schemas or readings. Each error becomes exactly one cause with a
//! message without query, user-info or secrets.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::{HeaderMap, HeaderValue, Method, Response, Uri, header};
use ureq::{Agent, Body, Error};

use super::agent::{TransportSettings, build_config, make_agent, parse_proxy};
use super::certificate_errors::clock_is_wrong;
use super::connect_error::{ConnectError, RedirectScope};
use super::connection_pool::{ConnectionPool, PoolPermit};
use super::content_coding::{self, CodingError};
use super::dns::DnsResolver;
use super::error_context::{ErrorContext, ResponsePart};
use super::error_mapping;
use super::fetch_control::FetchControl;
use super::http_exchange::HttpExchange;
use super::http_response::{FetchError, FetchedResponse, is_chunked};
use super::sent_request::{ClockTooEarly, RequestRecorder, SentRequest, Validators};
use super::status_errors::{AccessDenial, classify_status, proxy_failure};
use super::{error_message, origin, private_address, redirect};
use crate::domain::failure::{Cause, Failure};
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::sync::Mutex;
use crate::sys::tls::Trust;

/// Sends the first request of a fetch with the agent it is given; redirects are followed
/// here.
pub type SendRequest = dyn Fn(&Agent) -> Result<Response<Body>, Error> + std::marker::Send + Sync;

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

/// Cancels a transport from another thread, permanently.
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
        self.agent.lock().clone().shutdown();
    }
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
            &settings,
        )));
        Ok(Transport {
            settings,
            config,
            direct,
            trust,
            control,
            agent,
            sent,
        })
    }

    pub fn canceller(&self) -> Canceller {
        Canceller {
            control: self.control.clone(),
            pool: self.settings.pool.clone(),
            agent: self.agent.clone(),
        }
    }

    /// Closes every connection: after repeated failures an idle connection or a TLS session may
    /// be the cause.
    pub fn reset_connections(&mut self) {
        let pool = &self.settings.pool;
        // Other sources may use connections that the old one opened: it is not shut down.
        let configs = (&self.config, &self.direct);
        *self.agent.lock() = make_agent(configs, &self.trust, &self.control, &self.settings);
        pool.close_idle();
        if self.control.is_stopped() {
            self.agent.lock().clone().shutdown();
        }
    }

    /// Queues the next fetch, due at `due`; `get` needs its permit.
    pub fn queue(&self, due: Mono) -> PoolPermit {
        self.settings.pool.queue(due)
    }

    /// The warning when fetches wait for a whole interval.
    pub fn overload_warning(&self) -> String {
        self.settings.pool.overload_warning()
    }

    pub fn control(&self) -> &FetchControl {
        &self.control
    }

    /// Closes expired idle connections; returns when the next one expires.
    pub fn close_expired(&self) -> Option<Duration> {
        self.settings.pool.close_expired()
    }

    /// Starts recording requests and responses, for a command to show.
    pub fn record_exchanges(&self) {
        self.sent.lock().exchanges = Some(Vec::new());
    }

    /// Requests and responses of the last fetch; empty unless recorded.
    pub fn exchanges(&self) -> Vec<HttpExchange> {
        self.sent.lock().exchanges.clone().unwrap_or_default()
    }

    /// Records the start of the body, if recording.
    fn record_body(&self, body: &[u8], content_type: Option<&str>) {
        let mut sent = self.sent.lock();
        if let Some(exchange) = sent.exchanges.as_mut().and_then(|seen| seen.last_mut()) {
            exchange.set_body(body, content_type);
        }
    }

    /// Requests of the last fetch, redirects and retries included.
    pub fn requests(&self) -> u32 {
        self.sent.lock().requests
    }

    /// The first request of a fetch, which `send` makes, its redirects, the body.
    pub fn get(
        &self,
        now: Moment,
        validators: &Validators,
        send: &SendRequest,
    ) -> Result<FetchedResponse, FetchError> {
        let begun = Instant::now();
        self.control.set_deadline(begun + self.settings.timeout);
        let bounds = (self.settings.body_limit, self.settings.redirects);
        self.sent.lock().begin(now, validators, bounds);
        let agent = self.agent.lock().clone();
        self.control.set_scope(RedirectScope::Anywhere);
        let response = self.retry_if_closed(now, || send(&agent))?;
        self.follow_redirects(&agent, response, now, validators)
    }

    /// The URL of the first request of the last fetch.
    pub fn first_uri(&self) -> Uri {
        let first = self.sent.lock().first.clone();
        first.unwrap_or_default().0
    }

    /// One more page of the fetch that `get` began: within its time and body limit, with the
    /// headers of its first request, and one redirect more. `target` must have the origin of that.
    pub fn get_page(&self, now: Moment, target: &Uri) -> Result<FetchedResponse, FetchError> {
        let (source, headers) = self.sent.lock().first.clone().unwrap_or_default();
        self.sent.lock().redirects_left += 1;
        self.control
            .set_scope(self.redirect_scope(&source, target)?);
        let agent = self.agent.lock().clone();
        let response = self.send_get(&agent, now, target, &headers)?;
        self.follow_redirects(&agent, response, now, &Validators::default())
    }

    fn send_get(
        &self,
        agent: &Agent,
        now: Moment,
        target: &Uri,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, FetchError> {
        self.retry_if_closed(now, || {
            let mut request = agent.get(target.clone());
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.call()
        })
    }

    fn follow_redirects(
        &self,
        agent: &Agent,
        mut response: Response<Body>,
        now: Moment,
        validators: &Validators,
    ) -> Result<FetchedResponse, FetchError> {
        let mut seen: Vec<Uri> = Vec::new();
        let mut dropped = None;
        loop {
            let here = self.sent.lock().uri.clone().unwrap_or_default();
            if !redirect::is_redirect(response.status().as_u16()) {
                return self.read_response(response, &here, now, validators, dropped);
            }
            let host = origin::display_host(&here);
            let location = response.headers().get(header::LOCATION);
            let target = redirect::resolve_location(&here, location.map(HeaderValue::as_bytes))
                .map_err(|why| redirect_error(&host, &why))?;
            if self.sent.lock().method != Method::GET {
                return Err(post_redirect(&host, &target));
            }
            seen.push(here.clone());
            if seen.contains(&target) {
                return Err(redirect_error(&host, "redirect loop"));
            }
            let left = self.sent.lock().redirects_left.checked_sub(1);
            let Some(left) = left.filter(|_| seen.len() <= self.settings.redirects as usize) else {
                let more = format!("more than {} redirects", self.settings.redirects);
                return Err(redirect_error(&host, &more));
            };
            self.sent.lock().redirects_left = left;
            self.control.set_scope(self.redirect_scope(&here, &target)?);
            // Closes its connection instead of reading its body.
            drop(response);
            let mut headers = std::mem::take(&mut self.sent.lock().headers);
            if !redirect::keeps_credentials(&here, &target) {
                let accept = headers.remove(header::ACCEPT);
                if dropped.is_none() && has_credentials(&headers) {
                    let (from, to) = (
                        origin::display_origin(&here),
                        origin::display_origin(&target),
                    );
                    dropped = Some((from, to));
                }
                headers = accept.map(|it| (header::ACCEPT, it)).into_iter().collect();
            }
            // Where it ends counts: what is in between would redirect again.
            if let Some((_, to)) = &mut dropped {
                *to = origin::display_origin(&target);
            }
            response = self.send_get(agent, now, &target, &headers)?;
        }
    }

    /// Where a redirect from `here` may lead: from a public server to public addresses only, from
    /// a private one to the same machine (address or host name) only.
    fn redirect_scope(&self, here: &Uri, target: &Uri) -> Result<RedirectScope, FetchError> {
        let is_same_host = origin::same_host(here, target);
        if self.settings.proxy.is_some() {
            return self.scope_by_name(here, target, is_same_host);
        }
        let is_private = self.settings.is_private;
        Ok(match self.control.peer() {
            Some(peer) if is_private(peer) && is_same_host => RedirectScope::Anywhere,
            Some(peer) if is_private(peer) => RedirectScope::SameMachine(peer),
            _ => RedirectScope::PublicOnly(is_private),
        })
    }

    /// Behind a proxy the peer address is unknown: the addresses that the names have here decide,
    /// and for an unresolvable name whether it is a local one.
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
        let is_private = |uri: &Uri| match names.addresses(uri) {
            Ok(found) if found.is_empty() => Ok(private_address::is_local_name(
                uri.host().unwrap_or_default(),
            )),
            Ok(found) => Ok(found.into_iter().any(self.settings.is_private)),
            Err(ConnectError::Stopped) | Err(_) => Err(FetchError::Stopped),
        };
        let host = origin::display_host(target);
        let refuse = |detail| Err(FetchError::Failed(Failure::new(Cause::Redirect, detail)));
        if is_private(here)? {
            return refuse(error_mapping::redirect_to_other_machine(&host));
        }
        if is_private(target)? {
            refuse(error_mapping::redirect_to_private(&host))
        } else {
            Ok(RedirectScope::Anywhere)
        }
    }

    /// A server may close an idle connection just when it is reused: retries once on a new one.
    /// A POST too, since it is a query here (RFC 9110, 9.2.2), but only if nothing was answered.
    fn retry_if_closed(
        &self,
        now: Moment,
        send: impl Fn() -> Result<Response<Body>, Error>,
    ) -> Result<Response<Body>, FetchError> {
        let connections = self.control.connections_opened();
        self.control.forget_input();
        let mut result = send();
        if let Err(Error::Io(error)) = &result {
            use std::io::ErrorKind::*;
            let closed = matches!(
                error.kind(),
                UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe
            );
            let may_repeat = self.sent.lock().method == Method::GET || !self.control.has_input();
            if closed
                && may_repeat
                && self.control.connections_opened() == connections
                && !self.control.is_stopped()
            {
                // Other idle ones may be closed as well.
                self.settings.pool.close_idle();
                result = send();
            }
        }
        result.map_err(|error| self.classify(&error, ResponsePart::Head, now))
    }

    /// Checks the status and reads the body.
    fn read_response(
        &self,
        mut response: Response<Body>,
        from: &Uri,
        now: Moment,
        validators: &Validators,
        dropped: Option<(String, String)>,
    ) -> Result<FetchedResponse, FetchError> {
        let host = origin::display_host(from);
        let is_other_clock = !self.control.used_loopback();
        let mut fetched = FetchedResponse::from_head(&response, from, now, is_other_clock);
        match fetched.status {
            304 if !validators.is_empty() => return Ok(fetched),
            200..=203 | 206..=299 => {}
            code => {
                if self.config.proxy().is_some()
                    && let Some(failure) = proxy_failure(code, response.headers(), &host)
                {
                    if self.is_recording() {
                        self.read_start(&mut response);
                    }
                    return Err(FetchError::Failed(failure));
                }
                let retry_after = fetched.retry_after;
                let failure = self.explain_status(&mut response, &host, retry_after, dropped);
                return Err(FetchError::Failed(failure));
            }
        }
        let limit = self.settings.body_limit;
        let refuse = |error: CodingError| FetchError::Failed(error.failure(&host, limit));
        let codings = content_coding::named_codings(response.headers()).map_err(refuse)?;
        let context = self.error_context(&host, ResponsePart::Body, now);
        let left = self.sent.lock().body_limit;
        let received_limit = left.saturating_add(limits::CODING_OVERHEAD_BYTES);
        let content_length = response.body().content_length();
        fetched.is_end_marked = content_length.is_some() || is_chunked(response.headers());
        if content_length.is_some_and(|bytes| bytes > received_limit) {
            if self.is_recording() {
                self.read_start(&mut response);
            }
            return Err(FetchError::Failed(error_mapping::body_too_large(context)));
        }
        self.control.take_tls_close();
        let body = response.body_mut().with_config();
        let mut received = Vec::new();
        let read = body
            .limit(received_limit)
            .reader()
            .read_to_end(&mut received);
        if let Err(error) = read {
            let start = content_coding::decode_start(received, limit);
            self.record_body(&start, fetched.content_type.as_deref());
            return Err(self.classify(&error.into(), ResponsePart::Body, now));
        }
        let start = if self.is_recording() {
            received[..received.len().min(limits::ERROR_BODY_BYTES as usize)].to_vec()
        } else {
            Vec::new()
        };
        let decoded = content_coding::decode(received, &codings, left).map_err(|error| {
            let start = content_coding::decode_start(start, limits::ERROR_BODY_BYTES);
            self.record_body(&start, fetched.content_type.as_deref());
            refuse(error)
        })?;
        fetched.is_end_marked |= decoded.has_trailer || self.control.take_tls_close();
        fetched.body = decoded.body;
        self.sent.lock().body_limit = left.saturating_sub(fetched.body.len() as u64);
        self.record_body(&fetched.body, fetched.content_type.as_deref());
        // Closing the sockets can look like the end of a body without a length.
        if self.control.is_stopped() {
            Err(FetchError::Stopped)
        } else {
            Ok(fetched)
        }
    }

    /// The failure of a status without readings, with what the body says of it.
    fn explain_status(
        &self,
        response: &mut Response<Body>,
        host: &str,
        retry_after: Option<Duration>,
        dropped: Option<(String, String)>,
    ) -> Failure {
        let code = response.status().as_u16();
        let start = if code >= 400 || self.is_recording() {
            self.read_start(response)
        } else {
            Vec::new()
        };
        let sent = self.sent.lock().headers.get(header::AUTHORIZATION).cloned();
        let denial = AccessDenial::read(response.headers(), &start, sent.as_ref(), dropped);
        let mut failure = classify_status(code, host, retry_after, &denial);
        failure.detail += &error_message::describe_body(&start);
        failure
    }

    /// The start of a body that gives no readings; what cannot be read is left out.
    fn read_start(&self, response: &mut Response<Body>) -> Vec<u8> {
        let mut text = Vec::new();
        let body = response.body_mut().as_reader();
        let _ = body.take(limits::ERROR_BODY_BYTES).read_to_end(&mut text);
        let text = content_coding::decode_start(text, limits::ERROR_BODY_BYTES);
        let kind = response.headers().get(header::CONTENT_TYPE);
        self.record_body(&text, kind.and_then(|kind| kind.to_str().ok()));
        text
    }

    fn is_recording(&self) -> bool {
        self.sent.lock().exchanges.is_some()
    }

    fn classify(&self, error: &Error, part: ResponsePart, now: Moment) -> FetchError {
        let uri = self.sent.lock().uri.clone().unwrap_or_default();
        let host = match &self.config.proxy() {
            // The connection that failed was to the proxy.
            Some(proxy) if is_connect_error(error) => {
                format!("the proxy {}", origin::display_host(proxy.uri()))
            }
            _ => origin::display_host(&uri),
        };
        let context = self.error_context(&host, part, now);
        if self.control.is_stopped() {
            return FetchError::Stopped;
        }
        if let Error::Other(inner) = error
            && inner.is::<ClockTooEarly>()
        {
            return FetchError::Failed(clock_is_wrong(context));
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

/// Whether there are headers other than those of every request.
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

fn post_redirect(host: &str, target: &Uri) -> FetchError {
    let detail = format!(
        "{host} answers the POST with a redirect to {}{}, and a POST follows none: if that is the \
         right address, write it as `url`; if not, see whether the request lacks a login",
        origin::display_origin(target),
        target.path()
    );
    FetchError::Failed(Failure::new(Cause::Redirect, detail))
}

fn redirect_error(host: &str, why: &str) -> FetchError {
    let detail = format!("invalid redirect from {host}: {why}");
    FetchError::Failed(Failure::new(Cause::Redirect, detail))
}

#[cfg(test)]
#[path = "tests/transport.rs"]
mod tests;
