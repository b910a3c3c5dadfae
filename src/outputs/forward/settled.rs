//! How far an output has come, and how far it goes back after an outage.
//!
//! Pure. A database may lose what it has acknowledged lately when it is killed: VictoriaMetrics has
//! it in memory for five seconds. So what was acknowledged just before an outage is sent again.

use crate::domain::time::Mono;
use crate::limits;

/// Places among the rows: where it is, and earlier ones, each some seconds before the next.
#[derive(Default)]
pub struct SettledPlace {
    position: i64,
    earlier: Option<(Mono, i64)>,
    settled: i64,
    /// What it must pass after an outage before it goes back again, so that one failure after the
    /// other does not keep it from coming further.
    goal: Option<i64>,
}

impl SettledPlace {
    pub fn at(position: i64) -> SettledPlace {
        SettledPlace {
            position,
            settled: position,
            ..SettledPlace::default()
        }
    }

    /// The last row that was sent.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The last row that will not be lost.
    pub fn settled(&self) -> i64 {
        self.settled
    }

    /// Rows up to `through` were acknowledged at `now`.
    pub fn pass(&mut self, through: i64, now: Mono) {
        if through == self.position {
            return;
        }
        match self.earlier {
            Some((since, _)) if now.since(since) < limits::FORWARD_SETTLED_AFTER => {}
            earlier => {
                if let Some((_, position)) = earlier {
                    self.settled = position;
                }
                self.earlier = Some((now, self.position));
            }
        }
        self.position = through;
        if self.goal.is_some_and(|goal| through > goal) {
            self.goal = None;
        }
    }

    /// The receiver was lost.
    pub fn go_back(&mut self) {
        if self.goal.is_some() {
            return;
        }
        let repeated = self.position.saturating_sub(self.settled);
        // Of many rows at most every second is a repeated one.
        let is_many = repeated > limits::FORWARD_REPEATED_ROWS;
        let more = if is_many { repeated } else { 0 };
        self.goal = Some(self.position.saturating_add(more));
        self.position = self.settled;
        self.earlier = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_outage_it_repeats_what_was_acknowledged_lately() {
        let mut place = SettledPlace::at(100);
        for (second, through) in [(0, 200), (5, 300), (16, 400), (20, 500)] {
            place.pass(through, Mono(second * 1_000));
        }
        // What was acknowledged before the sixteenth second is settled, from the first on.
        assert_eq!((place.position(), place.settled()), (500, 100));
        place.pass(600, Mono(32_000));
        assert_eq!((place.position(), place.settled()), (600, 300));
        place.go_back();
        assert_eq!((place.position(), place.settled()), (300, 300));
    }

    #[test]
    fn with_a_minute_between_commits_it_repeats_the_last_two() {
        let mut place = SettledPlace::at(0);
        for minute in 1..=5 {
            place.pass(minute * 10, Mono(minute.unsigned_abs() * 60_000));
        }
        assert_eq!((place.position(), place.settled()), (50, 30));
    }

    #[test]
    fn failures_one_after_the_other_do_not_keep_it_from_coming_further() {
        for rows in [10, 2_000] {
            let mut place = SettledPlace::at(0);
            let mut furthest = 0;
            for attempt in 1..=1_000 {
                // One batch is taken, then the connection is lost.
                place.pass(place.position() + rows, Mono(attempt * 1_000));
                furthest = furthest.max(place.position());
                place.go_back();
            }
            assert!(furthest >= 40 * rows, "{furthest} of {rows} each");
        }
    }
}
