//! Overview page: the state, and the values in their groups.

mod lines;
mod table;
mod tile;

use maud::{Markup, html};

pub use self::lines::value_lines;
pub use self::table::value_table;
pub use self::tile::{record_age, record_value};
use super::grouping::{self, Arrangement, ValueGroup};
use super::layout::{self, Page, Part};
use super::{PageContext, welcome};
use crate::domain::text::count_noun;
use crate::limits;

pub fn page(view: &PageContext) -> Page {
    Page {
        title: layout::OVERVIEW.to_owned(),
        parts: vec![
            welcome::part(view).unwrap_or_else(|| layout::status_section(view, layout::OVERVIEW)),
            Part::live("values", values(view)),
        ],
        has_own_heading: false,
    }
}

fn values(view: &PageContext) -> Markup {
    let Arrangement { groups, ungrouped } = grouping::arrange(view.plan, view.snapshot);
    let mut space = PageSpace {
        tiles: limits::TILES,
        lines: limits::FOLDED_VALUES,
    };
    html! {
        @if groups.is_empty() { p class="quiet" { "No values yet." } }
        @for group in &groups { (group_section(view, group, &mut space)) }
        @if !ungrouped.is_empty() {
            h2 { "Not in a group" }
            ul class="links" {
                @for (name, count) in ungrouped {
                    li { a href=(ungrouped_url(view, name)) { (name) " " (count) } }
                }
            }
        }
    }
}

/// How many values a page may still show.
pub struct PageSpace {
    pub tiles: usize,
    /// Those that are folded.
    pub lines: usize,
}

fn ungrouped_url(view: &PageContext, name: &str) -> String {
    let mut sources = view.snapshot.sources.iter();
    if sources.any(|source| *source.name == *name) {
        view.links.source(name)
    } else {
        view.links.group(name)
    }
}

fn group_section(view: &PageContext, group: &ValueGroup, space: &mut PageSpace) -> Markup {
    let age = group_age(view, group);
    html! {
        @if group.is_folded {
            details class="group" {
                summary { h2 { (group.name) " " (age) } }
                (group_values(view, group, space))
            }
        } @else {
            h2 { a href=(view.links.group(group.name)) { (group.name) } " " (age) }
            (group_values(view, group, space))
        }
    }
}

/// The age of the newest value: age is news only where it is high.
pub fn group_age(view: &PageContext, group: &ValueGroup) -> Markup {
    let records = group.records();
    let newest = records
        .iter()
        .copied()
        .filter_map(|record| Some((record.stamp.age(view.now)?, record)))
        .min_by_key(|(age, _)| *age);
    let is_stale = !records.is_empty() && records.iter().all(|record| record.stale);
    html! {
        @match newest {
            Some((age, record)) => span class="age" {
                @if is_stale { strong class="label" { "stale" } " " }
                (layout::time_element(view, record.stamp.observed, Some(age)))
            },
            None if is_stale => span class="age" {
                strong class="label" { "stale" } " age unknown"
            },
            None => {}
        }
    }
}

/// The values of a group: a table, tiles, lines, and what is folded.
pub fn group_values(view: &PageContext, group: &ValueGroup, space: &mut PageSpace) -> Markup {
    let context = &*group.context;
    let open = group.open.min(space.tiles).min(group.tiles.len());
    let (tiles, folded) = group.tiles.split_at(open);
    space.tiles -= open;
    let is_cut = group.open < group.tiles.len() + group.lines.len() || !folded.is_empty();
    let more = folded.len() + group.lines.len();
    let rows = group.table.as_ref().map_or(0, |table| table.rows.len());
    let columns = group.table.as_ref().map_or(1, |it| it.columns.len().max(1));
    let rows_shown = rows.min(space.tiles / columns);
    space.tiles -= rows_shown * columns;
    html! {
        @if let Some(table) = &group.table {
            (value_table(view, table, rows_shown))
            @if rows_shown < rows {
                p class="quiet" {
                    a href=(view.links.group(group.name)) { (count_noun(rows - rows_shown, "more row")) }
                }
            }
        }
        @if !tiles.is_empty() {
            ul class="tiles" { @for it in tiles { (tile::tile(view, it, context)) } }
        }
        @if more > 0 && is_cut {
            (folded_values(view, group, folded, space))
        } @else {
            (value_lines(view, &[], &group.lines, context))
        }
    }
}

fn folded_values(
    view: &PageContext,
    group: &ValueGroup,
    tiles: &[grouping::Tile],
    space: &mut PageSpace,
) -> Markup {
    let more = tiles.len() + group.lines.len();
    let tiles_shown = tiles.len().min(space.lines);
    space.lines -= tiles_shown;
    let lines_shown = group.lines.len().min(space.lines);
    space.lines -= lines_shown;
    let left_out = more - tiles_shown - lines_shown;
    let url = view.links.group(group.name);
    if tiles_shown + lines_shown == 0 {
        return html! { p class="quiet" { a href=(url) { "and " (more) " more" } } };
    }
    html! {
        details {
            summary { "and " (more) " more" }
            (value_lines(view, &tiles[..tiles_shown], &group.lines[..lines_shown], &group.context))
            @if left_out > 0 { p class="quiet" { a href=(url) { "and " (left_out) " more" } } }
        }
    }
}

#[cfg(test)]
#[path = "tests/overview.rs"]
mod tests;
