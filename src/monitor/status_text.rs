//! Status text: the node's state in sentences: what is wrong, since when, and why.
//!
//! Pure; any thread. `/status` and the pages both use it, so that they show the same.

mod problems;

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::domain::failure::Cause;
use crate::domain::health::{SourceState, Storage};
use crate::domain::output_state::OutputState;
use crate::domain::plan::Plan;
use crate::domain::snapshot::{DataStatus, Snapshot, SourceSnapshot};
use crate::domain::text::capitalised;
use crate::domain::time::Moment;
use crate::monitor::context::{ChannelState, RefusedConfiguration};

/// The node's state, for people and for programs.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStatus {
    pub verdict: DataStatus,
    /// One sentence.
    pub headline: String,
    /// What is wrong, the worst first; without any, the headline says how it is.
    pub problems: Vec<StatusSentence>,
    /// How many sources answer, and how many values are fresh.
    pub totals: String,
}

/// A sentence, and the page that shows more.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusSentence {
    /// Its beginning, which is the link.
    pub subject: String,
    pub rest: String,
    pub page: StatusPage,
    /// Whether nothing comes, rather than something that is worth a look.
    pub is_failure: bool,
}

/// Where a sentence leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusPage {
    Key(Arc<str>),
    Source(Arc<str>),
    Alerts,
    System,
}

impl StatusSentence {
    fn new(
        page: StatusPage,
        subject: impl Into<String>,
        rest: impl Into<String>,
    ) -> StatusSentence {
        StatusSentence {
            subject: subject.into(),
            rest: rest.into(),
            page,
            is_failure: false,
        }
    }

    fn failure(self) -> StatusSentence {
        StatusSentence {
            is_failure: true,
            ..self
        }
    }

    pub fn text(&self) -> String {
        format!("{}{}", self.subject, self.rest)
    }
}

impl NodeStatus {
    /// The problems besides the headline.
    pub fn details(&self) -> Vec<String> {
        self.problems
            .iter()
            .skip(1)
            .map(StatusSentence::text)
            .collect()
    }
}

/// What the state is made of.
pub struct StateFacts<'a> {
    pub snapshot: &'a Snapshot,
    pub plan: &'a Plan,
    pub storage: &'a Storage,
    pub channels: &'a [ChannelState],
    pub outputs: &'a [OutputState],
    pub refused_configuration: Option<&'a RefusedConfiguration>,
    pub now: Moment,
    pub started: Moment,
    pub timezone: &'a TimeZone,
}

/// Collects all problems, the worst first.
pub fn node_status(facts: &StateFacts) -> NodeStatus {
    let StateFacts {
        snapshot,
        channels,
        now,
        ..
    } = *facts;
    let mut problems = Vec::new();
    // What its owner wants to be told comes first, and what keeps it from being told.
    let alerts = snapshot.alerts.iter();
    problems.extend(alerts.filter_map(|alert| problems::value_alert(facts, alert)));
    problems.extend(channels.iter().filter_map(problems::refused_alerts));
    problems.extend(problems::refused_configuration(facts));
    problems.extend(problems::failing_sources(snapshot, now));
    problems.extend(problems::conflicts(snapshot));
    problems.extend(problems::stale_records(facts));
    problems.extend(problems::other_alerts(facts));
    let channels = channels.iter();
    problems.extend(channels.filter_map(|it| problems::waiting_alerts(it, now)));
    let outputs = facts.outputs.iter();
    problems.extend(outputs.filter_map(|it| problems::failing_output(it, now)));
    problems.extend(problems::storage_problems(facts.storage));
    problems.extend(problems::clock_problem(now, facts.started));
    problems.extend(problems::unprovided_keys(snapshot));
    problems.extend(problems::derived_faults(facts));
    problems.extend(problems::omitted_records(snapshot));
    let verdict = match snapshot.data_status() {
        DataStatus::Pass if !problems.is_empty() => DataStatus::Warn,
        verdict => verdict,
    };
    let headline = match (verdict, problems.first()) {
        (DataStatus::Pass, _) => all_fresh(snapshot),
        (_, None) => waiting_for_sources(snapshot),
        (_, Some(worst)) => worst.text(),
    };
    NodeStatus {
        verdict,
        headline,
        problems,
        totals: totals(snapshot),
    }
}

/// `10 of 12 sources answer, 66 of 73 values are fresh.`
fn totals(snapshot: &Snapshot) -> String {
    let (sources, records) = (&snapshot.sources, &snapshot.records);
    let up = sources
        .iter()
        .filter(|it| it.health.state() == SourceState::Up);
    let fresh = records.iter().filter(|record| !record.stale).count();
    let of = |count: usize, all: usize, what: &str, verb: (&str, &str)| match all {
        0 => format!("no {what} {}", verb.0),
        1 => format!("{count} of 1 {what} {}", verb.0),
        all if all == count => format!("all {all} {what}s {}", verb.1),
        all => format!("{count} of {all} {what}s {}", verb.1),
    };
    let sources = of(up.count(), sources.len(), "source", ("answers", "answer"));
    let values = of(fresh, records.len(), "value", ("is fresh", "are fresh"));
    capitalised(&format!("{sources}, {values}."))
}

fn all_fresh(snapshot: &Snapshot) -> String {
    match snapshot.sources.as_slice() {
        [] => "All values are fresh.".to_owned(),
        [only] => format!("{} is fresh.", only.name),
        [_, _] => "Both sources are fresh.".to_owned(),
        sources => format!("All {} sources are fresh.", sources.len()),
    }
}

fn waiting_for_sources(snapshot: &Snapshot) -> String {
    let sources = snapshot.sources.iter();
    let waiting: Vec<&SourceSnapshot> = sources
        .filter(|source| source.health.state() == SourceState::Waiting)
        .collect();
    match waiting.as_slice() {
        [] if snapshot.sources.is_empty() => {
            "There are no sources: nothing is configured.".to_owned()
        }
        [] => "The sources answer, with no fresh value yet.".to_owned(),
        [only] => format!("Waiting for the first response from {}.", only.name),
        sources => format!(
            "Waiting for the first responses from {} sources.",
            sources.len()
        ),
    }
}

/// A cause as the end of a sentence: "weather has not answered for 5 min: …".
pub fn cause_text(cause: Cause) -> &'static str {
    match cause {
        Cause::Clock => "this node's clock is not set",
        Cause::Network => "no network",
        Cause::Dns => "its name cannot be resolved",
        Cause::Connect => "connection refused or closed",
        Cause::Tls => "the TLS connection failed",
        Cause::Timeout => "timed out",
        Cause::TooLarge => "the response is too large",
        Cause::Protocol => "invalid HTTP response",
        Cause::Redirect => "invalid redirect",
        Cause::HttpStatus => "HTTP error status",
        Cause::RateLimited => "rate limited",
        Cause::NotJson => "the response cannot be parsed",
        Cause::Schema => "the response does not match its schema",
        Cause::Empty => "the response has none of the selected values",
        Cause::DuplicateKey => "other sources provide all of its keys",
        Cause::Storage => "its token cannot be kept",
        Cause::Configuration => "its OpenAPI file cannot be used",
    }
}

#[cfg(test)]
#[path = "tests/status_text.rs"]
mod tests;
