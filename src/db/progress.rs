//! Progress of background work that is done in small steps: retention, salvage, rollups.
//!
//! A value; the store thread calls the next step between two commits.

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    More,
    Done,
}
