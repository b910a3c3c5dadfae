//! Problems of the node: a sentence for each, and the page that it leads to.
//!
//! Pure; any thread.

use super::{StateFacts, StatusPage, StatusSentence, cause_text};
use crate::domain::failure::Cause;
use crate::domain::health::{SourceState, Storage};
use crate::domain::open_alert::OpenAlert;
use crate::domain::output_state::OutputState;
use crate::domain::snapshot::{Record, Snapshot, SourceSnapshot};
use crate::domain::text::{capitalised, count_noun, human_duration, with_full_stop};
use crate::domain::time::{ClockTrust, Moment};
use crate::domain::toml_text::quoted;
use crate::limits;
use crate::monitor::context::{ChannelState, PING};
use crate::monitor::format::{corrected_wall, format_since, sanitize};

/// A value outside what its owner calls good: how much, and since when.
pub fn value_alert(facts: &StateFacts, alert: &OpenAlert) -> Option<StatusSentence> {
    let mut rules = facts.plan.key_alerts.iter();
    let rule = rules.find(|rule| rule.name == alert.name)?;
    let (key, bounds) = (&rule.key, rule.bounds);
    let record = facts.snapshot.record(key)?;
    let number = record.value.number()?;
    let (side, bound) = bounds.nearest(number)?;
    let format = facts
        .plan
        .number_format(record)
        .telling_apart(number, bound);
    let limit = format!("{side} {}", format.limit(bound));
    let (now, locale) = (facts.now, facts.plan.pages.locale);
    let since = if alert.since_is_trusted && now.trust != ClockTrust::Untrusted {
        let since = format_since(alert.since, now.wall, facts.timezone, locale);
        format!(" since {since}")
    } else {
        String::new()
    };
    let value = format.with_unit(number);
    let rest = if record.stale {
        format!(" was {value} when it came last, {limit}{since}.")
    } else if bounds.is_outside(number) {
        format!(" is {value}, {limit}{since}.")
    } else {
        format!(" is {value} again, after it was {limit}{since}.")
    };
    let label = facts.plan.full_label(key);
    Some(StatusSentence::new(
        StatusPage::Key(key.clone()),
        label,
        rest,
    ))
}

/// Alerts that no other sentence explains.
pub fn other_alerts(facts: &StateFacts) -> Vec<StatusSentence> {
    let alerts = facts.snapshot.alerts.iter();
    let untold = alerts.filter(|alert| !is_explained(facts, alert));
    let sentence = |alert: &OpenAlert| {
        let message = capitalised(&sanitize(&alert.message));
        let recovering = if alert.is_recovering {
            " It is recovering."
        } else {
            ""
        };
        let at = message.find(": ").unwrap_or(message.len());
        let (subject, rest) = message.split_at(at);
        StatusSentence::new(StatusPage::Alerts, subject, format!("{rest}{recovering}"))
    };
    untold.map(sentence).collect()
}

fn is_explained(facts: &StateFacts, alert: &OpenAlert) -> bool {
    let snapshot = facts.snapshot;
    let mut failing = snapshot.sources.iter().filter(|it| is_failing(it));
    match alert.name.split_once(':').unwrap_or((&alert.name, "")) {
        ("source", name) => failing.any(|source| *source.name == *name),
        ("network", _) => failing.next().is_some(),
        ("stale", key) => snapshot.record(key).is_some_and(|record| record.stale),
        ("value", _) => value_alert(facts, alert).is_some(),
        ("storage", _) => facts.storage.trouble.is_some(),
        ("clock", _) => clock_problem(facts.now, facts.started).is_some(),
        (channel, _) => {
            let mut channels = facts.channels.iter();
            channels.any(|it| *it.name == *channel && it.trouble.is_some())
        }
    }
}

fn is_failing(source: &SourceSnapshot) -> bool {
    source.health.state() == SourceState::Failing
}

/// An output that has delivered nothing for a while, though it tries.
pub fn failing_output(output: &OutputState, now: Moment) -> Option<StatusSentence> {
    let failure = output.failure.as_ref()?;
    let span = now.mono.since(failure.since);
    if span < limits::OUTPUT_FAILURE_SHOWN_AFTER {
        return None;
    }
    let subject = format!(
        "The output {} has delivered nothing to {}",
        output.name, output.destination
    );
    let why = with_full_stop(&sanitize(&failure.why));
    let rest = format!(" for {}: {why}", human_duration(span));
    Some(StatusSentence::new(
        StatusPage::System,
        sanitize(&subject),
        rest,
    ))
}

/// What a reload has not taken: its owner believes that it is in use.
pub fn refused_configuration(facts: &StateFacts) -> Option<StatusSentence> {
    let refused = facts.refused_configuration?;
    let first = refused.problems.first()?;
    let locale = facts.plan.pages.locale;
    let at = corrected_wall(refused.at, facts.now);
    let since = format_since(at, facts.now.wall, facts.timezone, locale);
    let more = match refused.problems.len() - 1 {
        0 => String::new(),
        more => format!(" ({})", count_noun(more, "further problem")),
    };
    let first = sanitize(first);
    Some(StatusSentence::new(
        StatusPage::System,
        "The new configuration is not in use",
        format!(" since the reload at {since}: {first}{more}. The one from before it is."),
    ))
}

pub fn storage_problems(storage: &Storage) -> Vec<StatusSentence> {
    let mut problems = Vec::new();
    if let Some(trouble) = &storage.trouble {
        let waiting = match storage.rows_waiting {
            0 => String::new(),
            rows => format!(" {rows} readings wait in memory."),
        };
        let trouble = with_full_stop(&sanitize(trouble));
        let rest = format!(": {trouble}{waiting}");
        problems.push(StatusSentence::new(
            StatusPage::System,
            "Readings cannot be stored",
            rest,
        ));
    }
    if let Some(error) = storage.backup.as_ref().and_then(|it| it.error.as_deref()) {
        let rest = format!(": {}", with_full_stop(&sanitize(error)));
        problems.push(StatusSentence::new(
            StatusPage::System,
            "Backups are not made",
            rest,
        ));
    }
    let notice = storage.notice.as_deref().map(sanitize);
    problems.extend(notice.map(|it| StatusSentence::new(StatusPage::System, it, "")));
    problems
}

pub fn omitted_records(snapshot: &Snapshot) -> Vec<StatusSentence> {
    let in_all = snapshot.omitted_by_total_limit;
    let of_sources = snapshot.omitted.saturating_sub(in_all);
    let mut problems = Vec::new();
    if of_sources > 0 {
        let over = snapshot.sources.iter().filter(|source| source.omitted > 0);
        let limits: Vec<String> = over
            .map(|source| format!("{} for {}", source.max_records, source.name))
            .collect();
        let rest = format!(
            ": the limit (`max_records`) is {}. Select the wanted ones in [source.records], or \
             raise it.",
            limits.join(", ")
        );
        let subject = format!("{of_sources} values are left out");
        problems.push(StatusSentence::new(StatusPage::System, subject, rest));
    }
    if in_all > 0 {
        let rest = format!(
            ": the limit (`max_records` at the top) is {} for all sources together. Select the \
             wanted ones in [source.records], or raise it.",
            snapshot.max_records
        );
        let subject = format!("{in_all} values are left out");
        problems.push(StatusSentence::new(StatusPage::System, subject, rest));
    }
    problems
}

/// One sentence for one, one sentence for all where none responds, else one each.
pub fn failing_sources(snapshot: &Snapshot, now: Moment) -> Vec<StatusSentence> {
    let failing: Vec<&SourceSnapshot> = snapshot
        .sources
        .iter()
        .filter(|it| is_failing(it))
        .collect();
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
        let rest = format!(
            " has been reachable for {}: the network of this machine seems to be down.",
            human_duration(longest)
        );
        let subject = format!("None of the {} sources", failing.len());
        return vec![StatusSentence::new(StatusPage::System, subject, rest).failure()];
    }
    let sentence = |source: &&SourceSnapshot| {
        let page = StatusPage::Source(source.name.clone());
        StatusSentence::new(page, &*source.name, failing_source(snapshot, source, now)).failure()
    };
    failing.iter().map(sentence).collect()
}

/// What a failing source does not do, as the rest of a sentence.
fn failing_source(snapshot: &Snapshot, source: &SourceSnapshot, now: Moment) -> String {
    let cause = source.health.current_failure().map(|failure| failure.cause);
    if let (Some(Cause::DuplicateKey), Some(conflict)) = (cause, &source.conflict) {
        return format!(": {conflict}.");
    }
    let (name, why) = (&source.name, cause.map_or("", cause_text));
    let has_response = cause.is_some_and(Cause::was_answered);
    // Values of an earlier run: it did respond, at an unknown time.
    let gave = |record: &Record| !snapshot.is_derived(&record.key) && record.sources.contains(name);
    if source.health.last_success.is_none() && snapshot.records.iter().any(gave) {
        return if has_response {
            format!(" has returned no data since the start: {why}.")
        } else {
            format!(" has not answered since the start: {why}.")
        };
    }
    match (time_without_data(source, now), has_response) {
        (Some(silence), false) => format!(" has not answered for {silence}: {why}."),
        (Some(silence), true) => format!(" has returned no data for {silence}: {why}."),
        (None, false) => format!(" has never answered: {why}."),
        (None, true) => format!(" has never returned data: {why}."),
    }
}

/// Keys that an alert watches and no source provides: they raise no alert.
pub fn unprovided_keys(snapshot: &Snapshot) -> Option<StatusSentence> {
    let keys = &snapshot.missing_keys;
    let first = quoted(keys.first()?);
    let rest = match keys.len() - 1 {
        0 => ", but no source provides it.".to_owned(),
        more => format!(" and {more} more, but no source provides them."),
    };
    let subject = format!("The configuration names the key {first}");
    Some(StatusSentence::new(StatusPage::System, subject, rest))
}

/// Derived keys that cannot be computed.
pub fn derived_faults(facts: &StateFacts) -> Option<StatusSentence> {
    let derived = facts.snapshot.derived.iter();
    let mut faults = derived.filter_map(|it| Some((&it.key, it.fault()?)));
    let (key, issue) = faults.next()?;
    let found = sanitize(&issue.found);
    let rest = match faults.count() {
        0 => format!(" cannot be computed: {found}."),
        more => format!(
            " and {} cannot be computed: {found}.",
            count_noun(more, "more derived key")
        ),
    };
    let label = facts.plan.full_label(key);
    Some(StatusSentence::new(
        StatusPage::Key(key.clone()),
        label,
        rest,
    ))
}

/// Sources some of whose keys other sources already provide.
pub fn conflicts(snapshot: &Snapshot) -> impl Iterator<Item = StatusSentence> + '_ {
    let sources = snapshot.sources.iter();
    sources
        .filter(|source| !is_failing(source))
        .filter_map(|source| {
            let rest = format!(": {}.", source.conflict.as_ref()?);
            let page = StatusPage::Source(source.name.clone());
            Some(StatusSentence::new(page, &*source.name, rest))
        })
}

/// Alerts that the server of a channel rejects.
pub fn refused_alerts(channel: &ChannelState) -> Option<StatusSentence> {
    let why = channel.refusal.as_deref()?;
    let (alerts, they) = match channel.refused {
        0 => return None,
        1 => ("1 alert is".to_owned(), "It is"),
        several => (format!("{several} alerts are"), "They are"),
    };
    let rest = format!(
        " by {}: {} {they} kept and retried daily.",
        channel.name,
        with_full_stop(&sanitize(why))
    );
    let subject = format!("{alerts} not delivered");
    Some(StatusSentence::new(StatusPage::Alerts, subject, rest))
}

/// Alerts that cannot be delivered at the moment.
pub fn waiting_alerts(channel: &ChannelState, now: Moment) -> Option<StatusSentence> {
    let trouble = channel.trouble.as_deref();
    // A rejection has its own sentence.
    let trouble = trouble.filter(|it| Some(*it) != channel.refusal.as_deref())?;
    let since = channel.trouble_since;
    let span = since.map_or_else(String::new, |since| {
        format!(" for {}", human_duration(now.mono.since(since)))
    });
    let why = with_full_stop(&sanitize(trouble));
    let (subject, rest) = match channel.waiting.saturating_sub(channel.refused) {
        _ if &*channel.name == PING => ("The heartbeat ping has failed".to_owned(), span),
        // Its login is checked while nothing waits.
        0 => (format!("{} cannot deliver alerts", channel.name), span),
        1 => (
            format!("1 message by {} waits", channel.name),
            format!(", not deliverable{span}"),
        ),
        several => (
            format!("{several} messages by {} wait", channel.name),
            format!(", not deliverable{span}"),
        ),
    };
    let rest = format!("{rest}: {why}");
    Some(StatusSentence::new(StatusPage::Alerts, subject, rest))
}

/// How long a failing source gives nothing: since its last success, else since its failures
/// began. `None` for one that has not responded since the start.
fn time_without_data(source: &SourceSnapshot, now: Moment) -> Option<String> {
    let last = source.health.last_success?;
    Some(human_duration(now.mono.since(last.mono)))
}

/// What is stale although its sources answer; the totals have the others too.
pub fn stale_records(facts: &StateFacts) -> Option<StatusSentence> {
    let snapshot = facts.snapshot;
    let answers = |name: &std::sync::Arc<str>| {
        let mut sources = snapshot.sources.iter();
        sources.any(|it| it.name == *name && it.health.state() == SourceState::Up)
    };
    let records = snapshot.records.iter();
    let stale = records.filter(|record| record.stale && record.sources.iter().any(answers));
    let stale: Vec<&Record> = stale.collect();
    let first = stale.first()?;
    let ages = stale.iter().map(|record| record.stamp.age(facts.now));
    // One of unknown age may be older than all others.
    let oldest = ages.min_by_key(|age| age.map(std::cmp::Reverse)).flatten();
    let old = |before: &str| match oldest {
        Some(age) => format!(", {before}{} old", human_duration(age)),
        None => ", of unknown age".to_owned(),
    };
    let all = snapshot.records.len();
    let source = first.sources.first();
    let are_of_one = stale.iter().all(|record| record.sources.first() == source);
    let (page, subject, rest) = match (stale.len(), source) {
        (1, _) => (
            StatusPage::Key(first.key.clone()),
            facts.plan.full_label(&first.key),
            format!(" is stale{}.", old("")),
        ),
        (count, _) if count == all => (
            StatusPage::System,
            format!("All {count} values are stale"),
            format!("{}.", old("the oldest ")),
        ),
        (count, Some(source)) if are_of_one => (
            StatusPage::Source(source.clone()),
            format!("{count} values of {source}"),
            format!(" are stale{}.", old("the oldest ")),
        ),
        (count, _) => (
            StatusPage::System,
            format!("{count} of {all} values are stale"),
            format!("{}.", old("the oldest ")),
        ),
    };
    Some(StatusSentence::new(page, subject, rest))
}

pub fn clock_problem(now: Moment, started: Moment) -> Option<StatusSentence> {
    let (subject, rest) = match now.trust {
        ClockTrust::Trusted => return None,
        ClockTrust::Untrusted => (
            "The clock is not set",
            ": times may be wrong, and readings wait to be stored.",
        ),
        // Sources set it soon after the start, where they can.
        ClockTrust::Unknown if now.mono.since(started.mono) <= limits::CLOCK_TRUST_TIMEOUT => {
            return None;
        }
        ClockTrust::Unknown => ("The clock may not be synchronised", ": times may be wrong."),
    };
    Some(StatusSentence::new(StatusPage::System, subject, rest))
}
