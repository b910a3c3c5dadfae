//! Lines: values that are no tiles, one below the other: texts, elements of lists, what is folded.

use maud::{Markup, html};

use super::super::PageContext;
use super::super::grouping::{Tile, ValueLine};
use super::super::severity::{reason, severity};
use super::tile::{record_age, record_value};
use crate::domain::snapshot::Record;

/// `context` is the beginning of the keys that the heading says.
pub fn value_lines(
    view: &PageContext,
    tiles: &[Tile],
    lines: &[ValueLine],
    context: &str,
) -> Markup {
    html! {
        @if !tiles.is_empty() || !lines.is_empty() {
            dl class="lines" {
                @for tile in tiles {
                    @match tile {
                        Tile::Value(record) => (line(view, record, context)),
                        Tile::Missing(key) => div class="stale" {
                            dt { a href=(view.links.key(key)) { (view.plan.label(key, context)) } }
                            dd { "no value yet" }
                        },
                    }
                }
                @for it in lines {
                    @match it {
                        ValueLine::Text(record) => (line(view, record, context)),
                        ValueLine::List(elements) => (list(view, elements, context)),
                    }
                }
            }
        }
    }
}

fn line(view: &PageContext, record: &Record, context: &str) -> Markup {
    let severity = severity(view, record);
    html! {
        div class=[Some(severity.class()).filter(|it| !it.is_empty())] {
            dt { a href=(view.links.key(&record.key)) { (view.plan.label(&record.key, context)) } }
            dd {
                (severity.mark()) (record_value(view, record))
                @if record.stale {
                    " " span class="age" { (record_age(view, record)) }
                } @else if let Some(reason) = reason(view, record) {
                    " " strong class="label" { (reason) }
                }
            }
        }
    }
}

/// The elements of a list beside each other, each the link to its chart.
fn list(view: &PageContext, elements: &[&Record], context: &str) -> Markup {
    let Some(first) = elements.first() else {
        return html! {};
    };
    let label = view.plan.label(list_key(&first.key), context);
    let is_stale = elements.iter().all(|record| record.stale);
    let format = view.plan.number_format(first);
    html! {
        div class=[is_stale.then_some("stale")] {
            dt { (label) }
            dd {
                @for record in elements {
                    a href=(view.links.key(&record.key)) {
                        (severity(view, record).mark())
                        (format.value(&record.value).text)
                    }
                    " "
                }
                @if let Some(unit) = &format.unit { span class="unit" { (unit) } }
            }
        }
    }
}

/// `forecast.rain` of `forecast.rain.0`.
fn list_key(key: &str) -> &str {
    key.rfind(['.', '/']).map_or(key, |at| &key[..at])
}
