//! History of a key for a chart: what was observed in a period, and what is said ahead of now.
//!
//! Reads the database; called by workers alone.

use std::sync::Arc;
use std::time::Duration;

use super::PageContext;
use super::chart::{self, ChartSeries, Shape};
use super::comparison::Comparison;
use super::period::Period;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::plan::ChartKind;
use crate::domain::presentation::NumberFormat;
use crate::domain::snapshot::Record;
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::context::HistoryFailure;

/// What a key's chart shows.
pub struct KeyHistory {
    pub observed: Vec<Bucket>,
    pub forecast: Vec<Bucket>,
    /// With the begin of what there is, where all is shown.
    pub period: Period,
}

/// The buckets of a period. One that ends now reaches as far ahead of it as back.
pub fn read(
    view: &PageContext,
    key: &str,
    period: Period,
    points: usize,
) -> Result<KeyHistory, HistoryFailure> {
    let key: Arc<str> = key.into();
    let period = resolve(view, &key, period)?;
    let mut observed = buckets(view, &key, period.from, period.to, points)?;
    let ahead_to = if period.is_live() {
        period.to.after(period.length())
    } else {
        period.to
    };
    let now = view.now.wall;
    let mut forecast = Vec::new();
    if ahead_to > now {
        let query = HistoryQuery {
            key,
            from: period.from.max(now),
            to: ahead_to,
            points,
        };
        forecast = (view.forecast)(&query, now, view.budget)?;
    }
    // Never stored, but a chart must not break on it.
    for buckets in [&mut observed, &mut forecast] {
        buckets.retain(|b| b.min.is_finite() && b.mean.is_finite() && b.max.is_finite());
    }
    Ok(KeyHistory {
        observed,
        forecast,
        period,
    })
}

/// All there is, from its first bucket on; other periods as they are.
pub fn resolve(
    view: &PageContext,
    key: &Arc<str>,
    period: Period,
) -> Result<Period, HistoryFailure> {
    if !period.is_all() {
        return Ok(period);
    }
    let all = buckets(view, key, period.from, period.to, limits::HISTORY_POINTS)?;
    let from = match all.first() {
        Some(first) => first.from,
        None => period.to.before(Duration::from_secs(86_400)),
    };
    Ok(period.starting(from))
}

fn buckets(
    view: &PageContext,
    key: &Arc<str>,
    from: Wall,
    to: Wall,
    points: usize,
) -> Result<Vec<Bucket>, HistoryFailure> {
    let query = HistoryQuery {
        key: key.clone(),
        from,
        to,
        points,
    };
    let failed = |failure: &HistoryFailure| log::debug!("history of {key:?}: {failure}");
    (view.history)(&query, view.budget).inspect_err(failed)
}

/// The same local time of an earlier period, moved to this one.
pub fn read_before(
    view: &PageContext,
    key: &str,
    period: &Period,
    comparison: Comparison,
) -> Result<Vec<Bucket>, HistoryFailure> {
    let offset = comparison.offset_ms(period.from, &view.settings.timezone);
    let Some(offset) = offset else {
        return Ok(Vec::new());
    };
    let earlier = |wall: Wall| Wall(wall.0.saturating_sub(offset));
    let (from, to) = (earlier(period.from), earlier(period.to));
    let mut before = buckets(view, &key.into(), from, to, limits::CHART_POINTS_OF_SEVERAL)?;
    before.retain(|bucket| bucket.mean.is_finite());
    for bucket in &mut before {
        bucket.from = Wall(bucket.from.0.saturating_add(offset));
    }
    Ok(before)
}

/// What a key was a day ago, if it was observed then.
pub fn read_yesterday(view: &PageContext, key: &str) -> Option<f64> {
    /// What is as good as the same time: a bucket of this width at most.
    const AROUND: Duration = Duration::from_secs(1_800);
    let now = view.now.wall;
    let offset = Comparison::Day.offset_ms(now, &view.settings.timezone)?;
    let then = Wall(now.0.saturating_sub(offset));
    let (from, to) = (then.before(AROUND), then.after(Duration::from_secs(1)));
    let found = buckets(view, &key.into(), from, to, 6).ok()?;
    found
        .last()
        .map(|last| last.last)
        .filter(|it| it.is_finite())
}

impl KeyHistory {
    pub fn is_empty(&self) -> bool {
        self.observed.is_empty() && self.forecast.is_empty()
    }

    /// The chart goes on to where the last element of the forecast ends.
    pub fn shown_to(&self) -> Wall {
        let ends = self.forecast.iter().map(chart::end);
        ends.chain([self.period.to]).max().unwrap_or(self.period.to)
    }

    /// The series in stored units.
    pub fn series(&self, shape: Shape, record: Option<&Record>) -> ChartSeries {
        ChartSeries {
            observed: self.observed.clone(),
            forecast: self.forecast.clone(),
            shape,
            stale_after: record.map_or(Duration::ZERO, |record| record.stale_after),
        }
    }
}

/// How a line of a key is drawn.
pub fn shape(view: &PageContext, key: &str, record: Option<&Record>) -> Shape {
    match kind(view, key, record) {
        ChartKind::Area => Shape::Area,
        ChartKind::Steps | ChartKind::State => Shape::Steps,
        ChartKind::Line | ChartKind::Bars | ChartKind::None => Shape::Line,
    }
}

/// The chart of a key: as configured, else by what it is now.
pub fn kind(view: &PageContext, key: &str, record: Option<&Record>) -> ChartKind {
    match record {
        Some(record) => view.plan.chart_kind(record),
        None => {
            let configured = view.plan.key_setting(key, |key| key.chart);
            configured.unwrap_or(ChartKind::Line)
        }
    }
}

/// How the numbers of a key are written: of the value now, else of the largest in its history.
pub fn format(
    view: &PageContext,
    key: &str,
    record: Option<&Record>,
    series: &ChartSeries,
) -> NumberFormat {
    let extent = series.extent();
    let typical = extent.map_or(0.0, |it| it.low.abs().max(it.high.abs()));
    let format = match record {
        Some(record) => view.plan.number_format(record),
        None => view.plan.number_format_of(key, None, typical),
    };
    match extent {
        Some(extent) => format.spanning(extent.low, extent.high),
        None => format,
    }
}
