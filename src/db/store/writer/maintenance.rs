//! Maintenance on the store thread: takes what a command asks for in steps between two commits.
//!
//! Runs on the store thread. What is done is [`crate::db::maintenance`]'s.

use super::Writer;
use crate::db::error::{self, OpenError};
use crate::db::maintenance::Maintenance;
use crate::db::maintenance::state::MaintenanceState;
use crate::db::maintenance::step_times::StepTimes;
use crate::db::progress::Progress;
use crate::db::retention::clock;
use crate::db::service_lock;
use crate::domain::time::Moment;

impl Writer {
    /// Takes the lock that services share, so that no command writes the database by itself. Where it
    /// cannot be made, in a directory that cannot be written, no command could either.
    pub(super) fn lock(&mut self) -> Result<(), OpenError> {
        if self.lock.is_some() {
            return Ok(());
        }
        let path = &self.shared.settings.location.path;
        match service_lock::share(path) {
            Ok(Some(lock)) => self.lock = Some(lock),
            Ok(None) => {
                return Err(OpenError::Unusable {
                    path: path.clone(),
                    detail: "a main-node command is changing it; readings wait in memory until it \
                             has ended"
                        .to_owned(),
                });
            }
            Err(error) => log::debug!("{}: it cannot be locked: {error}", path.display()),
        }
        Ok(())
    }

    /// Takes the next step of what a command asks for, or looks whether one does.
    pub(super) fn continue_maintenance(&mut self, now: Moment) {
        let shared = self.shared.clone();
        let mut open = shared.database.lock();
        let Some(database) = &mut *open else {
            return;
        };
        let retention = &shared.settings.retention;
        let resumed = match self.maintenance.take() {
            Some(maintenance) => Ok(Some(maintenance)),
            None => Maintenance::resume(database),
        };
        let step = resumed.and_then(|resumed| {
            let Some(mut maintenance) = resumed else {
                return Ok(None);
            };
            let time = clock::advance_clock(database, retention, now)?;
            let progress = maintenance.step(database, StepTimes::new(retention, time, now))?;
            Ok(Some((maintenance, progress)))
        });
        match step {
            Ok(None) => {}
            Ok(Some((maintenance, progress))) => {
                let has_changes = maintenance.state().counts.has_changes();
                self.has_stale_windows |= has_changes;
                self.report_maintenance(Ok(Some(maintenance.state().clone())));
                if progress == Progress::More {
                    self.maintenance = Some(maintenance);
                    return;
                }
                self.report_size(database);
                drop(open);
                if has_changes {
                    (shared.settings.on_readings_changed)();
                }
            }
            Err(error) => {
                drop(open);
                self.handle_write_error(now, &error);
            }
        }
    }

    /// Reports the task that runs, or that ran last.
    pub(super) fn report_maintenance(&self, state: rusqlite::Result<Option<MaintenanceState>>) {
        match state {
            Ok(state) => {
                self.shared.report.lock().maintenance = state.map(MaintenanceState::into_status);
            }
            // Damage is found again by what is read next.
            Err(error) => log::debug!("maintenance cannot be read: {}", error::describe(&error)),
        }
    }
}
