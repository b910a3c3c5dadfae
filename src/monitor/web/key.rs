//! Key page: value, history, and where the value comes from.

mod history;

use maud::{Markup, html};

use super::PageContext;
use super::layout::{self, Page, Part, key_name};
use super::overview::{record_age, record_value};
use super::period::Period;
use crate::domain::plan::{Merge, RecordSelector, Selection, SourcePlan};
use crate::domain::snapshot::{DerivedSnapshot, Record};
use crate::domain::text::human_duration;
use crate::monitor::context::HistoryFailure;
use crate::monitor::problem::{ProblemDetails, history_unavailable, unknown_key_problem};

pub fn page(view: &PageContext, key: &str, period: Period) -> Result<Page, ProblemDetails> {
    let record = view.snapshot.record(key);
    let origins = origins(view, key);
    let derived = view.snapshot.derived.iter().find(|it| *it.key == *key);
    let is_known = record.is_some() || !origins.is_empty() || derived.is_some();
    let history_read = history::read(view, key, period);
    match &history_read {
        Err(HistoryFailure::NothingStored) if !is_known => {
            return Err(unknown_key_problem(key, view.snapshot, view.plan));
        }
        Err(HistoryFailure::Unavailable(_)) if !is_known => return Err(history_unavailable()),
        _ => {}
    }
    let mut parts = vec![
        layout::status_section(view, key),
        Part::live("value", current_value(view, key, record, is_known)),
        Part::live(
            "history",
            history::section(view, key, record, period, history_read),
        ),
    ];
    if let Some(derived) = derived {
        parts.push(Part::live("origin", derivation(view, derived, record)));
    } else if is_known {
        parts.push(Part::live("origin", origin(view, key, record, &origins)));
    }
    Ok(Page {
        title: key.to_owned(),
        parts,
        has_own_heading: true,
    })
}

fn current_value(view: &PageContext, key: &str, record: Option<&Record>, is_known: bool) -> Markup {
    html! {
        h1 { (key_name(key)) }
        @match record {
            Some(record) => {
                p class=(if record.stale { "value stale" } else { "value" }) { (record_value(record)) }
                p class="age" { (record_age(view, record)) }
            }
            None if is_known => p class="quiet" { "No reading yet." },
            None => p class="quiet" {
                "No source provides this key any more. Its history is kept."
            },
        }
    }
}

/// Sources of the plan that name the key, with their selectors of it.
fn origins<'a>(view: &PageContext<'a>, key: &str) -> Vec<(&'a str, &'a RecordSelector)> {
    let pick = |source: &'a SourcePlan| match &source.selection {
        Selection::Selectors(picks) => {
            let pick = picks.iter().find(|pick| pick.selects_key(key))?;
            Some((&*source.name, pick))
        }
        Selection::AllLeaves { .. } => None,
    };
    view.plan.sources.iter().filter_map(pick).collect()
}

fn origin(
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
                dt { "Read at" } dd { "its path in the response, which is the key" }
            }
            @if let Some(merge) = merge { dt { "Merged" } dd { (merge_text(merge)) } }
            @if let Some(record) = record {
                dt { "Time" }
                dd {
                    @if record.stamp.has_source_time { "reported by the source" } @else { "time of the fetch" }
                }
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

/// What a derived key is computed from.
fn derivation(view: &PageContext, derived: &DerivedSnapshot, record: Option<&Record>) -> Markup {
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

#[cfg(test)]
mod tests {
    use super::{RecordSelector, Selection};
    use crate::monitor::http::handler::Handler as _;
    use crate::monitor::support::{self as testing, body, golden, request};

    #[test]
    fn shows_a_day_with_its_gap_and_the_sources() {
        let monitor = testing::healthy().app();
        let response = monitor.render(&request("/web/key/temperature", &[]));
        golden("key.html", body(&response));
    }

    #[test]
    fn shows_why_there_is_no_chart() {
        let mut fixture = testing::healthy();
        for (key, history, expected) in [
            ("sky", Ok(Vec::new()), "Text values have no chart."),
            ("power", Ok(Vec::new()), "No data in this time span."),
            (
                "power",
                Err("locked".to_owned()),
                "The history cannot be read right now.",
            ),
            ("voltage", Ok(Vec::new()), "No reading yet."),
        ] {
            fixture.history = history;
            for span in ["24h", "all"] {
                let target = format!("/web/key/{key}?span={span}");
                let response = fixture.clone().app().render(&request(&target, &[]));
                assert!(
                    body(&response).contains(expected),
                    "{target}: {}",
                    body(&response)
                );
            }
        }
    }

    #[test]
    fn a_derived_key_shows_its_formula_inputs_and_issue() {
        let fixture = testing::healthy().deriving("house", "power + voltage");
        let response = fixture.app().render(&request("/web/key/house", &[]));
        for expected in [
            "<dt>Computed</dt><dd><code>power + voltage</code></dd>",
            "<dt>From</dt><dd><a href=\"/web/key/voltage\">voltage</a></dd>",
            "found a division by zero: 1 / 0",
            "house cannot be computed: a division by zero: 1 / 0.",
        ] {
            assert!(
                body(&response).contains(expected),
                "{expected}: {}",
                body(&response)
            );
        }
    }

    #[test]
    fn a_key_of_a_template_shows_where_its_elements_are() {
        let mut fixture = testing::healthy();
        let pick = RecordSelector {
            each: Some("/phases".into()),
            ..RecordSelector::new("{name}", "/u")
        };
        fixture.plan.sources[1].selection = Selection::Selectors(vec![pick]);
        let response = fixture.app().render(&request("/web/key/power", &[]));
        let expected =
            "<dt>Read at</dt><dd><code>/<wbr>u</code> in each of <code>/<wbr>phases</code> of ";
        assert!(body(&response).contains(expected), "{}", body(&response));
    }

    #[test]
    fn every_span_has_its_chart() {
        let monitor = testing::healthy().app();
        for span in ["6h", "24h", "7d", "30d", "1y", "all"] {
            let response = monitor.render(&request(&format!("/web/key/power?span={span}"), &[]));
            assert!(body(&response).contains("<svg class=\"chart\""), "{span}");
        }
    }
}
