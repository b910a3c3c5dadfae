//! HTTP server: starts and stops the server's thread and the worker pool.
//!
//! The thread named `http` owns the listening sockets and every connection (a smol
//! `LocalExecutor`, a task for each connection). It parses strictly, keeps the limits and
//! deadlines of `limits`, sends what the handler has in memory, serves
//! event streams, and passes the rest to tiny_http's worker pool through a Unix socket. It must
//! not block: no disk, no database, no name resolution on this thread.
//!
//! A panic in one connection ends that connection; one in a loop restarts the loop.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use smol::{Async, LocalExecutor};

use super::accept::accept_loop;
use super::event_log::EventLog;
use super::forwarded::ClientNetworks;
use super::handler::Handler;
use super::private_dir::PrivateDir;
use super::server_limits::HttpLimits;
use super::server_state::ServerState;
use super::stats::HttpStats;
use super::worker_pool::{PoolState, WorkerPool};
use crate::limits;
use crate::sys::shutdown::{StopSource, StopToken};
use crate::sys::thread::{Thread, spawn};

/// Parts of the HTTP server.
pub struct HttpServerParts {
    /// From [`super::listener::bind`].
    pub listeners: Vec<TcpListener>,
    pub networks: ClientNetworks,
    pub handler: Arc<dyn Handler>,
    pub events: Arc<EventLog>,
    pub stats: Arc<HttpStats>,
    /// Where the private directory of the pool's socket may be made, best first:
    /// [`PrivateDir::bases`].
    pub private_bases: Vec<PathBuf>,
    /// Called by the server's thread regularly: the heartbeat for the watchdog.
    pub heartbeat: Box<dyn Fn() + Send>,
    /// Called likewise, if no request waits for the page workers or one of them has finished
    /// a request since the last call.
    pub workers_heartbeat: Box<dyn Fn() + Send>,
    pub limits: HttpLimits,
}

/// The running server. Dropping it stops it at once; [`HttpServer::stop`] lets responses
/// finish.
pub struct HttpServer {
    addresses: Vec<SocketAddr>,
    stop: StopSource,
    /// How long responses may take, once it stops.
    deadline: Arc<OnceLock<Instant>>,
    thread: Option<Thread>,
    pub(super) pool: WorkerPool,
}

impl HttpServer {
    /// Starts the worker pool and the server's thread; requests are served from now on.
    pub fn start(parts: HttpServerParts) -> io::Result<HttpServer> {
        let mut addresses = Vec::with_capacity(parts.listeners.len());
        for listener in &parts.listeners {
            addresses.push(listener.local_addr()?);
        }
        let directory = PrivateDir::create(&parts.private_bases)?;
        let pool = WorkerPool::start(parts.handler.clone(), parts.stats.clone(), directory)?;
        let workers = pool.state();
        let stop = StopSource::new();
        let deadline = Arc::new(OnceLock::new());
        let (token, until) = (stop.token(), deadline.clone());
        let thread = spawn("http", move || run(&parts, &workers, &token, &until))?;
        Ok(HttpServer {
            addresses,
            stop,
            deadline,
            thread: Some(thread),
            pool,
        })
    }

    /// Where it listens, with the ports that the kernel chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, ends event streams and idle connections, lets responses finish, then
    /// ends the pool and removes its directory: all within `time`. True if nothing was left
    /// behind.
    pub fn stop(mut self, time: Duration) -> bool {
        self.end(time)
    }

    fn end(&mut self, time: Duration) -> bool {
        let begun = Instant::now();
        // Workers end after the server: their responses are among those to finish.
        let _ = self.deadline.set(begun + time.mul_f32(0.8));
        self.stop.stop();
        // It meets the deadline itself, unless a handler blocks it, which it must not.
        let deadline = begun + time + limits::SHUTDOWN_GRACE;
        let ended = self.thread.take().is_none_or(|it| it.join_by(deadline));
        if !ended {
            log::error!("the HTTP server's thread did not end; it is left behind");
        }
        let rest = time.saturating_sub(begun.elapsed());
        self.pool.stop(rest.max(limits::SHUTDOWN_GRACE)) && ended
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end(Duration::ZERO);
        }
    }
}

/// The server's thread.
fn run(
    parts: &HttpServerParts,
    workers: &Arc<PoolState>,
    token: &StopToken,
    deadline: &OnceLock<Instant>,
) {
    loop {
        // Every task catches its own panics; this is for those of the loop itself.
        let served = catch_unwind(AssertUnwindSafe(|| {
            serve_until_stopped(parts, workers, token, deadline)
        }));
        match served {
            Ok(Ok(())) => return,
            Ok(Err(error)) => log::error!("the HTTP server failed: {error}; trying again"),
            Err(_) => parts.stats.record_panic("the HTTP server's loop"),
        }
        if token.wait(limits::ACCEPT_RETRY_DELAY) {
            return;
        }
    }
}

fn serve_until_stopped(
    parts: &HttpServerParts,
    workers: &Arc<PoolState>,
    token: &StopToken,
    deadline: &OnceLock<Instant>,
) -> io::Result<()> {
    let executor = Rc::new(LocalExecutor::new());
    let server = Rc::new(ServerState::new(
        parts.networks.clone(),
        parts.handler.clone(),
        parts.events.clone(),
        parts.stats.clone(),
        workers.clone(),
        parts.limits.clone(),
        Rc::downgrade(&executor),
    ));
    let mut accepting = Vec::with_capacity(parts.listeners.len());
    for listener in &parts.listeners {
        let listener = Async::new(listener.try_clone()?)?;
        accepting.push(executor.spawn(accept_loop(listener, server.clone())));
    }
    let waking_streams = {
        let server = server.clone();
        executor.spawn(async move {
            loop {
                server.events.wait().await;
                server.wakers.wake_all();
                // A snapshot may be due earlier than the maintenance loop knows.
                server.timer.wake();
            }
        })
    };
    smol::block_on(run_tasks(&executor, async {
        let maintaining = maintenance_loop(&server, parts);
        smol::future::or(token.stopped(), maintaining).await;
        let deadline = deadline.get().copied().unwrap_or_else(Instant::now);
        drop(accepting);
        drop(waking_streams);
        server.connections.stop();
        while server.connections.len() > 0 && Instant::now() < deadline {
            let next = keep_deadlines(&server, Instant::now());
            server.timer.sleep_until(next.min(deadline)).await;
        }
    }));
    Ok(())
}

/// Runs the tasks of the executor until `future` is done.
async fn run_tasks(executor: &LocalExecutor<'_>, future: impl Future<Output = ()>) {
    let tasks = async {
        loop {
            for _ in 0..limits::TASKS_PER_POLL {
                executor.tick().await;
            }
            // The sockets are polled.
            smol::future::yield_now().await;
        }
    };
    smol::future::or(future, tasks).await;
}

/// Runs whenever a deadline is due, and for the heartbeat. Never ends.
async fn maintenance_loop(server: &ServerState, parts: &HttpServerParts) {
    loop {
        let now = Instant::now();
        let next = catch_unwind(AssertUnwindSafe(|| {
            let next = keep_deadlines(server, now);
            if server.pool.is_making_progress() {
                (parts.workers_heartbeat)();
            }
            (parts.heartbeat)();
            next
        }));
        let next = next.unwrap_or_else(|_| {
            server.stats.record_panic("the HTTP server's maintenance");
            now + server.limits.tick
        });
        server.timer.sleep_until(next).await;
    }
}

/// Does what is due, and returns when to come again.
fn keep_deadlines(server: &ServerState, now: Instant) -> Instant {
    let due = [
        server.connections.expire(now),
        server.pool.maintain(now),
        server.events.send_due_snapshot(now),
    ];
    let next = due.into_iter().flatten().min();
    // Deadlines have the precision of a tick, so that many cost one wake-up.
    let earliest = now + server.limits.tick;
    let latest = now + server.limits.heartbeat;
    next.map_or(latest, |next| next.clamp(earliest, latest.max(earliest)))
}
