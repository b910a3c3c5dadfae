//! Presentation: what people read for a key and its values: label, unit, decimals, words.
//!
//! Pure. Data stay as they are.

use std::sync::Arc;

use super::locale::Locale;
use super::plan::Plan;
use super::reading::Value;
use super::snapshot::Record;
use super::text::{capitalised, format_number};

/// How the numbers of one key are written.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberFormat {
    /// Shown is stored × factor.
    pub factor: f64,
    pub unit: Option<Arc<str>>,
    /// Digits behind the decimal mark; as many as a number has where there are none.
    pub decimals: Option<u8>,
    /// Numbers, as they are spelled, and the words for them.
    pub words: Vec<(String, String)>,
    pub locale: Locale,
}

/// A value as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownValue {
    pub text: String,
    pub unit: Option<Arc<str>>,
    /// A text, or the word for a number.
    pub is_word: bool,
}

const MINUS: char = '\u{2212}';
const NO_BREAK_SPACE: char = '\u{a0}';

impl NumberFormat {
    /// A stored number, without its unit.
    pub fn number(&self, stored: f64) -> String {
        let shown = stored * self.factor;
        let digits = match self.decimals {
            Some(decimals) => format!("{shown:.*}", usize::from(decimals)),
            None => format_number(shown),
        };
        self.localised(&digits)
    }

    /// A stored number with its unit.
    pub fn with_unit(&self, stored: f64) -> String {
        match &self.unit {
            Some(unit) => format!("{}{NO_BREAK_SPACE}{unit}", self.number(stored)),
            None => self.number(stored),
        }
    }

    pub fn value(&self, value: &Value) -> ShownValue {
        let word = |number: f64| {
            let spelled = format_number(number);
            let mut words = self.words.iter();
            words.find(|(number, _)| *number == spelled)
        };
        let (text, is_word) = match value {
            Value::Text(text) => (text.to_string(), true),
            Value::Number(number) => match word(*number) {
                Some((_, word)) => (word.clone(), true),
                None => (self.number(*number), false),
            },
        };
        let unit = self.unit.clone().filter(|_| !is_word);
        ShownValue {
            text,
            unit,
            is_word,
        }
    }

    /// A tick of an axis, in the shown unit, with just the digits that steps of `step` need.
    pub fn axis(&self, shown: f64, step: f64) -> String {
        let decimals = (-step.abs().log10().floor()).clamp(0.0, 9.0) as usize;
        let digits = format!("{shown:.decimals$}");
        let is_exact = digits.parse() == Ok(shown);
        self.localised(&if is_exact {
            digits
        } else {
            format!("{shown:.*}", decimals + 1)
        })
    }

    /// A difference of two stored numbers, with its sign.
    pub fn difference(&self, stored: f64) -> String {
        let text = self.number(stored);
        let is_signed = text.starts_with(MINUS) || stored == 0.0;
        if is_signed { text } else { format!("+{text}") }
    }

    /// Digits as a program writes them, with the marks of the locale.
    fn localised(&self, digits: &str) -> String {
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(rest) => (MINUS.to_string(), rest),
            None => (String::new(), digits),
        };
        let (whole, rest) = match digits.find(['.', 'e']) {
            Some(at) => digits.split_at(at),
            None => (digits, ""),
        };
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                grouped += self.locale.thousands_mark;
            }
            grouped.push(digit);
        }
        let rest = rest.replacen('.', self.locale.decimal_mark, 1);
        sign + &grouped + &rest
    }
}

impl Plan {
    /// What people read instead of the key below a heading that says `context`, the beginning of
    /// the key, already.
    pub fn label(&self, key: &str, context: &str) -> String {
        let label = self.key_setting(key, |key| key.label.clone());
        label.map_or_else(
            || capitalised(key.strip_prefix(context).unwrap_or(key)),
            |it| it.to_string(),
        )
    }

    /// What people read instead of the key where nothing around it says more.
    pub fn full_label(&self, key: &str) -> String {
        self.label(key, "")
    }

    /// How the numbers of a record are written.
    pub fn number_format(&self, record: &Record) -> NumberFormat {
        let typical = record.value.number().unwrap_or_default();
        self.number_format_of(&record.key, record.unit.as_deref(), typical)
    }

    /// The same for a key that has no record now; `typical` is one of its numbers.
    pub fn number_format_of(&self, key: &str, unit: Option<&str>, _typical: f64) -> NumberFormat {
        let show = self.key_setting(key, |key| key.show.clone());
        let words = self.key_setting(key, |key| {
            (!key.words.is_empty()).then(|| key.words.clone())
        });
        NumberFormat {
            factor: show.as_ref().map_or(1.0, |it| it.factor),
            unit: show.map(|it| it.unit).or_else(|| unit.map(Into::into)),
            decimals: self.key_setting(key, |key| key.decimals),
            words: words.unwrap_or_default(),
            locale: self.pages.locale,
        }
    }
}
