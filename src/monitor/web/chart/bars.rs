//! Bar chart in SVG: bars up or down from zero, each as wide as its period.
//!
//! Pure. A bar's area is its amount: one that covers several periods is as high as their mean.

use std::fmt::Write;

use maud::{Markup, html};

use super::plot::{HEIGHT, TOP, WIDTH, labels_width};
use super::ticks::{Tick, anchor, percent, tick_name};
use crate::domain::time::Wall;

/// The part of a period's width that stays free on each side of its bar.
const AIR: f64 = 0.1;
/// Where a plot has as many bars, the air between them is of no use.
const DENSE: usize = 120;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub from: Wall,
    pub to: Wall,
    /// In the unit that is shown.
    pub height: f64,
    pub style: BarStyle,
    /// What is said above it.
    pub note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarStyle {
    Whole,
    /// The period is not over.
    Unfinished,
    /// Part of what it covers has no data.
    Gap,
}

pub struct BarChart<'a> {
    pub bars: &'a [Bar],
    pub from: Wall,
    pub to: Wall,
    pub ticks: &'a [Tick],
    /// The accessible name.
    pub label: &'a str,
}

/// Axis values and their places.
#[derive(Debug, Clone, PartialEq)]
pub struct BarAxis {
    low: f64,
    high: f64,
    /// Between two values.
    pub step: f64,
}

impl BarAxis {
    /// From zero to a round value beyond the highest bar; down to one below the lowest.
    pub fn of(bars: &[Bar]) -> BarAxis {
        let heights = bars.iter().map(|bar| bar.height);
        let heights = heights.filter(|height| height.is_finite());
        let (low, high) = heights.fold((0.0_f64, 0.0_f64), |(low, high), it| {
            (low.min(it), high.max(it))
        });
        let raw = (high / 2.0 - low / 2.0) / 2.0;
        let power = 10_f64.powf(raw.log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
        let step = steps.into_iter().find(|step| *step >= raw);
        match step.filter(|step| step.is_finite() && *step > 0.0) {
            Some(step) => BarAxis {
                low: ((low / step).floor() * step).max(f64::MIN),
                high: ((high / step).ceil() * step).min(f64::MAX),
                step,
            },
            None => BarAxis {
                low: 0.0,
                high: 1.0,
                step: 0.5,
            },
        }
    }

    /// The place of a value: 0 at the lower end of the axis, 1 at the upper.
    pub fn share(&self, value: f64) -> f64 {
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        share.clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        (1.0 - self.share(value)) * HEIGHT
    }

    pub fn values(&self) -> Vec<f64> {
        let first = (self.low / self.step).round();
        let values = (0..12).map(|at| (first + f64::from(at)) * self.step);
        values
            .filter(|value| *value <= self.high + self.step / 2.0)
            .collect()
    }
}

/// The chart; `axis` writes a value of the axis with the digits that its step needs.
pub fn bar_chart(chart: &BarChart, axis: &dyn Fn(f64, f64) -> String) -> Markup {
    let scale = BarAxis::of(chart.bars);
    let label = |value: f64| (TOP + scale.y(value), axis(value, scale.step));
    let labels: Vec<(f64, String)> = scale.values().into_iter().map(label).collect();
    let width = labels_width(labels.iter().map(|(_, text)| text.as_str()));
    let height = TOP + HEIGHT + 26.0;
    let zero = pixel(TOP + scale.y(0.0));
    html! {
        div class="plot" {
            svg class="gutter" aria-hidden="true" width=(width) height=(height) {
                @for (y, text) in &labels {
                    text class="end" x=(width - 6.0) y=(pixel(y + 4.5)) { (text) }
                }
            }
            svg class="lines" role="img" aria-label=(chart.label) tabindex="0" width="100%"
                height=(height) {
                @for (y, _) in &labels {
                    line class="grid" x1="0" x2="100%" y1=(pixel(*y)) y2=(pixel(*y)) {}
                }
                svg x="0" y=(TOP) width="100%" height=(HEIGHT)
                    viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" {
                    @for (style, class) in [
                        (BarStyle::Whole, "bar"),
                        (BarStyle::Unfinished, "bar unfinished"),
                        (BarStyle::Gap, "bar over-gap"),
                    ] {
                        @let path = path(chart, style, &scale);
                        @if !path.is_empty() { path class=(class) d=(path) {} }
                    }
                }
                line class="axis" x1="0" x2="100%" y1=(zero) y2=(zero) {}
                @for bar in chart.bars {
                    @if let Some(note) = &bar.note { (note_text(chart, &scale, bar, note)) }
                }
                @for tick in chart.ticks { (tick_name(tick, share(chart, tick.at), TOP + HEIGHT + 19.0)) }
                rect class="zoom" x="0" y=(TOP) width="0" height=(HEIGHT) {}
                line class="cross" x1="-9" x2="-9" y1=(TOP) y2=(TOP + HEIGHT) {}
            }
        }
    }
}

/// What is said above a bar.
fn note_text(chart: &BarChart, scale: &BarAxis, bar: &Bar, note: &str) -> Markup {
    let middle = f64::midpoint(share(chart, bar.from), share(chart, bar.to));
    let y = TOP + scale.y(bar.height.max(0.0)) - 4.0;
    html! { text class=(anchor(middle)) x=(percent(middle)) y=(pixel(y)) { (note) } }
}

/// 0 at the left edge, 1 at the right.
fn share(chart: &BarChart, at: Wall) -> f64 {
    let length = chart.to.0.saturating_sub(chart.from.0).max(1);
    let place = at.0.saturating_sub(chart.from.0) as f64 / length as f64;
    place.clamp(0.0, 1.0)
}

fn path(chart: &BarChart, style: BarStyle, scale: &BarAxis) -> String {
    let narrowest = chart.bars.iter().map(|bar| bar.to.0 - bar.from.0).min();
    let narrowest = Wall(chart.from.0.saturating_add(narrowest.unwrap_or_default()));
    let air = match chart.bars.len() {
        ..DENSE => share(chart, narrowest) * WIDTH * AIR,
        _ => 0.0,
    };
    let mut path = String::new();
    let bars = chart.bars.iter().filter(|bar| bar.style == style);
    for bar in bars.filter(|bar| bar.height.is_finite()) {
        let left = share(chart, bar.from) * WIDTH + air;
        let width = (share(chart, bar.to) * WIDTH - air - left).max(0.5);
        let (zero, top) = (scale.y(0.0), scale.y(bar.height));
        // Writing to a String cannot fail.
        let _ = write!(path, "M{left:.1} {zero:.1}V{top:.1}h{width:.1}V{zero:.1}z");
    }
    path
}

fn pixel(y: f64) -> String {
    format!("{y:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(day: i64, days: i64, height: f64, style: BarStyle) -> Bar {
        Bar {
            from: Wall(day),
            to: Wall(day + days),
            height,
            style,
            note: None,
        }
    }

    #[test]
    fn axes_are_round_and_have_zero() {
        for (heights, low, high, step) in [
            (&[][..], 0.0, 1.0, 0.5),
            (&[0.0], 0.0, 1.0, 0.5),
            (&[0.56, 0.5], 0.0, 0.6, 0.2),
            (&[16.2], 0.0, 20.0, 5.0),
            (&[-3.0, 1.0], -3.0, 1.0, 1.0),
            (&[-30.0], -30.0, 0.0, 10.0),
            (&[f64::NAN, 3.0], 0.0, 3.0, 1.0),
        ] {
            let bars: Vec<Bar> = heights
                .iter()
                .map(|height| bar(0, 1, *height, BarStyle::Whole))
                .collect();
            let axis = BarAxis::of(&bars);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
            assert!(
                near(axis.low, low) && near(axis.high, high) && near(axis.step, step),
                "{heights:?} gave {axis:?}"
            );
            let values = axis.values();
            assert!(values.len() <= 8 && values.iter().any(|value| near(*value, 0.0)));
        }
    }

    #[test]
    fn bars_stand_on_zero_and_are_as_wide_as_their_periods() {
        let bars = [
            bar(0, 1, 2.0, BarStyle::Whole),
            bar(1, 3, -1.0, BarStyle::Gap),
            bar(4, 1, 1.0, BarStyle::Unfinished),
        ];
        let chart = BarChart {
            bars: &bars,
            from: Wall(0),
            to: Wall(5),
            ticks: &[],
            label: "",
        };
        let axis = BarAxis::of(&bars);
        assert_eq!((axis.low, axis.high), (-1.0, 2.0));
        for (style, expected) in [
            (BarStyle::Whole, "M20.0 146.7V0.0h160.0V146.7z"),
            (BarStyle::Gap, "M220.0 146.7V220.0h560.0V146.7z"),
            (BarStyle::Unfinished, "M820.0 146.7V73.3h160.0V146.7z"),
        ] {
            assert_eq!(path(&chart, style, &axis), expected);
        }
    }

    #[test]
    fn bars_of_any_value_are_inside_the_plot() {
        for height in [f64::MAX, f64::MIN, 1e-300, f64::INFINITY, f64::NAN] {
            let bars = [
                bar(0, 1, height, BarStyle::Whole),
                bar(1, 1, f64::MIN, BarStyle::Whole),
            ];
            let axis = BarAxis::of(&bars);
            for bar in &bars {
                let y = axis.y(bar.height);
                assert!(
                    y.is_nan() || (0.0..=HEIGHT).contains(&y),
                    "{height} gave {y}"
                );
            }
            assert!(axis.values().len() <= 12);
        }
    }
}
