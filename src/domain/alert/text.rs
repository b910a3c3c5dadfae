//! Alert text: what is wrong, the cause, what displays show, what main-node does about it and
//! what a person can check.
//!
//! Pure. The text holds no duration that grows, so that it changes only with the problem.

use std::time::Duration;

use super::{DeliveryFailure, StaleRule, ValueRule};
use crate::domain::alert_event::{AlertText, LabelledText, LastGood};
use crate::domain::failure::{Cause, Failure};
use crate::domain::health::Salvaged;
use crate::domain::plan::Plan;
use crate::domain::presentation::transliterate;
use crate::domain::reading::Issue;
use crate::domain::snapshot::{Record, Snapshot, SourceSnapshot};
use crate::domain::text::{capitalised, format_number, human_duration, sentence, with_full_stop};

/// Records listed in one message.
const MAX_LAST_GOOD: usize = 8;

/// Short text of a cause, for a subject.
fn cause_text(cause: Cause) -> &'static str {
    match cause {
        Cause::Clock => "this node's clock is not set",
        Cause::Network => "no network",
        Cause::Dns => "cannot resolve name",
        Cause::Connect => "cannot connect",
        Cause::Tls => "certificate not trusted",
        Cause::Timeout => "timed out",
        Cause::TooLarge => "response too large",
        Cause::Protocol => "invalid response",
        Cause::Redirect => "invalid redirect",
        Cause::HttpStatus => "HTTP error",
        Cause::RateLimited => "rate limited",
        Cause::NotJson => "response cannot be parsed",
        Cause::Schema => "response has changed",
        Cause::Empty => "no usable data in the response",
        Cause::DuplicateKey => "another source has the same keys",
        Cause::Storage => "its token cannot be kept",
        Cause::Configuration => "its OpenAPI file cannot be used",
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
            "for a device with a certificate of its own: `fingerprint` of the source",
        ],
        Cause::RateLimited => &["whether `every` can be longer, or the account allows more"],
        Cause::HttpStatus => &[
            "whether the key or password of the source is still valid",
            "the service's own status page",
        ],
        Cause::TooLarge | Cause::Protocol | Cause::Redirect => {
            &["what the address shows in a browser; it may be a login page of the network"]
        }
        Cause::DuplicateKey => {
            &["`main-node once` shows which source has them, and what to change"]
        }
        Cause::Storage => &[
            "whether tokens.json beside the database can be written, and the disk has space",
            "`main-node check`",
        ],
        Cause::Configuration => &["`main-node check`, then `systemctl reload main-node`"],
        Cause::NotJson | Cause::Schema | Cause::Empty => &[
            "what the address shows in a browser; the service may have changed",
            "`main-node once` shows what could be read and what could not",
        ],
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

const DISPLAYS_KEEP: &str = "Displays keep showing the last good values, marked as stale.";

pub fn source(source: &SourceSnapshot, silence: Duration) -> AlertText {
    let failure = source.health.current_failure();
    let retry = human_duration(source.interval.max(Duration::from_secs(1)));
    let node_does = match failure.map(|it| it.cause) {
        Some(Cause::Configuration) => {
            "It fetches all other sources, reads the file again when it starts or reloads, and sends a message \
             when data is back."
                .to_owned()
        }
        _ => format!(
            "It keeps retrying, every {retry} or a little less often, and sends a message when \
             data is back."
        ),
    };
    AlertText {
        about: capitalised(&source.name),
        problem: "no data".to_owned(),
        cause: failure
            .map_or("no response yet", |it| cause_text(it.cause))
            .to_owned(),
        cause_name: failure.map_or("", |it| it.cause.name()).to_owned(),
        detail: detail(failure, silence),
        displays: DISPLAYS_KEEP.to_owned(),
        node_does,
        check: match failure {
            Some(failure) => strings(cause_checks(failure.cause)),
            None => strings(&["the log: journalctl -u main-node"]),
        },
        short: format!("{}: no data", source.name),
        labelled: None,
    }
}

fn detail(failure: Option<&Failure>, silence: Duration) -> String {
    match failure {
        Some(failure) => sentence(&failure.detail),
        None => format!("No request has succeeded for {}.", human_duration(silence)),
    }
}

pub fn network(sources: usize) -> AlertText {
    AlertText {
        about: "Network".to_owned(),
        problem: "no source is reachable".to_owned(),
        cause: "no network".to_owned(),
        cause_name: Cause::Network.name().to_owned(),
        detail: format!(
            "All {sources} sources fail before they respond, so it is most likely this node's own \
             network. They are not reported one by one."
        ),
        displays: DISPLAYS_KEEP.to_owned(),
        node_does: "It keeps retrying every source and sends a message when one responds."
            .to_owned(),
        check: strings(cause_checks(Cause::Network)),
        short: "no network".to_owned(),
        labelled: None,
    }
}

pub fn drift(source: &SourceSnapshot, issue: Option<&Issue>) -> AlertText {
    AlertText {
        about: capitalised(&source.name),
        problem: "unexpected response format".to_owned(),
        cause: "a field has changed".to_owned(),
        cause_name: Cause::Schema.name().to_owned(),
        detail: issue
            .map(|issue| with_full_stop(&issue.to_string()))
            .unwrap_or_default(),
        displays: "Displays lack the values that can no longer be read; the others are current."
            .to_owned(),
        node_does: "It keeps reading the fields that it can.".to_owned(),
        check: strings(cause_checks(Cause::Schema)),
        short: format!("{}: response changed", source.name),
        labelled: None,
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

pub fn value(plan: &Plan, rule: &ValueRule, number: f64, record: &Record) -> AlertText {
    let unit = record.unit.as_deref();
    let is_above = rule.above.is_some_and(|bound| number > bound);
    let bound = if is_above {
        rule.above
    } else {
        rule.below.or(rule.above)
    };
    let side = if bound == rule.above {
        "above"
    } else {
        "below"
    };
    let held = if rule.hold.is_zero() {
        String::new()
    } else {
        format!(" for {}", human_duration(rule.hold))
    };
    let limit = bound.unwrap_or_default();
    let format = plan.number_format(record).telling_apart(number, limit);
    let limit_shown = format.append_unit(format.limit(limit));
    let bound = bound
        .map(|bound| with_unit(bound, unit))
        .unwrap_or_default();
    AlertText {
        about: capitalised(&rule.key),
        problem: format!("{side} {bound}"),
        cause: format!("it is {}", with_unit(number, unit)),
        cause_name: String::new(),
        detail: format!("It has been {side} {bound}{held}."),
        displays: "Displays show the current value.".to_owned(),
        node_does: "It keeps checking and sends a message when the value is back in range."
            .to_owned(),
        check: vec![check_provider(plan, &rule.key)],
        short: match display_name(plan, &rule.key) {
            Some(name) => transliterate(&format!("{name} {side} {bound}")),
            None => format!("{} {side} {bound}", rule.key),
        },
        labelled: Some(LabelledText {
            key: rule.key.to_string(),
            about: plan.full_label(&rule.key),
            problem: format!("{side} {limit_shown}"),
            cause: format!("it is {}", format.with_unit(number)),
            detail: format!("It has been {side} {limit_shown}{held}."),
            value: format_number(number),
        }),
    }
}

pub fn stale(plan: &Plan, rule: &StaleRule) -> AlertText {
    let text = AlertText {
        about: capitalised(&rule.key),
        problem: "stale".to_owned(),
        cause: "no new value".to_owned(),
        cause_name: String::new(),
        detail: "Its source may still respond, but without a new value.".to_owned(),
        displays: "Displays show its last value, marked as stale.".to_owned(),
        node_does: "It keeps requesting and sends a message when a new value arrives.".to_owned(),
        check: vec![check_provider(plan, &rule.key)],
        short: match display_name(plan, &rule.key) {
            Some(name) => transliterate(&format!("{name} is stale")),
            None => format!("{} is stale", rule.key),
        },
        labelled: None,
    };
    AlertText {
        labelled: Some(LabelledText {
            key: rule.key.to_string(),
            about: plan.full_label(&rule.key),
            ..text.for_people()
        }),
        ..text
    }
}

/// The key stays beside its label: that is what the configuration says.
fn check_provider(plan: &Plan, key: &str) -> String {
    match plan.full_label(key) {
        label if label.eq_ignore_ascii_case(key) => {
            format!("the device or service that provides {key}")
        }
        label => format!("the device or service that provides {label} ({key})"),
    }
}

/// The label, where the owner gave one.
fn display_name(plan: &Plan, key: &str) -> Option<String> {
    plan.has_label(key).then(|| plan.full_label(key))
}

pub fn storage(why: &str) -> AlertText {
    AlertText {
        about: "Storage".to_owned(),
        problem: "readings cannot be stored".to_owned(),
        cause: "cannot write".to_owned(),
        cause_name: "storage".to_owned(),
        detail: sentence(why),
        displays: "Displays show current values; history has a gap until this is fixed.".to_owned(),
        node_does: "It keeps a limited number of readings in memory and stores them when it can."
            .to_owned(),
        check: strings(&[
            "whether the SD card is full: df -h",
            "whether the SD card is failing: dmesg | grep -i mmc",
        ]),
        short: "storage failing".to_owned(),
        labelled: None,
    }
}

pub fn salvage(salvaged: &Salvaged) -> AlertText {
    AlertText {
        about: "Database".to_owned(),
        problem: "damaged and set aside".to_owned(),
        cause: "SD card or power cut".to_owned(),
        cause_name: "storage".to_owned(),
        detail: format!(
            "The damaged file is kept at {}; nothing was deleted.",
            salvaged.quarantine_path
        ),
        displays: "Displays show current values; history may have gaps.".to_owned(),
        node_does:
            "It started a new database and copies into it what can be read from the damaged \
                    one and from the newest backup."
                .to_owned(),
        check: strings(&[
            "how much was recovered: the node's page shows it",
            "whether the SD card is failing: dmesg | grep -i mmc",
            "once everything is recovered, the damaged file can be deleted",
        ]),
        short: "database was damaged".to_owned(),
        labelled: None,
    }
}

pub fn clock(hold: Duration) -> AlertText {
    AlertText {
        about: "Clock".to_owned(),
        problem: "not synchronised".to_owned(),
        cause: "no time server".to_owned(),
        cause_name: Cause::Clock.name().to_owned(),
        detail: format!(
            "The system clock has not been synchronised for {}.",
            human_duration(hold)
        ),
        displays: "Displays show current values; their times may be wrong.".to_owned(),
        node_does:
            "It measures ages without the clock, and marks the times that it stores as uncertain."
                .to_owned(),
        check: strings(&["whether the node reaches a time server: timedatectl status"]),
        short: "clock not synchronised".to_owned(),
        labelled: None,
    }
}

pub fn delivery(channel: &str, failure: &DeliveryFailure) -> AlertText {
    AlertText {
        about: capitalised(channel),
        problem: "alerts cannot be delivered".to_owned(),
        cause: String::new(),
        cause_name: String::new(),
        detail: sentence(&failure.why),
        displays: "Displays show current values and this alert.".to_owned(),
        node_does: "It keeps the alerts and retries, for days if necessary.".to_owned(),
        check: strings(&["`main-node test-alert` tries each step and shows the result"]),
        short: format!("{channel} failing"),
        labelled: None,
    }
}

/// The last good values of a source, or of one key.
pub fn last_good(
    plan: &Plan,
    snapshot: &Snapshot,
    is_concerned: impl Fn(&Record) -> bool,
) -> Vec<LastGood> {
    let records = snapshot
        .records
        .iter()
        .filter(|record| is_concerned(record));
    records
        .take(MAX_LAST_GOOD)
        .map(|record| LastGood {
            label: plan.full_label(&record.key),
            shown: plan.shown_value(record),
            key: record.key.to_string(),
            value: record.value.to_string(),
            unit: record.unit.as_deref().unwrap_or_default().to_owned(),
            observed_ms: record.stamp.observed.0,
        })
        .collect()
}
