//! Demo history: a year of readings before the demo starts, so that its charts show something.
//!
//! The same fetchers poll the same simulated devices with a clock that is stepped through the
//! year, and what their ledger gives is stored like any other row. The last days are generated on
//! the main thread before the node starts; the rest by the thread `demo-history`, which hands its
//! rows to the running store and waits whenever many of them wait there.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::sources;
use crate::api::fetcher::Fetcher;
use crate::config::Config;
use crate::db::database::NewRow;
use crate::db::error;
use crate::db::open::{self, DatabaseLocation};
use crate::db::store::Store;
use crate::domain::clock_trust::TrustedBy;
use crate::domain::ledger::{Ledger, RecordRow};
use crate::domain::plan::{Selection, SourcePlan};
use crate::domain::time::{Moment, Mono, Wall};
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::percent::SharedPercent;
use crate::sys::shutdown::{StopSource, StopToken};
use crate::sys::sync::Mutex;
use crate::sys::thread::{Thread, spawn};

const MINUTE: Duration = Duration::from_secs(60);
/// How long the generator waits for the store to commit what it was given.
const STORE_WAIT: Duration = Duration::from_millis(10);

/// A clock that advances only by `step_to`.
pub struct SteppedClock(Mutex<Moment>);

impl SteppedClock {
    /// At the same time as `now`.
    pub fn at(now: Moment) -> SteppedClock {
        SteppedClock(Mutex::new(now))
    }

    fn set(&self, mono: Mono, wall: Wall) {
        let mut now = self.0.lock();
        now.mono = mono;
        now.wall = wall;
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Moment {
        *self.0.lock()
    }

    fn record_peer_date(&self, _: &str, _: Wall) {}

    fn trusted_by(&self) -> Option<TrustedBy> {
        self.now().trust.is_trusted().then_some(TrustedBy::Demo)
    }
}

/// Part of the history that is polled in equal steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub from: Wall,
    pub until: Wall,
    pub step: Duration,
}

impl Stretch {
    /// Its polls, at round times.
    fn times(&self) -> impl Iterator<Item = Wall> + use<> {
        let step = i64::try_from(self.step.as_secs())
            .unwrap_or(i64::MAX)
            .max(1);
        let first = self.from.second().div_euclid(step);
        let last = self.until.second().div_euclid(step);
        let times = (first..=last).map(move |index| Wall::from_second(index.saturating_mul(step)));
        let (from, until) = (self.from, self.until);
        times.filter(move |at| *at >= from && *at < until)
    }
}

/// What a history consists of: the nearer to now, the closer its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPlan {
    /// Since the begin of yesterday.
    pub recent: Vec<Stretch>,
    /// Before it, each with a ledger of its own.
    pub earlier: Vec<Stretch>,
}

impl HistoryPlan {
    /// The year before `now`.
    pub fn of_a_year(now: Wall, zone: &TimeZone) -> HistoryPlan {
        let midnight = |days: i32| midnight_before(now, zone, days);
        let yesterday = midnight(1);
        let last_day = now.before(24 * 60 * MINUTE).max(yesterday);
        let stretch = |from, until, minutes| Stretch {
            from,
            until,
            step: minutes * MINUTE,
        };
        HistoryPlan {
            recent: vec![stretch(yesterday, last_day, 30), stretch(last_day, now, 10)],
            earlier: vec![
                stretch(midnight(15), yesterday, 60),
                stretch(midnight(366), midnight(15), 180),
            ],
        }
    }
}

/// The begin of the local day `days` before the day of `now`.
fn midnight_before(now: Wall, zone: &TimeZone, days: i32) -> Wall {
    let timestamp = Timestamp::from_second(now.second()).unwrap_or(Timestamp::UNIX_EPOCH);
    let today = zone.to_datetime(timestamp).date();
    let begin = today
        .checked_sub(days.days())
        .and_then(|day| zone.to_timestamp(day.to_datetime(Time::midnight())));
    match begin {
        Ok(begin) => Wall::from_second(begin.as_second()),
        Err(_) => now.before(24 * 60 * MINUTE.saturating_mul(days.unsigned_abs())),
    }
}

/// Polls the sources of a configuration at the times of a stretch.
struct Generator<'a> {
    config: &'a Config,
    clock: &'a Arc<SteppedClock>,
    fetchers: Vec<Fetcher>,
    ledger: Ledger,
}

impl<'a> Generator<'a> {
    /// Polls the sources that are `wanted`.
    fn new(
        config: &'a Config,
        clock: &'a Arc<SteppedClock>,
        wanted: impl Fn(&SourcePlan) -> bool,
    ) -> Result<Generator<'a>, String> {
        let shared: Arc<dyn Clock> = clock.clone();
        let fetchers = sources::fetchers(config, &shared)?.into_iter();
        let fetchers = fetchers.zip(&config.sources);
        let fetchers = fetchers.filter(|(_, source)| wanted(&source.plan));
        Ok(Generator {
            config,
            clock,
            fetchers: fetchers.map(|(fetcher, _)| fetcher).collect(),
            ledger: Ledger::new(Arc::new(config.plan())),
        })
    }

    /// Begins anew, without any value.
    fn reset(&mut self) {
        self.ledger = Ledger::new(Arc::new(self.config.plan()));
    }

    /// Fetches every source at `at`; what is to be stored.
    fn poll(&mut self, at: Wall) -> Vec<RecordRow> {
        let before = self.clock.now();
        let mono = before.mono.after(at.since(before.wall));
        self.clock.set(mono, at);
        let mut rows = Vec::new();
        for fetcher in &mut self.fetchers {
            if let Some(observation) = fetcher.fetch_once() {
                rows.extend(self.ledger.apply(observation));
            }
        }
        let now = self.clock.now();
        rows.extend(self.ledger.advance(now).rows);
        let derived = self.ledger.derive(now, &rows);
        rows.extend(derived);
        rows
    }
}

/// Texts have no charts, so that their past says little.
fn has_numbers(source: &SourcePlan) -> bool {
    match &source.selection {
        Selection::AllLeaves { .. } => true,
        Selection::Selectors(selectors) => selectors.iter().any(|selector| !selector.text),
    }
}

/// Generates `recent` and stores it in the database of `config`, which nobody else may have open.
pub fn generate(
    config: &Config,
    clock: &Arc<SteppedClock>,
    recent: &[Stretch],
) -> Result<(), String> {
    let location = DatabaseLocation {
        path: config.database.clone(),
        is_default: config.database_is_default,
    };
    let mut database = open::open(&location, "demo history").map_err(|error| error.to_string())?;
    let mut generator = Generator::new(config, clock, |_| true)?;
    let mut rows = Vec::new();
    for at in recent.iter().flat_map(Stretch::times) {
        let polled = generator.poll(at).into_iter();
        rows.extend(polled.map(|row| NewRow {
            untrusted: false,
            row,
        }));
    }
    let committed = database.commit(&rows, i64::MIN);
    committed.map(drop).map_err(|error| error::describe(&error))
}

/// Generates the earlier history until it is complete or dropped.
pub struct HistoryThread {
    stop: StopSource,
    thread: Option<Thread>,
}

impl HistoryThread {
    /// `config` calls an API that uses `clock`.
    pub fn start(
        config: Config,
        clock: Arc<SteppedClock>,
        earlier: Vec<Stretch>,
        store: Arc<Store>,
        progress: Arc<SharedPercent>,
    ) -> std::io::Result<HistoryThread> {
        let stop = StopSource::new();
        let token = stop.token();
        let run = move || {
            crate::sys::thread::lower_priority();
            let store = StoreQueue {
                store: &store,
                stop: &token,
            };
            if let Err(error) = generate_earlier(&config, &clock, &earlier, &store, &progress) {
                log::warn!("demo history could not be generated: {error}");
            }
            progress.set(1, 1);
        };
        Ok(HistoryThread {
            thread: Some(spawn("demo-history", run)?),
            stop,
        })
    }
}

#[cfg(test)]
impl HistoryThread {
    /// Until it is complete.
    fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let deadline = std::time::Instant::now() + 10 * limits::SHUTDOWN_TIMEOUT;
            assert!(thread.join_by(deadline), "it ends");
        }
    }
}

impl Drop for HistoryThread {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join_by(std::time::Instant::now() + limits::SHUTDOWN_TIMEOUT);
        }
    }
}

fn generate_earlier(
    config: &Config,
    clock: &Arc<SteppedClock>,
    earlier: &[Stretch],
    store: &StoreQueue<'_>,
    progress: &SharedPercent,
) -> Result<(), String> {
    let mut generator = Generator::new(config, clock, has_numbers)?;
    let all: usize = earlier.iter().map(|stretch| stretch.times().count()).sum();
    let mut done = 0;
    for stretch in earlier {
        generator.reset();
        for at in stretch.times() {
            if !store.append(generator.poll(at)) {
                return Ok(());
            }
            done += 1;
            progress.set(done, all);
        }
    }
    Ok(())
}

/// The running store, whose queue must keep room for what the sources read now.
struct StoreQueue<'a> {
    store: &'a Store,
    stop: &'a StopToken,
}

impl StoreQueue<'_> {
    /// Waits until there is room; false if stopping.
    fn append(&self, rows: Vec<RecordRow>) -> bool {
        let most = limits::WRITE_BUFFER_ROWS as u64 * 3 / 4;
        while self.store.status().rows_waiting + rows.len() as u64 > most {
            if self.stop.wait(STORE_WAIT) {
                return false;
            }
        }
        if self.stop.is_stopping() {
            return false;
        }
        self.store.append(rows);
        true
    }
}

#[cfg(test)]
#[path = "tests/demo_history.rs"]
mod tests;
