//! Lock beside the database that says who may change what is stored: services share it, a command that
//! changes the database while no service runs has it alone (flock(2) on `DATABASE.lock`).
//!
//! It ends with the process, however that ends; the file stays.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::file::sibling;
use super::replace::resolve_links;

/// Held until it is dropped.
#[derive(Debug)]
pub struct ServiceLock {
    _file: File,
}

/// For a service; `None` while a command has the lock alone.
pub fn share(database: &Path) -> io::Result<Option<ServiceLock>> {
    acquire(database, File::try_lock_shared)
}

/// For a command; `None` while a service, or another command, has it.
pub fn own(database: &Path) -> io::Result<Option<ServiceLock>> {
    acquire(database, File::try_lock)
}

fn acquire(
    database: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> io::Result<Option<ServiceLock>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(sibling(&resolve_links(database), ".lock"))?;
    match lock(&file) {
        Ok(()) => Ok(Some(ServiceLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::Directory;

    #[test]
    fn services_share_it_and_a_command_has_it_alone() {
        let directory = Directory::new();
        let database = directory.path("main-node.db");
        let is_free = |taken: io::Result<Option<ServiceLock>>| {
            taken.expect("the directory can be written").is_some()
        };
        let service = share(&database).expect("the directory can be written");
        assert!(is_free(share(&database)), "for another service");
        assert!(!is_free(own(&database)));
        drop(service);
        let command = own(&database).expect("the directory can be written");
        assert!(!is_free(share(&database)) && !is_free(own(&database)));
        drop(command);
        assert!(is_free(own(&database)));
        own(&directory.path("absent/main-node.db")).expect_err("there is no such directory");
    }
}
