//! The directory of automatic backups (`backup_to`): whether it can be used, and if not, what to do.
//!
//! Any thread. Creates and changes nothing.

use std::io::ErrorKind;
use std::path::Path;

use crate::db::{error, file};
use crate::sys::disk;
use crate::sys::os_error::reason;
use crate::sys::service_access::{drop_in, is_hidden};
use crate::sys::{privileges, systemd};

/// What is wrong with a directory that [`is_hidden`].
pub const HIDDEN: &str = "its unit hides it from the service (`ProtectHome=`, `PrivateTmp=`): name \
                          another directory with `backup_to`";

/// Why no backup can be written into `directory`, and what to do; none if one can.
pub fn problem(directory: &Path) -> Option<String> {
    problem_within(directory, systemd::is_supervised())
}

/// The same; `is_service`: whether this process has what a unit leaves it.
fn problem_within(directory: &Path, is_service: bool) -> Option<String> {
    let error = match directory.metadata() {
        Ok(metadata) if !metadata.is_dir() => {
            return Some("it is not a directory: name one with `backup_to`".to_owned());
        }
        Ok(_) => match file::missing_disk(&directory.join("backup")) {
            None => disk::write_error(directory)?,
            absent => return absent,
        },
        Err(error) => error,
    };
    Some(advice(directory, &error, is_service))
}

fn advice(directory: &Path, error: &std::io::Error, is_service: bool) -> String {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied if is_service && is_hidden(directory) => {
            HIDDEN.to_owned()
        }
        ErrorKind::NotFound => file::missing_disk(&directory.join("backup")).unwrap_or_else(|| {
            "it does not exist: plug in its disk or mount it, or create the directory".to_owned()
        }),
        ErrorKind::ReadOnlyFilesystem if is_service => format!(
            "it is read-only for the service: {}. If the unit has that line already, the file \
             system itself is mounted read-only",
            drop_in(directory)
        ),
        ErrorKind::ReadOnlyFilesystem => {
            "its file system is mounted read-only: mount it with the option `rw`".to_owned()
        }
        ErrorKind::PermissionDenied => format!(
            "{}. FAT, exFAT, NTFS and CIFS take the owner from the mount option `uid={}`",
            error::permission_denied(&directory.join("backup"), &reason(error)),
            privileges::user_id()
        ),
        _ => reason(error),
    }
}

/// Whether both are on one file system: a disk that dies takes both, and a mount point without its
/// disk looks so.
pub fn is_same_file_system(directory: &Path, database: &Path) -> bool {
    let device = |path: &Path| file::file_id(path).map(|(device, _)| device);
    let other = device(&file::parent_directory(database));
    other.is_some() && device(directory) == other
}

/// Makes a rename last through a power cut, where the file system can: many of sticks and servers
/// refuse to sync a directory.
pub fn sync(path: &Path) -> std::io::Result<()> {
    match file::sync_directory(path) {
        Err(error) if cannot_sync(error.kind()) => Ok(()),
        synced => synced,
    }
}

/// EINVAL, ENOSYS and EOPNOTSUPP.
fn cannot_sync(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::Directory;

    #[test]
    fn what_is_wrong_with_the_directory_is_said_with_what_to_do() {
        let directory = Directory::new();
        let file = directory.path("file");
        std::fs::write(&file, "").expect("a file can be written");
        std::os::unix::fs::symlink("/no/such/disk", directory.path("link")).expect("a link");
        for (path, is_service, expected) in [
            (directory.path(""), false, None),
            (
                directory.path("none"),
                false,
                Some("it does not exist: plug in its disk"),
            ),
            (file, false, Some("it is not a directory")),
            (
                directory.path("link"),
                false,
                Some("is a link to /no/such/disk, which does not exist"),
            ),
            (
                "/home/no-such-user/backups".into(),
                true,
                Some("its unit hides it from the service"),
            ),
        ] {
            let found = problem_within(&path, is_service);
            match expected {
                Some(text) => assert!(
                    found.as_ref().is_some_and(|it| it.contains(text)),
                    "{found:?}"
                ),
                None => assert_eq!(found, None),
            }
        }
    }

    #[test]
    fn a_refusal_says_who_may_allow_it() {
        let directory = Directory::new();
        let path = directory.path("");
        for (code, is_service, expected) in [
            (
                libc::EROFS,
                true,
                "add the lines `[Service]` and `ReadWritePaths=-",
            ),
            (
                libc::EROFS,
                false,
                "is mounted read-only: mount it with the option `rw`",
            ),
            (
                libc::EACCES,
                false,
                "take the owner from the mount option `uid=",
            ),
            (libc::EIO, true, "input/output error"),
        ] {
            let error = std::io::Error::from_raw_os_error(code);
            let found = advice(&path, &error, is_service);
            assert!(found.contains(expected), "{found}");
        }
        // What FUSE and CIFS say of a directory; a failed write is none of it.
        let kind = |code| std::io::Error::from_raw_os_error(code).kind();
        for code in [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP] {
            assert!(cannot_sync(kind(code)), "{code}");
        }
        assert!(!cannot_sync(kind(libc::EIO)));
    }
}
