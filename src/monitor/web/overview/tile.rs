//! Tiles: a value in large figures, its last day and its range of today, as one link.

use maud::{Markup, html};

use super::super::PageContext;
use super::super::grouping::Tile;
use super::super::layout::time_element;
use super::super::severity::{ValueSeverity, reason, severity};
use super::super::sparkline::Sparkline;
use crate::domain::presentation::NumberFormat;
use crate::domain::snapshot::Record;

pub fn tile(view: &PageContext, tile: &Tile, context: &str) -> Markup {
    match tile {
        Tile::Value(record) => value_tile(view, record, context),
        Tile::Missing(key) => html! {
            li class="tile stale" {
                a href=(view.links.key(key)) { (view.plan.label(key, context)) }
                p class="value" { "–" }
                p class="foot" { "no value yet" }
            }
        },
    }
}

fn value_tile(view: &PageContext, record: &Record, context: &str) -> Markup {
    let severity = severity(view, record);
    let class = format!("tile {}", severity.class());
    let line = view.sparklines.of(view, record);
    html! {
        li class=(class.trim_end()) {
            a href=(view.links.key(&record.key)) { (view.plan.label(&record.key, context)) }
            p class="value" { (severity.mark()) (figure(view, record)) }
            // Kept free where there is no line, so that figures stand beside each other.
            @match &line {
                Some(line) => (line.line()),
                None => div class="spark" {},
            }
            p class="foot" { (foot(view, record, severity, line.as_ref())) }
        }
    }
}

/// The number in large figures, or the word.
fn figure(view: &PageContext, record: &Record) -> Markup {
    let shown = view.plan.number_format(record).value(&record.value);
    if shown.is_word {
        return html! { (state_dot(record)) span class="text" { (shown.text) } };
    }
    let unit_chars = shown.unit.as_ref().map_or(0, |unit| unit.chars().count());
    let is_long = shown.text.chars().count() * 5 + unit_chars * 3 > LINE_UNITS;
    html! {
        span class=(if is_long { "number long" } else { "number" }) { (shown.text) }
        @if let Some(unit) = &shown.unit { " " span class="unit" { (unit) } }
    }
}

/// What a line of the narrowest tile holds in large figures, a figure being 5 wide and a
/// character of the unit 3.
const LINE_UNITS: usize = 40;

/// A disc, full while a boolean is true.
fn state_dot(record: &Record) -> Markup {
    let number = record.value.number().filter(|_| record.is_boolean);
    html! {
        @if let Some(number) = number {
            span class=(if number == 0.0 { "dot" } else { "dot on" }) aria-hidden="true" {} " "
        }
    }
}

/// The line below: the range of today, or what is wrong.
fn foot(
    view: &PageContext,
    record: &Record,
    severity: ValueSeverity,
    line: Option<&Sparkline>,
) -> Markup {
    let format = view.plan.number_format(record);
    let range = range_of_today(record, &format, line);
    html! {
        @if severity == ValueSeverity::Stale {
            (record_age(view, record))
        } @else if let Some(reason) = reason(view, record) {
            strong class="label" { (reason) }
        } @else if let Some(range) = range {
            (range)
        }
    }
}

/// `−1.0 … 6.3`, of a boolean how long it was on.
pub fn range_of_today(
    record: &Record,
    format: &NumberFormat,
    line: Option<&Sparkline>,
) -> Option<String> {
    if record.is_boolean {
        let share = line?.mean()?.clamp(0.0, 1.0) * 100.0;
        let word = format.value(&crate::domain::reading::Value::Number(1.0));
        return Some(format!("{} {share:.0} % of 24 h", word.text.to_lowercase()));
    }
    let today = record.today.filter(|_| format.words().next().is_none())?;
    let (low, high) = (format.number(today.min), format.number(today.max));
    Some(format!("{low} … {high}"))
}

/// The value with its unit small beside it.
pub fn record_value(view: &PageContext, record: &Record) -> Markup {
    let shown = view.plan.number_format(record).value(&record.value);
    html! {
        (state_dot(record))
        span class=(if shown.is_word { "text" } else { "number" }) { (shown.text) }
        @if let Some(unit) = &shown.unit { " " span class="unit" { (unit) } }
    }
}

/// The age of the value, and a word if it is stale.
pub fn record_age(view: &PageContext, record: &Record) -> Markup {
    html! {
        @if record.stale { strong class="label" { "stale" } " " }
        (time_element(view, record.stamp.observed, record.stamp.age(view.now)))
    }
}
