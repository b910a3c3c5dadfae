//! Pace of a forwarding output: rows per request, pauses while it catches up, pauses after failures.
//!
//! Pure.

use std::time::Duration;

use crate::domain::back_off::BackOff;
use crate::domain::time::Mono;
use crate::limits;

pub struct Pace {
    began: Mono,
    failures: u64,
    rows: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            began: Mono(0),
            failures: 0,
            rows: limits::FORWARD_BATCH_ROWS,
        }
    }
}

impl Pace {
    /// Most rows of a request.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn begin(&mut self, now: Mono) {
        self.began = now;
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The pause after a request that was taken: as long as the work twice, so that a backlog of
    /// weeks leaves most of a small machine to the rest.
    pub fn pause(&self, now: Mono) -> Duration {
        now.since(self.began)
            .saturating_mul(limits::FORWARD_PAUSE_FACTOR)
            .min(limits::OUTPUT_BACK_OFF.1)
    }

    /// The pause after a failure: what the server has asked for, within bounds.
    pub fn failed(&mut self, wanted: Option<Duration>) -> Duration {
        let pause = BackOff::new(limits::OUTPUT_BACK_OFF).pause(self.failures);
        self.failures += 1;
        wanted.map_or(pause, |wanted| {
            wanted.clamp(pause, limits::FORWARD_RETRY_AFTER.max(pause))
        })
    }

    /// A request with so many rows was too large.
    pub fn too_large(&mut self, rows: usize) {
        self.rows = self.rows.min((rows / 2).max(1));
    }

    /// A batch without such a request: a little more is tried, for rows are not all of one length.
    pub fn not_too_large(&mut self) {
        self.rows = (self.rows + self.rows.div_ceil(8)).min(limits::FORWARD_BATCH_ROWS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_waits_as_the_server_wants_within_bounds() {
        let second = Duration::from_secs;
        for (earlier, wanted, expected) in [
            (0, None, second(1)),
            (3, None, second(8)),
            (50, None, second(60)),
            (0, Some(second(30)), second(30)),
            (6, Some(second(5)), second(60)),
            (0, Some(second(86_400)), limits::FORWARD_RETRY_AFTER),
        ] {
            let mut pace = Pace::default();
            for _ in 0..earlier {
                pace.failed(None);
            }
            assert_eq!(pace.failed(wanted), expected, "{earlier} {wanted:?}");
            pace.succeeded();
            assert_eq!(pace.failed(None), second(1));
        }
    }

    #[test]
    fn it_works_a_third_of_the_time_and_halves_what_is_too_large() {
        let mut pace = Pace::default();
        pace.begin(Mono(1_000));
        assert_eq!(pace.pause(Mono(1_250)), Duration::from_millis(500));
        assert_eq!(pace.pause(Mono(900_000)), limits::OUTPUT_BACK_OFF.1);
        for (rows, expected) in [(1_000, 500), (1_200, 500), (3, 1), (1, 1)] {
            pace.too_large(rows);
            assert_eq!(pace.rows(), expected);
        }
        for expected in [2, 3, 4, 5, 6, 7, 8, 9, 11, 13] {
            pace.not_too_large();
            assert_eq!(pace.rows(), expected);
        }
        for _ in 0..100 {
            pace.not_too_large();
        }
        assert_eq!(pace.rows(), limits::FORWARD_BATCH_ROWS);
    }
}
