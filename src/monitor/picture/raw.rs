//! Rows of pixels without a header, the first pixel of a byte in its highest bits; each row begins at a byte.
//!
//! - Grey: 1, 2, 4 or 8 bits a pixel, from 0 for black; so 1 is white where there is one bit.
//! - Two colours beside white: two planes of 1 bit, as drivers of such panels take them: first black, then red or
//!   yellow; 0 is ink. A pixel of colour is white (1) in the plane of black.
//! - Black, white, yellow and red: 2 bits a pixel, 0 to 3 in this order.
//! - Spectra 6: 4 bits a pixel: black 0, white 1, yellow 2, red 3, blue 5, green 6.

use super::bit_packing::pack;
use super::panel_colour::PanelColour;
use crate::domain::plan::{Panel, PanelColours};

/// The number of the third colour.
const ACCENT: u8 = 2;

/// Of rows from the upper, which `rows` gives to what it is called with.
pub fn encode(panel: &Panel, rows: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Vec<u8> {
    let is_planes = matches!(
        panel.colours,
        PanelColours::BlackWhiteRed | PanelColours::BlackWhiteYellow
    );
    let (mut first, mut second) = (Vec::new(), Vec::new());
    rows(&mut |row| {
        if is_planes {
            pack(row.iter().map(|it| u8::from(*it != 0)), 1, &mut first);
            let accent = row.iter().map(|it| u8::from(*it != ACCENT));
            pack(accent, 1, &mut second);
        } else {
            let bits = PanelColour::new(panel.colours).bits();
            pack(row.iter().copied(), bits, &mut first);
        }
    });
    first.append(&mut second);
    first
}
