//! Key page: chart, extremes, sources, links to the raw history.

use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};

use super::PageContext;
use super::chart::{self, ChartData};
use super::layout::{self, Page, Part, key_name};
use super::overview::{record_age, record_value};
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::percent;
use crate::domain::plan::{Merge, Selection};
use crate::domain::reading::{Value, round_computed};
use crate::domain::snapshot::{DerivedSnapshot, Record};
use crate::domain::text::human_duration;
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::format::to_zoned;
use crate::monitor::problem::{ProblemDetails, history_unavailable, unknown_key_problem};

/// Time span of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ChartSpan {
    name: &'static str,
    label: &'static str,
    /// None for all there is.
    days: Option<u64>,
}

const SPANS: [ChartSpan; 5] = [
    span("24h", "24 hours", Some(1)),
    span("7d", "7 days", Some(7)),
    span("30d", "30 days", Some(30)),
    span("1y", "year", Some(365)),
    span("all", "all time", None),
];

const fn span(name: &'static str, label: &'static str, days: Option<u64>) -> ChartSpan {
    ChartSpan { name, label, days }
}

pub fn page(view: &PageContext, key: &str, span: Option<&str>) -> Result<Page, ProblemDetails> {
    let name = span.unwrap_or("24h");
    let span = *SPANS.iter().find(|span| span.name == name).ok_or_else(|| {
        ProblemDetails::new(
            400,
            format!("`span` is {name:?}; expected 24h, 7d, 30d, 1y or all."),
        )
    })?;
    let record = view.snapshot.record(key);
    let origins = origins(view, key);
    let derived = view.snapshot.derived.iter().find(|it| *it.key == *key);
    let is_known = record.is_some() || !origins.is_empty() || derived.is_some();
    let history_read = read_history(view, key, span);
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
        Part::live("history", history(view, key, record, span, history_read)),
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

fn history(
    view: &PageContext,
    key: &str,
    record: Option<&Record>,
    span: ChartSpan,
    read: Result<KeyHistory, HistoryFailure>,
) -> Markup {
    let stale_after = record.map_or(Duration::ZERO, |record| record.stale_after);
    let unit = record
        .and_then(|record| record.unit.as_deref())
        .unwrap_or_default();
    html! {
        h2 { "History" }
        nav class="spans" aria-label="Time span" {
            @for other in SPANS {
                a href=(format!("/web/key/{}?span={}", percent::encode(key), other.name))
                    aria-current=[(other == span).then_some("page")] { (other.name) }
                " "
            }
        }
        @match read {
            Err(HistoryFailure::NothingStored) => p class="quiet" {
                @if record.is_some_and(|record| record.value.text().is_some()) {
                    "Text values have no chart."
                } @else {
                    "No history yet. Readings are stored every minute, or every commit_every."
                }
            },
            Err(HistoryFailure::Unavailable(_)) => p class="notice" {
                "The history cannot be read right now."
            },
            Err(HistoryFailure::Exceeded(limit)) => p class="notice" {
                "The history of this time span was cut off at the limit of one page: " (limit)
                ". Choose a shorter span."
            },
            Ok(read) if read.observed.is_empty() && read.forecast.is_empty() => {
                p class="quiet" {
                    @if record.is_some_and(|record| record.value.text().is_some()) {
                        "Text values have no chart."
                    } @else {
                        "No data in this time span."
                    }
                }
            }
            Ok(read) => {
                (chart::chart(
                    &read.chart_data(stale_after), &view.settings.timezone,
                    &chart_label(key, &read, unit, span),
                ))
                @if !read.observed.is_empty() {
                    (extremes(&read.observed, record, unit))
                    (table(view, &read.observed, span))
                }
                p {
                    "Download as " (download_link(key, span, "csv", "CSV")) " or "
                    (download_link(key, span, "json", "JSON")) "."
                }
            }
        }
    }
}

/// What a key's chart shows.
struct KeyHistory {
    observed: Vec<Bucket>,
    forecast: Vec<Bucket>,
    from: Wall,
    to: Wall,
}

impl KeyHistory {
    /// The chart goes on to where the last element of the forecast ends.
    fn chart_data(&self, stale_after: Duration) -> ChartData<'_> {
        let ends = self.forecast.iter();
        let ends = ends.map(|it| it.from.after(Duration::from_secs(it.seconds)));
        ChartData {
            observed: &self.observed,
            forecast: &self.forecast,
            from: self.from,
            to: ends.chain([self.to]).max().unwrap_or(self.to),
            stale_after,
        }
    }
}

/// The buckets of a span and its bounds; for all there is, from the first bucket. Ahead of now it
/// reaches as far as back.
fn read_history(
    view: &PageContext,
    key: &str,
    span: ChartSpan,
) -> Result<KeyHistory, HistoryFailure> {
    let key: Arc<str> = key.into();
    let to = view.now.wall.after(Duration::from_secs(1));
    let read = |from: Wall, points| {
        let query = HistoryQuery {
            key: key.clone(),
            from,
            to,
            points,
        };
        let failed = |failure: &HistoryFailure| log::debug!("history of {key:?}: {failure}");
        (view.history)(&query, view.budget).inspect_err(failed)
    };
    let from = match span.days {
        Some(days) => to.before(Duration::from_secs(days * 86_400)),
        None => match read(Wall(0), limits::HISTORY_POINTS)?.first() {
            Some(first) => first.from,
            None => to.before(Duration::from_secs(86_400)),
        },
    };
    let mut observed = read(from, limits::CHART_POINTS)?;
    let ahead = HistoryQuery {
        key: key.clone(),
        from: to,
        to: to.after(to.since(from)),
        points: limits::CHART_POINTS,
    };
    let mut forecast = (view.forecast)(&ahead, view.now.wall, view.budget)?;
    // Never stored, but a chart must not break on it.
    for buckets in [&mut observed, &mut forecast] {
        buckets.retain(|b| b.min.is_finite() && b.mean.is_finite() && b.max.is_finite());
    }
    Ok(KeyHistory {
        observed,
        forecast,
        from,
        to,
    })
}

/// The accessible name of the chart.
fn chart_label(key: &str, read: &KeyHistory, unit: &str, span: ChartSpan) -> String {
    let range = |buckets: &[Bucket]| {
        let (low, _, high) = low_mean_high(buckets);
        let (low, high) = (Value::Number(low), Value::Number(high));
        let range = format!("from {low} to {high} {unit}");
        range.trim_end().to_owned()
    };
    let observed = (!read.observed.is_empty()).then(|| range(&read.observed));
    let forecast = (!read.forecast.is_empty()).then(|| range(&read.forecast));
    let forecast = forecast.map(|range| format!("forecast {range}"));
    let parts: Vec<String> = observed.into_iter().chain(forecast).collect();
    format!("{key}, {}: {}", span.label, parts.join("; "))
}

fn low_mean_high(buckets: &[Bucket]) -> (f64, f64, f64) {
    let low = buckets
        .iter()
        .map(|bucket| bucket.min)
        .fold(f64::INFINITY, f64::min);
    let high = buckets
        .iter()
        .map(|bucket| bucket.max)
        .fold(f64::NEG_INFINITY, f64::max);
    let count: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    let weight = |bucket: &Bucket| bucket.count as f64 / count.max(1) as f64;
    let mean = buckets
        .iter()
        .map(|bucket| bucket.mean * weight(bucket))
        .sum();
    (low, mean, high)
}

fn extremes(buckets: &[Bucket], record: Option<&Record>, unit: &str) -> Markup {
    let (low, mean, high) = low_mean_high(buckets);
    html! {
        dl class="extremes" {
            @if let Some(record) = record {
                dt { "Now" } dd { (record_value(record)) }
            }
            @for (name, number) in [("Lowest", low), ("Mean", mean), ("Highest", high)] {
                dt { (name) }
                dd { span class="number" { (format_rounded(number)) } " " span class="unit" { (unit) } }
            }
        }
    }
}

/// A computed number, rounded to a readable number of digits.
fn format_rounded(number: f64) -> String {
    let digits = format!("{number:.4e}").parse().unwrap_or(number);
    Value::Number(round_computed(digits)).to_string()
}

/// The chart as a table: neighbouring buckets merged.
fn table(view: &PageContext, buckets: &[Bucket], span: ChartSpan) -> Markup {
    let together = buckets.len().div_ceil(limits::CHART_ROWS).max(1);
    let format = match span.days {
        Some(1) => "%a %H:%M",
        Some(7) => "%a %-d %b %H:%M",
        _ => "%-d %b %Y",
    };
    html! {
        details {
            summary { "Show as table" }
            table {
                thead {
                    tr {
                        th scope="col" { "From" }
                        th scope="col" class="figure" { "Lowest" }
                        th scope="col" class="figure" { "Mean" }
                        th scope="col" class="figure" { "Highest" }
                    }
                }
                tbody {
                    @for group in buckets.chunks(together) {
                        @let (low, mean, high) = low_mean_high(group);
                        tr {
                            th scope="row" {
                                (to_zoned(group[0].from, &view.settings.timezone).strftime(format))
                            }
                            td data-label="Lowest" class="figure" { (format_rounded(low)) }
                            td data-label="Mean" class="figure" { (format_rounded(mean)) }
                            td data-label="Highest" class="figure" { (format_rounded(high)) }
                        }
                    }
                }
            }
        }
    }
}

fn download_link(key: &str, span: ChartSpan, format: &str, name: &str) -> Markup {
    let from = match span.days {
        Some(days) => format!("-{days}d"),
        None => "1970-01-01T00:00:00Z".to_owned(),
    };
    let points = limits::HISTORY_POINTS;
    let key = percent::encode(key);
    html! {
        a href=(format!("/history?key={key}&from={from}&points={points}&format={format}")) { (name) }
    }
}

/// Sources of the plan that name the key, with their pointers.
fn origins<'a>(view: &PageContext<'a>, key: &str) -> Vec<(&'a str, &'a str)> {
    let pick = |source: &'a crate::domain::plan::SourcePlan| match &source.selection {
        Selection::Selectors(picks) => {
            let pick = picks.iter().find(|pick| &*pick.key == key)?;
            Some((&*source.name, pick.at.as_str()))
        }
        Selection::AllLeaves { .. } => None,
    };
    view.plan.sources.iter().filter_map(pick).collect()
}

fn origin(
    view: &PageContext,
    key: &str,
    record: Option<&Record>,
    origins: &[(&str, &str)],
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
                dd { a href=(format!("/web/source/{}", percent::encode(name))) { (name) } }
            }
            @for (name, pointer) in origins {
                dt { "Read at" } dd { code { (key_name(pointer)) } " of " (name) }
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
                dd { a href=(format!("/web/key/{}", percent::encode(input))) { (key_name(input)) } }
            }
            @if let Some(record) = record {
                @for name in &record.sources {
                    dt { "Source" }
                    dd { a href=(format!("/web/source/{}", percent::encode(name))) { (name) } }
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
    fn every_span_has_its_chart() {
        let monitor = testing::healthy().app();
        for span in ["24h", "7d", "30d", "1y", "all"] {
            let response = monitor.render(&request(&format!("/web/key/power?span={span}"), &[]));
            assert!(body(&response).contains("<svg class=\"chart\""), "{span}");
        }
    }
}
