//! Embedded assets: files that the build script (src/build.rs) compressed into the binary.
//!
//! Pure.

use flate2::{Decompress, FlushDecompress};

/// Gzip (RFC 1952): a header of ten bytes without a file name, a trailer of eight, of which the
/// last four are the length.
const HEAD: usize = 10;
const TAIL: usize = 8;

/// Decompresses an asset. `gzip` must be from the build script.
pub fn decompress(gzip: &[u8]) -> Vec<u8> {
    let (rest, length) = gzip.split_last_chunk().unwrap_or((&[], &[0; 4]));
    let mut file = Vec::with_capacity(u32::from_le_bytes(*length) as usize);
    let deflated = rest.get(HEAD..rest.len().saturating_sub(TAIL - 4));
    // Cannot fail: a test decompresses every asset.
    let _ = Decompress::new(false).decompress_vec(
        deflated.unwrap_or_default(),
        &mut file,
        FlushDecompress::Finish,
    );
    file
}
