//! When a person should know: the rules, and which alerts are open.
//!
//! Judged from what is known about each source, so that it needs no memory of its own: the
//! same health always gives the same alerts, after a restart too.

use std::sync::Arc;
use std::time::Duration;

use super::health::Cause;
use super::plan::Plan;
use super::snapshot::Snapshot;
use super::time::{Mono, words};

/// The owner's thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// A source without success for this long; by default per source, the larger of 15 min
    /// and three intervals, so that a slow source never alarms by itself.
    pub no_success_for: Option<Duration>,
    /// As many failures in a row, once they have gone on for two minutes, so that a fast
    /// source does not alarm over a router's restart.
    pub failures_in_a_row: u64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            no_success_for: None,
            failures_in_a_row: 5,
        }
    }
}

const SHORTEST_SILENCE: Duration = Duration::from_secs(15 * 60);
const SHORTEST_STREAK: Duration = Duration::from_secs(120);
/// What a display's one line holds.
const DISPLAY_CHARS: usize = 32;

/// An open alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// `source:weather`, or `network`: what `alert_active{alert}` says.
    pub name: Arc<str>,
    pub since: Mono,
    /// ASCII, at most 32 characters.
    pub for_displays: Arc<str>,
    /// One sentence.
    pub for_people: String,
}

/// What was found, and when it could change without a new observation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judgement {
    pub open: Vec<Alert>,
    pub changes_at: Option<Mono>,
}

/// Judges every source at the snapshot's moment; `started` is when the node began.
pub fn judge(rules: &Rules, plan: &Plan, snapshot: &Snapshot, started: Mono) -> Judgement {
    let now = snapshot.at.mono;
    let mut found = Judgement::default();
    for (source, plan) in snapshot.sources.iter().zip(&plan.sources) {
        let health = &source.health;
        let patience = rules
            .no_success_for
            .unwrap_or_else(|| SHORTEST_SILENCE.max(plan.every * 3));
        let silent_from = health.last_success.map_or(started, |at| at.mono);
        let silent_at = silent_from.after(patience);
        let streak_at = health
            .failing_since
            .filter(|_| health.failures_in_a_row >= rules.failures_in_a_row)
            .map(|since| since.mono.after(SHORTEST_STREAK));
        let opens_at = streak_at.into_iter().chain([silent_at]).min();
        let Some(opens_at) = opens_at.filter(|at| *at <= now) else {
            found.changes_at = found.changes_at.into_iter().chain(opens_at).min();
            continue;
        };
        let since = health.failing_since.map_or(opens_at, |since| since.mono);
        let why = match health.current_failure() {
            Some(failure) => failure.detail.clone(),
            None => "no fetch has ended.".to_owned(),
        };
        let silence = words(now.since(silent_from));
        found.open.push(Alert {
            name: format!("source:{}", source.name).into(),
            since,
            for_displays: display_words(&format!("{}: no data", source.name)).into(),
            for_people: format!("{} has given no data for {silence}: {why}", source.name),
        });
    }
    // When nothing answers below HTTP, it is us: one alert instead of one per source.
    let is_below_http = |source: &super::snapshot::Source| {
        let failure = source.health.current_failure();
        failure.is_some_and(|failure| failure.cause.is_below_http())
    };
    let all_silent = found.open.len() > 1 && found.open.len() == snapshot.sources.len();
    if all_silent && snapshot.sources.iter().all(is_below_http) {
        let since = found.open.iter().map(|alert| alert.since).min();
        let since = since.unwrap_or(now);
        let silence = words(now.since(since));
        found.open = vec![Alert {
            name: Cause::Network.name().into(),
            since,
            for_displays: "no network".into(),
            for_people: format!(
                "No source can be reached for {silence}: it is this node's own network."
            ),
        }];
    }
    found
}

/// The words that a display shows for all open alerts.
pub fn for_displays(open: &[Alert]) -> Option<Arc<str>> {
    match open {
        [] => None,
        [one] => Some(one.for_displays.clone()),
        several => Some(format!("{} alerts", several.len()).into()),
    }
}

/// Plain ASCII of at most 32 characters; what is neither becomes `?`.
fn display_words(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            ' '..='~' => c,
            _ => '?',
        })
        .take(DISPLAY_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::{Failure, SourceHealth};
    use crate::domain::snapshot::Source;
    use crate::domain::time::{Moment, Trust, Wall};

    fn at(second: u64) -> Moment {
        Moment {
            mono: Mono(second * 1000),
            wall: Wall(0),
            trust: Trust::Unknown,
        }
    }

    fn source(name: &str, health: SourceHealth) -> Source {
        Source {
            name: name.into(),
            calls: "".into(),
            summary: "".into(),
            every: Duration::from_secs(60),
            attribution: None,
            keys: 0,
            health,
        }
    }

    fn failing(since: u64, failures: u64, cause: Cause) -> SourceHealth {
        SourceHealth {
            attempts: failures,
            failures_in_a_row: failures,
            failing_since: Some(at(since)),
            last_failure: Some((at(since), Failure::new(cause, "why."))),
            ..SourceHealth::default()
        }
    }

    fn open_at(second: u64, sources: &[(&str, SourceHealth)]) -> Vec<String> {
        let mut snapshot = Snapshot::empty(at(second));
        for (name, health) in sources {
            snapshot.sources.push(source(name, health.clone()));
        }
        let plan = crate::domain::plan::test_plan(sources.len(), Duration::from_secs(60));
        let judged = judge(&Rules::default(), &plan, &snapshot, Mono(0));
        judged
            .open
            .iter()
            .map(|alert| alert.name.to_string())
            .collect()
    }

    #[test]
    fn a_fast_source_alarms_after_a_streak_that_lasts_two_minutes() {
        let health = failing(10, 5, Cause::HttpStatus);
        assert!(open_at(129, &[("a", health.clone())]).is_empty());
        assert_eq!(open_at(130, &[("a", health)]), ["source:a"]);
        assert!(open_at(500, &[("a", failing(10, 4, Cause::Dns))]).is_empty());
    }

    #[test]
    fn silence_alarms_even_if_no_fetch_ever_ended() {
        assert!(open_at(899, &[("a", SourceHealth::default())]).is_empty());
        assert_eq!(
            open_at(900, &[("a", SourceHealth::default())]),
            ["source:a"]
        );
    }

    #[test]
    fn when_nothing_answers_there_is_one_alert_about_our_own_network() {
        let all = [
            ("a", failing(0, 9, Cause::Dns)),
            ("b", failing(0, 9, Cause::Connect)),
        ];
        assert_eq!(open_at(1000, &all), ["network"]);
        let one_answers = [
            ("a", failing(0, 9, Cause::Dns)),
            ("b", failing(0, 9, Cause::HttpStatus)),
        ];
        assert_eq!(open_at(1000, &one_answers), ["source:a", "source:b"]);
    }

    #[test]
    fn displays_get_short_ascii() {
        let words = display_words("Außentemperatur-Fühler am Nordhaus: no data");
        assert_eq!(words, "Au?entemperatur-F?hler am Nordha");
    }
}
