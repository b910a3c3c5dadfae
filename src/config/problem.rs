//! Configuration problems and remarks, each with its place.

use std::fmt;

/// Something wrong in the configuration: where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `main-node.toml:12:3`, `.env:2`, or the name of an environment variable.
    pub place: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Something that `check` says about a configuration that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub weight: Severity,
    pub problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Certainly not what was meant, and yet no reason for a service not to start.
    Problem,
    Note,
    /// Only the sources can tell.
    NotChecked,
}

#[cfg(test)]
#[path = "tests/problem.rs"]
mod tests;
