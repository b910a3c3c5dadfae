//! Conversion of a value of a response to the number that a record asks for: `map`, `pattern`,
//! `base`, `decimal`, and numbers with units.

use serde_json::Value as Json;

use super::advice::advise;
use super::number::{NumberError, Quantity, parse_in_base, parse_quantity};
use super::{read_number, sample};
use crate::domain::plan::{Numbers, RecordSelector};
use crate::domain::text::{ellipsis, shorten};
use crate::limits;

/// How one record reads values.
pub struct Conversion<'a> {
    pub pick: &'a RecordSelector,
    pub numbers: Numbers,
    /// The response's numbers are texts that look like numbers.
    pub has_texts_alone: bool,
}

/// What was expected, and what was found instead.
pub type ConversionError = (String, String);

impl Conversion<'_> {
    /// What is asked for, in messages.
    pub fn expected(&self) -> String {
        let pick = self.pick;
        if pick.text {
            return "a text".to_owned();
        }
        if !pick.map.is_empty() {
            let known: Vec<&str> = pick.map.iter().map(|(text, _)| text.as_str()).collect();
            let known = format!("one of {}", known.join(", "));
            return shorten(&known, 4 * limits::SAMPLE_CHARS);
        }
        match (pick.base, pick.decimal) {
            (Some(base), _) => format!("a number with base = {base}"),
            (None, Some(decimal)) => format!("a number with decimal = {:?}", decimal.name()),
            (None, None) => "a number".to_owned(),
        }
    }

    /// The text to store, of `text = true`.
    pub fn text(&self, json: &Json) -> Result<String, ConversionError> {
        let text = match json {
            Json::String(text) => text.clone(),
            Json::Number(_) | Json::Bool(_) => json.to_string(),
            _ => return Err((self.expected(), sample(json))),
        };
        let part = self.capture(&text)?;
        Ok(shorten(part, limits::TEXT_BYTES))
    }

    /// The number, not yet scaled, and the unit that the text names.
    pub fn quantity(&self, json: &Json) -> Result<Quantity, ConversionError> {
        let plain = |number: f64| Quantity {
            number,
            unit: String::new(),
        };
        if let Some(number) = self.mapped(json) {
            return Ok(plain(number));
        }
        let pick = self.pick;
        let has_option = pick.decimal.is_some() || pick.base.is_some() || pick.pattern.is_some();
        let text = match json {
            Json::String(text) => text,
            Json::Number(number) if has_option && self.has_texts_alone => number.as_str(),
            _ => {
                let number = read_number(json).map(plain);
                return number.ok_or_else(|| (self.expected(), sample(json)));
            }
        };
        let part = self.capture(text)?;
        if pick.pattern.is_some()
            && let Some((_, number)) = pick.map.iter().find(|(known, _)| known == part)
        {
            return Ok(plain(*number));
        }
        let quantity = match pick.base {
            Some(base) => parse_in_base(part, base)
                .map(plain)
                .ok_or(NumberError::NotANumber),
            None if has_option || self.numbers == Numbers::Lenient => {
                parse_quantity(part, pick.decimal)
            }
            None => Err(NumberError::NotANumber),
        };
        quantity.map_err(|_| {
            let taken = match pick.pattern {
                Some(_) => {
                    let part = ellipsis(part, limits::SAMPLE_CHARS);
                    format!(", of which `pattern` takes {part:?}")
                }
                None => String::new(),
            };
            let advice = advise(part, pick, self.numbers);
            (self.expected(), sample(json) + &taken + &advice)
        })
    }

    /// What `pattern` takes of a text.
    fn capture<'t>(&self, text: &'t str) -> Result<&'t str, ConversionError> {
        let Some(pattern) = &self.pick.pattern else {
            return Ok(text);
        };
        pattern.capture(text).ok_or_else(|| {
            let pattern = ellipsis(pattern.as_str(), limits::SAMPLE_CHARS);
            let found = ellipsis(text, limits::SAMPLE_CHARS);
            let expected = format!("a text that matches the pattern {pattern:?}");
            (expected, format!("the text {found:?}"))
        })
    }

    fn mapped(&self, json: &Json) -> Option<f64> {
        let mut map = self.pick.map.iter();
        let found = map.find(|(known, _)| is_spelling(known, json));
        found.map(|(_, number)| *number)
    }
}

/// Whether a value is one that `map` knows: a number may be spelled in several ways, 1 and 1.0.
fn is_spelling(known: &str, json: &Json) -> bool {
    match json {
        Json::String(text) => known == text,
        Json::Bool(truth) => known == if *truth { "true" } else { "false" },
        Json::Number(number) => {
            let value = |text: &str| text.parse::<f64>().ok();
            known == number.as_str()
                || value(known).is_some_and(|it| Some(it) == value(number.as_str()))
        }
        _ => false,
    }
}

#[cfg(test)]
#[path = "tests/conversion.rs"]
mod tests;
