//! Composes the content of a picture from what is published now.
//!
//! Reads the database for the chart; called by workers alone.

use std::time::Duration;

use super::content::{
    CellLevel, PictureBar, PictureCell, PictureChart, PictureContent, PictureMessage, PictureTable,
    PictureTime,
};
use super::drawable_text::drawable;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::plan::{ChartKind, DisplayChart, DisplayPlan, PictureLayout};
use crate::domain::snapshot::Record;
use crate::domain::text::count_noun;
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::format::{format_since, to_zoned};
use crate::monitor::web::PageContext;
use crate::monitor::web::chart::bars::{Bar, BarAxis, BarStyle};
use crate::monitor::web::chart::ticks::ticks;
use crate::monitor::web::chart::{ChartSeries, Extent, Scale, Shape, end, middle, runs};
use crate::monitor::web::grouping::{self, ValueTable};
use crate::monitor::web::key::bars::KeyBars;
use crate::monitor::web::key_history;
use crate::monitor::web::severity::{ValueSeverity, reason, severity};
use crate::monitor::web::shown_keys::{self, ShownKey};

/// What a display shows. Its chart ends at `chart_end`.
pub fn content(view: &PageContext, display: &DisplayPlan, chart_end: Wall) -> PictureContent {
    let most = limits::PICTURE_CELLS;
    let defaults = (limits::WALL_DEFAULT_CELLS, limits::WALL_FIRST_VALUES);
    let shown = shown_keys::shown(view, &display.keys, most, defaults);
    let named = shown_keys::selected(view, &display.keys).len();
    let left_out = named.checked_sub(most).filter(|more| *more > 0);
    let left_out = left_out.map(|more| format!("{} not shown", count_noun(more, "more value")));
    let footer = shown_keys::selected(view, &display.footer);
    let footer = footer.iter().map(|it| match it {
        ShownKey::Record(record) => shown_keys::sentence(view, record, words(view, record)),
        ShownKey::Missing(key) => format!("{}: no value yet", view.plan.full_label(key)),
    });
    // A display that shows this is not silent, and its battery is in the corner.
    let own = ["display", "battery"].map(|kind| format!("{kind}:{}", display.name));
    let alerts = view.snapshot.alerts.iter();
    let alerts: Vec<&str> = alerts
        .filter(|alert| !own.iter().any(|name| **name == *alert.name))
        .map(|alert| &*alert.headline)
        .collect();
    let more = alerts.len().saturating_sub(limits::PICTURE_NOTES);
    let more = (more > 0).then(|| count_noun(more, "more alert"));
    let mut content = PictureContent {
        layout: display.layout,
        cells: shown.iter().map(|it| cell(view, it)).collect(),
        table: table(view, display),
        chart: display.chart.as_ref().map(|it| chart(view, it, chart_end)),
        footer: footer.collect(),
        notes: alerts
            .iter()
            .take(limits::PICTURE_NOTES)
            .map(|headline| (*headline).to_owned())
            .chain(more)
            .chain(left_out)
            .collect(),
        message: message(view),
    };
    content.change_texts(&|text| *text = drawable(text));
    content
}

/// The end of a chart: at round times, so that a picture changes no more often than its chart can show.
pub fn chart_end(display: &DisplayPlan, now: Wall) -> Wall {
    let span = display.chart.as_ref().map_or(Duration::ZERO, |it| it.span);
    // A quarter of an hour in a day.
    let step = (span / 96).min(limits::PICTURE_CHART_STEP);
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    match now.0.checked_rem_euclid(step) {
        Some(rest) => Wall(now.0.saturating_sub(rest)),
        None => now,
    }
}

/// The time of a picture that is drawn now, with the charge of the device if it is to be shown.
pub fn time(view: &PageContext, battery: Option<String>) -> PictureTime {
    let local = to_zoned(view.now.wall, &view.settings.timezone);
    let locale = view.plan.pages.locale;
    let text = if view.now.trust.is_trusted() {
        let time = local.strftime("%H:%M");
        format!("{}, {time}", locale.weekday_and_date(local.date()))
    } else {
        "clock not set".to_owned()
    };
    PictureTime { text, battery }
}

fn cell(view: &PageContext, shown: &ShownKey) -> PictureCell {
    let record = match shown {
        ShownKey::Record(record) => record,
        ShownKey::Missing(key) => {
            return PictureCell {
                label: view.plan.full_label(key),
                value: "–".to_owned(),
                unit: None,
                is_word: false,
                is_scaled: false,
                level: CellLevel::Stale,
                words: Some("no value yet".to_owned()),
            };
        }
    };
    let format = view.plan.number_format(record);
    let value = format.value(&record.value);
    PictureCell {
        label: view.plan.full_label(&record.key),
        value: value.text,
        unit: value.unit.map(|it| it.to_string()),
        is_word: value.is_word,
        is_scaled: !value.is_word && format.factor != 1.0,
        level: match severity(view, record) {
            ValueSeverity::None => CellLevel::Normal,
            ValueSeverity::Stale => CellLevel::Stale,
            ValueSeverity::Warn => CellLevel::Warn,
            ValueSeverity::Bad => CellLevel::Bad,
        },
        words: words(view, record),
    }
}

/// What is wrong with a value, in words that do not change while it stays so.
fn words(view: &PageContext, record: &Record) -> Option<String> {
    let reason = reason(view, record)?;
    let is_stale = severity(view, record) == ValueSeverity::Stale;
    let (zone, locale) = (&view.settings.timezone, view.plan.pages.locale);
    if is_stale && record.stamp.has_trusted_time() && view.now.trust.is_trusted() {
        let since = format_since(record.stamp.observed, view.now.wall, zone, locale);
        return Some(format!("since {since}"));
    }
    Some(reason)
}

fn message(view: &PageContext) -> Option<PictureMessage> {
    if !view.snapshot.records.is_empty() {
        return None;
    }
    let failing = view
        .snapshot
        .sources
        .iter()
        .find(|it| it.health.failures_in_a_row > 0);
    let text = match failing {
        _ if view.is_unconfigured() => "Nothing is configured yet.".to_owned(),
        Some(source) => format!("No data yet: {} does not answer as it should.", source.name),
        None => "No data yet.".to_owned(),
    };
    Some(PictureMessage {
        title: view.title().to_owned(),
        text,
    })
}

/// The table of the first group that has one.
fn table(view: &PageContext, display: &DisplayPlan) -> Option<PictureTable> {
    if display.layout != PictureLayout::Rooms {
        return None;
    }
    let groups = grouping::arrange(view.plan, view.snapshot).groups;
    let table: ValueTable = groups.into_iter().find_map(|group| group.table)?;
    let columns = table.columns.iter();
    let rows = table.rows.iter().take(limits::PICTURE_CELLS);
    Some(PictureTable {
        columns: columns.map(|it| it.label(view.plan)).collect(),
        rows: rows
            .map(|row| {
                let cells = row.cells.iter();
                let cells = cells.map(|it| it.map(|record| cell(view, &ShownKey::Record(record))));
                (row.label(), cells.collect())
            })
            .collect(),
    })
}

fn chart(view: &PageContext, chart: &DisplayChart, to: Wall) -> PictureChart {
    let from = to.before(chart.span);
    let record = view.snapshot.record(&chart.key);
    let label = view.plan.full_label(&chart.key);
    if key_history::kind(view, &chart.key, record) == ChartKind::Bars {
        // The period that has just begun is one of them.
        let (from, to) = (Wall(from.0 + 1), Wall(to.0 + 1));
        return match KeyBars::read(view, &chart.key, record, (from, to), true) {
            Ok(Some(bars)) => bar_chart(view, chart, label, &bars),
            Ok(None) => chart_without_points(label, "no data in this time span"),
            Err(failure) => unread_chart(label, &failure),
        };
    }
    let series = match read(view, chart, from, to) {
        Ok(series) => series,
        Err(failure) => return unread_chart(label, &failure),
    };
    let format = key_history::format(view, &chart.key, record, &series);
    let series = series.scaled(format.factor);
    let ends = series.forecast.iter().map(end);
    let until = ends.chain([to]).max().unwrap_or(to);
    let range = view.plan.key_setting(&chart.key, |key| key.range);
    let range = range.map(|(low, high)| [low, high].map(|it| it * format.factor));
    let shown = range.into_iter().flatten().filter(|it| it.is_finite());
    let current = record
        .filter(|it| !it.stale)
        .and_then(|it| it.value.number());
    let current = current.map(|it| it * format.factor);
    let shown = Extent::of(shown.chain(current))
        .into_iter()
        .chain(series.extent());
    let scale = Scale::rounded(from, until, shown.reduce(Extent::with), 1.0, 1.0);
    let place = |at: Wall, value: f64| (scale.x(at), 1.0 - scale.y(value));
    let line = |run: &[Bucket]| match series.shape {
        Shape::Steps => {
            let corners = run
                .iter()
                .flat_map(|it| [(it.from, it.last), (end(it), it.last)]);
            corners.map(|(at, value)| place(at, value)).collect()
        }
        _ => run.iter().map(|it| place(middle(it), it.mean)).collect(),
    };
    let lines = |buckets| -> Vec<Vec<(f64, f64)>> {
        let runs = runs(buckets, series.stale_after).into_iter();
        runs.map(line).collect()
    };
    let (mut observed, forecast) = (lines(&series.observed), lines(&series.forecast));
    // Up to the value that a cell may show beside it, but not over a gap.
    let is_joined = series.observed.last().is_some_and(|bucket| {
        let width = Duration::from_secs(bucket.seconds);
        end(bucket).after(series.stale_after + width) >= to
    });
    let current = current.filter(|_| is_joined);
    if let Some((last, current)) = observed.last_mut().zip(current) {
        // The middle of its last bucket may be ahead.
        last.retain(|(x, _)| *x < scale.x(to));
        last.push(place(to, current));
    }
    let (zone, locale) = (&view.settings.timezone, view.plan.pages.locale);
    let unit = format.unit.as_deref().map(|unit| format!(", {unit}"));
    PictureChart {
        title: label + &unit.unwrap_or_default(),
        lines: observed.into_iter().chain(forecast).collect(),
        bars: Vec::new(),
        forecast_from: (until > to).then(|| scale.x(to)),
        y_ticks: (scale.values().into_iter())
            .map(|value| (1.0 - scale.y(value), format.axis(value, scale.step())))
            .collect(),
        x_ticks: (ticks(from, until, zone, locale).into_iter())
            .map(|tick| (scale.x(tick.at), tick.label))
            .collect(),
        note: empty_note(&series, record),
    }
}

/// The amounts of local hours, days or months, as the key's page shows them.
fn bar_chart(
    view: &PageContext,
    chart: &DisplayChart,
    label: String,
    bars: &KeyBars,
) -> PictureChart {
    let heading = bars.heading(view, &chart.key);
    let (found, from, to) = (bars.bars(view), bars.from, bars.to);
    let axis = BarAxis::of(&found);
    let length = to.since(from).as_secs_f64().max(1.0);
    let place = |at: Wall| at.since(from).as_secs_f64() / length;
    let bar = |bar: &Bar| PictureBar {
        left: place(bar.from),
        right: place(bar.to),
        zero: axis.share(0.0),
        amount: axis.share(bar.height),
        is_whole: bar.style == BarStyle::Whole,
    };
    PictureChart {
        title: format!("{label}, {heading}"),
        lines: Vec::new(),
        bars: found
            .iter()
            .filter(|it| it.height.is_finite())
            .map(bar)
            .collect(),
        forecast_from: None,
        y_ticks: (axis.values().into_iter())
            .map(|value| (axis.share(value), bars.format.axis(value, axis.step)))
            .collect(),
        x_ticks: (bars.ticks(view).into_iter())
            .map(|tick| (place(tick.at), tick.label))
            .collect(),
        note: None,
    }
}

/// Why a chart without a point has none.
fn empty_note(series: &ChartSeries, record: Option<&Record>) -> Option<String> {
    if !series.observed.is_empty() || !series.forecast.is_empty() {
        return None;
    }
    let is_new = record.is_some_and(|it| !it.stale && it.value.number().is_some());
    Some(
        if is_new {
            "not enough data yet"
        } else {
            "no data in this time span"
        }
        .to_owned(),
    )
}

fn unread_chart(title: String, failure: &HistoryFailure) -> PictureChart {
    let note = match failure {
        HistoryFailure::NothingStored => "no numbers stored yet",
        HistoryFailure::Unavailable(_) => "the history cannot be read",
        HistoryFailure::Exceeded(_) => "too much to read at once",
    };
    chart_without_points(title, note)
}

fn chart_without_points(title: String, note: &str) -> PictureChart {
    PictureChart {
        title,
        lines: Vec::new(),
        bars: Vec::new(),
        forecast_from: None,
        y_ticks: Vec::new(),
        x_ticks: Vec::new(),
        note: Some(note.to_owned()),
    }
}

/// What was observed from `from` to `to`, and what is said of as long a time after that.
fn read(
    view: &PageContext,
    chart: &DisplayChart,
    from: Wall,
    to: Wall,
) -> Result<ChartSeries, HistoryFailure> {
    let query = |from, to| HistoryQuery {
        key: chart.key.clone(),
        from,
        to,
        points: limits::CHART_POINTS,
    };
    let record = view.snapshot.record(&chart.key);
    let mut observed = (view.history)(&query(from, to), view.budget)?;
    let ahead = query(to, to.after(chart.span));
    let mut forecast = match (view.forecast)(&ahead, to, view.budget) {
        Err(HistoryFailure::NothingStored) => Vec::new(),
        found => found?,
    };
    for buckets in [&mut observed, &mut forecast] {
        buckets.retain(|it| it.min.is_finite() && it.mean.is_finite() && it.max.is_finite());
    }
    Ok(ChartSeries {
        observed,
        forecast,
        shape: key_history::shape(view, &chart.key, record),
        stale_after: record.map_or(Duration::ZERO, |it| it.stale_after),
    })
}
