//! Explanation of records: for each where it is in the response, what stands there, and what
//! became of it.

use jiff::tz::TimeZone;

use super::text_table::{TextTable, YELLOW};
use crate::domain::normalise::{OriginValue, RecordOrigin, RecordOrigins};
use crate::domain::plan::{RecordSelector, Selection, SourcePlan};
use crate::domain::reading::{FetchOutcome, Issue, Observation, Reading, Series, Value};
use crate::domain::text::{count_noun, ellipsis};
use crate::domain::toml_text::quoted;
use crate::limits;

/// What begins the last column of a key without a record.
const NO_RECORD: &str = "no record";

/// The table of all sources; nothing if none has records to explain.
pub fn render<'a>(
    results: impl Iterator<Item = (&'a (&'a SourcePlan, Observation), &'a RecordOrigins)>,
    colour: bool,
) -> String {
    let mut columns = TextTable::new(colour, &["SOURCE", "KEY", "FROM", "FOUND", "BECAME"]);
    let mut more = String::new();
    for ((plan, observation), values) in results {
        for value in &values.first {
            let from = match value.pointer.as_str() {
                "" => "(the response)".to_owned(),
                pointer => ellipsis(pointer, 2 * limits::SAMPLE_CHARS),
            };
            columns.rows.push(vec![
                plan.name.to_string(),
                value.key.to_string(),
                from,
                value.found.to_string(),
                result(plan, observation, value),
            ]);
        }
        if let Some(zone) = values.likely_zone.as_ref().and_then(TimeZone::iana_name) {
            more += &format!(
                "{}: its times have no offset and were read as UTC; if they are local, write \
                 observed_zone = {}\n",
                plan.name,
                quoted(zone)
            );
        }
        if values.more > 0 {
            more += &format!("… and {} more records of {}\n", values.more, plan.name);
        }
    }
    if columns.rows.len() == 1 {
        return String::new();
    }
    let mut text = "\n".to_owned();
    // Writing to a String cannot fail.
    let _ = columns.write(&mut text, |column, cell| {
        (column == 4 && cell.starts_with(NO_RECORD)).then_some(YELLOW)
    });
    text + &more
}

/// What became of a value.
fn result(plan: &SourcePlan, observation: &Observation, value: &RecordOrigin) -> String {
    let key = &*value.key;
    let (readings, all_series, issues): (&[Reading], &[Series], &[Issue]) =
        match &observation.outcome {
            FetchOutcome::Readings {
                readings,
                series,
                issues,
                ..
            } => (readings, series, issues),
            FetchOutcome::Failed { issues, .. } => (&[], &[], issues),
            FetchOutcome::Unchanged | FetchOutcome::Empty => (&[], &[], &[]),
        };
    let pick = match &plan.selection {
        Selection::Selectors(picks) => picks.iter().find(|pick| pick.selects_key(key)),
        Selection::AllLeaves { .. } => None,
    };
    if let Some(reading) = readings.iter().find(|reading| *reading.key == *key) {
        let text = with_unit(&reading.value, reading.unit.as_deref());
        let options = pick.map_or_else(Vec::new, |pick| {
            if reading.is_stated {
                stating_options(pick, &value.found)
            } else {
                applied_options(pick)
            }
        });
        return text + &by(&options);
    }
    if let Some(series) = all_series.iter().find(|series| *series.key == *key) {
        let now = match series.shown_at(observation.at.wall) {
            Some(element) => with_unit(&element.value, series.unit.as_deref()),
            None => NO_RECORD.to_owned(),
        };
        let values = count_noun(series.elements.len(), "value");
        let options = pick.map_or_else(Vec::new, applied_options);
        return format!("{values}, now {now}{}", by(&options));
    }
    let of_key = issues.iter().find(|it| it.key.as_deref() == Some(key));
    // What has no key is known by its place.
    let is_there = |it: &&Issue| it.key.is_none() && it.pointer == value.pointer;
    match of_key.or_else(|| issues.iter().find(is_there)) {
        Some(issue) => format!(
            "{NO_RECORD}: {}: expected {}, found {}",
            issue.reason.name(),
            issue.expected,
            issue.found
        ),
        None => NO_RECORD.to_owned(),
    }
}

fn with_unit(value: &Value, unit: Option<&str>) -> String {
    match unit {
        Some(unit) => format!("{value} {unit}"),
        None => value.to_string(),
    }
}

fn by(options: &[&str]) -> String {
    match options {
        [] => String::new(),
        options => format!(" (by {})", options.join(", ")),
    }
}

/// The option that gave the value where `found` is in the response; both where elements may have
/// either.
fn stating_options(pick: &RecordSelector, found: &OriginValue) -> Vec<&'static str> {
    let is_nothing = matches!(found, OriginValue::Nothing | OriginValue::Elements(0));
    let options = [
        (
            pick.missing.filter(|_| *found != OriginValue::Null),
            "missing",
        ),
        (pick.null.filter(|_| !is_nothing), "null"),
    ];
    let options = options.iter().filter(|it| it.0.is_some());
    options.map(|it| it.1).collect()
}

/// The options of a record that made its value of what was found.
fn applied_options(pick: &RecordSelector) -> Vec<&'static str> {
    let options = [
        (pick.elements.now.is_some(), "now"),
        (pick.elements.ahead.is_some(), "ahead"),
        (pick.elements.element_time.is_some(), "element_time"),
        (pick.elements.newest_by.is_some(), "newest_by"),
        (pick.elements.aggregate.is_some(), "aggregate"),
        (pick.pattern.is_some(), "pattern"),
        (pick.base.is_some(), "base"),
        (pick.decimal.is_some(), "decimal"),
        (!pick.map.is_empty(), "map"),
        (pick.scale.is_some(), "scale"),
        (pick.offset.is_some(), "offset"),
        (pick.text, "text"),
    ];
    let options = options.iter().filter(|it| it.0);
    options.map(|it| it.1).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::domain::normalise::{LastAccepted, find_origins, normalise};
    use crate::domain::plan::ElementTime;
    use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
    use crate::domain::value_path::ValuePath;

    fn explained(selection: Selection, body: &serde_json::Value) -> String {
        let plan = SourcePlan {
            name: "meter".into(),
            selection,
            ..SourcePlan::default()
        };
        let now = Moment {
            mono: Mono(0),
            wall: Wall(0),
            trust: ClockTrust::Trusted,
        };
        let taken = normalise(&plan, body, &LastAccepted::default(), now);
        let observation = Observation {
            source: 0,
            at: now,
            duration: Duration::ZERO,
            bytes: 0,
            outcome: FetchOutcome::Readings {
                observed: None,
                readings: taken.readings,
                series: taken.series,
                issues: taken.issues,
            },
            next_in: Duration::ZERO,
            server_wait: Duration::ZERO,
            late_notice: None,
            skipped_polls: 0,
            upstream: None,
        };
        let found = find_origins(&plan, body);
        let result = (&plan, observation);
        render([(&result, &found)].into_iter(), false)
    }

    #[test]
    fn each_record_is_explained_or_why_there_is_none() {
        let map = vec![("open".to_owned(), 1.0)];
        let picks = vec![
            RecordSelector {
                scale: Some(0.001),
                unit: Some("kW".into()),
                ..RecordSelector::new("power", "/p")
            },
            RecordSelector {
                map,
                ..RecordSelector::new("door", "/door")
            },
            RecordSelector {
                null: Some(0.0),
                missing: Some(1.0),
                ..RecordSelector::new("night", "/n")
            },
            RecordSelector {
                null: Some(0.0),
                missing: Some(1.0),
                ..RecordSelector::new("left", "/left")
            },
            RecordSelector::new("gone", "/gone"),
        ];
        let body = json!({"p": 1200, "door": "open", "n": null});
        assert_eq!(
            explained(Selection::Selectors(picks), &body),
            "
SOURCE  KEY    FROM   FOUND        BECAME
meter   power  /p     number 1200  1.2 kW (by scale)
meter   door   /door  text \"open\"  1 (by map)
meter   night  /n     null         0 (by null)
meter   left   /left  nothing      1 (by missing)
meter   gone   /gone  nothing      no record: missing: expected a number, found nothing: the response has door, n, p
"
        );
    }

    #[test]
    fn records_without_a_key_are_explained_by_their_template() {
        let each = |key: &str, each: &str| RecordSelector {
            each: Some(ValuePath::parse(each).expect("a path")),
            ..RecordSelector::new(key, "/v")
        };
        let picks = vec![
            each("{id}.t", "/rooms"),
            each("{id}.u", "/gone"),
            each("{id}.w", "$.gone[*]"),
            each("{id}.x", "/none"),
        ];
        let body = json!({"rooms": [{"id": "hall", "v": 1}, {"v": 2}], "none": []});
        assert_eq!(
            explained(Selection::Selectors(picks), &body),
            "
SOURCE  KEY     FROM        FOUND               BECAME
meter   hall.t  /rooms/0/v  number 1            1
meter   {id}.t  /rooms/1    object of 1 fields  no record: missing: expected a text or a number for {id} of the key, found nothing
meter   {id}.u  /gone       no element          no record: missing: expected a list or an object, to read each of, found nothing: the response has none, rooms
meter   {id}.w  $.gone[*]   no element          no record: missing: expected elements, to read each of, found nothing: the response has none, rooms
meter   {id}.x  /none       no element          no record
"
        );
    }

    #[test]
    fn a_series_shows_how_many_values_there_are_and_the_one_of_now() {
        let mut price = RecordSelector {
            each: Some("/prices".into()),
            unit: Some("ct".into()),
            ..RecordSelector::new("price", "/p")
        };
        price.elements.now = Some(ElementTime::Path("/from".into()));
        let element = |hour: u32, price: f64| json!({"from": format!("1970-01-01T{hour:02}:00:00Z"), "p": price});
        let body = json!({"prices": [element(0, 21.5), element(1, 22.0)]});
        assert_eq!(
            explained(Selection::Selectors(vec![price]), &body),
            "
SOURCE  KEY    FROM     FOUND       BECAME
meter   price  /prices  2 elements  2 values, now 21.5 ct (by now)
"
        );
    }

    #[test]
    fn long_lists_are_cut_and_nothing_makes_no_table() {
        let all = || Selection::AllLeaves {
            prefix: String::new(),
        };
        let text = explained(all(), &json!(vec![7; 42]));
        assert_eq!(text.lines().count(), 2 + limits::EXPLAINED_RECORDS + 1);
        assert!(text.ends_with("… and 2 more records of meter\n"), "{text}");
        assert_eq!(explained(all(), &json!({})), "");
    }
}
