//! Messages by template: one request for each key, or one for the whole snapshot.
//!
//! Pure.

use std::sync::Arc;

use ureq::http::Method;

use super::message::{MessageDigest, PushMessage};
use super::selection::selected;
use crate::config::PushTemplates;
use crate::domain::plan::{KeySelector, Plan};
use crate::domain::snapshot::{Record, Snapshot, newest};
use crate::domain::snapshot_body;
use crate::domain::template::{TemplateValue, TextTemplate};
use crate::limits;

/// What a message about the whole snapshot is called.
const ALL_KEYS: &str = "";

/// A receiver with placeholders in its address, headers and body.
pub struct TemplateReceiver {
    pub templates: PushTemplates,
    pub method: Method,
    pub keys: Vec<KeySelector>,
    pub headers: Vec<(String, String)>,
    pub node: Arc<str>,
}

/// A receiver of the body of `/snapshot`.
pub struct SnapshotReceiver {
    pub url: String,
    pub method: Method,
    pub keys: Vec<KeySelector>,
    pub headers: Vec<(String, String)>,
}

impl TemplateReceiver {
    /// The messages, and how many keys are left out.
    pub fn messages(&self, snapshot: &Snapshot, plan: &Plan) -> (Vec<PushMessage>, usize) {
        let records = selected(snapshot, &self.keys);
        if records.is_empty() {
            return (Vec::new(), 0);
        }
        if !self.templates.is_per_key {
            let timestamp = newest(records.iter().copied()).map(|it| it.to_string());
            let common = self.common_values(snapshot);
            return (vec![self.message(ALL_KEYS, &common, timestamp)], 0);
        }
        let plan = plan.with_upstream_labels(&snapshot.upstream_labels);
        let shown = records.iter().take(limits::PUSH_KEYS);
        let messages = shown.map(|record| self.key_message(snapshot, &plan, record));
        let left_out = records.len().saturating_sub(limits::PUSH_KEYS);
        (messages.collect(), left_out)
    }

    fn common_values<'a>(
        &'a self,
        snapshot: &'a Snapshot,
    ) -> Vec<(&'static str, TemplateValue<'a>)> {
        let alert = snapshot.alert.as_deref();
        vec![
            ("node", TemplateValue::Text(&self.node)),
            (
                "alert",
                alert.map_or(TemplateValue::Absent, TemplateValue::Text),
            ),
        ]
    }

    fn key_message(&self, snapshot: &Snapshot, plan: &Plan, record: &Record) -> PushMessage {
        let label = plan.full_label(&record.key);
        let text = plan.shown_value(record);
        let number = record.value.number();
        let value = match (number, record.value.text()) {
            (Some(number), _) => TemplateValue::Number(number),
            (None, Some(text)) => TemplateValue::parse(text),
            (None, None) => TemplateValue::Absent,
        };
        let unit = record.unit.as_deref();
        let mut values = self.common_values(snapshot);
        values.extend([
            ("key", TemplateValue::Text(&record.key)),
            ("value", value),
            (
                "unit",
                unit.map_or(TemplateValue::Absent, TemplateValue::Text),
            ),
            ("label", TemplateValue::Text(&label)),
            ("text", TemplateValue::Text(&text)),
            ("stale", TemplateValue::Boolean(record.stale)),
        ]);
        self.message(
            &record.key,
            &values,
            Some(record.stamp.observed.to_string()),
        )
    }

    fn message(
        &self,
        about: &str,
        values: &[(&'static str, TemplateValue<'_>)],
        timestamp: Option<String>,
    ) -> PushMessage {
        // Without times, so that these alone are no change.
        let digest = MessageDigest::new(self.filled(values), &timestamp);
        let time = timestamp.as_deref();
        let time = time.map_or(TemplateValue::Absent, TemplateValue::Text);
        let values: Vec<_> = values
            .iter()
            .copied()
            .chain([("timestamp", time)])
            .collect();
        let (url, headers, body) = self.filled(&values);
        PushMessage {
            about: about.into(),
            digest: MessageDigest {
                times: if self.has_times() { digest.times } else { 0 },
                ..digest
            },
            method: self.method.clone(),
            url,
            headers: self.headers.iter().cloned().chain(headers).collect(),
            body,
        }
    }

    fn filled(
        &self,
        values: &[(&'static str, TemplateValue<'_>)],
    ) -> (String, Vec<(String, String)>, String) {
        let headers = self.templates.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.fill(values)));
        let body = self.templates.body.as_ref().map(|it| it.fill(values));
        (
            self.templates.url.fill(values),
            headers.collect(),
            body.unwrap_or_default(),
        )
    }

    fn has_times(&self) -> bool {
        let uses_time = |it: &TextTemplate| it.uses("timestamp");
        uses_time(&self.templates.url)
            || self.templates.body.as_ref().is_some_and(uses_time)
            || self.templates.headers.iter().any(|(_, it)| uses_time(it))
    }
}

impl SnapshotReceiver {
    pub fn messages(&self, snapshot: &Snapshot) -> (Vec<PushMessage>, usize) {
        let records = selected(snapshot, &self.keys);
        if records.is_empty() {
            return (Vec::new(), 0);
        }
        let body = snapshot_body::json(snapshot, &records);
        let content = snapshot_body::without_timestamp(body.as_bytes());
        let mut headers = self.headers.clone();
        let is_type = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
        if !headers.iter().any(is_type) {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        let message = PushMessage {
            about: ALL_KEYS.into(),
            digest: MessageDigest::new(content, &body),
            method: self.method.clone(),
            url: self.url.clone(),
            headers,
            body,
        };
        (vec![message], 0)
    }
}
