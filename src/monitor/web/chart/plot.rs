//! Plot of a chart as SVG: grid, bands, lines, thresholds, gaps, labels.
//!
//! Pure. Labels have sizes in pixels and the lines are stretched, so that both are readable from
//! 360 px to a large screen; nothing needs a style attribute.

use std::time::Duration;

use maud::{Markup, html};

use super::scale::{Extent, Scale};
use super::series::{self, ChartSeries};
use super::ticks::{Tick, anchor, tick_name};
use crate::domain::compact_sort::CompactSort;
use crate::domain::history::Bucket;
use crate::domain::presentation::NumberFormat;
use crate::domain::text::human_duration;
use crate::domain::time::Wall;

/// The plot's own units; its width is stretched to the page's.
pub const WIDTH: f64 = 1000.0;
pub const HEIGHT: f64 = 220.0;
/// Room above the plot for the topmost label and below it for the names of times, in pixels.
pub const TOP: f64 = 22.0;
const BOTTOM: f64 = 26.0;
/// Pixels of a character, and of a line of text.
const CHARACTER: f64 = 7.5;
const LINE: f64 = 15.0;

/// A line of a plot.
pub struct ChartLine {
    pub name: String,
    /// In the units that are shown.
    pub series: ChartSeries,
    pub format: NumberFormat,
    pub style: LineStyle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStyle {
    /// One of six colours, each with its dashes.
    Number(usize),
    /// What was a period before.
    Before,
}

/// A bound of a value that pages or alerts name, in the unit that is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    pub at: f64,
    /// Whether values above it are outside, or those below.
    pub is_upper: bool,
    pub level: ThresholdLevel,
    pub label: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ThresholdLevel {
    Warn,
    Bad,
    /// The bound of an alert.
    Alert,
}

/// Lines of one unit on one axis.
pub struct Plot {
    pub lines: Vec<ChartLine>,
    pub thresholds: Vec<Threshold>,
    /// What the axis shows at least.
    pub range: Option<Extent>,
}

/// What all plots of a chart share.
pub struct TimeAxis {
    pub from: Wall,
    pub to: Wall,
    pub now: Wall,
    pub ticks: Vec<Tick>,
    pub midnights: Vec<Wall>,
}

impl LineStyle {
    pub fn class(self) -> String {
        match self {
            LineStyle::Number(number) => format!("s{number}"),
            LineStyle::Before => "before".to_owned(),
        }
    }
}

impl ChartLine {
    /// A number of the series as text with its unit, or the word for it.
    pub fn with_unit(&self, shown: f64) -> String {
        let stored = self.stored(shown);
        match self.format.word(stored) {
            Some(word) => word.to_owned(),
            None => self.format.with_unit(stored),
        }
    }

    pub fn number(&self, shown: f64) -> String {
        self.format.number(self.stored(shown))
    }

    fn stored(&self, shown: f64) -> f64 {
        let stored = shown / self.format.factor;
        if stored.is_finite() { stored } else { shown }
    }
}

impl Plot {
    pub fn scale(&self, axis: &TimeAxis) -> Scale {
        let shown = self.lines.iter().filter_map(|line| line.series.extent());
        let shown = shown.chain(self.range).reduce(Extent::with);
        let shown = shown.map(|extent| self.with_thresholds(extent));
        match (self.range, shown) {
            (Some(range), Some(shown)) if range == shown => {
                Scale::bounded(axis.from, axis.to, range, WIDTH, HEIGHT)
            }
            _ => Scale::rounded(axis.from, axis.to, shown, WIDTH, HEIGHT),
        }
    }

    /// A bound that is near is shown; one that is far would flatten the line.
    fn with_thresholds(&self, extent: Extent) -> Extent {
        let near = (extent.high - extent.low) * 1.5;
        let is_near = |it: &&Threshold| it.at > extent.low - near && it.at < extent.high + near;
        let thresholds = self.thresholds.iter().filter(is_near);
        thresholds.fold(extent, |extent, it| {
            extent.with(Extent {
                low: it.at,
                high: it.at,
            })
        })
    }

    /// Values of the axis with their places, in pixels.
    fn axis_labels(&self, scale: &Scale) -> Vec<(f64, String)> {
        let Some(line) = self.lines.first() else {
            return Vec::new();
        };
        let label = |value: f64| {
            let text = line.format.axis(value, scale.step());
            (TOP + scale.y(value), text)
        };
        scale.values().into_iter().map(label).collect()
    }

    /// The width of the axis' labels, in pixels.
    pub fn gutter_width(&self, axis: &TimeAxis) -> f64 {
        let labels = self.axis_labels(&self.scale(axis));
        labels_width(labels.iter().map(|(_, text)| text.as_str()))
    }
}

/// The width of a column that has these labels, in pixels.
pub fn labels_width<'a>(labels: impl Iterator<Item = &'a str>) -> f64 {
    let most = labels.map(|text| text.chars().count()).max().unwrap_or(0);
    most as f64 * CHARACTER + 10.0
}

/// The labels of the vertical axis, beside the plot.
pub fn gutter(plot: &Plot, axis: &TimeAxis, width: f64, has_times: bool) -> Markup {
    let scale = plot.scale(axis);
    html! {
        svg class="gutter" aria-hidden="true" width=(width) height=(height(has_times)) {
            @for (y, text) in plot.axis_labels(&scale) {
                text class="end" x=(width - 6.0) y=(pixel(y + 4.5)) { (text) }
            }
        }
    }
}

/// The names of lines at their ends, for wide screens.
pub fn line_ends(plot: &Plot, axis: &TimeAxis, width: f64, has_times: bool) -> Markup {
    let scale = plot.scale(axis);
    let last = |line: &ChartLine| {
        let last = line
            .series
            .forecast
            .last()
            .or(line.series.observed.last())?;
        Some((TOP + scale.y(last.mean), line.style, line.name.clone()))
    };
    let mut ends: Vec<_> = plot.lines.iter().filter_map(last).collect();
    ends.compact_sort_by(|one, other| one.0.total_cmp(&other.0));
    // Each at least a line of text below the one before, and all of them inside.
    let mut lowest = TOP - LINE;
    for end in &mut ends {
        end.0 = end.0.max(lowest + LINE);
        lowest = end.0;
    }
    let mut highest = TOP + HEIGHT + LINE;
    for end in ends.iter_mut().rev() {
        end.0 = end.0.min(highest - LINE);
        highest = end.0;
    }
    html! {
        svg class="ends" aria-hidden="true" width=(width) height=(height(has_times)) {
            @for (y, style, name) in ends {
                text class=(style.class()) x="6" y=(pixel(y + 4.5)) { (name) }
            }
        }
    }
}

fn height(has_times: bool) -> f64 {
    TOP + HEIGHT + if has_times { BOTTOM } else { 8.0 }
}

/// The plot itself. `label` is its accessible name.
pub fn lines(plot: &Plot, axis: &TimeAxis, label: &str, has_times: bool) -> Markup {
    let scale = plot.scale(axis);
    let single = match &*plot.lines {
        [line] => Some(line),
        [line, before] if before.style == LineStyle::Before => Some(line),
        _ => None,
    };
    let bottom = TOP + HEIGHT;
    html! {
        svg class="lines" role="img" aria-label=(label) tabindex="0" width="100%"
            height=(height(has_times)) {
            (bands(plot, &scale))
            @for (y, _) in plot.axis_labels(&scale) {
                line class="grid" x1="0" x2="100%" y1=(pixel(y)) y2=(pixel(y)) {}
            }
            (times(axis, &scale, has_times))
            @if let Some(line) = single { (gaps(line, axis, &scale)) }
            svg x="0" y=(TOP) width="100%" height=(HEIGHT)
                viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" {
                // What was before lies below.
                @for line in plot.lines.iter().rev() { (paths(line, &scale, single.is_some())) }
            }
            (bounds(plot, &scale))
            @if let Some(line) = single { (extremes(line, &scale)) }
            @let now = scale.x(axis.now) / WIDTH * 100.0;
            // At the edges it says nothing.
            @if now > 0.5 && now < 99.0 { (now_line(now)) }
            line class="axis" x1="0" x2="100%" y1=(bottom) y2=(bottom) {}
            rect class="zoom" x="0" y=(TOP) width="0" height=(HEIGHT) {}
            line class="cross" x1="-9" x2="-9" y1=(TOP) y2=(bottom) {}
        }
    }
}

fn paths(line: &ChartLine, scale: &Scale, has_band: bool) -> Markup {
    let has_band = has_band && line.style != LineStyle::Before;
    let paths = line.series.paths(scale, has_band);
    let class = line.style.class();
    html! {
        @if !paths.band.is_empty() {
            path class=(format!("band {class}")) d=(paths.band) {}
        }
        @if !paths.area.is_empty() { path class=(format!("area {class}")) d=(paths.area) {} }
        @if !paths.line.is_empty() { path class=(format!("line {class}")) d=(paths.line) {} }
        @if !paths.forecast.is_empty() {
            path class=(format!("line forecast {class}")) d=(paths.forecast) {}
        }
    }
}

/// What is outside of a bound, lightly coloured.
fn bands(plot: &Plot, scale: &Scale) -> Markup {
    let shown = scale.bounds();
    let is_inside = |it: &&Threshold| it.at > shown.low && it.at < shown.high;
    html! {
        @for bound in plot.thresholds.iter().filter(is_inside) {
            @let y = scale.y(bound.at);
            @let (top, height) = if bound.is_upper { (TOP, y) } else { (TOP + y, HEIGHT - y) };
            rect class=(format!("beyond {}", bound.level.class()))
                x="0" width="100%" y=(pixel(top)) height=(pixel(height)) {}
        }
    }
}

/// The bounds as lines, each with its label on the side where the line of values is farther.
fn bounds(plot: &Plot, scale: &Scale) -> Markup {
    let shown = scale.bounds();
    let mut inside: Vec<&Threshold> = plot
        .thresholds
        .iter()
        .filter(|it| it.at > shown.low && it.at < shown.high)
        .collect();
    inside.compact_sort_by_key(|it| std::cmp::Reverse(it.level));
    // A label on another one cannot be read: the more severe one is kept.
    let mut used: Vec<f64> = Vec::new();
    let observed = plot.lines.first().map(|line| &*line.series.observed);
    // How far the label would be from what is drawn on that side.
    let distance = |is_left: bool, y: f64| {
        let share = |bucket: &Bucket| scale.x(series::middle(bucket)) / WIDTH;
        let is_near = |bucket: &&Bucket| {
            let share = share(bucket);
            if is_left { share < 0.25 } else { share > 0.75 }
        };
        let near = observed.iter().flat_map(|all| all.iter()).filter(is_near);
        near.map(|it| (scale.y(it.max) - y + LINE / 2.0).abs())
            .fold(f64::INFINITY, f64::min)
    };
    html! {
        @for bound in inside {
            @let y = scale.y(bound.at);
            @let class = bound.level.class();
            line class=(format!("bound {class}")) x1="0" x2="100%"
                y1=(pixel(TOP + y)) y2=(pixel(TOP + y)) {
                title { (bound.label) }
            }
            @if used.iter().all(|other| (other - y).abs() > LINE) {
                @let is_left = distance(true, y) >= distance(false, y);
                text class=(format!("wide bound {class} {}", if is_left { "start" } else { "end" }))
                    x=(if is_left { "4" } else { "100%" }) dx=[(!is_left).then_some("-4")]
                    y=(pixel(TOP + y - 4.0)) { (bound.label) }
                @let () = used.push(y);
            }
        }
    }
}

impl ThresholdLevel {
    fn class(self) -> &'static str {
        match self {
            ThresholdLevel::Warn => "warn",
            ThresholdLevel::Bad => "bad",
            ThresholdLevel::Alert => "alert",
        }
    }
}

/// Lines at midnights and at round times, and their names.
fn times(axis: &TimeAxis, scale: &Scale, has_names: bool) -> Markup {
    let bottom = TOP + HEIGHT;
    let percent = |wall: Wall| scale.x(wall) / WIDTH * 100.0;
    html! {
        @for tick in &axis.ticks {
            @let share = percent(tick.at);
            @let x = format!("{share:.2}%");
            @if !axis.midnights.contains(&tick.at) {
                line class="grid" x1=(x) x2=(x) y1=(TOP) y2=(bottom) {}
            }
            @if has_names {
                (tick_name(tick, share / 100.0, bottom + 19.0))
            }
        }
        @for midnight in &axis.midnights {
            @let x = format!("{:.2}%", percent(*midnight));
            line class="midnight" x1=(x) x2=(x) y1=(TOP) y2=(bottom) {}
        }
    }
}

/// Where nothing was observed: hatched, with a word where there is room for it.
fn gaps(line: &ChartLine, axis: &TimeAxis, scale: &Scale) -> Markup {
    let until = axis.to.min(axis.now);
    let share = |wall: Wall| scale.x(wall) / WIDTH * 100.0;
    let gaps = line.series.gaps(axis.from, until);
    html! {
        @if !gaps.is_empty() {
            defs {
                pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse"
                    patternTransform="rotate(45)" { line class="hatch" y2="8" {} }
            }
        }
        @for (from, to) in gaps {
            @let (left, width) = (share(from), share(to) - share(from));
            @let word = format!("no data {}", human_duration(rounded_span(from, to)));
            rect class="gap" fill="url(#hatch)" x=(format!("{left:.2}%"))
                width=(format!("{width:.2}%")) y=(TOP) height=(HEIGHT) { title { (word) } }
            @let x = format!("{:.2}%", left + width / 2.0);
            @let y = TOP + HEIGHT / 2.0;
            @if width > 9.0 {
                text class=(if width > 36.0 { "middle" } else { "middle wide" }) x=(x) y=(y) { (word) }
            } @else if width > 3.6 {
                text class="middle wide" x=(x) y=(y) {
                    "no data" tspan x=(x) dy=(LINE) { (word.trim_start_matches("no data ")) }
                }
            }
        }
    }
}

/// A gap in the precision in which buckets know it.
fn rounded_span(from: Wall, to: Wall) -> Duration {
    let seconds = to.since(from).as_secs();
    let step = if seconds < 7_200 { 60 } else { 3_600 };
    Duration::from_secs((seconds + step / 2) / step * step)
}

/// The least and the greatest value, labelled.
fn extremes(line: &ChartLine, scale: &Scale) -> Markup {
    let shown = scale.bounds();
    let place = |bucket: &Bucket| scale.x(series::middle(bucket)) / WIDTH * 100.0;
    html! {
        @if let Some((low, high)) = line.series.extremes() {
            // At a bound of the axis, the axis says it.
            @if high.max < shown.high {
                (extreme(place(high), TOP + scale.y(high.max) - 7.0, &line.number(high.max)))
            }
            @if low.min > shown.low {
                (extreme(place(low), TOP + scale.y(low.min) + 16.0, &line.number(low.min)))
            }
        }
    }
}

fn extreme(share: f64, y: f64, text: &str) -> Markup {
    html! {
        text class=(format!("extreme {}", anchor(share / 100.0))) x=(format!("{share:.2}%"))
            y=(pixel(y)) { (text) }
    }
}

fn now_line(share: f64) -> Markup {
    let x = format!("{share:.2}%");
    html! {
        line class="now" x1=(x) x2=(x) y1=(TOP) y2=(TOP + HEIGHT) {}
        text class=(format!("now {}", anchor(share / 100.0))) x=(x) y=(TOP - 8.0) { "now" }
    }
}

fn pixel(y: f64) -> String {
    format!("{y:.1}")
}
