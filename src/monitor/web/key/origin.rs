//! Origin of a key on its page: sources, paths, merging, time, issues; the formula of a derived key.

use std::sync::Arc;

use maud::{Markup, html};

use crate::domain::plan::{Merge, RecordSelector, Selection, SourcePlan};
use crate::domain::snapshot::{DerivedSnapshot, Record};
use crate::domain::text::human_duration;
use crate::domain::time::ClockTrust;
use crate::monitor::web::PageContext;
use crate::monitor::web::layout::key_name;

/// Sources of the plan that name the key, with their selectors of it.
pub fn selectors<'a>(view: &PageContext<'a>, key: &str) -> Vec<(&'a str, &'a RecordSelector)> {
    let pick = |source: &'a SourcePlan| match &source.selection {
        Selection::Selectors(picks) => {
            let pick = picks.iter().find(|pick| pick.selects_key(key))?;
            Some((&*source.name, pick))
        }
        Selection::AllLeaves { .. } => None,
    };
    view.plan.sources.iter().filter_map(pick).collect()
}

pub fn section(
    view: &PageContext,
    key: &str,
    record: Option<&Record>,
    origins: &[(&str, &RecordSelector)],
) -> Markup {
    let names = record
        .map(|record| record.sources.as_slice())
        .unwrap_or_default();
    let merge = view.plan.keys.get(key).and_then(|key| key.merge);
    let issues = view.snapshot.sources.iter().flat_map(|source| {
        let issues = source.health.issues.iter();
        let issues = issues.filter(|issue| issue.key.as_deref() == Some(key));
        issues.map(|issue| (&source.name, issue))
    });
    let issues: Vec<_> = issues.collect();
    html! {
        h2 { "Origin" }
        dl {
            @for name in names {
                dt { "Source" }
                dd { a href=(view.links.source(name)) { (name) } }
            }
            @for (name, pick) in origins {
                dt { "Read at" }
                dd {
                    code { (key_name(pick.at.as_str())) }
                    @if let Some(each) = &pick.each { " in each of " code { (key_name(each.as_str())) } }
                    " of " (name)
                }
            }
            @if origins.is_empty() {
                dt { "Read at" } dd { (leaf_path(view, names)) }
            }
            @if let Some(merge) = merge { dt { "Merged" } dd { (merge_text(merge)) } }
            @if let Some(record) = record {
                dt { "Time" }
                dd { (time_origin(view, record)) }
                dt { "Stale after" } dd { (human_duration(record.stale_after)) }
            }
        }
        @if !issues.is_empty() {
            h2 { "Issues" }
            ul {
                @for (name, issue) in issues {
                    li { (name) ": " (issue) }
                }
            }
        }
    }
}

/// Where a value is in a response of which all values are taken.
fn leaf_path(view: &PageContext, sources: &[Arc<str>]) -> Markup {
    let prefix = view.plan.sources.iter().find_map(|source| {
        let Selection::AllLeaves { prefix } = &source.selection else {
            return None;
        };
        (!prefix.is_empty() && sources.contains(&source.name)).then_some(prefix)
    });
    html! {
        "its path in the response, which is the key"
        @if let Some(prefix) = prefix { " without " code { (prefix) "." } " in front" }
    }
}

/// Whose time a value has, and whether its age goes by it.
fn time_origin(view: &PageContext, record: &Record) -> &'static str {
    if !record.stamp.has_source_time {
        return "time of the fetch";
    }
    match view.now.trust {
        ClockTrust::Trusted => "reported by the source",
        ClockTrust::Untrusted => {
            "reported by the source; the age is that since the fetch, because this clock is not set"
        }
        ClockTrust::Unknown => {
            "reported by the source; the age is that since the fetch, because nothing says that this clock is set"
        }
    }
}

/// What a derived key is computed from.
pub fn derivation(
    view: &PageContext,
    derived: &DerivedSnapshot,
    record: Option<&Record>,
) -> Markup {
    let position = view.plan.derived.position(&derived.key);
    let plan = position.and_then(|it| view.plan.derived.get(it));
    html! {
        h2 { "Origin" }
        dl {
            dt { "Computed" } dd { code { (derived.definition) } }
            @for input in plan.iter().flat_map(|it| it.inputs()) {
                dt { "From" }
                dd { a href=(view.links.key(input)) { (key_name(input)) } }
            }
            @if let Some(record) = record {
                @for name in &record.sources {
                    dt { "Source" }
                    dd { a href=(view.links.source(name)) { (name) } }
                }
                dt { "Time" } dd { "that of the newest input" }
                dt { "Stale after" } dd { (human_duration(record.stale_after)) }
            }
        }
        @if let Some(issue) = &derived.issue {
            h2 { "Issues" }
            ul { li { (issue) } }
        }
    }
}

fn merge_text(merge: Merge) -> &'static str {
    match merge {
        Merge::Priority => "the first fresh source",
        Merge::Latest => "the newest value of its sources",
        Merge::Mean => "the mean of its sources",
        Merge::Median => "the median of its sources",
    }
}
