//! Exec of the running program: replaces the process by a new run of it, and passes its listening
//! sockets on, so that no connection is refused meanwhile.
//!
//! The sockets are passed as systemd passes them (sd_listen_fds(3)). Runs on the main thread, when
//! everything else has stopped.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{self, Command};

use listenfd::ListenFd;
use rustix::io::FdFlags;
use rustix::process::{Resource, getrlimit};

use super::os_error::reason;

/// The running image, even if its file was replaced since.
const PROGRAM: &str = "/proc/self/exe";
/// The lowest number of a passed descriptor, above those in use; lower where the limit of descriptors is.
const FIRST_DESCRIPTOR: u64 = 900;

/// Not of systemd, whose first descriptor is 3.
const FIRST_DESCRIPTOR_VARIABLE: &str = "LISTEN_FDS_FIRST_FD";

/// A new run of this program with the same arguments, prepared while the old one can still go on.
pub struct Reexec {
    command: Command,
    /// Those that the new run inherits.
    _descriptors: Vec<OwnedFd>,
}

impl Reexec {
    /// `Err` if the new run could not start.
    pub fn prepare(listeners: &[TcpListener]) -> io::Result<Reexec> {
        std::fs::metadata(PROGRAM)
            .map_err(|error| io::Error::other(format!("{PROGRAM}: {}", reason(&error))))?;
        let count = listeners.len();
        let descriptors = consecutive(listeners, first_descriptor(count))?;
        let first = descriptors.first().map_or(0, AsRawFd::as_raw_fd);
        let mut arguments = env::args_os();
        let mut command = Command::new(PROGRAM);
        command
            .arg0(arguments.next().unwrap_or_else(|| PROGRAM.into()))
            .args(arguments)
            .env("LISTEN_PID", process::id().to_string())
            .env("LISTEN_FDS", count.to_string())
            .env(FIRST_DESCRIPTOR_VARIABLE, first.to_string());
        Ok(Reexec {
            command,
            _descriptors: descriptors,
        })
    }

    /// Replaces this process; returns only if that fails. Its caller blocks the signals that the new run
    /// has to receive.
    pub fn run(mut self) -> io::Error {
        self.command.exec()
    }
}

/// Whether this is such a run.
pub fn is_reload() -> bool {
    let pid = process::id().to_string();
    env::var_os(FIRST_DESCRIPTOR_VARIABLE).is_some()
        && env::var_os("LISTEN_PID").is_some_and(|it| it == *pid)
}

/// The number of the first of `count` descriptors.
fn first_descriptor(count: usize) -> i32 {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let highest = limit.saturating_sub(count as u64);
    i32::try_from(FIRST_DESCRIPTOR.min(highest)).unwrap_or_default()
}

/// Copies of the sockets, with consecutive numbers, that stay open across `exec`.
fn consecutive(listeners: &[TcpListener], first: i32) -> io::Result<Vec<OwnedFd>> {
    let mut copies: Vec<OwnedFd> = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let next = copies.last().map_or(first, |it| it.as_raw_fd() + 1);
        let copy = rustix::io::fcntl_dupfd_cloexec(listener, next)?;
        if !copies.is_empty() && copy.as_raw_fd() != next {
            return Err(io::Error::other(format!("descriptor {next} is in use")));
        }
        copies.push(copy);
    }
    for copy in &copies {
        rustix::io::fcntl_setfd(copy, FdFlags::empty())?;
    }
    Ok(copies)
}

/// The sockets that were passed to this process and listen on one of `addresses`. Any other is closed: it
/// could be in the way of these.
pub fn inherited_listeners(addresses: &[SocketAddr]) -> Vec<TcpListener> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::with_capacity(passed.len());
    for index in 0..passed.len() {
        let listener = passed.take_tcp_listener(index).and_then(|listener| {
            let listener = listener.ok_or(io::ErrorKind::NotFound)?;
            Ok((listener.local_addr()?, listener))
        });
        match listener {
            Ok((address, listener)) if addresses.contains(&address) => listeners.push(listener),
            Ok((address, _)) => log::warn!(
                "the socket on {address} that was passed to main-node is closed: `listen` does not name it"
            ),
            Err(error) => {
                log::warn!("a socket that was passed to main-node cannot be used: {error}");
            }
        }
    }
    listeners
}

/// Names the main thread, and by that the process in `ps` and `top`, which `exec` of [`PROGRAM`] would
/// call `exe`.
pub fn restore_process_name() {
    if let Err(error) = rustix::thread::set_name(c"main-node") {
        log::debug!("the process cannot be named: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_copied_to_consecutive_descriptors_that_survive_exec() {
        let listener = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let listeners = [listener(), listener(), listener()];
        let lowest = first_descriptor(listeners.len());
        let copies = consecutive(&listeners, lowest).expect("descriptors are free");
        let numbers: Vec<i32> = copies.iter().map(AsRawFd::as_raw_fd).collect();
        let first = numbers[0];
        assert!(first >= lowest);
        assert_eq!(numbers, [first, first + 1, first + 2]);
        for copy in &copies {
            let flags = rustix::io::fcntl_getfd(copy).expect("it is open");
            assert!(!flags.contains(FdFlags::CLOEXEC));
        }
    }
}
