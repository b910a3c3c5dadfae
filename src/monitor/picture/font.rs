//! Fonts of pictures: DejaVu Sans and DejaVu Sans Bold, cut down by `.ci/font`.
//!
//! Unpacked when a picture is drawn (73 kB, under a millisecond) and dropped with it. Only the tables that
//! the cut fonts have are read.

use ttf_parser::{GlyphId, RawFace, Tag, cmap, glyf, head, hhea, hmtx, kern, loca, maxp};

use super::drawable_text::drawable;
use super::outline::GlyphOutline;
use crate::sys::assets;

static REGULAR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/DejaVuSans.ttf.gz"));
static BOLD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/DejaVuSans-Bold.ttf.gz"));

/// Height of capitals and figures of both fonts, in units, of which an em has 2048.
pub const CAPITAL_UNITS: f32 = 1493.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FontWeight {
    Regular,
    Bold,
}

impl FontWeight {
    /// The usual width of stems, in units.
    fn stem(self) -> f32 {
        match self {
            FontWeight::Regular => 190.0,
            FontWeight::Bold => 360.0,
        }
    }
}

pub struct Fonts {
    regular: Vec<u8>,
    bold: Vec<u8>,
}

impl Fonts {
    pub fn unpack() -> Fonts {
        Fonts {
            regular: assets::decompress(REGULAR),
            bold: assets::decompress(BOLD),
        }
    }

    pub fn face(&self, weight: FontWeight) -> FontFace<'_> {
        let data = match weight {
            FontWeight::Regular => &self.regular,
            FontWeight::Bold => &self.bold,
        };
        FontFace {
            tables: FontTables::read(data),
            weight,
        }
    }
}

/// Outlines and widths of one font.
pub struct FontFace<'a> {
    /// None would draw a box for each character; a test reads both files.
    tables: Option<FontTables<'a>>,
    weight: FontWeight,
}

struct FontTables<'a> {
    characters: cmap::Subtable<'a>,
    outlines: glyf::Table<'a>,
    widths: hmtx::Table<'a>,
    kerning: Option<kern::Subtable0<'a>>,
}

impl FontFace<'_> {
    /// None: the font lacks it.
    pub fn glyph(&self, letter: char) -> Option<GlyphId> {
        self.tables.as_ref()?.characters.glyph_index(letter.into())
    }

    /// In units; a missing glyph is as wide as its box.
    pub fn advance(&self, glyph: Option<GlyphId>) -> f32 {
        let known = self.tables.as_ref().zip(glyph);
        known
            .and_then(|(tables, glyph)| tables.widths.advance(glyph))
            .map_or(MISSING_ADVANCE, f32::from)
    }

    /// What is added between two glyphs, in units.
    pub fn kerning(&self, left: Option<GlyphId>, right: Option<GlyphId>) -> f32 {
        let kerning = self.tables.as_ref().and_then(|it| it.kerning.as_ref());
        let pair = left.zip(right);
        kerning
            .zip(pair)
            .and_then(|(kerning, (left, right))| kerning.glyphs_kerning(left, right))
            .map_or(0.0, f32::from)
    }

    /// Fitted to pixels at `scale` pixels a unit: x to the right of its origin, y below the baseline.
    pub fn outline(&self, glyph: Option<GlyphId>, scale: f32) -> GlyphOutline {
        let mut outline = GlyphOutline::new();
        match self.tables.as_ref().zip(glyph) {
            Some((tables, glyph)) => {
                // A space has none.
                tables.outlines.outline(glyph, &mut outline);
            }
            None => outline.missing_box(MISSING_ADVANCE, CAPITAL_UNITS),
        }
        outline.fit(scale, self.weight.stem());
        outline
    }
}

/// Width of the box in place of a missing glyph, with its sides.
const MISSING_ADVANCE: f32 = 1200.0;

impl FontTables<'_> {
    fn read(data: &[u8]) -> Option<FontTables<'_>> {
        let face = RawFace::parse(data, 0).ok()?;
        let table = |name: &[u8; 4]| face.table(Tag::from_bytes(name));
        let head = head::Table::parse(table(b"head")?)?;
        let glyphs = maxp::Table::parse(table(b"maxp")?)?.number_of_glyphs;
        let metrics = hhea::Table::parse(table(b"hhea")?)?.number_of_metrics;
        let places = loca::Table::parse(glyphs, head.index_to_location_format, table(b"loca")?)?;
        // A header of table (4 bytes) and of its one subtable (6) come before the pairs.
        let pairs = table(b"kern").and_then(|it| it.get(10..));
        Some(FontTables {
            characters: cmap::Table::parse(table(b"cmap")?)?.subtables.get(0)?,
            outlines: glyf::Table::parse(places, table(b"glyf")?)?,
            widths: hmtx::Table::parse(metrics, glyphs, table(b"hmtx")?)?,
            kerning: pairs.and_then(kern::Subtable0::parse),
        })
    }
}

/// The characters of a text that are drawn as a box, each once.
pub fn missing_glyphs(text: &str) -> Vec<char> {
    let fonts = Fonts::unpack();
    let face = fonts.face(FontWeight::Regular);
    let mut missing = Vec::new();
    for letter in drawable(text).chars() {
        if face.glyph(letter).is_none() && !missing.contains(&letter) {
            missing.push(letter);
        }
    }
    missing
}
