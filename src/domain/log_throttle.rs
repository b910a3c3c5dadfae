//! Log throttle: the same thing is logged once, then at widening intervals with a count.
//!
//! Pure: time comes in.

use std::time::Duration;

use super::time::Mono;

#[derive(Debug)]
pub struct LogThrottle {
    /// Waits between lines; the last one repeats.
    intervals: &'static [Duration],
    step: usize,
    next: Option<Mono>,
    suppressed: u64,
}

impl LogThrottle {
    pub const fn new(intervals: &'static [Duration]) -> LogThrottle {
        LogThrottle {
            intervals,
            step: 0,
            next: None,
            suppressed: 0,
        }
    }

    /// Counts one. If a line is due: how many there were since the last line, this one included.
    pub fn record(&mut self, now: Mono) -> Option<u64> {
        self.suppressed += 1;
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        if self.next.is_some() {
            self.step += 1;
        }
        Some(self.note_line(now))
    }

    /// Counts one for which a line is written whatever the interval.
    pub fn record_always(&mut self, now: Mono) {
        self.suppressed += 1;
        self.note_line(now);
    }

    fn note_line(&mut self, now: Mono) -> u64 {
        self.step = self.step.min(self.intervals.len().saturating_sub(1));
        let interval = self.intervals.get(self.step).copied();
        self.next = Some(now.after(interval.unwrap_or_default()));
        std::mem::take(&mut self.suppressed)
    }
}
