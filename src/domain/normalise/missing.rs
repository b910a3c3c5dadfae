//! What a response has instead, where a JSON Pointer leads to nothing.

use serde_json::{Map, Value as Json};

use super::sample;
use crate::domain::text::ellipsis;
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

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// As it is written in a JSON Pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
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
