//! Alert outbox: the events that wait for delivery, and the outcomes of delivery.
//!
//! An item is delivered at least once. From the moment at which the first byte could reach
//! somebody it belongs to one Message-ID, until it is delivered or the other side says that it
//! did not take it; only items without one may be batched. What is refused stays, is
//! tried again from time to time, and is given up only after many days.

use serde::{Deserialize, Serialize};

use super::alert_event::AlertEvent;
use super::time::Wall;

/// One event on its way over one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxItem {
    pub id: i64,
    pub event: AlertEvent,
    /// The message that it belongs to, once its delivery has been tried.
    pub message_id: Option<String>,
    /// Recipients that have it.
    pub done_recipients: Vec<String>,
    /// Why the others have refused it, if they have.
    pub refusal: Option<DeliveryRefusal>,
    /// Message-ID of the message that opened its incident, if there was one: for mail threads.
    pub thread_root: Option<String>,
}

/// The server has looked at a message and refused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRefusal {
    /// When it was first refused, seconds since 1970.
    pub since: i64,
    /// When it was last refused.
    pub last: i64,
    /// How often the daily retry was refused.
    pub days: u32,
    /// One sentence.
    pub why: String,
    /// Fingerprint of the channel's configuration then: with another one it is tried again.
    #[serde(rename = "setup")]
    pub config_fingerprint: u16,
}

/// What waits on one channel, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PendingItems {
    pub items: Vec<OutboxItem>,
    /// Items dropped because too many waited; the next message says how many.
    pub dropped: u64,
    /// Events that the channel never delivered, since the database was made.
    pub undelivered: u64,
}

/// What became of items. Each is on the disk when [`Outbox::record`] returns, or replaces
/// what is there when the disk works again.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryOutcome {
    /// The next byte may deliver them under this Message-ID.
    Attempting { ids: Vec<i64>, message_id: String },
    /// These recipients have them; others are still to be tried.
    PartlyDelivered {
        ids: Vec<i64>,
        recipients: Vec<String>,
    },
    /// Everybody has them. The message mentioned so many that were dropped.
    Delivered {
        ids: Vec<i64>,
        dropped: u64,
        ended: DeliveryEnd,
    },
    /// The message was refused as a whole; each of them is tried alone now.
    Split { ids: Vec<i64> },
    /// Refused, and kept for a later try.
    Refused {
        ids: Vec<i64>,
        refusal: DeliveryRefusal,
    },
    /// Refused for too many days, and given up.
    Undelivered { ids: Vec<i64>, ended: DeliveryEnd },
}

impl DeliveryOutcome {
    pub fn ids(&self) -> &[i64] {
        match self {
            DeliveryOutcome::Attempting { ids, .. }
            | DeliveryOutcome::PartlyDelivered { ids, .. }
            | DeliveryOutcome::Delivered { ids, .. }
            | DeliveryOutcome::Split { ids }
            | DeliveryOutcome::Refused { ids, .. }
            | DeliveryOutcome::Undelivered { ids, .. } => ids,
        }
    }

    pub fn ids_mut(&mut self) -> &mut [i64] {
        match self {
            DeliveryOutcome::Attempting { ids, .. }
            | DeliveryOutcome::PartlyDelivered { ids, .. }
            | DeliveryOutcome::Delivered { ids, .. }
            | DeliveryOutcome::Split { ids }
            | DeliveryOutcome::Refused { ids, .. }
            | DeliveryOutcome::Undelivered { ids, .. } => ids,
        }
    }
}

/// How the delivery of a message ended, for the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryEnd {
    /// Seconds since 1970.
    pub second: i64,
    /// Attempts of this run of the node.
    pub attempts: u32,
    /// Who never gets it, and why, in one sentence.
    pub refused: Option<String>,
    /// Whether it was given up, not delivered. Where `refused` is set and this is not, an
    /// earlier version wrote it, and others may have it.
    pub is_given_up: bool,
}

/// One event of an incident that waits for delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEvent {
    /// The channel's name.
    pub channel: String,
    /// `trigger`, `recovery` …
    pub kind: String,
    /// Recipients that have it.
    pub done_recipients: Vec<String>,
    /// Why it was refused, if it was.
    pub refused: Option<String>,
}

/// One event of an incident that was delivered, or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    pub incident: u64,
    /// The channel's name.
    pub channel: String,
    /// `trigger`, `recovery` …
    pub kind: String,
    pub ended: DeliveryEnd,
}

/// The store's side, for the delivery worker.
pub trait Outbox: Send {
    fn pending(&self, channel: &str) -> PendingItems;
    fn record(&self, channel: &str, outcome: DeliveryOutcome);
    /// Whether somebody has asked since the last call that refused events are tried again.
    fn is_retry_asked(&self, channel: &str) -> bool;
}

/// An incident and its deliveries.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    pub incident: u64,
    pub alert: String,
    pub since: Wall,
    pub since_is_trusted: bool,
    /// `None` while it is open.
    pub ended: Option<Wall>,
    pub flaps: bool,
    pub text: String,
    /// The finished deliveries, oldest first.
    pub deliveries: Vec<DeliveryRecord>,
    /// The deliveries that wait.
    pub waiting: Vec<WaitingEvent>,
}
