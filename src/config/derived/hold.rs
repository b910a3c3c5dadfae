//! Hold of derived integrals: how long the last value of an input counts.

use std::sync::Arc;
use std::time::Duration;

use super::DerivedTable;
use crate::config::types::{KeySpans, SourceConfig};
use crate::domain::derived_key::{DerivedKey, DerivedRule};
use crate::domain::plan::{Selection, SourcePlan};
use crate::limits;

/// How long a value of each input holds that no other follows: until it is stale.
pub fn set_holds(
    tables: &mut [DerivedTable],
    sources: &[(SourceConfig, KeySpans)],
    key_stale_after: impl Fn(&str) -> Option<Duration>,
) {
    let keys: Vec<DerivedKey> = tables.iter().map(|table| table.key.clone()).collect();
    let of_source = |key: &str| {
        let plans = || sources.iter().map(|(source, _)| &source.plan);
        let names = |plan: &&SourcePlan| match &plan.selection {
            Selection::Selectors(selectors) => selectors.iter().any(|it| it.selects_key(key)),
            Selection::AllLeaves { .. } => false,
        };
        let is_leaves = |plan: &&SourcePlan| matches!(plan.selection, Selection::AllLeaves { .. });
        let plan = plans().find(names).or_else(|| plans().find(is_leaves));
        plan.map_or(limits::DEFAULT_HOLD, |plan| {
            plan.default_stale_after(Duration::ZERO)
        })
    };
    let hold = |input: &Arc<str>| {
        let mut open = vec![input.clone()];
        let mut at = 0;
        let mut least: Option<Duration> = None;
        while let Some(key) = open.get(at).cloned() {
            at += 1;
            let derived = keys.iter().find(|it| it.key == key);
            let own = derived
                .and_then(|it| it.stale_after)
                .or_else(|| key_stale_after(&key));
            let known = match (own, derived) {
                (Some(own), _) => own,
                (None, None) => of_source(&key),
                (None, Some(derived)) => {
                    let inputs = derived.inputs().iter();
                    let new: Vec<_> = inputs.filter(|it| !open.contains(it)).cloned().collect();
                    open.extend(new);
                    continue;
                }
            };
            least = Some(least.map_or(known, |least| least.min(known)));
        }
        least.unwrap_or(limits::DEFAULT_HOLD)
    };
    for table in tables {
        if let DerivedRule::Window(rule) = &mut table.key.rule {
            rule.hold = hold(&rule.input);
        }
    }
}
