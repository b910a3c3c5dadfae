//! Sparkline: the last 24 hours of a key as a line of a few pixels, and its trend.
//!
//! Read from history at most every couple of minutes and cached here, in a mutex that is never
//! held while reading; called by workers alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};

use super::PageContext;
use super::chart::Scale;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::snapshot::Record;
use crate::domain::time::{Mono, Wall};
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
    trend: Trend,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trend {
    Up,
    Level,
    Down,
}

const DAY: Duration = Duration::from_secs(86_400);

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
        let line = Sparkline::new(&buckets, query.from, query.to, record.stale_after);
        let mut lines = self.0.lock();
        lines.insert(record.key.clone(), (now, line.clone()));
        Some(line).filter(|line| !line.path.is_empty())
    }
}

impl Sparkline {
    fn new(buckets: &[Bucket], from: Wall, to: Wall, stale_after: Duration) -> Sparkline {
        let scale = Scale::new(from, to, buckets, 200.0, 36.0);
        let mut path = String::new();
        // One point has neither a line nor a trend.
        let buckets = if buckets.len() < 2 { &[] } else { buckets };
        for run in super::chart::runs(buckets, stale_after) {
            for (at, bucket) in run.iter().enumerate() {
                let command = if at == 0 { 'M' } else { 'L' };
                let (x, y) = (scale.x(bucket.from), scale.y(bucket.mean));
                // Writing to a String cannot fail.
                let _ = write!(path, "{command}{x:.0} {y:.1}");
            }
            if run.len() == 1 {
                path.push_str("h0");
            }
        }
        Sparkline {
            path,
            trend: trend(buckets),
        }
    }

    pub fn line(&self) -> Markup {
        html! {
            svg class="spark" viewBox="0 0 200 36" preserveAspectRatio="none" aria-hidden="true" {
                path d=(self.path) {}
            }
        }
    }

    pub fn arrow(&self) -> Markup {
        let (mark, text) = match self.trend {
            Trend::Up => ("↗", "rising"),
            Trend::Level => ("→", "level"),
            Trend::Down => ("↘", "falling"),
        };
        html! {
            " " span class="trend" role="img" aria-label=(text) title=(text) { (mark) }
        }
    }
}

/// The trend: the newest eighth compared with the eighth before it, by the day's spread.
fn trend(buckets: &[Bucket]) -> Trend {
    let part = (buckets.len() / 8).max(1);
    let (Some(newest), Some(before)) = (
        buckets.len().checked_sub(part).map(|at| &buckets[at..]),
        buckets
            .len()
            .checked_sub(2 * part)
            .map(|at| &buckets[at..at + part]),
    ) else {
        return Trend::Level;
    };
    let mean = |part: &[Bucket]| part.iter().map(|b| b.mean / part.len() as f64).sum::<f64>();
    let lowest = buckets.iter().map(|b| b.mean).fold(f64::INFINITY, f64::min);
    let highest = buckets
        .iter()
        .map(|b| b.mean)
        .fold(f64::NEG_INFINITY, f64::max);
    let share = (mean(newest) - mean(before)) / (highest - lowest);
    match share {
        share if share > 0.05 => Trend::Up,
        share if share < -0.05 => Trend::Down,
        _ => Trend::Level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(hour: i64, mean: f64) -> Bucket {
        Bucket {
            from: Wall(hour * 3_600_000),
            seconds: 3_600,
            count: 1,
            min: mean,
            mean,
            max: mean,
            last: mean,
        }
    }

    #[test]
    fn a_sparkline_shows_the_trend() {
        let line = |means: &[f64]| -> Vec<Bucket> {
            means
                .iter()
                .enumerate()
                .map(|(hour, mean)| bucket(hour as i64, *mean))
                .collect()
        };
        for (means, expected) in [
            (&[][..], Trend::Level),
            (&[1.0], Trend::Level),
            (&[1.0, 2.0], Trend::Up),
            (&[2.0, 1.0], Trend::Down),
            (&[5.0, 5.0, 5.0], Trend::Level),
            (&[0.0, 100.0, 50.0, 51.0], Trend::Level),
        ] {
            assert_eq!(trend(&line(means)), expected, "{means:?}");
        }
    }

    #[test]
    fn a_gap_in_history_is_a_gap_in_the_sparkline() {
        let buckets = [bucket(0, 1.0), bucket(1, 2.0), bucket(9, 3.0)];
        let hour = Duration::from_secs(3_600);
        let line = Sparkline::new(&buckets, Wall(0), Wall(24 * 3_600_000), hour);
        assert_eq!(line.path.matches('M').count(), 2);
        assert!(
            line.path.ends_with("h0"),
            "a lone point is a dot: {}",
            line.path
        );
    }
}
