//! JSONPath (RFC 9535): a path that is parsed once and selects nodes of a JSON value.
//!
//! Pure. What a path may cost is bounded before it is parsed (`outline`): time and memory grow
//! with the size of the value, and not with its square. Regular expressions are left out.

mod outline;

use serde_json::Value as Json;

pub use outline::{Segment, SegmentKind};

use super::placeholder::{PlaceholderTime, Template};
use super::text::ellipsis;
use super::time::Wall;
use crate::limits;
use jiff::tz::TimeZone;

/// A path, as it is written and parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    segments: Vec<Segment>,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Parsed(serde_json_path::JsonPath),
    /// With date placeholders, to be filled before it selects anything.
    Dated(Template),
}

/// Why a text is not a JSONPath that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPathProblem {
    /// Byte offset in the path.
    pub at: usize,
    pub message: String,
}

impl JsonPath {
    /// Whether a text is meant as JSONPath, and not as a JSON Pointer.
    pub fn is_meant(text: &str) -> bool {
        text == "$" || text.starts_with("$.") || text.starts_with("$[")
    }

    pub fn parse(text: &str) -> Result<JsonPath, JsonPathProblem> {
        let segments = outline::read(text)?;
        let template = Template::parse(text).map_err(|problem| JsonPathProblem {
            at: problem.at,
            message: problem.to_string(),
        })?;
        let form = if template.has_placeholders() {
            for time in sample_times() {
                JsonPath::parse_filled(&template.fill(&time))?;
            }
            Form::Dated(template)
        } else {
            Form::Parsed(parse_query(text)?)
        };
        Ok(JsonPath {
            text: text.to_owned(),
            segments,
            form,
        })
    }

    fn parse_filled(text: &str) -> Result<JsonPath, JsonPathProblem> {
        let segments = outline::read(text);
        let parsed = segments.and_then(|segments| {
            let form = Form::Parsed(parse_query(text)?);
            let text = text.to_owned();
            Ok(JsonPath {
                text,
                segments,
                form,
            })
        });
        parsed.map_err(|problem| JsonPathProblem {
            at: 0,
            message: format!("filled in as {text}: {}", problem.message),
        })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub fn is_dated(&self) -> bool {
        matches!(self.form, Form::Dated(_))
    }

    /// The path with its date placeholders filled in.
    pub fn fill(&self, time: &PlaceholderTime) -> Result<JsonPath, JsonPathProblem> {
        match &self.form {
            Form::Parsed(_) => Ok(self.clone()),
            Form::Dated(template) => JsonPath::parse_filled(&template.fill(time)),
        }
    }

    /// Whether it can find one node at most: names and positions alone.
    pub fn is_singular(&self) -> bool {
        let is_one = |it: &Segment| !it.is_descendant && it.kind != SegmentKind::Other;
        self.segments.iter().all(is_one)
    }

    /// The path without its last segments.
    pub fn prefix(&self, segments: usize) -> Option<JsonPath> {
        let end = self.segments.get(segments)?.start;
        JsonPath::parse(self.text.get(..end)?.trim_end()).ok()
    }

    /// The nodes that it selects, in the order of RFC 9535.
    pub fn select<'a>(&self, root: &'a Json) -> Vec<&'a Json> {
        match &self.form {
            Form::Parsed(path) => path.query(root).all(),
            Form::Dated(_) => Vec::new(),
        }
    }
}

fn parse_query(text: &str) -> Result<serde_json_path::JsonPath, JsonPathProblem> {
    serde_json_path::JsonPath::parse(text).map_err(|error| {
        let at = error.position().min(text.len());
        let rest = text.get(at..).unwrap_or_default();
        let place = match rest {
            "" => "it ends too early".to_owned(),
            _ => format!("from {:?} on", ellipsis(rest, limits::SAMPLE_CHARS)),
        };
        let message = error
            .message()
            .replace("in long-hand segment", "in brackets");
        let why = match message.trim_end_matches("parser error") {
            "" => String::new(),
            message => format!(", {}", message.trim_end_matches(", ")),
        };
        let hint = if text.contains("(@.length") {
            "; the last element is [-1]"
        } else {
            ""
        };
        JsonPathProblem {
            at,
            message: format!("no JSONPath (RFC 9535): {place}{why}{hint}"),
        }
    })
}

/// Two times whose days, months and hours have one digit and two.
fn sample_times() -> [PlaceholderTime; 2] {
    [1_767_582_245, 1_794_959_999].map(|second| PlaceholderTime {
        wall: Wall::from_second(second),
        zone: TimeZone::UTC,
    })
}

#[cfg(test)]
#[path = "tests/json_path.rs"]
mod tests;
