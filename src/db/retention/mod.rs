//! Retention: deletion of what is past its age, or past the maximum size of the database.
//!
//! [`policy`] decides what is deleted next, [`clock`] what time that goes by, [`delete`] deletes.

pub mod clock;
pub mod delete;
pub mod policy;
