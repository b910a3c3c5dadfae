//! Rebuilding windows of derived keys on the store thread: a bounded step between two commits.

use super::Writer;
use crate::db::derived_windows::rebuild::RebuildScan;
use crate::db::progress::Progress;
use crate::domain::time::Moment;

impl Writer {
    /// Whether there is a window to rebuild.
    pub(super) fn has_rebuild(&self) -> bool {
        self.rebuild.is_some() || !self.shared.queue.lock().rebuilds.is_empty()
    }

    /// Takes the next step.
    pub(super) fn continue_rebuild(&mut self, now: Moment) {
        let mut open = self.shared.database.lock();
        let Some(database) = &mut *open else {
            return;
        };
        let connection = database.connection();
        let next = || self.shared.queue.lock().rebuilds.pop_front();
        let scan = match self.rebuild.take() {
            Some(scan) => Some(Ok(scan)),
            None => next().map(|rebuild| RebuildScan::new(connection, rebuild)),
        };
        let tiers = database.tiers();
        let step = scan.map(|scan| {
            let mut scan = scan?;
            let progress = scan.step(connection, &tiers)?;
            Ok((scan, progress))
        });
        match step {
            None => {}
            Some(Ok((scan, Progress::More))) => self.rebuild = Some(scan),
            Some(Ok((scan, Progress::Done))) => {
                self.shared.queue.lock().rebuilt.push(scan.finish(&tiers));
            }
            Some(Err(error)) => {
                drop(open);
                self.handle_write_error(now, &error);
            }
        }
    }
}
