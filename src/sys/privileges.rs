//! Drop of root privileges to the user of the service; mode of new files.
//!
//! Called on the main thread before there is another: Linux keeps user IDs and capabilities per
//! thread, and new threads inherit them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Gid, Mode, Uid};
use rustix::thread::{self, CapabilitySet, CapabilitySets};

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The effective user ID.
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Files that this process creates from now on (database, copies, logs of SQLite) are readable
/// for its user alone, whatever the umask was. The unit file asks for the same; a container and a
/// shell do not. Existing files keep their mode.
pub fn keep_new_files_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// If run as root, switches to the owner of this file, or of the directory where it will be, so
/// that the owner can use the files that are created. CAP_DAC_OVERRIDE and CAP_NET_BIND_SERVICE
/// are retained: the user of a service often has no access to its directory from outside, and a
/// backup may be written where only root can. Does nothing for other users.
pub fn drop_to_owner(file: &Path) -> io::Result<()> {
    if !is_root() {
        return Ok(());
    }
    let directory = file.parent().filter(|it| !it.as_os_str().is_empty());
    let owned = file
        .metadata()
        .or_else(|_| directory.unwrap_or(Path::new(".")).metadata());
    let Ok(owned) = owned else {
        return Ok(());
    };
    let (uid, gid) = (Uid::from_raw(owned.uid()), Gid::from_raw(owned.gid()));
    if uid.is_root() {
        return Ok(());
    }
    thread::set_keep_capabilities(true)?;
    thread::set_thread_groups(&[])?;
    thread::set_thread_res_gid(gid, gid, gid)?;
    thread::set_thread_res_uid(uid, uid, uid)?;
    let retained = thread::capabilities(None)?.permitted
        & (CapabilitySet::DAC_OVERRIDE | CapabilitySet::NET_BIND_SERVICE);
    let sets = CapabilitySets {
        effective: retained,
        permitted: retained,
        inheritable: CapabilitySet::empty(),
    };
    Ok(thread::set_capabilities(None, sets)?)
}

/// Runs `action` as the service is: without CAP_DAC_OVERRIDE, by which `drop_to_owner` lets a command
/// read every file.
pub fn without_override<T>(action: impl FnOnce() -> T) -> io::Result<T> {
    if is_root() {
        return Ok(action());
    }
    let own = thread::capabilities(None)?;
    let reduced = CapabilitySets {
        effective: own.effective - CapabilitySet::DAC_OVERRIDE,
        ..own
    };
    thread::set_capabilities(None, reduced)?;
    let result = action();
    thread::set_capabilities(None, own)?;
    Ok(result)
}
