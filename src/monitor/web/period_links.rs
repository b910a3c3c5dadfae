//! Links to other periods of a page with charts: before and after, other spans, comparisons.

use std::time::Duration;

use jiff::civil::Date;
use maud::{Markup, html};

use super::PageContext;
use super::comparison::Comparison;
use super::period::{self, Period};
use crate::domain::time::Wall;
use crate::monitor::format::to_zoned;

/// A page whose charts show a period.
pub struct ChartPage {
    /// Its address, with a query of its own or none.
    pub url: String,
    pub period: Period,
    /// None where nothing is compared there.
    pub comparison: Option<Option<Comparison>>,
}

impl ChartPage {
    /// The address that shows a period, chosen by its query.
    pub fn with(&self, period: &str, comparison: Option<Comparison>) -> String {
        let mark = if self.url.contains('?') { '&' } else { '?' };
        let versus = comparison.map_or(String::new(), |it| format!("&vs={}", it.name()));
        format!("{}{mark}{period}{versus}", self.url)
    }
}

/// The periods before and after, other spans, what it is compared with, and further links.
pub fn navigation(view: &PageContext, page: &ChartPage, more: &Markup) -> Markup {
    let zone = &view.settings.timezone;
    let period = page.period;
    let chosen = page.comparison.flatten();
    let next = period.next(zone).filter(|next| next.from <= view.now.wall);
    html! {
        nav class="spans" aria-label="Time span" {
            span class="days" {
                @if let Some(previous) = period.previous(zone) {
                    a href=(page.with(&previous.query(), chosen)) rel="prev" {
                        "‹ " (title(view, &previous))
                    }
                    " "
                }
                strong { (title(view, &period)) }
                @if let Some(next) = next {
                    " "
                    a href=(page.with(&next.query(), chosen)) rel="next" { (title(view, &next)) " ›" }
                }
            }
            @for name in period::SPANS {
                " "
                a href=(page.with(&period.with_span(name), chosen))
                    aria-current=[(name == period.name).then_some("true")] { (spaced(name)) }
            }
            @if page.comparison.is_some() {
                @for comparison in Comparison::of_period(&period) {
                    @let is_chosen = chosen == Some(comparison);
                    " "
                    a href=(page.with(&period.query(), (!is_chosen).then_some(comparison)))
                        title=(format!("Compare with {}", comparison.label()))
                        aria-current=[is_chosen.then_some("true")] { "vs. " (comparison.name()) }
                }
            }
            (more)
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

/// What a period is called: `Fri 27 Nov`, `last 7 days`, `Sun 1 Nov – Mon 30 Nov`.
pub fn title(view: &PageContext, period: &Period) -> String {
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
    let locale = view.plan.pages.locale;
    let day = |date: Date| {
        if date.year() == this_year {
            locale.weekday_and_date(date)
        } else {
            format!("{} {}", locale.weekday(date), locale.date(date))
        }
    };
    let clock = |wall: Wall| to_zoned(wall, zone).strftime("%H:%M").to_string();
    if period.length() < Duration::from_secs(82_800) {
        let (from, to) = (clock(period.from), clock(period.to));
        return if first == last {
            format!("{} {from}–{to}", day(first))
        } else {
            format!("{} {from} – {} {to}", day(first), day(last))
        };
    }
    if first == last {
        day(first)
    } else {
        format!("{} – {}", day(first), day(last))
    }
}
