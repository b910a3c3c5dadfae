//! States of a key on its page: a strip of segments, the time spent in each, and the list of
//! changes.

use std::time::Duration;

use maud::{Markup, html};

use super::amounts::Measure;
use super::bars;
use super::state_times::{StateTime, gaps, state_times};
use crate::domain::history::{StateHistory, StateQuery, StateRun};
use crate::domain::presentation::NumberFormat;
use crate::domain::reading::Value;
use crate::domain::snapshot::Record;
use crate::domain::text::{count_noun, ellipsis, human_duration};
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::format::to_zoned;
use crate::monitor::web::PageContext;
use crate::monitor::web::chart::readout::{self, ReadoutPoint};
use crate::monitor::web::chart::states::{
    StateSegment, StateStrip, StateStyle, gap_swatch, state_strip, swatch,
};
use crate::monitor::web::chart::ticks::ticks;
use crate::monitor::web::local_periods::PeriodLength;
use crate::monitor::web::period::Period;

/// The strip of a boolean, of a text, or of numbers that have words.
pub fn section(
    view: &PageContext,
    key: &str,
    record: Option<&Record>,
    period: &Period,
) -> Result<Markup, HistoryFailure> {
    let gap = record.map_or(limits::STATE_GAP, |record| record.stale_after);
    let query = StateQuery {
        key: key.into(),
        from: period.from,
        to: period.to,
        runs: limits::STRIP_SEGMENTS,
        gap,
    };
    let history = (view.states)(&query, view.budget)?;
    let format = match record {
        Some(record) => view.plan.number_format(record),
        None => view.plan.number_format_of(key, None, 1.0),
    };
    let strip = KeyStates::new(view, &history, record, period, gap, &format);
    let Some(strip) = strip else {
        return Ok(html! {
            p class="quiet" { "No data in this time span." }
            (known_from(view, &history, period))
        });
    };
    let is_long = PeriodLength::for_span(period.from, period.to) != PeriodLength::Hour;
    Ok(html! {
        @if is_long && Measure::of(view, key, record) == Some(Measure::TimeOn) {
            (bars::section(view, key, record, period)?)
        }
        (strip.figure(view, key))
        (known_from(view, &history, period))
        (strip.table(view))
    })
}

/// From when on states are known, where that is within the span.
fn known_from(view: &PageContext, history: &StateHistory, period: &Period) -> Markup {
    let from = history.known_from;
    let local = to_zoned(from, &view.settings.timezone);
    let when = view.plan.pages.locale.weekday_and_date(local.date());
    let time = local.strftime("%H:%M");
    html! {
        @if from > period.from && from < period.to {
            p class="quiet" {
                "States are known from " (when) ", " (time) " on"
                @if history.is_cut {
                    ": there are too many changes for one page. Choose a shorter span."
                } @else {
                    ": of earlier times only statistics are kept."
                }
            }
        }
    }
}

/// The share of a strip from which on a run is not narrow.
const NARROW_RUN: f64 = 0.01;

/// What the strip shows.
struct KeyStates {
    /// Oldest first, each with the place of its state.
    runs: Vec<(StateRun, usize)>,
    words: Vec<String>,
    states: Vec<StateTime>,
    gaps: Vec<(Wall, Wall)>,
    from: Wall,
    to: Wall,
}

impl KeyStates {
    /// None where nothing is known.
    fn new(
        view: &PageContext,
        history: &StateHistory,
        record: Option<&Record>,
        period: &Period,
        gap: Duration,
        format: &NumberFormat,
    ) -> Option<KeyStates> {
        let first = history.runs.first()?.from;
        let from = if period.is_all() {
            first
        } else {
            period.from.max(history.known_from)
        };
        let to = period.to;
        let mut runs = history.runs.clone();
        let end = to.min(view.now.wall);
        add_current(&mut runs, record, end);
        if let Some(last) = runs.last_mut()
            && end.since(last.to) <= gap
            && record.is_none_or(|record| !record.stale)
        {
            last.to = end.max(last.to);
        }
        // The time before the first observation within the span, if it is that of a poll.
        if let Some(first) = runs.first_mut()
            && first.from.since(from) <= gap
        {
            first.from = from;
        }
        let words: Vec<String> = runs.iter().map(|run| word(format, &run.value)).collect();
        let states = state_times(&runs, &words);
        let place = |word: &String| {
            let found = states.iter().position(|state| state.word == *word);
            found.unwrap_or(states.len() - 1)
        };
        let places: Vec<usize> = words.iter().map(place).collect();
        let gaps = gaps(&runs, from, end);
        Some(KeyStates {
            runs: runs.into_iter().zip(places).collect(),
            words,
            states,
            gaps,
            from,
            to,
        })
    }

    fn figure(&self, view: &PageContext, key: &str) -> Markup {
        let segments: Vec<StateSegment> = self
            .runs
            .iter()
            .map(|(run, state)| StateSegment {
                from: run.from,
                to: run.to,
                state: *state,
            })
            .collect();
        let states: Vec<(String, StateStyle)> = self
            .states
            .iter()
            .map(|state| (state.word.clone(), state.style))
            .collect();
        let zone = &view.settings.timezone;
        let label = format!(
            "{}: {}",
            view.plan.full_label(key),
            self.summary().join("; ")
        );
        let strip = StateStrip {
            segments: &segments,
            states: &states,
            gaps: &self.gaps,
            from: self.from,
            to: self.to,
            ticks: &ticks(self.from, self.to, zone, view.plan.pages.locale),
            label: &label,
        };
        html! {
            figure class="chart" data-v=(readout::attribute(&self.points(view))) {
                figcaption {
                    @if let Some(headline) = self.headline() { strong { (headline) } " " }
                    output {}
                }
                (state_strip(&strip))
                ul class="legend" {
                    @for (state, text) in self.states.iter().zip(self.summary()) {
                        li { (swatch(state.style)) " " (text) }
                    }
                    @if !self.gaps.is_empty() {
                        li { (gap_swatch()) " no data " (human_duration(rounded(self.unknown()))) }
                    }
                }
            }
        }
    }

    /// The first state that is not the one of rest: `On 17 h 37 min of 24 h, 9 starts`.
    fn headline(&self) -> Option<String> {
        let active = self.states.iter().find(|state| !state.style.is_rest);
        let state = active.or(self.states.first())?;
        let starts = match state.starts {
            0 => String::new(),
            starts => format!(", {}", count_noun(starts, "start")),
        };
        let (time, known) = (rounded(state.time), rounded(self.known()));
        let (time, known) = (human_duration(time), human_duration(known));
        Some(format!("{} {time} of {known}{starts}", name(&state.word)))
    }

    fn known(&self) -> Duration {
        self.states.iter().map(|state| state.time).sum()
    }

    /// The time in each state: `On 17 h 37 min (73 %)`.
    fn summary(&self) -> Vec<String> {
        let known = self.known().as_secs_f64().max(1.0);
        let has_many = self.states.len() > 2;
        let states = self.states.iter().map(|state| {
            let share = state.time.as_secs_f64() / known * 100.0;
            let starts = match state.starts {
                starts if has_many && starts > 0 => format!(", {}", count_noun(starts, "start")),
                _ => String::new(),
            };
            let time = human_duration(rounded(state.time));
            format!("{} {time} ({share:.0}\u{a0}%){starts}", name(&state.word))
        });
        states.collect()
    }

    fn unknown(&self) -> Duration {
        self.gaps.iter().map(|(from, to)| to.since(*from)).sum()
    }

    /// Two for each run, just within both of its ends, so that the nearest is its own; one where
    /// it is narrow.
    fn points(&self, view: &PageContext) -> Vec<ReadoutPoint> {
        let length = self.to.0.saturating_sub(self.from.0).max(1) as f64;
        let share = |at: Wall| at.0.saturating_sub(self.from.0) as f64 / length;
        let mut points = Vec::new();
        for ((run, _), word) in self.runs.iter().zip(&self.words) {
            let point = |share| ReadoutPoint {
                share,
                label: span_name(view, run.from, run.to),
                values: vec![word.clone()],
            };
            let (first, last) = (share(run.from) + 0.0006, share(run.to) - 0.0006);
            if last - first > NARROW_RUN {
                points.extend([point(first), point(last)]);
            } else {
                points.push(point(f64::midpoint(first, last)));
            }
        }
        points
    }

    /// The changes, the newest first.
    fn table(&self, view: &PageContext) -> Markup {
        let is_text = self.runs.iter().any(|(run, _)| run.value.text().is_some());
        let left_out = self.runs.len().saturating_sub(limits::STATE_CHANGES);
        html! {
            details open[is_text] {
                summary { "Show as table" }
                table class="compact" {
                    thead {
                        tr {
                            th scope="col" { "From" }
                            th scope="col" { "State" }
                            th scope="col" class="figure" { "For" }
                        }
                    }
                    tbody {
                        @for ((run, _), word) in self.runs.iter().zip(&self.words).rev().take(limits::STATE_CHANGES) {
                            tr {
                                th scope="row" { (instant_name(view, run.from)) }
                                td data-label="State" { (word) }
                                td data-label="For" class="figure" {
                                    (human_duration(run.to.since(run.from)))
                                }
                            }
                        }
                    }
                }
                @if left_out > 0 {
                    p class="quiet" { (count_noun(left_out, "earlier state")) " left out. Choose a shorter span." }
                }
            }
        }
    }
}

/// The current value, where it is newer than what is stored.
fn add_current(runs: &mut Vec<StateRun>, record: Option<&Record>, end: Wall) {
    let Some(record) = record.filter(|record| !record.stale && record.stamp.observed < end) else {
        return;
    };
    let from = record.stamp.observed;
    if let Some(last) = runs.last_mut()
        && last.value != record.value
        && last.to < from
    {
        last.to = from;
        runs.push(StateRun {
            from,
            to: from,
            value: record.value.clone(),
        });
    }
}

fn word(format: &NumberFormat, value: &Value) -> String {
    let shown = format.value(value);
    match &shown.unit {
        Some(unit) => format!("{}\u{a0}{unit}", shown.text),
        None => shown.text,
    }
}

/// A word before a time: one that has digits itself, or is long, needs a colon.
fn name(word: &str) -> String {
    const LETTERS: usize = 40;
    if word.chars().count() > LETTERS / 2 || word.contains(|c: char| c.is_ascii_digit()) {
        format!("{}:", ellipsis(word, LETTERS))
    } else {
        word.to_owned()
    }
}

/// To the minute where it is long.
fn rounded(time: Duration) -> Duration {
    match time.as_secs() {
        0..=7_199 => time,
        seconds => Duration::from_secs((seconds + 30) / 60 * 60),
    }
}

fn instant_name(view: &PageContext, at: Wall) -> String {
    let local = to_zoned(at, &view.settings.timezone);
    let date = view.plan.pages.locale.weekday_and_date(local.date());
    format!("{date}, {}", local.strftime("%H:%M"))
}

fn span_name(view: &PageContext, from: Wall, to: Wall) -> String {
    let zone = &view.settings.timezone;
    let (begin, end) = (to_zoned(from, zone), to_zoned(to, zone));
    let until = if begin.date() == end.date() {
        end.strftime("%H:%M").to_string()
    } else {
        instant_name(view, to)
    };
    format!("{} – {until}", instant_name(view, from))
}
