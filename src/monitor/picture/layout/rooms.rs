//! A table: rooms one below the other, what is measured side by side.

use super::cell::{background, edge, value_width};
use super::grid::ALIKE_PERCENT;
use super::list::{ValuePlace, draw_value, fit_value};
use super::pen::Pen;
use crate::monitor::picture::content::{CellLevel, PictureCell, PictureTable};
use crate::monitor::picture::shape::{Ink, PixelRect};
use crate::monitor::picture::text::TextStyle;

/// Least and greatest height of a row, in tenths of a label.
const LEAST_HEIGHT: i32 = 24;
const GREATEST_HEIGHT: i32 = 80;
/// Least width of a column, in labels.
const LEAST_WIDTH: i32 = 5;
/// What names of rows take at most, in hundredths.
const NAME_PERCENT: i32 = 40;

/// Of a table with all its rows, in pixels.
pub fn least_height(pen: &Pen<'_>, table: &PictureTable) -> i32 {
    let rows = table.rows.len() as i32 * LEAST_HEIGHT * pen.sizes.label / 10;
    head_height(pen) + rows
}

fn head_height(pen: &Pen<'_>) -> i32 {
    TextStyle::regular(pen.sizes.small).line_height() + pen.sizes.margin
}

/// Draws the table; how many values found no room.
pub fn draw(pen: &mut Pen<'_>, rect: &PixelRect, table: &PictureTable) -> usize {
    let sizes = pen.sizes;
    let label = TextStyle::regular(sizes.label);
    let head_style = TextStyle::regular(sizes.small);
    let widest = table.rows.iter().map(|(name, _)| pen.width(name, label));
    let names = widest.max().unwrap_or(0) + 2 * sizes.margin;
    let names = names.min(rect.width() * NAME_PERCENT / 100);
    let fitting = (rect.width() - names) / (LEAST_WIDTH * sizes.label);
    let columns = table.columns.len().min(fitting.max(1) as usize);
    let (head, below) = rect.split_top(head_height(pen));
    let fitting = (below.height() * 10 / (LEAST_HEIGHT * sizes.label)).max(1);
    let rows = table.rows.len().min(fitting as usize);
    let left_out = table.rows.len() * table.columns.len() - rows * columns;
    if rows == 0 || columns == 0 {
        return left_out;
    }
    let height = (below.height() / rows as i32).min(GREATEST_HEIGHT * sizes.label / 10);
    let right_of_names = PixelRect {
        left: below.left + names,
        ..below
    };
    let baseline = head.bottom - head_style.descent() - sizes.margin / 3;
    for (column, title) in right_of_names.columns(columns).iter().zip(&table.columns) {
        let right = column.right - sizes.margin;
        let title = pen.shorten(title, head_style, column.width() - sizes.margin);
        pen.text_to(&title, head_style, Ink::Black, right, baseline);
    }
    pen.rule_across(&head, head.bottom - sizes.rule);
    // All figures have the size of the smallest, unless that is too small.
    let largest = (height * 2 / 5).clamp(sizes.small, sizes.label * 2);
    let most = right_of_names.width() / columns as i32 - 2 * sizes.margin;
    let cells = table.rows.iter().flat_map(|(_, cells)| cells).flatten();
    let numbers = cells.filter(|cell| !cell.is_word);
    let fitted = numbers.map(|cell| fit_value(pen, cell, cell.unit.as_deref(), largest, most));
    let smallest = fitted.min().unwrap_or(largest);
    let largest = smallest.max((largest * ALIKE_PERCENT / 100).max(sizes.small));
    for (index, (name, cells)) in table.rows.iter().take(rows).enumerate() {
        let top = below.top + index as i32 * height;
        let row = PixelRect::new(below.left, top, below.right, top + height);
        if index > 0 {
            pen.dots_across(row.left + sizes.margin, row.right - sizes.margin, top);
        }
        let middle = top + height / 2;
        let name = pen.shorten(name, label, names - 2 * sizes.margin);
        let left = row.left + sizes.margin;
        pen.text(&name, label, Ink::Black, left, middle + sizes.label / 2);
        let places = PixelRect {
            left: row.left + names,
            ..row
        };
        for (place, cell) in places.columns(columns).iter().zip(cells) {
            let right = place.right - sizes.margin;
            let Some(cell) = cell else {
                let baseline = middle + sizes.label / 2;
                pen.text_to("–", label, Ink::Black, right, baseline);
                continue;
            };
            draw_cell(pen, place, cell, largest);
        }
    }
    left_out
}

/// A value, its figures at most `largest` high.
fn draw_cell(pen: &mut Pen<'_>, place: &PixelRect, cell: &PictureCell, largest: i32) {
    let sizes = pen.sizes;
    let small = TextStyle::regular(sizes.small);
    let right = place.right - sizes.margin;
    let middle = place.top + place.height() / 2;
    let most = place.width() - 2 * sizes.margin;
    let ink = background(pen, place, cell.level);
    // Why it is so: below, or in place of the unit.
    let words = cell.words.as_ref();
    let has_room = place.height() >= largest + 3 * sizes.small;
    let is_below = words.is_some() && !cell.is_word && has_room;
    if let (Some(words), true) = (words, is_below) {
        let at = middle + largest / 2 + sizes.small;
        let words = pen.shorten(words, small, most);
        pen.text_to(&words, small, ink, right, at);
    }
    let fits = |unit: &&str| value_width(pen, cell, Some(unit), sizes.small) <= most;
    let beside = words.filter(|_| !is_below && !cell.is_scaled);
    let beside = beside.map(String::as_str);
    let beside = beside.filter(fits);
    if cell.level == CellLevel::Stale && !is_below && (beside.is_none() || cell.is_word) {
        pen.dotted_frame(&place.inset(edge(pen)));
    }
    let unit = beside.or(cell.unit.as_deref());
    let value = ValuePlace {
        right,
        middle: middle - if is_below { sizes.small } else { 0 },
        width: most,
        height: place.height(),
        largest,
    };
    draw_value(pen, cell, unit, &value, ink);
}
