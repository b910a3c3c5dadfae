//! A line for each value: label at the left, value and unit at the right.

use super::cell::{background, figure_style, unit_space, unit_style, value_width};
use super::pen::Pen;
use crate::monitor::picture::content::PictureCell;
use crate::monitor::picture::shape::{Ink, PixelRect};
use crate::monitor::picture::text::TextStyle;

/// Least and greatest height of a line, in tenths of a label.
const LEAST_HEIGHT: i32 = 22;
const GREATEST_HEIGHT: i32 = 60;
/// Least width of a column, in labels.
const LEAST_WIDTH: i32 = 18;
/// What a value takes of a line at most, in hundredths.
const VALUE_PERCENT: i32 = 60;

/// Draws the lines; how many found no room.
pub fn draw(pen: &mut Pen<'_>, rect: &PixelRect, cells: &[PictureCell]) -> usize {
    if cells.is_empty() {
        return 0;
    }
    let label = pen.sizes.label;
    let in_column = (rect.height() * 10 / (LEAST_HEIGHT * label)).max(1) as usize;
    let most_columns = (rect.width() / (LEAST_WIDTH * label)).max(1) as usize;
    let columns = cells.len().div_ceil(in_column).min(most_columns);
    let rows = cells.len().div_ceil(columns).min(in_column);
    let height = (rect.height() / rows as i32).min(GREATEST_HEIGHT * label / 10);
    let spare = rect.height() - height * rows as i32;
    let from = rect.top + spare / 2;
    let lines = PixelRect::new(rect.left, from, rect.right, from + height * rows as i32);
    let mut left = cells;
    for (index, column) in lines.columns(columns).iter().enumerate() {
        if index > 0 {
            pen.rule_down(rect, column.left);
        }
        for (index, line) in column.rows(rows).iter().enumerate() {
            let Some((cell, rest)) = left.split_first() else {
                break;
            };
            if index > 0 {
                let margin = pen.sizes.margin;
                pen.dots_across(line.left + margin, line.right - margin, line.top);
            }
            draw_line(pen, line, cell);
            left = rest;
        }
    }
    left.len()
}

fn draw_line(pen: &mut Pen<'_>, line: &PixelRect, cell: &PictureCell) {
    let sizes = pen.sizes;
    let ink = background(pen, line, cell.level);
    let (left, right) = (line.left + sizes.margin, line.right - sizes.margin);
    let middle = (line.top + line.bottom) / 2;
    let small = TextStyle::regular(sizes.small);
    let label_style = TextStyle::regular(sizes.label);
    let most = (right - left) * VALUE_PERCENT / 100;
    let largest = (line.height() * 9 / 20).clamp(sizes.label, sizes.label * 2);
    let unit = cell.unit.as_deref();
    let begin = draw_value(pen, cell, unit, largest, (right, middle), most, ink);

    // Words below the label, or behind it.
    let room = begin - left - sizes.margin;
    let to_words = label_style.descent() + small.ascent();
    let height = label_style.ascent() + to_words + small.descent();
    let is_below = line.height() > height + 2;
    let words = cell.words.as_deref().unwrap_or_default();
    let words_width = pen.width(words, small);
    let for_words = if words.is_empty() || is_below {
        0
    } else {
        words_width.min(room / 2) + sizes.margin
    };
    let label = pen.shorten(&cell.label, label_style, room - for_words);
    let mut baseline = middle + sizes.label / 2;
    if !words.is_empty() && is_below {
        baseline = (line.top + line.bottom - height) / 2 + label_style.ascent();
    }
    let end = pen.text(&label, label_style, ink, left, baseline);
    let (from, at) = if is_below {
        (left, baseline + to_words)
    } else {
        (end + sizes.margin, baseline)
    };
    let words = pen.shorten(words, small, left + room - from);
    pen.text(&words, small, ink, from, at);
}

/// Value and unit up to the right end of a line, in at most so many pixels; where they begin.
pub fn draw_value(
    pen: &mut Pen<'_>,
    cell: &PictureCell,
    unit: Option<&str>,
    largest: i32,
    (right, middle): (i32, i32),
    most: i32,
    ink: Ink,
) -> i32 {
    let figure = fit_value(pen, cell, unit, largest, most);
    let fits = value_width(pen, cell, unit, figure) <= most;
    let baseline = middle + figure / 2;
    let end = match unit.filter(|_| fits) {
        Some(unit) => {
            let style = unit_style(pen, figure);
            pen.text_to(unit, style, ink, right, baseline) - unit_space(figure)
        }
        None => right,
    };
    let style = figure_style(cell.level, figure);
    let value = pen.shorten(&cell.value, style, most);
    pen.text_to(&value, style, ink, end, baseline)
}

/// Height of the largest figure with which value and unit fit.
pub fn fit_value(
    pen: &Pen<'_>,
    cell: &PictureCell,
    unit: Option<&str>,
    largest: i32,
    most: i32,
) -> i32 {
    pen.fit(largest, most, &|figure| {
        value_width(pen, cell, unit, figure)
    })
}
