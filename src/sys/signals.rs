//! SIGTERM and SIGINT: the first asks for a clean stop, the second ends at once.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

/// The registered handlers; [`Signals::wait`] returns when the first signal came.
pub struct Signals(UnixStream);

/// Exit status of a stop that was cut short, as shells give it to SIGINT.
const CUT_SHORT: i32 = 130;

impl Signals {
    pub fn register() -> io::Result<Signals> {
        let (woken, waker) = UnixStream::pair()?;
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // The order matters: the first signal finds the flag unset and sets it, the
            // second finds it set and ends the process.
            signal_hook::flag::register_conditional_shutdown(signal, CUT_SHORT, asked.clone())?;
            signal_hook::flag::register(signal, asked.clone())?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Signals(woken))
    }

    /// Blocks until a signal asks for the stop.
    pub fn wait(&mut self) {
        let mut byte = [0];
        while let Err(error) = self.0.read_exact(&mut byte) {
            if error.kind() != io::ErrorKind::Interrupted {
                log::error!("signals can no longer be received: {error}; stopping");
                return;
            }
        }
    }

    /// Blocks for `span` or until a signal; true if one came.
    pub fn wait_for(&mut self, span: Duration) -> bool {
        let mut byte = [0];
        if self.0.set_read_timeout(Some(span)).is_err() {
            return true;
        }
        let came = match self.0.read(&mut byte) {
            Ok(_) => true,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
            ),
        };
        // Without a timeout `wait` blocks as it says.
        let _ = self.0.set_read_timeout(None);
        came
    }
}
