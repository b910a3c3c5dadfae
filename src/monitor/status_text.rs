//! The node's state in words: what is wrong, since when, and why.
//!
//! Pure; any thread. `/status` and the pages say the same because both ask here.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::alert::with_full_stop;
use crate::domain::failure::Cause;
use crate::domain::health::{SourceState, Storage};
use crate::domain::snapshot::{DataStatus, Record, Snapshot, SourceSnapshot};
use crate::domain::time::{ClockTrust, Moment, Wall, human_duration};
use crate::domain::toml_text::quoted;
use crate::limits;
use crate::monitor::routes::app::{ChannelState, PING};

/// How all is, for a person and for a program.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStatus {
    pub verdict: DataStatus,
    /// One sentence.
    pub headline: String,
    /// What is wrong besides, a sentence each.
    pub details: Vec<String>,
}

/// Judges everything that can be wrong, the worst first.
pub fn node_status(
    snapshot: &Snapshot,
    storage: &Storage,
    channels: &[ChannelState],
    now: Moment,
    started: Moment,
) -> NodeStatus {
    let mut troubles = Vec::new();
    // Whoever relies on being told must read this first.
    troubles.extend(channels.iter().filter_map(refused_alerts));
    // Causes first: an alert says no more than they do, and not since when.
    troubles.extend(failing_sources(snapshot, now));
    troubles.extend(conflicts(snapshot));
    troubles.extend(stale_records(snapshot, now));
    troubles.extend(open_alerts(snapshot));
    troubles.extend(channels.iter().filter_map(|it| waiting_alerts(it, now)));
    if let Some(trouble) = &storage.trouble {
        let waiting = match storage.rows_waiting {
            0 => String::new(),
            rows => format!(" {rows} readings wait in memory."),
        };
        let trouble = with_full_stop(&sanitize(trouble));
        troubles.push(format!("Readings cannot be stored: {trouble}{waiting}"));
    }
    troubles.extend(storage.notice.as_deref().map(sanitize));
    troubles.extend(clock_problem(now, started));
    troubles.extend(keys_not_given(snapshot));
    let in_all = snapshot.omitted_by_total_limit;
    let of_sources = snapshot.omitted.saturating_sub(in_all);
    if of_sources > 0 {
        let most = limits::RECORDS_PER_SOURCE;
        troubles.push(format!(
            "{of_sources} values are left out: this node takes {most} of one source. \
             [source.records] names those that are wanted."
        ));
    }
    if in_all > 0 {
        let most = limits::RECORDS_IN_ALL;
        troubles.push(format!(
            "{in_all} values are left out: this node takes {most} of all sources together. \
             [source.records] names those that are wanted."
        ));
    }
    let verdict = match snapshot.data_status() {
        DataStatus::Pass if !troubles.is_empty() => DataStatus::Warn,
        verdict => verdict,
    };
    let headline = match verdict {
        DataStatus::Pass => all_fresh(snapshot),
        _ if troubles.is_empty() => waiting_for_sources(snapshot),
        _ => troubles.remove(0),
    };
    NodeStatus {
        verdict,
        headline,
        details: troubles,
    }
}

fn all_fresh(snapshot: &Snapshot) -> String {
    match snapshot.sources.as_slice() {
        [] => "All values are fresh.".to_owned(),
        [only] => format!("{} is fresh.", only.name),
        [_, _] => "Both sources are fresh.".to_owned(),
        sources => format!("All {} sources are fresh.", sources.len()),
    }
}

fn waiting_for_sources(snapshot: &Snapshot) -> String {
    match snapshot.sources.as_slice() {
        [] => "There are no sources: nothing is configured.".to_owned(),
        [only] => format!("Waiting for the first answer of {}.", only.name),
        sources => format!(
            "Waiting for the first answers of {} sources.",
            sources.len()
        ),
    }
}

/// One sentence for one, one sentence for all where none answers, else one each.
fn failing_sources(snapshot: &Snapshot, now: Moment) -> Vec<String> {
    let is_failing = |source: &&SourceSnapshot| source.health.state() == SourceState::Failing;
    let failing: Vec<&SourceSnapshot> = snapshot.sources.iter().filter(is_failing).collect();
    let is_below_http = |source: &&SourceSnapshot| {
        source
            .health
            .current_failure()
            .is_some_and(|failure| failure.cause.is_below_http())
    };
    if failing.len() > 1
        && failing.len() == snapshot.sources.len()
        && failing.iter().all(is_below_http)
    {
        let since = failing
            .iter()
            .filter_map(|source| source.health.failing_since);
        let longest = since
            .map(|since| now.mono.since(since.mono))
            .min()
            .unwrap_or_default();
        return vec![format!(
            "None of the {} sources can be reached for {}: this node's own network seems to be down.",
            failing.len(),
            human_duration(longest)
        )];
    }
    let sentence = |source: &&SourceSnapshot| {
        let cause = source.health.current_failure().map(|failure| failure.cause);
        if let (Some(Cause::DuplicateKey), Some(conflict)) = (cause, &source.conflict) {
            return format!("{}: {conflict}.", source.name);
        }
        let (name, why) = (&source.name, cause.map_or("", cause_text));
        let answer_came = cause.is_some_and(Cause::was_answered);
        // Values of an earlier run: it did answer, and when is not known.
        let gave = |record: &Record| record.sources.contains(name);
        if source.health.last_success.is_none() && snapshot.records.iter().any(gave) {
            return match answer_came {
                false => format!("{name} has not answered since the start: {why}."),
                true => format!("{name} has given no data since the start: {why}."),
            };
        }
        match (time_without_data(source, now), answer_came) {
            (Some(silence), false) => format!("{name} has not answered for {silence}: {why}."),
            (Some(silence), true) => format!("{name} has given no data for {silence}: {why}."),
            (None, false) => format!("{name} has never answered: {why}."),
            (None, true) => format!("{name} has never given data: {why}."),
        }
    };
    failing.iter().map(sentence).collect()
}

/// A key that an alert watches and nobody gives raises no alert.
fn keys_not_given(snapshot: &Snapshot) -> Option<String> {
    let keys = &snapshot.missing_keys;
    let first = quoted(keys.first()?);
    Some(match keys.len() - 1 {
        0 => format!("The configuration is about the key {first}, which no source gives."),
        more => format!(
            "The configuration is about the key {first} and {more} more, which no source gives."
        ),
    })
}

/// Sources some of whose keys other sources give already.
fn conflicts(snapshot: &Snapshot) -> impl Iterator<Item = String> + '_ {
    let sources = snapshot.sources.iter();
    sources
        .filter(|source| source.health.state() != SourceState::Failing)
        .filter_map(|source| Some(format!("{}: {}.", source.name, source.conflict.as_ref()?)))
}

/// The one open alert in the words of displays, or how many there are, by name.
fn open_alerts(snapshot: &Snapshot) -> Option<String> {
    let alert = snapshot.alert.as_ref()?;
    let names: Vec<&str> = snapshot.alerts.iter().map(|alert| &*alert.name).collect();
    Some(match names.as_slice() {
        [] | [_] => format!("An alert is open: {alert}."),
        [first, second] => format!("2 alerts are open: {first} and {second}."),
        [first, second, rest @ ..] => format!(
            "{} alerts are open: {first}, {second} and {} more.",
            names.len(),
            rest.len()
        ),
    })
}

/// What the other side of a channel does not take.
fn refused_alerts(channel: &ChannelState) -> Option<String> {
    let why = channel.refusal.as_deref()?;
    let (alerts, they) = match channel.refused {
        0 => return None,
        1 => ("1 alert is".to_owned(), "It is"),
        several => (format!("{several} alerts are"), "They are"),
    };
    Some(format!(
        "{alerts} not delivered by {}: {} {they} kept and tried again daily.",
        channel.name,
        with_full_stop(&sanitize(why))
    ))
}

/// What cannot be told at the moment.
fn waiting_alerts(channel: &ChannelState, now: Moment) -> Option<String> {
    let trouble = channel.trouble.as_deref();
    // One that refuses says so itself.
    let trouble = trouble.filter(|it| Some(*it) != channel.refusal.as_deref())?;
    let since = channel.trouble_since;
    let span = since.map_or_else(String::new, |since| {
        format!(" for {}", human_duration(now.mono.since(since)))
    });
    let why = with_full_stop(&sanitize(trouble));
    if channel.name == PING {
        return Some(format!("The dead man's switch does not hear{span}: {why}"));
    }
    let messages = match channel.waiting.saturating_sub(channel.refused) {
        0 => return None,
        1 => format!("1 message by {} waits", channel.name),
        several => format!("{several} messages by {} wait", channel.name),
    };
    Some(format!("{messages}, undeliverable{span}: {why}"))
}

/// How long a failing source gives nothing: since its last success, else since its failures
/// began. `None` for one that never answered at all since the start.
fn time_without_data(source: &SourceSnapshot, now: Moment) -> Option<String> {
    let last = source.health.last_success?;
    Some(human_duration(now.mono.since(last.mono)))
}

/// What is stale, whether a failing source explains it or not: it is what displays show.
fn stale_records(snapshot: &Snapshot, now: Moment) -> Option<String> {
    let stale: Vec<&Record> = snapshot
        .records
        .iter()
        .filter(|record| record.stale)
        .collect();
    let first = stale.first()?;
    let oldest = stale
        .iter()
        .filter_map(|record| record.stamp.age(now))
        .max();
    let old = |before: &str| match oldest {
        Some(age) => format!(", {before}{} old", human_duration(age)),
        None => String::new(),
    };
    Some(match (stale.len(), snapshot.records.len()) {
        (1, _) => format!("{} is stale{}.", first.key, old("")),
        (count, all) if count == all => {
            format!("All {count} values are stale{}.", old("the oldest "))
        }
        (count, all) => format!("{count} of {all} values are stale{}.", old("the oldest ")),
    })
}

fn clock_problem(now: Moment, started: Moment) -> Option<String> {
    let sentence = match now.trust {
        ClockTrust::Trusted => return None,
        ClockTrust::Untrusted => {
            "The clock of this machine is not set: times may be wrong, and readings wait to be stored."
        }
        // Sources vouch for it soon after the start, where they can.
        ClockTrust::Unknown if now.mono.since(started.mono) <= limits::CLOCK_PATIENCE => {
            return None;
        }
        ClockTrust::Unknown => "Nobody vouches for the clock of this machine: times may be wrong.",
    };
    Some(sentence.to_owned())
}

/// A cause as the end of a sentence: "weather has not answered for 5 min: …".
pub fn cause_text(cause: Cause) -> &'static str {
    match cause {
        Cause::Clock => "this node's clock is wrong, so that its certificate cannot be judged",
        Cause::Network => "there is no network",
        Cause::Dns => "its name cannot be resolved",
        Cause::Connect => "it takes no connection",
        Cause::Tls => "no secure connection can be made",
        Cause::Timeout => "it takes too long",
        Cause::TooLarge => "its answer is too large",
        Cause::Protocol => "its answer is broken",
        Cause::Redirect => "it sends elsewhere, and that cannot be followed",
        Cause::HttpStatus => "it answers with an error",
        Cause::RateLimited => "it says that it is asked too often",
        Cause::NotJson => "its answer is not JSON",
        Cause::Schema => "its answer is not what its description says",
        Cause::Empty => "its answer holds nothing that was asked for",
        Cause::DuplicateKey => "other sources give all of its keys",
    }
}

/// A detail made elsewhere, as it may be shown: one line, and no query string in any URL.
pub fn sanitize(detail: &str) -> String {
    let word = |word: &str| match word
        .find("://")
        .and_then(|at| Some(at + word[at..].find(['?', '#'])?))
    {
        Some(query) => format!("{}?…", &word[..query]),
        None => word.to_owned(),
    };
    let line: String = detail
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<String> = line.split(' ').map(word).collect();
    words.join(" ")
}

/// When a moment of the past was, by what is known of the clock now: what was stamped
/// before the clock was set is put right.
pub fn corrected_wall(past: Moment, now: Moment) -> Wall {
    match past.trust.is_trusted() || !now.trust.is_trusted() {
        true => past.wall,
        false => now.wall_at(past.mono),
    }
}

/// Local time for a `title`: `2025-10-30 21:00:00 CET`.
pub fn format_local(wall: Wall, zone: &TimeZone) -> String {
    to_zoned(wall, zone)
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

pub fn to_zoned(wall: Wall, zone: &TimeZone) -> jiff::ZonedDateTime {
    let instant = jiff::Timestamp::from_millisecond(wall.0).unwrap_or_default();
    instant.to_zoned_datetime(zone.clone())
}

/// An age: `now`, `8 s ago`, `5 h ago`; past an hour without the minutes.
pub fn format_age(age: Duration) -> String {
    match age.as_secs() {
        0..=1 => "now".to_owned(),
        7_200..=172_799 => format!("{} h ago", age.as_secs() / 3_600),
        _ => format!("{} ago", human_duration(age)),
    }
}

/// A span of time ahead.
pub fn format_wait(wait: Duration) -> String {
    match wait.as_secs() {
        0..=1 => "now".to_owned(),
        _ => format!("in {}", human_duration(wait)),
    }
}

/// Bytes in a unit that suits their size.
pub fn format_bytes(count: u64) -> String {
    let (mut size, mut unit) = (count as f64, "B");
    for larger in ["kB", "MB", "GB", "TB"] {
        if size < 1_000.0 {
            break;
        }
        size /= 1_000.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{count} B"),
        _ if size < 10.0 => format!("{size:.1} {unit}"),
        _ => format!("{size:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::support::{self as testing, NodeFixture};

    /// A story: what happened, the verdict, the sentence.
    #[test]
    fn one_sentence_says_whether_all_is_well() {
        use DataStatus::*;
        let mut restarted = testing::healthy().failing("weather", Cause::Tls, 60);
        restarted.source("weather").health.last_success = None;
        let rows: [(&str, NodeFixture, DataStatus, &str); 17] = [
            ("fresh", testing::healthy(), Pass, "Both sources are fresh."),
            (
                "nothing configured",
                NodeFixture::default(),
                Fail,
                "There are no sources: nothing is configured.",
            ),
            (
                "just started",
                testing::just_started(),
                Fail,
                "Waiting for the first answers of 2 sources.",
            ),
            (
                "a dead source",
                testing::healthy().failing("weather", Cause::Dns, 1_380),
                Warn,
                "weather has not answered for 23 min: its name cannot be resolved.",
            ),
            (
                "never an answer",
                testing::just_started().failing("weather", Cause::Tls, 60),
                Fail,
                "weather has never answered: no secure connection can be made.",
            ),
            (
                "an answer in an earlier run",
                restarted,
                Warn,
                "weather has not answered since the start: no secure connection can be made.",
            ),
            (
                "the network is down",
                testing::healthy()
                    .failing("weather", Cause::Dns, 600)
                    .failing("meter", Cause::Timeout, 300),
                Warn,
                "None of the 2 sources can be reached for 5 min: this node's own network seems to be down.",
            ),
            (
                "both fail, each in its way",
                testing::healthy()
                    .failing("weather", Cause::HttpStatus, 600)
                    .failing("meter", Cause::Dns, 300),
                Warn,
                "weather has given no data for 10 min: it answers with an error.",
            ),
            (
                "one value is stale",
                testing::healthy().stale(&["humidity"]),
                Warn,
                "humidity is stale, 8 s old.",
            ),
            (
                "several are",
                testing::healthy().stale(&["humidity", "power"]),
                Warn,
                "2 of 4 values are stale, the oldest 8 s old.",
            ),
            (
                "all are",
                testing::healthy().stale(&["temperature", "humidity", "sky", "power"]),
                Fail,
                "All 4 values are stale, the oldest 5 min old.",
            ),
            (
                "the disk is full",
                testing::healthy().storage_trouble("the disk is full"),
                Warn,
                "Readings cannot be stored: the disk is full. 12 readings wait in memory.",
            ),
            (
                "a trouble with dots in it, and a full stop",
                testing::healthy().storage_trouble("../data/.. cannot be used now: it is full."),
                Warn,
                "Readings cannot be stored: ../data/.. cannot be used now: it is full. 12 readings \
                 wait in memory.",
            ),
            (
                "alerts are refused",
                testing::healthy()
                    .stale(&["humidity"])
                    .refused_mails(2, "DATA: the server answers 554 spam"),
                Warn,
                "2 alerts are not delivered by mail: DATA: the server answers 554 spam. They are kept and tried again daily.",
            ),
            (
                "nobody would notice that the node is dead",
                {
                    let mut scene = testing::healthy().pending_mails(0, "it answers HTTP 405");
                    scene.channel.name = PING;
                    scene
                },
                Warn,
                "The dead man's switch does not hear for 10 min: it answers HTTP 405.",
            ),
            (
                "alerts cannot be told now",
                testing::healthy().pending_mails(1, "mail.example takes no connection"),
                Warn,
                "1 message by mail waits, undeliverable for 10 min: mail.example takes no connection.",
            ),
            (
                "the clock is not set",
                testing::healthy().trust(ClockTrust::Untrusted),
                Warn,
                "The clock of this machine is not set: times may be wrong, and readings wait to be stored.",
            ),
        ];
        for (story, scene, verdict, headline) in rows {
            let state = scene.status();
            assert_eq!(state.headline, headline, "{story}");
            assert_eq!(state.verdict, verdict, "{story}");
        }
    }

    #[test]
    fn what_is_wrong_besides_is_said_too() {
        let scene = testing::healthy()
            .failing("weather", Cause::Dns, 1_380)
            .stale(&["temperature", "humidity", "power"])
            .storage_trouble("the disk is full");
        let expected = [
            "3 of 4 values are stale, the oldest 5 min old.",
            "Readings cannot be stored: the disk is full. 12 readings wait in memory.",
        ];
        assert_eq!(scene.status().details, expected);
    }

    #[test]
    fn an_unknown_clock_is_trouble_only_when_nobody_vouches_in_time() {
        let unknown = testing::healthy().trust(ClockTrust::Unknown);
        assert_eq!(unknown.status().verdict, DataStatus::Warn);
        let young = unknown.started_ago(Duration::from_secs(60));
        assert_eq!(young.status().verdict, DataStatus::Pass);
    }

    #[test]
    fn details_are_shown_without_queries_and_on_one_line() {
        for (detail, expected) in [
            (
                "the name api.example cannot be resolved",
                "the name api.example cannot be resolved",
            ),
            (
                "GET https://a.example/v1?key=secret&x=1 gave 500",
                "GET https://a.example/v1?… gave 500",
            ),
            ("why? nobody knows", "why? nobody knows"),
            ("a\nb", "a b"),
        ] {
            assert_eq!(sanitize(detail), expected);
        }
    }

    #[test]
    fn sizes_and_ages_in_words() {
        assert_eq!(format_bytes(999), "999 B");
        assert_eq!(format_bytes(1_500), "1.5 kB");
        assert_eq!(format_bytes(36_000_000), "36 MB");
        assert_eq!(format_age(Duration::from_millis(900)), "now");
        assert_eq!(format_age(Duration::from_secs(8)), "8 s ago");
        assert_eq!(format_age(Duration::from_secs(18_720)), "5 h ago");
        assert_eq!(format_wait(Duration::from_secs(300)), "in 5 min");
    }
}
