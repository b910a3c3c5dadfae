//! Request quotas of a source: its own, and that of the account that it shares with others.
//!
//! Owned by the source's thread; only [`AccountQuota`] is shared, behind a lock that is held
//! while its reservation is written, so that no other source relies on one that is not.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::quota::{QuotaMeter, QuotaReservation, QuotaSlot, SavedQuota};
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::sys::sync::Mutex;

/// Quota state that is restored from, and saved to, the database.
pub struct QuotaHandle {
    pub carried: SavedQuota,
    /// Saves a reservation; returns when it is written, or after a timeout.
    pub reserve: Box<dyn Fn(&QuotaReservation) + std::marker::Send>,
    /// Shared with the other sources of its `[auth.NAME]`.
    pub account: Option<Arc<AccountQuota>>,
}

impl QuotaHandle {
    /// Nothing is restored or saved.
    #[cfg(test)]
    pub fn none() -> QuotaHandle {
        QuotaHandle {
            carried: SavedQuota::Nothing,
            reserve: Box::new(|_| ()),
            account: None,
        }
    }
}

/// The requests of all sources of one account.
pub struct AccountQuota {
    /// Interval of one source's requests that leaves the others their share.
    interval_of_each: Option<Duration>,
    shared: Mutex<SharedMeter>,
}

struct SharedMeter {
    meter: QuotaMeter,
    /// When the last wait is over that the server ordered of the account.
    ordered_until: Mono,
    reserve: Box<dyn Fn(&QuotaReservation) + std::marker::Send>,
}

impl AccountQuota {
    /// Without a quota only waits that the server ordered are shared.
    pub fn new(
        request_interval: Option<Duration>,
        interval_of_each: Option<Duration>,
        carried: SavedQuota,
        reserve: Box<dyn Fn(&QuotaReservation) + std::marker::Send>,
        now: Moment,
    ) -> AccountQuota {
        AccountQuota {
            interval_of_each,
            shared: Mutex::new(SharedMeter {
                meter: QuotaMeter::resume(request_interval, carried, now),
                ordered_until: Mono(0),
                reserve,
            }),
        }
    }

    /// Counts an attempt that begins now; `None` if another source was first.
    fn take(&self, requests: u32, now: Moment) -> Option<QuotaSlot> {
        let mut shared = self.shared.lock();
        if !shared.meter.wait(now).is_zero() {
            return None;
        }
        let (slot, reserved) = shared.meter.take(requests, now);
        shared.write(reserved);
        Some(slot)
    }
}

impl SharedMeter {
    fn write(&self, reserved: Option<QuotaReservation>) {
        if let Some(reserved) = reserved {
            (self.reserve)(&reserved);
        }
    }
}

/// All quotas of one source: each of them must allow a request.
pub struct RequestQuota {
    own: QuotaMeter,
    reserve: Box<dyn Fn(&QuotaReservation) + std::marker::Send>,
    account: Option<Arc<AccountQuota>>,
    /// The source's share of the account, so that redirects of one source cost no other. It is
    /// not saved: what the account has left is.
    share: QuotaMeter,
    /// What the account has counted for the attempt that runs.
    slot: Option<QuotaSlot>,
    /// Requests that the last attempt took.
    usual_requests: u32,
    /// The end of the last ordered wait that `new_account_wait` told of.
    told_until: Mono,
}

impl RequestQuota {
    pub fn resume(own: Option<Duration>, handle: QuotaHandle, now: Moment) -> RequestQuota {
        let account = handle.account;
        let share = account.as_ref().and_then(|it| it.interval_of_each);
        RequestQuota {
            own: QuotaMeter::resume(own, handle.carried, now),
            reserve: handle.reserve,
            share: QuotaMeter::resume(share, SavedQuota::Nothing, now),
            account,
            slot: None,
            usual_requests: 1,
            told_until: Mono(0),
        }
    }

    /// How long the next request has to wait at least.
    pub fn wait(&mut self, now: Moment) -> Duration {
        let account = self.account.as_ref();
        let account = account.map(|account| account.shared.lock().meter.wait(now));
        let own = self.own.wait(now).max(self.share.wait(now));
        own.max(account.unwrap_or_default())
    }

    /// A wait that the server ordered of the account, once, where it is much longer than this
    /// source's own: `own_wait` and the one of its quota.
    pub fn new_account_wait(&mut self, now: Moment, own_wait: Duration) -> Option<Duration> {
        let until = self.account.as_ref()?.shared.lock().ordered_until;
        let left = until.since(now.mono);
        let own = self.own.wait(now).max(own_wait);
        let is_new = until != self.told_until && left >= own + limits::MIN_PERSISTED_RETRY_AFTER;
        is_new.then(|| {
            self.told_until = until;
            left
        })
    }

    /// How long to sleep for a wait: no event reports that the clock became trusted, which may
    /// shorten it.
    pub fn poll_timeout(&self, wait: Duration) -> Duration {
        let account = self.account.as_ref();
        let account = account.map(|account| account.shared.lock().meter.is_uncertain());
        if self.own.is_uncertain() || account.unwrap_or_default() {
            wait.min(limits::INGEST_WAIT_TIMEOUT)
        } else {
            wait
        }
    }

    /// Writes the reservations again while a wait goes on, where that is useful.
    pub fn refresh_reservations(&mut self, now: Moment) {
        let reserved = self.own.refresh_reservation(now);
        self.write(reserved);
        if let Some(account) = &self.account {
            let mut shared = account.shared.lock();
            let reserved = shared.meter.refresh_reservation(now);
            shared.write(reserved);
        }
    }

    /// Reserves the attempt that is about to begin and may take `requests`. False if another source of the account was
    /// first: then it has to wait on.
    pub fn begin(&mut self, now: Moment, requests: u32) -> bool {
        if let Some(account) = &self.account {
            self.slot = account.take(self.usual_requests.max(requests), now);
            if self.slot.is_none() {
                return false;
            }
        }
        let reserved = self.own.reserve(now, requests);
        self.write(reserved);
        true
    }

    /// Counts an attempt of `requests` that began at `begun`. `ordered` is the wait that the
    /// server ordered, `ordered_of_account` the one that holds for all sources of the account.
    pub fn complete(
        &mut self,
        begun: Mono,
        requests: u32,
        (ordered, ordered_of_account): (Duration, Duration),
        now: Moment,
    ) {
        let reserved = self.own.record_attempt(begun, requests, ordered, now);
        self.write(reserved);
        // Its share is not saved.
        let _ = self
            .share
            .record_attempt(begun, requests, Duration::ZERO, now);
        if requests > 0 {
            self.usual_requests = requests;
        }
        if let (Some(account), Some(slot)) = (&self.account, self.slot.take()) {
            let mut shared = account.shared.lock();
            let ordered_until = now
                .mono
                .after(ordered_of_account.min(limits::MAX_RETRY_AFTER));
            shared.ordered_until = shared.ordered_until.max(ordered_until);
            let reserved = shared
                .meter
                .complete(slot, requests, ordered_of_account, now);
            shared.write(reserved);
        }
    }

    /// Writes the exact reservations, for an orderly stop.
    pub fn settle(&mut self, now: Moment) {
        let reserved = self.own.settle(now);
        self.write(reserved);
        if let Some(account) = &self.account {
            let mut shared = account.shared.lock();
            let reserved = shared.meter.settle(now);
            shared.write(reserved);
        }
    }

    fn write(&self, reserved: Option<QuotaReservation>) {
        if let Some(reserved) = reserved {
            (self.reserve)(&reserved);
        }
    }
}

#[cfg(test)]
#[path = "tests/request_quota.rs"]
mod tests;
