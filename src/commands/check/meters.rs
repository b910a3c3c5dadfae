//! Check for meters: keys that only rise, and that the configuration does not call counters.
//!
//! Reads the database where there is one, read-only.

use super::Finding::{self, NotChecked, Note};
use crate::config::Config;
use crate::db::file::{self, FileKind};
use crate::db::meters::rising_keys;
use crate::db::{connection, error, schema};
use crate::domain::text::and_more;
use crate::domain::time::Wall;
use crate::domain::toml_text::key_table;
use crate::sys::clock::{Clock, SystemClock};

/// Keys that are named one by one.
const SHOWN: usize = 5;

pub fn findings(config: &Config) -> Vec<Finding> {
    find(config, SystemClock::new().now().wall)
}

fn find(config: &Config, now: Wall) -> Vec<Finding> {
    // A database of an older version is migrated at the next start; then it can be read.
    let is_current = match file::probe(&config.database) {
        Ok(FileKind::MainNode { version }) => version == schema::VERSION,
        _ => false,
    };
    if !is_current {
        return Vec::new();
    }
    let rising = connection::open_read_only(&config.database)
        .and_then(|connection| rising_keys(&connection, now));
    let rising = match rising {
        Ok(rising) => rising,
        Err(error) => {
            let why = error::describe(&error);
            return vec![NotChecked(format!("which keys are meters: {why}"))];
        }
    };
    let plan = config.plan();
    let is_told = |key: &str| plan.key_setting(key, |it| it.counter).is_some();
    let mut untold = rising.into_iter().filter(|it| !is_told(&it.key));
    let named: Vec<_> = untold.by_ref().take(SHOWN).collect();
    let more = and_more(untold.count());
    let last = named.len().saturating_sub(1);
    let note = |(index, found): (usize, crate::db::meters::RisingKey)| {
        let more = if index == last { more.as_str() } else { "" };
        Note(format!(
            "{} never fell in 7 days and rose on {} of them: if it is a meter, `counter = true` in \
             {} shows what it adds each day{more}",
            found.key,
            found.days,
            key_table(&found.key)
        ))
    };
    named.into_iter().enumerate().map(note).collect()
}
