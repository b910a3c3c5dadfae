//! Logger: writes to standard error, with priorities for the journal, else with timestamps.
//!
//! Any thread. Secrets are masked in every line.

use std::borrow::Cow;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::domain::redact::Secrets;
use crate::domain::time::Wall;

/// Masked in every line; set once the configuration is read.
static SECRETS: OnceLock<Arc<Secrets>> = OnceLock::new();

/// Masks these in every line from now on.
pub fn mask(secrets: &Arc<Secrets>) {
    // A process reads one configuration.
    let _ = SECRETS.set(secrets.clone());
}

fn masked(text: &str) -> Cow<'_, str> {
    SECRETS
        .get()
        .map_or(text.into(), |secrets| secrets.mask(text))
}

/// Our own lines at the levels that `RUST_LOG` asks for. Of the libraries only warnings,
/// whatever it says: their lower levels print whole requests, with headers and queries.
struct FilteredLogger(env_logger::Logger);

fn is_shown(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let ours = |name: &str| {
        let rest = target.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    // jiff warns where there are no zone files, where `sys::time_zone` has its own.
    metadata.level() <= Level::Warn && !ours("jiff::tz") || ours("main_node") || ours("access")
}

impl Log for FilteredLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_shown(metadata) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if is_shown(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Starts logging to standard error: `info` and above, unless `RUST_LOG` says otherwise.
pub fn init() {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Info).parse_default_env();
    // systemd sets this where standard error is the journal.
    match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => builder.format(|out, record| {
            let priority = priority(record.level());
            // The journal reads one priority per line, and adds its own timestamps.
            let text = record.args().to_string();
            masked(&text)
                .lines()
                .try_for_each(|line| writeln!(out, "<{priority}>{line}"))
        }),
        None => builder.format(|out, record| {
            let since_1970 = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let now = Wall(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX));
            let text = record.args().to_string();
            writeln!(out, "{now} {:5} {}", record.level(), masked(&text))
        }),
    };
    let logger = builder.build();
    let level = logger.filter();
    // Fails only if a logger is installed already.
    if log::set_boxed_logger(Box::new(FilteredLogger(logger))).is_ok() {
        log::set_max_level(level);
    }
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        // Standard error may be closed, and a panic in here would end the process.
        let _ = writeln!(std::io::stderr(), "thread '{name}' {}", masked(&text));
    }));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_libraries_only_warnings_are_shown() {
        for (target, level, expected) in [
            ("main_node::api::fetcher", Level::Trace, true),
            ("main_node", Level::Debug, true),
            ("access", Level::Debug, true),
            ("ureq::run", Level::Trace, false),
            ("ureq_proto::util", Level::Debug, false),
            ("rustls::client::hs", Level::Info, false),
            ("main_nodes", Level::Debug, false),
            ("rustls", Level::Warn, true),
            ("jiff::tz::db", Level::Warn, false),
        ] {
            let metadata = Metadata::builder().target(target).level(level).build();
            assert_eq!(is_shown(&metadata), expected, "{target} {level}");
        }
    }
}
