//! The last run: what is restored of it before anything is fetched.
//!
//! On the main thread.

use std::sync::Arc;

use super::OpenedStorage;
use super::quotas::SavedQuotas;
use crate::config::Config;
use crate::db::last_run;
use crate::db::last_values::WantedKeys;
use crate::domain::alert::AlertState;
use crate::domain::ledger::Ledger;
use crate::domain::plan::Plan;
use crate::limits;
use crate::sys::clock::Clock;

/// State restored from the last run.
pub struct LastRun {
    pub ledger: Ledger,
    pub quotas: SavedQuotas,
    pub alerts: AlertState,
}

pub(super) fn restore_last_run(
    storage: &OpenedStorage,
    config: &Config,
    plan: &Arc<Plan>,
    clock: &Arc<dyn Clock>,
) -> LastRun {
    let OpenedStorage {
        location,
        boot,
        database,
    } = storage;
    let wanted = WantedKeys {
        is_named: &|key| plan.names_key_anywhere(key),
        max_records: &|name| {
            let source = plan.sources.iter().find(|source| *source.name == *name);
            source.map_or(limits::RECORDS_PER_SOURCE, |source| source.max_records)
        },
    };
    let values = last_run::last_values(database, location, boot, wanted);
    let quotas = SavedQuotas::read(config, |names| {
        let names = names.iter().map(String::as_str);
        last_run::quotas(database, location, boot, names)
    });
    let mut ledger = Ledger::new(plan.clone());
    ledger.restore(values);
    ledger.restore_forecasts(last_run::forecasts(database, location));
    restore_windows(&mut ledger, storage, clock);
    let zone = &config.timezone;
    let wanted = |key: &str| ledger.knows_key(key);
    let day = last_run::stored_day(database, location, zone, clock.now(), &wanted);
    ledger.restore_day_ranges(zone.clone(), day);
    for (source, wait) in quotas.waits(config, clock.now().mono).enumerate() {
        ledger.expect_wait(source, wait);
    }
    LastRun {
        ledger,
        quotas,
        alerts: last_run::alert_state(database, location, boot, clock.now().mono),
    }
}

/// Restores the windows of derived keys, or has them wait for the rows that are still to be read.
fn restore_windows(ledger: &mut Ledger, storage: &OpenedStorage, clock: &Arc<dyn Clock>) {
    let rules = ledger
        .windows()
        .map(|(name, window)| (name.clone(), window.rule().clone()));
    let rules: Vec<_> = rules.collect();
    let (opened, location) = (&storage.database, &storage.location);
    let mut restored = last_run::windows(opened, location, &rules, clock.now());
    for (name, window) in ledger.windows_mut() {
        if let Some(restored) = restored.remove(name) {
            *window = restored;
        }
    }
    ledger.windows_changed();
}
