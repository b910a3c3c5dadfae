//! Locale: how numbers and dates are written in the language of the owner (`locale`).
//!
//! Pure. The text of pages stays English; data (CSV, JSON, `/metrics`) never follow it.

mod languages;

use std::fmt;

use jiff::civil::Date;

use self::languages::{LANGUAGES, Language};

/// A language, and where it matters a region.
#[derive(Clone, Copy, PartialEq)]
pub struct Locale(&'static Language);

impl Default for Locale {
    fn default() -> Locale {
        Locale(&LANGUAGES[0])
    }
}

impl fmt::Debug for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Locale({})", self.tag())
    }
}

/// The sign in front of a negative number, which is as wide as a digit.
pub const MINUS: char = '\u{2212}';

impl Locale {
    /// A language tag: `de`, `de-CH`. A region without rules of its own has those of its language.
    /// `None` for a language that is not known; [`tags`](Locale::tags) has those that are.
    pub fn parse(tag: &str) -> Option<Locale> {
        let tag = tag.replace('_', "-");
        let language = tag.split('-').next().unwrap_or_default();
        // Norwegian is written in two ways, with the same numbers.
        let language = match language.to_ascii_lowercase().as_str() {
            "no" | "nn" => "nb",
            _ => language,
        };
        let is_tag = |part: &str| {
            (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric())
        };
        if !tag.split('-').all(is_tag) {
            return None;
        }
        let find = |wanted: &str| {
            LANGUAGES
                .iter()
                .find(|it| it.tag.eq_ignore_ascii_case(wanted))
        };
        find(&tag).or_else(|| find(language)).map(Locale)
    }

    /// What `locale` may be.
    pub fn tags() -> impl Iterator<Item = &'static str> {
        LANGUAGES.iter().map(|it| it.tag)
    }

    pub fn tag(self) -> &'static str {
        self.0.tag
    }

    /// The short name of a month, 1 to 12.
    pub fn month(self, month: i8) -> &'static str {
        let index = usize::try_from(month - 1).unwrap_or_default();
        self.0.months.get(index).copied().unwrap_or_default()
    }

    /// The short name of the day of the week.
    pub fn weekday(self, date: Date) -> &'static str {
        let index = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
        self.0.weekdays.get(index).copied().unwrap_or_default()
    }

    /// `28 Nov`, `28. Nov`, `Nov 28`.
    pub fn day_and_month(self, date: Date) -> String {
        self.fill(self.0.day_and_month, date)
    }

    /// `28 Nov 2026`.
    pub fn date(self, date: Date) -> String {
        self.fill(self.0.with_year, date)
    }

    /// `Sat 28 Nov`.
    pub fn weekday_and_date(self, date: Date) -> String {
        let Language { behind_weekday, .. } = self.0;
        let weekday = self.weekday(date);
        format!("{weekday}{behind_weekday}{}", self.day_and_month(date))
    }

    /// `Nov 2026`.
    pub fn month_and_year(self, date: Date) -> String {
        format!("{} {}", self.month(date.month()), date.year())
    }

    /// Replaces the letters of `pattern` that stand alone.
    fn fill(self, pattern: &str, date: Date) -> String {
        let letters: Vec<char> = pattern.chars().collect();
        let is_letter = |index: Option<usize>| {
            let letter = index.and_then(|index| letters.get(index));
            letter.is_some_and(|c| c.is_alphabetic())
        };
        let mut text = String::new();
        for (index, letter) in letters.iter().enumerate() {
            let is_alone = !is_letter(index.checked_sub(1)) && !is_letter(index.checked_add(1));
            match letter {
                'd' if is_alone => text += &date.day().to_string(),
                'M' if is_alone => text += &date.month().to_string(),
                'N' if is_alone => text += self.month(date.month()),
                'y' if is_alone => text += &date.year().to_string(),
                other => text.push(*other),
            }
        }
        text
    }

    /// A decimal number in ASCII, as `{}` spells it, in the spelling of this language:
    /// `-1234.5` as `−1 234.5`.
    pub fn spell(self, ascii: &str) -> String {
        let (sign, digits) = match ascii.strip_prefix('-') {
            Some(digits) => (Some(MINUS), digits),
            None => (None, ascii),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        let mut text: String = sign.into_iter().collect();
        let is_grouped = whole.len() >= 3 + self.0.least_leading_digits
            && whole.bytes().all(|byte| byte.is_ascii_digit());
        for (index, digit) in whole.chars().enumerate() {
            if is_grouped && index > 0 && (whole.len() - index) % 3 == 0 {
                text.push(self.0.thousands_mark);
            }
            // Of an exponent.
            text.push(if digit == '-' { MINUS } else { digit });
        }
        if let Some(fraction) = fraction {
            text.push(self.0.decimal_mark);
            text += &fraction.replace('-', "\u{2212}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_with_or_without_a_region() {
        for (tag, expected) in [
            ("en", Some("en")),
            ("EN", Some("en")),
            ("en-us", Some("en-US")),
            ("en_GB", Some("en-GB")),
            ("en-AU", Some("en")),
            ("de", Some("de")),
            ("de-DE", Some("de")),
            ("de-CH", Some("de-CH")),
            ("de_AT", Some("de-AT")),
            ("fr-CA", Some("fr")),
            ("pt-BR", Some("pt")),
            ("pt-PT", Some("pt-PT")),
            ("no", Some("nb")),
            ("nn-NO", Some("nb")),
            ("sk", Some("sk")),
            ("zh-Hant-TW", None),
            ("tlh", None),
            ("", None),
            ("de-", None),
            ("german", None),
            ("de DE", None),
            ("de_DE.UTF-8", None),
        ] {
            let found = Locale::parse(tag).map(Locale::tag);
            assert_eq!(found, expected, "{tag}");
        }
    }

    #[test]
    fn numbers_in_languages() {
        for (tag, number, expected) in [
            ("en", "1031", "1\u{202f}031"),
            ("en", "-0.5", "−0.5"),
            ("en", "999", "999"),
            ("en", "1234567.25", "1\u{202f}234\u{202f}567.25"),
            ("en-US", "1234567.25", "1,234,567.25"),
            ("de", "1031", "1.031"),
            ("de", "-1234.5", "−1.234,5"),
            ("de-CH", "1234.5", "1’234.5"),
            ("fr", "1234.5", "1\u{202f}234,5"),
            ("es", "1234.5", "1234,5"),
            ("es", "12345.5", "12.345,5"),
            ("pl", "1234", "1234"),
            ("pl", "12345", "12\u{202f}345"),
            ("it", "1234", "1.234"),
            ("sv", "-12345.75", "−12\u{202f}345,75"),
            ("en", "1e300", "1e300"),
            ("de", "-1.5e-9", "−1,5e−9"),
        ] {
            let locale = Locale::parse(tag).expect(tag);
            assert_eq!(locale.spell(number), expected, "{number} in {tag}");
        }
    }

    #[test]
    fn dates_in_languages() {
        let date = jiff::civil::date(2026, 11, 28);
        for (tag, day, with_weekday, with_year) in [
            ("en", "28 Nov", "Sat 28 Nov", "28 Nov 2026"),
            ("en-US", "Nov 28", "Sat, Nov 28", "Nov 28, 2026"),
            ("de", "28. Nov", "Sa, 28. Nov", "28. Nov 2026"),
            ("fr", "28 nov.", "sam. 28 nov.", "28 nov. 2026"),
            ("es", "28 nov", "sáb, 28 nov", "28 nov 2026"),
            ("pt", "28 de nov.", "sáb., 28 de nov.", "28 de nov. de 2026"),
            ("pl", "28 lis", "sob., 28 lis", "28 lis 2026"),
            ("cs", "28. 11.", "so 28. 11.", "28. 11. 2026"),
            ("da", "28. nov.", "lør. 28. nov.", "28. nov. 2026"),
            ("nb", "28. nov", "lør. 28. nov", "28. nov 2026"),
            ("fi", "28.11.", "la 28.11.", "28.11.2026"),
        ] {
            let locale = Locale::parse(tag).expect(tag);
            assert_eq!(locale.day_and_month(date), day, "{tag}");
            assert_eq!(locale.weekday_and_date(date), with_weekday, "{tag}");
            assert_eq!(locale.date(date), with_year, "{tag}");
        }
        let german = Locale::parse("de").expect("German");
        assert_eq!(german.month_and_year(date), "Nov 2026");
        assert_eq!(german.month(3), "Mär");
    }

    #[test]
    fn no_language_is_listed_twice_or_lacks_a_name() {
        for (index, language) in LANGUAGES.iter().enumerate() {
            let is_listed_before = LANGUAGES[..index].iter().any(|it| it.tag == language.tag);
            assert!(!is_listed_before, "{}", language.tag);
            assert_ne!(language.decimal_mark, language.thousands_mark);
            for name in language.months.iter().chain(&language.weekdays) {
                assert!((2..=7).contains(&name.chars().count()), "{name}");
            }
        }
    }
}
