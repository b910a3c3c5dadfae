//! Locale: how numbers are written for people (the option `locale`).
//!
//! Pure. The text of pages is English whatever the locale.

/// How numbers are written in a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locale {
    /// Language tag (RFC 5646), as in the configuration.
    pub tag: &'static str,
    pub decimal_mark: &'static str,
    pub thousands_mark: &'static str,
}

const THIN_SPACE: &str = "\u{2009}";

static LOCALES: [Locale; 2] = [
    Locale {
        tag: "en",
        decimal_mark: ".",
        thousands_mark: THIN_SPACE,
    },
    Locale {
        tag: "de",
        decimal_mark: ",",
        thousands_mark: THIN_SPACE,
    },
];

impl Locale {
    /// The locale of a language tag, in any case.
    pub fn parse(tag: &str) -> Option<Locale> {
        let mut locales = LOCALES.iter();
        let found = locales.find(|locale| locale.tag.eq_ignore_ascii_case(tag));
        found.copied()
    }

    /// The tags that there are.
    pub fn tags() -> impl Iterator<Item = &'static str> {
        LOCALES.iter().map(|locale| locale.tag)
    }
}

impl Default for Locale {
    fn default() -> Locale {
        LOCALES[0]
    }
}
