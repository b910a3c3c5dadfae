//! Tiles: a value in large figures, its last day and its range of today, as one link.

use maud::{Markup, html};

use super::super::PageContext;
use super::super::fitted_text::{Weight, width};
use super::super::grouping::Tile;
use super::super::layout::{time_element, timed_text};
use super::super::severity::{ValueSeverity, reason, severity};
use super::super::sparkline::Sparkline;
use crate::domain::presentation::NumberFormat;
use crate::domain::snapshot::Record;
use crate::monitor::format::format_age;

pub fn tile(view: &PageContext, tile: &Tile, context: &str) -> Markup {
    match tile {
        Tile::Value(record) => value_tile(view, record, context),
        Tile::Missing(key) => html! {
            li class="tile stale" {
                (link(view, key, context))
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
            (link(view, &record.key, context))
            p class="value" { (severity.mark()) (figure(view, record, severity)) }
            // Kept free where there is no line, so that figures stand beside each other.
            @match &line {
                Some(line) => (line.line()),
                None => div class="spark" {},
            }
            p class="foot" { (foot(view, record, severity, line.as_ref())) }
        }
    }
}

/// The label; the stylesheet cuts it behind two lines, its title is the whole.
fn link(view: &PageContext, key: &str, context: &str) -> Markup {
    let label = view.plan.label(key, context);
    let is_long = label.chars().count() > LABEL_CHARS;
    html! {
        a href=(view.links.key(key)) title=[is_long.then_some(&label)] { (label) }
    }
}

/// What certainly fits on two lines of the narrowest tile.
const LABEL_CHARS: usize = 24;

/// The number in large figures, or the word.
fn figure(view: &PageContext, record: &Record, severity: ValueSeverity) -> Markup {
    let shown = view.plan.number_format(record).value(&record.value);
    if shown.is_word {
        return html! { (state_dot(record)) span class="text" { (shown.text) } };
    }
    let unit = shown.unit.as_deref().unwrap_or_default();
    let is_long = !fits_large(&shown.text, unit, severity);
    html! {
        span class=(if is_long { "number long" } else { "number" }) { (shown.text) }
        @if let Some(unit) = &shown.unit { " " span class="unit" { (unit) } }
    }
}

/// Whether mark, figure and unit fit beside each other in the narrowest tile.
fn fits_large(figure: &str, unit: &str, severity: ValueSeverity) -> bool {
    let mark = match severity {
        ValueSeverity::Warn | ValueSeverity::Bad => MARK_REM,
        ValueSeverity::None | ValueSeverity::Stale => 0.0,
    };
    let figure = width(figure, Weight::Bold) * FIGURE_REM;
    let unit = match unit {
        "" => 0.0,
        unit => width(" ", Weight::Regular) * FIGURE_REM + width(unit, Weight::Regular) * UNIT_REM,
    };
    mark + figure + unit <= LINE_REM
}

// Sizes of overview.css: the room for a line in the narrowest tile, and what stands in it.
const LINE_REM: f64 = 7.5;
const FIGURE_REM: f64 = 1.55;
const UNIT_REM: f64 = 0.8;
const MARK_REM: f64 = 1.3;

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
    // A value that stood still all day says it already.
    (low != high).then(|| format!("{low} … {high}"))
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
    let (observed, age) = (record.stamp.observed, record.stamp.age(view.now));
    html! {
        @if record.stale {
            // Short, so that a tile has it on one line.
            @let age = age.map_or_else(|| "age unknown".to_owned(), format_age);
            strong class="label" { "stale" } " "
            (timed_text(view, observed, age.trim_end_matches(" ago")))
        } @else {
            (time_element(view, observed, age))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_smaller_only_where_they_and_their_unit_do_not_fit() {
        use ValueSeverity::{Bad, None};
        for (figure, unit, severity, fits) in [
            ("−12.5", "°C", None, true),
            ("1\u{202f}284", "W", None, true),
            ("30.2", "ct/kWh", None, true),
            ("38\u{202f}812", "", None, true),
            ("1\u{202f}284", "W", Bad, true),
            // 86 px of figures and 28 px of unit, beside a space, in 121 px.
            ("13\u{202f}802", "kWh", None, false),
            ("30.2", "ct/kWh", Bad, false),
            ("−1\u{202f}234.56", "", None, false),
        ] {
            let found = fits_large(figure, unit, severity);
            assert_eq!(found, fits, "{figure} {unit} {severity:?}");
        }
    }
}
