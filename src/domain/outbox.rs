//! What waits to be told to people, as the store hands it to those who deliver, and what
//! they say back.
//!
//! An item is delivered at least once. From the moment at which the first byte could reach
//! somebody it belongs to one Message-ID for good; only items that were never tried may be
//! told together.

use super::alert::Event;
use super::time::Wall;

/// One event on its way over one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub id: i64,
    pub event: Event,
    /// The message that it belongs to, once its delivery has been tried.
    pub message_id: Option<String>,
    /// Recipients that have it, or never will.
    pub settled: Vec<String>,
    /// The message that told the beginning of its incident, if one did.
    pub thread: Option<String>,
}

/// What waits on one channel, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pending {
    pub items: Vec<Item>,
    /// Items given up because too many waited; to be told with the next message.
    pub dropped: u64,
}

/// What became of items. Each is on the disk when [`Outbox::record`] returns, or replaces
/// what is there when the disk works again.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The next byte may deliver them under this Message-ID.
    Trying { ids: Vec<i64>, message_id: String },
    /// These recipients have them, or never will; others are still to be tried.
    Partly {
        ids: Vec<i64>,
        recipients: Vec<String>,
    },
    /// Everybody has them who ever will. The message told of so many that were dropped.
    Delivered {
        ids: Vec<i64>,
        dropped: u64,
        ended: Ended,
    },
    /// Nobody will ever take them.
    Refused { ids: Vec<i64>, ended: Ended },
}

/// How the delivery of a message ended, for the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Seconds since 1970.
    pub second: i64,
    /// Attempts of this run of the node.
    pub attempts: u32,
    /// Who never gets it, and why, in one sentence.
    pub refused: Option<String>,
}

/// One event of an incident that people were told, or that nobody would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub incident: u64,
    /// `mail` or `webhook`.
    pub channel: String,
    /// `trigger`, `recovery` …
    pub kind: String,
    pub ended: Ended,
}

/// The store's side, for the thread that delivers.
pub trait Outbox: Send {
    fn pending(&self, channel: &str) -> Pending;
    fn record(&self, channel: &str, outcome: Outcome);
}

/// An incident that people were told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    pub incident: u64,
    pub alert: String,
    pub since: Wall,
    pub since_is_sure: bool,
    /// `None` while it is open.
    pub ended: Option<Wall>,
    pub flaps: bool,
    pub words: String,
    /// How people were told of it, the oldest first.
    pub deliveries: Vec<Delivery>,
}
