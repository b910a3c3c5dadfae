//! Clock: wall time, monotonic time, and whether the wall clock is synchronised.
//!
//! Everything that needs an instant is handed a [`Clock`]; tests drive `ManualClock`. Any
//! thread.

use rustix::time::{ClockId, clock_gettime};

use super::os_error::reason;
use super::sync::Mutex;
use crate::domain::clock_trust::{PeerTrust, TrustedBy};
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};

/// Source of wall and monotonic time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Moment;

    /// Records the wall time of a peer's HTTP `Date` header. Callers leave out loopback
    /// peers, which share our clock, and what a cache may have stored.
    fn record_peer_date(&self, host: &str, date: Wall);

    /// By what the wall clock is trusted; `None` while it is not.
    fn trusted_by(&self) -> Option<TrustedBy>;
}

/// The machine's clocks: `CLOCK_BOOTTIME` and `CLOCK_REALTIME`.
pub struct SystemClock {
    is_demo: bool,
    peers: Mutex<PeerTrust>,
    /// The kernel's trust state and when it was read. Cached, since every poll of a display
    /// reads the clock.
    kernel: Mutex<Option<(Mono, TrustState)>>,
}

/// Whether the wall clock is trusted, and by what.
type TrustState = (ClockTrust, Option<TrustedBy>);

/// How long the kernel's trust state is cached.
const KERNEL_TRUST_TTL_MS: u64 = 1_000;

impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock {
            is_demo: false,
            peers: Mutex::default(),
            kernel: Mutex::new(None),
        }
    }

    /// A clock that is always trusted, for `demo`.
    pub fn always_trusted() -> SystemClock {
        SystemClock {
            is_demo: true,
            ..SystemClock::new()
        }
    }

    fn read(&self) -> (Moment, Option<TrustedBy>) {
        let mut now = Moment {
            mono: Mono(clock_ms(ClockId::Boottime).try_into().unwrap_or(0)),
            wall: Wall(clock_ms(ClockId::Realtime)),
            trust: ClockTrust::Trusted,
        };
        if self.is_demo {
            return (now, Some(TrustedBy::Demo));
        }
        // Checked on every read, because this detects clock jumps.
        let mut peers = self.peers.lock();
        let do_peers_agree = peers.is_trusted(now);
        drop(peers);
        let (trust, by) = self.cached_kernel_trust(now.mono);
        if !trust.is_trusted() && do_peers_agree {
            return (now, Some(TrustedBy::HttpDate));
        }
        now.trust = trust;
        (now, by)
    }

    fn cached_kernel_trust(&self, now: Mono) -> TrustState {
        let mut kernel = self.kernel.lock();
        match *kernel {
            Some((read_at, trust)) if now.0.saturating_sub(read_at.0) < KERNEL_TRUST_TTL_MS => {
                trust
            }
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
        self.read().0
    }

    fn record_peer_date(&self, host: &str, date: Wall) {
        let (now, _) = self.read();
        let mut peers = self.peers.lock();
        peers.record_date(host, date, now);
    }

    fn trusted_by(&self) -> Option<TrustedBy> {
        self.read().1
    }
}

fn clock_ms(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1000) + time.tv_nsec / 1_000_000
}

/// Whether the clock is synchronised: by the marker file of systemd-timesyncd, then by the kernel,
/// which may refuse the call (seccomp, containers).
fn kernel_trust() -> TrustState {
    if std::path::Path::new("/run/systemd/timesync/synchronized").exists() {
        return (ClockTrust::Trusted, Some(TrustedBy::Timesyncd));
    }
    // SAFETY: all-zero is a valid timex, and with `modes` 0 the call only reads.
    let (state, status) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&mut timex), timex.status)
    };
    match state {
        -1 => (ClockTrust::Unknown, None),
        _ if status & libc::STA_UNSYNC != 0 => (ClockTrust::Untrusted, None),
        _ => (ClockTrust::Trusted, Some(TrustedBy::Kernel)),
    }
}

/// Boot ID of the kernel, which tells apart monotonic times of an earlier run and of an earlier
/// boot. Empty, with a warning in the log, if it cannot be read.
pub fn boot_id() -> String {
    const FILE: &str = "/proc/sys/kernel/random/boot_id";
    let id = std::fs::read_to_string(FILE).unwrap_or_else(|error| {
        log::warn!(
            "{FILE} cannot be read ({}), so this start counts as one after a reboot: ages of \
             readings, quotas and durations of alerts start anew. If `ProcSubset=pid` is set for \
             the service, remove it",
            reason(&error)
        );
        String::new()
    });
    id.trim().to_owned()
}

/// A clock that only a test advances.
#[cfg(test)]
pub struct ManualClock(Mutex<Moment>);

#[cfg(test)]
impl ManualClock {
    pub fn new(now: Moment) -> ManualClock {
        ManualClock(Mutex::new(now))
    }

    pub fn set(&self, now: Moment) {
        *self.0.lock() = now;
    }

    /// Advances both clocks.
    pub fn advance(&self, span: std::time::Duration) {
        let mut now = self.0.lock();
        now.mono = now.mono.after(span);
        now.wall = now.wall.after(span);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> Moment {
        *self.0.lock()
    }

    fn record_peer_date(&self, _: &str, _: Wall) {}

    fn trusted_by(&self) -> Option<TrustedBy> {
        let now = self.now();
        now.trust.is_trusted().then_some(TrustedBy::Kernel)
    }
}
