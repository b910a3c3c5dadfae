//! Last value of one key from one source, and its staleness.
//!
//! A value of [`super::Ledger`]'s.

use std::sync::Arc;
use std::time::Duration;

use super::absence::LastProvided;
use crate::domain::freshness::Stamp;
use crate::domain::reading::{ShownElement, Value};
use crate::domain::time::{Moment, Mono};

/// The last value of one key from one source.
pub struct LastValue {
    pub key: Arc<str>,
    pub value: Value,
    pub unit: Option<Arc<str>>,
    pub stamp: Stamp,
    /// `missing` or `null` of the record gave it.
    pub is_stated: bool,
    /// The response has a boolean there.
    pub is_boolean: bool,
    /// Its staleness by the upstream node, where the source is one.
    pub upstream: Option<UpstreamStaleness>,
    /// The interval of the element that it is, where that alone makes it fresh.
    pub interval: Option<ElementInterval>,
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

/// How long the element of a series holds.
#[derive(Clone, Copy)]
pub struct ElementInterval {
    pub length: Duration,
    /// From then on the value is stale.
    pub ends_at: Mono,
}

impl ElementInterval {
    /// Of a value of an earlier run, until the clock says which element is now.
    pub fn unknown(shown: ShownElement) -> Option<ElementInterval> {
        (shown == ShownElement::Current).then_some(ElementInterval {
            length: Duration::ZERO,
            ends_at: Mono(0),
        })
    }
}

impl LastValue {
    pub fn is_stale(&self, stale_after: Duration, now: Moment) -> bool {
        if let Some(interval) = self.interval {
            return interval.ends_at <= now.mono;
        }
        match self.upstream {
            Some(there) => there.stale || there.received.is_stale(stale_after, now),
            None => self.stamp.is_stale(stale_after, now),
        }
    }

    pub fn stale_at(&self, stale_after: Duration, now: Moment) -> Option<Mono> {
        if let Some(interval) = self.interval {
            return Some(interval.ends_at).filter(|at| *at > now.mono);
        }
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
