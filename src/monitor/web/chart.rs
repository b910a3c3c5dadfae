//! Chart: lines over time in one plot for each unit, with a readout for pointer and keys.
//!
//! Pure. Everything works without the script, which adds the readout and the zoom.

pub mod bars;
mod plot;
pub mod readout;
mod scale;
mod series;
pub mod states;
pub mod ticks;
pub mod year;

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::domain::locale::Locale;
use crate::domain::time::Wall;

pub use self::plot::{ChartLine, LineStyle, Plot, Threshold, ThresholdLevel, TimeAxis};
pub use self::scale::{Extent, Scale};
pub use self::series::{ChartSeries, Shape, end, middle, runs};

/// Plots above each other with one time axis.
pub struct Chart {
    pub plots: Vec<Plot>,
    pub from: Wall,
    pub to: Wall,
    pub now: Wall,
    /// The accessible name.
    pub label: String,
}

/// The whole chart with its legend.
pub fn figure(chart: &Chart, zone: &TimeZone, locale: Locale) -> Markup {
    let axis = TimeAxis {
        from: chart.from,
        to: chart.to,
        now: chart.now,
        ticks: ticks::ticks(chart.from, chart.to, zone, locale),
        midnights: ticks::midnights(chart.from, chart.to, zone),
    };
    let lines: Vec<&ChartLine> = chart.plots.iter().flat_map(|plot| &plot.lines).collect();
    let points = readout::points(&lines, &axis, zone, locale);
    let names: Vec<&str> = lines.iter().map(|line| &*line.name).collect();
    let gutter = chart.plots.iter().map(|plot| plot.gutter_width(&axis));
    let gutter = gutter.fold(0.0, f64::max);
    // A legend says the rest where there is no room.
    let has_ends = lines
        .iter()
        .filter(|it| it.style != LineStyle::Before)
        .count()
        > 1;
    let ends_width = plot::labels_width(names.iter().copied()).min(180.0);
    html! {
        figure class="chart" data-from=(chart.from) data-to=(chart.to)
            data-n=[(names.len() > 1).then(|| names.join("\t"))] data-v=(readout::attribute(&points)) {
            figcaption {
                span class="unit" { (unit_of(chart.plots.first())) }
                " "
                output {}
                @if lines.len() > 1 {
                    span class="legend" {
                        @for line in &lines {
                            " " span { (sample(line.style)) " " (line.name) }
                        }
                    }
                }
            }
            @for (at, plot) in chart.plots.iter().enumerate() {
                @let is_last = at + 1 == chart.plots.len();
                @if at > 0 { p class="unit" { (unit_of(Some(plot))) } }
                div class="plot" {
                    (plot::gutter(plot, &axis, gutter, is_last))
                    (plot::lines(plot, &axis, &chart.label, is_last))
                    @if has_ends { (plot::line_ends(plot, &axis, ends_width, is_last)) }
                }
            }
        }
    }
}

/// A piece of a line, for the legend.
fn sample(style: LineStyle) -> Markup {
    html! {
        svg width="26" height="10" aria-hidden="true" {
            line class=(format!("line {}", style.class())) x1="1" x2="25" y1="5" y2="5" {}
        }
    }
}

fn unit_of(plot: Option<&Plot>) -> &str {
    let line = plot.and_then(|plot| plot.lines.first());
    let unit = line.and_then(|line| line.format.unit.as_deref());
    unit.unwrap_or_default()
}
