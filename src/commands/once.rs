//! `main-node once`: every source, once, side by side.

use std::io::IsTerminal;
use std::sync::Arc;

use super::{BAD, WRONG, configured, print_out, report};
use crate::config::{Config, Overrides};
use crate::domain::ledger::Ledger;
use crate::domain::plan::Plan;
use crate::domain::reading::{Observation, Outcome};
use crate::node::sources;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::thread::spawn;

pub fn once(overrides: &Overrides) -> u8 {
    let config = match configured(overrides) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let fetched = match fetch_all(&config) {
        Ok(fetched) => fetched,
        Err(message) => {
            eprintln!("{message}");
            return WRONG;
        }
    };
    let printed = print_out(&table(&config.plan(), &fetched));
    let is_bad = |it: &Fetched| {
        let is_failed = matches!(it.observation.outcome, Outcome::Failed { .. });
        is_failed || it.conflict.is_some()
    };
    match fetched.iter().any(is_bad) {
        true => BAD,
        false => printed,
    }
}

/// What came of one source.
pub struct Fetched {
    pub observation: Observation,
    /// Why keys of it would not be published, if any would not.
    pub conflict: Option<Arc<str>>,
}

/// The table for whatever standard output is.
pub fn table(plan: &Plan, fetched: &[Fetched]) -> String {
    let observations = fetched.iter().map(|it| &it.observation);
    let results: Vec<_> = observations
        .filter_map(|it| Some((plan.sources.get(it.source)?, it.clone())))
        .collect();
    report::render(&results, std::io::stdout().is_terminal())
}

/// One observation of each source, in their order. Each has its own timeout, so the whole
/// takes as long as the slowest. Keys that several give are judged as the service does.
pub fn fetch_all(config: &Config) -> Result<Vec<Fetched>, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (sender, receiver) = std::sync::mpsc::channel();
    for mut fetcher in sources::fetchers(config, &clock)? {
        let sender = sender.clone();
        spawn(&fetcher.thread_name(), move || {
            if let Some(observation) = fetcher.fetch_once() {
                // The receiver waits for every sender.
                let _ = sender.send(observation);
            }
        })
        .map_err(|error| format!("a thread cannot be started: {error}"))?;
    }
    drop(sender);
    let mut observations: Vec<Observation> = receiver.into_iter().collect();
    observations.sort_by_key(|observation| observation.source);
    let mut ledger = Ledger::new(Arc::new(config.plan()));
    let judged = observations.into_iter().map(|mut observation| {
        ledger.review(&mut observation);
        let conflict = ledger.conflict(observation.source).cloned();
        ledger.apply(observation.clone());
        Fetched {
            observation,
            conflict,
        }
    });
    Ok(judged.collect())
}
