//! Ingest loop: observations in, snapshot and rows out.
//!
//! One thread, named `ingest`, owns the ledger. It waits for the next observation, but no longer
//! than until the snapshot changes by itself: a value becomes stale, an alert opens, the clock
//! becomes trusted. It never waits for the disk, and it decides nothing: `domain` does.

mod derived_windows;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

pub use self::derived_windows::WindowUpkeep;
use crate::domain::alert;
use crate::domain::alert::{AlertCommit, AlertFacts, AlertRules, AlertState, NodeFacts};
use crate::domain::ledger::{Forecast, Ledger, RecordRow, SavedAbsences};
use crate::domain::open_alert::display_summary;
use crate::domain::reading::Observation;
use crate::domain::snapshot::{Snapshot, SnapshotSubscriber};
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::heartbeat::Heartbeat;
use crate::sys::thread::catch_panic;

pub struct Ingest {
    pub rules: AlertRules,
    pub ledger: Ledger,
    /// As the last run left it.
    pub alerts: AlertState,
    pub clock: Arc<dyn Clock>,
    pub heartbeat: Heartbeat,
    /// Whether the other sources are polled early now: once per suspected outage.
    pub has_probed: bool,
    /// Takes rows to be stored; must not block.
    pub store: Box<dyn Fn(Vec<RecordRow>) + Send>,
    /// Takes what is stored ahead of its time; must not block.
    pub store_forecasts: Box<dyn Fn(Vec<Forecast>) + Send>,
    /// Takes the state of the alerts and the events to deliver; must not block.
    pub commit_alerts: Box<dyn Fn(AlertCommit) + Send>,
    /// Takes for how long keys have been absent; must not block.
    pub save_absences: Box<dyn Fn(SavedAbsences) + Send>,
    /// When that is due again.
    pub absences_due: Mono,
    /// Saves and rebuilds the windows of derived keys.
    pub windows: WindowUpkeep,
    /// How storage, displays and mail are doing; must not block.
    pub node: Box<dyn Fn() -> NodeFacts + Send>,
    /// Polls every source early that was not polled lately; must not block.
    pub probe_sources: Box<dyn Fn() + Send>,
    /// Called in this order with every new snapshot.
    pub subscribers: Vec<SnapshotSubscriber>,
}

impl Ingest {
    /// Runs until every sender of observations is gone.
    pub fn run(mut self, observations: &Receiver<Observation>) {
        let started = self.clock.now().mono;
        let mut wait = Duration::ZERO;
        loop {
            let first = match observations.recv_timeout(wait) {
                Ok(observation) => Some(observation),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    self.save_absences(self.clock.now());
                    self.windows.save(&self.ledger, self.clock.now());
                    return;
                }
            };
            // Whatever else has arrived is published with it, as one change.
            let arrived = first.into_iter().chain(observations.try_iter());
            let arrived: Vec<Observation> = arrived.take(limits::OBSERVATION_QUEUE).collect();
            wait = catch_panic("ingest", || self.step(arrived, started))
                .unwrap_or(limits::INGEST_WAIT_TIMEOUT);
            self.heartbeat.beat(self.clock.now().mono);
        }
    }

    /// Applies what arrived and publishes; returns how long nothing can change by itself.
    pub fn step(&mut self, arrived: Vec<Observation>, started: Mono) -> Duration {
        let now = self.clock.now();
        self.ledger.fix_timestamps(now);
        self.windows.take_rebuilt(&mut self.ledger);
        // What the time has come for before what arrived.
        self.promote(now);
        let has_arrived = !arrived.is_empty();
        for observation in arrived {
            let source = observation.source;
            let conflict = self.ledger.conflict(source).cloned();
            let mut rows = self.ledger.apply(observation);
            self.log_conflict(source, conflict.as_ref());
            let derived = self.ledger.derive(now, &rows);
            rows.extend(derived);
            (self.store)(rows);
        }
        if has_arrived {
            self.promote(now);
        }
        let rows = self.ledger.derive(now, &[]);
        if !rows.is_empty() {
            (self.store)(rows);
        }
        if self.absences_due <= now.mono {
            self.absences_due = now.mono.after(limits::ABSENCES_SAVE_INTERVAL);
            self.save_absences(now);
        }
        self.windows.step(&self.ledger, now);
        let snapshot = self.snapshot(now, started);
        let wait = match snapshot.changes_at {
            Some(at) => at.since(now.mono).min(limits::INGEST_WAIT_TIMEOUT),
            None => limits::INGEST_WAIT_TIMEOUT,
        };
        let snapshot = Arc::new(snapshot);
        for subscriber in &mut self.subscribers {
            subscriber(&snapshot);
        }
        wait
    }

    /// Promotes the elements of series whose time has come.
    fn promote(&mut self, now: Moment) {
        let changes = self.ledger.advance(now);
        let mut rows = changes.rows;
        let derived = self.ledger.derive(now, &rows);
        rows.extend(derived);
        (self.store)(rows);
        if !changes.forecasts.is_empty() {
            (self.store_forecasts)(changes.forecasts);
        }
    }

    fn save_absences(&self, now: Moment) {
        if let Some(absences) = self.ledger.absences(now) {
            (self.save_absences)(absences);
        }
    }

    /// Logs once that keys of a source are provided by another one, and when that ends.
    fn log_conflict(&self, source: usize, before: Option<&Arc<str>>) {
        let name = self.ledger.source_name(source);
        match self.ledger.conflict(source) {
            now if now == before => {}
            Some(conflict) => log::warn!("{name}: {conflict}"),
            None => log::info!("{name}: no other source provides any of its keys now"),
        }
    }

    /// The state of the ledger with the alerts that follow from it.
    fn snapshot(&mut self, now: Moment, started: Mono) -> Snapshot {
        let data = self.ledger.snapshot(now);
        let facts = AlertFacts {
            plan: self.ledger.labelled_plan(),
            snapshot: &data,
            started,
            node: &(self.node)(),
        };
        let step = alert::step(&self.rules, &self.alerts, now, &facts);
        self.alerts = step.state;
        let has_asked = std::mem::replace(&mut self.has_probed, step.wants_probe);
        if step.wants_probe && !has_asked {
            (self.probe_sources)();
        }
        if step.changed || !step.events.is_empty() {
            (self.commit_alerts)(AlertCommit {
                state: self.alerts.clone(),
                events: step.events,
            });
        }
        Snapshot {
            changes_at: data.changes_at.into_iter().chain(step.changes_at).min(),
            // An alert of an upstream node is shown while there is none of our own.
            alert: display_summary(&step.open).or(data.alert),
            alerts: step.open,
            ..data
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::failure::{Cause, Failure};
    use crate::domain::plan::test_plan;
    use crate::domain::reading::{FetchOutcome, Reading, Value};
    use crate::domain::time::{ClockTrust, Wall};
    use crate::sys::clock::ManualClock;
    use std::sync::Mutex;

    struct TestIngest {
        ingest: Ingest,
        clock: Arc<ManualClock>,
        published: Arc<Mutex<Vec<Arc<Snapshot>>>>,
        stored: Arc<Mutex<Vec<RecordRow>>>,
        committed: Arc<Mutex<Vec<AlertCommit>>>,
    }

    impl TestIngest {
        fn new() -> TestIngest {
            let plan = Arc::new(test_plan(1, Duration::from_secs(60)));
            let clock = Arc::new(ManualClock::new(Moment {
                mono: Mono(1_000),
                wall: Wall(1_761_854_400_000),
                trust: ClockTrust::Trusted,
            }));
            let published = Arc::new(Mutex::new(Vec::new()));
            let stored = Arc::new(Mutex::new(Vec::new()));
            let committed = Arc::new(Mutex::new(Vec::new()));
            let ingest = Ingest {
                ledger: Ledger::new(plan.clone()),
                rules: AlertRules::default(),
                alerts: AlertState::new("test"),
                node: Box::new(NodeFacts::default),
                has_probed: false,
                probe_sources: Box::new(|| ()),
                save_absences: Box::new(|_| ()),
                absences_due: Mono(0),
                windows: WindowUpkeep::new(Box::new(())),
                commit_alerts: Box::new({
                    let committed = committed.clone();
                    move |commit| committed.lock().unwrap().push(commit)
                }),
                clock: clock.clone(),
                heartbeat: Heartbeat::default(),
                store: Box::new({
                    let stored = stored.clone();
                    move |rows| stored.lock().unwrap().extend(rows)
                }),
                store_forecasts: Box::new(|_| ()),
                subscribers: vec![Box::new({
                    let published = published.clone();
                    move |snapshot| published.lock().unwrap().push(snapshot.clone())
                })],
            };
            TestIngest {
                ingest,
                clock,
                published,
                stored,
                committed,
            }
        }

        fn turn(&mut self, outcomes: Vec<FetchOutcome>) -> Duration {
            let arrived = outcomes.into_iter().map(|outcome| Observation {
                source: 0,
                at: self.clock.now(),
                duration: Duration::from_millis(20),
                bytes: 10,
                outcome,
                next_in: Duration::from_secs(60),
                server_wait: Duration::ZERO,
                late_notice: None,
                skipped_polls: 0,
                upstream: None,
            });
            self.ingest.step(arrived.collect(), Mono(1_000))
        }

        fn last(&self) -> Arc<Snapshot> {
            self.published
                .lock()
                .unwrap()
                .last()
                .expect("published")
                .clone()
        }
    }

    fn reading(value: f64) -> FetchOutcome {
        FetchOutcome::Readings {
            observed: None,
            series: Vec::new(),
            readings: vec![Reading {
                key: "t".into(),
                value: Value::Number(value),
                unit: None,
                is_stated: false,
                is_boolean: false,
                observed: None,
            }],
            issues: Vec::new(),
        }
    }

    #[test]
    fn an_observation_is_published_and_stored() {
        let mut bench = TestIngest::new();
        bench.turn(vec![reading(21.4)]);
        assert_eq!(bench.last().records[0].value, Value::Number(21.4));
        assert_eq!(bench.stored.lock().unwrap().len(), 1);
    }

    #[test]
    fn what_arrives_together_is_published_once() {
        let mut bench = TestIngest::new();
        bench.turn(vec![reading(1.0), reading(2.0)]);
        assert_eq!(bench.published.lock().unwrap().len(), 1);
        assert_eq!(bench.last().records[0].value, Value::Number(2.0));
    }

    #[test]
    fn a_value_turns_stale_without_an_observation_and_the_wait_ends_then() {
        let mut bench = TestIngest::new();
        let wait = bench.turn(vec![reading(21.4)]);
        assert!(wait <= Duration::from_secs(181));
        assert!(!bench.last().records[0].stale);
        bench.clock.advance(Duration::from_millis(180_001));
        bench.turn(Vec::new());
        assert!(bench.last().records[0].stale);
        assert_eq!(
            bench.last().records[0].value,
            Value::Number(21.4),
            "last-good stays"
        );
    }

    #[test]
    fn a_source_that_goes_on_failing_raises_an_alert_and_two_successes_end_it() {
        let mut bench = TestIngest::new();
        let failed = || FetchOutcome::Failed {
            failure: Failure::new(Cause::Dns, "the name cannot be resolved."),
            issues: Vec::new(),
        };
        for _ in 0..5 {
            bench.turn(vec![failed()]);
            bench.clock.advance(Duration::from_secs(60));
        }
        bench.turn(Vec::new());
        assert_eq!(bench.last().alert.as_deref(), Some("source0: no data"));
        bench.turn(vec![reading(1.0)]);
        assert!(bench.last().alerts[0].is_recovering);
        bench.turn(vec![reading(1.0)]);
        assert_eq!(bench.last().alert, None);
        let committed = bench.committed.lock().unwrap();
        let events = committed.iter().flat_map(|commit| &commit.events);
        let kinds: Vec<&str> = events.map(|event| event.kind.name()).collect();
        assert_eq!(kinds, ["trigger", "recovery"]);
    }

    #[test]
    fn what_survives_a_restart_is_committed_only_when_it_changes() {
        let mut bench = TestIngest::new();
        for _ in 0..10 {
            bench.turn(vec![reading(1.0)]);
            bench.clock.advance(Duration::from_secs(60));
        }
        assert!(bench.committed.lock().unwrap().is_empty());
    }

    #[test]
    fn other_sources_are_asked_early_once_for_each_doubt() {
        let mut bench = TestIngest::new();
        bench.ingest.ledger = Ledger::new(Arc::new(test_plan(2, Duration::from_secs(60))));
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        bench.ingest.probe_sources = Box::new(move || *count.lock().unwrap() += 1);
        let failed = || FetchOutcome::Failed {
            failure: Failure::new(Cause::Dns, "the name cannot be resolved."),
            issues: Vec::new(),
        };
        for _ in 0..9 {
            bench.turn(vec![failed()]);
            bench.clock.advance(Duration::from_secs(60));
        }
        assert_eq!(*asked.lock().unwrap(), 1);
        assert_eq!(bench.last().alert, None);
        bench.turn(vec![reading(1.0)]);
        for _ in 0..6 {
            bench.turn(vec![failed()]);
            bench.clock.advance(Duration::from_secs(60));
        }
        assert_eq!(*asked.lock().unwrap(), 2);
    }
}
