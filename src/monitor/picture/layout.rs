//! Arranges content on a picture: cells, chart and sentences, in sizes that follow from the panel.

mod cell;
mod chart;
mod footer;
mod grid;
mod list;
mod pen;
mod rooms;

use self::pen::{Pen, Sizes};
use super::content::{PictureContent, PictureMessage, PictureTime};
use super::drawing::Drawing;
use super::font::Fonts;
use super::panel_colour::PanelColour;
use super::shape::{Ink, PixelRect};
use super::text::{TextStyle, Typesetter};
use crate::domain::plan::{Panel, PictureLayout};

/// Of the height between margin and footer, in hundredths: what a chart below values takes.
const CHART_PERCENT: i32 = 42;
/// The least height of a chart, in heights of a label.
const LEAST_CHART: i32 = 9;

/// The shapes of a picture, upright: the panel's rotation comes when it is encoded.
pub fn draw(content: &PictureContent, time: &PictureTime, panel: &Panel) -> Drawing {
    let fonts = Fonts::unpack();
    let mut shapes = Vec::new();
    // Again with a note of what found no room, which itself takes room.
    let mut left_out = LeftOut::default();
    for _ in 0..3 {
        let typesetter = Typesetter::new(&fonts);
        let colour = PanelColour::new(panel.colours);
        let (width, height) = panel.drawn_size();
        let page = PixelRect::new(0, 0, width.into(), height.into());
        let mut pen = Pen::new(&typesetter, colour, Sizes::of(&page));
        let missing = compose(&mut pen, &page, content, time, left_out);
        shapes = pen.shapes;
        if missing == left_out {
            break;
        }
        left_out = missing;
    }
    Drawing { shapes, fonts }
}

/// What found no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LeftOut {
    values: usize,
    chart: bool,
}

/// Draws all; what found no room.
fn compose(
    pen: &mut Pen<'_>,
    page: &PixelRect,
    content: &PictureContent,
    time: &PictureTime,
    left_out: LeftOut,
) -> LeftOut {
    let body = footer::draw(pen, page, content, time, left_out);
    if let Some(message) = &content.message {
        draw_message(pen, &body, message);
        return LeftOut::default();
    }
    let cells = &content.cells;
    let (has_chart, values) = match (content.layout, &content.table) {
        (PictureLayout::Rooms, Some(table)) => {
            let least = rooms::least_height(pen, table).max(body.height() / 2);
            let (has_chart, values) = below_values(pen, &body, content, least);
            (has_chart, rooms::draw(pen, &values, table))
        }
        (PictureLayout::Chart, _) if content.chart.is_some() => {
            let columns = (body.width() / (grid::LEAST_WIDTH * pen.sizes.label)).max(1) as usize;
            let rows = cells.len().div_ceil(columns) as i32;
            // A row is a little higher than the least, for words below its values.
            let least = rows * (grid::LEAST_HEIGHT + 1) * pen.sizes.label;
            let quarter = if rows == 0 { 0 } else { body.height() / 4 };
            let most = body.height() - LEAST_CHART * pen.sizes.label;
            let least = least.min(body.height() / 2).max(quarter).min(most);
            let has_room = least >= grid::LEAST_HEIGHT * pen.sizes.label;
            let least = if has_room { least } else { 0 };
            let (has_chart, values) = below_values(pen, &body, content, least);
            let left_out = if values.is_empty() {
                cells.len()
            } else {
                grid::draw(pen, &values, cells)
            };
            (has_chart, left_out)
        }
        (layout, _) => {
            let least = body.height() * (100 - CHART_PERCENT) / 100;
            let (has_chart, values) = below_values(pen, &body, content, least);
            let left_out = match layout {
                PictureLayout::List => list::draw(pen, &values, cells),
                PictureLayout::Big => grid::draw_big(pen, &values, cells),
                _ => grid::draw(pen, &values, cells),
            };
            (has_chart, left_out)
        }
    };
    LeftOut {
        values,
        chart: content.chart.is_some() && !has_chart,
    }
}

/// Draws the chart below `least` pixels for values, if both have room; whether it did, and what is left
/// for values.
fn below_values(
    pen: &mut Pen<'_>,
    body: &PixelRect,
    content: &PictureContent,
    least: i32,
) -> (bool, PixelRect) {
    let label = pen.sizes.label;
    let has_room = body.height() - least >= LEAST_CHART * label
        && (least == 0 || least >= grid::LEAST_HEIGHT * label);
    let Some(chart) = content.chart.as_ref().filter(|_| has_room) else {
        return (false, *body);
    };
    let (values, below) = body.split_top(least);
    if !values.is_empty() {
        pen.rule_across(&below, below.top);
    }
    chart::draw(pen, &below, chart);
    (true, values)
}

/// A title and a text in the middle.
fn draw_message(pen: &mut Pen<'_>, body: &PixelRect, message: &PictureMessage) {
    let inner = body.inset(pen.sizes.margin);
    let text_style = TextStyle::regular(pen.sizes.label);
    let title_width = |capital| pen.width(&message.title, TextStyle::bold(capital));
    let largest = pen.sizes.label * 9 / 5;
    let title_style = TextStyle::bold(pen.fit(largest, inner.width(), &title_width));
    let title_lines = (inner.height() / title_style.line_height()).clamp(1, 2) as usize;
    let title = pen.wrap(&message.title, title_style, inner.width(), title_lines);
    let title_height = title.len() as i32 * title_style.line_height();
    let room = (inner.height() - title_height) / text_style.line_height();
    let text = pen.wrap(
        &message.text,
        text_style,
        inner.width(),
        room.max(0) as usize,
    );
    let height = title_height + text.len() as i32 * text_style.line_height();
    let middle = (inner.left + inner.right) / 2;
    let mut baseline = inner.top + (inner.height() - height).max(0) / 2;
    let lines = title.iter().map(|line| (line, title_style));
    for (line, style) in lines.chain(text.iter().map(|line| (line, text_style))) {
        baseline += style.line_height();
        pen.centred(line, style, Ink::Black, middle, baseline - style.descent());
    }
}

#[cfg(test)]
#[path = "tests/layout.rs"]
mod tests;
