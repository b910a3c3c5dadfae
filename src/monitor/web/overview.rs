//! Overview page: status, values, sources, displays.

use maud::{Markup, html};

use super::PageContext;
use super::layout::{self, Page, Part, key_name, past_time, time_element};
use crate::domain::health::SourceState;
use crate::domain::snapshot::{Record, SourceSnapshot};
use crate::domain::text::{count_noun, format_number, human_duration};
use crate::limits;
use crate::monitor::format::{format_wait, sanitize};
use crate::monitor::status_text::cause_text;

pub fn page(view: &PageContext) -> Page {
    Page {
        title: layout::OVERVIEW.to_owned(),
        parts: vec![
            layout::status_section(view, layout::OVERVIEW),
            Part::live("values", values(view)),
            Part::live("sources", sources(view)),
            Part::live("displays", displays(view)),
        ],
        has_own_heading: false,
    }
}

fn values(view: &PageContext) -> Markup {
    let records = &view.snapshot.records;
    let shown = records.len().min(limits::TILES);
    html! {
        h2 { "Values" }
        @if records.is_empty() {
            p class="quiet" { "No values yet." }
        } @else {
            ul class="tiles" { @for record in &records[..shown] { (tile(view, record)) } }
        }
        @if shown < records.len() {
            p class="quiet" {
                (records.len() - shown) " more values are shown on the pages of their sources."
            }
        }
    }
}

fn tile(view: &PageContext, record: &Record) -> Markup {
    let trend = view.sparklines.of(view, record);
    html! {
        li class=(if record.stale { "tile stale" } else { "tile" }) {
            a href=(view.links.key(&record.key)) { (key_name(&record.key)) }
            p class="value" { (tile_value(record)) }
            @if let Some(trend) = &trend { (trend.line()) } @else { div class="spark" {} }
            p class="age" {
                (record_age(view, record))
                // No trend for a value that is no longer current.
                @if let Some(trend) = trend.as_ref().filter(|_| !record.stale) { (trend.arrow()) }
            }
        }
    }
}

/// The value for large figures: no more digits after the point than fit beside
/// those before it. The title has the full value.
fn tile_value(record: &Record) -> Markup {
    let Some(number) = record.value.number() else {
        return match record.value.text() {
            Some(text) if text.chars().count() > TILE_DIGITS + 2 => html! {
                span class="text long" { (text) }
            },
            _ => record_value(record),
        };
    };
    let exact = record.value.to_string();
    let shown = if exact.len() > TILE_DIGITS {
        let whole = exact.split('.').next().unwrap_or_default();
        let digits = whole
            .trim_start_matches('-')
            .len()
            .clamp(TILE_DIGITS - 1, 17);
        let rounded: f64 = format!("{number:.*e}", digits - 1)
            .parse()
            .unwrap_or(number);
        format_number(rounded)
    } else {
        exact.clone()
    };
    let unit_chars = record.unit.as_ref().map_or(0, |unit| unit.chars().count());
    let class = figure_class(shown.len(), unit_chars);
    html! {
        span class=(class)
            title=[(shown != exact).then_some(exact)] { (shown) }
        @if let Some(unit) = &record.unit { " " span class="unit" { (unit) } }
    }
}

/// The largest figures in which a value and its unit stay on one line of the narrowest tile:
/// 134 pixels inside, on a phone of 360. The widest common font, DejaVu, counts.
fn figure_class(digits: usize, unit_chars: usize) -> &'static str {
    let unit = 10 * (unit_chars + 1);
    match () {
        () if 22 * digits + unit <= 134 => "number",
        () if 16 * digits + unit <= 136 => "number mid",
        () => "number long",
    }
}

/// What fits a tile in large figures.
const TILE_DIGITS: usize = 7;

/// The value with its unit small beside it.
pub fn record_value(record: &Record) -> Markup {
    let is_text = record.value.text().is_some();
    html! {
        span class=(if is_text { "text" } else { "number" }) { (record.value) }
        @if let Some(unit) = &record.unit { " " span class="unit" { (unit) } }
    }
}

/// The age of the value, and a text if it is stale.
pub fn record_age(view: &PageContext, record: &Record) -> Markup {
    html! {
        @if record.stale { strong class="label" { "stale" } " " }
        (time_element(view, record.stamp.observed, record.stamp.age(view.now)))
    }
}

fn sources(view: &PageContext) -> Markup {
    html! {
        h2 { "Sources" }
        @if view.snapshot.sources.is_empty() {
            p class="quiet" { "No source is configured." }
        } @else {
            table {
                thead {
                    tr {
                        th scope="col" { "Source" }
                        th scope="col" { "State" }
                        th scope="col" { "Last success" }
                        th scope="col" { "Next fetch" }
                        th scope="col" class="figure" { "Success rate" }
                    }
                }
                tbody { @for source in &view.snapshot.sources { (source_row(view, source)) } }
            }
        }
    }
}

fn source_row(view: &PageContext, source: &SourceSnapshot) -> Markup {
    let health = &source.health;
    html! {
        tr {
            th scope="row" {
                a href=(view.links.source(&source.name)) { (source.name) }
            }
            td data-label="State" { (source_state(source)) }
            td data-label="Last success" {
                @match health.last_success {
                    Some(success) => (past_time(view, success)),
                    None => "never",
                }
            }
            td data-label="Next fetch" { (next_fetch(view, source)) }
            td data-label="Success rate" class="figure" { (success_rate(source)) }
        }
    }
}

/// The state with its cause.
pub fn source_state(source: &SourceSnapshot) -> Markup {
    let health = &source.health;
    html! {
        @match health.state() {
            SourceState::Waiting => span class="badge wait" { "waiting" },
            SourceState::Up if health.issues.is_empty() => span class="badge pass" { "up" },
            SourceState::Up => {
                span class="badge warn" { "up, " (count_noun(health.issues.len(), "issue")) }
            }
            SourceState::Failing => {
                span class="badge fail" { "failing" }
                @if let Some(failure) = health.current_failure() {
                    " " span class="why" title=(sanitize(&failure.detail)) { (cause_text(failure.cause)) }
                }
            }
        }
    }
}

/// When it is fetched again.
pub fn next_fetch(view: &PageContext, source: &SourceSnapshot) -> Markup {
    html! {
        @match source.health.last_attempt {
            Some(last) => (format_wait(last.mono.after(source.health.next_in).since(view.now.mono))),
            None => "now",
        }
    }
}

/// The share of fetches that succeeded, since the start.
pub fn success_rate(source: &SourceSnapshot) -> Markup {
    let attempts = source.health.attempts;
    let failures: u64 = source.health.failures.values().sum();
    let successes = attempts.saturating_sub(failures);
    html! {
        @if attempts == 0 { "–" } @else {
            span title=(format!("{successes} of {attempts} since start")) {
                // Never rounded up to a hundred: 99.9 % is not all.
                (successes * 100 / attempts) " %"
            }
        }
    }
}

fn displays(view: &PageContext) -> Markup {
    html! {
        h2 { "Displays" }
        @if view.displays.is_empty() {
            p class="quiet" { "No display has polled " code { "/snapshot" } " since start." }
        } @else {
            table {
                thead {
                    tr {
                        th scope="col" { "Display" }
                        th scope="col" { "Address" }
                        th scope="col" { "Last poll" }
                        th scope="col" { "Interval" }
                        th scope="col" { "Request" }
                    }
                }
                tbody {
                    @for display in view.displays {
                        tr {
                            th scope="row" {
                                @match (&display.name, display.agent.as_str()) {
                                    (Some(name), _) => (name),
                                    (None, "") => "unnamed",
                                    (None, agent) => (agent),
                                }
                                @if let Some(battery) = &display.battery {
                                    " " span class="quiet" { "battery " (battery) }
                                }
                                @if let Some(rssi) = &display.rssi {
                                    " " span class="quiet" { "RSSI " (rssi) }
                                }
                            }
                            td data-label="Address" { (display.address) }
                            td data-label="Last poll" {
                                @if display.is_silent(view.now) {
                                    strong class="label" { "silent" } " "
                                }
                                (past_time(view, display.last))
                            }
                            td data-label="Interval" {
                                @match display.interval {
                                    Some(interval) if interval.as_secs() == 0 => {
                                        "under a second"
                                    },
                                    Some(interval) => { "every " (human_duration(interval)) },
                                    None => "once",
                                }
                            }
                            td data-label="Request" { code { (display.target) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::failure::Cause;
    use crate::monitor::http::handler::Handler as _;
    use crate::monitor::support::{self as testing, body, golden, request};

    #[test]
    fn shows_what_is_wrong_and_since_when() {
        let monitor = testing::healthy()
            .failing("weather", Cause::Dns, 1_380)
            .stale(&["humidity"])
            .pending_mails(1, "mail.example takes no connection")
            .app();
        let display = [("user-agent", "matrix/1"), ("x-display-name", "Kitchen")];
        testing::from_memory(&monitor, &request("/snapshot", &display)).expect("it is in memory");
        let response = monitor.render(&request("/web", &[]));
        golden("overview.html", body(&response));
    }

    #[test]
    fn the_built_in_example_shows_a_notice() {
        let mut fixture = testing::healthy();
        fixture.is_example = true;
        let response = fixture.app().render(&request("/web", &[]));
        assert!(body(&response).contains("Nothing is configured yet"));
    }

    #[test]
    fn the_demo_shows_that_its_values_are_simulated() {
        let mut fixture = testing::healthy();
        (fixture.is_example, fixture.is_demo) = (true, true);
        let response = fixture.app().render(&request("/web", &[]));
        assert!(body(&response).contains("all values are simulated"));
        assert!(!body(&response).contains("Nothing is configured yet"));
    }

    #[test]
    fn numbers_are_rounded_to_fit_with_the_full_value_in_the_title() {
        let mut fixture = testing::healthy();
        for (number, expected) in [
            (21.4, ">21.4<"),
            (-120.0, ">-120<"),
            (176_366.714_285, "title=\"176366.714285\">176367<"),
            (21.123_456_789, "title=\"21.123456789\">21.1235<"),
            (
                1_234_567_890.5,
                "number long\" title=\"1234567890.5\">1234567890<",
            ),
            (
                0.000_012_345_678,
                "number long\" title=\"0.000012345678\">0.0000123457<",
            ),
            (1e300, ">1e300<"),
        ] {
            fixture.snapshot.records[0].value = crate::domain::reading::Value::Number(number);
            let response = fixture
                .clone()
                .app()
                .render(&request("/web?fragment=values", &[]));
            let tile = body(&response).split("</li>").next().unwrap_or_default();
            assert!(tile.contains(expected), "{number}: {tile}");
        }
    }

    #[test]
    fn a_fragment_is_that_part_of_the_page_alone() {
        let monitor = testing::healthy().app();
        let page = monitor.render(&request("/web", &[]));
        for name in ["state", "values", "sources", "displays"] {
            let response = monitor.render(&request(&format!("/web?fragment={name}"), &[]));
            let fragment = body(&response);
            assert!(
                fragment.starts_with(&format!("<section id=\"{name}\"")),
                "{fragment}"
            );
            assert!(body(&page).contains(fragment));
        }
    }

    #[test]
    fn two_thousand_values_are_still_a_page_under_30_kb() {
        let mut fixture = testing::healthy();
        let record = fixture.snapshot.records[0].clone();
        fixture.snapshot.records = (0..2_000)
            .map(|at| {
                let mut record = record.clone();
                record.key = format!("current.some_measurement.number_{at}").into();
                record.value = crate::domain::reading::Value::Number(f64::from(at) * 1.37);
                record
            })
            .collect();
        let response = fixture
            .app()
            .render(&request("/web", &[("accept-encoding", "gzip")]));
        assert!(
            response.body.len() < 30_000,
            "{} bytes",
            response.body.len()
        );
    }
}
