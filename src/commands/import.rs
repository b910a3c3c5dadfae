//! `main-node import`: readings of another program's SQLite file, of CSV or of an export.

use std::ops::ControlFlow;
use std::path::Path;

use jiff::tz::TimeZone;

use super::maintainer::Maintainer;
use super::progress_line::ProgressLine;
use super::{FAILED, USAGE_ERROR, print_out};
use crate::cli::ImportArguments;
use crate::config::Overrides;
use crate::db::maintenance::request::MaintenanceTask;
use crate::db::staging::{self, StageOptions, Staged};
use crate::domain::time::Wall;
use crate::sys::clock::{Clock, SystemClock};

pub fn import(overrides: &Overrides, arguments: &ImportArguments) -> u8 {
    let zone = match &arguments.zone {
        None => TimeZone::UTC,
        Some(name) => match TimeZone::get(name) {
            Ok(zone) => zone,
            Err(_) => {
                eprintln!(
                    "--zone: expected the IANA name of a time zone, such as Europe/Berlin, found \
                     {name:?}"
                );
                return USAGE_ERROR;
            }
        },
    };
    let maintainer = match Maintainer::new(overrides) {
        Ok(maintainer) => maintainer,
        Err(status) => return status,
    };
    match run(&maintainer, arguments, zone) {
        Ok(status) | Err(status) => status,
    }
}

fn run(maintainer: &Maintainer, arguments: &ImportArguments, zone: TimeZone) -> Result<u8, u8> {
    let claim = if arguments.dry_run {
        None
    } else {
        Some(maintainer.claim()?)
    };
    let staged = stage(maintainer, arguments, zone)?;
    let status = print_out(&staged.report);
    let Some(claim) = claim else {
        return Ok(status);
    };
    let counts = staged.report.staged;
    let total = counts.rows + counts.hours + counts.days;
    if total == 0 {
        claim.withdraw();
        eprintln!("nothing was imported");
        return Err(FAILED);
    }
    if let Err(error) = staged.file.publish(maintainer.database()) {
        claim.withdraw();
        eprintln!("{error}");
        return Err(FAILED);
    }
    let name = Path::new(&arguments.file).file_name();
    let task = MaintenanceTask::Import {
        file: name.map_or_else(
            || arguments.file.clone(),
            |it| it.to_string_lossy().into_owned(),
        ),
        replace: arguments.replace,
        total,
    };
    let state = maintainer.run(claim, task)?;
    Ok(print_out(&format_args!(
        "Imported into {}: {}.\n",
        maintainer.database().display(),
        state.counts.describe()
    )))
}

/// Reads the file; on errors prints them and returns the exit status.
fn stage(
    maintainer: &Maintainer,
    arguments: &ImportArguments,
    zone: TimeZone,
) -> Result<Staged, u8> {
    let now = SystemClock::new().now();
    let latest: Option<Wall> = now.trust.is_trusted().then_some(now.wall);
    if latest.is_none() {
        eprintln!(
            "the clock of this machine is not synchronised: readings with a later time are imported, too"
        );
    }
    let options = StageOptions {
        database: maintainer.database(),
        zone,
        table: &arguments.table,
        latest,
    };
    let mut line = ProgressLine::new();
    let staged = staging::stage(Path::new(&arguments.file), &options, &mut |progress| {
        line.show(|| {
            let part = progress.part.map(|part| format!(", {:.0} %", part * 100.0));
            format!(
                "reading: {} rows{}",
                progress.rows,
                part.unwrap_or_default()
            )
        });
        // Stopped by a signal, it removes what it has written.
        if maintainer.is_stop_requested() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    line.clear();
    staged.map_err(|error| {
        eprintln!("{error}");
        FAILED
    })
}
