//! A month of three sources in a moment: outages, 304s, a restart, and a wall clock that
//! jumps. Test-only; the same month with a good clock is what it is judged by.

use std::sync::Arc;
use std::time::Duration;

use super::alert::{self, Facts, NodeFacts, Rules, State};
use super::freshness::Stamp;
use super::health::{Cause, Failure};
use super::ledger::{Ledger, Restored};
use super::plan::{Plan, test_plan};
use super::reading::{Observation, Outcome, Reading, Value};
use super::schedule::next_wait;
use super::time::{Moment, Mono, Trust, Wall, millis};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const TEN_YEARS: i64 = 3_652 * 86_400_000;
const T0: i64 = 1_761_854_400_000;

/// What must not depend on the wall clock.
#[derive(Debug, Default, PartialEq)]
struct Told {
    /// Monotonic time, alert and kind of every event.
    events: Vec<(u64, String, &'static str)>,
    /// Monotonic time, key and staleness whenever that turns.
    turns: Vec<(u64, usize, bool)>,
    /// Attempts by source since the restart.
    attempts: Vec<u64>,
    failures: Vec<u64>,
    rows: u64,
    answers: u64,
}

fn good_clock(ms: u64) -> Moment {
    Moment {
        mono: Mono(ms),
        wall: Wall(T0 + i64::try_from(ms).expect("a month")),
        trust: Trust::Trusted,
    }
}

/// Ten years ahead on some days, behind on others, and nobody's word for half an hour.
fn wild_clock(ms: u64) -> Moment {
    let mut now = good_clock(ms);
    now.wall.0 += match ms / DAY {
        4 | 11..=13 | 21 => TEN_YEARS,
        7 | 17 | 24 => -TEN_YEARS,
        _ => 0,
    };
    if ms / DAY % 5 == 2 && ms % DAY < HOUR / 2 {
        now.trust = Trust::Untrusted;
    }
    now
}

/// Source 0 is down for hours around two jumps; source 1 says 304 between changes.
fn outcome(source: usize, ms: u64) -> Outcome {
    let is_down = [
        (4 * DAY - HOUR, 4 * DAY + 5 * HOUR),
        (17 * DAY, 17 * DAY + 9 * HOUR),
    ]
    .iter()
    .any(|(from, to)| (*from..*to).contains(&ms));
    match source {
        0 if is_down => Outcome::Failed {
            failure: Failure::new(Cause::Timeout, "too slow."),
            issues: Vec::new(),
        },
        1 if !ms.is_multiple_of(HOUR) => Outcome::Unchanged,
        _ => Outcome::Readings {
            observed: None,
            readings: vec![Reading {
                key: format!("key{source}").into(),
                value: Value::Number(1.0),
                unit: None,
            }],
            issues: Vec::new(),
        },
    }
}

fn month(clock: fn(u64) -> Moment) -> Told {
    let every = [10, 15, 15].map(|minutes| Duration::from_millis(minutes * MINUTE));
    let mut plan: Plan = test_plan(every.len(), every[1]);
    for (source, every) in plan.sources.iter_mut().zip(every) {
        source.every = every;
        source.stale_after = every * 3;
    }
    let plan = Arc::new(plan);
    let rules = Rules::default();
    let node = NodeFacts::default();
    let mut ledger = Ledger::new(plan.clone());
    let mut state = State::new("boot");
    let mut due = [0; 3];
    let mut looks_at = u64::MAX;
    let mut was_stale = [false; 3];
    let mut is_restarted = false;
    let mut told = Told::default();
    loop {
        let ms = due.into_iter().chain([looks_at]).min().expect("three");
        if ms >= 30 * DAY {
            break;
        }
        let now = clock(ms);
        if ms >= 15 * DAY && !is_restarted {
            is_restarted = true;
            let records = ledger.snapshot(now).records;
            ledger = Ledger::new(plan.clone());
            let restored = records.into_iter().map(|record| {
                let (receipt, lag) = record.stamp.receipt().expect("of this boot");
                let observed = record.stamp.observed;
                Restored {
                    key: record.key,
                    value: record.value,
                    unit: record.unit,
                    source: record.sources[0].clone(),
                    stamp: Stamp::carried_over(observed, false, receipt, lag),
                }
            });
            ledger.restore(restored.collect());
            state = state.resumed("boot", now.mono);
        }
        ledger.settle(now);
        for source in 0..3 {
            if due[source] > ms {
                continue;
            }
            let outcome = outcome(source, ms);
            told.answers += u64::from(matches!(outcome, Outcome::Readings { .. }));
            let rows = ledger.apply(Observation {
                source,
                at: now,
                duration: Duration::from_millis(5),
                bytes: 1,
                outcome,
                next_in: every[source],
                followed: None,
            });
            told.rows += rows.len() as u64;
            let health = &ledger.snapshot(now).sources[source].health;
            let wait = next_wait(every[source], health.failures_in_a_row, None, 0.0);
            due[source] = ms + millis(wait);
        }
        let snapshot = ledger.snapshot(now);
        for (index, record) in snapshot.records.iter().enumerate() {
            if record.stale != was_stale[index] {
                was_stale[index] = record.stale;
                told.turns.push((ms, index, record.stale));
            }
        }
        let facts = Facts {
            snapshot: &snapshot,
            started: Mono(0),
            node: &node,
        };
        let step = alert::step(&rules, &state, now, &facts);
        state = step.state;
        let events = step.events.into_iter();
        told.events
            .extend(events.map(|event| (ms, event.alert, event.kind.name())));
        let looks = snapshot.changes_at.into_iter().chain(step.changes_at);
        looks_at = looks.min().map_or(u64::MAX, |at| at.0.max(ms + 1));
        let sources = snapshot.sources.iter();
        told.attempts = sources.clone().map(|it| it.health.attempts).collect();
        told.failures = sources
            .map(|it| it.health.failures.values().sum())
            .collect();
    }
    told
}

#[test]
fn a_clock_that_jumps_by_years_changes_nothing_in_a_month() {
    let good = month(good_clock);
    let wild = month(wild_clock);
    assert_eq!(wild, good);
    assert_eq!(good.rows, good.answers, "a row for each answer");
    assert_eq!(good.attempts[1..], [15 * 96, 15 * 96]);
    let stale: Vec<u64> = good.turns.iter().filter(|it| it.2).map(|it| it.0).collect();
    // Thirty minutes after the last good answer, to the millisecond.
    let last_good = [4 * DAY - HOUR - 10 * MINUTE, 17 * DAY - 10 * MINUTE];
    let expected = last_good.map(|at| at + 30 * MINUTE + 1);
    assert_eq!(stale[..], expected);
    let kinds: Vec<&str> = good.events.iter().map(|it| it.2).collect();
    assert_eq!(kinds.iter().filter(|it| **it == "trigger").count(), 2);
    assert_eq!(kinds.iter().filter(|it| **it == "recovery").count(), 2);
}
