//! Table of a chart: the same numbers as text, each period a link, and downloads.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
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

/// When a bucket begins, in the precision that its neighbours have; of several days the first and the
/// last, of which only one may have the value.
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
        _ if width > LONGEST_DAY_S => {
            let last = last_day(at, width, &view.settings.timezone);
            format!("{} – {}", locale.date(day), locale.date(last))
        }
        _ if width >= 86_400 => locale.date(day),
        0..=172_800 => format!("{} {clock}", locale.weekday(day)),
        _ => format!("{} {clock}", locale.weekday_and_date(day)),
    }
}

/// On which clocks are set back.
const LONGEST_DAY_S: u64 = 90_000;

/// The last local day of a bucket of several, whose length in seconds does not tell an hour that clocks
/// are set by.
fn last_day(from: Wall, seconds: u64, zone: &TimeZone) -> Date {
    let in_it = from.after(Duration::from_secs(seconds.saturating_sub(2 * 3_600)));
    to_zoned(in_it, zone).date()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_of_days_ends_with_its_last_also_where_clocks_are_set() {
        let zone = TimeZone::get("Europe/Berlin").expect("it is known");
        for (from, days, expected) in [
            ("2025-06-01T22:00:00Z", 7, "2025-06-08"),
            // Clocks are set forward on 30 March, back on 26 October.
            ("2025-03-23T23:00:00Z", 7, "2025-03-30"),
            ("2025-10-19T22:00:00Z", 7, "2025-10-26"),
            ("2025-01-31T23:00:00Z", 364, "2026-01-30"),
        ] {
            let from: jiff::Timestamp = from.parse().expect("a time");
            let from = Wall::from_second(from.as_second());
            assert_eq!(last_day(from, days * 86_400, &zone).to_string(), expected);
        }
    }
}
