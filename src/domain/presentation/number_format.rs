//! Number format: factor, unit, digits and words in which people see the values of one key.
//!
//! Pure. One format writes all numbers of a key on a page, so that they cannot contradict each
//! other: it rounds in one place, and never turns the order of two values.

use std::sync::Arc;

use super::unit_scale::scale;
use crate::domain::locale::{Locale, MINUS};
use crate::domain::plan::DisplayUnit;
use crate::domain::reading::{Value, round_computed};
use crate::domain::text::{format_number, strip_directions};

/// Between a number and its unit; no line breaks at it.
pub const NO_BREAK_SPACE: char = '\u{a0}';

/// What is written of a number that is none, and of a text without a visible character.
const NOTHING: &str = "–";

/// How numbers of a key are written.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberFormat {
    /// Shown is stored × factor.
    pub factor: f64,
    pub unit: Option<Arc<str>>,
    /// Digits behind the decimal mark; `None` for as many as a number has.
    pub decimals: Option<u8>,
    /// More decimals say nothing, because the source gives no more.
    finest: u8,
    /// Whether the owner chose the decimals.
    is_fixed: bool,
    /// Words for stored numbers.
    words: Vec<(f64, Arc<str>)>,
    locale: Locale,
}

/// A value as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownValue {
    pub text: String,
    pub unit: Option<Arc<str>>,
    /// Whether it is a text, or a word that stands for a number.
    pub is_word: bool,
}

/// What is configured for a key, and the unit that its source gives.
#[derive(Debug, Clone, Default)]
pub struct FormatOptions {
    pub unit: Option<Arc<str>>,
    pub show: Option<DisplayUnit>,
    pub decimals: Option<u8>,
    pub words: Vec<(f64, Arc<str>)>,
    pub locale: Locale,
}

/// The numbers by which the digits are chosen: what the key was lately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenNumbers {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl SeenNumbers {
    pub fn one(value: f64) -> SeenNumbers {
        SeenNumbers {
            value,
            low: value,
            high: value,
        }
    }

    fn all(&self) -> [f64; 3] {
        [self.value, self.low, self.high]
    }

    fn magnitude(&self) -> f64 {
        self.all()
            .iter()
            .fold(0.0, |most: f64, it| most.max(it.abs()))
    }
}

/// Numbers outside of this range are written with an exponent.
const PLAIN_RANGE: std::ops::Range<f64> = 1e-6..1e15;

/// How many steps of the last digit a day has.
const STEPS_OF_SPAN: f64 = 200.0;

/// Doubles have no more.
const MOST_DECIMALS: u8 = 12;

/// Decimals of numbers from 1 on.
const MAX_DECIMALS: i32 = 2;

impl NumberFormat {
    pub fn new(options: FormatOptions, seen: &SeenNumbers) -> NumberFormat {
        let scaled = match (&options.show, options.decimals, &options.unit) {
            (Some(show), ..) => Some((show.factor, show.unit.clone())),
            // Who chose the digits has the unit in mind, and so has who gave words.
            (None, None, Some(unit)) if options.words.is_empty() => scale(unit, seen.magnitude()),
            _ => None,
        };
        let (factor, unit) = match scaled {
            Some((factor, unit)) => (factor, Some(unit)),
            None => (1.0, options.unit),
        };
        let finest = finest(seen, factor);
        NumberFormat {
            factor,
            unit: unit.filter(|unit| !unit.is_empty()),
            decimals: options
                .decimals
                .or_else(|| default_decimals(seen, factor, finest)),
            finest,
            is_fixed: options.decimals.is_some(),
            words: options.words,
            locale: options.locale,
        }
    }

    /// The same with as many more digits as it takes to tell `low` from `high` (stored values),
    /// for a page that shows both. The owner's choice stays.
    pub fn spanning(&self, low: f64, high: f64) -> NumberFormat {
        /// More digits than that nobody reads.
        const MORE_DECIMALS: i32 = 3;
        let mut format = self.clone();
        let by_span = decimals_of_span((high - low) * self.factor);
        if let (Some(decimals), Some(by_span), false) = (self.decimals, by_span, self.is_fixed) {
            let most = (i32::from(decimals) + MORE_DECIMALS).min(i32::from(self.finest));
            let wanted = by_span.min(most).max(i32::from(decimals));
            format.decimals = u8::try_from(wanted).ok();
        }
        format
    }

    /// The same with the digits that a limit has, and as many as it takes to see on which side of
    /// it a value is (stored values). Digits that hide that would be wrong.
    pub fn telling_apart(&self, value: f64, limit: f64) -> NumberFormat {
        let Some(fewest) = self.decimals else {
            return self.clone();
        };
        let candidates = (fewest..=MOST_DECIMALS).map(|decimals| NumberFormat {
            decimals: Some(decimals),
            ..self.clone()
        });
        let shown = round_computed(limit * self.factor);
        let is_exact = |format: &NumberFormat| is_exact(shown, format.decimals.unwrap_or_default());
        let mut candidates = candidates.skip_while(|format| !is_exact(format));
        let tells =
            |format: &NumberFormat| value == limit || format.number(value) != format.number(limit);
        candidates.find(tells).unwrap_or_else(|| self.clone())
    }

    /// A stored number without its unit: `1 031`, `−0.5`.
    pub fn number(&self, stored: f64) -> String {
        self.spell(round_computed(stored * self.factor), self.decimals)
    }

    /// A limit, in stored units and without its unit, with the digits that it has: those of a value say
    /// nothing about it.
    pub fn limit(&self, stored: f64) -> String {
        let shown = round_computed(stored * self.factor);
        let decimals = (0..=MOST_DECIMALS).find(|decimals| is_exact(shown, *decimals));
        self.spell(shown, decimals.or(self.decimals))
    }

    /// `1 031 ppm`.
    pub fn with_unit(&self, stored: f64) -> String {
        self.append_unit(self.number(stored))
    }

    /// A value: its word, its text, or its number.
    pub fn value(&self, value: &Value) -> ShownValue {
        let (text, is_word) = match value {
            Value::Text(text) => (shown_text(text), true),
            Value::Number(number) => match self.word(*number) {
                Some(word) => (word.to_string(), true),
                None => (self.number(*number), false),
            },
        };
        let is_stated = is_word && value.number().is_some();
        ShownValue {
            text,
            unit: self.unit.clone().filter(|_| !is_stated),
            is_word,
        }
    }

    /// The word that stands for a stored number.
    pub fn word(&self, stored: f64) -> Option<&str> {
        let word = self.words.iter().find(|(number, _)| *number == stored);
        word.map(|(_, word)| &**word)
    }

    /// The words and their stored numbers: what makes a key a state.
    pub fn words(&self) -> impl Iterator<Item = (f64, &str)> {
        self.words.iter().map(|(number, word)| (*number, &**word))
    }

    /// A tick in shown units, with just the digits that `step` needs.
    pub fn axis(&self, shown: f64, step: f64) -> String {
        /// Digits of the smallest step.
        const MOST: u8 = 12;
        let is_whole = |decimals: &u8| {
            let scaled = step.abs() * 10f64.powi(i32::from(*decimals));
            (scaled - scaled.round()).abs() <= scaled.abs() * 1e-6 && scaled.round() != 0.0
        };
        let decimals = (0..=MOST).find(is_whole);
        self.spell(round_computed(shown), decimals)
    }

    /// How far one stored value is from another: `+2.8`, `−0.3`, `0.0`.
    pub fn difference(&self, stored: f64) -> String {
        let text = self.number(stored);
        let is_zero = !text.chars().any(|c| ('1'..='9').contains(&c));
        if text.starts_with(MINUS) || is_zero {
            text
        } else {
            format!("+{text}")
        }
    }

    /// With the unit behind it.
    pub fn append_unit(&self, number: String) -> String {
        match self.unit.as_deref() {
            None => number,
            // Angles alone.
            Some(unit @ ("°" | "′" | "″")) => number + unit,
            Some(unit) => format!("{number}{NO_BREAK_SPACE}{unit}"),
        }
    }

    fn spell(&self, shown: f64, decimals: Option<u8>) -> String {
        let is_plain = shown == 0.0 || PLAIN_RANGE.contains(&shown.abs());
        let ascii = match decimals {
            Some(decimals) if is_plain => {
                let text = format!("{shown:.*}", usize::from(decimals));
                // `-0.04` with one decimal is no negative number.
                let is_zero = !text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
                text.strip_prefix('-')
                    .filter(|_| is_zero)
                    .map(str::to_owned)
                    .unwrap_or(text)
            }
            // Below the last digit.
            Some(decimals) if shown.abs() < PLAIN_RANGE.start && self.is_fixed => {
                format!("{:.*}", usize::from(decimals), 0.0)
            }
            _ if shown.is_finite() => format_number(shown),
            _ => return NOTHING.to_owned(),
        };
        self.locale.spell(&ascii)
    }
}

/// Whether a number is written exactly with so many decimals.
fn is_exact(number: f64, decimals: u8) -> bool {
    let digits = usize::from(decimals);
    format!("{number:.digits$}").parse() == Ok(number)
}

/// Decimals of the finest number that the source gives, in shown units.
fn finest(seen: &SeenNumbers, factor: f64) -> u8 {
    /// Decimals of a number that is spelled with an exponent.
    const MOST: usize = 12;
    let decimals = |number: &f64| {
        let text = format_number(round_computed(*number));
        match (text.contains('e'), text.split_once('.')) {
            (true, _) => MOST,
            (false, Some((_, fraction))) => fraction.len().min(MOST),
            (false, None) => 0,
        }
    };
    let stored = seen.all().iter().map(decimals).max().unwrap_or_default();
    let shown = (stored as f64 - factor.abs().log10()).ceil();
    shown.clamp(0.0, MOST as f64) as u8
}

/// The digits that a span needs for 200 steps; `None` where there is no span.
fn decimals_of_span(span: f64) -> Option<i32> {
    let digits = -(span.abs() / STEPS_OF_SPAN).log10();
    (span != 0.0 && digits.is_finite()).then_some(digits.floor() as i32)
}

/// Three or four significant digits of the largest number, by how far the values lie apart, and
/// never more than the source gives.
fn default_decimals(seen: &SeenNumbers, factor: f64, finest: u8) -> Option<u8> {
    let magnitude = seen.magnitude() * factor.abs();
    if magnitude == 0.0 {
        return u8::try_from(MAX_DECIMALS.min(i32::from(finest))).ok();
    }
    if !PLAIN_RANGE.contains(&magnitude) {
        return None;
    }
    let leading = magnitude.log10().floor() as i32;
    let for_significant = |digits: i32| digits - 1 - leading;
    let (fewest, most) = (for_significant(3), for_significant(4));
    let by_span = decimals_of_span((seen.high - seen.low) * factor);
    let wanted = by_span.unwrap_or(most).clamp(fewest, most);
    // Two digits of a number below 1 are behind its zeros.
    let most = MAX_DECIMALS.max(for_significant(2)).min(i32::from(finest));
    u8::try_from(wanted.clamp(0, most)).ok()
}

fn shown_text(text: &str) -> String {
    let text = strip_directions(text);
    if text.trim().is_empty() {
        NOTHING.to_owned()
    } else {
        text
    }
}

#[cfg(test)]
#[path = "tests/number_format.rs"]
mod tests;
