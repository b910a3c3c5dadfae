//! Accept loop: takes connections from a listening socket and gives each a task.
//!
//! Runs on the server's thread. Connections over a limit, and those from networks that are not
//! allowed, get a response that is made once and is sent without waiting.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use smol::future::FutureExt as _;
use smol::{Async, Timer};

use super::admission::is_allowed;
use super::connection;
use super::connection_table::LimitReached;
use super::listener::is_resource_exhaustion;
use super::server_state::{ConnectionRejection, ServerState};
use super::stats::Rejection;
use crate::limits;

/// Never ends.
pub async fn accept_loop(listener: Async<TcpListener>, server: Rc<ServerState>) {
    let mut spare = File::open("/dev/null").ok();
    let (mut in_a_row, mut errors_in_a_row) = (0, 0);
    loop {
        match listener.read_with(|listener| listener.accept()).await {
            Ok((stream, address)) => {
                errors_in_a_row = 0;
                // A new connection replaces one that has been idle for a while.
                if server.connections.is_full()
                    && server
                        .connections
                        .evict_idle(server.limits.evict_idle_after)
                {
                    smol::future::yield_now().await;
                }
                let admitted = catch_unwind(AssertUnwindSafe(|| {
                    accept_connection(stream, address.ip(), &server);
                }));
                if admitted.is_err() {
                    server.stats.record_panic("accepting a connection");
                }
                in_a_row += 1;
                if in_a_row % limits::ACCEPT_BATCH == 0 {
                    smol::future::yield_now().await;
                }
            }
            Err(error) if is_resource_exhaustion(&error) => {
                // The connection stays in the kernel's queue until an idle one is evicted. If
                // there is none, the spare descriptor accepts it to close it, so that its
                // client sees it at once and the loop does not spin.
                let evicted = server.connections.evict_idle(Duration::ZERO);
                smol::future::yield_now().await;
                if !evicted
                    && spare.take().is_some()
                    && let Ok((stream, address)) = listener.get_ref().accept()
                {
                    server
                        .stats
                        .record_rejection(Rejection::NoDescriptors, address.ip());
                    drop(stream);
                }
                if spare.is_none() {
                    spare = File::open("/dev/null").ok();
                }
                if !evicted {
                    Timer::after(limits::ACCEPT_RETRY_DELAY).await;
                }
            }
            // The client left while it waited; Linux reports other errors of the network here
            // as well, none of which concerns the next connection.
            Err(error) => {
                log::debug!("a connection was lost while it was accepted: {error}");
                errors_in_a_row += 1;
                if errors_in_a_row < limits::ACCEPT_BATCH {
                    smol::future::yield_now().await;
                } else {
                    Timer::after(limits::ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }
}

/// Starts the task of a new connection, or rejects it.
fn accept_connection(stream: TcpStream, peer: IpAddr, server: &Rc<ServerState>) {
    let peer = peer.to_canonical();
    let is_proxy = server.networks.trusted_proxies.contains(peer);
    // Whether the client of a proxy is allowed, its requests say.
    if !is_proxy && !is_allowed(&server.networks.allow, peer) {
        server
            .stats
            .record_rejection(Rejection::ForbiddenNetwork, peer);
        return reject(stream, server, ConnectionRejection::ForbiddenNetwork);
    }
    let guard = match server.connections.admit(peer, is_proxy) {
        Ok(guard) => guard,
        Err(limit) => {
            let rejection = match limit {
                LimitReached::Total => Rejection::TooManyConnections,
                LimitReached::PerAddress | LimitReached::PerProxy => {
                    Rejection::ConnectionsPerAddress
                }
            };
            server.stats.record_rejection(rejection, peer);
            return reject(stream, server, ConnectionRejection::Limit(limit));
        }
    };
    let (Some(executor), Ok(stream)) = (server.executor.upgrade(), Async::new(stream)) else {
        return;
    };
    let served = connection::serve(stream, guard, server.clone());
    let stats = server.stats.clone();
    let caught = async move {
        if AssertUnwindSafe(served).catch_unwind().await.is_err() {
            stats.record_panic("a connection");
        }
    };
    executor.spawn(caught).detach();
}

/// Sends the rejection as far as the socket takes it without waiting.
fn reject(stream: TcpStream, server: &ServerState, reason: ConnectionRejection) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    let bytes = server.rejection(reason);
    let status = match reason {
        ConnectionRejection::ForbiddenNetwork => 403,
        ConnectionRejection::Limit(_) => 503,
    };
    let mut socket = &stream;
    let _ = socket.write(&bytes);
    let _ = stream.shutdown(Shutdown::Write);
    // Received bytes are read, so that closing is less likely to reset the connection.
    let mut scratch = [0; 4096];
    let _ = socket.read(&mut scratch);
    server.stats.record_response("refused", status);
}
