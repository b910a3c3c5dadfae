//! Free space and write permission of the file system.

use std::io;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat, statfs, statvfs};

/// Bytes that this user may still write to the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes that the file system of `path` can hold in all.
pub fn total_bytes(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
}

/// The kernel's number of the type of the file system of `path` (statfs(2)).
pub fn file_system_type(path: &Path) -> io::Result<u32> {
    // The numbers have 32 bits; the field's width depends on the machine.
    Ok(statfs(path)?.f_type as u32)
}

/// Whether this process may write to the file, or into the directory. By what it may do now:
/// plain access(2) checks the real user and ignores capabilities that were retained.
pub fn is_writable(path: &Path) -> bool {
    write_error(path).is_none()
}

/// Why it may not.
pub fn write_error(path: &Path) -> Option<io::Error> {
    let access = accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS);
    access.err().map(io::Error::from)
}
