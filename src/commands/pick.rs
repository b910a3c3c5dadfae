//! `main-node pick`: tries a JSONPath on a response of one source, and prints what it finds and the
//! line for `[source.records]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{FAILED, USAGE_ERROR, list_proposal, load_config, print_out};
use crate::config::{Config, Overrides, SourceTarget};
use crate::domain::json_path::SegmentKind;
use crate::domain::normalise::{describe_missing_value, number_option, tells_elements_apart};
use crate::domain::placeholder::PlaceholderTime;
use crate::domain::plan::{Numbers, RecordSelector, Selection};
use crate::domain::text::shorten;
use crate::domain::toml_text::{bare_or_quoted, quoted, quoted_path};
use crate::domain::value_path::{LocatedValue, ValuePath, escape, last_name, locate, unescape};
use crate::limits;
use crate::node::sources;
use crate::sys::clock::{Clock, SystemClock};
use openapi::operation::nearest;

pub fn pick(overrides: &Overrides, path: &str, source: &str) -> u8 {
    let parsed = match read_path(path) {
        Ok(parsed) => parsed,
        Err(message) => {
            eprintln!("{message}");
            return USAGE_ERROR;
        }
    };
    let mut config = match load_config(overrides) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let index = match find_source(&config, source) {
        Ok(index) => index,
        Err(message) => {
            eprintln!("{message}");
            return USAGE_ERROR;
        }
    };
    match fetch(&mut config, index, &parsed) {
        Ok((text, is_found)) => {
            let printed = print_out(&text);
            if is_found { printed } else { FAILED }
        }
        Err(message) => {
            eprintln!("{source}: {message}");
            FAILED
        }
    }
}

fn read_path(text: &str) -> Result<ValuePath, String> {
    let path = ValuePath::parse(text).map_err(|problem| {
        let before = text.get(..problem.at).unwrap_or_default();
        let blanks = " ".repeat(before.chars().count());
        format!("{text}\n{blanks}^ {}", problem.message)
    })?;
    match path.as_str() {
        pointer if pointer.is_empty() || pointer.starts_with(['/', '$']) => Ok(path),
        other => Err(format!(
            "expected a JSONPath such as '$.list[-1].value' or a JSON Pointer such as /list/0/value, \
             found {other:?}; in a shell a JSONPath needs single quotes"
        )),
    }
}

/// The index of a source that is fetched by its paths.
fn find_source(config: &Config, name: &str) -> Result<usize, String> {
    let names = || config.sources.iter().map(|it| &*it.plan.name);
    let Some(index) = names().position(|it| it == name) else {
        let near = nearest(name, names()).map(|near| format!("; did you mean {near}?"));
        let all: Vec<&str> = names().collect();
        return Err(format!(
            "there is no source {name:?}{}\nSources: {}",
            near.unwrap_or_default(),
            all.join(", ")
        ));
    };
    match config.sources[index].target {
        SourceTarget::Follow { .. } => Err(format!(
            "{name} is another main-node, whose keys are taken as they are: nothing is selected"
        )),
        _ => Ok(index),
    }
}

/// What the path finds in a response, as text without secrets, and whether it finds anything.
fn fetch(config: &mut Config, index: usize, path: &ValuePath) -> Result<(String, bool), String> {
    // In XML it depends on what is read whether an element is a list.
    let plan = &mut config.sources[index].plan;
    let record = RecordSelector::new("value", path.clone());
    plan.selection = Selection::Selectors(vec![record]);
    let numbers = plan.numbers;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut filled = path.clone();
    filled.fill(&PlaceholderTime {
        wall: clock.now().wall,
        zone: plan.placeholder_zone.clone(),
    });
    let fetcher = sources::fetchers(config, &clock)?.into_iter().nth(index);
    let mut fetcher = fetcher.ok_or_else(|| "it has no fetcher".to_owned())?;
    match fetcher.fetch_tree() {
        Ok(tree) => {
            let (text, is_found) = describe(path, &filled, &tree, numbers);
            Ok((fetcher.mask(&text), is_found))
        }
        Err(failure) => {
            let text = format!("{}: {}", failure.cause.name(), failure.detail);
            Err(fetcher.mask(&text))
        }
    }
}

fn describe(path: &ValuePath, filled: &ValuePath, tree: &Json, numbers: Numbers) -> (String, bool) {
    let found = match filled {
        ValuePath::Pointer(_) => filled.find(tree).ok().flatten().into_iter().collect(),
        ValuePath::JsonPath(path) => locate(tree, path, path.select(tree).into_iter()),
    };
    if found.is_empty() {
        return (format!("{}\n", describe_missing_value(tree, filled)), false);
    }
    let shown = found.iter().take(limits::PICKED_VALUES_SHOWN);
    let rows: Vec<(String, String)> = shown
        .map(|it| {
            let place = match it.pointer.as_str() {
                "" => "(the response)",
                pointer => pointer,
            };
            let value = shorten(&it.value.to_string(), limits::RESPONSE_SAMPLE_CHARS);
            (shorten(place, limits::POINTER_CHARS), value)
        })
        .collect();
    let width = rows
        .iter()
        .map(|row| row.0.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (place, value) in &rows {
        text += &format!("{place:<width$}  {value}\n");
    }
    if found.len() > rows.len() {
        text += &format!("… and {} more\n", found.len() - rows.len());
    }
    let lines = propose(path, &found, tree, numbers);
    text += &format!("\n[source.records]\n{lines}\n");
    (text, true)
}

/// The lines for `[source.records]` that read what the path finds.
pub fn propose(
    path: &ValuePath,
    found: &[LocatedValue<'_>],
    tree: &Json,
    numbers: Numbers,
) -> String {
    match found {
        [one] => one_record(path, one, tree, numbers),
        several => record_of_each(path, several, tree, numbers),
    }
}

/// The line for one value.
fn one_record(path: &ValuePath, found: &LocatedValue<'_>, tree: &Json, numbers: Numbers) -> String {
    let key = bare_or_quoted(&key_of(&found.pointer));
    let at = quoted_path(path.as_str());
    match found.value {
        Json::Number(_) | Json::Bool(_) | Json::String(_) => match options_of(found.value, numbers)
        {
            options if options.is_empty() => format!("{key} = {at}"),
            options => format!("{key} = {{ at = {at}{options} }}"),
        },
        Json::Null => format!("{key} = {at}  # null now"),
        Json::Array(_) => list_proposal::of_list(path, found, tree),
        Json::Object(fields) => match fields.iter().find(|it| is_reading(it.1)) {
            Some((name, _)) => format!("# {at} is an object: choose a field, such as {name}"),
            None => format!("# {at} is an object: choose a field"),
        },
    }
}

/// What a record needs beside `at` to read a value: `, decimal = ","`.
fn options_of(value: &Json, numbers: Numbers) -> String {
    let Json::String(text) = value else {
        return String::new();
    };
    match number_option(text, numbers) {
        Some(None) => String::new(),
        Some(Some(decimal)) => format!(", decimal = {}", quoted(decimal.name())),
        None => ", text = true".to_owned(),
    }
}

/// The same for values that one record reads.
fn options_of_all(found: &[LocatedValue<'_>], numbers: Numbers) -> String {
    let options = found.iter().map(|it| options_of(it.value, numbers));
    let options: BTreeSet<String> = options.filter(|it| !it.is_empty()).collect();
    let text = options.iter().find(|it| it.contains("text"));
    // A comma decides: texts without a fraction are the same with a point.
    text.or(options.first()).cloned().unwrap_or_default()
}

/// The line for several values: one record of each.
fn record_of_each(
    path: &ValuePath,
    found: &[LocatedValue<'_>],
    tree: &Json,
    numbers: Numbers,
) -> String {
    // Of $.list[*].value the elements are those of $.list[*].
    if let ValuePath::JsonPath(path) = path
        && let Some((last, before)) = path.segments().split_last()
        && let (SegmentKind::Name(name), false) = (&last.kind, last.is_descendant)
        && let Some(parent) = path.prefix(before.len())
        && let Some(element) = parent.select(tree).first()
    {
        let inside = match found.first().map(|it| it.value) {
            Some(Json::Array(_)) => Some(("a list", "[0]")),
            Some(Json::Object(_)) => Some(("an object", ".NAME")),
            _ => None,
        };
        if let Some((what, next)) = inside {
            let deeper = quoted_path(&format!("{}{next}", path.as_str()));
            return format!("# each is {what}: go on to a value, such as {deeper}");
        }
        let at = format!("/{}", escape(name));
        let options = options_of_all(found, numbers);
        let timed = list_proposal::timed(parent.as_str(), name, &at, element);
        let each = ValuePath::JsonPath(Box::new(parent));
        let key = format!("{}{name}", element_key(&each, tree));
        return each_line(each.as_str(), &key, &at, &options) + &timed;
    }
    let Some(LocatedValue {
        value: Json::Object(fields),
        ..
    }) = found.first()
    else {
        let names: BTreeSet<String> = found.iter().map(|it| last_name(&it.pointer)).collect();
        if names.len() < found.len() {
            return "# several values: choose one by a position or a filter".to_owned();
        }
        let name = found
            .first()
            .map_or_else(String::new, |it| key_of(&it.pointer));
        let options = options_of_all(found, numbers);
        return each_line(path.as_str(), &format!("{name}.{{#}}"), "", &options);
    };
    let element = Json::Object(fields.clone());
    let key = element_key(path, tree);
    let is_other = |name: &str| key != format!("{{{name}}}.");
    let value = fields.iter().find(|it| is_reading(it.1) && is_other(it.0));
    let value = value.map_or("field", |it| it.0.as_str());
    let at = format!("/{}", escape(value));
    let line = each_line(path.as_str(), &format!("{key}{value}"), &at, "");
    line + &list_proposal::timed(path.as_str(), value, &at, &element)
}

fn each_line(each: &str, key: &str, at: &str, options: &str) -> String {
    let (key, each, at) = (quoted(key), quoted_path(each), quoted_path(at));
    format!("{key} = {{ each = {each}, at = {at}{options} }}")
}

/// The begin of a key that tells the elements of `each` apart: by a name of theirs or of what is
/// around them, else by their position.
fn element_key(each: &ValuePath, tree: &Json) -> String {
    let names = ["name", "id", "key", "title", "label", "#"];
    let own = names.map(|name| format!("{{{name}}}."));
    let around = names.map(|name| format!("{{../{name}}}."));
    let both = around
        .iter()
        .flat_map(|around| own.iter().map(move |own| format!("{around}{own}")));
    let mut templates = own.iter().chain(&around).cloned().chain(both);
    templates
        .find(|template| tells_elements_apart(template, tree, each))
        .unwrap_or_else(|| "{#}.".to_owned())
}

fn is_reading(value: &Json) -> bool {
    value.is_number() || value.is_boolean()
}

/// The last name on the way to a value.
fn key_of(pointer: &str) -> String {
    let mut names = pointer.rsplit('/');
    let name = names.find(|it| !it.is_empty() && it.parse::<usize>().is_err());
    let name = unescape(name.unwrap_or("value"));
    shorten(&name, limits::SAMPLE_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_found_is_printed_with_the_line_to_paste() {
        let tree = json!({
            "rooms": [
                {"id": "attic", "s": [{"n": "t", "v": 20}, {"n": "h", "v": 40}]},
                {"id": "hall", "s": [{"n": "t", "v": 18}]},
            ],
            "checks": [{"name": "door", "status": "UP", "ms": 12}, {"name": "gate", "status": "DOWN", "ms": 7}],
            "t/1": 20.50,
            "list": [[1, 2], [3, 4]],
            "named": [{"Names": ["/web"]}, {"Names": ["/db"]}],
        });
        for (path, expected) in [
            (
                "$.checks[?@.name=='gate'].ms",
                "/checks/1/ms  7\n\n[source.records]\nms = \"$.checks[?@.name=='gate'].ms\"\n",
            ),
            (
                "$.checks[-1].status",
                "/checks/1/status  \"DOWN\"\n\n[source.records]\n\
                 status = { at = \"$.checks[-1].status\", text = true }\n",
            ),
            (
                "/t~11",
                "/t~11  20.5\n\n[source.records]\n\"t/1\" = \"/t~11\"\n",
            ),
            (
                "$.checks[*]",
                "/checks/0  {\"ms\":12,\"name\":\"door\",\"status\":\"UP\"}\n\
                 /checks/1  {\"ms\":7,\"name\":\"gate\",\"status\":\"DOWN\"}\n\n[source.records]\n\
                 \"{name}.ms\" = { each = \"$.checks[*]\", at = \"/ms\" }\n",
            ),
            (
                "$.named[*].Names",
                "/named/0/Names  [\"/web\"]\n/named/1/Names  [\"/db\"]\n\n[source.records]\n\
                 # each is a list: go on to a value, such as \"$.named[*].Names[0]\"\n",
            ),
            (
                "$.checks[*].ms",
                "/checks/0/ms  12\n/checks/1/ms  7\n\n[source.records]\n\
                 \"{name}.ms\" = { each = \"$.checks[*]\", at = \"/ms\" }\n",
            ),
            (
                "$.list[0][*]",
                "/list/0/0  1\n/list/0/1  2\n\n[source.records]\n\
                 \"list.{#}\" = { each = \"$.list[0][*]\", at = \"\" }\n",
            ),
            (
                "$.rooms[*].s[*].v",
                "/rooms/0/s/0/v  20\n/rooms/0/s/1/v  40\n/rooms/1/s/0/v  18\n\n[source.records]\n\
                 \"{../id}.{#}.v\" = { each = \"$.rooms[*].s[*]\", at = \"/v\" }\n",
            ),
            (
                "$.rooms[*].s[?@.n=='t']",
                "/rooms/0/s/0  {\"n\":\"t\",\"v\":20}\n/rooms/1/s/0  {\"n\":\"t\",\"v\":18}\n\n\
                 [source.records]\n\
                 \"{../id}.v\" = { each = \"$.rooms[*].s[?@.n=='t']\", at = \"/v\" }\n",
            ),
            (
                "$..ms",
                "/checks/0/ms  12\n/checks/1/ms  7\n\n[source.records]\n\
                 # several values: choose one by a position or a filter\n",
            ),
        ] {
            let path = ValuePath::parse(path).expect(path);
            let (text, is_found) = describe(&path, &path, &tree, Numbers::Strict);
            assert_eq!(text, expected);
            assert!(is_found);
        }
        let path = ValuePath::parse("$.checks[?@.name=='dor']").expect("path");
        let (text, is_found) = describe(&path, &path, &tree, Numbers::Strict);
        assert_eq!(
            text,
            "nothing: /checks is a list of 2, in which nothing matches [?@.name=='dor']; name is \
             \"door\", \"gate\"\n"
        );
        assert!(!is_found);
    }

    #[test]
    fn a_text_with_a_number_is_given_the_option_that_reads_it() {
        let tree = json!({
            "price": "12.5 kWh", "comma": "1.234,5", "both": "1,234", "serial": "84f3eb12", "day": "2026-11-29",
            "list": [{"id": "a", "v": "230"}, {"id": "b", "v": "230,1"}, {"id": "c", "v": "off"}],
        });
        let strict = [
            ("$.price", "price = { at = \"$.price\", decimal = \".\" }"),
            ("$.comma", "comma = { at = \"$.comma\", decimal = \",\" }"),
            ("$.both", "both = { at = \"$.both\", text = true }"),
            ("$.serial", "serial = { at = \"$.serial\", text = true }"),
            ("$.day", "day = { at = \"$.day\", text = true }"),
            (
                "$.list[:2].v",
                "\"{id}.v\" = { each = \"$.list[:2]\", at = \"/v\", decimal = \",\" }",
            ),
            (
                "$.list[*].v",
                "\"{id}.v\" = { each = \"$.list[*]\", at = \"/v\", text = true }",
            ),
        ];
        let lenient = [
            ("$.price", "price = \"$.price\""),
            ("$.comma", "comma = { at = \"$.comma\", decimal = \",\" }"),
            (
                "$.list[:2].v",
                "\"{id}.v\" = { each = \"$.list[:2]\", at = \"/v\" }",
            ),
        ];
        let cases = strict.iter().map(|it| (Numbers::Strict, it));
        for (numbers, (path, line)) in cases.chain(lenient.iter().map(|it| (Numbers::Lenient, it)))
        {
            let path = ValuePath::parse(path).expect(path);
            let (text, _) = describe(&path, &path, &tree, numbers);
            assert_eq!(text.lines().last(), Some(*line), "{numbers:?}");
        }
    }

    #[test]
    fn a_path_that_is_none_is_shown_with_its_place() {
        assert_eq!(
            read_path("$.list[?@.a==1 &&]").expect_err("no path"),
            format!(
                "$.list[?@.a==1 &&]\n{}^ no JSONPath (RFC 9535): from \"]\" on, in brackets",
                " ".repeat(17)
            )
        );
        assert!(
            read_path("list.value")
                .expect_err("no path")
                .contains("single quotes")
        );
        assert!(read_path("").is_ok() && read_path("$").is_ok());
    }
}
