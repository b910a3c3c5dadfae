//! HTTP transport of one source: agent, requests, one retry, error classification.
//!
//! Runs on the source's fetch thread; only [`Canceller`] is used from others. It knows
//! HTTP and nothing of JSON, schemas or readings. Each error becomes exactly one cause with a
//! message without query, user-info or secrets.

mod auth_requests;
mod redirects;
mod response_reader;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::{HeaderMap, Method, Response, Uri};
use ureq::{Agent, Body, Error};

use super::agent::{TransportSettings, build_config, make_agent, parse_proxy};
use super::certificate_errors::clock_is_wrong;
use super::connect_error::{ConnectError, RedirectScope};
use super::connection_pool::{ConnectionPool, PoolPermit};
use super::error_context::{ErrorContext, ResponsePart};
use super::error_mapping;
use super::fetch_control::FetchControl;
use super::http_exchange::HttpExchange;
use super::http_response::{FetchError, FetchedResponse};
use super::origin;
use super::outgoing_request::SendRequest;
use super::sent_request::{ClockTooEarly, SentRequest};
use super::validators::Validators;
use crate::domain::redact::Secrets;
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::sync::Mutex;
use crate::sys::tls::{Trust, TrustOptionNames, pin_advice};

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
        let config = build_config(&settings, proxy, sent.clone())?;
        let direct = build_config(&settings, None, sent.clone())?;
        let trust = Trust::of(&settings.trust)?;
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

    /// Queues the next fetch, due at `due`; [`Transport::fetch`] needs its permit.
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
        let is_auth_request = sent.is_auth_request;
        if let Some(exchange) = sent.exchanges.as_mut().and_then(|seen| seen.last_mut()) {
            if is_auth_request {
                exchange.set_login_body(body, content_type);
            } else {
                exchange.set_body(body, content_type);
            }
        }
    }

    /// Requests of the last fetch, redirects and retries included.
    pub fn requests(&self) -> u32 {
        self.sent.lock().requests
    }

    /// The first request of a fetch, which `send` makes, its redirects, the body.
    pub fn fetch(
        &self,
        now: Moment,
        validators: &Validators,
        send: &SendRequest,
    ) -> Result<FetchedResponse, FetchError> {
        self.begin(now, validators);
        let agent = self.agent.lock().clone();
        self.prepare_auth(now)?;
        self.control.set_scope(RedirectScope::Anywhere);
        let send = || self.retry_if_closed(now, || send(&agent));
        self.follow_redirects(&agent, &send, now, validators)
    }

    fn begin(&self, now: Moment, validators: &Validators) {
        let begun = Instant::now();
        self.control.set_deadline(begun + self.settings.timeout);
        let bounds = (self.settings.body_limit, self.settings.redirects);
        self.sent.lock().begin(now, validators, bounds);
    }

    /// What the authenticator has got since the start and is never shown.
    pub fn auth_secrets(&self) -> Option<Arc<Secrets>> {
        let auth = self.settings.auth.as_ref()?;
        Some(auth.authenticator.secrets()).filter(|it| !it.is_empty())
    }

    /// The URL of the first request of the last fetch.
    pub fn first_uri(&self) -> Uri {
        let first = self.sent.lock().first.clone();
        first.unwrap_or_default().0
    }

    /// One more page of the fetch that [`Transport::fetch`] began: within its time and body limit, with the
    /// headers of its first request, and one redirect more. `target` must have the origin of that.
    pub fn fetch_page(&self, now: Moment, target: &Uri) -> Result<FetchedResponse, FetchError> {
        let (source, headers) = self.sent.lock().first.clone().unwrap_or_default();
        self.sent.lock().redirects_left += 1;
        self.control
            .set_scope(self.redirect_scope(&source, target)?);
        let agent = self.agent.lock().clone();
        let send = || self.send_get(&agent, now, target, &headers);
        self.follow_redirects(&agent, &send, now, &Validators::default())
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

    /// Records the certificate that was not accepted, if recording.
    fn record_pin_advice(&self, error: &Error, options: &TrustOptionNames) {
        let mut sent = self.sent.lock();
        if let Some(exchange) = sent.exchanges.as_mut().and_then(|seen| seen.last_mut()) {
            let error = error_mapping::tls_error(error);
            exchange.pin_advice = error.and_then(|it| pin_advice(it, options));
        }
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
        let mut context = self.error_context(&host, part, now);
        let is_auth_request = self.sent.lock().is_auth_request;
        if is_auth_request && let Some(trust) = self.trust_of_auth_request(&uri) {
            context.has_ca_file = trust.has_ca_file();
            context.has_client_certificate = trust.has_client_certificate();
            context.trust_options = &TrustOptionNames::AUTH;
        }
        if is_auth_request {
            context.body_limit = limits::AUTH_BODY_BYTES;
        }
        if self.control.is_stopped() {
            return FetchError::Stopped;
        }
        if let Error::Other(inner) = error
            && inner.is::<ClockTooEarly>()
        {
            return FetchError::Failed(clock_is_wrong(context));
        }
        self.record_pin_advice(error, context.trust_options);
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
            has_ca_file: self.settings.trust.ca_file.is_some(),
            has_client_certificate: self.settings.trust.client_certificate.is_some(),
            trust_options: &TrustOptionNames::SOURCE,
            now,
        }
    }
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
                | ConnectError::NoAddress(_)
                | ConnectError::Connect(_)
                | ConnectError::ConnectTimeout
        )
    )
}

#[cfg(test)]
#[path = "tests/transport.rs"]
mod tests;
