//! Health of sources and of the storage.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::failure::{Cause, Failure};
use super::reading::{FetchOutcome, Observation, Reason};
use super::time::{Moment, Mono, Wall};
use crate::limits;

/// One source's record since the node started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceHealth {
    pub attempts: u64,
    pub failures: BTreeMap<Cause, u64>,
    pub failures_in_a_row: u64,
    /// Successes since the last failure, or since start.
    pub successes_in_a_row: u64,
    pub last_attempt: Option<Moment>,
    pub last_success: Option<Moment>,
    /// The newest failure, kept after recovery; `failures_in_a_row` says whether it lasts.
    pub last_failure: Option<(Moment, Failure)>,
    /// When the failures in a row began.
    pub failing_since: Option<Moment>,
    pub last_duration: Duration,
    pub last_bytes: u64,
    /// Rejected fields by reason, since start.
    pub rejected: BTreeMap<Reason, u64>,
    /// Issues of the newest response, bounded where the observation is made.
    pub issues: Vec<super::reading::Issue>,
    pub next_in: Duration,
    /// A notice while the server responds too slowly for all its sources.
    pub late_notice: Option<std::sync::Arc<str>>,
    /// Turns dropped for it, since start.
    pub skipped_polls: u64,
    /// The wait that the newest answer ordered: until then nothing new can come.
    pub server_wait: Duration,
    /// How long attempts took, since start.
    pub durations: Durations,
    /// The newest attempts, oldest first, at most [`limits::RECENT_FETCHES`].
    pub recent: VecDeque<FetchAttempt>,
}

/// One attempt in a source's recent past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FetchAttempt {
    pub at: Moment,
    pub duration: Duration,
    pub result: AttemptResult,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// Every field that was asked for.
    Complete,
    /// A valid answer with nothing in it.
    Empty,
    /// Some fields were not as expected.
    Partial {
        issues: usize,
    },
    Unchanged,
    Failed(Cause),
}

/// A histogram of durations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    /// Attempts by bucket: each holds what is no longer than its bound and longer than the
    /// one before; the last, what is longer than all.
    counts: [u64; Durations::BOUNDS_MS.len() + 1],
    pub sum: Duration,
}

impl Durations {
    /// A LAN device answers in the first two, a healthy API in the middle; the last is the
    /// usual timeout.
    pub const BOUNDS_MS: [u64; 9] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

    pub fn record(&mut self, duration: Duration) {
        let bucket = Durations::BOUNDS_MS
            .iter()
            .position(|bound| duration <= Duration::from_millis(*bound))
            .unwrap_or(Durations::BOUNDS_MS.len());
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(duration);
    }

    /// Each bound with the number of attempts that took no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let counts = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Durations::BOUNDS_MS.into_iter().zip(counts)
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// What `/status` and the page call the state of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// No attempt has ended yet.
    Waiting,
    Up,
    Failing,
}

impl SourceState {
    pub fn name(self) -> &'static str {
        match self {
            SourceState::Waiting => "waiting",
            SourceState::Up => "up",
            SourceState::Failing => "failing",
        }
    }
}

impl SourceHealth {
    pub fn state(&self) -> SourceState {
        match (self.attempts, self.failures_in_a_row) {
            (0, _) => SourceState::Waiting,
            (_, 0) => SourceState::Up,
            _ => SourceState::Failing,
        }
    }

    /// The failure that lasts, if one does.
    pub fn current_failure(&self) -> Option<&Failure> {
        match self.state() {
            SourceState::Failing => self.last_failure.as_ref().map(|(_, failure)| failure),
            _ => None,
        }
    }

    /// Takes one more attempt into account.
    pub fn record(&mut self, observation: &Observation) {
        self.attempts += 1;
        self.last_attempt = Some(observation.at);
        self.last_duration = observation.duration;
        self.last_bytes = observation.bytes;
        self.next_in = observation.next_in;
        self.server_wait = observation.server_wait;
        self.late_notice = observation.late_notice.clone();
        self.skipped_polls += observation.skipped_polls;
        self.durations.record(observation.duration);
        let issues = match &observation.outcome {
            FetchOutcome::Readings { issues, .. } | FetchOutcome::Failed { issues, .. } => {
                issues.as_slice()
            }
            FetchOutcome::Unchanged | FetchOutcome::Empty => &[],
        };
        for issue in issues {
            // Drift is a condition: it counts when it changes, not with every fetch.
            let is_known = issue.reason == Reason::Drift
                && self
                    .issues
                    .iter()
                    .any(|known| known.is_about_the_same(issue));
            if !is_known {
                *self.rejected.entry(issue.reason).or_default() += 1;
            }
        }
        self.push_recent(FetchAttempt {
            at: observation.at,
            duration: observation.duration,
            result: match &observation.outcome {
                FetchOutcome::Readings { issues, .. } if issues.is_empty() => {
                    AttemptResult::Complete
                }
                FetchOutcome::Readings { issues, .. } => AttemptResult::Partial {
                    issues: issues.len(),
                },
                FetchOutcome::Unchanged => AttemptResult::Unchanged,
                FetchOutcome::Empty => AttemptResult::Empty,
                FetchOutcome::Failed { failure, .. } => AttemptResult::Failed(failure.cause),
            },
        });
        match &observation.outcome {
            FetchOutcome::Readings { .. } | FetchOutcome::Empty => {
                self.issues = issues.to_vec();
                self.record_success(observation.at);
            }
            // A 304 repeats the response whose issues are already known.
            FetchOutcome::Unchanged => self.record_success(observation.at),
            FetchOutcome::Failed { failure, .. } => {
                self.issues = issues.to_vec();
                *self.failures.entry(failure.cause).or_default() += 1;
                self.failures_in_a_row += 1;
                self.successes_in_a_row = 0;
                self.failing_since.get_or_insert(observation.at);
                self.last_failure = Some((observation.at, failure.clone()));
            }
        }
    }

    fn push_recent(&mut self, fetch: FetchAttempt) {
        if self.recent.len() >= limits::RECENT_FETCHES {
            self.recent.pop_front();
        }
        self.recent.push_back(fetch);
    }

    fn record_success(&mut self, at: Moment) {
        self.failures_in_a_row = 0;
        self.successes_in_a_row += 1;
        self.failing_since = None;
        self.last_success = Some(at);
    }
}

/// How the node's own storage is doing: what the store thread reports, `/status` shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Storage {
    /// Why nothing can be stored now, in one sentence; `None` when all is well.
    pub trouble: Option<String>,
    /// What a person should know though storing works: a damaged database was set aside.
    pub notice: Option<String>,
    /// The same for the alert about it.
    pub salvage: Option<Salvaged>,
    /// Rows committed since start.
    pub rows_stored: u64,
    /// Rows that wait for the next commit, the clock or the disk.
    pub rows_waiting: u64,
    /// Rows given up since start because too many waited.
    pub rows_lost: u64,
    /// Rows refused since start because their hour is no longer kept row by row.
    pub rows_too_old: u64,
    /// Size of the database with its log.
    pub database_bytes: u64,
    /// Bytes this process wrote to storage since start, by the kernel's account.
    pub written_bytes: u64,
    pub extent: HistoryExtent,
    /// Why the database is lost at a restart, and what to do, where it lies in memory or in a container.
    pub volatile: Option<String>,
    /// Automatic backups, where they are configured.
    pub backup: Option<BackupState>,
    /// What a command has asked to be changed, now or last.
    pub maintenance: Option<MaintenanceStatus>,
}

/// How automatic backups are doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupState {
    /// Where they are written.
    pub directory: String,
    /// When the newest one that is there was made.
    pub last: Option<Wall>,
    /// When the next is due; `None` while the directory cannot be used.
    pub next: Option<Wall>,
    /// Why the last one failed, and what to do.
    pub error: Option<String>,
}

/// An import, a rename or a forget: under way, or the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceStatus {
    /// import, rename or forget.
    pub task: String,
    /// The file, or the keys.
    pub subject: String,
    /// Rows that are dealt with, of how many; 0 of 0 where nobody knows.
    pub done: u64,
    pub total: u64,
    pub is_finished: bool,
    /// What it has done, in a sentence.
    pub result: String,
    /// Why it ended before its end.
    pub error: Option<String>,
}

/// How far back each storage tier reaches; `None` where it is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HistoryExtent {
    pub rows: Option<Wall>,
    pub hours: Option<Wall>,
    pub days: Option<Wall>,
    /// How many rows there are, but for a few that were dropped out of their turn.
    pub row_count: u64,
}

/// A damaged database was set aside, and what could be read of it is taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    pub since: Mono,
    /// Where the damaged file lies now.
    pub quarantine_path: String,
    pub is_complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_cumulative_buckets() {
        let mut durations = Durations::default();
        for ms in [0, 50, 51, 30_000, 30_001, 999_999] {
            durations.record(Duration::from_millis(ms));
        }
        let counts: Vec<u64> = durations.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 4]);
        assert_eq!(durations.count(), 6);
        assert_eq!(durations.sum, Duration::from_millis(1_060_101));
    }

    #[test]
    fn the_recent_past_is_bounded() {
        let now = Moment {
            mono: crate::domain::time::Mono(1),
            wall: crate::domain::time::Wall(1),
            trust: crate::domain::time::ClockTrust::Trusted,
        };
        let mut health = SourceHealth::default();
        for attempt in 0..1_000 {
            health.record(&Observation {
                source: 0,
                at: now,
                duration: Duration::from_millis(attempt),
                bytes: 0,
                outcome: FetchOutcome::Unchanged,
                next_in: Duration::ZERO,
                server_wait: Duration::ZERO,
                late_notice: None,
                skipped_polls: 0,
                upstream: None,
            });
        }
        assert_eq!(health.recent.len(), limits::RECENT_FETCHES);
        let newest = health.recent.back().expect("attempts were recorded");
        assert_eq!(newest.duration, Duration::from_millis(999));
    }
}
