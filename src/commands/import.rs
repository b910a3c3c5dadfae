//! `main-node import`: readings of another program's SQLite file, of CSV or of an export.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::tz::TimeZone;

use super::maintainer::Maintainer;
use super::progress_line::ProgressLine;
use super::{FAILED, USAGE_ERROR, print_out};
use crate::cli::ImportArguments;
use crate::config::Overrides;
use crate::db::maintenance::extent::{self, SourcedKey};
use crate::db::maintenance::request::MaintenanceTask;
use crate::db::staging::{self, StageOptions, Staged};
use crate::db::{connection, error};
use crate::domain::text::truncate_list;
use crate::domain::time::Wall;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::time_zone;

/// Keys with another unit that are named.
const SHOWN_UNITS: usize = 5;

pub fn import(overrides: &Overrides, arguments: &ImportArguments) -> u8 {
    let zone = match &arguments.zone {
        None => TimeZone::UTC,
        Some(name) => match time_zone::named(name) {
            Some(zone) => zone,
            None => {
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
    let staged = stage(maintainer, arguments, zone);
    let staged = staged.and_then(|staged| {
        let status = print_out(&staged.report);
        check_units(maintainer.database(), &staged, arguments.any_unit)?;
        Ok((staged, status))
    });
    let (staged, claim) = match (staged, claim) {
        (Ok((staged, _)), Some(claim)) => (staged, claim),
        (Ok((_, status)), None) => return Ok(status),
        (Err(status), claim) => {
            if let Some(claim) = claim {
                claim.withdraw();
            }
            return Err(status);
        }
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
            "the clock of this machine is not synchronised: readings with a later time are imported, too, unless \
             the service knows the time"
        );
    }
    let options = StageOptions {
        database: maintainer.database(),
        zone,
        table: &arguments.table,
        decimal: arguments.decimal,
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

/// Refuses values whose unit is another than the stored ones' of the key, or than that of other rows of the
/// file; on errors prints them and returns the exit status.
fn check_units(database: &Path, staged: &Staged, any_unit: bool) -> Result<(), u8> {
    if any_unit {
        return Ok(());
    }
    refuse_units(&staged.report.mixed_units)?;
    if !database.exists() {
        return Ok(());
    }
    let failed = |detail: String| {
        eprintln!("the units cannot be compared: {detail}");
        FAILED
    };
    let connection = connection::open_for_command(database).map_err(failed)?;
    let in_sqlite = |error: rusqlite::Error| failed(error::describe(&error));
    let stored = extent::sourced_keys(&connection).map_err(in_sqlite)?;
    let units = staged.file.units().map_err(in_sqlite)?;
    refuse_units(&other_units(&stored, &units))
}

/// Refuses the units of these keys.
fn refuse_units(keys: &[String]) -> Result<(), u8> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys = truncate_list(keys, SHOWN_UNITS);
    eprintln!(
        "nothing was imported: {keys}. Convert the values in the file, or say --any-unit where \
         both names mean the same unit"
    );
    Err(FAILED)
}

/// Keys whose unit in the file is not the stored one, with both.
fn other_units(stored: &[SourcedKey], in_file: &BTreeMap<String, String>) -> Vec<String> {
    let other = |stored: &SourcedKey| {
        let (here, there) = (stored.unit.as_ref()?, in_file.get(&stored.key)?);
        let text = format!("{} is in {there} in the file, in {here} here", stored.key);
        (here != there).then_some(text)
    };
    stored.iter().filter_map(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_another_unit_are_named_where_both_are_known() {
        let stored = |key: &str, unit: Option<&str>| SourcedKey {
            key: key.to_owned(),
            source: "meter".to_owned(),
            unit: unit.map(str::to_owned),
        };
        let stored = [
            stored("power", Some("W")),
            stored("energy", Some("kWh")),
            stored("sky", None),
        ];
        let in_file = [
            ("power", "kW"),
            ("energy", "kWh"),
            ("sky", "%"),
            ("new", "K"),
        ];
        let in_file = in_file.map(|(key, unit)| (key.to_owned(), unit.to_owned()));
        assert_eq!(
            other_units(&stored, &BTreeMap::from(in_file)),
            ["power is in kW in the file, in W here"]
        );
    }
}
