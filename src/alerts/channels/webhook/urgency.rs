//! Urgency of a message: what the services' priorities, tags and signs are made of.

use super::format::FormatInput;
use crate::domain::alert_level::AlertLevel;

/// From the least to the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Every incident of the message has ended.
    Ended,
    Info,
    Warning,
    Critical,
}

pub fn urgency(input: &FormatInput<'_>) -> Urgency {
    let is_over = input.events.iter().all(|item| {
        let incident = item.event.incident;
        let mut events = input.events.iter().rev();
        // The last event of an incident says how it stands.
        let last = events.find(|other| other.event.incident == incident);
        last.is_some_and(|last| last.event.kind.closes())
    });
    if is_over {
        return Urgency::Ended;
    }
    match input.level {
        AlertLevel::Info => Urgency::Info,
        AlertLevel::Warning => Urgency::Warning,
        AlertLevel::Critical => Urgency::Critical,
    }
}
