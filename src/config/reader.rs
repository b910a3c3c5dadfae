//! TOML reader that reports every problem with file, line and column.
//!
//! Every value knows its location; an invalid one becomes a [`Problem`] and reading continues,
//! so that one run finds all of them. A table records the option names that were requested;
//! every other name in it is reported as unknown, with the nearest known name.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::device::{Device, has_device_placeholder};
use super::environment::Environment;
use super::other_names;
use super::problem::{Problem, Remark, Severity};
use super::secret::Secret;
use crate::domain::redact::{MASK, Secrets};
use crate::domain::secret_detection::is_secret_name;
use crate::domain::text::parse_duration;
use openapi::operation::nearest;

/// A problem, and where in the file it is: 0 outside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionedProblem {
    pub start: usize,
    pub location: String,
    pub message: String,
}

/// One configuration file being read.
pub struct ConfigReader<'a> {
    pub environment: &'a Environment,
    file: String,
    text: &'a str,
    /// Whether an option belongs to the top level; below a table header it would belong to that
    /// table.
    is_top_level: fn(&str) -> bool,
    problems: RefCell<Vec<PositionedProblem>>,
    remarks: RefCell<Vec<Remark>>,
    secrets: RefCell<Vec<String>>,
}

impl<'a> ConfigReader<'a> {
    pub fn new(
        file: String,
        text: &'a str,
        environment: &'a Environment,
        is_top_level: fn(&str) -> bool,
    ) -> ConfigReader<'a> {
        ConfigReader {
            environment,
            file,
            text,
            is_top_level,
            problems: RefCell::new(Vec::new()),
            remarks: RefCell::new(Vec::new()),
            secrets: RefCell::new(Vec::new()),
        }
    }

    pub fn location(&self, span: &Range<usize>) -> String {
        let before = &self.text[..floor_char_boundary(self.text, span.start)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{}:{line}:{column}", self.file)
    }

    pub fn problem(&self, span: &Range<usize>, message: impl Into<String>) {
        self.add_problem(span.start, self.location(span), message.into());
    }

    /// Reports a problem outside the file, for example in an environment variable.
    pub fn problem_at(&self, location: &str, message: impl Into<String>) {
        self.add_problem(0, location.to_owned(), message.into());
    }

    fn add_problem(&self, start: usize, location: String, message: String) {
        self.problems.borrow_mut().push(PositionedProblem {
            start,
            location,
            message,
        });
    }

    /// The problems so far, which are then no longer reported.
    pub fn take_problems(&self) -> Vec<PositionedProblem> {
        self.problems.take()
    }

    pub fn put_back_problems(&self, problems: Vec<PositionedProblem>) {
        self.problems.borrow_mut().extend(problems);
    }

    /// Adds a remark, which does not make the configuration invalid.
    pub fn remark(&self, severity: Severity, span: &Range<usize>, message: impl Into<String>) {
        self.remark_at(severity, &self.location(span), message);
    }

    pub fn remark_at(&self, severity: Severity, location: &str, message: impl Into<String>) {
        let problem = Problem {
            location: location.to_owned(),
            message: message.into(),
        };
        self.remarks.borrow_mut().push(Remark { severity, problem });
    }

    pub fn take_remarks(&self) -> Vec<Remark> {
        self.remarks.take()
    }

    pub fn put_back_remarks(&self, remarks: Vec<Remark>) {
        self.remarks.borrow_mut().extend(remarks);
    }

    /// Registers a text as a secret, which no message may show.
    pub fn add_secret(&self, text: impl Into<String>) {
        self.secrets.borrow_mut().push(text.into());
    }

    /// The same for a [`Secret`].
    pub fn secret(&self, text: String) -> Secret {
        self.add_secret(text.clone());
        Secret::new(text)
    }

    /// All secrets registered so far.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(self.secrets.borrow().iter().cloned())
    }

    pub fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// The problems found, in file order. Secrets are masked in all of them, also those
    /// registered after the problem.
    pub fn into_problems(self) -> Vec<Problem> {
        let secrets = self.secrets();
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.start);
        let masked = problems.into_iter().map(|problem| Problem {
            location: problem.location,
            message: secrets.mask(&problem.message).into_owned(),
        });
        masked.collect()
    }

    /// Replaces `${NAME}` by the variable's value, `$$` by `$`, and outside of variables
    /// `{device}` by the value of the device.
    fn expand(&self, text: &str, span: &Range<usize>, device: Option<&Device>) -> Option<String> {
        let fill = |text: &str| device.map_or(text.to_owned(), |device| device.fill(text));
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&fill(&rest[..at]));
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some((name, after)) =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
            {
                match self.environment.variable(name) {
                    Some(value) => {
                        expanded.push_str(&value);
                        // A value kept out of the file is probably a secret.
                        self.add_secret(value);
                    }
                    // It may be part of a password that contains `${`.
                    None if !is_variable_name(name) => {
                        self.problem(span, "the text between ${ and } is not a variable name: write $$ for a plain $");
                        return None;
                    }
                    None => {
                        let message = match self.environment.secret_file(name) {
                            Some(file) => format!(
                                "the variable {name} is not set: {name}_FILE names {}, which \
                                 cannot be read, or is empty",
                                file.display()
                            ),
                            None if matches!(name, "now" | "today" | "device") => format!(
                                "the variable {name} is not set: the placeholder is {{{name}}}, \
                                 without a $"
                            ),
                            None => format!(
                                "the variable {name} is not set: set it in the environment or in \
                                 .env beside this file, or write $$ for a plain $"
                            ),
                        };
                        self.problem(span, message);
                        return None;
                    }
                }
                rest = after;
            } else {
                self.problem(
                    span,
                    "a $ without a name: write ${NAME} for a variable, or $$ for a plain $, as in the \
                     GraphQL text \"query($$id: ID!)\"",
                );
                return None;
            }
        }
        expanded.push_str(&fill(rest));
        Some(expanded)
    }
}

fn is_variable_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_part) && !name.as_bytes()[0].is_ascii_digit()
}

/// Options whose values may be secrets: messages show only the type of the value.
const SECRET_OPTIONS: [&str; 8] = [
    "headers", "params", "auth", "user", "password", "token", "body", "login",
];

/// Options that are no secrets in a table of secrets.
const PUBLIC_OPTIONS: [&str; 1] = ["quota"];

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

fn floor_char_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Reader of a table; [`TableReader::finish`] reports unknown options.
pub struct TableReader<'a> {
    reader: &'a ConfigReader<'a>,
    table: &'a DeTable<'a>,
    span: Range<usize>,
    /// Its name in messages: `[[source]] "weather"`.
    name: String,
    known: Vec<&'static str>,
    is_secret: bool,
    /// The device whose source it describes.
    device: Option<Rc<Device>>,
}

impl<'a> TableReader<'a> {
    pub fn new(
        reader: &'a ConfigReader<'a>,
        table: &'a DeTable<'a>,
        span: Range<usize>,
        name: impl Into<String>,
    ) -> TableReader<'a> {
        TableReader {
            reader,
            table,
            span,
            name: name.into(),
            known: Vec::new(),
            is_secret: false,
            device: None,
        }
    }

    /// The same table, read for one device of `for`.
    pub fn with_device(mut self, device: &Rc<Device>) -> TableReader<'a> {
        self.device = Some(device.clone());
        self
    }

    pub fn device(&self) -> Option<&Device> {
        self.device.as_deref()
    }

    pub fn rename(&mut self, name: impl Into<String>) {
        self.name = name.into();
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn reader(&self) -> &'a ConfigReader<'a> {
        self.reader
    }

    /// The value of `key`, which is recorded as a known name.
    pub fn get(&mut self, key: &'static str) -> Option<TableEntry<'a>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (spanned_key, value) = self.table.get_key_value(key)?;
        Some(TableEntry {
            reader: self.reader,
            key: spanned_key.get_ref().to_string(),
            key_span: spanned_key.span(),
            value,
            is_secret: (self.is_secret && !PUBLIC_OPTIONS.contains(&key))
                || SECRET_OPTIONS.contains(&key),
            device: self.device.clone().filter(|_| has_device_placeholder(key)),
        })
    }

    /// The table's location.
    pub fn location(&self) -> String {
        self.reader.location(&self.span)
    }

    /// Reports a problem of the table as a whole.
    pub fn problem(&self, message: impl Into<String>) {
        self.reader.problem(&self.span, message);
    }

    /// Reports every unknown option, with the nearest known name.
    pub fn finish(self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let is_top_level = (self.reader.is_top_level)(name) && !self.known.contains(&"listen");
            let advice = other_names::advice(name, &self.known);
            let hint = match (advice, nearest(name, self.known.iter().copied())) {
                _ if is_top_level => format!("; `{name}` belongs above the first [table]"),
                (Some(advice), _) => format!("; {advice}"),
                (None, Some(nearest)) => format!("; did you mean \"{nearest}\"?"),
                (None, None) => format!("; known are: {}", self.known.join(", ")),
            };
            let message = format!("unknown option \"{name}\" in {}{hint}", self.name);
            self.reader.problem(&key.span(), message);
        }
    }
}

/// One value with its key and location.
#[derive(Clone)]
pub struct TableEntry<'a> {
    reader: &'a ConfigReader<'a>,
    key: String,
    key_span: Range<usize>,
    value: &'a Spanned<DeValue<'a>>,
    /// Messages do not show its value.
    is_secret: bool,
    /// The device whose value `{device}` is.
    device: Option<Rc<Device>>,
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

    pub fn duration(&self) -> Option<Duration> {
        const WHAT: &str = "a duration such as \"30s\", \"5m\" or \"1h\"";
        let text = self.text_as(WHAT)?;
        let duration = parse_duration(&text);
        if duration.is_none() {
            self.expected(WHAT);
        }
        duration
    }

    pub fn number(&self) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Integer(integer) => integer.as_str().parse::<f64>().ok(),
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite());
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
        match self.value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .filter_map(|value| {
                    let item = TableEntry {
                        value,
                        ..self.clone()
                    };
                    Some((item.text()?, item.span()))
                })
                .collect(),
            _ => self
                .text_as("a text or a list of texts")
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
        entries.sort_by_key(|entry| entry.key_span.start);
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
