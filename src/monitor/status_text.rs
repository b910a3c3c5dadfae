//! Status text: the node's state in sentences: what is wrong, since when, and why.
//!
//! Pure; any thread. `/status` and the pages both use it, so that they show the same.

use crate::domain::failure::Cause;
use crate::domain::health::{SourceState, Storage};
use crate::domain::snapshot::{DataStatus, Record, Snapshot, SourceSnapshot};
use crate::domain::text::{count_noun, human_duration, with_full_stop};
use crate::domain::time::{ClockTrust, Moment};
use crate::domain::toml_text::quoted;
use crate::limits;
use crate::monitor::context::{ChannelState, PING};
use crate::monitor::format::sanitize;

/// The node's state, for people and for programs.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStatus {
    pub verdict: DataStatus,
    /// One sentence.
    pub headline: String,
    /// The other problems, a sentence each.
    pub details: Vec<String>,
}

/// Collects all problems, the worst first.
pub fn node_status(
    snapshot: &Snapshot,
    storage: &Storage,
    channels: &[ChannelState],
    now: Moment,
    started: Moment,
) -> NodeStatus {
    let mut problems = Vec::new();
    // First, since alerts are not delivered.
    problems.extend(channels.iter().filter_map(refused_alerts));
    // Causes first: an alert adds nothing to them, and has no time.
    problems.extend(failing_sources(snapshot, now));
    problems.extend(conflicts(snapshot));
    problems.extend(stale_records(snapshot, now));
    problems.extend(open_alerts(snapshot));
    problems.extend(channels.iter().filter_map(|it| waiting_alerts(it, now)));
    if let Some(trouble) = &storage.trouble {
        let waiting = match storage.rows_waiting {
            0 => String::new(),
            rows => format!(" {rows} readings wait in memory."),
        };
        let trouble = with_full_stop(&sanitize(trouble));
        problems.push(format!("Readings cannot be stored: {trouble}{waiting}"));
    }
    problems.extend(storage.notice.as_deref().map(sanitize));
    problems.extend(clock_problem(now, started));
    problems.extend(unprovided_keys(snapshot));
    problems.extend(derived_faults(snapshot));
    let in_all = snapshot.omitted_by_total_limit;
    let of_sources = snapshot.omitted.saturating_sub(in_all);
    if of_sources > 0 {
        let over = snapshot.sources.iter().filter(|source| source.omitted > 0);
        let limits: Vec<String> = over
            .map(|source| format!("{} for {}", source.max_records, source.name))
            .collect();
        problems.push(format!(
            "{of_sources} values are left out: the limit (`max_records`) is {}. Select the wanted \
             ones in [source.records], or raise it.",
            limits.join(", ")
        ));
    }
    if in_all > 0 {
        let most = snapshot.max_records;
        problems.push(format!(
            "{in_all} values are left out: the limit (`max_records` at the top) is {most} for all \
             sources together. Select the wanted ones in [source.records], or raise it."
        ));
    }
    let verdict = match snapshot.data_status() {
        DataStatus::Pass if !problems.is_empty() => DataStatus::Warn,
        verdict => verdict,
    };
    let headline = match verdict {
        DataStatus::Pass => all_fresh(snapshot),
        _ if problems.is_empty() => waiting_for_sources(snapshot),
        _ => problems.remove(0),
    };
    NodeStatus {
        verdict,
        headline,
        details: problems,
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
        [only] => format!("Waiting for the first response from {}.", only.name),
        sources => format!(
            "Waiting for the first responses from {} sources.",
            sources.len()
        ),
    }
}

/// One sentence for one, one sentence for all where none responds, else one each.
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
            "None of the {} sources has been reachable for {}: the network of this machine seems to be down.",
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
        let has_response = cause.is_some_and(Cause::was_answered);
        // Values of an earlier run: it did respond, at an unknown time.
        let gave =
            |record: &Record| !snapshot.is_derived(&record.key) && record.sources.contains(name);
        if source.health.last_success.is_none() && snapshot.records.iter().any(gave) {
            return if has_response {
                format!("{name} has returned no data since the start: {why}.")
            } else {
                format!("{name} has not answered since the start: {why}.")
            };
        }
        match (time_without_data(source, now), has_response) {
            (Some(silence), false) => format!("{name} has not answered for {silence}: {why}."),
            (Some(silence), true) => format!("{name} has returned no data for {silence}: {why}."),
            (None, false) => format!("{name} has never answered: {why}."),
            (None, true) => format!("{name} has never returned data: {why}."),
        }
    };
    failing.iter().map(sentence).collect()
}

/// Keys that an alert watches and no source provides: they raise no alert.
fn unprovided_keys(snapshot: &Snapshot) -> Option<String> {
    let keys = &snapshot.missing_keys;
    let first = quoted(keys.first()?);
    Some(match keys.len() - 1 {
        0 => format!("The configuration names the key {first}, but no source provides it."),
        more => format!(
            "The configuration names the key {first} and {more} more, but no source provides them."
        ),
    })
}

/// Derived keys that cannot be computed.
fn derived_faults(snapshot: &Snapshot) -> Option<String> {
    let mut faults = snapshot
        .derived
        .iter()
        .filter_map(|it| Some((&it.key, it.fault()?)));
    let (key, issue) = faults.next()?;
    let found = sanitize(&issue.found);
    Some(match faults.count() {
        0 => format!("{key} cannot be computed: {found}."),
        more => format!(
            "{key} and {} cannot be computed: {found}.",
            count_noun(more, "more derived key")
        ),
    })
}

/// Sources some of whose keys other sources already provide.
fn conflicts(snapshot: &Snapshot) -> impl Iterator<Item = String> + '_ {
    let sources = snapshot.sources.iter();
    sources
        .filter(|source| source.health.state() != SourceState::Failing)
        .filter_map(|source| Some(format!("{}: {}.", source.name, source.conflict.as_ref()?)))
}

/// The text of the one open alert, as on displays, or the number of alerts, by name.
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

/// Alerts that the server of a channel rejects.
fn refused_alerts(channel: &ChannelState) -> Option<String> {
    let why = channel.refusal.as_deref()?;
    let (alerts, they) = match channel.refused {
        0 => return None,
        1 => ("1 alert is".to_owned(), "It is"),
        several => (format!("{several} alerts are"), "They are"),
    };
    Some(format!(
        "{alerts} not delivered by {}: {} {they} kept and retried daily.",
        channel.name,
        with_full_stop(&sanitize(why))
    ))
}

/// Alerts that cannot be delivered at the moment.
fn waiting_alerts(channel: &ChannelState, now: Moment) -> Option<String> {
    let trouble = channel.trouble.as_deref();
    // A rejection has its own sentence.
    let trouble = trouble.filter(|it| Some(*it) != channel.refusal.as_deref())?;
    let since = channel.trouble_since;
    let span = since.map_or_else(String::new, |since| {
        format!(" for {}", human_duration(now.mono.since(since)))
    });
    let why = with_full_stop(&sanitize(trouble));
    if &*channel.name == PING {
        return Some(format!("The heartbeat ping has failed{span}: {why}"));
    }
    let messages = match channel.waiting.saturating_sub(channel.refused) {
        // Its login is checked while nothing waits.
        0 => {
            return Some(format!(
                "{} cannot deliver alerts{span}: {why}",
                channel.name
            ));
        }
        1 => format!("1 message by {} waits", channel.name),
        several => format!("{several} messages by {} wait", channel.name),
    };
    Some(format!("{messages}, not deliverable{span}: {why}"))
}

/// How long a failing source gives nothing: since its last success, else since its failures
/// began. `None` for one that has not responded since the start.
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
            "The clock is not set: times may be wrong, and readings wait to be stored."
        }
        // Sources set it soon after the start, where they can.
        ClockTrust::Unknown if now.mono.since(started.mono) <= limits::CLOCK_TRUST_TIMEOUT => {
            return None;
        }
        ClockTrust::Unknown => "The clock may not be synchronised: times may be wrong.",
    };
    Some(sentence.to_owned())
}

/// A cause as the end of a sentence: "weather has not answered for 5 min: …".
pub fn cause_text(cause: Cause) -> &'static str {
    match cause {
        Cause::Clock => "this node's clock is not set",
        Cause::Network => "no network",
        Cause::Dns => "its name cannot be resolved",
        Cause::Connect => "connection refused or closed",
        Cause::Tls => "the TLS connection failed",
        Cause::Timeout => "timed out",
        Cause::TooLarge => "the response is too large",
        Cause::Protocol => "invalid HTTP response",
        Cause::Redirect => "invalid redirect",
        Cause::HttpStatus => "HTTP error status",
        Cause::RateLimited => "rate limited",
        Cause::NotJson => "the response cannot be parsed",
        Cause::Schema => "the response does not match its schema",
        Cause::Empty => "the response has none of the selected values",
        Cause::DuplicateKey => "other sources provide all of its keys",
        Cause::Storage => "its token cannot be kept",
    }
}

#[cfg(test)]
#[path = "tests/status_text.rs"]
mod tests;
