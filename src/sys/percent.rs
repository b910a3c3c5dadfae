//! Progress of background work in percent, which other threads read.

use std::sync::atomic::{AtomicU8, Ordering};

#[derive(Debug, Default)]
pub struct SharedPercent(AtomicU8);

impl SharedPercent {
    /// `done` of `all` steps are done; of none, all are.
    pub fn set(&self, done: usize, all: usize) {
        let percent = (done * 100).checked_div(all).unwrap_or(100).min(100);
        self.0
            .store(u8::try_from(percent).unwrap_or(100), Ordering::Relaxed);
    }

    pub fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn is_complete(&self) -> bool {
        self.get() >= 100
    }
}
