//! State times: how long a key was in each of its states within a span, how often each began, and
//! where nothing is known.
//!
//! Pure; any thread.

use std::time::Duration;

use crate::domain::compact_sort::CompactSort;
use crate::domain::history::StateRun;
use crate::domain::reading::Value;
use crate::domain::time::Wall;
use crate::monitor::web::chart::states::{DISTINCT_STATES, StateStyle};

/// One state and the time that was spent in it.
pub struct StateTime {
    pub word: String,
    pub style: StateStyle,
    pub time: Duration,
    /// How often it began within the span.
    pub starts: usize,
}

/// The time in each state, the longest first. Beyond [`DISTINCT_STATES`] the last one is all
/// others together.
pub fn state_times(runs: &[StateRun], words: &[String]) -> Vec<StateTime> {
    let mut states: Vec<StateTime> = Vec::new();
    let mut before: Option<&str> = None;
    for (run, word) in runs.iter().zip(words) {
        let time = run.to.since(run.from);
        let starts = usize::from(before.is_some_and(|before| before != word));
        before = Some(word);
        match states.iter_mut().find(|state| state.word == *word) {
            Some(state) => {
                state.time += time;
                state.starts += starts;
            }
            None => states.push(StateTime {
                word: word.clone(),
                style: StateStyle {
                    is_rest: is_rest(&run.value, word),
                    place: 0,
                },
                time,
                starts,
            }),
        }
    }
    states.compact_sort_by(|one, other| {
        other
            .time
            .cmp(&one.time)
            .then_with(|| one.word.cmp(&other.word))
    });
    if states.len() > DISTINCT_STATES {
        let others = states.split_off(DISTINCT_STATES - 1);
        states.push(StateTime {
            word: format!("{} others", others.len()),
            style: StateStyle {
                is_rest: false,
                place: 0,
            },
            time: others.iter().map(|state| state.time).sum(),
            starts: others.iter().map(|state| state.starts).sum(),
        });
    }
    // Colours follow the alphabet, so that a state keeps its own while times change.
    let mut names: Vec<String> = states
        .iter()
        .filter(|it| !it.style.is_rest)
        .map(|it| it.word.clone())
        .collect();
    names.sort();
    for state in &mut states {
        state.style.place = names
            .iter()
            .position(|name| *name == state.word)
            .unwrap_or_default();
    }
    states
}

/// Off, closed, nothing: the state in which a thing rests.
fn is_rest(value: &Value, word: &str) -> bool {
    const WORDS: [&str; 9] = [
        "off", "no", "false", "closed", "idle", "none", "standby", "aus", "zu",
    ];
    value.number() == Some(0.0) || WORDS.iter().any(|rest| word.eq_ignore_ascii_case(rest))
}

/// Where nothing was observed, until `end`.
pub fn gaps(runs: &[StateRun], from: Wall, end: Wall) -> Vec<(Wall, Wall)> {
    let starts = runs.iter().map(|run| run.from).chain([end]);
    let ends = [from].into_iter().chain(runs.iter().map(|run| run.to));
    ends.zip(starts)
        .filter(|(end, start)| end < start)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: i64, to: i64, word: &str) -> (StateRun, String) {
        let value = match word {
            "Off" => Value::Number(0.0),
            "On" => Value::Number(1.0),
            other => Value::Text(other.into()),
        };
        let wall = |minute: i64| Wall(minute * 60_000);
        let (from, to) = (wall(from), wall(to));
        (StateRun { from, to, value }, word.to_owned())
    }

    /// Word, minutes and starts of each state.
    fn found(runs: Vec<(StateRun, String)>) -> Vec<(String, u64, usize)> {
        let (runs, words): (Vec<StateRun>, Vec<String>) = runs.into_iter().unzip();
        let states = state_times(&runs, &words).into_iter();
        states
            .map(|it| (it.word, it.time.as_secs() / 60, it.starts))
            .collect()
    }

    #[test]
    fn time_and_starts_of_each_state() {
        let day = vec![
            run(0, 60, "On"),
            run(60, 120, "Off"),
            run(120, 1_020, "On"),
            run(1_020, 1_440, "Off"),
        ];
        let expected = [("On", 960, 1), ("Off", 480, 2)];
        assert_eq!(
            found(day),
            expected.map(|(word, time, starts)| (word.to_owned(), time, starts))
        );
    }

    #[test]
    fn states_beyond_eight_are_one() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let runs = names
            .iter()
            .zip(0..)
            .map(|(name, at)| run(at * 100, at * 100 + 90 - at, name));
        let found = found(runs.collect());
        assert_eq!(found.len(), DISTINCT_STATES);
        assert_eq!(found[7], ("3 others".to_owned(), 83 + 82 + 81, 3));
    }

    #[test]
    fn colours_do_not_follow_time() {
        for (heat, cool) in [(100, 10), (10, 100)] {
            let runs = vec![
                run(0, heat, "Heat"),
                run(heat, heat + cool, "Cool"),
                run(200, 201, "idle"),
            ];
            let (runs, words): (Vec<StateRun>, Vec<String>) = runs.into_iter().unzip();
            let states = state_times(&runs, &words);
            let style = |word: &str| {
                let state = states.iter().find(|state| state.word == word);
                state.map(|state| (state.style.is_rest, state.style.place))
            };
            assert_eq!(style("Cool"), Some((false, 0)));
            assert_eq!(style("Heat"), Some((false, 1)));
            assert_eq!(style("idle").map(|(is_rest, _)| is_rest), Some(true));
        }
    }

    #[test]
    fn gaps_are_between_runs_and_at_both_ends() {
        let (runs, _): (Vec<StateRun>, Vec<String>) =
            [run(10, 20, "On"), run(20, 30, "Off"), run(50, 60, "On")]
                .into_iter()
                .unzip();
        let found = gaps(&runs, Wall(0), Wall(70 * 60_000));
        let minutes: Vec<(i64, i64)> = found
            .iter()
            .map(|(from, to)| (from.0 / 60_000, to.0 / 60_000))
            .collect();
        assert_eq!(minutes, [(0, 10), (30, 50), (60, 70)]);
    }
}
