//! Options that have one text, or several, and may come from the environment.

use std::time::Duration;

use super::reader::{Item, Reader, Table};
use crate::domain::time::parse_duration;

/// A top-level option's text and where it stands, for messages.
pub struct Setting {
    pub text: String,
    place: Place,
}

enum Place {
    File(std::ops::Range<usize>),
    Elsewhere(String),
}

impl Setting {
    pub fn problem(&self, reader: &Reader<'_>, message: &str) {
        let message = format!("{message}, found {:?}", self.text);
        match &self.place {
            Place::File(span) => reader.problem(span, message),
            Place::Elsewhere(place) => reader.problem_at(place, message),
        }
    }
}

/// A top-level option: the environment's word before the file's.
pub fn option(
    root: &mut Table<'_>,
    reader: &Reader<'_>,
    key: &'static str,
    variable: &str,
) -> Option<Setting> {
    options(root, reader, key, variable).into_iter().next()
}

/// A top-level option that may be a list; in a variable, commas separate.
pub fn options(
    root: &mut Table<'_>,
    reader: &Reader<'_>,
    key: &'static str,
    variable: &str,
) -> Vec<Setting> {
    let item = root.get(key);
    if let Some((text, place)) = reader.environment.lookup(variable) {
        return split_list(&text, &place);
    }
    let texts = item.as_ref().map(Item::texts).unwrap_or_default();
    texts
        .into_iter()
        .map(|(text, span)| Setting {
            text,
            place: Place::File(span),
        })
        .collect()
}

pub fn split_list(text: &str, place: &str) -> Vec<Setting> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| Setting {
            text: part.to_owned(),
            place: Place::Elsewhere(place.to_owned()),
        })
        .collect()
}

pub fn duration_option(
    root: &mut Table<'_>,
    reader: &Reader<'_>,
    key: &'static str,
    variable: &str,
) -> Option<Duration> {
    let setting = option(root, reader, key, variable)?;
    let duration = parse_duration(&setting.text);
    if duration.is_none() {
        setting.problem(
            reader,
            "expected a duration such as \"30s\", \"1m\" or \"30d\"",
        );
    }
    duration
}

/// What can be read of a list; of each that cannot, the problem.
pub fn parsed<T>(
    settings: Vec<Setting>,
    reader: &Reader<'_>,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let one = |setting: Setting| {
        let value = parse(&setting.text);
        if value.is_none() {
            setting.problem(reader, expected);
        }
        value
    };
    settings.into_iter().filter_map(one).collect()
}
