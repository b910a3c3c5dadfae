//! Series of a chart: runs of observations, gaps between them, extremes, and paths.
//!
//! Pure.

use std::fmt::Write;
use std::time::Duration;

use super::scale::{Extent, Scale};
use crate::domain::history::Bucket;
use crate::domain::time::Wall;

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Line,
    Area,
    Steps,
}

/// The history of one key, in the units that are shown.
#[derive(Debug, Clone)]
pub struct ChartSeries {
    pub observed: Vec<Bucket>,
    /// What is said ahead of time: it follows what was observed.
    pub forecast: Vec<Bucket>,
    pub shape: Shape,
    pub stale_after: Duration,
}

/// The paths of a series in a plot, as SVG has them.
#[derive(Debug, Default, PartialEq)]
pub struct Paths {
    pub band: String,
    pub area: String,
    pub line: String,
    pub forecast: String,
}

/// Consecutive buckets: a run ends where nothing was observed for so long that the
/// value was stale by then.
pub fn runs(buckets: &[Bucket], stale_after: Duration) -> Vec<&[Bucket]> {
    let is_one_run = |before: &Bucket, after: &Bucket| {
        let gap_ms = after.from.0.saturating_sub(before.from.0);
        gap_ms <= longest_gap_ms(before, stale_after)
    };
    buckets.chunk_by(is_one_run).collect()
}

/// From the begin of a bucket to that of the next, at most, for both to be one run.
fn longest_gap_ms(bucket: &Bucket, stale_after: Duration) -> i64 {
    let stale_ms = i64::try_from(stale_after.as_millis()).unwrap_or(i64::MAX);
    let width_ms = width_ms(bucket);
    (width_ms.saturating_mul(3) / 2).max(stale_ms.saturating_add(width_ms))
}

fn width_ms(bucket: &Bucket) -> i64 {
    let seconds = i64::try_from(bucket.seconds).unwrap_or(i64::MAX);
    seconds.saturating_mul(1000)
}

pub fn end(bucket: &Bucket) -> Wall {
    bucket.from.after(Duration::from_secs(bucket.seconds))
}

pub fn middle(bucket: &Bucket) -> Wall {
    bucket.from.after(Duration::from_secs(bucket.seconds / 2))
}

impl ChartSeries {
    /// With the numbers of `observed` and `forecast` times `factor`.
    pub fn scaled(mut self, factor: f64) -> ChartSeries {
        for bucket in self.observed.iter_mut().chain(&mut self.forecast) {
            let (one, other) = (bucket.min * factor, bucket.max * factor);
            bucket.min = one.min(other);
            bucket.max = one.max(other);
            bucket.mean *= factor;
            bucket.last *= factor;
        }
        self
    }

    /// The bucket that covers an instant.
    pub fn at(&self, wall: Wall) -> Option<&Bucket> {
        [&self.observed, &self.forecast]
            .into_iter()
            .find_map(|buckets| {
                let behind = buckets.partition_point(|bucket| bucket.from <= wall);
                let bucket = buckets.get(behind.checked_sub(1)?)?;
                (wall < end(bucket)).then_some(bucket)
            })
    }

    pub fn extent(&self) -> Option<Extent> {
        let all = self.observed.iter().chain(&self.forecast);
        Extent::of(all.flat_map(|bucket| [bucket.min, bucket.max]))
    }

    /// The buckets with the least and the largest number observed; none where they are one number.
    pub fn extremes(&self) -> Option<(&Bucket, &Bucket)> {
        let low = self
            .observed
            .iter()
            .min_by(|a, b| a.min.total_cmp(&b.min))?;
        let high = self
            .observed
            .iter()
            .max_by(|a, b| a.max.total_cmp(&b.max))?;
        (low.min < high.max).then_some((low, high))
    }

    /// Where nothing was observed between two instants, for so long that the value was stale.
    pub fn gaps(&self, from: Wall, to: Wall) -> Vec<(Wall, Wall)> {
        let runs = runs(&self.observed, self.stale_after);
        let (Some(first), Some(last)) = (self.observed.first(), self.observed.last()) else {
            return vec![(from, to)];
        };
        let mut gaps = Vec::new();
        let is_long = |bucket: &Bucket, from: Wall, to: Wall| {
            to.0.saturating_sub(from.0) > longest_gap_ms(bucket, self.stale_after)
        };
        if is_long(first, from, first.from) {
            gaps.push((from, first.from));
        }
        for pair in runs.windows(2) {
            if let ([.., before], [after, ..]) = (pair[0], pair[1]) {
                gaps.push((end(before), after.from));
            }
        }
        if is_long(last, last.from, to) {
            gaps.push((end(last), to));
        }
        gaps
    }

    /// `has_band`: with the band of the extremes.
    pub fn paths(&self, scale: &Scale, has_band: bool) -> Paths {
        let mut paths = Paths::default();
        let bounds = scale.bounds();
        let base = scale.y(0.0_f64.clamp(bounds.low, bounds.high));
        for run in runs(&self.observed, self.stale_after) {
            let line = self.outline(run, scale);
            let is_wide = run.iter().any(|it| it.min < it.max);
            if has_band && self.shape != Shape::Steps && is_wide {
                let mut band = SvgPath::default();
                for bucket in run {
                    band.to(scale.x(middle(bucket)), scale.y(bucket.max));
                }
                for bucket in run.iter().rev() {
                    band.to(scale.x(middle(bucket)), scale.y(bucket.min));
                }
                paths.band += &band.text;
                paths.band.push('Z');
            }
            if let (Shape::Area, [first, .., last]) = (self.shape, run) {
                let mut area = self.outline(run, scale);
                area.to(scale.x(middle(last)), base);
                area.to(scale.x(middle(first)), base);
                paths.area += &area.text;
                paths.area.push('Z');
            }
            paths.line += &line.text;
            if run.len() == 1 {
                // A lone point has no length; its round cap makes it a dot.
                paths.line.push_str("h0");
            }
        }
        // From the last observation on.
        if !self.forecast.is_empty() {
            let last = self.observed.last();
            let ahead: Vec<Bucket> = last.into_iter().chain(&self.forecast).copied().collect();
            for run in runs(&ahead, self.stale_after) {
                paths.forecast += &self.outline(run, scale).text;
            }
        }
        paths
    }

    fn outline(&self, run: &[Bucket], scale: &Scale) -> SvgPath {
        let mut path = SvgPath::default();
        for (at, bucket) in run.iter().enumerate() {
            let y = scale.y(bucket.mean);
            if self.shape == Shape::Steps {
                let until = run.get(at + 1).map_or(end(bucket), |next| next.from);
                path.to(scale.x(bucket.from), y);
                path.to(scale.x(until), y);
            } else {
                path.to(scale.x(middle(bucket)), y);
            }
        }
        path
    }
}

/// A path in tenths, each point relative to the one before: half as many bytes.
#[derive(Debug, Default)]
struct SvgPath {
    text: String,
    /// The last point, in tenths.
    last: Option<(i64, i64)>,
}

impl SvgPath {
    fn to(&mut self, x: f64, y: f64) {
        let point = ((x * 10.0).round() as i64, (y * 10.0).round() as i64);
        let (command, (x, y)) = match self.last.replace(point) {
            None => ('M', point),
            Some((before_x, before_y)) => ('l', (point.0 - before_x, point.1 - before_y)),
        };
        match (command, x, y) {
            ('l', 0, 0) => {}
            ('l', x, 0) => {
                self.text.push('h');
                self.push_tenths(x);
            }
            ('l', 0, y) => {
                self.text.push('v');
                self.push_tenths(y);
            }
            (command, x, y) => {
                self.text.push(command);
                self.push_tenths(x);
                if y >= 0 {
                    self.text.push(' ');
                }
                self.push_tenths(y);
            }
        }
    }

    /// `-0.4` as `-.4`, `12.0` as `12`.
    fn push_tenths(&mut self, tenths: i64) {
        let (whole, rest) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
        let sign = if tenths < 0 { "-" } else { "" };
        // Writing to a String cannot fail.
        let _ = match (whole, rest) {
            (_, 0) => write!(self.text, "{sign}{whole}"),
            (0, _) => write!(self.text, "{sign}.{rest}"),
            _ => write!(self.text, "{sign}{whole}.{rest}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn bucket(hour: i64, value: f64) -> Bucket {
        Bucket {
            from: Wall(hour * HOUR),
            seconds: 3_600,
            count: 1,
            min: value,
            mean: value,
            max: value,
            last: value,
        }
    }

    fn series(hours: &[(i64, f64)], shape: Shape) -> ChartSeries {
        ChartSeries {
            observed: hours
                .iter()
                .map(|(hour, value)| bucket(*hour, *value))
                .collect(),
            forecast: Vec::new(),
            shape,
            stale_after: Duration::from_secs(7_200),
        }
    }

    #[test]
    fn gaps_are_where_the_value_was_stale() {
        for (hours, expected) in [
            (
                &[(0, 1.0), (1, 1.0), (2, 1.0), (9, 1.0), (22, 1.0)][..],
                &[(3, 9), (10, 22)][..],
            ),
            (&[(5, 1.0), (6, 1.0)], &[(0, 5), (7, 24)]),
            (
                &[
                    (2, 1.0),
                    (5, 1.0),
                    (8, 1.0),
                    (11, 1.0),
                    (14, 1.0),
                    (17, 1.0),
                    (20, 1.0),
                    (22, 1.0),
                ],
                &[],
            ),
            (&[], &[(0, 24)]),
        ] {
            let gaps = series(hours, Shape::Line).gaps(Wall(0), Wall(24 * HOUR));
            let gaps: Vec<(i64, i64)> =
                gaps.iter().map(|(a, b)| (a.0 / HOUR, b.0 / HOUR)).collect();
            assert_eq!(gaps, expected, "{hours:?}");
        }
    }

    #[test]
    fn a_factor_below_zero_turns_a_series_upside_down() {
        let mut series = series(&[(0, 1.0)], Shape::Line);
        series.observed[0].max = 3.0;
        let bucket = series.scaled(-2.0).observed[0];
        assert_eq!((bucket.min, bucket.mean, bucket.max), (-6.0, -2.0, -2.0));
    }

    #[test]
    fn points_of_a_path_are_relative_and_do_not_drift() {
        let mut path = SvgPath::default();
        for at in 0..=30 {
            path.to(f64::from(at) / 3.0, 0.6 - f64::from(at % 2));
        }
        assert!(
            path.text.starts_with("M0 .6l.3-1l.4 1l.3-1l.3 1"),
            "{}",
            path.text
        );
        assert_eq!(path.last, Some((100, 6)));
    }

    #[test]
    fn shapes_are_lines_areas_and_steps() {
        let extent = Extent {
            low: 0.0,
            high: 10.0,
        };
        let scale = Scale::bounded(Wall(0), Wall(10 * HOUR), extent, 100.0, 100.0);
        let hours = [(0, 5.0), (1, 10.0), (9, 0.0)];
        let line = series(&hours, Shape::Line).paths(&scale, true);
        assert_eq!(line.line, "M5 50l10-50M95 100h0");
        assert_eq!((&*line.area, &*line.band), ("", ""));
        let area = series(&hours, Shape::Area).paths(&scale, true);
        assert_eq!(area.area, "M5 50l10-50v100h-10Z");
        let steps = series(&hours, Shape::Steps).paths(&scale, true);
        assert_eq!(steps.line, "M0 50h10v-50h10M90 100h10h0");
    }
}
