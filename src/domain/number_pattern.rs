//! Regular expression with one group, which takes the number out of a text.
//!
//! Pure. Compiled once, when the configuration is read. Matching is linear in the text, whose
//! length is bounded, times the size of the expression, which is bounded too.

use regex_lite::{Regex, RegexBuilder};

use crate::limits;

/// `pattern` of a record.
#[derive(Debug, Clone)]
pub struct NumberPattern(Regex);

/// Two patterns are equal if they are spelled so.
impl PartialEq for NumberPattern {
    fn eq(&self, other: &NumberPattern) -> bool {
        self.as_str() == other.as_str()
    }
}

impl NumberPattern {
    /// `Err` says what is wrong with `text`, and what to write instead.
    pub fn new(text: &str) -> Result<NumberPattern, String> {
        let most = limits::PATTERN_CHARS;
        if text.chars().count() > most {
            return Err(format!("is longer than {most} characters"));
        }
        let regex = RegexBuilder::new(text)
            .size_limit(limits::PATTERN_BYTES)
            .build()
            .map_err(|error| format!("is no regular expression: {error}"))?;
        match regex.captures_len() - 1 {
            1 => Ok(NumberPattern(regex)),
            0 => Err(
                "has no group: put ( and ) around what is the number, as in \"([0-9.]+) kWh\""
                    .to_owned(),
            ),
            groups => Err(format!(
                "has {groups} groups: leave one around the number, and write (?:…) for the others"
            )),
        }
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What the group takes of `text`, where the expression matches.
    pub fn capture<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut end = text.len().min(limits::PATTERN_TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let captures = self.0.captures(&text[..end])?;
        Some(captures.get(1)?.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_its_group() {
        for (pattern, text, expected) in [
            (r"([0-9.]+) kWh", "total: 12.5 kWh (today)", Some("12.5")),
            (r"(?:T|t)emp=([-0-9.]+)", "hum=50;temp=-3.5", Some("-3.5")),
            (r"^(\d+):", "12:30", Some("12")),
            (r"(\d+)$", "none", None),
            (r"a(\d)?", "a", None),
        ] {
            let compiled = NumberPattern::new(pattern).expect(pattern);
            assert_eq!(compiled.capture(text), expected, "{pattern} of {text}");
        }
        let far = format!("{}ä 7", "ä".repeat(limits::PATTERN_TEXT_BYTES));
        let digit = NumberPattern::new("(7)").expect("a pattern");
        assert_eq!(digit.capture(&far), None);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, expected) in [
            ("[0-9]+", "has no group"),
            ("(a)(b)", "has 2 groups"),
            ("([0-9]+", "is no regular expression"),
            ("(a{1000}{1000}{1000})", "is no regular expression"),
            (&format!("({})", "a".repeat(300)), "is longer than"),
        ] {
            let error = NumberPattern::new(pattern).expect_err(pattern);
            assert!(error.starts_with(expected), "{pattern}: {error}");
        }
    }
}
