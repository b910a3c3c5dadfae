//! Test support for the whole crate: golden files, scratch directories, budgets of fuzzers.
//!
//! `UPDATE_GOLDEN=1 cargo test` writes whole outputs into `tests/golden`;
//! the diff is for review.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Holds `found` against the golden file of that name.
pub fn check(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).expect("the golden file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = expected
        .lines()
        .zip(found.lines())
        .position(|(a, b)| a != b);
    if expected != found {
        let line = differs.unwrap_or(expected.lines().count().min(found.lines().count()));
        panic!(
            "{name} differs from line {}:\nexpected: {:?}\nfound:    {:?}\n\
             UPDATE_GOLDEN=1 cargo test writes what is.",
            line + 1,
            expected.lines().nth(line),
            found.lines().nth(line)
        );
    }
}

/// An empty directory of this test run's own.
pub fn scratch(name: &str) -> PathBuf {
    let unique = format!("main-node-test-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(unique);
    // Left over from an earlier run that had this process id.
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a temporary directory can be made");
    path
}

/// How long to go on, and from which seed.
pub struct Budget {
    seed: u64,
    until: Option<Instant>,
    turns: u64,
}

impl Budget {
    pub fn new(turns: u64) -> Budget {
        let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse().ok());
        let seconds = number("FUZZ_SECONDS");
        Budget {
            seed: number("FUZZ_SEED").unwrap_or(1),
            until: seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            turns,
        }
    }

    /// A generator of its own for each turn, so that a finding is played again alone.
    pub fn seeds(self) -> impl Iterator<Item = u64> {
        let goes_on = move |turn: &u64| match self.until {
            Some(until) => Instant::now() < until,
            None => *turn < self.turns,
        };
        (0_u64..)
            .take_while(goes_on)
            .map(move |turn| self.seed.wrapping_add(turn))
    }
}
