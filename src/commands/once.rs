//! `main-node once`: every source, once, side by side.

use std::io::IsTerminal;
use std::sync::Arc;

use super::{BAD, WRONG, configured, print_out, report};
use crate::config::{Config, Overrides};
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
    let observations = match fetch_all(&config) {
        Ok(observations) => observations,
        Err(message) => {
            eprintln!("{message}");
            return WRONG;
        }
    };
    let printed = print_out(&table(&config.plan(), &observations));
    let is_failed = |it: &Observation| matches!(it.outcome, Outcome::Failed { .. });
    match observations.iter().any(is_failed) {
        true => BAD,
        false => printed,
    }
}

/// The table for whatever standard output is.
pub fn table(plan: &Plan, observations: &[Observation]) -> String {
    let results: Vec<_> = observations
        .iter()
        .filter_map(|it| Some((plan.sources.get(it.source)?, it.clone())))
        .collect();
    report::render(&results, std::io::stdout().is_terminal())
}

/// One observation of each source, in their order. Each has its own timeout, so the whole
/// takes as long as the slowest.
pub fn fetch_all(config: &Config) -> Result<Vec<Observation>, String> {
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
    Ok(observations)
}
