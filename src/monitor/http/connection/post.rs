//! POST: the response is made from the head alone; the body is read and dropped.
//!
//! In the task of the connection. Where a body that was not read ends is unknown to whoever reads
//! on, so the connection ends with its response.

use super::{Close, Connection, NextStep};
use crate::monitor::http::connection_input::{self, ReceiveError};
use crate::monitor::http::connection_table::ConnectionPhase;
use crate::monitor::http::guarded_handler;
use crate::monitor::http::parser::{HeadError, PostBody, RequestBuffer, RequestHead};
use crate::monitor::http::response_writer::{self, ResponseFraming};
use crate::monitor::http::stats::Rejection;

impl Connection {
    pub(super) async fn serve_post(
        &self,
        head: RequestHead,
        body: PostBody,
        buffer: &mut RequestBuffer,
    ) -> NextStep {
        let server = &*self.server;
        let RequestHead {
            request,
            version,
            keep_alive,
            ..
        } = head;
        let reject = |(status, rejection), request| HeadError {
            status,
            rejection,
            request: Some(Box::new(request)),
            is_head: false,
        };
        let Some((route, response)) = guarded_handler::post(server, &request) else {
            let refusal = reject((405, Rejection::MethodNotAllowed), request);
            return NextStep::End(self.reject_prepared(&refusal).await);
        };
        let is_taken = response.status < 400;
        if is_taken {
            let length = match body.length {
                Ok(length) => length,
                Err(error) => {
                    let refusal = reject(error, request);
                    return NextStep::End(self.reject_prepared(&refusal).await);
                }
            };
            if let Err(end) = self.drop_body(length, body.expects_continue, buffer).await {
                return NextStep::End(end);
            }
        }
        let reply = guarded_handler::encode(response);
        let framing = ResponseFraming {
            is_head: false,
            version,
            keep_alive: is_taken && keep_alive && !server.connections.is_stopping(),
        };
        let sent = self.send(&reply, framing).await;
        let bytes = reply.body.bytes().len();
        self.record(&request, "POST", route, reply.status, bytes, sent);
        match self.next_step(sent, framing.keep_alive, buffer) {
            // The body may still be on its way.
            NextStep::End(Close::Now) if sent.is_ok() && !is_taken => NextStep::End(Close::Linger),
            next => next,
        }
    }

    /// Reads a body within the time that a head has, and drops it; how the connection ends if it
    /// does not come.
    async fn drop_body(
        &self,
        length: usize,
        expects_continue: bool,
        buffer: &mut RequestBuffer,
    ) -> Result<(), Close> {
        let (state, limits) = (self.state(), &self.server.limits);
        let mut left = length - buffer.discard(length);
        if left > 0 && expects_continue {
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
            let time = limits.write_timeout;
            let sent = response_writer::send(&self.stream, state, interim, b"", time);
            sent.await.map_err(|_| Close::Now)?;
        }
        state.enter(ConnectionPhase::Head, limits.head_timeout);
        while left > 0 {
            let received = connection_input::receive(&self.stream, state, limits, buffer, true);
            match received.await {
                Ok(()) => left -= buffer.discard(left),
                Err(ReceiveError::Closed) => return Err(Close::Now),
                Err(ReceiveError::Rejected(refusal)) => return Err(self.reject(*refusal).await),
            }
        }
        Ok(())
    }
}
