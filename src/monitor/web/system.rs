//! System page: sources, displays, storage, and the node itself.

mod displays;
mod node;
mod outputs;

use maud::{Markup, html};

use super::PageContext;
use super::layout::{self, Page, Part, past_time};
use crate::domain::health::SourceState;
use crate::domain::snapshot::SourceSnapshot;
use crate::domain::text::count_noun;
use crate::monitor::format::{format_wait, sanitize};
use crate::monitor::status_text::cause_text;

pub const TITLE: &str = "System";

pub fn page(view: &PageContext) -> Page {
    Page {
        title: TITLE.to_owned(),
        parts: vec![
            layout::status_section(view, TITLE),
            Part::live("sources", sources(view)),
            Part::live("displays", displays::displays(view)),
            Part::live("outputs", outputs::outputs(view)),
            Part::live("storage", node::storage(view)),
            Part::live("node", node::node(view)),
            Part::live("machine", node::machine()),
            Part::still("links", node::links(view)),
        ],
        has_own_heading: false,
    }
}

fn sources(view: &PageContext) -> Markup {
    html! {
        h2 { "Sources" }
        @if view.snapshot.sources.is_empty() {
            p class="quiet" { "No source is configured." }
        } @else {
            table {
                thead {
                    tr {
                        th scope="col" { "Source" }
                        th scope="col" { "State" }
                        th scope="col" { "Last success" }
                        th scope="col" { "Next fetch" }
                        th scope="col" class="figure" { "Success rate" }
                    }
                }
                tbody { @for source in &view.snapshot.sources { (source_row(view, source)) } }
            }
        }
    }
}

fn source_row(view: &PageContext, source: &SourceSnapshot) -> Markup {
    let health = &source.health;
    html! {
        tr {
            th scope="row" {
                a href=(view.links.source(&source.name)) { (source.name) }
            }
            td data-label="State" { (source_state(source)) }
            td data-label="Last success" {
                @match health.last_success {
                    Some(success) => (past_time(view, success)),
                    None => "never",
                }
            }
            td data-label="Next fetch" { (next_fetch(view, source)) }
            td data-label="Success rate" class="figure" { (success_rate(source)) }
        }
    }
}

/// The state with its cause.
pub fn source_state(source: &SourceSnapshot) -> Markup {
    let health = &source.health;
    html! {
        @match health.state() {
            SourceState::Waiting => span class="badge wait" { "waiting" },
            SourceState::Up if health.issues.is_empty() => span class="badge pass" { "up" },
            SourceState::Up => {
                span class="badge warn" { "up, " (count_noun(health.issues.len(), "issue")) }
            }
            SourceState::Failing => {
                span class="badge fail" { "failing" }
                @if let Some(failure) = health.current_failure() {
                    " " span class="why" title=(sanitize(&failure.detail)) { (cause_text(failure.cause)) }
                }
            }
        }
    }
}

/// When it is fetched again.
pub fn next_fetch(view: &PageContext, source: &SourceSnapshot) -> Markup {
    html! {
        @match source.health.last_attempt {
            Some(last) => (format_wait(last.mono.after(source.health.next_in).since(view.now.mono))),
            None => "now",
        }
    }
}

/// The share of fetches that succeeded, since the start.
pub fn success_rate(source: &SourceSnapshot) -> Markup {
    let attempts = source.health.attempts;
    let failures: u64 = source.health.failures.values().sum();
    let successes = attempts.saturating_sub(failures);
    html! {
        @if attempts == 0 { "–" } @else {
            span title=(format!("{successes} of {attempts} since start")) {
                // Never rounded up to a hundred: 99.9 % is not all.
                (successes * 100 / attempts) " %"
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/system.rs"]
mod tests;
