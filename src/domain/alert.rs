//! Alert rules, and the state machine that applies them.
//!
//! [`step`] takes the rules, the previous state, a moment and the facts of that moment; it returns
//! the next state, the events to deliver and the open alerts. It reads no clock and sends nothing.
//! `ingest` owns the state; the store commits it together with the events that it caused, so that
//! a restart repeats nothing and forgets nothing.
//!
//! `conditions` says what is wrong now, `state_machine` what follows from the `state` before, `text`
//! is the wording, `instant` the clocks of alerts.

mod conditions;
mod displays;
mod instant;
mod source_conditions;
mod state;
mod state_machine;
#[cfg(test)]
#[path = "tests/alert.rs"]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::displays::{DisplayFacts, DisplayRule};
pub use self::state::AlertState;
pub use self::state_machine::step;
use super::alert_event::AlertEvent;
use super::alert_level::AlertLevel;
use super::health::Salvaged;
use super::plan::{Bounds, KeyAlert, Plan};
use super::snapshot::Snapshot;
use super::time::Mono;
use super::time_window::TimeWindow;
use jiff::tz::TimeZone;

/// The owner's thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRules {
    /// A source without success for this long; by default per source, the larger of 15 min
    /// and three intervals, so that a slow source alone raises no alert.
    pub no_success_for: Option<Duration>,
    /// As many failures in a row, once they have gone on for two minutes, so that a fast
    /// source raises no alert over a router's restart.
    pub failures_in_a_row: u64,
    /// As many good ones in a row end an alert: fetches of a source, readings of a key,
    /// answers as described. One that has held for five minutes does too; what cannot be
    /// counted (storage, clock, displays) must stay good for a minute.
    pub recover_after: u64,
    /// The first reminder of an alert that stays open; each next one takes twice as long.
    pub remind_after: Duration,
    /// Whether answers that are no longer as described raise an alert.
    pub schema_drift: bool,
    pub clock_untrusted_for: Duration,
    /// What differs for single sources, by their names.
    pub sources: BTreeMap<Arc<str>, SourceRule>,
    pub values: Vec<ValueRule>,
    pub stale: Vec<StaleRule>,
    pub displays: Vec<DisplayRule>,
    /// When no alerts and no reminders are sent.
    pub mute: Vec<TimeWindow>,
    /// The time zone of `mute`.
    pub timezone: TimeZone,
}

impl Default for AlertRules {
    fn default() -> AlertRules {
        AlertRules {
            no_success_for: None,
            failures_in_a_row: 5,
            recover_after: 2,
            remind_after: Duration::from_secs(4 * 3600),
            schema_drift: true,
            clock_untrusted_for: Duration::from_secs(3600),
            sources: BTreeMap::new(),
            values: Vec::new(),
            stale: Vec::new(),
            displays: Vec::new(),
            mute: Vec::new(),
            timezone: TimeZone::UTC,
        }
    }
}

const MIN_NO_SUCCESS_LIMIT: Duration = Duration::from_secs(15 * 60);

impl AlertRules {
    /// How long a source that is asked at every `interval` may be without success.
    pub fn no_success_limit(&self, source: &str, interval: Duration) -> Duration {
        let own = self.sources.get(source).and_then(|own| own.no_success_for);
        own.or(self.no_success_for)
            .unwrap_or_else(|| MIN_NO_SUCCESS_LIMIT.max(interval.saturating_mul(3)))
    }

    /// The alerts of single keys.
    pub fn key_alerts(&self) -> Vec<KeyAlert> {
        let values = self.values.iter().map(|rule| KeyAlert {
            name: rule.name().into(),
            key: rule.key.clone(),
            bounds: Bounds {
                above: rule.above,
                below: rule.below,
            },
        });
        let stale = self.stale.iter().map(|rule| KeyAlert {
            name: rule.name().into(),
            key: rule.key.clone(),
            bounds: Bounds::default(),
        });
        values.chain(stale).collect()
    }

    /// The level of the alerts about a source.
    pub fn source_level(&self, source: &str) -> AlertLevel {
        let own = self.sources.get(source);
        own.map(|own| own.level).unwrap_or_default()
    }

    /// The failures in a row at which a source raises an alert.
    pub fn failure_limit(&self, source: &str) -> u64 {
        let own = self.sources.get(source);
        own.and_then(|own| own.failures_in_a_row)
            .unwrap_or(self.failures_in_a_row)
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct SourceRule {
    pub no_success_for: Option<Duration>,
    pub failures_in_a_row: Option<u64>,
    pub level: AlertLevel,
}

/// A value outside what is good for longer than `hold`.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueRule {
    pub key: Arc<str>,
    pub above: Option<f64>,
    pub below: Option<f64>,
    /// How far a value must come back before it is good again.
    pub hysteresis: f64,
    pub hold: Duration,
    pub level: AlertLevel,
}

impl ValueRule {
    /// What the alert is called: `value:temperature>30`.
    pub fn name(&self) -> String {
        let below = self.below.map(|bound| format!("<{bound}"));
        let above = self.above.map(|bound| format!(">{bound}"));
        let bounds: Vec<String> = below.into_iter().chain(above).collect();
        format!("value:{}{}", self.key, bounds.join("|"))
    }
}

/// A key whose value is stale for longer than `hold`.
#[derive(Debug, Clone, PartialEq)]
pub struct StaleRule {
    pub key: Arc<str>,
    pub hold: Duration,
    pub level: AlertLevel,
}

impl StaleRule {
    /// What the alert is called: `stale:temperature`.
    pub fn name(&self) -> String {
        format!("stale:{}", self.key)
    }
}

/// The facts of one moment that the rules look at.
#[derive(Debug, Clone, Copy)]
pub struct AlertFacts<'a> {
    /// Labels of keys, and how their numbers are written.
    pub plan: &'a Plan,
    /// Its `alerts` and `alert` are ignored.
    pub snapshot: &'a Snapshot,
    /// When the node began.
    pub started: Mono,
    pub node: &'a NodeFacts,
}

/// How the node itself is doing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeFacts {
    /// Why nothing can be stored, in one sentence.
    pub storage: Option<String>,
    /// A damaged database that was quarantined in this run.
    pub salvage: Option<Salvaged>,
    /// Each display seen since the start.
    pub displays: Vec<DisplayFacts>,
    /// Every channel that is configured.
    pub channels: Vec<ChannelFacts>,
}

/// One way to deliver alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelFacts {
    /// What the outbox calls it; an alert about it has the same name.
    pub name: Arc<str>,
    /// Whether it is asked to deliver the alert that it cannot deliver.
    pub carries_own_failure: bool,
    pub failure: Option<DeliveryFailure>,
}

/// Why a channel cannot deliver alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFailure {
    pub since: Mono,
    /// One sentence.
    pub why: String,
}

/// What must be on the disk before anything is delivered: the state, with the events that it caused.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertCommit {
    pub state: AlertState,
    /// Without any there is no hurry.
    pub events: Vec<AlertEvent>,
}
