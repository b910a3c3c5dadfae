//! The chart of a picture: a line over time with an area below it, and values to come as a thinner line
//! without; or bars.

use super::pen::Pen;
use crate::monitor::picture::content::{PictureBar, PictureChart};
use crate::monitor::picture::shape::{Ink, PictureShape, PixelRect};
use crate::monitor::picture::text::TextStyle;

/// The area below the line: a level of 4 and 8 bits, or dots in every eighth pixel.
const AREA: Ink = Ink::Grey(221);
const DOTTED_AREA: Ink = Ink::Grey(224);

pub fn draw(pen: &mut Pen<'_>, rect: &PixelRect, chart: &PictureChart) {
    let sizes = pen.sizes;
    let (title_style, tick_style) = (
        TextStyle::regular(sizes.label),
        TextStyle::regular(sizes.small),
    );
    let inner = rect.inset(sizes.margin);
    let title = pen.shorten(&chart.title, title_style, inner.width());
    pen.text(
        &title,
        title_style,
        Ink::Black,
        inner.left,
        inner.top + sizes.label,
    );

    let widest = chart
        .y_ticks
        .iter()
        .map(|(_, text)| pen.width(text, tick_style));
    let labels = widest.max().map_or(0, |width| width + sizes.margin * 2 / 3);
    let below = if chart.x_ticks.is_empty() {
        0
    } else {
        sizes.small * 2
    };
    let plot = PixelRect::new(
        inner.left + labels.min(inner.width() / 3),
        inner.top + sizes.label * 2,
        inner.right,
        inner.bottom - below,
    );
    if plot.is_empty() {
        return;
    }
    if let Some(note) = &chart.note {
        let style = TextStyle::regular(sizes.label);
        let note = pen.shorten(note, style, plot.width());
        let middle = ((plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2);
        pen.centred(
            &note,
            style,
            Ink::Black,
            middle.0,
            middle.1 + sizes.label / 2,
        );
        return;
    }
    if chart.bars.is_empty() {
        draw_lines(pen, &plot, chart);
    } else {
        draw_bars(pen, &plot, &chart.bars);
    }
    draw_y_ticks(pen, &plot, chart, tick_style);
    draw_x_ticks(pen, &plot, chart, tick_style, inner.bottom);
}

fn area_ink(pen: &Pen<'_>) -> Ink {
    if pen.colour.has_grey() {
        AREA
    } else {
        DOTTED_AREA
    }
}

fn draw_lines(pen: &mut Pen<'_>, plot: &PixelRect, chart: &PictureChart) {
    let width = (pen.sizes.label as f32 / 5.0).round().max(2.0);
    // To a quarter of a pixel: what cannot be seen is not another picture.
    let quarter = |pixels: f32| (pixels * 4.0).round() / 4.0;
    let place = |(x, y): (f64, f64)| {
        (
            quarter(plot.left as f32 + x.clamp(0.0, 1.0) as f32 * plot.width() as f32),
            quarter(plot.bottom as f32 - y.clamp(0.0, 1.0) as f32 * plot.height() as f32),
        )
    };
    let now = chart.forecast_from.unwrap_or(1.0);
    let mut parts = Vec::new();
    for run in &chart.lines {
        let (past, to_come) = split(run, now);
        parts.push((past.into_iter().map(place).collect::<Vec<_>>(), true));
        parts.push((to_come.into_iter().map(place).collect(), false));
    }
    let area = area_ink(pen);
    for (points, _) in parts.iter().filter(|(_, is_past)| *is_past) {
        pen.shapes.push(PictureShape::Under {
            points: points.clone(),
            bottom: plot.bottom,
            ink: area,
        });
    }
    let last = parts
        .iter()
        .rev()
        .find(|(points, is_past)| *is_past && !points.is_empty());
    let last = last.and_then(|(points, _)| points.last().copied());
    let rule = pen.sizes.rule;
    if let Some(now) = chart.forecast_from {
        let (x, _) = place((now, 0.0));
        pen.dots(PixelRect::new(
            x as i32,
            plot.top,
            x as i32 + rule,
            plot.bottom,
        ));
    }
    for (mut points, is_past) in parts {
        // A value alone, long before and after the next ones: a line as long as it is wide.
        if let [(x, y)] = points[..] {
            let half = width / 2.0;
            points = vec![(x - half, y), (x + half, y)];
        }
        let width = if is_past {
            width
        } else {
            (width / 2.0).max(1.0)
        };
        pen.shapes.push(PictureShape::Line {
            points,
            width,
            ink: Ink::Black,
        });
    }
    draw_axis(pen, plot, plot.bottom);
    if let Some((x, y)) = last {
        let half = width as i32 + 1;
        let (x, y) = (x as i32, y as i32);
        let x = x.min(plot.right - half);
        let dot = PixelRect::new(x - half, y - half, x + half, y + half);
        pen.area(dot.inset(-rule), half + rule, Ink::White);
        pen.area(dot, half, Ink::Black);
    }
}

/// A bar that is not of a whole period is an outline with a lighter area.
fn draw_bars(pen: &mut Pen<'_>, plot: &PixelRect, bars: &[PictureBar]) {
    let rule = pen.sizes.rule;
    let x =
        |share: f64| plot.left + (share.clamp(0.0, 1.0) * f64::from(plot.width())).round() as i32;
    let y = |share: f64| {
        plot.bottom - (share.clamp(0.0, 1.0) * f64::from(plot.height())).round() as i32
    };
    let widths = bars.iter().map(|bar| x(bar.right) - x(bar.left));
    let narrowest = widths.min().unwrap_or_default();
    // Bars that touch cannot be counted.
    let (before, behind) = match narrowest {
        ..3 => (0, 0),
        3..8 => (0, 1),
        _ => (narrowest / 8, narrowest / 8),
    };
    for bar in bars {
        let left = x(bar.left) + before;
        let right = (x(bar.right) - behind).max(left + 1);
        let (top, bottom) = (y(bar.zero.max(bar.amount)), y(bar.zero.min(bar.amount)));
        // An amount of nothing is not the same as none.
        let top = top.min(bottom - 2 * rule);
        let rect = PixelRect::new(left, top, right, bottom);
        if bar.is_whole {
            pen.area(rect, 0, Ink::Black);
        } else {
            draw_part(pen, rect);
        }
    }
    draw_axis(pen, plot, y(bars.first().map_or(0.0, |bar| bar.zero)));
    // Where bars go below zero the times stand at another line.
    draw_axis(pen, plot, plot.bottom);
}

fn draw_axis(pen: &mut Pen<'_>, plot: &PixelRect, y: i32) {
    let rule = pen.sizes.rule;
    let line = PixelRect::new(plot.left, y, plot.right, y + rule);
    pen.area(line, 0, Ink::Black);
}

/// The bar of a part of a period: an outline with a lighter area; without one where it is too narrow.
fn draw_part(pen: &mut Pen<'_>, rect: PixelRect) {
    let rule = pen.sizes.rule;
    let inner = rect.inset(2 * rule);
    let inner = if inner.is_empty() {
        rect.inset(rule)
    } else {
        inner
    };
    let ink = area_ink(pen);
    if inner.is_empty() {
        let ink = if pen.colour.has_grey() {
            Ink::Grey(170)
        } else {
            Ink::Grey(128)
        };
        pen.area(rect, 0, ink);
        return;
    }
    pen.area(rect, 0, Ink::Black);
    pen.area(inner, 0, Ink::White);
    pen.area(inner, 0, ink);
}

type Points = Vec<(f64, f64)>;

/// Points up to and from a place; both have the point there.
fn split(points: &[(f64, f64)], at: f64) -> (Points, Points) {
    let before = points.partition_point(|point| point.0 <= at);
    let (past, to_come) = points.split_at(before);
    let (mut past, mut to_come) = (past.to_vec(), to_come.to_vec());
    if let (Some(last), Some(next)) = (past.last().copied(), to_come.first().copied()) {
        let along = (at - last.0) / (next.0 - last.0);
        let between = (at, last.1 + along * (next.1 - last.1));
        past.push(between);
        to_come.insert(0, between);
    }
    (past, to_come)
}

/// A dotted line for each, its number at the left.
fn draw_y_ticks(pen: &mut Pen<'_>, plot: &PixelRect, chart: &PictureChart, style: TextStyle) {
    let rule = pen.sizes.rule;
    let space = pen.sizes.margin * 2 / 3;
    let mut free_below = i32::MAX;
    for (share, text) in &chart.y_ticks {
        let y = plot.bottom - (share.clamp(0.0, 1.0) * f64::from(plot.height())) as i32;
        if y + rule < plot.bottom {
            pen.dots(PixelRect::new(plot.left, y, plot.right, y + rule));
        }
        let baseline = y + style.capital / 2;
        if baseline < free_below && plot.left - pen.width(text, style) - space >= 0 {
            pen.text_to(text, style, Ink::Black, plot.left - space, baseline);
            free_below = baseline - style.capital * 3 / 2;
        }
    }
}

/// Numbers below the plot, each in the middle of its place, without touching: all of them, or every second,
/// third and so on, the first day among hours included.
fn draw_x_ticks(
    pen: &mut Pen<'_>,
    plot: &PixelRect,
    chart: &PictureChart,
    style: TextStyle,
    baseline: i32,
) {
    let rule = pen.sizes.rule;
    let place = |share: f64| plot.left + (share.clamp(0.0, 1.0) * f64::from(plot.width())) as i32;
    let texts = chart.x_ticks.iter().map(|(share, text)| {
        let (x, width) = (place(*share), pen.width(text, style));
        let least = plot.left.min(plot.right - width);
        let left = (x - width / 2).min(plot.right - width).max(least);
        (x, left, left + width)
    });
    let texts: Vec<(i32, i32, i32)> = texts.collect();
    let touch =
        |(before, after): (&(i32, i32, i32), &(i32, i32, i32))| after.1 < before.2 + style.capital;
    let is_day = |(_, text): &(f64, String)| !text.contains(':');
    let day = chart.x_ticks.iter().position(is_day).unwrap_or(0);
    let first = |every: usize| day % every;
    let touches = |every: &usize| {
        let kept = texts.iter().skip(first(*every)).step_by(*every);
        kept.clone().zip(kept.skip(1)).any(touch)
    };
    let every = (1..=texts.len()).find(|every| !touches(every)).unwrap_or(1);
    let kept = chart
        .x_ticks
        .iter()
        .zip(&texts)
        .skip(first(every))
        .step_by(every);
    for ((_, text), (x, left, _)) in kept {
        let tick = PixelRect::new(*x, plot.bottom, x + rule, plot.bottom + style.capital / 3);
        pen.area(tick, 0, Ink::Black);
        pen.text(text, style, Ink::Black, *left, baseline);
    }
}
