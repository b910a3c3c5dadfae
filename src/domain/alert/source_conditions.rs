//! Alert conditions of sources: no data, network outage, response format.

use std::time::Duration;

use super::conditions::{
    Condition, ConditionState, GOOD, RecoveryProof, RuleEvaluator, SUCCESS_STABLE_FOR, good_since,
};
use super::instant::AlertInstant;
use super::text;
use crate::domain::failure::Cause;
use crate::domain::health::SourceState;
use crate::domain::reading::{Issue, Reason};
use crate::domain::snapshot::SourceSnapshot;

/// A streak of failures younger than this may be a router's restart.
const MIN_FAILURE_STREAK: Duration = Duration::from_secs(120);
/// Extra time for fetches of other sources that run when a source's silence limit passes.
const NETWORK_GRACE: Duration = Duration::from_secs(60);

impl RuleEvaluator<'_> {
    pub fn source(&self, source: &SourceSnapshot) -> Condition {
        let name = format!("source:{}", source.name);
        let health = &source.health;
        let silence = self.rules.no_success_limit(&source.name, source.interval);
        // Failures during a network outage do not count against a source.
        let grace_from = self.state.network_grace_from;
        let after_grace = |at: AlertInstant| grace_from.map_or(at, |grace| at.max(grace));
        let known_bad = self.state.bad_since(&name);
        let last_success = health.last_success.map(|at| AlertInstant::of(at.mono));
        let silent_from = last_success.unwrap_or(self.started());
        let mut changes_at = None;
        let mut wants_probe = false;
        let state = match health.state() {
            SourceState::Failing => {
                let first = health
                    .failing_since
                    .map_or(self.now(), |at| AlertInstant::of(at.mono));
                // A restart resets the streak, but the stored state has its start.
                let since = known_bad.map_or(first, |known| known.min(first));
                let silent_from = silent_from.min(since);
                let is_streak = health.failures_in_a_row >= self.rules.failure_limit(&source.name);
                let is_fresh = match (grace_from, health.last_attempt) {
                    (Some(grace), Some(attempt)) => AlertInstant::of(attempt.mono) > grace,
                    _ => true,
                };
                let streak_at = after_grace(first).after(MIN_FAILURE_STREAK);
                let silent_at = after_grace(silent_from).after(silence);
                let streak_at = (is_streak && is_fresh).then_some(streak_at);
                let ready_at = streak_at.into_iter().chain([silent_at]).min();
                let ready_at = if self.may_be_network_outage(source) {
                    let is_due = ready_at.is_some_and(|at| at <= self.now());
                    wants_probe = is_due && !self.state.is_open(&name);
                    // Sources with the same interval have been fetched by then.
                    Some(silent_at.after(NETWORK_GRACE))
                } else {
                    ready_at
                };
                ConditionState::Bad { since, ready_at }
            }
            not_failing => {
                let silent_at = after_grace(silent_from).after(silence);
                if silent_at <= self.now() {
                    let since = known_bad.map_or(silent_from, |known| known.min(silent_from));
                    ConditionState::Bad {
                        since,
                        ready_at: Some(silent_at),
                    }
                } else {
                    changes_at = Some(silent_at);
                    match not_failing {
                        SourceState::Up => ConditionState::Good {
                            proof: RecoveryProof::Count(health.successes_in_a_row),
                            stable_for: SUCCESS_STABLE_FOR,
                        },
                        _ => ConditionState::Unknown,
                    }
                }
            }
        };
        let describe = || {
            let last_good = self.last_good(|record| {
                let is_derived = self.facts.snapshot.is_derived(&record.key);
                !is_derived && record.sources.contains(&source.name)
            });
            (text::source(source, silence), last_good)
        };
        Condition {
            level: self.rules.source_level(&source.name),
            changes_at,
            wants_probe,
            ..self.condition(name, state, describe)
        }
    }

    /// Whether a source's failure may still be a network outage: it fails below HTTP, and not every
    /// other source was fetched since.
    fn may_be_network_outage(&self, source: &SourceSnapshot) -> bool {
        let is_below = |it: &SourceSnapshot| {
            let failure = it.health.current_failure();
            failure.is_some_and(|failure| failure.cause.is_below_http())
        };
        let Some(began) = source.health.failing_since else {
            return false;
        };
        let others = || {
            let sources = self.facts.snapshot.sources.iter();
            sources.filter(|it| it.name != source.name)
        };
        let was_fetched = |it: &SourceSnapshot| {
            let attempt = it.health.last_attempt;
            attempt.is_some_and(|attempt| attempt.mono >= began.mono)
        };
        is_below(source)
            && others().count() > 0
            && !self.is_network_down(&self.facts.snapshot.sources)
            && !others().any(|it| was_fetched(it) && !is_below(it))
            && others().any(|it| !was_fetched(it))
    }

    /// Network outage: every source that was fetched since it began fails below HTTP. Then no source
    /// is reported by itself.
    pub fn network(&self, of_sources: &mut [Condition]) -> Condition {
        const NAME: &str = "network";
        let sources = &self.facts.snapshot.sources;
        let is_down = self.is_network_down(sources);
        let is_open = self.state.is_open(NAME);
        let mut since: Option<AlertInstant> = None;
        let mut ready_at: Option<AlertInstant> = None;
        for condition in of_sources.iter_mut() {
            if let ConditionState::Bad {
                since: began,
                ready_at: ready,
            } = &mut condition.state
                && (is_down || is_open)
                && !self.state.is_open(&condition.name)
            {
                since = Some(since.map_or(*began, |since| since.min(*began)));
                ready_at = ready_at.into_iter().chain(*ready).min();
                *ready = None;
            }
        }
        let state = match (is_down, since) {
            (true, Some(since)) => ConditionState::Bad { since, ready_at },
            // All are reported already, or the network is back.
            (true, None) => ConditionState::Unknown,
            (false, _) => GOOD,
        };
        self.condition(NAME.to_owned(), state, || {
            (text::network(sources.len()), self.last_good(|_| true))
        })
    }

    fn is_network_down(&self, sources: &[SourceSnapshot]) -> bool {
        let failing_below = |source: &&SourceSnapshot| {
            let failure = source.health.current_failure();
            failure.is_some_and(|failure| failure.cause.is_below_http())
        };
        let failing: Vec<&SourceSnapshot> = sources.iter().filter(failing_below).collect();
        let began = |source: &&SourceSnapshot| source.health.failing_since.map(|since| since.mono);
        let Some(last_began) = failing.iter().filter_map(began).max() else {
            return false;
        };
        // A source that was not fetched since proves nothing.
        let contradicts = |source: &SourceSnapshot| {
            let attempt = source.health.last_attempt;
            !failing_below(&source) && attempt.is_some_and(|attempt| attempt.mono >= last_began)
        };
        let no_route = failing.iter().any(|source| {
            let failure = source.health.current_failure();
            failure.is_some_and(|failure| failure.cause == Cause::Network)
        });
        let enough = failing.len() > 1 && failing.len() * 2 >= sources.len();
        (enough || no_route) && !sources.iter().any(contradicts)
    }

    pub fn drift(&self, source: &SourceSnapshot) -> Condition {
        let name = format!("schema:{}", source.name);
        let is_drift = |issue: &&Issue| {
            matches!(
                issue.reason,
                Reason::Drift | Reason::WrongType | Reason::Missing
            )
        };
        let issue = source.health.issues.iter().find(is_drift);
        let state = match (source.health.state(), issue) {
            (SourceState::Up, Some(_)) => {
                let hold = self.rules.no_success_limit(&source.name, source.interval);
                self.bad_for(&name, hold)
            }
            (SourceState::Up, None) => {
                good_since(source.health.last_success.map(|success| success.mono))
            }
            // A source without responses has the no-data alert.
            _ => ConditionState::Unknown,
        };
        Condition {
            level: self.rules.source_level(&source.name),
            ..self.condition(name, state, || (text::drift(source, issue), Vec::new()))
        }
    }
}
