//! A response becomes readings and issues.
//!
//! Lenient by rule: what is wrong costs its field and is reported; the response is lost
//! only when no reading survives. Nothing here trusts the response's size: what is taken
//! is bounded by `limits`.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::plan::{Numbers, Pick, Selection, SourcePlan};
use super::reading::{Issue, Reading, Reason, Value, round_computed};
use super::time::Wall;
use crate::limits;

/// What a response gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Normalised {
    pub observed: Option<Wall>,
    pub readings: Vec<Reading>,
    pub issues: Vec<Issue>,
}

/// Reads what `source` selects out of `body`.
pub fn normalise(source: &SourcePlan, body: &Json) -> Normalised {
    let mut taken = Normalised::default();
    if let Some(pointer) = &source.observed_at {
        match read_time(body.pointer(pointer), &source.observed_zone) {
            Ok(observed) => taken.observed = Some(observed),
            Err(found) => taken.issues.push(Issue {
                reason: Reason::BadTime,
                key: None,
                pointer: pointer.clone(),
                expected: "a time: RFC 3339, ISO 8601, or seconds or milliseconds since 1970"
                    .to_owned(),
                found,
            }),
        }
    }
    let units = source
        .units_at
        .as_ref()
        .and_then(|pointer| body.pointer(pointer));
    match &source.selection {
        Selection::Picks(picks) => {
            for pick in picks {
                match read_pick(pick, body, source.numbers) {
                    Ok(value) => taken.readings.push(Reading {
                        key: pick.key.clone(),
                        value,
                        unit: pick.unit.clone().or_else(|| unit_of(units, &pick.at)),
                    }),
                    Err(issue) => taken.issues.push(issue),
                }
            }
        }
        Selection::AllLeaves { prefix } => {
            let mut leaves = Leaves {
                units,
                taken: &mut taken,
                left_out: 0,
            };
            leaves.collect(body, prefix, &mut String::new(), 0);
            let left_out = leaves.left_out;
            if left_out > 0 {
                taken.issues.push(too_many(left_out));
            }
        }
    }
    taken
}

fn too_many(left_out: usize) -> Issue {
    Issue {
        reason: Reason::TooMany,
        key: None,
        pointer: String::new(),
        expected: format!(
            "at most {} records; name those you want in [source.records]",
            limits::RECORDS_PER_SOURCE
        ),
        found: format!("{left_out} more"),
    }
}

fn read_pick(pick: &Pick, body: &Json, numbers: Numbers) -> Result<Value, Issue> {
    let issue = |reason, expected: String, found| Issue {
        reason,
        key: Some(pick.key.clone()),
        pointer: pick.at.clone(),
        expected,
        found,
    };
    let wanted = if pick.text { "a text" } else { "a number" };
    let Some(json) = body.pointer(&pick.at) else {
        return Err(issue(Reason::Missing, wanted.to_owned(), "nothing".into()));
    };
    if pick.text {
        return match json {
            Json::String(text) => Ok(Value::Text(shorten(text, limits::TEXT_BYTES).into())),
            Json::Number(_) | Json::Bool(_) => Ok(Value::Text(json.to_string().into())),
            Json::Null => Err(issue(Reason::Missing, wanted.to_owned(), "null".into())),
            _ => Err(issue(Reason::WrongType, wanted.to_owned(), sample(json))),
        };
    }
    let raw = match json {
        Json::Null => {
            return Err(issue(Reason::Missing, wanted.to_owned(), "null".into()));
        }
        _ => match read_number(json, numbers) {
            Some(number) => number,
            None => return Err(issue(Reason::WrongType, wanted.to_owned(), sample(json))),
        },
    };
    let number = match (pick.scale, pick.offset) {
        (None, None) => raw,
        (scale, offset) => round_computed(raw * scale.unwrap_or(1.0) + offset.unwrap_or(0.0)),
    };
    if !number.is_finite() {
        return Err(issue(
            Reason::NotFinite,
            "a number that a 64-bit float can hold".to_owned(),
            sample(json),
        ));
    }
    let below = pick.min.is_some_and(|min| number < min);
    let above = pick.max.is_some_and(|max| number > max);
    if below || above {
        let expected = match (pick.min, pick.max) {
            (Some(min), Some(max)) => format!("from {min} to {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => String::new(),
        };
        return Err(issue(Reason::OutOfRange, expected, number.to_string()));
    }
    Ok(Value::Number(number))
}

/// A number or boolean as the number it is published as; infinite where no `f64` holds it.
fn read_number(json: &Json, numbers: Numbers) -> Option<f64> {
    match json {
        // serde_json keeps the digits (arbitrary_precision); the standard library reads
        // them exactly, and beyond its range as infinite.
        Json::Number(number) => number.as_str().parse().ok(),
        Json::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Json::String(text) if numbers == Numbers::Lenient => {
            let text = text.trim();
            // `parse` would take "inf" and "nan", which no API means as a measurement.
            let begins_as_number = text.starts_with(|c: char| "+-.0123456789".contains(c));
            text.parse()
                .ok()
                .filter(|number: &f64| begins_as_number && number.is_finite())
        }
        _ => None,
    }
}

/// The walk behind the default selection.
struct Leaves<'a> {
    units: Option<&'a Json>,
    taken: &'a mut Normalised,
    left_out: usize,
}

impl Leaves<'_> {
    fn collect(&mut self, json: &Json, key: &str, pointer: &mut String, depth: usize) {
        if depth > limits::JSON_DEPTH {
            return;
        }
        match json {
            Json::Object(fields) => {
                for (name, child) in fields {
                    let end = pointer.len();
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    self.collect(child, &join(key, &encode_segment(name)), pointer, depth + 1);
                    pointer.truncate(end);
                }
            }
            Json::Array(items) => {
                for (index, child) in items.iter().enumerate() {
                    let end = pointer.len();
                    pointer.push_str(&format!("/{index}"));
                    self.collect(child, &join(key, &index.to_string()), pointer, depth + 1);
                    pointer.truncate(end);
                }
            }
            Json::Number(_) | Json::Bool(_) => self.leaf(json, key, pointer),
            Json::String(_) | Json::Null => {}
        }
    }

    fn leaf(&mut self, json: &Json, key: &str, pointer: &str) {
        let issue = |reason, expected: String| Issue {
            reason,
            key: None,
            pointer: pointer.to_owned(),
            expected,
            found: sample(json),
        };
        let number = read_number(json, Numbers::Strict).unwrap_or(f64::NAN);
        if self.taken.readings.len() >= limits::RECORDS_PER_SOURCE {
            self.left_out += 1;
        } else if key.is_empty() || key.len() > limits::KEY_BYTES {
            let expected = match key.is_empty() {
                true => "an object or array; a lone value is named in [source.records]".to_owned(),
                false => format!("a path of at most {} bytes", limits::KEY_BYTES),
            };
            self.push_issue(issue(Reason::WrongType, expected));
        } else if !number.is_finite() {
            let expected = "a number that a 64-bit float can hold".to_owned();
            self.push_issue(issue(Reason::NotFinite, expected));
        } else {
            self.taken.readings.push(Reading {
                key: key.into(),
                value: Value::Number(number),
                unit: unit_of(self.units, pointer),
            });
        }
    }

    fn push_issue(&mut self, issue: Issue) {
        if self.taken.issues.len() < limits::ISSUES_PER_RESPONSE {
            self.taken.issues.push(issue);
        }
    }
}

fn join(key: &str, segment: &str) -> String {
    match key {
        "" => segment.to_owned(),
        _ if key.ends_with('.') => format!("{key}{segment}"),
        _ => format!("{key}.{segment}"),
    }
}

/// `.` separates segments, so inside a name it and `%` are percent-encoded; so is what
/// would not survive as a URL segment or a line of text.
fn encode_segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '.' => encoded.push_str("%2E"),
            '%' => encoded.push_str("%25"),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    encoded.push_str(&format!("%{byte:02X}"));
                }
            }
            c => encoded.push(c),
        }
    }
    encoded
}

/// The unit that a sibling object names for the field at `pointer`: by the nearest segment
/// that is a name and not an index.
fn unit_of(units: Option<&Json>, pointer: &str) -> Option<Arc<str>> {
    let name = pointer
        .rsplit('/')
        .find(|segment| segment.parse::<usize>().is_err())?;
    let name = name.replace("~1", "/").replace("~0", "~");
    let unit = units?.get(&name)?.as_str()?;
    (!unit.is_empty()).then(|| shorten(unit, 32).into())
}

/// Reads the source's own time; `Err` says what was found instead.
fn read_time(json: Option<&Json>, zone: &TimeZone) -> Result<Wall, String> {
    let json = json.ok_or("nothing")?;
    let wall = match json {
        Json::Number(number) => number.as_str().parse::<f64>().ok().and_then(epoch),
        Json::String(text) => {
            let text = text.trim();
            let instant = text.parse::<jiff::Timestamp>().ok();
            let instant = instant.or_else(|| {
                let local: jiff::civil::DateTime = text.parse().ok()?;
                zone.to_timestamp(local).ok()
            });
            instant
                .map(|instant| Wall(instant.as_millisecond()))
                .or_else(|| text.parse::<f64>().ok().and_then(epoch))
        }
        _ => None,
    };
    wall.ok_or_else(|| sample(json))
}

/// Seconds or milliseconds since 1970, told apart by size: as seconds, 10^11 lies in the
/// year 5138; as milliseconds, in 1973.
fn epoch(number: f64) -> Option<Wall> {
    const LATEST_MS: f64 = 253_402_207_200_000.0;
    let ms = if number.abs() < 1e11 {
        number * 1000.0
    } else {
        number
    };
    (0.0..=LATEST_MS).contains(&ms).then_some(Wall(ms as i64))
}

/// A JSON value shortened for a message.
pub fn sample(json: &Json) -> String {
    let kind = match json {
        Json::Null => return "null".to_owned(),
        Json::Object(fields) => return format!("an object of {} fields", fields.len()),
        Json::Array(items) => return format!("an array of {} items", items.len()),
        Json::Bool(truth) => return truth.to_string(),
        Json::Number(number) => return ellipsis(number.as_str(), limits::SAMPLE_CHARS),
        Json::String(text) => text,
    };
    format!("the text {:?}", ellipsis(kind, limits::SAMPLE_CHARS))
}

fn ellipsis(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// At most `bytes` bytes of `text`, cut between characters, without control characters.
fn shorten(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end]
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn source(selection: Selection) -> SourcePlan {
        SourcePlan {
            name: "test".into(),
            every: Duration::from_secs(60),
            stale_after: Duration::from_secs(180),
            selection,
            observed_at: None,
            observed_zone: TimeZone::UTC,
            units_at: None,
            numbers: Numbers::Strict,
            attribution: None,
            calls: "test".into(),
            summary: "".into(),
        }
    }

    fn pick(at: &str) -> Pick {
        Pick {
            key: "key".into(),
            at: at.to_owned(),
            unit: None,
            min: None,
            max: None,
            scale: None,
            offset: None,
            text: false,
        }
    }

    fn leaves(body: Json) -> Vec<(String, String)> {
        let all = Selection::AllLeaves {
            prefix: String::new(),
        };
        normalise(&source(all), &body)
            .readings
            .into_iter()
            .map(|reading| (reading.key.to_string(), reading.value.to_string()))
            .collect()
    }

    #[test]
    fn the_default_selection_takes_every_numeric_or_boolean_leaf() {
        let found = leaves(json!({
            "load": {"min1": 0.5, "cpus": 4},
            "fs": [{"used": 10, "name": "root"}],
            "up": true, "note": "text", "gone": null,
            "a.b": 1, "50%": 2,
        }));
        let expected = [
            ("50%25", "2"),
            ("a%2Eb", "1"),
            ("fs.0.used", "10"),
            ("load.cpus", "4"),
            ("load.min1", "0.5"),
            ("up", "1"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_wrong_with_a_field_costs_that_field_alone() {
        let body: Json = serde_json::from_str(
            r#"{"t": 21.4, "s": "21.4", "n": null, "huge": 1e999, "hot": 99, "o": {}}"#,
        )
        .unwrap();
        let ranged = |at| Pick {
            min: Some(-60.0),
            max: Some(60.0),
            ..pick(at)
        };
        let cases: [(Pick, Result<&str, &str>); 8] = [
            (pick("/t"), Ok("21.4")),
            (
                pick("/s"),
                Err("wrong_type: /s: expected a number, found the text \"21.4\""),
            ),
            (
                pick("/n"),
                Err("missing: /n: expected a number, found null"),
            ),
            (
                pick("/gone"),
                Err("missing: /gone: expected a number, found nothing"),
            ),
            (
                pick("/huge"),
                Err(
                    "not_finite: /huge: expected a number that a 64-bit float can hold, found 1e+999",
                ),
            ),
            (
                ranged("/hot"),
                Err("out_of_range: /hot: expected from -60 to 60, found 99"),
            ),
            (
                pick("/o"),
                Err("wrong_type: /o: expected a number, found an object of 0 fields"),
            ),
            (
                Pick {
                    scale: Some(1.8),
                    offset: Some(32.0),
                    ..pick("/t")
                },
                Ok("70.52"),
            ),
        ];
        for (pick, expected) in cases {
            let at = pick.at.clone();
            let taken = normalise(&source(Selection::Picks(vec![pick])), &body);
            match expected {
                Ok(value) => assert_eq!(taken.readings[0].value.to_string(), value, "{at}"),
                Err(issue) => assert_eq!(taken.issues[0].to_string(), issue, "{at}"),
            }
        }
    }

    #[test]
    fn numbers_as_text_are_taken_when_asked_for() {
        let mut lenient = source(Selection::Picks(vec![pick("/s")]));
        lenient.numbers = Numbers::Lenient;
        for (text, expected) in [
            ("21.4", 1),
            (" 3e2 ", 1),
            ("nan", 0),
            ("inf", 0),
            ("12 W", 0),
        ] {
            let taken = normalise(&lenient, &json!({ "s": text }));
            assert_eq!(taken.readings.len(), expected, "{text}");
        }
    }

    #[test]
    fn a_text_reading_is_one_bounded_line() {
        let text = Pick {
            text: true,
            ..pick("/s")
        };
        let taken = normalise(&source(Selection::Picks(vec![text])), &json!({"s": "a\nb"}));
        assert_eq!(taken.readings[0].value, Value::Text("a b".into()));
    }

    #[test]
    fn the_sources_own_time_in_every_spelling() {
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        for (json, zone, expected) in [
            (
                json!("2025-10-30T20:00:00Z"),
                TimeZone::UTC,
                Some("2025-10-30T20:00:00Z"),
            ),
            (
                json!("2025-10-30T21:00:00+01:00"),
                TimeZone::UTC,
                Some("2025-10-30T20:00:00Z"),
            ),
            (
                json!("2025-10-30T20:00"),
                TimeZone::UTC,
                Some("2025-10-30T20:00:00Z"),
            ),
            (
                json!("2025-10-30T21:00"),
                berlin,
                Some("2025-10-30T20:00:00Z"),
            ),
            (
                json!(1_761_854_400),
                TimeZone::UTC,
                Some("2025-10-30T20:00:00Z"),
            ),
            (
                json!(1_761_854_400_123_i64),
                TimeZone::UTC,
                Some("2025-10-30T20:00:00Z"),
            ),
            (
                json!("1761854400"),
                TimeZone::UTC,
                Some("2025-10-30T20:00:00Z"),
            ),
            (json!("yesterday"), TimeZone::UTC, None),
            (json!(-5), TimeZone::UTC, None),
            (json!({}), TimeZone::UTC, None),
        ] {
            let read = read_time(Some(&json), &zone)
                .ok()
                .map(|wall| wall.to_string());
            assert_eq!(read.as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn units_come_from_a_sibling_object() {
        let mut with_units = source(Selection::Picks(vec![pick("/current/temperature_2m")]));
        with_units.units_at = Some("/current_units".to_owned());
        let body =
            json!({"current": {"temperature_2m": 3}, "current_units": {"temperature_2m": "°C"}});
        let taken = normalise(&with_units, &body);
        assert_eq!(taken.readings[0].unit.as_deref(), Some("°C"));
    }

    #[test]
    fn a_chatty_response_is_bounded_and_the_rest_is_counted() {
        let body = json!({ "values": vec![1; 1000] });
        let all = Selection::AllLeaves {
            prefix: String::new(),
        };
        let taken = normalise(&source(all), &body);
        assert_eq!(taken.readings.len(), limits::RECORDS_PER_SOURCE);
        assert_eq!(taken.issues[0].reason, Reason::TooMany);
        assert_eq!(taken.issues[0].found, "744 more");
    }
}
