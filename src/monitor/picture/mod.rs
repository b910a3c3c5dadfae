//! Pictures of displays: content in words becomes shapes, shapes become rows of pixels, rows become a file.
//!
//! Drawn on the thread that asks, without a cache: the route keeps what was drawn (`routes/picture.rs`). Nothing here reads
//! a clock or the snapshot.

mod band;
mod bit_packing;
mod bmp;
pub mod compose;
mod content;
mod drawable_text;
mod drawing;
mod font;
mod layout;
mod outline;
mod panel_colour;
mod png;
mod raw;
mod shape;
mod text;

#[cfg(test)]
#[path = "tests/support.rs"]
mod support;

pub use content::{PictureContent, PictureTime};
pub use drawing::PictureFormat;
pub use font::missing_glyphs;
pub use layout::draw;

/// Part of a picture's hash: greater when the same content is drawn in another way.
pub const DRAWING_VERSION: u32 = 1;
