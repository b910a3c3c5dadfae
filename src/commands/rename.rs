//! `main-node rename`: gives the readings of a key to another.

use std::ops::Range;
use std::path::Path;

use super::maintainer::{Maintainer, unknown_keys};
use super::printed_command::printed_command;
use super::time_option::{self, TimeRange};
use super::{FAILED, USAGE_ERROR, print_out};
use crate::cli::RenameArguments;
use crate::config::Overrides;
use crate::db::maintenance::extent::{self, SourcedKey};
use crate::db::maintenance::request::MaintenanceTask;
use crate::db::{connection, error};
use crate::domain::time::Wall;
use crate::limits;

pub fn rename(overrides: &Overrides, arguments: &RenameArguments) -> u8 {
    match try_rename(overrides, arguments) {
        Ok(status) | Err(status) => status,
    }
}

fn try_rename(overrides: &Overrides, arguments: &RenameArguments) -> Result<u8, u8> {
    let RenameArguments { old, new, .. } = arguments;
    let is_key = (1..=limits::KEY_BYTES).contains(&new.len()) && !new.chars().any(char::is_control);
    if !is_key || old == new {
        let most = limits::KEY_BYTES;
        eprintln!(
            "NEW: expected another key of 1 to {most} bytes without control characters, found {new:?}"
        );
        return Err(USAGE_ERROR);
    }
    let times = time_option::read_range(overrides, &arguments.from, &arguments.to)?;
    let maintainer = Maintainer::new(overrides)?;
    // First, since it ends what an earlier command was interrupted in.
    let claim = maintainer.claim()?;
    let (moved, is_mixed) = match find_readings(maintainer.database(), overrides, arguments, times)
    {
        Ok(found) => found,
        Err(status) => {
            claim.withdraw();
            return Err(status);
        }
    };
    let task = MaintenanceTask::Rename {
        old: old.clone(),
        new: new.clone(),
        from: times.from,
        to: times.to,
    };
    let state = maintainer.run(claim, task)?;
    let mut text = format!("{old} is {new} now: {}.\n", state.counts.describe());
    if !is_mixed {
        // Exact, since the new key goes on.
        let times = [moved.start, moved.end].map(|it| Wall::from_second(it).to_string());
        let [from, to] = &times;
        let undo = ["rename", new, old, "--from", from, "--to", to];
        text += &format!("To undo it: {}\n", printed_command(overrides, &undo));
    }
    text += &format!(
        "Rename it in the configuration as well: a source that still names {old} goes on storing it.\n"
    );
    Ok(print_out(&text))
}

/// From when until when there are readings that a rename back finds again, and whether the new key has others among them; on
/// errors prints them and returns the exit status.
fn find_readings(
    database: &Path,
    overrides: &Overrides,
    arguments: &RenameArguments,
    times: TimeRange,
) -> Result<(Range<i64>, bool), u8> {
    let RenameArguments { old, new, .. } = arguments;
    let file = database.display();
    let failed = |detail: String| {
        eprintln!("the database {file} cannot be read: {detail}");
        FAILED
    };
    let connection = connection::open_for_command(database).map_err(failed)?;
    let read = |key: &str| {
        let read = extent::read(&connection, key);
        read.map_err(|error| failed(error::describe(&error)))
    };
    let Some(present) = read(old)? else {
        eprintln!(
            "{}; nothing was renamed",
            unknown_keys(database, &connection, &[old])
        );
        return Err(FAILED);
    };
    let from = times.from.unwrap_or(i64::MIN);
    let to = times.to.unwrap_or(i64::MAX);
    let mut moved = present.start.max(from)..present.end.min(to);
    if moved.is_empty() {
        eprintln!(
            "{old} has readings from {} to {}, none within these times; nothing was renamed",
            Wall::from_second(present.start),
            Wall::from_second(present.end)
        );
        return Err(FAILED);
    }
    let keys = extent::sourced_keys(&connection);
    let keys = keys.map_err(|error| failed(error::describe(&error)))?;
    check_units(arguments, &keys)?;
    let has_others = |times: &Range<i64>| {
        extent::has_readings(&connection, new, times)
            .map_err(|error| failed(error::describe(&error)))
    };
    let mut is_mixed = has_others(&moved)?;
    // A reload takes less than a second: the last reading of the old name and the first of the new one may
    // be of the same.
    let before_last = moved.start..moved.end - 1;
    if is_mixed && !before_last.is_empty() && !has_others(&before_last)? {
        moved = before_last;
        is_mixed = false;
    }
    if is_mixed && !arguments.merge {
        eprintln!(
            "{new} has readings of its own among those of {old} (from {} to {}), and once they are together \
             no command takes them apart. Make a backup first, `{}`, and say --merge; or name the times with \
             --from and --to",
            Wall::from_second(moved.start),
            Wall::from_second(moved.end),
            printed_command(overrides, &["backup", "FILE"])
        );
        return Err(FAILED);
    }
    Ok((moved, is_mixed))
}

/// Refuses keys whose units have different names; on errors prints them and returns the exit status.
fn check_units(arguments: &RenameArguments, keys: &[SourcedKey]) -> Result<(), u8> {
    let RenameArguments { old, new, .. } = arguments;
    let unit = |key: &str| keys.iter().find(|it| it.key == *key)?.unit.as_deref();
    let (Some(old_unit), Some(new_unit)) = (unit(old), unit(new)) else {
        return Ok(());
    };
    if old_unit == new_unit || arguments.any_unit {
        return Ok(());
    }
    eprintln!(
        "{old} is in {old_unit}, {new} in {new_unit}: nothing was renamed. Say --any-unit where both names mean \
         the same unit"
    );
    Err(FAILED)
}
