//! Builds the parts, starts their threads, joins them in order.
//!
//! The only place, beside `main` and its commands, that sees the whole configuration; each
//! part is handed its slice. Nothing here fetches, judges, stores or serves.

pub mod demo_history;
#[cfg(test)]
#[path = "node/tests/faults.rs"]
mod faults;
pub mod notifiers;
mod serving;
pub mod sources;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use self::notifiers::{Notifiers, WakeSignals, channel_facts};
use self::serving::{Dependencies, Serving};
use crate::api::fetcher::QuotaHandle;
use crate::config::Config;
use crate::db::open::DatabaseLocation;
use crate::db::retention::policy::RetentionPolicy;
use crate::db::store::{self, Store, StoreSettings};
use crate::db::{backup, last_run, restore, salvage};
use crate::domain::alert::NodeFacts;
use crate::domain::ledger::Ledger;
use crate::domain::snapshot::{DataStatus, SnapshotSubscriber};
use crate::ingest::Ingest;
use crate::limits;
use crate::monitor::Published;
use crate::sys::clock::{Clock, boot_id};
use crate::sys::heartbeat::Heartbeats;
use crate::sys::os_error::reason;
use crate::sys::shutdown::{StopSource, StopToken};
use crate::sys::systemd;
use crate::sys::thread::{Thread, have_room, spawn};

/// Why the node cannot be started, in words for the person who configured it.
#[derive(Debug)]
pub enum StartError {
    /// Waiting cannot help: somebody has to change something first.
    Wrong(String),
    /// Threads, descriptors or memory are short now: a supervisor should try again.
    Short(String),
}

/// The running node. [`Node::stop`] ends it in order.
pub struct Node {
    shutdown: StopSource,
    fetchers: Vec<Thread>,
    ingest: Thread,
    store: Arc<Store>,
    telling: Notifiers,
    serving: Serving,
    /// Threads that no data passes through: backups, the watchdog.
    others: Vec<Thread>,
}

impl Node {
    /// Starts everything behind sockets that are bound already.
    pub fn start(
        config: &Config,
        listeners: Vec<TcpListener>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Node, StartError> {
        let threads = config.sources.len() + limits::THREADS_BESIDE_SOURCES;
        have_room(threads).map_err(|error| {
            StartError::Short(format!(
                "main-node needs {threads} threads for {} sources, and not all can be started: \
                 {}. Raise TasksMax= of the unit (`ulimit -u` in a shell), or configure fewer \
                 sources",
                config.sources.len(),
                reason(&error)
            ))
        })?;
        let plan = Arc::new(config.plan());
        let boot = boot_id();
        let location = DatabaseLocation {
            path: config.database.clone(),
            is_default: config.database_is_default,
        };
        take_restored(&location.path, clock);
        let opened = salvage::open(&location, &boot, clock.now().wall);
        match &opened {
            Err(error) if error.is_fatal() => return Err(StartError::Wrong(error.to_string())),
            Err(error) => log::error!("storage: {error}"),
            Ok(_) => {}
        }
        let restored = last_run::last_values(&opened, &location, &boot, &|key| {
            (0..plan.sources.len()).any(|source| plan.names_key(source, key))
        });
        let fetchers = sources::fetchers(config, clock).map_err(StartError::Wrong)?;
        let names = plan.sources.iter().map(|source| &*source.name);
        let carried = last_run::quotas(&opened, &location, &boot, names);
        let mut ledger = Ledger::new(plan.clone());
        ledger.restore(restored);
        for (source, carried) in carried.iter().enumerate() {
            ledger.expect_wait(source, carried.wait(clock.now().mono));
        }
        let alerts = last_run::alert_state(&opened, &location, &boot, clock.now().mono);

        let bells = WakeSignals::default();
        let told = bells.clone();
        let settings = StoreSettings {
            commit_every: config.commit_every,
            retention: RetentionPolicy {
                raw: config.keep_raw,
                hourly: config.keep_hourly,
                bytes: config.database_max,
            },
            channels: notifiers::channel_names(config),
            on_outbox_changed: Arc::new(move || told.ring()),
            ..StoreSettings::new(location, boot)
        };
        let store = store::start(settings, opened, clock.clone()).map_err(no_thread("store"))?;
        let store = Arc::new(store);

        let loops = Heartbeats::starting(clock.now().mono);
        let published = Arc::new(Published::new(Arc::new(ledger.snapshot(clock.now()))));
        let (shown, alive, alive_clock) = (published.clone(), loops.clone(), clock.clone());
        let is_well = move || {
            let is_turning = alive.stuck(alive_clock.now().mono).is_none();
            is_turning && shown.current().snapshot.data_status() != DataStatus::Fail
        };
        let telling = Notifiers::start(config, bells, &store, clock, is_well);
        let telling = telling.map_err(no_thread("mail"))?;
        let channels = telling.statuses();
        let behind = Dependencies {
            clock,
            plan: &plan,
            store: &store,
            loops: &loops,
            published,
            channels: channels.clone(),
        };
        let serving = Serving::start(config, listeners, behind).map_err(StartError::Short)?;

        let (observations, observed) = sync_channel(limits::OBSERVATION_QUEUE);
        let (rows_to, alerts_to, facts_of) = (store.clone(), store.clone(), store.clone());
        let monitor = serving.monitor.clone();
        let shutdown = StopSource::new();
        let stopping = shutdown.token();
        let mut subscribers = vec![serving.subscriber()];
        let (status_line, lines) = status_line(&serving);
        subscribers.extend(status_line);
        let early = stopping.clone();
        let ingest = Ingest {
            has_probed: false,
            probe_sources: Box::new(move || early.wake()),
            rules: config.alert.clone(),
            ledger,
            alerts,
            clock: clock.clone(),
            beat: loops.ingest.clone(),
            store: Box::new(move |rows| rows_to.append(rows)),
            commit_alerts: Box::new(move |commit| alerts_to.commit_alerts(commit)),
            node: Box::new(move || {
                let storage = facts_of.status();
                NodeFacts {
                    storage: storage.trouble,
                    salvage: storage.salvage,
                    displays: monitor.display_silences(),
                    channels: channel_facts(&channels),
                }
            }),
            subscribers,
        };
        let ingest = spawn("ingest", move || ingest.run(&observed)).map_err(no_thread("ingest"))?;

        let mut threads = Vec::with_capacity(fetchers.len());
        let names = plan.sources.iter().map(|source| source.name.clone());
        for (fetcher, (carried, source)) in fetchers.into_iter().zip(carried.into_iter().zip(names))
        {
            let name = fetcher.thread_name();
            let (stopping, observations) = (stopping.clone(), observations.clone());
            let spent = store.clone();
            let ration = QuotaHandle {
                carried,
                reserve: Box::new(move |reserved| spent.reserve(&source, reserved)),
            };
            let run = move || {
                fetcher.run(&stopping, ration, |observation| {
                    // Fails only when ingest is gone, and then the node is stopping.
                    let _ = observations.send(observation);
                });
            };
            threads.push(spawn(&name, run).map_err(no_thread(&name))?);
        }
        // Without a sender of its own left here, ingest ends when the last fetcher has.
        drop(observations);

        Ok(Node {
            others: others(config, clock, &loops, lines, &stopping)?,
            shutdown,
            fetchers: threads,
            ingest,
            store,
            telling,
            serving,
        })
    }

    /// Where displays find it.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.serving.gate.addresses()
    }

    /// Stops in the order of the data: sources, ingest, those who tell, store, gate. What is
    /// known is served until the end, and everything received is committed. True if that
    /// succeeded and nothing was left behind.
    pub fn stop(self) -> bool {
        let deadline = Instant::now() + limits::SHUTDOWN_TIMEOUT;
        systemd::stopping();
        let mut left_behind = Vec::new();

        self.shutdown.stop();
        // Half of the time is kept for the commit.
        let first_half = Instant::now() + limits::SHUTDOWN_TIMEOUT / 2;
        for thread in self.fetchers {
            let name = thread.name().to_owned();
            if !thread.join_by(first_half) {
                left_behind.push(name);
            }
        }
        log::info!("stopping: sources have ended");
        // It ends when the last sender has, so that it is not waited for in vain.
        if left_behind.is_empty() && !self.ingest.join_by(first_half) {
            left_behind.push("ingest".to_owned());
        }
        log::info!("stopping: the last observation is published");
        left_behind.extend(self.telling.stop(first_half.max(Instant::now())));
        let rest = || deadline.saturating_duration_since(Instant::now());
        let stored = self.store.stop(rest().max(limits::SHUTDOWN_TIMEOUT / 10));
        match stored.is_complete() {
            true => log::info!("stopping: {stored}"),
            false => log::error!("stopping: {stored}"),
        }
        if !self.serving.gate.stop(rest().min(Duration::from_secs(1))) {
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
        left_behind.is_empty() && stored.is_complete()
    }
}

/// A copy that `main-node restore` has staged. One that cannot be put in place now stays where
/// it is for the next start, and the node goes on with the database that it has.
fn take_restored(database: &Path, clock: &Arc<dyn Clock>) {
    match restore::apply_staged(database, clock.now().wall) {
        Ok(None) => {}
        Ok(Some(before)) => log::warn!(
            "a restored copy is the database now; the one before it is {}",
            before.display()
        ),
        Err(error) => log::error!("a restored copy cannot be put in place: {error}"),
    }
}

/// Under a supervisor, passes each new status line to the thread that reports it. While that is
/// held up, the next line replaces it.
fn status_line(serving: &Serving) -> (Option<SnapshotSubscriber>, Receiver<String>) {
    let (sender, lines) = sync_channel(1);
    if !systemd::is_supervised() {
        return (None, lines);
    }
    let monitor = serving.monitor.clone();
    let mut reported = String::new();
    let subscriber: SnapshotSubscriber = Box::new(move |_| {
        let line = monitor.headline();
        if reported != line && sender.try_send(line.clone()).is_ok() {
            reported = line;
        }
    });
    (Some(subscriber), lines)
}

/// Backups, where wanted, and the supervisor's watchdog, where there is one.
fn others(
    config: &Config,
    clock: &Arc<dyn Clock>,
    loops: &Heartbeats,
    lines: Receiver<String>,
    stopping: &StopToken,
) -> Result<Vec<Thread>, StartError> {
    let mut others = Vec::new();
    if let Some(every) = config.backup_every {
        let (database, keep) = (config.database.clone(), config.backup_keep);
        let (clock, stopping) = (clock.clone(), stopping.clone());
        let run = move || backup::run_schedule(&database, every, keep, &*clock, &stopping);
        others.push(spawn("backup", run).map_err(no_thread("backup"))?);
    }
    if systemd::is_supervised() {
        let (clock, loops) = (clock.clone(), loops.clone());
        let run = move || {
            let is_alive = || loops.stuck(clock.now().mono).is_none();
            systemd::keep_informed(systemd::watchdog_interval(), &lines, is_alive);
        };
        others.push(spawn("watchdog", run).map_err(no_thread("watchdog"))?);
    }
    Ok(others)
}

fn no_thread(name: &str) -> impl Fn(std::io::Error) -> StartError {
    let name = name.to_owned();
    move |error| {
        let why = reason(&error);
        StartError::Short(format!("the thread {name} cannot be started: {why}"))
    }
}
