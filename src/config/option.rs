//! Option text and its location: from the file, a flag or an environment variable.

use crate::domain::text::parse_duration;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::problem::Severity;
use super::reader::{ConfigReader, TableEntry};
use crate::domain::quota::Quota;
use crate::sys::time_zone;

/// One text of an option with its location, for messages.
pub struct OptionText {
    pub text: String,
    location: OptionLocation,
}

enum OptionLocation {
    File(Range<usize>),
    Elsewhere(String),
}

impl OptionText {
    pub fn problem(&self, reader: &ConfigReader<'_>, message: &str) {
        let message = format!("{message}, found {:?}", self.text);
        self.problem_without_text(reader, &message);
    }

    /// A problem with a text that must not be shown.
    pub fn problem_without_text(&self, reader: &ConfigReader<'_>, message: &str) {
        match &self.location {
            OptionLocation::File(span) => reader.problem(span, message),
            OptionLocation::Elsewhere(location) => reader.problem_at(location, message),
        }
    }

    pub fn remark(&self, reader: &ConfigReader<'_>, message: &str) {
        match &self.location {
            OptionLocation::File(span) => reader.remark(Severity::Note, span, message),
            OptionLocation::Elsewhere(location) => {
                reader.remark_at(Severity::Note, location, message);
            }
        }
    }

    /// The texts of an option in the file, which is a string or a list.
    pub fn of_entry(entry: &TableEntry<'_>) -> Vec<OptionText> {
        entry.texts().into_iter().map(OptionText::in_file).collect()
    }

    /// The same, where whole numbers count as texts.
    pub fn of_entry_or_integer(entry: &TableEntry<'_>, expected: &str) -> Vec<OptionText> {
        let found = entry.texts_or_integers(expected).into_iter();
        found.map(OptionText::in_file).collect()
    }

    fn in_file((text, span): (String, Range<usize>)) -> OptionText {
        OptionText {
            text,
            location: OptionLocation::File(span),
        }
    }

    /// The comma-separated parts of a flag or a variable.
    pub fn split_list(text: &str, location: &str) -> Vec<OptionText> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| OptionText {
                text: part.to_owned(),
                location: OptionLocation::Elsewhere(location.to_owned()),
            })
            .collect()
    }

    pub fn duration(&self, reader: &ConfigReader<'_>) -> Option<Duration> {
        let duration = parse_duration(&self.text);
        if duration.is_none() {
            self.problem(
                reader,
                "expected a duration such as \"30s\", \"1m\" or \"30d\"",
            );
        }
        duration
    }
}

/// Parses every text of a list and reports those that are invalid.
pub fn parse_each<T>(
    texts: Vec<OptionText>,
    reader: &ConfigReader<'_>,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let one = |text: OptionText| {
        let value = parse(&text.text);
        if value.is_none() {
            text.problem(reader, expected);
        }
        value
    };
    texts.into_iter().filter_map(one).collect()
}

/// Networks, or single addresses.
pub fn parse_networks(texts: Vec<OptionText>, reader: &ConfigReader<'_>) -> Vec<IpNet> {
    let expected = "expected a network such as \"192.168.0.0/16\" or \"fd00::/8\", or one address";
    parse_each(texts, reader, expected, |text| {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| address()).ok()
    })
}

/// The time zone of an IANA name.
pub fn parse_zone(name: &str) -> Result<TimeZone, String> {
    time_zone::named(name).ok_or_else(|| {
        "expected the IANA name of a time zone, such as \"Europe/Berlin\"".to_owned()
    })
}

/// Whether a text is allowed as the name of a source or an account.
pub fn is_source_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    !name.is_empty() && name.len() <= 40 && name.chars().all(is_allowed)
}

/// How many requests are allowed in a span of time.
pub fn read_quota(entry: &TableEntry<'_>) -> Option<Quota> {
    let text = entry.text_as(Quota::FORMS)?;
    let quota = text.parse().ok();
    if quota.is_none() {
        entry.expected(Quota::FORMS);
    }
    quota
}

/// What is wrong with a quota that allows fewer requests than one fetch may take.
pub fn fetch_beyond_quota(quota: Quota, pages: u32) -> Option<String> {
    let most = quota.count();
    (most < pages).then(|| {
        format!(
            "quota: one fetch may take {pages} requests, one for each page, and the quota allows \
             {quota}: set `pages` to {most} or less"
        )
    })
}
