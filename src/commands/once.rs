//! `main-node once`: fetches every source once, in parallel, and prints the results.

use std::io::IsTerminal;
use std::sync::Arc;

use super::{FAILED, USAGE_ERROR, explanation, fetch_results, load_config, print_out};
use crate::api::http_exchange::HttpExchange;
use crate::config::{Config, Overrides};
use crate::domain::compact_sort::CompactSort;
use crate::domain::ledger::Ledger;
use crate::domain::normalise::RecordOrigins;
use crate::domain::plan::Plan;
use crate::domain::reading::{FetchOutcome, Observation};
use crate::domain::snapshot::Snapshot;
use crate::node::sources;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::os_error::reason;
use crate::sys::thread::spawn;

pub fn once(overrides: &Overrides) -> u8 {
    let config = match load_config(overrides) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let fetched = match fetch_all(&config) {
        Ok(fetched) => fetched,
        Err(message) => {
            eprintln!("{message}");
            return USAGE_ERROR;
        }
    };
    let printed = print_out(&table(&config.plan(), &fetched));
    let is_bad = |it: &Fetched| {
        let is_failed = matches!(it.observation.outcome, FetchOutcome::Failed { .. });
        is_failed || it.conflict.is_some()
    };
    if fetched.iter().any(is_bad) {
        FAILED
    } else {
        printed
    }
}

/// Result of one fetch, with its requests.
pub struct Fetched {
    pub observation: Observation,
    pub exchanges: Vec<HttpExchange>,
    /// Where its records come from.
    pub found: RecordOrigins,
    /// Why keys of it would not be published, if any.
    pub conflict: Option<Arc<str>>,
}

/// The results as a table (coloured on a terminal), then the requests and responses.
pub fn table(plan: &Plan, fetched: &[Fetched]) -> String {
    let named = || {
        let sources = fetched.iter();
        sources.filter_map(|it| Some((plan.sources.get(it.observation.source)?, it)))
    };
    let results: Vec<_> = named()
        .map(|(source, it)| (source, with_configured_units(plan, &it.observation)))
        .collect();
    let colour = std::io::stdout().is_terminal();
    let mut text = fetch_results::render(&results, colour);
    if let Some(snapshot) = published(plan, fetched) {
        text += &fetch_results::derived(plan, &snapshot, colour);
    }
    let found = named().map(|(_, it)| &it.found);
    text += &explanation::render(results.iter().zip(found), colour);
    for (source, it) in named() {
        text += &fetch_results::exchanges(
            &source.name,
            &it.exchanges,
            !it.observation.outcome.is_usable(),
        );
    }
    text
}

/// What the service would publish after these fetches.
pub fn published(plan: &Plan, fetched: &[Fetched]) -> Option<Snapshot> {
    let moments = fetched.iter().map(|it| it.observation.at);
    let now = moments.max_by_key(|at| at.mono)?;
    let mut ledger = Ledger::new(Arc::new(plan.clone()));
    for it in fetched {
        let rows = ledger.apply(it.observation.clone());
        ledger.derive(now, &rows);
    }
    Some(ledger.snapshot(now))
}

/// The observation with the units of `[key.NAME]`, as they are published.
fn with_configured_units(plan: &Plan, observation: &Observation) -> Observation {
    let mut observation = observation.clone();
    if let FetchOutcome::Readings {
        readings, series, ..
    } = &mut observation.outcome
    {
        let readings = readings.iter_mut().map(|it| (&it.key, &mut it.unit));
        let series = series.iter_mut().map(|it| (&it.key, &mut it.unit));
        for (key, unit) in readings.chain(series) {
            let configured = plan.key_setting(key, |key| key.unit.clone());
            *unit = configured.or(unit.take());
        }
    }
    observation
}

/// One observation of each source, in their order. Each has its own timeout, so the total time
/// is that of the slowest. Conflicting keys are treated as in the service.
pub fn fetch_all(config: &Config) -> Result<Vec<Fetched>, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (sender, receiver) = std::sync::mpsc::channel();
    for mut fetcher in sources::fetchers(config, &clock)? {
        let sender = sender.clone();
        fetcher.record_exchanges();
        fetcher.collect_origins();
        spawn(&fetcher.thread_name(), move || {
            if let Some(observation) = fetcher.fetch_once() {
                // The receiver waits for every sender.
                let exchanges = fetcher.exchanges();
                let _ = sender.send(Fetched {
                    observation,
                    exchanges,
                    found: fetcher.record_origins(),
                    conflict: None,
                });
            }
        })
        .map_err(|error| format!("a thread cannot be started: {}", reason(&error)))?;
    }
    drop(sender);
    let mut fetched: Vec<Fetched> = receiver.into_iter().collect();
    fetched.compact_sort_by_key(|it| it.observation.source);
    let mut ledger = Ledger::new(Arc::new(config.plan()));
    for it in &mut fetched {
        ledger.validate(&mut it.observation);
        it.conflict = ledger.conflict(it.observation.source).cloned();
        ledger.apply(it.observation.clone());
    }
    Ok(fetched)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::key_pattern::KeyPattern;
    use crate::domain::plan::{KeyPlan, test_plan};
    use crate::domain::reading::{Reading, Value};
    use crate::domain::time::{ClockTrust, Moment, Mono, Wall};

    #[test]
    fn units_are_those_that_are_published() {
        let unit = |unit: &str| KeyPlan {
            unit: Some(unit.into()),
            ..KeyPlan::default()
        };
        let mut plan = test_plan(1, Duration::from_secs(60));
        plan.keys.insert("l.a".into(), unit("kV"));
        let pattern = KeyPattern::new("l.*").expect("a pattern");
        plan.key_patterns.push((pattern, unit("V")));
        let reading = |key: &str| Reading {
            key: key.into(),
            value: Value::Number(1.0),
            unit: Some("W".into()),
            is_stated: false,
            is_boolean: false,
            observed: None,
        };
        let observation = Observation {
            source: 0,
            at: Moment {
                wall: Wall(0),
                mono: Mono(0),
                trust: ClockTrust::Trusted,
            },
            duration: Duration::ZERO,
            bytes: 0,
            outcome: FetchOutcome::Readings {
                series: Vec::new(),
                observed: None,
                readings: ["l.a", "l.b", "power"].map(reading).into(),
                issues: Vec::new(),
            },
            next_in: Duration::ZERO,
            server_wait: Duration::ZERO,
            late_notice: None,
            skipped_polls: 0,
            upstream: None,
        };
        let fetched = Fetched {
            observation,
            exchanges: Vec::new(),
            found: RecordOrigins::default(),
            conflict: None,
        };
        let text = table(&plan, &[fetched]);
        let units: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("source0 "))
            .filter_map(|line| line.split_whitespace().nth(3))
            .skip(1)
            .collect();
        assert_eq!(units, ["kV", "V", "W"], "{text}");
    }
}
