//! Where log lines go and how they look: priorities for the journal, times for a person.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter};

use crate::domain::time::Wall;

/// Libraries whose lower levels print addresses with their queries, or every poll.
const QUIET: [&str; 5] = ["ureq", "ureq_proto", "rustls", "polling", "async_io"];

/// Starts logging to standard error: `info` and above, unless `RUST_LOG` says otherwise.
pub fn init() {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Info).parse_default_env();
    for library in QUIET {
        builder.filter_module(library, LevelFilter::Warn);
    }
    // systemd sets this where standard error is the journal.
    match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => builder.format(|out, record| {
            let priority = priority(record.level());
            // The journal reads one priority per line, and makes its own times.
            let text = record.args().to_string();
            text.lines()
                .try_for_each(|line| writeln!(out, "<{priority}>{line}"))
        }),
        None => builder.format(|out, record| {
            let since_1970 = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let now = Wall(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX));
            writeln!(out, "{now} {:5} {}", record.level(), record.args())
        }),
    };
    builder.init();
}

/// The priorities of syslog (RFC 5424, section 6.2.1).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
