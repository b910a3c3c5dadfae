//! Alert events: what people are told, complete, so that another run of the node can tell it
//! days later. Stored as JSON in the outbox and in the alert state: the stored names stay.

use serde::{Deserialize, Serialize};

use super::time::Wall;

/// Something to tell people. It holds all that its message says, so that it can be told days
/// later by another run of the node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Counts from 1, over restarts; all events of one trouble share it.
    pub incident: u64,
    pub alert: String,
    pub kind: AlertEventKind,
    pub at: WallStamp,
    pub since: WallStamp,
    /// Milliseconds that the trouble had lasted, by the monotonic clock.
    pub lasted_ms: u64,
    #[serde(rename = "words")]
    pub text: AlertText,
    pub last_good: Vec<LastGood>,
    /// What came and went, of an alert that flaps; the newest of `outage_count`.
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
    /// It came and went several times; told once, until it has been calm.
    Flapping,
    /// Nobody watches it any more, because the configuration changed.
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

/// What is said about a trouble; none of it ticks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertText {
    /// What it is about: `Weather`.
    pub about: String,
    /// What is wrong with it: `no data`.
    pub trouble: String,
    /// Why, in a few words; may be empty.
    pub cause: String,
    /// The contract's word for the cause: `dns`; may be empty.
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
}

/// What a key last said when something went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGood {
    pub key: String,
    pub value: String,
    pub unit: String,
    /// When it was observed, milliseconds since 1970.
    pub observed_ms: i64,
}

/// One coming and going of an alert that flaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertOutage {
    pub from: WallStamp,
    pub until: Option<WallStamp>,
}

/// A wall time in a state or an event, and whether the clock could be believed.
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
