//! Retention on the store thread: a bounded number of steps between two commits.
//!
//! Runs on the store thread. What is deleted is [`policy`]'s to say.

use std::time::Duration;

use super::Writer;
use crate::db::progress::Progress;
use crate::db::retention::clock;
use crate::db::retention::policy::{self, RetentionTimes};
use crate::domain::time::Moment;
use crate::limits;

/// How often retention looks for something to delete; it deletes an hour of rows at least.
const RETENTION_EVERY: Duration = Duration::from_secs(60);

impl Writer {
    pub(super) fn run_retention(&mut self, now: Moment) {
        if !self.has_more_to_delete && now.mono < self.retention_at {
            return;
        }
        self.has_more_to_delete = false;
        self.retention_at = now.mono.after(RETENTION_EVERY);
        let retention = self.shared.settings.retention;
        let mut open = self.shared.database.lock();
        let Some(database) = &mut *open else {
            return;
        };
        let times = match clock::advance_clock(database, &retention, now) {
            Ok(time) => time
                .filter(|_| now.trust.is_trusted())
                .map(|time| RetentionTimes {
                    wall: now.wall,
                    deletion: time,
                }),
            Err(error) => {
                drop(open);
                self.handle_write_error(now, &error);
                return;
            }
        };
        for _ in 0..limits::RETENTION_STEPS {
            let step = policy::step(database, &retention, times);
            database.note_write();
            match step {
                Ok(Progress::Done) => {
                    self.report_size(database);
                    return;
                }
                Ok(Progress::More) => {}
                Err(error) => {
                    drop(open);
                    self.handle_write_error(now, &error);
                    return;
                }
            }
        }
        self.has_more_to_delete = true;
    }
}
