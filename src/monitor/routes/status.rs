//! `/status`: health of sources, storage, clock and alerts, for programs and for people who read
//! JSON.
//!
//! Rendered on demand by a worker from the published snapshot. Parameter values, locations
//! and query strings of sources never appear here.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::domain::clock_trust::TrustedBy;
use crate::domain::failure::Cause;
use crate::domain::health::Storage;
use crate::domain::output_state::OutputState;
use crate::domain::reading::{Issue, Reason};
use crate::domain::snapshot::{DerivedSnapshot, Snapshot, SourceSnapshot, newest};
use crate::domain::time::{Moment, Mono};
use crate::monitor::context::{ChannelState, Display, RefusedConfiguration};
use crate::monitor::format::{corrected_wall, sanitize};
use crate::monitor::status_text::NodeStatus;

/// What `/status` is made of.
pub struct StatusInput<'a> {
    pub state: &'a NodeStatus,
    pub snapshot: &'a Snapshot,
    pub storage: &'a Storage,
    pub displays: &'a [Display],
    /// Displays of the configuration that have not asked since the start.
    pub unseen_displays: Vec<&'a str>,
    pub now: Moment,
    pub trusted_by: Option<TrustedBy>,
    pub started: Moment,
    pub configuration_loaded: Moment,
    pub channels: &'a [ChannelState],
    pub outputs: &'a [OutputState],
    pub config_file: Option<&'a Path>,
    pub refused_configuration: Option<&'a RefusedConfiguration>,
    pub node: &'a str,
    pub version: &'a str,
    pub build: &'a str,
    pub is_example: bool,
}

#[derive(Serialize)]
struct StatusBody<'a> {
    status: &'static str,
    summary: &'a str,
    troubles: Vec<String>,
    totals: &'a str,
    node: &'a str,
    version: &'a str,
    build: &'a str,
    time: String,
    started: String,
    uptime_s: u64,
    nothing_configured: bool,
    configuration: ConfigurationStatus,
    clock: ClockStatus,
    records: RecordsStatus,
    sources: Vec<SourceStatus<'a>>,
    derived: Vec<DerivedStatus<'a>>,
    storage: StorageStatus<'a>,
    alert: Option<&'a str>,
    alerts: Vec<AlertStatus<'a>>,
    channels: Vec<ChannelStatus<'a>>,
    outputs: Vec<OutputStatus<'a>>,
    displays: Vec<DisplayStatus<'a>>,
    displays_not_seen: &'a [&'a str],
}

#[derive(Serialize)]
struct ConfigurationStatus {
    /// Null while nothing is configured.
    file: Option<String>,
    loaded: String,
    /// The newer one that a reload has not taken.
    refused: Option<RefusedStatus>,
}

#[derive(Serialize)]
struct RefusedStatus {
    at: String,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct AlertStatus<'a> {
    name: &'a str,
    /// Null while it is unknown.
    since: Option<String>,
    words: String,
    recovering: bool,
}

#[derive(Serialize)]
struct OutputStatus<'a> {
    name: &'a str,
    destination: String,
    state: &'static str,
    trouble: Option<String>,
    trouble_since: Option<String>,
    note: Option<String>,
    sent: u64,
    failures: u64,
    dropped: u64,
    waiting: Option<u64>,
    last_sent: Option<String>,
}

#[derive(Serialize)]
struct ChannelStatus<'a> {
    name: &'a str,
    waiting: usize,
    trouble: Option<String>,
    last_delivered: Option<String>,
    refused: usize,
    refused_since: Option<String>,
    refusal: Option<String>,
    undelivered: u64,
}

#[derive(Serialize)]
struct ClockStatus {
    state: &'static str,
    /// Null while it is not trusted.
    trusted_by: Option<&'static str>,
}

#[derive(Serialize)]
struct RecordsStatus {
    count: usize,
    fresh: usize,
    stale: usize,
    left_out: usize,
    newest: Option<String>,
}

#[derive(Serialize)]
struct SourceStatus<'a> {
    name: &'a str,
    state: &'static str,
    calls: &'a str,
    attribution: Option<&'a str>,
    every_s: f64,
    keys: usize,
    attempts: u64,
    failures: BTreeMap<&'static str, u64>,
    failures_in_a_row: u64,
    failing_since: Option<String>,
    last_attempt: Option<String>,
    last_success: Option<String>,
    next_attempt: Option<String>,
    /// Fetches skipped, and what to do, while the server responds too slowly for its sources.
    dropped_turns: u64,
    late: Option<String>,
    last_duration_s: Option<f64>,
    last_bytes: Option<u64>,
    /// The newest failure; ongoing if `state` is `failing`.
    last_failure: Option<FailureStatus>,
    rejected: BTreeMap<&'static str, u64>,
    issues: Vec<IssueStatus<'a>>,
}

#[derive(Serialize)]
struct FailureStatus {
    cause: &'static str,
    detail: String,
    at: String,
    retry_after_s: Option<f64>,
}

#[derive(Serialize)]
struct IssueStatus<'a> {
    reason: &'static str,
    key: Option<&'a str>,
    pointer: &'a str,
    expected: &'a str,
    found: &'a str,
}

#[derive(Serialize)]
struct DerivedStatus<'a> {
    key: &'a str,
    definition: &'a str,
    /// Why it has no value now, or only its last one.
    issue: Option<IssueStatus<'a>>,
}

#[derive(Serialize)]
struct StorageStatus<'a> {
    trouble: Option<String>,
    notice: Option<String>,
    rows_stored: u64,
    rows_waiting: u64,
    rows_lost: u64,
    database_bytes: u64,
    written_bytes: u64,
    volatile: Option<String>,
    backup: Option<BackupStatus<'a>>,
    maintenance: Option<MaintenanceBody<'a>>,
}

#[derive(Serialize)]
struct BackupStatus<'a> {
    directory: &'a str,
    last: Option<String>,
    next: Option<String>,
    error: Option<String>,
}

/// An import, a rename or a forget: under way, or the last one.
#[derive(Serialize)]
struct MaintenanceBody<'a> {
    task: &'a str,
    subject: String,
    done: u64,
    total: u64,
    finished: bool,
    result: &'a str,
    error: Option<String>,
}

#[derive(Serialize)]
struct DisplayStatus<'a> {
    address: String,
    agent: &'a str,
    name: Option<&'a str>,
    battery: Option<&'a str>,
    rssi: Option<&'a str>,
    asked: &'a str,
    polls: u64,
    interval_s: Option<f64>,
    last_poll: String,
    last_etag: &'a str,
    silent: bool,
    /// The name of its `[[display]]`.
    display: Option<&'a str>,
    model: Option<&'a str>,
    firmware: Option<&'a str>,
    battery_volts: Option<f64>,
    battery_percent: Option<f64>,
    rssi_dbm: Option<f64>,
    next_poll_s: Option<f64>,
    last_log: Option<String>,
}

pub fn render(facts: &StatusInput) -> Vec<u8> {
    let StatusInput {
        snapshot,
        storage,
        now,
        ..
    } = *facts;
    let stale = snapshot
        .records
        .iter()
        .filter(|record| record.stale)
        .count();
    let status = StatusBody {
        status: facts.state.verdict.name(),
        summary: &facts.state.headline,
        troubles: facts.state.details(),
        totals: &facts.state.totals,
        node: facts.node,
        version: facts.version,
        build: facts.build,
        time: now.wall.to_string(),
        started: corrected_wall(facts.started, now).to_string(),
        uptime_s: now.mono.since(facts.started.mono).as_secs(),
        nothing_configured: facts.is_example,
        configuration: configuration_status(facts),
        clock: ClockStatus {
            state: now.trust.name(),
            trusted_by: facts.trusted_by.map(TrustedBy::name),
        },
        records: RecordsStatus {
            count: snapshot.records.len(),
            fresh: snapshot.records.len() - stale,
            stale,
            left_out: snapshot.omitted,
            newest: newest(snapshot.records.iter()).map(|wall| wall.to_string()),
        },
        sources: snapshot
            .sources
            .iter()
            .map(|source| source_status(source, now))
            .collect(),
        derived: snapshot.derived.iter().map(derived_status).collect(),
        storage: storage_status(storage),
        alert: snapshot.alert.as_deref(),
        alerts: snapshot
            .alerts
            .iter()
            .map(|alert| AlertStatus {
                name: &alert.name,
                since: alert.since_is_trusted.then(|| alert.since.to_string()),
                words: sanitize(&alert.message),
                recovering: alert.is_recovering,
            })
            .collect(),
        channels: facts.channels.iter().map(channel_status).collect(),
        outputs: facts
            .outputs
            .iter()
            .map(|output| output_status(output, now))
            .collect(),
        displays: facts
            .displays
            .iter()
            .map(|display| display_status(display, now))
            .collect(),
        displays_not_seen: &facts.unseen_displays,
    };
    // Strings and finite numbers always serialise.
    serde_json::to_vec(&status).unwrap_or_default()
}

fn source_status(source: &SourceSnapshot, now: Moment) -> SourceStatus<'_> {
    let health = &source.health;
    let time = |moment: Moment| corrected_wall(moment, now).to_string();
    let has_tried = health.last_attempt.is_some();
    SourceStatus {
        name: &source.name,
        state: health.state().name(),
        calls: &source.target,
        attribution: source.attribution.as_deref(),
        every_s: source.every.as_secs_f64(),
        keys: source.keys,
        attempts: health.attempts,
        failures: counts(&health.failures, Cause::name),
        failures_in_a_row: health.failures_in_a_row,
        failing_since: health.failing_since.map(time),
        last_attempt: health.last_attempt.map(time),
        last_success: health.last_success.map(time),
        next_attempt: health
            .last_attempt
            .map(|last| corrected_wall(last, now).after(health.next_in).to_string()),
        dropped_turns: health.skipped_polls,
        late: health.late_notice.as_deref().map(sanitize),
        last_duration_s: has_tried.then_some(health.last_duration.as_secs_f64()),
        last_bytes: has_tried.then_some(health.last_bytes),
        last_failure: health
            .last_failure
            .as_ref()
            .map(|(at, failure)| FailureStatus {
                cause: failure.cause.name(),
                detail: sanitize(&failure.detail),
                at: time(*at),
                retry_after_s: failure.retry_after.map(|wait| wait.as_secs_f64()),
            }),
        rejected: counts(&health.rejected, Reason::name),
        issues: health.issues.iter().map(issue_status).collect(),
    }
}

fn issue_status(issue: &Issue) -> IssueStatus<'_> {
    IssueStatus {
        reason: issue.reason.name(),
        key: issue.key.as_deref(),
        pointer: &issue.pointer,
        expected: &issue.expected,
        found: &issue.found,
    }
}

fn derived_status(derived: &DerivedSnapshot) -> DerivedStatus<'_> {
    DerivedStatus {
        key: &derived.key,
        definition: &derived.definition,
        issue: derived.issue.as_ref().map(issue_status),
    }
}

fn counts<K: Copy + Ord>(
    counts: &BTreeMap<K, u64>,
    name: fn(K) -> &'static str,
) -> BTreeMap<&'static str, u64> {
    counts
        .iter()
        .map(|(what, count)| (name(*what), *count))
        .collect()
}

fn storage_status(storage: &Storage) -> StorageStatus<'_> {
    StorageStatus {
        trouble: storage.trouble.as_deref().map(sanitize),
        notice: storage.notice.as_deref().map(sanitize),
        rows_stored: storage.rows_stored,
        rows_waiting: storage.rows_waiting,
        rows_lost: storage.rows_lost,
        database_bytes: storage.database_bytes,
        written_bytes: storage.written_bytes,
        volatile: storage.volatile.as_deref().map(sanitize),
        backup: storage.backup.as_ref().map(|backup| BackupStatus {
            directory: &backup.directory,
            last: backup.last.map(|wall| wall.to_string()),
            next: backup.next.map(|wall| wall.to_string()),
            error: backup.error.as_deref().map(sanitize),
        }),
        maintenance: storage.maintenance.as_ref().map(|it| MaintenanceBody {
            task: &it.task,
            subject: sanitize(&it.subject),
            done: it.done,
            total: it.total,
            finished: it.is_finished,
            result: &it.result,
            error: it.error.as_deref().map(sanitize),
        }),
    }
}

fn configuration_status(facts: &StatusInput) -> ConfigurationStatus {
    let refused = |it: &RefusedConfiguration| RefusedStatus {
        at: corrected_wall(it.at, facts.now).to_string(),
        problems: it.problems.iter().map(|it| sanitize(it)).collect(),
    };
    ConfigurationStatus {
        file: facts
            .config_file
            .map(|it| sanitize(&it.display().to_string())),
        loaded: corrected_wall(facts.configuration_loaded, facts.now).to_string(),
        refused: facts.refused_configuration.map(refused),
    }
}

fn channel_status(channel: &ChannelState) -> ChannelStatus<'_> {
    ChannelStatus {
        name: &channel.name,
        waiting: channel.waiting,
        trouble: channel.trouble.as_deref().map(sanitize),
        last_delivered: channel.last_delivered.map(|wall| wall.to_string()),
        refused: channel.refused,
        refused_since: channel.refused_since.map(|wall| wall.to_string()),
        refusal: channel.refusal.as_deref().map(sanitize),
        undelivered: channel.undelivered,
    }
}

fn output_status(output: &OutputState, now: Moment) -> OutputStatus<'_> {
    let failure = output.failure.as_ref();
    let wall = |mono: Mono| {
        let past = now.mono.since(mono);
        now.wall.before(past).to_string()
    };
    OutputStatus {
        name: &output.name,
        destination: sanitize(&output.destination),
        state: output.name_of_state(),
        trouble: failure.map(|it| sanitize(&it.why)),
        trouble_since: failure.map(|it| wall(it.since)),
        note: output.note.as_deref().map(sanitize),
        sent: output.sent,
        failures: output.failures,
        dropped: output.dropped,
        waiting: output.waiting,
        last_sent: output.last_sent.map(|wall| wall.to_string()),
    }
}

fn display_status(display: &Display, now: Moment) -> DisplayStatus<'_> {
    DisplayStatus {
        address: display.address.to_string(),
        agent: &display.agent,
        name: display.name.as_deref(),
        battery: display.battery.as_deref(),
        rssi: display.rssi.as_deref(),
        asked: &display.target,
        polls: display.polls,
        interval_s: display.interval.map(|interval| interval.as_secs_f64()),
        last_poll: corrected_wall(display.last, now).to_string(),
        last_etag: &display.etag,
        silent: display.is_silent(now),
        display: display.configured.as_deref(),
        model: display.model.as_deref(),
        firmware: display.firmware.as_deref(),
        battery_volts: display.charge.and_then(|it| it.volts),
        battery_percent: display.charge.map(|it| it.percent),
        rssi_dbm: display.rssi_dbm,
        next_poll_s: display.next_poll(now).map(|it| it.as_secs_f64()),
        last_log: display
            .last_log
            .map(|at| corrected_wall(at, now).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::failure::Cause;
    use crate::monitor::http::handler::Handler as _;
    use crate::monitor::support::{self as testing, body, golden, header, request};

    #[test]
    fn reports_all_parts() {
        let monitor = testing::healthy()
            .failing("weather", Cause::Dns, 1_380)
            .stale(&["humidity"])
            .deriving("house", "power / voltage")
            .output_failing("mqtt", "connection refused", 300)
            .refusing_configuration(60)
            .app();
        testing::from_memory(
            &monitor,
            &request("/snapshot", &[("user-agent", "matrix/1")]),
        )
        .expect("it is in memory");
        let response = monitor.render(&request("/status", &[]));
        assert_eq!(
            (response.status, header(&response, "Content-Type")),
            (200, Some("application/json"))
        );
        let status: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        let pretty = serde_json::to_string_pretty(&status).expect("JSON");
        golden("status.json", &format!("{pretty}\n"));
        assert!(body(&response).starts_with(r#"{"status":"warn","summary":"#));
    }

    #[test]
    fn is_always_200() {
        for fixture in [testing::just_started(), Default::default()] {
            let response = fixture.app().render(&request("/status", &[]));
            assert_eq!(response.status, 200);
            let status: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
            assert_eq!(status["status"], "fail");
        }
    }
}
