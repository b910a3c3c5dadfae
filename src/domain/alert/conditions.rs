//! Alert conditions: evaluates each rule on the facts of one moment. Keeps no state.
//! Those of sources are in `source_conditions`.

use std::time::Duration;

use super::instant::AlertInstant;
use super::state::AlertState;
use super::{AlertFacts, AlertRules, StaleRule, ValueRule, text};
use crate::domain::alert_event::{AlertText, LastGood};
use crate::domain::alert_level::AlertLevel;
use crate::domain::snapshot::Record;
use crate::domain::time::{ClockTrust, Moment, Mono};

/// Storage errors shorter than this are not reported.
const STORAGE_HOLD: Duration = Duration::from_secs(120);
/// Delivery failures shorter than this may be a server's restart or greylisting.
const DELIVERY_HOLD: Duration = Duration::from_secs(600);
/// How long the alert about a damaged database stays open.
const SALVAGE_SHOWN: Duration = Duration::from_secs(3600);
/// One success that has lasted for this long ends an alert, whatever `recover_after` is.
pub const SUCCESS_STABLE_FOR: Duration = Duration::from_secs(300);
/// A condition without countable successes must stay good for this long.
const STABLE_FOR: Duration = Duration::from_secs(60);

/// Result of one rule.
pub struct Condition {
    pub name: String,
    pub state: ConditionState,
    pub level: AlertLevel,
    pub text: AlertText,
    pub last_good: Vec<LastGood>,
    /// False for the delivery failure of a channel that does not send alerts about itself.
    pub is_for_own_channel: bool,
    /// When the state changes without new facts.
    pub changes_at: Option<AlertInstant>,
    /// Whether fetching the other sources now would show if this is a network outage.
    pub wants_probe: bool,
}

/// Proof of recovery: `recover_after` successes in a row, or one that has lasted for
/// [`SUCCESS_STABLE_FOR`]. Without countable successes the condition must stay good for
/// [`STABLE_FOR`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RecoveryProof {
    /// There are no countable successes.
    None,
    /// Recovery is proven.
    Complete,
    /// This many successes in a row.
    Count(u64),
    /// One more success with every new number: a reading or a response.
    Latest(i64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConditionState {
    Good {
        proof: RecoveryProof,
        /// Without proof it must stay good for this long.
        stable_for: Duration,
    },
    Bad {
        since: AlertInstant,
        /// When the alert opens; `None` if not by waiting alone.
        ready_at: Option<AlertInstant>,
    },
    /// Not known: the alert stays as it is.
    Unknown,
}

pub const GOOD: ConditionState = ConditionState::Good {
    proof: RecoveryProof::None,
    stable_for: STABLE_FOR,
};

/// Good by one reading or response, identified by its time of receipt.
pub fn good_since(latest: Option<Mono>) -> ConditionState {
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

/// Evaluates the rules on the facts and the alert state.
pub struct RuleEvaluator<'a> {
    pub rules: &'a AlertRules,
    pub state: &'a AlertState,
    pub now: Moment,
    pub facts: &'a AlertFacts<'a>,
}

impl RuleEvaluator<'_> {
    pub fn now(&self) -> AlertInstant {
        AlertInstant::of(self.now.mono)
    }

    pub fn started(&self) -> AlertInstant {
        AlertInstant::of(self.facts.started)
    }

    /// The results of all rules; the network first.
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
        for rule in &self.rules.displays {
            all.extend(self.silent_display(rule));
            all.extend(self.low_battery(rule));
        }
        self.delivery(&mut all);
        all
    }

    /// Bad now; the alert opens when it stays so for `hold`.
    pub fn bad_for(&self, name: &str, hold: Duration) -> ConditionState {
        let since = self.state.bad_since(name).unwrap_or(self.now());
        ConditionState::Bad {
            since,
            ready_at: Some(since.after(hold)),
        }
    }

    /// `describe` is called only where it is bad.
    pub fn condition(
        &self,
        name: String,
        state: ConditionState,
        describe: impl FnOnce() -> (AlertText, Vec<LastGood>),
    ) -> Condition {
        let (text, last_good) = match state {
            ConditionState::Bad { .. } => describe(),
            _ => Default::default(),
        };
        Condition {
            name,
            state,
            level: AlertLevel::default(),
            text,
            last_good,
            is_for_own_channel: true,
            changes_at: None,
            wants_probe: false,
        }
    }

    pub fn last_good(&self, is_concerned: impl Fn(&Record) -> bool) -> Vec<LastGood> {
        text::last_good(self.facts.plan, self.facts.snapshot, is_concerned)
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
        // An open alert ends only when the value is back by the hysteresis.
        let margin = if self.state.is_open(&name) {
            rule.hysteresis
        } else {
            0.0
        };
        let is_high = rule.above.is_some_and(|bound| number > bound - margin);
        let is_low = rule.below.is_some_and(|bound| number < bound + margin);
        let state = if is_high || is_low {
            self.bad_for(&name, rule.hold)
        } else {
            good_since(receipt(record))
        };
        // The current value is the bad one, so no last good value is listed.
        Condition {
            level: rule.level,
            ..self.condition(name, state, || {
                (
                    text::value(self.facts.plan, rule, number, record),
                    Vec::new(),
                )
            })
        }
    }

    fn stale(&self, rule: &StaleRule) -> Condition {
        let name = rule.name();
        let state = match self.facts.snapshot.record(&rule.key) {
            Some(record) if !record.stale => good_since(receipt(record)),
            // Restored, and the clock not yet set: its age is unknown.
            Some(record) if record.stamp.age(self.now).is_none() => ConditionState::Unknown,
            _ => self.bad_for(&name, rule.hold),
        };
        Condition {
            level: rule.level,
            ..self.condition(name, state, || {
                (
                    text::stale(self.facts.plan, rule),
                    self.last_good(|it| it.key == rule.key),
                )
            })
        }
    }

    fn storage(&self) -> Condition {
        const NAME: &str = "storage";
        let why = self.facts.node.storage.as_deref();
        let state = match why {
            Some(_) => self.bad_for(NAME, STORAGE_HOLD),
            None => GOOD,
        };
        Condition {
            level: AlertLevel::Critical,
            ..self.condition(NAME.to_owned(), state, || {
                (text::storage(why.unwrap_or_default()), Vec::new())
            })
        }
    }

    /// Damaged database; this alert ends by itself.
    fn salvage(&self) -> Condition {
        const NAME: &str = "database";
        let salvage = self.facts.node.salvage.as_ref();
        let state = match salvage {
            Some(salvage)
                if (!salvage.is_complete || self.now.mono.since(salvage.since) < SALVAGE_SHOWN) =>
            {
                ConditionState::Bad {
                    since: AlertInstant::of(salvage.since),
                    ready_at: Some(AlertInstant::of(salvage.since)),
                }
            }
            // A salvage that continues after a restart is reported a moment later.
            _ => GOOD,
        };
        let over = salvage.map(|it| AlertInstant::of(it.since).after(SALVAGE_SHOWN));
        Condition {
            level: AlertLevel::Critical,
            changes_at: over.filter(|at| *at > self.now()),
            ..self.condition(NAME.to_owned(), state, || {
                (salvage.map(text::salvage).unwrap_or_default(), Vec::new())
            })
        }
    }

    fn clock(&self) -> Condition {
        const NAME: &str = "clock";
        let hold = self.rules.clock_untrusted_for;
        let state = match self.now.trust {
            ClockTrust::Untrusted => self.bad_for(NAME, hold),
            ClockTrust::Trusted => GOOD,
            ClockTrust::Unknown => ConditionState::Unknown,
        };
        self.condition(NAME.to_owned(), state, || (text::clock(hold), Vec::new()))
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
