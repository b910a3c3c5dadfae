//! HTTP serving: connects the HTTP server to the published snapshot, the store and the channels.
//!
//! Runs on the main thread at start; what it hands out runs on the server's threads.

use std::net::TcpListener;
use std::sync::Arc;

use super::notifiers::NotifierStatus;
use crate::config::Config;
use crate::db::history::{HistoryError, HistoryReader};
use crate::db::store::Store;
use crate::domain::output_state::OutputState;
use crate::domain::plan::Plan;
use crate::domain::snapshot::SnapshotSubscriber;
use crate::domain::snapshot_change::SnapshotChange;
use crate::monitor::http::cors::CorsPolicy;
use crate::monitor::http::event_log::EventLog;
use crate::monitor::http::forwarded::{ClientNetworks, TrustedProxies};
use crate::monitor::http::private_dir::PrivateDir;
use crate::monitor::http::server::{HttpServer, HttpServerParts};
use crate::monitor::http::server_limits::HttpLimits;
use crate::monitor::http::stats::HttpStats;
use crate::monitor::{
    App, ChannelState, Context, DeviceKeys, HistoryFailure, Installation, Password, Published,
    RefusedConfiguration, ViewSettings,
};
use crate::sys::build_id;
use crate::sys::clock::Clock;
use crate::sys::heartbeat::Heartbeats;
use crate::sys::os_error::reason;
use crate::sys::sync::Mutex;

/// The HTTP server and what it serves.
pub struct Serving {
    pub http: HttpServer,
    pub app: Arc<App>,
    published: Arc<Published>,
    events: Arc<EventLog>,
}

/// What the HTTP server depends on.
pub struct Dependencies<'a> {
    pub clock: &'a Arc<dyn Clock>,
    pub plan: &'a Arc<Plan>,
    pub store: &'a Arc<Store>,
    pub heartbeats: &'a Heartbeats,
    pub published: Arc<Published>,
    /// The channels and the heartbeat.
    pub channels: Vec<NotifierStatus>,
    pub outputs: Box<dyn Fn() -> Vec<OutputState> + Send + Sync>,
    pub refused_configuration: Arc<Mutex<Option<RefusedConfiguration>>>,
}

impl Serving {
    /// Starts serving what is published on sockets that are bound already.
    pub fn start(
        config: &Config,
        listeners: Vec<TcpListener>,
        dependencies: Dependencies<'_>,
    ) -> Result<Serving, String> {
        let published = dependencies.published.clone();
        let clock = dependencies.clock.clone();
        let (http, workers) = (
            dependencies.heartbeats.http.clone(),
            dependencies.heartbeats.workers.clone(),
        );
        let workers_clock = clock.clone();
        let events = Arc::new(EventLog::new());
        let stats = Arc::new(HttpStats::new());
        let app = Arc::new(App::new(context(config, dependencies, stats.clone())));
        let http = HttpServer::start(HttpServerParts {
            listeners,
            networks: ClientNetworks {
                allow: config.allow.clone(),
                trusted_proxies: TrustedProxies::new(&config.trusted_proxies),
            },
            handler: app.clone(),
            events: events.clone(),
            stats,
            private_bases: PrivateDir::bases(),
            heartbeat: Box::new(move || http.beat(clock.now().mono)),
            workers_heartbeat: Box::new(move || workers.beat(workers_clock.now().mono)),
            limits: HttpLimits::default(),
        })
        .map_err(|error| format!("the HTTP server cannot be started: {}", reason(&error)))?;
        Ok(Serving {
            http,
            app,
            published,
            events,
        })
    }

    /// Replaces the served snapshot, and sends events when something that streams show has
    /// changed.
    pub fn subscriber(&self) -> SnapshotSubscriber {
        let (published, events) = (self.published.clone(), self.events.clone());
        Box::new(move |snapshot| {
            let alert_before = published.current().snapshot.alert.clone();
            let alert = snapshot.alert.clone();
            let (publication, change) = published.publish(snapshot.clone());
            if change != SnapshotChange::Nothing {
                events.append_snapshot(publication, change);
            }
            if alert != alert_before {
                let body = serde_json::json!({ "alert": alert.as_deref() });
                events.append_alert(body.to_string().as_bytes());
            }
        })
    }
}

/// Context of the routes.
fn context(config: &Config, dependencies: Dependencies<'_>, stats: Arc<HttpStats>) -> Context {
    let Dependencies {
        clock,
        plan,
        store,
        heartbeats,
        published,
        channels,
        outputs,
        refused_configuration,
    } = dependencies;
    let reader = HistoryReader::new(&config.database).in_zone(config.timezone.clone());
    let reader = Arc::new(reader);
    let (forecasts, periods, states) = (reader.clone(), reader.clone(), reader.clone());
    let units = reader.clone();
    let (store, incidents) = (store.clone(), store.clone());
    let (heartbeats, heartbeats_clock) = (heartbeats.clone(), clock.clone());
    Context {
        published,
        clock: clock.clone(),
        plan: plan.clone(),
        storage: Box::new(move || store.status()),
        history: Box::new(move |query, budget| {
            reader.history(query, budget).map_err(history_failure)
        }),
        // Without it the history is shown all the same.
        stored_unit: Box::new(move |key| units.unit(key).ok().flatten()),
        forecast: Box::new(move |query, now, budget| {
            let buckets = forecasts.forecast(query, now, budget);
            buckets.map_err(history_failure)
        }),
        periods: Box::new(move |query, budget| {
            periods.periods(query, budget).map_err(history_failure)
        }),
        states: Box::new(move |query, budget| {
            states.states(query, budget).map_err(history_failure)
        }),
        http_stats: stats,
        channels: Box::new(move || channels.iter().map(channel_state).collect()),
        outputs,
        refused_configuration: Box::new(move || refused_configuration.lock().clone()),
        incidents: Box::new(move |most| incidents.incidents(most)),
        stuck: Box::new(move || heartbeats.not_alive(heartbeats_clock.now().mono)),
        password: config
            .password
            .as_ref()
            .map(|it| Password::new(it.reveal()))
            .map(|it| it.with_token(config.token.as_ref().map(|it| it.reveal()))),
        device_keys: device_keys(config, plan),
        settings: view_settings(config, plan, clock),
    }
}

/// The keys of an earlier run, where a device may have one.
fn device_keys(config: &Config, plan: &Plan) -> DeviceKeys {
    let keys = DeviceKeys::beside(&config.database);
    if plan.pages.displays.iter().any(|it| it.device.is_some()) {
        if let Err(problem) = keys.load() {
            log::warn!("displays get no pictures: {problem}");
        }
        keys.restrict_to_owner();
    }
    keys
}

fn history_failure(error: HistoryError) -> HistoryFailure {
    match error {
        HistoryError::UnknownKey => HistoryFailure::NothingStored,
        HistoryError::Exceeded(limit) => HistoryFailure::Exceeded(limit),
        error => HistoryFailure::Unavailable(error.to_string()),
    }
}

fn view_settings(config: &Config, plan: &Plan, clock: &Arc<dyn Clock>) -> ViewSettings {
    ViewSettings {
        node_name: config.name.clone(),
        host_name: crate::config::host_name(),
        hosts: config.hosts.clone(),
        timezone: config.timezone.clone(),
        version: env!("CARGO_PKG_VERSION"),
        build: build_id::build,
        started: clock.now(),
        configuration_loaded: config.loaded.unwrap_or_else(|| clock.now()),
        is_example: plan.is_example,
        installation: Installation {
            config_file: config.file.clone(),
            config_paths: crate::config::searched_paths(),
            database: config.database.clone(),
            listen: config.listen.clone(),
        },
        is_demo: config.is_demo,
        demo_history: config.demo_history.clone(),
        cors: CorsPolicy::new(&config.cors),
        base_path: config.base_path.clone(),
        frame_ancestors: config.frame_ancestors.clone(),
    }
}

fn channel_state(notifier: &NotifierStatus) -> ChannelState {
    let status = notifier.status.get();
    ChannelState {
        name: notifier.name.clone(),
        waiting: status.waiting,
        trouble_since: status.failure.as_ref().map(|it| it.since),
        trouble: status.failure.map(|it| it.why),
        last_delivered: status.last_delivered,
        refused: status.refused,
        refused_since: status.refused_since,
        refusal: status.refusal,
        undelivered: status.undelivered,
    }
}
