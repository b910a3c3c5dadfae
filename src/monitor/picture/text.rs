//! Setting text: widths, wrapping, cutting. Every letter begins at a whole pixel.

use std::collections::BTreeSet;

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

    /// Every glyph and its place.
    fn place(&self, text: &str, style: TextStyle) -> impl Iterator<Item = PlacedGlyph> {
        let (face, scale) = (self.face(style.weight), style.scale());
        let (mut x, mut last) = (0, None);
        text.char_indices().map(move |(at, letter)| {
            let glyph = face.glyph(letter);
            let left = x + (face.kerning(last, glyph) * scale).round() as i32;
            x = left + (face.advance(glyph) * scale).round() as i32;
            last = glyph;
            PlacedGlyph {
                at,
                glyph,
                left,
                right: x,
            }
        })
    }

    /// Calls `each` with every glyph and where it begins; the width of all, in pixels.
    pub fn set(
        &self,
        text: &str,
        style: TextStyle,
        mut each: impl FnMut(Option<GlyphId>, i32),
    ) -> i32 {
        self.place(text, style).fold(0, |_, it| {
            each(it.glyph, it.left);
            it.right
        })
    }

    /// In pixels.
    pub fn width(&self, text: &str, style: TextStyle) -> i32 {
        self.set(text, style, |_, _| {})
    }

    /// How far letters reach above the baseline and below it, in pixels.
    pub fn extent(&self, text: &str, style: TextStyle) -> (i32, i32) {
        let face = self.face(style.weight);
        let glyphs: BTreeSet<Option<GlyphId>> = text.chars().map(|it| face.glyph(it)).collect();
        let bounds = glyphs.into_iter().filter_map(|glyph| {
            let (_, top, _, bottom) = face.outline(glyph, style.scale()).bounds()?;
            Some((-top, bottom))
        });
        bounds.fold((0, 0), |most, it| (most.0.max(it.0), most.1.max(it.1)))
    }

    /// One line of at most `width` pixels, cut and ended by an ellipsis if need be.
    pub fn shorten(&self, text: &str, style: TextStyle, width: i32) -> String {
        if self.width(text, style) <= width {
            return text.to_owned();
        }
        let text = text.trim_end();
        let mut end = self.fitting(text, style, width);
        loop {
            let cut = format!("{}{ELLIPSIS}", text[..end].trim_end());
            if self.width(&cut, style) <= width {
                return cut;
            }
            match text[..end].char_indices().next_back() {
                Some((at, _)) => end = at,
                None => return String::new(),
            }
        }
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
        let most = self.fitting(text, style, width);
        if most == text.len() || text[most..].starts_with(' ') {
            return most;
        }
        let first = text.chars().next().map_or(0, char::len_utf8);
        text[..most].rfind(' ').unwrap_or(most).max(first)
    }

    /// Bytes of the longest start of a text that is at most `width` pixels wide.
    fn fitting(&self, text: &str, style: TextStyle, width: i32) -> usize {
        let mut placed = self.place(text, style);
        let beyond = placed.find(|it| it.right > width);
        beyond.map_or(text.len(), |it| it.at)
    }
}

/// A glyph of a text: its byte there, and the pixels from which and up to which it reaches.
struct PlacedGlyph {
    at: usize,
    glyph: Option<GlyphId>,
    left: i32,
    right: i32,
}

#[cfg(test)]
#[path = "tests/text.rs"]
mod tests;
