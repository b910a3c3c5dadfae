//! Retention: deleting what is past its time, or past the size that the file may have.
//!
//! [`policy`] says what is too old, [`delete`] deletes it.

pub mod delete;
pub mod policy;
