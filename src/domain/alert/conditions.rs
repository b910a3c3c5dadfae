//! How things are now: each rule's word on it, without a memory of its own.

use std::time::Duration;

use super::instant::AlertInstant;
use super::state_machine::AlertState;
use super::{AlertFacts, AlertRules, StaleRule, ValueRule, text};
use crate::domain::alert_event::{AlertText, LastGood};
use crate::domain::failure::Cause;
use crate::domain::health::SourceState;
use crate::domain::reading::{Issue, Reason};
use crate::domain::snapshot::{Record, SourceSnapshot};
use crate::domain::time::{ClockTrust, Moment, Mono};

/// A streak of failures younger than this may be a router's restart.
const MIN_FAILURE_STREAK: Duration = Duration::from_secs(120);
/// Storage that fails once and then works is not worth a mail.
const STORAGE_HOLD: Duration = Duration::from_secs(120);
/// Delivery that fails for less is a server's restart, or greylisting.
const DELIVERY_HOLD: Duration = Duration::from_secs(600);
/// A fetch that had begun when a source's silence became too long may take so much longer.
const NETWORK_GRACE: Duration = Duration::from_secs(60);
/// A database that was set aside shows on displays and the page for so long.
const SALVAGE_SHOWN: Duration = Duration::from_secs(3600);
/// One success that has held for this long ends an alert, however many are asked for.
const SUCCESS_STABLE_FOR: Duration = Duration::from_secs(300);
/// What is good without anything that could be counted must stay so for this long.
const STABLE_FOR: Duration = Duration::from_secs(60);

/// One rule's word.
pub struct Condition {
    pub name: String,
    pub state: ConditionState,
    pub text: AlertText,
    pub last_good: Vec<LastGood>,
    /// False for the failure of a channel that does not carry it.
    pub is_for_own_channel: bool,
    /// When the verdict changes without anything new.
    pub changes_at: Option<AlertInstant>,
    /// Whether the other sources, asked now, would tell what this is.
    pub wants_probe: bool,
}

/// What shows that something is good again. One rule for all: `recover_after` good ones in a
/// row, or one that has held for `SUCCESS_HOLDS`; what nobody can count must hold for `CALM`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RecoveryProof {
    /// Nothing that could be counted.
    None,
    /// It needs no more.
    Complete,
    /// So many in a row.
    Count(u64),
    /// One more with every new number: a reading, or an answer.
    Latest(i64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConditionState {
    Good {
        proof: RecoveryProof,
        /// Without proof it must stay good for so long.
        stable_for: Duration,
    },
    Bad {
        since: AlertInstant,
        /// From when on a person should know; `None` if waiting alone does not bring it.
        ready_at: Option<AlertInstant>,
    },
    /// Nothing is known that would change anything.
    Unknown,
}

const GOOD: ConditionState = ConditionState::Good {
    proof: RecoveryProof::None,
    stable_for: STABLE_FOR,
};

/// Good by one reading or answer, which is known by when it came.
fn good_since(latest: Option<Mono>) -> ConditionState {
    match latest {
        Some(at) => ConditionState::Good {
            proof: RecoveryProof::Latest(AlertInstant::of(at).0),
            stable_for: SUCCESS_STABLE_FOR,
        },
        None => GOOD,
    }
}

fn receipt(record: &Record) -> Option<Mono> {
    record.stamp.receipt().map(|(at, _)| at)
}

/// Everything that the rules look at.
pub struct RuleEvaluator<'a> {
    pub rules: &'a AlertRules,
    pub state: &'a AlertState,
    pub now: Moment,
    pub facts: &'a AlertFacts<'a>,
}

impl RuleEvaluator<'_> {
    fn now(&self) -> AlertInstant {
        AlertInstant::of(self.now.mono)
    }

    fn started(&self) -> AlertInstant {
        AlertInstant::of(self.facts.started)
    }

    /// Every rule's word; the network's first.
    pub fn conditions(&self) -> Vec<Condition> {
        let snapshot = self.facts.snapshot;
        let mut of_sources: Vec<Condition> =
            snapshot.sources.iter().map(|it| self.source(it)).collect();
        let mut all = Vec::new();
        if snapshot.sources.len() > 1 {
            all.push(self.network(&mut of_sources));
        }
        all.append(&mut of_sources);
        if self.rules.schema_drift {
            all.extend(snapshot.sources.iter().map(|it| self.drift(it)));
        }
        all.extend(self.rules.values.iter().map(|rule| self.value(rule)));
        all.extend(self.rules.stale.iter().map(|rule| self.stale(rule)));
        all.push(self.storage());
        all.push(self.salvage());
        all.push(self.clock());
        self.displays(&mut all);
        self.delivery(&mut all);
        all
    }

    /// A verdict for what is bad now and must stay so for `hold`.
    fn bad_for(&self, name: &str, hold: Duration) -> ConditionState {
        let since = self.state.bad_since(name).unwrap_or(self.now());
        ConditionState::Bad {
            since,
            ready_at: Some(since.after(hold)),
        }
    }

    /// The words are made only where somebody could be told.
    fn condition(
        &self,
        name: String,
        verdict: ConditionState,
        words: impl FnOnce() -> (AlertText, Vec<LastGood>),
    ) -> Condition {
        let (words, last_good) = match verdict {
            ConditionState::Bad { .. } => words(),
            _ => Default::default(),
        };
        Condition {
            name,
            state: verdict,
            text: words,
            last_good,
            is_for_own_channel: true,
            changes_at: None,
            wants_probe: false,
        }
    }

    fn last_good(&self, is_concerned: impl Fn(&Record) -> bool) -> Vec<LastGood> {
        text::last_good(self.facts.snapshot, is_concerned)
    }

    fn source(&self, source: &SourceSnapshot) -> Condition {
        let name = format!("source:{}", source.name);
        let health = &source.health;
        let silence = self.rules.no_success_limit(&source.name, source.interval);
        // While the network was down, no source could show how it is.
        let excused = self.state.network_grace_from;
        let after_excuse = |at: AlertInstant| excused.map_or(at, |excused| at.max(excused));
        let known_bad = self.state.bad_since(&name);
        let last_success = health.last_success.map(|at| AlertInstant::of(at.mono));
        let silent_from = last_success.unwrap_or(self.started());
        let mut next = None;
        let mut asks_others = false;
        let verdict = match health.state() {
            SourceState::Failing => {
                let first = health
                    .failing_since
                    .map_or(self.now(), |at| AlertInstant::of(at.mono));
                // A restart forgets the streak, not that it was one.
                let since = known_bad.map_or(first, |known| known.min(first));
                let silent_from = silent_from.min(since);
                let is_streak = health.failures_in_a_row >= self.rules.failure_limit(&source.name);
                let is_fresh = match (excused, health.last_attempt) {
                    (Some(excused), Some(attempt)) => AlertInstant::of(attempt.mono) > excused,
                    _ => true,
                };
                let streak_at = after_excuse(first).after(MIN_FAILURE_STREAK);
                let silent_at = after_excuse(silent_from).after(silence);
                let streak_at = (is_streak && is_fresh).then_some(streak_at);
                let ready_at = streak_at.into_iter().chain([silent_at]).min();
                let ready_at = match self.may_be_network_outage(source) {
                    true => {
                        let is_due = ready_at.is_some_and(|at| at <= self.now());
                        asks_others = is_due && !self.state.is_open(&name);
                        // Sources that are asked as often have been by then.
                        Some(silent_at.after(NETWORK_GRACE))
                    }
                    false => ready_at,
                };
                ConditionState::Bad { since, ready_at }
            }
            state => {
                let silent_at = after_excuse(silent_from).after(silence);
                if silent_at <= self.now() {
                    let since = known_bad.map_or(silent_from, |known| known.min(silent_from));
                    ConditionState::Bad {
                        since,
                        ready_at: Some(silent_at),
                    }
                } else {
                    next = Some(silent_at);
                    match state {
                        SourceState::Up => ConditionState::Good {
                            proof: RecoveryProof::Count(health.successes_in_a_row),
                            stable_for: SUCCESS_STABLE_FOR,
                        },
                        _ => ConditionState::Unknown,
                    }
                }
            }
        };
        let said = || {
            let last_good = self.last_good(|record| record.sources.contains(&source.name));
            (text::source(source, silence), last_good)
        };
        Condition {
            changes_at: next,
            wants_probe: asks_others,
            ..self.condition(name, verdict, said)
        }
    }

    /// Whether nobody can say yet if a source fails alone: it fails before its server
    /// answers, and no other source was asked since.
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
        let was_asked = |it: &SourceSnapshot| {
            let attempt = it.health.last_attempt;
            attempt.is_some_and(|attempt| attempt.mono >= began.mono)
        };
        is_below(source)
            && others().count() > 0
            && !self.is_network_down(&self.facts.snapshot.sources)
            && !others().any(|it| was_asked(it) && !is_below(it))
            && others().any(|it| !was_asked(it))
    }

    /// When every source that was asked since it began fails below HTTP, it is us: then no
    /// source is reported by itself.
    fn network(&self, of_sources: &mut [Condition]) -> Condition {
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
        let verdict = match (is_down, since) {
            (true, Some(since)) => ConditionState::Bad { since, ready_at },
            // All are reported already, or the network is back.
            (true, None) => ConditionState::Unknown,
            (false, _) => GOOD,
        };
        self.condition(NAME.to_owned(), verdict, || {
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
        // A source that was not asked since says nothing.
        let speaks_against = |source: &SourceSnapshot| {
            let attempt = source.health.last_attempt;
            !failing_below(&source) && attempt.is_some_and(|attempt| attempt.mono >= last_began)
        };
        let no_route = failing.iter().any(|source| {
            let failure = source.health.current_failure();
            failure.is_some_and(|failure| failure.cause == Cause::Network)
        });
        let enough = failing.len() > 1 && failing.len() * 2 >= sources.len();
        (enough || no_route) && !sources.iter().any(speaks_against)
    }

    fn drift(&self, source: &SourceSnapshot) -> Condition {
        let name = format!("schema:{}", source.name);
        let is_drift = |issue: &&Issue| {
            matches!(
                issue.reason,
                Reason::Drift | Reason::WrongType | Reason::Missing
            )
        };
        let issue = source.health.issues.iter().find(is_drift);
        let verdict = match (source.health.state(), issue) {
            (SourceState::Up, Some(_)) => {
                let hold = self.rules.no_success_limit(&source.name, source.interval);
                self.bad_for(&name, hold)
            }
            (SourceState::Up, None) => {
                good_since(source.health.last_success.map(|success| success.mono))
            }
            // What answers nothing has the other alert.
            _ => ConditionState::Unknown,
        };
        self.condition(name, verdict, || (text::drift(source, issue), Vec::new()))
    }

    fn value(&self, rule: &ValueRule) -> Condition {
        let name = rule.name();
        let record = self.facts.snapshot.record(&rule.key);
        let number = record
            .filter(|record| !record.stale)
            .and_then(|record| record.value.number());
        let (Some(record), Some(number)) = (record, number) else {
            return self.condition(name, ConditionState::Unknown, Default::default);
        };
        // What is told must come back by the hysteresis before it is good.
        let margin = match self.state.is_open(&name) {
            true => rule.hysteresis,
            false => 0.0,
        };
        let is_high = rule.above.is_some_and(|bound| number > bound - margin);
        let is_low = rule.below.is_some_and(|bound| number < bound + margin);
        let verdict = match is_high || is_low {
            true => self.bad_for(&name, rule.hold),
            false => good_since(receipt(record)),
        };
        // What the key says now is the bad value itself.
        self.condition(name, verdict, || {
            (text::value(rule, number, record), Vec::new())
        })
    }

    fn stale(&self, rule: &StaleRule) -> Condition {
        let name = format!("stale:{}", rule.key);
        let verdict = match self.facts.snapshot.record(&rule.key) {
            Some(record) if !record.stale => good_since(receipt(record)),
            // Restored, and the clock not yet set: nobody knows its age.
            Some(record) if record.stamp.age(self.now).is_none() => ConditionState::Unknown,
            _ => self.bad_for(&name, rule.hold),
        };
        self.condition(name, verdict, || {
            (text::stale(rule), self.last_good(|it| it.key == rule.key))
        })
    }

    fn storage(&self) -> Condition {
        const NAME: &str = "storage";
        let why = self.facts.node.storage.as_deref();
        let verdict = match why {
            Some(_) => self.bad_for(NAME, STORAGE_HOLD),
            None => GOOD,
        };
        self.condition(NAME.to_owned(), verdict, || {
            (text::storage(why.unwrap_or_default()), Vec::new())
        })
    }

    /// A database that was damaged: told once, and over by itself.
    fn salvage(&self) -> Condition {
        const NAME: &str = "database";
        let salvage = self.facts.node.salvage.as_ref();
        let verdict = match salvage {
            Some(salvage)
                if (!salvage.is_complete || self.now.mono.since(salvage.since) < SALVAGE_SHOWN) =>
            {
                ConditionState::Bad {
                    since: AlertInstant::of(salvage.since),
                    ready_at: Some(AlertInstant::of(salvage.since)),
                }
            }
            // One that is resumed is heard of a moment after the start.
            _ => GOOD,
        };
        let over = salvage.map(|it| AlertInstant::of(it.since).after(SALVAGE_SHOWN));
        Condition {
            changes_at: over.filter(|at| *at > self.now()),
            ..self.condition(NAME.to_owned(), verdict, || {
                (salvage.map(text::salvage).unwrap_or_default(), Vec::new())
            })
        }
    }

    fn clock(&self) -> Condition {
        const NAME: &str = "clock";
        let hold = self.rules.clock_untrusted_for;
        let verdict = match self.now.trust {
            ClockTrust::Untrusted => self.bad_for(NAME, hold),
            ClockTrust::Trusted => GOOD,
            ClockTrust::Unknown => ConditionState::Unknown,
        };
        self.condition(NAME.to_owned(), verdict, || (text::clock(hold), Vec::new()))
    }

    fn displays(&self, all: &mut Vec<Condition>) {
        for rule in &self.rules.displays {
            let name = format!("display:{}", rule.name);
            let seen = &self.facts.node.displays;
            let silence = seen.iter().find(|(display, _)| *display == rule.name);
            let silence = silence.map(|(_, silence)| *silence);
            // One that was never seen may not know yet that the node is back.
            let silence = silence.unwrap_or(self.now().since(self.started()));
            let heard_at = self.now().before(silence);
            let ready_at = heard_at.after(rule.silent_for);
            let verdict = match ready_at <= self.now() {
                true => ConditionState::Bad {
                    since: heard_at,
                    ready_at: Some(ready_at),
                },
                false if self.is_seen(&rule.name) => GOOD,
                false => ConditionState::Unknown,
            };
            all.push(Condition {
                changes_at: Some(ready_at).filter(|at| *at > self.now()),
                ..self.condition(name, verdict, || (text::display(rule), Vec::new()))
            });
        }
    }

    fn is_seen(&self, display: &str) -> bool {
        let mut seen = self.facts.node.displays.iter();
        seen.any(|(name, _)| &**name == display)
    }

    fn delivery(&self, all: &mut Vec<Condition>) {
        for channel in &self.facts.node.channels {
            let failure = channel.failure.as_ref();
            let state = match failure {
                Some(failure) => ConditionState::Bad {
                    since: AlertInstant::of(failure.since),
                    ready_at: Some(AlertInstant::of(failure.since).after(DELIVERY_HOLD)),
                },
                None => ConditionState::Good {
                    proof: RecoveryProof::Complete,
                    stable_for: STABLE_FOR,
                },
            };
            let describe = || {
                let text = failure.map(|failure| text::delivery(&channel.name, failure));
                (text.unwrap_or_default(), Vec::new())
            };
            all.push(Condition {
                is_for_own_channel: channel.carries_own_failure,
                ..self.condition(channel.name.to_string(), state, describe)
            });
        }
    }
}
