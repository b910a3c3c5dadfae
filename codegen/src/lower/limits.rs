//! How large a description may be: bytes of its files, and memory that reading it takes.

/// A limit that is exceeded ends the reading with `Failure::is_over_limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files of a description together.
    pub file_bytes: u64,
    /// Bytes of heap, from reading the files to the compact text.
    pub memory_bytes: usize,
}

impl Limits {
    /// Those of `cargo codegen`, which runs where programs are built: GitHub's file is 13 MB,
    /// nobody's is this.
    pub const CODEGEN: Limits = Limits {
        file_bytes: 128 * 1024 * 1024,
        memory_bytes: usize::MAX,
    };
}

/// Bytes for a message: `2.0 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_add(50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
