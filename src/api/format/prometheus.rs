//! Prometheus text format 0.0.4 and OpenMetrics to an object by metric name.
//!
//! Pure. A sample without labels is its number. Samples with labels are an object keyed by the
//! label set (`cpu=0,mode=idle`); each is an object of its labels, as texts, and its `value`.
//! Timestamps, exemplars, types and help texts are not read.

use serde_json::{Map, Number, Value as Json};

use super::{FormatError, ValueBudget, leaf, quote_sample};
use crate::domain::reading::{Issue, Reason};
use crate::limits;

/// Parses a text whose last line is whole. A line that is no sample costs itself, unless no line
/// is one.
pub fn parse(text: &str) -> Result<(Json, Vec<Issue>), FormatError> {
    let mut metrics = Map::new();
    let mut issues = Vec::new();
    let mut first_error = None;
    let mut budget = ValueBudget::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line == "# EOF" {
            break;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_sample(line) {
            Ok(sample) => {
                let is_new = !metrics.contains_key(&sample.name);
                let objects = match sample.labels.len() {
                    0 => 0,
                    _ => 1 + usize::from(is_new),
                };
                budget.take(2 + sample.labels.len() + objects * (1 + limits::OBJECT_VALUES))?;
                add_sample(&mut metrics, sample, &mut issues);
            }
            Err((expected, rest)) => {
                let line = index + 1;
                if issues.len() < limits::ISSUES_PER_RESPONSE {
                    issues.push(Issue {
                        reason: Reason::WrongType,
                        key: None,
                        pointer: String::new(),
                        expected: format!("{expected} in line {line}"),
                        found: quote_sample(rest),
                    });
                }
                first_error.get_or_insert_with(|| FormatError::malformed(line, expected, rest));
            }
        }
    }
    match first_error {
        Some(error) if metrics.is_empty() => Err(error),
        _ => Ok((Json::Object(metrics), issues)),
    }
}

struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: Json,
}

/// What was expected, and the text that stands there instead.
type Mismatch<'a> = (&'static str, &'a str);

fn parse_sample(line: &str) -> Result<Sample, Mismatch<'_>> {
    let (name, rest) = split_name(line);
    let mut name = name.to_owned();
    let mut labels = Vec::new();
    let mut rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = parse_labels(inside, &mut name, &mut labels)?;
    }
    if name.is_empty() {
        return Err(("the name of a metric", line));
    }
    let (value, rest) = split_word(rest);
    let number = value.parse::<f64>();
    let number = number.map_err(|_| ("a metric and its number", line))?;
    let (timestamp, _) = split_word(rest);
    if !timestamp.is_empty() && !timestamp.starts_with('#') && timestamp.parse::<f64>().is_err() {
        return Err(("a number, and at most a timestamp behind it,", rest));
    }
    Ok(Sample {
        name,
        labels,
        value: json_number(value, number),
    })
}

/// The digits as they stand, where JSON has them too; null for what JSON cannot say.
fn json_number(text: &str, number: f64) -> Json {
    if !number.is_finite() {
        return Json::Null;
    }
    match leaf(text) {
        Json::Number(digits) => Json::Number(digits),
        _ => Number::from_f64(number).map_or(Json::Null, Json::Number),
    }
}

/// Reads `name="value",…}`; a quoted name without a value is the metric's own (UTF-8 names).
/// Gives what is behind the brace.
fn parse_labels<'a>(
    text: &'a str,
    metric: &mut String,
    labels: &mut Vec<(String, String)>,
) -> Result<&'a str, Mismatch<'a>> {
    let mut rest = text.trim_start();
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return Ok(behind);
        }
        let (name, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (name, behind) = split_name(rest);
                (name.to_owned(), behind)
            }
        };
        let behind = behind.trim_start();
        let behind = if let Some(value) = behind.strip_prefix('=') {
            if name.is_empty() {
                return Err(("the name of a label", rest));
            }
            let value = value.trim_start();
            let quoted = value.strip_prefix('"');
            let quoted = quoted.ok_or(("the value of a label in quotes", value))?;
            let (value, behind) = unquote(quoted)?;
            labels.push((name, value));
            behind
        } else if metric.is_empty() && labels.is_empty() && !name.is_empty() {
            *metric = name;
            behind
        } else {
            return Err(("a label as name=\"value\"", rest));
        };
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if behind.starts_with('}') => behind,
            None => return Err(("a comma or } behind a label", behind)),
        };
    }
}

/// Reads up to the closing quote, and gives what is behind it.
fn unquote(text: &str) -> Result<(String, &str), Mismatch<'_>> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(("a closing quote", text))
}

/// Splits a name of letters, digits, `_` and `:` off.
fn split_name(text: &str) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        ("", text)
    } else {
        text.split_at(end)
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

fn add_sample(metrics: &mut Map<String, Json>, sample: Sample, issues: &mut Vec<Issue>) {
    let Sample {
        name,
        labels,
        value,
    } = sample;
    if labels.is_empty() && !metrics.get(&name).is_some_and(Json::is_object) {
        if let Some(slot) = metrics.get_mut(&name) {
            *slot = value;
            push_repeated(issues, &name, "");
        } else {
            metrics.insert(name, value);
        }
        return;
    }
    let slot = metrics
        .entry(name.as_str())
        .or_insert_with(|| Json::Object(Map::new()));
    if !slot.is_object() {
        // The same metric without labels stood before.
        let without_labels = labelled(Vec::new(), slot.take());
        *slot = Json::Object(Map::from_iter([(String::new(), without_labels)]));
    }
    if let Json::Object(series) = slot {
        let pairs = labels
            .iter()
            .map(|(label, value)| format!("{label}={value}"));
        let label_set = pairs.collect::<Vec<String>>().join(",");
        let is_repeated = series.contains_key(&label_set);
        if is_repeated {
            push_repeated(issues, &name, &label_set);
        }
        series.insert(label_set, labelled(labels, value));
    }
}

/// The number is `value`, or `@value` beside a label of that name.
fn labelled(labels: Vec<(String, String)>, value: Json) -> Json {
    let labels = labels
        .into_iter()
        .map(|(label, value)| (label, Json::String(value)));
    let mut fields = Map::from_iter(labels);
    let name = if fields.contains_key("value") {
        "@value"
    } else {
        "value"
    };
    fields.insert(name.to_owned(), value);
    Json::Object(fields)
}

fn push_repeated(issues: &mut Vec<Issue>, metric: &str, label_set: &str) {
    if issues.len() < limits::ISSUES_PER_RESPONSE {
        issues.push(Issue {
            reason: Reason::DuplicateKey,
            key: None,
            pointer: format!("/{metric}"),
            expected: "each sample once; the last one counts".to_owned(),
            found: match label_set {
                "" => "a second sample without labels".to_owned(),
                _ => format!(
                    "a second sample with the labels {}",
                    quote_sample(label_set)
                ),
            },
        });
    }
}

#[cfg(test)]
#[path = "tests/prometheus.rs"]
mod tests;
