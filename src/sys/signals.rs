//! Signal handlers: SIGTERM, SIGINT, SIGQUIT and SIGHUP ask for a clean stop; a second SIGTERM, SIGINT
//! or SIGQUIT ends at once. No other signal that can be handled ends the process by its default.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::os_error::reason;
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
};

/// The registered handlers; [`Signals::wait`] returns when the first signal came.
pub struct Signals {
    woken: UnixStream,
    received: Arc<AtomicUsize>,
}

/// Exit status after a second signal, as shells give it to SIGINT.
const INTERRUPTED_STATUS: i32 = 130;

impl Signals {
    pub fn register() -> io::Result<Signals> {
        let (woken, waker) = UnixStream::pair()?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let received = Arc::new(AtomicUsize::new(0));
        // Stores the signal number before the byte wakes the waiting thread.
        let wake_by = |signal: i32| {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, received.clone(), number)?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)
        };
        let is_ignored = ignored_at_start();
        // Shells ignore SIGINT and SIGQUIT for what they start in the background. SIGINT is
        // handled all the same.
        let terminating = [SIGTERM, SIGINT, SIGQUIT];
        for signal in terminating
            .into_iter()
            .filter(|it| *it != SIGQUIT || !is_ignored(*it))
        {
            // The order matters: the first signal finds the flag unset and sets it, the
            // second finds it set and ends the process.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                INTERRUPTED_STATUS,
                is_stopping.clone(),
            )?;
            signal_hook::flag::register(signal, is_stopping.clone())?;
            wake_by(signal)?;
        }
        // A terminal that closes sends SIGHUP twice, and systemd sends it beside SIGTERM: it
        // never cuts a stop short. Under `nohup` it is ignored.
        for signal in [SIGHUP, SIGXCPU].into_iter().filter(|it| !is_ignored(*it)) {
            wake_by(signal)?;
        }
        // Their default would end the process without its last commit. A file at its size limit
        // is a storage error.
        for signal in [SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ] {
            signal_hook::flag::register(signal, Arc::default())?;
        }
        Ok(Signals { woken, received })
    }

    /// Blocks until a signal asks for the stop; its name.
    pub fn wait(&mut self) -> Option<&'static str> {
        let mut byte = [0];
        while let Err(error) = self.woken.read_exact(&mut byte) {
            if error.kind() != io::ErrorKind::Interrupted {
                log::error!(
                    "signals can no longer be received ({}); stopping",
                    reason(&error)
                );
                return None;
            }
        }
        let signal = i32::try_from(self.received.load(Ordering::Acquire)).ok()?;
        signal_hook::low_level::signal_name(signal)
    }

    /// Blocks for `span` or until a signal; true if one came.
    pub fn wait_for(&mut self, span: Duration) -> bool {
        let mut byte = [0];
        if self.woken.set_read_timeout(Some(span)).is_err() {
            return true;
        }
        let is_signalled = match self.woken.read(&mut byte) {
            Ok(_) => true,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
            ),
        };
        // Without a timeout, as `wait` expects.
        let _ = self.woken.set_read_timeout(None);
        is_signalled
    }
}

/// Whether this process was started with a signal ignored.
fn ignored_at_start() -> impl Fn(i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = ignored(&status);
    move |signal| signal > 0 && mask >> (signal - 1) & 1 == 1
}

/// The mask of ignored signals in `/proc/PID/status`; signal 1 is bit 0.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored(status), 1 << (SIGHUP - 1) | 1 << 12);
        assert_eq!(ignored(""), 0);
    }
}
