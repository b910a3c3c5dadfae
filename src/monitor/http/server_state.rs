//! Server state that all connections share.
//!
//! Owned by the server's thread (`Rc`, `Cell`).

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::LocalExecutor;

use super::connection_table::{ConnectionTable, LimitReached};
use super::deadline_timer::DeadlineTimer;
use super::event_log::EventLog;
use super::event_stream::WakerSet;
use super::forwarded::ClientNetworks;
use super::handler::Handler;
use super::parser::Version;
use super::pool_client::PoolClient;
use super::response_writer::{self, EncodedResponse, ResponseFraming};
use super::send_budget::SendBudget;
use super::server_limits::HttpLimits;
use super::stats::HttpStats;
use super::worker_pool::PoolState;
use crate::limits;

/// What all connections share.
pub struct ServerState {
    pub networks: ClientNetworks,
    pub handler: Arc<dyn Handler>,
    pub events: Arc<EventLog>,
    pub stats: Arc<HttpStats>,
    pub limits: HttpLimits,
    pub timer: Rc<DeadlineTimer>,
    pub connections: Rc<ConnectionTable>,
    pub send_budget: Rc<SendBudget>,
    pub pool: PoolClient,
    pub wakers: Rc<WakerSet>,
    /// The `Date` of the moment, and when it was made.
    date: RefCell<Option<(Instant, Option<Rc<str>>)>>,
    /// Whole responses to connections that are not accepted, for one tick, so that a flood
    /// costs a copy each.
    rejections: RefCell<Vec<RenderedRejection>>,
    /// Weak, since the tasks that the executor owns hold this state.
    pub executor: Weak<LocalExecutor<'static>>,
}

/// The response to a rejected connection, and when it was rendered.
type RenderedRejection = (ConnectionRejection, Instant, Rc<[u8]>);

/// Why a connection is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionRejection {
    /// It comes from a network that is not allowed.
    ForbiddenNetwork,
    Limit(LimitReached),
}

impl ServerState {
    pub fn new(
        networks: ClientNetworks,
        handler: Arc<dyn Handler>,
        events: Arc<EventLog>,
        stats: Arc<HttpStats>,
        workers: Arc<PoolState>,
        limits: HttpLimits,
        executor: Weak<LocalExecutor<'static>>,
    ) -> ServerState {
        let timer = Rc::<DeadlineTimer>::default();
        let connections = ConnectionTable::new(
            connection_limit(limits.connections),
            limits.connections_per_address,
            stats.clone(),
            timer.clone(),
        );
        let send_budget = SendBudget::new(
            limits.bytes_outstanding,
            limits.bytes_outstanding_per_address,
            stats.clone(),
        );
        let pool = PoolClient::new(
            workers,
            events.clone(),
            send_budget.clone(),
            stats.clone(),
            timer.clone(),
            &limits,
        );
        ServerState {
            networks,
            handler,
            events,
            stats,
            limits,
            timer,
            connections: Rc::new(connections),
            send_budget,
            pool,
            wakers: Rc::default(),
            date: RefCell::default(),
            rejections: RefCell::default(),
            executor,
        }
    }

    /// How long a client has to read a response of this size.
    pub fn write_timeout(&self, bytes: usize) -> Duration {
        let seconds = bytes / self.limits.write_bytes_per_s;
        self.limits.write_timeout + Duration::from_secs(seconds as u64)
    }

    /// The value of `Date`, at most one tick old.
    pub fn date(&self) -> Option<Rc<str>> {
        let now = Instant::now();
        let mut date = self.date.borrow_mut();
        match &*date {
            Some((made, value)) if now.saturating_duration_since(*made) < self.limits.tick => {
                value.clone()
            }
            _ => {
                let value: Option<Rc<str>> = self.handler.date().map(Rc::from);
                *date = Some((now, value.clone()));
                value
            }
        }
    }

    /// The whole response to a connection that is not accepted, before any request.
    pub fn rejection(&self, reason: ConnectionRejection) -> Rc<[u8]> {
        let now = Instant::now();
        let mut rejections = self.rejections.borrow_mut();
        rejections.retain(|(_, made, _)| now.saturating_duration_since(*made) < self.limits.tick);
        if let Some((_, _, bytes)) = rejections.iter().find(|(of, _, _)| *of == reason) {
            return bytes.clone();
        }
        let bytes: Rc<[u8]> = self.encode_rejection(reason).into();
        rejections.push((reason, now, bytes.clone()));
        bytes
    }

    fn encode_rejection(&self, reason: ConnectionRejection) -> Vec<u8> {
        let response = match reason {
            ConnectionRejection::ForbiddenNetwork => self.handler.rejection(403, None),
            ConnectionRejection::Limit(limit) => {
                let overload = self.connections.overload(limit);
                self.handler.overloaded(overload, None)
            }
        };
        let mut response = EncodedResponse::new(response);
        if response.status == 503 {
            response.add_if_missing("Retry-After", "5");
        }
        let framing = ResponseFraming {
            is_head: false,
            version: Version::Http11,
            keep_alive: false,
        };
        let mut bytes = response_writer::head(&response, framing, self.date().as_deref());
        bytes.extend_from_slice(response.body.bytes());
        bytes
    }
}

/// How many connections the file descriptors allow beside the rest of the node.
fn connection_limit(wanted: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    // With very few, half of them: better to serve few clients than none.
    let most = limit
        .saturating_sub(limits::RESERVED_DESCRIPTORS)
        .max(limit / 2)
        .max(1);
    if most < wanted {
        log::warn!(
            "serving at most {most} connections instead of {wanted}: only {limit} file \
             descriptors are allowed. Raise LimitNOFILE (systemd) or `ulimit -n`"
        );
    }
    wanted.min(most)
}
