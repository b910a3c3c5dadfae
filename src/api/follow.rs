//! Upstream main-node as a source: parses its `/snapshot?full=1`.
//!
//! Pure. Keys, units, observed times and staleness are taken over as they are; an invalid
//! record is skipped with an issue. `via` detects nodes that follow each other in a loop.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::domain::failure::{Cause, Failure};
use crate::domain::normalise::{Normalised, OmittedRecords, RecordLimit, read_time, sample};
use crate::domain::reading::{
    Issue, Reading, Reason, UpstreamLabel, UpstreamNode, UpstreamRecord, Value,
};
use crate::domain::text::{is_invisible, shorten};
use crate::limits;

/// Parses the snapshot of the node at `host`, of which `max_records` are taken; `own` is this node's
/// name.
pub fn parse_snapshot(
    body: &Json,
    own: &str,
    host: &str,
    max_records: usize,
) -> Result<(Normalised, UpstreamNode), Failure> {
    let node = body.get("node").and_then(read_name);
    let records = body.get("records").and_then(Json::as_array);
    let (Some(node), Some(records)) = (node, records) else {
        let detail = format!(
            "{host} cannot be followed: expected `node` and `records` in its \
             /snapshot?full=1"
        );
        return Err(Failure::new(Cause::Schema, detail));
    };
    let via = upstream_hops(body, &node, own, host)?;
    let mut normalised = Normalised::default();
    let mut upstream_records = BTreeMap::new();
    let mut labels = BTreeMap::new();
    let mut omitted = OmittedRecords::default();
    for (index, record) in records.iter().enumerate() {
        if normalised.readings.len() >= max_records {
            let key = record.get("key").and_then(Json::as_str);
            omitted.add(|| shorten_line(key.unwrap_or("?")).clone());
            continue;
        }
        match parse_record(record) {
            Ok((reading, upstream_record)) => {
                upstream_records.insert(reading.key.clone(), upstream_record);
                labels.extend(read_label(record).map(|label| (reading.key.clone(), label)));
                normalised.readings.push(reading);
            }
            Err((field, expected, found)) => {
                if normalised.issues.len() < limits::ISSUES_PER_RESPONSE {
                    normalised.issues.push(Issue {
                        reason: Reason::WrongType,
                        key: None,
                        pointer: format!("/records/{index}{field}"),
                        expected: expected.to_owned(),
                        found,
                    });
                }
            }
        }
    }
    normalised
        .issues
        .extend(omitted.issue(RecordLimit::PerUpstreamNode(max_records)));
    let upstream = UpstreamNode {
        node,
        via,
        alert: body.get("alert").and_then(read_name),
        records: upstream_records,
        labels,
    };
    Ok((normalised, upstream))
}

fn read_name(json: &Json) -> Option<Arc<str>> {
    json.as_str().map(|text| Arc::from(shorten_line(text)))
}

/// The nodes that the data came through, the followed one last.
fn upstream_hops(
    body: &Json,
    node: &Arc<str>,
    own: &str,
    host: &str,
) -> Result<Vec<Arc<str>>, Failure> {
    let via = body.get("via").and_then(Json::as_array);
    let mut via: Vec<Arc<str>> = via.into_iter().flatten().filter_map(read_name).collect();
    via.truncate(limits::UPSTREAM_HOPS + 1);
    via.push(node.clone());
    if via.iter().any(|it| **it == *own) {
        let detail = format!(
            "the data of {host} came through this node ({own}): the nodes follow each other in \
             a loop, or two have the same `name`"
        );
        return Err(Failure::new(Cause::Redirect, detail));
    }
    if via.len() > limits::UPSTREAM_HOPS {
        let most = limits::UPSTREAM_HOPS;
        let detail = format!("the data of {host} came through more than {most} nodes");
        return Err(Failure::new(Cause::Redirect, detail));
    }
    Ok(via)
}

type RecordError = (&'static str, &'static str, String);

fn parse_record(record: &Json) -> Result<(Reading, UpstreamRecord), RecordError> {
    let text = |field: &str| record.get(field).and_then(Json::as_str);
    let found = |field: &str| record.get(field).map_or("nothing".to_owned(), sample);
    let fits = |key: &&str| (1..=limits::KEY_BYTES).contains(&key.len());
    let key = text("key").filter(fits);
    let key = key.ok_or_else(|| ("/key", "a key", found("key")))?;
    let number = match record.get("value") {
        Some(Json::Number(number)) => number.as_str().parse::<f64>().ok(),
        _ => None,
    };
    let value = match (number.filter(|number| number.is_finite()), text("text")) {
        (Some(number), _) => Value::Number(number),
        (None, Some(text)) => Value::Text(shorten(text, limits::TEXT_BYTES).into()),
        (None, None) => return Err(("/value", "a number, or a `text` beside", found("value"))),
    };
    let observed = read_time(record.get("observed"), &TimeZone::UTC)
        .map_err(|found| ("/observed", "when it was observed", found))?;
    let unit = text("unit").filter(|unit| !unit.is_empty());
    let is_boolean = record.get("boolean").and_then(Json::as_bool);
    let reading = Reading {
        key: key.into(),
        is_boolean: is_boolean.unwrap_or_default() && value.number().is_some(),
        value,
        unit: unit.map(|unit| shorten(unit, 32).into()),
        is_stated: false,
        observed: None,
    };
    let upstream_record = UpstreamRecord {
        observed,
        // Without `stale` the value counts as stale.
        stale: record.get("stale").and_then(Json::as_bool).unwrap_or(true),
    };
    Ok((reading, upstream_record))
}

/// How the node shows a record; what it says in another form than this version is left out.
fn read_label(record: &Json) -> Option<UpstreamLabel> {
    let label = record.get("label").and_then(Json::as_str);
    let label = label.map(|label| line_of(label.trim(), limits::LABEL_CHARS));
    let decimals = record.get("decimals").and_then(Json::as_u64);
    let decimals = decimals.and_then(|decimals| u8::try_from(decimals).ok());
    let label = UpstreamLabel {
        label: label.filter(|it| !it.is_empty()).map(Into::into),
        decimals: decimals.filter(|decimals| *decimals <= limits::DECIMALS),
        is_shared: false,
    };
    (label != UpstreamLabel::default()).then_some(label)
}

/// At most `chars` characters, without those that would change the text around them.
fn line_of(text: &str, chars: usize) -> String {
    let is_plain = |c: &char| !c.is_control() && !is_invisible(*c);
    text.chars().filter(is_plain).take(chars).collect()
}

fn shorten_line(text: &str) -> String {
    shorten(text, limits::SAMPLE_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snapshot(node: &str, via: &[&str], records: Json) -> Json {
        json!({
            "timestamp": "2025-10-30T20:00:00Z",
            "records": records,
            "summary": {"count": 1, "avg": 21.4},
            "alert": "cellar is cold",
            "node": node,
            "via": via,
        })
    }

    #[test]
    fn keys_units_times_and_staleness_are_taken_over() {
        let records = json!([
            {"key": "t", "value": 21.4, "unit": "°C", "observed": "2025-10-30T20:00:00Z", "stale": false, "sources": ["weather"]},
            {"key": "sky", "value": null, "text": "Cloudy", "observed": "2025-10-30T19:00:00Z", "stale": true},
            {"key": "silent", "value": 1, "observed": "2025-10-30T19:00:00Z"},
            {"key": "odd", "value": "1", "observed": "2025-10-30T19:00:00Z"},
            {"key": "", "value": 1},
            {"key": "when", "value": 1},
        ]);
        let body = snapshot("attic", &["cellar"], records);
        let (taken, followed) = parse_snapshot(&body, "hall", "HOST", 256).expect("a main-node");
        let readings: Vec<String> = taken
            .readings
            .iter()
            .map(|reading| {
                let upstream = &followed.records[&reading.key];
                let (key, value) = (&reading.key, &reading.value);
                format!(
                    "{key} {value} {:?} {} {}",
                    reading.unit, upstream.observed, upstream.stale
                )
            })
            .collect();
        assert_eq!(
            readings,
            [
                "t 21.4 Some(\"°C\") 2025-10-30T20:00:00Z false",
                "sky Cloudy None 2025-10-30T19:00:00Z true",
                "silent 1 None 2025-10-30T19:00:00Z true",
            ]
        );
        let issues: Vec<String> = taken.issues.iter().map(Issue::to_string).collect();
        assert_eq!(
            issues,
            [
                "wrong_type: /records/3/value: expected a number, or a `text` beside, found the \
                 text \"1\"",
                "wrong_type: /records/4/key: expected a key, found the text \"\"",
                "wrong_type: /records/5/observed: expected when it was observed, found nothing",
            ]
        );
        assert_eq!(followed.alert.as_deref(), Some("cellar is cold"));
        assert_eq!(followed.via, ["cellar".into(), "attic".into()]);
    }

    #[test]
    fn labels_and_digits_are_taken_over_where_they_are_in_order() {
        for (fields, label, decimals) in [
            (
                json!({"label": "Hall", "decimals": 1}),
                Some("Hall"),
                Some(1),
            ),
            (json!({"label": null, "decimals": null}), None, None),
            (json!({"label": " a\nb\u{202e} "}), Some("ab"), None),
            (json!({"label": "\u{200b}"}), None, None),
            (json!({"label": 5, "decimals": 10}), None, None),
            (json!({"decimals": -1}), None, None),
            (json!({"decimals": 9}), None, Some(9)),
        ] {
            let mut record = json!({"key": "t", "value": 1, "observed": "2025-10-30T20:00:00Z"});
            let object = record.as_object_mut().expect("an object");
            object.extend(fields.as_object().expect("an object").clone());
            let body = snapshot("attic", &[], json!([record]));
            let (taken, followed) = parse_snapshot(&body, "hall", "HOST", 256).expect("a node");
            let found = followed.labels.get("t").cloned().unwrap_or_default();
            assert_eq!(found.label.as_deref(), label, "{fields}");
            assert_eq!(found.decimals, decimals, "{fields}");
            assert_eq!(taken.issues, [], "{fields}");
        }
    }

    #[test]
    fn omitted_records_of_an_upstream_node_are_reported_with_advice() {
        let record = |n: usize| json!({"key": format!("k{n}"), "value": 1, "observed": "2025-10-30T20:00:00Z"});
        let records: Vec<Json> = (0..300).map(record).collect();
        let body = snapshot("attic", &[], records.into());
        let (taken, _) = parse_snapshot(&body, "hall", "HOST", 256).expect("a main-node");
        assert_eq!(taken.readings.len(), 256);
        let mut issue = taken.issues[0].clone();
        issue.shorten();
        assert_eq!(
            issue.to_string(),
            "too_many: the whole response: expected at most 256 records of one source: raise its \
             `max_records`, or follow the nodes that this one follows, found 44 more: k256, k257, \
             k258, …"
        );
    }

    #[test]
    fn loops_and_other_servers_are_refused() {
        for (body, expected) in [
            (
                snapshot("hall", &[], json!([])),
                "redirect: the data of HOST came through this node (hall): the nodes follow each \
                 other in a loop, or two have the same `name`",
            ),
            (
                snapshot("attic", &["cellar", "hall"], json!([])),
                "redirect: the data of HOST came through this node (hall): the nodes follow each \
                 other in a loop, or two have the same `name`",
            ),
            (
                snapshot("attic", &["a"; 20], json!([])),
                "redirect: the data of HOST came through more than 8 nodes",
            ),
            (
                json!({"records": []}),
                "schema: HOST cannot be followed: expected `node` and \
                 `records` in its /snapshot?full=1",
            ),
        ] {
            let refused = parse_snapshot(&body, "hall", "HOST", 256).expect_err("refused");
            assert_eq!(refused.to_string(), expected);
        }
    }
}
