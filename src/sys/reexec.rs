//! Exec of the running program: replaces the process by a new run of it, and passes its listening
//! sockets on, so that no connection is refused meanwhile.
//!
//! The sockets are passed as systemd passes them (sd_listen_fds(3)). Runs on the main thread, when
//! everything else has stopped.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{self, Command};

use listenfd::ListenFd;
use rustix::io::FdFlags;

use super::signals::Signals;

/// The running image, even if its file was replaced since.
const PROGRAM: &str = "/proc/self/exe";
/// The lowest number of a passed descriptor, above those in use and below the unit's LimitNOFILE.
const FIRST_DESCRIPTOR: i32 = 900;

/// Starts this program anew in this process, with the same arguments; returns only if that fails.
pub fn reexec(listeners: &[TcpListener]) -> io::Error {
    match command(listeners) {
        Ok((mut command, descriptors)) => {
            let error = command.exec();
            drop(descriptors);
            error
        }
        Err(error) => error,
    }
}

/// The command, and the descriptors that it inherits.
fn command(listeners: &[TcpListener]) -> io::Result<(Command, Vec<OwnedFd>)> {
    let descriptors = consecutive(listeners)?;
    let mut arguments = env::args_os();
    let mut command = Command::new(PROGRAM);
    command
        .arg0(arguments.next().unwrap_or_else(|| PROGRAM.into()))
        .args(arguments)
        .env("LISTEN_PID", process::id().to_string())
        .env("LISTEN_FDS", descriptors.len().to_string());
    if let Some(first) = descriptors.first() {
        command.env("LISTEN_FDS_FIRST_FD", first.as_raw_fd().to_string());
    }
    Signals::block_reload()?;
    Ok((command, descriptors))
}

/// Copies of the sockets, with consecutive numbers, that stay open across `exec`.
fn consecutive(listeners: &[TcpListener]) -> io::Result<Vec<OwnedFd>> {
    let mut copies: Vec<OwnedFd> = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let next = copies
            .last()
            .map_or(FIRST_DESCRIPTOR, |it| it.as_raw_fd() + 1);
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

/// The sockets that were passed to this process.
pub fn inherited_listeners() -> Vec<TcpListener> {
    let mut passed = ListenFd::from_env();
    let listeners = (0..passed.len()).map(|index| passed.take_tcp_listener(index));
    let listeners = listeners.filter_map(|listener| match listener {
        Ok(listener) => listener,
        Err(error) => {
            log::warn!("a socket that was passed to main-node cannot be used: {error}");
            None
        }
    });
    listeners.collect()
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
        let copies = consecutive(&listeners).expect("descriptors are free");
        let numbers: Vec<i32> = copies.iter().map(AsRawFd::as_raw_fd).collect();
        let first = numbers[0];
        assert!(first >= FIRST_DESCRIPTOR);
        assert_eq!(numbers, [first, first + 1, first + 2]);
        for copy in &copies {
            let flags = rustix::io::fcntl_getfd(copy).expect("it is open");
            assert!(!flags.contains(FdFlags::CLOEXEC));
        }
    }
}
