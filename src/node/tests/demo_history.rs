//! Tests of the demo's history: which times are polled.

use super::*;
use crate::api::client::APIS;
use crate::api::demo_server::DemoServer;
use crate::api::simulated_house::House;
use crate::config::Overrides;
use crate::db::retention::policy::RetentionPolicy;
use crate::db::store::StoreSettings;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("a known zone")
}

#[test]
fn a_year_is_covered_without_a_gap_and_in_coarser_steps_further_back() {
    // 15:20:07 UTC on 29 November 2026.
    let now = Wall::from_second(1_795_965_607);
    let plan = HistoryPlan::of_a_year(now, &berlin());
    let mut stretches: Vec<Stretch> = plan.earlier.iter().chain(&plan.recent).copied().collect();
    stretches.sort_by_key(|stretch| stretch.from);
    let spans: Vec<String> = stretches
        .iter()
        .map(|it| format!("{} {} min", it.from, it.step.as_secs() / 60))
        .collect();
    // Local midnight is 23:00 UTC in winter.
    assert_eq!(
        spans,
        [
            "2025-11-27T23:00:00Z 180 min",
            "2026-11-13T23:00:00Z 60 min",
            "2026-11-27T23:00:00Z 30 min",
            "2026-11-28T15:20:07Z 10 min",
        ]
    );
    assert!(
        stretches
            .windows(2)
            .all(|pair| pair[0].until == pair[1].from)
    );
    assert_eq!(stretches.last().map(|it| it.until), Some(now));
}

#[test]
fn polls_are_at_round_times_within_the_stretch() {
    let stretch = |from: i64, until: i64| Stretch {
        from: Wall::from_second(from),
        until: Wall::from_second(until),
        step: Duration::from_secs(600),
    };
    for (from, until, expected) in [
        (0, 1_800, vec![0, 600, 1_200]),
        (1, 1_801, vec![600, 1_200, 1_800]),
        (-601, 1, vec![-600, 0]),
        (700, 1_100, vec![]),
        (1_800, 0, vec![]),
    ] {
        let times: Vec<i64> = stretch(from, until).times().map(Wall::second).collect();
        assert_eq!(times, expected, "{from} to {until}");
    }
}

/// A database in a directory of its own, and the demo's configuration for it.
struct TestDemo {
    directory: std::path::PathBuf,
    config: Config,
    clock: Arc<SteppedClock>,
    _server: DemoServer,
}

impl TestDemo {
    fn new(name: &str, now: Wall) -> TestDemo {
        let name = format!("main-node-history-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        let clock = Arc::new(SteppedClock::at(Moment {
            mono: Mono(1_000),
            wall: now,
            trust: crate::domain::time::ClockTrust::Trusted,
        }));
        let house = Arc::new(House::new(berlin()));
        let server = DemoServer::start(&APIS, house, clock.clone()).expect("loopback");
        let base = |name: &str| server.base_url(name);
        let database = directory.join("main-node.db");
        let config = crate::config::demo(&base, database, &Overrides::default(), &APIS);
        TestDemo {
            config: config.unwrap_or_else(|problems| panic!("{problems:?}")),
            directory,
            clock,
            _server: server,
        }
    }

    /// Hours of a key that have rows, from the first to the last in UTC.
    fn hours(&self, key: &str) -> Vec<i64> {
        let connection = rusqlite::Connection::open(&self.config.database).expect("a database");
        let mut select = connection
            .prepare("SELECT hour FROM hourly JOIN keys USING (k) WHERE key = ?1 ORDER BY hour")
            .expect("its tables");
        let hours = select.query_map([key], |row| row.get(0)).expect("rows");
        hours.map(|hour| hour.expect("a number")).collect()
    }
}

impl Drop for TestDemo {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// 12:00 UTC on 28 November 2026, and the hour since 1970.
const NOON: Wall = Wall(1_795_867_200_000);
const NOON_HOUR: i64 = 498_852;

fn hours_before_noon(from: i64, until: i64, step_minutes: u64) -> Stretch {
    Stretch {
        from: Wall::from_second((NOON_HOUR - from) * 3_600),
        until: Wall::from_second((NOON_HOUR - until) * 3_600),
        step: Duration::from_secs(step_minutes * 60),
    }
}

#[test]
fn every_key_of_the_house_has_a_history() {
    let demo = TestDemo::new("recent", NOON);
    let recent = [hours_before_noon(6, 2, 60), hours_before_noon(2, 0, 20)];
    generate(&demo.config, &demo.clock, &recent).expect("it can be stored");
    let expected: Vec<i64> = (NOON_HOUR - 6..NOON_HOUR).collect();
    for key in [
        "temperature",
        "solar.power",
        "grid.import_today",
        "home.power",
        "room.office.co2",
        "heatpump.mode",
        "plug-fridge.energy",
        "departure.next",
    ] {
        assert_eq!(demo.hours(key), expected, "{key}");
    }
    // Yesterday's prices are among the answer; those ahead are no rows yet.
    let prices = demo.hours("price");
    assert_eq!(prices.last(), expected.last());
    assert!(prices.len() > 24, "{prices:?}");
}

#[test]
fn earlier_readings_go_through_the_running_store() {
    let demo = TestDemo::new("earlier", NOON);
    let location = DatabaseLocation {
        path: demo.config.database.clone(),
        is_default: false,
    };
    let clock: Arc<dyn Clock> = Arc::new(SteppedClock::at(Moment {
        wall: NOON,
        ..demo.clock.now()
    }));
    let settings = StoreSettings {
        retention: RetentionPolicy {
            raw: demo.config.keep_raw,
            ..RetentionPolicy::default()
        },
        ..StoreSettings::new(location.clone(), "this-boot".to_owned())
    };
    let opened = open::open(&location, "this-boot");
    let store = Arc::new(crate::db::store::start(settings, opened, clock).expect("a thread"));
    let progress = Arc::new(SharedPercent::default());
    let earlier = vec![
        hours_before_noon(30, 24, 60),
        hours_before_noon(300, 288, 180),
    ];
    let generating = HistoryThread::start(
        demo.config.clone(),
        demo.clock.clone(),
        earlier,
        store.clone(),
        progress.clone(),
    );
    let generating = generating.expect("a thread");
    generating.wait();
    assert!(progress.is_complete());
    assert!(store.stop(limits::SHUTDOWN_TIMEOUT).is_complete());
    let earlier = [300, 297, 294, 291, 30, 29, 28, 27, 26, 25];
    let expected: Vec<i64> = earlier.iter().map(|before| NOON_HOUR - before).collect();
    for key in ["temperature", "solar.energy", "home.power"] {
        assert_eq!(demo.hours(key), expected, "{key}");
    }
    // Texts have no charts.
    assert!(demo.hours("departure.next").is_empty());
}
