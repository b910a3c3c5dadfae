//! Who has a change of what is stored done, for `import`, `rename` and `forget`: the service where one
//! runs, else this command.

use std::path::Path;
use std::time::Duration;

use openapi::operation::nearest;
use rusqlite::Connection;

use super::progress_line::ProgressLine;
use super::serve::register_signals;
use super::{
    FAILED, USAGE_ERROR, installed_service, local_settings, print_problems, suggest_sudo,
    switch_to_owner,
};
use crate::config::environment::Environment;
use crate::config::{self, Overrides};
use crate::db::connection;
use crate::db::database::Database;
use crate::db::maintenance::Maintenance;
use crate::db::maintenance::extent;
use crate::db::maintenance::request::{
    self, ClaimError, MaintenanceRequest, MaintenanceTask, RequestClaim,
};
use crate::db::maintenance::state::MaintenanceState;
use crate::db::maintenance::step_times::StepTimes;
use crate::db::open::{self, DatabaseLocation};
use crate::db::progress::Progress;
use crate::db::restore;
use crate::db::retention::clock::advance_clock;
use crate::db::retention::policy::RetentionPolicy;
use crate::db::service_lock::{self, ServiceLock};
use crate::limits;
use crate::sys::clock::{Clock, SystemClock, boot_id};
use crate::sys::os_error::reason;
use crate::sys::privileges;
use crate::sys::signals::Signals;

/// A command that changes what is stored, run as the owner of the database.
pub struct Maintainer {
    location: DatabaseLocation,
    retention: RetentionPolicy,
    signals: Signals,
    clock: SystemClock,
}

/// The database, which this command alone writes. It is closed before the lock ends.
struct OwnDatabase {
    database: Database,
    lock: ServiceLock,
}

/// How often the service is asked how far it has come.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

impl Maintainer {
    /// On errors prints them and returns the exit status.
    pub fn new(overrides: &Overrides) -> Result<Maintainer, u8> {
        // Read before the command gives up root: it may be needed for the files of the service.
        let service = installed_service(overrides);
        let environment = Environment::of_process().with_service(service.clone());
        let (raw, hourly) = config::retention(overrides, environment).map_err(|problems| {
            print_problems(&problems);
            suggest_sudo(&service);
            USAGE_ERROR
        })?;
        let settings = local_settings(overrides)?;
        switch_to_owner(&settings.database);
        privileges::keep_new_files_private();
        Ok(Maintainer {
            location: DatabaseLocation {
                path: settings.database,
                is_default: settings.database_is_default,
            },
            retention: RetentionPolicy {
                raw,
                hourly,
                ..RetentionPolicy::default()
            },
            signals: register_signals(false)?,
            clock: SystemClock::new(),
        })
    }

    pub fn database(&self) -> &Path {
        &self.location.path
    }

    pub fn is_stop_requested(&self) -> bool {
        self.signals.is_stop_requested()
    }

    /// The right to ask for a change. What an interrupted command has left where no service runs is
    /// done first.
    pub fn claim(&self) -> Result<RequestClaim, u8> {
        let database = self.database();
        refuse_before_restore(database)?;
        match request::claim(database) {
            Err(ClaimError::UnderWay) => {
                let Some(own) = self.open()? else {
                    return Err(failed(&ClaimError::UnderWay));
                };
                eprintln!("What an earlier command was interrupted in is continued first.");
                self.run_here(own)?;
                request::claim(database).map_err(|error| failed(&error))
            }
            claimed => claimed.map_err(|error| failed(&error)),
        }
    }

    /// The lock of the database, unless a service uses it.
    fn lock(&self) -> Result<Option<ServiceLock>, u8> {
        service_lock::own(self.database()).map_err(|error| {
            failed(&format_args!(
                "{} cannot be locked: {}",
                self.database().display(),
                reason(&error)
            ))
        })
    }

    /// The database for this command alone, unless a service uses it.
    fn open(&self) -> Result<Option<OwnDatabase>, u8> {
        let Some(lock) = self.lock()? else {
            return Ok(None);
        };
        let database = open::open(&self.location, &boot_id()).map_err(|error| failed(&error))?;
        Ok(Some(OwnDatabase { database, lock }))
    }

    /// Has it done and waits for the end; on errors prints them and returns the exit status.
    pub fn run(&self, claim: RequestClaim, task: MaintenanceTask) -> Result<MaintenanceState, u8> {
        // Where it cannot be opened nothing is left to be done later.
        let own = refuse_before_restore(self.database()).and_then(|()| self.open());
        let own = match own {
            Ok(own) => own,
            Err(status) => {
                claim.withdraw();
                return Err(status);
            }
        };
        let nanoseconds = jiff::Timestamp::now().as_nanosecond();
        let id = format!("{nanoseconds}-{}", std::process::id());
        let request = MaintenanceRequest {
            id: id.clone(),
            task,
        };
        claim.submit(&request).map_err(|error| {
            failed(&format_args!(
                "the request cannot be left: {}",
                reason(&error)
            ))
        })?;
        let state = match own {
            Some(own) => self.run_here(own)?,
            None => self.wait_for_service(&id)?,
        };
        match &state.error {
            None => Ok(state),
            Some(error) => {
                eprintln!("{error} ({})", state.counts.describe());
                Err(FAILED)
            }
        }
    }

    /// Takes all steps, as the only one who writes.
    fn run_here(&self, own: OwnDatabase) -> Result<MaintenanceState, u8> {
        let OwnDatabase { mut database, lock } = own;
        let sqlite = |error: rusqlite::Error| {
            let error = crate::db::error::describe(&error);
            failed(&format_args!(
                "{}: {error}; what is done so far stays, and the next command goes on with the rest",
                self.database().display()
            ))
        };
        let Some(mut maintenance) = Maintenance::resume(&database).map_err(sqlite)? else {
            return Err(failed(
                &"the request was removed meanwhile; give the command again",
            ));
        };
        let mut line = ProgressLine::new();
        loop {
            let now = self.clock.now();
            let time = advance_clock(&mut database, &self.retention, now);
            let times = StepTimes::new(&self.retention, time.map_err(sqlite)?, now);
            let progress = maintenance.step(&mut database, times).map_err(sqlite)?;
            if progress == Progress::Done {
                break;
            }
            line.show(|| describe(maintenance.state()));
            if self.is_stop_requested() {
                line.clear();
                maintenance.withdraw(&mut database).map_err(sqlite)?;
                eprintln!(
                    "interrupted: {}; what is done stays. Give the command again for the rest",
                    maintenance.state().counts.describe()
                );
                return Err(FAILED);
            }
        }
        line.clear();
        drop(database);
        drop(lock);
        Ok(maintenance.state().clone())
    }

    /// Waits for the service, which may start or stop meanwhile.
    fn wait_for_service(&self, id: &str) -> Result<MaintenanceState, u8> {
        let mut line = ProgressLine::new();
        let mut polls: u32 = 0;
        let mut polls_without_request: u32 = 0;
        loop {
            // Read first: it is removed after its end was noted.
            let is_left = request::read(self.database()).is_some();
            let state = self.read_state();
            if let Some(state) = state.filter(|state| state.id == id) {
                if state.is_finished {
                    line.clear();
                    return Ok(state);
                }
                line.show(|| describe(&state));
                polls_without_request = 0;
            } else {
                line.show(|| "waiting for the service".to_owned());
                polls_without_request += u32::from(!is_left);
            }
            if polls_without_request >= limits::SERVICE_LOCK_POLLS {
                line.clear();
                return Err(failed(
                    &"the request is not there any more: was the database replaced by a restore? \
                      /status and the page System show what was done",
                ));
            }
            polls = polls.wrapping_add(1);
            // The service may have ended.
            if polls.is_multiple_of(limits::SERVICE_LOCK_POLLS)
                && let Some(own) = self.open()?
                && request::read(self.database()).is_some()
            {
                line.clear();
                return self.run_here(own);
            }
            std::thread::sleep(POLL_INTERVAL);
            if self.is_stop_requested() {
                line.clear();
                eprintln!(
                    "the service goes on with it: /status and the page System show how far it has come"
                );
                return Err(FAILED);
            }
        }
    }

    /// As the database has it; while that cannot be read it is not known.
    fn read_state(&self) -> Option<MaintenanceState> {
        let connection = connection::open_for_command(self.database()).ok()?;
        MaintenanceState::read(&connection).ok().flatten()
    }
}

/// What is changed now would be gone when the database is replaced; prints that and returns the exit
/// status where a copy waits for it.
fn refuse_before_restore(database: &Path) -> Result<(), u8> {
    match restore::staged_copy(database) {
        None => Ok(()),
        Some(staged) => Err(failed(&restore_waits(database, &staged))),
    }
}

fn restore_waits(database: &Path, staged: &Path) -> String {
    format!(
        "nothing was changed: a restore waits, which replaces {} when main-node starts next. Start it \
         (`sudo systemctl restart main-node`), then give the command again; or remove {}, and there is no \
         restore",
        database.display(),
        staged.display()
    )
}

/// How far it has come, on one line.
fn describe(state: &MaintenanceState) -> String {
    if state.total == 0 {
        return format!("{}: {}", state.task, state.counts.describe());
    }
    let percent = state.done.saturating_mul(100) / state.total;
    format!("storing: {} of {} ({percent} %)", state.done, state.total)
}

/// That there is no reading of keys, with the nearest that has some.
pub fn unknown_keys(database: &Path, connection: &Connection, keys: &[&String]) -> String {
    let known = extent::sourced_keys(connection).unwrap_or_default();
    let named: Vec<String> = keys
        .iter()
        .map(|key| match nearest(key, known.iter().map(|it| &*it.key)) {
            Some(near) => format!("{key} (there is {near})"),
            None => (*key).clone(),
        })
        .collect();
    format!(
        "{} has no reading of {}",
        database.display(),
        named.join(", ")
    )
}

fn failed(message: &dyn std::fmt::Display) -> u8 {
    eprintln!("{message}");
    FAILED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::{Directory, database, location};

    #[test]
    fn nothing_is_changed_while_a_restore_waits() {
        let directory = Directory::new();
        let path = directory.path("main-node.db");
        let copy = directory.path("copy.db");
        drop((database(&path), database(&copy)));
        assert_eq!(refuse_before_restore(&path), Ok(()));

        restore::stage(&copy, &location(&path)).expect("it can be restored");
        assert_eq!(refuse_before_restore(&path), Err(FAILED));
        let staged = restore::staged_copy(&path).expect("it waits");
        let message = restore_waits(&path, &staged);
        assert!(message.contains("main-node.db.restore,"), "{message}");

        std::fs::remove_file(staged).expect("it is there");
        assert_eq!(refuse_before_restore(&path), Ok(()));
    }
}
