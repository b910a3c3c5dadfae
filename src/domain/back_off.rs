//! Exponential back-off: the pause doubles with each failure in a row, up to a cap.
//!
//! Pure.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    pub shortest: Duration,
    pub longest: Duration,
}

impl BackOff {
    /// With the shortest and the longest pause.
    pub fn new((shortest, longest): (Duration, Duration)) -> BackOff {
        BackOff { shortest, longest }
    }

    /// The pause after so many earlier failures: the shortest after none.
    pub fn pause(self, failures: u64) -> Duration {
        let doublings = u32::try_from(failures.min(16)).unwrap_or(16);
        self.shortest
            .saturating_mul(1 << doublings)
            .min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_cap() {
        let back_off = BackOff::new((Duration::from_secs(1), Duration::from_secs(60)));
        let pauses = [0, 1, 2, 5, 6, 50, u64::MAX].map(|it| back_off.pause(it).as_secs());
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60, 60]);
    }
}
