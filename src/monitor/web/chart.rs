//! SVG chart: a line of means in a band of extremes, gaps left open, ticks in local time.
//!
//! Pure. Labels have sizes in pixels and the plot is stretched, so that both are readable from
//! 360 px to a large screen; nothing needs a style attribute.

pub mod year;

use std::fmt::Write;
use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::domain::history::Bucket;
use crate::domain::reading::round_computed;
use crate::domain::text::format_number;
use crate::domain::time::Wall;
use crate::monitor::format::to_zoned;

/// The plot's own units; its width is stretched to the page's.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 220.0;
/// Room above the plot for the topmost label, in pixels.
const TOP: f64 = 16.0;

/// From instants and values to places in a plot.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    from: i64,
    to: i64,
    low: f64,
    high: f64,
    width: f64,
    height: f64,
}

impl Scale {
    /// Fits the buckets' means into `width` × `height`, with a small margin.
    pub fn new(from: Wall, to: Wall, buckets: &[Bucket], width: f64, height: f64) -> Scale {
        let means = buckets.iter().map(|bucket| bucket.mean);
        Scale::fitting(from, to, means.clone(), means, width, height)
    }

    fn with_extremes(from: Wall, to: Wall, buckets: &[Bucket]) -> Scale {
        let lows = buckets.iter().map(|bucket| bucket.min);
        let highs = buckets.iter().map(|bucket| bucket.max);
        Scale::fitting(from, to, lows, highs, WIDTH, HEIGHT)
    }

    fn fitting(
        from: Wall,
        to: Wall,
        lows: impl Iterator<Item = f64>,
        highs: impl Iterator<Item = f64>,
        width: f64,
        height: f64,
    ) -> Scale {
        let low = lows
            .filter(|low| low.is_finite())
            .fold(f64::INFINITY, f64::min);
        let high = highs
            .filter(|high| high.is_finite())
            .fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        // A line that never moves runs through the middle. Halves do not overflow.
        let air = match (high / 2.0 - low / 2.0) * 0.16 {
            0.0 => (low.abs() * 0.01).max(1e-6),
            air => air,
        };
        Scale {
            from: from.0,
            to: to.0.max(from.0 + 1),
            low: (low - air).max(f64::MIN / 2.0),
            high: (high + air).min(f64::MAX / 2.0),
            width,
            height,
        }
    }

    /// 0 at the left edge, `width` at the right.
    pub fn x(&self, wall: Wall) -> f64 {
        let share = (wall.0.saturating_sub(self.from)) as f64 / (self.to - self.from) as f64;
        share.clamp(0.0, 1.0) * self.width
    }

    /// 0 at the top edge, `height` at the bottom.
    pub fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        (1.0 - share.clamp(0.0, 1.0)) * self.height
    }

    /// Round values, three to seven of them.
    fn values(&self) -> Vec<f64> {
        let raw = (self.high - self.low) / 6.0;
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= raw)
            .unwrap_or(raw);
        if !(step.is_finite() && step > 0.0) {
            return Vec::new();
        }
        let first = (self.low / step).ceil();
        (0..8)
            .map(|at| round_computed((first + f64::from(at)) * step))
            .filter(|value| *value <= self.high)
            .collect()
    }
}

/// Consecutive buckets: a run ends where nothing was observed for so long that the
/// value was stale by then.
pub fn runs(buckets: &[Bucket], stale_after: Duration) -> Vec<&[Bucket]> {
    let stale_ms = i64::try_from(stale_after.as_millis()).unwrap_or(i64::MAX);
    let is_one_run = |before: &Bucket, after: &Bucket| {
        let width_ms = i64::try_from(before.seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000);
        let gap_ms = after.from.0.saturating_sub(before.from.0);
        gap_ms <= (width_ms.saturating_mul(3) / 2).max(stale_ms.saturating_add(width_ms))
    };
    buckets.chunk_by(is_one_run).collect()
}

/// What a chart shows between two instants.
pub struct ChartData<'a> {
    pub observed: &'a [Bucket],
    /// What is said ahead of time: it follows what was observed.
    pub forecast: &'a [Bucket],
    pub from: Wall,
    pub to: Wall,
    pub stale_after: Duration,
}

impl ChartData<'_> {
    /// The forecast, from the last observation on.
    fn continuation(&self) -> Vec<Bucket> {
        let last = self.observed.last().filter(|_| !self.forecast.is_empty());
        last.into_iter().chain(self.forecast).copied().collect()
    }
}

/// The whole chart. `label` is its accessible name.
pub fn chart(data: &ChartData, zone: &TimeZone, label: &str) -> Markup {
    let (from, to) = (data.from, data.to);
    let all: Vec<Bucket> = data.observed.iter().chain(data.forecast).copied().collect();
    let scale = Scale::with_extremes(from, to, &all);
    let (band, line) = paths(data.observed, data.stale_after, &scale);
    let (_, forecast) = paths(&data.continuation(), data.stale_after, &scale);
    html! {
        svg class="chart" role="img" aria-label=(label) width="100%" height="264" {
            @for value in scale.values() {
                @let y = pixel(TOP + scale.y(value));
                line class="grid" x1="0" x2="100%" y1=(y) y2=(y) {}
            }
            svg x="0" y=(TOP) width="100%" height=(HEIGHT)
                viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" {
                path class="band" d=(band) {}
                path class="line" d=(line) {}
                @if !forecast.is_empty() { path class="line forecast" d=(forecast) {} }
            }
            @for value in scale.values() {
                text x="3" y=(pixel(TOP + scale.y(value) - 4.0)) { (format_number(value)) }
            }
            line class="axis" x1="0" x2="100%" y1=(TOP + HEIGHT) y2=(TOP + HEIGHT) {}
            @for (wall, label) in ticks(from, to, zone) {
                @let share = scale.x(wall) / WIDTH * 100.0;
                @let x = format!("{share:.2}%");
                line class="axis" x1=(x) x2=(x) y1=(TOP + HEIGHT) y2=(TOP + HEIGHT + 5.0) {}
                text class=(anchor(share)) x=(x) y=(TOP + HEIGHT + 20.0) { (label) }
            }
        }
    }
}

/// Labels at the edges stay inside.
fn anchor(share: f64) -> &'static str {
    match share {
        share if share < 6.0 => "start",
        share if share > 94.0 => "end",
        _ => "middle",
    }
}

fn pixel(y: f64) -> String {
    format!("{y:.1}")
}

fn paths(buckets: &[Bucket], stale_after: Duration, scale: &Scale) -> (String, String) {
    let (mut band, mut line) = (String::new(), String::new());
    for run in runs(buckets, stale_after) {
        let place = |bucket: &Bucket| {
            let middle = bucket.from.after(Duration::from_secs(bucket.seconds / 2));
            scale.x(middle)
        };
        // Writing to a String cannot fail.
        for (at, bucket) in run.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            let _ = write!(
                line,
                "{command}{:.1} {:.1}",
                place(bucket),
                scale.y(bucket.mean)
            );
            let _ = write!(
                band,
                "{command}{:.1} {:.1}",
                place(bucket),
                scale.y(bucket.max)
            );
        }
        for bucket in run.iter().rev() {
            let _ = write!(band, "L{:.1} {:.1}", place(bucket), scale.y(bucket.min));
        }
        band.push('Z');
        if run.len() == 1 {
            // A lone point has no length; its round cap makes it a dot.
            line.push_str("h0");
        }
    }
    (band, line)
}

/// Instants at round local times, with their names.
fn ticks(from: Wall, to: Wall, zone: &TimeZone) -> Vec<(Wall, String)> {
    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;
    let seconds = to.second().saturating_sub(from.second());
    let first = to_zoned(from, zone).datetime();
    let midnight = first.date().to_datetime(jiff::civil::Time::midnight());
    let monday = first
        .date()
        .saturating_sub(days_since_monday(first.date()).days());
    let month = first.date().first_of_month();
    let hours = |step: i32| steps(midnight, move |at| at.saturating_add(step.hours()));
    let times: Vec<DateTime> = match seconds {
        0..=7_200 => steps(midnight, |at| at.saturating_add(30.minutes())),
        7_201..=28_800 => hours(1),
        28_801..=129_600 => hours(6),
        129_601..=864_000 => steps(midnight, |at| at.saturating_add(1.day())),
        864_001..=3_888_000 => steps(monday.into(), |at| at.saturating_add(1.week())),
        3_888_001..=50_000_000 => steps(month.into(), |at| at.saturating_add(2.months())),
        _ => {
            let years = i32::try_from(seconds / (5 * 366 * DAY))
                .unwrap_or(1_000)
                .max(1);
            steps(month.first_of_year().into(), move |at| {
                at.saturating_add(years.years())
            })
        }
    };
    let name = |at: DateTime| match seconds {
        ..=129_600 if at.time() == jiff::civil::Time::midnight() => at.strftime("%a"),
        ..=129_600 => at.strftime("%H:%M"),
        129_601..=864_000 => at.strftime("%a"),
        864_001..=3_888_000 => at.strftime("%-d %b"),
        3_888_001..=50_000_000 => at.strftime("%b"),
        _ => at.strftime("%Y"),
    };
    times
        .into_iter()
        .filter_map(|at| {
            let instant = zone.to_timestamp(at).ok()?;
            let wall = Wall(instant.as_millisecond());
            (wall >= from && wall <= to).then(|| (wall, name(at).to_string()))
        })
        .collect()
}

/// A bounded number of instants, each made of the one before.
fn steps(first: DateTime, next: impl Fn(DateTime) -> DateTime) -> Vec<DateTime> {
    std::iter::successors(Some(first), |at| Some(next(*at)))
        .take(64)
        .collect()
}

fn days_since_monday(date: Date) -> i32 {
    i32::from(date.weekday().to_monday_zero_offset())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::support::NOW_MS;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn ticks_are_at_round_local_times() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::fixed(jiff::tz::offset(1)));
        let to = Wall(NOW_MS);
        for (days, expected) in [
            (1, "Fri"),
            (7, "Fri Sat Sun Mon Tue Wed Thu"),
            (30, "6 Oct 13 Oct 20 Oct 27 Oct"),
            (365, "Dec Feb Apr Jun Aug Oct"),
            (3_000, "2018 2019 2020 2021 2022 2023 2024 2025"),
        ] {
            let from = Wall(NOW_MS - days * DAY_MS);
            let names: Vec<String> = ticks(from, to, &berlin)
                .into_iter()
                .map(|(_, name)| name)
                .collect();
            if days == 1 {
                assert_eq!(names, ["Thu", "06:00", "12:00", "18:00"]);
            } else {
                assert_eq!(names.join(" "), expected, "{days} days");
            }
        }
    }

    #[test]
    fn all_points_are_inside_the_plot() {
        let bucket = |value: f64| Bucket {
            from: Wall(0),
            seconds: 60,
            count: 1,
            min: value,
            mean: value,
            max: value,
            last: value,
        };
        for values in [
            vec![],
            vec![0.0],
            vec![21.4, 21.4],
            vec![f64::MIN, f64::MAX],
            vec![1e300, 2e300],
            vec![f64::NAN, 1.0],
            vec![1e-300, -1e-300],
        ] {
            let buckets: Vec<Bucket> = values.iter().map(|value| bucket(*value)).collect();
            let scale = Scale::with_extremes(Wall(0), Wall(1), &buckets);
            assert!(scale.values().len() <= 8);
            for value in values.iter().filter(|value| value.is_finite()) {
                let y = scale.y(*value);
                assert!((0.0..=HEIGHT).contains(&y), "{values:?} gave {y}");
            }
        }
    }

    #[test]
    fn axis_values_are_round() {
        let scale = Scale::fitting(
            Wall(0),
            Wall(1),
            [11.7].into_iter(),
            [23.9].into_iter(),
            WIDTH,
            HEIGHT,
        );
        assert_eq!(scale.values(), [12.5, 15.0, 17.5, 20.0, 22.5]);
    }
}
