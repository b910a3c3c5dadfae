//! Rate limiter for the quota of a source, or of an account that sources share: requests are spread
//! evenly, and the reservation is kept across restarts and power cuts.
//!
//! Every request pushes the next one away by its share of the day, so that no span of
//! 24 hours, wherever it begins, holds more than the quota; the same holds for other spans. What
//! must outlive the run is one instant, "nothing before": it is written down *before* it is needed, some minutes ahead,
//! so that a power cut can only ever make the source wait too long, and the card is written
//! a few times an hour however short the share is.

mod limit;

use std::time::Duration;

pub use self::limit::Quota;
use super::time::{Moment, Mono, Wall};
use crate::limits;

/// The saved reservation: no request before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaReservation {
    pub until: Mono,
    /// How far ahead that was when it was written.
    pub ahead: Duration,
    /// The same instant by the wall clock, where it is trusted.
    pub wall: Option<Wall>,
}

/// The reservation that an earlier run has saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavedQuota {
    /// There was none, or no wait was left.
    Nothing,
    /// The machine has run on since.
    SameBoot { until: Mono },
    /// The machine was off for an unknown time, until the clock is trusted.
    OtherBoot { ahead: Duration, wall: Option<Wall> },
    /// It cannot be read: the worst is assumed.
    Unknown,
}

impl SavedQuota {
    /// How long a wait of an earlier run still lasts, as far as this boot's clock knows.
    pub fn wait(&self, now: Mono) -> Duration {
        match self {
            SavedQuota::SameBoot { until } => until.since(now).min(limits::MAX_RETRY_AFTER),
            SavedQuota::OtherBoot { ahead, .. } => (*ahead).min(limits::MAX_RETRY_AFTER),
            SavedQuota::Nothing | SavedQuota::Unknown => Duration::ZERO,
        }
    }
}

/// An attempt that was counted before it began, in a meter that others use meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct QuotaSlot {
    begun: Mono,
    /// Requests that it was counted as.
    requests: u32,
    /// Where it ends, and the next begins.
    end: Mono,
}

/// When the next request may go out. Owned by the source's thread, or shared behind a lock.
#[derive(Debug)]
pub struct QuotaMeter {
    /// Of the span, by one request; `None` without a quota, where only waits that the server
    /// ordered are remembered.
    request_interval: Option<Duration>,
    next_at: Mono,
    /// What is written down.
    reserved: Mono,
    /// Requests that the last attempt took: redirects and connections found closed count.
    usual_attempts: u32,
    /// Where an earlier boot's reservation ends, while no clock can say when that is.
    uncertain_until: Option<Wall>,
    /// The saved reservation has no time of a trusted clock.
    is_undated: bool,
    written_at: Mono,
}

impl QuotaMeter {
    pub fn resume(share: Option<Duration>, carried: SavedQuota, now: Moment) -> QuotaMeter {
        let longest =
            |wait: Duration| wait.min(limits::MAX_RETRY_AFTER.max(share.unwrap_or_default()));
        let (wait, doubtful) = match carried {
            SavedQuota::Nothing => (Duration::ZERO, None),
            SavedQuota::SameBoot { until } => (until.since(now.mono), None),
            SavedQuota::OtherBoot { ahead, wall } => (ahead, wall),
            SavedQuota::Unknown => (share.unwrap_or_default(), None),
        };
        QuotaMeter {
            request_interval: share,
            next_at: now.mono.after(longest(wait)),
            reserved: Mono(0),
            usual_attempts: 1,
            uncertain_until: doubtful,
            is_undated: matches!(carried, SavedQuota::OtherBoot { .. } | SavedQuota::Unknown),
            written_at: now.mono,
        }
    }

    /// How long the next request has to wait at least.
    pub fn wait(&mut self, now: Moment) -> Duration {
        if now.trust.is_trusted()
            && let Some(until) = self.uncertain_until.take()
        {
            // Never longer than when it was saved, whatever the clock shows.
            self.next_at = self.next_at.min(now.mono.after(until.since(now.wall)));
        }
        self.next_at.since(now.mono)
    }

    /// Whether a clock that becomes trusted changes anything: then [`QuotaMeter::refresh_reservation`]
    /// is to be called now and then.
    pub fn is_uncertain(&self) -> bool {
        self.is_undated
    }

    /// What to write down again while a wait goes on: by the clock once it is trusted, and
    /// until then how much is left, so that a machine without a clock whose power is cut
    /// often gets there too.
    pub fn refresh_reservation(&mut self, now: Moment) -> Option<QuotaReservation> {
        let until = self.next_at.max(self.reserved);
        let is_old = now.mono.since(self.written_at) >= limits::QUOTA_RESERVATION;
        let is_worth_it = now.trust.is_trusted() || is_old;
        (self.is_undated && is_worth_it && until > now.mono)
            .then(|| self.write(until.since(now.mono), now))
    }

    /// What to write down before the attempt that is about to begin and may take `requests`; `None`
    /// if what is written covers it.
    pub fn reserve(&mut self, now: Moment, requests: u32) -> Option<QuotaReservation> {
        self.uncertain_until = None;
        let share = self.request_interval?;
        let needed = share.saturating_mul(self.usual_attempts.max(requests));
        if now.mono.after(needed) <= self.reserved {
            None
        } else {
            Some(self.write(needed.max(limits::QUOTA_RESERVATION), now))
        }
    }

    /// Counts an attempt of `requests` that began at `begun`; what to write down, if it took
    /// more than was reserved, or if the server ordered a wait worth remembering.
    pub fn record_attempt(
        &mut self,
        begun: Mono,
        requests: u32,
        ordered: Duration,
        now: Moment,
    ) -> Option<QuotaReservation> {
        if requests > 0 {
            self.usual_attempts = requests;
        }
        let cost = self
            .request_interval
            .unwrap_or_default()
            .saturating_mul(requests);
        self.next_at = begun.max(self.next_at).after(cost);
        self.order_wait(ordered, now)
    }

    /// Counts an attempt that begins now as `requests`, for a meter that several sources share:
    /// others may begin before it ends. What to write down first, if anything.
    pub fn take(&mut self, requests: u32, now: Moment) -> (QuotaSlot, Option<QuotaReservation>) {
        self.uncertain_until = None;
        let requests = requests.max(1);
        let interval = self.request_interval.unwrap_or_default();
        let begun = now.mono.max(self.next_at);
        let end = begun.after(interval.saturating_mul(requests));
        self.next_at = end;
        let is_short = self.request_interval.is_some() && end > self.reserved;
        let ahead = end.since(now.mono).max(limits::QUOTA_RESERVATION);
        let reserved = is_short.then(|| self.write(ahead, now));
        let slot = QuotaSlot {
            begun,
            requests,
            end,
        };
        (slot, reserved)
    }

    /// Counts what the attempt of `slot` really took. More is added; what it did not need is
    /// given back if nobody began after it. What to write down, as for
    /// [`QuotaMeter::record_attempt`].
    pub fn complete(
        &mut self,
        slot: QuotaSlot,
        requests: u32,
        ordered: Duration,
        now: Moment,
    ) -> Option<QuotaReservation> {
        let interval = self.request_interval.unwrap_or_default();
        if requests > slot.requests {
            let more = interval.saturating_mul(requests - slot.requests);
            self.next_at = self.next_at.after(more);
        } else if self.next_at == slot.end {
            self.next_at = slot.begun.after(interval.saturating_mul(requests));
        }
        self.order_wait(ordered, now)
    }

    /// Adds a wait that the server ordered.
    fn order_wait(&mut self, ordered: Duration, now: Moment) -> Option<QuotaReservation> {
        let ordered = ordered.min(limits::MAX_RETRY_AFTER);
        self.next_at = self.next_at.max(now.mono.after(ordered));
        let is_worth_it =
            self.request_interval.is_some() || ordered >= limits::MIN_PERSISTED_RETRY_AFTER;
        let is_short = self.next_at > self.reserved;
        (is_worth_it && is_short).then(|| self.write(self.next_at.since(now.mono), now))
    }

    /// The exact reservation, for an orderly stop; `None` if it is saved already.
    pub fn settle(&mut self, now: Moment) -> Option<QuotaReservation> {
        let is_ahead = self.reserved > self.next_at.max(now.mono);
        is_ahead.then(|| self.write(self.next_at.since(now.mono), now))
    }

    fn write(&mut self, ahead: Duration, now: Moment) -> QuotaReservation {
        self.reserved = now.mono.after(ahead);
        self.written_at = now.mono;
        let is_trusted = now.trust.is_trusted();
        self.is_undated = !is_trusted;
        QuotaReservation {
            until: self.reserved,
            ahead,
            wall: if is_trusted {
                Some(now.wall.after(ahead))
            } else {
                self.uncertain_until
            },
        }
    }
}

#[cfg(test)]
#[path = "tests/quota.rs"]
mod tests;
