//! Lines for `[source.records]` of what a response has, to choose from.
//!
//! Pure.

use serde_json::Value as Json;

use crate::commands::list_proposal::json_path_of_field;
use crate::commands::pick;
use crate::domain::normalise::find_origins;
use crate::domain::plan::{Numbers, ResponseFormat, Selection, SourcePlan};
use crate::domain::toml_text::{bare_or_quoted, quoted, quoted_path};
use crate::domain::value_path::{ValuePath, escape, locate};
use crate::limits;
use crate::sys::time_zone;

/// A response, and how it is read.
pub struct ResponseSample {
    pub format: ResponseFormat,
    pub numbers: Numbers,
    pub tree: Json,
}

impl ResponseSample {
    /// Texts are read as numbers only where a response has no other numbers.
    pub fn new(format: ResponseFormat, tree: Json) -> ResponseSample {
        let mut sample = ResponseSample {
            format,
            numbers: Numbers::Strict,
            tree,
        };
        if sample.records().is_empty() {
            sample.numbers = Numbers::Lenient;
            if sample.records().is_empty() {
                sample.numbers = Numbers::Strict;
            }
        }
        sample
    }

    /// Whether the response is one number.
    pub fn is_one_value(&self) -> bool {
        let is_texts = self.numbers == Numbers::Lenient;
        self.tree.is_number() || self.tree.is_boolean() || is_texts && self.tree.is_string()
    }

    /// The time zone of the place, as a weather service names it.
    pub fn zone(&self) -> Option<&str> {
        let zone = self.tree.get("timezone")?.as_str()?;
        time_zone::named(zone).is_some().then_some(zone)
    }

    /// The lines for the numbers outside lists, then for those of lists.
    pub fn lines(&self) -> Vec<String> {
        let lists = lists(&self.tree);
        let is_in_list = |pointer: &str| {
            let mut lists = lists.iter();
            lists.any(|list| {
                pointer
                    .strip_prefix(&**list)
                    .is_some_and(|it| it.starts_with('/'))
            })
        };
        let own = self
            .records()
            .into_iter()
            .filter(|(_, pointer)| !is_in_list(pointer));
        let mut lines: Vec<String> = own.map(|(key, pointer)| line(&key, &pointer)).collect();
        for list in lists.iter().take(limits::INIT_LISTS) {
            for line in self.lines_of_list(list) {
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        lines
    }

    /// A line for each number of the elements.
    fn lines_of_list(&self, pointer: &str) -> Vec<String> {
        let first = self.tree.pointer(pointer).and_then(|list| list.get(0));
        let fields = first.and_then(Json::as_object).into_iter().flatten();
        let mut lines = Vec::new();
        for (name, _) in fields.filter(|it| it.1.is_number() || it.1.is_boolean()) {
            if let Ok(path) = ValuePath::parse(&json_path_of_field(pointer, name))
                && let ValuePath::JsonPath(json_path) = &path
            {
                let nodes = json_path.select(&self.tree).into_iter();
                let found = locate(&self.tree, json_path, nodes);
                let proposed = pick::propose(&path, &found, &self.tree, self.numbers);
                lines.extend(proposed.lines().map(str::to_owned));
            }
        }
        lines
    }

    fn records(&self) -> Vec<(String, String)> {
        let plan = SourcePlan {
            numbers: self.numbers,
            format: self.format,
            selection: Selection::AllLeaves {
                prefix: String::new(),
            },
            ..SourcePlan::default()
        };
        let origins = find_origins(&plan, &self.tree).first.into_iter();
        origins.map(|it| (it.key.to_string(), it.pointer)).collect()
    }
}

/// The lists of several objects that are in no other one.
fn lists(tree: &Json) -> Vec<String> {
    let mut found = Vec::new();
    collect_lists(tree, &mut String::new(), 0, &mut found);
    found
}

fn collect_lists(json: &Json, pointer: &mut String, depth: usize, found: &mut Vec<String>) {
    match json {
        Json::Array(items) if items.len() > 1 && items.iter().all(Json::is_object) => {
            found.push(pointer.clone());
        }
        Json::Object(fields) if depth < limits::JSON_DEPTH => {
            for (name, child) in fields {
                let end = pointer.len();
                pointer.push('/');
                pointer.push_str(&escape(name));
                collect_lists(child, pointer, depth + 1, found);
                pointer.truncate(end);
            }
        }
        _ => {}
    }
}

fn line(key: &str, pointer: &str) -> String {
    let (name, at) = (bare_or_quoted(key), quoted_path(pointer));
    match unit_of(key) {
        Some(unit) => format!("{name} = {{ at = {at}, unit = {} }}", quoted(unit)),
        None => format!("{name} = {at}"),
    }
}

/// The unit that a name ends with, where that can mean nothing else.
fn unit_of(key: &str) -> Option<&'static str> {
    let name = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    let (before, end) = name.rsplit_once('_')?;
    let certain = UNITS.iter().find(|(ending, quantity, _)| {
        *ending == end && (quantity.is_empty() || before.contains(quantity))
    });
    certain.map(|(_, _, unit)| *unit)
}

/// The end of a name, a word that has to stand before it, the unit.
const UNITS: [(&str, &str, &str); 21] = [
    ("kwh", "", "kWh"),
    ("wh", "", "Wh"),
    ("kw", "", "kW"),
    ("w", "power", "W"),
    ("watt", "", "W"),
    ("watts", "", "W"),
    ("va", "power", "VA"),
    ("var", "power", "var"),
    ("v", "voltage", "V"),
    ("volt", "", "V"),
    ("volts", "", "V"),
    ("a", "current", "A"),
    ("hz", "", "Hz"),
    ("m3", "", "m³"),
    ("hpa", "", "hPa"),
    ("mbar", "", "mbar"),
    ("ppm", "", "ppm"),
    ("lux", "", "lx"),
    ("celsius", "", "°C"),
    ("fahrenheit", "", "°F"),
    ("percent", "", "%"),
];
