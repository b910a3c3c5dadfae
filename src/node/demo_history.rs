//! Demo history: a day of readings before the demo starts, so that its charts show something.
//!
//! Runs once on the main thread, before the node: the same fetchers poll the same simulated
//! API, with a clock that is stepped through the day.

use std::sync::Arc;
use std::time::Duration;

use super::sources;
use crate::config::Config;
use crate::db::database::NewRow;
use crate::db::error;
use crate::db::open::{self, DatabaseLocation};
use crate::domain::clock_trust::TrustedBy;
use crate::domain::ledger::Ledger;
use crate::domain::time::{Moment, Mono, Wall};
use crate::sys::clock::Clock;
use crate::sys::sync::Mutex;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const STEP: Duration = Duration::from_secs(5 * 60);

/// A clock that advances only by `step`.
pub struct SteppedClock(Mutex<Moment>);

impl SteppedClock {
    /// A day before `now`.
    pub fn a_day_before(now: Moment) -> SteppedClock {
        SteppedClock(Mutex::new(Moment {
            mono: Mono(0),
            wall: Wall(now.wall.0.saturating_sub(DAY.as_millis() as i64)),
            trust: now.trust,
        }))
    }

    fn step(&self) {
        let mut now = self.0.lock();
        now.mono = now.mono.after(STEP);
        now.wall = now.wall.after(STEP);
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

/// Fetches the day step by step and stores it. `config` calls an API that uses `clock`.
pub fn generate(config: &Config, clock: &Arc<SteppedClock>) -> Result<(), String> {
    let location = DatabaseLocation {
        path: config.database.clone(),
        is_default: config.database_is_default,
    };
    let mut database = open::open(&location, "demo history").map_err(|error| error.to_string())?;
    let shared: Arc<dyn Clock> = clock.clone();
    let mut fetchers = sources::fetchers(config, &shared)?;
    let mut ledger = Ledger::new(Arc::new(config.plan()));
    let mut rows = Vec::new();
    for _ in 0..DAY.as_secs() / STEP.as_secs() {
        for fetcher in &mut fetchers {
            let fetched = fetcher.fetch_once().map(|it| ledger.apply(it));
            rows.extend(fetched.into_iter().flatten().map(|row| NewRow {
                untrusted: false,
                row,
            }));
        }
        clock.step();
    }
    let committed = database.commit(&rows, i64::MIN);
    committed.map(drop).map_err(|error| error::describe(&error))
}
