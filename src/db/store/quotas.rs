//! Quota reservations in the storage thread: written at once, and waited for, since a request
//! that was not written may be repeated after a power cut.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::{Store, StoreShared};
use crate::db::last_values::ABSENCES;
use crate::db::quota;
use crate::db::tiers::write_meta;
use crate::domain::ledger::SavedAbsences;
use crate::domain::quota::QuotaReservation;
use crate::limits;

/// Reservations that wait for the disk, the newest of each source.
#[derive(Default)]
pub(super) struct Reservations {
    pub waiting: BTreeMap<Arc<str>, String>,
    /// For how long keys have been absent; nobody waits for it.
    absences: Option<String>,
    /// Counts what was handed in, and how much of that the disk has taken or refused.
    requested: u64,
    completed: u64,
}

impl Store {
    /// Has `reserved` written down, and waits for it: until it is, until the disk refuses
    /// (reported as a storage error, and written later), or for [`limits::QUOTA_WRITE_TIMEOUT`]
    /// at most.
    pub fn reserve(&self, source: &Arc<str>, reserved: &QuotaReservation) {
        let text = quota::format_entry(reserved, &self.shared.settings.boot);
        let until = Instant::now() + limits::QUOTA_WRITE_TIMEOUT;
        let mut queue = self.shared.queue.lock();
        queue.reservations.waiting.insert(source.clone(), text);
        queue.reservations.requested += 1;
        let mine = queue.reservations.requested;
        queue.has_urgent = true;
        self.shared.changed.notify_all();
        while queue.reservations.completed < mine && !queue.has_ended {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            queue = self.shared.changed.wait_timeout(queue, rest);
        }
    }
}

impl Store {
    /// Has it written soon for how long keys have been absent.
    pub fn save_absences(&self, absences: &SavedAbsences) {
        self.shared.queue.lock().reservations.absences = Some(absences.to_text());
    }
}

impl StoreShared {
    /// Writes the waiting reservations, if there is a database; after an error they wait on.
    pub(super) fn flush_reservations(&self) -> rusqlite::Result<()> {
        let mut queue = self.queue.lock();
        queue.has_urgent = false;
        let requested = queue.reservations.requested;
        let mut waiting = std::mem::take(&mut queue.reservations.waiting);
        let mut absences = queue.reservations.absences.take();
        drop(queue);
        let mut written = Ok(());
        if (!waiting.is_empty() || absences.is_some())
            && let Some(database) = &mut *self.database.lock()
        {
            written = (|| {
                let transaction = database.connection_mut().transaction()?;
                for (source, text) in &waiting {
                    quota::write(&transaction, source, text)?;
                }
                if let Some(text) = &absences {
                    write_meta(&transaction, ABSENCES, text)?;
                }
                transaction.commit()
            })();
            database.note_write();
            if written.is_ok() {
                waiting.clear();
                absences = None;
            }
        }
        let mut queue = self.queue.lock();
        for (source, text) in waiting {
            // What came meanwhile is newer.
            queue.reservations.waiting.entry(source).or_insert(text);
        }
        let newer = queue.reservations.absences.take();
        queue.reservations.absences = newer.or(absences);
        queue.reservations.completed = requested;
        self.changed.notify_all();
        written
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::store::{self, StoreSettings};
    use crate::db::test_support::{Directory, location, trusted};
    use crate::db::{last_run, open};
    use crate::domain::quota::SavedQuota;
    use crate::domain::time::Mono;
    use crate::sys::clock::ManualClock;

    fn reserved(until: u64) -> QuotaReservation {
        QuotaReservation {
            until: Mono(until),
            ahead: Duration::from_secs(60),
            wall: None,
        }
    }

    #[test]
    fn what_is_reserved_is_on_disk_before_the_source_is_asked() {
        let directory = Directory::new();
        let location = location(&directory.path("main-node.db"));
        let opened = open::open(&location, "boot");
        let clock = Arc::new(ManualClock::new(trusted(0)));
        let settings = StoreSettings::new(location.clone(), "boot".to_owned());
        let store = store::start(settings, opened, clock).expect("a thread");
        for until in [60_000, 120_000] {
            store.reserve(&"meter".into(), &reserved(until));
            // As after a kill: the store still runs, and nothing was closed.
            let seen = last_run::quotas(
                &open::open(&location, "boot"),
                &location,
                "boot",
                ["meter", "other"].into_iter(),
            );
            let until = Mono(until);
            assert_eq!(seen, [SavedQuota::SameBoot { until }, SavedQuota::Nothing]);
        }
        assert!(store.stop(Duration::from_secs(5)).is_complete());
    }

    #[test]
    fn a_missing_disk_does_not_block_and_its_quotas_are_unknown() {
        let directory = Directory::new();
        let location = location(&directory.path("missing/main-node.db"));
        let opened = open::open(&location, "boot");
        let seen = last_run::quotas(&opened, &location, "boot", ["meter"].into_iter());
        assert_eq!(seen, [SavedQuota::Unknown]);
        let clock = Arc::new(ManualClock::new(trusted(0)));
        let settings = StoreSettings::new(location, "boot".to_owned());
        let store = store::start(settings, opened, clock).expect("a thread");
        let begun = Instant::now();
        store.reserve(&"meter".into(), &reserved(1));
        assert!(
            begun.elapsed() < limits::QUOTA_WRITE_TIMEOUT,
            "the refusal is told"
        );
        store.stop(Duration::from_secs(5));
    }
}
