//! Elements of an `each`: of the list or object at a JSON Pointer, or the nodes of a JSONPath.

use serde_json::Value as Json;

use super::missing::{describe_missing, describe_no_match, died_at};
use super::sample;
use crate::domain::json_path::{JsonPath, SegmentKind};
use crate::domain::reading::{Issue, Reason};
use crate::domain::value_path::{ValuePath, escape, locate, unescape};
use crate::limits;

/// One element.
pub struct Element<'a> {
    /// Its index in a list, or its name in an object.
    pub own_name: String,
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
pub enum NoElements {
    /// What it looks through is there, and has none.
    Empty,
    Missing,
}

/// The elements of `each` in `body`. `Err` has the issue, unless there are none and that is an
/// answer.
pub fn of_each<'a>(body: &'a Json, each: &'a ValuePath) -> Result<Elements<'a>, Option<Issue>> {
    let pointer = match each {
        ValuePath::Pointer(pointer) => pointer,
        ValuePath::JsonPath(path) => {
            return of_path(body, path).map_err(|why| match why {
                NoElements::Empty => None,
                NoElements::Missing => Some(Issue {
                    reason: Reason::Missing,
                    key: None,
                    pointer: path.as_str().to_owned(),
                    expected: "elements, to read each of".to_owned(),
                    found: describe_no_match(body, "", path),
                }),
            });
        }
    };
    let list: Box<dyn Iterator<Item = Element<'a>> + 'a> = match body.pointer(pointer) {
        Some(Json::Array(items)) => {
            Box::new(items.iter().enumerate().map(move |(index, value)| Element {
                own_name: index.to_string(),
                pointer: format!("{pointer}/{index}"),
                value,
            }))
        }
        Some(Json::Object(fields)) => Box::new(fields.iter().map(move |(name, value)| Element {
            own_name: name.clone(),
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
                found: other.map_or_else(|| describe_missing(body, pointer), sample),
            }));
        }
    };
    Ok(Elements {
        list,
        too_many: None,
    })
}

/// The nodes of a JSONPath.
pub fn of_path<'a>(body: &'a Json, path: &JsonPath) -> Result<Elements<'a>, NoElements> {
    let values = path.select(body);
    let count = values.len();
    if count == 0 {
        return Err(match died_at(body, path) {
            Some((nodes, segment))
                if segment.kind == SegmentKind::Other
                    && nodes.iter().any(|it| it.is_array() || it.is_object()) =>
            {
                NoElements::Empty
            }
            _ => NoElements::Missing,
        });
    }
    let most = limits::JSON_PATH_NODES;
    let too_many = (count > most).then(|| Issue {
        reason: Reason::TooMany,
        key: None,
        pointer: path.as_str().to_owned(),
        expected: format!("at most {most} elements: add a filter"),
        found: count.to_string(),
    });
    let nodes = locate(body, values.into_iter().take(most));
    let list = nodes.into_iter().map(|node| {
        let own_name = node.pointer.rsplit('/').next().unwrap_or_default();
        Element {
            own_name: unescape(own_name),
            value: node.value,
            pointer: node.pointer,
        }
    });
    Ok(Elements {
        list: Box::new(list),
        too_many,
    })
}
