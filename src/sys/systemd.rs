//! What the supervisor is told (sd_notify(3)): ready, stopping, a line for people, and the
//! watchdog's sign of life. Without a supervisor all of it does nothing.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

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

/// Whether there is one who listens.
pub fn is_supervised() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// How often the supervisor wants to hear from us: half of its patience. `None` without a
/// watchdog.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2)
}

/// Tells the supervisor each new line for people, and at every interval of its watchdog that all
/// is alive, as long as `is_alive` says so. Ends with the last sender of lines; sleeps while
/// there is nothing to tell.
pub fn keep_informed(
    watchdog: Option<Duration>,
    lines: &Receiver<String>,
    is_alive: impl Fn() -> bool,
) {
    keep_telling(watchdog, lines, is_alive, |state| send(&[state]));
}

fn keep_telling(
    watchdog: Option<Duration>,
    lines: &Receiver<String>,
    is_alive: impl Fn() -> bool,
    mut tell: impl FnMut(NotifyState<'_>),
) {
    let mut due = Instant::now();
    loop {
        let line = match watchdog {
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(interval) => {
                if due <= Instant::now() {
                    if is_alive() {
                        tell(NotifyState::Watchdog);
                    }
                    due = Instant::now() + interval;
                }
                lines.recv_timeout(due.saturating_duration_since(Instant::now()))
            }
        };
        match line {
            Ok(line) => tell(NotifyState::Status(&line)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("the supervisor cannot be told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn every_line_is_told_at_once_and_the_watchdog_only_while_all_is_alive() {
        for (watchdog, is_alive, expected) in [
            (None, true, vec!["one", "two"]),
            (
                Some(Duration::from_secs(3600)),
                true,
                vec!["watchdog", "one", "two"],
            ),
            (Some(Duration::from_secs(3600)), false, vec!["one", "two"]),
        ] {
            let (say, lines) = channel();
            for line in ["one", "two"] {
                say.send(line.to_owned()).expect("it is listened to");
            }
            drop(say);
            let mut told = Vec::new();
            keep_telling(
                watchdog,
                &lines,
                || is_alive,
                |state| {
                    told.push(match state {
                        NotifyState::Status(line) => line.to_owned(),
                        NotifyState::Watchdog => "watchdog".to_owned(),
                        other => format!("{other:?}"),
                    });
                },
            );
            assert_eq!(told, expected);
        }
    }
}
