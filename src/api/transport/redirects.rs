//! Redirects and next pages: which are followed, with which headers, and to which addresses.
//!
//! Runs on the source's fetch thread.

use ureq::http::{HeaderValue, Method, Response, Uri, header};
use ureq::{Agent, Body};

use super::Transport;
use crate::api::connect_error::{ConnectError, RedirectScope};
use crate::api::dns::DnsResolver;
use crate::api::http_response::{FetchError, FetchedResponse};
use crate::api::status_errors::has_credentials;
use crate::api::validators::Validators;
use crate::api::{error_mapping, origin, private_address, redirect};
use crate::domain::failure::{Cause, Failure};
use crate::domain::time::Moment;
use crate::limits;

/// What became of a response that refuses access.
enum DenialResult {
    /// There is another credential: the request is sent again.
    Renewed,
    /// There is none, and the response is read.
    Taken(Box<FetchedResponse>),
    /// There is none; its redirect is followed.
    Redirect(Response<Body>),
}

impl Transport {
    /// Sends a request by `send`, once more where it is denied and another credential can be got,
    /// and follows its redirects.
    pub(super) fn follow_redirects(
        &self,
        agent: &Agent,
        send: &dyn Fn() -> Result<Response<Body>, FetchError>,
        now: Moment,
        validators: &Validators,
    ) -> Result<FetchedResponse, FetchError> {
        let mut seen: Vec<Uri> = Vec::new();
        let mut dropped = None;
        let mut response = send()?;
        let mut auth_retries = limits::AUTH_RETRIES;
        loop {
            let here = self.sent.lock().uri.clone().unwrap_or_default();
            let status = response.status().as_u16();
            if auth_retries > 0 && self.is_denied(&response, &here) {
                auth_retries -= 1;
                match self.renew_denied(response, &here, now, validators, &dropped)? {
                    DenialResult::Renewed => {
                        seen.clear();
                        dropped = None;
                        response = send()?;
                        continue;
                    }
                    DenialResult::Taken(fetched) => return Ok(*fetched),
                    DenialResult::Redirect(redirect) => response = redirect,
                }
            }
            if !redirect::is_redirect(status) {
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
            if self.sets_cookie(&response, &here) {
                // The same address may give another response now.
                seen.clear();
            }
            if seen.contains(&target) {
                return Err(redirect_error(&host, loop_reason(&response)));
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
                let sent = self.sent.lock().authorized.clone();
                if dropped.is_none() && has_credentials(&sent.1) {
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

    /// Reads a response that refuses access, whose connection may be the only one that the server
    /// takes, and asks for another credential.
    fn renew_denied(
        &self,
        response: Response<Body>,
        here: &Uri,
        now: Moment,
        validators: &Validators,
        dropped: &Option<(String, String)>,
    ) -> Result<DenialResult, FetchError> {
        let status = response.status().as_u16();
        if status >= 400 {
            let denied = self.read_denied(response);
            if self.renew_auth(&denied, now)? {
                return Ok(DenialResult::Renewed);
            }
            return Err(self.denied_error(&denied, here, now, dropped.clone()));
        }
        let headers = response.headers().clone();
        let mut redirect = Response::new(Body::builder().data(Vec::new()));
        *redirect.status_mut() = response.status();
        *redirect.headers_mut() = headers.clone();
        let fetched = if redirect::is_redirect(status) {
            drop(response);
            None
        } else {
            Some(self.read_response(response, here, now, validators, dropped.clone())?)
        };
        let denied = self.denied(status, &headers, Vec::new());
        if self.renew_auth(&denied, now)? {
            return Ok(DenialResult::Renewed);
        }
        Ok(match fetched {
            Some(fetched) => DenialResult::Taken(Box::new(fetched)),
            None => DenialResult::Redirect(redirect),
        })
    }

    /// Where a redirect from `here` may lead: from a public server to public addresses only, from
    /// a private one to the same machine (address or host name) only.
    pub(super) fn redirect_scope(
        &self,
        here: &Uri,
        target: &Uri,
    ) -> Result<RedirectScope, FetchError> {
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

/// Cookies that are kept do not come here: the URL is asked again with them.
fn loop_reason(response: &Response<Body>) -> &'static str {
    if response.headers().contains_key(header::SET_COOKIE) {
        "redirect loop; it sets a cookie, which auth = { cookies = true } keeps and sends"
    } else {
        "redirect loop"
    }
}

fn redirect_error(host: &str, why: &str) -> FetchError {
    let detail = format!("invalid redirect from {host}: {why}");
    FetchError::Failed(Failure::new(Cause::Redirect, detail))
}
