//! A picture as shapes, and as a file in the form that a device takes.
//!
//! Pixels are drawn in bands of rows and encoded at once, so that a large picture takes little memory.

use super::band::PixelBand;
use super::font::Fonts;
use super::shape::PictureShape;
use super::text::Typesetter;
use super::{bmp, png, raw};
use crate::domain::plan::Panel;
use crate::limits;

/// A file of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    Png,
    Bmp,
    /// Rows without a header: `raw.rs`.
    Raw,
}

pub struct Drawing {
    pub shapes: Vec<PictureShape>,
    pub fonts: Fonts,
}

impl Drawing {
    pub fn encode(&self, panel: &Panel, format: PictureFormat) -> Vec<u8> {
        match format {
            PictureFormat::Png => png::encode(panel, |row| self.rows(panel, false, row)),
            PictureFormat::Bmp => bmp::encode(panel, |row| self.rows(panel, true, row)),
            PictureFormat::Raw => raw::encode(panel, |row| self.rows(panel, false, row)),
        }
    }

    /// Calls `each` with every row of the panel, a colour's number for each pixel; from the lowest up if told so.
    fn rows(&self, panel: &Panel, upward: bool, each: &mut dyn FnMut(&[u8])) {
        let typesetter = Typesetter::new(&self.fonts);
        let width = usize::from(panel.width).max(1);
        let height = i32::from(panel.height);
        let rows = (limits::PICTURE_BAND_BYTES / width).max(1) as i32;
        let bands = (height + rows - 1) / rows;
        for index in 0..bands {
            let top = rows * if upward { bands - 1 - index } else { index };
            let mut band = PixelBand::new(panel, top, rows.min(height - top));
            for shape in &self.shapes {
                band.draw(shape, &typesetter);
            }
            if upward {
                band.rows().rev().for_each(&mut *each);
            } else {
                band.rows().for_each(&mut *each);
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/drawing.rs"]
mod tests;
