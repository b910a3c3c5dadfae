//! One connection, from its first byte to its last: read a head, have it answered, write the
//! answer, again. One request in flight, so that answers leave in order and a client that does
//! not read holds up only itself.
//!
//! A task on the gate's thread. It knows no path: the answerer says which way a request goes.
//! A panic in here ends this connection alone.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io::{ErrorKind, Read as _};
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use smol::Async;

use super::connection_cache::Standing;
use super::connection_table::{ConnectionGuard, ConnectionPhase, ConnectionState, Interrupt};
use super::event_stream::Listener;
use super::handler::{Dispatch, Overload, Request, Response};
use super::parser::{Head, Inbox, Refusal, Version};
use super::pool_client::Trouble;
use super::response_writer::{self, Body, Framing, Reply, Unsent};
use super::server::ServerState;
use super::stats::Rejection;
use crate::limits;

/// Serves a connection until it ends.
pub async fn serve(stream: Async<TcpStream>, lease: ConnectionGuard, hall: Rc<ServerState>) {
    let connection = Connection {
        stream,
        lease,
        hall,
    };
    let mut inbox = Inbox::default();
    match connection.converse(&mut inbox).await {
        End::Now => {}
        End::Linger => connection.linger().await,
    }
}

struct Connection {
    stream: Async<TcpStream>,
    lease: ConnectionGuard,
    hall: Rc<ServerState>,
}

/// How a connection ends.
enum End {
    /// Nothing unread is left, or nobody is there to mind.
    Now,
    /// The client may still be sending: closing at once would make its kernel throw our answer
    /// away.
    Linger,
}

/// What becomes of the connection after an answer.
enum Then {
    /// It goes on, with the answer that stands now, if that was one.
    Next(Option<Box<Standing>>),
    End(End),
}

impl Connection {
    async fn converse(&self, inbox: &mut Inbox) -> End {
        let leash = self.leash();
        // From accepting on, the first head has the time of a head.
        leash.enter(ConnectionPhase::Head, self.hall.limits.head_timeout);
        let mut in_a_row = 0;
        let mut is_first = true;
        let mut standing: Option<Box<Standing>> = None;
        loop {
            let then = match standing.take_if(|standing| standing.take(inbox, &self.hall)) {
                Some(standing) => {
                    self.guarded(|| {
                        let answerer = &self.hall.answerer;
                        answerer.on_cache_hit(&standing.request, &standing.etag);
                    });
                    self.give(standing, inbox).await
                }
                None => match inbox.take(leash.peer) {
                    Ok(Some(head)) => self.answer(head, inbox).await,
                    Ok(None) => match self.more(inbox, is_first).await {
                        Ok(()) => continue,
                        Err(Ended::Silently) => return End::Now,
                        Err(Ended::Refused(refusal)) => return self.refuse(*refusal).await,
                    },
                    Err(refusal) => return self.refuse(refusal).await,
                },
            };
            is_first = false;
            match then {
                Then::Next(still_stands) => standing = still_stands.or(standing),
                Then::End(end) => return end,
            }
            match inbox.is_empty() {
                true => {
                    in_a_row = 0;
                    leash.enter(ConnectionPhase::Idle, self.hall.limits.idle_timeout);
                }
                false => {
                    leash.enter(ConnectionPhase::Head, self.hall.limits.head_timeout);
                    in_a_row += 1;
                    if in_a_row % limits::ANSWERS_IN_A_ROW == 0 {
                        smol::future::yield_now().await;
                    }
                }
            }
        }
    }

    /// Waits for more bytes of a head.
    async fn more(&self, inbox: &mut Inbox, is_first: bool) -> Result<(), Ended> {
        let leash = self.leash();
        if leash.phase() == ConnectionPhase::Idle && !inbox.is_empty() {
            leash.enter(ConnectionPhase::Head, self.hall.limits.head_timeout);
        }
        // After an answer the next request is seldom there at once. With the others served in
        // between it may be, and reading in vain costs less than asking the kernel to tell.
        if inbox.is_empty() && !is_first {
            smol::future::yield_now().await;
        }
        let mut wait_first = false;
        loop {
            if wait_first {
                let readable = poll_fn(|context| self.stream.poll_readable(context));
                match leash.wait(readable).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(Interrupt::Evicted) => return Err(Ended::Silently),
                    Err(Interrupt::TimedOut) if inbox.is_empty() => return Err(Ended::Silently),
                    Err(Interrupt::TimedOut) => {
                        let late = inbox.unfinished(408, Rejection::SlowHead);
                        return Err(Ended::Refused(Box::new(late)));
                    }
                }
            }
            match read_some(self.stream.get_ref(), inbox) {
                Ok(0) if inbox.is_empty() => return Err(Ended::Silently),
                Ok(0) => {
                    let truncated = inbox.unfinished(400, Rejection::BadRequest);
                    return Err(Ended::Refused(Box::new(truncated)));
                }
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait_first = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Ended::Silently),
            }
        }
    }

    async fn answer(&self, head: Head, inbox: &Inbox) -> Then {
        let hall = &*self.hall;
        let (route, way) = match self.guarded(|| {
            let route = hall.answerer.route_name(&head.request);
            let way = match head.is_options {
                true => Dispatch::Immediate(hall.answerer.options(&head.request)),
                false => hall.answerer.dispatch(&head.request),
            };
            (route, way)
        }) {
            Some(known) => known,
            None => (
                "panic",
                Dispatch::Immediate(self.refusal(500, Some(&head.request))),
            ),
        };
        let way = match way {
            Dispatch::Cacheable(answer, edition)
                if Standing::may_be(&head, &answer) && !hall.connections.is_stopping() =>
            {
                let standing = Standing::new(head, route, answer, edition, hall);
                return self.give(Box::new(standing), inbox).await;
            }
            way => way,
        };
        let Head {
            request,
            version,
            keep_alive,
            is_options,
            ..
        } = head;
        let reply = match way {
            Dispatch::Immediate(answer) | Dispatch::Cacheable(answer, _) => {
                Some(self.lend(answer, &request))
            }
            Dispatch::Worker => self.ask_pool(&request).await,
            Dispatch::EventStream(fields) => {
                match self.stream_events(&request, version, route, fields).await {
                    Some(reply) => reply,
                    None => return Then::End(End::Linger),
                }
            }
        };
        let Some(reply) = reply else {
            return Then::End(End::Now);
        };
        let framing = Framing {
            is_head: request.is_head,
            version,
            keep_alive: keep_alive && !hall.connections.is_stopping(),
        };
        let sent = self.send(&reply, framing).await;
        let bytes = reply.body.bytes().len();
        let method = match (is_options, request.is_head) {
            (true, _) => "OPTIONS",
            (_, true) => "HEAD",
            _ => "GET",
        };
        self.account(&request, method, route, reply.status, bytes, sent);
        self.after(sent, framing.keep_alive, inbox)
    }

    /// Gives a standing answer, for the first time or again.
    async fn give(&self, standing: Box<Standing>, inbox: &Inbox) -> Then {
        let (request, status) = (&standing.request, standing.status);
        let body = match status {
            304 => &[],
            _ => &*standing.body,
        };
        let time = self.hall.write_timeout(body.len());
        let sent =
            response_writer::send(&self.stream, self.leash(), &standing.head, body, time).await;
        self.account(request, "GET", standing.route, status, body.len(), sent);
        match self.after(sent, true, inbox) {
            Then::Next(_) => Then::Next(Some(standing)),
            then => then,
        }
    }

    fn after(&self, sent: Result<(), Unsent>, keep_alive: bool, inbox: &Inbox) -> Then {
        match sent {
            // A stop that began meanwhile waits for answers, not for what may come after them.
            Ok(()) if keep_alive && !self.hall.connections.is_stopping() => Then::Next(None),
            // Bytes behind a last request are unread bytes.
            Ok(()) if inbox.is_empty() => Then::End(End::Now),
            Ok(()) => Then::End(End::Linger),
            Err(unsent) => {
                if unsent == Unsent::Cut(Interrupt::TimedOut) {
                    let peer = self.leash().peer;
                    self.hall
                        .traffic
                        .record_rejection(Rejection::SlowReader, peer);
                }
                Then::End(End::Now)
            }
        }
    }

    /// An answer from memory, if there is room for it beside those not yet taken.
    fn lend(&self, answer: Response, request: &Request) -> Reply {
        let hall = &*self.hall;
        let debt = hall.send_budget.lend(&answer.body);
        if debt.is_none() && !request.is_head {
            hall.traffic
                .record_rejection(Rejection::SendBudget, request.peer);
            let limit = Overload::BytesOutstanding(hall.limits.bytes_outstanding);
            return self.dress(self.overloaded(limit, request));
        }
        let mut reply = self.dress(answer);
        reply.debt = debt;
        reply
    }

    /// None if the client has to go before there is an answer.
    async fn ask_pool(&self, request: &Request) -> Option<Reply> {
        let hall = &*self.hall;
        let heard = hall.feed.newest();
        if let Some(mut reply) = hall.micro_cache.find(request, heard) {
            if let Body::Shared(body) = &reply.body {
                reply.debt = hall.send_budget.lend(body);
            }
            if reply.debt.is_some() {
                return Some(reply);
            }
        }
        self.leash()
            .enter(ConnectionPhase::Answering, hall.limits.worker_timeout);
        let asked_at = Instant::now();
        let asked = async { Some(hall.pool.ask(request).await) };
        let gone = async {
            self.reset().await;
            None
        };
        let asked = smol::future::or(asked, gone);
        let silent = Overload::ResponseTime(hall.limits.worker_timeout);
        let (abuse, limit) = match self.leash().wait(asked).await {
            Ok(None) => return None,
            Ok(Some(Ok(mut reply))) => {
                if reply.status == 503 {
                    reply.ensure("Retry-After", RETRY_AFTER_S);
                }
                return Some(hall.micro_cache.keep(request, asked_at, heard, reply));
            }
            Ok(Some(Err(Trouble::NoRoom(limit)))) => (Rejection::SendBudget, limit),
            Ok(Some(Err(Trouble::Silent))) | Err(Interrupt::TimedOut) => {
                (Rejection::WorkerTimeout, silent)
            }
            Err(Interrupt::Evicted) => return None,
        };
        hall.traffic.record_rejection(abuse, request.peer);
        Some(self.dress(self.overloaded(limit, request)))
    }

    /// Resolves when the client has reset the connection: the pool need not work for it. One
    /// that has only closed its side, or has already sent more, is still there.
    async fn reset(&self) {
        loop {
            if poll_fn(|context| self.stream.poll_readable(context))
                .await
                .is_err()
            {
                return;
            }
            match self.stream.get_ref().peek(&mut [0]) {
                Ok(_) => std::future::pending().await,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Serves a stream to its end (then None), or gives what is to be answered instead.
    async fn stream_events(
        &self,
        request: &Request,
        version: Version,
        route: &'static str,
        fields: Vec<(&'static str, Cow<'static, str>)>,
    ) -> Option<Option<Reply>> {
        let hall = &*self.hall;
        let Some(_place) = hall
            .connections
            .open_event_stream(hall.limits.event_streams)
        else {
            hall.traffic
                .record_rejection(Rejection::EventStreams, request.peer);
            let limit = Overload::EventStreams(hall.limits.event_streams);
            return Some(Some(self.dress(self.overloaded(limit, request))));
        };
        let mut reply = Reply::new(Response {
            status: 200,
            headers: fields,
            body: Vec::new().into(),
        });
        reply.ensure("Content-Type", "text/event-stream");
        reply.ensure("Cache-Control", "no-store");
        let framing = Framing {
            is_head: request.is_head,
            version,
            keep_alive: false,
        };
        let head =
            response_writer::endless_head(200, &reply.fields, framing, hall.date().as_deref());
        hall.traffic.record_response(route, 200);
        if request.is_head {
            let _ = response_writer::send(
                &self.stream,
                self.leash(),
                &head,
                b"",
                hall.limits.write_timeout,
            )
            .await;
            return None;
        }
        let listener = Listener {
            stream: &self.stream,
            leash: self.leash(),
            feed: &hall.feed,
            hub: &hall.wakers,
            outstanding: &hall.send_budget,
            traffic: &hall.traffic,
            write_time: hall.limits.write_timeout,
            heartbeat: hall.limits.event_keepalive,
        };
        listener.serve(&head, request.header("last-event-id")).await;
        None
    }

    /// Answers what is no request, once, and ends.
    async fn refuse(&self, refusal: Refusal) -> End {
        let hall = &*self.hall;
        hall.traffic
            .record_rejection(refusal.abuse, self.leash().peer);
        let answer = self.refusal(refusal.status, refusal.request.as_ref());
        let reply = self.dress(answer);
        let framing = Framing {
            is_head: refusal.is_head,
            version: Version::Http11,
            keep_alive: false,
        };
        let sent = self.send(&reply, framing).await;
        hall.traffic.record_response("refused", reply.status);
        match sent {
            Ok(()) => End::Linger,
            Err(_) => End::Now,
        }
    }

    fn refusal(&self, status: u16, request: Option<&Request>) -> Response {
        let answer = self.guarded(|| self.hall.answerer.rejection(status, request));
        answer.unwrap_or_else(|| wordless(status))
    }

    fn overloaded(&self, limit: Overload, request: &Request) -> Response {
        let answer = self.guarded(|| self.hall.answerer.overloaded(limit, Some(request)));
        answer.unwrap_or_else(|| wordless(503))
    }

    /// Bytes of an answer from memory, with what HTTP wants beside some statuses.
    fn dress(&self, answer: Response) -> Reply {
        let mut reply = Reply::new(answer);
        match reply.status {
            405 => reply.ensure("Allow", "GET, HEAD, OPTIONS"),
            503 => reply.ensure("Retry-After", RETRY_AFTER_S),
            _ => {}
        }
        reply
    }

    /// Runs the answerer; a panic of it costs this request alone.
    fn guarded<T>(&self, run: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(value) => Some(value),
            Err(_) => {
                self.hall.traffic.record_panic("an answer from memory");
                None
            }
        }
    }

    async fn send(&self, reply: &Reply, framing: Framing) -> Result<(), Unsent> {
        let head = response_writer::head(reply, framing, self.hall.date().as_deref());
        let body = match (
            framing.is_head || reply.status == 304 || reply.status == 204,
            &reply.body,
        ) {
            (true, _) => &[],
            (false, Body::Shared(bytes)) => &**bytes,
            (false, Body::Own(bytes)) => bytes.as_slice(),
        };
        let time = self.hall.write_timeout(body.len());
        response_writer::send(&self.stream, self.leash(), &head, body, time).await
    }

    fn account(
        &self,
        request: &Request,
        method: &str,
        route: &'static str,
        status: u16,
        bytes: usize,
        sent: Result<(), Unsent>,
    ) {
        self.hall.traffic.record_response(route, status);
        // Only guesses are answered so: everything else is refused before a route is known.
        if status == 429 {
            self.hall
                .traffic
                .record_rejection(Rejection::LoginThrottled, request.peer);
        }
        if log::log_enabled!(target: "access", log::Level::Debug) {
            let (peer, target) = (request.peer, &request.target);
            let unsent = if sent.is_ok() { "" } else { " unsent" };
            log::debug!(target: "access", "{peer} {method} {target} {status} {bytes}{unsent}");
        }
    }

    /// Says that we are done and drops what still comes, for a while.
    async fn linger(&self) {
        let leash = self.leash();
        if self.stream.get_ref().shutdown(Shutdown::Write).is_err() {
            return;
        }
        leash.enter(ConnectionPhase::Lingering, self.hall.limits.linger_timeout);
        let mut dropped = 0;
        while dropped < limits::LINGER_BYTES {
            match drop_some(self.stream.get_ref()) {
                Ok(0) => return,
                Ok(read) => {
                    dropped += read;
                    // A fast sender must not have the thread for itself.
                    smol::future::yield_now().await;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let readable = poll_fn(|context| self.stream.poll_readable(context));
                    match leash.wait(readable).await {
                        Ok(Ok(())) => {}
                        _ => return,
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn leash(&self) -> &ConnectionState {
        &self.lease.state
    }
}

/// Reads and forgets. Apart, so that no connection's task holds the buffer while it waits.
fn drop_some(mut stream: &TcpStream) -> std::io::Result<usize> {
    stream.read(&mut [0; 4096])
}

/// Reads what an inbox has room for. Apart for the same reason.
fn read_some(mut stream: &TcpStream, inbox: &mut Inbox) -> std::io::Result<usize> {
    // A display's head is 200 bytes; a longer one takes another turn.
    let mut scratch = [0; 1024];
    let room = inbox.room().min(scratch.len());
    let read = stream.read(&mut scratch[..room])?;
    inbox.add(&scratch[..read]);
    Ok(read)
}

/// Where the answerer has no words.
fn wordless(status: u16) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: Vec::new().into(),
    }
}

/// Beside a 503: the load that caused it is usually gone after this.
const RETRY_AFTER_S: &str = "2";

/// Why no head came.
enum Ended {
    Silently,
    Refused(Box<Refusal>),
}
