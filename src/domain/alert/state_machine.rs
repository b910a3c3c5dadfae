//! Alert state machine: `quiet → pending → firing → recovering → quiet`, and the events on the way.
//!
//! All waiting runs on the monotonic clock. Wall times are only for messages and mute windows, and
//! pass a [`ClockFilter`](crate::domain::clock_filter::ClockFilter), so that a clock that jumps
//! opens, mutes and repeats nothing.

use std::time::Duration;

use super::conditions::{Condition, ConditionState, RuleEvaluator};
use super::instant::{AlertInstant, wall_stamp};
use super::state::{AlertEntry, AlertPhase, AlertState};
use super::{AlertFacts, AlertRules};
use crate::domain::alert_event::{
    AlertEvent, AlertEventKind, AlertOutage, AlertText, LastGood, WallStamp,
};
use crate::domain::open_alert::OpenAlert;
use crate::domain::time::{Moment, Mono, millis};

/// An alert that opens this often within `FLAP_WINDOW` is flapping.
const FLAP_COUNT: usize = 3;
const FLAP_WINDOW: Duration = Duration::from_secs(6 * 3600);
/// An alert that flapped ends when it has been good for this long.
const FLAP_COOLDOWN: Duration = Duration::from_secs(3600);
/// Outages listed of one alert; more are counted.
const MAX_OUTAGES_LISTED: usize = 20;
/// The longest interval between reminders.
const MAX_REMINDER_INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often a muted alert checks whether the window is over.
const MUTE_POLL: Duration = Duration::from_secs(30);

/// Result of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertStep {
    pub state: AlertState,
    /// In the order in which they happened; to be committed with the state, at once.
    pub events: Vec<AlertEvent>,
    pub open: Vec<OpenAlert>,
    /// When the next step is due without new facts.
    pub changes_at: Option<Mono>,
    /// Whether the state differs from the one before in what should survive a restart.
    /// Without events it need not be stored at once.
    pub changed: bool,
    /// Whether an alert about a source only waits to find out if this node's own network is down:
    /// the other sources should be fetched now.
    pub wants_probe: bool,
}

/// Runs one step: applies the facts of one moment to the state.
pub fn step(
    rules: &AlertRules,
    state: &AlertState,
    now: Moment,
    facts: &AlertFacts<'_>,
) -> AlertStep {
    let evaluator = RuleEvaluator {
        rules,
        state,
        now,
        facts,
    };
    let conditions = evaluator.conditions();
    let mut next = state.clone();
    let wall = wall_stamp(&mut next.clock_filter, now);
    let is_muted = wall.is_trusted
        && rules
            .mute
            .iter()
            .any(|window| window.contains(wall.wall(), &rules.timezone));
    let mut context = StepContext {
        rules,
        now: AlertInstant::of(now.mono),
        wall,
        is_muted,
        incidents: next.incidents,
        events: Vec::new(),
        changes_at: None,
    };
    let wants_probe = conditions.iter().any(|it| it.wants_probe);
    let network_was_down = state.is_bad("network");
    let mut entries = std::mem::take(&mut next.entries);
    for condition in conditions {
        let entry = entries.remove(&condition.name);
        context.schedule(condition.changes_at);
        let name = condition.name.clone();
        if let Some(entry) = context.advance(entry, condition) {
            next.entries.insert(name, entry);
        }
    }
    // These rules are no longer configured.
    for (name, entry) in entries {
        if entry.phase.is_open() {
            context.push_event(AlertEventKind::RuleRemoved, &name, &entry, Vec::new());
        }
    }
    if network_was_down && !next.is_bad("network") {
        next.network_grace_from = Some(context.now);
    }
    next.incidents = context.incidents;
    next.as_of = context.now;
    AlertStep {
        open: next.open(),
        changed: !next.has_same_persistent_state(state),
        wants_probe,
        events: context.events,
        changes_at: context.changes_at.map(AlertInstant::mono),
        state: next,
    }
}

/// Context of one step while it evaluates the conditions.
struct StepContext<'a> {
    rules: &'a AlertRules,
    now: AlertInstant,
    wall: WallStamp,
    is_muted: bool,
    incidents: u64,
    events: Vec<AlertEvent>,
    changes_at: Option<AlertInstant>,
}

impl StepContext<'_> {
    fn schedule(&mut self, at: Option<AlertInstant>) {
        let at = at.map(|at| at.max(self.now));
        self.changes_at = self.changes_at.into_iter().chain(at).min();
    }

    /// The wall time of an instant, by the current wall clock.
    fn wall_stamp_at(&self, at: AlertInstant) -> WallStamp {
        let ms = self.wall.ms.saturating_sub(self.now.0.saturating_sub(at.0));
        WallStamp {
            ms,
            is_trusted: self.wall.is_trusted,
        }
    }

    fn advance(&mut self, entry: Option<AlertEntry>, condition: Condition) -> Option<AlertEntry> {
        let name = condition.name.clone();
        let mut entry = match (entry, condition.state) {
            (Some(entry), _) => entry,
            (None, ConditionState::Bad { since, .. }) => self.new_entry(since, &condition),
            (None, _) => return None,
        };
        self.fix_timestamps(&mut entry);
        match condition.state {
            ConditionState::Bad { since, ready_at } => {
                self.handle_bad(&mut entry, condition, since, ready_at);
            }
            ConditionState::Good { proof, stable_for } => {
                entry.bad_since = None;
                let good_since = *entry.good_since.get_or_insert(self.now);
                let is_proven = entry.count_success(proof, self.rules.recover_after);
                self.handle_good(&mut entry, &name, is_proven, good_since.after(stable_for));
            }
            ConditionState::Unknown => {}
        }
        self.remind(&mut entry, &name);
        entry
            .fired
            .retain(|fired| self.now.since(*fired) < FLAP_WINDOW);
        let is_forgotten = entry.phase == AlertPhase::Quiet && entry.fired.is_empty();
        (!is_forgotten).then_some(entry)
    }

    fn new_entry(&self, since: AlertInstant, condition: &Condition) -> AlertEntry {
        AlertEntry {
            phase: AlertPhase::Quiet,
            bad_since: None,
            since,
            since_stamp: self.wall_stamp_at(since),
            incident: 0,
            level: condition.level,
            text: AlertText::default(),
            good_since: None,
            good_count: 0,
            good_mark: None,
            reminders: 0,
            remind_at: None,
            fired: Vec::new(),
            outages: Vec::new(),
            outage_count: 0,
            flaps: false,
            is_for_own_channel: condition.is_for_own_channel,
        }
    }

    /// Corrects times of an untrusted clock once it is trusted.
    fn fix_timestamps(&self, entry: &mut AlertEntry) {
        if self.wall.is_trusted && !entry.since_stamp.is_trusted {
            entry.since_stamp = self.wall_stamp_at(entry.since);
        }
    }

    fn handle_bad(
        &mut self,
        entry: &mut AlertEntry,
        condition: Condition,
        since: AlertInstant,
        ready_at: Option<AlertInstant>,
    ) {
        entry.good_since = None;
        entry.good_count = 0;
        entry.good_mark = None;
        entry.bad_since = Some(entry.bad_since.map_or(since, |known| known.min(since)));
        let is_ready = ready_at.is_some_and(|at| at <= self.now) && !self.is_muted;
        match entry.phase {
            AlertPhase::Quiet => {
                entry.phase = AlertPhase::Pending;
                entry.since = since;
                entry.since_stamp = self.wall_stamp_at(since);
            }
            AlertPhase::Recovering => entry.phase = AlertPhase::Firing,
            AlertPhase::Pending | AlertPhase::Firing | AlertPhase::Cooldown => {}
        }
        match entry.phase {
            AlertPhase::Pending if is_ready => {
                entry.level = condition.level;
                entry.text = condition.text;
                self.fire(entry, &condition.name, condition.last_good);
            }
            AlertPhase::Cooldown if is_ready => {
                entry.phase = AlertPhase::Firing;
                entry.text = condition.text;
                self.add_outage(entry, self.wall_stamp_at(since));
            }
            AlertPhase::Pending | AlertPhase::Cooldown => {
                let at = if self.is_muted {
                    ready_at.map(|at| at.max(self.now.after(MUTE_POLL)))
                } else {
                    ready_at
                };
                self.schedule(at);
            }
            // The text changes with the cause, not with counters.
            AlertPhase::Firing if entry.text.cause_name != condition.text.cause_name => {
                entry.text = condition.text;
            }
            AlertPhase::Firing | AlertPhase::Quiet | AlertPhase::Recovering => {}
        }
    }

    /// Opens an incident.
    fn fire(&mut self, entry: &mut AlertEntry, name: &str, last_good: Vec<LastGood>) {
        entry.phase = AlertPhase::Firing;
        self.incidents += 1;
        entry.incident = self.incidents;
        entry.reminders = 0;
        entry.remind_at = Some(self.now.after(self.rules.remind_after));
        entry.fired.push(self.now);
        self.add_outage(entry, entry.since_stamp);
        entry.flaps = entry.fired.len() >= FLAP_COUNT;
        let kind = if entry.flaps {
            AlertEventKind::Flapping
        } else {
            AlertEventKind::Trigger
        };
        self.push_event(kind, name, entry, last_good);
    }

    fn add_outage(&self, entry: &mut AlertEntry, from: WallStamp) {
        entry.outages.push(AlertOutage { from, until: None });
        entry.outage_count += 1;
        let excess = entry.outages.len().saturating_sub(MAX_OUTAGES_LISTED);
        entry.outages.drain(..excess);
    }

    fn handle_good(
        &mut self,
        entry: &mut AlertEntry,
        name: &str,
        is_proven: bool,
        stable_at: AlertInstant,
    ) {
        if entry.phase == AlertPhase::Pending {
            entry.phase = AlertPhase::Quiet;
        }
        if entry.phase == AlertPhase::Firing {
            entry.phase = AlertPhase::Recovering;
        }
        if entry.phase == AlertPhase::Recovering {
            if !is_proven && stable_at > self.now {
                self.schedule(Some(stable_at));
                return;
            }
            let good_since = entry.good_since.unwrap_or(self.now);
            if let Some(outage) = entry.outages.last_mut() {
                outage.until.get_or_insert(self.wall_stamp_at(good_since));
            }
            entry.phase = AlertPhase::Cooldown;
        }
        if entry.phase == AlertPhase::Cooldown {
            let good_since = entry.good_since.unwrap_or(self.now);
            let cooldown_until = good_since.after(FLAP_COOLDOWN);
            if entry.flaps && cooldown_until > self.now {
                self.schedule(Some(cooldown_until));
                return;
            }
            self.push_event(AlertEventKind::Recovery, name, entry, Vec::new());
            entry.phase = AlertPhase::Quiet;
            entry.remind_at = None;
            if entry.flaps {
                // The next outage is a new incident.
                entry.flaps = false;
                entry.fired.clear();
            }
            if entry.fired.is_empty() {
                entry.outages.clear();
                entry.outage_count = 0;
            }
        }
    }

    fn remind(&mut self, entry: &mut AlertEntry, name: &str) {
        let Some(at) = entry
            .remind_at
            .filter(|_| entry.phase == AlertPhase::Firing)
        else {
            return;
        };
        if at <= self.now && !self.is_muted {
            entry.reminders += 1;
            let wait = self.rules.remind_after * (1 << entry.reminders.min(10));
            entry.remind_at = Some(self.now.after(wait.min(MAX_REMINDER_INTERVAL)));
            self.push_event(AlertEventKind::Reminder, name, entry, Vec::new());
        }
        let next_poll = self.now.after(MUTE_POLL);
        let at = entry
            .remind_at
            .map(|at| if self.is_muted { at.max(next_poll) } else { at });
        self.schedule(at);
    }

    fn push_event(
        &mut self,
        kind: AlertEventKind,
        name: &str,
        entry: &AlertEntry,
        last_good: Vec<LastGood>,
    ) {
        let lists_outages = entry.flaps || kind == AlertEventKind::Flapping;
        self.events.push(AlertEvent {
            incident: entry.incident,
            alert: name.to_owned(),
            kind,
            level: entry.level,
            at: self.wall,
            since: entry.since_stamp,
            lasted_ms: millis(self.now.since(entry.since)),
            text: entry.text.clone(),
            last_good,
            outages: if lists_outages {
                entry.outages.clone()
            } else {
                Vec::new()
            },
            outage_count: entry.outage_count,
            is_for_own_channel: entry.is_for_own_channel,
        });
    }
}
