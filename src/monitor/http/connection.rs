//! HTTP connection: read a head, have the handler respond, write the response, again.
//!
//! A task on the server's thread. One request at a time, so that responses leave in order and a
//! client that does not read delays only itself. It knows no path: the handler decides how a
//! request is served. A panic in here ends this connection alone.

mod post;

use std::net::TcpStream;
use std::rc::Rc;

use smol::Async;

use super::admission::admit_client;
use super::connection_cache::CachedResponse;
use super::connection_input::{self, ReceiveError};
use super::connection_table::{ConnectionGuard, ConnectionPhase, ConnectionState, Interrupt};
use super::event_stream::EventStream;
use super::guarded_handler;
use super::handler::{Dispatch, EventStreamStart, Overload, Request, Response};
use super::parser::{HeadError, Method, RequestBuffer, RequestHead, Version};
use super::pool_client::PoolError;
use super::response_writer::{self, EncodedResponse, ResponseBody, ResponseFraming, SendError};
use super::server_state::ServerState;
use super::stats::Rejection;
use crate::limits;

/// Serves a connection until it ends.
pub async fn serve(stream: Async<TcpStream>, guard: ConnectionGuard, server: Rc<ServerState>) {
    let connection = Connection {
        stream,
        guard,
        server,
    };
    let mut buffer = RequestBuffer::default();
    match connection.serve_requests(&mut buffer).await {
        Close::Now => {}
        Close::Linger => {
            let timeout = connection.server.limits.linger_timeout;
            connection_input::linger(&connection.stream, connection.state(), timeout).await;
        }
    }
}

struct Connection {
    stream: Async<TcpStream>,
    guard: ConnectionGuard,
    server: Rc<ServerState>,
}

/// How a connection ends.
enum Close {
    /// Nothing unread is left, or the client is gone.
    Now,
    /// The client may still be sending: closing at once would make its kernel drop the
    /// response.
    Linger,
}

/// What follows a response.
enum NextStep {
    /// The next request, with the cached response, if this one was cacheable.
    Next(Option<Box<CachedResponse>>),
    End(Close),
}

impl Connection {
    async fn serve_requests(&self, buffer: &mut RequestBuffer) -> Close {
        let (state, server) = (self.state(), &*self.server);
        // The head timeout of the first request starts when the connection is accepted.
        state.enter(ConnectionPhase::Head, server.limits.head_timeout);
        let mut in_a_row = 0;
        let mut is_first = true;
        let mut cached: Option<Box<CachedResponse>> = None;
        loop {
            let next = match cached.take_if(|cached| cached.take_repeat(buffer, server)) {
                Some(cached) => {
                    guarded_handler::catch_panic(server, || {
                        server.handler.on_cache_hit(&cached.request, &cached.etag);
                    });
                    self.send_cached(cached, buffer).await
                }
                None => match buffer.next_head(state.peer) {
                    Ok(Some(head)) => self.serve_request(head, buffer).await,
                    Ok(None) => {
                        let (stream, limits) = (&self.stream, &server.limits);
                        let received =
                            connection_input::receive(stream, state, limits, buffer, is_first);
                        match received.await {
                            Ok(()) => continue,
                            Err(ReceiveError::Closed) => return Close::Now,
                            Err(ReceiveError::Rejected(refusal)) => {
                                return self.reject(*refusal).await;
                            }
                        }
                    }
                    Err(refusal) => return self.reject(refusal).await,
                },
            };
            is_first = false;
            match next {
                NextStep::Next(new_response) => cached = new_response.or(cached),
                NextStep::End(end) => return end,
            }
            if buffer.is_empty() {
                in_a_row = 0;
                state.enter(ConnectionPhase::Idle, server.limits.idle_timeout);
            } else {
                state.enter(ConnectionPhase::Head, server.limits.head_timeout);
                in_a_row += 1;
                if in_a_row % limits::PIPELINE_BATCH == 0 {
                    smol::future::yield_now().await;
                }
            }
        }
    }

    async fn serve_request(&self, mut head: RequestHead, buffer: &mut RequestBuffer) -> NextStep {
        let server = &*self.server;
        guarded_handler::prepare(server, &mut head.request);
        let (route, dispatch, _counted) =
            match admit_client(server, self.state().peer, &head.request) {
                Ok(counted) => {
                    if let Method::Post(body) = head.method {
                        return self.serve_post(head, body, buffer).await;
                    }
                    let (route, dispatch) = guarded_handler::dispatch(server, &head);
                    (route, dispatch, counted)
                }
                Err(response) => ("refused", Dispatch::Immediate(response), None),
            };
        let dispatch = match dispatch {
            Dispatch::Cacheable(response, generation)
                if CachedResponse::is_cacheable(&head, &response)
                    && !server.connections.is_stopping() =>
            {
                let cached = CachedResponse::new(head, route, response, generation, server);
                return self.send_cached(Box::new(cached), buffer).await;
            }
            dispatch => dispatch,
        };
        let RequestHead {
            request,
            version,
            keep_alive,
            method,
            ..
        } = head;
        let reply = match dispatch {
            Dispatch::Immediate(response) | Dispatch::Cacheable(response, _) => {
                Some(self.respond_from_memory(response, &request))
            }
            Dispatch::Worker => self.request_from_worker(&request).await,
            Dispatch::EventStream(start) => {
                match self.stream_events(&request, version, route, start).await {
                    Some(reply) => reply,
                    None => return NextStep::End(Close::Linger),
                }
            }
        };
        let Some(reply) = reply else {
            return NextStep::End(Close::Now);
        };
        let framing = ResponseFraming {
            is_head: request.is_head,
            version,
            keep_alive: keep_alive && !server.connections.is_stopping(),
        };
        let sent = self.send(&reply, framing).await;
        let bytes = reply.body.bytes().len();
        let method = match (method, request.is_head) {
            (Method::Options, _) => "OPTIONS",
            (_, true) => "HEAD",
            _ => "GET",
        };
        self.record(&request, method, route, reply.status, bytes, sent);
        self.next_step(sent, framing.keep_alive, buffer)
    }

    /// Sends a cacheable response, for the first time or again.
    async fn send_cached(&self, cached: Box<CachedResponse>, buffer: &RequestBuffer) -> NextStep {
        let (request, status) = (&cached.request, cached.status);
        let body = match status {
            304 => &[],
            _ => &*cached.body,
        };
        let time = self.server.write_timeout(body.len());
        let sent =
            response_writer::send(&self.stream, self.state(), &cached.head, body, time).await;
        self.record(request, "GET", cached.route, status, body.len(), sent);
        match self.next_step(sent, true, buffer) {
            NextStep::Next(_) => NextStep::Next(Some(cached)),
            next => next,
        }
    }

    fn next_step(
        &self,
        sent: Result<(), SendError>,
        keep_alive: bool,
        buffer: &RequestBuffer,
    ) -> NextStep {
        match sent {
            // A stop that began meanwhile waits for responses, not for further requests.
            Ok(()) if keep_alive && !self.server.connections.is_stopping() => NextStep::Next(None),
            // Bytes behind a last request are unread bytes.
            Ok(()) if buffer.is_empty() => NextStep::End(Close::Now),
            Ok(()) => NextStep::End(Close::Linger),
            Err(unsent) => {
                if unsent == SendError::Interrupted(Interrupt::TimedOut) {
                    let peer = self.state().peer;
                    self.server
                        .stats
                        .record_rejection(Rejection::SlowClient, peer);
                }
                NextStep::End(Close::Now)
            }
        }
    }

    /// A response from memory, if the send budget has room for it.
    fn respond_from_memory(&self, response: Response, request: &Request) -> EncodedResponse {
        let server = &*self.server;
        let reservation = server.send_budget.reserve_shared(&response.body);
        if reservation.is_none() && !request.is_head {
            server
                .stats
                .record_rejection(Rejection::SendBudget, request.peer);
            let limit = Overload::BytesOutstanding(server.limits.bytes_outstanding);
            return guarded_handler::overloaded(server, limit, request);
        }
        let mut reply = guarded_handler::encode(response);
        reply.reservation = reservation;
        reply
    }

    /// `None` if the connection ends before there is a response.
    async fn request_from_worker(&self, request: &Request) -> Option<EncodedResponse> {
        let server = &*self.server;
        self.state()
            .enter(ConnectionPhase::Answering, server.limits.worker_timeout);
        let response = async { Some(server.pool.request(request).await) };
        let reset = async {
            connection_input::wait_for_reset(&self.stream).await;
            None
        };
        let response = smol::future::or(response, reset);
        let timed_out = Overload::ResponseTime(server.limits.worker_timeout);
        let (rejection, limit) = match self.state().wait(response).await {
            Ok(None) => return None,
            Ok(Some(Ok(mut reply))) => {
                if reply.status == 503 {
                    reply.add_if_missing("Retry-After", guarded_handler::RETRY_AFTER_S);
                }
                return Some(reply);
            }
            Ok(Some(Err(PoolError::OverBudget(limit)))) => (Rejection::SendBudget, limit),
            Ok(Some(Err(PoolError::Unavailable))) | Err(Interrupt::TimedOut) => {
                (Rejection::PoolTimeout, timed_out)
            }
            Err(Interrupt::Evicted) => return None,
        };
        server.stats.record_rejection(rejection, request.peer);
        Some(guarded_handler::overloaded(server, limit, request))
    }

    /// Serves an event stream to its end (then `None`), or returns an error response.
    async fn stream_events(
        &self,
        request: &Request,
        version: Version,
        route: &'static str,
        start: EventStreamStart,
    ) -> Option<Option<EncodedResponse>> {
        let server = &*self.server;
        let Some(_guard) = server
            .connections
            .open_event_stream(server.limits.event_streams)
        else {
            server
                .stats
                .record_rejection(Rejection::TooManyEventStreams, request.peer);
            let limit = Overload::EventStreams(server.limits.event_streams);
            return Some(Some(guarded_handler::overloaded(server, limit, request)));
        };
        let reply = EncodedResponse::new(Response {
            status: 200,
            headers: start.headers,
            body: Vec::new().into(),
        });
        let framing = ResponseFraming {
            is_head: request.is_head,
            version,
            keep_alive: false,
        };
        let head =
            response_writer::stream_head(200, &reply.fields, framing, server.date().as_deref());
        server.stats.record_response(route, 200);
        if request.is_head {
            let _ = response_writer::send(
                &self.stream,
                self.state(),
                &head,
                b"",
                server.limits.write_timeout,
            )
            .await;
            return None;
        }
        let stream = EventStream {
            stream: &self.stream,
            connection: self.state(),
            events: &server.events,
            wakers: &server.wakers,
            send_budget: &server.send_budget,
            stats: &server.stats,
            write_time: server.limits.write_timeout,
            heartbeat: server.limits.event_keepalive,
        };
        stream.serve(&head, start.last_id.as_deref()).await;
        None
    }

    /// Responds to an invalid request, and ends.
    async fn reject(&self, mut refusal: HeadError) -> Close {
        let server = &*self.server;
        if let Some(request) = &mut refusal.request {
            guarded_handler::prepare(server, request);
        }
        self.reject_prepared(&refusal).await
    }

    async fn reject_prepared(&self, refusal: &HeadError) -> Close {
        let server = &*self.server;
        let peer = refusal
            .request
            .as_ref()
            .map_or(self.state().peer, |it| it.peer);
        server.stats.record_rejection(refusal.rejection, peer);
        let reply = guarded_handler::rejection(server, refusal.status, refusal.request.as_deref());
        let framing = ResponseFraming {
            is_head: refusal.is_head,
            version: Version::Http11,
            keep_alive: false,
        };
        let sent = self.send(&reply, framing).await;
        server.stats.record_response("refused", reply.status);
        match sent {
            Ok(()) => Close::Linger,
            Err(_) => Close::Now,
        }
    }

    async fn send(
        &self,
        reply: &EncodedResponse,
        framing: ResponseFraming,
    ) -> Result<(), SendError> {
        let head = response_writer::head(reply, framing, self.server.date().as_deref());
        let body = match (
            framing.is_head || reply.status == 304 || reply.status == 204,
            &reply.body,
        ) {
            (true, _) => &[],
            (false, ResponseBody::Shared(bytes)) => &**bytes,
            (false, ResponseBody::Own(bytes)) => bytes.as_slice(),
        };
        let time = self.server.write_timeout(body.len());
        response_writer::send(&self.stream, self.state(), &head, body, time).await
    }

    fn record(
        &self,
        request: &Request,
        method: &str,
        route: &'static str,
        status: u16,
        bytes: usize,
        sent: Result<(), SendError>,
    ) {
        self.server.stats.record_response(route, status);
        // After dispatch only wrong passwords, tokens and keys get 429, and logs that come too often.
        if status == 429 && method != "POST" {
            self.server
                .stats
                .record_rejection(Rejection::LoginThrottled, request.peer);
        }
        if log::log_enabled!(target: "access", log::Level::Debug) {
            let (peer, target) = (request.peer, &request.target);
            let unsent = if sent.is_ok() { "" } else { " unsent" };
            log::debug!(target: "access", "{peer} {method} {target} {status} {bytes}{unsent}");
        }
    }

    fn state(&self) -> &ConnectionState {
        &self.guard.state
    }
}
