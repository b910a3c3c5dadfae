//! What follows from how things were and how they are: `quiet → pending → firing →
//! recovering → quiet`, and what people are told on the way.
//!
//! All waiting runs on the monotonic clock. Wall times are only said, and the maintenance
//! windows looked up, by a wall clock that is kept on [`Course`], so that a clock that jumps
//! fires, mutes and repeats nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::conditions::{Condition, Proof, Verdict, View};
use super::instant::{At, told};
use super::{Alert, Event, Facts, Kind, Outage, Rules, Told, Words, display_words};
use crate::domain::clock_filter::ClockFilter;
use crate::domain::time::{Moment, Mono, millis};

/// This many alerts within `FLAP_WINDOW` and it flaps.
const FLAP_COUNT: usize = 3;
const FLAP_WINDOW: Duration = Duration::from_secs(6 * 3600);
/// An alert that flapped is over when nothing has happened for this long.
const FLAP_CALM: Duration = Duration::from_secs(3600);
/// Outages listed of one alert; more are counted.
const OUTAGES: usize = 20;
/// Reminders never come rarer.
const LONGEST_REMINDER: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often a muted alert looks whether the window is over.
const MUTE_LOOK: Duration = Duration::from_secs(30);

/// All that the machine remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The boot to whose clock the instants belong.
    boot: String,
    /// When this state was reached.
    as_of: At,
    /// Incidents counted so far.
    incidents: u64,
    /// When the network came back: what failed before is not held against a source.
    pub(super) excused_until: Option<At>,
    entries: BTreeMap<String, Entry>,
    /// Not remembered over a restart.
    #[serde(skip)]
    course: ClockFilter,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    phase: Phase,
    /// When what is bad now began; `None` while all is well.
    bad_since: Option<At>,
    /// When the incident began.
    since: At,
    since_told: Told,
    incident: u64,
    words: Words,
    good_since: Option<At>,
    /// Good readings or answers in a row since, and by what the last one is known.
    #[serde(default)]
    good_count: u64,
    #[serde(default)]
    good_mark: Option<i64>,
    reminders: u32,
    remind_at: Option<At>,
    /// When it fired lately, for judging whether it flaps.
    fired: Vec<At>,
    outages: Vec<Outage>,
    outage_count: u64,
    flaps: bool,
    by_mail: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Nothing is wrong; only kept to see whether it flaps.
    Quiet,
    /// Something is wrong, not yet for long enough.
    Pending,
    Firing,
    /// Nothing is wrong any more, not yet for long enough.
    Recovering,
    /// It flapped and is well; told when it has stayed so.
    Calming,
}

impl Phase {
    fn is_open(self) -> bool {
        matches!(self, Phase::Firing | Phase::Recovering | Phase::Calming)
    }
}

/// What one step gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub state: State,
    /// In the order in which they happened; to be committed with the state, at once.
    pub events: Vec<Event>,
    pub open: Vec<Alert>,
    /// When something follows without anything new being known.
    pub changes_at: Option<Mono>,
    /// Whether the state differs from the one before in what should survive a restart.
    /// Without events there is no hurry.
    pub changed: bool,
    /// Whether somebody would be told of a source now if it were not still open whether it
    /// is this node's own network: the other sources, asked early, would settle that.
    pub asks_others: bool,
}

impl State {
    /// Before anything was ever wrong; `boot` names this boot.
    pub fn new(boot: &str) -> State {
        State {
            boot: boot.to_owned(),
            as_of: At(0),
            incidents: 0,
            excused_until: None,
            entries: BTreeMap::new(),
            course: ClockFilter::default(),
        }
    }

    /// The same, its next incident counted after so many.
    pub fn counting_from(mut self, incidents: u64) -> State {
        self.incidents = incidents;
        self
    }

    /// The state as a run of the same or an earlier boot left it. Within one boot its
    /// instants hold. Across boots each keeps its distance from the last step: time in which
    /// the machine was off is nobody's outage.
    pub fn resumed(mut self, boot: &str, now: Mono) -> State {
        if !boot.is_empty() && self.boot == boot {
            return self;
        }
        let shift = At::of(now).0.saturating_sub(self.as_of.0);
        let shift_one = |at: &mut At| at.0 = at.0.saturating_add(shift);
        self.excused_until.iter_mut().for_each(shift_one);
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
        self.as_of = At::of(now);
        self.boot = boot.to_owned();
        self
    }

    /// Since when an alert's trouble lasts, if it does.
    pub(super) fn bad_since(&self, name: &str) -> Option<At> {
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
    pub fn open(&self) -> Vec<Alert> {
        let open = self.entries.iter().filter(|(_, it)| it.phase.is_open());
        let mut open: Vec<(&String, &Entry)> = open.collect();
        open.sort_by_key(|(_, entry)| entry.incident);
        open.into_iter().map(|(name, it)| it.alert(name)).collect()
    }

    fn matters_as(&self, other: &State) -> bool {
        self.incidents == other.incidents
            && self.excused_until == other.excused_until
            && self.entries == other.entries
    }
}

/// Takes one moment and what is known then into account.
pub fn step(rules: &Rules, state: &State, now: Moment, facts: &Facts<'_>) -> Step {
    let view = View {
        rules,
        state,
        now,
        facts,
    };
    let conditions = view.conditions();
    let mut next = state.clone();
    let told = told(&mut next.course, now);
    let is_muted = told.sure
        && rules
            .mute
            .iter()
            .any(|window| window.holds(told.wall(), &rules.timezone));
    let mut turn = Turn {
        rules,
        now: At::of(now.mono),
        told,
        is_muted,
        incidents: next.incidents,
        events: Vec::new(),
        changes_at: None,
    };
    let asks_others = conditions.iter().any(|it| it.asks_others);
    let network_was_down = state.is_bad("network");
    let mut entries = std::mem::take(&mut next.entries);
    for condition in conditions {
        let entry = entries.remove(&condition.name);
        turn.wake(condition.next);
        let name = condition.name.clone();
        if let Some(entry) = turn.advance(entry, condition) {
            next.entries.insert(name, entry);
        }
    }
    // What no rule speaks of any more: the configuration has changed.
    for (name, entry) in entries {
        if entry.phase.is_open() {
            turn.tell(Kind::Unwatched, &name, &entry, Vec::new());
        }
    }
    if network_was_down && !next.is_bad("network") {
        next.excused_until = Some(turn.now);
    }
    next.incidents = turn.incidents;
    next.as_of = turn.now;
    Step {
        open: next.open(),
        changed: !next.matters_as(state),
        asks_others,
        events: turn.events,
        changes_at: turn.changes_at.map(At::mono),
        state: next,
    }
}

/// One step while it goes through the conditions.
struct Turn<'a> {
    rules: &'a Rules,
    now: At,
    told: Told,
    is_muted: bool,
    incidents: u64,
    events: Vec<Event>,
    changes_at: Option<At>,
}

impl Turn<'_> {
    fn wake(&mut self, at: Option<At>) {
        let at = at.map(|at| at.max(self.now));
        self.changes_at = self.changes_at.into_iter().chain(at).min();
    }

    /// What the wall clock said at an instant, by what it says now.
    fn told_at(&self, at: At) -> Told {
        let ms = self.told.ms.saturating_sub(self.now.0.saturating_sub(at.0));
        Told {
            ms,
            sure: self.told.sure,
        }
    }

    fn advance(&mut self, entry: Option<Entry>, condition: Condition) -> Option<Entry> {
        let name = condition.name.clone();
        let mut entry = match (entry, condition.verdict) {
            (Some(entry), _) => entry,
            (None, Verdict::Bad { since, .. }) => self.begin(since, &condition),
            (None, _) => return None,
        };
        self.settle_times(&mut entry);
        match condition.verdict {
            Verdict::Bad { since, ready_at } => self.bad(&mut entry, condition, since, ready_at),
            Verdict::Good { proof, settle } => {
                entry.bad_since = None;
                let good_since = *entry.good_since.get_or_insert(self.now);
                let proved = entry.is_proved(proof, self.rules.recover_after);
                self.good(&mut entry, &name, proved, good_since.after(settle));
            }
            Verdict::Unknown => {}
        }
        self.remind(&mut entry, &name);
        entry
            .fired
            .retain(|fired| self.now.since(*fired) < FLAP_WINDOW);
        let is_forgotten = entry.phase == Phase::Quiet && entry.fired.is_empty();
        (!is_forgotten).then_some(entry)
    }

    fn begin(&self, since: At, condition: &Condition) -> Entry {
        Entry {
            phase: Phase::Quiet,
            bad_since: None,
            since,
            since_told: self.told_at(since),
            incident: 0,
            words: Words::default(),
            good_since: None,
            good_count: 0,
            good_mark: None,
            reminders: 0,
            remind_at: None,
            fired: Vec::new(),
            outages: Vec::new(),
            outage_count: 0,
            flaps: false,
            by_mail: condition.by_mail,
        }
    }

    /// Times told by a clock that could not be believed, once it can.
    fn settle_times(&self, entry: &mut Entry) {
        if self.told.sure && !entry.since_told.sure {
            entry.since_told = self.told_at(entry.since);
        }
    }

    fn bad(&mut self, entry: &mut Entry, condition: Condition, since: At, ready_at: Option<At>) {
        entry.good_since = None;
        entry.good_count = 0;
        entry.good_mark = None;
        entry.bad_since = Some(entry.bad_since.map_or(since, |known| known.min(since)));
        let is_ready = ready_at.is_some_and(|at| at <= self.now) && !self.is_muted;
        match entry.phase {
            Phase::Quiet => {
                entry.phase = Phase::Pending;
                entry.since = since;
                entry.since_told = self.told_at(since);
            }
            Phase::Recovering => entry.phase = Phase::Firing,
            Phase::Pending | Phase::Firing | Phase::Calming => {}
        }
        match entry.phase {
            Phase::Pending if is_ready => {
                entry.words = condition.words;
                self.fire(entry, &condition.name, condition.last_good);
            }
            Phase::Calming if is_ready => {
                entry.phase = Phase::Firing;
                entry.words = condition.words;
                self.note_outage(entry, self.told_at(since));
            }
            Phase::Pending | Phase::Calming => {
                let at = match self.is_muted {
                    true => ready_at.map(|at| at.max(self.now.after(MUTE_LOOK))),
                    false => ready_at,
                };
                self.wake(at);
            }
            // Only another cause is news; what counts up is not.
            Phase::Firing if entry.words.cause_name != condition.words.cause_name => {
                entry.words = condition.words;
            }
            Phase::Firing | Phase::Quiet | Phase::Recovering => {}
        }
    }

    /// The moment at which a person should know.
    fn fire(&mut self, entry: &mut Entry, name: &str, last_good: Vec<super::LastGood>) {
        entry.phase = Phase::Firing;
        self.incidents += 1;
        entry.incident = self.incidents;
        entry.reminders = 0;
        entry.remind_at = Some(self.now.after(self.rules.remind_after));
        entry.fired.push(self.now);
        self.note_outage(entry, entry.since_told);
        entry.flaps = entry.fired.len() >= FLAP_COUNT;
        let kind = match entry.flaps {
            true => Kind::Flapping,
            false => Kind::Trigger,
        };
        self.tell(kind, name, entry, last_good);
    }

    fn note_outage(&self, entry: &mut Entry, from: Told) {
        entry.outages.push(Outage { from, until: None });
        entry.outage_count += 1;
        let excess = entry.outages.len().saturating_sub(OUTAGES);
        entry.outages.drain(..excess);
    }

    fn good(&mut self, entry: &mut Entry, name: &str, proved: bool, settled_at: At) {
        if entry.phase == Phase::Pending {
            entry.phase = Phase::Quiet;
        }
        if entry.phase == Phase::Firing {
            entry.phase = Phase::Recovering;
        }
        if entry.phase == Phase::Recovering {
            if !proved && settled_at > self.now {
                self.wake(Some(settled_at));
                return;
            }
            let good_since = entry.good_since.unwrap_or(self.now);
            if let Some(outage) = entry.outages.last_mut() {
                outage.until.get_or_insert(self.told_at(good_since));
            }
            entry.phase = Phase::Calming;
        }
        if entry.phase == Phase::Calming {
            let good_since = entry.good_since.unwrap_or(self.now);
            let calm_at = good_since.after(FLAP_CALM);
            if entry.flaps && calm_at > self.now {
                self.wake(Some(calm_at));
                return;
            }
            self.tell(Kind::Recovery, name, entry, Vec::new());
            entry.phase = Phase::Quiet;
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

    fn remind(&mut self, entry: &mut Entry, name: &str) {
        let Some(at) = entry.remind_at.filter(|_| entry.phase == Phase::Firing) else {
            return;
        };
        if at <= self.now && !self.is_muted {
            entry.reminders += 1;
            let wait = self.rules.remind_after * (1 << entry.reminders.min(10));
            entry.remind_at = Some(self.now.after(wait.min(LONGEST_REMINDER)));
            self.tell(Kind::Reminder, name, entry, Vec::new());
        }
        let look = self.now.after(MUTE_LOOK);
        let at = entry.remind_at.map(|at| match self.is_muted {
            true => at.max(look),
            false => at,
        });
        self.wake(at);
    }

    fn tell(&mut self, kind: Kind, name: &str, entry: &Entry, last_good: Vec<super::LastGood>) {
        let tells_outages = entry.flaps || kind == Kind::Flapping;
        self.events.push(Event {
            incident: entry.incident,
            alert: name.to_owned(),
            kind,
            at: self.told,
            since: entry.since_told,
            lasted_ms: millis(self.now.since(entry.since)),
            words: entry.words.clone(),
            last_good,
            outages: match tells_outages {
                true => entry.outages.clone(),
                false => Vec::new(),
            },
            outage_count: entry.outage_count,
            by_mail: entry.by_mail,
        });
    }
}

impl Entry {
    /// Whether enough good ones came in a row.
    fn is_proved(&mut self, proof: Proof, wanted: u64) -> bool {
        match proof {
            Proof::None => false,
            Proof::Whole => true,
            Proof::Count(count) => count >= wanted,
            Proof::Latest(mark) => {
                if self.good_mark != Some(mark) {
                    self.good_mark = Some(mark);
                    self.good_count += 1;
                }
                self.good_count >= wanted
            }
        }
    }

    fn alert(&self, name: &str) -> Alert {
        let words = &self.words;
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
        Alert {
            name: name.into(),
            since: self.since_told.wall(),
            since_is_sure: self.since_told.sure,
            for_displays: display_words(&words.short).into(),
            for_people: sentence,
            is_recovering: self.phase != Phase::Firing,
        }
    }
}
