//! A line for each value: label at the left, value and unit at the right.

use super::cell::{background, edge, figure_style, unit_space, unit_style, value_width};
use super::pen::Pen;
use crate::monitor::picture::content::{CellLevel, PictureCell};
use crate::monitor::picture::shape::{Ink, PixelRect};
use crate::monitor::picture::text::TextStyle;

/// Least and greatest height of a line, in tenths of a label.
const LEAST_HEIGHT: i32 = 22;
const GREATEST_HEIGHT: i32 = 60;
/// Least width of a column, in labels.
const LEAST_WIDTH: i32 = 18;
/// What a value takes of a line at most, in hundredths, unless label and words leave more.
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
    let words = cell.words.as_deref().unwrap_or_default();
    let words_width = pen.width(words, small);
    let to_words = label_style.descent() + small.ascent();
    let height = label_style.ascent() + to_words + small.descent();
    // On an inverted line, too.
    let is_below = line.height() > height + 2 * edge(pen);
    // A value has what label and words leave.
    let label_width = pen.width(&cell.label, label_style);
    let beside = match words {
        "" => label_width,
        _ if is_below => label_width.max(words_width),
        _ => label_width + sizes.margin + words_width,
    };
    let least = (right - left) * VALUE_PERCENT / 100;
    let place = ValuePlace {
        right,
        middle,
        width: least.max(right - left - beside - 2 * sizes.margin),
        height: line.height(),
        largest: (line.height() * 9 / 20).clamp(sizes.label, sizes.label * 2),
    };
    let begin = draw_value(pen, cell, cell.unit.as_deref(), &place, ink);

    // Words below the label, or behind it.
    let room = begin - left - sizes.margin;
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
    let shown = pen.shorten(words, small, left + room - from);
    if cell.level == CellLevel::Stale && (shown.is_empty() || shown != words) {
        pen.dotted_frame(&line.inset(edge(pen)));
    }
    pen.text(&shown, small, ink, from, at);
}

/// Where a value stands, in pixels.
pub struct ValuePlace {
    /// Where it ends, and the middle of its height.
    pub right: i32,
    pub middle: i32,
    /// The room that it may take.
    pub width: i32,
    pub height: i32,
    /// The greatest height of its figures.
    pub largest: i32,
}

/// Value and unit, or a text in one line or two; where they begin.
pub fn draw_value(
    pen: &mut Pen<'_>,
    cell: &PictureCell,
    unit: Option<&str>,
    place: &ValuePlace,
    ink: Ink,
) -> i32 {
    let figure = fit_value(pen, cell, unit, place.largest, place.width);
    let fits = value_width(pen, cell, unit, figure) <= place.width;
    let is_small = unit.is_none() && figure < pen.sizes.label;
    if cell.is_word && (!fits || is_small) {
        return draw_words(pen, cell, place, ink);
    }
    let unit = unit.filter(|_| fits || cell.is_scaled);
    let figure = if fits {
        figure
    } else {
        let width = |figure| value_width(pen, cell, unit, figure);
        pen.fit_whole(place.largest, place.width, &width)
    };
    let baseline = place.middle + figure / 2;
    let end = match unit {
        Some(unit) => {
            let style = unit_style(pen, figure);
            pen.text_to(unit, style, ink, place.right, baseline) - unit_space(figure)
        }
        None => place.right,
    };
    let style = figure_style(cell.level, figure);
    pen.text_to(&cell.value, style, ink, end, baseline)
}

/// A text without its unit: whole in one line of a label's size, or in two lines, or smaller, or else cut.
fn draw_words(pen: &mut Pen<'_>, cell: &PictureCell, place: &ValuePlace, ink: Ink) -> i32 {
    let sizes = pen.sizes;
    let style = |capital| figure_style(cell.level, capital);
    let has_room_for_two = |capital| {
        let style = style(capital);
        style.ascent() + style.line_height() + style.descent() < place.height - sizes.margin / 3
    };
    let in_lines = |capital: i32, most| {
        let lines = pen.wrap(&cell.value, style(capital), place.width, most);
        (capital, lines)
    };
    let is_whole = |(capital, lines): &(i32, Vec<String>)| {
        let fits = |line: &String| pen.width(line, style(*capital)) <= place.width;
        lines.join(" ") == cell.value && lines.iter().all(fits)
    };
    let down_to = |least: i32| (least..=place.largest).rev();
    let one = down_to(sizes.label).map(|capital| in_lines(capital, 1));
    let two = down_to(sizes.small).filter(|capital| has_room_for_two(*capital));
    let two = two.map(|capital| in_lines(capital, 2));
    let small = std::iter::once_with(|| in_lines(sizes.small, 1));
    let whole = one.chain(two).chain(small).find(is_whole);
    let (capital, lines) = whole.unwrap_or_else(|| {
        if has_room_for_two(sizes.label) {
            in_lines(sizes.label, 2)
        } else if has_room_for_two(sizes.small) {
            in_lines(sizes.small, 2)
        } else {
            in_lines(sizes.label.min(place.largest), 1)
        }
    });
    let style = style(capital);
    let more = (lines.len() as i32 - 1).max(0) * style.line_height();
    let mut baseline = place.middle + (capital - more) / 2;
    let mut begin = place.right;
    for line in &lines {
        begin = begin.min(pen.text_to(line, style, ink, place.right, baseline));
        baseline += style.line_height();
    }
    begin
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
