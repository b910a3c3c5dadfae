//! What a source last said of one key, and how old that may get.
//!
//! A value of [`super::Ledger`]'s.

use std::sync::Arc;
use std::time::Duration;

use super::absence::Given;
use crate::domain::freshness::Stamp;
use crate::domain::reading::Value;
use crate::domain::time::{Moment, Mono};

/// What a source said of one key.
pub struct Held {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    pub stamp: Stamp,
    /// What a followed node said of it last.
    pub there: Option<There>,
    /// Which of the source's answers that was.
    pub answer: u64,
    pub given: Given,
}

/// A followed node's word on a value's staleness stands, for it knows its source; but only
/// for as long as it goes on saying so.
#[derive(Clone, Copy)]
pub struct There {
    pub stale: bool,
    pub heard: Stamp,
}

impl Held {
    pub fn is_stale(&self, stale_after: Duration, now: Moment) -> bool {
        match self.there {
            Some(there) => there.stale || there.heard.is_stale(stale_after, now),
            None => self.stamp.is_stale(stale_after, now),
        }
    }

    pub fn turns_stale_at(&self, stale_after: Duration, now: Moment) -> Option<Mono> {
        match self.there {
            Some(there) if there.stale => None,
            Some(there) => there.heard.turns_stale_at(stale_after, now),
            None => self.stamp.turns_stale_at(stale_after, now),
        }
    }

    /// The source says that what it said last still holds.
    pub fn renew(&mut self, receipt: Moment) {
        self.stamp.renew(receipt);
        if let Some(there) = &mut self.there {
            there.heard = Stamp::received(receipt, None);
        }
    }
}
