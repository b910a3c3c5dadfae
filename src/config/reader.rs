//! TOML reader that reports every problem with file, line and column.
//!
//! Every value knows its location; an invalid one becomes a [`Problem`] and reading continues,
//! so that one run finds all of them. A table records the option names that were requested;
//! every other name in it is reported as unknown, with the nearest known name.

mod entry;
mod table;

use std::cell::RefCell;
use std::ops::Range;

pub use self::entry::{TableEntry, is_harmless_header};
pub use self::table::TableReader;
use super::device::Device;
use super::environment::Environment;
use super::problem::{Problem, Remark, Severity};
use super::secret::Secret;
use crate::domain::compact_sort::CompactSort;
use crate::domain::redact::Secrets;

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
        problems.compact_sort_by_key(|problem| problem.start);
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
                let value = self.variable(name, span)?;
                expanded.push_str(&value);
                // A value kept out of the file is probably a secret.
                self.add_secret(value);
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

    /// The value of a variable in a text of the file.
    fn variable(&self, name: &str, span: &Range<usize>) -> Option<String> {
        let message = match self.environment.lookup(name) {
            Ok(Some((value, _))) => return Some(value),
            Err(problem) => format!("the variable {name} is not set: {}", problem.message),
            // It may be part of a password that contains `${`.
            Ok(None) if !is_variable_name(name) => {
                "the text between ${ and } is not a variable name: write $$ for a plain $"
                    .to_owned()
            }
            Ok(None) if matches!(name, "now" | "today" | "device") => format!(
                "the variable {name} is not set: the placeholder is {{{name}}}, without a $"
            ),
            Ok(None) => self.environment.not_set(name),
        };
        self.problem(span, message);
        None
    }

    /// A variable of an option and its location; a file or credential that cannot be read is a
    /// problem.
    pub fn option_variable(&self, name: &str) -> Option<(String, String)> {
        let report = |problem: Problem| self.problem_at(&problem.location, problem.message);
        self.environment.lookup(name).map_err(report).ok().flatten()
    }
}

fn is_variable_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_part) && !name.as_bytes()[0].is_ascii_digit()
}

fn floor_char_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
