//! Results of fetches as text tables: records, series, derived keys, issues, requests.

use std::fmt::Write;

use super::text_table::{GREEN, RED, TextTable, YELLOW, coloured};
use crate::api::http_exchange::HttpExchange;
use crate::domain::plan::{Plan, SourcePlan};
use crate::domain::reading::{FetchOutcome, Observation};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::millis;

/// The result of every source, with its records and issues.
pub fn render(results: &[(&SourcePlan, Observation)], colour: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, results, colour);
    out
}

fn write_all(
    out: &mut String,
    results: &[(&SourcePlan, Observation)],
    colour: bool,
) -> std::fmt::Result {
    let mut sources = TextTable::new(
        colour,
        &["SOURCE", "RESULT", "TIME", "BYTES", "READINGS", "ISSUES"],
    );
    for (plan, observation) in results {
        let (result, readings, issues) = match &observation.outcome {
            FetchOutcome::Readings {
                readings,
                series,
                issues,
                ..
            } => ("ok", readings.len() + series.len(), issues.len()),
            FetchOutcome::Unchanged => ("unchanged", 0, 0),
            FetchOutcome::Empty => ("ok", 0, 0),
            FetchOutcome::Failed { failure, issues } => (failure.cause.name(), 0, issues.len()),
        };
        sources.rows.push(vec![
            plan.name.to_string(),
            result.to_owned(),
            format!("{} ms", millis(observation.duration)),
            observation.bytes.to_string(),
            readings.to_string(),
            issues.to_string(),
        ]);
    }
    sources.write(out, |column, cell| match (column, cell) {
        (1, "ok" | "unchanged") => Some(GREEN),
        (1, _) => Some(RED),
        (5, "0") => None,
        (5, _) => Some(YELLOW),
        _ => None,
    })?;
    write_records(out, results, colour)?;
    write_series(out, results, colour)?;
    for (plan, observation) in results {
        let (failure, issues) = match &observation.outcome {
            FetchOutcome::Readings { issues, .. } => (None, issues.as_slice()),
            FetchOutcome::Unchanged | FetchOutcome::Empty => (None, &[] as &[_]),
            FetchOutcome::Failed { failure, issues } => (Some(failure), issues.as_slice()),
        };
        if observation.outcome == FetchOutcome::Empty {
            let name = coloured(&plan.name, GREEN, colour);
            writeln!(out, "\n{name}: responded, but has no values")?;
        }
        if let Some(failure) = failure {
            writeln!(out, "\n{}: {failure}", coloured(&plan.name, RED, colour))?;
        } else if !issues.is_empty() {
            writeln!(out, "\n{}:", coloured(&plan.name, YELLOW, colour))?;
        }
        for issue in issues {
            writeln!(out, "  {issue}")?;
        }
    }
    Ok(())
}

fn write_records(
    out: &mut String,
    results: &[(&SourcePlan, Observation)],
    colour: bool,
) -> std::fmt::Result {
    let mut records = TextTable::new(colour, &["SOURCE", "KEY", "VALUE", "UNIT"]);
    for (plan, observation) in results {
        if let FetchOutcome::Readings {
            readings, series, ..
        } = &observation.outcome
        {
            for reading in readings {
                records.rows.push(vec![
                    plan.name.to_string(),
                    reading.key.to_string(),
                    reading.value.to_string(),
                    reading.unit.as_deref().unwrap_or("").to_owned(),
                ]);
            }
            for series in series {
                let shown = series.shown_at(observation.at.wall);
                records.rows.push(vec![
                    plan.name.to_string(),
                    series.key.to_string(),
                    shown.map_or_else(|| "-".to_owned(), |it| it.value.to_string()),
                    series.unit.as_deref().unwrap_or("").to_owned(),
                ]);
            }
        }
    }
    if records.rows.len() > 1 {
        writeln!(out)?;
        records.write(out, |_, _| None)?;
    }
    Ok(())
}

/// How many elements a series has, and from when to when.
fn write_series(
    out: &mut String,
    results: &[(&SourcePlan, Observation)],
    colour: bool,
) -> std::fmt::Result {
    let mut table = TextTable::new(colour, &["SOURCE", "SERIES", "ELEMENTS", "FROM", "TO"]);
    for (plan, observation) in results {
        let FetchOutcome::Readings { series, .. } = &observation.outcome else {
            continue;
        };
        for series in series {
            let (Some(first), Some(last)) = (series.elements.first(), series.elements.last())
            else {
                continue;
            };
            table.rows.push(vec![
                plan.name.to_string(),
                series.key.to_string(),
                series.elements.len().to_string(),
                first.start.to_string(),
                last.end.unwrap_or(last.start).to_string(),
            ]);
        }
    }
    if table.rows.len() > 1 {
        writeln!(out)?;
        table.write(out, |_, _| None)?;
    }
    Ok(())
}

/// The derived keys of a snapshot, with what is wrong with them; empty if there are none.
pub fn derived(plan: &Plan, snapshot: &Snapshot, colour: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_derived(&mut out, plan, snapshot, colour);
    out
}

fn write_derived(
    out: &mut String,
    plan: &Plan,
    snapshot: &Snapshot,
    colour: bool,
) -> std::fmt::Result {
    if snapshot.derived.is_empty() {
        return Ok(());
    }
    let mut table = TextTable::new(colour, &["DERIVED KEY", "VALUE", "UNIT", "COMPUTED FROM"]);
    for derived in &snapshot.derived {
        let record = snapshot.record(&derived.key);
        let value = match record {
            _ if plan.derived.needs_history(&derived.key) => "needs history".to_owned(),
            Some(record) => record.value.to_string(),
            None => "-".to_owned(),
        };
        table.rows.push(vec![
            derived.key.to_string(),
            value,
            record
                .and_then(|record| record.unit.as_deref())
                .unwrap_or("")
                .to_owned(),
            derived.definition.to_string(),
        ]);
    }
    writeln!(out)?;
    table.write(out, |_, _| None)?;
    for derived in &snapshot.derived {
        let issue = derived.issue.as_ref();
        if let Some(issue) = issue.filter(|_| !plan.derived.needs_history(&derived.key)) {
            writeln!(out, "\n{}:", coloured(&derived.key, YELLOW, colour))?;
            writeln!(out, "  {issue}")?;
        }
    }
    Ok(())
}

/// The requests of a source with their responses; with `has_bodies` also the beginning of each
/// response.
pub fn exchanges(name: &str, exchanges: &[HttpExchange], has_bodies: bool) -> String {
    let mut out = String::new();
    for exchange in exchanges {
        for (at, line) in exchange.lines(has_bodies).iter().enumerate() {
            out += &match at {
                0 => format!("\n{name}: {line}\n"),
                _ => format!("  {line}\n"),
            };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::failure::{Cause, Failure};
    use crate::domain::plan::test_plan;
    use crate::domain::reading::{Issue, Reading, Reason, Series, ShownElement, TimedValue, Value};
    use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
    use std::time::Duration;

    fn observation(outcome: FetchOutcome) -> Observation {
        Observation {
            source: 0,
            at: Moment {
                mono: Mono(0),
                wall: Wall(0),
                trust: ClockTrust::Trusted,
            },
            duration: Duration::from_millis(42),
            bytes: 321,
            outcome,
            next_in: Duration::ZERO,
            server_wait: Duration::ZERO,
            late_notice: None,
            skipped_polls: 0,
            upstream: None,
        }
    }

    #[test]
    fn results_are_printed_as_a_table() {
        let plan = test_plan(2, Duration::from_secs(60));
        let good = observation(FetchOutcome::Readings {
            observed: None,
            series: vec![Series {
                key: "price".into(),
                unit: Some("ct/kWh".into()),
                shown: ShownElement::Current,
                elements: [(-1, 5.0), (3, 6.0)]
                    .map(|(hour, value)| TimedValue {
                        start: Wall::from_second(hour * 3_600),
                        end: Some(Wall::from_second((hour + 1) * 3_600 + 1)),
                        value: Value::Number(value),
                        is_stated: false,
                    })
                    .into(),
            }],
            readings: vec![Reading {
                key: "temperature".into(),
                value: Value::Number(21.4),
                unit: Some("°C".into()),
                is_stated: false,
                is_boolean: false,
                observed: None,
            }],
            issues: vec![Issue {
                reason: Reason::Missing,
                key: Some("humidity".into()),
                pointer: "/h".to_owned(),
                expected: "a number".to_owned(),
                found: "nothing".to_owned(),
            }],
        });
        let bad = observation(FetchOutcome::Failed {
            failure: Failure::new(Cause::Dns, "the name meter.local cannot be resolved."),
            issues: Vec::new(),
        });
        let results = [(&plan.sources[0], good), (&plan.sources[1], bad)];
        let expected = "\
SOURCE   RESULT  TIME   BYTES  READINGS  ISSUES
source0  ok      42 ms  321    2         1
source1  dns     42 ms  321    0         0

SOURCE   KEY          VALUE  UNIT
source0  temperature  21.4   °C
source0  price        5      ct/kWh

SOURCE   SERIES  ELEMENTS  FROM                  TO
source0  price   2         1969-12-31T23:00:00Z  1970-01-01T04:00:01Z

source0:
  missing: /h: expected a number, found nothing

source1: dns: the name meter.local cannot be resolved.
";
        assert_eq!(render(&results, false), expected);
        let coloured = render(&results, true);
        assert!(coloured.contains("\x1b[32mok\x1b[0m"));
    }

    #[test]
    fn the_request_and_the_start_of_a_failed_response_are_printed() {
        let exchange = HttpExchange {
            request: "GET http://meter/data?key=***".to_owned(),
            headers: vec![("accept".to_owned(), "application/json".to_owned())],
            status: Some(200),
            request_body: "{\"from\":\"***\"}".to_owned(),
            body_start: "<html>log in".to_owned(),
            pin_advice: None,
        };
        let none = HttpExchange {
            pin_advice: Some(
                ["its certificate:", "fingerprint = \"sha256:AB\""].map(str::to_owned),
            ),
            status: None,
            request_body: String::new(),
            body_start: String::new(),
            ..exchange.clone()
        };
        let head = "\nmeter: GET http://meter/data?key=***\n  accept: application/json\n";
        assert_eq!(
            exchanges("meter", &[exchange.clone(), none], true),
            format!(
                "{head}  body: {{\"from\":\"***\"}}\n  response: HTTP 200 OK\n  response body begins: \
                 <html>log in\n\
                 {head}  no response\n  its certificate:\n  fingerprint = \"sha256:AB\"\n"
            )
        );
        assert_eq!(
            exchanges("meter", &[exchange], false),
            format!("{head}  body: {{\"from\":\"***\"}}\n  response: HTTP 200 OK\n")
        );
    }
}
