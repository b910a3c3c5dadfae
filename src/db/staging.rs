//! Staging of an import: reads a file of readings (SQLite, CSV, JSON lines), checks and orders
//! what is in it, and writes it beside the database for the store thread to take.
//!
//! Runs in the command, beside a running node. Never touches the database, never writes the input.
//! Memory does not grow with the input.

mod csv_reader;
mod csv_source;
mod input;
mod input_row;
mod json_lines_source;
mod main_node_source;
mod number_style;
mod report;
mod row_meta;
mod sqlite_source;
mod sqlite_table;
mod staged_file;
mod stager;
mod time_text;

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::file::{file_id, parent_directory};
use super::replace;
use crate::domain::plan::Decimal;
use crate::domain::text::{format_bytes, truncate_list};
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::disk;
use input::Input;
use number_style::NumberStyle;
pub use report::StageReport;
pub use staged_file::staged_path;
use staged_file::{RowWriter, UnfinishedFile};
use stager::{OnProgress, Stager};
use time_text::TimeReader;

/// How an input is read.
#[derive(Debug, Clone)]
pub struct StageOptions<'a> {
    /// The database that the readings are for.
    pub database: &'a Path,
    /// Of times without an offset.
    pub zone: TimeZone,
    /// The table of an SQLite file.
    pub table: &'a str,
    /// The decimal mark of numbers that are texts, where people said it.
    pub decimal: Option<Decimal>,
    /// Nothing after it is staged; `None` where the clock is not trusted.
    pub latest: Option<Wall>,
}

/// A staged file that is complete, and on the disk. It is removed when it is dropped before
/// [`UnfinishedFile::publish`] gives it its name.
#[derive(Debug)]
pub struct Staged {
    pub report: StageReport,
    pub file: UnfinishedFile,
}

/// Why nothing is staged, by whom it is about.
#[derive(Debug)]
pub enum StageError {
    /// The file to import cannot be read to its end.
    Input { path: PathBuf, detail: String },
    /// The staged file cannot be written.
    Target { path: PathBuf, detail: String },
    /// The callback for progress wanted an end.
    Interrupted,
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StageError::Input { path, detail } => {
                write!(f, "{} cannot be imported: {detail}", path.display())
            }
            StageError::Target { path, detail } => {
                write!(
                    f,
                    "the staged file {} cannot be written: {detail}",
                    path.display()
                )
            }
            StageError::Interrupted => f.write_str("interrupted; nothing was imported"),
        }
    }
}

impl std::error::Error for StageError {}

/// Reads `input` and stages it for the database.
pub fn stage(
    input: &Path,
    options: &StageOptions,
    progress: OnProgress,
) -> Result<Staged, StageError> {
    let failed = |detail: String| StageError::Input {
        path: input.to_owned(),
        detail,
    };
    let database = replace::resolve_links(options.database);
    if file_id(input).is_some() && file_id(input) == file_id(&database) {
        return Err(failed(
            "it is the database itself; name a file of another program, or a copy".to_owned(),
        ));
    }
    let opened = input::open(input).map_err(failed)?;
    check_free_space(input, &database)?;
    let file = UnfinishedFile::create(&database)?;
    let report = write(input, opened, options, &file, progress, &failed)?;
    file.sync()?;
    Ok(Staged { report, file })
}

fn write(
    path: &Path,
    input: Input,
    options: &StageOptions,
    file: &UnfinishedFile,
    progress: OnProgress,
    failed: &dyn Fn(String) -> StageError,
) -> Result<StageReport, StageError> {
    let connection = file.open().map_err(|error| file.failed(&error))?;
    let writer = RowWriter::new(&connection).map_err(|error| file.failed(&error))?;
    let times = TimeReader::new(options.zone.clone());
    let mut stager = Stager::new(file, writer, times, options.latest, progress);
    if let Some(decimal) = options.decimal {
        stager.numbers = NumberStyle::Given(decimal);
    }
    match input {
        Input::Sqlite { head } => {
            sqlite_source::read(path, &head, options.table, &mut stager, failed)?;
        }
        Input::Csv(lines) => csv_source::read(lines, &mut stager, failed)?,
        Input::JsonLines(lines) => json_lines_source::read(lines, &mut stager, failed)?,
    }
    stager.finish()
}

/// Roughly: without the indexes and times in words of the input, what is staged takes a half of it.
fn check_free_space(input: &Path, database: &Path) -> Result<(), StageError> {
    let needed = input.metadata().map_or(0, |metadata| metadata.len() / 2);
    let directory = parent_directory(database);
    // What cannot be known is found out while it is written.
    let Ok(free) = disk::free_bytes(&directory) else {
        return Ok(());
    };
    if free >= needed {
        return Ok(());
    }
    Err(StageError::Target {
        path: staged_path(database),
        detail: format!(
            "the import of {} needs about {} of free disk space, and the disk of {} has {}; make \
             room, or import a part of the file",
            input.display(),
            format_bytes(needed),
            directory.display(),
            format_bytes(free)
        ),
    })
}

/// A note on columns that are not read.
fn ignored_columns(names: &[String]) -> String {
    format!(
        "columns that are not read: {}",
        truncate_list(names, limits::IMPORT_NAMES_SHOWN)
    )
}

#[cfg(test)]
#[path = "staging/tests/staging.rs"]
mod tests;
