//! Configuration sections as lists of options: one list reads, prints and documents.
//!
//! A section is a `static` list of [`ConfigOption`]s, in the order in which `check` prints
//! them. Tests (`reference`) generate `docs/configuration.md` and `main-node.toml(5)` from the
//! type, default, example and help of each option.

use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::option::OptionText;
use super::reader::{ConfigReader, TableEntry, TableReader};
use super::secret::Secret;
use crate::domain::redact::MASK;
use crate::domain::text::format_duration;
use crate::domain::toml_text::{quoted, quoted_path, quoted_value};
use crate::domain::value_path::ValuePath;

/// One option: it is read into a `D` and printed from a `P`.
pub struct ConfigOption<D: 'static, P: 'static = D> {
    pub name: &'static str,
    /// The environment variable that overrides it.
    pub variable: Option<&'static str>,
    read: fn(&mut D, &mut OptionReader<'_, '_>),
    print: fn(&P) -> Option<String>,
    #[cfg(test)]
    pub doc: OptionDoc,
}

/// Documentation of an option.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub struct OptionDoc {
    pub name: &'static str,
    pub variable: Option<&'static str>,
    pub kind: &'static str,
    pub default: &'static str,
    /// A value in TOML syntax.
    pub example: &'static str,
    pub help: &'static str,
}

impl<D, P> ConfigOption<D, P> {
    /// The columns of a section's list. The documentation is compiled only for tests.
    pub const fn new(
        name: &'static str,
        kind: &'static str,
        default: &'static str,
        example: &'static str,
        help: &'static str,
        read: fn(&mut D, &mut OptionReader<'_, '_>),
        print: fn(&P) -> Option<String>,
    ) -> ConfigOption<D, P> {
        #[cfg(not(test))]
        let _ = (kind, default, example, help);
        ConfigOption {
            name,
            variable: None,
            read,
            print,
            #[cfg(test)]
            doc: OptionDoc {
                name,
                variable: None,
                kind,
                default,
                example,
                help,
            },
        }
    }

    /// The same option with an environment variable that overrides it.
    pub const fn with_variable(mut self, variable: &'static str) -> ConfigOption<D, P> {
        self.variable = Some(variable);
        #[cfg(test)]
        {
            self.doc.variable = Some(variable);
        }
        self
    }
}

/// The `read` of an option that other code reads together with others.
pub fn with_others<D>(_: &mut D, option: &mut OptionReader<'_, '_>) {
    option.entry();
}

/// Reads every option of a section's list, from the table and from the environment.
pub fn read_options<D: 'static, P: 'static>(
    options: impl IntoIterator<Item = &'static ConfigOption<D, P>>,
    table: &mut TableReader<'_>,
    directory: &Path,
    draft: &mut D,
) {
    for option in options {
        let mut reader = OptionReader {
            name: option.name,
            variable: option.variable,
            table,
            directory,
        };
        (option.read)(draft, &mut reader);
    }
}

/// `name = value` for every option that has one.
pub fn options_as_toml<D, P>(options: &[ConfigOption<D, P>], value: &P) -> Vec<String> {
    let line = |option: &ConfigOption<D, P>| {
        let value = (option.print)(value)?;
        Some(format!("{} = {value}", option.name))
    };
    options.iter().filter_map(line).collect()
}

/// Prints every option on a line of its own.
pub fn print_options<D, P>(out: &mut String, options: &[ConfigOption<D, P>], value: &P) {
    for line in options_as_toml(options, value) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{line}");
    }
}

/// Sets a field if a value could be read.
pub fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Reader of one option, by the name in the list.
pub struct OptionReader<'t, 'a> {
    pub name: &'static str,
    pub variable: Option<&'static str>,
    pub table: &'t mut TableReader<'a>,
    /// Base directory of relative paths.
    pub directory: &'t Path,
}

impl<'a> OptionReader<'_, 'a> {
    pub fn reader(&self) -> &'a ConfigReader<'a> {
        self.table.reader()
    }

    /// The option in the file.
    pub fn entry(&mut self) -> Option<TableEntry<'a>> {
        self.table.get(self.name)
    }

    /// Its texts: those of the comma-separated variable, else those of the file.
    pub fn texts(&mut self) -> Vec<OptionText> {
        self.texts_by(OptionText::of_entry)
    }

    /// The same, where the file may also have whole numbers.
    pub fn texts_or_integers(&mut self, expected: &str) -> Vec<OptionText> {
        self.texts_by(|entry| OptionText::of_entry_or_integer(entry, expected))
    }

    fn texts_by(
        &mut self,
        of_entry: impl Fn(&TableEntry<'a>) -> Vec<OptionText>,
    ) -> Vec<OptionText> {
        let entry = self.entry();
        let found = self
            .variable
            .and_then(|variable| self.reader().option_variable(variable));
        match (found, entry) {
            (Some((text, location)), _) => OptionText::split_list(&text, &location),
            (None, Some(entry)) => of_entry(&entry),
            (None, None) => Vec::new(),
        }
    }

    /// Its first text.
    pub fn one_text(&mut self) -> Option<OptionText> {
        self.texts().into_iter().next()
    }

    pub fn text(&mut self) -> Option<String> {
        self.entry()?.text()
    }

    /// A text that is never shown.
    pub fn secret(&mut self) -> Option<Secret> {
        self.entry()?.secret()
    }

    /// A path, relative to the directory of the configuration.
    pub fn path(&mut self) -> Option<PathBuf> {
        let text = self.text()?;
        Some(self.directory.join(text))
    }

    pub fn number(&mut self) -> Option<f64> {
        self.entry()?.number()
    }

    pub fn integer(&mut self, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        self.entry()?.integer(range)
    }

    pub fn bytes(&mut self) -> Option<u64> {
        self.entry()?.bytes()
    }

    pub fn boolean(&mut self) -> Option<bool> {
        self.entry()?.boolean()
    }

    pub fn choice<T: Copy>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        self.entry()?.choice(choices)
    }

    pub fn duration(&mut self) -> Option<Duration> {
        match self.variable {
            None => self.entry()?.duration(),
            Some(_) => self.one_text()?.duration(self.reader()),
        }
    }
}

/// A secret that is set.
pub fn masked(secret: Option<&Secret>) -> Option<String> {
    secret.and_then(|_| text(MASK))
}

/// Values in TOML syntax.
pub fn text(text: &str) -> Option<String> {
    Some(quoted_value(text))
}

/// A JSON Pointer or JSONPath.
pub fn value_path(path: &ValuePath) -> Option<String> {
    Some(quoted_path(path.as_str()))
}

/// A text in which `$` has no meaning of ours.
pub fn literal(text: &str) -> Option<String> {
    Some(quoted(text))
}

pub fn duration(duration: Duration) -> Option<String> {
    Some(format!("\"{}\"", format_duration(duration)))
}

pub fn path(path: &Path) -> Option<String> {
    text(&path.display().to_string())
}

pub fn number(number: f64) -> Option<String> {
    Some(format!("{number:?}"))
}

pub fn plain(value: impl Display) -> Option<String> {
    Some(value.to_string())
}

/// A list of texts; an empty one is not printed.
pub fn list<T: Display>(items: &[T]) -> Option<String> {
    let texts: Vec<String> = items
        .iter()
        .map(|it| quoted_value(&it.to_string()))
        .collect();
    (!texts.is_empty()).then(|| format!("[{}]", texts.join(", ")))
}

/// An inline table; an empty one is not printed.
pub fn inline_table(entries: Vec<String>) -> Option<String> {
    (!entries.is_empty()).then(|| format!("{{ {} }}", entries.join(", ")))
}
