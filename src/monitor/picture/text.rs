//! Setting text: widths, wrapping, cutting. Every letter begins at a whole pixel.

use ttf_parser::GlyphId;

use super::font::{CAPITAL_UNITS, FontFace, FontWeight, Fonts};

/// Font and size of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextStyle {
    pub weight: FontWeight,
    /// Height of capitals and figures, in pixels.
    pub capital: i32,
}

/// What stands for the end of a text that is cut.
const ELLIPSIS: char = '…';

impl TextStyle {
    pub fn regular(capital: i32) -> TextStyle {
        TextStyle {
            weight: FontWeight::Regular,
            capital,
        }
    }

    pub fn bold(capital: i32) -> TextStyle {
        TextStyle {
            weight: FontWeight::Bold,
            capital,
        }
    }

    /// Pixels a unit of the font.
    pub fn scale(self) -> f32 {
        self.capital as f32 / CAPITAL_UNITS
    }

    /// Room above the baseline: capitals with accents.
    pub fn ascent(self) -> i32 {
        (self.capital as f32 * 1.3).ceil() as i32
    }

    /// Room below the baseline.
    pub fn descent(self) -> i32 {
        (self.capital as f32 * 0.32).ceil() as i32
    }

    /// From a baseline to the next.
    pub fn line_height(self) -> i32 {
        (self.capital as f32 * 1.8).round() as i32
    }
}

/// Both faces of the fonts, read once.
pub struct Typesetter<'a> {
    regular: FontFace<'a>,
    bold: FontFace<'a>,
}

impl Typesetter<'_> {
    pub fn new(fonts: &Fonts) -> Typesetter<'_> {
        Typesetter {
            regular: fonts.face(FontWeight::Regular),
            bold: fonts.face(FontWeight::Bold),
        }
    }

    pub fn face(&self, weight: FontWeight) -> &FontFace<'_> {
        match weight {
            FontWeight::Regular => &self.regular,
            FontWeight::Bold => &self.bold,
        }
    }

    /// Calls `each` with every glyph and its place; the width of all, in pixels.
    pub fn set(
        &self,
        text: &str,
        style: TextStyle,
        mut each: impl FnMut(Option<GlyphId>, i32),
    ) -> i32 {
        let (face, scale) = (self.face(style.weight), style.scale());
        let (mut x, mut last) = (0, None);
        for letter in text.chars() {
            let glyph = face.glyph(letter);
            x += (face.kerning(last, glyph) * scale).round() as i32;
            each(glyph, x);
            x += (face.advance(glyph) * scale).round() as i32;
            last = glyph;
        }
        x
    }

    /// In pixels.
    pub fn width(&self, text: &str, style: TextStyle) -> i32 {
        self.set(text, style, |_, _| {})
    }

    /// How far letters reach above the baseline and below it, in pixels.
    pub fn extent(&self, text: &str, style: TextStyle) -> (i32, i32) {
        let face = self.face(style.weight);
        let (mut above, mut below) = (0, 0);
        self.set(text, style, |glyph, _| {
            if let Some((_, top, _, bottom)) = face.outline(glyph, style.scale()).bounds() {
                above = above.max(-top);
                below = below.max(bottom);
            }
        });
        (above, below)
    }

    /// One line of at most `width` pixels, cut and ended by an ellipsis if need be.
    pub fn shorten(&self, text: &str, style: TextStyle, width: i32) -> String {
        if self.width(text, style) <= width {
            return text.to_owned();
        }
        let mut kept = text.trim_end().to_owned();
        while kept.pop().is_some() {
            let cut = format!("{}{ELLIPSIS}", kept.trim_end());
            if self.width(&cut, style) <= width {
                return cut;
            }
        }
        String::new()
    }

    /// At most `lines` lines of at most `width` pixels, broken at spaces, and within words that are wider; what is too
    /// long ends in an ellipsis.
    pub fn wrap(&self, text: &str, style: TextStyle, width: i32, lines: usize) -> Vec<String> {
        let mut done: Vec<String> = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() && done.len() < lines {
            let length = self.line_length(rest, style, width);
            if done.len() + 1 == lines && length < rest.len() {
                done.push(self.shorten(rest, style, width));
                break;
            }
            let (line, after) = rest.split_at(length);
            done.push(line.trim_end().to_owned());
            rest = after.trim_start();
        }
        done
    }

    /// Bytes of the longest line that the start of a text fills.
    fn line_length(&self, text: &str, style: TextStyle, width: i32) -> usize {
        if self.width(text, style) <= width {
            return text.len();
        }
        let breaks = text.char_indices().filter(|(_, letter)| *letter == ' ');
        let fits = |end: &usize| {
            let line = text.get(..*end).unwrap_or_default();
            self.width(line.trim_end(), style) <= width
        };
        let by_word = breaks.map(|(at, _)| at).take_while(fits).last();
        let by_letter = || {
            text.char_indices()
                .map(|(at, _)| at)
                .take_while(fits)
                .last()
        };
        let first = text.chars().next().map_or(0, char::len_utf8);
        by_word.or_else(by_letter).unwrap_or(0).max(first)
    }
}

#[cfg(test)]
#[path = "tests/text.rs"]
mod tests;
