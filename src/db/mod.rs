//! Storage: SQLite, treated as its authors would on a card that wears.
//!
//! The `store` thread alone writes; readers have a connection of their own that cannot
//! write. Nothing here decides what is worth storing: that is `domain::ledger`.
//!
//! In reading order:
//! - what is stored: `schema/current.sql` (every column), [`schema`] (versions and migrations),
//!   [`periods`], [`row_codec`], [`tiers`];
//! - opening: [`file`](mod@file), [`error`], [`open_files`] (registry), [`connection`], [`open`];
//! - writing: [`database`] appends, [`rollup`] sums up, [`retention`] deletes, [`outbox`] and
//!   [`quota`] keep alerts and quotas, [`store`] is the thread that drives them in small steps
//!   ([`progress`]);
//! - derived keys: [`derived_windows`] saves, restores and rebuilds their windows;
//! - reading: [`last_run`] and [`last_values`] at start, [`history`], [`export`], [`meters`],
//!   [`row_feed`] for outputs that forward rows;
//! - import: [`staging`] reads another file into one that the writer can take;
//! - copies and repair: [`backup`], [`restore`] and [`replace`]; [`file_change`] and [`detached`]
//!   for files that were replaced while open; [`salvage`] for damage. [`volatile`] tells
//!   storage that keeps nothing. [`retry_request`] is how a command asks the service to send refused
//!   alerts again;
//! - changes that a command asks for: [`maintenance`] (import, rename, forget), [`service_lock`].

pub mod backup;
#[cfg(test)]
#[path = "tests/bench.rs"]
mod bench;
pub mod connection;
pub mod database;
mod day_ranges;
pub mod derived_windows;
pub mod detached;
pub mod error;
pub mod export;
pub mod file;
pub mod file_change;
mod forecast;
mod forward_cursor;
pub mod history;
mod id_ranges;
#[cfg(test)]
#[path = "tests/kill.rs"]
mod kill;
pub mod last_run;
pub mod last_values;
pub mod maintenance;
pub mod meters;
pub mod open;
pub mod open_files;
pub mod outbox;
pub mod periods;
#[cfg(test)]
#[path = "tests/powercut.rs"]
mod powercut;
pub mod progress;
pub mod quota;
pub mod replace;
pub mod restore;
pub mod retention;
pub mod retry_request;
pub mod rollup;
pub mod row_codec;
pub mod row_feed;
pub mod salvage;
pub mod schema;
pub mod service_lock;
pub mod staging;
pub mod store;
#[cfg(test)]
#[path = "tests/support.rs"]
pub mod test_support;
pub mod tiers;
pub mod volatile;
