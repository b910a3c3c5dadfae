//! The commands that are not the service: each prints and returns its exit status.
//!
//! They run on the main thread, beside a running service or without one.

pub mod alerting;
pub mod operations;
pub mod rehearse;
mod report;
pub mod test_alert;
