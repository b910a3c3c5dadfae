//! Connection cache: the last response of a connection, for as long as it is current.
//!
//! A display sends the same bytes every few seconds for years. While nothing new is published
//! it gets the same response, without parsing and dispatch: half of what a poll costs beside
//! the kernel. A value; owned by one connection, on the server's thread. The handler decides
//! which responses are cacheable.

use std::rc::Rc;
use std::sync::Arc;

use super::handler::{Request, Response};
use super::parser::{RequestBuffer, RequestHead, Version};
use super::response_writer::{self, EncodedResponse, ResponseFraming};
use super::server_state::ServerState;
use crate::limits;

/// A request and its response.
pub struct CachedResponse {
    /// The bytes of the request head.
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
    /// Whether this response can be sent again as it is, and is small enough to store: what
    /// idle connections store is bounded by their number.
    pub fn is_cacheable(head: &RequestHead, response: &Response) -> bool {
        head.keep_alive
            && head.version == Version::Http11
            && !head.request.is_head
            && !head.raw_bytes.is_empty()
            && response.body.len() <= limits::SMALL_RESPONSE_BYTES
    }

    pub fn new(
        head: RequestHead,
        route: &'static str,
        response: Response,
        generation: u64,
        server: &ServerState,
    ) -> CachedResponse {
        let framing = ResponseFraming {
            is_head: head.request.is_head,
            version: head.version,
            keep_alive: head.keep_alive,
        };
        let date = server.date();
        let (status, body) = (response.status, response.body.clone());
        let etag = response.etag().to_owned();
        let response_head =
            response_writer::head(&EncodedResponse::new(response), framing, date.as_deref());
        CachedResponse {
            request_bytes: head.raw_bytes,
            request: head.request,
            route,
            status,
            etag,
            head: response_head,
            body,
            generation,
            date,
        }
    }

    /// Takes the request from the buffer, if it is the same again and the response is current.
    pub fn take_repeat(&self, buffer: &mut RequestBuffer, server: &ServerState) -> bool {
        self.generation == server.handler.generation()
            && self.date == server.date()
            && !server.connections.is_stopping()
            && buffer.take_identical(&self.request_bytes)
    }
}
