//! Embedded assets: files that the build script (src/build.rs) compressed into the binary.
//!
//! Pure.

use flate2::{Decompress, FlushDecompress};

/// RFC 1952: ten bytes before the deflated ones where there is no name, eight behind, of which
/// the last four say the length.
const HEAD: usize = 10;
const TAIL: usize = 8;

/// What was compressed. `gzip` must be the build script's own.
pub fn unpack(gzip: &[u8]) -> Vec<u8> {
    let (rest, length) = gzip.split_last_chunk().unwrap_or((&[], &[0; 4]));
    let mut file = Vec::with_capacity(u32::from_le_bytes(*length) as usize);
    let deflated = rest.get(HEAD..rest.len().saturating_sub(TAIL - 4));
    // A test reads each file back: nothing can fail here that did not fail there.
    let _ = Decompress::new(false).decompress_vec(
        deflated.unwrap_or_default(),
        &mut file,
        FlushDecompress::Finish,
    );
    file
}
