//! Outputs: what follows the published snapshot or the stored rows and sends it elsewhere.
//!
//! Each has a thread of its own. None ever blocks `ingest` or the store: an output that is slow
//! finds the newest snapshot when it comes back.

pub mod forward;
mod latest_snapshot;
pub mod mqtt;
pub mod push;
mod status;

use std::sync::Arc;

pub use self::latest_snapshot::LatestSnapshot;
pub use self::status::SharedOutputStatus;
use crate::sys::clock::Clock;
use crate::sys::shutdown::StopToken;

/// Sends the node's data somewhere, on a thread of its own.
pub trait Output: Send {
    /// Unique: `mqtt`, `forward NAME`, `push NAME`. It is a label of metrics.
    fn name(&self) -> &str;

    /// Where it sends to, short and without secrets.
    fn destination(&self) -> String;

    fn follows(&self) -> Follows;

    /// Sends until the stop.
    fn run(&mut self, context: &OutputContext);

    /// Connects without sending data: what was found.
    ///
    /// # Errors
    /// Why the receiver would accept nothing, and what to change.
    fn check(&self) -> Result<String, String>;
}

/// What wakes an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Each published snapshot.
    Snapshots,
    /// Each commit of rows.
    StoredRows,
}

/// What an output runs with.
pub struct OutputContext {
    /// Empty for an output that follows stored rows.
    pub snapshots: LatestSnapshot,
    pub status: SharedOutputStatus,
    /// Woken by what the output follows.
    pub stop: StopToken,
    pub clock: Arc<dyn Clock>,
}
