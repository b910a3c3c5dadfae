//! Texts as the font can draw them: letters and their marks as one character, and none without a width.

use unicode_normalization::char::compose;

use crate::domain::text::is_invisible;

/// The same text for the eye.
pub fn drawable(text: &str) -> String {
    let mut drawn = String::with_capacity(text.len());
    for letter in text.chars().filter(|it| !has_no_width(*it)) {
        // Many sources send `e` and an acute accent, for which the font has `é` alone.
        match drawn.pop().map(|before| (before, compose(before, letter))) {
            Some((_, Some(composed))) => drawn.push(composed),
            Some((before, None)) => drawn.extend([before, letter]),
            None => drawn.push(letter),
        }
    }
    drawn
}

/// Joiners, marks of direction, soft hyphens, and selectors of a variant of the letter before.
fn has_no_width(letter: char) -> bool {
    is_invisible(letter) || matches!(letter, '\u{ad}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_join_their_letters_and_what_is_invisible_is_left_out() {
        for (text, expected) in [
            ("", ""),
            ("21.5 °C", "21.5 °C"),
            ("Cafe\u{301} u\u{308}ber", "Café über"),
            ("\u{438}\u{306}", "й"),
            ("\u{2600}\u{fe0f} sunny", "\u{2600} sunny"),
            ("b\u{200b}c\u{ad}d\u{feff}", "bcd"),
            ("\u{301}x\u{301}\u{301}", "\u{301}x\u{301}\u{301}"),
            ("S\u{323}\u{307}", "\u{1e68}"),
        ] {
            assert_eq!(drawable(text), expected, "{text:?}");
        }
    }
}
