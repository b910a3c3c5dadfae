//! Sparkline: the last 24 hours of a key as a line of a few pixels.
//!
//! Read from history at most every couple of minutes and cached here, in a mutex that is never
//! held while reading; called by workers alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};

use super::PageContext;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::snapshot::Record;
use crate::domain::time::Mono;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::sys::sync::Mutex;

/// The sparklines read last, by key.
#[derive(Default)]
pub struct Sparklines(Mutex<BTreeMap<Arc<str>, (Mono, Sparkline)>>);

/// One key's last day.
#[derive(Clone, PartialEq, Debug)]
pub struct Sparkline {
    path: String,
    /// The mean of all readings.
    mean: Option<f64>,
}

const DAY: Duration = Duration::from_secs(86_400);
/// The drawing's size, in units that a path has whole numbers of.
const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 24.0;

impl Sparklines {
    /// The line of a record; none for texts and for what has no history.
    pub fn of(&self, view: &PageContext, record: &Record) -> Option<Sparkline> {
        record.value.number()?;
        let mut lines = self.0.lock();
        let now = view.now.mono;
        match lines.get(&record.key) {
            Some((read, line)) if now.since(*read) < limits::SPARKLINE_TTL => {
                return Some(line.clone()).filter(|line| !line.path.is_empty());
            }
            _ => {}
        }
        // The whole cache is cleared, so that removed keys do not stay.
        if lines.len() >= 2 * limits::TILES {
            lines.clear();
        }
        drop(lines);
        let query = HistoryQuery {
            key: record.key.clone(),
            from: view.now.wall.before(DAY),
            to: view.now.wall,
            points: limits::SPARKLINE_POINTS,
        };
        let buckets = match (view.history)(&query, view.budget) {
            Ok(buckets) => buckets,
            // The next page goes on where this one ended.
            Err(HistoryFailure::Exceeded(_)) => return None,
            Err(HistoryFailure::Unavailable(_) | HistoryFailure::NothingStored) => Vec::new(),
        };
        let line = Sparkline::new(&buckets, &query, record);
        let mut lines = self.0.lock();
        lines.insert(record.key.clone(), (now, line.clone()));
        Some(line).filter(|line| !line.path.is_empty())
    }
}

impl Sparkline {
    fn new(buckets: &[Bucket], query: &HistoryQuery, record: &Record) -> Sparkline {
        // The first may begin before the day.
        let inside = buckets.iter().position(|bucket| bucket.from >= query.from);
        let buckets = inside.map_or(&[][..], |first| &buckets[first..]);
        let means = buckets.iter().map(|bucket| bucket.mean);
        let low = means.clone().fold(f64::INFINITY, f64::min);
        let high = means.fold(f64::NEG_INFINITY, f64::max);
        let span = query.to.since(query.from).as_secs_f64();
        let count: u64 = buckets.iter().map(|bucket| bucket.count).sum();
        let sum: f64 = buckets.iter().map(|it| it.mean * it.count as f64).sum();
        // One point is no line.
        let shown = if buckets.len() < 2 { &[] } else { buckets };
        let place = |bucket: &Bucket| {
            let x = bucket.from.since(query.from).as_secs_f64() / span;
            let y = match high - low {
                spread if spread > 0.0 => (high - bucket.mean) / spread,
                _ => 0.5,
            };
            // A unit is left for the width of the line.
            let y = 1.0 + y * (HEIGHT - 2.0);
            ((x * WIDTH).round() as i32, y.round() as i32)
        };
        let mut path = String::new();
        for run in super::chart::runs(shown, record.stale_after) {
            draw_run(&mut path, run.iter().map(place), record.is_boolean);
        }
        Sparkline {
            path,
            mean: (count > 0).then(|| sum / count as f64),
        }
    }

    pub fn line(&self) -> Markup {
        html! {
            svg class="spark" viewBox="0 0 96 24" preserveAspectRatio="none" aria-hidden="true" {
                path d=(self.path) {}
            }
        }
    }

    /// The mean of the day; of a boolean the share that it was true.
    pub fn mean(&self) -> Option<f64> {
        self.mean
    }
}

/// Appends points as steps from one to the next, which take half the bytes of places.
fn draw_run(path: &mut String, points: impl Iterator<Item = (i32, i32)>, is_boolean: bool) {
    let mut before: Option<(i32, i32)> = None;
    let mut is_lone = true;
    for (x, y) in points {
        // Writing to a String cannot fail.
        let _ = match before {
            None => write!(path, "M{x} {y}"),
            Some((x0, y0)) if is_boolean => write!(path, "h{}v{}", x - x0, y - y0),
            // The sign separates, too.
            Some((x0, y0)) if y < y0 => write!(path, "l{}{}", x - x0, y - y0),
            Some((x0, y0)) => write!(path, "l{} {}", x - x0, y - y0),
        };
        is_lone = before.is_none();
        before = Some((x, y));
    }
    if is_lone && before.is_some() {
        path.push_str("h0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Wall;
    use crate::monitor::support;

    const HOUR_MS: i64 = 3_600_000;

    fn sparkline(hours: &[(i64, f64)], is_boolean: bool) -> Sparkline {
        let bucket = |(hour, mean): &(i64, f64)| Bucket {
            from: Wall(hour * HOUR_MS),
            seconds: 3_600,
            count: 2,
            min: *mean,
            mean: *mean,
            max: *mean,
            last: *mean,
        };
        let buckets: Vec<Bucket> = hours.iter().map(bucket).collect();
        let query = HistoryQuery {
            key: "k".into(),
            from: Wall(0),
            to: Wall(24 * HOUR_MS),
            points: 24,
        };
        let mut record = support::healthy().snapshot.records.remove(0);
        record.stale_after = Duration::from_secs(3_600);
        record.is_boolean = is_boolean;
        Sparkline::new(&buckets, &query, &record)
    }

    #[test]
    fn a_path_is_made_of_steps() {
        for (hours, is_boolean, path, mean) in [
            (&[][..], false, "", None),
            (&[(0, 1.0)], false, "", Some(1.0)),
            (&[(0, 1.0), (1, 1.0)], false, "M0 12l4 0", Some(1.0)),
            (&[(0, 1.0), (1, 3.0)], false, "M0 23l4-22", Some(2.0)),
            (&[(0, 3.0), (1, 1.0)], false, "M0 1l4 22", Some(2.0)),
            (&[(0, 0.0), (1, 1.0)], true, "M0 23h4v-22", Some(0.5)),
            // A gap stays open; a lone point is a dot.
            (
                &[(0, 1.0), (1, 2.0), (9, 3.0)],
                false,
                "M0 23l4-11M36 1h0",
                Some(2.0),
            ),
        ] {
            let line = sparkline(hours, is_boolean);
            assert_eq!((line.path.as_str(), line.mean), (path, mean), "{hours:?}");
        }
    }
}
