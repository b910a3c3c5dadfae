//! Request of a command to change what is stored: a file beside the database, which whoever owns the
//! database takes. There is one at a time.
//!
//! `DATABASE.request.new` is locked while a command prepares a request, and gets the name
//! `DATABASE.request` when it is complete and on the disk; the rows of an import are staged before in
//! `DATABASE.import`. Both are removed when the task has ended.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::db::file::{self, remove_if_exists, sibling, sync_directory};
use crate::db::replace::resolve_links;
use crate::db::staging::staged_path;
use crate::sys::os_error::reason;

const REQUEST: &str = ".request";
const PREPARED: &str = ".request.new";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceRequest {
    /// Tells it from those before.
    pub id: String,
    pub task: MaintenanceTask,
}

/// A change of what is stored. Times are seconds since 1970, `from` inclusive and `to` exclusive;
/// `None` is without a bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MaintenanceTask {
    /// Takes in the staged file.
    Import {
        /// As people know it.
        file: String,
        /// Whether an imported value replaces another that is stored.
        replace: bool,
        /// Rows and summaries that are staged.
        total: u64,
    },
    /// Gives readings of a key to another.
    Rename {
        old: String,
        new: String,
        from: Option<i64>,
        to: Option<i64>,
    },
    /// Deletes readings, of rows those with ids up to `through_id`.
    Forget {
        keys: Vec<String>,
        from: Option<i64>,
        to: Option<i64>,
        through_id: i64,
    },
}

impl MaintenanceTask {
    /// The command that asks for it.
    pub fn name(&self) -> &'static str {
        match self {
            MaintenanceTask::Import { .. } => "import",
            MaintenanceTask::Rename { .. } => "rename",
            MaintenanceTask::Forget { .. } => "forget",
        }
    }

    /// What it is about, for people.
    pub fn subject(&self) -> String {
        match self {
            MaintenanceTask::Import { file, .. } => file.clone(),
            MaintenanceTask::Rename { old, new, .. } => format!("{old} to {new}"),
            MaintenanceTask::Forget { keys, .. } => keys.join(", "),
        }
    }
}

/// The right to make the next request, for as long as it is held.
#[derive(Debug)]
pub struct RequestClaim {
    database: PathBuf,
    file: File,
}

/// Why there is no claim.
#[derive(Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// Another command prepares a request.
    Preparing,
    /// The last request has not ended, or its command was interrupted where no service runs.
    UnderWay,
    /// A sentence for people.
    Failed(String),
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClaimError::Preparing => {
                "another import, rename or forget is being prepared: wait for it to end"
            }
            ClaimError::UnderWay => {
                "another import, rename or forget is under way: /status and the page System show how \
                 far it has come"
            }
            ClaimError::Failed(reason) => reason,
        })
    }
}

/// Claims the right.
pub fn claim(database: &Path) -> Result<RequestClaim, ClaimError> {
    let database = resolve_links(database);
    let prepared = sibling(&database, PREPARED);
    let failed = |error: &io::Error| {
        let missing = file::missing_disk(&database);
        ClaimError::Failed(missing.unwrap_or_else(|| {
            format!(
                "{} cannot be written: {}",
                prepared.display(),
                reason(error)
            )
        }))
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&prepared)
        .map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(ClaimError::Preparing),
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    }
    if sibling(&database, REQUEST).exists() {
        return Err(ClaimError::UnderWay);
    }
    // Of a command that was interrupted.
    remove_if_exists(&staged_path(&database)).map_err(|error| failed(&error))?;
    Ok(RequestClaim { database, file })
}

impl RequestClaim {
    /// Leaves the request. The rows of an import are staged before.
    pub fn submit(mut self, request: &MaintenanceRequest) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(&serde_json::to_vec(request)?)?;
        self.file.sync_all()?;
        let prepared = sibling(&self.database, PREPARED);
        std::fs::rename(prepared, sibling(&self.database, REQUEST))?;
        sync_directory(&self.database)
    }

    /// Gives it up, with what is staged.
    pub fn withdraw(self) {
        for file in [
            staged_path(&self.database),
            sibling(&self.database, PREPARED),
        ] {
            // What stays is removed by the next claim.
            let _ = remove_if_exists(&file);
        }
    }
}

/// The request that is left for the owner of the database; the error is a sentence for people.
pub fn read(database: &Path) -> Option<Result<MaintenanceRequest, String>> {
    let path = sibling(&resolve_links(database), REQUEST);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            return Some(Err(format!(
                "{} cannot be read: {}",
                path.display(),
                reason(&error)
            )));
        }
    };
    let request = serde_json::from_slice(&text);
    Some(request.map_err(|error| format!("{} is not understood: {error}", path.display())))
}

/// Removes the staged file of a request where the disk is almost full, so that readings can be stored;
/// the import then ends with a reason.
pub fn make_room(database: &Path) {
    let database = &resolve_links(database);
    if file::has_room(database) || !sibling(database, REQUEST).exists() {
        return;
    }
    let staged = staged_path(database);
    if let Err(error) = remove_if_exists(&staged) {
        log::error!("{} cannot be removed: {}", staged.display(), reason(&error));
    }
}

/// Removes a request that has ended, with its staged file.
pub fn remove(database: &Path) -> io::Result<()> {
    let database = &resolve_links(database);
    // The request last: once it is gone the next import may be staged.
    remove_if_exists(&staged_path(database))?;
    remove_if_exists(&sibling(database, REQUEST))
}

#[cfg(test)]
#[path = "tests/request.rs"]
mod tests;
