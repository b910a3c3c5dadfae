//! Requests of an authenticator: tokens and logins, beside the requests of a fetch.
//!
//! Runs on the source's fetch thread. Each opens a connection of its own, so that none is sent
//! twice because an idle connection was closed.

use std::time::Instant;

use ureq::Body;
use ureq::http::{HeaderMap, Response, Uri, header};

use super::Transport;
use crate::api::agent::{TransportSettings, build_config, make_agent, parse_proxy};
use crate::api::auth::{AuthClient, AuthResponse, DeniedResponse};
use crate::api::connect_error::RedirectScope;
use crate::api::content_coding;
use crate::api::error_context::ResponsePart;
use crate::api::http_response::FetchError;
use crate::api::origin;
use crate::api::outgoing_request::OutgoingRequest;
use crate::domain::failure::{Cause, Failure};
use crate::domain::time::Moment;
use crate::limits;
use crate::sys::tls::{OwnServer, Trust};

/// The transport of a source as its authenticator uses it.
pub struct AuthRequests<'a> {
    transport: &'a Transport,
    now: Moment,
}

impl Transport {
    pub(super) fn auth_requests(&self, now: Moment) -> AuthRequests<'_> {
        AuthRequests {
            transport: self,
            now,
        }
    }

    /// Gets what the first request of a fetch needs.
    pub(super) fn prepare_auth(&self, now: Moment) -> Result<(), FetchError> {
        match &self.settings.auth {
            Some(auth) => auth.authenticator.prepare(&self.auth_requests(now)),
            None => Ok(()),
        }
    }

    /// Whether a response refuses access that another credential might get.
    pub(super) fn is_denied(&self, response: &Response<Body>, from: &Uri) -> bool {
        let auth = self.settings.auth.as_ref().filter(|it| it.covers(from));
        let (status, headers) = (response.status().as_u16(), response.headers());
        auth.is_some_and(|it| it.authenticator.is_denied(status, from, headers))
    }

    /// Whether a response sets a cookie that the next request sends.
    pub(super) fn sets_cookie(&self, response: &Response<Body>, from: &Uri) -> bool {
        let auth = self.settings.auth.as_ref().filter(|it| it.covers(from));
        let has_cookie = response.headers().contains_key(header::SET_COOKIE);
        has_cookie && auth.is_some_and(|it| it.authenticator.keeps_cookies())
    }

    /// Whether a request that was denied is sent once more, with another credential.
    pub(super) fn renew_auth(
        &self,
        denied: &DeniedResponse,
        now: Moment,
    ) -> Result<bool, FetchError> {
        match &self.settings.auth {
            Some(auth) => auth.authenticator.renew(denied, &self.auth_requests(now)),
            None => Ok(false),
        }
    }

    /// Calls `work` with a client for requests of an authenticator, outside of any fetch.
    pub fn with_auth_client<T>(&self, now: Moment, work: impl FnOnce(&dyn AuthClient) -> T) -> T {
        self.begin(now, &Default::default());
        work(&self.auth_requests(now))
    }

    /// Whom a request of the authenticator trusts; none at the source's own server, where its own
    /// options hold.
    pub(super) fn trust_of_auth_request(&self, uri: &Uri) -> Option<&Trust> {
        let auth = self.settings.auth.as_ref()?;
        (!origin::same_origin(&auth.origin, uri)).then_some(&auth.trust)
    }

    fn auth_agent(&self, uri: &Uri) -> Result<ureq::Agent, String> {
        let settings = TransportSettings {
            keep_alive: false,
            timeout: self.settings.timeout.max(limits::AUTH_TIMEOUT),
            own_server: OwnServer::of(uri),
            ..self.settings.clone()
        };
        let proxy = settings.proxy.as_deref().map(parse_proxy).transpose()?;
        let config = build_config(&settings, proxy, self.sent.clone())?;
        let direct = build_config(&settings, None, self.sent.clone())?;
        Ok(make_agent(
            (&config, &direct),
            self.trust_of_auth_request(uri).unwrap_or(&self.trust),
            &self.control,
            &settings,
        ))
    }

    fn send_auth_request(
        &self,
        request: &OutgoingRequest,
        now: Moment,
    ) -> Result<AuthResponse, FetchError> {
        let agent = self
            .auth_agent(&request.uri)
            .map_err(|problem| FetchError::Failed(Failure::new(Cause::Connect, problem)))?;
        let mut response = request
            .send(&agent)
            .map_err(|error| self.classify(&error, ResponsePart::Head, now))?;
        let host = origin::display_host(&request.uri);
        let limit = limits::AUTH_BODY_BYTES;
        let codings = content_coding::named_codings(response.headers())
            .map_err(|error| FetchError::Failed(error.failure(&host, limit)))?;
        let received = response
            .body_mut()
            .with_config()
            .limit(limit)
            .read_to_vec()
            .map_err(|error| self.classify(&error, ResponsePart::Body, now))?;
        let decoded = content_coding::decode(received, &codings, limit)
            .map_err(|error| FetchError::Failed(error.failure(&host, limit)))?;
        let content_type = text_of_content_type(response.headers());
        self.record_body(&decoded.body, content_type.as_deref());
        Ok(AuthResponse {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: decoded.body,
        })
    }
}

fn text_of_content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(ureq::http::header::CONTENT_TYPE)?;
    value.to_str().ok().map(str::to_owned)
}

impl AuthClient for AuthRequests<'_> {
    fn send(&self, request: &OutgoingRequest) -> Result<AuthResponse, FetchError> {
        let transport = self.transport;
        let control = &transport.control;
        let scope = control.replace_scope(RedirectScope::Anywhere);
        // It has a time of its own.
        let time_left = control.time_left(transport.settings.timeout.into());
        let timeout = transport.settings.timeout.max(limits::AUTH_TIMEOUT);
        control.set_deadline(Instant::now() + timeout);
        let kept = control.keep_response();
        let fetch = transport.sent.lock().begin_auth_request();
        let response = transport.send_auth_request(request, self.now);
        transport.sent.lock().end_auth_request(fetch);
        drop(kept);
        control.set_deadline(Instant::now() + time_left);
        control.set_scope(scope);
        response
    }

    fn now(&self) -> Moment {
        self.now
    }

    fn is_stopping(&self) -> bool {
        self.transport.control.is_stopped()
    }

    fn deadline(&self) -> Instant {
        let left = self
            .transport
            .control
            .time_left(self.transport.settings.timeout.into());
        Instant::now() + left
    }
}
