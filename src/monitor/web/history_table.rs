//! Table of a chart: the same numbers as text, each period a link, and downloads.

use std::time::Duration;

use maud::{Markup, html};

use super::PageContext;
use super::chart::{self, ChartLine};
use super::period::Period;
use super::period_links::ChartPage;
use crate::domain::history::Bucket;
use crate::domain::percent;
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::format::to_zoned;

/// The lines as a table, neighbouring buckets merged; a row's time shows that time alone.
pub fn table(view: &PageContext, page: &ChartPage, lines: &[ChartLine]) -> Markup {
    let Some(longest) = lines
        .iter()
        .map(|it| &it.series.observed)
        .max_by_key(|it| it.len())
    else {
        return html! {};
    };
    if longest.is_empty() {
        return html! {};
    }
    let together = longest.len().div_ceil(limits::CHART_ROWS).max(1);
    let is_single = lines.len() == 1;
    html! {
        details {
            summary { "Show as table" }
            table {
                thead {
                    tr {
                        th scope="col" { "From" }
                        @if is_single {
                            @for name in ["Lowest", "Mean", "Highest"] {
                                th scope="col" class="figure" { (name) }
                            }
                        } @else {
                            @for line in lines { th scope="col" class="figure" { (line.name) } }
                        }
                    }
                }
                tbody {
                    @for rows in longest.chunks(together) {
                        @let (from, to) = (rows[0].from, chart::end(&rows[rows.len() - 1]));
                        tr {
                            th scope="row" { (row_link(view, page, longest, from, to)) }
                            @if is_single { (single_cells(&lines[0], rows)) }
                            @else { @for line in lines { (mean_cell(line, from, to)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The time of a row: a link that shows it alone, which needs no dragging.
fn row_link(
    view: &PageContext,
    page: &ChartPage,
    buckets: &[Bucket],
    from: Wall,
    to: Wall,
) -> Markup {
    let name = time_name(view, from, buckets);
    let is_whole = to.since(from) >= page.period.length();
    html! {
        @if to.since(from) < limits::MIN_CHART_SPAN || is_whole {
            (name)
        } @else {
            a href=(page.with(&format!("from={from}&to={to}"), None)) { (name) }
        }
    }
}

fn single_cells(line: &ChartLine, rows: &[Bucket]) -> Markup {
    html! {
        @if let Some((low, mean, high)) = low_mean_high(rows) {
            td data-label="Lowest" class="figure" { (line.number(low)) }
            td data-label="Mean" class="figure" { (line.number(mean)) }
            td data-label="Highest" class="figure" { (line.number(high)) }
        }
    }
}

fn mean_cell(line: &ChartLine, from: Wall, to: Wall) -> Markup {
    let inside: Vec<Bucket> = line
        .series
        .observed
        .iter()
        .filter(|bucket| bucket.from >= from && bucket.from < to)
        .copied()
        .collect();
    html! {
        td data-label=(line.name) class="figure" {
            @match low_mean_high(&inside) {
                Some((_, mean, _)) => (line.with_unit(mean)),
                None => "–",
            }
        }
    }
}

/// When a bucket begins, in the precision that its neighbours have.
pub fn time_name(view: &PageContext, at: Wall, buckets: &[Bucket]) -> String {
    let width = buckets.first().map_or(0, |bucket| bucket.seconds);
    let (first, last) = (buckets.first(), buckets.last());
    let span = match (first, last) {
        (Some(first), Some(last)) => last.from.since(first.from),
        _ => Duration::ZERO,
    };
    let begin = to_zoned(at, &view.settings.timezone);
    let (locale, day, clock) = (
        view.plan.pages.locale,
        begin.date(),
        begin.strftime("%H:%M"),
    );
    match span.as_secs() {
        _ if width >= 86_400 => locale.date(day),
        0..=172_800 => format!("{} {clock}", locale.weekday(day)),
        _ => format!("{} {clock}", locale.weekday_and_date(day)),
    }
}

pub fn low_mean_high(buckets: &[Bucket]) -> Option<(f64, f64, f64)> {
    let extent = chart::Extent::of(buckets.iter().flat_map(|bucket| [bucket.min, bucket.max]))?;
    let count: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    let weight = |bucket: &Bucket| bucket.count as f64 / count.max(1) as f64;
    let mean = buckets
        .iter()
        .map(|bucket| bucket.mean * weight(bucket))
        .sum();
    Some((extent.low, mean, extent.high))
}

/// The numbers of just this period, of each key.
pub fn downloads(view: &PageContext, keys: &[&str], period: &Period, to: Wall) -> Markup {
    let points = limits::HISTORY_POINTS;
    let url = |key: &str, format: &str| {
        let (key, from) = (percent::encode(key), period.from);
        view.url(&format!(
            "/history?key={key}&from={from}&to={to}&points={points}&format={format}"
        ))
    };
    html! {
        p class="downloads" {
            "Download "
            @for (at, key) in keys.iter().enumerate() {
                @if at > 0 { "; " }
                @if keys.len() > 1 { (view.plan.full_label(key)) " " }
                "as " a href=(url(key, "csv")) { "CSV" } " or " a href=(url(key, "json")) { "JSON" }
            }
            "."
        }
    }
}
