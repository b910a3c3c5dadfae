//! Response parser: a body to readings and issues, or to a failure.
//!
//! Pure.

use serde_json::Value as Json;

use super::error_message;
use super::fetch_result::FetchResult;
use super::follow;
use super::http_response::FetchedResponse;
use super::pagination::Pages;
use super::parsed_body::{NotANumber, ParsedBody};
use super::response_format;
use crate::domain::failure::{Cause, Failure};
use crate::domain::normalise::{LastAccepted, RecordOrigins, find_origins, normalise};
use crate::domain::plan::{Numbers, ResponseFormat, Selection, SourcePlan};
use crate::domain::reading::{FetchOutcome, Issue, Reason};
use crate::domain::text::and_more;
use crate::domain::time::Moment;
use crate::limits;
use crate::sys::sync::Mutex;
use openapi::operation::Operation;
use openapi::schema::Validator;

/// Parser for the responses of one source.
pub struct ResponseParser<'a> {
    pub plan: &'a SourcePlan,
    pub operation: Option<&'static Operation>,
    /// This node's own name, if the source is another main-node.
    pub follow: Option<&'a str>,
    pub last_accepted: &'a LastAccepted,
    /// Takes where the records come from, for a command to show.
    pub found: Option<&'a Mutex<RecordOrigins>>,
}

impl ResponseParser<'_> {
    /// Parses a response with a body.
    pub fn parse(&self, fetched: &FetchedResponse, begun: Moment) -> FetchResult {
        match response_format::parse(fetched, self.plan) {
            Ok(body) => self.select(body, fetched, fetched.body.len() as u64, begun),
            Err(failure) => FetchResult::failed(failure, Vec::new(), fetched.body.len() as u64),
        }
    }

    /// Parses several pages as one response; `first` is the head of the first.
    pub fn parse_pages(&self, pages: Pages, first: &FetchedResponse, begun: Moment) -> FetchResult {
        let mut result = self.select(pages.body, first, pages.bytes, begun);
        if let FetchOutcome::Readings { issues, .. } | FetchOutcome::Failed { issues, .. } =
            &mut result.outcome
        {
            issues.splice(0..0, pages.more);
            issues.truncate(limits::ISSUES_PER_RESPONSE);
        }
        result
    }

    /// The readings of a parsed body of `bytes`.
    fn select(
        &self,
        body: ParsedBody,
        fetched: &FetchedResponse,
        bytes: u64,
        begun: Moment,
    ) -> FetchResult {
        let ParsedBody {
            tree,
            mut issues,
            not_numbers,
        } = body;
        let host = fetched.host();
        let failed = |failure| FetchResult::failed(failure, Vec::new(), bytes);
        let (normalised, upstream) = match self.follow {
            None => {
                let plan = self.plan.at_time(begun.wall);
                let normalised = normalise(&plan, &tree, self.last_accepted, begun);
                if let Some(found) = self.found {
                    *found.lock() = find_origins(&plan, &tree);
                }
                (normalised, None)
            }
            Some(own) => match follow::parse_snapshot(&tree, own, host, self.plan.max_records) {
                Ok((normalised, upstream)) => (normalised, Some(upstream)),
                Err(failure) => return failed(failure),
            },
        };
        issues.extend(normalised.issues);
        let is_all = matches!(self.plan.selection, Selection::AllLeaves { .. });
        name_not_numbers(&mut issues, not_numbers, is_all && self.follow.is_none());
        issues.truncate(limits::ISSUES_PER_RESPONSE);
        let room = limits::ISSUES_PER_RESPONSE - issues.len();
        issues.extend(
            self.check_schema(&tree, fetched.status)
                .into_iter()
                .take(room),
        );
        issues.iter_mut().for_each(Issue::shorten);
        if normalised.is_empty_answer && issues.is_empty() {
            return FetchResult::new(FetchOutcome::Empty, bytes);
        }
        let is_empty = normalised.readings.is_empty() && normalised.series.is_empty();
        let is_stated =
            normalised.series.is_empty() && normalised.readings.iter().all(|it| it.is_stated);
        if is_empty || is_stated && error_message::has_message(&tree) {
            let failure = no_readings(&issues, &tree, host);
            return FetchResult::failed(failure, issues, bytes);
        }
        let outcome = FetchOutcome::Readings {
            observed: normalised.observed,
            readings: normalised.readings,
            series: normalised.series,
            issues,
        };
        FetchResult {
            upstream,
            ..FetchResult::new(outcome, bytes)
        }
    }

    /// Where the response violates the schema of the OpenAPI file.
    fn check_schema(&self, body: &Json, status: u16) -> Vec<Issue> {
        // The schema of a CSV is that of one text, that of an XML names no attributes.
        let operation = self
            .operation
            .filter(|_| self.plan.format == ResponseFormat::Json);
        let Some(operation) = operation else {
            return Vec::new();
        };
        let declared = operation.schema_for(status);
        let schema = declared.unwrap_or_else(|| operation.response());
        let validator = Validator {
            bound: limits::ISSUES_PER_RESPONSE / 2,
            numbers_as_text: self.plan.numbers == Numbers::Lenient,
        };
        let drift = validator.validate(schema, body).into_iter();
        drift
            .map(|drift| Issue {
                reason: Reason::Drift,
                key: None,
                pointer: drift.pointer,
                expected: drift.expected,
                found: drift.found,
            })
            .collect()
    }
}

/// Shows `nan` where an issue found the null that it was read as. `is_all`: each is a field
/// that was asked for.
fn name_not_numbers(issues: &mut Vec<Issue>, not_numbers: Vec<NotANumber>, is_all: bool) {
    for not_number in not_numbers {
        let mut is_known = false;
        for issue in issues.iter_mut() {
            if issue.pointer == not_number.pointer && issue.found == "null" {
                issue.found.clone_from(&not_number.text);
                is_known = true;
            }
        }
        if is_all && !is_known && issues.len() < limits::ISSUES_PER_RESPONSE {
            issues.push(Issue {
                reason: Reason::NotFinite,
                key: None,
                pointer: not_number.pointer,
                expected: "a number".to_owned(),
                found: not_number.text,
            });
        }
    }
}

/// Why a JSON response gave no reading at all.
fn no_readings(issues: &[Issue], tree: &Json, host: &str) -> Failure {
    let drift = issues.iter().find(|issue| issue.reason == Reason::Drift);
    let (cause, first) = match drift {
        Some(drift) => (Cause::Schema, Some(drift)),
        None => (Cause::Empty, issues.first()),
    };
    let detail = match first {
        Some(issue) => {
            let pointer = match issue.pointer.as_str() {
                "" => "the whole response",
                pointer => pointer,
            };
            format!(
                "no readings in the response of {host}; {pointer}: expected {}, found {}{}",
                issue.expected,
                issue.found,
                and_more(issues.len() - 1)
            )
        }
        None => format!("no number in the response of {host}"),
    };
    Failure::new(cause, detail + &error_message::describe(tree))
}

#[cfg(test)]
#[path = "tests/response_parser.rs"]
mod tests;
