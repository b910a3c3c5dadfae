//! Hash of bytes that is the same in every build and on every machine: tags of responses, short
//! identifiers of keys.
//!
//! Pure, and not for secrets: whoever wants to can find two inputs with one hash.

/// FNV-1a, 64 bits, then mixed: a tag outlives an upgrade.
pub const fn hash(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x100_0000_01b3);
        at += 1;
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}
