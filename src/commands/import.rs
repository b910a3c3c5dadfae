//! `main-node import`: readings of another program's SQLite file, of CSV or of an export.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use super::serve::register_signals;
use super::{FAILED, USAGE_ERROR, local_settings, print_out, switch_to_owner};
use crate::cli::ImportArguments;
use crate::config::Overrides;
use crate::db::staging::{self, StageOptions, StageProgress, Staged};
use crate::domain::time::Wall;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::signals::Signals;

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
    let database = match local_settings(overrides) {
        Ok(settings) => settings.database,
        Err(status) => return status,
    };
    switch_to_owner(&database);
    let file = PathBuf::from(&arguments.file);
    let staged = match stage(&file, &database, zone, &arguments.table) {
        Ok(staged) => staged,
        Err(status) => return status,
    };
    let status = print_out(&staged.report);
    if arguments.dry_run {
        return status;
    }
    eprintln!("nothing was imported: this version of main-node imports with --dry-run only");
    FAILED
}

/// Reads the file; on errors prints them and returns the exit status.
fn stage(file: &Path, database: &Path, zone: TimeZone, table: &str) -> Result<Staged, u8> {
    // Stopped by a signal, it removes what it has written.
    let signals = register_signals(false)?;
    let now = SystemClock::new().now();
    let latest: Option<Wall> = now.trust.is_trusted().then_some(now.wall);
    if latest.is_none() {
        eprintln!("the clock of this machine is not set: readings of the future are not left out");
    }
    let options = StageOptions {
        database,
        zone,
        table,
        latest,
    };
    let mut line = ProgressLine::new(&signals);
    let staged = staging::stage(file, &options, &mut |progress| line.report(progress));
    line.clear();
    staged.map_err(|error| {
        eprintln!("{error}");
        FAILED
    })
}

/// Progress on a terminal, on one line that is written again and again.
struct ProgressLine<'a> {
    signals: &'a Signals,
    is_terminal: bool,
    shown: Option<Instant>,
}

/// How often people read it.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

impl ProgressLine<'_> {
    fn new(signals: &Signals) -> ProgressLine<'_> {
        ProgressLine {
            signals,
            is_terminal: std::io::stderr().is_terminal(),
            shown: None,
        }
    }

    fn report(&mut self, progress: StageProgress) -> ControlFlow<()> {
        let is_due = self
            .shown
            .is_none_or(|shown| shown.elapsed() >= PROGRESS_INTERVAL);
        if self.is_terminal && is_due {
            self.shown = Some(Instant::now());
            let part = progress.part.map(|part| format!(", {:.0} %", part * 100.0));
            self.write(&format!(
                "\rreading: {} rows{}",
                progress.rows,
                part.unwrap_or_default()
            ));
        }
        match self.signals.is_stop_requested() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            // Erases to the end of the line.
            self.write("\r\x1b[K");
        }
    }

    /// A terminal that went away is no reason to stop.
    fn write(&self, text: &str) {
        let mut terminal = std::io::stderr();
        let _ = terminal
            .write_all(text.as_bytes())
            .and_then(|()| terminal.flush());
    }
}
