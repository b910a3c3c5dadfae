//! The part of the node that faces displays and people: what is published, and the gate.

use std::net::TcpListener;
use std::sync::Arc;

use super::notifiers::NotifierStatus;
use crate::config::Config;
use crate::db::history::{HistoryError, HistoryReader};
use crate::db::store::Store;
use crate::domain::plan::Plan;
use crate::domain::snapshot::SnapshotSubscriber;
use crate::monitor::http::event_log::{EventKind, EventLog, StreamEvent};
use crate::monitor::http::private_dir::PrivateDir;
use crate::monitor::http::server::{HttpServer, HttpServerParts};
use crate::monitor::http::server_limits::HttpLimits;
use crate::monitor::http::stats::HttpStats;
use crate::monitor::{
    App, ChannelState, Context, HistoryFailure, Password, Published, ViewSettings,
};
use crate::sys::build_id;
use crate::sys::clock::Clock;
use crate::sys::heartbeat::Heartbeats;

/// The server and what it serves.
pub struct Serving {
    pub gate: HttpServer,
    pub monitor: Arc<App>,
    published: Arc<Published>,
    feed: Arc<EventLog>,
}

/// What is behind the server.
pub struct Dependencies<'a> {
    pub clock: &'a Arc<dyn Clock>,
    pub plan: &'a Arc<Plan>,
    pub store: &'a Arc<Store>,
    pub loops: &'a Heartbeats,
    pub published: Arc<Published>,
    /// How those who tell people are doing.
    pub channels: Vec<NotifierStatus>,
}

impl Serving {
    /// Starts serving what is published on sockets that are bound already.
    pub fn start(
        config: &Config,
        listeners: Vec<TcpListener>,
        behind: Dependencies<'_>,
    ) -> Result<Serving, String> {
        let Dependencies {
            clock,
            plan,
            store,
            loops,
            published,
            channels,
        } = behind;
        let feed = Arc::new(EventLog::new());
        let stats = Arc::new(HttpStats::new());
        let reader = HistoryReader::new(&config.database);
        let (store, past) = (store.clone(), store.clone());
        let (turning, turning_clock) = (loops.clone(), clock.clone());
        let (gate_beat, gate_clock) = (loops.gate.clone(), clock.clone());
        let (workers_beat, workers_clock) = (loops.workers.clone(), clock.clone());
        let monitor = Arc::new(App::new(Context {
            published: published.clone(),
            clock: clock.clone(),
            plan: plan.clone(),
            storage: Box::new(move || store.status()),
            history: Box::new(move |query, budget| match reader.history(query, budget) {
                Ok(buckets) => Ok(buckets),
                Err(HistoryError::UnknownKey) => Err(HistoryFailure::NothingStored),
                Err(HistoryError::Exceeded(limit)) => Err(HistoryFailure::Exceeded(limit)),
                Err(error) => Err(HistoryFailure::Unavailable(error.to_string())),
            }),
            http_stats: stats.clone(),
            channels: Box::new(move || channels.iter().map(channel_state).collect()),
            incidents: Box::new(move |most| past.incidents(most)),
            stuck: Box::new(move || turning.not_alive(turning_clock.now().mono)),
            password: config
                .password
                .as_ref()
                .map(|it| Password::new(it.reveal())),
            settings: ViewSettings {
                node_name: config.name.clone(),
                host_name: crate::config::host_name(),
                hosts: config.hosts.clone(),
                timezone: config.timezone.clone(),
                version: env!("CARGO_PKG_VERSION"),
                build: build_id::build,
                started: clock.now(),
                is_example: plan.is_example,
                is_demo: config.is_demo,
                cors_any: config.cors_any,
            },
        }));
        let gate = HttpServer::start(HttpServerParts {
            listeners,
            allow: config.allow.clone(),
            handler: monitor.clone(),
            events: feed.clone(),
            stats,
            private_bases: PrivateDir::bases(),
            heartbeat: Box::new(move || gate_beat.beat(gate_clock.now().mono)),
            workers_heartbeat: Box::new(move || workers_beat.beat(workers_clock.now().mono)),
            limits: HttpLimits::default(),
        })
        .map_err(|error| format!("the server cannot be started: {error}"))?;
        Ok(Serving {
            gate,
            monitor,
            published,
            feed,
        })
    }

    /// Replaces the served snapshot, and sends events when something that streams show has
    /// changed.
    pub fn subscriber(&self) -> SnapshotSubscriber {
        let (published, feed) = (self.published.clone(), self.feed.clone());
        Box::new(move |snapshot| {
            let alert_before = published.current().snapshot.alert.clone();
            let alert = snapshot.alert.clone();
            if let Some(publication) = published.publish(snapshot.clone()) {
                feed.append_snapshot(publication);
            }
            if alert != alert_before {
                let body = serde_json::json!({ "alert": alert.as_deref() });
                feed.append(StreamEvent {
                    kind: EventKind::Alert,
                    id: String::new(),
                    data: body.to_string().into_bytes().into(),
                });
            }
        })
    }
}

fn channel_state(notifier: &NotifierStatus) -> ChannelState {
    let status = notifier.status.get();
    ChannelState {
        name: notifier.name.clone(),
        waiting: status.waiting,
        trouble_since: status.failure.as_ref().map(|trouble| trouble.since),
        trouble: status.failure.map(|trouble| trouble.why),
        last_delivered: status.last_delivered,
        refused: status.refused,
        refused_since: status.refused_since,
        refusal: status.refusal,
        undelivered: status.undelivered,
    }
}
