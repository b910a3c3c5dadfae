//! The directory of automatic backups (`backup_to`): whether it can be used, and if not, what to do.
//!
//! Any thread. Creates and changes nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::db::{error, file};
use crate::sys::disk;
use crate::sys::os_error::reason;
use crate::sys::{privileges, systemd};

/// Directories that `ProtectHome=` of a unit hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// What is wrong with a directory that [`is_hidden`].
pub const HIDDEN: &str = "the service sees nothing of the home directories (`ProtectHome=` of its \
                          unit): name another directory with `backup_to`";

/// Why no backup can be written into `directory`, and what to do; none if one can.
pub fn problem(directory: &Path) -> Option<String> {
    problem_within(directory, systemd::is_supervised())
}

/// The same; `is_service`: whether this process has what a unit leaves it.
fn problem_within(directory: &Path, is_service: bool) -> Option<String> {
    if is_service && is_hidden(directory) {
        return Some(HIDDEN.to_owned());
    }
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

/// Whether a unit with `ProtectHome=yes` hides the directory.
pub fn is_hidden(directory: &Path) -> bool {
    HOMES.iter().any(|home| directory.starts_with(home))
}

/// What to add to the unit of the service, so that it may write to `directory`.
pub fn drop_in(directory: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    format!(
        "run `sudo systemctl edit main-node`, add the lines `[Service]` and `ReadWritePaths=-{}`, \
         then `sudo systemctl restart main-node`",
        writable_parent(directory, &mounts).display()
    )
}

/// What the unit must make writable: of a mount point the directory above it, so that a disk that is
/// mounted later is seen too.
fn writable_parent(directory: &Path, mountinfo: &str) -> PathBuf {
    let mount_point = file::mount_point_of(directory, mountinfo);
    let mount_point = mount_point.filter(|it| it != Path::new("/"));
    let chosen = mount_point.as_deref().unwrap_or(directory);
    match chosen.parent() {
        Some(parent) if parent != Path::new("/") && parent != Path::new("") => parent.to_owned(),
        _ => chosen.to_owned(),
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
                "/home/pi/backups".into(),
                true,
                Some("`ProtectHome=` of its unit"),
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

    #[test]
    fn the_unit_is_opened_where_a_later_mount_is_seen() {
        let root = "22 1 179:2 / / rw - ext4 /dev/root rw\n";
        let stick = "40 22 8:1 / /mnt/usb rw - vfat /dev/sda1 rw\n";
        let both = format!("{root}{stick}");
        for (directory, mounts, expected) in [
            ("/mnt/usb", both.as_str(), "/mnt"),
            ("/mnt/usb/node", &both, "/mnt"),
            ("/mnt/usb", root, "/mnt"),
            ("/backup", root, "/backup"),
            ("/media/pi/STICK", root, "/media/pi"),
        ] {
            let found = writable_parent(Path::new(directory), mounts);
            assert_eq!(found, Path::new(expected), "{directory}");
        }
    }
}
