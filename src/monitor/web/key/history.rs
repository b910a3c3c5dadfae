//! History of a key on its page: periods, chart, extremes, table, downloads.

use maud::{Markup, html};

use super::{bars, states};
use crate::domain::history::Bucket;
use crate::domain::percent;
use crate::domain::plan::{Bounds, ChartKind, KeyPlan};
use crate::domain::snapshot::Record;
use crate::monitor::context::HistoryFailure;
use crate::monitor::format::sanitize;
use crate::monitor::web::PageContext;
use crate::monitor::web::chart::{
    self, Chart, ChartLine, Extent, LineStyle, Plot, Threshold, ThresholdLevel,
};
use crate::monitor::web::comparison::Comparison;
use crate::monitor::web::history_table;
use crate::monitor::web::key_history::{self, KeyHistory};
use crate::monitor::web::period::Period;
use crate::monitor::web::period_links::{self, ChartPage};

/// What the page shows.
pub struct Chosen<'a> {
    pub key: &'a str,
    pub record: Option<&'a Record>,
    pub period: Period,
    pub comparison: Option<Comparison>,
}

/// The chart of a key with its extremes and its table.
pub fn section(
    view: &PageContext,
    chosen: &Chosen,
    read: Result<KeyHistory, HistoryFailure>,
) -> Markup {
    let kind = match key_history::kind(view, chosen.key, chosen.record) {
        // A text that no source gives: the numbers of a text are never stored.
        kind if kind != ChartKind::None && has_no_numbers(chosen, &read) => ChartKind::State,
        kind => kind,
    };
    let has_lines = !matches!(kind, ChartKind::Bars | ChartKind::State);
    let page = ChartPage {
        url: view.links.key(chosen.key),
        period: chosen.period,
        comparison: has_lines.then_some(chosen.comparison),
    };
    let add = format!(
        "/web/chart?keys={}&{}",
        percent::encode(chosen.key),
        chosen.period.query()
    );
    let more = html! {
        @if !is_text(chosen.record) { " " a href=(view.url(&add)) { "+ another value" } }
    };
    html! {
        h2 class="unseen" { "History" }
        (period_links::navigation(view, &page, &more))
        @match read {
            Ok(_) | Err(HistoryFailure::NothingStored) if kind == ChartKind::State => {
                (without_lines(view, chosen, kind, &read))
            }
            Ok(_) if kind == ChartKind::Bars => (without_lines(view, chosen, kind, &read)),
            Err(failure) => (unreadable(view, chosen.record, &failure)),
            Ok(read) if read.is_empty() => {
                p class="quiet" {
                    @if is_text(chosen.record) {
                        "Text values have no chart."
                    } @else {
                        "No data in this time span. A day of data makes the chart."
                    }
                }
            }
            Ok(read) => (chart_with_table(view, chosen, &page, &read)),
        }
    }
}

/// A chart that is not made of lines.
fn without_lines(
    view: &PageContext,
    chosen: &Chosen,
    kind: ChartKind,
    read: &Result<KeyHistory, HistoryFailure>,
) -> Markup {
    let period = match read {
        // All there is of a text does not begin with a number.
        Ok(read) if read.is_empty() && kind == ChartKind::State => chosen.period,
        Ok(read) => read.period,
        Err(_) => chosen.period,
    };
    let section = match kind {
        ChartKind::Bars => bars::section,
        _ => states::section,
    };
    html! {
        @match section(view, chosen.key, chosen.record, &period) {
            Ok(chart) => (chart),
            Err(failure) => (unreadable(view, chosen.record, &failure)),
        }
        (history_table::downloads(view, &[chosen.key], &period, period.to))
    }
}

/// Whether nothing says what the values of a key are, and none of them is a number.
fn has_no_numbers(chosen: &Chosen, read: &Result<KeyHistory, HistoryFailure>) -> bool {
    chosen.record.is_none() && read.as_ref().is_ok_and(KeyHistory::is_empty)
}

fn is_text(record: Option<&Record>) -> bool {
    record.is_some_and(|record| record.value.text().is_some())
}

/// Why there is no chart, and where to look.
fn unreadable(view: &PageContext, record: Option<&Record>, failure: &HistoryFailure) -> Markup {
    html! {
        @match failure {
            HistoryFailure::NothingStored => p class="quiet" {
                @if is_text(record) {
                    "Text values have no chart."
                } @else {
                    "No history yet. Readings are stored every minute, or every commit_every. \
                     A day of data makes the chart."
                }
            },
            HistoryFailure::Unavailable(detail) => p class="notice" {
                "The history cannot be read right now: " (sanitize(detail)) ". See "
                a href=(view.url("/web/system")) { "storage on the system page" } "."
            },
            HistoryFailure::Exceeded(limit) => p class="notice" {
                "The history of this time span was cut off at the limit of one page: " (limit)
                ". Choose a shorter span."
            },
        }
    }
}

fn chart_with_table(
    view: &PageContext,
    chosen: &Chosen,
    page: &ChartPage,
    read: &KeyHistory,
) -> Markup {
    let line = line(view, chosen, read);
    let has_chart = key_history::kind(view, chosen.key, chosen.record) != ChartKind::None;
    let label = chart_label(view, chosen, &line);
    let thresholds = thresholds(view, chosen.key, &line);
    let sentence = extremes(view, &line, &thresholds);
    let table = history_table::table(view, page, std::slice::from_ref(&line));
    let before = chosen.comparison.map(|comparison| {
        let read = key_history::read_before(view, chosen.key, &read.period, comparison);
        (comparison, read)
    });
    let failure = match &before {
        Some((_, Err(failure))) => Some(failure.clone()),
        _ => None,
    };
    let has_no_before = matches!(&before, Some((_, Ok(before))) if before.is_empty());
    let mut lines = vec![line];
    if let Some((comparison, Ok(observed))) = before
        && !observed.is_empty()
    {
        lines.push(earlier_line(chosen, &lines[0], comparison, observed));
    }
    let plot = Plot {
        thresholds,
        range: range(view, chosen.key, &lines[0]),
        lines,
    };
    let chart = Chart {
        plots: vec![plot],
        from: read.period.from,
        to: read.shown_to(),
        now: view.now.wall,
        label,
    };
    html! {
        @if has_chart { (chart::figure(&chart, &view.settings.timezone, view.plan.pages.locale)) }
        @if let Some(failure) = failure { (unreadable(view, chosen.record, &failure)) }
        @if has_no_before {
            p class="quiet" {
                "Nothing is stored of "
                (chosen.comparison.map_or("that time", Comparison::label)) "."
            }
        }
        (sentence)
        (table)
        (history_table::downloads(view, &[chosen.key], &read.period, read.shown_to()))
    }
}

fn line(view: &PageContext, chosen: &Chosen, read: &KeyHistory) -> ChartLine {
    let shape = key_history::shape(view, chosen.key, chosen.record);
    let series = read.series(shape, chosen.record);
    let format = key_history::format(view, chosen.key, chosen.record, &series);
    ChartLine {
        name: period_links::title(view, &chosen.period),
        series: series.scaled(format.factor),
        format,
        style: LineStyle::Number(1),
    }
}

fn earlier_line(
    chosen: &Chosen,
    line: &ChartLine,
    comparison: Comparison,
    observed: Vec<Bucket>,
) -> ChartLine {
    let read = KeyHistory {
        observed,
        forecast: Vec::new(),
        period: chosen.period,
    };
    ChartLine {
        name: comparison.label().to_owned(),
        series: read
            .series(line.series.shape, chosen.record)
            .scaled(line.format.factor),
        format: line.format.clone(),
        style: LineStyle::Before,
    }
}

/// What the axis shows at least.
fn range(view: &PageContext, key: &str, line: &ChartLine) -> Option<Extent> {
    let (low, high) = view.plan.key_setting(key, |key| key.range)?;
    Extent::of([low, high].map(|it| it * line.format.factor).into_iter())
}

/// The bounds of a key that pages mark, and those of its alerts.
fn thresholds(view: &PageContext, key: &str, line: &ChartLine) -> Vec<Threshold> {
    let setting = |bounds: fn(&KeyPlan) -> Bounds| {
        let found = view.plan.key_setting(key, |plan| {
            let bounds = bounds(plan);
            (!bounds.is_empty()).then_some(bounds)
        });
        found.unwrap_or_default()
    };
    let mut found: Vec<Threshold> = Vec::new();
    let alerts = view.plan.key_alerts.iter().filter(|it| *it.key == *key);
    let alerts = alerts.map(|it| (ThresholdLevel::Alert, "alert", it.bounds));
    let marks = [
        (ThresholdLevel::Bad, "bad", setting(|plan| plan.bad)),
        (ThresholdLevel::Warn, "warn", setting(|plan| plan.warn)),
    ];
    for (level, name, bounds) in alerts.chain(marks) {
        for (bound, word) in [(bounds.above, "above"), (bounds.below, "below")] {
            let Some(bound) = bound else { continue };
            let threshold = Threshold {
                at: bound * line.format.factor,
                // A factor below zero turns the plot upside down.
                is_upper: (word == "above") == (line.format.factor > 0.0),
                level,
                label: format!("{name} {word} {}", line.format.with_unit(bound)),
            };
            if !found.iter().any(|it| it.at == threshold.at) {
                found.push(threshold);
            }
        }
    }
    found
}

/// The accessible name of the chart.
fn chart_label(view: &PageContext, chosen: &Chosen, line: &ChartLine) -> String {
    let range = |buckets: &[Bucket]| {
        let all = buckets.iter().flat_map(|bucket| [bucket.min, bucket.max]);
        let extent = Extent::of(all)?;
        let (low, high) = (line.number(extent.low), line.with_unit(extent.high));
        Some(format!("from {low} to {high}"))
    };
    let forecast = range(&line.series.forecast).map(|range| format!("forecast {range}"));
    let parts: Vec<String> = range(&line.series.observed)
        .into_iter()
        .chain(forecast)
        .collect();
    let name = view.plan.full_label(chosen.key);
    format!("{name}, {}: {}", line.name, parts.join("; "))
}

/// The lowest, the mean and the highest in one line, and the bounds.
fn extremes(view: &PageContext, line: &ChartLine, thresholds: &[Threshold]) -> Markup {
    let observed = &line.series.observed;
    let Some((low, mean, high)) = history_table::low_mean_high(observed) else {
        return html! {};
    };
    let time = |of: fn(&Bucket) -> f64, value: f64| {
        let bucket = observed.iter().find(|it| of(it) == value)?;
        Some(history_table::time_name(view, bucket.from, observed))
    };
    html! {
        p class="extremes" {
            span {
                "Lowest " strong { (line.with_unit(low)) }
                @if let Some(at) = time(|it| it.min, low) { " (" (at) ")" }
            }
            " · "
            span { "mean " strong { (line.with_unit(mean)) } }
            " · "
            span {
                "highest " strong { (line.with_unit(high)) }
                @if let Some(at) = time(|it| it.max, high) { " (" (at) ")" }
            }
            @for threshold in thresholds { " · " span { (threshold.label) } }
        }
    }
}
