//! Simulated month of four sources: outages, 304 responses, a source with its own timestamps, mute
//! windows, a restart, a reboot with the clock at 1970, and wall clock jumps. Test-only. The same
//! month with a correct clock gives the expected results.

use std::sync::Arc;
use std::time::Duration;

use super::alert;
use super::alert::{AlertFacts, AlertRules, AlertState, NodeFacts};
use super::failure::{Cause, Failure};
use super::freshness::Stamp;
use super::ledger::{Absence, Ledger, RestoredRecord};
use super::plan::{Plan, test_plan};
use super::reading::{FetchOutcome, Observation, Reading, Value};
use super::schedule::next_wait;
use super::time::{ClockTrust, Moment, Mono, Wall, millis};
use super::time_window::TimeWindow;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const TEN_YEARS: i64 = 3_652 * 86_400_000;
const T0: i64 = 1_761_854_400_000;

/// Time of a power cut. The machine restarts at once, without a set clock for a few minutes.
const REBOOT: u64 = 20 * DAY + 90_000;
const SOURCES: usize = 4;

/// The results that must not depend on the wall clock.
#[derive(Default)]
struct MonthLog {
    /// Time since the month began, alert and kind of every event.
    events: Vec<(u64, String, &'static str)>,
    /// Time, key and staleness at each change of staleness.
    stale_changes: Vec<(u64, usize, bool)>,
    /// Observed second of every row.
    observed: Vec<(usize, i64)>,
    /// Attempts and failures by source since the reboot.
    attempts: Vec<u64>,
    failures: Vec<u64>,
    /// Responses with readings by source, over the whole month.
    responses: [u64; SOURCES],
}

fn good_clock(ms: u64) -> Moment {
    Moment {
        // The monotonic clock starts at zero on each boot.
        mono: Mono(ms.checked_sub(REBOOT).unwrap_or(ms)),
        wall: Wall(T0 + i64::try_from(ms).expect("a month")),
        trust: ClockTrust::Trusted,
    }
}

/// Ten years ahead on some days, behind on others, and untrusted for half an hour on others.
fn jumping_clock(ms: u64) -> Moment {
    let mut now = good_clock(ms);
    now.wall.0 += match ms / DAY {
        4 | 11..=13 | 21 => TEN_YEARS,
        7 | 17 | 24 => -TEN_YEARS,
        _ => 0,
    };
    if ms / DAY % 5 == 2 && ms % DAY < HOUR / 2 {
        now.trust = ClockTrust::Untrusted;
    }
    // No battery: the clock starts at 1970 until it is set.
    if (REBOOT..REBOOT + 4 * MINUTE).contains(&ms) {
        now.wall.0 = i64::try_from(ms - REBOOT).expect("minutes");
        now.trust = ClockTrust::Untrusted;
    }
    now
}

/// Source 0 is down for hours around jumps, once within a mute window; source 1 says 304
/// between changes; source 3 sends its own timestamps, which advance every half hour and stop
/// advancing once.
fn outcome(source: usize, ms: u64) -> FetchOutcome {
    let is_down = [
        (4 * DAY - HOUR, 4 * DAY + 5 * HOUR),
        (17 * DAY, 17 * DAY + 9 * HOUR),
        // Within the mute window, and over before it ends.
        (24 * DAY + 13 * HOUR, 24 * DAY + 15 * HOUR),
        // Begins in a mute window and outlasts it.
        (27 * DAY + 14 * HOUR, 27 * DAY + 18 * HOUR),
    ]
    .iter()
    .any(|(from, to)| (*from..*to).contains(&ms));
    match source {
        0 if is_down => FetchOutcome::Failed {
            failure: Failure::new(Cause::Timeout, "too slow."),
            issues: Vec::new(),
        },
        1 if !ms.is_multiple_of(HOUR) => FetchOutcome::Unchanged,
        _ => FetchOutcome::Readings {
            observed: (source == 3).then(|| Wall(T0 + own_time(ms))),
            series: Vec::new(),
            readings: vec![Reading {
                key: format!("key{source}").into(),
                value: Value::Number(1.0),
                unit: None,
                is_stated: false,
                is_boolean: false,
                observed: None,
            }],
            issues: Vec::new(),
        },
    }
}

/// The source's timestamp: correct to the half hour, except for six hours in which it is frozen.
fn own_time(ms: u64) -> i64 {
    let frozen = 9 * DAY..9 * DAY + 6 * HOUR;
    let ms = if frozen.contains(&ms) {
        frozen.start
    } else {
        ms
    };
    i64::try_from(ms - ms % (HOUR / 2)).expect("a month")
}

fn simulate_month(clock: fn(u64) -> Moment) -> MonthLog {
    let every = [10, 15, 15, 15].map(|minutes| Duration::from_millis(minutes * MINUTE));
    let mut plan: Plan = test_plan(every.len(), every[1]);
    for (source, every) in plan.sources.iter_mut().zip(every) {
        source.every = every;
    }
    let plan = Arc::new(plan);
    let rules = AlertRules {
        mute: vec![TimeWindow::parse("daily 08:00-12:00").expect("a window")],
        ..AlertRules::default()
    };
    let node = NodeFacts::default();
    let mut ledger = Ledger::new(plan.clone());
    let mut state = AlertState::new("boot");
    let mut due = [0; SOURCES];
    let mut next_step = u64::MAX;
    let mut was_stale = [false; SOURCES];
    let mut restarts = 0;
    let mut log = MonthLog::default();
    loop {
        let ms = due.into_iter().chain([next_step]).min().expect("four");
        if ms >= 30 * DAY {
            break;
        }
        let now = clock(ms);
        let is_restart = ms >= 15 * DAY && restarts == 0;
        let is_reboot = ms >= REBOOT && restarts == 1;
        if is_restart || is_reboot {
            restarts += 1;
            let records = ledger.snapshot(now).records;
            ledger = Ledger::new(plan.clone());
            let restored = records.into_iter().map(|record| {
                let (receipt, lag) = record.stamp.receipt().expect("of this boot");
                let (observed, own_time) = (record.stamp.observed, record.stamp.has_source_time);
                RestoredRecord {
                    key: record.key,
                    value: record.value,
                    unit: record.unit,
                    source: record.sources[0].clone(),
                    stamp: if is_reboot {
                        Stamp::restored(observed, own_time)
                    } else {
                        Stamp::carried_over(observed, own_time, receipt, lag)
                    },
                    is_boolean: false,
                    absence: Absence::default(),
                }
            });
            ledger.restore(restored.collect());
            state = state.resumed(["boot", "next boot"][usize::from(is_reboot)], now.mono);
        }
        ledger.fix_timestamps(now);
        for source in 0..SOURCES {
            if due[source] > ms {
                continue;
            }
            let outcome = outcome(source, ms);
            log.responses[source] += u64::from(matches!(outcome, FetchOutcome::Readings { .. }));
            let rows = ledger.apply(Observation {
                source,
                at: now,
                duration: Duration::from_millis(5),
                bytes: 1,
                outcome,
                next_in: every[source],
                server_wait: Duration::ZERO,
                late_notice: None,
                skipped_polls: 0,
                upstream: None,
            });
            log.observed
                .extend(rows.iter().map(|row| (source, row.stamp.observed.second())));
            let health = &ledger.snapshot(now).sources[source].health;
            let wait = next_wait(every[source], health.failures_in_a_row, None, 0.0);
            due[source] = ms + millis(wait);
        }
        let snapshot = ledger.snapshot(now);
        for (index, record) in snapshot.records.iter().enumerate() {
            if record.stale != was_stale[index] {
                was_stale[index] = record.stale;
                log.stale_changes.push((ms, index, record.stale));
            }
        }
        let facts = AlertFacts {
            plan: &Plan::default(),
            snapshot: &snapshot,
            started: Mono(0),
            node: &node,
        };
        let step = alert::step(&rules, &state, now, &facts);
        state = step.state;
        let events = step.events.into_iter();
        log.events
            .extend(events.map(|event| (ms, event.alert, event.kind.name())));
        let next_changes = snapshot.changes_at.into_iter().chain(step.changes_at);
        // Converts the time since boot to the time since the month began.
        let began = ms - now.mono.0;
        next_step = next_changes
            .min()
            .map_or(u64::MAX, |at| (began + at.0).max(ms + 1));
        // No deadline falls on the power cut, so it is added here.
        if ms < REBOOT {
            next_step = next_step.min(REBOOT);
        }
        let sources = snapshot.sources.iter();
        log.attempts = sources.clone().map(|it| it.health.attempts).collect();
        log.failures = sources
            .map(|it| it.health.failures.values().sum())
            .collect();
    }
    log
}

#[test]
fn wall_clock_jumps_of_years_change_no_result_of_a_month() {
    let good = simulate_month(good_clock);
    let jumping = simulate_month(jumping_clock);
    // After the reboot restored records are stale until the clock is set or new readings arrive.
    let after_reboot = REBOOT..REBOOT + 15 * MINUTE;
    let stale_changes = |log: &MonthLog| -> Vec<_> {
        let changes = log.stale_changes.iter().copied();
        changes
            .filter(|change| !after_reboot.contains(&change.0))
            .collect()
    };
    assert_eq!(stale_changes(&jumping), stale_changes(&good));
    assert_eq!(jumping.events, good.events);
    assert_eq!(
        (&jumping.attempts, &jumping.failures),
        (&good.attempts, &good.failures)
    );
    assert!(
        jumping.observed == good.observed,
        "the same rows, stamped alike"
    );

    let of = |source: usize| good.observed.iter().filter(move |row| row.0 == source);
    let own: Vec<i64> = of(3).map(|row| row.1).collect();
    // New readings every half hour, except for the six hours in which its timestamp was frozen.
    assert_eq!(own.len(), 30 * 48 - 11);
    assert!(own.is_sorted_by(|a, b| a < b), "each observation once");
    let responses = good.responses[..3].iter().sum::<u64>();
    let rows = good.observed.len() - own.len();
    assert_eq!(
        rows as u64, responses,
        "a row for each response of the others"
    );
    assert_eq!(good.responses[2..], [30 * 96; 2]);

    let mut stale: Vec<(u64, usize)> = stale_changes(&good)
        .iter()
        .filter(|change| change.2)
        .map(|change| (change.0, change.1))
        .collect();
    stale.sort_unstable();
    // Stale one millisecond after the limit since the last response, or the last new timestamp.
    let expected = [
        (4 * DAY - HOUR + 20 * MINUTE + 1, 0),
        (9 * DAY + 45 * MINUTE + 1, 3),
        (17 * DAY + 20 * MINUTE + 1, 0),
        (24 * DAY + 13 * HOUR + 20 * MINUTE + 1, 0),
        (27 * DAY + 14 * HOUR + 20 * MINUTE + 1, 0),
    ];
    assert_eq!(stale, expected);

    let days_of = |kind: &str| -> Vec<u64> {
        let events = good.events.iter().filter(|event| event.2 == kind);
        events.map(|event| event.0 / DAY).collect()
    };
    // No event for the outage within the mute window; one after the window for the longer outage.
    assert_eq!(days_of("trigger"), [3, 17, 27]);
    assert_eq!(days_of("recovery"), [4, 17, 27]);
    let late = good.events.iter().find(|event| event.0 / DAY == 27);
    assert!(late.is_some_and(|event| event.0 >= 27 * DAY + 16 * HOUR));
}
