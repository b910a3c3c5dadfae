//! Table of languages: number marks, short names of days and months, order of a date, as Unicode's
//! CLDR has them.
//!
//! Pure. "en" alone groups digits by a blank, which no language reads as a decimal mark.

/// What is written differently in a language.
#[derive(Debug, PartialEq)]
pub struct Language {
    pub tag: &'static str,
    pub decimal_mark: char,
    pub thousands_mark: char,
    /// Digits in front of the first thousands mark that a number must have to get one.
    pub least_leading_digits: usize,
    /// A date: `d` is the day, `M` the number and `N` the name of the month, `y` the year.
    pub day_and_month: &'static str,
    pub with_year: &'static str,
    /// What stands between the name of a day and its date.
    pub behind_weekday: &'static str,
    /// From January on.
    pub months: [&'static str; 12],
    /// From Monday on.
    pub weekdays: [&'static str; 7],
}

/// Narrow blank at which no line breaks.
const BLANK: char = '\u{202f}';

const ENGLISH: Language = Language {
    tag: "en",
    decimal_mark: '.',
    thousands_mark: BLANK,
    least_leading_digits: 1,
    day_and_month: "d N",
    with_year: "d N y",
    behind_weekday: " ",
    months: [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ],
    weekdays: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
};
const GERMAN: Language = Language {
    tag: "de",
    decimal_mark: ',',
    thousands_mark: '.',
    day_and_month: "d. N",
    with_year: "d. N y",
    behind_weekday: ", ",
    months: [
        "Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez",
    ],
    weekdays: ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"],
    ..ENGLISH
};
const PORTUGUESE: Language = Language {
    tag: "pt",
    decimal_mark: ',',
    thousands_mark: '.',
    day_and_month: "d de N",
    with_year: "d de N de y",
    behind_weekday: ", ",
    months: [
        "jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.",
        "dez.",
    ],
    weekdays: ["seg.", "ter.", "qua.", "qui.", "sex.", "sáb.", "dom."],
    ..ENGLISH
};

/// The first is the default.
pub static LANGUAGES: [Language; 19] = [
    ENGLISH,
    Language {
        tag: "en-GB",
        thousands_mark: ',',
        ..ENGLISH
    },
    Language {
        tag: "en-US",
        thousands_mark: ',',
        day_and_month: "N d",
        with_year: "N d, y",
        behind_weekday: ", ",
        ..ENGLISH
    },
    GERMAN,
    Language {
        tag: "de-AT",
        months: [
            "Jän", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez",
        ],
        ..GERMAN
    },
    Language {
        tag: "de-CH",
        decimal_mark: '.',
        thousands_mark: '’',
        ..GERMAN
    },
    Language {
        tag: "fr",
        decimal_mark: ',',
        months: [
            "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.",
            "nov.", "déc.",
        ],
        weekdays: ["lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."],
        ..ENGLISH
    },
    Language {
        tag: "es",
        decimal_mark: ',',
        thousands_mark: '.',
        least_leading_digits: 2,
        behind_weekday: ", ",
        months: [
            "ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic",
        ],
        weekdays: ["lun", "mar", "mié", "jue", "vie", "sáb", "dom"],
        ..ENGLISH
    },
    Language {
        tag: "it",
        decimal_mark: ',',
        thousands_mark: '.',
        months: [
            "gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic",
        ],
        weekdays: ["lun", "mar", "mer", "gio", "ven", "sab", "dom"],
        ..ENGLISH
    },
    Language {
        tag: "nl",
        decimal_mark: ',',
        thousands_mark: '.',
        months: [
            "jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec",
        ],
        weekdays: ["ma", "di", "wo", "do", "vr", "za", "zo"],
        ..ENGLISH
    },
    PORTUGUESE,
    Language {
        tag: "pt-PT",
        thousands_mark: BLANK,
        least_leading_digits: 2,
        ..PORTUGUESE
    },
    Language {
        tag: "pl",
        decimal_mark: ',',
        least_leading_digits: 2,
        behind_weekday: ", ",
        months: [
            "sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "paź", "lis", "gru",
        ],
        weekdays: ["pon.", "wt.", "śr.", "czw.", "pt.", "sob.", "niedz."],
        ..ENGLISH
    },
    Language {
        tag: "cs",
        decimal_mark: ',',
        day_and_month: "d. M.",
        with_year: "d. M. y",
        months: [
            "led", "úno", "bře", "dub", "kvě", "čvn", "čvc", "srp", "zář", "říj", "lis", "pro",
        ],
        weekdays: ["po", "út", "st", "čt", "pá", "so", "ne"],
        ..ENGLISH
    },
    Language {
        tag: "sk",
        decimal_mark: ',',
        day_and_month: "d. M.",
        with_year: "d. M. y",
        months: [
            "jan", "feb", "mar", "apr", "máj", "jún", "júl", "aug", "sep", "okt", "nov", "dec",
        ],
        weekdays: ["po", "ut", "st", "št", "pi", "so", "ne"],
        ..ENGLISH
    },
    Language {
        tag: "da",
        decimal_mark: ',',
        thousands_mark: '.',
        day_and_month: "d. N",
        with_year: "d. N y",
        months: [
            "jan.", "feb.", "mar.", "apr.", "maj", "jun.", "jul.", "aug.", "sep.", "okt.", "nov.",
            "dec.",
        ],
        weekdays: ["man.", "tirs.", "ons.", "tors.", "fre.", "lør.", "søn."],
        ..ENGLISH
    },
    Language {
        tag: "sv",
        decimal_mark: ',',
        months: [
            "jan.", "feb.", "mars", "apr.", "maj", "juni", "juli", "aug.", "sep.", "okt.", "nov.",
            "dec.",
        ],
        weekdays: ["mån", "tis", "ons", "tors", "fre", "lör", "sön"],
        ..ENGLISH
    },
    Language {
        tag: "nb",
        decimal_mark: ',',
        day_and_month: "d. N",
        with_year: "d. N y",
        months: [
            "jan", "feb", "mar", "apr", "mai", "jun", "jul", "aug", "sep", "okt", "nov", "des",
        ],
        weekdays: ["man.", "tir.", "ons.", "tor.", "fre.", "lør.", "søn."],
        ..ENGLISH
    },
    Language {
        tag: "fi",
        decimal_mark: ',',
        day_and_month: "d.M.",
        with_year: "d.M.y",
        months: [
            "tammi", "helmi", "maalis", "huhti", "touko", "kesä", "heinä", "elo", "syys", "loka",
            "marras", "joulu",
        ],
        weekdays: ["ma", "ti", "ke", "to", "pe", "la", "su"],
        ..ENGLISH
    },
];
