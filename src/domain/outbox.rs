//! Alert outbox: the events that wait for delivery, and the outcomes of delivery.
//!
//! An item is delivered at least once. Before the first byte that could deliver it is sent, it is
//! assigned a Message-ID, which it has until it is delivered or the server replies that it did not
//! accept it; only items without one may be batched. Refused items stay, are retried daily, and are
//! given up only after many days.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::alert_event::AlertEvent;
use super::alert_filter::AlertFilter;
use super::time::Wall;

/// A channel, as the outbox knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxChannel {
    pub name: Arc<str>,
    /// The alerts that it delivers.
    pub filter: AlertFilter,
}

/// One event that is pending on one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxItem {
    pub id: i64,
    pub event: AlertEvent,
    /// The message that it belongs to, once its delivery has been tried.
    pub message_id: Option<String>,
    /// Recipients that have it.
    pub done_recipients: Vec<String>,
    /// The refusal of the other recipients, if they refused it.
    pub refusal: Option<DeliveryRefusal>,
    /// Message-ID of the message that opened its incident, if there was one: for mail threads.
    pub thread_root: Option<String>,
}

/// Refusal of a message by the server.
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

/// Pending items of one channel, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PendingItems {
    pub items: Vec<OutboxItem>,
    /// Items dropped because too many waited; the next message says how many.
    pub dropped: u64,
    /// Events that the channel never delivered, since the database was made.
    pub undelivered: u64,
}

/// Outcome of a delivery. It is on disk when [`Outbox::record`] returns, or written when the disk
/// works again.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryOutcome {
    /// The next byte may deliver them under this Message-ID.
    Attempting { ids: Vec<i64>, message_id: String },
    /// These recipients have them; others are still to be tried.
    PartlyDelivered {
        ids: Vec<i64>,
        recipients: Vec<String>,
    },
    /// All recipients have them. The message mentioned `dropped` items.
    Delivered {
        ids: Vec<i64>,
        dropped: u64,
        ended: DeliveryEnd,
    },
    /// The message was refused as a whole; each of them is tried alone now.
    Split { ids: Vec<i64> },
    /// Refused; retried later.
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
    /// The recipients that never get it, and why, in one sentence.
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

/// Storage of the outbox, for the delivery worker.
pub trait Outbox: Send {
    fn pending(&self, channel: &str) -> PendingItems;
    fn record(&self, channel: &str, outcome: DeliveryOutcome);
    /// Whether a retry of refused events was requested since the last call.
    fn is_retry_requested(&self, channel: &str) -> bool;
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
    /// The pending deliveries.
    pub waiting: Vec<WaitingEvent>,
}
