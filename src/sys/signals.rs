//! Signal handlers: SIGTERM, SIGINT and SIGQUIT ask for a clean stop, a second one ends at once. SIGHUP
//! asks for a reload under a supervisor, else for a clean stop. No other signal that can be handled ends
//! the process by its default.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::os_error::reason;
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalRequest {
    /// To stop; the name of the signal, unless signals can no longer be received.
    Stop(Option<&'static str>),
    /// To load the configuration again.
    Reload,
    /// To start the node anew with the configuration that it has; no signal asks for it.
    Restart,
}

/// The registered handlers; [`Signals::wait`] returns when a signal came.
pub struct Signals {
    woken: UnixStream,
    /// The number of the last signal that asks for a stop; 0 before.
    stop: Arc<AtomicUsize>,
    /// Whether a reload is asked for.
    reload: Arc<AtomicBool>,
    /// Whether a restart is.
    restart: Arc<AtomicBool>,
    waker: UnixStream,
}

/// The signals that ask for something.
const REQUESTS: [i32; 4] = [SIGTERM, SIGINT, SIGQUIT, SIGHUP];
/// Exit status after a second signal, as shells give it to SIGINT.
const INTERRUPTED_STATUS: i32 = 130;

impl Signals {
    /// With `can_reload`, SIGHUP asks for a reload; else for a stop.
    pub fn register(can_reload: bool) -> io::Result<Signals> {
        let (woken, waker) = UnixStream::pair()?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (stop, reload) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let is_reload = |signal: i32| signal == SIGHUP && can_reload;
        // Stores what is asked for before the byte wakes the waiting thread.
        let wake_by = |signal: i32| {
            if is_reload(signal) {
                signal_hook::flag::register(signal, Arc::clone(&reload))?;
            } else {
                let number = usize::try_from(signal).unwrap_or_default();
                signal_hook::flag::register_usize(signal, stop.clone(), number)?;
            }
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
        // never cuts a stop short. Under `nohup` it is ignored, unless a supervisor reloads by it.
        for signal in [SIGHUP, SIGXCPU]
            .into_iter()
            .filter(|it| is_reload(*it) || !is_ignored(*it))
        {
            wake_by(signal)?;
        }
        // Their default would end the process without its last commit. A file at its size limit
        // is a storage error.
        for signal in [SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ] {
            signal_hook::flag::register(signal, Arc::default())?;
        }
        // A run that this process made of itself (`reexec`) has left them blocked until now.
        set_blocked(&REQUESTS, false)?;
        Ok(Signals {
            woken,
            stop,
            reload,
            restart: Arc::default(),
            waker,
        })
    }

    /// Asks for a restart from within the process, as often as it is called; from any thread.
    pub fn restart_trigger(&self) -> io::Result<impl Fn() + Send + Sync + 'static> {
        let (restart, waker) = (self.restart.clone(), self.waker.try_clone()?);
        Ok(move || {
            restart.store(true, Ordering::Release);
            // A pipe that is full wakes by what is in it.
            let _ = (&waker).write(&[0]);
        })
    }

    /// Blocks until a signal asks for something.
    pub fn wait(&mut self) -> SignalRequest {
        loop {
            if let Some(request) = self.read(None) {
                return request;
            }
        }
    }

    /// Blocks for `span` or until a signal asks for something.
    pub fn wait_for(&mut self, span: Duration) -> Option<SignalRequest> {
        self.read(Some(span))
    }

    /// What the next byte stands for: nothing, if an earlier one told it already.
    fn read(&mut self, timeout: Option<Duration>) -> Option<SignalRequest> {
        let mut byte = [0];
        let read = self.woken.set_read_timeout(timeout);
        match read.and_then(|()| self.woken.read_exact(&mut byte)) {
            Ok(()) => self.requested(),
            Err(error) if is_timeout(&error) => None,
            Err(error) => {
                log::error!(
                    "signals can no longer be received ({}); stopping",
                    reason(&error)
                );
                Some(SignalRequest::Stop(None))
            }
        }
    }

    /// A stop counts more than a reload, and that more than a restart, whatever came first.
    fn requested(&self) -> Option<SignalRequest> {
        let is_asked = |flag: &AtomicBool| flag.swap(false, Ordering::AcqRel);
        self.requested_stop()
            .or_else(|| is_asked(&self.reload).then_some(SignalRequest::Reload))
            .or_else(|| is_asked(&self.restart).then_some(SignalRequest::Restart))
    }

    /// Whether a stop is asked for, without waiting.
    pub fn is_stop_requested(&self) -> bool {
        self.requested_stop().is_some()
    }

    fn requested_stop(&self) -> Option<SignalRequest> {
        match i32::try_from(self.stop.load(Ordering::Acquire)) {
            Ok(0) | Err(_) => None,
            Ok(signal) => Some(SignalRequest::Stop(signal_hook::low_level::signal_name(
                signal,
            ))),
        }
    }

    /// Makes signals wait, also across `exec`, until handlers are registered again. The stop that is
    /// asked for already, which no one else would hear of.
    pub fn block(&self) -> io::Result<Option<SignalRequest>> {
        set_blocked(&REQUESTS, true)?;
        Ok(self.requested_stop())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Blocks or unblocks signals for this thread, and for those that it starts.
fn set_blocked(blocked: &[i32], is_blocked: bool) -> io::Result<()> {
    let how = if is_blocked {
        libc::SIG_BLOCK
    } else {
        libc::SIG_UNBLOCK
    };
    let mut signals = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initializes the set that the other calls read.
    let status = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        for signal in blocked {
            libc::sigaddset(signals.as_mut_ptr(), *signal);
        }
        libc::pthread_sigmask(how, signals.as_ptr(), std::ptr::null_mut())
    };
    match status {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
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
