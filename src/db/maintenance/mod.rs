//! Maintenance of what is stored, asked for by a command: import, rename and forget.
//!
//! Only who owns the database writes it ([`super::service_lock`]): the store thread of a running
//! service, between two commits, or else the command itself. Either takes the request
//! ([`request`]) in bounded steps, each a transaction that also says how far it has come ([`state`]),
//! so that a crash at any moment costs one step that is taken again.

mod edit;
pub mod extent;
mod import;
mod import_tiers;
mod key_edit;
mod latest;
pub mod request;
pub mod state;
pub mod step_times;

use std::path::Path;

use self::edit::Edit;
use self::import::{StagedRows, StepError};
use self::import_tiers::ImportRules;
use self::key_edit::{KeyAction, KeyEdit};
use self::request::{MaintenanceRequest, MaintenanceTask};
use self::state::{MaintenanceState, Position};
use self::step_times::StepTimes;
use super::database::Database;
use super::file;
use super::progress::Progress;
use super::staging::staged_path;

/// A task under way.
pub struct Maintenance {
    request: MaintenanceRequest,
    state: MaintenanceState,
    /// The staged file of an import, once it is open.
    staged: Option<StagedRows>,
}

impl Maintenance {
    /// Takes the request that is left beside the database; `None` where there is none. What cannot be
    /// understood, and what has ended already, is removed.
    pub fn resume(database: &Database) -> rusqlite::Result<Option<Maintenance>> {
        let request = match request::read(database.path()) {
            None => return Ok(None),
            Some(Ok(request)) => request,
            Some(Err(reason)) => {
                log::error!("{reason}; it is removed, give the command again");
                remove(database.path());
                return Ok(None);
            }
        };
        let state = MaintenanceState::read(database.connection())?;
        let state = match state.filter(|state| state.id == request.id) {
            // The crash came before it was removed.
            Some(state) if state.is_finished => {
                remove(database.path());
                return Ok(None);
            }
            Some(state) => state,
            None => {
                log::info!("{}: {}", request.task.name(), request.task.subject());
                MaintenanceState::new(&request)
            }
        };
        Ok(Some(Maintenance {
            request,
            state,
            staged: None,
        }))
    }

    /// How far it has come.
    pub fn state(&self) -> &MaintenanceState {
        &self.state
    }

    /// Takes a step. After an error of the database it must be resumed anew.
    pub fn step(
        &mut self,
        database: &mut Database,
        times: StepTimes,
    ) -> rusqlite::Result<Progress> {
        let path = database.path().to_owned();
        if let Err(reason) = self.prepare(&path) {
            return self.finish(database, Some(reason));
        }
        let next_id = database.last_id() + 1;
        let (request, staged) = (&self.request, &mut self.staged);
        let mut state = self.state.clone();
        let taken = database.change(|transaction, tiers| {
            // Windows that were saved know nothing of the change; they are built again.
            transaction.execute("DELETE FROM derived_windows", [])?;
            let mut edit = Edit::new(transaction, tiers, next_id);
            let step = take_step(&mut edit, request, staged.as_mut(), &mut state, times);
            let step = match step {
                Err(StepError::Database(error)) => return Err(error),
                Err(StepError::Staged(reason)) => Err(reason),
                Ok(progress) => Ok(progress),
            };
            edit.finish()?;
            state.write(transaction)?;
            Ok(step)
        })?;
        self.state = state;
        // There may be new keys and ids, which the cache must know.
        database.reload()?;
        match taken {
            Ok(Progress::More) => Ok(Progress::More),
            Ok(Progress::Done) => self.finish(database, None),
            Err(reason) => self.finish(database, Some(reason)),
        }
    }

    /// Gives up what is not done yet; what is done stays.
    pub fn withdraw(&mut self, database: &mut Database) -> rusqlite::Result<()> {
        let reason = "it was interrupted, and what was done stays".to_owned();
        self.finish(database, Some(reason)).map(|_| ())
    }

    /// Opens what is needed; the error is why the task cannot go on.
    fn prepare(&mut self, database: &Path) -> Result<(), String> {
        if !matches!(self.request.task, MaintenanceTask::Import { .. }) {
            return Ok(());
        }
        let staged = staged_path(database);
        // It was removed where the disk was full.
        if !file::has_room(database) || !staged.exists() {
            return Err(
                "the disk was almost full: what is imported so far stays. Make room and import the file \
                 again: what is stored already is passed over"
                    .to_owned(),
            );
        }
        if self.staged.is_none() {
            self.staged = Some(StagedRows::open(&staged)?);
        }
        Ok(())
    }

    /// Notes the end, and removes the request.
    fn finish(
        &mut self,
        database: &mut Database,
        error: Option<String>,
    ) -> rusqlite::Result<Progress> {
        self.state.position = Position::End;
        self.state.is_finished = true;
        self.state.error = error;
        let state = &self.state;
        database.change(|transaction, _| {
            transaction.execute("DELETE FROM derived_windows", [])?;
            state.write(transaction)
        })?;
        let (task, subject) = (&state.task, &state.subject);
        match &state.error {
            None => log::info!("{task} of {subject} has ended"),
            Some(error) => log::error!("{task} of {subject}: {error}"),
        }
        self.staged = None;
        remove(database.path());
        Ok(Progress::Done)
    }
}

fn take_step(
    edit: &mut Edit<'_>,
    request: &MaintenanceRequest,
    staged: Option<&mut StagedRows>,
    state: &mut MaintenanceState,
    times: StepTimes,
) -> Result<Progress, StepError> {
    let bounds =
        |from: &Option<i64>, to: &Option<i64>| (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
    let (keys, (from, to), action) = match &request.task {
        MaintenanceTask::Import { replace, .. } => {
            let rules = ImportRules {
                times,
                replace: *replace,
            };
            return match staged {
                Some(staged) => staged.step(edit, state, rules),
                None => Ok(Progress::Done),
            };
        }
        MaintenanceTask::Rename { old, new, from, to } => (
            std::slice::from_ref(old),
            bounds(from, to),
            KeyAction::Rename(new),
        ),
        MaintenanceTask::Forget {
            keys,
            from,
            to,
            through_id,
        } => (
            keys.as_slice(),
            bounds(from, to),
            KeyAction::Forget(*through_id),
        ),
    };
    let key_edit = KeyEdit {
        keys,
        from,
        to,
        action,
    };
    Ok(key_edit.step(edit, state)?)
}

fn remove(database: &Path) {
    if let Err(error) = request::remove(database) {
        log::error!(
            "{}: its request cannot be removed: {error}",
            database.display()
        );
    }
}

#[cfg(test)]
#[path = "tests/maintenance.rs"]
mod tests;
