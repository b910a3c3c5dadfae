use super::*;
use crate::domain::battery::Battery;
use crate::domain::reading::Value;
use crate::monitor::http::stats::HttpStats;
use crate::monitor::support::{self as testing, NOW_MS, golden};
use std::time::Duration;

fn metrics(fixture: &testing::NodeFixture, format: ExpositionFormat) -> String {
    let process = ProcessInfo {
        cpu: Some(Duration::from_millis(1_500)),
        resident_bytes: Some(6 << 20),
        threads: Some(9),
        open_files: Some(21),
    };
    let http = HttpStatsSnapshot {
        requests: vec![(("snapshot", 200), 12), (("snapshot", 304), 3_000)],
        ..HttpStats::new().snapshot()
    };
    let seen = fixture.now;
    let address = "192.168.0.9".parse().expect("an address");
    let hall = Display {
        configured: Some("hall".into()),
        charge: Battery::of_volts(3.74),
        rssi_dbm: Some(-61.0),
        ..Display::new(address, seen)
    };
    let displays = [hall, Display::new(address, seen)];
    let facts = MetricsInput {
        snapshot: &fixture.snapshot,
        storage: &fixture.storage,
        http: &http,
        displays: &displays,
        channels: std::slice::from_ref(&fixture.channel),
        outputs: &fixture.outputs,
        process: &process,
        now: fixture.now,
        started: fixture.started,
        version: "0.2.0",
        is_configuration_loaded: true,
        panics: [("http", 0), ("ingest", 1)]
            .map(|(thread, count)| (thread.to_owned(), count))
            .into(),
        cut_offs: &[("history", 1), ("web", 0)],
    };
    render(&facts, format)
}

#[test]
fn all_metrics_are_there_and_stale_values_are_not() {
    let fixture = testing::healthy()
        .failing("weather", Cause::Dns, 1_380)
        .stale(&["humidity"])
        .output_failing("mqtt", "connection refused", 300);
    let text = metrics(&fixture, ExpositionFormat::Prometheus);
    golden("metrics.txt", &text);
    assert!(!text.contains("mainnode_record_value{key=\"humidity\""));
    assert!(text.contains("mainnode_record_timestamp_seconds{key=\"humidity\"}"));
}

#[test]
fn open_metrics_names_families_without_total_and_ends() {
    let text = metrics(&testing::healthy(), ExpositionFormat::OpenMetrics);
    assert!(text.contains("# TYPE mainnode_fetch_attempts counter\n"));
    assert!(text.contains("\nmainnode_fetch_attempts_total{source=\"weather\"} 3\n"));
    assert!(text.ends_with("\n# EOF\n"));
}

#[test]
fn a_hostile_key_stays_inside_its_label() {
    let mut fixture = testing::healthy();
    fixture.snapshot.records.truncate(1);
    fixture.snapshot.records[0].key = "a\"} 1\nb\\".into();
    let text = metrics(&fixture, ExpositionFormat::Prometheus);
    let expected = "mainnode_record_value{key=\"a\\\"} 1\\nb\\\\\",unit=\"°C\"} 21.4\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn values_that_are_not_finite_are_not_samples() {
    let mut fixture = testing::healthy();
    fixture.snapshot.records[0].value = Value::Number(f64::NAN);
    let text = metrics(&fixture, ExpositionFormat::Prometheus);
    assert!(!text.contains("record_value{key=\"temperature\"") && !text.contains("null"));
    assert!(!text.contains("record_value{key=\"sky\""));
    assert_eq!(unix(NOW_MS + 123), "1761854400.123");
}

/// The lines of the table in `docs/http.md`, from the registry and the labels of its samples.
fn documented_lines() -> Vec<String> {
    let mut fixture = testing::healthy()
        .failing("weather", Cause::Dns, 1_380)
        .output_failing("mqtt", "connection refused", 300);
    fixture.snapshot.alerts = vec![crate::domain::open_alert::OpenAlert {
        name: "source:weather".into(),
        since: crate::domain::time::Wall(NOW_MS),
        since_is_trusted: true,
        headline: "Weather: no data".into(),
        display_text: "weather: no data".into(),
        message: String::new(),
        is_recovering: false,
    }];
    let text = metrics(&fixture, ExpositionFormat::Prometheus);
    let line = |metric: &Metric| {
        let name = format!("mainnode_{}", metric.name);
        let is_sample = |line: &&str| line.starts_with(&*name) && !line.starts_with('#');
        let sample = text.lines().find(is_sample);
        let sample = sample.unwrap_or_else(|| panic!("{name} has no sample in this fixture"));
        let labels = sample
            .split_once('{')
            .map_or("", |(_, rest)| rest.rsplit_once('}').expect("it ends").0);
        let names: Vec<&str> = labels
            .split("\",")
            .filter_map(|label| label.split_once('='))
            .map(|(name, _)| name)
            .filter(|name| *name != "le")
            .collect();
        let labels = match names.as_slice() {
            [] => String::new(),
            names => format!("{{{}}}", names.join(",")),
        };
        let kind = match metric.kind {
            MetricKind::Gauge | MetricKind::OptionalGauge => "gauge",
            MetricKind::Counter | MetricKind::OptionalCounter => "counter",
            MetricKind::Histogram => "histogram",
        };
        format!("| `{name}{labels}` | {kind} | {} |", metric.help)
    };
    REGISTRY.iter().map(line).collect()
}

#[test]
fn the_documentation_lists_every_metric_and_no_other() {
    let document = include_str!("../../../../docs/http.md");
    let lines = document.lines();
    let listed: Vec<&str> = lines
        .filter(|line| line.starts_with("| `mainnode_"))
        .collect();
    let expected = documented_lines();
    assert_eq!(
        listed,
        expected,
        "docs/http.md should list:\n{}",
        expected.join("\n")
    );
}
