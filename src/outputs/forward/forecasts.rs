//! Forecasts of a forwarding output: what is stored ahead of its time, where it has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::LineBatch;
use super::line_protocol::{LineFormat, LinePoint};
use crate::domain::reading::TimedValue;
use crate::domain::stable_hash::hash;
use crate::domain::stored_rows::{FeedPlace, RowFeed};

/// Seconds and hashes of values, in order.
type SentElements = Vec<(i64, u64)>;

/// What was sent of each key. It is bounded as the table is.
#[derive(Default)]
pub struct SentForecasts {
    sent: BTreeMap<Arc<str>, SentElements>,
    /// The state of the table that was read to the end.
    done: Option<(u64, u64)>,
    /// The last key that was read of another one.
    cursor: String,
    reading: (u64, u64),
    /// What is sent with the batch that was given out last.
    pending: Option<(Arc<str>, SentElements)>,
}

impl SentForecasts {
    /// Lines of the next key that has changed elements; `None` if none has.
    pub fn next_batch(
        &mut self,
        place: FeedPlace,
        feed: &dyn RowFeed,
        format: &LineFormat,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Option<LineBatch>, String> {
        let state = (place.epoch, place.forecast_changes);
        if self.done == Some(state) {
            return Ok(None);
        }
        if self.reading != state {
            self.reading = state;
            self.cursor.clear();
        }
        while let Some((key, elements)) = feed.read_forecast(&self.cursor)? {
            if is_wanted(&key) {
                let batch = self.changed(&key, &elements, format);
                if !batch.is_empty() {
                    return Ok(Some(batch));
                }
            }
            self.cursor = key.to_string();
        }
        self.done = Some(state);
        Ok(None)
    }

    fn changed(
        &mut self,
        key: &Arc<str>,
        elements: &[TimedValue],
        format: &LineFormat,
    ) -> LineBatch {
        let mut batch = LineBatch::default();
        let known = self.sent.get(key);
        let mut now = Vec::with_capacity(elements.len());
        for element in elements {
            let second = element.start.second();
            let entry = (second, hash(element.value.to_string().as_bytes()));
            now.push(entry);
            let is_known = known.is_some_and(|known| known.binary_search(&entry).is_ok());
            if !is_known {
                batch.push(
                    format,
                    &LinePoint {
                        key,
                        value: &element.value,
                        second,
                        untrusted: false,
                        is_forecast: true,
                    },
                );
            }
        }
        now.sort_unstable();
        self.pending = Some((key.clone(), now));
        batch
    }

    /// The last batch was taken.
    pub fn confirm(&mut self) {
        if let Some((key, sent)) = self.pending.take() {
            self.cursor = key.to_string();
            self.sent.insert(key, sent);
        }
    }
}

#[cfg(test)]
#[path = "tests/forecasts.rs"]
mod tests;
