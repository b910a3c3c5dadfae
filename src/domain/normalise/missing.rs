//! What a response has instead, where a JSON Pointer or a JSONPath leads to nothing.

use serde_json::{Map, Value as Json};

use super::sample;
use crate::domain::json_path::{JsonPath, Segment, SegmentKind};
use crate::domain::text::ellipsis;
use crate::domain::value_path::{ValuePath, escape, locate, unescape};
use crate::limits;

/// "nothing", and the names or positions where the pointer leaves the response.
pub fn describe_missing(body: &Json, pointer: &str) -> String {
    let mut json = body;
    let mut end = 0;
    for segment in pointer.split('/').skip(1) {
        let place = &pointer[..end];
        let found = match json {
            Json::Object(fields) => fields.get(&unescape(segment)),
            Json::Array(items) => position(segment).and_then(|at| items.get(at)),
            _ => None,
        };
        let Some(found) = found else {
            return format!("nothing: {} {}", shown(place), instead(json, segment));
        };
        json = found;
        end += 1 + segment.len();
    }
    "nothing".to_owned()
}

/// The same for a JSONPath that selects nothing in `json`, which is at `place`.
pub fn describe_no_match(json: &Json, place: &str, path: &JsonPath) -> String {
    let Some((nodes, segment)) = died_at(json, path) else {
        return "nothing".to_owned();
    };
    let count = nodes.len();
    let Some(node) = locate(json, path, nodes.into_iter().take(1)).pop() else {
        return "nothing".to_owned();
    };
    let place = format!("{place}{}", node.pointer);
    let others = match count {
        1 => String::new(),
        _ => format!(", the first of {count} such places"),
    };
    let instead = without_match(node.value, segment);
    format!("nothing: {} {instead}{others}", shown(&place))
}

/// What a response has where a path finds nothing.
pub fn describe_missing_value(body: &Json, path: &ValuePath) -> String {
    match path {
        ValuePath::Pointer(pointer) => describe_missing(body, pointer),
        ValuePath::JsonPath(path) => describe_no_match(body, "", path),
    }
}

/// How the place of a JSONPath that finds nothing is named: in the response, or in an element.
pub fn named(place: &str, path: &JsonPath) -> String {
    match place {
        "" => path.as_str().to_owned(),
        _ => format!("{place} {path}", path = path.as_str()),
    }
}

/// The nodes that the path reaches last, and the segment that selects none of them.
pub fn died_at<'a, 'p>(json: &'a Json, path: &'p JsonPath) -> Option<(Vec<&'a Json>, &'p Segment)> {
    let segments = path.segments().iter().enumerate().rev();
    segments
        .filter_map(|(index, segment)| {
            let nodes = path.prefix(index)?.select(json);
            Some((nodes, segment))
        })
        .find(|(nodes, _)| !nodes.is_empty())
}

/// What a value has instead of what a segment selects.
fn without_match(json: &Json, segment: &Segment) -> String {
    let selector = ellipsis(&segment.text, limits::SAMPLE_CHARS);
    match (&segment.kind, json) {
        (SegmentKind::Name(name), Json::Object(_)) if !segment.is_descendant => {
            instead(json, &escape(name))
        }
        (SegmentKind::Index, Json::Array(items)) if !items.is_empty() => {
            format!("is a list of {}", items.len())
        }
        (SegmentKind::Name(_), Json::Array(_)) if !segment.is_descendant => {
            "is a list: [*] stands for its elements, [0] for the first, [-1] for the last"
                .to_owned()
        }
        (_, Json::Array(items)) if items.is_empty() => "is an empty list".to_owned(),
        (_, Json::Object(fields)) if fields.is_empty() => "is an empty object".to_owned(),
        (_, Json::Array(items)) => format!(
            "is a list of {}, in which nothing matches {selector}{}",
            items.len(),
            compared(items.iter(), &segment.text)
        ),
        (_, Json::Object(fields)) => format!(
            "is an object of {} fields, in which nothing matches {selector}{}",
            fields.len(),
            compared(fields.values(), &segment.text)
        ),
        (_, other) => format!("is {}", sample(other)),
    }
}

/// What the elements have in the field that a filter compares first: `; name is "a", "b"`.
fn compared<'a>(elements: impl Iterator<Item = &'a Json>, filter: &str) -> String {
    let Some((_, behind)) = filter.split_once("@.") else {
        return String::new();
    };
    let end = behind.find(|c: char| !c.is_alphanumeric() && c != '_');
    let (field, operator) = behind.split_at(end.unwrap_or(behind.len()));
    if !operator.trim_start().starts_with("==") {
        return String::new();
    }
    let mut shown = String::new();
    for value in elements.filter_map(|it| it.get(field)) {
        let value = ellipsis(&value.to_string(), limits::SAMPLE_CHARS);
        if shown.len() + value.len() > limits::SAMPLE_CHARS && !shown.is_empty() {
            shown += ", …";
            break;
        }
        if !shown.is_empty() {
            shown += ", ";
        }
        shown += &value;
    }
    match shown.as_str() {
        "" => format!("; none has {field}"),
        _ => format!("; {field} is {shown}"),
    }
}

fn shown(place: &str) -> String {
    match place {
        "" => "the response".to_owned(),
        _ => ellipsis(place, limits::POINTER_CHARS),
    }
}

fn instead(json: &Json, segment: &str) -> String {
    match json {
        Json::Object(fields) if fields.is_empty() => "is an empty object".to_owned(),
        Json::Object(fields) => format!("has {}", names(fields, &unescape(segment))),
        Json::Array(items) if items.is_empty() => "is an empty list".to_owned(),
        Json::Array(_) if position(segment).is_none() => {
            "is a list, whose positions count from 0".to_owned()
        }
        Json::Array(items) => format!("is a list that ends with {}", items.len() - 1),
        other => format!("is {}", sample(other)),
    }
}

/// The field that differs only in case or is the attribute of that name, else the first ones.
fn names(fields: &Map<String, Json>, wanted: &str) -> String {
    let is_near = |name: &&String| name.trim_start_matches('@').eq_ignore_ascii_case(wanted);
    if let Some(near) = fields.keys().find(is_near) {
        return ellipsis(&escape(near), limits::SAMPLE_CHARS);
    }
    let mut shown = String::new();
    for name in fields.keys() {
        let name = ellipsis(&escape(name), limits::SAMPLE_CHARS);
        if !shown.is_empty() {
            shown += ", ";
            if shown.len() + name.len() > 2 * limits::SAMPLE_CHARS {
                return shown + "…";
            }
        }
        shown += &name;
    }
    shown
}

/// RFC 6901: digits without a leading zero.
fn position(segment: &str) -> Option<usize> {
    let is_position = segment.bytes().all(|byte| byte.is_ascii_digit())
        && (segment == "0" || !segment.starts_with('0'));
    is_position.then(|| segment.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_where_a_pointer_leaves_the_response_is_described() {
        let body = serde_json::json!({
            "ENERGY": {"Total": 1, "Power": 2},
            "list": [{"@id": 1}, {"a/b": 2}],
            "none": {}, "empty": [],
        });
        let cases = [
            ("/ENERGY/power", "nothing: /ENERGY has Power"),
            ("/ENERGY/Volt/x", "nothing: /ENERGY has Power, Total"),
            ("/energy/Power", "nothing: the response has ENERGY"),
            ("/ENERGY/Power/now", "nothing: /ENERGY/Power is 2"),
            (
                "/list/id",
                "nothing: /list is a list, whose positions count from 0",
            ),
            (
                "/list/-1/id",
                "nothing: /list is a list, whose positions count from 0",
            ),
            ("/list/2/id", "nothing: /list is a list that ends with 1"),
            ("/list/0/id", "nothing: /list/0 has @id"),
            ("/list/1/b", "nothing: /list/1 has a~1b"),
            ("/none/x", "nothing: /none is an empty object"),
            ("/empty/0", "nothing: /empty is an empty list"),
        ];
        for (pointer, expected) in cases {
            assert_eq!(body.pointer(pointer), None, "{pointer}");
            assert_eq!(describe_missing(&body, pointer), expected, "{pointer}");
        }
        let many: Map<String, Json> = (0..500).map(|n| (format!("field{n}"), n.into())).collect();
        let found = describe_missing(&Json::Object(many), "/x");
        assert!(
            found.starts_with("nothing: the response has field0, ") && found.ends_with(", …"),
            "{found}"
        );
        assert!(found.len() < 150, "{found}");
    }
}
