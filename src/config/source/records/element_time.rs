//! Options that say where the time of an element is.

use toml::de::DeValue;

use crate::config::reader::TableEntry;
use crate::config::request::value_path::read_value_path;
use crate::config::section::{text, value_path};
use crate::domain::json_path::JsonPath;
use crate::domain::normalise::key_template_problem;
use crate::domain::plan::ElementTime;

pub fn read_time(entry: &TableEntry<'_>) -> Option<ElementTime> {
    match entry.value() {
        DeValue::Boolean(true) => Some(ElementTime::Parallel),
        DeValue::Boolean(false) => None,
        DeValue::String(text) if is_template(text) => {
            let template = entry.text()?;
            match key_template_problem(&template) {
                Some(problem) => {
                    entry.problem(format!("{}: {problem}", entry.key()));
                    None
                }
                None => Some(ElementTime::Template(template)),
            }
        }
        DeValue::String(_) => read_value_path(entry).map(ElementTime::Path),
        _ => {
            entry.expected(
                "where the time is in an element, such as \"/time\", or true with `times_at`",
            );
            None
        }
    }
}

fn is_template(text: &str) -> bool {
    text.contains('{') && !text.starts_with('/') && !JsonPath::is_meant(text)
}

pub fn print_time(time: &ElementTime) -> Option<String> {
    match time {
        ElementTime::Path(path) => value_path(path),
        ElementTime::Template(template) => text(template),
        ElementTime::Parallel => Some("true".to_owned()),
    }
}
