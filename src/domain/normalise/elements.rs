//! Elements of an `each`: of the list or object at a JSON Pointer, or the nodes of a JSONPath.

use serde_json::Value as Json;

use super::missing::{describe_missing, describe_no_match, died_at};
use super::sample;
use crate::domain::json_path::{JsonPath, SegmentKind};
use crate::domain::plan::RecordSelector;
use crate::domain::reading::{Issue, Reason};
use crate::domain::value_path::{ValuePath, escape, locate};
use crate::limits;

/// One element.
pub struct Element<'a> {
    /// RFC 6901 JSON Pointer into the response.
    pub pointer: String,
    pub value: &'a Json,
}

pub struct Elements<'a> {
    pub list: Box<dyn Iterator<Item = Element<'a>> + 'a>,
    /// The path finds more than are read.
    pub too_many: Option<Issue>,
}

/// Why a JSONPath finds no element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoElements {
    /// What it looks through is there, and has none.
    Empty,
    Missing,
}

/// The elements of `each` in `body`. `Err` has the issue, unless there are none and that is an
/// answer.
pub fn of_each<'a>(body: &'a Json, each: &'a ValuePath) -> Result<Elements<'a>, Option<Issue>> {
    match each {
        ValuePath::Pointer(pointer) => of_container(body, pointer),
        ValuePath::JsonPath(path) => of_path(body, path).map_err(|why| match why {
            NoElements::Empty => None,
            NoElements::Missing => Some(nothing_found(body, path)),
        }),
    }
}

/// The elements where a path stands for a list: those of the list or object at the one place
/// to which names and positions lead, else what the path finds.
pub fn of_list<'a>(body: &'a Json, list: &'a ValuePath) -> Result<Elements<'a>, Option<Issue>> {
    match list {
        ValuePath::JsonPath(path) if path.is_singular() => {
            let found = list.find(body).ok().flatten();
            let found = found.ok_or_else(|| Some(nothing_found(body, path)))?;
            of_value(body, found.pointer, Some(found.value))
        }
        _ => of_each(body, list),
    }
}

/// The elements that make one record together: those of its `each`, else those of the list at `at`.
pub fn of_combined<'a>(
    body: &'a Json,
    pick: &'a RecordSelector,
) -> Result<Elements<'a>, Option<Issue>> {
    match &pick.each {
        Some(each) => of_each(body, each),
        None => of_list(body, &pick.at),
    }
}

fn nothing_found(body: &Json, path: &JsonPath) -> Issue {
    Issue {
        reason: Reason::Missing,
        key: None,
        pointer: path.as_str().to_owned(),
        expected: "elements, to read each of".to_owned(),
        found: describe_no_match(body, "", path),
    }
}

fn of_container<'a>(body: &'a Json, pointer: &str) -> Result<Elements<'a>, Option<Issue>> {
    of_value(body, pointer.to_owned(), body.pointer(pointer))
}

fn of_value<'a>(
    body: &'a Json,
    pointer: String,
    value: Option<&'a Json>,
) -> Result<Elements<'a>, Option<Issue>> {
    let list: Box<dyn Iterator<Item = Element<'a>> + 'a> = match value {
        Some(Json::Array(items)) => {
            Box::new(items.iter().enumerate().map(move |(index, value)| Element {
                pointer: format!("{pointer}/{index}"),
                value,
            }))
        }
        Some(Json::Object(fields)) => Box::new(fields.iter().map(move |(name, value)| Element {
            pointer: format!("{pointer}/{}", escape(name)),
            value,
        })),
        other => {
            return Err(Some(Issue {
                reason: match other {
                    None | Some(Json::Null) => Reason::Missing,
                    Some(_) => Reason::WrongType,
                },
                key: None,
                pointer: pointer.clone(),
                expected: "a list or an object, to read each of".to_owned(),
                found: other.map_or_else(|| describe_missing(body, &pointer), sample),
            }));
        }
    };
    Ok(Elements {
        list,
        too_many: None,
    })
}

/// Whether a list is there and has nothing in it. `None` if it is not there.
pub fn is_empty(body: &Json, list: &ValuePath) -> Option<bool> {
    let value = match list {
        ValuePath::JsonPath(path) if !path.is_singular() => {
            let has_none = path.select(body).is_empty();
            return match has_none.then(|| why_none(body, path)) {
                None => Some(false),
                Some(NoElements::Empty) => Some(true),
                Some(NoElements::Missing) => None,
            };
        }
        _ => list.find(body).ok().flatten()?.value,
    };
    match value {
        Json::Array(items) => Some(items.is_empty()),
        Json::Object(fields) => Some(fields.is_empty()),
        _ => None,
    }
}

fn why_none(body: &Json, path: &JsonPath) -> NoElements {
    match died_at(body, path) {
        Some((nodes, segment))
            if segment.kind == SegmentKind::Other
                && nodes.iter().any(|it| it.is_array() || it.is_object()) =>
        {
            NoElements::Empty
        }
        _ => NoElements::Missing,
    }
}

/// The nodes of a JSONPath.
fn of_path<'a>(body: &'a Json, path: &JsonPath) -> Result<Elements<'a>, NoElements> {
    let values = path.select(body);
    let count = values.len();
    if count == 0 {
        return Err(why_none(body, path));
    }
    let most = limits::JSON_PATH_NODES;
    let too_many = (count > most).then(|| Issue {
        reason: Reason::TooMany,
        key: None,
        pointer: path.as_str().to_owned(),
        expected: format!("at most {most} elements of a JSONPath: add a filter, or write the list as a JSON Pointer"),
        found: count.to_string(),
    });
    let nodes = locate(body, path, values.into_iter().take(most));
    let list = nodes.into_iter().map(|node| Element {
        value: node.value,
        pointer: node.pointer,
    });
    Ok(Elements {
        list: Box::new(list),
        too_many,
    })
}
