//! BMP with a palette (BITMAPINFOHEADER): 1, 4 or 8 bits, rows from the lowest, as TRMNL's firmware reads it.

use super::bit_packing::pack;
use super::panel_colour::PanelColour;
use crate::domain::plan::Panel;

const FILE_HEADER: usize = 14;
const INFO_HEADER: usize = 40;
/// 2,835 pixels a metre are 72 an inch.
const PIXELS_A_METRE: u32 = 2835;

/// Of rows from the lowest, which `rows` gives to what it is called with.
pub fn encode(panel: &Panel, rows: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Vec<u8> {
    let colour = PanelColour::new(panel.colours);
    // 2 bits are no BMP that all read.
    let bits = if colour.bits() == 2 { 4 } else { colour.bits() };
    let palette = palette(colour);
    let row_bytes = (usize::from(panel.width) * usize::from(bits)).div_ceil(32) * 4;
    let pixel_bytes = row_bytes * usize::from(panel.height);
    let start = FILE_HEADER + INFO_HEADER + 4 * palette.len();

    let mut file = Vec::with_capacity(start + pixel_bytes);
    let number = |file: &mut Vec<u8>, value: usize| file.extend((value as u32).to_le_bytes());
    file.extend(b"BM");
    number(&mut file, start + pixel_bytes);
    number(&mut file, 0);
    number(&mut file, start);
    number(&mut file, INFO_HEADER);
    number(&mut file, panel.width.into());
    number(&mut file, panel.height.into());
    file.extend([1, 0, bits, 0]);
    // Not compressed.
    number(&mut file, 0);
    number(&mut file, pixel_bytes);
    number(&mut file, PIXELS_A_METRE as usize);
    number(&mut file, PIXELS_A_METRE as usize);
    // Colours in use, all of which matter.
    number(&mut file, palette.len());
    number(&mut file, 0);
    for [red, green, blue] in palette {
        file.extend([blue, green, red, 0]);
    }
    rows(&mut |row| {
        let end = file.len() + row_bytes;
        pack(row.iter().copied(), bits, &mut file);
        file.resize(end, 0);
    });
    file
}

/// Of greys, from black to white.
fn palette(colour: PanelColour) -> Vec<[u8; 3]> {
    match colour.palette() {
        Some(palette) => palette.to_vec(),
        None => {
            let levels = u32::from(colour.white());
            let grey = |level: u32| (level * 255 / levels.max(1)) as u8;
            (0..=levels).map(|level| [grey(level); 3]).collect()
        }
    }
}
