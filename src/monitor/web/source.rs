//! Source page: fetches, records, failures.

use maud::{Markup, html};

use super::PageContext;
use super::grouping;
use super::layout::{self, Page, Part, key_name, past_time};
use super::overview::{record_age, record_value, value_table};
use super::severity::severity;
use super::system::{next_fetch, source_state, success_rate};
use crate::domain::health::{AttemptResult, FetchAttempt};
use crate::domain::percent;
use crate::domain::snapshot::{Record, SourceSnapshot};
use crate::domain::text::{count_noun, format_bytes, human_duration};
use crate::limits;
use crate::monitor::format::{corrected_wall, format_local, sanitize};
use crate::monitor::problem::{ProblemDetails, unknown_name_problem};
use crate::monitor::status_text::cause_text;

pub fn page(view: &PageContext, name: &str) -> Result<Page, ProblemDetails> {
    let source = view
        .snapshot
        .sources
        .iter()
        .find(|source| &*source.name == name);
    let source = source.ok_or_else(|| {
        let names = view.snapshot.sources.iter().map(|source| &*source.name);
        unknown_name_problem("source", name, names, |name| {
            format!("/web/source/{}", percent::encode(name))
        })
    })?;
    Ok(Page {
        title: name.to_owned(),
        parts: vec![
            layout::status_section(view, name),
            Part::live("source", summary(view, source)),
            Part::live("issues", issues(source)),
            Part::live("values", values(view, source)),
            Part::live("fetches", fetches(view, source)),
            Part::live("facts", facts(source)),
        ],
        has_own_heading: true,
    })
}

/// How it is doing, in a few lines.
fn summary(view: &PageContext, source: &SourceSnapshot) -> Markup {
    let health = &source.health;
    html! {
        h1 { (source.name) }
        p class="summary" {
            (source_state(source)) " "
            span {
                "last success "
                @match health.last_success { Some(at) => (past_time(view, at)), None => "never" }
            }
            " " span { "next fetch " (next_fetch(view, source)) }
            " " span { "every " (human_duration(source.every)) }
            @if health.attempts > 0 { " " span { (success_rate(source)) " successful" } }
        }
        @if let Some(failure) = health.current_failure() {
            p {
                "Cause: " code { (failure.cause.name()) } ": " (sanitize(&failure.detail))
                @if let Some(since) = health.failing_since {
                    " (failing since " (past_time(view, since)) ")"
                }
            }
        }
        @if let Some(late) = &health.late_notice { p { (sanitize(late)) } }
    }
}

/// What it is, folded below what one comes for.
fn facts(source: &SourceSnapshot) -> Markup {
    let health = &source.health;
    html! {
        details {
            summary { "About this source" }
            dl {
                dt { "Fetches" }
                dd {
                    code { (source.target) }
                    @if !source.summary.is_empty() { ": " (source.summary) }
                }
                @if let Some(description) = description(&source.description) {
                    dt { "Description" } dd { (description) }
                }
                dt { "Interval" } dd { "every " (human_duration(source.every)) }
                @if health.recent.back().is_some_and(|it| it.result == AttemptResult::Empty) {
                    dt { "Last response" } dd { "empty" }
                }
                @if health.attempts > 0 {
                    dt { "Last fetch" }
                    dd {
                        (format_bytes(health.last_bytes)) " in "
                        (health.last_duration.as_millis()) " ms"
                    }
                }
                @if let Some(attribution) = &source.attribution {
                    dt { "Attribution" } dd { (attribution) }
                }
            }
        }
    }
}

/// The operation's description in the OpenAPI file, as plain paragraphs of bounded length.
fn description(text: &str) -> Option<Markup> {
    let text = text.trim();
    let all = text.chars().count();
    if all == 0 {
        return None;
    }
    let shown: String = text.chars().take(limits::DESCRIPTION_CHARS).collect();
    let mut paragraphs: Vec<String> = vec![String::new()];
    for line in shown.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match paragraphs.last_mut() {
            Some(last) if !words.is_empty() => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(&words.join(" "));
            }
            Some(last) if last.is_empty() => {}
            _ => paragraphs.push(String::new()),
        }
    }
    if all > limits::DESCRIPTION_CHARS
        && let Some(last) = paragraphs.last_mut()
    {
        last.push('…');
    }
    if all <= limits::DESCRIPTION_OPEN_CHARS && paragraphs.len() == 1 {
        return Some(html! { (paragraphs[0]) });
    }
    Some(html! {
        details {
            summary { "Show" }
            @for paragraph in &paragraphs { p { (paragraph) } }
        }
    })
}

/// A strip of marks, newest on the right, each with its details in the title; and the same as a
/// table for screen readers.
fn fetches(view: &PageContext, source: &SourceSnapshot) -> Markup {
    let recent = &source.health.recent;
    html! {
        h2 { "Recent fetches" }
        @if recent.is_empty() {
            p class="quiet" { "None yet." }
        } @else {
            ol class="strip" aria-hidden="true" {
                @for fetch in recent {
                    li class=(outcome_class(fetch.result)) title=(fetch_title(view, fetch)) { (outcome_mark(fetch.result)) }
                }
            }
            details {
                summary { "Show as table" }
                table {
                    thead {
                        tr {
                            th scope="col" { "Time" }
                            th scope="col" { "Outcome" }
                            th scope="col" class="figure" { "Duration" }
                        }
                    }
                    tbody {
                        @for fetch in recent.iter().rev() {
                            tr {
                                th scope="row" { (past_time(view, fetch.at)) }
                                td data-label="Outcome" { (outcome(fetch.result)) }
                                td data-label="Duration" class="figure" {
                                    (fetch.duration.as_millis()) " ms"
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn outcome_class(end: AttemptResult) -> &'static str {
    match end {
        AttemptResult::Complete | AttemptResult::Empty | AttemptResult::Unchanged => "pass",
        AttemptResult::Partial { .. } => "warn",
        AttemptResult::Failed(_) => "fail",
    }
}

/// Colour is never the only sign.
fn outcome_mark(end: AttemptResult) -> &'static str {
    match end {
        AttemptResult::Complete | AttemptResult::Empty => "✓",
        AttemptResult::Unchanged => "=",
        AttemptResult::Partial { .. } => "▲",
        AttemptResult::Failed(_) => "✕",
    }
}

fn outcome(end: AttemptResult) -> String {
    match end {
        AttemptResult::Complete => "OK".to_owned(),
        AttemptResult::Empty => "empty".to_owned(),
        AttemptResult::Unchanged => "unchanged (304)".to_owned(),
        AttemptResult::Partial { issues } => count_noun(issues, "issue"),
        AttemptResult::Failed(cause) => format!("failed ({}): {}", cause.name(), cause_text(cause)),
    }
}

fn fetch_title(view: &PageContext, fetch: &FetchAttempt) -> String {
    let at = format_local(corrected_wall(fetch.at, view.now), &view.settings.timezone);
    format!(
        "{at}, {} ms: {}",
        fetch.duration.as_millis(),
        outcome(fetch.result)
    )
}

fn issues(source: &SourceSnapshot) -> Markup {
    let issues = &source.health.issues;
    html! {
        @if !issues.is_empty() {
            h2 { "Issues of the last response" }
            table {
                thead {
                    tr {
                        th scope="col" { "Where" }
                        th scope="col" { "Reason" }
                        th scope="col" { "Expected" }
                        th scope="col" { "Found" }
                    }
                }
                tbody {
                    @for issue in issues {
                        tr {
                            th scope="row" { code { (key_name(&issue.pointer)) } }
                            td data-label="Reason" { code { (issue.reason.name()) } }
                            td data-label="Expected" { (issue.expected) }
                            td data-label="Found" { (issue.found) }
                        }
                    }
                }
            }
        }
    }
}

/// Its values: a table of rows and columns where templates make one, then a row each.
fn values(view: &PageContext, source: &SourceSnapshot) -> Markup {
    let (table, records) = grouping::source_values(view.plan, view.snapshot, &source.name);
    html! {
        h2 { "Values" }
        @if let Some(table) = &table { (value_table(view, table, table.rows.len())) }
        @if !records.is_empty() {
            (value_rows(view, &records))
        } @else if table.is_none() {
            p class="quiet" { "No values right now." }
        }
    }
}

fn value_rows(view: &PageContext, records: &[&Record]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Value" }
                    th scope="col" class="figure" { "Now" }
                    th scope="col" { "Observed" }
                    th scope="col" { "Key" }
                }
            }
            tbody {
                @for record in records {
                    @let severity = severity(view, record);
                    tr class=[Some(severity.class()).filter(|class| !class.is_empty())] {
                        th scope="row" {
                            a href=(view.links.key(&record.key)) {
                                (view.plan.full_label(&record.key))
                            }
                        }
                        td data-label="Now" class="figure" {
                            (severity.mark()) (record_value(view, record))
                        }
                        td data-label="Observed" { (record_age(view, record)) }
                        td data-label="Key" { code { (key_name(&record.key)) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::failure::Cause;
    use crate::monitor::http::handler::Handler as _;
    use crate::monitor::support::{self as testing, body, golden, request};

    #[test]
    fn a_long_description_is_folded_bounded_and_text() {
        let shown = |text: &str| super::description(text).map(|markup| markup.into_string());
        assert_eq!(shown(" \n\n "), None);
        assert_eq!(shown("Short\n  & good.\n").unwrap(), "Short &amp; good.");
        assert_eq!(
            shown("One\r\nline.\r\n\r\n\r\n<script>x</script>").unwrap(),
            "<details><summary>Show</summary><p>One line.</p>\
             <p>&lt;script&gt;x&lt;/script&gt;</p></details>"
        );
        let manual = shown(&"ä ".repeat(100_000)).unwrap();
        assert!(manual.ends_with("ä…</p></details>"));
        assert!(manual.chars().count() < crate::limits::DESCRIPTION_CHARS + 100);
    }

    #[test]
    fn shows_fetches_and_failures() {
        let monitor = testing::healthy()
            .failing("weather", Cause::Dns, 1_380)
            .app();
        let response = monitor.render(&request("/web/source/weather", &[]));
        golden("source_failing.html", body(&response));
        let response = monitor.render(&request("/web/source/meter", &[]));
        golden("source_with_issues.html", body(&response));
    }
}
