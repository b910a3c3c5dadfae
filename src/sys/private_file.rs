//! Atomic replacement of a file: readable by its owner alone unless others may read it too, and after
//! a crash at any moment the old or the new one.
//!
//! Any thread that may wait for the disk.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::sys::os_error::reason;

/// A temporary file beside the one that it will replace, with its space on the disk. Removed when
/// it is dropped before.
#[derive(Debug)]
pub struct Replacement {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    is_done: bool,
}

/// Who may do what with a file.
#[derive(Debug, Clone, Copy)]
pub struct FileAccess {
    pub mode: u32,
    /// User and group; `None` is who writes it.
    pub owner: Option<(u32, u32)>,
}

impl Replacement {
    /// Reserves `bytes` on the disk. `suffix` tells apart replacements that are prepared at the
    /// same time; one that a crash left behind is removed.
    pub fn prepare(target: &Path, suffix: &str, bytes: u64) -> io::Result<Replacement> {
        // A link stays one.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{suffix}.tmp"));
        let temporary = target.with_file_name(name);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let mut replacement = Replacement {
            file,
            temporary,
            target,
            is_done: false,
        };
        replacement.reserve(bytes)?;
        Ok(replacement)
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => {}
            // Not every file system can; zeros need the same space.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                let zeros = vec![0; usize::try_from(bytes).unwrap_or_default()];
                self.file.write_all(&zeros)?;
            }
            Err(error) => return Err(error.into()),
        }
        self.file.sync_all()
    }

    /// Owner and mode of the new file.
    pub fn set_access(&self, access: &FileAccess) -> io::Result<()> {
        if let Some((user, group)) = access.owner {
            std::os::unix::fs::fchown(&self.file, Some(user), Some(group))?;
        }
        self.file
            .set_permissions(Permissions::from_mode(access.mode))
    }

    /// Replaces the file by one with this content. When it returns, a power cut does not bring the
    /// old one back.
    pub fn commit(mut self, content: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(content)?;
        self.file.set_len(content.len() as u64)?;
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.is_done = true;
        File::open(parent_directory(&self.target))?.sync_all()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_done {
            // The next replacement removes what is left.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Takes a file of secrets from other users who may read it, and says so in the log. On a file system
/// without permissions they stay as they are.
pub fn restrict_to_owner(file: &File, path: &Path) {
    let mode = file.metadata().map_or(0, |it| it.permissions().mode()) & 0o777;
    if mode & 0o077 == 0 {
        return;
    }
    let path = path.display();
    match file.set_permissions(Permissions::from_mode(0o600)) {
        Ok(()) => log::warn!(
            "{path} was readable for other users (mode {mode:03o}): it is readable for its owner \
             alone now"
        ),
        Err(error) => log::warn!(
            "{path} is readable for other users (mode {mode:03o}): {}",
            reason(&error)
        ),
    }
}

/// The directory of a file.
pub fn parent_directory(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}
