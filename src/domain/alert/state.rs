//! Alert state: the state machine's memory, stored as JSON. The stored names must not change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::conditions::RecoveryProof;
use super::instant::AlertInstant;
use crate::domain::alert_event::{AlertOutage, AlertText, WallStamp};
use crate::domain::alert_level::AlertLevel;
use crate::domain::clock_filter::ClockFilter;
use crate::domain::compact_sort::CompactSort;
use crate::domain::open_alert::{OpenAlert, ascii_line};
use crate::domain::time::Mono;

/// The state of all alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertState {
    /// The boot to whose clock the instants belong.
    boot: String,
    /// When this state was reached.
    pub as_of: AlertInstant,
    /// Incidents counted so far.
    pub incidents: u64,
    /// When the network came back: failures before do not count against a source.
    #[serde(rename = "excused_until")]
    pub network_grace_from: Option<AlertInstant>,
    pub entries: BTreeMap<String, AlertEntry>,
    /// Not stored: a restart resets it.
    #[serde(skip)]
    pub clock_filter: ClockFilter,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEntry {
    pub phase: AlertPhase,
    /// When the current problem began; `None` while there is none.
    pub bad_since: Option<AlertInstant>,
    /// When the incident began.
    pub since: AlertInstant,
    #[serde(rename = "since_told")]
    pub since_stamp: WallStamp,
    pub incident: u64,
    #[serde(default)]
    pub level: AlertLevel,
    #[serde(rename = "words")]
    pub text: AlertText,
    pub good_since: Option<AlertInstant>,
    /// Successes in a row since, and the number of the last one.
    #[serde(default)]
    pub good_count: u64,
    #[serde(default)]
    pub good_mark: Option<i64>,
    pub reminders: u32,
    pub remind_at: Option<AlertInstant>,
    /// When it opened recently: for flap detection.
    pub fired: Vec<AlertInstant>,
    pub outages: Vec<AlertOutage>,
    pub outage_count: u64,
    pub flaps: bool,
    #[serde(rename = "by_mail")]
    pub is_for_own_channel: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlertPhase {
    /// Nothing is wrong; kept for flap detection.
    Quiet,
    /// Something is wrong, not yet for long enough.
    Pending,
    Firing,
    /// Nothing is wrong any more, not yet for long enough.
    Recovering,
    /// It flapped and is good; the recovery is sent when it stays so.
    #[serde(rename = "Calming")]
    Cooldown,
}

impl AlertPhase {
    pub fn is_open(self) -> bool {
        matches!(
            self,
            AlertPhase::Firing | AlertPhase::Recovering | AlertPhase::Cooldown
        )
    }
}

impl AlertState {
    /// A state without alerts; `boot` names this boot.
    pub fn new(boot: &str) -> AlertState {
        AlertState {
            boot: boot.to_owned(),
            as_of: AlertInstant(0),
            incidents: 0,
            network_grace_from: None,
            entries: BTreeMap::new(),
            clock_filter: ClockFilter::default(),
        }
    }

    /// Sets the number of incidents counted so far.
    pub fn counting_from(mut self, incidents: u64) -> AlertState {
        self.incidents = incidents;
        self
    }

    /// The state as a run of the same or an earlier boot left it. Within one boot its
    /// instants hold. Across boots each keeps its distance from the last step: time in which
    /// the machine was off does not count as an outage.
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

    /// Since when the problem of an alert lasts, if it does.
    pub fn bad_since(&self, name: &str) -> Option<AlertInstant> {
        self.entries.get(name)?.bad_since
    }

    pub fn is_bad(&self, name: &str) -> bool {
        self.bad_since(name).is_some()
    }

    pub fn is_open(&self, name: &str) -> bool {
        self.entries
            .get(name)
            .is_some_and(|entry| entry.phase.is_open())
    }

    /// The alerts that are open, as far as the state alone says: for showing them before the
    /// first step.
    pub fn open(&self) -> Vec<OpenAlert> {
        let open = self.entries.iter().filter(|(_, it)| it.phase.is_open());
        let mut open: Vec<(&String, &AlertEntry)> = open.collect();
        open.compact_sort_by_key(|(_, entry)| entry.incident);
        open.into_iter()
            .map(|(name, it)| it.open_alert(name))
            .collect()
    }

    pub fn has_same_persistent_state(&self, other: &AlertState) -> bool {
        self.incidents == other.incidents
            && self.network_grace_from == other.network_grace_from
            && self.entries == other.entries
    }
}

impl AlertEntry {
    /// Counts a success; true if there were enough in a row.
    pub fn count_success(&mut self, proof: RecoveryProof, wanted: u64) -> bool {
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

    pub fn open_alert(&self, name: &str) -> OpenAlert {
        let text = self.text.for_people();
        let headline = format!("{}: {}", text.about, text.problem);
        let mut sentence = headline.clone();
        if !text.cause.is_empty() {
            sentence += &format!(" ({})", text.cause);
        }
        sentence += ".";
        if !text.detail.is_empty() {
            sentence += &format!(" {}", text.detail);
        }
        if self.flaps {
            sentence += " It is flapping.";
        }
        OpenAlert {
            name: name.into(),
            since: self.since_stamp.wall(),
            since_is_trusted: self.since_stamp.is_trusted,
            display_text: ascii_line(&self.text.short).into(),
            headline,
            message: sentence,
            is_recovering: self.phase != AlertPhase::Firing,
        }
    }
}
