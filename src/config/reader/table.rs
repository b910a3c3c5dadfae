//! Table of a configuration: its options by name, and the unknown ones.

use std::ops::Range;
use std::rc::Rc;

use toml::de::DeTable;

use super::ConfigReader;
use super::entry::TableEntry;
use crate::config::device::{Device, has_device_placeholder};
use crate::config::other_names;
use openapi::operation::nearest;

/// Options whose values may be secrets: messages show only the type of the value.
const SECRET_OPTIONS: [&str; 8] = [
    "headers", "params", "auth", "user", "password", "token", "body", "login",
];

/// Options that are no secrets in a table of secrets.
const PUBLIC_OPTIONS: [&str; 5] = [
    "quota",
    "method",
    "content_type",
    "token_header",
    "lifetime",
];

/// Reader of a table; [`TableReader::finish`] reports unknown options.
pub struct TableReader<'a> {
    pub(super) reader: &'a ConfigReader<'a>,
    pub(super) table: &'a DeTable<'a>,
    pub(super) span: Range<usize>,
    /// Its name in messages: `[[source]] "weather"`.
    pub(super) name: String,
    pub(super) known: Vec<&'static str>,
    pub(super) is_secret: bool,
    /// The device whose source it describes.
    pub(super) device: Option<Rc<Device>>,
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

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
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
                (Some(advice), _) => format!("; {advice}"),
                _ if is_top_level => format!("; `{name}` belongs above the first [table]"),
                (None, Some(nearest)) => format!("; did you mean \"{nearest}\"?"),
                (None, None) => format!("; known are: {}", self.known.join(", ")),
            };
            let message = format!("unknown option \"{name}\" in {}{hint}", self.name);
            self.reader.problem(&key.span(), message);
        }
    }
}
