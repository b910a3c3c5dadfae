//! Configuration problems and remarks, each with its location.

use std::fmt;

/// An error in the configuration: its location, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `main-node.toml:12:3`, `.env:2`, or the name of an environment variable.
    pub location: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

/// A warning or note about a valid configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub severity: Severity,
    pub problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Certainly a mistake, but the service can start.
    Problem,
    Note,
    /// Only the responses can show whether it is a mistake.
    NotChecked,
}

#[cfg(test)]
#[path = "tests/problem.rs"]
mod tests;
