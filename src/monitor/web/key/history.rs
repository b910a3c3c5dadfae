//! History of a key on its page: time spans, chart, extremes, table, downloads.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use maud::{Markup, html};

use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::percent;
use crate::domain::reading::{Value, round_computed};
use crate::domain::snapshot::Record;
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::format::to_zoned;
use crate::monitor::web::PageContext;
use crate::monitor::web::chart::{self, ChartData};
use crate::monitor::web::overview::record_value;
use crate::monitor::web::period::{self, Period};

/// The chart of a key with its extremes and its table.
pub fn section(
    view: &PageContext,
    key: &str,
    record: Option<&Record>,
    period: Period,
    read: Result<KeyHistory, HistoryFailure>,
) -> Markup {
    let stale_after = record.map_or(Duration::ZERO, |record| record.stale_after);
    let unit = record
        .and_then(|record| record.unit.as_deref())
        .unwrap_or_default();
    html! {
        h2 { "History" }
        (navigation(view, key, period))
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
                    &chart_label(key, &read, unit, &period_title(view, period)),
                ))
                @if !read.observed.is_empty() {
                    (extremes(&read.observed, record, unit))
                    (table(view, &read))
                }
                p {
                    "Download as " (download_link(view, key, &read, "csv", "CSV")) " or "
                    (download_link(view, key, &read, "json", "JSON")) "."
                }
            }
        }
    }
}

/// What a key's chart shows.
pub struct KeyHistory {
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
pub fn read(view: &PageContext, key: &str, period: Period) -> Result<KeyHistory, HistoryFailure> {
    let key: Arc<str> = key.into();
    let to = period.to;
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
    let from = match period.is_all() {
        false => period.from,
        true => match read(period.from, limits::HISTORY_POINTS)?.first() {
            Some(first) => first.from,
            None => to.before(Duration::from_secs(86_400)),
        },
    };
    let mut observed = read(from, limits::CHART_POINTS)?;
    // A span that ends now goes on as far ahead.
    let ahead_to = if period.is_live() {
        to.after(to.since(from))
    } else {
        to
    };
    let ahead = HistoryQuery {
        key: key.clone(),
        from: from.max(view.now.wall),
        to: ahead_to.max(from),
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
fn chart_label(key: &str, read: &KeyHistory, unit: &str, period: &str) -> String {
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
    format!("{key}, {period}: {}", parts.join("; "))
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
fn table(view: &PageContext, read: &KeyHistory) -> Markup {
    let buckets = &read.observed;
    let together = buckets.len().div_ceil(limits::CHART_ROWS).max(1);
    let format = match read.to.since(read.from).as_secs() {
        0..=172_800 => "%a %H:%M",
        172_801..=864_000 => "%a %-d %b %H:%M",
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

fn download_link(
    view: &PageContext,
    key: &str,
    read: &KeyHistory,
    format: &str,
    name: &str,
) -> Markup {
    let points = limits::HISTORY_POINTS;
    let key = percent::encode(key);
    let (from, to) = (read.from, read.to);
    let path = format!("/history?key={key}&from={from}&to={to}&points={points}&format={format}");
    html! {
        a href=(view.url(&path)) { (name) }
    }
}

/// The periods before and after, and other spans.
fn navigation(view: &PageContext, key: &str, period: Period) -> Markup {
    let zone = &view.settings.timezone;
    let url = |query: &str| format!("{}?{query}", view.links.key(key));
    let next = period.next(zone).filter(|next| next.from <= view.now.wall);
    html! {
        nav class="spans" aria-label="Time span" {
            span class="days" {
                @if let Some(previous) = period.previous(zone) {
                    a href=(url(&previous.query())) rel="prev" { "‹ " (period_title(view, previous)) }
                    " "
                }
                strong { (period_title(view, period)) }
                @if let Some(next) = next {
                    " " a href=(url(&next.query())) rel="next" { (period_title(view, next)) " ›" }
                }
            }
            " "
            @for name in period::SPANS {
                a href=(url(&period.with_span(name)))
                    aria-current=[(name == period.name).then_some("true")] { (spaced(name)) }
                " "
            }
        }
    }
}

/// `24h` as people read it: `24 h`.
fn spaced(name: &str) -> String {
    match name.find(|c: char| !c.is_ascii_digit()) {
        None | Some(0) => name.to_owned(),
        Some(at) => format!("{}\u{a0}{}", &name[..at], &name[at..]),
    }
}

/// What a period is called: `Fri 27 Nov`, `last 7 days`, `1 Nov – 30 Nov 2026`.
fn period_title(view: &PageContext, period: Period) -> String {
    let zone = &view.settings.timezone;
    if period.is_live() {
        return match period.name {
            "6h" => "last 6 hours",
            "24h" => "last 24 hours",
            "7d" => "last 7 days",
            "30d" => "last 30 days",
            "1y" => "last year",
            _ => "all time",
        }
        .to_owned();
    }
    let (first, last) = period.days(zone);
    let this_year = to_zoned(view.now.wall, zone).date().year();
    let day = |date: Date| match date.year() == this_year {
        true => date.strftime("%a %-d %b").to_string(),
        false => date.strftime("%a %-d %b %Y").to_string(),
    };
    if period.length() < Duration::from_secs(82_800) {
        let clock = |wall: Wall| to_zoned(wall, zone).strftime("%H:%M").to_string();
        let (from, to) = (clock(period.from), clock(period.to));
        return format!("{} {from}–{to}", day(first));
    }
    match first == last {
        true => day(first),
        false => format!("{} – {}", day(first), day(last)),
    }
}
