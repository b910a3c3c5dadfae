//! Drop of root privileges to the user of the service.
//!
//! Called on the main thread before there is another: Linux keeps an identity per thread, and
//! new threads take their maker's.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Gid, Uid};
use rustix::thread::{self, CapabilitySet, CapabilitySets};

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Run as root, takes the identity of whoever owns this file, or the directory where it is to
/// be, so that no file that root makes locks the owner out. What root may read, write and
/// listen on stays allowed: a service's directory is often closed to its own user from
/// outside, and a backup goes where root wants it. Anybody else stays who they are.
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
    let kept = thread::capabilities(None)?.permitted
        & (CapabilitySet::DAC_OVERRIDE | CapabilitySet::NET_BIND_SERVICE);
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    Ok(thread::set_capabilities(None, sets)?)
}
