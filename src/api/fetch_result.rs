//! Result of one fetch before it becomes an observation.
//!
//! A value; secrets are masked here.

use std::borrow::Cow;
use std::time::Duration;

use super::sent_request::Validators;
use crate::domain::failure::Failure;
use crate::domain::reading::{FetchOutcome, Issue, UpstreamNode, Value};
use crate::domain::redact::Secrets;

/// Result of one fetch.
pub struct FetchResult {
    pub outcome: FetchOutcome,
    pub bytes: u64,
    pub retry_after: Option<Duration>,
    pub upstream: Option<UpstreamNode>,
    /// Kept for the next request if the response was usable.
    pub validators: Option<Validators>,
}

impl FetchResult {
    pub fn new(outcome: FetchOutcome, bytes: u64) -> FetchResult {
        FetchResult {
            outcome,
            bytes,
            retry_after: None,
            upstream: None,
            validators: None,
        }
    }

    pub fn failed(failure: Failure, issues: Vec<Issue>, bytes: u64) -> FetchResult {
        let retry_after = failure.retry_after;
        FetchResult {
            retry_after,
            ..FetchResult::new(FetchOutcome::Failed { failure, issues }, bytes)
        }
    }

    /// Masks configured secrets in all texts that come from the response.
    pub fn mask(&mut self, secrets: &Secrets) {
        if secrets.is_empty() {
            return;
        }
        let mask = |text: &mut String| *text = secrets.mask(text).into_owned();
        let issues = match &mut self.outcome {
            FetchOutcome::Unchanged | FetchOutcome::Empty => return,
            FetchOutcome::Failed { failure, issues } => {
                mask(&mut failure.detail);
                issues
            }
            FetchOutcome::Readings {
                readings, issues, ..
            } => {
                for reading in readings {
                    if let Value::Text(text) = &mut reading.value
                        && let Cow::Owned(masked) = secrets.mask_data(text)
                    {
                        *text = masked.into();
                    }
                }
                issues
            }
        };
        for issue in issues {
            mask(&mut issue.pointer);
            mask(&mut issue.expected);
            mask(&mut issue.found);
            if let Some(key) = &mut issue.key
                && let Cow::Owned(masked) = secrets.mask_data(key)
            {
                *key = masked.into();
            }
        }
        if let Some(upstream) = &mut self.upstream
            && let Some(alert) = &mut upstream.alert
            && let Cow::Owned(masked) = secrets.mask(alert)
        {
            *alert = masked.into();
        }
    }
}
