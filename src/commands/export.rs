//! `main-node export`: stored readings as CSV or JSON lines, also while the service runs.

use std::io::{BufWriter, ErrorKind};

use super::{FAILED, USAGE_ERROR, local_settings, switch_to_owner};
use crate::config::Overrides;
use crate::db::export::{self, ExportError, ExportFormat, ExportQuery};
use crate::domain::text::parse_duration;
use crate::domain::time::Wall;
use crate::sys::clock::{Clock, SystemClock};

pub fn export(
    overrides: &Overrides,
    key: Option<String>,
    from: Option<String>,
    to: Option<String>,
    format: &str,
) -> u8 {
    let format = match format {
        "csv" => ExportFormat::Csv,
        "jsonl" => ExportFormat::JsonLines,
        other => {
            eprintln!("--format: expected csv or jsonl, found {other:?}");
            return USAGE_ERROR;
        }
    };
    let now = SystemClock::new().now().wall;
    let time = |name: &str, text: Option<String>| match text {
        None => Ok(None),
        Some(text) => read_time(&text, now).map(Some).ok_or_else(|| {
            eprintln!(
                "--{name}: expected a time such as 2025-10-30T20:00:00Z, or -24h, found {text:?}"
            );
            USAGE_ERROR
        }),
    };
    let (from, to) = match (time("from", from), time("to", to)) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(status), _) | (_, Err(status)) => return status,
    };
    let database = match local_settings(overrides) {
        Ok(essentials) => essentials.database,
        Err(status) => return status,
    };
    switch_to_owner(&database);
    let query = ExportQuery {
        keys: key.into_iter().collect(),
        from,
        to,
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    match export::export(&database, &query, format, &mut out) {
        Ok(_) => 0,
        // The reader closed the pipe (`| head`).
        Err(ExportError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => 0,
        Err(error) => {
            eprintln!("{error}");
            FAILED
        }
    }
}

/// RFC 3339, or a duration before now: `-24h`.
fn read_time(text: &str, now: Wall) -> Option<Wall> {
    if let Some(span) = text.strip_prefix('-') {
        return parse_duration(span).map(|span| now.before(span));
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(Wall(instant.as_millisecond()))
}
