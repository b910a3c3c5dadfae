//! Guarded handler: calls of the handler on the server's thread; a panic fails one request.
//!
//! On the server's thread. Renderings on workers are guarded by the worker pool.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::handler::{Dispatch, Overload, Request, Response};
use super::parser::{Method, RequestHead};
use super::response_writer::EncodedResponse;
use super::server_state::ServerState;

/// `Retry-After` of a 503: the load that caused it is usually over by then.
pub const RETRY_AFTER_S: &str = "2";

/// Gives a request its client, its path prefix and its token, before anything else sees it.
pub fn prepare(server: &ServerState, request: &mut Request) {
    server.networks.trusted_proxies.apply(request);
    catch_panic(server, || server.handler.prepare(request));
}

/// The route's name and how to serve the request.
pub fn dispatch(server: &ServerState, head: &RequestHead) -> (&'static str, Dispatch) {
    let request = &head.request;
    let known = catch_panic(server, || {
        let route = server.handler.route_name(request);
        let dispatch = if head.method == Method::Options {
            Dispatch::Immediate(server.handler.options(request))
        } else {
            server.handler.dispatch(request)
        };
        (route, dispatch)
    });
    known.unwrap_or_else(|| {
        let response = handler_rejection(server, 500, Some(request));
        ("panic", Dispatch::Immediate(response))
    })
}

/// The route's name and the response to a POST; `None` where the path takes none.
pub fn post(server: &ServerState, request: &Request) -> Option<(&'static str, Response)> {
    let known = catch_panic(server, || {
        let response = server.handler.post(request)?;
        Some((server.handler.route_name(request), response))
    });
    known.unwrap_or_else(|| Some(("panic", handler_rejection(server, 500, Some(request)))))
}

pub fn rejection(server: &ServerState, status: u16, request: Option<&Request>) -> EncodedResponse {
    encode(handler_rejection(server, status, request))
}

pub fn overloaded(server: &ServerState, limit: Overload, request: &Request) -> EncodedResponse {
    encode(overload_response(server, limit, request))
}

pub fn overload_response(server: &ServerState, limit: Overload, request: &Request) -> Response {
    let response = catch_panic(server, || server.handler.overloaded(limit, Some(request)));
    response.unwrap_or_else(|| empty_response(503))
}

/// The response to a client whose network is not allowed.
pub fn forbidden(server: &ServerState, request: &Request) -> Response {
    handler_rejection(server, 403, Some(request))
}

/// Encodes a response, with the fields that some statuses require.
pub fn encode(response: Response) -> EncodedResponse {
    let mut reply = EncodedResponse::new(response);
    match reply.status {
        405 => reply.add_if_missing("Allow", "GET, HEAD, OPTIONS"),
        // RFC 9110 §15.5.22 wants the protocol named that the client is to use.
        426 => reply.add_if_missing("Upgrade", "HTTP/1.1"),
        503 => reply.add_if_missing("Retry-After", RETRY_AFTER_S),
        _ => {}
    }
    reply
}

/// Runs the handler; a panic in it fails this request alone.
pub fn catch_panic<T>(server: &ServerState, run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(_) => {
            server.stats.record_panic("an answer from memory");
            None
        }
    }
}

fn handler_rejection(server: &ServerState, status: u16, request: Option<&Request>) -> Response {
    let response = catch_panic(server, || server.handler.rejection(status, request));
    response.unwrap_or_else(|| empty_response(status))
}

/// The response where the handler panicked.
fn empty_response(status: u16) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: Vec::new().into(),
    }
}
