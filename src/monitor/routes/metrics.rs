//! `/metrics`: Prometheus text, or OpenMetrics where a client would rather have that.
//!
//! Rendered on demand by a worker. Labels are names from the configuration, keys and fixed
//! words, never a URL or free text, so that their number is bounded.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::process::ProcessInfo;
use crate::domain::failure::Cause;
use crate::domain::health::{Durations, SourceState, Storage};
use crate::domain::reading::{Reason, format_number};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::{ClockTrust, Moment};
use crate::monitor::context::{ChannelState, PING, RequestCount};
use crate::monitor::format::corrected_wall;

/// The two formats; they differ in the names of counters' families and in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

pub struct Facts<'a> {
    pub snapshot: &'a Snapshot,
    pub storage: &'a Storage,
    pub traffic: &'a [RequestCount],
    pub displays: usize,
    pub channels: &'a [ChannelState],
    pub process: &'a ProcessInfo,
    pub now: Moment,
    pub started: Moment,
    pub version: &'a str,
    /// Panics that were caught, by thread.
    pub panics: BTreeMap<String, u64>,
    /// Requests that were cut off at a limit of their work, by route.
    pub cut_offs: &'a [(&'static str, u64)],
}

pub fn render(facts: &Facts, format: Format) -> String {
    let mut page = Page {
        text: String::with_capacity(16 * 1024),
        format,
    };
    sources(&mut page, facts);
    records(&mut page, facts);
    node(&mut page, facts);
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

fn sources(page: &mut Page, facts: &Facts) {
    let sources = &facts.snapshot.sources;
    page.gauge(
        "source_up",
        "Whether the newest fetch of the source succeeded.",
    );
    for source in sources {
        let is_up = source.health.state() == SourceState::Up;
        page.sample("source_up", &[("source", &source.name)], flag(is_up));
    }
    page.counter(
        "fetch_attempts_total",
        "Fetches that came to an end, well or not.",
    );
    for source in sources {
        let labels = [("source", &*source.name)];
        page.sample(
            "fetch_attempts_total",
            &labels,
            count(source.health.attempts),
        );
    }
    page.counter("fetch_failures_total", "Fetches that failed, by cause.");
    for source in sources {
        // All causes from the start: a rate needs the zero before the first failure.
        for cause in Cause::ALL {
            let failures = source
                .health
                .failures
                .get(&cause)
                .copied()
                .unwrap_or_default();
            let labels = [("source", &*source.name), ("cause", cause.name())];
            page.sample("fetch_failures_total", &labels, count(failures));
        }
    }
    page.counter(
        "fetch_turns_dropped_total",
        "Intervals that passed while other sources of the same server were asked.",
    );
    for source in sources {
        let labels = [("source", &*source.name)];
        let dropped = count(source.health.skipped_polls);
        page.sample("fetch_turns_dropped_total", &labels, dropped);
    }
    page.family(
        "fetch_duration_seconds",
        "histogram",
        "How long fetches took, well or not.",
    );
    for source in sources {
        histogram(page, &source.name, &source.health.durations);
    }
    page.gauge(
        "last_success_timestamp_seconds",
        "When the source last answered well.",
    );
    for source in sources {
        if let Some(success) = source.health.last_success {
            let labels = [("source", &*source.name)];
            let seconds = unix(corrected_wall(success, facts.now).0);
            page.sample("last_success_timestamp_seconds", &labels, seconds);
        }
    }
    page.counter(
        "records_rejected_total",
        "Fields of responses that gave no record, by reason.",
    );
    for source in sources {
        for reason in Reason::ALL {
            let rejected = source
                .health
                .rejected
                .get(&reason)
                .copied()
                .unwrap_or_default();
            let labels = [("source", &*source.name), ("reason", reason.name())];
            page.sample("records_rejected_total", &labels, count(rejected));
        }
    }
}

fn histogram(page: &mut Page, source: &str, durations: &Durations) {
    for (bound_ms, attempts) in durations.cumulative() {
        // With a fraction always, as OpenMetrics spells bounds.
        let bound = format!("{:?}", bound_ms as f64 / 1000.0);
        let labels = [("source", source), ("le", &bound)];
        page.sample("fetch_duration_seconds_bucket", &labels, count(attempts));
    }
    let labels = [("source", source), ("le", "+Inf")];
    page.sample(
        "fetch_duration_seconds_bucket",
        &labels,
        count(durations.count()),
    );
    let labels = [("source", source)];
    page.sample(
        "fetch_duration_seconds_sum",
        &labels,
        format_number(durations.sum.as_secs_f64()),
    );
    page.sample(
        "fetch_duration_seconds_count",
        &labels,
        count(durations.count()),
    );
}

fn records(page: &mut Page, facts: &Facts) {
    let records = &facts.snapshot.records;
    page.gauge("record_value", "The record's value, while it is not stale.");
    for record in records.iter().filter(|record| !record.stale) {
        if let Some(number) = record.value.number().filter(|number| number.is_finite()) {
            let labels = [
                ("key", &*record.key),
                ("unit", record.unit.as_deref().unwrap_or_default()),
            ];
            page.sample("record_value", &labels, format_number(number));
        }
    }
    page.gauge("record_timestamp_seconds", "When the record was observed.");
    for record in records {
        let seconds = unix(record.stamp.observed.0);
        page.sample("record_timestamp_seconds", &[("key", &record.key)], seconds);
    }
}

fn node(page: &mut Page, facts: &Facts) {
    let storage = facts.storage;
    page.counter("records_stored_total", "Records committed to the database.");
    page.sample("records_stored_total", &[], count(storage.rows_stored));
    page.counter(
        "records_lost_total",
        "Records given up because too many waited for the disk.",
    );
    page.sample("records_lost_total", &[], count(storage.rows_lost));
    page.gauge("records_waiting", "Records that wait to be committed.");
    page.sample("records_waiting", &[], count(storage.rows_waiting));
    page.gauge("storage_up", "Whether records can be stored.");
    page.sample("storage_up", &[], flag(storage.trouble.is_none()));
    page.gauge("database_size_bytes", "Size of the database with its log.");
    page.sample("database_size_bytes", &[], count(storage.database_bytes));
    page.counter(
        "database_written_bytes_total",
        "Bytes that this process wrote to storage.",
    );
    page.sample(
        "database_written_bytes_total",
        &[],
        count(storage.written_bytes),
    );
    page.gauge(
        "clock_synchronized",
        "Whether the wall clock can be believed.",
    );
    page.sample(
        "clock_synchronized",
        &[],
        flag(facts.now.trust == ClockTrust::Trusted),
    );
    page.gauge("alert_active", "Always 1, for each alert that is open.");
    for alert in &facts.snapshot.alerts {
        page.sample("alert_active", &[("alert", &alert.name)], "1".to_owned());
    }
    page.gauge(
        "alert_outbox_pending",
        "Alert events that wait to be told, over all channels.",
    );
    let pending: usize = facts.channels.iter().map(|channel| channel.waiting).sum();
    page.sample("alert_outbox_pending", &[], pending.to_string());
    page.gauge(
        "alerts_refused",
        "Alert events that a channel has refused, kept and tried again daily.",
    );
    for channel in facts.channels.iter().filter(|it| &*it.name != PING) {
        let labels = [("channel", &*channel.name)];
        page.sample("alerts_refused", &labels, channel.refused.to_string());
    }
    page.counter(
        "alerts_undelivered_total",
        "Alert events given up and never delivered, over all channels.",
    );
    let undelivered = facts.channels.iter().map(|channel| channel.undelivered);
    page.sample("alerts_undelivered_total", &[], count(undelivered.sum()));
    page.gauge(
        "displays_seen",
        "Displays that asked for the snapshot, as far as remembered.",
    );
    page.sample("displays_seen", &[], facts.displays.to_string());
    page.counter(
        "http_requests_total",
        "Requests answered, by route and status.",
    );
    for RequestCount {
        route,
        status,
        count,
    } in facts.traffic
    {
        let labels = [("route", *route), ("status", &status.to_string())];
        page.sample("http_requests_total", &labels, count.to_string());
    }
    page.counter(
        "http_cut_off_total",
        "Requests whose reading of the database was ended at its limit of rows or time, by route.",
    );
    for (route, cut_off) in facts.cut_offs {
        page.sample("http_cut_off_total", &[("route", *route)], count(*cut_off));
    }
    page.counter(
        "panics_total",
        "Panics that were caught, each of which cost one iteration of a thread's loop.",
    );
    for (thread, count) in &facts.panics {
        page.sample("panics_total", &[("thread", thread)], count.to_string());
    }
    page.gauge("build_info", "Always 1; the version stands in its label.");
    page.sample("build_info", &[("version", facts.version)], "1".to_owned());
    process(page, facts);
}

fn process(page: &mut Page, facts: &Facts) {
    page.gauge("process_start_time_seconds", "When the node started.");
    let started = corrected_wall(facts.started, facts.now);
    page.sample("process_start_time_seconds", &[], unix(started.0));
    if let Some(cpu) = facts.process.cpu {
        page.counter(
            "process_cpu_seconds_total",
            "Processor time, user and system.",
        );
        page.sample(
            "process_cpu_seconds_total",
            &[],
            format_number(cpu.as_secs_f64()),
        );
    }
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Resident memory.",
            facts.process.resident_bytes,
        ),
        ("process_threads", "Threads.", facts.process.threads),
        (
            "process_open_fds",
            "Open file descriptors.",
            facts.process.open_files,
        ),
    ] {
        if let Some(value) = value {
            page.gauge(name, help);
            page.sample(name, &[], count(value));
        }
    }
}

struct Page {
    text: String,
    format: Format,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str) {
        self.family(name, "gauge", help);
    }

    /// `name` ends in `_total`; OpenMetrics leaves that off the family.
    fn counter(&mut self, name: &str, help: &str) {
        let family = match self.format {
            Format::Prometheus => name,
            Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
        };
        self.family(family, "counter", help);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP mainnode_{name} {help}");
        let _ = writeln!(self.text, "# TYPE mainnode_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: String) {
        let _ = write!(self.text, "mainnode_{name}");
        for (at, (label, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escape(value));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }
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
mod tests {
    use super::*;
    use crate::domain::reading::Value;
    use crate::monitor::support::{self as testing, NOW_MS, golden};
    use std::time::Duration;

    fn metrics(scene: &testing::NodeFixture, format: Format) -> String {
        let process = ProcessInfo {
            cpu: Some(Duration::from_millis(1_500)),
            resident_bytes: Some(6 << 20),
            threads: Some(9),
            open_files: Some(21),
        };
        let traffic = [
            RequestCount {
                route: "snapshot",
                status: 200,
                count: 12,
            },
            RequestCount {
                route: "snapshot",
                status: 304,
                count: 3_000,
            },
        ];
        let facts = Facts {
            snapshot: &scene.snapshot,
            storage: &scene.storage,
            traffic: &traffic,
            displays: 2,
            channels: std::slice::from_ref(&scene.channel),
            process: &process,
            now: scene.now,
            started: scene.started,
            version: "0.1.0",
            panics: [("gate", 0), ("ingest", 1)]
                .map(|(thread, count)| (thread.to_owned(), count))
                .into(),
            cut_offs: &[("history", 1), ("web", 0)],
        };
        render(&facts, format)
    }

    #[test]
    fn everything_is_there_and_what_is_stale_is_not() {
        let scene = testing::healthy()
            .failing("weather", Cause::Dns, 1_380)
            .stale(&["humidity"]);
        let text = metrics(&scene, Format::Prometheus);
        golden("metrics.txt", &text);
        assert!(!text.contains("mainnode_record_value{key=\"humidity\""));
        assert!(text.contains("mainnode_record_timestamp_seconds{key=\"humidity\"}"));
    }

    #[test]
    fn open_metrics_names_families_without_total_and_ends() {
        let text = metrics(&testing::healthy(), Format::OpenMetrics);
        assert!(text.contains("# TYPE mainnode_fetch_attempts counter\n"));
        assert!(text.contains("\nmainnode_fetch_attempts_total{source=\"weather\"} 3\n"));
        assert!(text.ends_with("\n# EOF\n"));
    }

    #[test]
    fn a_hostile_key_stays_inside_its_label() {
        let mut scene = testing::healthy();
        scene.snapshot.records.truncate(1);
        scene.snapshot.records[0].key = "a\"} 1\nb\\".into();
        let text = metrics(&scene, Format::Prometheus);
        let expected = "mainnode_record_value{key=\"a\\\"} 1\\nb\\\\\",unit=\"°C\"} 21.4\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn what_is_no_number_is_no_sample() {
        let mut scene = testing::healthy();
        scene.snapshot.records[0].value = Value::Number(f64::NAN);
        let text = metrics(&scene, Format::Prometheus);
        assert!(!text.contains("record_value{key=\"temperature\"") && !text.contains("null"));
        assert!(!text.contains("record_value{key=\"sky\""));
        assert_eq!(unix(NOW_MS + 123), "1761854400.123");
    }
}
