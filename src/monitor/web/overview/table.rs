//! Tables of values in rows and columns, such as rooms and what is measured in them.

use maud::{Markup, html};

use super::super::PageContext;
use super::super::grouping::{TableColumn, ValueTable};
use super::super::severity::{reason, severity};
use super::tile::{range_of_today, record_age};
use crate::domain::snapshot::Record;

/// The first `rows` rows.
pub fn value_table(view: &PageContext, table: &ValueTable, rows: usize) -> Markup {
    html! {
        div class="matrix" tabindex=[(table.columns.len() > WIDE).then_some("0")] {
            table {
                thead {
                    tr {
                        td {}
                        @for column in &table.columns { (heading(view, column)) }
                    }
                }
                tbody {
                    @for row in table.rows.iter().take(rows) {
                        tr {
                            th scope="row" { (row.label()) }
                            @for cell in &row.cells {
                                @match cell {
                                    Some(record) => (value_cell(view, record)),
                                    None => td { span class="unseen" { "no value" } },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// More columns than a phone shows beside each other: the table scrolls.
const WIDE: usize = 3;

fn heading(view: &PageContext, column: &TableColumn) -> Markup {
    let format = view.plan.number_format(column.first);
    html! {
        th scope="col" {
            div class="cell" {
                span class="fig" {
                    (column.label(view.plan))
                    // On a narrow screen it stands here instead of beside each value.
                    @if let Some(unit) = format.unit.filter(|_| column.unit.is_some()) {
                        span class="narrow" { ", " (unit) }
                    }
                }
                span class="spark" {}
            }
        }
    }
}

fn value_cell(view: &PageContext, record: &Record) -> Markup {
    let severity = severity(view, record);
    let format = view.plan.number_format(record);
    let shown = format.value(&record.value);
    let line = view.sparklines.of(view, record);
    let title = range_of_today(record, &format, line.as_ref());
    let title = reason(view, record).or_else(|| title.map(|it| format!("today {it}")));
    html! {
        td class=[Some(severity.class()).filter(|it| !it.is_empty())] {
            a class="cell" href=(view.links.key(&record.key)) title=[title] {
                span class="fig" {
                    (severity.mark()) (shown.text)
                    @if let Some(unit) = &shown.unit { span class="unit" { " " (unit) } }
                    @if record.stale { " " (record_age(view, record)) }
                }
                @match line { Some(line) => (line.line()), None => span class="spark" {} }
            }
        }
    }
}
