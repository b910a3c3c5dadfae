//! Readout of a chart: what the script shows of the instant below the pointer.
//!
//! Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::tz::TimeZone;

use super::plot::{ChartLine, LineStyle, TimeAxis};
use super::series;
use crate::domain::history::Bucket;
use crate::domain::locale::Locale;
use crate::domain::time::Wall;
use crate::monitor::format::to_zoned;

/// An instant of a chart with its name and a text for each line.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadoutPoint {
    /// Its place in the plot, from 0 to 1.
    pub share: f64,
    pub label: String,
    pub values: Vec<String>,
}

/// The points as an attribute: a line each, with tabs between place (0 to 1000), label and values.
pub fn attribute(points: &[ReadoutPoint]) -> String {
    let mut text = String::new();
    for point in points {
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{:.0}\t{}", point.share * 1000.0, plain(&point.label));
        for value in &point.values {
            text.push('\t');
            text.push_str(&plain(value));
        }
    }
    text
}

/// A text without what separates.
fn plain(text: &str) -> String {
    text.replace(['\t', '\n'], " ")
}

/// The buckets of all lines by their time. Of a day's times only the first says the day.
pub fn points(
    lines: &[&ChartLine],
    axis: &TimeAxis,
    zone: &TimeZone,
    locale: Locale,
) -> Vec<ReadoutPoint> {
    let is_single = lines
        .iter()
        .filter(|it| it.style != LineStyle::Before)
        .count()
        == 1;
    let all = lines.iter().map(|line| &line.series);
    let all = all.flat_map(|series| series.observed.iter().chain(&series.forecast));
    // The narrowest bucket of each time.
    let mut by_time: BTreeMap<Wall, &Bucket> = BTreeMap::new();
    for bucket in all {
        let known = by_time.entry(bucket.from).or_insert(bucket);
        if bucket.seconds < known.seconds {
            *known = bucket;
        }
    }
    let length = axis.to.since(axis.from).as_millis().max(1) as f64;
    let mut day = None;
    by_time
        .into_values()
        .map(|bucket| {
            let middle = series::middle(bucket).since(axis.from).as_millis() as f64;
            let value = |line: &&ChartLine| {
                let covering = line.series.at(series::middle(bucket));
                covering.map_or_else(String::new, |it| value_text(line, it, is_single))
            };
            let values = lines.iter().map(value).collect();
            let begin = to_zoned(bucket.from, zone);
            let is_new_day = day.replace(begin.date()) != Some(begin.date());
            let (day, clock) = (begin.date(), begin.strftime("%H:%M"));
            let label = match bucket.seconds {
                0..86_400 if is_new_day => format!("{}, {clock}", locale.weekday_and_date(day)),
                0..86_400 => clock.to_string(),
                _ => format!("{} {}", locale.weekday(day), locale.date(day)),
            };
            ReadoutPoint {
                share: (middle / length).min(1.0),
                label,
                values,
            }
        })
        .collect()
}

fn value_text(line: &ChartLine, bucket: &Bucket, has_extremes: bool) -> String {
    let mean = line.with_unit(bucket.mean);
    let (low, high) = (line.number(bucket.min), line.number(bucket.max));
    if has_extremes && low != high && line.style != LineStyle::Before {
        format!("{mean} ({low} … {high})")
    } else {
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_is_not_in_a_text() {
        let point = |share, label: &str, value: &str| ReadoutPoint {
            share,
            label: label.to_owned(),
            values: vec![value.to_owned()],
        };
        let points = [
            point(0.0, "Sat, 14:00", "1\t2\n3"),
            point(0.5, "14:05", "4 °C"),
        ];
        assert_eq!(attribute(&points), "0\tSat, 14:00\t1 2 3\n500\t14:05\t4 °C");
    }
}
