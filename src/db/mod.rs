//! Storage: SQLite, treated as its authors would on a card that wears.
//!
//! The `store` thread alone writes; readers have a connection of their own that cannot
//! write. Nothing here decides what is worth storing: that is `domain::ledger`.

pub mod outbox;
