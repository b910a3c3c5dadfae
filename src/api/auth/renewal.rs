//! Renewal of a token or session that several sources share: one at a time, and not too often.
//!
//! Called on fetch threads. One of them renews, without holding the lock; the others wait for its
//! result, at most until the time of their fetch is over.

use std::time::{Duration, Instant};

use crate::api::auth::AuthClient;
use crate::api::http_response::FetchError;
use crate::domain::failure::{Cause, Failure};
use crate::domain::time::Mono;
use crate::limits;
use crate::sys::sync::{Condvar, Mutex};

/// A value of which there is one for all sources of an `[auth.NAME]`, and when it was renewed.
#[derive(Debug)]
pub struct Renewal<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    is_running: bool,
    last: Option<RenewalAttempt>,
}

/// The last attempt: until when it is the only one, and why it failed.
#[derive(Debug)]
struct RenewalAttempt {
    until: Mono,
    failure: Option<Failure>,
}

/// A renewed value, or why there is none, and for how long it is not tried again.
#[derive(Debug)]
pub struct Renewed<T> {
    pub result: Result<T, FetchError>,
    /// From the attempt on; zero where nothing was sent.
    pub pause: Duration,
}

impl<T> Default for Renewal<T> {
    fn default() -> Renewal<T> {
        Renewal {
            state: Mutex::new(State {
                value: None,
                is_running: false,
                last: None,
            }),
            changed: Condvar::new(),
        }
    }
}

impl<T: Clone> Renewal<T> {
    pub fn current(&self) -> Option<T> {
        self.state.lock().value.clone()
    }

    /// The value if it `serves`; otherwise `renew` makes another of it. `None`: it was renewed a
    /// moment ago, and the present one does not serve.
    ///
    /// # Errors
    /// Why it could not be renewed, repeated while the pause after the attempt lasts.
    pub fn get(
        &self,
        client: &dyn AuthClient,
        serves: impl Fn(&T) -> bool,
        renew: impl FnOnce(Option<T>) -> Renewed<T>,
    ) -> Result<Option<T>, FetchError> {
        let mut state = self.state.lock();
        loop {
            if let Some(value) = state.value.as_ref().filter(|it| serves(it)) {
                return Ok(Some(value.clone()));
            }
            if !state.is_running {
                break;
            }
            let left = client.deadline().saturating_duration_since(Instant::now());
            if client.is_stopping() {
                return Err(FetchError::Stopped);
            }
            if left.is_zero() {
                return Err(FetchError::Failed(Failure::new(Cause::Timeout, STILL_RUNS)));
            }
            // A stop is not notified here.
            let span = left.min(limits::AUTH_WAIT_STEP);
            state = self.changed.wait_timeout(state, span);
        }
        let begun = client.now().mono;
        if let Some(last) = state.last.as_ref().filter(|it| begun < it.until) {
            return last.repeat(begun);
        }
        state.is_running = true;
        let present = state.value.clone();
        drop(state);
        let running = Running(self);
        let renewed = renew(present);
        let mut state = self.state.lock();
        if !matches!(renewed.result, Err(FetchError::Stopped)) {
            state.last = Some(RenewalAttempt {
                until: begun.after(renewed.pause),
                failure: match &renewed.result {
                    Err(FetchError::Failed(failure)) => Some(failure.clone()),
                    _ => None,
                },
            });
        }
        if let Ok(value) = &renewed.result {
            state.value = Some(value.clone());
        }
        drop(state);
        drop(running);
        renewed.result.map(Some)
    }
}

const STILL_RUNS: &str = "another source of the same `auth` still waits for its token or login";

impl RenewalAttempt {
    fn repeat<T>(&self, now: Mono) -> Result<Option<T>, FetchError> {
        let Some(failure) = &self.failure else {
            return Ok(None);
        };
        let mut failure = failure.clone();
        // A wait that the server ordered ends with the pause.
        let left = self.until.since(now);
        failure.retry_after = failure.retry_after.map(|wait| wait.min(left));
        Err(FetchError::Failed(failure))
    }
}

/// A renewal that runs: it ends when dropped, after a panic too.
struct Running<'a, T>(&'a Renewal<T>);

impl<T> Drop for Running<'_, T> {
    fn drop(&mut self) {
        self.0.state.lock().is_running = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
#[path = "tests/renewal.rs"]
mod tests;
