//! Value of a configuration with its key and location, read as each type.

use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::ConfigReader;
use super::table::TableReader;
use crate::config::device::Device;
use crate::config::other_names;
use crate::config::problem::Severity;
use crate::config::secret::Secret;
use crate::domain::compact_sort::CompactSort;
use crate::domain::redact::MASK;
use crate::domain::secret_detection::is_secret_name;
use crate::domain::text::parse_duration;

/// Header fields that never carry credentials.
const HARMLESS_HEADERS: [&str; 7] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "user-agent",
];

pub fn is_harmless_header(name: &str) -> bool {
    HARMLESS_HEADERS
        .iter()
        .any(|it| name.eq_ignore_ascii_case(it))
}

/// One value with its key and location.
#[derive(Clone)]
pub struct TableEntry<'a> {
    pub(super) reader: &'a ConfigReader<'a>,
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: &'a Spanned<DeValue<'a>>,
    /// Messages do not show its value.
    pub(super) is_secret: bool,
    /// The device whose value `{device}` is.
    pub(super) device: Option<Rc<Device>>,
}

impl<'a> TableEntry<'a> {
    pub fn reader(&self) -> &'a ConfigReader<'a> {
        self.reader
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }

    pub fn key_span(&self) -> Range<usize> {
        self.key_span.clone()
    }

    pub fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// Reports what was expected and what was found.
    pub fn expected(&self, what: &str) {
        let key = self.shown_key();
        let message = format!("{key}: expected {what}, found {}", self.describe_value());
        self.reader.problem(&self.span(), message);
    }

    fn shown_key(&self) -> &str {
        // A whole header instead of a name.
        let is_name = !self.is_secret || !self.key.contains([' ', ':', '=']);
        if is_name { &self.key } else { MASK }
    }

    pub fn problem(&self, message: impl Into<String>) {
        self.reader.problem(&self.span(), message);
    }

    /// Reports a problem at a place in its text: where `part` stands for the time after `nth`
    /// others.
    pub fn problem_in_text(&self, part: &str, nth: usize, message: impl Into<String>) {
        let span = self.span();
        let written = self.reader.text.get(span.clone()).unwrap_or_default();
        // A variable may hold it.
        let at = written.match_indices(part).nth(nth).map_or(0, |it| it.0);
        let message = format!("{}: {}", self.shown_key(), message.into());
        self.reader.problem(&(span.start + at..span.end), message);
    }

    /// Adds a remark about it, which does not make the configuration invalid.
    pub fn remark(&self, severity: Severity, message: impl Into<String>) {
        self.reader.remark(severity, &self.key_span, message);
    }

    /// Registers this text as a secret.
    pub fn add_secret(&self, text: impl Into<String>) {
        self.reader.add_secret(text);
    }

    /// Reports a table inside this one, where only options named in `tables` are tables: a key with a
    /// dot lacks its quotes. `heading` spells the heading of the table of a key. One in braces that
    /// has the name of an option is its value.
    pub fn has_unquoted_key(
        &self,
        tables: &[&str],
        options: &[&str],
        heading: fn(&str) -> String,
    ) -> bool {
        let text = self.reader.text;
        let is_in_braces = |span: Range<usize>| text[span.start..].starts_with('{');
        let (mut name, mut value) = (self.key.clone(), self.value());
        let mut first_span = None;
        while let DeValue::Table(inner) = value
            && let Some((part, below)) = inner.iter().find(|(part, below)| {
                let part: &str = part.get_ref();
                below.get_ref().is_table()
                    && !tables.contains(&part)
                    && !(options.contains(&part) && is_in_braces(below.span()))
            })
        {
            first_span.get_or_insert(part.span());
            name = format!("{name}.{}", part.get_ref());
            value = below.get_ref();
        }
        if let Some(span) = &first_span {
            let message = format!("a key with a dot needs quotes: {}", heading(&name));
            self.reader.problem(span, message);
        }
        first_span.is_some()
    }

    /// What was found, which is shown unless it is a secret.
    pub fn found(&self, is_secret: bool) -> String {
        let entry = TableEntry {
            is_secret,
            ..self.clone()
        };
        entry.describe_value()
    }

    fn describe_value(&self) -> String {
        match self.value.get_ref() {
            DeValue::String(_) if self.is_secret => "a text".to_owned(),
            DeValue::Integer(_) | DeValue::Float(_) if self.is_secret => "a number".to_owned(),
            DeValue::Datetime(_) if self.is_secret => "a time".to_owned(),
            DeValue::String(text) => format!("the text {text:?}"),
            DeValue::Integer(integer) => format!("the number {integer}"),
            DeValue::Float(float) => format!("the number {float}"),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Datetime(time) => format!("the time {time}"),
            DeValue::Array(items) => format!("a list of {}", items.len()),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    /// A text with `${NAME}` expanded.
    pub fn text(&self) -> Option<String> {
        self.text_as("a text")
    }

    /// A text that is never shown; the usual type error would show the value.
    pub fn secret(&self) -> Option<Secret> {
        if !matches!(self.value(), DeValue::String(_)) {
            self.problem("expected a text in quotes");
            return None;
        }
        self.text().map(|text| self.reader.secret(text))
    }

    pub fn text_as(&self, what: &str) -> Option<String> {
        match self.value.get_ref() {
            DeValue::String(text) => {
                let device = self.device.as_deref();
                self.reader.expand(text, &self.span(), device)
            }
            _ => {
                self.expected(what);
                None
            }
        }
    }

    /// The same of a text in which a `$` that begins neither `${` nor `$$` is a plain one.
    pub fn text_with_dollars(&self) -> Option<String> {
        let text = self.value().as_str()?;
        let mut escaped = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            escaped += before;
            escaped.push('$');
            match after.strip_prefix('$') {
                Some(after) => {
                    escaped.push('$');
                    rest = after;
                }
                None => {
                    if !after.starts_with('{') {
                        escaped.push('$');
                    }
                    rest = after;
                }
            }
        }
        escaped += rest;
        let device = self.device.as_deref();
        self.reader.expand(&escaped, &self.span(), device)
    }

    /// A text as it is written: `$` has no meaning of ours in it.
    pub fn literal_text(&self, what: &str) -> Option<String> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.expected(what);
        }
        text.map(str::to_owned)
    }

    pub fn duration(&self) -> Option<Duration> {
        const WHAT: &str = "a duration such as \"30s\", \"5m\" or \"1h\"";
        let text = self.text_as(WHAT)?;
        let duration = parse_duration(&text);
        if duration.is_none() {
            self.expected(WHAT);
        }
        duration
    }

    /// The items of a list of numbers; `None` for anything else.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        match self.value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| number(item.get_ref())).collect(),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        let number = number(self.value.get_ref());
        if number.is_none() {
            self.expected("a number");
        }
        number
    }

    pub fn integer(&self, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let integer = match self.value.get_ref() {
            DeValue::Integer(integer) => {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            _ => None,
        };
        let integer = integer.filter(|integer| range.contains(integer));
        if integer.is_none() {
            let (least, most) = range.into_inner();
            self.expected(&format!("a whole number from {least} to {most}"));
        }
        integer
    }

    /// A size in bytes.
    pub fn bytes(&self) -> Option<u64> {
        const WHAT: &str = "a size such as \"512kB\" or \"4MB\", or a number of bytes";
        if matches!(self.value(), DeValue::Integer(_)) {
            return self.integer(1..=1 << 40);
        }
        let text = self.text_as(WHAT)?;
        let units = [
            ("kB", 1_000),
            ("KiB", 1 << 10),
            ("MB", 1_000_000),
            ("MiB", 1 << 20),
        ];
        let bytes = units.iter().find_map(|(unit, factor)| {
            let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            number.checked_mul(*factor).filter(|bytes| *bytes > 0)
        });
        if bytes.is_none() {
            self.expected(WHAT);
        }
        bytes
    }

    pub fn boolean(&self) -> Option<bool> {
        let truth = self.value.get_ref().as_bool();
        if truth.is_none() {
            self.expected("true or false");
        }
        truth
    }

    /// One of the given names.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<String> = choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        let expected = format!("one of {}", names.join(", "));
        let text = self.text_as(&expected)?;
        let chosen = choices.iter().find(|(name, _)| *name == text);
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let meant = other_names::value(&text, &names);
            let meant = meant.map(|it| format!(", here perhaps {it:?}"));
            self.expected(&(expected + &meant.unwrap_or_default()));
        }
        chosen.map(|(_, choice)| *choice)
    }

    /// A text, or a list of texts, each with its location.
    pub fn texts(&self) -> Vec<(String, Range<usize>)> {
        self.texts_as("a text", "a text or a list of texts")
    }

    /// The same, where whole numbers count as texts.
    pub fn texts_or_integers(&self, expected: &str) -> Vec<(String, Range<usize>)> {
        let one = |item: &TableEntry<'_>| match item.value() {
            DeValue::Integer(integer) => Some((integer.to_string(), item.span())),
            _ => Some((item.text_as(expected)?, item.span())),
        };
        match self.value() {
            DeValue::Array(items) => {
                let items = items.iter();
                items.filter_map(|value| one(&self.item(value))).collect()
            }
            _ => one(self).into_iter().collect(),
        }
    }

    /// An item of this list.
    fn item(&self, value: &'a Spanned<DeValue<'a>>) -> TableEntry<'a> {
        TableEntry {
            value,
            ..self.clone()
        }
    }

    /// The same, with what is expected of each and of all in messages.
    pub fn texts_as(&self, each: &str, all: &str) -> Vec<(String, Range<usize>)> {
        match self.value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .filter_map(|value| {
                    let item = self.item(value);
                    Some((item.text_as(each)?, item.span()))
                })
                .collect(),
            _ => self
                .text_as(all)
                .map(|text| (text, self.span()))
                .into_iter()
                .collect(),
        }
    }

    pub fn table(&self, name: impl Into<String>) -> Option<TableReader<'a>> {
        match self.value.get_ref() {
            DeValue::Table(table) => {
                let span = self.key_span();
                let table = TableReader::new(self.reader, table, span, name);
                Some(TableReader {
                    is_secret: self.is_secret,
                    device: self.device.clone(),
                    ..table
                })
            }
            _ => {
                self.expected("a table");
                None
            }
        }
    }

    /// The entries of a table with arbitrary keys, in file order.
    pub fn entries(&self) -> Vec<TableEntry<'a>> {
        let DeValue::Table(table) = self.value.get_ref() else {
            self.expected(match self.key.as_str() {
                "records" => {
                    "a table [source.records] with lines such as temperature = \"/current/temperature\""
                }
                "map" => "a table such as { on = 1, off = 0 }",
                "derived" => "tables [derived.NAME]",
                "key" => "tables [key.\"NAME\"]",
                "words" => "a table such as { 0 = \"Off\", 1 = \"On\" }",
                "rows" | "columns" => "a table such as { living_room = \"Living room\" }",
                _ => "a table such as { NAME = \"value\" }",
            });
            return Vec::new();
        };
        let mut entries: Vec<TableEntry> = table
            .iter()
            .map(|(key, value)| TableEntry {
                reader: self.reader,
                key: key.get_ref().to_string(),
                key_span: key.span(),
                value,
                is_secret: match self.key.as_str() {
                    // Most parameters are no secrets, and the value shows a typing error.
                    "params" => is_secret_name(key.get_ref()),
                    "headers" => self.is_secret && !is_harmless_header(key.get_ref()),
                    _ => self.is_secret,
                },
                device: self.device.clone(),
            })
            .collect();
        entries.compact_sort_by_key(|entry| entry.key_span.start);
        entries
    }

    /// The items of an array of tables (`[[name]]`).
    pub fn tables(&self) -> Vec<TableEntry<'a>> {
        match self.value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .map(|value| TableEntry {
                    key_span: value.span(),
                    value,
                    ..self.clone()
                })
                .collect(),
            _ => {
                let heading = format!("[[{}]]", self.key);
                self.expected(&format!("a list of tables, each under a heading {heading}"));
                Vec::new()
            }
        }
    }
}

/// A finite number.
fn number(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        DeValue::Integer(integer) => integer.as_str().parse::<f64>().ok(),
        DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}
