//! Builds the parts, starts their threads, joins them in order.
//!
//! The only place, beside `main` and its commands, that sees the whole configuration; each
//! part is handed its slice. Nothing here fetches, judges, stores or serves.

pub mod sources;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use crate::api::transport::Canceller;
use crate::config::Config;
use crate::db::history::Reader;
use crate::db::retention::Retention;
use crate::db::session::Place;
use crate::db::store::{self, Store, StoreSettings};
use crate::db::{backup, restore, session};
use crate::domain::ledger::Ledger;
use crate::domain::plan::Plan;
use crate::domain::snapshot::Snapshot;
use crate::ingest::Ingest;
use crate::limits;
use crate::monitor::events::{Event, EventKind, Feed};
use crate::monitor::gate::private_dir::PrivateDir;
use crate::monitor::gate::{Gate, GateLimits, Parts};
use crate::monitor::traffic::Traffic;
use crate::monitor::{Context, Monitor, Published, RequestCount, Settings};
use crate::sys::beat::Beat;
use crate::sys::clock::{Clock, boot_id};
use crate::sys::notify;
use crate::sys::shutdown::{Shutdown, shutdown};
use crate::sys::thread::{Thread, spawn};

/// The running node. [`Node::stop`] ends it in order.
pub struct Node {
    shutdown: Shutdown,
    fetchers: Vec<(Thread, Canceller)>,
    ingest: Thread,
    store: Arc<Store>,
    gate: Gate,
    /// Threads that no data passes through: backups, the watchdog.
    others: Vec<Thread>,
}

impl Node {
    /// Starts everything behind sockets that are bound already. `Err` is for the person who
    /// configured it.
    pub fn start(
        config: &Config,
        listeners: Vec<TcpListener>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Node, String> {
        let plan = Arc::new(config.plan());
        let boot = boot_id();
        let place = Place {
            path: config.database.clone(),
            is_default: config.database_is_default,
        };
        let opened = session::open(&place, &boot);
        match &opened {
            Err(error) if error.is_fatal() => return Err(error.to_string()),
            Err(error) => log::error!("storage: {error}"),
            Ok(_) => {}
        }
        let mut ledger = Ledger::new(plan.clone());
        let restored = restore::last_good(&opened, &place, &boot);
        let fetchers = sources::fetchers(config, clock, &restored)?;
        ledger.restore(restored);
        let settings = StoreSettings {
            commit_every: config.commit_every,
            retention: Retention {
                raw: config.keep_raw,
                hourly: config.keep_hourly,
                bytes: config.database_max,
            },
            ..StoreSettings::new(place, boot)
        };
        let store = store::start(settings, opened, clock.clone()).map_err(no_thread("store"))?;
        let store = Arc::new(store);

        let published = Arc::new(Published::new(Arc::new(ledger.snapshot(clock.now()))));
        let feed = Arc::new(Feed::new());
        let beat = Beat::default();
        beat.turned(clock.now().mono);
        let gate = start_gate(
            config, listeners, clock, &plan, &store, &published, &feed, &beat,
        )?;

        let (shutdown, stopping) = shutdown();
        let (observations, observed) = sync_channel(limits::OBSERVATION_QUEUE);
        let ingest = Ingest {
            plan,
            rules: config.alert.clone(),
            ledger,
            clock: clock.clone(),
            beat: beat.clone(),
            store: Box::new({
                let store = store.clone();
                move |rows| store.append(rows)
            }),
            publish: Box::new(publisher(published, feed)),
        };
        let ingest = spawn("ingest", move || ingest.run(&observed)).map_err(no_thread("ingest"))?;

        let mut threads = Vec::with_capacity(fetchers.len());
        for fetcher in fetchers {
            let (canceller, name) = (fetcher.canceller(), fetcher.thread_name());
            let (stopping, observations) = (stopping.clone(), observations.clone());
            let run = move || {
                fetcher.run(&stopping, |observation| {
                    // Fails only when ingest is gone, and then the node is stopping.
                    let _ = observations.send(observation);
                });
            };
            threads.push((spawn(&name, run).map_err(no_thread(&name))?, canceller));
        }
        // Without a sender of its own left here, ingest ends when the last fetcher has.
        drop(observations);

        let backups = config.backup_every.map(|every| {
            let (database, keep) = (config.database.clone(), config.backup_keep);
            let (clock, stopping) = (clock.clone(), stopping.clone());
            let run = move || backup::keep_making(&database, every, keep, &*clock, &stopping);
            spawn("backup", run).map_err(no_thread("backup"))
        });
        let watchdog = notify::watchdog_interval().map(|interval| {
            let (clock, beat) = (clock.clone(), beat.clone());
            let status_of = store.clone();
            let keep_alive = move || {
                let is_alive = || beat.silence(clock.now().mono) < limits::STUCK;
                let line = || match status_of.status().trouble {
                    Some(trouble) => format!("storage: {trouble}"),
                    None => "fetching and serving".to_owned(),
                };
                notify::keep_alive(interval, &stopping, is_alive, line);
            };
            spawn("watchdog", keep_alive).map_err(no_thread("watchdog"))
        });
        Ok(Node {
            shutdown,
            fetchers: threads,
            ingest,
            store,
            gate,
            others: [backups, watchdog]
                .into_iter()
                .flatten()
                .collect::<Result<_, _>>()?,
        })
    }

    /// Where displays find it.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.gate.addresses()
    }

    /// Stops in the order of the data: sources, ingest, store, gate. What is known is served
    /// until the end, and everything received is committed. True if nothing was left behind.
    pub fn stop(self) -> bool {
        let deadline = Instant::now() + limits::STOP;
        notify::stopping();
        let mut left_behind = Vec::new();

        self.shutdown.begin();
        for (_, canceller) in &self.fetchers {
            canceller.cancel();
        }
        // Half of the time is kept for the commit.
        let fetch_deadline = Instant::now() + limits::STOP / 2;
        for (thread, _) in self.fetchers {
            let name = thread.name().to_owned();
            if !thread.join_by(fetch_deadline) {
                left_behind.push(name);
            }
        }
        log::info!("stopping: sources have ended");
        if left_behind.is_empty() && !self.ingest.join_by(fetch_deadline) {
            left_behind.push("ingest".to_owned());
        }
        log::info!("stopping: the last observation is published");
        let rest = || deadline.saturating_duration_since(Instant::now());
        if !self.store.stop(rest().max(Duration::from_millis(500))) {
            left_behind.push("store".to_owned());
        }
        log::info!("stopping: readings are committed");
        if !self.gate.stop(rest().min(Duration::from_secs(1))) {
            left_behind.push("gate".to_owned());
        }
        for thread in self.others {
            // A copy that takes long is left behind unfinished; it is made anew next time.
            thread.join_by(deadline);
        }
        match left_behind.as_slice() {
            [] => log::info!("stopped"),
            names => log::warn!("stopped; did not end in time: {}", names.join(", ")),
        }
        left_behind.is_empty()
    }
}

fn no_thread(name: &str) -> impl Fn(std::io::Error) -> String {
    let name = name.to_owned();
    move |error| format!("the part {name} cannot be started: {error}")
}

/// Swaps what is served and tells the event streams, when something they show has changed.
fn publisher(published: Arc<Published>, feed: Arc<Feed>) -> impl Fn(Arc<Snapshot>) + Send {
    move |snapshot| {
        let alert_before = published.current().snapshot.alert.clone();
        let alert = snapshot.alert.clone();
        if let Some(entity) = published.publish(snapshot) {
            feed.announce(Event {
                kind: EventKind::Snapshot,
                id: entity.plain.etag.clone(),
                data: entity.plain.body.clone(),
            });
        }
        if alert != alert_before {
            let text = serde_json::Value::from(alert.as_deref());
            feed.announce(Event {
                kind: EventKind::Alert,
                id: String::new(),
                data: serde_json::json!({ "alert": text })
                    .to_string()
                    .into_bytes()
                    .into(),
            });
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn start_gate(
    config: &Config,
    listeners: Vec<TcpListener>,
    clock: &Arc<dyn Clock>,
    plan: &Arc<Plan>,
    store: &Arc<Store>,
    published: &Arc<Published>,
    feed: &Arc<Feed>,
    beat: &Beat,
) -> Result<Gate, String> {
    let traffic = Arc::new(Traffic::new());
    let reader = Reader::new(&config.database);
    let (store, counts) = (store.clone(), traffic.clone());
    let (stuck_beat, stuck_clock) = (beat.clone(), clock.clone());
    let monitor = Monitor::new(Context {
        published: published.clone(),
        clock: clock.clone(),
        plan: plan.clone(),
        storage: Box::new(move || store.status()),
        history: Box::new(move |query| reader.history(query).map_err(|error| error.to_string())),
        traffic: Box::new(move || request_counts(&counts)),
        stuck: Box::new(move || {
            let silence = stuck_beat.silence(stuck_clock.now().mono);
            (silence > limits::STUCK).then_some("ingest")
        }),
        settings: Settings {
            node_name: config.name.clone(),
            host_name: crate::config::host_name(),
            hosts: config.hosts.clone(),
            timezone: config.timezone.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started: clock.now(),
            is_example: plan.is_example,
            cors_any: config.cors_any,
        },
    });
    Gate::start(Parts {
        listeners,
        answerer: Arc::new(monitor),
        feed: feed.clone(),
        traffic,
        private_bases: PrivateDir::bases(),
        beat: Box::new(|| ()),
        limits: GateLimits::default(),
    })
    .map_err(|error| format!("the server cannot be started: {error}"))
}

fn request_counts(traffic: &Traffic) -> Vec<RequestCount> {
    let requests = traffic.snapshot().requests.into_iter();
    requests
        .map(|((route, status), count)| RequestCount {
            route,
            status,
            count,
        })
        .collect()
}
