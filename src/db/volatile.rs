//! Volatile storage: a database in memory, in an overlay or in a container's own layer, which is gone
//! after the next restart.
//!
//! Any thread. Reads what the kernel says of the file system; changes nothing.

use std::path::{Path, PathBuf};

use super::{file, replace};
use crate::sys::container::is_container;
use crate::sys::{disk, mounts};

/// What is lost and what to do, if the file system of the database keeps nothing.
pub fn warning(database: &Path) -> Option<String> {
    let directory = file::parent_directory(&replace::resolve_links(database));
    // One that does not exist will be made on the file system of the one above it.
    let directory = directory
        .ancestors()
        .find(|it| it.exists())?
        .canonicalize()
        .ok()?;
    let mounts = mounts::mountinfo();
    warning_for(
        &directory,
        &Machine {
            file_system: disk::file_system_type(&directory).ok()?,
            is_container: is_container(),
            mounts: &mounts,
            type_of: &|path| disk::file_system_type(path).ok(),
        },
    )
}

/// What decides.
struct Machine<'a> {
    /// Type of the file system of the database.
    file_system: u32,
    is_container: bool,
    /// `/proc/self/mountinfo`.
    mounts: &'a str,
    /// Type of the file system of a path, if that can be seen.
    type_of: &'a dyn Fn(&Path) -> Option<u32>,
}

fn warning_for(directory: &Path, machine: &Machine<'_>) -> Option<String> {
    let shown = directory.display();
    let name = memory_name(machine.file_system);
    match (name, machine.file_system == OVERLAY) {
        (Some(name), _) if machine.is_container => Some(format!(
            "the database is in {shown}, which is in memory ({name}), and is lost when the container \
             stops: mount a volume there"
        )),
        (Some(name), _) => Some(format!(
            "the database is in {shown}, which is in memory ({name}), and is lost when this machine \
             restarts: put it on a disk with `database = …`"
        )),
        (None, true) if machine.is_container && is_root(directory, machine.mounts) => {
            Some(format!(
                "the database is in {shown}, which belongs to the container itself (overlayfs), and is \
             lost when that is replaced: mount a volume there"
            ))
        }
        (None, true) if !is_kept(directory, machine) => Some(format!(
            "the database is in {shown}, whose file system (overlayfs) keeps changes in memory alone, \
             and is lost when this machine restarts: put it on another disk with `database = …`, or \
             switch the overlay off (`sudo raspi-config`, Performance Options, Overlay File System)"
        )),
        (None, _) => None,
    }
}

/// Types of file systems (`linux/magic.h`).
const OVERLAY: u32 = 0x794c_7630;
const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;

fn memory_name(file_system: u32) -> Option<&'static str> {
    match file_system {
        TMPFS => Some("tmpfs"),
        RAMFS => Some("ramfs"),
        _ => None,
    }
}

/// Whether the directory is on the file system of `/`.
fn is_root(directory: &Path, mountinfo: &str) -> bool {
    mounts::mount_point_of(directory, mountinfo).is_none_or(|it| it == Path::new("/"))
}

/// Whether the upper layer of an overlay is on a disk, as routers have it. One that cannot be seen was
/// mounted before the root was, and is in memory.
fn is_kept(directory: &Path, machine: &Machine<'_>) -> bool {
    upper_layer(directory, machine.mounts)
        .and_then(|upper| (machine.type_of)(&upper))
        .is_some_and(|it| memory_name(it).is_none() && it != OVERLAY)
}

/// The option `upperdir` of the mount that `directory` is on.
fn upper_layer(directory: &Path, mountinfo: &str) -> Option<PathBuf> {
    let mount_point = mounts::mount_point_of(directory, mountinfo)?;
    let is_it = |line: &&str| line.split_whitespace().nth(4).map(Path::new) == Some(&mount_point);
    // The newest mount hides those below it.
    let options = mountinfo.lines().rfind(is_it)?;
    let options = options.split_whitespace().next_back()?;
    let upper = options
        .split(',')
        .find_map(|it| it.strip_prefix("upperdir="))?;
    Some(PathBuf::from(upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXT4: u32 = 0xef53;

    #[test]
    fn only_what_is_gone_after_a_restart_is_named() {
        let disk = "22 1 179:2 / / rw - ext4 /dev/root rw\n";
        let overlay = |upper: &str| {
            format!(
                "{disk}30 1 0:25 / / rw - overlay overlay rw,lowerdir=/l,upperdir={upper},workdir=/w\n"
            )
        };
        let (pi, router) = (overlay("/upper/data"), overlay("/overlay/upper"));
        let in_memory = overlay("/media/root-rw/upper");
        let of_data = router.replace(" / / rw - overlay", " / /var/lib rw - overlay");
        for (file_system, is_container, mounts, expected) in [
            (EXT4, false, disk, None),
            (EXT4, true, disk, None),
            (
                TMPFS,
                false,
                disk,
                Some("in memory (tmpfs), and is lost when this machine restarts"),
            ),
            (RAMFS, false, disk, Some("in memory (ramfs)")),
            (
                TMPFS,
                true,
                disk,
                Some("lost when the container stops: mount a volume there"),
            ),
            (
                OVERLAY,
                true,
                &router,
                Some("the container itself (overlayfs)"),
            ),
            (OVERLAY, false, &pi, Some("`sudo raspi-config`")),
            (OVERLAY, false, &in_memory, Some("`sudo raspi-config`")),
            (OVERLAY, false, &router, None),
            (OVERLAY, true, &of_data, None),
            // Nobody says what is mounted.
            (OVERLAY, false, "", Some("`sudo raspi-config`")),
        ] {
            let machine = Machine {
                file_system,
                is_container,
                mounts,
                type_of: &|path| match path.to_str() {
                    Some("/overlay/upper") => Some(EXT4),
                    Some("/media/root-rw/upper") => Some(TMPFS),
                    _ => None,
                },
            };
            let found = warning_for(Path::new("/var/lib/main-node"), &machine);
            match expected {
                None => assert_eq!(found, None),
                Some(text) => assert!(
                    found
                        .as_ref()
                        .is_some_and(|it| it.contains(text) && it.contains("/var/lib/")),
                    "{found:?}"
                ),
            }
        }
    }
}
