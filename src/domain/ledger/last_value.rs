//! What a source last said of one key, and how old that may get.
//!
//! A value of [`super::Ledger`]'s.

use std::sync::Arc;
use std::time::Duration;

use super::absence::LastProvided;
use crate::domain::freshness::Stamp;
use crate::domain::reading::Value;
use crate::domain::time::{Moment, Mono};

/// What a source said of one key.
pub struct LastValue {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    pub stamp: Stamp,
    /// What a followed node said of it last.
    pub upstream: Option<UpstreamStaleness>,
    /// Which of the source's answers that was.
    pub response: u64,
    pub provided: LastProvided,
}

/// A followed node's word on a value's staleness stands, for it knows its source; but only
/// for as long as it goes on saying so.
#[derive(Clone, Copy)]
pub struct UpstreamStaleness {
    pub stale: bool,
    pub received: Stamp,
}

impl LastValue {
    pub fn is_stale(&self, stale_after: Duration, now: Moment) -> bool {
        match self.upstream {
            Some(there) => there.stale || there.received.is_stale(stale_after, now),
            None => self.stamp.is_stale(stale_after, now),
        }
    }

    pub fn stale_at(&self, stale_after: Duration, now: Moment) -> Option<Mono> {
        match self.upstream {
            Some(there) if there.stale => None,
            Some(there) => there.received.stale_at(stale_after, now),
            None => self.stamp.stale_at(stale_after, now),
        }
    }

    /// The source says that what it said last still holds.
    pub fn renew(&mut self, receipt: Moment) {
        self.stamp.renew(receipt);
        if let Some(there) = &mut self.upstream {
            there.received = Stamp::received(receipt, None);
        }
    }
}
