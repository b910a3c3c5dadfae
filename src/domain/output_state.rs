//! State of an output: whether it reaches its receiver, and what it has sent.

use std::sync::Arc;

use super::time::{Mono, Wall};

/// What is known of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputState {
    pub name: Arc<str>,
    /// Where it sends to, without secrets.
    pub destination: Arc<str>,
    /// Whether the receiver accepted something lately.
    pub is_connected: bool,
    pub failure: Option<OutputFailure>,
    /// What a person should know though it works, in one sentence.
    pub note: Option<String>,
    /// Messages, rows or requests that the receiver has accepted since the start.
    pub sent: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// What was given up since the start.
    pub dropped: u64,
    /// What is still to be sent, where the output knows.
    pub waiting: Option<u64>,
    pub last_sent: Option<Wall>,
}

/// Why an output does not reach its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFailure {
    pub since: Mono,
    /// One sentence.
    pub why: String,
}

impl OutputState {
    pub fn new(name: &str, destination: &str) -> OutputState {
        OutputState {
            name: name.into(),
            destination: destination.into(),
            is_connected: false,
            failure: None,
            note: None,
            sent: 0,
            failures: 0,
            dropped: 0,
            waiting: None,
            last_sent: None,
        }
    }

    /// `up`, `down`, or `starting` before the first attempt has ended.
    pub fn name_of_state(&self) -> &'static str {
        match (&self.failure, self.is_connected) {
            (Some(_), _) => "down",
            (None, true) => "up",
            (None, false) => "starting",
        }
    }
}
