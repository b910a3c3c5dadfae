//! Result of one fetch before it becomes an observation.
//!
//! A value; secrets are masked here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::cache_lifetime::CacheLifetime;
use super::validators::Validators;
use crate::domain::failure::Failure;
use crate::domain::reading::{FetchOutcome, Issue, Reading, UpstreamNode, Value};
use crate::domain::redact::Secrets;

/// Result of one fetch.
pub struct FetchResult {
    pub outcome: FetchOutcome,
    pub bytes: u64,
    pub retry_after: Option<Duration>,
    pub upstream: Option<UpstreamNode>,
    /// Kept for the next request if the response was usable.
    pub validators: Option<Validators>,
    pub cache_lifetime: CacheLifetime,
}

impl FetchResult {
    pub fn new(outcome: FetchOutcome, bytes: u64) -> FetchResult {
        FetchResult {
            outcome,
            bytes,
            retry_after: None,
            upstream: None,
            validators: None,
            cache_lifetime: CacheLifetime::default(),
        }
    }

    pub fn failed(failure: Failure, issues: Vec<Issue>, bytes: u64) -> FetchResult {
        let retry_after = failure.retry_after;
        FetchResult {
            retry_after,
            ..FetchResult::new(FetchOutcome::Failed { failure, issues }, bytes)
        }
    }

    /// Masks configured secrets in all texts that come from the response; in keys only those of
    /// `of_keys`.
    pub fn mask(&mut self, secrets: &Secrets, of_keys: &Secrets) {
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
                mask_keys(readings, of_keys);
                for reading in readings {
                    if let Some(unit) = &mut reading.unit
                        && let Cow::Owned(masked) = secrets.mask_data(unit)
                    {
                        *unit = masked.into();
                    }
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
                && let Cow::Owned(masked) = of_keys.mask_data(key)
            {
                *key = masked.into();
            }
        }
        if let Some(upstream) = &mut self.upstream {
            mask_upstream(upstream, secrets, of_keys);
        }
    }
}

fn mask_upstream(upstream: &mut UpstreamNode, secrets: &Secrets, of_keys: &Secrets) {
    if let Some(alert) = &mut upstream.alert
        && let Cow::Owned(masked) = secrets.mask(alert)
    {
        *alert = masked.into();
    }
    let nodes = std::iter::once(&mut upstream.node).chain(&mut upstream.via);
    for name in nodes {
        if let Cow::Owned(masked) = of_keys.mask_data(name) {
            *name = masked.into();
        }
    }
    for label in upstream.labels.values_mut() {
        if let Some(text) = &mut label.label
            && let Cow::Owned(masked) = secrets.mask_data(text)
        {
            *text = masked.into();
        }
    }
    let is_masked = |key: &Arc<str>| matches!(of_keys.mask_data(key), Cow::Owned(_));
    if upstream.records.keys().any(is_masked) {
        let records = std::mem::take(&mut upstream.records);
        for (key, record) in records {
            let key = match of_keys.mask_data(&key) {
                Cow::Borrowed(_) => key,
                Cow::Owned(masked) => masked.into(),
            };
            upstream.records.entry(key).or_insert(record);
        }
    }
}

/// Of several keys that are the same without their secrets, the first is kept.
fn mask_keys(readings: &mut Vec<Reading>, secrets: &Secrets) {
    let mut seen = BTreeSet::new();
    readings.retain_mut(|reading| match secrets.mask_data(&reading.key) {
        Cow::Borrowed(_) => true,
        Cow::Owned(masked) => {
            reading.key = masked.into();
            seen.insert(reading.key.clone())
        }
    });
}
