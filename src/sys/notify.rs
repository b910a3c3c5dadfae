//! What the supervisor is told (sd_notify(3)): ready, stopping, a line for people, and the
//! watchdog's sign of life. Without a supervisor all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use super::shutdown::Stopping;

/// Configuration, database and port are there.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The line in `systemctl status`.
pub fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// How often the supervisor wants to hear from us: half of its patience. `None` without a
/// watchdog.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2)
}

/// Tells the supervisor at every interval that all is alive, as long as `is_alive` says so,
/// and `status` for people.
pub fn keep_alive(
    interval: Duration,
    stopping: &Stopping,
    is_alive: impl Fn() -> bool,
    line: impl Fn() -> String,
) {
    loop {
        if is_alive() {
            send(&[NotifyState::Watchdog]);
        }
        status(&line());
        if stopping.wait(interval) {
            return;
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("the supervisor cannot be told: {error}");
    }
}
