//! Temporary files of tokens that a killed process left behind: a token in one that is complete is kept,
//! since the server has exchanged the old one for it; the others are removed.
//!
//! Runs under the lock of the directory, once in a process.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{FILE_NAME, FoundFile, StoredToken, TokenFile, TokenOwner, parse, suffix};
use crate::limits;
use crate::sys::os_error::reason;
use crate::sys::private_file::{Replacement, parent_directory};

impl TokenFile {
    pub(super) fn take_leftovers(&self) {
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        for leftover in temporary_files(parent_directory(&target)) {
            if let Some((owner, token)) = newest_token(&leftover)
                && let Err(problem) = self.take(&leftover, &owner, &token)
            {
                let path = leftover.display();
                log::warn!("the token in {path}, which was not kept, cannot be written: {problem}");
                continue;
            }
            // Without permission it stays, and the next renewal says so.
            let _ = fs::remove_file(&leftover);
        }
    }

    /// The leftover itself is not written to: until the token is kept it is all there is.
    fn take(&self, leftover: &Path, owner: &TokenOwner, token: &StoredToken) -> Result<(), String> {
        let size = leftover.metadata().map_or(0, |it| it.len());
        let bytes = size.min(limits::TOKEN_FILE_BYTES) + limits::TOKEN_ENTRY_BYTES;
        let prepared = Replacement::prepare(&self.path, "kept", bytes).map_err(|it| reason(&it))?;
        self.store(prepared, owner, token)?;
        log::info!("a token that was being written when main-node was killed is kept");
        Ok(())
    }
}

fn temporary_files(directory: &Path) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        let is_file = path.symlink_metadata().is_ok_and(|it| it.is_file());
        let name = path.file_name().and_then(|it| it.to_str());
        is_file && name.is_some_and(|it| suffix_of(it).is_some())
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|it| it.path()).filter(is_ours).collect()
}

/// `1a2b3c4d` of `tokens.json.1a2b3c4d.tmp`.
fn suffix_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(FILE_NAME)?.strip_prefix('.')?;
    rest.strip_suffix(".tmp")
}

/// The token for which the file was written. Its name has the owner, so that no other is taken.
fn newest_token(leftover: &Path) -> Option<(TokenOwner, StoredToken)> {
    let mut bytes = Vec::new();
    let file = File::open(leftover).ok()?;
    file.take(limits::TOKEN_FILE_BYTES + limits::TOKEN_ENTRY_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    // Space that was reserved.
    let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
    let Ok(FoundFile::Tokens(mut tokens)) = parse(&bytes[..end]) else {
        return None;
    };
    let newest = tokens.pop()?;
    let name = leftover.file_name()?.to_str()?;
    (suffix_of(name)? == suffix(&newest.owner)).then_some((newest.owner, newest.token))
}
