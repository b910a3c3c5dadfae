//! Cells side by side, in the columns that let figures be largest; or the first one large above the others.

use super::cell;
use super::pen::Pen;
use crate::monitor::picture::content::PictureCell;
use crate::monitor::picture::shape::PixelRect;

/// Of a cell's height, in hundredths: the largest figure.
const FIGURE_PERCENT: i32 = 44;
/// The same of the large value.
const LARGE_PERCENT: i32 = 58;
/// Of the largest figure, in hundredths: all have the size of the smallest down to this.
pub const ALIKE_PERCENT: i32 = 65;
/// Of the picture's height, in hundredths: the large value.
const BIG_PERCENT: i32 = 60;
/// Least width and height of a cell, in heights of a label.
pub const LEAST_WIDTH: i32 = 9;
pub const LEAST_HEIGHT: i32 = 4;

/// Draws cells with rules between them; how many found no room.
pub fn draw(pen: &mut Pen<'_>, rect: &PixelRect, cells: &[PictureCell]) -> usize {
    let label = pen.sizes.label;
    let most_columns = (rect.width() / (LEAST_WIDTH * label)).max(1) as usize;
    let most_rows = (rect.height() / (LEAST_HEIGHT * label)).max(1) as usize;
    let shown = cells.len().min(most_columns * most_rows);
    let Some(columns) = columns(rect, shown, most_columns, most_rows) else {
        return 0;
    };
    let rows = shown.div_ceil(columns);
    let mut places = Vec::new();
    for (index, row) in rect.rows(rows).iter().enumerate() {
        // The last row shares its width among the cells that it has.
        let in_row = columns.min(shown - index * columns);
        places.extend(row.columns(in_row));
        if index > 0 {
            pen.rule_across(row, row.top);
        }
        let in_order = cells.iter().skip(index * columns);
        let levels: Vec<_> = in_order.take(in_row).map(|it| it.level).collect();
        for (column, pair) in row.columns(in_row).iter().skip(1).zip(levels.windows(2)) {
            // An inverted cell has edges of its own.
            if !pair.iter().any(|level| cell::is_filled(*level)) {
                pen.rule_down(row, column.left);
            }
        }
    }
    draw_alike(pen, &places, cells, false);
    cells.len() - shown
}

/// The first cell large, the others in rows below; how many found no room.
pub fn draw_big(pen: &mut Pen<'_>, rect: &PixelRect, cells: &[PictureCell]) -> usize {
    let Some((first, others)) = cells.split_first() else {
        return 0;
    };
    let below = rect.height() * (100 - BIG_PERCENT) / 100;
    let has_room = below >= LEAST_HEIGHT * pen.sizes.label;
    let for_others = if has_room && !others.is_empty() {
        below
    } else {
        0
    };
    let (upper, lower) = rect.split_bottom(for_others);
    draw_alike(pen, &[upper], std::slice::from_ref(first), true);
    if for_others == 0 {
        return others.len();
    }
    pen.rule_across(&lower, lower.top);
    draw(pen, &lower, others)
}

/// Cells in places, those of a row on the same lines, with figures of one size unless one needs far more room.
fn draw_alike(pen: &mut Pen<'_>, places: &[PixelRect], cells: &[PictureCell], centred: bool) {
    let pairs: Vec<(&PixelRect, &PictureCell)> = places.iter().zip(cells).collect();
    let heads = pairs.iter().map(|(place, it)| {
        let height = cell::CellHead::new(pen, place, &it.label).height();
        (place.top, height)
    });
    let heads: Vec<(i32, i32)> = heads.collect();
    let head_of = |place: &PixelRect| {
        let row = heads.iter().filter(|(top, _)| *top == place.top);
        row.map(|(_, height)| *height).max().unwrap_or(0)
    };
    let share = if centred {
        LARGE_PERCENT
    } else {
        FIGURE_PERCENT
    };
    let largest = |place: &PixelRect| place.height() * share / 100;
    let plan = |most: i32| -> Vec<cell::CellPlan> {
        let planned = pairs.iter().map(|(place, it)| {
            cell::plan(pen, place, it, largest(place).min(most), head_of(place))
        });
        planned.collect()
    };
    let free = plan(i32::MAX);
    let greatest = free.iter().map(|it| it.figure).max().unwrap_or(0);
    let numbers = free.iter().zip(cells).filter(|(_, cell)| !cell.is_word);
    let common = numbers
        .map(|(plan, _)| plan.figure.max(greatest * ALIKE_PERCENT / 100))
        .min()
        .unwrap_or(greatest);
    let planned = plan(common);
    let spare: Vec<(i32, i32)> = pairs
        .iter()
        .zip(&planned)
        .map(|((place, it), plan)| (place.top, plan.spare(it.level)))
        .collect();
    for ((place, it), plan) in pairs.iter().zip(&planned) {
        let row = spare.iter().filter(|(top, _)| *top == place.top);
        let down = row.map(|(_, spare)| *spare).min().unwrap_or(0).max(0) / 2;
        cell::draw(pen, place, it, plan, down, centred);
    }
}

/// How many columns give the largest figures; None without cells.
fn columns(rect: &PixelRect, cells: usize, most_columns: usize, most_rows: usize) -> Option<usize> {
    let possible = (1..=cells.min(most_columns)).filter(|it| cells.div_ceil(*it) <= most_rows);
    possible.max_by_key(|columns| {
        let rows = cells.div_ceil(*columns);
        let (width, height) = (rect.width() / *columns as i32, rect.height() / rows as i32);
        // A figure is five times as wide as it is high, with its unit.
        let figure = (width / 5).min(height * FIGURE_PERCENT / 100);
        let empty = columns * rows - cells;
        (figure, std::cmp::Reverse(empty))
    })
}
