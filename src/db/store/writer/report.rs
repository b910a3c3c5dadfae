//! Storage status as the store thread reports it: errors, stored rows, file sizes.
//!
//! Written by the store thread; [`super::super::Store::status`] reads it.

use super::Writer;
use crate::db::database::{CommitCounts, Database};
use crate::db::{file, volatile};

impl Writer {
    /// Reports an error: once in the log, and in every status until it is over.
    pub(super) fn report_failure(&mut self, trouble: &str) {
        let mut report = self.shared.report.lock();
        if report.trouble.as_deref() != Some(trouble) {
            log::error!("{trouble}");
            report.trouble = Some(trouble.to_owned());
        }
        self.failures = self.failures.max(1);
    }

    pub(super) fn report_success(&mut self) {
        self.failures = 0;
        if self.shared.report.lock().trouble.take().is_some() {
            log::info!("storage works again");
        }
    }

    /// Tells whether the file system keeps the database: at start, and when it is opened again.
    pub(super) fn report_volatile(&self) {
        let settings = &self.shared.settings;
        if settings.is_temporary {
            return;
        }
        let warning = volatile::warning(&settings.location.path);
        let mut report = self.shared.report.lock();
        if let Some(warning) = &warning
            && report.volatile != Some(warning.clone())
        {
            log::warn!("{warning}");
        }
        report.volatile = warning;
    }

    pub(super) fn report_commit(&self, committed: CommitCounts) {
        let mut report = self.shared.report.lock();
        report.rows_stored += committed.stored;
        report.rows_too_old += committed.too_old;
        drop(report);
        if let Some(database) = &*self.shared.database.lock() {
            self.report_size(database);
        }
    }

    pub(super) fn report_size(&self, database: &Database) {
        let mut report = self.shared.report.lock();
        report.database_bytes = file::size_on_disk(database.path());
        report.written_bytes = written_bytes();
        // Read errors are handled at the next write.
        report.extent = database.reach().unwrap_or(report.extent);
    }
}

/// Bytes that this process has sent to storage, by the kernel's account. Kernels that count
/// whole folios overstate `write_bytes` several times, and `wchar` counts sockets and pipes
/// too: the truth is at most the lesser.
fn written_bytes() -> u64 {
    let Ok(account) = std::fs::read_to_string("/proc/self/io") else {
        return 0;
    };
    let read = |name: &str| -> Option<u64> {
        let line = account.lines().find(|line| line.starts_with(name))?;
        line[name.len()..].trim().parse().ok()
    };
    let written = [read("write_bytes:"), read("wchar:")];
    written.into_iter().flatten().min().unwrap_or(0)
}
