//! systemd notifications (sd_notify(3)): ready, stopping, the status line, and the watchdog.
//!
//! Any thread; [`run_notifications`] runs on the thread `watchdog`. Without a supervisor all of it
//! does nothing.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Reports that the service is ready.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// Reports that the configuration is loaded again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!("systemd cannot be notified: {error}"),
    }
}

pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The line in `systemctl status`.
pub fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// Whether a supervisor wants notifications.
pub fn is_supervised() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// How often to notify the watchdog: half of its timeout. `None` without a watchdog.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| timeout / 2)
}

/// Sends each new status line, and notifies the watchdog at every interval while `is_alive`.
/// Ends with the last sender of lines; sleeps while there is nothing to send.
pub fn run_notifications(
    watchdog: Option<Duration>,
    lines: &Receiver<String>,
    is_alive: impl Fn() -> bool,
) {
    notification_loop(watchdog, lines, is_alive, |state| send(&[state]));
}

fn notification_loop(
    watchdog: Option<Duration>,
    lines: &Receiver<String>,
    is_alive: impl Fn() -> bool,
    mut notify: impl FnMut(NotifyState<'_>),
) {
    let mut due = Instant::now();
    loop {
        let line = match watchdog {
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(interval) => {
                if due <= Instant::now() {
                    if is_alive() {
                        notify(NotifyState::Watchdog);
                    }
                    due = Instant::now() + interval;
                }
                lines.recv_timeout(due.saturating_duration_since(Instant::now()))
            }
        };
        match line {
            Ok(line) => notify(NotifyState::Status(&line)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("systemd cannot be notified: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn status_lines_are_sent_at_once_and_the_watchdog_only_while_alive() {
        for (watchdog, is_alive, expected) in [
            (None, true, vec!["one", "two"]),
            (
                Some(Duration::from_secs(3600)),
                true,
                vec!["watchdog", "one", "two"],
            ),
            (Some(Duration::from_secs(3600)), false, vec!["one", "two"]),
        ] {
            let (sender, lines) = channel();
            for line in ["one", "two"] {
                sender.send(line.to_owned()).expect("it is received");
            }
            drop(sender);
            let mut sent = Vec::new();
            notification_loop(
                watchdog,
                &lines,
                || is_alive,
                |state| {
                    sent.push(match state {
                        NotifyState::Status(line) => line.to_owned(),
                        NotifyState::Watchdog => "watchdog".to_owned(),
                        other => format!("{other:?}"),
                    });
                },
            );
            assert_eq!(sent, expected);
        }
    }
}
