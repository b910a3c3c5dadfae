//! Delivery status of each channel, for `/status`, `/metrics`, the pages and the alert about it.

use std::sync::{Arc, MutexGuard};

use crate::domain::alert::DeliveryFailure;
use crate::domain::time::{Moment, Wall};
use crate::sys::sync::Mutex;

/// Delivery status of one channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliveryStatus {
    pub failure: Option<DeliveryFailure>,
    /// Events that wait.
    pub waiting: usize,
    /// Of those, the refused ones.
    pub refused: usize,
    /// When the oldest of them was refused first, and why the newest was.
    pub refused_since: Option<Wall>,
    pub refusal: Option<String>,
    /// Events given up, since the database was made.
    pub undelivered: u64,
    pub attempts: u64,
    pub failures: u64,
    pub last_delivered: Option<Wall>,
}

/// A shared status: written by its worker, read by any thread.
#[derive(Clone, Default)]
pub struct SharedDeliveryStatus(Arc<Mutex<DeliveryStatus>>);

impl SharedDeliveryStatus {
    /// The status, for its owner to change.
    pub fn lock(&self) -> MutexGuard<'_, DeliveryStatus> {
        self.0.lock()
    }

    pub fn get(&self) -> DeliveryStatus {
        self.lock().clone()
    }

    /// Records an attempt of the heartbeat, which has no queue.
    pub fn record_attempt(&self, result: &Result<(), String>, now: Moment) {
        let mut status = self.lock();
        status.attempts += 1;
        match result {
            Ok(()) => {
                status.failure = None;
                status.last_delivered = Some(now.wall);
            }
            Err(why) => {
                status.failures += 1;
                let since = status.failure.as_ref().map_or(now.mono, |it| it.since);
                let why = why.clone();
                status.failure = Some(DeliveryFailure { since, why });
            }
        }
    }
}
