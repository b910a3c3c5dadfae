//! How each trouble is said to somebody half asleep: what, why, what the displays show,
//! what main-node does by itself, what a person can check. Nothing here ticks, so that the
//! words change only when the trouble does.

use std::time::Duration;

use super::{DeliveryFailure, DisplayRule, StaleRule, ValueRule};
use crate::domain::alert_event::{AlertText, LastGood};
use crate::domain::failure::{Cause, Failure};
use crate::domain::health::Salvaged;
use crate::domain::reading::{Issue, format_number};
use crate::domain::snapshot::{Record, Snapshot, SourceSnapshot};
use crate::domain::time::human_duration as span;

/// Records named in one message; more would not be read.
const MAX_LAST_GOOD: usize = 8;

/// The word for a cause in a subject.
fn cause_text(cause: Cause) -> &'static str {
    match cause {
        Cause::Clock => "this node's clock is wrong",
        Cause::Network => "no network",
        Cause::Dns => "cannot resolve name",
        Cause::Connect => "cannot connect",
        Cause::Tls => "certificate not trusted",
        Cause::Timeout => "no answer in time",
        Cause::TooLarge => "answer too large",
        Cause::Protocol => "broken answer",
        Cause::Redirect => "invalid redirect",
        Cause::HttpStatus => "it answers with an error",
        Cause::RateLimited => "asked too often",
        Cause::NotJson => "answer is not JSON",
        Cause::Schema => "answer has changed",
        Cause::Empty => "nothing usable in the answer",
        Cause::DuplicateKey => "another source gives its keys",
    }
}

fn cause_checks(cause: Cause) -> &'static [&'static str] {
    match cause {
        Cause::Clock => &["whether the node reaches a time server: timedatectl status"],
        Cause::Network | Cause::Dns => &[
            "whether the router and the Wi-Fi are up",
            "whether other devices in the house reach the internet",
        ],
        Cause::Connect | Cause::Timeout => &[
            "whether the device or service is switched on and reachable from a browser",
            "whether its address in main-node.toml is still right",
        ],
        Cause::Tls => &[
            "whether the service's certificate has expired: open its address in a browser",
            "for a device with a certificate of its own: `ca_file` of the source",
        ],
        Cause::RateLimited => &["whether `every` can be longer, or the account allows more"],
        Cause::HttpStatus => &[
            "whether the key or password of the source is still valid",
            "the service's own status page",
        ],
        Cause::TooLarge | Cause::Protocol | Cause::Redirect => {
            &["what the address answers in a browser; a login page of the network is common"]
        }
        Cause::DuplicateKey => {
            &["`main-node once` shows which source gives them, and what to write"]
        }
        Cause::NotJson | Cause::Schema | Cause::Empty => &[
            "what the address answers in a browser; the service may have changed",
            "`main-node once` shows what could be read and what could not",
        ],
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Words at the beginning of a sentence.
pub fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Words from elsewhere as a sentence of their own. A host's name keeps its small letter.
fn sentence(words: &str) -> String {
    let first = words.split(' ').next().unwrap_or_default();
    match first.chars().all(char::is_alphabetic) {
        true => with_full_stop(&capitalised(words)),
        false => with_full_stop(words),
    }
}

/// Words as the end of a sentence, with one mark at its end.
pub fn with_full_stop(words: &str) -> String {
    match words.ends_with(['.', '?', '!']) || words.is_empty() {
        true => words.to_owned(),
        false => format!("{words}."),
    }
}

const DISPLAYS_KEEP: &str = "Displays keep showing the last good values, marked as stale.";

pub fn source(source: &SourceSnapshot, silence: Duration) -> AlertText {
    let failure = source.health.current_failure();
    let retry = span(source.interval.max(Duration::from_secs(1)));
    AlertText {
        about: capitalised(&source.name),
        trouble: "no data".to_owned(),
        cause: failure
            .map_or("no fetch has ended", |it| cause_text(it.cause))
            .to_owned(),
        cause_name: failure.map_or("", |it| it.cause.name()).to_owned(),
        detail: detail(failure, silence),
        displays: DISPLAYS_KEEP.to_owned(),
        node_does: format!(
            "It goes on asking, every {retry} or a little slower, and writes again when data \
             is back."
        ),
        check: match failure {
            Some(failure) => strings(cause_checks(failure.cause)),
            None => strings(&["the log: journalctl -u main-node"]),
        },
        short: format!("{}: no data", source.name),
    }
}

fn detail(failure: Option<&Failure>, silence: Duration) -> String {
    match failure {
        Some(failure) => sentence(&failure.detail),
        None => format!("No fetch has ended well within {}.", span(silence)),
    }
}

pub fn network(sources: usize) -> AlertText {
    AlertText {
        about: "Network".to_owned(),
        trouble: "no source can be reached".to_owned(),
        cause: "no network".to_owned(),
        cause_name: Cause::Network.name().to_owned(),
        detail: format!(
            "All {sources} sources fail before they answer, so it is most likely this node's own \
             network. They are not reported one by one."
        ),
        displays: DISPLAYS_KEEP.to_owned(),
        node_does: "It goes on asking each source and writes again when one answers.".to_owned(),
        check: strings(cause_checks(Cause::Network)),
        short: "no network".to_owned(),
    }
}

pub fn drift(source: &SourceSnapshot, issue: Option<&Issue>) -> AlertText {
    AlertText {
        about: capitalised(&source.name),
        trouble: "answers are not as described".to_owned(),
        cause: "a field has changed".to_owned(),
        cause_name: Cause::Schema.name().to_owned(),
        detail: issue
            .map(|issue| with_full_stop(&issue.to_string()))
            .unwrap_or_default(),
        displays: "Displays lack what can no longer be read; the rest is current.".to_owned(),
        node_does: "It reads what it still can.".to_owned(),
        check: strings(cause_checks(Cause::Schema)),
        short: format!("{}: answer changed", source.name),
    }
}

/// A number with its unit.
fn with_unit(number: f64, unit: Option<&str>) -> String {
    let number = format_number(number);
    match unit {
        Some(unit) if !unit.is_empty() => format!("{number} {unit}"),
        _ => number,
    }
}

pub fn value(rule: &ValueRule, number: f64, record: &Record) -> AlertText {
    let unit = record.unit.as_deref();
    let is_above = rule.above.is_some_and(|bound| number > bound);
    let bound = match is_above {
        true => rule.above,
        false => rule.below.or(rule.above),
    };
    let side = if bound == rule.above {
        "above"
    } else {
        "below"
    };
    let bound = bound
        .map(|bound| with_unit(bound, unit))
        .unwrap_or_default();
    let held = match rule.hold.is_zero() {
        true => String::new(),
        false => format!(" for {}", span(rule.hold)),
    };
    AlertText {
        about: capitalised(&rule.key),
        trouble: format!("{side} {bound}"),
        cause: format!("it is {}", with_unit(number, unit)),
        cause_name: String::new(),
        detail: format!("It has been {side} {bound}{held}."),
        displays: "Displays show the value as it is.".to_owned(),
        node_does: "It goes on measuring and writes again when the value is good.".to_owned(),
        check: vec![format!("what the value of {} comes from", rule.key)],
        short: format!("{} {side} {bound}", rule.key),
    }
}

pub fn stale(rule: &StaleRule) -> AlertText {
    AlertText {
        about: capitalised(&rule.key),
        trouble: "stale".to_owned(),
        cause: "no new value".to_owned(),
        cause_name: String::new(),
        detail: "Its source may answer and yet say nothing new about it.".to_owned(),
        displays: "Displays show its last value, marked as stale.".to_owned(),
        node_does: "It goes on asking and writes again when a new value comes.".to_owned(),
        check: vec![format!("the device or service that gives {}", rule.key)],
        short: format!("{} is stale", rule.key),
    }
}

pub fn storage(why: &str) -> AlertText {
    AlertText {
        about: "Storage".to_owned(),
        trouble: "readings cannot be stored".to_owned(),
        cause: "storage".to_owned(),
        cause_name: "storage".to_owned(),
        detail: sentence(why),
        displays: "Displays show current values; history has a gap until this is mended."
            .to_owned(),
        node_does: "It keeps a bounded number of readings in memory and writes them when it can."
            .to_owned(),
        check: strings(&[
            "whether the card is full: df -h",
            "whether the card is failing: dmesg | grep -i mmc",
        ]),
        short: "storage failing".to_owned(),
    }
}

pub fn salvage(salvaged: &Salvaged) -> AlertText {
    AlertText {
        about: "Database".to_owned(),
        trouble: "damaged and set aside".to_owned(),
        cause: "the card or a power cut".to_owned(),
        cause_name: "storage".to_owned(),
        detail: format!(
            "The damaged file lies at {}; nothing of it was deleted.",
            salvaged.quarantine_path
        ),
        displays: "Displays show current values; history may have gaps.".to_owned(),
        node_does: "It has begun a new database and copies into it what can be read of the old \
                    one and of the newest backup."
            .to_owned(),
        check: strings(&[
            "how much came back: the node's page says it",
            "whether the card is failing: dmesg | grep -i mmc",
            "when all is there, the damaged file can be deleted",
        ]),
        short: "database was damaged".to_owned(),
    }
}

pub fn clock(hold: Duration) -> AlertText {
    AlertText {
        about: "Clock".to_owned(),
        trouble: "nobody has set it".to_owned(),
        cause: "no time server".to_owned(),
        cause_name: Cause::Clock.name().to_owned(),
        detail: format!(
            "The kernel says that nothing has set the clock within {}.",
            span(hold)
        ),
        displays: "Displays show current values; their times may be wrong.".to_owned(),
        node_does: "It measures ages without the clock, and marks what it stores.".to_owned(),
        check: strings(&["whether the node reaches a time server: timedatectl status"]),
        short: "clock not set".to_owned(),
    }
}

pub fn display(rule: &DisplayRule) -> AlertText {
    AlertText {
        about: format!("Display {}", rule.name),
        trouble: "asks for nothing any more".to_owned(),
        cause: "silent".to_owned(),
        cause_name: String::new(),
        detail: format!("It has not asked for {}.", span(rule.silent_for)),
        displays: "That display shows what it had, or nothing.".to_owned(),
        node_does: "It waits, and writes again when the display asks.".to_owned(),
        check: strings(&["whether the display has power and Wi-Fi"]),
        short: format!("display {} silent", rule.name),
    }
}

pub fn delivery(channel: &str, failure: &DeliveryFailure) -> AlertText {
    AlertText {
        about: capitalised(channel),
        trouble: "alerts cannot be delivered".to_owned(),
        cause: String::new(),
        cause_name: String::new(),
        detail: sentence(&failure.why),
        displays: "Displays show current values and this alert.".to_owned(),
        node_does: "It keeps what is to be told and tries again, for days if need be.".to_owned(),
        check: strings(&["`main-node test-alert` tries each step and says what it answered"]),
        short: format!("{channel} stuck"),
    }
}

/// What the keys of a source, or one key, last said.
pub fn last_good(snapshot: &Snapshot, is_concerned: impl Fn(&Record) -> bool) -> Vec<LastGood> {
    let records = snapshot
        .records
        .iter()
        .filter(|record| is_concerned(record));
    records
        .take(MAX_LAST_GOOD)
        .map(|record| LastGood {
            key: record.key.to_string(),
            value: record.value.to_string(),
            unit: record.unit.as_deref().unwrap_or_default().to_owned(),
            observed_ms: record.stamp.observed.0,
        })
        .collect()
}
