//! Text fitting: how wide a text is in common fonts, where it breaks, in which size it fits.
//!
//! The page does not know the browser's font, so DejaVu Sans counts, the widest one in common
//! use: in any other a text takes less room than it is given.

/// Whether a text is set in bold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Regular,
    Bold,
}

/// The width of a text in ems.
pub fn width(text: &str, weight: Weight) -> f64 {
    let regular: f64 = text.chars().map(letter_width).sum();
    match weight {
        Weight::Regular => regular,
        Weight::Bold => regular * 1.12,
    }
}

fn letter_width(letter: char) -> f64 {
    match letter {
        '\u{2009}' | '\u{202f}' => 0.2,
        ' ' | '.' | ',' | ':' | ';' | '\'' | '’' | '|' | 'i' | 'j' | 'l' | 'I' | '·' => 0.33,
        '(' | ')' | '[' | ']' | '-' | '/' | 'f' | 't' | 'r' | '"' | '°' => 0.45,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' | '→' | '←' | '↑' | '↓' => 1.0,
        // The other capitals of Latin, Greek and Cyrillic.
        letter if letter.is_uppercase() => 0.76,
        '+' | '−' | '=' | '<' | '>' | '~' | '±' => 0.84,
        letter if u32::from(letter) < 0x1100 => 0.64,
        // Marks, Chinese, Japanese and Korean letters, emoji.
        _ => 1.05,
    }
}

/// The largest size up to `most` in which the text is no wider than `room`.
pub fn fitting_size(text: &str, weight: Weight, room: f64, most: f64) -> f64 {
    let ems = width(text, weight);
    if ems * most <= room { most } else { room / ems }
}

/// Breaks a text between words into at most `lines` lines of `ems` ems; what does not fit is cut
/// with an ellipsis.
pub fn wrap(text: &str, weight: Weight, ems: f64, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let continued = wrapped.last().map(|line| format!("{line} {word}"));
        match continued.filter(|line| width(line, weight) <= ems) {
            Some(line) => {
                wrapped.pop();
                wrapped.push(line);
            }
            None => wrapped.push(word.to_owned()),
        }
    }
    if wrapped.len() > lines {
        let rest = wrapped.split_off(lines.saturating_sub(1)).join(" ");
        wrapped.push(rest);
    }
    wrapped.iter().map(|line| cut(line, weight, ems)).collect()
}

/// The text, or its beginning with an ellipsis where it is wider than `ems`.
pub fn cut(text: &str, weight: Weight, ems: f64) -> String {
    if width(text, weight) <= ems {
        return text.to_owned();
    }
    let room = ems - width("…", weight);
    let mut used = 0.0;
    let fits = |letter: &char| {
        used += width(letter.encode_utf8(&mut [0; 4]), weight);
        used <= room
    };
    let beginning: String = text.chars().take_while(fits).collect();
    format!("{}…", beginning.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_wide_as_in_dejavu_or_a_little_wider() {
        // Advance widths of DejaVu Sans, and of its bold face, in ems.
        for (text, weight, advance) in [
            ("Living room", Weight::Regular, 5.92),
            ("Outside", Weight::Regular, 3.98),
            ("1031", Weight::Bold, 2.78),
            ("20.0", Weight::Bold, 2.47),
            ("ppm", Weight::Regular, 2.24),
        ] {
            let found = width(text, weight);
            assert!(
                found >= advance * 0.98 && found <= advance * 1.25,
                "{text}: {found}"
            );
        }
    }

    #[test]
    fn a_text_shrinks_only_where_it_does_not_fit() {
        assert!((fitting_size("1", Weight::Regular, 64.0, 10.0) - 10.0).abs() < 1e-9);
        assert!((fitting_size("1234567890", Weight::Regular, 64.0, 20.0) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn texts_break_between_words_and_end_in_an_ellipsis() {
        for (text, ems, lines, expected) in [
            ("Living room", 10.0, 2, vec!["Living room"]),
            ("Living room", 5.0, 2, vec!["Living", "room"]),
            (
                "Living room temperature",
                6.5,
                2,
                vec!["Living room", "temper…"],
            ),
            ("Donaudampfschifffahrt", 6.0, 2, vec!["Donaudamp…"]),
            ("", 6.0, 2, vec![]),
        ] {
            let found = wrap(text, Weight::Regular, ems, lines);
            assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
            for (line, begins) in found.iter().zip(expected) {
                assert!(width(line, Weight::Regular) <= ems, "{line}");
                let begins = begins.trim_end_matches('…');
                assert!(line.starts_with(&begins[..begins.len() / 2]), "{line}");
            }
        }
    }
}
