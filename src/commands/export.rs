//! `main-node export`: stored readings as CSV or JSON lines, also while the service runs.

use std::io::{BufWriter, ErrorKind};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{FAILED, USAGE_ERROR, installed_service, local_settings, print_problems};
use super::{suggest_sudo, switch_to_owner};
use crate::cli::ExportArguments;
use crate::config::environment::Environment;
use crate::config::{self, Overrides};
use crate::db::export::{self, ExportContent, ExportError, ExportFormat, ExportQuery};
use crate::domain::derived::CalendarPeriod;
use crate::domain::text::parse_duration;
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
        timezone(overrides)?
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
    let is_date = |time: &Option<String>| time.as_deref().is_some_and(|it| date(it).is_some());
    arguments.days || is_date(&arguments.from) || is_date(&arguments.to)
}

/// The time zone of the configuration.
fn timezone(overrides: &Overrides) -> Result<TimeZone, u8> {
    let service = installed_service(overrides);
    let environment = Environment::of_process().with_service(service.clone());
    config::timezone(overrides, environment).map_err(|problems| {
        print_problems(&problems);
        suggest_sudo(&service);
        USAGE_ERROR
    })
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
        match text {
        None => Ok(None),
        Some(text) => read_time(&text, now, zone, bound).map(Some).ok_or_else(|| {
            format!(
                "{option}: expected a time such as 2025-10-30T20:00:00Z, a date such as 2025-10-30, -24h, or \
                 seconds or milliseconds since 1970, found {text:?}"
            )
        }),
    }
    };
    Ok(ExportQuery {
        keys: arguments.key,
        from: time("--from", arguments.from, Bound::Begin)?,
        to: time("--to", arguments.to, Bound::End)?,
        content,
    })
}

/// Which end of a date is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Begin,
    End,
}

fn date(text: &str) -> Option<Date> {
    let is_date = text.len() == 10 && text.contains('-');
    is_date.then(|| text.parse().ok())?
}

/// RFC 3339; a duration before now (`-24h`); a date, whose begin or end in the time zone counts;
/// seconds or milliseconds since 1970.
fn read_time(text: &str, now: Wall, zone: &TimeZone, bound: Bound) -> Option<Wall> {
    if let Some(span) = text.strip_prefix('-') {
        return parse_duration(span).map(|span| now.before(span));
    }
    if let Some(date) = date(text) {
        // Midnight may be skipped or twice; noon never is.
        let noon = zone.to_timestamp(date.at(12, 0, 0, 0)).ok()?;
        let (begin, end) = CalendarPeriod::Day.bounds(noon.as_second(), zone);
        return Some(Wall::from_second(match bound {
            Bound::Begin => begin,
            Bound::End => end,
        }));
    }
    if let Some(instant) = Wall::from_epoch_text(text) {
        return Some(instant);
    }
    let instant: Timestamp = text.parse().ok()?;
    Some(Wall(instant.as_millisecond()))
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
    fn times_are_read_in_every_form() {
        let berlin = TimeZone::get("Europe/Berlin").expect("it is known");
        for (text, begin, end) in [
            ("2025-10-30T20:00:00Z", Some("2025-10-30T20:00:00Z"), None),
            (
                "2025-10-30T21:00:00+01:00",
                Some("2025-10-30T20:00:00Z"),
                None,
            ),
            ("-24h", Some("2025-10-29T20:00:00Z"), None),
            ("1761854400", Some("2025-10-30T20:00:00Z"), None),
            ("1761854400000", Some("2025-10-30T20:00:00Z"), None),
            (
                "2025-10-30",
                Some("2025-10-29T23:00:00Z"),
                Some("2025-10-30T23:00:00Z"),
            ),
            // It has 25 hours.
            (
                "2025-10-26",
                Some("2025-10-25T22:00:00Z"),
                Some("2025-10-26T23:00:00Z"),
            ),
            ("176185440", None, None),
            ("2025-10-30T20:00:00", None, None),
            ("2025-13-01", None, None),
            ("yesterday", None, None),
            ("", None, None),
        ] {
            let read = |bound| read_time(text, NOW, &berlin, bound).map(|it| it.to_string());
            assert_eq!(read(Bound::Begin).as_deref(), begin, "{text:?}");
            assert_eq!(read(Bound::End).as_deref(), end.or(begin), "{text:?}");
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
