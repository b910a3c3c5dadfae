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
    pub answers: u64,
    pub time: Duration,
}

impl Absence {
    /// Whether a key that was absent for so long is forgotten.
    pub fn is_over(self, forget_after: Duration) -> bool {
        self.answers >= limits::FORGET_ANSWERS && self.time >= forget_after
    }

    fn plus(self, more: Absence) -> Absence {
        Absence {
            answers: self.answers.saturating_add(more.answers),
            time: self.time.saturating_add(more.time),
        }
    }
}

/// How much a source has answered since the start.
#[derive(Debug, Default)]
pub struct Answering {
    so_far: Absence,
    /// The last attempt, if it was good.
    good_at: Option<Mono>,
}

impl Answering {
    /// Takes one attempt into account. A longer pause than `longest` counts as that long: a
    /// machine that was suspended asked nobody.
    pub fn record(&mut self, at: Mono, is_good: bool, longest: Duration) {
        if let Some(good_at) = self.good_at {
            let pause = at.since(good_at).min(longest);
            self.so_far.time = self.so_far.time.saturating_add(pause);
        }
        self.good_at = is_good.then_some(at);
        self.so_far.answers += u64::from(is_good);
    }

    /// A key that the newest answer gave.
    pub fn given(&self) -> Given {
        Given {
            at: self.so_far,
            before: Absence::default(),
        }
    }

    /// A key of an earlier run, which had been absent for `before` then.
    pub fn given_earlier(before: Absence) -> Given {
        Given {
            at: Absence::default(),
            before,
        }
    }

    pub fn absence(&self, given: &Given) -> Absence {
        Absence {
            answers: self.so_far.answers.saturating_sub(given.at.answers),
            time: self.so_far.time.saturating_sub(given.at.time),
        }
        .plus(given.before)
    }
}

/// Where a source's answering stood when it last gave a key.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    at: Absence,
    /// Absence in earlier runs.
    before: Absence,
}
