//! Private directory of the pool's socket: mode 0700, removed at the end.
//!
//! Runs on the thread that starts the server. It removes leftovers of runs that are provably dead
//! (their lock is free), file by file, and never anything it did not make.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::limits;
use crate::sys::privileges::user_id;

const PREFIX: &str = "main-node-pool-";
const LOCK: &str = "lock";
/// Each replacement of tiny_http's server has a socket of its own: `pool-0`, `pool-1` …
const SOCKET: &str = "pool-";

pub struct PrivateDir {
    path: PathBuf,
    /// Locked while this process runs; a later run removes a directory whose lock is free.
    _lock: File,
}

impl PrivateDir {
    /// Where such a directory belongs, best first.
    pub fn bases() -> Vec<PathBuf> {
        let paths = |name: &str| {
            let value = std::env::var_os(name).unwrap_or_default();
            // systemd names several, divided by colons, where the unit asks for several.
            std::env::split_paths(&value).collect::<Vec<_>>()
        };
        let mut bases = paths("RUNTIME_DIRECTORY");
        bases.extend(paths("XDG_RUNTIME_DIR"));
        bases.push(std::env::temp_dir());
        // A container made of nothing else has no /tmp, and one whose root cannot be written to
        // has shared memory here that any user may write to.
        bases.push(PathBuf::from("/dev/shm"));
        bases.push(PathBuf::from("/run"));
        bases.extend(paths("STATE_DIRECTORY"));
        bases.extend(std::env::current_dir());
        bases.retain(|base| base.is_absolute());
        bases
    }

    /// A new directory in the first base where one can be made.
    pub fn create(bases: &[PathBuf]) -> io::Result<PrivateDir> {
        let mut refusals = Vec::new();
        for base in bases {
            remove_leftovers(base);
            match create_in(base) {
                Ok(created) => return Ok(created),
                Err(error) => refusals.push(format!("{}: {error}", base.display())),
            }
        }
        Err(io::Error::other(format!(
            "no directory for the pool's socket could be made. Tried {}. Set RUNTIME_DIRECTORY \
             to a directory that this user may write",
            refusals.join("; ")
        )))
    }

    pub fn socket(&self, number: u64) -> PathBuf {
        self.path.join(format!("{SOCKET}{number}"))
    }
}

impl PrivateDir {
    /// Removes it now, even if other references remain.
    pub fn remove(&self) {
        empty(&self.path);
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        self.remove();
    }
}

fn create_in(base: &Path) -> io::Result<PrivateDir> {
    let mut last = io::Error::other("no free name");
    for attempt in 0..8u32 {
        let path = base.join(format!(
            "{PREFIX}{}-{:08x}",
            std::process::id(),
            salt(attempt)
        ));
        let longest = path.join(format!("{SOCKET}{}", u32::MAX));
        if longest.as_os_str().len() > limits::SOCKET_PATH_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidFilename,
                format!(
                    "too long for a socket's path (at most {} bytes)",
                    limits::SOCKET_PATH_BYTES
                ),
            ));
        }
        match make(&path) {
            Ok(lock) => return Ok(PrivateDir { path, _lock: lock }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            // A later run may have taken the bare directory for a leftover.
            Err(error) if error.kind() == io::ErrorKind::NotFound && base.is_dir() => last = error,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => last = error,
            Err(error) => {
                // A directory that came to be and cannot be used is not left behind.
                empty(&path);
                return Err(error);
            }
        }
    }
    Err(last)
}

fn make(path: &Path) -> io::Result<File> {
    DirBuilder::new().mode(0o700).create(path)?;
    let made = fs::symlink_metadata(path)?;
    if !made.is_dir() || made.mode() & 0o077 != 0 {
        return Err(io::Error::other("somebody else can open what was made"));
    }
    let lock = File::create_new(path.join(LOCK))?;
    lock.try_lock().map_err(io::Error::from)?;
    check_sockets_allowed(path)?;
    Ok(lock)
}

/// Shared folders, FAT and the like take files and no sockets.
fn check_sockets_allowed(path: &Path) -> io::Result<()> {
    let probe = path.join(format!("{SOCKET}probe"));
    UnixListener::bind(&probe)?;
    fs::remove_file(&probe)
}

/// Not a secret, only a name that no other start of this process has.
fn salt(attempt: u32) -> u32 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(attempt);
    hasher.finish() as u32
}

fn remove_leftovers(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    let ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PREFIX);
    for entry in entries
        .flatten()
        .filter(ours)
        .take(limits::STALE_SOCKET_DIRECTORIES)
    {
        let path = entry.path();
        // Of another user, or a symbolic link: left alone.
        let owned = fs::symlink_metadata(&path)
            .is_ok_and(|found| found.is_dir() && found.uid() == user_id());
        if !owned {
            continue;
        }
        match File::open(path.join(LOCK)) {
            Ok(lock) => {
                if lock.try_lock().is_ok() {
                    empty(&path);
                }
            }
            // Without a lock it is either being made just now, or was given up half-made.
            Err(_) => {
                let _ = fs::remove_dir(&path);
            }
        }
    }
}

/// Removes the known files of such a directory, then the directory if nothing else is in it.
fn empty(path: &Path) {
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten().take(limits::STALE_SOCKET_DIRECTORIES) {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == LOCK || name.starts_with(SOCKET) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    let _ = fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A base of its own for each test, removed at its end.
    struct Base(PathBuf);

    impl Base {
        fn new(name: &str) -> Base {
            let path =
                std::env::temp_dir().join(format!("pool-test-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a base");
            Base(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("a base").flatten();
            entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        }
    }

    impl Drop for Base {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_directory_is_private_and_is_removed() {
        let base = Base::new("fresh");
        let dir = PrivateDir::create(std::slice::from_ref(&base.0)).expect("a directory");
        let mode = fs::symlink_metadata(&dir.path).expect("made").mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(dir);
        assert_eq!(base.names(), [""; 0]);
    }

    #[test]
    fn directories_of_dead_processes_are_removed_and_live_ones_stay() {
        let base = Base::new("leftovers");
        let dead = base.0.join(format!("{PREFIX}1-00000001"));
        fs::create_dir(&dead).expect("made");
        fs::write(dead.join(LOCK), "").expect("made");
        fs::write(dead.join("pool-0"), "").expect("made");
        let foreign = base.0.join(format!("{PREFIX}1-00000002"));
        fs::create_dir(&foreign).expect("made");
        fs::write(foreign.join(LOCK), "").expect("made");
        fs::write(foreign.join("diary"), "").expect("made");
        let living = PrivateDir::create(std::slice::from_ref(&base.0)).expect("a directory");
        let later = PrivateDir::create(std::slice::from_ref(&base.0)).expect("a directory");
        assert!(!dead.exists());
        assert!(
            foreign.join("diary").exists(),
            "what we did not make is not ours to remove"
        );
        assert!(living.path.exists());
        assert_ne!(living.path, later.path);
    }

    #[test]
    fn a_base_too_long_for_a_socket_path_is_skipped() {
        let base = Base::new("long");
        let long = base.0.join("x".repeat(100));
        fs::create_dir(&long).expect("made");
        let dir = PrivateDir::create(&[long.clone(), base.0.clone()]).expect("the second base");
        assert!(dir.socket(u64::from(u32::MAX)).as_os_str().len() <= limits::SOCKET_PATH_BYTES);
        let refused = PrivateDir::create(&[long])
            .err()
            .expect("too long")
            .to_string();
        assert!(
            refused.contains("too long for a socket's path"),
            "{refused}"
        );
    }
}
