//! Connection input: reads request heads, notices a reset, discards what comes after the end.
//!
//! On the server's thread, in the task of the connection. It sends nothing.

use std::future::poll_fn;
use std::io::{ErrorKind, Read as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use smol::Async;

use super::connection_table::{ConnectionPhase, ConnectionState, Interrupt};
use super::parser::{HeadError, RequestBuffer};
use super::server_limits::HttpLimits;
use super::stats::Rejection;
use crate::limits;

/// Why no head was received.
pub enum ReceiveError {
    Closed,
    Rejected(Box<HeadError>),
}

/// Waits for more bytes of a head.
pub async fn receive(
    stream: &Async<TcpStream>,
    state: &ConnectionState,
    limits: &HttpLimits,
    buffer: &mut RequestBuffer,
    is_first: bool,
) -> Result<(), ReceiveError> {
    if state.phase() == ConnectionPhase::Idle && !buffer.is_empty() {
        state.enter(ConnectionPhase::Head, limits.head_timeout);
    }
    // After a response the next request is seldom there at once. After a turn of the other
    // tasks it may be, and a read without data costs less than waiting for readiness.
    if buffer.is_empty() && !is_first {
        smol::future::yield_now().await;
    }
    let (mut wait_first, mut is_evicted) = (false, false);
    loop {
        if wait_first {
            let readable = poll_fn(|context| stream.poll_readable(context));
            match state.wait(readable).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(ReceiveError::Closed),
                Err(Interrupt::Evicted) if is_evicted => return Err(ReceiveError::Closed),
                // A request may have come in the meantime.
                Err(Interrupt::Evicted) => is_evicted = true,
                Err(Interrupt::TimedOut) if buffer.is_empty() => return Err(ReceiveError::Closed),
                Err(Interrupt::TimedOut) => {
                    let late = buffer.incomplete(408, Rejection::HeadTimeout);
                    return Err(ReceiveError::Rejected(Box::new(late)));
                }
            }
        }
        match read_input(stream.get_ref(), buffer) {
            Ok(0) if buffer.is_empty() => return Err(ReceiveError::Closed),
            Ok(0) => {
                let truncated = buffer.incomplete(400, Rejection::BadRequest);
                return Err(ReceiveError::Rejected(Box::new(truncated)));
            }
            Ok(_) => {
                if is_evicted {
                    state.revoke_eviction();
                }
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_first = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(ReceiveError::Closed),
        }
    }
}

/// Resolves when the client has reset the connection: no worker is needed then. A client
/// that has only closed its sending side, or has already sent more, is still connected.
pub async fn wait_for_reset(stream: &Async<TcpStream>) {
    loop {
        if poll_fn(|context| stream.poll_readable(context))
            .await
            .is_err()
        {
            return;
        }
        match stream.get_ref().peek(&mut [0]) {
            Ok(_) => std::future::pending().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Shuts down the sending side and drops what is still received, for a while.
pub async fn linger(stream: &Async<TcpStream>, state: &ConnectionState, timeout: Duration) {
    if stream.get_ref().shutdown(Shutdown::Write).is_err() {
        return;
    }
    state.enter(ConnectionPhase::Lingering, timeout);
    let mut dropped = 0;
    while dropped < limits::LINGER_BYTES {
        match discard_input(stream.get_ref()) {
            Ok(0) => return,
            Ok(read) => {
                dropped += read;
                // A fast sender must not block the other tasks.
                smol::future::yield_now().await;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let readable = poll_fn(|context| stream.poll_readable(context));
                match state.wait(readable).await {
                    Ok(Ok(())) => {}
                    _ => return,
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Reads and discards. A function, so that no connection's task holds the buffer while it waits.
fn discard_input(mut stream: &TcpStream) -> std::io::Result<usize> {
    stream.read(&mut [0; 4096])
}

/// Reads what the request buffer has room for. A function for the same reason.
fn read_input(mut stream: &TcpStream, buffer: &mut RequestBuffer) -> std::io::Result<usize> {
    // A display's head is 200 bytes; a longer one takes another read.
    let mut scratch = [0; 1024];
    let room = buffer.room().min(scratch.len());
    let read = stream.read(&mut scratch[..room])?;
    buffer.add(&scratch[..read]);
    Ok(read)
}
