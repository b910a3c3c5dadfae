//! Failure log, throttled: logs each new cause and each recovery once, an unchanged failure
//! at growing intervals with a count, and a flapping source not every time.
//!
//! Pure.

use std::time::Duration;

use crate::domain::failure::{Cause, Failure};
use crate::domain::log_throttle::LogThrottle;
use crate::domain::reading::{FetchOutcome, Issue, Observation, Reason};
use crate::domain::text::{and_more, human_duration};
use crate::domain::time::Mono;

/// Intervals between log lines about one outage.
const INTERVALS: [Duration; 4] = [
    Duration::from_secs(600),
    Duration::from_secs(3_600),
    Duration::from_secs(6 * 3_600),
    Duration::from_secs(24 * 3_600),
];
/// Success for this long ends an outage.
const RECOVERED_AFTER: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub struct FailureLog {
    outage: Option<Outage>,
    /// Schema violations of the last response, to log each once.
    drift: Vec<Issue>,
}

#[derive(Debug)]
struct Outage {
    began: Mono,
    last_failure: Mono,
    failures: u64,
    logged_causes: Vec<Cause>,
    throttle: LogThrottle,
    recovery_logged: bool,
    recoveries: u64,
}

impl FailureLog {
    /// Log lines for an attempt; none if nothing changed.
    pub fn lines(&mut self, observation: &Observation) -> Vec<(log::Level, String)> {
        let mut lines = Vec::new();
        let now = observation.at.mono;
        let issues = match &observation.outcome {
            FetchOutcome::Failed { failure, .. } => {
                let line = self.failed(failure, now);
                lines.extend(line.map(|line| (log::Level::Warn, line)));
                return lines;
            }
            FetchOutcome::Unchanged | FetchOutcome::Empty => None,
            FetchOutcome::Readings { issues, .. } => Some(issues),
        };
        let line = self.succeeded(now);
        lines.extend(line.map(|line| (log::Level::Info, line)));
        let Some(issues) = issues else { return lines };
        let is_drift = |issue: &&Issue| issue.reason == Reason::Drift;
        let drift: Vec<Issue> = issues.iter().filter(is_drift).cloned().collect();
        let is_new = |issue: &&Issue| {
            let same =
                |old: &Issue| (&old.pointer, &old.expected) == (&issue.pointer, &issue.expected);
            !self.drift.iter().any(same)
        };
        let new = drift.iter().filter(is_new).count();
        if let Some(first) = drift.iter().find(is_new) {
            let line = format!("{first}{}", and_more(new - 1));
            lines.push((log::Level::Warn, line));
        }
        self.drift = drift;
        lines
    }

    fn failed(&mut self, failure: &Failure, now: Mono) -> Option<String> {
        if let Some(outage) = &self.outage
            && outage.recovery_logged
            && now.since(outage.last_failure) >= RECOVERED_AFTER
        {
            self.outage = None;
        }
        let outage = self.outage.get_or_insert(Outage {
            began: now,
            last_failure: now,
            failures: 0,
            logged_causes: Vec::new(),
            throttle: LogThrottle::new(&INTERVALS),
            recovery_logged: false,
            recoveries: 0,
        });
        outage.failures += 1;
        outage.last_failure = now;
        let is_new = !outage.logged_causes.contains(&failure.cause);
        if is_new {
            outage.throttle.record_always(now);
        } else {
            outage.throttle.record(now)?;
        }
        outage.recovery_logged = false;
        if is_new {
            outage.logged_causes.push(failure.cause);
            // The recovery of a logged cause is logged at once.
            outage.recoveries = 0;
            return Some(failure.to_string());
        }
        let how = match outage.recoveries {
            0 => "still failing",
            _ => "failing intermittently",
        };
        Some(format!(
            "{how}, {} times in {}: {failure}",
            outage.failures,
            human_duration(now.since(outage.began))
        ))
    }

    fn succeeded(&mut self, now: Mono) -> Option<String> {
        let outage = self.outage.as_mut()?;
        let is_steady = now.since(outage.last_failure) >= RECOVERED_AFTER;
        if outage.recovery_logged {
            if is_steady {
                self.outage = None;
            }
            return None;
        }
        outage.recoveries += 1;
        if outage.recoveries > 1 && !is_steady {
            return None;
        }
        outage.recovery_logged = true;
        let times = match outage.failures {
            1 => "one failure".to_owned(),
            many => format!("{many} failures"),
        };
        let span = human_duration(now.since(outage.began));
        Some(format!("working again after {times} in {span}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `attempts` (seconds, cause or success) and returns the lines with their seconds.
    fn play(attempts: impl Iterator<Item = (u64, Option<Cause>)>) -> Vec<String> {
        let mut log = FailureLog::default();
        attempts
            .filter_map(|(second, cause)| {
                let now = Mono(second * 1000);
                let line = match cause {
                    Some(cause) => log.failed(&Failure::new(cause, "…"), now),
                    None => log.succeeded(now),
                };
                line.map(|line| format!("{second}: {line}"))
            })
            .collect()
    }

    #[test]
    fn an_unchanged_failure_is_logged_at_growing_intervals_with_a_count() {
        let day = (0..86_400).map(|second| (second, Some(Cause::Dns)));
        let expected = [
            "0: dns: …",
            "600: still failing, 601 times in 10 min: dns: …",
            "4200: still failing, 4201 times in 70 min: dns: …",
            "25800: still failing, 25801 times in 7 h 10 min: dns: …",
        ];
        assert_eq!(play(day), expected);
    }

    #[test]
    fn a_new_cause_and_the_recovery_are_logged_once() {
        let attempts = [
            (0, None),
            (10, Some(Cause::Dns)),
            (20, Some(Cause::Connect)),
            (30, Some(Cause::Dns)),
            (40, None),
            (50, None),
            (2_000, Some(Cause::Dns)),
        ];
        let expected = [
            "10: dns: …",
            "20: connect: …",
            "40: working again after 3 failures in 30 s",
            "2000: dns: …",
        ];
        assert_eq!(play(attempts.into_iter()), expected);
    }

    #[test]
    fn a_new_cause_soon_after_a_recovery_is_logged_with_its_recovery() {
        let attempts = [
            (0, Some(Cause::HttpStatus)),
            (5, None),
            (60, Some(Cause::Connect)),
            (90, None),
        ];
        let expected = [
            "0: http_status: …",
            "5: working again after one failure in 5 s",
            "60: connect: …",
            "90: working again after 2 failures in 90 s",
        ];
        assert_eq!(play(attempts.into_iter()), expected);
    }

    #[test]
    fn a_flapping_source_does_not_flood_the_log() {
        let hour = (0..3_600).map(|second| (second, (second % 2 == 0).then_some(Cause::Timeout)));
        let after = [(3_700, None), (4_300, None)];
        let expected = [
            "0: timeout: …",
            "1: working again after one failure in 1 s",
            "600: failing intermittently, 301 times in 10 min: timeout: …",
            "4300: working again after 1800 failures in 71 min",
        ];
        assert_eq!(play(hour.chain(after)), expected);
    }
}
