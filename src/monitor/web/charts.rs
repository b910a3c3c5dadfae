//! Charts page: several keys over the same time, one plot for each unit, and the keys to choose from.

use std::collections::BTreeSet;
use std::sync::Arc;

use maud::{Markup, html};

use super::PageContext;
use super::chart::{self, Chart, ChartLine, ChartSeries, LineStyle, Plot, Shape};
use super::grouping::DERIVED;
use super::history_table;
use super::key_history::{self, KeyHistory};
use super::layout::{self, Page, Part};
use super::period::Period;
use super::period_links::{self, ChartPage};
use crate::domain::percent;
use crate::domain::presentation::NumberFormat;
use crate::domain::snapshot::Record;
use crate::domain::text::truncate_list;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::problem::{ProblemDetails, unknown_key_problem};

pub fn page(view: &PageContext, keys: &[String], period: Period) -> Result<Page, ProblemDetails> {
    let keys = distinct(keys)?;
    let points = match keys.len() {
        1 => limits::CHART_POINTS,
        _ => limits::CHART_POINTS_OF_SEVERAL,
    };
    let mut histories = Vec::new();
    for key in &keys {
        let read = key_history::read(view, key, period, points);
        if matches!(read, Err(HistoryFailure::NothingStored)) && view.snapshot.record(key).is_none()
        {
            return Err(unknown_key_problem(key, view.snapshot, view.plan));
        }
        histories.push((*key, read));
    }
    let names: Vec<String> = keys.iter().map(|key| view.plan.full_label(key)).collect();
    let title = if keys.is_empty() {
        "Charts".to_owned()
    } else {
        truncate_list(&names, 3)
    };
    let address = Address { view, period };
    let mut parts = vec![layout::status_section(view, &title)];
    if !keys.is_empty() {
        parts.push(Part::live("history", history(&address, &keys, histories)));
    }
    parts.push(Part::still("choice", choice(&address, &keys)));
    Ok(Page {
        title,
        parts,
        has_own_heading: true,
    })
}

/// The keys, each once.
fn distinct(keys: &[String]) -> Result<Vec<&str>, ProblemDetails> {
    let mut found: Vec<&str> = Vec::new();
    for key in keys.iter().filter(|key| !key.is_empty()) {
        if !found.contains(&key.as_str()) {
            found.push(key);
        }
    }
    if found.len() > limits::CHART_LINES {
        let most = limits::CHART_LINES;
        let detail = format!("`keys` are {}; a chart shows at most {most}.", found.len());
        return Err(ProblemDetails::new(400, detail));
    }
    Ok(found)
}

/// Addresses of this page.
struct Address<'a> {
    view: &'a PageContext<'a>,
    period: Period,
}

impl Address<'_> {
    fn of(&self, keys: &[&str]) -> String {
        let keys: Vec<String> = keys.iter().map(|key| percent::encode(key)).collect();
        self.view
            .url(&format!("/web/chart?keys={}", keys.join(",")))
    }

    fn with_period(&self, keys: &[&str]) -> String {
        match keys {
            [] => self
                .view
                .url(&format!("/web/chart?{}", self.period.query())),
            keys => format!("{}&{}", self.of(keys), self.period.query()),
        }
    }
}

type Histories<'k> = Vec<(&'k str, Result<KeyHistory, HistoryFailure>)>;

fn history(address: &Address, keys: &[&str], histories: Histories) -> Markup {
    let view = address.view;
    let page = ChartPage {
        url: address.of(keys),
        period: address.period,
        comparison: None,
    };
    let mut missing = Vec::new();
    let mut read = Vec::new();
    for (key, history) in histories {
        match history {
            Ok(history) if !history.is_empty() => read.push((key, history)),
            Ok(_) => missing.push((key, "no data in this time span".to_owned())),
            Err(HistoryFailure::NothingStored) => {
                missing.push((key, "no numbers stored yet".to_owned()));
            }
            Err(failure) => missing.push((key, failure.to_string())),
        }
    }
    let from = read.iter().map(|(_, history)| history.period.from).min();
    let to = read.iter().map(|(_, history)| history.shown_to()).max();
    let period = address.period.starting(from.unwrap_or(address.period.from));
    let to = to.unwrap_or(period.to);
    let plots = plots(view, &read);
    let lines: Vec<ChartLine> = read
        .iter()
        .enumerate()
        .map(|(at, (key, history))| line(view, at, key, history, None))
        .collect();
    let names: Vec<&str> = lines.iter().map(|line| &*line.name).collect();
    let label = format!(
        "{}, {}",
        names.join(", "),
        period_links::title(view, &period)
    );
    let table = history_table::table(view, &page, &lines);
    html! {
        h1 { (chosen_title(view, keys)) }
        (period_links::navigation(view, &page, &html! {}))
        @for (key, why) in missing {
            p class="quiet" { (view.plan.full_label(key)) ": " (why) "." }
        }
        @if !plots.is_empty() {
            (chart::figure(
                &Chart { plots, from: period.from, to, now: view.now.wall, label },
                &view.settings.timezone,
                view.plan.pages.locale,
            ))
            (table)
            (history_table::downloads(view, keys, &period, to))
        }
    }
}

fn chosen_title(view: &PageContext, keys: &[&str]) -> String {
    let names: Vec<String> = keys.iter().map(|key| view.plan.full_label(key)).collect();
    names.join(", ")
}

/// One plot for each unit, in the order of the keys. The numbers of a plot are written as those of
/// its largest line are.
fn plots(view: &PageContext, read: &[(&str, KeyHistory)]) -> Vec<Plot> {
    let unit = |key: &str| -> Option<Arc<str>> { view.snapshot.record(key)?.unit.clone() };
    let mut units: Vec<Option<Arc<str>>> = Vec::new();
    for (key, _) in read {
        if !units.contains(&unit(key)) {
            units.push(unit(key));
        }
    }
    let of_unit = |wanted: Option<Arc<str>>| {
        let inside = read.iter().enumerate();
        let inside: Vec<_> = inside.filter(|(_, (key, _))| unit(key) == wanted).collect();
        let size = |history: &KeyHistory| {
            let all = history.observed.iter().chain(&history.forecast);
            all.map(|it| it.max.abs().max(it.min.abs()))
                .fold(0.0, f64::max)
        };
        let largest = inside
            .iter()
            .max_by(|one, other| size(&one.1.1).total_cmp(&size(&other.1.1)));
        let format = largest.map(|(at, (key, history))| line(view, *at, key, history, None).format);
        let lines = inside
            .iter()
            .map(|(at, (key, history))| line(view, *at, key, history, format.as_ref()));
        Plot {
            lines: lines.collect(),
            thresholds: Vec::new(),
            range: None,
        }
    };
    units.into_iter().map(of_unit).collect()
}

/// A key's line, in the format of its plot or in its own.
fn line(
    view: &PageContext,
    at: usize,
    key: &str,
    history: &KeyHistory,
    format: Option<&NumberFormat>,
) -> ChartLine {
    let record = view.snapshot.record(key);
    let shape = match key_history::shape(view, key, record) {
        // It would cover the other lines.
        Shape::Area => Shape::Line,
        shape => shape,
    };
    let series: ChartSeries = history.series(shape, record);
    let format = format
        .cloned()
        .unwrap_or_else(|| key_history::format(view, key, record, &series));
    ChartLine {
        name: view.plan.full_label(key),
        series: series.scaled(format.factor),
        format,
        style: LineStyle::Number(at + 1),
    }
}

/// The keys of the chart to leave out, and those to add.
fn choice(address: &Address, keys: &[&str]) -> Markup {
    let view = address.view;
    let is_full = keys.len() >= limits::CHART_LINES;
    html! {
        @if keys.is_empty() {
            h1 { "Charts" }
            p { "Choose up to " (limits::CHART_LINES) " values to see them in one chart." }
            h2 class="unseen" { "Values" }
        } @else {
            h2 { "Values in this chart" }
            ul class="choice" {
                @for key in keys {
                    @let others: Vec<&str> = keys.iter().filter(|it| *it != key).copied().collect();
                    @let name = view.plan.full_label(key);
                    li {
                        a href=(view.links.key(key)) { (name) } " "
                        a href=(address.with_period(&others)) aria-label=(format!("Remove {name}")) {
                            "× remove"
                        }
                    }
                }
            }
            h2 { "Add a value" }
            @if is_full {
                p class="quiet" {
                    "A chart shows at most " (limits::CHART_LINES) " values; remove one first."
                }
            }
        }
        @if !is_full { (offers(address, keys)) }
    }
}

fn offers(address: &Address, keys: &[&str]) -> Markup {
    let (grouped, others) = groups(address.view, keys);
    html! {
        @if grouped.is_empty() && others.is_empty() {
            p class="quiet" { "There is no other value with numbers." }
        }
        @for (name, records) in &grouped { (offer(address, keys, name, records)) }
        @if !grouped.is_empty() && !others.is_empty() {
            details {
                summary { "Not in a group" }
                @for (name, records) in &others { (offer(address, keys, name, records)) }
            }
        } @else {
            @for (name, records) in &others { (offer(address, keys, name, records)) }
        }
    }
}

fn offer(address: &Address, keys: &[&str], name: &str, records: &[&Record]) -> Markup {
    html! {
        h3 { (name) }
        ul class="choice" {
            @for record in records {
                @let with: Vec<&str> = keys.iter().copied().chain([&*record.key]).collect();
                li {
                    a href=(address.with_period(&with)) {
                        (address.view.plan.full_label(&record.key))
                    }
                }
            }
        }
    }
}

/// Records below a heading.
type RecordGroups<'a> = Vec<(&'a str, Vec<&'a Record>)>;

/// Records with numbers that may be added, by group, and the others by source; a bounded number.
fn groups<'a>(view: &PageContext<'a>, keys: &[&str]) -> (RecordGroups<'a>, RecordGroups<'a>) {
    let mut used: BTreeSet<&str> = keys.iter().copied().collect();
    let is_hidden =
        |record: &Record| view.plan.key_setting(&record.key, |key| key.hide) == Some(true);
    let records: Vec<&Record> = view
        .snapshot
        .records
        .iter()
        .filter(|record| record.value.number().is_some() && !is_hidden(record))
        .collect();
    let mut left = limits::CHART_CHOICES;
    let (mut grouped, mut others) = (Vec::new(), Vec::new());
    let mut add = |groups: &mut RecordGroups<'a>, name, belongs: &dyn Fn(&Record) -> bool| {
        let mut inside = Vec::new();
        for record in &records {
            if left > 0 && belongs(record) && used.insert(&record.key) {
                left -= 1;
                inside.push(*record);
            }
        }
        if !inside.is_empty() {
            groups.push((name, inside));
        }
    };
    for group in &view.plan.pages.groups {
        add(&mut grouped, &*group.name, &|record| group.has(&record.key));
    }
    for source in &view.snapshot.sources {
        add(&mut others, &*source.name, &|record| {
            record.sources.first() == Some(&source.name)
        });
    }
    add(&mut others, DERIVED, &|record| {
        view.snapshot.is_derived(&record.key)
    });
    (grouped, others)
}

#[cfg(test)]
mod tests {
    use crate::monitor::http::handler::Handler as _;
    use crate::monitor::support::{self as testing, body, request};

    fn page(query: &str) -> (u16, String) {
        let monitor = testing::healthy().app();
        let response = monitor.render(&request(&format!("/web/chart{query}"), &[]));
        (response.status, body(&response).to_owned())
    }

    #[test]
    fn each_unit_has_a_plot_and_each_key_a_line() {
        for (query, plots, lines) in [
            ("?keys=temperature", 1, 1),
            ("?keys=temperature,humidity", 2, 2),
            ("?keys=temperature,humidity,power,temperature", 3, 3),
            ("?keys=temperature%2Chumidity&span=7d", 2, 2),
        ] {
            let (status, page) = page(query);
            assert_eq!(status, 200, "{query}: {page}");
            assert_eq!(page.matches("class=\"lines\"").count(), plots, "{query}");
            assert_eq!(
                page.matches("<path class=\"line s").count(),
                lines,
                "{query}"
            );
        }
    }

    #[test]
    fn without_keys_those_with_numbers_are_offered() {
        let (status, page) = page("");
        assert_eq!(status, 200);
        assert!(
            page.contains("<a href=\"/web/chart?keys=power&amp;span=24h\">Power</a>"),
            "{page}"
        );
        assert!(!page.contains("keys=sky"), "{page}");
    }

    #[test]
    fn what_cannot_be_shown_is_said() {
        for (query, status, expected) in [
            ("?keys=a,b,c,d,e,f,g", 400, "a chart shows at most 6."),
            ("?keys=attic", 404, "There is no record"),
            (
                "?keys=power&span=2d",
                400,
                "expected 6h, 24h, 7d, 30d, 1y or all.",
            ),
            (
                "?keys=power,sky&at=2025-01-01",
                200,
                "Power: no data in this time span.",
            ),
        ] {
            let (found, page) = page(query);
            assert_eq!(found, status, "{query}: {page}");
            assert!(page.contains(expected), "{query}: {page}");
        }
    }
}
