use super::*;

/// Each pattern with texts that it takes, and texts that it does not.
#[test]
fn each_construct_means_what_ecma_262_says() {
    for (pattern, taken, refused) in [
        (r"^\d\D$", &["1a", "1é"][..], &["11", "a1", "٧a"][..]),
        (r"^\w\W$", &["a-", "_é"], &["aa", "éa"]),
        (
            r"^\s+$",
            &[" \t\r\n\u{b}\u{c}", "\u{a0}\u{2003}\u{feff}"],
            &["a", ""],
        ),
        (r"^\S+$", &["aé", "\u{85}"], &["a b", "\u{a0}", "\u{3000}"]),
        (r"^[\s,]$", &[" ", ",", "\u{2029}"], &["s", "\\"]),
        (r"^[^\S ]$", &["\t", "\u{a0}"], &[" ", "x"]),
        (r"^[\s\S]$", &["\n", "x", "\u{a0}"], &["", "ab"]),
        (r"^[\d\D]$", &["1", "x"], &[""]),
        (r"^[^\w]$", &["-", "é"], &["a", "_"]),
        (r"^.$", &["é", "\t"], &["\n", ""]),
        // `-`: between two characters a range, elsewhere itself.
        (r"^[\w-.]+$", &["a-b.c"], &["a,b"]),
        (r"^[a-]+$", &["a-a"], &["b"]),
        (r"^[-a]+$", &["a-a"], &["b"]),
        (r"^[^-a]+$", &["b"], &["-", "a"]),
        (r"^[a-c-e]+$", &["abc-e"], &["d"]),
        (r"^[--/]$", &["-", ".", "/"], &[",", "0"]),
        (r"^[+--]$", &["+", ",", "-"], &["*", "."]),
        (r"^[\--/]$", &["-", ".", "/"], &[",", "0"]),
        (r"^[a\-z]$", &["a", "-", "z"], &["m", "\\"]),
        (r"^[\x41-\u0043]$", &["A", "B", "C"], &["D"]),
        // In a class these mean themselves.
        (r"^[[\]]$", &["[", "]"], &["\\"]),
        (r"^[a&&b]$", &["a", "&", "b"], &["c"]),
        (r"^[a~~b]$", &["a", "~", "b"], &["c"]),
        (r"^[.*+?(){}|^$/]+$", &[".*+?(){}|^$/"], &["a"]),
        (r"^[\^a]$", &["^", "a"], &["b"]),
        (r"^[\b]$", &["\u{8}"], &["b", ""]),
        (r"^[[:alpha:]$", &["[", ":", "a", "l"], &["z"]),
        // Escapes.
        (r"^\.\*\/\-\@\<\>$", &[".*/-@<>"], &["a*/-@<>"]),
        (r"^\t\n\v\f\r$", &["\t\n\u{b}\u{c}\r"], &["tnvfr"]),
        (r"^\u00e9\u{1F600}\x41$", &["é😀A"], &["u00e9"]),
        // Groups, alternatives, repetitions.
        (r"^(a|b)(?:c|d)?$", &["a", "bd"], &["c", "acd"]),
        (
            r"^(?<year>\d{4})-(?P<month>\d\d)$",
            &["2026-11"],
            &["26-11"],
        ),
        (r"^(?i)abc$", &["ABC"], &["abd"]),
        (r"^a{2}b{1,}c{0,2}$", &["aab", "aabbcc"], &["ab", "aabccc"]),
        (r"^a+?b*?$", &["a", "aab"], &["b"]),
        (r"a|^b$", &["xax", "b"], &["xb"]),
        (r"\Bb\b", &["ab", "éab c"], &["b", "abc"]),
        (r"é$", &["café"], &["é!"]),
    ] {
        compile(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
        for text in taken {
            assert!(is_match(pattern, text), "{pattern} takes {text:?}");
        }
        for text in refused {
            assert!(!is_match(pattern, text), "{pattern} takes no {text:?}");
        }
    }
}

#[test]
fn what_cannot_be_checked_says_why_and_takes_every_text() {
    let long = "a".repeat(MAX_PATTERN_BYTES + 1);
    let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
    let stacked = format!("a{}", "*".repeat(60));
    for (pattern, why) in [
        ("^(?!api/).*", "look-around is not supported"),
        ("^(?=a)", "look-around is not supported"),
        ("(?<!a)b", "look-around is not supported"),
        ("(?<=a)b", "look-around is not supported"),
        (r"(a)\1", "backreferences are not supported"),
        (r"(?<a>a)\k<a>", "unrecognized escape sequence"),
        (
            r"^\p{L}{1,200}$",
            "Unicode character classes are not supported",
        ),
        (
            r"^[\p{L}\d]+$",
            "Unicode character classes are not supported",
        ),
        (r"\ud83d\ude00", "invalid fixed length hexadecimal"),
        ("[]a]", "a character class begins with `]`"),
        ("[^]*", "a character class begins with `]`"),
        ("[a", "character class"),
        ("(", "without closing"),
        ("a)", "without matching"),
        ("*", "repetition operator"),
        ("^{id}$", "expected decimal number"),
        ("\\", "escape sequence"),
        ("[\\", "escape sequence"),
        ("^.{1,2000}$", "compiled regex exceeded size limit"),
        ("(?:(?:(?:){9999}){9999}){9999}", "exceeded size limit"),
        ("a{99999999999}", "invalid decimal number"),
        (&deep, "too much nesting"),
        (&stacked, "too much nesting"),
        (&long, "longer than 1000 bytes"),
        (&r"\s".repeat(200), r"too many `\s`"),
    ] {
        let found = compile(pattern).expect_err(pattern);
        assert!(found.contains(why), "{pattern}: {found}");
        assert!(is_match(pattern, "any text"), "{pattern}");
    }
}

#[test]
fn no_pattern_panics() {
    const PARTS: &[&str] = &[
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "?",
        "*",
        "+",
        "|",
        "^",
        "$",
        ".",
        "\\",
        "-",
        ":",
        "<",
        ">",
        "=",
        "!",
        ",",
        "#",
        " ",
        "&",
        "~",
        "i",
        "x",
        "s",
        "u",
        "b",
        "d",
        "P",
        "0",
        "9",
        "é",
        "(?",
        "(?x)",
        "[^",
        "\\x",
        "\\u{",
        "{1,",
        "[[:",
        "\\b{",
        "\u{10ffff}",
    ];
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    for _ in 0..20_000 {
        let length = 1 + next(12);
        let pattern: String = (0..length).map(|_| PARTS[next(PARTS.len())]).collect();
        is_match(&pattern, "a-1 é\n]");
    }
}
