//! The answer that a connection was given last, for as long as it stands.
//!
//! A display asks with the same bytes every few seconds for years. While nothing new is
//! published they get the same answer, without being parsed, judged and dressed again: that is
//! half of what a poll costs beside the kernel. A value; owned by one connection, on the gate's
//! thread. It knows no path and judges nothing: the answerer says which answers stand.

use std::rc::Rc;
use std::sync::Arc;

use super::handler::{Request, Response};
use super::parser::{RequestBuffer, RequestHead, Version};
use super::response_writer::{self, EncodedResponse, ResponseFraming};
use super::server_state::ServerState;
use crate::limits;

/// A question, and what answers it.
pub struct CachedResponse {
    /// The question's bytes.
    request_bytes: Vec<u8>,
    pub request: Request,
    pub route: &'static str,
    pub status: u16,
    pub etag: String,
    /// The response head as it goes out.
    pub head: Vec<u8>,
    pub body: Arc<[u8]>,
    generation: u64,
    /// The date in it.
    date: Option<Rc<str>>,
}

impl CachedResponse {
    /// Whether an exchange can be repeated as it is, and is worth being kept: what idle
    /// connections keep is bounded by their number, as small answers on their way are.
    pub fn is_cacheable(head: &RequestHead, answer: &Response) -> bool {
        head.keep_alive
            && head.version == Version::Http11
            && !head.request.is_head
            && !head.raw_bytes.is_empty()
            && answer.body.len() <= limits::SMALL_RESPONSE_BYTES
    }

    pub fn new(
        head: RequestHead,
        route: &'static str,
        answer: Response,
        edition: u64,
        server: &ServerState,
    ) -> CachedResponse {
        let framing = ResponseFraming {
            is_head: head.request.is_head,
            version: head.version,
            keep_alive: head.keep_alive,
        };
        let date = server.date();
        let (status, body) = (answer.status, answer.body.clone());
        let etag = answer.etag().to_owned();
        let response_head =
            response_writer::head(&EncodedResponse::new(answer), framing, date.as_deref());
        CachedResponse {
            request_bytes: head.raw_bytes,
            request: head.request,
            route,
            status,
            etag,
            head: response_head,
            body,
            generation: edition,
            date,
        }
    }

    /// Takes the question from the inbox, if it is there again and the answer still stands.
    pub fn take_repeat(&self, inbox: &mut RequestBuffer, server: &ServerState) -> bool {
        self.generation == server.handler.generation()
            && self.date == server.date()
            && !server.connections.is_stopping()
            && inbox.take_identical(&self.request_bytes)
    }
}
