//! Retry schedule for refused events: daily, on request, and after a configuration change.
//!
//! On the thread of the channel.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::outbox::OutboxItem;
use crate::domain::time::{Moment, Mono};
use crate::limits;

/// Retry schedule of the refused events of one channel.
pub struct RefusedQueue {
    pub started: Mono,
    /// Fingerprint of the current configuration.
    pub config_fingerprint: u16,
    /// When each event is due, and whether that is its daily retry.
    pub due: BTreeMap<i64, (Mono, bool)>,
    /// Events whose message was refused as a whole: each is tried alone.
    pub alone: BTreeSet<i64>,
    /// Retries in a row that got no response.
    pub failures: u32,
    pub retry_at: Option<Mono>,
    /// When this run first had a refused event, while there is one.
    pub since: Option<Mono>,
    /// The reason logged last.
    pub last_logged: Option<String>,
}

impl RefusedQueue {
    pub fn new(started: Mono, config_fingerprint: u16) -> RefusedQueue {
        RefusedQueue {
            started,
            config_fingerprint,
            due: BTreeMap::new(),
            alone: BTreeSet::new(),
            failures: 0,
            retry_at: None,
            since: None,
            last_logged: None,
        }
    }

    /// Schedules the retry of each refused event.
    pub fn schedule(&mut self, items: &[OutboxItem], is_requested: bool, now: Moment) {
        let waits = |id: &i64| items.iter().any(|item| item.id == *id);
        self.due.retain(|id, _| waits(id));
        self.alone.retain(waits);
        let refused = items
            .iter()
            .filter_map(|item| Some((item.id, item.refusal.as_ref()?)));
        for (id, refusal) in refused {
            if is_requested
                || (refusal.config_fingerprint != self.config_fingerprint
                    && !self.due.contains_key(&id))
            {
                self.due.insert(id, (now.mono, false));
                self.retry_at = None;
            } else if !self.due.contains_key(&id) {
                // The wall clock is used once per run and delays a retry by a day at most, so
                // that a clock jump costs one daily retry.
                let past = now.wall.second().saturating_sub(refusal.last);
                let day = limits::REFUSED_RETRY_INTERVAL;
                let left = match u64::try_from(past) {
                    Ok(past) => day.saturating_sub(Duration::from_secs(past)),
                    Err(_) => Duration::ZERO,
                };
                if now.trust.is_trusted() {
                    self.due.insert(id, (now.mono.after(left), true));
                } else if now.mono >= self.started.after(day) {
                    self.due.insert(id, (now.mono, true));
                }
            }
        }
        let first = items.iter().any(|item| item.refusal.is_some());
        self.since = first.then(|| self.since.unwrap_or(now.mono));
        if !first {
            self.last_logged = None;
        }
    }

    pub fn is_due(&self, id: i64, now: Mono) -> bool {
        self.due.get(&id).is_some_and(|(at, _)| *at <= now)
    }

    /// Time until the next retry; `None` if none is scheduled.
    pub fn next_wait(&self, now: Mono) -> Option<Duration> {
        let next = self.due.values().map(|(at, _)| *at).min();
        let next = next.max(self.retry_at.filter(|_| next.is_some()));
        next.map(|at| at.since(now))
    }
}
