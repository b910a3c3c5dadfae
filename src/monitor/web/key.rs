//! Key page: value, history, and where the value comes from.

mod amounts;
pub mod bars;
mod headline;
mod history;
mod origin;
mod state_times;
mod states;
mod year;

pub use self::year::YearCache;
use super::PageContext;
use super::comparison::Comparison;
use super::key_history;
use super::layout::{self, Page, Part};
use super::period::Period;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::problem::{ProblemDetails, history_unavailable, unknown_key_problem};

pub fn page(
    view: &PageContext,
    key: &str,
    period: Period,
    comparison: Option<Comparison>,
) -> Result<Page, ProblemDetails> {
    let record = view.snapshot.record(key);
    let origins = origin::selectors(view, key);
    let derived = view.snapshot.derived.iter().find(|it| *it.key == *key);
    let is_known = record.is_some() || !origins.is_empty() || derived.is_some();
    let read = key_history::read(view, key, period, limits::CHART_POINTS);
    match &read {
        Err(HistoryFailure::NothingStored) if !is_known => {
            return Err(unknown_key_problem(key, view.snapshot, view.plan));
        }
        Err(HistoryFailure::Unavailable(_)) if !is_known => return Err(history_unavailable()),
        _ => {}
    }
    let title = view.plan.full_label(key);
    let chosen = history::Chosen {
        key,
        record,
        period,
        comparison,
    };
    let mut parts = vec![
        layout::status_section(view, &title),
        Part::live("value", headline::section(view, key, record, is_known)),
        Part::live("history", history::section(view, &chosen, read)),
        Part::live("year", year::section(view, key, record)),
    ];
    if let Some(derived) = derived {
        parts.push(Part::live(
            "origin",
            origin::derivation(view, derived, record),
        ));
    } else if is_known {
        parts.push(Part::live(
            "origin",
            origin::section(view, key, record, &origins),
        ));
    }
    Ok(Page {
        title,
        parts,
        has_own_heading: true,
    })
}

#[cfg(test)]
mod tests {
    use crate::domain::plan::{Bounds, KeyPlan, RecordSelector, Selection};
    use crate::domain::time::ClockTrust;
    use crate::monitor::http::handler::Handler as _;
    use crate::monitor::support::{self as testing, body, golden, request};

    #[test]
    fn shows_a_day_with_its_gap_and_the_sources() {
        let monitor = testing::healthy().app();
        let response = monitor.render(&request("/web/key/temperature", &[]));
        golden("key.html", body(&response));
    }

    #[test]
    fn shows_why_there_is_no_chart() {
        let mut fixture = testing::healthy();
        for (key, history, expected) in [
            ("sky", Ok(Vec::new()), "No data in this time span."),
            ("power", Ok(Vec::new()), "No data in this time span."),
            (
                "power",
                Err("locked".to_owned()),
                "The history cannot be read right now: locked. See <a href=\"/web/system\">",
            ),
            ("voltage", Ok(Vec::new()), "No reading yet."),
        ] {
            fixture.history = history;
            for span in ["24h", "all"] {
                let target = format!("/web/key/{key}?span={span}");
                let response = fixture.clone().app().render(&request(&target, &[]));
                assert!(
                    body(&response).contains(expected),
                    "{target}: {}",
                    body(&response)
                );
            }
        }
    }

    #[test]
    fn a_derived_key_shows_its_formula_inputs_and_issue() {
        let fixture = testing::healthy().deriving("house", "power + voltage");
        let response = fixture.app().render(&request("/web/key/house", &[]));
        for expected in [
            "<dt>Computed</dt><dd><code>power + voltage</code></dd>",
            "<dt>From</dt><dd><a href=\"/web/key/voltage\">voltage</a></dd>",
            "found a division by zero: 1 / 0",
            ">House</a> cannot be computed: a division by zero: 1 / 0.",
        ] {
            assert!(
                body(&response).contains(expected),
                "{expected}: {}",
                body(&response)
            );
        }
    }

    #[test]
    fn a_key_of_a_template_shows_where_its_elements_are() {
        let mut fixture = testing::healthy();
        let pick = RecordSelector {
            each: Some("/phases".into()),
            ..RecordSelector::new("{name}", "/u")
        };
        fixture.plan.sources[1].selection = Selection::Selectors(vec![pick]);
        let response = fixture.app().render(&request("/web/key/power", &[]));
        let expected =
            "<dt>Read at</dt><dd><code>/<wbr>u</code> in each of <code>/<wbr>phases</code> of ";
        assert!(body(&response).contains(expected), "{}", body(&response));
    }

    #[test]
    fn every_span_has_its_chart() {
        let monitor = testing::healthy().app();
        for span in ["6h", "24h", "7d", "30d", "1y", "all"] {
            let response = monitor.render(&request(&format!("/web/key/power?span={span}"), &[]));
            assert!(
                body(&response).contains("<figure class=\"chart\""),
                "{span}"
            );
        }
    }

    #[test]
    fn an_earlier_time_is_a_second_line() {
        let monitor = testing::healthy().app();
        let page = |query: &str| {
            let target = format!("/web/key/temperature?{query}");
            let response = monitor.render(&request(&target, &[]));
            (response.status, body(&response).to_owned())
        };
        let (_, day) = page("at=2025-10-30&vs=day");
        assert!(day.contains("class=\"line before\""), "{day}");
        let (_, year) = page("vs=year");
        assert!(!year.contains("line before"));
        assert!(year.contains("Nothing is stored of the year before."));
        let (status, wrong) = page("vs=month");
        assert_eq!(status, 400);
        assert!(wrong.contains("expected day, week or year."), "{wrong}");
    }

    #[test]
    fn bounds_of_a_key_are_lines_in_its_chart() {
        let mut fixture = testing::healthy();
        let plan = KeyPlan {
            bad: Bounds {
                above: Some(22.0),
                below: None,
            },
            warn: Bounds {
                above: Some(1_000.0),
                below: Some(8.0),
            },
            ..KeyPlan::default()
        };
        fixture.plan.keys.insert("temperature".into(), plan);
        let response = fixture.app().render(&request("/web/key/temperature", &[]));
        for (label, is_there) in [
            ("bad above 22.0\u{a0}°C", true),
            ("warn below 8.0\u{a0}°C", true),
            // Far from all values: it would flatten the line.
            ("warn above 1", false),
        ] {
            assert_eq!(
                body(&response).contains(&format!("<title>{label}")),
                is_there,
                "{label}: {}",
                body(&response)
            );
        }
    }

    #[test]
    fn without_a_clock_the_age_is_that_since_the_fetch() {
        let fixture = testing::healthy().trust(ClockTrust::Untrusted);
        let response = fixture.app().render(&request("/web/key/temperature", &[]));
        let expected = ">20:55</time>, and this clock is not set";
        assert!(body(&response).contains(expected), "{}", body(&response));
    }
}

#[cfg(test)]
#[path = "key/tests/charts.rs"]
mod chart_tests;
