//! The time by which retention deletes rows: a wall clock that cannot run away.
//!
//! What is deleted by a clock that is wrong for a minute does not come back. So retention has
//! a time of its own, which is saved in the database. It follows the wall clock only while
//! that is trusted, is never ahead of it, and follows it back at once. Forward it moves by the
//! monotonic time that passed, by as much again to catch up, and by
//! [`limits::MAX_RETENTION_CATCH_UP`] (a day) once in each boot for the time that the machine was
//! off. Up to the time at which the oldest row would be deleted it moves at once, since that
//! deletes nothing: a wall clock that went back by years and returned leaves it no years
//! behind.
//!
//! A machine that was off for longer than a day catches up one day at its start, then a day
//! for each day that it runs. Nothing was stored while it was off, so that no more rows are
//! kept than if it had run.

use std::time::Duration;

use super::time::{Moment, Mono, Wall};
use crate::limits;

/// The time, and the reading of the other clocks that last moved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionClock {
    pub time: Wall,
    /// The boot that `mono` counts in; empty where the kernel does not say.
    pub boot: String,
    pub mono: Mono,
}

impl RetentionClock {
    /// The clock of a database that has none yet, at a trusted reading. `newest` is when its
    /// newest row was received. `harmless` is as in [`RetentionClock::advance`].
    pub fn new(
        newest: Option<Wall>,
        boot: &str,
        now: Moment,
        harmless: Option<Wall>,
    ) -> RetentionClock {
        let time = match (newest.max(harmless), harmless) {
            (Some(known), Some(_)) => known.after(time_powered_off(boot)).min(now.wall),
            // There is nothing to delete.
            _ => now.wall,
        };
        RetentionClock {
            time,
            boot: boot.to_owned(),
            mono: now.mono,
        }
    }

    /// The clock after a reading of the others; one that is not trusted changes nothing.
    /// Up to `harmless` no row is due; `None` if there are no rows.
    pub fn advance(&self, boot: &str, now: Moment, harmless: Option<Wall>) -> RetentionClock {
        if !now.trust.is_trusted() {
            return self.clone();
        }
        let is_new_boot = !boot.is_empty() && self.boot != boot;
        // Without the name of the boot, what a counter shows more than it did is the least
        // that has passed, whether it began anew or not.
        let (passed, off) = if is_new_boot {
            (now.mono.since(Mono::default()), time_powered_off(boot))
        } else {
            (now.mono.since(self.mono), Duration::ZERO)
        };
        let catch_up = passed.min(limits::MAX_RETENTION_CATCH_UP);
        let earned = self.time.after(passed).after(catch_up).after(off);
        let bound = harmless.map_or(now.wall, |harmless| earned.max(harmless));
        RetentionClock {
            time: bound.min(now.wall),
            boot: boot.to_owned(),
            mono: now.mono,
        }
    }

    /// Whether this is to be saved in place of `saved`. Seldom, for the sake of the card:
    /// monotonic time is saved too, so that within one boot nothing is lost by it.
    pub fn is_worth_saving(&self, saved: &RetentionClock) -> bool {
        self.boot != saved.boot
            || self.time < saved.time
            || self.time.since(saved.time) >= limits::RETENTION_CLOCK_SAVE_INTERVAL
            || self.mono.since(saved.mono) >= limits::RETENTION_CLOCK_SAVE_INTERVAL
    }

    /// How it is saved: `TIME_MS BOOT MONO_MS`, with `-` for a boot without a name.
    pub fn to_text(&self) -> String {
        let boot = match self.boot.as_str() {
            "" => "-",
            boot => boot,
        };
        format!("{} {boot} {}", self.time.0, self.mono.0)
    }

    /// Reads what [`RetentionClock::to_text`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<RetentionClock> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [time, boot, mono] = parts[..] else {
            return None;
        };
        let boot = match boot {
            "-" => "",
            boot => boot,
        };
        Some(RetentionClock {
            time: Wall(time.parse().ok()?),
            boot: boot.to_owned(),
            mono: Mono(mono.parse().ok()?),
        })
    }
}

/// What a new boot may add. Without its name it may be the same boot again and again.
fn time_powered_off(boot: &str) -> Duration {
    if boot.is_empty() {
        Duration::ZERO
    } else {
        limits::MAX_RETENTION_CATCH_UP
    }
}

#[cfg(test)]
#[path = "tests/retention_clock.rs"]
mod tests;
