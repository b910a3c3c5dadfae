//! Storage: SQLite, treated as its authors would on a card that wears.
//!
//! The `store` thread alone writes; readers have a connection of their own that cannot
//! write. Nothing here decides what is worth storing: that is `domain::ledger`.
//!
//! In reading order: `schema.sql` (what is kept, column by column) and [`schema`] (its
//! versions); [`session`] opens the [`file`], or says what the [`trouble`] is; [`in_use`] knows
//! the files that are open, and [`exchange`] what to do when others stand there; [`repository`]
//! appends and [`restore`] reads back; [`rollup`] sums up hours and days, [`fives`] busy hours
//! in parts; [`retention`] says what is too old, [`expiry`] drops it, and [`tiers`] where each
//! begins; [`store`] is the thread that drives them; [`history`] and [`export`] read the past;
//! [`backup`], [`salvage`] and [`replace`] are for bad days, [`staged`] for the day after.
//! [`retry`] is how a command asks the service to tell refused alerts again.

pub mod backup;
#[cfg(test)]
mod bench;
pub mod exchange;
pub mod expiry;
pub mod export;
pub mod file;
pub mod fives;
pub mod history;
pub mod in_use;
#[cfg(test)]
mod kill;
pub mod outbox;
#[cfg(test)]
mod powercut;
pub mod quota;
pub mod replace;
pub mod repository;
pub mod restore;
pub mod retention;
pub mod retry;
pub mod rollup;
pub mod salvage;
pub mod schema;
pub mod session;
pub mod staged;
pub mod store;
#[cfg(test)]
pub mod testing;
pub mod tiers;
pub mod trouble;
