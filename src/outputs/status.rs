//! Status of each output, for `/status`, `/metrics` and the pages.

use std::sync::Arc;

use crate::domain::output_state::{OutputFailure, OutputState};
use crate::domain::redact::Secrets;
use crate::domain::time::Moment;
use crate::sys::sync::Mutex;

/// A shared status: written by the output, read by any thread. It masks secrets, and logs when the
/// receiver is lost and when it is back.
#[derive(Clone)]
pub struct SharedOutputStatus {
    state: Arc<Mutex<OutputState>>,
    secrets: Arc<Secrets>,
    counter: Arc<Mutex<Option<WaitingCounter>>>,
}

/// Counts what is still to be sent, on the thread that asks; `None` while nobody can know.
pub type WaitingCounter = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

impl SharedOutputStatus {
    pub fn new(name: &str, destination: &str, secrets: Arc<Secrets>) -> SharedOutputStatus {
        let destination = secrets.mask(destination);
        SharedOutputStatus {
            state: Arc::new(Mutex::new(OutputState::new(name, &destination))),
            secrets,
            counter: Arc::default(),
        }
    }

    pub fn get(&self) -> OutputState {
        let mut state = self.state.lock().clone();
        let counter = self.counter.lock().clone();
        if let Some(count) = counter {
            state.waiting = count();
        }
        state
    }

    /// The receiver can be reached.
    pub fn connected(&self) {
        let mut state = self.state.lock();
        state.is_connected = true;
        if state.failure.take().is_some() {
            log::info!("{}: {} can be reached again", state.name, state.destination);
        }
    }

    /// The receiver has accepted so many messages, rows or requests.
    pub fn sent(&self, count: u64, now: Moment) {
        self.connected();
        let mut state = self.state.lock();
        state.sent += count;
        state.last_sent = Some(now.wall);
    }

    /// An attempt failed; the same reason is logged once.
    pub fn failed(&self, why: &str, now: Moment) {
        let why = self.secrets.mask(why).into_owned();
        let mut state = self.state.lock();
        state.is_connected = false;
        state.failures += 1;
        let before = state.failure.take();
        if before.as_ref().map(|it| &it.why) != Some(&why) {
            log::warn!("{}: {}: {why}", state.name, state.destination);
        }
        let since = before.map_or(now.mono, |it| it.since);
        state.failure = Some(OutputFailure { since, why });
    }

    /// How much is still to be sent.
    pub fn waiting(&self, count: u64) {
        self.state.lock().waiting = Some(count);
    }

    /// What is still to be sent is counted whenever the state is read.
    pub fn count_waiting(&self, counter: WaitingCounter) {
        *self.counter.lock() = Some(counter);
    }

    /// So much was given up.
    pub fn dropped(&self, count: u64) {
        self.state.lock().dropped += count;
    }

    /// What a person should know though it works; `None` takes it back. A new one is logged.
    pub fn note(&self, note: Option<&str>) {
        let note = note.map(|it| self.secrets.mask(it).into_owned());
        let mut state = self.state.lock();
        if state.note != note
            && let Some(note) = &note
        {
            log::warn!("{}: {note}", state.name);
        }
        state.note = note;
    }
}
