//! Reading of a response: its status, its body, and the start of a body for messages.
//!
//! Runs on the source's fetch thread.

use std::io::Read;

use ureq::Body;
use ureq::http::{HeaderMap, Response, Uri, header};

use super::Transport;
use crate::api::auth::DeniedResponse;
use crate::api::content_coding::{self, CodingError};
use crate::api::error_context::ResponsePart;
use crate::api::http_response::{FetchError, FetchedResponse, is_chunked};
use crate::api::status_errors::{AccessDenial, SentCredentials, classify_status, proxy_failure};
use crate::api::validators::Validators;
use crate::api::{error_mapping, error_message, origin};
use crate::domain::time::Moment;
use crate::limits;
use crate::sys::retry_after::retry_after_of;

impl Transport {
    /// Checks the status and reads the body.
    pub(super) fn read_response(
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
                let refused = self.read_denied(response);
                return Err(self.denied_error(&refused, from, now, dropped));
            }
        }
        self.read_body(response, &mut fetched, &host, now)?;
        Ok(fetched)
    }

    /// Reads and decompresses the body, within what the bodies of the fetch may still hold.
    fn read_body(
        &self,
        mut response: Response<Body>,
        fetched: &mut FetchedResponse,
        host: &str,
        now: Moment,
    ) -> Result<(), FetchError> {
        let limit = self.settings.body_limit;
        let refuse = |error: CodingError| FetchError::Failed(error.failure(host, limit));
        let codings = content_coding::named_codings(response.headers()).map_err(refuse)?;
        let context = self.error_context(host, ResponsePart::Body, now);
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
            Ok(())
        }
    }

    /// Reads a response without readings, and gives its connection back.
    pub(super) fn read_denied(&self, mut response: Response<Body>) -> DeniedResponse {
        let status = response.status().as_u16();
        let body_start = if status >= 400 || self.is_recording() {
            self.read_start(&mut response)
        } else {
            Vec::new()
        };
        self.denied(status, response.headers(), body_start)
    }

    /// The answer to the request that was sent last.
    pub(super) fn denied(
        &self,
        status: u16,
        headers: &HeaderMap,
        body_start: Vec<u8>,
    ) -> DeniedResponse {
        let (uri, sent) = self.sent.lock().authorized.clone();
        DeniedResponse {
            status,
            uri,
            sent,
            headers: headers.clone(),
            body_start,
        }
    }

    /// The failure of a response without readings.
    pub(super) fn denied_error(
        &self,
        denied: &DeniedResponse,
        from: &Uri,
        now: Moment,
        dropped: Option<(String, String)>,
    ) -> FetchError {
        let sent = SentCredentials {
            uri: &denied.uri,
            headers: &denied.sent,
        };
        let denial = AccessDenial::read(&denied.headers, &denied.body_start, sent, dropped);
        let host = origin::display_host(from);
        let retry_after = retry_after_of(&denied.headers, now.wall);
        let mut failure = classify_status(denied.status, &host, retry_after, &denial);
        failure.detail += &error_message::describe_body(&denied.body_start);
        FetchError::Failed(failure)
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
}
