//! Last value of one key from one source, and its staleness.
//!
//! A value of [`super::Ledger`]'s.

use std::sync::Arc;
use std::time::Duration;

use super::absence::LastProvided;
use crate::domain::freshness::Stamp;
use crate::domain::reading::Value;
use crate::domain::time::{Moment, Mono};

/// The last value of one key from one source.
pub struct LastValue {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    pub stamp: Stamp,
    /// `missing` or `null` of the record gave it.
    pub is_stated: bool,
    /// Its staleness by the upstream node, where the source is one.
    pub upstream: Option<UpstreamStaleness>,
    /// Which of the source's answers that was.
    pub response: u64,
    pub provided: LastProvided,
}

/// Staleness as the upstream node reports it, which knows the source of the value. It counts as
/// long as the node goes on reporting.
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

    /// The source confirms the value.
    pub fn renew(&mut self, receipt: Moment) {
        self.stamp.renew(receipt);
        if let Some(there) = &mut self.upstream {
            there.received = Stamp::received(receipt, None);
        }
    }
}
