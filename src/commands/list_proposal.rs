//! Lines for `[source.records]` that `main-node pick` proposes for lists: with the times of their
//! elements.

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::domain::normalise::read_time;
use crate::domain::time::Wall;
use crate::domain::toml_text::{bare_or_quoted, quoted_path};
use crate::domain::value_path::{LocatedValue, ValuePath, escape, last_name, unescape};

/// The lines for one list.
pub fn of_list(path: &ValuePath, list: &LocatedValue<'_>, tree: &Json) -> String {
    let at = quoted_path(path.as_str());
    let first = list.value.get(0);
    if first.is_some_and(|it| it.is_object() || it.is_array()) {
        let elements = match path {
            ValuePath::JsonPath(path) => format!("{}[*]", path.as_str()),
            ValuePath::Pointer(pointer) => json_path_of(pointer),
        };
        return format!(
            "# {at} is a list: {} finds its elements, [-1] the last one",
            quoted_path(&elements)
        );
    }
    let key = bare_or_quoted(&name_of(&list.pointer));
    match times_beside(list, tree) {
        Some(times) => format!(
            "{key} = {{ at = {at}, times_at = {}, element_time = true }}\n\
             # or the one that is now: now = true; or the newest: newest_by = true",
            quoted_path(&times)
        ),
        None => format!(
            "# {at} is a list: choose an element by a position or a filter, or make one number of all:\n\
             # {key} = {{ at = {at}, aggregate = \"mean\" }}"
        ),
    }
}

/// A JSONPath of the elements of the list at a JSON Pointer.
fn json_path_of(pointer: &str) -> String {
    let mut path = String::from("$");
    for segment in pointer.split('/').skip(1) {
        let name = unescape(segment);
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            path += &format!("[{name}]");
        } else if is_plain && !name.starts_with(|c: char| c.is_ascii_digit()) {
            path += &format!(".{name}");
        } else {
            path += &quoted_name(&name);
        }
    }
    path + "[*]"
}

/// The same of a field of each element.
pub fn json_path_of_field(pointer: &str, name: &str) -> String {
    json_path_of(pointer) + &quoted_name(name)
}

fn quoted_name(name: &str) -> String {
    format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The pointer of a list of as many times, beside a list.
fn times_beside(list: &LocatedValue<'_>, tree: &Json) -> Option<String> {
    let count = list.value.as_array()?.len();
    let (parent, _) = list.pointer.rsplit_once('/')?;
    let fields = tree.pointer(parent)?.as_object()?;
    let (name, _) = fields.iter().find(|(_, field)| {
        let times = field.as_array().filter(|times| times.len() == count);
        times.is_some_and(|times| !times.is_empty() && times.iter().all(is_time))
    })?;
    let pointer = format!("{parent}/{}", escape(name));
    (pointer != list.pointer).then_some(pointer)
}

/// A line for several elements as one key, if they have a time.
pub fn timed(each: &str, name: &str, at: &str, element: &Json) -> String {
    let Json::Object(fields) = element else {
        return String::new();
    };
    let times = fields.iter().filter(|it| it.0 != name);
    let times = times.filter_map(|(name, value)| Some((time_of(value)?, name)));
    // Of a begin and an end it is the begin.
    times.min().map_or_else(String::new, |(_, time)| {
        format!(
            "\n# or the newest: {} = {{ each = {}, at = {}, newest_by = {} }}\n\
             # or the one that is now: now = …; or all at their times: element_time = …",
            bare_or_quoted(name),
            quoted_path(each),
            quoted_path(at),
            quoted_path(&format!("/{}", escape(time)))
        )
    })
}

fn time_of(value: &Json) -> Option<Wall> {
    read_time(Some(value), &TimeZone::UTC).ok()
}

fn is_time(value: &Json) -> bool {
    time_of(value).is_some()
}

fn name_of(pointer: &str) -> String {
    match last_name(pointer) {
        name if name.is_empty() => "value".to_owned(),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_proposed_with_its_times() {
        let tree = json!({
            "hourly": {"time": ["2026-11-29T10:00", "2026-11-29T11:00"], "t 2m": [1.5, 2], "short": [1]},
            "rate$": [1], "at$": [1_795_946_400],
            "data": [{"end": 1_795_950_000, "start": 1_795_946_400, "p": 5}],
        });
        for (path, expected) in [
            (
                "/hourly/t 2m",
                "\"t 2m\" = { at = \"/hourly/t 2m\", times_at = \"/hourly/time\", element_time = true }\n\
                 # or the one that is now: now = true; or the newest: newest_by = true",
            ),
            (
                "/hourly/short",
                "# \"/hourly/short\" is a list: choose an element by a position or a filter, or make one \
                 number of all:\n# short = { at = \"/hourly/short\", aggregate = \"mean\" }",
            ),
            (
                "/rate$",
                "\"rate$\" = { at = \"/rate$$\", times_at = \"/at$$\", element_time = true }\n\
                 # or the one that is now: now = true; or the newest: newest_by = true",
            ),
            (
                "/data",
                "# \"/data\" is a list: \"$.data[*]\" finds its elements, [-1] the last one",
            ),
            (
                "$.data",
                "# \"$.data\" is a list: \"$.data[*]\" finds its elements, [-1] the last one",
            ),
        ] {
            let path = ValuePath::parse(path).expect(path);
            let list = path.find(&tree).expect("one").expect("a value");
            assert_eq!(of_list(&path, &list, &tree), expected);
        }
        assert_eq!(json_path_of("/a/0/b c/it's"), "$.a[0]['b c']['it\\'s'][*]");
        assert_eq!(
            timed("$.data[*]", "p", "/p", &tree["data"][0]),
            "\n# or the newest: p = { each = \"$.data[*]\", at = \"/p\", newest_by = \"/start\" }\n\
             # or the one that is now: now = …; or all at their times: element_time = …"
        );
        assert_eq!(timed("$.data[*]", "p", "/p", &json!({"p": 5, "id": 7})), "");
    }
}
