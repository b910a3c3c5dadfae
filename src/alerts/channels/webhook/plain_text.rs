//! Text for chat and push services: cut to a service's limit, its mentions and markup defused.
//!
//! Pure. A text may hold what an API sent; a service must show it, and not act on it.

/// How a service counts the length of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextUnit {
    /// Of UTF-8.
    Byte,
    /// Of Unicode.
    Character,
    /// Of UTF-16: an emoji counts as two.
    Utf16Unit,
}

impl TextUnit {
    pub fn count(self, text: &str) -> usize {
        match self {
            TextUnit::Byte => text.len(),
            TextUnit::Character => text.chars().count(),
            TextUnit::Utf16Unit => text.encode_utf16().count(),
        }
    }
}

/// Escapes a character that follows another one.
pub type CharEscape = fn(previous: Option<char>, c: char, out: &mut String);

/// Stands where a text is cut.
const CUT: &str = "… see the page";

/// A text of at most `most` units. A longer one is cut between characters, and says so.
pub fn fit(text: &str, most: usize, unit: TextUnit, escape: CharEscape) -> String {
    let room = most.saturating_sub(unit.count(CUT));
    let mut fitted = String::new();
    let (mut length, mut cut_at, mut previous) = (0, 0, None);
    for c in text.chars() {
        let begin = fitted.len();
        escape(previous, c, &mut fitted);
        length += unit.count(&fitted[begin..]);
        if length > most {
            fitted.truncate(cut_at);
            let end = fitted.trim_end().len();
            fitted.truncate(end);
            return fitted + CUT;
        }
        if length <= room {
            cut_at = fitted.len();
        }
        previous = Some(c);
    }
    fitted
}

/// Nothing has a meaning.
pub fn unescaped(_: Option<char>, c: char, out: &mut String) {
    out.push(c);
}

/// Between the characters of a mark it takes its meaning, and shows nothing.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// Takes the meaning of mentions (`@all`), commands of Slack and Google Chat (`<!channel>`,
/// `<users/all>`), tags of HTML and links of Markdown, and looks the same.
pub fn defuse(text: &str) -> String {
    let mut defused = String::with_capacity(text.len());
    let mut previous = None;
    for c in text.chars() {
        let before: Option<char> = previous;
        let is_mark = match before {
            // In an address of mail it has no meaning.
            Some('@') => c.is_alphanumeric() || c == '_',
            Some('<') => c.is_alphanumeric() || "!@#/:".contains(c),
            Some(']') => c == '(',
            _ => false,
        };
        let is_mail = before == Some('@') && is_behind_word(&defused);
        if is_mark && !is_mail {
            defused.push(ZERO_WIDTH_SPACE);
        }
        defused.push(c);
        previous = Some(c);
    }
    defused
}

/// Whether the last character follows a letter or a digit.
fn is_behind_word(text: &str) -> bool {
    text.chars().rev().nth(1).is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        let double: CharEscape = |_, c, out| {
            out.push('\\');
            out.push(c);
        };
        for (text, most, unit, escape, expected) in [
            ("abc", 3, TextUnit::Byte, unescaped as CharEscape, "abc"),
            ("", 0, TextUnit::Byte, unescaped, ""),
            // "… see the page" has 14 characters and 16 bytes.
            (
                "abcdefghijklmnopq",
                16,
                TextUnit::Byte,
                unescaped,
                "… see the page",
            ),
            (
                "abcdefghijklmnopqr",
                17,
                TextUnit::Byte,
                unescaped,
                "a… see the page",
            ),
            (
                "ä ödefghijklmnopqr",
                17,
                TextUnit::Character,
                unescaped,
                "ä ö… see the page",
            ),
            (
                "ä odefghijklmnopqr",
                16,
                TextUnit::Character,
                unescaped,
                "ä… see the page",
            ),
            (
                "ääääääääää",
                19,
                TextUnit::Byte,
                unescaped,
                "ä… see the page",
            ),
            (
                "😀😀😀😀😀😀😀😀😀",
                17,
                TextUnit::Utf16Unit,
                unescaped,
                "😀… see the page",
            ),
            (
                "😀😀😀😀😀😀😀😀😀",
                18,
                TextUnit::Utf16Unit,
                unescaped,
                "😀😀😀😀😀😀😀😀😀",
            ),
            // Not between an escape and what it escapes.
            ("abcdefghi", 17, TextUnit::Byte, double, "… see the page"),
            (
                "abcdefghi",
                18,
                TextUnit::Byte,
                double,
                "\\a\\b\\c\\d\\e\\f\\g\\h\\i",
            ),
            (
                "abcdefghij",
                18,
                TextUnit::Byte,
                double,
                "\\a… see the page",
            ),
        ] {
            let fitted = fit(text, most, unit, escape);
            assert_eq!(fitted, expected, "{text} {most}");
            assert!(
                unit.count(&fitted) <= most.max(unit.count(CUT)),
                "{text} {most}"
            );
        }
    }

    #[test]
    fn marks_lose_their_meaning() {
        for (text, expected) in [
            ("@everyone and @here", "@_everyone and @_here"),
            ("(@all)", "(@_all)"),
            ("owner@example.org", "owner@example.org"),
            ("5 @ 20 °C", "5 @ 20 °C"),
            (
                "<!channel> <@U012> <#C01> <users/all>",
                "<_!channel> <_@_U012> <_#C01> <_users/all>",
            ),
            ("<script>", "<_script>"),
            ("</b>", "<_/b>"),
            ("a < b <= c", "a < b <= c"),
            ("[x](http://pi)", "[x]_(http://pi)"),
            ("[main-node] Weather", "[main-node] Weather"),
        ] {
            let expected = expected.replace('_', "\u{200b}");
            assert_eq!(defuse(text), expected);
        }
    }
}
