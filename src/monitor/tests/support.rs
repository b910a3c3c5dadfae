//! Test support of routes and pages: requests, a fixture of a node with two sources, golden files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{
    App, ChannelState, Context, DeviceKeys, HistoryFailure, Installation, Password, Published,
    RefusedConfiguration, ViewSettings,
};
use crate::domain::derived_key::{DerivedKey, DerivedKeys, DerivedRule};
use crate::domain::failure::{Cause, Failure};
use crate::domain::formula::Formula;
use crate::domain::freshness::Stamp;
use crate::domain::health::{BackupState, HistoryExtent, SourceHealth, Storage};
use crate::domain::history::{Bucket, HistoryQuery, PeriodQuery, StateHistory, StateQuery};
use crate::domain::key_pattern::KeyPattern;
use crate::domain::outbox::Incident;
use crate::domain::output_state::{OutputFailure, OutputState};
use crate::domain::plan::{KeyPlan, Merge, Plan, RecordSelector, Selection, SourcePlan};
use crate::domain::reading::{FetchOutcome, Issue, Observation, Reason, Value};
use crate::domain::snapshot::{DerivedSnapshot, Record, Snapshot, SourceSnapshot};
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::monitor::http::handler::{Dispatch, Handler, Request, Response};
use crate::monitor::status_text::{self, NodeStatus, StateFacts};
use crate::monitor::web;
use crate::sys::budget::Budget;
use crate::sys::clock::ManualClock;
use crate::sys::percent::SharedPercent;

/// 2025-10-30T20:00:00Z.
pub const NOW_MS: i64 = 1_761_854_400_000;

/// `seconds` after the machine's start, which was a day before eight.
pub fn moment(seconds: u64) -> Moment {
    Moment {
        mono: Mono(seconds * 1000),
        wall: Wall(NOW_MS - 86_400_000 + i64::try_from(seconds).expect("small") * 1000),
        trust: ClockTrust::Trusted,
    }
}

/// Eight in the evening.
pub fn now() -> Moment {
    moment(86_400)
}

fn before(seconds: u64) -> Moment {
    moment(86_400 - seconds)
}

pub fn request(target: &str, headers: &[(&str, &str)]) -> Request {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Request {
        is_head: false,
        target: target.to_owned(),
        headers: headers.iter().map(owned).collect(),
        peer: "192.168.0.9".parse().expect("an address"),
        base: String::new(),
        is_https: false,
        token: None,
    }
}

/// The response that dispatch makes from memory; `None` where a worker renders it.
pub fn from_memory(app: &App, request: &Request) -> Option<Response> {
    match app.dispatch(request) {
        Dispatch::Immediate(response) | Dispatch::Cacheable(response, _) => Some(response),
        Dispatch::Worker | Dispatch::EventStream(_) => None,
    }
}

/// The response as a client gets it: from memory or rendered.
pub fn respond(app: &App, request: &Request) -> Response {
    from_memory(app, request).unwrap_or_else(|| app.render(request))
}

pub fn is_event_stream(app: &App, request: &Request) -> bool {
    matches!(app.dispatch(request), Dispatch::EventStream(_))
}

pub fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let found = response.headers.iter().find(|(given, _)| *given == name);
    found.map(|(_, value)| &**value)
}

pub fn body(response: &Response) -> &str {
    std::str::from_utf8(&response.body).expect("bodies are UTF-8")
}

/// Compares with `tests/golden/NAME`; `UPDATE_GOLDEN=1` rewrites it. Pages are stored with an
/// element a line, so that a difference can be read, and without the hashes of style and script,
/// which would change with each rule.
pub fn golden(name: &str, found: &str) {
    let found = &if name.ends_with(".html") {
        let found = found.replace(&crate::monitor::web::style_name(), "STYLE.css");
        let found = found.replace(&crate::monitor::web::script_name(), "SCRIPT.js");
        let found = found.replace(&web::style_name(), "STYLE.css");
        let found = found.replace(&web::script_name(), "SCRIPT.js");
        found.replace("><", ">\n<") + "\n"
    } else {
        found.to_owned()
    };
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name]
        .iter()
        .collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let folder = path.parent().expect("goldens have a folder");
        std::fs::create_dir_all(folder).expect("the folder can be made");
        std::fs::write(&path, found).expect("the golden can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        *found == expected,
        "{} is not what is rendered now; UPDATE_GOLDEN=1 rewrites it. Found:\n{found}",
        path.display()
    );
}

/// Everything that routes and pages read.
#[derive(Clone)]
pub struct NodeFixture {
    pub snapshot: Snapshot,
    pub storage: Storage,
    pub now: Moment,
    pub started: Moment,
    pub plan: Plan,
    pub is_example: bool,
    pub is_demo: bool,
    pub demo_history: Option<Arc<SharedPercent>>,
    pub channel: ChannelState,
    pub outputs: Vec<OutputState>,
    pub refused_configuration: Option<RefusedConfiguration>,
    pub incidents: Vec<Incident>,
    pub stuck: Option<&'static str>,
    pub password: Option<&'static str>,
    pub history: Result<Vec<Bucket>, String>,
    /// What is stored ahead of now.
    pub forecast: Vec<Bucket>,
    pub states: StateHistory,
    /// Of which keys the database holds rows.
    pub stored: Vec<&'static str>,
    /// What each history query costs.
    pub history_rows: u64,
    /// Keys of devices are beside it.
    pub database: PathBuf,
}

impl Default for NodeFixture {
    fn default() -> NodeFixture {
        NodeFixture {
            snapshot: Snapshot::empty(now()),
            storage: Storage::default(),
            now: now(),
            started: before(7_200),
            plan: Plan::default(),
            is_example: false,
            is_demo: false,
            demo_history: None,
            outputs: Vec::new(),
            refused_configuration: None,
            channel: ChannelState {
                name: "mail".into(),
                waiting: 0,
                trouble: None,
                trouble_since: None,
                last_delivered: None,
                refused: 0,
                refused_since: None,
                refusal: None,
                undelivered: 0,
            },
            incidents: Vec::new(),
            stuck: None,
            password: None,
            history: Ok(Vec::new()),
            forecast: Vec::new(),
            states: StateHistory::default(),
            stored: Vec::new(),
            history_rows: 1,
            database: "/nowhere/main-node.db".into(),
        }
    }
}

impl NodeFixture {
    pub fn status(&self) -> NodeStatus {
        status_text::node_status(&StateFacts {
            snapshot: &self.snapshot,
            plan: &self.plan,
            storage: &self.storage,
            channels: std::slice::from_ref(&self.channel),
            outputs: &self.outputs,
            refused_configuration: self.refused_configuration.as_ref(),
            now: self.now,
            started: self.started,
            timezone: &jiff::tz::TimeZone::fixed(jiff::tz::offset(1)),
        })
    }

    /// An output that has sent 12 messages, and fails for so many seconds.
    pub fn output_failing(mut self, name: &str, why: &str, for_s: u64) -> NodeFixture {
        self.outputs.push(OutputState {
            failure: Some(OutputFailure {
                since: before(for_s).mono,
                why: why.to_owned(),
            }),
            sent: 12,
            failures: 3,
            waiting: Some(40),
            last_sent: Some(before(for_s).wall),
            ..OutputState::new(name, "mqtt://broker.lan:1883")
        });
        self
    }

    /// A reload that has refused its configuration for two problems, so many seconds ago.
    pub fn refusing_configuration(mut self, seconds_ago: u64) -> NodeFixture {
        self.refused_configuration = Some(RefusedConfiguration {
            at: before(seconds_ago),
            problems: vec![
                "main-node.toml:3:1: unknown option \"titel\"".to_owned(),
                "main-node.toml:9:1: unknown option \"urll\"".to_owned(),
            ],
        });
        self
    }

    pub fn failing(mut self, source: &str, cause: Cause, for_s: u64) -> NodeFixture {
        let source = self.source(source);
        let failure = Failure::new(cause, "the name api.example cannot be resolved");
        if source.health.attempts > 0 {
            source.health.last_success = Some(before(for_s));
        }
        for attempt in 0..3 {
            source.health.record(&Observation {
                source: 0,
                at: before(for_s / (attempt + 1)),
                duration: Duration::from_millis(120),
                bytes: 0,
                outcome: FetchOutcome::Failed {
                    failure: failure.clone(),
                    issues: Vec::new(),
                },
                next_in: Duration::from_secs(60),
                server_wait: Duration::ZERO,
                late_notice: None,
                skipped_polls: 0,
                upstream: None,
            });
        }
        self
    }

    /// A derived key that cannot be computed now.
    pub fn deriving(mut self, key: &str, formula: &str) -> NodeFixture {
        let formula = Formula::parse(formula).expect("it is valid");
        let derived = DerivedKey {
            key: key.into(),
            rule: DerivedRule::Formula(formula),
            unit: None,
            stale_after: None,
        };
        self.snapshot.derived = vec![DerivedSnapshot {
            key: derived.key.clone(),
            definition: derived.definition(),
            issue: Some(Issue {
                reason: Reason::NotFinite,
                key: Some(derived.key.clone()),
                pointer: derived.definition().to_string(),
                expected: "a finite number".to_owned(),
                found: "a division by zero: 1 / 0".to_owned(),
            }),
            is_waiting: false,
        }];
        self.plan.derived = DerivedKeys::new(vec![derived]).expect("there is no cycle");
        self
    }

    pub fn stale(mut self, keys: &[&str]) -> NodeFixture {
        for record in &mut self.snapshot.records {
            record.stale |= keys.contains(&&*record.key);
        }
        self
    }

    /// Mails that cannot be delivered.
    pub fn pending_mails(mut self, waiting: usize, trouble: &str) -> NodeFixture {
        self.channel.waiting = waiting;
        self.channel.trouble = Some(trouble.to_owned());
        self.channel.trouble_since = Some(before(600).mono);
        self
    }

    /// Alerts that the mail server rejects.
    pub fn refused_mails(mut self, refused: usize, why: &str) -> NodeFixture {
        self = self.pending_mails(refused, why);
        self.channel.refused = refused;
        self.channel.refused_since = Some(before(600).wall);
        self.channel.refusal = Some(why.to_owned());
        self
    }

    pub fn volatile_storage(mut self, why: &str) -> NodeFixture {
        self.storage.volatile = Some(why.to_owned());
        self
    }

    pub fn backup_failing(mut self, error: &str) -> NodeFixture {
        if let Some(backup) = &mut self.storage.backup {
            (backup.next, backup.error) = (None, Some(error.to_owned()));
        }
        self
    }

    pub fn storage_trouble(mut self, trouble: &str) -> NodeFixture {
        self.storage.trouble = Some(trouble.to_owned());
        self.storage.rows_waiting = 12;
        self
    }

    pub fn trust(mut self, trust: ClockTrust) -> NodeFixture {
        self.now.trust = trust;
        self
    }

    pub fn started_ago(mut self, span: Duration) -> NodeFixture {
        self.started = before(span.as_secs());
        self
    }

    pub fn source(&mut self, name: &str) -> &mut SourceSnapshot {
        let mut sources = self.snapshot.sources.iter_mut();
        sources
            .find(|source| &*source.name == name)
            .expect("the fixture has it")
    }

    pub fn app(self) -> App {
        let clock = Arc::new(ManualClock::new(self.now));
        self.app_with(clock)
    }

    pub fn app_with(self, clock: Arc<ManualClock>) -> App {
        let published = Arc::new(Published::new(Arc::new(self.snapshot)));
        let (storage, history, stuck) = (self.storage, self.history, self.stuck);
        let (channel, incidents) = (self.channel, self.incidents);
        let (outputs, refused) = (self.outputs, self.refused_configuration);
        let (forecast, states) = (self.forecast, self.states);
        let periods = history.clone().unwrap_or_default();
        let (history_rows, stored) = (self.history_rows, self.stored);
        App::new(Context {
            published,
            clock,
            plan: Arc::new(self.plan),
            storage: Box::new(move || storage.clone()),
            history: Box::new(move |query: &HistoryQuery, budget: &Budget| {
                budget
                    .spend(history_rows)
                    .map_err(HistoryFailure::Exceeded)?;
                let mut buckets = history.clone().map_err(HistoryFailure::Unavailable)?;
                if !stored.contains(&&*query.key) {
                    return Err(HistoryFailure::NothingStored);
                }
                buckets.retain(|bucket| bucket.from >= query.from && bucket.from < query.to);
                Ok(buckets)
            }),
            stored_unit: Box::new(|key| (key == "attic").then(|| "lx".to_owned())),
            forecast: Box::new(move |query: &HistoryQuery, now, _: &Budget| {
                let span = query.from.max(now)..query.to;
                let ahead = forecast.iter().filter(|it| span.contains(&it.from));
                Ok(ahead.copied().collect())
            }),
            periods: Box::new(move |query: &PeriodQuery, budget: &Budget| {
                budget
                    .spend(history_rows)
                    .map_err(HistoryFailure::Exceeded)?;
                Ok(periods_of(&periods, query))
            }),
            states: Box::new(move |query: &StateQuery, _: &Budget| {
                let mut found = states.clone();
                found
                    .runs
                    .retain(|run| run.from < query.to && run.to >= query.from);
                Ok(found)
            }),
            http_stats: Arc::default(),
            channels: Box::new(move || vec![channel.clone()]),
            outputs: Box::new(move || outputs.clone()),
            refused_configuration: Box::new(move || refused.clone()),
            incidents: Box::new(move |_| Ok(incidents.clone())),
            stuck: Box::new(move || stuck),
            password: self.password.map(Password::new),
            device_keys: DeviceKeys::beside(&self.database),
            settings: ViewSettings {
                node_name: "main-node".to_owned(),
                host_name: "pi".to_owned(),
                hosts: Vec::new(),
                timezone: jiff::tz::TimeZone::fixed(jiff::tz::offset(1)),
                version: "0.2.0",
                build: || "0123456789ab",
                started: self.started,
                configuration_loaded: self.started,
                is_example: self.is_example,
                installation: Installation {
                    config_file: Some("/etc/main-node/main-node.toml".into()),
                    config_paths: vec!["/nowhere/main-node.toml".into()],
                    database: "/var/lib/main-node/main-node.db".into(),
                    listen: vec!["127.0.0.1:8000".parse().expect("an address")],
                },
                is_demo: self.is_demo,
                demo_history: self.demo_history.clone(),
                cors: Default::default(),
                base_path: String::new(),
                frame_ancestors: Vec::new(),
            },
        })
    }
}

/// Two sources that responded eight seconds ago, four records of all kinds.
pub fn healthy() -> NodeFixture {
    let mut fixture = just_started();
    for source in &mut fixture.snapshot.sources {
        for ago in [968, 488, 8] {
            let is_meter = &*source.name == "meter";
            let issue = Issue {
                reason: Reason::OutOfRange,
                key: Some("voltage".into()),
                pointer: "/voltage".to_owned(),
                expected: "from 0 to 500".to_owned(),
                found: "99999".to_owned(),
            };
            source.health.record(&Observation {
                source: 0,
                at: before(ago),
                duration: Duration::from_millis(84),
                bytes: 512,
                outcome: FetchOutcome::Readings {
                    observed: None,
                    readings: Vec::new(),
                    series: Vec::new(),
                    issues: if is_meter { vec![issue] } else { Vec::new() },
                },
                next_in: source.every,
                server_wait: Duration::ZERO,
                late_notice: None,
                skipped_polls: 0,
                upstream: None,
            });
        }
    }
    let stamp = Stamp::received(before(8), None);
    let record = |key: &str, value, unit: Option<&str>, source: &str| Record {
        key: key.into(),
        value,
        unit: unit.map(Into::into),
        stamp,
        stale: false,
        stale_after: Duration::from_secs(2_700),
        sources: vec![source.into()],
        today: None,
        is_boolean: false,
    };
    fixture.snapshot.records = vec![
        record("temperature", Value::Number(21.4), Some("°C"), "weather"),
        record("humidity", Value::Number(45.2), Some("%"), "weather"),
        record("sky", Value::Text("Cloudy".into()), None, "weather"),
        record("power", Value::Number(-120.0), Some("W"), "meter"),
    ];
    fixture.snapshot.records[0].stamp = Stamp::received(before(8), Some(Wall(NOW_MS - 300_000)));
    fixture.storage = Storage {
        rows_stored: 1_234,
        database_bytes: 4_096_000,
        written_bytes: 81_920,
        extent: HistoryExtent {
            rows: Some(Wall(NOW_MS - 30 * 86_400_000)),
            hours: Some(Wall(NOW_MS - 400 * 86_400_000)),
            days: None,
            row_count: 5_184_000,
        },
        backup: Some(BackupState {
            directory: "/mnt/usb".to_owned(),
            last: Some(Wall(NOW_MS - 7_200_000)),
            next: Some(Wall(NOW_MS + 79_200_000)),
            error: None,
        }),
        ..Storage::default()
    };
    fixture.history = Ok(day_of_buckets());
    fixture.stored = vec!["temperature", "humidity", "sky", "power"];
    fixture
}

/// The same node before anything was fetched.
pub fn just_started() -> NodeFixture {
    let source = |name: &str, calls: &str, summary: &str, credit: Option<&str>| SourceSnapshot {
        name: name.into(),
        target: calls.into(),
        summary: summary.into(),
        description: match summary {
            "" => "".into(),
            _ => "Weather variables of the best models for a place.".into(),
        },
        every: Duration::from_secs(900),
        interval: Duration::from_secs(900),
        attribution: credit.map(Into::into),
        keys: if name == "weather" { 3 } else { 1 },
        omitted: 0,
        max_records: 256,
        conflict: None,
        health: SourceHealth::default(),
    };
    let credit = "Weather data by Open-Meteo.com, CC BY 4.0";
    let mut snapshot = Snapshot::empty(now());
    snapshot.sources = vec![
        source(
            "weather",
            "getForecast",
            "The weather at a place",
            Some(credit),
        ),
        source("meter", "a JSON address", "", None),
    ];
    NodeFixture {
        snapshot,
        plan: plan(),
        ..NodeFixture::default()
    }
}

fn plan() -> Plan {
    let pick = |key: &str| RecordSelector {
        text: key == "sky",
        ..RecordSelector::new(key, format!("/current/{key}"))
    };
    let source = |name: &str, keys: &[&str]| SourcePlan {
        name: name.into(),
        every: Duration::from_secs(900),
        selection: Selection::Selectors(keys.iter().map(|key| pick(key)).collect()),
        target: "getForecast".into(),
        ..SourcePlan::default()
    };
    let merged = KeyPlan {
        merge: Some(Merge::Median),
        ..KeyPlan::default()
    };
    let labelled = KeyPlan {
        label: Some("Outside".into()),
        decimals: Some(1),
        ..KeyPlan::default()
    };
    Plan {
        upstream_labels: Arc::default(),
        max_records: 2_000,
        derived: DerivedKeys::default(),
        sources: vec![
            source("weather", &["temperature", "humidity", "sky"]),
            source("meter", &["power", "voltage"]),
        ],
        keys: BTreeMap::from([("humidity".into(), merged)]),
        key_patterns: KeyPattern::new("temp*")
            .map(|pattern| (pattern, labelled))
            .into_iter()
            .collect(),
        alert_keys: Default::default(),
        key_alerts: Vec::new(),
        pages: Default::default(),
        is_example: false,
    }
}

/// A day of half hours with a night's gap of two hours.
fn day_of_buckets() -> Vec<Bucket> {
    (0..48)
        .filter(|half_hour| !(12..16).contains(half_hour))
        .map(|half_hour| {
            let phase = f64::from(half_hour) / 48.0 * std::f64::consts::TAU;
            let mean = crate::domain::reading::round_computed(15.0 + 8.0 * phase.sin());
            Bucket {
                from: Wall(NOW_MS - 86_400_000 + i64::from(half_hour) * 1_800_000),
                seconds: 1_800,
                count: 2,
                min: mean - 1.0,
                mean,
                max: mean + 1.5,
                last: mean,
            }
        })
        .collect()
}

/// A whole local day of a counter, with its last value; today is `ago` 0.
pub fn day_bucket(ago: i64, last: f64) -> Bucket {
    const HOUR_MS: i64 = 3_600_000;
    // It is 21:00.
    let midnight = NOW_MS - 21 * HOUR_MS;
    Bucket {
        from: Wall(midnight - ago * 24 * HOUR_MS),
        seconds: 86_400,
        count: 1_440,
        min: last - 1.0,
        mean: last,
        max: last,
        last,
    }
}

/// The buckets of each period, as one.
fn periods_of(buckets: &[Bucket], query: &PeriodQuery) -> Vec<Bucket> {
    let period = |bounds: &[Wall]| {
        let within = |bucket: &&Bucket| (bounds[0]..bounds[1]).contains(&bucket.from);
        let within: Vec<&Bucket> = buckets.iter().filter(within).collect();
        let count: u64 = within.iter().map(|it| it.count).sum();
        let weighted = within.iter().map(|it| it.mean * it.count as f64);
        Some(Bucket {
            from: bounds[0],
            seconds: bounds[1].since(bounds[0]).as_secs(),
            count,
            min: within.iter().map(|it| it.min).reduce(f64::min)?,
            mean: weighted.sum::<f64>() / count as f64,
            max: within.iter().map(|it| it.max).reduce(f64::max)?,
            last: within.last()?.last,
        })
    };
    query.bounds.windows(2).filter_map(period).collect()
}
