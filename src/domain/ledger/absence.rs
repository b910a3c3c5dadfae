//! For how long a source has answered without a key.
//!
//! Counted are good answers and the time in which the source gave them: from each good
//! answer to the next attempt. While a source fails, none of its keys becomes more absent.

use std::time::Duration;

use crate::domain::time::Mono;
use crate::limits;

/// Good answers, and the time that they span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Absence {
    pub responses: u64,
    pub time: Duration,
}

impl Absence {
    /// Whether a key that was absent for so long is forgotten.
    pub fn is_longer_than(self, forget_after: Duration) -> bool {
        self.responses >= limits::FORGET_AFTER_RESPONSES && self.time >= forget_after
    }

    pub fn plus(self, more: Absence) -> Absence {
        Absence {
            responses: self.responses.saturating_add(more.responses),
            time: self.time.saturating_add(more.time),
        }
    }
}

/// How much a source has answered since the start.
#[derive(Debug, Default)]
pub struct ResponseCount {
    so_far: Absence,
    /// The last attempt, if it was good.
    good_at: Option<Mono>,
}

impl ResponseCount {
    /// Takes one attempt into account. A longer pause than `longest` counts as that long: a
    /// machine that was suspended polled nothing.
    pub fn record(&mut self, at: Mono, is_good: bool, longest: Duration) {
        if let Some(good_at) = self.good_at {
            let pause = at.since(good_at).min(longest);
            self.so_far.time = self.so_far.time.saturating_add(pause);
        }
        self.good_at = is_good.then_some(at);
        self.so_far.responses += u64::from(is_good);
    }

    /// A key that the newest answer gave.
    pub fn provided_now(&self) -> LastProvided {
        LastProvided {
            at: self.so_far,
            before: Absence::default(),
        }
    }

    /// A key of an earlier run, which had been absent for `before` then.
    pub fn provided_in_earlier_run(before: Absence) -> LastProvided {
        LastProvided {
            at: Absence::default(),
            before,
        }
    }

    pub fn absence(&self, given: &LastProvided) -> Absence {
        Absence {
            responses: self.so_far.responses.saturating_sub(given.at.responses),
            time: self.so_far.time.saturating_sub(given.at.time),
        }
        .plus(given.before)
    }
}

/// Where a source's answering stood when it last gave a key.
#[derive(Debug, Clone, Copy)]
pub struct LastProvided {
    at: Absence,
    /// Absence in earlier runs.
    before: Absence,
}
