//! Query budget: how many rows and how much time one request may take.
//!
//! A value of one thread. Work spends from it step by step and ends with an error at the
//! first step past a limit, so that no request runs for ever and what it holds (a
//! transaction, a lock, a worker) is released.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

/// What is left of a request's limits.
#[derive(Debug)]
pub struct Budget {
    rows: u64,
    reserve: Cell<u64>,
    spent: Cell<u64>,
    time: Duration,
    deadline: Instant,
    exceeded: Cell<Option<Exceeded>>,
}

/// The limit that a request exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    Rows(u64),
    Time(Duration),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exceeded::Rows(most) => write!(f, "{most} rows read"),
            Exceeded::Time(most) => write!(f, "{} s of work", most.as_secs_f64()),
        }
    }
}

impl Budget {
    /// The time counts from now.
    pub fn new(rows: u64, time: Duration) -> Budget {
        Budget {
            rows,
            reserve: Cell::new(0),
            spent: Cell::new(0),
            time,
            deadline: Instant::now() + time,
            exceeded: Cell::new(None),
        }
    }

    /// A budget without rows, for work that reads none.
    pub fn without_rows() -> Budget {
        Budget::new(0, Duration::ZERO)
    }

    /// A budget for a command that reads all there is, step by step.
    pub fn of_command() -> Budget {
        const DAY: Duration = Duration::from_secs(86_400);
        Budget::new(u64::MAX, DAY)
    }

    /// Reserves rows for coarse reads: see [`Budget::rows_for_detail`].
    pub fn with_reserve(self, coarse: u64) -> Budget {
        self.reserve.set(coarse);
        self
    }

    /// Limits detail from here on to one of so many equal parts of the whole, of which `coarse` rows are
    /// reserved for coarse reads: what is read in turn has equal detail.
    pub fn limit_to_part(&self, parts: u64, coarse: u64) {
        let left = self.rows - self.spent.get();
        let part = self.rows / parts.max(1);
        self.reserve
            .set(left.saturating_sub(part).saturating_add(coarse));
    }

    /// Counts rows (0 checks only the time) before they are read.
    pub fn spend(&self, rows: u64) -> Result<(), Exceeded> {
        let spent = self.spent.get().saturating_add(rows);
        let exceeded = if spent > self.rows {
            Exceeded::Rows(self.rows)
        } else if Instant::now() >= self.deadline {
            Exceeded::Time(self.time)
        } else {
            self.spent.set(spent);
            return Ok(());
        };
        self.exceeded.set(Some(exceeded));
        Err(exceeded)
    }

    /// Rows that may still be read where there is a coarser way to answer.
    pub fn rows_for_detail(&self) -> u64 {
        (self.rows - self.spent.get()).saturating_sub(self.reserve.get())
    }

    /// The limit that this request exceeded, if it did.
    pub fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn the_exceeded_limit_is_returned() {
        let budget = Budget::new(10, LONG);
        assert_eq!(budget.spend(10), Ok(()));
        assert_eq!(budget.exceeded(), None);
        assert_eq!(budget.spend(1), Err(Exceeded::Rows(10)));
        assert_eq!(budget.rows_for_detail(), 0);
        assert_eq!(budget.exceeded(), Some(Exceeded::Rows(10)));
        assert_eq!(budget.spend(u64::MAX), Err(Exceeded::Rows(10)));
        let budget = Budget::new(10, LONG).with_reserve(8);
        assert_eq!(budget.rows_for_detail(), 2);
        assert_eq!(budget.spend(5), Ok(()));
        assert_eq!(budget.rows_for_detail(), 0);
        let budget = Budget::new(100, LONG);
        for spent in [10, 25, 1, 0] {
            budget.limit_to_part(4, 8);
            assert_eq!(budget.rows_for_detail(), 17);
            assert_eq!(budget.spend(spent), Ok(()));
        }
        let late = Budget::new(10, Duration::ZERO);
        assert_eq!(late.spend(0), Err(Exceeded::Time(Duration::ZERO)));
    }

    #[test]
    fn an_exceeded_limit_is_described() {
        assert_eq!(Exceeded::Rows(100_000).to_string(), "100000 rows read");
        let time = Exceeded::Time(Duration::from_millis(1_500));
        assert_eq!(time.to_string(), "1.5 s of work");
    }
}
