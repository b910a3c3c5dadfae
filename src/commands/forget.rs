//! `main-node forget`: deletes readings, after it has saved them as CSV.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::maintainer::{Maintainer, unknown_keys};
use super::printed_command::printed_command;
use super::{FAILED, USAGE_ERROR, print_out, time_option};
use crate::cli::ForgetArguments;
use crate::config::Overrides;
use crate::db::connection;
use crate::db::export::{self, ExportContent, ExportError, ExportFormat, ExportQuery, Exported};
use crate::db::file::{sibling, sync_directory};
use crate::db::maintenance::request::MaintenanceTask;
use crate::domain::time::Wall;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::os_error::reason;

pub fn forget(overrides: &Overrides, arguments: &ForgetArguments) -> u8 {
    match try_forget(overrides, arguments) {
        Ok(status) | Err(status) => status,
    }
}

fn try_forget(overrides: &Overrides, arguments: &ForgetArguments) -> Result<u8, u8> {
    if arguments.key.is_empty() {
        eprintln!("KEY: expected one or more keys, such as main-node forget temperature");
        return Err(USAGE_ERROR);
    }
    let times = time_option::read_range(overrides, &arguments.from, &arguments.to)?;
    let maintainer = Maintainer::new(overrides)?;
    let claim = maintainer.claim()?;
    let file = match &arguments.save {
        Some(file) => PathBuf::from(file),
        None => default_file(maintainer.database()),
    };
    let query = ExportQuery {
        keys: arguments.key.clone(),
        from: times.from.map(Wall::from_second),
        to: times.to.map(Wall::from_second),
        content: ExportContent::Readings,
    };
    let saved = match save(maintainer.database(), &query, &file) {
        Ok(saved) if saved.lines > 0 => saved,
        Ok(_) => {
            claim.withdraw();
            // Our own, with a header alone.
            let _ = std::fs::remove_file(&file);
            eprintln!(
                "there is no reading of {} within these times",
                arguments.key.join(", ")
            );
            return Err(FAILED);
        }
        Err(message) => {
            claim.withdraw();
            eprintln!("{message}; nothing was deleted");
            return Err(FAILED);
        }
    };
    let task = MaintenanceTask::Forget {
        keys: arguments.key.clone(),
        from: times.from,
        to: times.to,
        through_id: saved.through_id,
    };
    let state = maintainer.run(claim, task)?;
    if !state.counts.has_changes() {
        // Our own, of what is still there.
        let _ = std::fs::remove_file(&file);
        eprintln!(
            "Nothing was deleted: {}. Give whole hours or days, in UTC",
            state.counts.describe()
        );
        return Err(FAILED);
    }
    let undo = printed_command(overrides, &["import", &file.to_string_lossy()]);
    Ok(print_out(&format_args!(
        "Forgotten: {}.\n{} lines were saved before. To undo it: {undo}\n",
        state.counts.describe(),
        saved.lines,
    )))
}

/// A new file beside the database, where there is room for it and its owner may write.
fn default_file(database: &Path) -> PathBuf {
    let date = SystemClock::new().now().wall.to_string();
    let begin = format!(".forgotten-{}", date.replace([':', '-'], ""));
    let first = sibling(database, &format!("{begin}.csv"));
    let others = (2_u64..).map(|at| sibling(database, &format!("{begin}-{at}.csv")));
    let mut files = std::iter::once(first.clone()).chain(others);
    files.find(|it| !it.exists()).unwrap_or(first)
}

/// Writes what will be deleted; it is on the disk when it returns.
fn save(database: &Path, query: &ExportQuery, path: &Path) -> Result<Exported, String> {
    let failed =
        |error: &std::io::Error| format!("{} cannot be written: {}", path.display(), reason(error));
    let file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed(&error))?;
    let mut out = BufWriter::new(&file);
    let saved = export::export(database, query, ExportFormat::CompleteCsv, &mut out);
    drop(out);
    let saved = saved.map_err(|error| match error {
        ExportError::UnknownKeys { unknown, .. } => match connection::open_for_command(database) {
            Ok(connection) => {
                unknown_keys(database, &connection, &unknown.iter().collect::<Vec<_>>())
            }
            Err(reason) => reason,
        },
        error => error.to_string(),
    });
    let saved = saved.and_then(|saved| {
        let synced = file.sync_all().and_then(|()| sync_directory(path));
        synced.map_err(|error| failed(&error)).map(|()| saved)
    });
    if saved.is_err() {
        // Our own, and not complete.
        let _ = std::fs::remove_file(path);
    }
    saved
}
