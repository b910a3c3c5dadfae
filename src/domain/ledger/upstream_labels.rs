//! Labels that followed nodes give their keys.
//!
//! A part of the ledger, on its thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Ledger;
use crate::domain::plan::Plan;
use crate::domain::reading::UpstreamLabels;

impl Ledger {
    /// Makes the labelled plan anew if the labels of the newest responses differ from it.
    pub(super) fn update_upstream_labels(&mut self) {
        let nodes = self.sources.iter().filter_map(|it| it.upstream.as_deref());
        let mut labels = UpstreamLabels::new();
        for (key, label) in nodes.flat_map(|node| &node.labels) {
            // The first source counts, as it does for values.
            labels.entry(key.clone()).or_insert_with(|| label.clone());
        }
        mark_shared(&mut labels);
        if labels != *self.labelled_plan.upstream_labels {
            self.labelled_plan = Arc::new(Plan {
                upstream_labels: Arc::new(labels),
                ..(*self.plan).clone()
            });
        }
    }
}

fn mark_shared(labels: &mut UpstreamLabels) {
    let mut keys_by_label: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for text in labels.values().filter_map(|it| it.label.clone()) {
        *keys_by_label.entry(text).or_default() += 1;
    }
    for label in labels.values_mut() {
        let text = label.label.as_ref();
        let keys = text.and_then(|text| keys_by_label.get(text));
        label.is_shared = keys.is_some_and(|keys| *keys > 1);
    }
}
