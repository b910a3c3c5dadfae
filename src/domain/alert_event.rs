//! Alert events: the beginning, reminders and the end of an incident.
//!
//! Stored as JSON in the outbox and in the alert state: the stored names stay.

use serde::{Deserialize, Serialize};

use super::alert_level::AlertLevel;
use super::time::Wall;

/// One event to deliver. It holds all that its message says, so that another run of the node can
/// deliver it days later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Counts from 1, over restarts; all events of one incident share it.
    pub incident: u64,
    pub alert: String,
    pub kind: AlertEventKind,
    /// That of the whole incident; the default in what an older version stored.
    #[serde(default)]
    pub level: AlertLevel,
    pub at: WallStamp,
    pub since: WallStamp,
    /// How long the problem had lasted, in milliseconds of the monotonic clock.
    pub lasted_ms: u64,
    #[serde(rename = "words")]
    pub text: AlertText,
    pub last_good: Vec<LastGood>,
    /// Outages of an alert that flaps; the newest of `outage_count`.
    pub outages: Vec<AlertOutage>,
    pub outage_count: u64,
    /// False for the failure of a channel that does not carry it; `alert` is its name then.
    #[serde(rename = "by_mail")]
    pub is_for_own_channel: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlertEventKind {
    Trigger,
    Reminder,
    Recovery,
    /// Several outages; sent once, until it has been stable.
    Flapping,
    /// No rule is about it any more, because the configuration changed.
    #[serde(rename = "Unwatched")]
    RuleRemoved,
}

impl AlertEventKind {
    pub fn name(self) -> &'static str {
        match self {
            AlertEventKind::Trigger => "trigger",
            AlertEventKind::Reminder => "reminder",
            AlertEventKind::Recovery => "recovery",
            AlertEventKind::Flapping => "flapping",
            AlertEventKind::RuleRemoved => "unwatched",
        }
    }

    /// Whether an incident begins with it.
    pub fn opens(self) -> bool {
        matches!(self, AlertEventKind::Trigger | AlertEventKind::Flapping)
    }

    /// Whether an incident ends with it.
    pub fn closes(self) -> bool {
        matches!(self, AlertEventKind::Recovery | AlertEventKind::RuleRemoved)
    }
}

/// The text about a problem; none of it changes with time alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertText {
    /// What it is about: `Weather`.
    pub about: String,
    /// What is wrong with it: `no data`.
    #[serde(rename = "trouble")]
    pub problem: String,
    /// Why, in a few words; may be empty.
    pub cause: String,
    /// [`Cause::name`](super::failure::Cause::name): `dns`; may be empty.
    pub cause_name: String,
    /// Why, in a sentence; may be empty.
    pub detail: String,
    /// What it means for the displays.
    pub displays: String,
    /// What main-node does about it by itself.
    pub node_does: String,
    /// What a person can check.
    pub check: Vec<String>,
    /// For a display's one line.
    pub short: String,
    /// The same as people read it, where it is about a key. Machines read the fields above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<LabelledText>,
}

impl AlertText {
    /// What it is about, what is wrong and why, as people read it.
    pub fn for_people(&self) -> LabelledText {
        self.labelled.clone().unwrap_or_else(|| LabelledText {
            key: String::new(),
            about: self.about.clone(),
            problem: self.problem.clone(),
            cause: self.cause.clone(),
            detail: self.detail.clone(),
            value: String::new(),
        })
    }
}

/// Text about a key, with its label, and with numbers as its pages show them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelledText {
    pub key: String,
    /// The label.
    pub about: String,
    pub problem: String,
    pub cause: String,
    pub detail: String,
    /// The value that is out of range, as `/snapshot` writes it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// The last good value of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGood {
    pub key: String,
    pub value: String,
    pub unit: String,
    /// Label and value as people read them; empty in what an older version stored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shown: String,
    /// When it was observed, milliseconds since 1970.
    pub observed_ms: i64,
}

/// One outage of an alert that flaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertOutage {
    pub from: WallStamp,
    pub until: Option<WallStamp>,
}

/// A wall time in a state or an event, and whether the clock could be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallStamp {
    /// Milliseconds since 1970.
    pub ms: i64,
    #[serde(rename = "sure")]
    pub is_trusted: bool,
}

impl WallStamp {
    pub fn wall(self) -> Wall {
        Wall(self.ms)
    }
}
