//! `main-node export`: stored readings as CSV or JSON lines, also while the service runs.

use std::io::{BufWriter, ErrorKind};

use jiff::tz::TimeZone;

use super::time_option::{self, Bound};
use super::{FAILED, USAGE_ERROR, local_settings, switch_to_owner};
use crate::cli::ExportArguments;
use crate::config::Overrides;
use crate::db::export::{self, ExportContent, ExportError, ExportFormat, ExportQuery};
use crate::domain::time::Wall;
use crate::sys::clock::{Clock, SystemClock};

pub fn export(overrides: &Overrides, arguments: ExportArguments) -> u8 {
    match try_export(overrides, arguments) {
        Ok(()) => 0,
        Err(status) => status,
    }
}

fn try_export(overrides: &Overrides, arguments: ExportArguments) -> Result<(), u8> {
    let format = format(&arguments).map_err(usage_error)?;
    // Read before the command gives up root: it may be needed for the files of the service.
    let zone = if needs_zone(&arguments) {
        time_option::timezone(overrides)?
    } else {
        TimeZone::UTC
    };
    let query = query(arguments, SystemClock::new().now().wall, &zone).map_err(usage_error)?;
    let database = local_settings(overrides)?.database;
    switch_to_owner(&database);
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from >= to
    {
        eprintln!("nothing is exported: --from ({from}) is not before --to ({to})");
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    match export::export(&database, &query, format, &mut out) {
        Ok(_) => Ok(()),
        // The reader closed the pipe (`| head`).
        Err(ExportError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            eprintln!("{error}");
            Err(FAILED)
        }
    }
}

fn usage_error(message: String) -> u8 {
    eprintln!("{message}");
    USAGE_ERROR
}

fn format(arguments: &ExportArguments) -> Result<ExportFormat, String> {
    match (arguments.format.as_str(), arguments.plain) {
        ("csv", false) => Ok(ExportFormat::Csv),
        ("csv", true) => Ok(ExportFormat::PlainCsv),
        ("jsonl", false) => Ok(ExportFormat::JsonLines),
        ("jsonl", true) => Err(
            "--plain is for CSV: JSON lines have every text as it is; leave --plain out".to_owned(),
        ),
        (other, _) => Err(format!("--format: expected csv or jsonl, found {other:?}")),
    }
}

/// Whether the time zone matters: for days, and for dates.
fn needs_zone(arguments: &ExportArguments) -> bool {
    let is_date = |time: &Option<String>| time_option::is_date(time.as_deref());
    arguments.days || is_date(&arguments.from) || is_date(&arguments.to)
}

fn query(arguments: ExportArguments, now: Wall, zone: &TimeZone) -> Result<ExportQuery, String> {
    let content = match (arguments.days, arguments.after) {
        (false, None) => ExportContent::Readings,
        (true, None) => ExportContent::LocalDays(zone.clone()),
        (false, Some(after)) => ExportContent::Arrivals { after },
        (true, Some(_)) => {
            let message = "--days and --after exclude each other: a day has no id. Export days with --from, \
                           rows with --after";
            return Err(message.to_owned());
        }
    };
    let time = |option: &str, text: Option<String>, bound: Bound| {
        time_option::read_option(option, text.as_deref(), now, zone, bound)
    };
    Ok(ExportQuery {
        keys: arguments.key,
        from: time("--from", arguments.from, Bound::Begin)?,
        to: time("--to", arguments.to, Bound::End)?,
        content,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall(1_761_854_400_000);

    fn arguments() -> ExportArguments {
        ExportArguments {
            key: Vec::new(),
            from: None,
            to: None,
            days: false,
            after: None,
            plain: false,
            format: "csv".to_owned(),
            config: None,
            database: None,
        }
    }

    #[test]
    fn the_time_zone_is_read_only_where_it_matters() {
        for (from, to, days, expected) in [
            (None, None, false, false),
            (Some("-24h"), Some("1761854400"), false, false),
            (Some("2025-10-30"), None, false, true),
            (None, Some("2025-10-30"), false, true),
            (None, None, true, true),
        ] {
            let arguments = ExportArguments {
                from: from.map(str::to_owned),
                to: to.map(str::to_owned),
                days,
                ..arguments()
            };
            assert_eq!(needs_zone(&arguments), expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_change() {
        for (changed, expected) in [
            (
                ExportArguments {
                    days: true,
                    after: Some(1),
                    ..arguments()
                },
                "--days and --after exclude each other",
            ),
            (
                ExportArguments {
                    plain: true,
                    format: "jsonl".to_owned(),
                    ..arguments()
                },
                "leave --plain out",
            ),
            (
                ExportArguments {
                    format: "xlsx".to_owned(),
                    ..arguments()
                },
                "--format: expected csv or jsonl, found \"xlsx\"",
            ),
            (
                ExportArguments {
                    to: Some("noon".to_owned()),
                    ..arguments()
                },
                "--to: expected a time such as 2025-10-30T20:00:00Z",
            ),
        ] {
            let refused =
                format(&changed).and_then(|_| query(changed, NOW, &TimeZone::UTC).map(|_| ()));
            let message = refused.expect_err("it is refused");
            assert!(message.contains(expected), "{message}");
        }
    }
}
