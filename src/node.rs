//! Start and graceful shutdown of the whole node.
//!
//! Builds the parts, connects them, starts their threads and joins them in order. The only
//! place, beside `main` and its commands, that sees the whole configuration; each part is handed
//! its slice. Runs on the main thread. Nothing here fetches, judges, stores or serves.

mod authenticators;
pub mod demo_history;
#[cfg(test)]
#[path = "node/tests/faults.rs"]
mod faults;
mod last_run;
mod mail_tokens;
pub mod notifiers;
pub mod outputs;
mod quotas;
pub mod requests;
mod serving;
pub mod sources;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use self::authenticators::Authenticators;
use self::last_run::restore_last_run;
use self::mail_tokens::MailTokens;
use self::notifiers::{Notifiers, channel_facts};
use self::outputs::{OutputStart, Outputs};
use self::serving::{Dependencies, Serving};
use crate::api::fetcher::Fetcher;
use crate::api::request_quota::QuotaHandle;
use crate::config::Config;
use crate::db::backup::schedule::BackupSchedule;
use crate::db::database::Database;
use crate::db::error::OpenError;
use crate::db::open::DatabaseLocation;
use crate::db::retention::policy::RetentionPolicy;
use crate::db::store::derived_windows::StoredWindows;
use crate::db::store::{self, Store, StoreSettings};
use crate::db::{restore, salvage};
use crate::domain::alert::{AlertCommit, NodeFacts};
use crate::domain::ledger::{Forecast, RecordRow, SavedAbsences};
use crate::domain::reading::Observation;
use crate::domain::snapshot::{DataStatus, Snapshot, SnapshotSubscriber};
use crate::ingest::{Ingest, WindowUpkeep};
use crate::limits;
use crate::monitor::{Published, RefusedConfiguration};
use crate::sys::clock::{Clock, boot_id};
use crate::sys::heartbeat::Heartbeats;
use crate::sys::os_error::reason;
use crate::sys::shutdown::{StopSource, StopToken};
use crate::sys::sync::Mutex;
use crate::sys::systemd;
use crate::sys::thread::{Thread, check_spawn, spawn};

/// Why the node cannot be started, for the person who configured it.
#[derive(Debug)]
pub enum StartError {
    /// Permanent: the configuration or the system must be changed first.
    Misconfigured(String),
    /// Threads, descriptors or memory are short now: a supervisor should try again.
    OutOfResources(String),
}

/// The running node. [`Node::stop`] ends it in order.
pub struct Node {
    shutdown: StopSource,
    fetchers: Vec<Thread>,
    ingest: Thread,
    store: Arc<Store>,
    notifiers: Notifiers,
    outputs: Outputs,
    serving: Serving,
    refused_configuration: Arc<Mutex<Option<RefusedConfiguration>>>,
    /// Threads that no data passes through: backups, the watchdog.
    others: Vec<Thread>,
}

impl Node {
    /// Starts everything behind sockets that are bound already. `on_readings_changed` is called, on the
    /// store's thread, when a command has changed what is stored and the node should start anew.
    pub fn start(
        config: &Config,
        listeners: Vec<TcpListener>,
        on_readings_changed: Arc<dyn Fn() + Send + Sync>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Node, StartError> {
        check_thread_limit(config)?;
        let plan = Arc::new(config.plan());
        let storage = open_storage(config, clock)?;
        let (fetchers, mail_tokens) = clients(config, clock).map_err(StartError::Misconfigured)?;
        let last_run = restore_last_run(&storage, config, &plan, clock);

        let notifiers_stop = StopSource::new();
        let stored_rows = StopSource::new();
        let wakes = (notifiers_stop.token(), stored_rows.token());
        let store = start_store(config, storage, wakes, on_readings_changed, clock)?;
        let heartbeats = Heartbeats::starting(clock.now().mono);
        let snapshot = Arc::new(last_run.ledger.snapshot(clock.now()));
        let mut outputs = start_outputs(config, &store, stored_rows, &snapshot, clock)?;
        let published = Arc::new(Published::new(snapshot));
        let health = health_check(&published, &heartbeats, clock);
        let notifiers =
            Notifiers::start(config, mail_tokens, notifiers_stop, &store, clock, health)
                .map_err(cannot_start("alerts"))?;
        let refused_configuration: Arc<Mutex<Option<RefusedConfiguration>>> = Arc::default();
        let dependencies = Dependencies {
            clock,
            plan: &plan,
            store: &store,
            heartbeats: &heartbeats,
            published,
            channels: notifiers.statuses(),
            outputs: Box::new(outputs.states()),
            refused_configuration: refused_configuration.clone(),
        };
        let serving =
            Serving::start(config, listeners, dependencies).map_err(StartError::OutOfResources)?;

        let shutdown = StopSource::new();
        let (status_lines, lines) = status_lines(&serving);
        // What follows the snapshot, in the order in which it is published to them.
        let mut subscribers = vec![serving.subscriber()];
        subscribers.extend(status_lines);
        subscribers.extend(outputs.take_subscriber());
        let (observations, received) = sync_channel(limits::OBSERVATION_QUEUE);
        let ingest = Ingest {
            has_probed: false,
            probe_sources: probe_sources(shutdown.token()),
            rules: config.alert.clone(),
            ledger: last_run.ledger,
            alerts: last_run.alerts,
            clock: clock.clone(),
            heartbeat: heartbeats.ingest.clone(),
            store: store_rows(&store),
            store_forecasts: store_forecasts(&store),
            commit_alerts: commit_alerts(&store),
            save_absences: save_absences(&store),
            absences_due: clock.now().mono.after(limits::ABSENCES_SAVE_INTERVAL),
            windows: WindowUpkeep::new(Box::new(StoredWindows(store.clone()))),
            node: node_facts(&store, &serving, &notifiers),
            subscribers,
        };
        let run = move || ingest.run(&received);
        let ingest = spawn("ingest", run).map_err(cannot_start("ingest"))?;
        let quotas = last_run.quotas.into_handles(config, &store, clock.now());
        // The fetchers hold the only senders: ingest ends when the last of them has.
        let fetchers = start_fetchers(fetchers, quotas, observations, &shutdown.token())?;
        let others = start_others(config, &store, clock, &heartbeats, lines, &shutdown.token())?;
        Ok(Node {
            shutdown,
            fetchers,
            ingest,
            store,
            notifiers,
            outputs,
            serving,
            refused_configuration,
            others,
        })
    }

    /// Where displays find it.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.serving.http.addresses()
    }

    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Whether [`Node::start`] would find something permanent wrong with what a configuration sends.
    pub fn check(config: &Config, clock: &Arc<dyn Clock>) -> Result<(), String> {
        clients(config, clock).map(|_| ())
    }

    /// Shows that a configuration was not loaded, until the node stops.
    pub fn refuse_configuration(&self, refused: RefusedConfiguration) {
        *self.refused_configuration.lock() = Some(refused);
    }

    /// The configuration that was not loaded, if one was not.
    pub fn refused_configuration(&self) -> Option<RefusedConfiguration> {
        self.refused_configuration.lock().clone()
    }

    /// Stops in the order of the data: sources, ingest, outputs, notifiers, store, HTTP server. What is
    /// known is served until the end, and everything received is committed; at the end responses have
    /// the time `responses`. True if that succeeded and nothing was left behind.
    pub fn stop(self, responses: Duration) -> bool {
        let deadline = Instant::now() + limits::SHUTDOWN_TIMEOUT;
        let mut left_behind = Vec::new();

        self.shutdown.stop();
        // Half of the time is reserved for the commit.
        let first_half = Instant::now() + limits::SHUTDOWN_TIMEOUT / 2;
        for thread in self.fetchers {
            let name = thread.name().to_owned();
            if !thread.join_by(first_half) {
                left_behind.push(name);
            }
        }
        log::info!("stopping: no source is fetched any more");
        // It ends when the last sender has been dropped.
        if left_behind.is_empty() && !self.ingest.join_by(first_half) {
            left_behind.push("ingest".to_owned());
        }
        log::info!("stopping: the last snapshot is published");
        let outputs_end = Instant::now() + limits::OUTPUT_STOP_TIMEOUT;
        left_behind.extend(self.outputs.stop(outputs_end));
        left_behind.extend(self.notifiers.stop(first_half.max(Instant::now())));
        let rest = || deadline.saturating_duration_since(Instant::now());
        let stored = self.store.stop(rest().max(limits::SHUTDOWN_TIMEOUT / 10));
        if stored.is_complete() {
            log::info!("stopping: {stored}");
        } else {
            log::error!("stopping: {stored}");
        }
        if !self.serving.http.stop(rest().min(responses)) {
            left_behind.push("http".to_owned());
        }
        for thread in self.others {
            // A backup that takes long is left behind unfinished; the next run makes it anew.
            thread.join_by(deadline);
        }
        if left_behind.is_empty() {
            log::info!("stopped");
        } else {
            let names = left_behind.join(", ");
            log::warn!("stopped; these threads did not end in time: {names}");
        }
        left_behind.is_empty() && stored.is_complete()
    }
}

/// What sends requests: the fetchers, and the mail's client of a token server. They share the
/// accounts.
fn clients(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<(Vec<Fetcher>, Option<MailTokens>), String> {
    let authenticators = Authenticators::new(config)?;
    let fetchers = sources::fetchers_with(config, &authenticators, clock)?;
    let mail_tokens = MailTokens::new(config, &authenticators, clock)?;
    Ok((fetchers, mail_tokens))
}

/// Libraries panic where a thread cannot be started, so it is tried before they are needed.
fn check_thread_limit(config: &Config) -> Result<(), StartError> {
    let sources = config.sources.len();
    let threads = sources + limits::THREADS_BESIDE_SOURCES;
    check_spawn(threads).map_err(|error| {
        StartError::OutOfResources(format!(
            "main-node needs {threads} threads for {sources} sources, and not all can be started: \
             {}. Raise TasksMax= of the unit (`ulimit -u` in a shell), or configure fewer sources",
            reason(&error)
        ))
    })
}

/// The database, or why the node runs without one for now.
struct OpenedStorage {
    location: DatabaseLocation,
    boot: String,
    database: Result<Database, OpenError>,
}

/// Opens the database, after restoring a staged backup. The node also starts without a database
/// that is unavailable for now: the store retries.
fn open_storage(config: &Config, clock: &Arc<dyn Clock>) -> Result<OpenedStorage, StartError> {
    let boot = boot_id();
    let location = DatabaseLocation {
        path: config.database.clone(),
        is_default: config.database_is_default,
    };
    apply_staged_backup(&location.path, clock);
    let database = salvage::open(&location, &boot, clock.now().wall);
    match &database {
        Err(error) if error.is_fatal() => {
            return Err(StartError::Misconfigured(error.to_string()));
        }
        Err(error) => log::error!("storage: {error}"),
        Ok(_) => {}
    }
    Ok(OpenedStorage {
        location,
        boot,
        database,
    })
}

/// Restores a backup that `main-node restore` has staged. If that fails, the backup stays staged
/// for the next start, and the node uses the current database.
fn apply_staged_backup(database: &Path, clock: &Arc<dyn Clock>) {
    match restore::apply_staged(database, clock.now().wall) {
        Ok(None) => {}
        // On a new machine there was none.
        Ok(Some(before)) if !before.exists() => log::warn!("restored the backup"),
        Ok(Some(before)) => log::warn!(
            "restored the backup; the database before it is kept as {}",
            before.display()
        ),
        Err(error) => log::error!("the backup could not be restored: {error}"),
    }
}

/// Starts the store, which wakes the notifiers whenever the outbox changes, and outputs after each
/// commit of rows.
fn start_store(
    config: &Config,
    storage: OpenedStorage,
    (notifiers, stored_rows): (StopToken, StopToken),
    on_readings_changed: Arc<dyn Fn() + Send + Sync>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Store>, StartError> {
    let settings = StoreSettings {
        commit_every: config.commit_every,
        retention: RetentionPolicy {
            raw: config.keep_raw,
            hourly: config.keep_hourly,
            bytes: config.database_max,
        },
        backups_named_after: config.backups_named_after(),
        is_temporary: config.is_demo,
        channels: notifiers::outbox_channels(config),
        on_outbox_changed: Arc::new(move || notifiers.wake()),
        forwards: outputs::forward_names(config),
        on_rows_stored: Arc::new(move || stored_rows.wake()),
        on_readings_changed,
        ..StoreSettings::new(storage.location, storage.boot)
    };
    let store = store::start(settings, storage.database, clock.clone());
    Ok(Arc::new(store.map_err(cannot_start("store"))?))
}

/// Starts the outputs; each commit wakes those that follow `stored_rows`.
fn start_outputs(
    config: &Config,
    store: &Arc<Store>,
    stored_rows: StopSource,
    snapshot: &Arc<Snapshot>,
    clock: &Arc<dyn Clock>,
) -> Result<Outputs, StartError> {
    let outputs = outputs::configured(config, Some(store));
    let start = OutputStart {
        secrets: &config.secrets,
        snapshot,
        stored_rows,
        clock,
    };
    Outputs::start(outputs, start).map_err(cannot_start("outputs"))
}

/// Whether every loop runs and some data is fresh, for the heartbeat; else what is wrong.
fn health_check(
    published: &Arc<Published>,
    heartbeats: &Heartbeats,
    clock: &Arc<dyn Clock>,
) -> impl Fn() -> Result<(), String> + Send + 'static {
    let (published, heartbeats, clock) = (published.clone(), heartbeats.clone(), clock.clone());
    move || {
        if let Some(stuck) = heartbeats.stuck(clock.now().mono) {
            return Err(format!("{stuck} hangs"));
        }
        match published.current().snapshot.data_status() {
            DataStatus::Fail => Err("no source has fresh values".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Under a supervisor, passes each new status line to the thread that reports it. While that
/// thread is busy, the next line replaces it.
fn status_lines(serving: &Serving) -> (Option<SnapshotSubscriber>, Receiver<String>) {
    let (sender, lines) = sync_channel(1);
    if !systemd::is_supervised() {
        return (None, lines);
    }
    let app = serving.app.clone();
    let mut reported = String::new();
    let subscriber: SnapshotSubscriber = Box::new(move |_| {
        let line = app.headline();
        if reported != line && sender.try_send(line.clone()).is_ok() {
            reported = line;
        }
    });
    (Some(subscriber), lines)
}

fn probe_sources(fetchers: StopToken) -> Box<dyn Fn() + Send> {
    Box::new(move || fetchers.wake())
}

fn store_rows(store: &Arc<Store>) -> Box<dyn Fn(Vec<RecordRow>) + Send> {
    let store = store.clone();
    Box::new(move |rows| store.append(rows))
}

fn store_forecasts(store: &Arc<Store>) -> Box<dyn Fn(Vec<Forecast>) + Send> {
    let store = store.clone();
    Box::new(move |forecasts| store.set_forecasts(forecasts))
}

fn save_absences(store: &Arc<Store>) -> Box<dyn Fn(SavedAbsences) + Send> {
    let store = store.clone();
    Box::new(move |absences| store.save_absences(&absences))
}

fn commit_alerts(store: &Arc<Store>) -> Box<dyn Fn(AlertCommit) + Send> {
    let store = store.clone();
    Box::new(move |commit| store.commit_alerts(commit))
}

/// State of storage, displays and channels, for the alert rules.
fn node_facts(
    store: &Arc<Store>,
    serving: &Serving,
    notifiers: &Notifiers,
) -> Box<dyn Fn() -> NodeFacts + Send> {
    let (store, app, channels) = (store.clone(), serving.app.clone(), notifiers.statuses());
    Box::new(move || {
        let storage = store.status();
        NodeFacts {
            storage: storage.trouble,
            salvage: storage.salvage,
            displays: app.display_facts(),
            channels: channel_facts(&channels),
        }
    })
}

fn start_fetchers(
    fetchers: Vec<Fetcher>,
    quotas: Vec<QuotaHandle>,
    observations: SyncSender<Observation>,
    stop: &StopToken,
) -> Result<Vec<Thread>, StartError> {
    let start = |(fetcher, quota): (Fetcher, QuotaHandle)| {
        let name = fetcher.thread_name();
        let (observations, stop) = (observations.clone(), stop.clone());
        let run = move || {
            fetcher.run(&stop, quota, |observation| {
                // Fails only when ingest is gone, and then the node is stopping.
                let _ = observations.send(observation);
            });
        };
        spawn(&name, run).map_err(cannot_start(&name))
    };
    fetchers.into_iter().zip(quotas).map(start).collect()
}

/// Backups, where wanted, and the supervisor's watchdog, where there is one.
fn start_others(
    config: &Config,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
    heartbeats: &Heartbeats,
    lines: Receiver<String>,
    stop: &StopToken,
) -> Result<Vec<Thread>, StartError> {
    let mut others = Vec::new();
    if let Some(every) = config.backup_every {
        let schedule = BackupSchedule {
            database: config.database.clone(),
            named_after: config.backups_named_after(),
            every,
            keep: config.backup_keep,
        };
        let (clock, stop, store) = (clock.clone(), stop.clone(), store.clone());
        let run = move || schedule.run(&*clock, &stop, &|state| store.set_backup_state(state));
        others.push(spawn("backup", run).map_err(cannot_start("backup"))?);
    }
    if systemd::is_supervised() {
        let (clock, heartbeats) = (clock.clone(), heartbeats.clone());
        let run = move || {
            let is_alive = || heartbeats.stuck(clock.now().mono).is_none();
            systemd::run_notifications(systemd::watchdog_interval(), &lines, is_alive);
        };
        others.push(spawn("watchdog", run).map_err(cannot_start("watchdog"))?);
    }
    Ok(others)
}

fn cannot_start(name: &str) -> impl Fn(std::io::Error) -> StartError {
    let name = name.to_owned();
    move |error| {
        let why = reason(&error);
        StartError::OutOfResources(format!("the thread {name} cannot be started: {why}"))
    }
}
