//! Retry request for refused alerts, to the running service: an empty file beside the
//! database, one for each channel, since only the service writes the database.
//!
//! `main-node test-alert` leaves it; the thread that delivers takes it away.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::file::sibling;

fn file_path(database: &Path, channel: &str) -> PathBuf {
    sibling(database, &format!(".retry-{channel}"))
}

/// Leaves the request; one that is there already is as good.
pub fn create(database: &Path, channel: &str) -> io::Result<()> {
    let file = file_path(database, channel);
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Takes the request away; whether there was one.
pub fn take(database: &Path, channel: &str) -> bool {
    let file = file_path(database, channel);
    match fs::remove_file(&file) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        // It would be found again and again; the daily retry comes without it.
        Err(error) => {
            log::debug!("{}: it cannot be removed: {error}", file.display());
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::Directory;

    #[test]
    fn a_retry_request_is_taken_once_and_by_its_channel_only() {
        let directory = Directory::new();
        let database = directory.path("main-node.db");
        assert!(!take(&database, "mail"));
        for _ in 0..2 {
            create(&database, "mail").expect("it can be left");
        }
        assert!(!take(&database, "webhook"));
        assert!(take(&database, "mail"));
        assert!(!take(&database, "mail"));
        create(&directory.path("absent/main-node.db"), "mail").expect_err("there is no such place");
    }
}
