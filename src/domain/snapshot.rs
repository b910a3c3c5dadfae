//! Snapshot: the one published value that every view renders.
//!
//! JSON, text, metrics and pages cannot disagree, because none of them has another source of data.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::day_range::DayRange;
use super::health::{SourceHealth, SourceState};
use super::open_alert::OpenAlert;
use super::reading::{Issue, Reason, UpstreamLabels, Value, round_computed};
use super::time::{Moment, Mono, Wall};
use super::{freshness::Stamp, merge::mean};

/// The latest values, the state of the sources and the open alerts at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub at: Moment,
    /// In the configuration's order.
    pub records: Vec<Record>,
    pub sources: Vec<SourceSnapshot>,
    /// Open alerts.
    pub alerts: Vec<OpenAlert>,
    /// Short ASCII text for displays while an alert is open.
    pub alert: Option<Arc<str>>,
    /// Other main-nodes that some of the data came through.
    pub via: Vec<Arc<str>>,
    /// What the followed nodes say of their keys.
    pub upstream_labels: Arc<UpstreamLabels>,
    /// Keys that were records until lately, and that their sources give no more.
    pub forgotten: Arc<BTreeSet<Arc<str>>>,
    /// Records that were left out because there are too many.
    pub omitted: usize,
    /// Of those, the ones that the limit on the records of all sources leaves out.
    pub omitted_by_total_limit: usize,
    /// That limit.
    pub max_records: usize,
    /// Keys that the configuration names and that no source provides, once each has answered.
    pub missing_keys: Vec<Arc<str>>,
    /// The derived keys, in the configuration's order.
    pub derived: Vec<DerivedSnapshot>,
    /// When staleness changes this snapshot if no observation does before.
    pub changes_at: Option<Mono>,
}

/// Follows the published snapshot: the HTTP server, an output, the status line of the supervisor.
/// It is called on the `ingest` thread for every snapshot and must not block.
pub type SnapshotSubscriber = Box<dyn FnMut(&Arc<Snapshot>) + Send>;

/// The current value of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    pub stamp: Stamp,
    pub stale: bool,
    pub stale_after: Duration,
    /// Names of the sources that the value came from.
    pub sources: Vec<Arc<str>>,
    /// What was observed since local midnight, as it is stored; none for texts and before the first number.
    pub today: Option<DayRange>,
    /// Whether its source gives it as a boolean.
    pub is_boolean: bool,
}

/// One derived key as it is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedSnapshot {
    pub key: Arc<str>,
    /// Its rule in one line.
    pub definition: Arc<str>,
    /// Why it has no value now, or only its last one.
    pub issue: Option<Issue>,
    /// Whether a source has not answered since the start, which may explain that.
    pub is_waiting: bool,
}

impl DerivedSnapshot {
    /// What is wrong, unless a value of a source is all that it lacks.
    pub fn fault(&self) -> Option<&Issue> {
        let issue = self.issue.as_ref();
        issue.filter(|issue| issue.reason != Reason::Missing)
    }
}

/// One source as it is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSnapshot {
    pub name: Arc<str>,
    pub target: Arc<str>,
    pub summary: Arc<str>,
    pub description: Arc<str>,
    pub every: Duration,
    /// Between fetches now: `every`, or the longer wait that the server ordered.
    pub interval: Duration,
    pub attribution: Option<Arc<str>>,
    /// Number of keys that it provides now.
    pub keys: usize,
    /// Records that its own limit leaves out, and that limit.
    pub omitted: usize,
    pub max_records: usize,
    /// Which of its keys are not published because another source provides them, and what to do.
    pub conflict: Option<Arc<str>>,
    pub health: SourceHealth,
}

/// Health of the node (`/status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DataStatus {
    Pass,
    /// Something is stale or failing.
    Warn,
    /// No record is fresh.
    Fail,
}

impl DataStatus {
    pub fn name(self) -> &'static str {
        match self {
            DataStatus::Pass => "pass",
            DataStatus::Warn => "warn",
            DataStatus::Fail => "fail",
        }
    }
}

impl Snapshot {
    /// Before anything was ever received.
    pub fn empty(at: Moment) -> Snapshot {
        Snapshot {
            at,
            records: Vec::new(),
            sources: Vec::new(),
            alerts: Vec::new(),
            alert: None,
            via: Vec::new(),
            upstream_labels: Arc::default(),
            forgotten: Arc::default(),
            omitted: 0,
            omitted_by_total_limit: 0,
            max_records: crate::limits::RECORDS_TOTAL,
            missing_keys: Vec::new(),
            derived: Vec::new(),
            changes_at: None,
        }
    }

    pub fn record(&self, key: &str) -> Option<&Record> {
        self.records.iter().find(|record| &*record.key == key)
    }

    /// Whether a key is computed from others.
    pub fn is_derived(&self, key: &str) -> bool {
        self.derived.iter().any(|it| *it.key == *key)
    }

    /// Health of the data; problems of the node itself (storage, clock) are added by the caller.
    pub fn data_status(&self) -> DataStatus {
        if !self.records.iter().any(|record| !record.stale) {
            return DataStatus::Fail;
        }
        let troubled = self.alert.is_some()
            || self.records.iter().any(|record| record.stale)
            || self
                .sources
                .iter()
                .any(|source| source.health.state() == SourceState::Failing);
        if troubled {
            DataStatus::Warn
        } else {
            DataStatus::Pass
        }
    }
}

/// When the newest of `records` was observed.
pub fn newest<'a>(records: impl Iterator<Item = &'a Record>) -> Option<Wall> {
    records.map(|record| record.stamp.observed).max()
}

/// The mean of what is numeric and fresh among `records`.
pub fn average<'a>(records: impl Iterator<Item = &'a Record>) -> Option<f64> {
    let numbers: Vec<f64> = records
        .filter(|record| !record.stale)
        .filter_map(|record| record.value.number())
        .collect();
    (!numbers.is_empty()).then(|| round_computed(mean(&numbers)))
}
