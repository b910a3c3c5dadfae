//! Pixels of less than a byte.

/// Appends pixels of so many bits each, the first in the highest bits; the last byte is filled with zeros.
pub fn pack(pixels: impl Iterator<Item = u8>, bits: u8, into: &mut Vec<u8>) {
    let (mut byte, mut filled) = (0, 0);
    for pixel in pixels {
        byte |= u16::from(pixel) << (8 - bits - filled);
        filled += bits;
        if filled == 8 {
            into.push(byte as u8);
            (byte, filled) = (0, 0);
        }
    }
    if filled > 0 {
        into.push(byte as u8);
    }
}
