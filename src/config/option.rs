//! Options that have one text, or several, and may come from the environment.

use std::time::Duration;

use super::reader::{ConfigReader, TableEntry, TableReader};
use crate::domain::time::parse_duration;

/// A top-level option's text and where it stands, for messages.
pub struct OptionText {
    pub text: String,
    place: OptionPlace,
}

enum OptionPlace {
    File(std::ops::Range<usize>),
    Elsewhere(String),
}

impl OptionText {
    pub fn problem(&self, reader: &ConfigReader<'_>, message: &str) {
        let message = format!("{message}, found {:?}", self.text);
        match &self.place {
            OptionPlace::File(span) => reader.problem(span, message),
            OptionPlace::Elsewhere(place) => reader.problem_at(place, message),
        }
    }
}

/// A top-level option: the environment's word before the file's.
pub fn option(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
    key: &'static str,
    variable: &str,
) -> Option<OptionText> {
    options(root, reader, key, variable).into_iter().next()
}

/// A top-level option that may be a list; in a variable, commas separate.
pub fn options(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
    key: &'static str,
    variable: &str,
) -> Vec<OptionText> {
    let item = root.get(key);
    if let Some((text, place)) = reader.environment.lookup(variable) {
        return split_list(&text, &place);
    }
    let texts = item.as_ref().map(TableEntry::texts).unwrap_or_default();
    texts
        .into_iter()
        .map(|(text, span)| OptionText {
            text,
            place: OptionPlace::File(span),
        })
        .collect()
}

pub fn split_list(text: &str, place: &str) -> Vec<OptionText> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| OptionText {
            text: part.to_owned(),
            place: OptionPlace::Elsewhere(place.to_owned()),
        })
        .collect()
}

pub fn duration_option(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
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
    settings: Vec<OptionText>,
    reader: &ConfigReader<'_>,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let one = |setting: OptionText| {
        let value = parse(&setting.text);
        if value.is_none() {
            setting.problem(reader, expected);
        }
        value
    };
    settings.into_iter().filter_map(one).collect()
}
