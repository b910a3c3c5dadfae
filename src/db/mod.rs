//! Storage: SQLite, treated as its authors would on a card that wears.
//!
//! The `store` thread alone writes; readers have a connection of their own that cannot
//! write. Nothing here decides what is worth storing: that is `domain::ledger`.
//!
//! In reading order: `schema/` (what is kept, column by column) and [`schema`] (its
//! versions); [`open`] opens the [`file`], or says what the [`error`] is; [`open_files`] knows
//! the files that are open, and [`file_change`] what to do when others stand there; [`database`]
//! appends and [`last_values`] reads back; [`rollup`] sums up hours, days, and busy hours in
//! five minutes; [`retention`] says what is too old and deletes it, and [`tiers`] where each
//! begins; [`store`] is the thread that drives them; [`history`] and [`export`] read the past;
//! [`backup`], [`salvage`] and [`replace`] are for bad days, [`restore`] for the day after.
//! [`retry_request`] is how a command asks the service to tell refused alerts again.

pub mod backup;
#[cfg(test)]
#[path = "tests/bench.rs"]
mod bench;
pub mod connection;
pub mod database;
pub mod detached;
pub mod error;
pub mod export;
pub mod file;
pub mod file_change;
pub mod history;
#[cfg(test)]
#[path = "tests/kill.rs"]
mod kill;
pub mod last_run;
pub mod last_values;
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
pub mod salvage;
pub mod schema;
pub mod store;
#[cfg(test)]
#[path = "tests/support.rs"]
pub mod test_support;
pub mod tiers;
