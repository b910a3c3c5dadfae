//! `/metrics` in the Prometheus text format, or OpenMetrics where a client prefers that.
//!
//! Rendered on demand by a worker. Labels are names from the configuration, keys and fixed
//! values, never a URL or free text, so that their number is bounded.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::domain::failure::Cause;
use crate::domain::health::{Durations, SourceState, Storage};
use crate::domain::output_state::OutputState;
use crate::domain::reading::Reason;
use crate::domain::snapshot::Snapshot;
use crate::domain::text::format_number;
use crate::domain::time::{ClockTrust, Moment};
use crate::monitor::context::{ChannelState, Display, PING};
use crate::monitor::format::corrected_wall;
use crate::monitor::http::stats::HttpStatsSnapshot;
use crate::sys::process::ProcessInfo;

/// The two formats; they differ in the names of counters' families and in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpositionFormat {
    Prometheus,
    OpenMetrics,
}

impl ExpositionFormat {
    pub fn content_type(self) -> &'static str {
        match self {
            ExpositionFormat::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            ExpositionFormat::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }
}

pub struct MetricsInput<'a> {
    pub snapshot: &'a Snapshot,
    pub storage: &'a Storage,
    pub http: &'a HttpStatsSnapshot,
    pub displays: &'a [Display],
    pub channels: &'a [ChannelState],
    pub outputs: &'a [OutputState],
    /// Whether no reload was refused since.
    pub is_configuration_loaded: bool,
    pub process: &'a ProcessInfo,
    pub now: Moment,
    pub started: Moment,
    pub version: &'a str,
    /// Panics that were caught, by thread.
    pub panics: BTreeMap<String, u64>,
    /// Requests that were cut off at a limit of their work, by route.
    pub cut_offs: &'a [(&'static str, u64)],
}

pub fn render(facts: &MetricsInput, format: ExpositionFormat) -> String {
    let mut text = String::with_capacity(16 * 1024);
    for metric in &REGISTRY {
        let mut samples = Samples {
            name: metric.name,
            text: String::new(),
        };
        (metric.collect)(facts, &mut samples);
        if metric.is_optional() && samples.text.is_empty() {
            continue;
        }
        metric.write_family(&mut text, format);
        text.push_str(&samples.text);
    }
    if format == ExpositionFormat::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

/// One metric. `docs/http.md` lists them too; a test compares the two.
struct Metric {
    kind: MetricKind,
    /// Without the prefix; a counter's ends in `_total`.
    name: &'static str,
    help: &'static str,
    collect: fn(&MetricsInput, &mut Samples),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MetricKind {
    Gauge,
    /// Left out where there is nothing to report.
    OptionalGauge,
    Counter,
    OptionalCounter,
    Histogram,
}

/// Every metric, in the order of the page.
const REGISTRY: [Metric; 44] = [
    Metric {
        kind: MetricKind::Gauge,
        name: "source_up",
        help: "Whether the newest fetch of the source succeeded.",
        collect: |facts, samples| {
            for source in &facts.snapshot.sources {
                let is_up = source.health.state() == SourceState::Up;
                samples.add(&[("source", &source.name)], flag(is_up));
            }
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "fetch_attempts_total",
        help: "Finished fetches, successful or not.",
        collect: |facts, samples| {
            for source in &facts.snapshot.sources {
                samples.add(&[("source", &source.name)], count(source.health.attempts));
            }
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "fetch_failures_total",
        help: "Fetches that failed, by cause.",
        collect: |facts, samples| {
            for source in &facts.snapshot.sources {
                // All causes from the start: a rate needs the zero before the first failure.
                for cause in Cause::ALL {
                    let failures = source.health.failures.get(&cause).copied();
                    let labels = [("source", &*source.name), ("cause", cause.name())];
                    samples.add(&labels, count(failures.unwrap_or_default()));
                }
            }
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "fetch_turns_dropped_total",
        help: "Fetches skipped because other sources of the same server were being fetched.",
        collect: |facts, samples| {
            for source in &facts.snapshot.sources {
                samples.add(
                    &[("source", &source.name)],
                    count(source.health.skipped_polls),
                );
            }
        },
    },
    Metric {
        kind: MetricKind::Histogram,
        name: "fetch_duration_seconds",
        help: "Duration of fetches, successful or not.",
        collect: |facts, samples| {
            for source in &facts.snapshot.sources {
                histogram(samples, &source.name, &source.health.durations);
            }
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "last_success_timestamp_seconds",
        help: "Time of the last successful fetch.",
        collect: |facts, samples| {
            for source in &facts.snapshot.sources {
                if let Some(success) = source.health.last_success {
                    let seconds = unix(corrected_wall(success, facts.now).0);
                    samples.add(&[("source", &source.name)], seconds);
                }
            }
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "records_rejected_total",
        help: "Response fields rejected, by reason.",
        collect: |facts, samples| {
            for source in &facts.snapshot.sources {
                for reason in Reason::ALL {
                    let rejected = source.health.rejected.get(&reason).copied();
                    let labels = [("source", &*source.name), ("reason", reason.name())];
                    samples.add(&labels, count(rejected.unwrap_or_default()));
                }
            }
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "record_value",
        help: "The record's value, while it is not stale.",
        collect: |facts, samples| {
            let records = facts.snapshot.records.iter();
            for record in records.filter(|record| !record.stale) {
                if let Some(number) = record.value.number().filter(|it| it.is_finite()) {
                    let unit = record.unit.as_deref().unwrap_or_default();
                    samples.add(
                        &[("key", &record.key), ("unit", unit)],
                        format_number(number),
                    );
                }
            }
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "record_timestamp_seconds",
        help: "Time of the observation.",
        collect: |facts, samples| {
            for record in &facts.snapshot.records {
                samples.add(&[("key", &record.key)], unix(record.stamp.observed.0));
            }
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "records_stored_total",
        help: "Records committed to the database.",
        collect: |facts, samples| {
            samples.add(&[], count(facts.storage.rows_stored));
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "records_lost_total",
        help: "Records dropped because too many were waiting to be written.",
        collect: |facts, samples| {
            samples.add(&[], count(facts.storage.rows_lost));
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "records_waiting",
        help: "Records waiting to be written.",
        collect: |facts, samples| {
            samples.add(&[], count(facts.storage.rows_waiting));
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "storage_up",
        help: "Whether records can be stored.",
        collect: |facts, samples| {
            samples.add(&[], flag(facts.storage.trouble.is_none()));
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "database_size_bytes",
        help: "Size of the database, including its write-ahead log.",
        collect: |facts, samples| {
            samples.add(&[], count(facts.storage.database_bytes));
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "database_written_bytes_total",
        help: "Bytes that this process wrote to storage.",
        collect: |facts, samples| {
            samples.add(&[], count(facts.storage.written_bytes));
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "backup_up",
        help: "Whether automatic backups can be made, where they are configured.",
        collect: |facts, samples| {
            if let Some(backup) = &facts.storage.backup {
                samples.add(&[], flag(backup.error.is_none()));
            }
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "last_backup_timestamp_seconds",
        help: "When the newest automatic backup was made.",
        collect: |facts, samples| {
            if let Some(last) = facts.storage.backup.as_ref().and_then(|it| it.last) {
                samples.add(&[], unix(last.0));
            }
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "clock_synchronized",
        help: "Whether the wall clock is trusted.",
        collect: |facts, samples| {
            samples.add(&[], flag(facts.now.trust == ClockTrust::Trusted));
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "alert_active",
        help: "Always 1, for each open alert.",
        collect: |facts, samples| {
            for alert in &facts.snapshot.alerts {
                samples.add(&[("alert", &alert.name)], count(1));
            }
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "alert_outbox_pending",
        help: "Alert events waiting for delivery, over all channels.",
        collect: |facts, samples| {
            let pending: usize = facts.channels.iter().map(|channel| channel.waiting).sum();
            samples.add(&[], pending.to_string());
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "alerts_refused",
        help: "Alert events refused by the channel, kept and retried daily.",
        collect: |facts, samples| {
            for channel in facts.channels.iter().filter(|it| &*it.name != PING) {
                samples.add(&[("channel", &*channel.name)], channel.refused.to_string());
            }
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "alerts_undelivered_total",
        help: "Alert events given up undelivered, over all channels.",
        collect: |facts, samples| {
            let undelivered = facts.channels.iter().map(|channel| channel.undelivered);
            samples.add(&[], count(undelivered.sum()));
        },
    },
    Metric {
        kind: MetricKind::OptionalGauge,
        name: "output_up",
        help: "Whether the output reaches its receiver.",
        collect: |facts, samples| {
            for output in facts.outputs {
                let is_up = output.failure.is_none() && output.is_connected;
                samples.add(&[("output", &*output.name)], u8::from(is_up).to_string());
            }
        },
    },
    Metric {
        kind: MetricKind::OptionalCounter,
        name: "output_sent_total",
        help: "Messages, rows or requests that the receiver of the output has accepted.",
        collect: |facts, samples| {
            for output in facts.outputs {
                samples.add(&[("output", &*output.name)], count(output.sent));
            }
        },
    },
    Metric {
        kind: MetricKind::OptionalCounter,
        name: "output_failures_total",
        help: "Failed attempts of the output to reach its receiver.",
        collect: |facts, samples| {
            for output in facts.outputs {
                samples.add(&[("output", &*output.name)], count(output.failures));
            }
        },
    },
    Metric {
        kind: MetricKind::OptionalCounter,
        name: "output_dropped_total",
        help: "Messages or rows that the output has given up.",
        collect: |facts, samples| {
            for output in facts.outputs {
                samples.add(&[("output", &*output.name)], count(output.dropped));
            }
        },
    },
    Metric {
        kind: MetricKind::OptionalGauge,
        name: "output_waiting",
        help: "Messages or rows that the output has still to send.",
        collect: |facts, samples| {
            for output in facts.outputs {
                if let Some(waiting) = output.waiting {
                    samples.add(&[("output", &*output.name)], count(waiting));
                }
            }
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "displays_seen",
        help: "Displays that polled /snapshot or a picture, as far as remembered.",
        collect: |facts, samples| {
            samples.add(&[], facts.displays.len().to_string());
        },
    },
    Metric {
        kind: MetricKind::OptionalGauge,
        name: "display_last_seen_timestamp_seconds",
        help: "When a display of the configuration asked last.",
        collect: |facts, samples| {
            for display in facts.displays {
                if let Some(name) = &display.configured {
                    let seen = corrected_wall(display.last, facts.now);
                    samples.add(&[("display", &**name)], unix(seen.0));
                }
            }
        },
    },
    Metric {
        kind: MetricKind::OptionalGauge,
        name: "display_battery_volts",
        help: "Battery of a display of the configuration, as it said last.",
        collect: |facts, samples| {
            samples.add_displays(facts, |it| it.charge?.volts);
        },
    },
    Metric {
        kind: MetricKind::OptionalGauge,
        name: "display_battery_percent",
        help: "The same from 0 to 100; of volts, 3.3 V is 0 and 4.1 V is 100.",
        collect: |facts, samples| {
            samples.add_displays(facts, |it| Some(it.charge?.percent));
        },
    },
    Metric {
        kind: MetricKind::OptionalGauge,
        name: "display_rssi_dbm",
        help: "Wi-Fi signal of a display of the configuration, as it said last.",
        collect: |facts, samples| {
            samples.add_displays(facts, |it| it.rssi_dbm);
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "http_event_streams",
        help: "Open event streams.",
        collect: |facts, samples| {
            samples.add(&[], count(facts.http.event_streams));
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "http_requests_total",
        help: "Requests answered, by route and status.",
        collect: |facts, samples| {
            for ((route, status), requests) in &facts.http.requests {
                let status = status.to_string();
                samples.add(&[("route", *route), ("status", &status)], count(*requests));
            }
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "http_rejected_total",
        help: "Connections, requests and event streams rejected or closed, by reason.",
        collect: |facts, samples| {
            for (reason, rejected) in &facts.http.rejected {
                samples.add(&[("reason", *reason)], count(*rejected));
            }
        },
    },
    Metric {
        kind: MetricKind::Counter,
        name: "http_cut_off_total",
        help: "Requests stopped at their limit of database rows or time, by route.",
        collect: |facts, samples| {
            for (route, cut_off) in facts.cut_offs {
                samples.add(&[("route", *route)], count(*cut_off));
            }
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "config_last_reload_successful",
        help: "Whether the configuration was in order when it was loaded last.",
        collect: |facts, samples| samples.add(&[], flag(facts.is_configuration_loaded)),
    },
    Metric {
        kind: MetricKind::Counter,
        name: "panics_total",
        help: "Panics caught, by thread; each cost one iteration of a loop.",
        collect: |facts, samples| {
            for (thread, panics) in &facts.panics {
                samples.add(&[("thread", thread)], count(*panics));
            }
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "build_info",
        help: "Always 1; the version is a label.",
        collect: |facts, samples| {
            samples.add(&[("version", facts.version)], count(1));
        },
    },
    Metric {
        kind: MetricKind::Gauge,
        name: "process_start_time_seconds",
        help: "When the node started.",
        collect: |facts, samples| {
            samples.add(&[], unix(corrected_wall(facts.started, facts.now).0));
        },
    },
    Metric {
        kind: MetricKind::OptionalCounter,
        name: "process_cpu_seconds_total",
        help: "CPU time, user and system.",
        collect: |facts, samples| {
            if let Some(cpu) = facts.process.cpu {
                samples.add(&[], format_number(cpu.as_secs_f64()));
            }
        },
    },
    Metric {
        kind: MetricKind::OptionalGauge,
        name: "process_resident_memory_bytes",
        help: "Resident memory.",
        collect: |facts, samples| {
            if let Some(value) = facts.process.resident_bytes {
                samples.add(&[], count(value));
            }
        },
    },
    Metric {
        kind: MetricKind::OptionalGauge,
        name: "process_threads",
        help: "Threads.",
        collect: |facts, samples| {
            if let Some(value) = facts.process.threads {
                samples.add(&[], count(value));
            }
        },
    },
    Metric {
        kind: MetricKind::OptionalGauge,
        name: "process_open_fds",
        help: "Open file descriptors.",
        collect: |facts, samples| {
            if let Some(value) = facts.process.open_files {
                samples.add(&[], count(value));
            }
        },
    },
];

impl Metric {
    fn is_optional(&self) -> bool {
        matches!(
            self.kind,
            MetricKind::OptionalGauge | MetricKind::OptionalCounter
        )
    }

    /// OpenMetrics leaves `_total` off the family of a counter.
    fn write_family(&self, text: &mut String, format: ExpositionFormat) {
        let (kind, name) = match (self.kind, format) {
            (MetricKind::Gauge | MetricKind::OptionalGauge, _) => ("gauge", self.name),
            (MetricKind::Histogram, _) => ("histogram", self.name),
            (MetricKind::Counter | MetricKind::OptionalCounter, ExpositionFormat::Prometheus) => {
                ("counter", self.name)
            }
            (MetricKind::Counter | MetricKind::OptionalCounter, ExpositionFormat::OpenMetrics) => (
                "counter",
                self.name.strip_suffix("_total").unwrap_or(self.name),
            ),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP mainnode_{name} {}", self.help);
        let _ = writeln!(text, "# TYPE mainnode_{name} {kind}");
    }
}

/// The samples of one metric.
struct Samples {
    name: &'static str,
    text: String,
}

impl Samples {
    fn add(&mut self, labels: &[(&str, &str)], value: String) {
        self.add_suffixed("", labels, value);
    }

    fn add_suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: String) {
        let _ = write!(self.text, "mainnode_{}{suffix}", self.name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escape(value));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }
}

impl Samples {
    /// One sample for each display of the configuration: only their names are unique.
    fn add_displays(&mut self, facts: &MetricsInput, value: fn(&Display) -> Option<f64>) {
        for display in facts.displays {
            if let (Some(name), Some(value)) = (&display.configured, value(display)) {
                self.add(&[("display", &**name)], format_number(value));
            }
        }
    }
}

fn histogram(samples: &mut Samples, source: &str, durations: &Durations) {
    for (bound_ms, attempts) in durations.cumulative() {
        // With a fraction always, as OpenMetrics spells bounds.
        let bound = format!("{:?}", bound_ms as f64 / 1000.0);
        let labels = [("source", source), ("le", &*bound)];
        samples.add_suffixed("_bucket", &labels, count(attempts));
    }
    let labels = [("source", source), ("le", "+Inf")];
    samples.add_suffixed("_bucket", &labels, count(durations.count()));
    let labels = [("source", source)];
    let sum = format_number(durations.sum.as_secs_f64());
    samples.add_suffixed("_sum", &labels, sum);
    samples.add_suffixed("_count", &labels, count(durations.count()));
}

fn escape(label: &str) -> String {
    let mut escaped = String::with_capacity(label.len());
    for c in label.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn flag(is_so: bool) -> String {
    u8::from(is_so).to_string()
}

fn count(count: u64) -> String {
    count.to_string()
}

/// Milliseconds as seconds with at most three digits behind the point, never an exponent.
fn unix(ms: i64) -> String {
    format_number(ms as f64 / 1000.0)
}

#[cfg(test)]
#[path = "tests/metrics.rs"]
mod tests;
