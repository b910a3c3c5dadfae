//! What follows from how things were and how they are: `quiet → pending → firing →
//! recovering → quiet`, and what people are told on the way.
//!
//! All waiting runs on the monotonic clock. Wall times are only said, and the maintenance
//! windows looked up, by a wall clock that is kept on [`Course`], so that a clock that jumps
//! fires, mutes and repeats nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::conditions::{Condition, ConditionState, RecoveryProof, RuleEvaluator};
use super::instant::{AlertInstant, wall_stamp};
use super::{AlertFacts, AlertRules};
use crate::domain::alert_event::{
    AlertEvent, AlertEventKind, AlertOutage, AlertText, LastGood, WallStamp,
};
use crate::domain::clock_filter::ClockFilter;
use crate::domain::open_alert::{OpenAlert, ascii_line};
use crate::domain::time::{Moment, Mono, millis};

/// This many alerts within `FLAP_WINDOW` and it flaps.
const FLAP_COUNT: usize = 3;
const FLAP_WINDOW: Duration = Duration::from_secs(6 * 3600);
/// An alert that flapped is over when nothing has happened for this long.
const FLAP_COOLDOWN: Duration = Duration::from_secs(3600);
/// Outages listed of one alert; more are counted.
const MAX_OUTAGES_LISTED: usize = 20;
/// Reminders never come rarer.
const MAX_REMINDER_INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often a muted alert looks whether the window is over.
const MUTE_POLL: Duration = Duration::from_secs(30);

/// All that the machine remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertState {
    /// The boot to whose clock the instants belong.
    boot: String,
    /// When this state was reached.
    as_of: AlertInstant,
    /// Incidents counted so far.
    incidents: u64,
    /// When the network came back: what failed before is not held against a source.
    #[serde(rename = "excused_until")]
    pub(super) network_grace_from: Option<AlertInstant>,
    entries: BTreeMap<String, AlertEntry>,
    /// Not remembered over a restart.
    #[serde(skip)]
    course: ClockFilter,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AlertEntry {
    phase: AlertPhase,
    /// When what is bad now began; `None` while all is well.
    bad_since: Option<AlertInstant>,
    /// When the incident began.
    since: AlertInstant,
    #[serde(rename = "since_told")]
    since_stamp: WallStamp,
    incident: u64,
    #[serde(rename = "words")]
    text: AlertText,
    good_since: Option<AlertInstant>,
    /// Good readings or answers in a row since, and by what the last one is known.
    #[serde(default)]
    good_count: u64,
    #[serde(default)]
    good_mark: Option<i64>,
    reminders: u32,
    remind_at: Option<AlertInstant>,
    /// When it fired lately, for judging whether it flaps.
    fired: Vec<AlertInstant>,
    outages: Vec<AlertOutage>,
    outage_count: u64,
    flaps: bool,
    #[serde(rename = "by_mail")]
    is_for_own_channel: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum AlertPhase {
    /// Nothing is wrong; only kept to see whether it flaps.
    Quiet,
    /// Something is wrong, not yet for long enough.
    Pending,
    Firing,
    /// Nothing is wrong any more, not yet for long enough.
    Recovering,
    /// It flapped and is well; told when it has stayed so.
    #[serde(rename = "Calming")]
    Cooldown,
}

impl AlertPhase {
    fn is_open(self) -> bool {
        matches!(
            self,
            AlertPhase::Firing | AlertPhase::Recovering | AlertPhase::Cooldown
        )
    }
}

/// What one step gives.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertStep {
    pub state: AlertState,
    /// In the order in which they happened; to be committed with the state, at once.
    pub events: Vec<AlertEvent>,
    pub open: Vec<OpenAlert>,
    /// When something follows without anything new being known.
    pub changes_at: Option<Mono>,
    /// Whether the state differs from the one before in what should survive a restart.
    /// Without events there is no hurry.
    pub changed: bool,
    /// Whether somebody would be told of a source now if it were not still open whether it
    /// is this node's own network: the other sources, asked early, would settle that.
    pub wants_probe: bool,
}

impl AlertState {
    /// Before anything was ever wrong; `boot` names this boot.
    pub fn new(boot: &str) -> AlertState {
        AlertState {
            boot: boot.to_owned(),
            as_of: AlertInstant(0),
            incidents: 0,
            network_grace_from: None,
            entries: BTreeMap::new(),
            course: ClockFilter::default(),
        }
    }

    /// The same, its next incident counted after so many.
    pub fn counting_from(mut self, incidents: u64) -> AlertState {
        self.incidents = incidents;
        self
    }

    /// The state as a run of the same or an earlier boot left it. Within one boot its
    /// instants hold. Across boots each keeps its distance from the last step: time in which
    /// the machine was off is nobody's outage.
    pub fn resumed(mut self, boot: &str, now: Mono) -> AlertState {
        if !boot.is_empty() && self.boot == boot {
            return self;
        }
        let shift = AlertInstant::of(now).0.saturating_sub(self.as_of.0);
        let shift_one = |at: &mut AlertInstant| at.0 = at.0.saturating_add(shift);
        self.network_grace_from.iter_mut().for_each(shift_one);
        for entry in self.entries.values_mut() {
            let instants = [
                &mut entry.bad_since,
                &mut entry.good_since,
                &mut entry.remind_at,
            ];
            instants.into_iter().flatten().for_each(shift_one);
            shift_one(&mut entry.since);
            entry.fired.iter_mut().for_each(shift_one);
        }
        self.as_of = AlertInstant::of(now);
        self.boot = boot.to_owned();
        self
    }

    /// Since when an alert's trouble lasts, if it does.
    pub(super) fn bad_since(&self, name: &str) -> Option<AlertInstant> {
        self.entries.get(name)?.bad_since
    }

    pub(super) fn is_bad(&self, name: &str) -> bool {
        self.bad_since(name).is_some()
    }

    pub(super) fn is_open(&self, name: &str) -> bool {
        self.entries
            .get(name)
            .is_some_and(|entry| entry.phase.is_open())
    }

    /// The alerts that are open, as far as the state alone says: for showing them before the
    /// first step.
    pub fn open(&self) -> Vec<OpenAlert> {
        let open = self.entries.iter().filter(|(_, it)| it.phase.is_open());
        let mut open: Vec<(&String, &AlertEntry)> = open.collect();
        open.sort_by_key(|(_, entry)| entry.incident);
        open.into_iter().map(|(name, it)| it.alert(name)).collect()
    }

    fn has_same_persistent_state(&self, other: &AlertState) -> bool {
        self.incidents == other.incidents
            && self.network_grace_from == other.network_grace_from
            && self.entries == other.entries
    }
}

/// Takes one moment and what is known then into account.
pub fn step(
    rules: &AlertRules,
    state: &AlertState,
    now: Moment,
    facts: &AlertFacts<'_>,
) -> AlertStep {
    let view = RuleEvaluator {
        rules,
        state,
        now,
        facts,
    };
    let conditions = view.conditions();
    let mut next = state.clone();
    let told = wall_stamp(&mut next.course, now);
    let is_muted = told.is_trusted
        && rules
            .mute
            .iter()
            .any(|window| window.contains(told.wall(), &rules.timezone));
    let mut turn = StepContext {
        rules,
        now: AlertInstant::of(now.mono),
        wall: told,
        is_muted,
        incidents: next.incidents,
        events: Vec::new(),
        changes_at: None,
    };
    let asks_others = conditions.iter().any(|it| it.wants_probe);
    let network_was_down = state.is_bad("network");
    let mut entries = std::mem::take(&mut next.entries);
    for condition in conditions {
        let entry = entries.remove(&condition.name);
        turn.schedule(condition.changes_at);
        let name = condition.name.clone();
        if let Some(entry) = turn.advance(entry, condition) {
            next.entries.insert(name, entry);
        }
    }
    // What no rule speaks of any more: the configuration has changed.
    for (name, entry) in entries {
        if entry.phase.is_open() {
            turn.push_event(AlertEventKind::RuleRemoved, &name, &entry, Vec::new());
        }
    }
    if network_was_down && !next.is_bad("network") {
        next.network_grace_from = Some(turn.now);
    }
    next.incidents = turn.incidents;
    next.as_of = turn.now;
    AlertStep {
        open: next.open(),
        changed: !next.has_same_persistent_state(state),
        wants_probe: asks_others,
        events: turn.events,
        changes_at: turn.changes_at.map(AlertInstant::mono),
        state: next,
    }
}

/// One step while it goes through the conditions.
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

    /// What the wall clock said at an instant, by what it says now.
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
                self.handle_bad(&mut entry, condition, since, ready_at)
            }
            ConditionState::Good {
                proof,
                stable_for: settle,
            } => {
                entry.bad_since = None;
                let good_since = *entry.good_since.get_or_insert(self.now);
                let proved = entry.is_recovery_proven(proof, self.rules.recover_after);
                self.handle_good(&mut entry, &name, proved, good_since.after(settle));
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

    /// Times told by a clock that could not be believed, once it can.
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
                entry.text = condition.text;
                self.fire(entry, &condition.name, condition.last_good);
            }
            AlertPhase::Cooldown if is_ready => {
                entry.phase = AlertPhase::Firing;
                entry.text = condition.text;
                self.add_outage(entry, self.wall_stamp_at(since));
            }
            AlertPhase::Pending | AlertPhase::Cooldown => {
                let at = match self.is_muted {
                    true => ready_at.map(|at| at.max(self.now.after(MUTE_POLL))),
                    false => ready_at,
                };
                self.schedule(at);
            }
            // Only another cause is news; what counts up is not.
            AlertPhase::Firing if entry.text.cause_name != condition.text.cause_name => {
                entry.text = condition.text;
            }
            AlertPhase::Firing | AlertPhase::Quiet | AlertPhase::Recovering => {}
        }
    }

    /// The moment at which a person should know.
    fn fire(&mut self, entry: &mut AlertEntry, name: &str, last_good: Vec<LastGood>) {
        entry.phase = AlertPhase::Firing;
        self.incidents += 1;
        entry.incident = self.incidents;
        entry.reminders = 0;
        entry.remind_at = Some(self.now.after(self.rules.remind_after));
        entry.fired.push(self.now);
        self.add_outage(entry, entry.since_stamp);
        entry.flaps = entry.fired.len() >= FLAP_COUNT;
        let kind = match entry.flaps {
            true => AlertEventKind::Flapping,
            false => AlertEventKind::Trigger,
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
        proved: bool,
        settled_at: AlertInstant,
    ) {
        if entry.phase == AlertPhase::Pending {
            entry.phase = AlertPhase::Quiet;
        }
        if entry.phase == AlertPhase::Firing {
            entry.phase = AlertPhase::Recovering;
        }
        if entry.phase == AlertPhase::Recovering {
            if !proved && settled_at > self.now {
                self.schedule(Some(settled_at));
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
            let calm_at = good_since.after(FLAP_COOLDOWN);
            if entry.flaps && calm_at > self.now {
                self.schedule(Some(calm_at));
                return;
            }
            self.push_event(AlertEventKind::Recovery, name, entry, Vec::new());
            entry.phase = AlertPhase::Quiet;
            entry.remind_at = None;
            if entry.flaps {
                // The next one begins a new story.
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
        let look = self.now.after(MUTE_POLL);
        let at = entry.remind_at.map(|at| match self.is_muted {
            true => at.max(look),
            false => at,
        });
        self.schedule(at);
    }

    fn push_event(
        &mut self,
        kind: AlertEventKind,
        name: &str,
        entry: &AlertEntry,
        last_good: Vec<LastGood>,
    ) {
        let tells_outages = entry.flaps || kind == AlertEventKind::Flapping;
        self.events.push(AlertEvent {
            incident: entry.incident,
            alert: name.to_owned(),
            kind,
            at: self.wall,
            since: entry.since_stamp,
            lasted_ms: millis(self.now.since(entry.since)),
            text: entry.text.clone(),
            last_good,
            outages: match tells_outages {
                true => entry.outages.clone(),
                false => Vec::new(),
            },
            outage_count: entry.outage_count,
            is_for_own_channel: entry.is_for_own_channel,
        });
    }
}

impl AlertEntry {
    /// Whether enough good ones came in a row.
    fn is_recovery_proven(&mut self, proof: RecoveryProof, wanted: u64) -> bool {
        match proof {
            RecoveryProof::None => false,
            RecoveryProof::Complete => true,
            RecoveryProof::Count(count) => count >= wanted,
            RecoveryProof::Latest(mark) => {
                if self.good_mark != Some(mark) {
                    self.good_mark = Some(mark);
                    self.good_count += 1;
                }
                self.good_count >= wanted
            }
        }
    }

    fn alert(&self, name: &str) -> OpenAlert {
        let words = &self.text;
        let mut sentence = format!("{}: {}", words.about, words.trouble);
        if !words.cause.is_empty() {
            sentence += &format!(" ({})", words.cause);
        }
        sentence += ".";
        if !words.detail.is_empty() {
            sentence += &format!(" {}", words.detail);
        }
        if self.flaps {
            sentence += " It comes and goes.";
        }
        OpenAlert {
            name: name.into(),
            since: self.since_stamp.wall(),
            since_is_trusted: self.since_stamp.is_trusted,
            display_text: ascii_line(&words.short).into(),
            message: sentence,
            is_recovering: self.phase != AlertPhase::Firing,
        }
    }
}
