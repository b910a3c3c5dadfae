//! The one door to time.
//!
//! Everything that needs an instant is handed a [`Clock`]; tests drive [`ManualClock`].
//! The system's clock also knows how far the wall clock can be believed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::time::{Moment, Mono, Trust, Wall};
use crate::limits;

/// Tells the time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Moment;

    /// Takes the word of a peer (an HTTP `Date`) on what the wall time is. One that agrees
    /// with ours vouches for it, for as long as the node runs. Callers leave out loopback
    /// peers, which share our clock.
    fn heard_date(&self, peer: Wall);
}

/// The machine's clocks: `CLOCK_BOOTTIME` and `CLOCK_REALTIME`.
pub struct SystemClock {
    /// Set when somebody vouched for the wall clock.
    vouched: AtomicBool,
    /// The kernel's last word, and when it was asked: each poll of a display asks the time,
    /// and not every one should cost a system call more.
    kernel: Mutex<Option<(Mono, Trust)>>,
}

/// How long the kernel's word on its clock is kept.
const KERNEL_WORD_MS: u64 = 1_000;

impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock {
            vouched: AtomicBool::new(false),
            kernel: Mutex::new(None),
        }
    }

    /// A clock that is trusted without asking, for `demo`.
    pub fn trusting() -> SystemClock {
        SystemClock {
            vouched: AtomicBool::new(true),
            kernel: Mutex::new(None),
        }
    }
}

impl SystemClock {
    fn kernel_word(&self, now: Mono) -> Trust {
        let mut kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        match *kernel {
            Some((asked, trust)) if now.0.saturating_sub(asked.0) < KERNEL_WORD_MS => trust,
            _ => {
                let trust = kernel_trust();
                *kernel = Some((now, trust));
                trust
            }
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let mono = Mono(clock_ms(ClockId::Boottime).try_into().unwrap_or(0));
        let trust = match self.vouched.load(Ordering::Relaxed) {
            true => Trust::Trusted,
            false => self.kernel_word(mono),
        };
        Moment {
            mono,
            wall: Wall(clock_ms(ClockId::Realtime)),
            trust,
        }
    }

    fn heard_date(&self, peer: Wall) {
        let ours = Wall(clock_ms(ClockId::Realtime));
        let apart = peer.since(ours).max(ours.since(peer));
        if apart <= limits::CLOCK_AGREEMENT {
            self.vouched.store(true, Ordering::Relaxed);
        }
    }
}

fn clock_ms(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1000) + time.tv_nsec / 1_000_000
}

/// What the kernel says about its clock; where it may not be asked (seccomp, containers),
/// the marker that systemd-timesyncd leaves.
fn kernel_trust() -> Trust {
    if std::path::Path::new("/run/systemd/timesync/synchronized").exists() {
        return Trust::Trusted;
    }
    // SAFETY: all-zero is a valid timex, and with `modes` 0 the call only reads.
    let (state, status) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&mut timex), timex.status)
    };
    match state {
        -1 => Trust::Unknown,
        _ if status & libc::STA_UNSYNC != 0 => Trust::Untrusted,
        _ => Trust::Trusted,
    }
}

/// The identity of this boot, by which monotonic times of an earlier run can be told from
/// those of an earlier boot. Empty where the kernel does not say.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// A clock that stands still until a test moves it.
#[cfg(test)]
pub struct ManualClock(Mutex<Moment>);

#[cfg(test)]
impl ManualClock {
    pub fn new(now: Moment) -> ManualClock {
        ManualClock(Mutex::new(now))
    }

    pub fn set(&self, now: Moment) {
        *self
            .0
            .lock()
            .expect("no test panics while it holds the clock") = now;
    }

    /// Moves both clocks on.
    pub fn advance(&self, span: std::time::Duration) {
        let mut now = self
            .0
            .lock()
            .expect("no test panics while it holds the clock");
        now.mono = now.mono.after(span);
        now.wall = now.wall.after(span);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> Moment {
        *self
            .0
            .lock()
            .expect("no test panics while it holds the clock")
    }

    fn heard_date(&self, _: Wall) {}
}
